/* One tree for both syntaxes. */
#include "corelib/base/arena.h"
#include "kit/parse_help.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void node_tree_of_libconfig_is_as_written(void **state)
{
	(void)state;
	parse_tree_is(
		"a = 1; b : \"two\", c = { d = true e = (1, \"x\", { f = [ 1, 2 ] }) }",
		"a = 1;\nb = \"two\";\nc = {\n\td = true;\n\te = (1, \"x\", {\n\t\t\tf = (1, 2);\n\t\t});\n};\n");
	parse_tree_is("", "");
	parse_tree_is("a = ()\nb = []\nc = {}", "a = ();\nb = ();\nc = {\n};\n");
	parse_tree_is("a = ({ b = 1; }, { b = 2; });",
		      "a = (\n\t{\n\t\tb = 1;\n\t},\n\t{\n\t\tb = 2;\n\t}\n);\n");
}

struct twin {
	const char *config, *json;
};

static void node_a_json_text_and_its_libconfig_twin_are_equal(void **state)
{
	static const struct twin twins[] = {
		{"a = 1;", "{\"a\": 1}"},
		{"", "{}"},
		{"a = -9223372036854775808L; b = 9223372036854775807L;",
		 "{\"a\":-9223372036854775808,\"b\":9223372036854775807}"},
		{"a = \"x\\n\\t\\\"\\\\\xc3\xa4\";", "{\"a\":\"x\\n\\t\\\"\\\\\\u00e4\"}"},
		{"a = \"\xf0\x9f\x98\x80\";", "{\"a\":\"\\ud83d\\ude00\"}"},
		{"a = { b = { c = (1, 2.5, true, \"s\", ({ d = 0 })) } }",
		 "{\"a\":{\"b\":{\"c\":[1,2.5,true,\"s\",[{\"d\":0}]]}}}"},
		{"a = 1e30 b = 1.5e-7 c = -0.0", "{\"a\":1e30,\"b\":1.5e-7,\"c\":-0.0}"},
		{"z = 1; a = 2; m = 3;", "{\"z\":1,\"a\":2,\"m\":3}"},
		{"a = \"\";", "{\"a\":\"\"}"},
	};
	char one[4096], two[4096];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(twins); i++) {
		struct parse_tree a = parse_tree(twins[i].config), b = parse_tree(twins[i].json);

		assert_int_equal(a.rc, 0);
		assert_int_equal(b.rc, 0);
		assert_true(node_print(a.root, one, sizeof(one)) >= 0);
		assert_true(node_print(b.root, two, sizeof(two)) >= 0);
		assert_string_equal(one, two);
		parse_tree_clear(&a);
		parse_tree_clear(&b);
	}
}

static void node_knows_its_line_in_both_syntaxes(void **state)
{
	const char *const texts[] = {
		"# one\n\na = \"x\ny\"\n \"z\";\n/* \n */ b = (\n1,\n2 );",
		"{\n\n\"a\":\n\n\n \"x\", \"x\":\n\"y\",\"b\":[\n1,\n2]}",
	};
	const unsigned a[] = {3, 6}, b[] = {7, 7};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct parse_tree t = parse_tree(texts[i]);

		assert_int_equal(t.rc, 0);
		assert_int_equal(node_find(t.root, "a")->line, a[i]);
		assert_int_equal(node_find(t.root, "b")->line, b[i]);
		assert_int_equal(node_find(t.root, "b")->child->line, 8);
		assert_int_equal(node_find(t.root, "b")->child->next->line, 9);
		parse_tree_clear(&t);
	}
}

static void node_paths_lead_from_the_root(void **state)
{
	struct parse_tree t = parse_tree("software = { images = ({}, { sha256 = \"x\"; }); };");
	const struct node *n =
		node_find(node_find(t.root, "software"), "images")->child->next->child;
	char path[64];

	(void)state;
	node_path(n, path, sizeof(path));
	assert_string_equal(path, "software.images[1].sha256");
	node_path(n->parent, path, sizeof(path));
	assert_string_equal(path, "software.images[1]");
	node_path(t.root, path, sizeof(path));
	assert_string_equal(path, "");
	node_path(n, path, 12);
	assert_string_equal(path, "software");
	parse_tree_clear(&t);
}

static void node_find_takes_groups_only(void **state)
{
	struct parse_tree t = parse_tree("a = (1); b = 2;");

	(void)state;
	assert_null(node_find(NULL, "a"));
	assert_null(node_find(node_find(t.root, "a"), "a"));
	assert_null(node_find(node_find(t.root, "b"), "a"));
	assert_null(node_find(t.root, "c"));
	parse_tree_clear(&t);
}

static void node_print_says_when_it_does_not_fit(void **state)
{
	struct parse_tree t =
		parse_tree("a = { b = (\"x\", 1, true), c = ({ d = 1.5 }); }; e = 5000000000L");
	char out[256];
	int whole;

	(void)state;
	whole = node_print(t.root, out, sizeof(out));
	assert_true(whole > 0);
	assert_non_null(strstr(out, "e = 5000000000L;"));
	for (int n = 0; n <= whole; n++)
		assert_int_equal(node_print(t.root, out, (size_t)n), -ENOSPC);
	assert_int_equal(node_print(t.root, out, (size_t)whole + 1), whole);
	assert_int_equal(node_print(node_find(t.root, "e"), out, sizeof(out)), 11);
	parse_tree_clear(&t);
}

static void node_print_refuses_what_libconfig_cannot_say(void **state)
{
	static const char *const texts[] = {"{\"a\":null}", "{\"a b\":1}",  "{\"\":1}",
					    "{\"1\":1}",    "{\"true\":1}", "{\"False\":1}"};
	char out[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct parse_tree t = parse_tree(texts[i]);

		assert_int_equal(t.rc, 0);
		assert_int_equal(node_print(t.root, out, sizeof(out)), -EINVAL);
		parse_tree_clear(&t);
	}
}

static void node_types_have_names(void **state)
{
	(void)state;
	for (int t = NODE_GROUP; t <= NODE_NULL; t++)
		assert_string_not_equal(node_type_name((enum node_type)t), "unknown");
	assert_string_equal(node_type_name((enum node_type)99), "unknown");
}

static void node_what_is_printed_reads_the_same_again(void **state)
{
	struct parse_tree t = parse_tree(
		"s = { a = \"q\\\"\\\\\\r\\n\\t\xc3\xa4\"; b = -7; c = (true, 0.1, ()); };"
		"l = ({ x = 1; }, { });");
	char one[1024], two[1024];
	struct parse_tree again;

	(void)state;
	assert_true(node_print(t.root, one, sizeof(one)) > 0);
	again = parse_tree(one);
	assert_int_equal(again.rc, 0);
	assert_true(node_print(again.root, two, sizeof(two)) > 0);
	assert_string_equal(one, two);
	parse_tree_clear(&t);
	parse_tree_clear(&again);
}

static void node_memory_used_up_is_an_error(void **state)
{
	static const char *const texts[] = {"a = \"x\"; b = (1, 2);", "{\"a\":\"x\",\"b\":[1,2]}"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		bool done = false;

		for (size_t cap = 0; !done && cap < 4096; cap += 8) {
			struct arena *a = arena_new(cap);
			const struct node *root = NULL;
			struct err e = {0};
			int rc = node_parse(&root, texts[i], strlen(texts[i]), a, NULL, &e);

			done = rc == 0;
			if (!done)
				assert_int_equal(e.code, E_MEMORY);
			arena_free(a);
		}
		assert_true(done);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(node_tree_of_libconfig_is_as_written),
		cmocka_unit_test(node_a_json_text_and_its_libconfig_twin_are_equal),
		cmocka_unit_test(node_knows_its_line_in_both_syntaxes),
		cmocka_unit_test(node_paths_lead_from_the_root),
		cmocka_unit_test(node_find_takes_groups_only),
		cmocka_unit_test(node_print_says_when_it_does_not_fit),
		cmocka_unit_test(node_print_refuses_what_libconfig_cannot_say),
		cmocka_unit_test(node_types_have_names),
		cmocka_unit_test(node_what_is_printed_reads_the_same_again),
		cmocka_unit_test(node_memory_used_up_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
