/*
 * grub: GRUB's environment block, a file of fixed size: a header line, lines name=value, '#' to the
 * end.
 *
 * A backslash takes the next byte as it is, also a line end. On FAT a rename is not safe against a
 * power cut and GRUB knows the file by its clusters: there the block is written in place, and only
 * its first sector, which the medium writes whole or not at all. What decides must therefore lie in
 * it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/bootenv/bootenv_private.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define GRUB_PATH  "/boot/efi/EFI/BOOT/grub/grubenv"
#define HEADER	   "# GRUB Environment Block\n"
#define HEADER_LEN (sizeof(HEADER) - 1)
#define BLOCK_MIN  1024
#define SECTOR	   512

struct block {
	char *text; /* NUL behind it */
	size_t size;
};

/* one line with its line end; name_len 0: a comment */
struct item {
	const char *start;
	size_t len, name_len;
	bool closed; /* by a line end */
};

/* a text that grows up to a limit; full = something did not fit */
struct out {
	char *text;
	size_t len, room;
	bool full;
};

static int grub_open(struct bootenv *b, const struct bootenv_options *o, struct err *e)
{
	return bootenv_resolve(b, o->path && *o->path ? o->path : GRUB_PATH, e);
}

/* ---- reading ---- */

static bool next_item(const char **at, const char *end, struct item *it)
{
	const char *p = *at;

	if (p >= end)
		return false;
	*it = (struct item){.start = p};
	while (p < end && *p != '\n')
		p += *p == '\\' && p + 1 < end ? 2 : 1;
	it->closed = p < end;
	if (it->closed)
		p++;
	it->len = (size_t)(p - it->start);
	*at = p;
	if (*it->start != '#') {
		const char *eq = memchr(it->start, '=', it->len);
		it->name_len = eq ? (size_t)(eq - it->start) : 0;
	}
	return true;
}

static bool is_filler(const struct item *it)
{
	for (size_t i = 0; i < it->len; i++)
		if (it->start[i] != '#' && !(it->start[i] == '\n' && i + 1 == it->len))
			return false;
	return true;
}

/* the value as GRUB sees it, and the name, in one allocation */
static int item_texts(const struct item *it, char **name, char **value)
{
	const char *p = it->start + it->name_len + 1, *end = it->start + it->len;
	char *v;

	*name = malloc(it->len + 2);
	if (!*name)
		return -ENOMEM;
	memcpy(*name, it->start, it->name_len);
	(*name)[it->name_len] = '\0';
	v = *value = *name + it->name_len + 1;
	while (p < end && *p != '\n') {
		if (*p == '\\' && p + 1 < end)
			p++;
		*v++ = *p++;
	}
	*v = '\0';
	return 0;
}

static int parse_item(const struct item *it, struct envset *all, struct err *e)
{
	AUTO_FREE char *name = NULL;
	char *value;

	if (item_texts(it, &name, &value) < 0)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for boot variables");
	return envset_put(all, name, value, e);
}

static int parse(const struct bootenv *b, const struct block *k, struct envset *all, struct err *e)
{
	const char *at = k->text + HEADER_LEN, *end = k->text + k->size;
	struct item it;

	while (next_item(&at, end, &it)) {
		if (*it.start == '#')
			continue;
		if (!it.name_len)
			return err_set(e, E_ENV_READ, EINVAL,
				       "byte %zu of '%s' does not begin a line name=value",
				       (size_t)(it.start - k->text), b->path);
		int rc = parse_item(&it, all, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int read_block(const struct bootenv *b, struct block *k, struct err *e)
{
	int rc = bootenv_read(b, &k->text, &k->size, e);

	if (rc == -ENOENT) {
		rc = err_sys(e, E_ENV_READ, ENOENT, "there is no '%s'", b->path);
		err_fix(e, "make it with: grub-editenv %s create", b->path);
	}
	if (rc < 0)
		return rc;
	if (k->size < HEADER_LEN || memcmp(k->text, HEADER, HEADER_LEN) != 0)
		return err_set(e, E_ENV_READ, EINVAL, "'%s' does not begin with GRUB's header line",
			       b->path);
	if (k->size < BLOCK_MIN || k->size % SECTOR != 0)
		return err_set(e, E_ENV_READ, EINVAL,
			       "'%s' has %zu bytes; a block has %d or a larger multiple of %d",
			       b->path, k->size, BLOCK_MIN, SECTOR);
	if (memchr(k->text, '\0', k->size))
		return err_set(e, E_ENV_READ, EINVAL, "'%s' has a zero byte", b->path);
	return 0;
}

static int load_block(const struct bootenv *b, struct block *k, struct envset *all, struct err *e)
{
	int rc = read_block(b, k, e);

	return rc < 0 ? rc : parse(b, k, all, e);
}

static int grub_load(struct bootenv *b, struct envset *all, struct err *e)
{
	struct block k = {0};
	int rc = load_block(b, &k, all, e);

	free(k.text);
	return rc;
}

/* ---- a new block ---- */

static void out_bytes(struct out *o, const char *s, size_t n)
{
	if (n > o->room - o->len) {
		o->full = true;
		return;
	}
	memcpy(o->text + o->len, s, n);
	o->len += n;
}

static void out_fill(struct out *o, size_t n)
{
	while (n--)
		out_bytes(o, "#", 1);
}

/* 'longer' takes one byte more: GRUB drops a backslash before any byte */
static void out_variable(struct out *o, const struct envvar *v, bool longer)
{
	out_bytes(o, v->name, strlen(v->name));
	out_bytes(o, "=", 1);
	for (const char *c = v->value; *c; c++) {
		if (*c == '\\' || *c == '\n' || (longer && c == v->value))
			out_bytes(o, "\\", 1);
		out_bytes(o, c, 1);
	}
	out_bytes(o, "\n", 1);
}

/* a line as it was, without backslashes that mean nothing in a value: one of them may have closed a
 * gap */
static void out_item(struct out *o, const struct item *it)
{
	out_bytes(o, it->start, it->name_len);
	for (size_t i = it->name_len; i < it->len; i++) {
		const char *c = it->start + i;

		if (*c == '\\' && it->name_len && i + 1 < it->len) {
			if (c[1] == '\\' || c[1] == '\n')
				out_bytes(o, c, 1);
			c++, i++;
		}
		out_bytes(o, c, 1);
	}
	if (!it->closed) /* its last byte may be a line end that a backslash takes away */
		out_bytes(o, "\n", 1);
}

static size_t change_of(const struct envset *changes, const struct item *it)
{
	for (size_t i = 0; it->name_len && i < changes->count; i++)
		if (strlen(changes->vars[i].name) == it->name_len &&
		    memcmp(changes->vars[i].name, it->start, it->name_len) == 0)
			return i;
	return changes->count;
}

/* the lines up to 'end': changed ones replaced where they stood (the first, if twice) or left out
 */
static void out_items(struct out *o, const struct block *k, const char *end,
		      const struct envset *changes, bool *seen)
{
	const char *at = k->text + HEADER_LEN;
	struct item it;

	out_bytes(o, HEADER, HEADER_LEN);
	while (at < end && next_item(&at, k->text + k->size, &it)) {
		size_t c = change_of(changes, &it);

		if (it.start + it.len > end || is_filler(&it))
			continue;
		if (c == changes->count) {
			out_item(o, &it);
			continue;
		}
		if (changes->vars[c].value && !seen[c])
			out_variable(o, &changes->vars[c], false);
		seen[c] = true;
	}
	for (size_t i = 0; i < changes->count; i++)
		if (!seen[i] && changes->vars[i].value)
			out_variable(o, &changes->vars[i], false);
}

static int whole_block(const struct bootenv *b, const struct block *k, const struct envset *changes,
		       struct out *o, struct err *e)
{
	AUTO_FREE bool *seen = calloc(changes->count + 1, sizeof(*seen));

	o->room = k->size;
	o->text = malloc(o->room);
	if (!seen || !o->text)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the boot environment");
	out_items(o, k, k->text + k->size, changes, seen);
	if (o->full)
		return err_set(e, E_ENV_BIG, ENOSPC, "the block '%s' has only %zu bytes", b->path,
			       k->size);
	out_fill(o, o->room - o->len);
	return 0;
}

/* ---- the first sector alone ---- */

static int torn(const struct bootenv *b, struct err *e, const char *why)
{
	return err_set(e, E_ENV_TORN, ENOSPC, "'%s' lies on FAT and is written in place: %s",
		       b->path, why);
}

/*
 * How the first sector goes on into the second: 'tail' bytes of a line that crosses the border must
 * stay where they are; 'comment': the second sector begins inside or with a comment.
 */
struct border {
	size_t tail;
	bool comment;
};

static int find_border(const struct bootenv *b, const struct block *k, const struct envset *changes,
		       struct border *br, struct err *e)
{
	const char *at = k->text + HEADER_LEN, *cut = k->text + SECTOR;
	struct item it;

	*br = (struct border){.comment = *cut == '#'};
	while (next_item(&at, k->text + k->size, &it)) {
		const char *end = it.start + it.len;

		if (end <= cut)
			continue;
		if (change_of(changes, &it) < changes->count)
			return torn(b, e,
				    "a variable to be changed lies behind its first 512 bytes");
		if (it.start < cut && !(is_filler(&it) && *cut == '#'))
			br->tail = (size_t)(cut - it.start);
	}
	if (br->tail)
		br->comment = false;
	return 0;
}

/* the gap is closed by a comment line; a gap of one byte, too short for one, by a longer value */
static bool close_gap(struct out *o, const struct border *br)
{
	size_t gap = SECTOR - br->tail - o->len;

	if (gap == 1 && !br->comment) {
		char *eq = memchr(o->text + HEADER_LEN, '=', o->len - HEADER_LEN);
		while (eq && (eq[1] == '\n' || eq[1] == '\\'))
			eq = memchr(eq + 1, '=', o->len - (size_t)(eq + 1 - o->text));
		if (!eq)
			return false;
		memmove(eq + 2, eq + 1, o->len - (size_t)(eq + 1 - o->text));
		eq[1] = '\\';
		o->len++;
		return true;
	}
	if (gap && !br->comment) {
		out_fill(o, gap - 1);
		out_bytes(o, "\n", 1);
	} else {
		out_fill(o, gap);
	}
	return true;
}

static int first_sector(const struct bootenv *b, const struct block *k,
			const struct envset *changes, struct out *o, struct err *e)
{
	AUTO_FREE bool *seen = calloc(changes->count + 1, sizeof(*seen));
	struct border br;

	o->room = k->size;
	o->text = malloc(o->room + 1);
	if (!seen || !o->text)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the boot environment");
	int rc = find_border(b, k, changes, &br, e);
	if (rc < 0)
		return rc;
	o->room = SECTOR - br.tail;
	out_items(o, k, k->text + SECTOR, changes, seen);
	if (o->full)
		return torn(b, e, "the variables do not fit into its first 512 bytes");
	if (!close_gap(o, &br))
		return torn(b, e, "no variable can fill the last byte of its first 512");
	o->room = k->size;
	out_bytes(o, k->text + o->len, k->size - o->len);
	return 0;
}

static int new_block(const struct bootenv *b, bool in_place, const struct envset *changes,
		     struct out *o, struct err *e)
{
	struct envset all = {0};
	struct block k = {0};
	int rc = load_block(b, &k, &all, e);

	if (rc == 0 && bootenv_same(&all, changes)) {
		o->text = k.text;
		o->len = k.size;
		k.text = NULL;
	} else if (rc == 0) {
		rc = (in_place ? first_sector : whole_block)(b, &k, changes, o, e);
	}
	envset_clear(&all);
	free(k.text);
	return rc;
}

/* ---- writing ---- */

static int names_ok(const struct envset *changes, struct err *e)
{
	for (size_t i = 0; i < changes->count; i++)
		if (strchr(changes->vars[i].name, '\\'))
			return err_set(e, E_ENV_NAME, EINVAL,
				       "GRUB cannot hold a variable with the name '%s'",
				       changes->vars[i].name);
	return 0;
}

static int prepare(const struct bootenv *b, const struct envset *changes, struct out *o,
		   struct err *e)
{
	int in_place = bootenv_on_fat(b->path, e);

	int rc = in_place < 0 ? in_place : names_ok(changes, e);
	if (rc < 0)
		return rc;
	rc = new_block(b, in_place > 0, changes, o, e);
	if (rc < 0)
		return rc;
	rc = bootenv_writable(b, in_place > 0, e);
	return rc < 0 ? rc : in_place;
}

static int grub_check(struct bootenv *b, const struct envset *changes, struct err *e)
{
	struct out o = {0};
	int rc = prepare(b, changes, &o, e);

	free(o.text);
	return rc < 0 ? rc : 0;
}

static int write_sector(const struct bootenv *b, const char *text)
{
	AUTO_CLOSE int fd = sys_openat(AT_FDCWD, b->path, O_WRONLY | O_CLOEXEC, 0);

	if (fd < 0)
		return fd;
	int rc = sys_pwrite(fd, text, SECTOR, 0);
	if (rc == 0)
		rc = sys_fsync(fd);
	if (rc == 0)
		posix_fadvise(fd, 0, 0,
			      POSIX_FADV_DONTNEED); /* what is read back is the medium's */
	return rc;
}

/*
 * GRUB reads ext4 without its journal: the new folder entry must be at its place, not only in the
 * journal, and that is what syncfs does beyond fsync.
 */
static int replace_block(const struct bootenv *b, const struct out *o)
{
	int rc = sys_replace_file(b->path, o->text, o->len, 0644);

	if (rc < 0)
		return rc;
	AUTO_CLOSE int fd = sys_openat(AT_FDCWD, b->path, O_RDONLY | O_CLOEXEC, 0);
	return fd < 0 ? fd : sys_syncfs(fd);
}

static int grub_commit(struct bootenv *b, const struct envset *changes, struct err *e)
{
	struct out o = {0};

	int in_place = prepare(b, changes, &o, e);
	if (in_place < 0) {
		free(o.text);
		return in_place;
	}
	int rc = in_place ? write_sector(b, o.text) : replace_block(b, &o);
	free(o.text);
	return rc < 0 ? err_sys(e, E_ENV_WRITE, -rc, "writing '%s'", b->path) : 0;
}

const struct bootenv_backend bootenv_grub = {
	.name = "grub",
	.summary = "GRUB's environment block",
	.open = grub_open,
	.load = grub_load,
	.check = grub_check,
	.commit = grub_commit,
};
