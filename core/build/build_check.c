/* What must not go into a bundle: vectors used twice, payloads that are not what is said of them,
 * descriptions that no device reads. */
#include <errno.h>
#include <string.h>

#include "core/build/build_private.h"
#include "core/build/choices.h"
#include "core/build/contents.h"
#include "core/build/lint.h"
#include "corelib/base/text.h"
#include "parser/manifest.h"

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

int build_check_vectors(const struct build *b, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < b->t->count; i++)
		rc = check_vector(b, i, e);
	return rc;
}

/* what was neither compressed nor encrypted here is looked at: is it what its entry says? */
int build_check_contents(const struct build *b, const struct template_entry *t,
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

/* lines are those of what was made of the template */
static void note_finished(void *arg, const char *text)
{
	const struct build *b = arg;
	char line[512];

	if (!b->o->note)
		return;
	(void)text_print(line, sizeof(line), "in the finished description, %.400s", text);
	b->o->note(b->o->arg, line);
}

static int check_selection(const struct build *b, const struct selection *sel, struct err *e)
{
	const struct manifest_options o = {
		.sel = *sel, .hash_required = true, .note = note_finished, .arg = (void *)b};
	struct manifest *m = NULL;
	char label[256];
	int rc = manifest_parse(&m, b->text, b->text_n, &o, e);

	manifest_free(m);
	choice_label(sel, label, sizeof(label));
	return label[0] ? err_at(e, rc, "selection %s", label) : rc;
}

static void note_handler(void *arg, const struct lint_finding *f)
{
	const struct build *b = arg;

	if (f->handler && b->o->note)
		b->o->note(b->o->arg, f->text);
}

/* the device's own reader has the last word */
int build_check_text(const struct build *b, struct err *e)
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
