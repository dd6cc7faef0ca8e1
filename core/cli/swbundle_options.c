#include "core/cli/swbundle_options.h"

#define CLI(field) .target = INTO_PROGRAM, .at = offsetof(struct swbundle_cli, field)
#define HELP                                                                                       \
	{                                                                                          \
		'h', "help", NULL, OPTION_FLAG, CLI(help), .group = "Help", .help = "this text"    \
	}

#define KEY_HELP                                                                                   \
	"private key: a file (PEM), or the pkcs11: URI of a key in a token (its PIN by "           \
	"?pin-source=file:NAME)"

#define OUTPUT	 "Output"
#define INPUT	 "Input"
#define SIGNING	 "Signing"
#define PAYLOADS "Payloads"
#define TRUST	 "Trust"
#define SELECT	 "What of the bundle"

static const char *const types[] = {"cms", "rsa", "ecdsa", "ed25519", NULL};
static const char *const schemes[] = {"cms", "rsa", "rsa-pss", "ecdsa", "ed25519", NULL};
static const char *const purposes[] = {"emailProtection", "codeSigning", "any", NULL};

static const struct option keygen_rows[] = {
	{0, "dir", "FOLDER", OPTION_TEXT, CLI(dir), .group = OUTPUT,
	 .help = "where the files go, made when absent; else the working folder"},
	{0, "name", "NAME", OPTION_TEXT, CLI(name), .group = OUTPUT,
	 .help = "beginning of the file names, and name in the certificate; else 'swinstall'"},
	{0, "type", "TYPE", OPTION_TEXT, CLI(type), .values = types, .group = OUTPUT,
	 .help = "cms: RSA-3072 and a certificate signed by itself, which installs everywhere (unless told "
		 "otherwise); rsa, ecdsa, ed25519: a bare key"},
	{0, "aes", NULL, OPTION_FLAG, CLI(aes), .group = OUTPUT,
	 .help = "instead: a key for payloads (AES-256), the file that build -K and devices take"},
	HELP,
};

static const struct option build_rows[] = {
	{'o', "output", "FILE", OPTION_TEXT, CLI(output), .group = OUTPUT,
	 .help = "the bundle; appears whole or not at all"},
	{'I', "include", "FOLDER", OPTION_LIST, CLI(include), .group = INPUT,
	 .help = "where payloads are looked for, in order; the template's folder comes last"},
	{0, "vars", "FILE", OPTION_TEXT, CLI(vars), .group = INPUT,
	 .help = "NAME=VALUE lines for @@NAME@@ in the template; then the environment is asked"},
	{0, "for", "FILE", OPTION_TEXT, CLI(target), .group = INPUT,
	 .help = "warn of handlers that the device does not have: the file is what swinstall --handlers --json "
		 "prints there; without it, of those that this build does not have"},
	{0, "key", "KEY", OPTION_TEXT, CLI(key), .group = SIGNING, .help = KEY_HELP},
	{0, "signer", "COMMAND", OPTION_TEXT, CLI(command), .group = SIGNING,
	 .help = "instead of --key: a program (words split at blanks, no shell) that reads the raw digest on standard "
		 "input and writes the signature on standard output; with --cert what it wrote is checked"},
	{0, "cert", "FILE", OPTION_TEXT, CLI(cert), .group = SIGNING,
	 .help = "certificate of the key, its chain behind it (PEM)"},
	{0, "scheme", "SCHEME", OPTION_TEXT, CLI(scheme), .values = schemes, .group = SIGNING,
	 .help = "cms (unless told otherwise), rsa, rsa-pss, ecdsa, ed25519"},
	{0, "unsigned", NULL, OPTION_FLAG, CLI(unsigned_bundle), .group = SIGNING,
	 .help = "do not sign; devices refuse such a bundle unless their configuration allows it"},
	{0, "hash-list", NULL, OPTION_FLAG, CLI(hash_list), .group = PAYLOADS,
	 .help = "signed hashes of each block for images of 1 MiB or more, so that they can be written while they "
		 "arrive; the entry's hash-list = true does it for one"},
	{'K', "key-aes", "FILE", OPTION_TEXT, CLI(key_aes), .group = PAYLOADS,
	 .help = "encrypt entries with encrypted = true (or a cipher) with this key: the file that devices have "
		 "(KEY IV in hexadecimal, or lines key= and iv=). Each payload gets an ivt of its own, made of key, "
		 "name and content, and a check value by which a device knows a wrong key before it writes. A file that was "
		 "encrypted elsewhere needs encrypted-already = true in its entry"},
	{0, "encrypt", NULL, OPTION_FLAG, CLI(encrypt), .group = PAYLOADS,
	 .help = "encrypt every image and file, not only where the template says so (needs -K)"},
	{0, "part-size", "SIZE", OPTION_TEXT, CLI(part_size), .group = PAYLOADS,
	 .help = "split payloads that are larger; else at 4 GiB, which is all that a member can hold"},
	HELP,
};

static const struct option verify_rows[] = {
	{'k', "key", "FILE", OPTION_TEXT, CLI(key), .group = TRUST,
	 .help = "public keys or certificates (PEM), as the device has them"},
	{0, "cert-purpose", "PURPOSE", OPTION_TEXT, CLI(purpose), .values = purposes,
	 .group = TRUST,
	 .help = "what the signer's certificate must be made for: emailProtection (unless told otherwise), "
		 "codeSigning, any"},
	{0, "forced-signer-name", "NAME", OPTION_TEXT, CLI(signer), .group = TRUST,
	 .help = "the common name that the signer must have"},
	{0, "crl-path", "FILE", OPTION_TEXT, CLI(crl), .group = TRUST,
	 .help = "list of revoked certificates"},
	{0, "digest-provider", "SCHEME", OPTION_TEXT, CLI(scheme), .values = schemes,
	 .group = TRUST, .help = "the only method of signing to accept"},
	{'e', "select", "SET,MODE", OPTION_TEXT, CLI(select), .group = SELECT,
	 .help = "check this selection only; else all that the description offers"},
	{'H', "board", "BOARD", OPTION_TEXT, CLI(board), .group = SELECT,
	 .help = "the board of that selection"},
	{0, "for", "FILE", OPTION_TEXT, CLI(target), .group = SELECT,
	 .help = "warn of handlers that the device does not have: the file is what swinstall --handlers --json "
		 "prints there; without it, of those that this build does not have (with --strict)"},
	{0, "strict", NULL, OPTION_FLAG, CLI(strict), .group = SELECT,
	 .help = "list all that devices only tolerate (unknown keys, unlisted members, bytes behind the end), one "
		 "line each, and refuse the bundle when there is any"},
	{0, "json", NULL, OPTION_FLAG, CLI(json), .group = OUTPUT,
	 .help = "one JSON object: bundle, tolerated, good, version, signer, scheme, payloads, bytes; or code, where, why"},
	HELP,
};

static const struct option inspect_rows[] = {
	{0, "json", NULL, OPTION_FLAG, CLI(json), .group = OUTPUT,
	 .help = "one JSON object instead of a table"},
	HELP,
};

static const struct option lint_rows[] = {
	{0, "vars", "FILE", OPTION_TEXT, CLI(vars), .group = INPUT,
	 .help = "NAME=VALUE lines for @@NAME@@; then the environment is asked; what has no value stays open"},
	{0, "finished", NULL, OPTION_FLAG, CLI(finished), .group = INPUT,
	 .help = "the description is not a template any more: hashes must be there (always so in a bundle)"},
	{0, "for", "FILE", OPTION_TEXT, CLI(target), .group = INPUT,
	 .help = "warn of handlers that the device does not have: the file is what swinstall --handlers --json "
		 "prints there; without it, of those that this build does not have"},
	{0, "strict", NULL, OPTION_FLAG, CLI(strict), .group = OUTPUT,
	 .help = "warnings count as errors"},
	HELP,
};

static const struct option init_rows[] = {
	{0, "swupdate", NULL, OPTION_FLAG, CLI(swupdate), .group = OUTPUT,
	 .help = "two copies chosen on the device by -e (or here by select = \"auto\"), which SWUpdate installs too; else slots"},
	HELP,
};

static const struct option extract_rows[] = {
	{0, "dir", "FOLDER", OPTION_TEXT, CLI(dir), .group = OUTPUT,
	 .help = "where the files go, made when absent; else the working folder"},
	{0, "decode", NULL, OPTION_FLAG, CLI(decode), .group = OUTPUT,
	 .help = "payloads as they reach the device: parts joined, decrypted, decompressed, and compared with the "
		 "hashes of the description (whose signature is not looked at)"},
	{'K', "key-aes", "FILE", OPTION_TEXT, CLI(key_aes), .group = OUTPUT,
	 .help = "the key of encrypted payloads, for --decode"},
	HELP,
};

static const struct option sign_rows[] = {
	{'o', "output", "FILE", OPTION_TEXT, CLI(output), .group = OUTPUT,
	 .help = "the signed bundle; else the bundle is replaced. It appears whole or not at all"},
	{0, "key", "KEY", OPTION_TEXT, CLI(key), .group = SIGNING, .help = KEY_HELP},
	{0, "signer", "COMMAND", OPTION_TEXT, CLI(command), .group = SIGNING,
	 .help = "instead of --key: a program (words split at blanks, no shell) that reads the raw digest on standard "
		 "input and writes the signature on standard output; with --cert what it wrote is checked"},
	{0, "cert", "FILE", OPTION_TEXT, CLI(cert), .group = SIGNING,
	 .help = "certificate of the key, its chain behind it (PEM)"},
	{0, "scheme", "SCHEME", OPTION_TEXT, CLI(scheme), .values = schemes, .group = SIGNING,
	 .help = "cms (unless told otherwise), rsa, rsa-pss, ecdsa, ed25519"},
	HELP,
};

static const char *const keygen_usage[] = {"[--dir FOLDER] [--name NAME] [--type TYPE | --aes]",
					   NULL};
static const char *const build_usage[] = {"TEMPLATE -o FILE --key KEY --cert CERT [options]", NULL};
static const char *const verify_usage[] = {"-k KEY BUNDLE", NULL};
static const char *const inspect_usage[] = {"[--json] BUNDLE", NULL};
static const char *const init_usage[] = {"[--swupdate] FOLDER", NULL};
static const char *const extract_usage[] = {"[--dir FOLDER] [--decode [-K FILE]] BUNDLE", NULL};
static const char *const sign_usage[] = {"BUNDLE --key KEY --cert CERT [options]",
					 "BUNDLE --signer COMMAND --cert CERT [options]", NULL};
static const char *const lint_usage[] = {"DESCRIPTION | TEMPLATE | BUNDLE", NULL};

#define TABLE(command, text)                                                                       \
	const struct option_table swbundle_##command##_table = {                                   \
		.program = "swbundle " #command,                                                   \
		.summary = text,                                                                   \
		.usage = command##_usage,                                                          \
		.rows = command##_rows,                                                            \
		.count = ARRAY_SIZE(command##_rows)}

TABLE(keygen, "make a key for signing, and what devices need to check it");
TABLE(build, "make a signed bundle of a description and files");
TABLE(verify, "check a bundle as a device would");
TABLE(inspect, "show what is in a bundle");
TABLE(lint, "find all mistakes of a description, with line and path");
TABLE(init, "make an example project that builds and installs as it is");
TABLE(extract, "write the members of a bundle into a folder; nothing is checked but the form");
TABLE(sign, "give a bundle a signature, or a new one");

const struct option_table *const swbundle_tables[] = {
	&swbundle_init_table,	 &swbundle_keygen_table,  &swbundle_build_table,
	&swbundle_sign_table,	 &swbundle_verify_table,  &swbundle_lint_table,
	&swbundle_inspect_table, &swbundle_extract_table, NULL,
};
