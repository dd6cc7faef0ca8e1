/* The configuration: an existing file works unchanged, mistakes name their line. */
#include "kit/parse_help.h"

#include <stdio.h>
#include <string.h>

#include "corelib/device/blkdev.h"
#include "corelib/base/text.h"
#include "kit/fail_malloc.h"

struct parsed {
	struct settings *s;
	struct err err;
	struct parse_notes notes;
	int rc;
};

static struct parsed parse(const char *text)
{
	struct parsed p = {.rc = 0};

	assert_int_equal(settings_new(&p.s, &p.err), 0);
	p.rc = settings_parse(p.s, text, strlen(text), parse_note, &p.notes, &p.err);
	return p;
}

static void settings_defaults_are_those_of_the_manual(void **state)
{
	struct parsed p = parse("globals = { };");

	(void)state;
	assert_int_equal(p.rc, 0);
	assert_int_equal(p.notes.count, 0);
	assert_string_equal(p.s->state_dir, "/var/lib/swinstall");
	assert_null(p.s->spool_dir);
	assert_string_equal(p.s->run_dir, "/run/swinstall");
	assert_string_equal(p.s->versions_file, "/etc/sw-versions");
	assert_string_equal(p.s->hwrevision_file, "/etc/hwrevision");
	assert_string_equal(p.s->state_variable, "ustate");
	assert_int_equal(p.s->mem_max, 8 << 20);
	assert_int_equal(p.s->max_members, 4096);
	assert_int_equal(p.s->lock_timeout, 60);
	assert_false(p.s->allow_unsigned);
	assert_false(p.s->strict);
	assert_false(p.s->verify_writes);
	settings_free(p.s);
}

static void settings_slots_have_places_env_and_cmdline(void **state)
{
	struct parsed p = parse(
		"globals = { slots = (\n"
		"{ name = \"a\"; rootfs = \"/dev/sda2\"; kernel = \"/boot/a\"; cmdline = \"root=/dev/sda2\";\n"
		"  env = { slot = \"a\"; try = \"3\"; }; },\n"
		"{ name = \"b\"; rootfs = \"/dev/sda3\"; env = { slot = \"b\"; try = \"\"; }; }); };");

	(void)state;
	assert_int_equal(p.rc, 0);
	assert_int_equal(p.s->slot_count, 2);
	assert_string_equal(p.s->slots[0].name, "a");
	assert_string_equal(p.s->slots[0].cmdline, "root=/dev/sda2");
	assert_int_equal(p.s->slots[0].place_count, 2);
	assert_string_equal(p.s->slots[0].places[1].role, "kernel");
	assert_string_equal(p.s->slots[0].places[1].path, "/boot/a");
	assert_string_equal(node_find(p.s->slots[0].env, "try")->string, "3");
	assert_string_equal(p.s->slots[1].name, "b");
	assert_null(p.s->slots[1].cmdline);
	settings_free(p.s);
}

static struct parsed good(const char *text)
{
	struct parsed p = parse(text);

	if (p.rc < 0)
		fail_msg("%s: %s (%s)", text, p.err.why, p.err.where);
	return p;
}

static void refused(const char *text, const char *why, const char *place)
{
	struct parsed p = parse(text);

	if (p.rc >= 0 || p.err.code != E_CONFIG || !strstr(p.err.why, why) ||
	    !strstr(p.err.where, place))
		fail_msg("%s: rc %d, code %d, why %s, where %s", text, p.rc, p.err.code, p.err.why,
			 p.err.where);
	settings_free(p.s);
}

static void settings_every_key_of_globals_arrives(void **state)
{
	struct parsed p = good(
		"globals = { bootloader = \"grub\"; public-key-file = \"k\"; ca-path = \"ca\"; crl-path = \"crl\";\n"
		"aes-key-file = \"aes\"; decryption-key-file = \"dec\"; mtd-blacklist = \"0 1\"; namespace-vars = \"ns\";\n"
		"gen-swversions = \"sw\"; verbose = true; loglevel = 4; syslog = true; update-type-required = true;\n"
		"fwenv-config-location = \"fw\"; cert-purpose = \"codeSigning\"; forced-signer-name = \"me\";\n"
		"select = \"a,b\"; gpg-home-dir = \"g\"; gpgme-protocol = \"cms\"; hash-provider = \"h\";\n"
		"decrypt-provider = \"d\"; digest-provider = \"i\"; sw-description-max-size = \"2M\";\n"
		"postupdatecmd = \"post\"; preupdatecmd = \"pre\"; no-downgrading = \"1\"; max-version = \"2\";\n"
		"no-reinstalling = \"3\"; reboot = \"disabled\";\n"
		"state-dir = \"/s\"; spool-dir = \"/p\"; run-dir = \"/r\"; bootenv-path = \"/b\"; versions-file = \"/v\";\n"
		"hwrevision-file = \"/h\"; state-variable = \"st\"; running-slot-file = \"/w\"; several-switches = true; allow-unsigned = \"yes\"; strict = true;\n"
		"strict-members = \"yes\"; require-redundant-env = \"enabled\"; verify-writes = true;\n"
		"direct-io = \"no\"; compare-writes = \"yes\"; compat-cpio = \"loose\"; mem-max = \"64M\";\n"
		"max-members = 10; threads = 2; lock-timeout = 0; idle-timeout = 7; targets = [ \"/dev/a\", \"/dev/b\" ];\n"
		"accepted-select = \"a,b\"; };");
	const struct settings *s = p.s;

	(void)state;
	assert_int_equal(p.notes.count, 4); /* the keys that have no effect */
	assert_string_equal(s->bootloader, "grub");
	assert_string_equal(s->ca_path, "ca");
	assert_string_equal(s->public_key_file,
			    "ca"); /* the same thing; existing files have either */
	assert_string_equal(s->crl_path, "crl");
	assert_string_equal(s->aes_key_file, "aes");
	assert_string_equal(s->decryption_key_file, "dec");
	assert_string_equal(s->mtd_blacklist, "0 1");
	assert_string_equal(s->namespace_vars, "ns");
	assert_string_equal(s->gen_swversions, "sw");
	assert_true(s->verbose && s->syslog && s->update_type_required && s->has_loglevel);
	assert_int_equal(s->loglevel, 4);
	assert_string_equal(s->fwenv_config, "fw");
	assert_string_equal(s->cert_purpose, "codeSigning");
	assert_string_equal(s->forced_signer_name, "me");
	assert_string_equal(s->select, "a,b");
	assert_string_equal(s->gpg_home, "g");
	assert_string_equal(s->gpg_protocol, "cms");
	assert_string_equal(s->hash_provider, "h");
	assert_string_equal(s->decrypt_provider, "d");
	assert_string_equal(s->digest_provider, "i");
	assert_true(s->has_description_max && s->description_max == 2 << 20);
	assert_string_equal(s->policy.postupdatecmd, "post");
	assert_string_equal(s->policy.preupdatecmd, "pre");
	assert_string_equal(s->policy.no_downgrading, "1");
	assert_string_equal(s->policy.max_version, "2");
	assert_string_equal(s->policy.no_reinstalling, "3");
	assert_true(s->policy.has_reboot && !s->policy.reboot);
	assert_string_equal(s->state_dir, "/s");
	assert_string_equal(s->spool_dir, "/p");
	assert_string_equal(s->run_dir, "/r");
	assert_string_equal(s->bootenv_path, "/b");
	assert_string_equal(s->versions_file, "/v");
	assert_string_equal(s->hwrevision_file, "/h");
	assert_string_equal(s->state_variable, "st");
	assert_string_equal(s->running_slot_file, "/w");
	assert_true(s->several_switches);
	assert_true(s->allow_unsigned && s->strict && s->strict_members &&
		    s->require_redundant_env && s->verify_writes);
	assert_int_equal(s->direct_io, DIRECT_NO);
	assert_int_equal(s->compare_writes, COMPARE_YES);
	assert_int_equal(s->cpio_loose, 1);
	assert_int_equal(s->mem_max, 64 << 20);
	assert_int_equal(s->max_members, 10);
	assert_int_equal(s->threads, 2);
	assert_int_equal(s->lock_timeout, 0);
	assert_int_equal(s->idle_timeout, 7);
	assert_int_equal(s->targets.count, 2);
	assert_string_equal(s->accepted_select.at[0], "a,b");
	settings_free(p.s);
}

/* a key without effect must not look as if it had one: each is named once, with what to do */
static void settings_keys_without_effect_are_named(void **state)
{
	static const struct {
		const char *key, *instead;
	} keys[] = {
		{"decryption-key-file", "build bundles with a readable description"},
		{"namespace-vars", "set the variables by the list bootenv"},
		{"gpg-home-dir", "sign with a key or certificate"},
		{"gpgme-protocol", "sign with a key or certificate"},
	};
	char text[128], line[160];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		text_print(text, sizeof(text), "globals = {\n%s = \"x\"; };", keys[i].key);
		text_print(line, sizeof(line), "line 2: globals.%s is not used by this program: %s",
			   keys[i].key, keys[i].instead);
		struct parsed set = good(text);

		assert_int_equal(set.notes.count, 1);
		assert_int_equal(strncmp(set.notes.text, line, strlen(line)), 0);
		assert_non_null(strstr(set.notes.text, "and remove this key\n"));
		settings_free(set.s);
		text_print(text, sizeof(text), "globals = { %s = \"\"; };", keys[i].key);
		struct parsed empty = good(text);

		assert_int_equal(empty.notes.count, 0);
		settings_free(empty.s);
	}
}

/* the manual and the warning come from the same row: none says 'not supported' and stays silent */
static void settings_rows_that_say_so_warn(void **state)
{
	const struct schema *globals = settings_schema(0);
	size_t unused = 0;

	(void)state;
	for (size_t i = 0; i < globals->count; i++) {
		const struct attr *a = globals->rows + i;
		bool says = strstr(a->help, "not used") || strstr(a->help, "not supported");

		assert_int_equal(says, a->instead != NULL);
		unused += says;
	}
	assert_int_equal(unused, 4);
}

/* each default that the manual prints is the one that settings_new() gives */
static void settings_defaults_of_the_table_are_true(void **state)
{
	const struct schema *globals = settings_schema(0);
	struct parsed p = good("globals = { };");

	(void)state;
	for (size_t i = 0; i < globals->count; i++) {
		const struct attr *a = globals->rows + i;
		const char *at = (const char *)p.s + a->at;
		uint64_t size;

		if (!a->dflt)
			continue;
		if (a->type == ATTR_STRING) {
			assert_string_equal(*(const char *const *)at, a->dflt);
		} else if (a->type == ATTR_SIZE || a->type == ATTR_INT) {
			assert_int_equal(text_size(a->dflt, &size), 0);
			assert_int_equal(*(const uint64_t *)at, size);
		} else if (a->type == ATTR_SWITCH) {
			assert_int_equal(*(const bool *)at, !strcmp(a->dflt, "enabled"));
		} else {
			assert_int_equal(a->type, ATTR_ENUM);
			assert_string_equal(a->values[*(const int *)at], a->dflt);
		}
	}
	settings_free(p.s);
}

/* what a device with SWUpdate has */
static void settings_existing_file_works_unchanged(void **state)
{
	struct parsed p = good(
		"# /etc/swupdate.cfg\n"
		"globals : { verbose = true; loglevel = 10; syslog = true; public-key-file = \"/etc/k.pem\"; };\n"
		"logcolors : { error = \"red:blink\"; warning = \"yellow\"; info = \"white\"; debug = \"blue\"; trace = \"green\"; };\n"
		"download : { authentication = \"user:password\"; retries = 3; timeout = 1800;\n"
		" url = \"http://example.com/software.swu\"; userid = 1000; groupid = 1000; };\n"
		"versions : ( { name = \"uboot\"; version = \"2016.03\"; }, { name = \"kernel\"; version = \"4.4\"; } );\n"
		"identify : ( { name = \"serialNo\"; value = \"1\"; } );\n"
		"custom-http-headers : ( { name = \"X\"; value = \"1\"; } );\n"
		"processes : ( { name = \"helper\"; exec = \"/usr/bin/helper\"; } );\n"
		"helper : { userid = 1; groupid = 2; user = \"u\"; group = \"g\"; };\n"
		"update-types : ( { name = \"app\"; postupdatecmd = \"x\"; reboot = \"disabled\"; no-downgrading = \"1.0\"; },\n"
		"  { name = \"os\"; max-version = \"9\"; no-reinstalling = \"8\"; preupdatecmd = \"y\"; } );\n"
		"suricatta : { tenant = \"default\"; id = \"1\"; url = \"http://x\"; polldelay = 20; nocheckcert = true;\n"
		" retry = 4; retrywait = 200; userid = 1; groupid = 1; enable = true; initial-report-resend-period = 30;\n"
		" loglevel = 4; confirm = 0; max_artifacts = 2; connection-timeout = 10; max-download-speed = \"1M\"; server = \"hawkbit\"; targettoken = \"t\"; };\n"
		"hawkbit : { gatewaytoken = \"t\"; usetokentodwl = false; };\n"
		"wfx : { anything = { at = \"all\"; }; };\n"
		"gservice : { url = \"u\"; logurl = \"l\"; polldelay = 1; logevent : ( { event = \"check\"; format = \"#2\"; } ); };\n"
		"delta : { cafile = \"c\"; sslkey = \"pkcs11:x\"; };\n"
		"webserver : { document_root = \"/www\"; userid = 1000; groupid = 1000; timeout = 20; listening_ports = \"8080\"; port = \"8081\"; };\n");

	(void)state;
	assert_string_equal(p.notes.text, "");
	assert_int_equal(p.s->loglevel, 5);
	assert_string_equal(p.s->public_key_file, "/etc/k.pem");
	assert_int_equal(p.s->type_count, 2);
	assert_string_equal(p.s->types[0].name, "app");
	assert_true(p.s->types[0].has_reboot && !p.s->types[0].reboot);
	assert_string_equal(p.s->types[0].no_downgrading, "1.0");
	assert_false(p.s->types[1].has_reboot);
	assert_string_equal(p.s->types[1].max_version, "9");
	assert_int_equal(p.s->versions->count, 2);
	settings_free(p.s);
}

/* what later parts read is kept, with its type */
static void settings_of_parts_with_doors_are_kept(void **state)
{
	struct parsed p = good(
		"globals = { };\nsuricatta = { loglevel = 4; confirm = 0; max_artifacts = 2; retry = 3; nocheckcert = true; userid = 0; };\n"
		"hawkbit = { id = \"x\"; };\ndownload = { url = \"http://a\"; timeout = 9; user = \"dl\"; };\n"
		"gservice = { logurl = \"l\"; logevent = ({ event = \"check\"; }); };\ndelta = { targettoken = \"t\"; };\n"
		"webserver = { port = 8080; timeout = 5; run-postupdate = false; global-auth-file = \"/a\"; };\n"
		"logcolors = { error = \"red\"; };\nidentify = ({ name = \"a\"; value = \"1\"; }, { name = \"b\"; });\n"
		"custom-http-headers = { name = \"h\"; value = \"2\"; };\n"
		"processes = ({ name = \"x\"; exec = \"/x\"; }, { name = \"y\"; });\ny = { groupid = 7; };");
	const struct parts_settings *s = &p.s->parts;

	(void)state;
	assert_string_equal(p.notes.text, "");
	assert_int_equal(s->suricatta.loglevel, 4);
	assert_true(s->suricatta.has_confirm && s->suricatta.confirm == 0);
	assert_int_equal(s->suricatta.max_artifacts, 2);
	assert_int_equal(s->suricatta.channel.retry, 3);
	assert_true(s->suricatta.channel.nocheckcert);
	assert_true(s->suricatta.as.has_userid && !s->suricatta.as.has_groupid);
	assert_string_equal(s->hawkbit.id, "x");
	assert_string_equal(s->download.url, "http://a");
	assert_int_equal(s->download.timeout, 9);
	assert_string_equal(s->download.as.user, "dl");
	assert_string_equal(s->gservice.logurl, "l");
	assert_int_equal(s->gservice.logevent->count, 1);
	assert_string_equal(s->delta.targettoken, "t");
	assert_int_equal(s->webserver.port, 8080);
	assert_true(s->webserver.has_run_postupdate && !s->webserver.run_postupdate);
	assert_string_equal(s->webserver.auth_file, "/a");
	assert_string_equal(s->colors.error, "red");
	assert_int_equal(s->identify_count, 2);
	assert_string_equal(s->identify[1].name, "b");
	assert_int_equal(s->header_count, 1);
	assert_string_equal(s->headers[0].value, "2");
	assert_int_equal(s->process_count, 2);
	assert_string_equal(s->processes[0].exec, "/x");
	assert_false(s->processes[0].as.has_groupid);
	assert_int_equal(s->processes[1].as.groupid, 7);
	settings_free(p.s);
}

static void settings_of_other_programs_are_only_noted(void **state)
{
	struct parsed
		p = good(
			"globals = { };\nsuricatta = { polldelay = \"20\"; urll = \"x\"; };\n"
			"download = 5;\nidentify = (1, { name = \"a\"; vale = \"b\"; });\nlogcolors = { };\n"
			"webserer = { };\nzzzzzzzz = 1;\nprocesses = 5;"),
		q = good("globals = { }; processes = ({ name = \"a\"; }); b = { };");

	(void)state;
	assert_non_null(strstr(p.notes.text,
			       "line 2: suricatta.polldelay must be a whole number, not a text"));
	assert_non_null(
		strstr(p.notes.text, "line 2: suricatta.urll is not known; did you mean url?"));
	assert_non_null(strstr(p.notes.text, "line 3: download must be a group"));
	assert_non_null(strstr(p.notes.text, "line 4: an item must be a group"));
	assert_non_null(strstr(p.notes.text, "identify[1].vale is not known; did you mean value?"));
	assert_non_null(
		strstr(p.notes.text, "line 6: webserer is not known; did you mean webserver?"));
	assert_non_null(strstr(p.notes.text, "line 7: zzzzzzzz is not known\n"));
	assert_non_null(strstr(p.notes.text, "line 8: processes must be a group"));
	assert_int_equal(p.notes.count, 8);
	assert_string_equal(q.notes.text, "line 1: b is not known\n");
	settings_free(p.s);
	settings_free(q.s);
}

static void settings_unknown_keys_of_globals_are_noted_with_a_guess(void **state)
{
	struct parsed p = good(
		"globals = {\n allow-unsignd = true; };\nupdate-types = ({ name = \"a\"; x = 1; });");

	(void)state;
	assert_int_equal(p.notes.count, 2);
	assert_non_null(
		strstr(p.notes.text,
		       "line 2: globals.allow-unsignd is not known; did you mean allow-unsigned?"));
	assert_non_null(strstr(p.notes.text, "line 3: update-types[0].x is not known"));
	assert_false(p.s->allow_unsigned);
	settings_free(p.s);
}

static void settings_wrong_values_name_their_line(void **state)
{
	(void)state;
	refused("", "there is no group 'globals'", "");
	refused("globals = 5;", "there is no group 'globals'", "");
	refused("globals = ({ });", "there is no group 'globals'", "");
	refused("globals = {\n loglevel = \"3\"; };", "must be a whole number, not a text",
		"line 2");
	refused("globals = {\n verbose = 1; };", "globals.verbose", "line 2");
	refused("globals = {\n reboot = \"maybe\"; };", "\"enabled\" or \"disabled\"", "line 2");
	refused("globals = {\n direct-io = true; };", "\"auto\" \"yes\" \"no\"", "line 2");
	refused("globals = {\n mem-max = 1; };", "allowed is 65536", "line 2");
	refused("globals = {\n threads = 65; };", "allowed is 0 to 64", "line 2");
	refused("globals = {\n lock-timeout = \"1X\"; };", "is not a size", "line 2");
	refused("globals = {\n idle-timeout = 0; };", "idle-timeout",
		"line 2"); /* L4: never for ever */
	refused("globals = {\n idle-timeout = 86401; };", "idle-timeout", "line 2");
	refused("globals = {\n targets = (1); };", "must be a text", "line 2");
	refused("globals = {\n public-key-file = [ \"a\" ]; };", "must be a text, not a list",
		"line 2");
	refused("globals = { };\nupdate-types = 5;", "must be a list of groups", "line 2");
	refused("globals = { };\nupdate-types = (5);", "must be a group", "line 2");
	refused("globals = { };\nupdate-types = ({ });", "has no name", "line 2");
	refused("globals = { };\nupdate-types = ({ name = 1; });", "must be a text", "line 2");
	refused("globals = { };\nversions = 1;", "must be a list of groups", "line 2");
	refused("globals = { };\nversions = ({ name = \"a\"; });", "needs name and version",
		"line 2");
	refused("globals = { };\nversions = ({ name = 1; version = \"a\"; });",
		"needs name and version", "line 2");
	refused("globals = { };\nversions = { version = \"1\"; name = \"a\"; }\nversions = 1;",
		"stands in line 2", "line 3");
	refused("globals = {\n\n", "'}' is expected", "line 3");
	refused("globals = { };\n@include \"/etc/more.cfg\"", "@include", "line 2");
}

static void settings_of_slots_that_contradict_are_refused(void **state)
{
#define SLOTS(body) "globals = { slots = (\n" body "); };"
	(void)state;
	refused("globals = {\nslots = 5; };", "must be a list of groups", "line 2");
	refused(SLOTS("5"), "must be a group", "line 2");
	refused(SLOTS("{ rootfs = \"/dev/a\"; }"), "has no name", "line 2");
	refused(SLOTS("{ name = \"\"; rootfs = \"/dev/a\"; }"), "is empty", "line 2");
	refused(SLOTS("{ name = \"a\"; }"), "names no place", "line 2");
	refused(SLOTS("{ name = \"a\"; rootfs = 5; }"), "must be a path", "line 2");
	refused(SLOTS("{ name = \"a\"; rootfs = \"\"; }"), "must be a path", "line 2");
	refused(SLOTS("{ name = \"a\"; rootfs = \"/a\"; env = \"x\"; }"), "must be a group",
		"line 2");
	refused(SLOTS("{ name = \"a\"; rootfs = \"/a\"; env = { x = 1; }; }"), "must be a text",
		"line 2");
	refused(SLOTS("{ name = \"a\"; rootfs = \"/a\"; },\n{ name = \"a\"; rootfs = \"/b\"; }"),
		"the name of another slot", "line 3");
	refused(SLOTS("{ name = \"a\"; rootfs = \"/a\"; },\n{ name = \"b\"; x = \"/y\"; kernel = \"/a\"; }"),
		"shares a place with another slot", "line 3");
	/* the boot loader has to be able to choose each of them, and no other */
#define ENV_A	"{ name = \"a\"; rootfs = \"/a\"; env = { x = \"1\"; }; },\n"
#define B(more) "{ name = \"b\"; rootfs = \"/b\"; " more "}"
	refused(SLOTS(ENV_A B("")), "slot 'b', which does not say what 'x' is; slot 'a' does",
		"line 3");
	refused(SLOTS(ENV_A B("env = { };")), "does not say what 'x' is", "line 3");
	refused(SLOTS(ENV_A B("env = { x = \"1\"; y = \"1\"; };")),
		"slot 'a', which does not say what 'y' is; slot 'b' does", "line 3");
	refused(SLOTS(ENV_A B("env = { y = \"1\"; };")), "does not say what 'x' is", "line 3");
	refused(SLOTS(ENV_A B("env = { x = \"1\"; };")),
		"has the values of slot 'a' in env (as 'x'): nothing tells it from slot 'b'",
		"line 3");
	settings_free(good(SLOTS(ENV_A B("env = { x = \"\"; };"))).s);
	settings_free(good(SLOTS("{ name = \"a\"; rootfs = \"/a\"; },\n" B("env = { };"))).s);
	refused(SLOTS("{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}"), "more than 16 slots",
		"line 1");
}

static void settings_one_group_counts_as_a_list_of_one(void **state)
{
	struct parsed p = good(
		"globals = { slots = { name = \"a\"; rootfs = \"/a\"; }; };"
		"versions = { name = \"x\"; version = \"1\"; }; update-types = { name = \"t\"; };"
		"identify = { name = \"n\"; value = \"v\"; }; processes = { name = \"p\"; exec = \"e\"; };"
		"p = { userid = 1; };");

	(void)state;
	assert_int_equal(p.notes.count, 0);
	assert_int_equal(p.s->slot_count, 1);
	assert_int_equal(p.s->type_count, 1);
	assert_string_equal(node_find(p.s->versions, "name")->string, "x");
	settings_free(p.s);
}

static void settings_errors_name_the_file(void **state)
{
	struct settings *s;
	struct err e = {0};

	(void)state;
	assert_int_equal(settings_new(&s, &e), 0);
	s->file = "/etc/swinstall.cfg";
	assert_true(settings_parse(s, "globals = {\nstrict = 5; };", 26, NULL, NULL, &e) < 0);
	assert_string_equal(e.where, "globals.strict, line 2, /etc/swinstall.cfg");
	settings_free(s);
	settings_free(NULL);
}

/* padding moves each small request to the edge of a block of the arena */
static void fail_each(const char *text, size_t padding)
{
	static char padded[9000];

	memset(padded, 'x', sizeof(padded));
	memcpy(padded, "a=\"", 3);
	(void)snprintf(padded + 3 + padding, sizeof(padded) - padding - 3, "\";%s", text);
	for (unsigned n = 1;; n++) {
		struct settings *s = NULL;
		struct err e = {0};
		bool failed;
		int rc;

		/* libconfig does not check its own */
		fail_malloc_ours_at(n);
		rc = settings_new(&s, &e);
		if (rc == 0)
			rc = settings_parse(s, padded, strlen(padded), NULL, NULL, &e);
		failed = fail_malloc_off();
		settings_free(s);
		if (!failed) {
			assert_int_equal(rc, 0);
			return;
		}
		assert_true(rc < 0);
		assert_int_equal(e.code, E_MEMORY);
	}
}

static void settings_survive_every_failed_allocation(void **state)
{
	static const char text[] =
		"globals = { slots = ({ name = \"a\"; rootfs = \"/a\"; env = { x = \"1\"; }; },"
		"{ name = \"b\"; rootfs = \"/b\"; env = { x = \"2\"; }; }); targets = (\"x\"); };"
		"identify = ({ name = \"a\"; }); processes = ({ name = \"p\"; });"
		"update-types = ({ name = \"t\"; }); versions = ({ name = \"a\"; version = \"1\"; });";

	(void)state;
	if (!fail_malloc_works())
		skip();
	for (size_t n = 0; n < 8300; n += 40)
		fail_each(text, n);
}

static void settings_tables_end(void **state)
{
	size_t n = 0;

	(void)state;
	while (settings_schema(n))
		n++;
	assert_int_equal(n, 14);
	assert_string_equal(settings_schema(0)->name, "globals");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings_defaults_are_those_of_the_manual),
		cmocka_unit_test(settings_slots_have_places_env_and_cmdline),
		cmocka_unit_test(settings_every_key_of_globals_arrives),
		cmocka_unit_test(settings_keys_without_effect_are_named),
		cmocka_unit_test(settings_rows_that_say_so_warn),
		cmocka_unit_test(settings_defaults_of_the_table_are_true),
		cmocka_unit_test(settings_existing_file_works_unchanged),
		cmocka_unit_test(settings_of_parts_with_doors_are_kept),
		cmocka_unit_test(settings_of_other_programs_are_only_noted),
		cmocka_unit_test(settings_unknown_keys_of_globals_are_noted_with_a_guess),
		cmocka_unit_test(settings_wrong_values_name_their_line),
		cmocka_unit_test(settings_of_slots_that_contradict_are_refused),
		cmocka_unit_test(settings_one_group_counts_as_a_list_of_one),
		cmocka_unit_test(settings_errors_name_the_file),
		cmocka_unit_test(settings_survive_every_failed_allocation),
		cmocka_unit_test(settings_tables_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
