#include "core/build/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/build/choices.h"
#include "core/build/variables.h"
#include "corelib/base/digest.h"
#include "corelib/stream/stages.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "parser/bundle.h"
#include "parser/encrypted_text.h"

/* the same file may stand in several selections; it is read once for each thing that is said of it
 */
struct payload_key {
	uint8_t sha256[SHA256_LEN], list[SHA256_LEN];
	char name[256];
};

struct verify {
	const struct verify_options *o;
	struct verify_result *r;
	int fd;
	struct payload_key *seen;
	size_t seen_count, seen_room;
};

static int open_bundle(const struct verify *v, struct bundle **b, struct err *e)
{
	const struct stream_fd_options whole = {.size = UINT64_MAX};
	const struct bundle_options how = {.strict = v->o->strict,
					   .need_signature = v->o->keys != NULL};
	AUTO_STREAM struct stream *s = NULL;
	int rc = stream_fd_open(&s, v->fd, &whole, e);

	return rc < 0 ? rc : bundle_open(b, &s, &how, e);
}

static int check_signature(const struct verify *v, const struct bundle *b, struct err *e)
{
	size_t n, sig_n;
	const void *text = bundle_description(b, &n), *sig = bundle_signature(b, &sig_n);

	if (!v->o->keys)
		return 0;
	return encrypted_text_explain(
		text, n, sig_verify(v->o->keys, text, n, sig, sig_n, &v->r->signature, e), e);
}

/* ---- one payload ------------------------------------------------------------------------ */

static int read_list(struct bundle *b, const struct hash_list *l, uint8_t **list, uint64_t *count,
		     struct err *e)
{
	const struct payload *p = bundle_find(b, l->name);
	AUTO_STREAM struct stream *s = NULL;
	int rc;

	if (!p)
		return err_set(e, E_MEMBER_MISSING, ENOENT, "the member is not in the bundle");
	if (p->size > HASH_LIST_MAX || p->size % SHA256_LEN)
		return err_set(e, E_HASH_LIST, EINVAL,
			       "it has %" PRIu64 " bytes; a list is digests of 32 bytes, %u MiB at "
			       "most",
			       p->size, HASH_LIST_MAX >> 20);
	*count = p->size / SHA256_LEN;
	*list = malloc(p->size ? (size_t)p->size : 1);
	if (!*list)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the list");
	rc = bundle_payload(b, p, &s, e);
	if (rc < 0)
		return rc;
	rc = stage_verify_open(&s, l->sha256, e);
	if (rc < 0)
		return rc;
	rc = stream_read_all(s, *list, (size_t)p->size, e);
	return rc < 0 ? rc : stream_drain(s, e);
}

static int add_blocks(struct bundle *b, const struct entry *t, struct stream **s, uint8_t **list,
		      struct err *e)
{
	struct block_hashes h = {.block = (uint32_t)t->hashes.block,
				 .size = bundle_find(b, t->filename)->size};
	int rc = read_list(b, &t->hashes, list, &h.count, e);

	h.digests = *list;
	if (rc == 0)
		rc = stage_blocks_open(s, &h, 1, e);
	return err_at(e, rc, "%s", t->hashes.name);
}

static int check_bytes(struct bundle *b, const struct entry *t, const struct payload *p,
		       struct err *e)
{
	AUTO_FREE uint8_t *list = NULL; /* outlives the stream that reads it */
	AUTO_STREAM struct stream *s = NULL;
	int rc = bundle_payload(b, p, &s, e);

	if (rc < 0)
		return rc;
	if (t->hashes.name)
		rc = add_blocks(b, t, &s, &list, e);
	if (rc < 0)
		return rc;
	if (t->has_sha256)
		rc = stage_verify_open(&s, t->sha256, e);
	return rc < 0 ? rc : stream_drain(s, e);
}

static struct payload_key key_of(const struct entry *t)
{
	struct payload_key k;

	memset(&k, 0, sizeof(k)); /* compared whole */
	memcpy(k.sha256, t->sha256, SHA256_LEN);
	if (t->hashes.name)
		memcpy(k.list, t->hashes.sha256, SHA256_LEN);
	(void)text_copy(k.name, sizeof(k.name), t->filename);
	return k;
}

static bool is_seen(const struct verify *v, const struct payload_key *k)
{
	for (size_t i = 0; i < v->seen_count; i++)
		if (memcmp(&v->seen[i], k, sizeof(*k)) == 0)
			return true;
	return false;
}

static int note_seen(struct verify *v, const struct payload_key *k, struct err *e)
{
	size_t room = v->seen_room ? 2 * v->seen_room : 16;
	struct payload_key *grown;

	if (v->seen_count == v->seen_room) {
		grown = realloc(v->seen, room * sizeof(*v->seen));
		if (!grown)
			return err_set(e, E_MEMORY, ENOMEM, "no memory for the list of payloads");
		v->seen = grown;
		v->seen_room = room;
	}
	v->seen[v->seen_count++] = *k;
	return 0;
}

static int check_entry(struct verify *v, struct bundle *b, const struct entry *t, struct err *e)
{
	const struct payload *p = t->filename ? bundle_find(b, t->filename) : NULL;
	struct payload_key key;
	int rc;

	if (!t->filename)
		return 0;
	if (!p)
		return err_set(e, E_MEMBER_MISSING, ENOENT, "the file is not in the bundle");
	if (t->has_size && t->size != p->size)
		return err_set(e, E_MEMBER_SIZE, EINVAL,
			       "the file has %" PRIu64 " bytes; %" PRIu64 " are described", p->size,
			       t->size);
	key = key_of(t);
	if (is_seen(v, &key))
		return 0;
	rc = check_bytes(b, t, p, e);
	if (rc < 0)
		return rc;
	v->r->payloads++;
	v->r->bytes += p->size;
	return note_seen(v, &key, e);
}

/* ---- one selection ---------------------------------------------------------------------- */

static int check_entries(struct verify *v, struct bundle *b, const struct manifest *m,
			 struct err *e)
{
	char label[256];
	int rc = bundle_bind(b, m, e);

	for (size_t i = 0; rc == 0 && i < m->entry_count; i++) {
		rc = check_entry(v, b, &m->entries[i], e);
		if (rc < 0)
			entry_label(&m->entries[i], label, sizeof(label));
		rc = err_at(e, rc, "%s", label);
	}
	if (rc == 0 && bundle_has_tail(b) && v->o->note)
		v->o->note(v->o->arg,
			   "there are bytes behind the end of the archive; devices ignore them");
	return rc;
}

static int check_selection(struct verify *v, const struct selection *s, struct err *e)
{
	const struct manifest_options how = {.sel = *s,
					     .strict = v->o->strict,
					     .hash_required = true,
					     .note = v->o->note,
					     .arg = v->o->arg};
	struct bundle *b = NULL;
	struct manifest *m = NULL;
	const void *text;
	size_t n;
	char label[256];
	int rc = open_bundle(v, &b, e); /* a bundle is bound to one manifest */

	if (rc < 0)
		return rc;
	text = bundle_description(b, &n);
	rc = manifest_parse(&m, text, n, &how, e);
	if (rc == 0) {
		text_printable(m->version, strlen(m->version), v->r->version,
			       sizeof(v->r->version));
		rc = check_entries(v, b, m, e);
	}
	manifest_free(m);
	bundle_close(b);
	v->r->selections++;
	choice_label(s, label, sizeof(label));
	return label[0] ? err_at(e, rc, "selection %s", label) : rc;
}

static int check_all(struct verify *v, const void *text, size_t n, struct err *e)
{
	struct choices all = {0};
	int rc;

	if (v->o->only)
		return check_selection(v, v->o->only, e);
	rc = choices_find(&all, text, n, e);
	for (size_t i = 0; rc == 0 && i < all.count; i++)
		rc = check_selection(v, &all.at[i], e);
	choices_clear(&all);
	return rc;
}

int verify_bundle(const struct verify_options *o, struct verify_result *r, struct err *e)
{
	struct verify v = {.o = o, .r = r};
	AUTO_CLOSE int fd = build_open(o->bundle, E_IO, "the bundle", e);
	struct bundle *b = NULL;
	const void *text;
	size_t n;
	int rc;

	memset(r, 0, sizeof(*r));
	if (fd < 0)
		return fd;
	v.fd = fd;
	rc = open_bundle(&v, &b, e);
	if (rc == 0)
		rc = check_signature(&v, b, e);
	if (rc == 0) {
		text = bundle_description(b, &n);
		rc = check_all(&v, text, n, e);
	}
	if (b)
		bundle_close(b);
	free(v.seen);
	return err_at(e, rc, "%s", o->bundle);
}
