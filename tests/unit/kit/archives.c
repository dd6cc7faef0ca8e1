#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "corelib/stream/archive.h"
#include "corelib/stream/stage_process.h"
#include "corelib/base/text.h"
#include "tests/unit/kit/archives.h"
#include "tests/unit/kit/chunks.h"

/* ---- all of them --------------------------------------------------------------------------------
 */

static struct blob all;

int archives_load(void **state)
{
	const char *const argv[] = {"python3", "tests/unit/kit/archives.py", "all", NULL};

	(void)state;
	return tool_filter(argv, NULL, &all);
}

int archives_forget(void **state)
{
	(void)state;
	blob_clear(&all);
	return 0;
}

struct row {
	char kind[16], name[64], form[16];
	const uint8_t *data;
	size_t len;
};

/* the row at *pos, which moves behind it */
static bool next_row(struct row *r, size_t *pos)
{
	char line[160];
	const uint8_t *end = *pos < all.len ? memchr(all.data + *pos, '\n', all.len - *pos) : NULL;
	size_t n = end ? (size_t)(end - all.data) - *pos : 0;

	if (!end)
		return false;
	assert_true(n < sizeof(line));
	memcpy(line, all.data + *pos, n);
	line[n] = '\0';
	assert_int_equal(sscanf(line, "%15s %63s %15s %zu", r->kind, r->name, r->form, &r->len), 4);
	r->data = end + 1;
	*pos += n + 1 + r->len;
	assert_true(*pos <= all.len);
	return true;
}

static struct blob copy_of(const struct row *r)
{
	struct blob b = {0};

	blob_add(&b, r->data, r->len);
	return b;
}

struct blob archives_get(const char *name, const char *form)
{
	struct row r;

	for (size_t pos = 0; next_row(&r, &pos);)
		if (strcmp(r.name, name) == 0 && strcmp(r.form, form) == 0)
			return copy_of(&r);
	fail_msg("archives.py makes no %s %s", name, form);
	return (struct blob){0};
}

const char *archives_at(const char *kind, unsigned at, struct blob *b)
{
	static struct row r;

	for (size_t pos = 0; next_row(&r, &pos);)
		if (strcmp(r.kind, kind) == 0 && at-- == 0) {
			*b = copy_of(&r);
			return r.name;
		}
	return NULL;
}

/* ---- what they hold, as text --------------------------------------------------------------------
 */

static void say(struct archives_look *l, const struct record *rec)
{
	static const char kinds[] = "?fdlhcbp";
	size_t at = strlen(l->text);

	l->count++;
	snprintf(l->text + at, sizeof(l->text) - at, "%c %s", kinds[rec->kind], rec->path);
	at = strlen(l->text);
	if (rec->target[0])
		snprintf(l->text + at, sizeof(l->text) - at, " -> %s", rec->target);
	for (size_t i = 0; i < rec->xattr_count; i++) {
		at = strlen(l->text);
		snprintf(l->text + at, sizeof(l->text) - at, " %s[%zu]", rec->xattrs[i].name,
			 rec->xattrs[i].len);
	}
	at = strlen(l->text);
	snprintf(l->text + at, sizeof(l->text) - at, "%s\n", rec->attrs_lost ? " lost" : "");
}

static int count_data(struct archives_look *l, struct records *r, struct err *e)
{
	struct record_piece p;
	int rc;

	while ((rc = records_data(r, &p, e)) > 0)
		l->bytes += p.len;
	return rc;
}

int archives_read(struct archives_look *l, struct stream *s, struct err *e)
{
	AUTO_RECORDS struct records *r = records_new(s, e);
	const struct record *rec;
	int rc = r ? 1 : -ENOMEM;

	while (rc > 0 && (rc = records_next(r, &rec, e)) > 0) {
		say(l, rec);
		if (rec->kind == RECORD_FILE)
			rc = count_data(l, r, e) < 0 ? -e->sys : 1;
	}
	return rc;
}

int archives_look_at(struct archives_look *l, const struct blob *in, struct err *e)
{
	const struct chunks src = {.bytes = *in, .max = l->max, .seed = 1, .at_end = l->at_end};
	AUTO_STREAM struct stream *s = chunks_open(&src);
	uint64_t mem = l->mem_max ? l->mem_max : ARCHIVES_MEM_MAX;
	int rc;

	l->text[0] = '\0';
	l->count = 0;
	l->bytes = 0;
	if (l->here) {
		rc = stage_guess_open(&s, mem, e);
		if (rc == 0)
			rc = stage_untar_open(&s, e);
	} else {
		rc = stage_archive_open(&s, l->codec, mem, e);
	}
	return rc < 0 ? rc : archives_read(l, s, e);
}

enum errcode archives_code_of(const struct blob *in, struct archives_look *l)
{
	struct err e = {0};
	int rc = archives_look_at(l, in, &e);

	assert_int_equal(rc < 0, err_is_set(&e));
	return e.code;
}

struct stream *archives_half_way(struct blob *in, struct err *e)
{
	static struct chunks src;
	const uint8_t *buf;

	static const uint8_t zeros[1 << 20];

	*in = archives_get("large", "-");
	for (int i = 0; i < 24; i++)
		blob_add(in, zeros, sizeof(zeros));
	src = (struct chunks){.bytes = *in};

	struct stream *s = chunks_open(&src);

	assert_int_equal(stage_archive_open(&s, CODEC_NONE, ARCHIVES_MEM_MAX, e), 0);
	assert_true(stream_next(s, &buf, e) > 0);
	return s;
}
