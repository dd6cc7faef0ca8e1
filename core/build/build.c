#include "core/build/build.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/build/choices.h"
#include "core/build/contents.h"
#include "core/build/lint.h"
#include "core/build/payload.h"
#include "core/build/results.h"
#include "core/build/sign.h"
#include "core/build/template.h"
#include "core/build/variables.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "parser/keyfile.h"
#include "parser/manifest.h"

#define HASH_BLOCK  (256 * 1024)
#define HASH_FROM   (1024 * 1024) /* smaller images gain nothing from a list */
#define DESCRIPTION "sw-description"

struct build {
	const struct build_options *o;
	struct template *t;
	struct payload_file *files; /* each once, in order of the template */
	size_t count;
	struct payload_file **of; /* of each entry */
	struct output out;
	char *text; /* the finished description */
	size_t text_n;
	uint8_t *sig;
	size_t sig_n;
	uint64_t size; /* of the bundle */
};

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

/* ---- payloads --------------------------------------------------------------------------- */

static bool is_set(const struct node *n)
{
	return n && !(n->type == NODE_BOOL && n->integer == 0);
}

/* the template says that the file was encrypted elsewhere */
static bool is_encrypted_already(const struct template_entry *t)
{
	return is_set(node_find(t->group, ENCRYPTED_ALREADY));
}

/* what to compress with: nothing when it is encrypted already, because then nobody can see whether
 * it is done */
static enum codec wanted_codec(const struct template_entry *t)
{
	static const char *const words[CODEC_COUNT] = {"", "zlib", "xz", "zstd", "lz4"};
	const struct node *n = node_find(t->group, "compressed");

	if (!is_set(n) || is_encrypted_already(t))
		return CODEC_NONE;
	if (n->type == NODE_BOOL)
		return CODEC_GZIP;
	for (int c = 1; n->type == NODE_STRING && c < CODEC_COUNT; c++)
		if (strcmp(n->string, words[c]) == 0)
			return (enum codec)c;
	return CODEC_NONE; /* the check of the finished description names it */
}

static int wanted_block(const struct template_entry *t, uint64_t *block, struct err *e)
{
	const struct node *n = node_find(t->group, "hash-block");

	*block = n && n->type == NODE_INT && n->integer > 0 ? (uint64_t)n->integer : HASH_BLOCK;
	if (*block >= 64 * 1024 && *block <= 1024 * 1024 && (*block & (*block - 1)) == 0)
		return 0;
	return err_at(e,
		      err_set(e, E_BUILD, EINVAL,
			      "hash-block is %" PRIu64 "; it must be a power of two from "
			      "65536 to 1048576",
			      *block),
		      "line %u", n->line);
}

/* an entry that is to be encrypted here: neither vector nor key may be told by the template */
static int check_own_vector(const struct template_entry *t, struct err *e)
{
	const struct node *n = node_find(t->group, "ivt");

	if (n)
		return err_set(e, E_IV_REUSE, EEXIST,
			       "ivt in line %u would be that of every release", n->line);
	if (node_find(t->group, "aes-key"))
		return err_set(e, E_BUILD, EINVAL,
			       "aes-key would be readable in the bundle; the key is that of -K");
	return 0;
}

/* what to encrypt with; words that are not known are named by the check of the finished text */
static int wanted_cipher(struct build *b, const struct template_entry *t, enum cipher *cipher,
			 struct err *e)
{
	const struct node *n = node_find(t->group, "encrypted");
	const struct cipher_row *row = NULL;

	*cipher = CIPHER_NONE;
	if (is_encrypted_already(t) && !is_set(n))
		return err_set(e, E_BUILD, EINVAL,
			       "it has " ENCRYPTED_ALREADY " and not 'encrypted', "
			       "which names the cipher");
	if (is_encrypted_already(t))
		return 0;
	if (is_set(n) && !b->o->aes) {
		err_fix(e,
			"give the key with -K, so that it is encrypted here; or, for a file that "
			"was encrypted elsewhere, add " ENCRYPTED_ALREADY " = true to the entry");
		return err_set(e, E_BUILD, ENOKEY, "'%s' is to be encrypted, and there is no key",
			       t->filename);
	}
	if (!b->o->aes)
		return 0;
	if (!is_set(n) && b->o->encrypt_all && (t->image || t->file)) {
		*cipher = CIPHER_AES_CBC;
		return template_set_true(b->t, t->group, "encrypted", e);
	}
	if (is_set(n) && n->type == NODE_BOOL)
		*cipher = CIPHER_AES_CBC;
	else if (is_set(n) && n->type == NODE_STRING)
		row = cipher_find(n->string);
	if (row && row->bits && row->bits != b->o->aes->bits)
		return err_set(e, E_KEY_AES, EINVAL, "%s is asked for; the key has %u bits",
			       row->name, b->o->aes->bits);
	if (row)
		*cipher = row->cipher;
	return *cipher == CIPHER_NONE ? 0 : check_own_vector(t, e);
}

static struct payload_file *find_file(struct build *b, const struct payload_file *like)
{
	for (size_t i = 0; i < b->count; i++) {
		struct payload_file *p = &b->files[i];

		if (p->path && p->codec == like->codec && p->cipher == like->cipher &&
		    strcmp(p->path, like->path) == 0)
			return p;
	}
	return NULL;
}

static int check_names(const struct build *b, const struct payload_file *p, struct err *e)
{
	if (strcmp(p->member, DESCRIPTION) == 0 || strcmp(p->member, DESCRIPTION ".sig") == 0)
		return err_set(e, E_BUILD, EEXIST, "the name '%s' is reserved", p->member);
	for (size_t i = 0; i < b->count; i++)
		if (&b->files[i] != p && strcmp(b->files[i].member, p->member) == 0)
			return err_set(e, E_BUILD, EEXIST,
				       "'%s' and '%s' would both be called '%s' in the bundle",
				       b->files[i].path, p->path, p->member);
	return 0;
}

static int open_file(struct build *b, const struct template_entry *t, struct payload_file **made,
		     struct err *e)
{
	const struct payload_dirs dirs = {.at = b->o->dirs, .count = b->o->dir_count};
	struct payload_file wanted = {.path = t->filename,
				      .part_size = b->o->part_size,
				      .key = b->o->aes,
				      .script = t->script,
				      .fd = -1},
			    *p;
	int rc = wanted_cipher(b, t, &wanted.cipher, e);

	if (rc < 0)
		return rc;
	wanted.codec = wanted_codec(t);
	p = find_file(b, &wanted);
	*made = p;
	if (p) {
		p->script = p->script || t->script;
		return 0;
	}
	p = &b->files[b->count];
	*p = wanted;
	b->count++;
	*made = p;
	rc = payload_open(p, &dirs, &b->out, e);
	return rc < 0 ? rc : check_names(b, p, e);
}

/* a list where the entry says so, or for all images that are large enough */
static int want_list(const struct build *b, const struct template_entry *t, struct payload_file *p,
		     struct err *e)
{
	const struct node *n = node_find(t->group, "hash-list");
	bool all = b->o->hash_lists && t->image && p->size >= HASH_FROM;

	if (n ? !is_set(n) : !all)
		return 0;
	return p->block ? 0 : wanted_block(t, &p->block, e);
}

/* all that is missing is named, so that one look is enough */
static int check_all_there(const struct build *b, struct err *e)
{
	const struct payload_dirs dirs = {.at = b->o->dirs, .count = b->o->dir_count};
	unsigned missing = 0;
	char text[700];

	for (size_t i = 0; i < b->t->count; i++) {
		const struct template_entry *t = &b->t->entries[i];

		if (payload_is_there(t->filename, &dirs))
			continue;
		missing++;
		(void)text_print(text, sizeof(text), "line %u of %s: there is no file '%s'",
				 t->line, b->o->template_file, t->filename);
		if (b->o->note)
			b->o->note(b->o->arg, text);
	}
	if (missing < 2)
		return 0; /* opening it says the rest */
	return err_set(
		e, E_BUILD, ENOENT,
		"%u files are in none of the folders that are looked in; each is named above",
		missing);
}

static int open_files(struct build *b, struct err *e)
{
	int rc = check_all_there(b, e);

	if (rc < 0)
		return rc;
	b->files = calloc(b->t->count + 1, sizeof(*b->files));
	b->of = calloc(b->t->count + 1, sizeof(struct payload_file *));
	if (!b->files || !b->of)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the list of files");
	for (size_t i = 0; rc == 0 && i < b->t->count; i++) {
		const struct template_entry *t = &b->t->entries[i];

		rc = open_file(b, t, &b->of[i], e);
		if (rc == 0)
			rc = want_list(b, t, b->of[i], e);
		rc = err_at(e, rc, "line %u of %s", t->line, b->o->template_file);
	}
	for (size_t i = 0; rc == 0 && i < b->count; i++)
		rc = payload_measure(&b->files[i], e);
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
	if (rc == 0)
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
	if (rc == 0 && p->cipher != CIPHER_NONE)
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
	if (rc == 0)
		rc = template_set_number(b->t, g, "size", p->size, e);
	if (rc == 0)
		rc = set_digest(b, g, "sha256", p->sha256, e);
	if (rc == 0)
		rc = set_vector(b, g, p, e);
	if (rc == 0 && p->parts)
		rc = template_set_number(b->t, g, "parts", p->parts, e);
	if (rc == 0)
		rc = set_plain_sizes(b, g, p, e);
	return rc < 0 ? rc : set_list(b, g, p, e);
}

static int check_selection(const struct build *b, const struct selection *sel, struct err *e)
{
	const struct manifest_options o = {
		.sel = *sel, .hash_required = true, .note = b->o->note, .arg = b->o->arg};
	struct manifest *m = NULL;
	char label[256];
	int rc = manifest_parse(&m, b->text, b->text_n, &o, e);

	manifest_free(m);
	choice_label(sel, label, sizeof(label));
	return label[0] ? err_at(e, rc, "selection %s", label) : rc;
}

/* ---- initial vectors --------------------------------------------------------------------- */

static const char *text_at(const struct template_entry *t, const char *name)
{
	const struct node *n = node_find(t->group, name);

	return n && n->type == NODE_STRING ? n->string : "";
}

/* both are encrypted with the same key and the same vector; "" is that of the device's key file */
static bool share_vector(const struct template_entry *s, const struct template_entry *t)
{
	return strcasecmp(text_at(s, "ivt"), text_at(t, "ivt")) == 0 &&
	       strcasecmp(text_at(s, "aes-key"), text_at(t, "aes-key")) == 0;
}

/* T50: one vector for two contents tells where they are alike */
static int check_vector(const struct build *b, size_t at, struct err *e)
{
	const struct template_entry *t = &b->t->entries[at];

	if (!is_set(node_find(t->group, "encrypted")))
		return 0;
	for (size_t i = 0; i < at; i++) {
		const struct template_entry *s = &b->t->entries[i];

		if (is_set(node_find(s->group, "encrypted")) && share_vector(s, t) &&
		    memcmp(b->of[i]->sha256, b->of[at]->sha256, SHA256_LEN) != 0)
			return err_at(
				e,
				err_set(e, E_IV_REUSE, EEXIST,
					"%s has %s that %s of line %u has already", b->of[at]->path,
					*text_at(t, "ivt")
						? "the ivt"
						: "no ivt, and shares that of the device's key file",
					b->of[i]->path, s->line),
				"line %u of %s", t->line, b->o->template_file);
	}
	if (!*text_at(t, "ivt") && b->o->note)
		b->o->note(b->o->arg, "a payload is encrypted without ivt: every release shares "
				      "the vector of the device's key file");
	return 0;
}

static int check_vectors(const struct build *b, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < b->t->count; i++)
		rc = check_vector(b, i, e);
	return rc;
}

/* what was neither compressed nor encrypted here is looked at: is it what its entry says? */
static int check_contents(const struct build *b, const struct template_entry *t,
			  const struct payload_file *p, struct err *e)
{
	const char *cipher = text_at(t, "encrypted"), *type = text_at(t, "type");
	const struct cipher_row *row = *cipher ? cipher_find(cipher) : NULL;
	const struct stream_fd_options whole = {.size = UINT64_MAX};
	struct contents c = {.codec = p->codec,
			     .archive = strcmp(type, "archive") == 0 || strcmp(type, "tar") == 0,
			     .image = t->image && (!*type || strcmp(type, "raw") == 0)};
	AUTO_STREAM struct stream *s = NULL;
	char text[700];
	int rc;

	if (p->was_compressed || p->cipher != CIPHER_NONE)
		return 0;
	if (is_encrypted_already(t))
		c.cipher = row ? row->cipher : CIPHER_AES_CBC;
	rc = stream_fd_open(&s, p->fd, &whole, e);
	if (rc == 0)
		rc = contents_judge(&c, &s, e);
	if (rc < 0 || !c.why[0])
		return rc;
	if (c.wrong)
		return err_set(e, E_BUILD, EINVAL, "'%s' %s", p->path, c.why);
	(void)text_print(text, sizeof(text), "line %u: '%s' %s", t->line, p->path, c.why);
	if (b->o->note)
		b->o->note(b->o->arg, text);
	return 0;
}

static void note_handler(void *arg, const struct lint_finding *f)
{
	const struct build *b = arg;

	if (f->handler && b->o->note)
		b->o->note(b->o->arg, f->text);
}

/* the device's own reader has the last word */
static int check_text(const struct build *b, struct err *e)
{
	const struct lint_options handlers = {
		.finished = true, .target = b->o->target, .found = note_handler, .arg = (void *)b};
	struct lint_result r;
	struct choices all = {0};
	int rc = choices_find(&all, b->text, b->text_n, e);

	for (size_t i = 0; rc == 0 && i < all.count; i++)
		rc = check_selection(b, &all.at[i], e);
	choices_clear(&all);
	if (rc == 0)
		rc = lint_description(&r, b->text, b->text_n, &handlers, e);
	return err_at(e, rc, "the finished %s", DESCRIPTION);
}

static int make_text(struct build *b, struct err *e)
{
	const struct payload_dirs dirs = {.at = b->o->dirs, .count = b->o->dir_count};
	int rc = err_at(e, results_fill(b->t, &dirs, &b->out, e), "%s", b->o->template_file);

	for (size_t i = 0; rc == 0 && i < b->t->count; i++) {
		const struct template_entry *t = &b->t->entries[i];

		rc = err_at(e, check_contents(b, t, b->of[i], e), "line %u of %s", t->line,
			    b->o->template_file);
		if (rc == 0)
			rc = set_entry(b, t->group, b->of[i], e);
	}
	if (rc == 0)
		rc = check_vectors(b, e);
	if (rc == 0)
		rc = template_print(b->t, &b->text, &b->text_n, e);
	return rc < 0 ? rc : check_text(b, e);
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
		rc = open_files(&b, e);
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
