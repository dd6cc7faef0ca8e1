#include "core/build/variables.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define TEXT_MAX (1024 * 1024)

int build_open(const char *path, enum errcode code, const char *what, struct err *e)
{
	int fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY, 0);

	if (fd >= 0)
		return fd;
	err_fix(e, "check the name, and who may read the file");
	err_sys(e, code, -fd, "opening it failed");
	return err_at(e, err_while(e, fd, "%s cannot be read", what), "%s", path);
}

int build_read_text(const char *path, char **text, size_t *n, struct err *e)
{
	int rc = sys_read_file(AT_FDCWD, path, TEXT_MAX, text, n);

	if (rc == -ENOENT)
		err_fix(e, "check the name of the file");
	if (rc < 0)
		err_sys(e, rc == -ENOMEM ? E_MEMORY : E_BUILD, -rc, "reading it failed");
	return err_at(e, rc, "%s", path);
}

int variables_open(struct variables *v, const char *file, bool environment, struct err *e)
{
	size_t n;

	*v = (struct variables){.environment = environment};
	return file ? build_read_text(file, &v->lines, &n, e) : 0;
}

void variables_clear(struct variables *v)
{
	free(v->lines);
	v->lines = NULL;
}

static const char *find_in_lines(struct variables *v, const char *name)
{
	size_t n = strlen(name);

	for (const char *line = v->lines; line && *line;) {
		size_t len = strcspn(line, "\r\n");

		if (len > n && strncmp(line, name, n) == 0 && line[n] == '=' &&
		    text_print(v->found, sizeof(v->found), "%.*s", (int)(len - n - 1),
			       line + n + 1) >= 0)
			return v->found;
		line += len + strspn(line + len, "\r\n");
	}
	return NULL;
}

const char *variables_find(void *arg, const char *name)
{
	struct variables *v = arg;
	const char *value = find_in_lines(v, name);

	return value || !v->environment ? value : getenv(name);
}
