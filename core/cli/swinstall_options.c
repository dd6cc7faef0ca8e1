/* The options of swinstall. Their letters and long names are those that existing callers use. */
#include "core/cli/swinstall_options.h"

#include <errno.h>
#include <string.h>

#include "core/cli/configure.h"
#include "parser/settings.h"

#define CLI(field) .target = INTO_PROGRAM, .at = offsetof(struct swinstall_cli, field)
#define SET(field) .target = INTO_SETTINGS, .at = offsetof(struct settings, field)

#define INSTALL "Install"
#define SELECT	"What of the bundle"
#define TRUST	"Trust and keys"
#define VERSION "Versions"
#define DEVICE	"Device"
#define OUTPUT	"Output"
#define DOORS	"Servers and sockets"

#define KEEP_SWUPDATE "leave it out, or keep SWUpdate on devices that need it"

static const char *const purposes[] = {"emailProtection", "codeSigning", "any", NULL};

static const struct option rows[] = {
	{'i', "image", "FILE", OPTION_TEXT, CLI(image), .dash = DASH_ALONE, .group = INSTALL,
	 .help = "the bundle; - reads standard input"},
	{'c', "check", NULL, OPTION_FLAG, CLI(check), .group = INSTALL,
	 .help = "check everything and write nothing: each payload is decrypted, unpacked and dropped"},
	{'n', "dry-run", NULL, OPTION_FLAG, SET(dry_run), .group = INSTALL,
	 .help = "as --check, but by the way of an installation: its order, its two passes, its spool"},
	{'f', "file", "FILE", OPTION_TEXT, CLI(file), .group = INSTALL,
	 .help = "configuration; else /etc/swinstall.cfg, else /etc/swupdate.cfg"},
	{'o', "output", "FILE", OPTION_ABSENT, .group = INSTALL,
	 .instead = "save the bundle yourself, then install the file: swinstall FILE",
	 .symbol = "DAEMON",
	 .help = "keep what comes from the network in a file, then install that"},
	{0, "daemon", NULL, OPTION_ABSENT, .group = INSTALL, .instead = KEEP_SWUPDATE,
	 .symbol = "DAEMON", .help = "stay, and take bundles from sockets, browsers and servers"},

	{'e', "select", "SET,MODE", OPTION_TEXT, SET(select), .group = SELECT,
	 .help = "the set and mode of the description to install; auto: what the configuration says for the free slot"},
	{'q', "accepted-select", "SET,MODE", OPTION_LIST, SET(accepted_select), .group = SELECT,
	 .help = "a selection that -e may name; may be repeated"},
	{'H', "hwrevision", "BOARD:REV", OPTION_TEXT, CLI(board), .group = SELECT,
	 .help = "this hardware; else /etc/hwrevision says it"},

	{'k', "key", "FILE", OPTION_TEXT, SET(public_key_file), .group = TRUST,
	 .help = "public keys or certificates (PEM) of those who may sign"},
	{0, "ca-path", "FILE", OPTION_TEXT, SET(public_key_file), .group = TRUST,
	 .help = "the same as --key, for existing callers"},
	{0, "crl-path", "FILE", OPTION_TEXT, SET(crl_path), .group = TRUST,
	 .help = "list of revoked certificates"},
	{0, "cert-purpose", "PURPOSE", OPTION_TEXT, SET(cert_purpose), .values = purposes,
	 .group = TRUST,
	 .help = "what the signer's certificate must be made for: emailProtection (unless told otherwise), "
		 "codeSigning, any"},
	{0, "forced-signer-name", "NAME", OPTION_TEXT, SET(forced_signer_name), .group = TRUST,
	 .help = "the common name that the signer must have"},
	{0, "digest-provider", "NAME", OPTION_TEXT, SET(digest_provider), .group = TRUST,
	 .help = "the only method of signing to accept: rsa, rsa-pss, ecdsa, ed25519, cms"},
	{0, "hash-provider", "NAME", OPTION_TEXT, SET(hash_provider), .group = TRUST,
	 .help = "accepted and not needed: there is one"},
	{0, "decrypt-provider", "NAME", OPTION_TEXT, SET(decrypt_provider), .group = TRUST,
	 .help = "accepted and not needed: there is one"},
	{'K', "key-aes", "FILE", OPTION_TEXT, SET(aes_key_file), .group = TRUST,
	 .help = "key and IV of encrypted payloads, in hexadecimal"},
	{0, "decryption-key", "FILE", OPTION_ABSENT, .group = TRUST, .instead = KEEP_SWUPDATE,
	 .symbol = "ASYM_DECRYPTION", .help = "private key of encrypted descriptions"},
	{0, "gpg-home-dir", "DIR", OPTION_ABSENT, .group = TRUST,
	 .instead = "sign by certificate or key: swbundle sign", .symbol = "SIG_GPG",
	 .help = "where the keys of GnuPG are"},
	{0, "gpg-protocol", "PROTOCOL", OPTION_ABSENT, .group = TRUST,
	 .instead = "sign by certificate or key: swbundle sign", .symbol = "SIG_GPG",
	 .help = "openpgp or cms"},
	{0, "allow-unsigned", NULL, OPTION_FLAG, SET(allow_unsigned), .group = TRUST,
	 .help = "take a bundle that nobody vouches for, this once (for tests)"},

	{'N', "no-downgrading", "VERSION", OPTION_TEXT, SET(policy.no_downgrading),
	 .group = VERSION, .help = "refuse bundles older than this"},
	{0, "max-version", "VERSION", OPTION_TEXT, SET(policy.max_version), .group = VERSION,
	 .help = "refuse bundles newer than this"},
	{'R', "no-reinstalling", "VERSION", OPTION_TEXT, SET(policy.no_reinstalling),
	 .group = VERSION, .help = "refuse bundles of exactly this version"},
	{'s', "gen-swversions", "FILE", OPTION_TEXT, SET(gen_swversions), .group = VERSION,
	 .help = "write the versions of what was installed to this file"},

	{'B', "bootloader", "NAME", OPTION_TEXT, SET(bootloader), .group = DEVICE,
	 .help = "the boot environment: uboot, grub, file, none"},
	{'M', "no-transaction-marker", NULL, OPTION_FLAG, SET(no_transaction_marker),
	 .group = DEVICE, .help = "do not set recovery_status while installing"},
	{'m', "no-state-marker", NULL, OPTION_FLAG, SET(no_state_marker), .group = DEVICE,
	 .help = "do not set ustate"},
	{'P', "preupdate", "COMMAND", OPTION_TEXT, SET(policy.preupdatecmd), .group = DEVICE,
	 .help = "run before the first write"},
	{'p', "postupdate", "COMMAND", OPTION_TEXT, SET(policy.postupdatecmd), .group = DEVICE,
	 .help = "run after a successful install, which it cannot undo"},
	{'b', "blacklist", "LIST", OPTION_TEXT, SET(mtd_blacklist), .group = DEVICE,
	 .help = "MTD devices that are never touched, by number"},
	{'g', "get-root", NULL, OPTION_FLAG, CLI(get_root), .group = DEVICE,
	 .help = "print the root device and end"},
	{'E', "get-emmc-boot", "DEVICE", OPTION_ABSENT, .group = DEVICE,
	 .instead = "mmc extcsd read DEVICE tells it", .symbol = "HANDLER_EMMC_BOOT",
	 .help = "print the boot partition that an eMMC starts from"},
	{0, "handlers", NULL, OPTION_FLAG, CLI(handlers), .group = DEVICE,
	 .help = "list the handlers built in, with their properties; with --json one object, which swbundle takes by --for"},

	{0, "explain", "CODE", OPTION_TEXT, CLI(explain), .group = OUTPUT,
	 .help = "say what an error means and what to do: SWI-210 or E_TARGET_SMALL"},
	{'v', "verbose", NULL, OPTION_FLAG, SET(verbose), .group = OUTPUT,
	 .help = "say everything"},
	{'l', "loglevel", "0..5", OPTION_NUMBER, SET(loglevel),
	 .has = offsetof(struct settings, has_loglevel), .max = 99, .group = OUTPUT,
	 .help = "1 errors, 2 warnings, 3 information, 4 debug, 5 (and more) trace"},
	{'L', "syslog", NULL, OPTION_FLAG, SET(syslog), .group = OUTPUT,
	 .help = "log to syslog too"},
	{0, "json", NULL, OPTION_FLAG, CLI(json), .group = OUTPUT,
	 .help = "events on standard output, one JSON object a line"},
	{0, "version", NULL, OPTION_FLAG, CLI(version), .group = OUTPUT,
	 .help = "print the version and end"},
	{'h', "help", NULL, OPTION_FLAG, CLI(help), .group = OUTPUT, .help = "print this and end"},

	{'d', "download", "OPTIONS", OPTION_ABSENT, .dash = DASH_ANY, .group = DOORS,
	 .instead = "fetch it yourself: curl -f URL | swinstall -i -", .symbol = "DOWNLOAD",
	 .help = "fetch the bundle from a server"},
	{'u', "suricatta", "OPTIONS", OPTION_ABSENT, .dash = DASH_ANY, .group = DOORS,
	 .instead = KEEP_SWUPDATE, .symbol = "SURICATTA", .help = "ask a fleet server for updates"},
	{'w', "webserver", "OPTIONS", OPTION_ABSENT, .dash = DASH_ANY, .group = DOORS,
	 .instead = KEEP_SWUPDATE, .symbol = "WEBSERVER", .help = "offer a web page for uploads"},
};

static const char *const usage[] = {"[options] BUNDLE", "[options] -i FILE|-", NULL};

const struct option_table swinstall_table = {
	.program = "swinstall",
	.summary = "install a signed software bundle",
	.usage = usage,
	.rows = rows,
	.count = ARRAY_SIZE(rows),
};

static int contradiction(const char *a, const char *b, struct err *e)
{
	return err_set(e, E_USAGE, EINVAL, "--%s and --%s cannot be given together", a, b);
}

/* as existing callers know them */
static int check_together(const struct options *o, bool bundle, struct err *e)
{
	if (bundle && options_given(o, "output"))
		return contradiction("image", "output", e);
	if (bundle && options_given(o, "suricatta"))
		return contradiction("suricatta", "image", e);
	if (options_given(o, "check") && options_given(o, "suricatta"))
		return contradiction("suricatta", "check", e);
	return 0;
}

static int take_bundle(struct swinstall_cli *c, const struct options *o, struct err *e)
{
	if (o->word_count > 1 || (o->word_count && c->image))
		return err_set(e, E_USAGE, EINVAL, "one bundle at a time; the second one is '%s'",
			       o->words[o->word_count - 1]);
	if (o->word_count)
		c->image = o->words[0];
	return 0;
}

static bool is_question(const struct swinstall_cli *c)
{
	return c->help || c->version || c->handlers || c->get_root || c->explain;
}

/* existing units start a swupdate without a bundle, to listen on its sockets */
static int no_bundle(const struct swinstall_cli *c, bool as_swupdate, struct err *e)
{
	int rc;

	if (c->check)
		return err_set(e, E_USAGE, EINVAL, "--check needs a bundle: -i FILE");
	if (!as_swupdate)
		return err_set(e, E_USAGE, EINVAL, "there is nothing to do: no bundle is named");
	rc = err_set(
		e, E_NOT_BUILT, ENOTSUP,
		"without -i a swupdate stays and waits for clients on its sockets; this one has "
		"no sockets yet");
	err_fix(e,
		"install a file with swupdate -i FILE; keep SWUpdate where clients send bundles");
	return rc;
}

static int read_line(struct swinstall_cli *c, struct options *o, bool as_swupdate, struct err *e)
{
	int rc = options_apply(o, INTO_PROGRAM, c, NULL, e);

	if (rc < 0)
		return rc;
	rc = take_bundle(c, o, e);
	if (rc < 0)
		return rc;
	rc = check_together(o, c->image != NULL, e);
	if (rc < 0 || is_question(c))
		return rc;
	rc = options_check_built(o, e);
	if (rc < 0 || c->image)
		return rc;
	return no_bundle(c, as_swupdate, e);
}

int swinstall_cli_parse(struct swinstall_cli *c, struct options *o, int argc, char **argv,
			struct err *e)
{
	int rc = options_parse(o, &swinstall_table, argc, argv, e);

	memset(c, 0, sizeof(*c));
	return err_while(e, rc < 0 ? rc : read_line(c, o, configure_is_compat(argv[0]), e),
			 "reading the command line");
}
