/* swbundle verify: what a device would say of a bundle, for people and for programs. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/build/verify_strict.h"
#include "corelib/base/json.h"
#include "core/cli/swbundle_commands.h"
#include "corelib/base/log.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "generated/build.h"

#define KEYS_MAX (1024 * 1024)

static int read_key_file(const char *path, char **text, size_t *n, struct err *e)
{
	int rc = sys_read_file(AT_FDCWD, path, KEYS_MAX, text, n);

	return rc < 0 ? err_at(e, err_sys(e, E_KEY_FILE, -rc, "reading it failed"), "%s", path) : 0;
}

/* unlike on a device it does not matter here who else may write the key file */
static int load_keys(const struct swbundle_cli *c, struct keyring **k, struct err *e)
{
	struct keyring_options o = {.pinned = swbundle_scheme(c->scheme),
				    .purpose = c->purpose,
				    .signer_name = c->signer,
				    .now = sys_now_real()};
	AUTO_FREE char *pem = NULL;
	AUTO_FREE char *crl = NULL;
	size_t n, crl_n = 0;
	int rc = read_key_file(c->key, &pem, &n, e);

	if (o.now < SWINSTALL_BUILD_STAMP)
		o.now = SWINSTALL_BUILD_STAMP;
	if (rc == 0 && c->crl)
		rc = read_key_file(c->crl, &crl, &crl_n, e);
	return rc < 0 ? rc : err_at(e, keyring_parse(k, pem, n, crl, crl_n, &o, e), "%s", c->key);
}

static int read_selection(const struct swbundle_cli *c, struct selection *s, char words[256],
			  struct err *e)
{
	char *comma;

	s->board = c->board;
	if (!c->select)
		return 0;
	comma = text_copy(words, 256, c->select) < 0 ? NULL : strchr(words, ',');
	if (!comma)
		return swbundle_usage(e, "-e takes SET,MODE");
	*comma = '\0';
	s->set = words;
	s->mode = comma + 1;
	return 0;
}

/* ---- answers ---------------------------------------------------------------------------- */

struct answer {
	const struct swbundle_cli *c;
	unsigned told;
};

static void print_text(const char *key, const char *value)
{
	char text[2048];

	json_text(value, text, sizeof(text));
	printf("\"%s\":%s", key, text);
}

/* devices install it, but only because they are patient */
static void note(void *arg, const char *line)
{
	struct answer *a = arg;
	char text[2048];

	if (a->c->json) {
		json_text(line, text, sizeof(text));
		printf("%s%s", a->told ? "," : "", text);
	} else if (a->c->strict)
		printf("%s: tolerated: %s\n", a->c->word, line);
	else
		log_warn("%s", line);
	a->told++;
}

static void print_good(const struct swbundle_cli *c, const struct verify_result *r)
{
	printf("%s: good. Version %s, signed by %s (%s), %u payloads, %" PRIu64 " bytes\n", c->word,
	       r->version, r->signature.signer, sig_scheme_name(r->signature.scheme), r->payloads,
	       r->bytes);
}

/* the rest of the object that run() began */
static void print_json(const struct answer *a, const struct verify_result *r, const struct err *e)
{
	bool good = !err_is_set(e) && !(a->c->strict && a->told);

	printf("],\"good\":%s,", good ? "true" : "false");
	if (err_is_set(e)) {
		print_text("code", err_info(e->code)->name);
		printf(",");
		print_text("where", e->where);
		printf(",");
		print_text("why", e->why);
	} else {
		print_text("version", r->version);
		printf(",");
		print_text("signer", r->signature.signer);
		printf(",");
		print_text("scheme", sig_scheme_name(r->signature.scheme));
		printf(",\"payloads\":%u,\"bytes\":%" PRIu64, r->payloads, r->bytes);
	}
	printf("}\n");
}

/* told one by one before: what is left is how many, and what to do */
static int conclude(const struct answer *a, unsigned found, struct err *e)
{
	int rc = err_set(e, E_DESC_VALUE, 0,
			 "%u thing%s only tolerated: devices install it, --strict does not pass it",
			 found, found == 1 ? " is" : "s are");

	(void)fflush(stdout); /* in one file with the errors it stands above them */
	err_fix(e,
		"correct what is listed %s and build the bundle again, or verify it without "
		"--strict",
		a->c->json ? "as tolerated" : "above");
	return err_while(e, err_at(e, rc, "%s", a->c->word), "the bundle is not strictly right");
}

static int look(struct verify_options *o, struct verify_result *r, struct err *e)
{
	struct answer *a = o->arg;
	unsigned found = 0;
	int rc;

	if (a->c->json) {
		printf("{");
		print_text("bundle", a->c->word);
		printf(",\"tolerated\":[");
	}
	rc = a->c->strict ? verify_strict(o, r, &found, e) : verify_bundle(o, r, e);
	if (a->c->json)
		print_json(a, r, e);
	return rc == 0 && found ? conclude(a, found, e) : rc;
}

int swbundle_verify(const struct swbundle_cli *c, struct err *e)
{
	struct selection only = {0};
	struct answer a = {.c = c};
	struct target t __attribute__((cleanup(target_close))) = {0};
	struct verify_options o = {.bundle = c->word,
				   .target = &t,
				   .note = note,
				   .arg = &a,
				   .only = c->select || c->board ? &only : NULL};
	struct verify_result r = {0};
	struct keyring *k = NULL;
	char words[256];
	int rc = c->key ? read_selection(c, &only, words, e)
			: swbundle_usage(e, "name the keys of the device with -k");

	if (rc == 0)
		rc = target_open(&t, c->target, e);
	if (rc == 0)
		rc = load_keys(c, &k, e);
	o.keys = k;
	if (rc == 0)
		rc = look(&o, &r, e);
	keyring_free(k);
	if (rc == 0 && !c->json)
		print_good(c, &r);
	return rc;
}
