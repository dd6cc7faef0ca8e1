/* fw_env.config, read as libubootenv reads it: where the environment of U-Boot lies. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/bootenv/bootenv_private.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define SIZE_MIN	 64
#define NAME_MAX_LIBRARY 256 /* its own limit */
#define FLAGS		 ".flags="

bool fwenv_redundant(const struct bootenv *b)
{
	return b->place_count > 1;
}

size_t fwenv_room(const struct bootenv *b)
{
	return b->places[0].size - (fwenv_redundant(b) ? 5 : 4);
}

static const char *take_word(char **rest)
{
	char *word = strsep(rest, " \t");

	while (word && !*word)
		word = strsep(rest, " \t");
	return word;
}

/* as the library reads them: the offset in any base, the size in base 16 also without 0x */
static int take_number(char **rest, int base, uint64_t *v)
{
	const char *word = take_word(rest);
	char *end;

	if (!word || *word == '-')
		return -EINVAL;
	errno = 0;
	*v = strtoull(word, &end, base);
	return errno || *end || *v > INT64_MAX ? -EINVAL : 0;
}

static int parse_line(const struct bootenv *b, char *line, struct bootenv_place *p, struct err *e)
{
	char *rest = line;
	const char *name = take_word(&rest);

	if (text_copy(p->path, NAME_MAX_LIBRARY, name) < 0)
		return err_set(e, E_ENV_READ, ENAMETOOLONG, "a device of '%s' has too long a name",
			       b->path);
	if (take_number(&rest, 0, &p->off) < 0 || take_number(&rest, 16, &p->size) < 0)
		return err_set(e, E_ENV_READ, EINVAL,
			       "'%s': the line of '%s' has no usable offset and size", b->path,
			       p->path);
	if (p->size < SIZE_MIN || p->size > FWENV_SIZE_MAX)
		return err_set(e, E_ENV_READ, ERANGE,
			       "'%s': an environment of %llu bytes is not possible", b->path,
			       (unsigned long long)p->size);
	return 0;
}

static int parse_config(struct bootenv *b, char *text, struct err *e)
{
	while (text && b->place_count < 2) {
		char *line = strsep(&text, "\r\n");
		char first = line[strspn(line, " \t")];

		if (!first || first == '#')
			continue;
		int rc = parse_line(b, line, &b->places[b->place_count], e);
		if (rc < 0)
			return rc;
		b->place_count++;
	}
	if (b->place_count == 0)
		return err_set(e, E_ENV_READ, EINVAL, "'%s' names no place", b->path);
	return 0;
}

static int check_places(const struct bootenv *b, struct err *e)
{
	const struct bootenv_place *p = b->places;

	if (!fwenv_redundant(b))
		return 0;
	if (p[0].size != p[1].size)
		return err_set(e, E_ENV_READ, EINVAL, "'%s': the two copies differ in size",
			       b->path);
	if (strcmp(p[0].path, p[1].path) == 0 && p[0].off < p[1].off + p[1].size &&
	    p[1].off < p[0].off + p[0].size)
		return err_set(e, E_ENV_READ, EINVAL,
			       "'%s': the two copies lie on each other; one would tear the other",
			       b->path);
	return 0;
}

int fwenv_read(struct bootenv *b, const char *path, struct err *e)
{
	AUTO_FREE char *text = NULL;
	size_t n;
	int rc = sys_path(path, b->path, sizeof(b->path));

	if (rc == 0)
		rc = sys_read_file(AT_FDCWD, b->path, 65536, &text, &n);
	if (rc < 0)
		return err_sys(e, E_ENV_READ, -rc, "reading '%s'", path);
	rc = parse_config(b, text, e);
	return rc < 0 ? rc : check_places(b, e);
}

static size_t flags_of(const struct bootenv_place *p)
{
	AUTO_CLOSE int fd = sys_openat(AT_FDCWD, p->path, O_RDONLY | O_CLOEXEC, 0);
	AUTO_FREE char *block = malloc(p->size + 1);
	const char *at;

	if (fd < 0 || !block || sys_pread(fd, block, p->size, p->off) != (ssize_t)p->size)
		return 0;
	block[p->size] = '\0';
	at = memmem(block, p->size, "\0" FLAGS, sizeof(FLAGS));
	return at ? strlen(at + 1) + 1 : 0;
}

size_t fwenv_flags(const struct bootenv *b)
{
	size_t most = 0;

	for (size_t i = 0; i < b->place_count; i++) {
		size_t n = flags_of(&b->places[i]);

		most = n > most ? n : most;
	}
	return most;
}
