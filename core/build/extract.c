#include "core/build/extract.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "core/build/compress.h"
#include "core/build/entries.h"
#include "core/build/members.h"
#include "core/build/variables.h"
#include "corelib/base/crc32c.h"
#include "corelib/base/digest.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "parser/keyfile.h"

#define CHUNK	   (1024u * 1024)
#define WINDOW_MAX (256u << 20)
#define ARENA_MAX  (16u << 20)

struct extract {
	const struct extract_options *o;
	int in, folder;
	uint8_t *buf;
	struct arena *arena;
	struct decoded *decoded;
};

static int extract_copy(const struct extract *x, const struct member *m, int out, struct err *e)
{
	uint32_t sum = 0;
	ssize_t got = 0;
	int rc;

	for (uint64_t done = 0; done < m->size; done += (uint64_t)got) {
		uint64_t left = m->size - done;

		got = sys_pread(x->in, x->buf, left < CHUNK ? (size_t)left : CHUNK, m->data + done);
		if (got < 0)
			return err_sys(e, E_IO, (int)-got, "reading it failed");
		if (got == 0)
			return err_set(e, E_TRUNCATED, 0, "its bytes end too early");
		sum = bytesum(sum, x->buf, (size_t)got);
		rc = sys_write(out, x->buf, (size_t)got);
		if (rc < 0)
			return err_sys(e, E_BUILD, -rc, "writing it failed");
	}
	if (m->has_sum && sum != m->sum)
		return err_set(e, E_CPIO_SUM, 0, "its checksum is not that of its bytes");
	return 0;
}

struct source {
	const char *name; /* a plain one: it lies beneath the folder */
	/* one of the two */
	const struct member *member;
	struct stream *decoded;
};

static int pour(struct stream *s, int out, uint64_t *size, struct err *e)
{
	const uint8_t *block;
	ssize_t got;
	int rc;

	for (*size = 0; (got = stream_next(s, &block, e)) > 0; *size += (uint64_t)got) {
		rc = sys_write(out, block, (size_t)got);
		if (rc < 0)
			return err_sys(e, E_BUILD, -rc, "writing it failed");
	}
	return (int)got;
}

static int write_file(const struct extract *x, const struct source *from, struct err *e)
{
	int out = sys_openat(x->folder, from->name,
			     O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	uint64_t size = from->member ? from->member->size : 0;
	int rc, closed;

	if (out < 0)
		return err_at(e,
			      err_sys(e, E_BUILD, -out, "creating it in %s failed", x->o->folder),
			      "%s", from->name);
	rc = from->member ? extract_copy(x, from->member, out, e)
			  : pour(from->decoded, out, &size, e);
	closed = sys_close(&out);
	if (rc == 0 && closed < 0)
		rc = err_sys(e, E_BUILD, -closed, "writing it failed");
	if (rc < 0)
		sys_unlinkat(x->folder, from->name, 0);
	else if (x->o->told)
		x->o->told(x->o->arg, from->name, size);
	return err_at(e, rc, "%s", from->name);
}

/* ---- payloads as they reach the device ------------------------------------------------------ */

struct decoded {
	struct decoded *next;
	char name[256]; /* of the member, or of the parts */
	bool parts;
};

static bool is_decoded(const struct extract *x, const char *member)
{
	for (const struct decoded *d = x->decoded; d; d = d->next) {
		size_t n = strlen(d->name);

		if (strcmp(member, d->name) == 0 ||
		    (d->parts && strncmp(member, d->name, n) == 0 && member[n] == '.' &&
		     strspn(member + n + 1, "0123456789") == 3 && !member[n + 4]))
			return true;
	}
	return false;
}

/* without the endings by which a member says what was done to it */
static void plain_name(const struct entry *t, char name[256])
{
	const char *const ends[] = {t->encrypted ? ".enc" : "", compress_suffix(t->compressed)};

	(void)text_copy(name, 256, t->filename);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		size_t n = strlen(name), m = strlen(ends[i]);

		if (m && n > m && strcmp(name + n - m, ends[i]) == 0)
			name[n - m] = '\0';
	}
}

static int find_key(const struct extract *x, const struct entry *t, struct aes_key *k,
		    struct err *e)
{
	const char *told = entry_property(t, KEY_CHECK);
	uint8_t want[KEY_CHECK_LEN], is[KEY_CHECK_LEN];
	int rc;

	if (x->o->aes)
		*k = *x->o->aes;
	k->cipher = entry_cipher(t)->cipher;
	if (t->has_aes_key) {
		memcpy(k->key, t->aes_key, t->aes_key_len);
		k->bits = t->aes_key_len * 8;
	}
	if (t->has_ivt)
		memcpy(k->iv, t->ivt, sizeof(k->iv));
	if (!k->bits) {
		err_fix(e, "give the key with -K");
		return err_set(e, E_KEY_AES, ENOKEY, "it is encrypted, and there is no key");
	}
	if (!told || text_unhex(told, strlen(told), want, sizeof(want)) < 0)
		return 0;
	rc = aes_key_check(k, is, e);
	if (rc < 0 || memcmp(is, want, sizeof(is)) == 0)
		return rc;
	return err_set(e, E_KEY_AES, EKEYREJECTED, "it was encrypted with another key");
}

static int open_decoded(const struct extract *x, struct bundle *b, const struct entry *t,
			struct stream **s, struct err *e)
{
	const struct payload *p = bundle_find(b, t->filename);
	struct aes_key k = {0};
	int rc;

	if (!p)
		return err_set(e, E_MEMBER_MISSING, ENOENT, "it is not in the bundle");
	rc = bundle_payload(b, p, s, e);
	if (rc == 0 && t->has_sha256)
		rc = stage_verify_open(s, t->sha256, e);
	if (rc == 0 && t->encrypted) {
		rc = find_key(x, t, &k, e);
		if (rc == 0)
			rc = stage_decrypt_open(s, &k, e);
		secure_zero(&k, sizeof(k));
	}
	if (rc == 0 && t->compressed)
		rc = stage_decompress_open(s, t->compressed, WINDOW_MAX, e);
	return rc;
}

static int decode_entry(void *arg, struct bundle *b, const struct entry *t, struct err *e)
{
	struct extract *x = arg;
	AUTO_STREAM struct stream *s = NULL;
	char name[256];
	struct source from = {.name = name};
	struct decoded *d;
	int rc;

	if (!t->filename || is_decoded(x, t->filename) ||
	    (!t->encrypted && !t->compressed && !t->parts))
		return 0;
	d = arena_alloc(x->arena, sizeof(*d));
	if (!d)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the list of payloads");
	(void)text_copy(d->name, sizeof(d->name), t->filename);
	d->parts = t->parts;
	d->next = x->decoded;
	x->decoded = d;
	plain_name(t, name);
	rc = err_at(e, open_decoded(x, b, t, &s, e), "%s", t->filename);
	from.decoded = s;
	return rc < 0 ? rc : write_file(x, &from, e);
}

/* ---- members as they are -------------------------------------------------------------------- */

static int extract_member(void *arg, const struct member *m, struct err *e)
{
	const struct source from = {.name = m->name, .member = m};
	const struct extract *x = arg;
	char shown[256];

	if (is_decoded(x, m->name))
		return 0;
	if (!strchr(m->name, '/') && strcmp(m->name, ".") != 0 && strcmp(m->name, "..") != 0)
		return write_file(x, &from, e);
	text_printable(m->name, strlen(m->name), shown, sizeof(shown));
	return err_set(e, E_CPIO_NAME, 0, "the name '%s' would lead out of the folder", shown);
}

static int open_both(struct extract *x, struct err *e)
{
	int rc = sys_mkdirat(AT_FDCWD, x->o->folder, 0755);

	if (rc < 0 && rc != -EEXIST)
		return err_at(e, err_sys(e, E_BUILD, -rc, "creating the folder failed"), "%s",
			      x->o->folder);
	x->folder = sys_openat(AT_FDCWD, x->o->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (x->folder < 0)
		return err_at(e, err_sys(e, E_BUILD, -x->folder, "opening the folder failed"), "%s",
			      x->o->folder);
	return 0;
}

int extract_bundle(const struct extract_options *o, struct err *e)
{
	AUTO_CLOSE int in = build_open(o->bundle, E_IO, "the bundle", e);
	AUTO_FREE uint8_t *buf = malloc(CHUNK);
	struct extract x = {.o = o, .in = in, .folder = -1, .buf = buf};
	const struct member_walk w = {extract_member, &x};
	const struct entry_walk decode = {decode_entry, &x};
	int rc;

	if (in < 0)
		return in;
	if (!buf)
		return err_set(e, E_MEMORY, ENOMEM, "no memory to read the bundle");
	rc = open_both(&x, e);
	if (rc == 0 && o->decode) {
		x.arena = arena_new(ARENA_MAX);
		rc = x.arena ? err_at(e, entries_walk(in, &decode, e), "%s", o->bundle)
			     : err_set(e, E_MEMORY, ENOMEM, "no memory for the list of payloads");
	}
	if (rc == 0)
		rc = err_at(e, members_walk(in, &w, e), "%s", o->bundle);
	arena_free(x.arena);
	if (x.folder >= 0)
		sys_close(&x.folder);
	return rc;
}
