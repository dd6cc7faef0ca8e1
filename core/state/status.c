#include "core/state/status.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/state/statedir.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

/* a history that is larger was not written by this program */
enum { STATUS_MAX = 16 * 1024, HISTORY_MAX = STATUS_HISTORY * 4 * 1024 };

static int path_of(char path[4096], const char *dir, const char *name)
{
	return dir && text_print(path, 4096, "%s/%s", dir, name) >= 0 ? 0 : -EINVAL;
}

static void put(FILE *f, const char *key, const char *value)
{
	char clean[1024];

	if (!*value)
		return;
	text_printable(value, strlen(value), clean, sizeof(clean));
	fprintf(f, "%s=%s\n", key, clean);
}

/* what a result and an installation that runs have in common, without the fields of an error */
static void put_head(FILE *f, const struct status *s)
{
	put(f, "state", s->state);
	put(f, "version", s->version);
	put(f, "bundle", s->bundle);
	put(f, "slot", s->slot);
	fprintf(f, "time=%" PRId64 "\n", s->time);
	if (err_is_set(&s->err))
		put(f, "code", err_info(s->err.code)->name);
	put(f, "where", s->err.where);
	put(f, "why", s->err.why);
}

/* all that a status file has; malloc'ed, NULL without memory */
static char *text_of(const struct status *s)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	if (!f)
		return NULL;
	put_head(f, s);
	put(f, "what", s->err.what);
	if (err_is_set(&s->err))
		put(f, "fix", err_fix_text(&s->err));
	put(f, "owner", s->owner);
	put(f, "action", s->action);
	put(f, "name", s->name);
	if (s->step)
		fprintf(f, "step=%u\nsteps=%u\npercent=%u\n", s->step, s->steps, s->percent);
	for (size_t i = 0; i < STATUS_SLOTS && *s->slots[i].name; i++) {
		put(f, "holder", s->slots[i].name);
		put(f, "holds", s->slots[i].version);
	}
	return text_close(f, &text);
}

int status_write(const char *dir, const struct status *s)
{
	AUTO_FREE char *text = text_of(s);
	char path[4096];

	if (!text)
		return -ENOMEM;
	if (path_of(path, dir, "status") < 0)
		return -EINVAL;
	return sys_replace_file(path, text, strlen(text), 0644);
}

int status_publish(const char *run_dir)
{
	struct err ignored = {0};
	AUTO_CLOSE int dirfd = statedir_open(run_dir, &ignored);

	return dirfd < 0 ? dirfd : statedir_file(dirfd, "status", E_STATE_DIR, &ignored);
}

void status_update(int fd, const struct status *s)
{
	AUTO_FREE char *text = text_of(s);
	char page[4096];

	if (!text || strlen(text) >= sizeof(page))
		return;
	/* line ends cover what a longer text has left; nothing follows it */
	memset(page, '\n', sizeof(page));
	for (size_t i = 0; text[i]; i++)
		page[i] = text[i];
	sys_pwrite(fd, page, sizeof(page), 0);
}

static void remove_file(const char *dir, const char *name)
{
	char path[4096];

	if (path_of(path, dir, name) == 0)
		sys_unlinkat(AT_FDCWD, path, 0);
}

void status_remove(const char *dir)
{
	remove_file(dir, "status");
}

void status_remove_stale(const char *run_dir, const char *state_dir)
{
	struct status s;

	/* one that was killed before its first word has left an empty one */
	if (run_dir && state_dir && status_read(run_dir, &s) == 0 &&
	    (!*s.state || strcmp(s.owner, state_dir) == 0))
		status_remove(run_dir);
}

void status_tidy(const char *state_dir)
{
	remove_file(state_dir, ".status.new");
	remove_file(state_dir, ".history.new");
}

static enum errcode code_of(const char *name)
{
	for (size_t i = 0; err_row(i); i++)
		if (strcmp(err_row(i)->name, name) == 0)
			return err_row(i)->code;
	return E_INTERNAL;
}

/* "holder" names a slot, "holds" its release; what does not fit is passed over */
static void take_slot(struct status *s, const char *key, const char *value)
{
	size_t n = 0;

	while (n < STATUS_SLOTS && *s->slots[n].name)
		n++;
	if (strcmp(key, "holder") == 0 && n < STATUS_SLOTS)
		text_printable(value, strlen(value), s->slots[n].name, sizeof(s->slots[n].name));
	if (strcmp(key, "holds") == 0 && n > 0)
		text_printable(value, strlen(value), s->slots[n - 1].version,
			       sizeof(s->slots[n - 1].version));
}

static void take(struct status *s, const char *key, const char *value)
{
	const struct {
		const char *key;
		char *at;
		size_t size;
	} texts[] = {
		{"state", s->state, sizeof(s->state)},
		{"version", s->version, sizeof(s->version)},
		{"bundle", s->bundle, sizeof(s->bundle)},
		{"slot", s->slot, sizeof(s->slot)},
		{"what", s->err.what, sizeof(s->err.what)},
		{"where", s->err.where, sizeof(s->err.where)},
		{"why", s->err.why, sizeof(s->err.why)},
		{"fix", s->err.fix, sizeof(s->err.fix)},
		{"owner", s->owner, sizeof(s->owner)},
		{"action", s->action, sizeof(s->action)},
		{"name", s->name, sizeof(s->name)},
	};
	const struct {
		const char *key;
		unsigned *at;
	} numbers[] = {{"step", &s->step}, {"steps", &s->steps}, {"percent", &s->percent}};
	uint64_t number;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (strcmp(texts[i].key, key) == 0)
			text_printable(value, strlen(value), texts[i].at, texts[i].size);
	if (strcmp(key, "code") == 0)
		s->err.code = code_of(value);
	take_slot(s, key, value);
	if (text_u64(value, &number) < 0)
		return;
	if (strcmp(key, "time") == 0 && number < INT64_MAX)
		s->time = (int64_t)number;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (strcmp(numbers[i].key, key) == 0 && number <= UINT_MAX)
			*numbers[i].at = (unsigned)number;
}

/* the lines up to an empty one; *text is moved behind it, NULL at the end */
static void read_block(char **text, struct status *s)
{
	memset(s, 0, sizeof(*s));
	while (*text) {
		char *line = strsep(text, "\n"), *value = strchr(line, '=');

		if (!*line)
			break;
		if (!value)
			continue;
		*value++ = '\0';
		take(s, line, value);
	}
}

int status_read(const char *dir, struct status *s)
{
	AUTO_FREE char *text = NULL;
	char path[4096], *rest;
	size_t n;
	int rc;

	memset(s, 0, sizeof(*s));
	if (path_of(path, dir, "status") < 0)
		return -EINVAL;
	rc = sys_read_file(AT_FDCWD, path, STATUS_MAX, &text, &n);
	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	rest = text;
	read_block(&rest, s);
	return 0;
}

/* ---- what was before --------------------------------------------------------------------- */

/* where the last 'most' blocks begin */
static const char *last_blocks(const char *text, size_t most)
{
	const char *at = text + strlen(text);

	while (at > text) {
		if (at - text >= 2 && at[-1] == '\n' && at[-2] == '\n' && most-- == 0)
			return at;
		at--;
	}
	return text;
}

static void add_to_history(const char *state_dir, const struct status *s)
{
	AUTO_FREE char *old = NULL, *text = NULL;
	char path[4096];
	size_t n = 0;
	FILE *f;

	if (path_of(path, state_dir, "history") < 0)
		return;
	f = open_memstream(&text, &n);
	if (!f)
		return;
	if (sys_read_file(AT_FDCWD, path, HISTORY_MAX, &old, &n) == 0)
		fputs(last_blocks(old, STATUS_HISTORY - 1), f);
	put_head(f, s);
	fputc('\n', f);
	if (text_close(f, &text))
		sys_replace_file(path, text, strlen(text), 0644);
}

int status_history(const char *state_dir, struct status **list, size_t *count)
{
	AUTO_FREE char *text = NULL;
	char path[4096], *rest;
	size_t n;
	int rc;

	*list = NULL;
	*count = 0;
	if (path_of(path, state_dir, "history") < 0)
		return -EINVAL;
	rc = sys_read_file(AT_FDCWD, path, HISTORY_MAX, &text, &n);
	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	*list = calloc(STATUS_HISTORY, sizeof(**list));
	if (!*list)
		return -ENOMEM;
	rest = text + (last_blocks(text, STATUS_HISTORY) - text);
	while (rest && *rest && *count < STATUS_HISTORY) {
		/* the file grows at its end, and people want to see that first */
		memmove(*list + 1, *list, *count * sizeof(**list));
		read_block(&rest, *list);
		(*count)++;
	}
	return 0;
}

/* the slot of a success first, then what was known of the others */
static void keep_slots(struct status *s, const struct status *before, const char *lost)
{
	bool filled = *s->slot && strcmp(s->state, "success") == 0;
	size_t n = 0;

	if (filled) {
		text_copy(s->slots[0].name, sizeof(s->slots[0].name), s->slot);
		text_copy(s->slots[0].version, sizeof(s->slots[0].version), s->version);
		n++;
	}
	for (size_t i = 0; i < STATUS_SLOTS && n < STATUS_SLOTS; i++) {
		const struct status_slot *old = &before->slots[i];

		if (*old->name && !(filled && strcmp(old->name, s->slot) == 0) &&
		    !(lost && strcmp(old->name, lost) == 0))
			s->slots[n++] = *old;
	}
}

void status_keep(const char *state_dir, struct status *s, const char *lost)
{
	struct status before;

	status_read(state_dir, &before);
	keep_slots(s, &before, lost);
	status_write(state_dir, s);
	add_to_history(state_dir, s);
}
