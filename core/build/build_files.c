/* The files of a bundle: what their entries want of them, opened and measured once. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/build/build_private.h"
#include "corelib/base/text.h"
#include "parser/manifest.h"

#define HASH_BLOCK (256 * 1024)
#define HASH_FROM  (1024 * 1024) /* smaller images gain nothing from a list */

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

int build_open_files(struct build *b, struct err *e)
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
