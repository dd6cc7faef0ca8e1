/* Code of the bundle makes a new entry of an old one: every rule of the parser holds for it too. */
#include "kit/parse_help.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/kit/fail_malloc.h"

#define HASH "sha256 = \"" H64 "\";"
#define TWO                                                                                        \
	"images = ({ filename = \"a\"; device = \"/dev/x\"; " HASH " hook = \"f\"; },\n"           \
	"          { filename = \"b\"; device = \"/dev/y\"; " HASH " });\n"                        \
	"bootenv = ({ name = \"slot\"; value = \"1\"; hook = \"g\"; },\n"                          \
	"           { name = \"other\"; value = \"2\"; });"

static const struct manifest_options signed_bundle = {.hash_required = true};

/* a group as code would have made it: in the manifest's arena */
static const struct node *group(const struct manifest *m, const char *text)
{
	const struct node_limits l = {0};
	const struct node *root = NULL;
	struct err e = {0};
	char whole[1024];

	snprintf(whole, sizeof(whole), "g = { %s };", text);
	assert_int_equal(node_parse(&root, whole, strlen(whole), m->arena, &l, &e), 0);
	return root->child;
}

static int amend_first(struct manifest **m, const char *text, struct err *e)
{
	struct amendment list[2] = {{AMEND_REPLACE, group(*m, text)}, {AMEND_KEEP, NULL}};
	const struct amendments a = {.entries = list};

	return manifest_amend(m, &a, &signed_bundle, e);
}

static void a_new_entry_stands_beside_the_old_one_which_is_not_touched(void **state)
{
	struct parse_manifest p = parse_body(TWO);
	struct manifest *old = p.m;
	const struct entry was = p.m->entries[0];
	struct err e = {0};

	(void)state;
	assert_int_equal(amend_first(&p.m,
				     "filename = \"a\"; device = \"/dev/z\"; type = \"raw\"; " HASH
				     " offset = \"1M\"; hook = \"f\";",
				     &e),
			 0);
	assert_ptr_not_equal(p.m, old);
	assert_memory_equal(&was, &old->entries[0], sizeof(was));
	assert_string_equal(p.m->entries[0].device, "/dev/z");
	assert_int_equal(p.m->entries[0].offset, 1 << 20);
	assert_int_equal(p.m->entries[0].section, SECTION_IMAGES);
	assert_int_equal(p.m->entries[0].line, was.line);
	assert_string_equal(p.m->entries[1].device, "/dev/y");
	assert_int_equal(p.m->bootenv_count, 2);
	manifest_free(p.m);
}

static void t43_what_the_parser_refuses_code_cannot_make(void **state)
{
	static const struct {
		const char *text;
		enum errcode code;
	} rows[] = {
		{"filename = \"a\"; device = \"/dev/z\";", E_DESC_HASH},
		{"filename = \"a\"; device = \"/dev/z\"; sha256 = \"\";", E_DESC_HASH},
		{"filename = \"a\"; device = \"/dev/z\"; sha256 = \"12\";", E_DESC_HASH},
		{"filename = \"../a\"; device = \"/dev/z\"; " HASH, E_DESC_VALUE},
		{"filename = \"a\"; device = \"/dev/z\"; slot = \"rootfs\"; " HASH, E_DESC_VALUE},
		{"filename = \"a\"; " HASH, E_DESC_MISSING},
		{"filename = \"a\"; device = \"/dev/z\"; offset = -1; " HASH, E_DESC_NUMBER},
		{"filename = \"a\"; device = 5; " HASH, E_DESC_TYPE},
		{"filename = \"a\"; device = \"/dev/z\"; compressed = \"rar\"; " HASH,
		 E_DESC_VALUE},
		{"filename = \"a\"; device = \"/dev/z\"; encrypted = \"rot13\"; " HASH,
		 E_DESC_VALUE},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct parse_manifest p = parse_body(TWO);
		struct manifest *old = p.m;
		struct err e = {0};

		assert_true(amend_first(&p.m, rows[i].text, &e) < 0);
		if (e.code != rows[i].code)
			fail_msg("%s: %s", rows[i].text, e.why);
		assert_non_null(strstr(e.where, "images[0] (a, line 2)"));
		assert_ptr_equal(p.m, old);
		manifest_free(p.m);
	}
}

/* even where root allows bundles without signature: the entry had one */
static void a_hash_that_was_there_stays_there(void **state)
{
	static const struct manifest_options loose = {.hash_required = false};
	struct parse_manifest p = parse_body(TWO);
	struct amendment list[2] = {{AMEND_REPLACE, NULL}, {AMEND_KEEP, NULL}};
	const struct amendments a = {.entries = list};
	struct err e = {0};

	(void)state;
	list[0].group = group(p.m, "filename = \"a\"; device = \"/dev/z\";");
	assert_true(manifest_amend(&p.m, &a, &loose, &e) < 0);
	assert_int_equal(e.code, E_DESC_HASH);
	manifest_free(p.m);
}

static void what_is_left_out_is_gone_and_nothing_at_all_is_no_update(void **state)
{
	struct parse_manifest p = parse_body(TWO);
	struct amendment list[2] = {{AMEND_LEAVE_OUT, NULL}, {AMEND_KEEP, NULL}};
	struct amendment vars[2] = {{AMEND_KEEP, NULL}, {AMEND_LEAVE_OUT, NULL}};
	struct amendments a = {.entries = list, .bootenv = vars};
	struct err e = {0};

	(void)state;
	assert_int_equal(manifest_amend(&p.m, &a, &signed_bundle, &e), 0);
	assert_int_equal(p.m->entry_count, 1);
	assert_string_equal(p.m->entries[0].filename, "b");
	assert_int_equal(p.m->entries[0].index, 1);
	assert_int_equal(p.m->bootenv_count, 1);
	vars[0].what = AMEND_LEAVE_OUT;
	assert_true(manifest_amend(&p.m, &a, &signed_bundle, &e) < 0);
	assert_int_equal(e.code, E_DESC_EMPTY);
	manifest_free(p.m);
}

static void a_variable_takes_another_value_and_keeps_its_name(void **state)
{
	struct parse_manifest p = parse_body(TWO);
	struct amendment vars[2] = {{AMEND_REPLACE, NULL}, {AMEND_KEEP, NULL}};
	const struct amendments a = {.bootenv = vars};
	struct err e = {0};

	(void)state;
	assert_string_equal(p.m->bootenv[0].hook, "g");
	vars[0].group = group(p.m, "name = \"slot\"; value = \"7\";");
	assert_int_equal(manifest_amend(&p.m, &a, &signed_bundle, &e), 0);
	assert_string_equal(p.m->bootenv[0].value, "7");
	assert_string_equal(p.m->bootenv[1].value, "2");
	assert_int_equal(p.m->entry_count, 2);
	vars[0].group = group(p.m, "value = \"7\";");
	assert_true(manifest_amend(&p.m, &a, &signed_bundle, &e) < 0);
	assert_int_equal(e.code, E_DESC_MISSING);
	manifest_free(p.m);
}

static void memory_that_runs_out_leaves_the_old_manifest(void **state)
{
	struct parse_manifest p = parse_body(TWO);
	struct amendment list[2] = {{AMEND_REPLACE, NULL}, {AMEND_KEEP, NULL}};
	const struct amendments a = {.entries = list};
	struct manifest *old = p.m;

	(void)state;
	list[0].group = group(p.m, "filename = \"a\"; device = \"/dev/z\"; " HASH);
	for (unsigned n = 1; p.m == old && fail_malloc_works(); n++) {
		struct err e = {0};

		fail_malloc_at(n);
		if (manifest_amend(&p.m, &a, &signed_bundle, &e) < 0)
			assert_int_equal(e.code, E_MEMORY);
		if (!fail_malloc_off())
			assert_ptr_not_equal(p.m, old);
	}
	manifest_free(p.m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_entry_stands_beside_the_old_one_which_is_not_touched),
		cmocka_unit_test(t43_what_the_parser_refuses_code_cannot_make),
		cmocka_unit_test(a_hash_that_was_there_stays_there),
		cmocka_unit_test(what_is_left_out_is_gone_and_nothing_at_all_is_no_update),
		cmocka_unit_test(a_variable_takes_another_value_and_keeps_its_name),
		cmocka_unit_test(memory_that_runs_out_leaves_the_old_manifest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
