/* What a description says becomes typed values, or an error that names path and line. */
#include "kit/parse_help.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void manifest_a_signed_image_arrives_with_every_attribute(void **state)
{
	struct parse_manifest p = parse_body(
		"images = ({ filename = \"rootfs.ext4\"; type = \"raw\"; device = \"/dev/mmcblk0p2\";\n"
		"name = \"rootfs\"; version = \"2.4.1\"; sha256 = \"" H64
		"\"; size = 5000000000L;\n"
		"offset = \"4K\"; compressed = \"zstd\"; encrypted = \"aes-cbc-256\";\n"
		"ivt = \"000102030405060708090a0b0c0d0e0f\"; installed-directly = true;\n"
		"hash-list = \"rootfs.hl\"; hash-list-sha256 = \"" H64 "\"; hash-block = 65536;\n"
		"properties = { decompressed-size = \"1M\"; x = [ \"a\", \"b\" ]; }; });");
	const struct entry *t;
	char label[64];

	(void)state;
	assert_int_equal(p.rc, 0);
	assert_int_equal(p.m->entry_count, 1);
	t = p.m->entries;
	assert_int_equal(t->section, SECTION_IMAGES);
	assert_string_equal(t->filename, "rootfs.ext4");
	assert_string_equal(t->device, "/dev/mmcblk0p2");
	assert_true(t->has_sha256 && t->has_size && t->has_offset && t->has_ivt);
	assert_int_equal(t->sha256[0], 0x01);
	assert_int_equal(t->sha256[31], 0xef);
	assert_int_equal(t->size, 5000000000);
	assert_int_equal(t->offset, 4096);
	assert_int_equal(t->compressed, CODEC_ZSTD);
	assert_int_equal(entry_cipher(t)->cipher, CIPHER_AES_CBC);
	assert_int_equal(entry_cipher(t)->bits, 256);
	assert_true(t->installed_directly);
	assert_string_equal(t->hashes.name, "rootfs.hl");
	assert_int_equal(t->hashes.block, 65536);
	assert_true(t->has_decompressed_size);
	assert_int_equal(t->decompressed_size, 1 << 20);
	assert_string_equal(entry_property(t, "x"), "b");
	assert_int_equal(entry_properties(t, "x")->count, 2);
	assert_null(entry_property(t, "y"));
	entry_label(t, label, sizeof(label));
	assert_string_equal(label, "images[0] (rootfs.ext4, line 2)");
	assert_int_equal(p.notes.count, 0);
	manifest_free(p.m);
}

static struct parse_manifest good(const char *body)
{
	struct parse_manifest p = parse_body(body);

	if (p.rc < 0)
		fail_msg("%s: %s (%s)", body, p.err.why, p.err.where);
	return p;
}

#define HASH "sha256 = \"" H64 "\";"

static void manifest_top_level_elements_arrive(void **state)
{
	struct parse_manifest p = parse_manifest(
		"software = { version = \"2.0\"; description = \"for all\"; update-type = \"app\";\n"
		"hardware-compatibility = [ \"1.0\", \"#RE:^2\" ]; reboot = \"disabled\";\n"
		"bootloader_transaction_marker = false; bootloader_state_marker = true;\n"
		"output = \"/tmp/x.swu\"; namespace-for-vars = \"ns\"; embedded-script = \"\nreturn 1\n\";\n"
		"bootenv = ({ name = \"a\"; value = \"1\"; }); };",
		NULL);
	const struct manifest *m = p.m;

	(void)state;
	assert_int_equal(p.rc, 0);
	assert_string_equal(m->version, "2.0");
	assert_string_equal(m->description, "for all");
	assert_string_equal(m->update_type, "app");
	assert_int_equal(m->hardware.count, 2);
	assert_string_equal(m->hardware.at[1], "#RE:^2");
	assert_true(m->has_reboot && !m->reboot);
	assert_true(m->has_transaction_marker && !m->transaction_marker);
	assert_true(m->has_state_marker && m->state_marker);
	assert_string_equal(m->output, "/tmp/x.swu");
	assert_string_equal(m->namespace_for_vars, "ns");
	assert_string_equal(m->embedded_script, "\nreturn 1\n");
	assert_int_equal(p.notes.count, 0);
	manifest_free(p.m);
}

static void manifest_absent_is_a_flag_or_null(void **state)
{
	struct parse_manifest p = good(
		"bootenv = ({ name = \"a\"; }); images = ({ type = \"dummy\"; name = \"\"; });");
	const struct entry *t = p.m->entries;
	char label[64];

	(void)state;
	assert_null(p.m->update_type);
	assert_null(p.m->description);
	assert_int_equal(p.m->hardware.count, 0);
	assert_false(p.m->has_reboot || p.m->has_state_marker || p.m->has_transaction_marker);
	assert_null(t->filename);
	assert_null(t->name); /* empty is absent */
	assert_false(t->has_sha256 || t->has_size || t->has_offset || t->has_ivt || t->has_aes_key);
	assert_int_equal(t->compressed, CODEC_NONE);
	assert_null(entry_cipher(t));
	assert_null(t->hashes.name);
	assert_int_equal(t->hashes.block, 262144);
	assert_int_equal(t->parts, 0);
	entry_label(t, label, sizeof(label));
	assert_string_equal(label, "images[0] (dummy, line 2)");
	manifest_free(p.m);
	manifest_free(NULL);
}

static void manifest_types_have_their_defaults(void **state)
{
	struct parse_manifest p = good(
		"partitions = ({ device = \"mtd1\"; name = \"v\"; });\n"
		"images = ({ volume = \"v\"; }, { device = \"/dev/a\"; }, { slot = \"rootfs\"; });\n"
		"files = { path = \"/x\"; }; scripts = ({ data = \"y\"; });\n"
		"bootenv = ({ filename = \"env.txt\"; " HASH " });");
	static const char *const want[] = {"ubipartition", "ubivol",	 "raw", "raw",
					   "rawfile",	   "bootloader", "lua"};
	static const enum section sections[] = {SECTION_PARTITIONS, SECTION_IMAGES, SECTION_IMAGES,
						SECTION_IMAGES,	    SECTION_FILES,  SECTION_BOOTENV,
						SECTION_SCRIPTS};

	(void)state;
	assert_int_equal(p.m->entry_count, ARRAY_SIZE(want));
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		assert_string_equal(p.m->entries[i].type, want[i]);
		assert_int_equal(p.m->entries[i].section, sections[i]);
	}
	manifest_free(p.m);
	parse_body_fails("images = ({ name = \"x\"; });", E_DESC_MISSING,
			 "neither type, device, slot nor volume");
	parse_body_fails("partitions = ({ type = \"diskpart\"; });", E_DESC_MISSING,
			 "has no device");
	parse_body_fails("images = ({ slot = \"a\"; device = \"/dev/b\"; });", E_DESC_VALUE,
			 "both slot and device");
}

static void manifest_file_names_are_names_of_members(void **state)
{
	static const char *const bad[] = {"/x", "a/b", "..", ".", "../x", "x\\n", "x\\x7f", ""};
	char body[512], name[300];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		(void)snprintf(body, sizeof(body), "files = ({ filename = \"%s\"; " HASH " });",
			       bad[i]);
		parse_body_fails(body, E_DESC_VALUE, "software.files[0].filename");
	}
	memset(name, 'a', sizeof(name));
	name[256] = '\0';
	(void)snprintf(body, sizeof(body), "files = ({ filename = \"%s\"; " HASH " });", name);
	parse_body_fails(body, E_DESC_VALUE, "has 256 bytes, 255 are allowed");
	manifest_free(good("files = ({ filename = \"a..b.c\xc3\xa4\"; " HASH " });").m);
}

static void manifest_parts_are_counted_and_need_a_name(void **state)
{
	struct parse_manifest p =
		good("images = ({ filename = \"f\"; device = \"/dev/a\"; parts = 3; " HASH " });");
	char body[512], name[256];

	(void)state;
	assert_int_equal(p.m->entries[0].parts, 3);
	manifest_free(p.m);
	parse_body_fails("files = ({ filename = \"f\"; parts = 0; " HASH " });", E_DESC_NUMBER,
			 "1 to 999");
	parse_body_fails("files = ({ filename = \"f\"; parts = 1000; " HASH " });", E_DESC_NUMBER,
			 "1 to 999");
	parse_body_fails("files = ({ filename = \"f\"; parts = -1; " HASH " });", E_DESC_NUMBER,
			 "negative");
	parse_body_fails("files = ({ parts = 2; });", E_DESC_MISSING, "parts without filename");
	memset(name, 'a', sizeof(name));
	name[252] = '\0';
	(void)snprintf(body, sizeof(body), "files = ({ filename = \"%s\"; parts = 2; " HASH " });",
		       name);
	parse_body_fails(body, E_DESC_VALUE, "too long to have parts");
}

static void manifest_hash_lists_are_complete_or_refused(void **state)
{
#define LISTED "images = ({ filename = \"f\"; device = \"/dev/a\"; " HASH
	struct parse_manifest p =
		good(LISTED "hash-list = \"f.hl\"; hash-list-sha256 = \"" H64 "\"; });");

	(void)state;
	assert_string_equal(p.m->entries[0].hashes.name, "f.hl");
	assert_int_equal(p.m->entries[0].hashes.sha256[1], 0x23);
	assert_int_equal(p.m->entries[0].hashes.block, 262144);
	manifest_free(p.m);
	parse_body_fails(LISTED "hash-list = \"f.hl\"; });", E_DESC_HASH, "hash-list without");
	parse_body_fails(LISTED "hash-list-sha256 = \"" H64 "\"; });", E_DESC_MISSING,
			 "without hash-list");
	parse_body_fails(LISTED "hash-block = 65536; });", E_DESC_MISSING, "without hash-list");
	parse_body_fails(LISTED "hash-list = \"f.hl\"; hash-list-sha256 = \"12\"; });", E_DESC_HASH,
			 "64 hexadecimal");
	parse_body_fails(LISTED "hash-list = \"a/b\"; hash-list-sha256 = \"" H64 "\"; });",
			 E_DESC_VALUE, "without '/'");
	parse_body_fails(LISTED "hash-list = \"\"; hash-list-sha256 = \"" H64 "\"; });",
			 E_DESC_VALUE, "is empty");
	parse_body_fails(LISTED "hash-list = \"f.hl\"; hash-list-sha256 = \"" H64
				"\"; hash-block = 65537; });",
			 E_DESC_VALUE, "power of two");
	parse_body_fails(LISTED "hash-list = \"f.hl\"; hash-list-sha256 = \"" H64
				"\"; hash-block = 32768; });",
			 E_DESC_NUMBER, "65536 to 1048576");
	parse_body_fails(LISTED "hash-list = \"f.hl\"; hash-list-sha256 = \"" H64
				"\"; hash-block = \"2M\"; });",
			 E_DESC_NUMBER, "65536 to 1048576");
}

static void manifest_codecs_and_ciphers_are_known_by_name(void **state)
{
	static const struct {
		const char *value;
		int want;
	} codecs[] = {{"false", CODEC_NONE},	{"\"zlib\"", CODEC_GZIP}, {"\"xz\"", CODEC_XZ},
		      {"\"zstd\"", CODEC_ZSTD}, {"\"lz4\"", CODEC_LZ4},	  {"true", CODEC_GZIP}};
	static const struct {
		const char *value;
		enum cipher cipher;
		unsigned bits;
	} ciphers[] = {{"true", CIPHER_AES_CBC, 0},
		       {"\"aes-cbc\"", CIPHER_AES_CBC, 0},
		       {"\"aes-cbc-128\"", CIPHER_AES_CBC, 128},
		       {"\"aes-cbc-192\"", CIPHER_AES_CBC, 192},
		       {"\"aes-cbc-256\"", CIPHER_AES_CBC, 256},
		       {"\"aes-ctr-128\"", CIPHER_AES_CTR, 128},
		       {"\"aes-ctr-192\"", CIPHER_AES_CTR, 192},
		       {"\"aes-ctr-256\"", CIPHER_AES_CTR, 256}};
	char body[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(codecs); i++) {
		struct parse_manifest p;

		(void)snprintf(body, sizeof(body), "files = ({ compressed = %s; });",
			       codecs[i].value);
		p = good(body);
		assert_int_equal(p.m->entries[0].compressed, codecs[i].want);
		assert_int_equal(p.notes.count, !strcmp(codecs[i].value, "true"));
		manifest_free(p.m);
	}
	for (size_t i = 0; i < ARRAY_SIZE(ciphers); i++) {
		struct parse_manifest p;

		(void)snprintf(body, sizeof(body), "files = ({ encrypted = %s; });",
			       ciphers[i].value);
		p = good(body);
		assert_int_equal(entry_cipher(p.m->entries)->cipher, ciphers[i].cipher);
		assert_int_equal(entry_cipher(p.m->entries)->bits, ciphers[i].bits);
		assert_true(i == 0 || strstr(ciphers[i].value, entry_cipher(p.m->entries)->name));
		manifest_free(p.m);
	}
	parse_body_fails("files = ({ compressed = \"gzip\"; });", E_DESC_VALUE, "\"zlib\"");
	parse_body_fails("files = ({ compressed = \"\"; });", E_DESC_VALUE, "must be one of");
	parse_body_fails("files = ({ encrypted = \"aes\"; });", E_DESC_VALUE, "aes-cbc");
	parse_body_fails("files = ({ encrypted = 1; });", E_DESC_TYPE, "aes-cbc");
}

static void manifest_keys_of_each_length_arrive(void **state)
{
	static const unsigned lengths[] = {16, 24, 32};
	char body[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct parse_manifest p;

		(void)snprintf(body, sizeof(body),
			       "files = ({ aes-key = \"%.*s\"; ivt = \"%.32s\"; });",
			       (int)lengths[i] * 2, H64, H64);
		p = good(body);
		assert_int_equal(p.m->entries[0].aes_key_len, lengths[i]);
		assert_true(p.m->entries[0].has_aes_key && p.m->entries[0].has_ivt);
		assert_int_equal(p.m->entries[0].ivt[15], 0xef);
		manifest_free(p.m);
	}
	parse_body_fails("files = ({ aes-key = \"00\"; });", E_DESC_VALUE, "aes-key");
	parse_body_fails("files = ({ ivt = \"00\"; });", E_DESC_VALUE, "32 hexadecimal");
}

static void manifest_properties_keep_their_order_and_values(void **state)
{
	struct parse_manifest p =
		good("files = ({ properties = { b = \"1\"; a = [ \"x\", \"y\" ]; c = (\"\");\n"
		     "n = 5; e = (); m = (\"x\", 1); g = { x = \"1\"; }; }; });");
	const struct entry *t = p.m->entries;

	(void)state;
	assert_int_equal(t->prop_count, 3);
	assert_string_equal(t->props[0].name, "b");
	assert_string_equal(t->props[1].name, "a");
	assert_string_equal(t->props[2].values[0], "");
	assert_string_equal(entry_property(t, "a"), "y");
	assert_string_equal(entry_properties(t, "a")->values[0], "x");
	assert_null(entry_property(t, "n"));
	assert_null(entry_properties(t, "zz"));
	assert_int_equal(p.notes.count, 4);
	assert_non_null(strstr(p.notes.text, "line 3: property n is neither"));
	manifest_free(p.m);
	p = good("files = ({ properties = { }; });");
	assert_int_equal(p.m->entries[0].prop_count, 0);
	manifest_free(p.m);
	parse_body_fails("files = ({ properties = \"x\"; });", E_DESC_TYPE, "must be a group");
	parse_body_fails("files = ({ properties = { decompressed-size = \"1X\"; }; });",
			 E_DESC_NUMBER, "properties.decompressed-size");
}

static void manifest_variables_are_set_or_removed_and_the_first_counts(void **state)
{
	struct parse_manifest p = good(
		"bootenv = ({ name = \"a\"; value = \"1\"; }, { name = \"b\"; value = \"\"; },\n"
		"{ name = \"c\"; }, { filename = \"env\"; " HASH " },\n"
		"{ name = \"a\"; value = \"2\"; });\n"
		"uboot = ({ name = \"u\"; value = \"3\"; });\n"
		"vars = ({ name = \"a\"; value = \"4\"; });");

	(void)state;
	assert_int_equal(p.m->bootenv_count, 3);
	assert_string_equal(p.m->bootenv[0].value, "1");
	assert_null(p.m->bootenv[1].value);
	assert_null(p.m->bootenv[2].value);
	assert_int_equal(p.m->bootenv[2].line, 3);
	assert_int_equal(p.m->entry_count, 1);
	assert_int_equal(p.m->entries[0].section, SECTION_BOOTENV);
	assert_int_equal(p.m->entries[0].index, 3);
	assert_int_equal(p.m->var_count, 1);
	assert_string_equal(p.m->vars[0].value, "4");
	assert_int_equal(p.notes.count, 1);
	assert_non_null(strstr(p.notes.text, "line 4: a is set in line 2 already"));
	manifest_free(p.m);
	p = good("uboot = ({ name = \"u\"; value = \"3\"; });");
	assert_string_equal(p.m->bootenv[0].name, "u");
	manifest_free(p.m);
	parse_body_fails("bootenv = ({ value = \"1\"; });", E_DESC_MISSING, "has no name");
	parse_body_fails("bootenv = ({ name = \"\"; });", E_DESC_VALUE, "is empty");
	parse_body_fails("bootenv = ({ name = \"a\"; value = 1; });", E_DESC_TYPE,
			 "software.bootenv[0].value must be a text");
	parse_body_fails("vars = ({ filename = \"f\"; });", E_DESC_MISSING, "has no name");
}

static void manifest_without_anything_to_install_is_an_error(void **state)
{
	(void)state;
	parse_body_fails("", E_DESC_EMPTY, "no images");
	parse_body_fails("images = (); files = ();", E_DESC_EMPTY, "no images");
	parse_body_fails("vars = ({ name = \"a\"; });", E_DESC_EMPTY, "vars alone");
	manifest_free(good("scripts = ({ type = \"x\"; });").m);
}

static void whole_fails(const char *text, enum errcode code)
{
	struct parse_manifest p = parse_manifest(text, NULL);

	assert_true(p.rc < 0);
	assert_int_equal(p.err.code, code);
	assert_non_null(strstr(p.err.where, "sw-description"));
}

static void manifest_lacking_its_root_or_version_is_an_error(void **state)
{
	(void)state;
	whole_fails("", E_DESC_MISSING);
	whole_fails("{}", E_DESC_MISSING);
	whole_fails("Software = { };", E_DESC_MISSING);
	whole_fails("software = 5;", E_DESC_MISSING);
	whole_fails("software = ();", E_DESC_MISSING);
	whole_fails("software = { scripts = ({ type = \"x\"; }); };", E_DESC_MISSING);
	whole_fails("software = { version = \"\"; };", E_DESC_VALUE);
	whole_fails("software = { version = 1; };", E_DESC_TYPE);
	whole_fails("software = { version = \"1\"", E_DESC_SYNTAX);
}

static void manifest_unknown_keys_are_noted_or_refused(void **state)
{
	static const char text[] =
		"software = { version = \"1\"; desciption = \"x\"; files = ({ filenam = \"f\"; path = \"/x\"; });\n"
		"bootenv = ({ name = \"a\"; valu = \"1\"; }); anything = ({ x = 1; }); board = { s = { }; }; };";
	const struct manifest_options strict = {.strict = true};
	struct parse_manifest p = parse_manifest(text, NULL);

	(void)state;
	assert_int_equal(p.rc, 0);
	assert_int_equal(p.notes.count, 3);
	assert_non_null(strstr(p.notes.text,
			       "software.desciption is not known; did you mean description?"));
	assert_non_null(strstr(p.notes.text,
			       "software.files[0].filenam is not known; did you mean filename?"));
	assert_non_null(
		strstr(p.notes.text, "software.bootenv[0].valu is not known; did you mean value?"));
	manifest_free(p.m);
	p = parse_manifest(text, &strict);
	assert_int_equal(p.err.code, E_DESC_UNKNOWN);
	p = parse_manifest(
		"software = { version = \"1\"; files = ({ properties = { x = 1; }; }); };",
		&strict);
	assert_int_equal(p.err.code, E_PROPERTY);
}

static void manifest_sections_have_names(void **state)
{
	(void)state;
	assert_string_equal(section_name(SECTION_IMAGES), "images");
	assert_string_equal(section_name(SECTION_FILES), "files");
	assert_string_equal(section_name(SECTION_SCRIPTS), "scripts");
	assert_string_equal(section_name(SECTION_PARTITIONS), "partitions");
	assert_string_equal(section_name(SECTION_BOOTENV), "bootenv");
	assert_string_equal(section_name(SECTION_VARS), "vars");
	assert_string_equal(section_name((enum section)0), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(manifest_a_signed_image_arrives_with_every_attribute),
		cmocka_unit_test(manifest_top_level_elements_arrive),
		cmocka_unit_test(manifest_absent_is_a_flag_or_null),
		cmocka_unit_test(manifest_types_have_their_defaults),
		cmocka_unit_test(manifest_file_names_are_names_of_members),
		cmocka_unit_test(manifest_parts_are_counted_and_need_a_name),
		cmocka_unit_test(manifest_hash_lists_are_complete_or_refused),
		cmocka_unit_test(manifest_codecs_and_ciphers_are_known_by_name),
		cmocka_unit_test(manifest_keys_of_each_length_arrive),
		cmocka_unit_test(manifest_properties_keep_their_order_and_values),
		cmocka_unit_test(manifest_variables_are_set_or_removed_and_the_first_counts),
		cmocka_unit_test(manifest_without_anything_to_install_is_an_error),
		cmocka_unit_test(manifest_lacking_its_root_or_version_is_an_error),
		cmocka_unit_test(manifest_unknown_keys_are_noted_or_refused),
		cmocka_unit_test(manifest_sections_have_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
