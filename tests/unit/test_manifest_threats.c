/* Descriptions made to harm: hashes (T4), types (T35), sizes, damage, memory that ends. */
#include "kit/parse_help.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit/fail_malloc.h"

static void t4_entry_without_a_usable_hash_is_refused(void **state)
{
	static const char *const hashes[] = {
		"",
		"sha256 = \"\";",
		"sha256 = \"0000000000000000000000000000000000000000000000000000000000000000\";",
		"sha256 = \"123456789abcdef0123456789abcdef0123456789abcdef0123456789ABCDEF\";",
		"sha256 = \"" H64 "0\";",
		"sha256 = \"g123456789abcdef0123456789abcdef0123456789abcdef0123456789ABCDEF\";",
		"sha256 = 5;",
		"sha256 = [ \"" H64 "\" ];",
		"sha256 = true;",
		"sha256 = \" " H64 "\";",
	};
	static const char *const sections[] = {"images", "files", "scripts", "partitions",
					       "bootenv"};
	char body[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hashes); i++)
		for (size_t k = 0; k < ARRAY_SIZE(sections); k++) {
			(void)snprintf(body, sizeof(body),
				       "%s = ({ filename = \"f\"; device = \"/dev/a\"; %s });",
				       sections[k], hashes[i]);
			parse_body_fails(body, E_DESC_HASH, "software.");
		}
}

static void t4_hash_is_not_asked_for_where_signatures_are_not(void **state)
{
	const struct manifest_options o = {.hash_required = false};
	const char *text = "software = { version = \"1\"; files = ({ filename = \"f\"; }); };";
	struct parse_manifest p = parse_manifest(text, &o);

	(void)state;
	assert_int_equal(p.rc, 0);
	assert_false(p.m->entries[0].has_sha256);
	manifest_free(p.m);
	p = parse_manifest(
		"software = { version = \"1\"; files = ({ filename = \"f\"; sha256 = \"1\"; }); };",
		&o);
	assert_int_equal(p.err.code, E_DESC_HASH);
}

/* every known key with a value of every type: only the right ones are taken (T35) */
static const char *const values[] = {"{ }", "({ })", "(\"x\")", "\"zz\"",     "5",
				     "-5",  "true",  "2.5",	"5000000000L"};

static unsigned accepted(const struct attr *a)
{
	switch (a->type) {
	case ATTR_STRING:
		return 1u << 3;
	case ATTR_BOOL:
	case ATTR_BOOL_OR_ENUM:
	case ATTR_SWITCH:
		return 1u << 6;
	case ATTR_SIZE:
		return 1u << 4 | 1u << 8;
	case ATTR_STRINGS:
		return 1u << 2 | 1u << 3;
	case ATTR_GROUP:
		return 1u << 0;
	case ATTR_LIST:
		return 1u << 0 | 1u << 1;
	default:
		return 0;
	}
}

static void t35_key(const struct attr *a, const char *before, const char *behind)
{
	unsigned takes = accepted(a);
	char body[512];

	for (unsigned v = 0; v < ARRAY_SIZE(values); v++) {
		struct parse_manifest p;

		(void)snprintf(body, sizeof(body), "%s%s = %s;%s", before, a->name, values[v],
			       behind);
		p = parse_body(body);
		/* a value of the right type may be refused for what it says */
		if (!(takes & 1u << v) && p.rc == 0)
			fail_msg("%s is accepted", body);
		if (p.rc == 0) {
			manifest_free(p.m);
		} else if (!(takes & 1u << v)) {
			assert_in_range(p.err.code, E_DESC_TYPE, E_DESC_VALUE);
			assert_non_null(strstr(p.err.where, ", line 2"));
		}
	}
}

static void t35_every_known_key_takes_only_its_type(void **state)
{
	(void)state;
	for (size_t i = 0; i < entry_schema.count; i++)
		t35_key(&entry_schema.rows[i],
			entry_schema.rows[i].where & SECTION_SCRIPTS ? "scripts = ({"
								     : "files = ({",
			"});");
	for (size_t i = 0; i < manifest_schema.count; i++) {
		const struct attr *a = manifest_schema.rows + i;

		if (strcmp(a->name, "version") && strcmp(a->name, "uboot"))
			t35_key(a, "", "");
	}
	for (size_t i = 0; i < boot_var_schema.count; i++)
		t35_key(&boot_var_schema.rows[i], "bootenv = ({", "});");
}

static void manifest_larger_texts_are_read_when_allowed(void **state)
{
	struct manifest_options o = {.max_bytes = 3 << 20};
	size_t n = 2 << 20;
	AUTO_FREE char *text = malloc(n);
	struct parse_manifest p;

	(void)state;
	assert_non_null(text);
	memset(text, ' ', n);
	(void)snprintf(text, n, "software = { version = \"1\"; scripts = ({ type = \"x\"; }); };");
	text[strlen(text)] = ' ';
	text[n - 1] = '\0';
	p = parse_manifest(text, &o);
	assert_int_equal(p.rc, 0);
	manifest_free(p.m);
	p = parse_manifest(text, NULL);
	assert_int_equal(p.err.code, E_DESC_LIMIT);
}

static void manifest_too_many_variables_are_refused(void **state)
{
	static char text[200000];
	int at = snprintf(text, sizeof(text), "software = { version = \"1\"; bootenv = (");
	struct parse_manifest p;

	(void)state;
	for (int i = 0; i < 4097; i++)
		at += snprintf(text + at, sizeof(text) - (size_t)at, "%s{ name = \"v%d\"; }",
			       i ? "," : "", i);
	(void)snprintf(text + at, sizeof(text) - (size_t)at, "); };");
	p = parse_manifest(text, NULL);
	assert_int_equal(p.err.code, E_DESC_LIMIT);
	assert_non_null(strstr(p.err.why, "too many variables"));
}

static const char everything[] =
	"{\"software\":{\"version\":\"1\",\"hardware-compatibility\":[\"1\",\"2\"],\"x\":5,"
	"\"images\":[{\"filename\":\"f\",\"device\":\"/dev/a\",\"compressed\":true,\"sha256\":\"" H64
	"\","
	"\"aes-key\":\"" H64
	"\",\"properties\":{\"a\":\"1\",\"b\":[\"x\",\"y\"],\"decompressed-size\":\"1K\"}}],"
	"\"files\":[{\"ref\":\"#./common\"}],\"common\":[{\"path\":\"/x\"}],"
	"\"bootenv\":[{\"name\":\"a\",\"value\":\"1\"}],\"vars\":[{\"name\":\"v\"}],\"s\":{\"m\":{\"files\":[]}}}}";

static void manifest_survives_every_failed_allocation(void **state)
{
	const struct manifest_options o = {.hash_required = true};

	(void)state;
	if (!fail_malloc_works())
		skip();
	for (unsigned n = 1;; n++) {
		struct manifest *m = NULL;
		struct err e = {0};
		int rc;

		fail_malloc_at(n);
		rc = manifest_parse(&m, everything, strlen(everything), &o, &e);
		if (!fail_malloc_off()) {
			assert_int_equal(rc, 0);
			manifest_free(m);
			break;
		}
		/* jansson loses a byte of a long key where memory ends; the guard's notes tell */
		if (e.code != E_DESC_SYNTAX || !strstr(e.why, "read in two ways"))
			assert_int_equal(e.code, E_MEMORY);
		assert_true(rc < 0);
	}
}

static void manifest_cut_and_flipped_texts_never_harm(void **state)
{
	static char copy[sizeof(everything)];
	size_t n = strlen(everything);
	unsigned good_ones = 0;

	(void)state;
	for (size_t at = 0; at < n; at++)
		for (unsigned bit = 0; bit <= 8; bit++) {
			struct parse_manifest p;

			memcpy(copy, everything, n + 1);
			copy[at] = bit == 8 ? '\0' : (char)(copy[at] ^ (1 << bit));
			p = parse_manifest(copy, NULL);
			assert_true(p.rc == 0 || p.err.code != E_NONE);
			if (p.rc == 0) {
				good_ones++;
				manifest_free(p.m);
			}
		}
	assert_true(good_ones > 0);
}

/* the arena takes memory in blocks: padding moves each small request to the edge of one */
static void manifest_survives_memory_that_ends_anywhere(void **state)
{
	const struct manifest_options o = {.hash_required = true};
	static char text[12000], pad[9000];

	(void)state;
	if (!fail_malloc_works())
		skip();
	for (size_t n = 0; n < 8400; n += 40) {
		memset(pad, 'x', n);
		pad[n] = '\0';
		(void)snprintf(text, sizeof(text), "{\"software\":{\"pad\":\"%s\",%s", pad,
			       everything + 13);
		for (unsigned at = 1;; at++) {
			struct manifest *m = NULL;
			struct err e = {0};
			int rc;

			fail_malloc_ours_at(at);
			rc = manifest_parse(&m, text, strlen(text), &o, &e);
			if (!fail_malloc_off()) {
				assert_int_equal(rc, 0);
				manifest_free(m);
				break;
			}
			assert_int_equal(rc, -ENOMEM);
			assert_int_equal(e.code, E_MEMORY);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t4_entry_without_a_usable_hash_is_refused),
		cmocka_unit_test(t4_hash_is_not_asked_for_where_signatures_are_not),
		cmocka_unit_test(t35_every_known_key_takes_only_its_type),
		cmocka_unit_test(manifest_larger_texts_are_read_when_allowed),
		cmocka_unit_test(manifest_too_many_variables_are_refused),
		cmocka_unit_test(manifest_survives_every_failed_allocation),
		cmocka_unit_test(manifest_cut_and_flipped_texts_never_harm),
		cmocka_unit_test(manifest_survives_memory_that_ends_anywhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
