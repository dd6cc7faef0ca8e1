/* swbundle: make keys and bundles, look into them, check them. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/build/build.h"
#include "core/build/encrypt.h"
#include "core/build/inspect.h"
#include "core/build/keygen.h"
#include "core/cli/report.h"
#include "core/cli/swbundle_commands.h"
#include "corelib/base/arena.h"
#include "corelib/base/log.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "generated/build.h"

enum { DONE = 0, FAILED = 1, USAGE = 2, REFUSED = 3 };

#define FOLDERS_MAX 64

int swbundle_usage(struct err *e, const char *why)
{
	return err_set(e, E_USAGE, EINVAL, "%s", why);
}

static void warn(void *arg, const char *text)
{
	(void)arg;
	log_warn("%s", text);
}

enum sig_scheme swbundle_scheme(const char *name)
{
	for (int s = SIG_RSA_PKCS1; name && s <= SIG_CMS; s++)
		if (strcmp(sig_scheme_name((enum sig_scheme)s), name) == 0)
			return (enum sig_scheme)s;
	return SIG_ANY;
}

/* ---- keygen ----------------------------------------------------------------------------- */

static int run_keygen(const struct swbundle_cli *c, struct err *e)
{
	const char *name = c->name ? c->name : "swinstall", *dir = c->dir ? c->dir : ".";
	bool bare = c->type && strcmp(c->type, "cms") != 0;
	struct keygen_pair p;
	int rc;

	if (c->aes && c->type)
		return swbundle_usage(e, "--aes and --type exclude each other");
	if (c->aes) {
		rc = keygen_aes(dir, name, e);
		if (rc == 0)
			printf("%s/%s.aes   for swbundle build -K and for devices (aes-key-file, -K)\n",
			       dir, name);
		return rc;
	}
	rc = keygen_make(&p, c->type, name, e);

	if (rc < 0)
		return rc;
	rc = keygen_write(&p, dir, name, e);
	keygen_clear(&p);
	if (rc == 0)
		printf("%s/%s.key.pem   the private key: keep it on the build machine\n"
		       "%s/%s.%s.pem  for devices (-k)\n",
		       dir, name, dir, name, bare ? "pub" : "cert");
	return rc;
}

/* ---- build ------------------------------------------------------------------------------ */

int swbundle_check_signing(const struct swbundle_cli *c, struct err *e)
{
	bool cms = !c->scheme || strcmp(c->scheme, "cms") == 0;

	if (c->unsigned_bundle)
		return c->key || c->cert || c->command
			       ? swbundle_usage(e, "--unsigned and --key exclude each other")
			       : 0;
	if (c->key && c->command)
		return swbundle_usage(e, "--key and --signer exclude each other");
	if (!c->key && !c->command)
		return swbundle_usage(
			e,
			"give the private key with --key, or the program that signs with --signer");
	if (cms && !c->cert)
		return swbundle_usage(
			e, "signing by CMS needs the certificate too (--cert); for a bare key say "
			   "--scheme rsa, rsa-pss, ecdsa or ed25519");
	return 0;
}

/* -I folders, then the template's own */
static int list_folders(const struct swbundle_cli *c, const char **dirs, size_t *count,
			char own[PATH_MAX], struct err *e)
{
	const char *slash = strrchr(c->word, '/');

	if (c->include.count >= FOLDERS_MAX)
		return swbundle_usage(e, "too many folders are named with -I");
	for (size_t i = 0; i < c->include.count; i++)
		dirs[(*count)++] = c->include.at[i];
	if (text_print(own, PATH_MAX, "%.*s", slash ? (int)(slash - c->word + 1) : 1,
		       slash ? c->word : ".") < 0)
		return swbundle_usage(e, "the name of the template is too long");
	dirs[(*count)++] = own;
	return 0;
}

int swbundle_epoch(bool *has, int64_t *epoch, struct err *e)
{
	const char *text = getenv("SOURCE_DATE_EPOCH");
	uint64_t v;

	*has = false;
	if (!text || !*text)
		return 0;
	if (text_u64(text, &v) < 0 || v > UINT32_MAX)
		return swbundle_usage(e, "SOURCE_DATE_EPOCH must be seconds since 1970");
	*has = true;
	*epoch = (int64_t)v;
	return 0;
}

static void print_built(const struct swbundle_cli *c, uint64_t size)
{
	const char *scheme = c->scheme ? c->scheme : "cms";
	bool is_signed = c->key || c->command;

	if (!is_signed)
		log_warn("the bundle is not signed: devices refuse it");
	printf("%s: %" PRIu64 " bytes, %s%s\n", c->output, size,
	       is_signed ? "signed by " : "not signed", is_signed ? scheme : "");
}

/* the key leaves memory with this function */
static int build_encrypted(const struct swbundle_cli *c, struct build_options *o, uint64_t *size,
			   struct err *e)
{
	struct aes_key k = {0};
	int rc = c->key_aes ? encrypt_read_key(&k, c->key_aes, e) : 0;

	o->aes = c->key_aes ? &k : NULL;
	o->encrypt_all = c->encrypt;
	if (rc == 0)
		rc = build_bundle(o, size, e);
	o->aes = NULL;
	secure_zero(&k, sizeof(k));
	return rc;
}

static int run_build(const struct swbundle_cli *c, struct err *e)
{
	const char *dirs[FOLDERS_MAX];
	char own[PATH_MAX];
	struct build_options o = {
		.template_file = c->word,
		.output = c->output,
		.dirs = dirs,
		.key_file = c->key,
		.cert_file = c->cert,
		.signer = c->command,
		.scheme = swbundle_scheme(c->scheme),
		.vars_file = c->vars,
		.use_environment = true,
		.hash_lists = c->hash_list,
		.note = warn,
	};
	struct target t __attribute__((cleanup(target_close))) = {0};
	uint64_t size = 0;
	int rc = c->output ? swbundle_check_signing(c, e)
			   : swbundle_usage(e, "name the bundle with -o");

	if (rc == 0)
		rc = list_folders(c, dirs, &o.dir_count, own, e);
	if (rc == 0)
		rc = swbundle_epoch(&o.has_epoch, &o.epoch, e);
	if (rc == 0 && c->part_size &&
	    (text_size(c->part_size, &o.part_size) < 0 || !o.part_size || o.part_size > UINT32_MAX))
		rc = swbundle_usage(e, "--part-size must be a size below 4 GiB");
	if (rc == 0 && c->encrypt && !c->key_aes)
		rc = swbundle_usage(e, "--encrypt needs the key (-K)");
	if (rc == 0)
		rc = target_open(&t, c->target, e);
	o.target = &t;
	if (rc == 0)
		rc = build_encrypted(c, &o, &size, e);
	if (rc == 0)
		print_built(c, size);
	return rc;
}

/* ---- inspect ---------------------------------------------------------------------------- */

static int run_inspect(const struct swbundle_cli *c, struct err *e)
{
	AUTO_FREE char *text = NULL;
	int rc = inspect_bundle(c->word, c->json, &text, e);

	if (rc == 0)
		fputs(text, stdout);
	return rc;
}

/* ---- commands --------------------------------------------------------------------------- */

static const struct command {
	const char *name;
	const struct option_table *options;
	const char *word; /* what the one word is called; NULL = takes none */
	const char *undone;
	int (*run)(const struct swbundle_cli *c, struct err *e);
} commands[] = {
	{"init", &swbundle_init_table, "folder", "no project was made", swbundle_init},
	{"keygen", &swbundle_keygen_table, NULL, "no key was made", run_keygen},
	{"build", &swbundle_build_table, "template", "no bundle was built", run_build},
	{"sign", &swbundle_sign_table, "bundle", "the bundle was not signed", swbundle_sign},
	{"verify", &swbundle_verify_table, "bundle", "the bundle is refused", swbundle_verify},
	{"lint", &swbundle_lint_table, "description", "the description has mistakes",
	 swbundle_lint},
	{"inspect", &swbundle_inspect_table, "bundle", "the bundle cannot be shown", run_inspect},
	{"extract", &swbundle_extract_table, "bundle", "not all was extracted", swbundle_extract},
};

static void print_commands(FILE *to)
{
	fprintf(to, "swbundle: make, check and look into bundles for swinstall and SWUpdate\n\n"
		    "usage: swbundle COMMAND [options]\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].options->summary);
	fprintf(to,
		"\nswbundle help COMMAND tells the options of a command; swbundle --version the version.\n");
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

/* faults of the bundle are a refusal, all else is a failure to look at it */
static int exit_code(const struct command *cmd, const struct err *e)
{
	bool of_bundle = (e->code >= E_TRUNCATED && e->code < E_HANDLER && e->code != E_KEY_FILE) ||
			 (e->code >= E_PAYLOAD_HASH && e->code <= E_LIMIT_OUTPUT);

	if (e->code == E_USAGE)
		return USAGE;
	return (cmd->run == swbundle_verify || cmd->run == swbundle_lint) && of_bundle ? REFUSED
										       : FAILED;
}

static void swbundle_tell(const struct command *cmd, const struct err *e)
{
	struct report r = {.program = "swbundle", .headline = cmd->undone, .err = e};

	/* these two judge: a file that cannot be read is not judged */
	if (cmd->run == swbundle_verify && exit_code(cmd, e) != REFUSED)
		r.headline = "the bundle was not checked";
	if (cmd->run == swbundle_lint && exit_code(cmd, e) != REFUSED)
		r.headline = "the description was not checked";
	report_to(&r, STDERR_FILENO);
}

static int take_word(const struct command *cmd, const struct options *o, struct swbundle_cli *c,
		     struct err *e)
{
	if (o->word_count > (cmd->word ? 1u : 0u))
		return err_set(e, E_USAGE, EINVAL, "'%s' is one word too many",
			       o->words[o->word_count - 1]);
	if (cmd->word && !o->word_count && !c->help)
		return err_set(e, E_USAGE, EINVAL, "name the %s", cmd->word);
	c->word = o->word_count ? o->words[0] : NULL;
	return 0;
}

static int print_help(const struct command *cmd, struct err *e)
{
	AUTO_FREE char *text = options_help(cmd->options);

	if (!text)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the help");
	fputs(text, stdout);
	return 0;
}

static int swbundle_run(const struct command *cmd, int argc, char **argv, struct err *e)
{
	struct arena *a = arena_new(1024 * 1024);
	struct swbundle_cli c = {0};
	struct options o = {0};
	int rc = a ? options_parse(&o, cmd->options, argc, argv, e)
		   : err_set(e, E_MEMORY, ENOMEM, "no memory for the options");

	if (rc == 0)
		rc = options_apply(&o, INTO_PROGRAM, &c, a, e);
	if (rc == 0)
		rc = take_word(cmd, &o, &c, e);
	if (rc == 0)
		rc = c.help ? print_help(cmd, e) : cmd->run(&c, e);
	options_clear(&o);
	arena_free(a);
	return rc;
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";
	const struct command *cmd = find_command(word);
	const struct log_config log = {
		.level = LOG_LEVEL_INFO, .fd = STDERR_FILENO, .terminal = isatty(STDERR_FILENO)};
	struct err e;

	err_clear(&e);
	log_init(&log);
	if (strcmp(word, "--version") == 0) {
		printf("swbundle %s\n", SWINSTALL_VERSION);
		return DONE;
	}
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 ||
	    (strcmp(word, "help") == 0 && argc == 2)) {
		print_commands(stdout);
		return DONE;
	}
	if (strcmp(word, "help") == 0 && argc > 2) {
		word = argv[2];
		cmd = find_command(word);
		if (cmd && print_help(cmd, &e) == 0)
			return fflush(stdout) == 0 ? DONE : FAILED;
	}
	if (!cmd) {
		if (*word)
			fprintf(stderr, "swbundle: there is no command '%s'\n\n", word);
		print_commands(stderr);
		return USAGE;
	}
	if (swbundle_run(cmd, argc - 1, argv + 1, &e) < 0) {
		swbundle_tell(cmd, &e);
		return exit_code(cmd, &e);
	}
	return fflush(stdout) == 0 ? DONE : FAILED;
}
