/* Every key of the configuration: the parser, doc/config.md and the suggestions read these rows. */
#include "parser/settings_draft.h"

enum { ALWAYS = 1 };

/* a row is read as a row */
/* clang-format off */
#define AT(field) .where = ALWAYS, .at = offsetof(struct settings_draft, s.field), .code = E_CONFIG
#define TEXT(key, field, text) { .name = key, .type = ATTR_STRING, AT(field), .help = text }
/* read, and without effect here: a warning says so, and what to do instead */
#define UNUSED(key, field, text, what) \
	{ .name = key, .type = ATTR_STRING, AT(field), .help = text "; not used: " what, \
	  .instead = what }
#define FLAG(key, field, text) \
	{ .name = key, .type = ATTR_SWITCH, AT(field), .dflt = "false", .help = text }

static const char *const auto_yes_no[] = { "auto", "yes", "no", NULL };
static const char *const lua_trusts[] = { "confined", "full", NULL };
static const char *const strict_loose[] = { "strict", "loose", NULL };

static const struct attr globals[] = {
	/* as existing files have them */
	TEXT("bootloader", bootloader,
	     "boot environment: uboot, grub, file or none; else what the build and the device offer"),
	TEXT("public-key-file", public_key_file,
	     "keys or certificates (PEM) that signatures are checked with"),
	TEXT("ca-path", ca_path, "the same as public-key-file, and goes before it"),
	TEXT("crl-path", crl_path, "revocation lists"),
	TEXT("aes-key-file", aes_key_file, "key and initial vector for encrypted payloads"),
	UNUSED("decryption-key-file", decryption_key_file, "private key for encrypted descriptions",
	       "build bundles with a readable description (their payloads may be encrypted, see "
	       "aes-key-file), and remove this key"),
	TEXT("mtd-blacklist", mtd_blacklist, "numbers of MTD devices that are not scanned for UBI; read, nothing scans any"),
	UNUSED("namespace-vars", namespace_vars, "variable namespace for vars",
	       "set the variables by the list bootenv of the description, and remove this key"),
	TEXT("gen-swversions", gen_swversions,
	     "file that the versions of installed components are written to"),
	FLAG("verbose", verbose, "log everything"),
	{ .name = "loglevel", .type = ATTR_INT, AT(loglevel),
	  .has = offsetof(struct settings_draft, s.has_loglevel), .dflt = "3",
	  .help = "1 errors, 2 warnings, 3 information, 4 details, 5 all" },
	FLAG("syslog", syslog, "log to syslog too"),
	FLAG("update-type-required", update_type_required, "bundles must name an update-type"),
	TEXT("fwenv-config-location", fwenv_config, "where fw_env.config is, for U-Boot"),
	TEXT("cert-purpose", cert_purpose,
	     "purpose that a signer's certificate must have: emailProtection or codeSigning"),
	TEXT("forced-signer-name", forced_signer_name,
	     "common name that the signer's certificate must have"),
	TEXT("select", select, "SET,MODE to install when none is given; auto: that of the slot that is free"),
	UNUSED("gpg-home-dir", gpg_home, "keyring of GnuPG",
	       "sign with a key or certificate (doc/swbundle.md), name it by public-key-file, and "
	       "remove this key"),
	UNUSED("gpgme-protocol", gpg_protocol, "openpgp or cms",
	       "sign with a key or certificate (doc/swbundle.md), name it by public-key-file, and "
	       "remove this key"),
	TEXT("hash-provider", hash_provider, "read and not needed: there is one"),
	TEXT("decrypt-provider", decrypt_provider, "read and not needed: there is one"),
	TEXT("digest-provider", digest_provider, "the only method of signing to accept: rsa, rsa-pss, ecdsa, ed25519, cms; existing names as opensslCMS are known"),
	{ .name = "sw-description-max-size", .type = ATTR_SIZE, AT(description_max), .min = 1,
	  .max = 1 << 26, .has = offsetof(struct settings_draft, s.has_description_max),
	  .dflt = "1M", .help = "largest description that is read" },
	TEXT("postupdatecmd", policy.postupdatecmd, "program to run after an update succeeded"),
	TEXT("preupdatecmd", policy.preupdatecmd, "program to run before an update begins"),
	TEXT("no-downgrading", policy.no_downgrading, "lowest version that is accepted"),
	TEXT("max-version", policy.max_version, "highest version that is accepted"),
	TEXT("no-reinstalling", policy.no_reinstalling, "version that is refused: the running one"),
	{ .name = "reboot", .type = ATTR_SWITCH, AT(policy.reboot),
	  .has = offsetof(struct settings_draft, s.policy.has_reboot), .dflt = "enabled",
	  .help = "whether an update ends with a restart when the bundle does not say" },
	/* new ones */
	{ .name = "state-dir", .type = ATTR_STRING, AT(state_dir), .dflt = "/var/lib/swinstall",
	  .help = "journal, lock and history; on storage that no update writes" },
	TEXT("spool-dir", spool_dir,
	     "where payloads from pipes wait until they are proven; else a safe TMPDIR, else state-dir"),
	{ .name = "run-dir", .type = ATTR_STRING, AT(run_dir), .dflt = "/run/swinstall",
	  .help = "sockets and what need not survive a restart" },
	TEXT("bootenv-path", bootenv_path,
	     "file of the boot environment, for grub and file; else the usual place"),
	{ .name = "versions-file", .type = ATTR_STRING, AT(versions_file),
	  .dflt = "/etc/sw-versions", .help = "versions of what is installed" },
	{ .name = "hwrevision-file", .type = ATTR_STRING, AT(hwrevision_file),
	  .dflt = "/etc/hwrevision", .help = "name and revision of the board" },
	{ .name = "state-variable", .type = ATTR_STRING, AT(state_variable), .dflt = "ustate",
	  .help = "boot variable that tells the state of an update" },
	TEXT("running-slot-file", running_slot_file,
	     "file that holds the name of the slot that runs, for devices where neither root device nor "
	     "kernel command line tells, as where slots are files"),
	FLAG("allow-unsigned", allow_unsigned,
	     "install bundles without a signature; only for devices on a desk"),
	FLAG("allow-unchecked-key", allow_unchecked_key,
	     "install payloads of aes-ctr whose description does not say which key it was (aes-key-check, "
	     "which swbundle build -K writes): with a wrong key garbage is installed and nothing notices"),
	FLAG("strict", strict, "unknown keys and loose habits in descriptions are errors"),
	FLAG("strict-members", strict_members,
	     "members that the description does not name are errors"),
	FLAG("require-redundant-env", require_redundant_env,
	     "refuse a boot environment that has only one copy"),
	FLAG("several-switches", several_switches,
	     "one update may switch by more than one record (boot variables, gptswap): a power cut between "
	     "them is finished at the next start only; allowed with a warning where an existing swupdate.cfg is read"),
	FLAG("verify-writes", verify_writes, "read back all that was written before it is activated"),
	{ .name = "direct-io", .type = ATTR_ENUM, AT(direct_io), .values = auto_yes_no,
	  .dflt = "auto", .help = "write past the page cache" },
	{ .name = "compare-writes", .type = ATTR_ENUM, AT(compare_writes), .values = auto_yes_no,
	  .dflt = "auto", .help = "leave blocks alone that are the same already" },
	{ .name = "lua-handlers", .type = ATTR_STRING, AT(lua_handlers), .max = 4095,
	  .help = "Lua file of the device that registers handlers, read for each install that may "
		  "need them; else swupdate_handlers.lua is looked for in the Lua path. Only root may be "
		  "able to change it" },
	{ .name = "lua-trust", .type = ATTR_ENUM, AT(lua_trust),
	  .has = offsetof(struct settings, has_lua_trust), .values = lua_trusts,
	  .dflt = "confined",
	  .help = "full: embedded scripts and hooks of descriptions have Lua's whole library, files and "
		  "programs included; that is what they have where an existing swupdate.cfg is read" },
	{ .name = "compat-cpio", .type = ATTR_ENUM, AT(cpio_loose), .values = strict_loose,
	  .dflt = "strict", .help = "loose: blanks in the numbers of member headers are accepted" },
	{ .name = "mem-max", .type = ATTR_SIZE, AT(mem_max), .min = 65536, .dflt = "8M",
	  .help = "largest window or dictionary of a compressed payload" },
	{ .name = "max-members", .type = ATTR_SIZE, AT(max_members), .min = 1, .dflt = "4096",
	  .help = "most members that a bundle may have" },
	{ .name = "threads", .type = ATTR_SIZE, AT(threads), .max = 64, .dflt = "0",
	  .help = "threads of one installation; 0 is one for each processor, 1 is none beside the first" },
	{ .name = "lock-timeout", .type = ATTR_SIZE, AT(lock_timeout), .max = 86400, .dflt = "60",
	  .help = "seconds to wait for another installation to end" },
	{ .name = "idle-timeout", .type = ATTR_SIZE, AT(idle_timeout), .min = 1, .max = 86400, .dflt = "60",
	  .help = "seconds that the sender of a bundle (pipe, FIFO, socket) may be silent; in a minute of "
	  "waiting for it, or this time if longer, at least 16 KiB must come" },
	{ .name = "targets", .type = ATTR_STRINGS, AT(targets),
	  .help = "devices and folders that bundles may write, and no others; else any that root controls" },
	{ .name = "accepted-select", .type = ATTR_STRINGS, AT(accepted_select),
	  .help = "SET,MODE pairs that a client may ask for" },
	{ .name = "slots", .type = ATTR_LIST, .where = ALWAYS, .code = E_CONFIG,
	  .at = offsetof(struct settings_draft, slots),
	  .help = "the copies of the system that take turns; see the group slots" },
};

const struct schema settings_globals = {
	.name = "globals", .rows = globals, .count = ARRAY_SIZE(globals), .where = ALWAYS,
	.unknown = E_CONFIG,
};

#define POLICY(key, field, text) \
	{ .name = key, .type = ATTR_STRING, .where = ALWAYS, .code = E_CONFIG, \
	  .at = offsetof(struct update_policy, field), .help = text }

static const struct attr policies[] = {
	POLICY("name", name, "update-type that this group is for; must be given"),
	POLICY("postupdatecmd", postupdatecmd, "as in globals, for this type"),
	POLICY("preupdatecmd", preupdatecmd, "as in globals, for this type"),
	POLICY("no-downgrading", no_downgrading, "as in globals, for this type"),
	POLICY("max-version", max_version, "as in globals, for this type"),
	POLICY("no-reinstalling", no_reinstalling, "as in globals, for this type"),
	{ .name = "reboot", .type = ATTR_SWITCH, .where = ALWAYS, .code = E_CONFIG,
	  .at = offsetof(struct update_policy, reboot),
	  .has = offsetof(struct update_policy, has_reboot),
	  .help = "as in globals, for this type" },
};

const struct schema settings_policy = {
	.name = "update-types", .rows = policies, .count = ARRAY_SIZE(policies), .where = ALWAYS,
	.unknown = E_CONFIG,
};

static const struct attr slot_keys[] = {
	{ .name = "name", .type = ATTR_STRING, .where = ALWAYS, .code = E_CONFIG, .min = 1,
	  .at = offsetof(struct slot_setting, name), .help = "name of the slot; must be given" },
	{ .name = "cmdline", .type = ATTR_STRING, .where = ALWAYS, .code = E_CONFIG,
	  .at = offsetof(struct slot_setting, cmdline),
	  .help = "words of the kernel command line that say that this slot runs" },
	{ .name = "select", .type = ATTR_STRING, .where = ALWAYS, .code = E_CONFIG, .min = 1,
	  .at = offsetof(struct slot_setting, select),
	  .help = "the SET,MODE of bundles that installs into this slot, for select = \"auto\"" },
	{ .name = "env", .type = ATTR_GROUP, .where = ALWAYS, .code = E_CONFIG,
	  .at = offsetof(struct slot_setting, env),
	  .help = "boot variables (name = \"value\", empty: unset) that make this slot boot: the same "
		  "ones in all slots, with other values, or in none; every other key is a "
		  "role: rootfs = \"/dev/mmcblk0p2\"" },
};

const struct schema settings_slot = {
	.name = "slots", .rows = slot_keys, .count = ARRAY_SIZE(slot_keys), .where = ALWAYS,
	.unknown = E_CONFIG,
};

static const struct attr version_keys[] = {
	{ .name = "name", .type = ATTR_STRING, .where = ALWAYS, .code = E_CONFIG,
	  .at = offsetof(struct named_value, name), .help = "its name" },
	{ .name = "version", .type = ATTR_STRING, .where = ALWAYS, .code = E_CONFIG,
	  .at = offsetof(struct named_value, value), .help = "its version" },
};

static const struct schema versions = {
	.name = "versions", .rows = version_keys, .count = ARRAY_SIZE(version_keys), .where = ALWAYS,
	.unknown = E_CONFIG,
};

const struct schema *settings_schema(size_t i)
{
	static const struct schema *const all[] = {
		&settings_globals, &settings_slot, &settings_policy, &versions,
		&settings_identify, &settings_headers, &settings_logcolors, &settings_processes,
		&settings_suricatta, &settings_hawkbit, &settings_gservice, &settings_download,
		&settings_delta, &settings_webserver,
	};

	return i < ARRAY_SIZE(all) ? all[i] : NULL;
}
/* clang-format on */
