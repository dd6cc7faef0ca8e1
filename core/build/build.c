#include "core/build/build_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/build/results.h"
#include "core/build/sign.h"
#include "core/build/variables.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "parser/keyfile.h"
#include "parser/manifest.h"

struct facts {
	struct variables v; /* first: variables_find() is given the whole */
	const struct build *b;
};

/* of the file as it lies there: before compression, as existing generators have it */
static int tell_fact(void *arg, enum template_call what, const char *file, char answer[CALL_ANSWER],
		     struct err *e)
{
	const struct build *b = ((struct facts *)arg)->b;
	const struct payload_dirs dirs = {.at = b->o->dirs, .count = b->o->dir_count};
	struct payload_file p = {.path = file, .part_size = b->o->part_size, .fd = -1};
	int rc = payload_open(&p, &dirs, &b->out, e);

	if (rc == 0 && what == CALL_SHA256)
		rc = payload_measure(&p, e);
	if (rc == 0 && what == CALL_SHA256)
		text_hex(p.sha256, SHA256_LEN, answer);
	else if (rc == 0)
		(void)text_print(answer, CALL_ANSWER, "%" PRIu64, p.plain_size);
	payload_close(&p);
	return rc;
}

static int load_template(struct build *b, struct err *e)
{
	struct facts f = {.b = b};
	const struct template_vars look = {.find = variables_find, .call = tell_fact, .arg = &f};
	AUTO_FREE char *text = NULL;
	size_t n;
	int rc = build_read_text(b->o->template_file, &text, &n, e);

	if (rc == 0)
		rc = variables_open(&f.v, b->o->vars_file, b->o->use_environment, e);
	if (rc == 0)
		rc = err_at(e, template_load(&b->t, text, n, &look, e), "%s", b->o->template_file);
	variables_clear(&f.v);
	return rc;
}

/* ---- attributes ------------------------------------------------------------------------- */

static int set_digest(struct build *b, struct node *g, const char *name, const uint8_t *sum,
		      struct err *e)
{
	char hex[2 * SHA256_LEN + 1];

	text_hex(sum, SHA256_LEN, hex);
	return template_set_text(b->t, g, name, hex, e);
}

static int set_list(struct build *b, struct node *g, const struct payload_file *p, struct err *e)
{
	int rc;

	if (!p->list) {
		template_unset(g, "hash-list");
		template_unset(g, "hash-block");
		template_unset(g, "hash-list-sha256");
		return 0;
	}
	rc = template_set_number(b->t, g, "hash-block", p->block, e);
	if (rc < 0)
		return rc;
	rc = template_set_text(b->t, g, "hash-list", p->list_member, e);
	return rc < 0 ? rc : set_digest(b, g, "hash-list-sha256", p->list_sha256, e);
}

static int set_size_property(struct build *b, struct node *g, const char *name, uint64_t size,
			     struct err *e)
{
	struct node *props;
	char number[32];
	int rc = template_group(b->t, g, "properties", &props, e);

	if (rc < 0 || node_find(props, name))
		return rc;
	(void)text_print(number, sizeof(number), "%" PRIu64, size);
	return template_set_text(b->t, props, name, number, e);
}

/* what it becomes is known here, and then to the device before it writes */
static int set_plain_sizes(struct build *b, struct node *g, const struct payload_file *p,
			   struct err *e)
{
	int rc = 0;

	if (p->was_compressed)
		rc = set_size_property(b, g, "decompressed-size", p->plain_size, e);
	if (rc < 0)
		return rc;
	if (p->cipher != CIPHER_NONE)
		rc = set_size_property(b, g, "decrypted-size", p->packed_size, e);
	return rc;
}

/* the vector, and by what a device knows a wrong key before it writes */
static int set_vector(struct build *b, struct node *g, const struct payload_file *p, struct err *e)
{
	char hex[2 * sizeof(p->iv) + 1];
	uint8_t check[KEY_CHECK_LEN];
	struct node *props;
	struct aes_key k;
	int rc;

	if (p->cipher == CIPHER_NONE)
		return 0;
	text_hex(p->iv, sizeof(p->iv), hex);
	rc = template_set_text(b->t, g, "ivt", hex, e);
	if (rc < 0)
		return rc;
	k = *p->key;
	memcpy(k.iv, p->iv, sizeof(k.iv));
	rc = aes_key_check(&k, check, e);
	secure_zero(&k, sizeof(k));
	if (rc < 0)
		return rc;
	text_hex(check, sizeof(check), hex);
	rc = template_group(b->t, g, "properties", &props, e);
	return rc < 0 ? rc : template_set_text(b->t, props, KEY_CHECK, hex, e);
}

static int set_entry(struct build *b, struct node *g, const struct payload_file *p, struct err *e)
{
	int rc = template_set_text(b->t, g, "filename", p->member, e);

	template_unset(g, ENCRYPTED_ALREADY);
	if (rc < 0)
		return rc;
	rc = template_set_number(b->t, g, "size", p->size, e);
	if (rc < 0)
		return rc;
	rc = set_digest(b, g, "sha256", p->sha256, e);
	if (rc < 0)
		return rc;
	rc = set_vector(b, g, p, e);
	if (rc < 0)
		return rc;
	if (p->parts)
		rc = template_set_number(b->t, g, "parts", p->parts, e);
	if (rc < 0)
		return rc;
	rc = set_plain_sizes(b, g, p, e);
	return rc < 0 ? rc : set_list(b, g, p, e);
}

static int make_text(struct build *b, struct err *e)
{
	const struct payload_dirs dirs = {.at = b->o->dirs, .count = b->o->dir_count};
	int rc = err_at(e, results_fill(b->t, &dirs, &b->out, e), "%s", b->o->template_file);

	for (size_t i = 0; rc == 0 && i < b->t->count; i++) {
		const struct template_entry *t = &b->t->entries[i];

		rc = err_at(e, build_check_contents(b, t, b->of[i], e), "line %u of %s", t->line,
			    b->o->template_file);
		if (rc == 0)
			rc = set_entry(b, t->group, b->of[i], e);
	}
	if (rc < 0)
		return rc;
	rc = build_check_vectors(b, e);
	if (rc < 0)
		return rc;
	rc = template_print(b->t, &b->text, &b->text_n, e);
	return rc < 0 ? rc : build_check_text(b, e);
}

/* ---- signature and archive -------------------------------------------------------------- */

static int make_signature(struct build *b, struct err *e)
{
	const struct sign_options s = {.key_file = b->o->key_file,
				       .cert_file = b->o->cert_file,
				       .command = b->o->signer,
				       .scheme = b->o->scheme,
				       .has_epoch = b->o->has_epoch,
				       .epoch = b->o->epoch};

	return s.key_file || s.command ? sign_text(&s, b->text, b->text_n, &b->sig, &b->sig_n, e)
				       : 0;
}

static int write_files(struct build *b, struct cpio_writer *w, bool scripts, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < b->count; i++)
		if (b->files[i].script == scripts)
			rc = payload_write(&b->files[i], w, e);
	return rc;
}

static int write_members(struct build *b, struct err *e)
{
	struct cpio_writer w = {.fd = b->out.fd,
				.mtime = b->o->has_epoch ? (uint32_t)b->o->epoch : 0};
	int rc = cpio_write_mem(&w, DESCRIPTION, b->text, b->text_n, e);

	if (rc == 0 && b->sig)
		rc = cpio_write_mem(&w, DESCRIPTION ".sig", b->sig, b->sig_n, e);
	if (rc == 0)
		rc = write_files(b, &w, true, e);
	for (size_t i = 0; rc == 0 && i < b->count; i++)
		rc = payload_write_list(&b->files[i], &w, e);
	if (rc == 0)
		rc = write_files(b, &w, false, e);
	if (rc == 0)
		rc = cpio_write_trailer(&w, e);
	b->size = w.at;
	return rc;
}

static void clear(struct build *b)
{
	for (size_t i = 0; i < b->count; i++)
		payload_close(&b->files[i]);
	free(b->files);
	free(b->of);
	free(b->text);
	free(b->sig);
	template_free(b->t);
	output_close(&b->out);
}

int build_bundle(const struct build_options *o, uint64_t *size, struct err *e)
{
	struct build b __attribute__((cleanup(clear))) = {.o = o, .out = {.fd = -1, .folder = -1}};
	int rc = load_template(&b, e);

	if (rc == 0)
		rc = output_open(&b.out, o->output, e);
	if (rc == 0)
		rc = build_open_files(&b, e);
	if (rc == 0)
		rc = make_text(&b, e);
	if (rc == 0)
		rc = make_signature(&b, e);
	if (rc == 0)
		rc = write_members(&b, e);
	if (rc == 0)
		rc = output_commit(&b.out, e);
	if (rc == 0)
		*size = b.size;
	return rc;
}
