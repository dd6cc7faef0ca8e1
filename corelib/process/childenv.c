#include "corelib/process/childenv.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const always[] = {CHILDENV_ALWAYS, NULL};

static bool is_ours(const char *var)
{
	return strncmp(var, "SWUPDATE_", 9) == 0 || strncmp(var, "SWINSTALL_", 10) == 0;
}

static bool has_name(const char *const *list, const char *var)
{
	size_t n = strcspn(var, "=") + 1;

	for (; list && *list; list++)
		if (strncmp(*list, var, n) == 0)
			return true;
	return false;
}

static size_t length(const char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

int childenv_make(const char ***out, const char *const *more, struct err *e)
{
	const char *const *own = (const char *const *)environ;
	size_t n = 0, room = length(always) + length(more) + length(own) + 1;
	const char **env = calloc(room, sizeof(*env));

	if (!env)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for an environment");
	for (size_t i = 0; always[i]; i++)
		env[n++] = always[i];
	for (size_t i = 0; more && more[i]; i++)
		env[n++] = more[i];
	for (size_t i = 0; own && own[i]; i++)
		if (is_ours(own[i]) && !has_name(more, own[i]))
			env[n++] = own[i];
	*out = env;
	return 0;
}
