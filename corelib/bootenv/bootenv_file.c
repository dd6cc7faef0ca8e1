/*
 * file: lines name=value for boot scripts that read a text file. Comments, empty lines and the
 * order stay. A change is a new file put in place by rename.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/bootenv/bootenv_private.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

static int file_open(struct bootenv *b, const struct bootenv_options *o, struct err *e)
{
	if (!o->path || !*o->path)
		return err_set(e, E_CONFIG, EINVAL,
			       "the boot environment 'file' needs a path (bootenv-path)");
	return bootenv_resolve(b, o->path, e);
}

/* one line of the text without its line end; false at the end */
static bool next_line(const char **at, const char *end, const char **line, size_t *len)
{
	if (*at == end)
		return false;
	const char *nl = memchr(*at, '\n', (size_t)(end - *at));

	*line = *at;
	*len = (size_t)((nl ? nl : end) - *at);
	*at = nl ? nl + 1 : end;
	return true;
}

static bool is_comment(const char *line, size_t len)
{
	size_t i = strspn(line, " \t\r");

	return i >= len || line[i] == '#';
}

/* the line as two texts in 'copy' */
static int split_line(char *copy, char **value)
{
	char *eq = strchr(copy, '=');

	if (!eq)
		return -EINVAL;
	*eq = '\0';
	*value = eq + 1;
	return bootenv_name_ok(copy) ? 0 : -EINVAL;
}

static int parse(const struct bootenv *b, const char *text, size_t n, struct envset *all,
		 struct err *e)
{
	const char *at = text, *line;
	size_t len;

	if (memchr(text, '\0', n))
		return err_set(e, E_ENV_READ, EINVAL, "'%s' is not a text file", b->path);
	for (unsigned number = 1; next_line(&at, text + n, &line, &len); number++) {
		AUTO_FREE char *copy = NULL;
		char *value;

		if (is_comment(line, len))
			continue;
		copy = strndup(line, len);
		if (!copy)
			return err_set(e, E_MEMORY, ENOMEM, "no memory for boot variables");
		if (split_line(copy, &value) < 0)
			return err_set(e, E_ENV_READ, EINVAL,
				       "line %u of '%s' is not of the form name=value", number,
				       b->path);
		int rc = envset_put(all, copy, value, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* a file that is not there yet is an empty environment */
static int file_text(const struct bootenv *b, char **text, size_t *n, struct err *e)
{
	int rc = bootenv_read(b, text, n, e);

	if (rc != -ENOENT)
		return rc;
	*n = 0;
	*text = calloc(1, 1);
	return *text ? 0 : err_set(e, E_MEMORY, ENOMEM, "no memory for boot variables");
}

static int file_load(struct bootenv *b, struct envset *all, struct err *e)
{
	AUTO_FREE char *text = NULL;
	size_t n;
	int rc = file_text(b, &text, &n, e);

	return rc < 0 ? rc : parse(b, text, n, all, e);
}

static const struct envvar *change_of(const struct envset *changes, const char *line, size_t len)
{
	for (size_t i = 0; i < changes->count; i++) {
		size_t n = strlen(changes->vars[i].name);

		if (n < len && memcmp(line, changes->vars[i].name, n) == 0 && line[n] == '=')
			return &changes->vars[i];
	}
	return NULL;
}

/* a text in memory that was measured beforehand (a memory stream loses bytes silently without
 * memory) */
struct out {
	char *text;
	size_t len;
};

static void out_bytes(struct out *o, const char *s, size_t n)
{
	memcpy(o->text + o->len, s, n);
	o->len += n;
}

static void out_variable(struct out *o, const struct envvar *v)
{
	out_bytes(o, v->name, strlen(v->name));
	out_bytes(o, "=", 1);
	out_bytes(o, v->value, strlen(v->value));
	out_bytes(o, "\n", 1);
}

/* each changed line replaced where it stood (the first, if twice) or left out; new ones at the end
 */
static void out_lines(struct out *o, const char *text, size_t n, const struct envset *changes,
		      bool *seen)
{
	const char *at = text, *line;
	size_t len;

	while (next_line(&at, text + n, &line, &len)) {
		const struct envvar *c =
			is_comment(line, len) ? NULL : change_of(changes, line, len);

		if (!c) {
			out_bytes(o, line, len);
			out_bytes(o, "\n", 1);
			continue;
		}
		if (c->value && !seen[c - changes->vars])
			out_variable(o, c);
		seen[c - changes->vars] = true;
	}
	for (size_t i = 0; i < changes->count; i++)
		if (!seen[i] && changes->vars[i].value)
			out_variable(o, &changes->vars[i]);
}

/* never less than what out_lines() writes */
static size_t measure(size_t n, const struct envset *changes)
{
	size_t most = n + 1;

	for (size_t i = 0; i < changes->count; i++)
		if (changes->vars[i].value)
			most += strlen(changes->vars[i].name) + strlen(changes->vars[i].value) + 2;
	return most;
}

static int new_text(const struct bootenv *b, const struct envset *changes, struct out *o,
		    struct err *e)
{
	AUTO_FREE char *text = NULL;
	AUTO_FREE bool *seen = calloc(changes->count + 1, sizeof(*seen));
	struct envset all = {0};
	size_t n;

	int rc = file_text(b, &text, &n, e);
	if (rc == 0)
		rc = parse(b, text, n, &all, e); /* a damaged file is not written again */
	envset_clear(&all);
	if (rc < 0)
		return rc;
	o->text = malloc(measure(n, changes));
	if (!seen || !o->text)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for boot variables");
	out_lines(o, text, n, changes, seen);
	if (o->len > BOOTENV_FILE_MAX)
		return err_set(e, E_ENV_BIG, EFBIG, "'%s' would have %zu bytes, at most %d",
			       b->path, o->len, BOOTENV_FILE_MAX);
	return 0;
}

/* the folder first: on FAT nothing else matters */
static int prepare(const struct bootenv *b, const struct envset *changes, struct out *o,
		   struct err *e)
{
	int rc = bootenv_on_fat(b->path, e);

	if (rc > 0)
		return err_set(e, E_ENV_TORN, EINVAL,
			       "'%s' lies on FAT, where a power cut may lose a replaced file",
			       b->path);
	if (rc < 0)
		return rc;
	rc = bootenv_writable(b, false, e);
	return rc < 0 ? rc : new_text(b, changes, o, e);
}

static int file_check(struct bootenv *b, const struct envset *changes, struct err *e)
{
	struct out o = {0};
	int rc = prepare(b, changes, &o, e);

	free(o.text);
	return rc;
}

static int file_commit(struct bootenv *b, const struct envset *changes, struct err *e)
{
	struct out o = {0};

	int rc = prepare(b, changes, &o, e);
	if (rc == 0) {
		rc = sys_replace_file(b->path, o.text, o.len, 0644);
		if (rc < 0)
			err_sys(e, E_ENV_WRITE, -rc, "replacing '%s'", b->path);
	}
	free(o.text);
	return rc;
}

const struct bootenv_backend bootenv_file = {
	.name = "file",
	.summary = "a text file with lines name=value",
	.open = file_open,
	.load = file_load,
	.check = file_check,
	.commit = file_commit,
};
