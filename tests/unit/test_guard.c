/* The guard: what a library may see at all (T33 to T39). */
#include "corelib/base/arena.h"
#include "kit/parse_help.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kit/fail_malloc.h"
#include "parser/text/guard.h"

struct bad {
	const char *text;
	enum errcode code;
	unsigned line;
};

static void all_fail(const struct bad *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		parse_tree_fails(rows[i].text, rows[i].code, rows[i].line);
}

static void t33_include_is_refused_in_every_form(void **state)
{
	static const struct bad rows[] = {
		{"@include \"/etc/shadow\"\n", E_DESC_INCLUDE, 1},
		{"a = 1;\n\t @include \"x\"\n", E_DESC_INCLUDE, 2},
		{"a = { \n@include \"/etc/*.cfg\"\n };", E_DESC_INCLUDE, 2},
		{"a = @include \"x\"", E_DESC_INCLUDE, 1},
		{"a = (\n/* */ @include \"x\")", E_DESC_INCLUDE, 2},
		{"a = \"x\"\n@include\n", E_DESC_INCLUDE, 2},
		{"@dir \"x\"", E_DESC_SYNTAX, 1},
		{"{\"a\":1}\n@include \"x\"", E_DESC_SYNTAX, 2},
	};

	(void)state;
	all_fail(rows, ARRAY_SIZE(rows));
}

static void t33_include_in_texts_and_comments_is_only_text(void **state)
{
	(void)state;
	parse_tree_is("a = \"\n@include \\\"/etc/shadow\\\"\n\";",
		      "a = \"\\n@include \\\"/etc/shadow\\\"\\n\";\n");
	parse_tree_is("# @include \"x\"\n// @include \"y\"\n/*\n@include \"z\"\n*/ a = 1",
		      "a = 1;\n");
}

static char *repeat(const char *s, size_t times, size_t room)
{
	size_t n = strlen(s);
	char *out = malloc(n * times + room + 1);

	assert_non_null(out);
	for (size_t i = 0; i < times; i++)
		memcpy(out + i * n, s, n);
	memset(out + n * times, 0, room + 1);
	return out;
}

static void t34_nesting_is_bounded_at_64(void **state)
{
	static const char *const opens[] = {"a={", "(", "{\"a\":", "["};
	char text[1024];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(opens); i++) {
		AUTO_FREE char *deep = repeat(opens[i], 100000, 0);
		struct parse_tree t;

		(void)snprintf(text, sizeof(text), "%.900s", deep);
		if (opens[i][0] == '(' || opens[i][0] == '[')
			memcpy(text, i == 1 ? "a=(" : "{\"a\":[", i == 1 ? 3 : 6);
		parse_tree_fails(text, E_DESC_LIMIT, 1);
		t = parse_tree_n(deep, strlen(deep), NULL);
		assert_true(t.rc < 0);
		parse_tree_clear(&t);
	}
	/* exactly 64: the list of the root is the first, so 63 or 64 brackets */
	(void)snprintf(text, sizeof(text), "a=%.64s%.64s;",
		       "((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((",
		       "))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))");
	{
		struct parse_tree t = parse_tree(text);

		assert_int_equal(t.rc, 0);
		parse_tree_clear(&t);
	}
}

/* both syntaxes at full depth in a stack of 256 KiB */
static void t34_deepest_text_fits_a_small_stack(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0) {
		const struct rlimit small = {256 << 10, 256 << 10};
		char config[] =
			"a=((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((";
		char text[160];
		struct parse_tree t;

		setrlimit(RLIMIT_STACK, &small);
		memset(text, ')', sizeof(text));
		memcpy(text, config, strlen(config));
		t = parse_tree_n(text, 2 * strlen(config) - 2, NULL);
		_exit(t.rc == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void t34_values_bytes_texts_and_keys_are_bounded(void **state)
{
	AUTO_FREE char *many = repeat("1,", 70000, 8), *big = repeat("x", 70000, 8);
	AUTO_FREE char *huge = repeat(" ", (1 << 20) + 1, 0), *keys = malloc(40000);
	size_t at = 0;

	(void)state;
	memcpy(many, "a= (", 4);
	parse_tree_fails(many, E_DESC_LIMIT, 1);
	memcpy(many, "{\"a\":[1,", 8);
	parse_tree_fails(many, E_DESC_LIMIT, 1);
	memcpy(big, "a=\"", 3);
	memcpy(big + 69999, "\"", 2);
	parse_tree_fails(big, E_DESC_LIMIT, 1);
	memcpy(big, "{\"a\":\"", 6);
	parse_tree_fails(big, E_DESC_LIMIT, 1);
	memset(big, 'a', 69999);
	parse_tree_fails(big, E_DESC_LIMIT, 1);
	parse_tree_fails(huge, E_DESC_LIMIT, 0);
	assert_non_null(keys);
	for (int i = 0; i < 1025; i++)
		at += (size_t)snprintf(keys + at, 40000 - at, "a%d=1;\n", i);
	parse_tree_fails(keys, E_DESC_LIMIT, 1025);
}

static void t34_limits_of_the_caller_count(void **state)
{
	const struct node_limits l = {.bytes = 40, .depth = 2, .nodes = 4, .string = 5};
	static const struct {
		const char *text;
		bool good;
	} rows[] = {
		{"a=1;b=2;c=3;", true},
		{"a=1;b=2;c=3;d=4;", false},
		{"a=((1));", true},
		{"a=(((1)));", false},
		{"a=\"12345\";", true},
		{"a=\"123456\";", false},
		{"a=\"123\" \"45\";", true},
		{"a=\"123\" \"456\";", false},
		{"a=1; #4567890123456789012345678901234567", true},
		{"a=1; #45678901234567890123456789012345678", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct parse_tree t = parse_tree_n(rows[i].text, strlen(rows[i].text), &l);

		assert_int_equal(t.err.code, rows[i].good ? E_NONE : E_DESC_LIMIT);
		parse_tree_clear(&t);
	}
}

static void t36_bytes_that_are_no_text_are_refused(void **state)
{
	static const struct bad rows[] = {
		{"a = \"\x01\"", E_DESC_TEXT, 1},
		{"\n# \x1b[0m comment\n", E_DESC_TEXT, 2},
		{"a = \"\x0c\"", E_DESC_TEXT, 1},
		{"a = \"\\x00\"", E_DESC_TEXT, 1},
		{"a = \"\\x1b\"", E_DESC_TEXT, 1},
		{"a = \"\\a\"", E_DESC_TEXT, 1},
		{"a = \"\\b\"", E_DESC_TEXT, 1},
		{"a = \"\\f\"", E_DESC_TEXT, 1},
		{"a = \"\\v\"", E_DESC_TEXT, 1},
		{"a = \"\xff\"", E_DESC_TEXT, 1},
		{"a = \"\xc0\xaf\"", E_DESC_TEXT, 1},
		{"a = \"\xed\xa0\x80\"", E_DESC_TEXT, 1},
		{"a = \"\\xc3\"", E_DESC_TEXT, 1},
		{"{\"a\":\n\"\\u0000\"}", E_DESC_TEXT, 2},
		{"{\"\\u0000\":1}", E_DESC_TEXT, 1},
		{"{\"a\":\"\\u001f\"}", E_DESC_TEXT, 1},
		{"{\"a\":\"\\b\"}", E_DESC_TEXT, 1},
		{"{\"a\":\"\\f\"}", E_DESC_TEXT, 1},
		{"{\"a\":\"\\ud800\"}", E_DESC_TEXT, 1},
		{"{\"a\":\"\\udc00\\ud800\"}", E_DESC_TEXT, 1},
		{"{\"a\":\"\\ud800\\u0041\"}", E_DESC_TEXT, 1},
		{"{\"a\":\"\\ud800\\uzzzz\"}", E_DESC_TEXT, 1},
		{"{\"a\":\"\xc0\xaf\"}", E_DESC_TEXT, 1},
	};

	(void)state;
	all_fail(rows, ARRAY_SIZE(rows));
	parse_tree_fails_n("a = 1;\n\0b = 2;", 14, E_DESC_TEXT, 2);
	parse_tree_fails_n("\0", 1, E_DESC_TEXT, 1);
	parse_tree_fails_n("{\"a\0b\":1}", 9, E_DESC_TEXT, 1);
}

static void t36_tab_line_ends_and_utf8_are_text(void **state)
{
	(void)state;
	parse_tree_is("a = \"x\ty\r\nz\";\r\n", "a = \"x\\ty\\r\\nz\";\n");
	parse_tree_is("a = \"\\x41\\xc3\\xa4\";", "a = \"A\xc3\xa4\";\n");
	parse_tree_is("{\"a\":\"\\u00e4\\u20ac\\ud83d\\ude00\\/\"}",
		      "a = \"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80/\";\n");
	parse_tree_is("# Latin-1 in a comment: \xe4\na = 1;", "a = 1;\n");
	/* an escape that libconfig does not know keeps its backslash */
	parse_tree_is("a = \"^1\\.[0-9]\\x4\\d\\\";\"", "a = \"^1\\\\.[0-9]\\\\x4\\\\d\\\";\";\n");
}

static void t37_duplicate_keys_are_refused_in_both_syntaxes(void **state)
{
	static const struct bad rows[] = {
		{"a = 1;\nb = 2;\na = 3;", E_DESC_DUP, 3},
		{"g = { a = 1;\n a = 1; };", E_DESC_DUP, 2},
		{"l = ({ x = 1; },\n{ y = 1;\n z = 2;\n y = 2; });", E_DESC_DUP, 4},
		{"{\"a\":1,\n\"a\":2}", E_DESC_DUP, 2},
		{"{\"g\":{\"a\":1,\"b\":2,\n\n\"a\":2}}", E_DESC_DUP, 3},
		{"{\"a\":1,\n\"\\u0061\":2}", E_DESC_DUP, 2},
		{"{\"a\":1,\"a\":1,\n\"a\":1}", E_DESC_DUP, 1},
	};

	(void)state;
	all_fail(rows, ARRAY_SIZE(rows));
	parse_tree_is(
		"a = 1; A = 2; ab = 3; g = { a = 4; h = { a = 5; }; }; b = 6;",
		"a = 1;\nA = 2;\nab = 3;\ng = {\n\ta = 4;\n\th = {\n\t\ta = 5;\n\t};\n};\nb = 6;\n");
}

static void t38_the_first_byte_decides_the_syntax_once(void **state)
{
	static const struct bad rows[] = {
		{"{\"a\":1} # rest", E_DESC_SYNTAX, 1},
		{"{a = 1;}", E_DESC_SYNTAX, 1},
		{"# JSON below\n{\"a\":1}", E_DESC_SYNTAX, 2},
		{"[1]", E_DESC_SYNTAX, 1},
		{"\"a\":1", E_DESC_SYNTAX, 1},
		{"\xef\xbb\xbf{\"a\":1}", E_DESC_SYNTAX, 1},
		{"/*{*/ {\"a\":1}", E_DESC_SYNTAX, 1},
		{"{ /* */ \"a\":1}", E_DESC_SYNTAX, 1},
		{"{\"a\":1}{\"a\":2}", E_DESC_SYNTAX, 1},
	};

	(void)state;
	all_fail(rows, ARRAY_SIZE(rows));
	parse_tree_is(" \t\r\n{\"a\":1}\n", "a = 1;\n");
}

static void t39_numbers_arrive_whole_or_not_at_all(void **state)
{
	static const struct bad rows[] = {
		{"a = 9223372036854775808;", E_DESC_NUMBER, 1},
		{"a = -9223372036854775809;", E_DESC_NUMBER, 1},
		{"a = 18446744073709551616L;", E_DESC_NUMBER, 1},
		{"a = 0x8000000000000000;", E_DESC_NUMBER, 1},
		{"a = 0x10000000000000000L;", E_DESC_NUMBER, 1},
		{"a = 99999999999999999999999999999999999999999999;", E_DESC_NUMBER, 1},
		{"a =\n010;", E_DESC_NUMBER, 2},
		{"a = -01;", E_DESC_NUMBER, 1},
		{"a = 00;", E_DESC_NUMBER, 1},
		{"a = 1.5e999;", E_DESC_NUMBER, 1},
		{"a = 0x;", E_DESC_NUMBER, 1},
		{"a = 0xg;", E_DESC_NUMBER, 1},
		{"a = 0b11;", E_DESC_NUMBER, 1},
		{"a = -0x1;", E_DESC_NUMBER, 1},
		{"a = 1LLL;", E_DESC_NUMBER, 1},
		{"a = 1M;", E_DESC_NUMBER, 1},
		{"a = 1-2;", E_DESC_NUMBER, 1},
		{"a = -;", E_DESC_NUMBER, 1},
		{"a = .;", E_DESC_NUMBER, 1},
		{"a = 1.2.3;", E_DESC_NUMBER, 1},
		{"a = 1e;", E_DESC_NUMBER, 1},
		{"a = 1e+;", E_DESC_NUMBER, 1},
		{"{\"a\":9223372036854775808}", E_DESC_NUMBER, 1},
		{"{\"a\":-9223372036854775809}", E_DESC_NUMBER, 1},
		{"{\"a\":1e999}", E_DESC_NUMBER, 1},
		{"{\"a\":01}", E_DESC_NUMBER, 1},
		{"{\"a\":1.}", E_DESC_NUMBER, 1},
		{"{\"a\":1L}", E_DESC_NUMBER, 1},
		{"{\"a\":0x1}", E_DESC_NUMBER, 1},
		{"{\"a\":-}", E_DESC_NUMBER, 1},
		{"{\"a\":.5}", E_DESC_SYNTAX, 1},
		{"{\"a\":+5}", E_DESC_SYNTAX, 1},
		{"a = 11111111111111111111111111111111111111111111111111111111111111111111111111111111111;",
		 E_DESC_NUMBER, 1},
	};

	(void)state;
	all_fail(rows, ARRAY_SIZE(rows));
	parse_tree_is(
		"a = 5000000000; b = 0xFFFFFFFF; c = 0x7fffffffffffffffL; d = +7; e = 5LL; f = 0;",
		"a = 5000000000L;\nb = 4294967295L;\nc = 9223372036854775807L;\nd = 7;\ne = 5;\nf = 0;\n");
	parse_tree_is("a = 1.; b = .5; c = 1.5E+3; d = 1e-2; e = -0.25;",
		      "a = 1.0;\nb = 0.5;\nc = 1500.0;\nd = 0.01;\ne = -0.25;\n");
	parse_tree_is("{\"a\":-0,\"b\":1.5e3,\"c\":1e300}",
		      "a = 0;\nb = 1500.0;\nc = 1.0000000000000001e+300;\n");
}

static void guard_refuses_what_is_not_libconfig(void **state)
{
	static const struct bad rows[] = {
		{"a", E_DESC_SYNTAX, 1},
		{"a =", E_DESC_SYNTAX, 1},
		{"a = ;", E_DESC_SYNTAX, 1},
		{"a 1", E_DESC_SYNTAX, 1},
		{"a = b", E_DESC_SYNTAX, 1},
		{"a = 1;;", E_DESC_SYNTAX, 1},
		{"a = 1 }", E_DESC_SYNTAX, 1},
		{"a = {", E_DESC_SYNTAX, 1},
		{"a = (1", E_DESC_SYNTAX, 1},
		{"a = (1 2)", E_DESC_SYNTAX, 1},
		{"a = (,1)", E_DESC_SYNTAX, 1},
		{"a = (1]", E_DESC_SYNTAX, 1},
		{"a = [1)", E_DESC_SYNTAX, 1},
		{"a = [1, \"x\"]", E_DESC_SYNTAX, 1},
		{"a = [{}]", E_DESC_SYNTAX, 1},
		{"a = [", E_DESC_SYNTAX, 1},
		{"a = [1,", E_DESC_SYNTAX, 1},
		{"a = \"x", E_DESC_SYNTAX, 1},
		{"a = \"x\\", E_DESC_SYNTAX, 1},
		{"a =\n\"x\" \"y", E_DESC_SYNTAX, 2},
		{"a = 1; /* \n\n", E_DESC_SYNTAX, 1},
		{"a = \"x\" /* \n\n", E_DESC_SYNTAX, 1},
		{"true = 1;", E_DESC_SYNTAX, 1},
		{"_a = 1;", E_DESC_SYNTAX, 1},
		{"a.b = 1;", E_DESC_NUMBER, 1},
		{"a = null;", E_DESC_SYNTAX, 1},
		{"a = 1; \"b\" = 2;", E_DESC_SYNTAX, 1},
		{"a = $;", E_DESC_SYNTAX, 1},
	};

	(void)state;
	all_fail(rows, ARRAY_SIZE(rows));
	/* a comma before the end is taken by later versions of libconfig */
	parse_tree_is("a = (1, 2,); b = [1,]; c = { d = 1, };",
		      "a = (1, 2);\nb = (1);\nc = {\n\td = 1;\n};\n");
	parse_tree_is("*a-b_1 = TRUE; c : False, d = tRuE e = (\"x\" \"y\" # z\n \"\")",
		      "*a-b_1 = true;\nc = false;\nd = true;\ne = (\"xy\");\n");
}

static void guard_refuses_what_is_not_json(void **state)
{
	static const struct bad rows[] = {
		{"{", E_DESC_SYNTAX, 1},
		{"{\"a\"}", E_DESC_SYNTAX, 1},
		{"{\"a\" 1}", E_DESC_SYNTAX, 1},
		{"{\"a\"=1}", E_DESC_SYNTAX, 1},
		{"{\"a\":}", E_DESC_SYNTAX, 1},
		{"{\"a\":1,}", E_DESC_SYNTAX, 1},
		{"{\"a\":1;}", E_DESC_SYNTAX, 1},
		{"{,}", E_DESC_SYNTAX, 1},
		{"{\"a\":[1,]}", E_DESC_SYNTAX, 1},
		{"{\"a\":[,1]}", E_DESC_SYNTAX, 1},
		{"{\"a\":[1 2]}", E_DESC_SYNTAX, 1},
		{"{\"a\":[1}", E_DESC_SYNTAX, 1},
		{"{\"a\":(1)}", E_DESC_SYNTAX, 1},
		{"{\"a\":TRUE}", E_DESC_SYNTAX, 1},
		{"{\"a\":nul}", E_DESC_SYNTAX, 1},
		{"{a:1}", E_DESC_SYNTAX, 1},
		{"{true:1}", E_DESC_SYNTAX, 1},
		{"{\"a\":\"x\ny\"}", E_DESC_SYNTAX, 1},
		{"{\"a\":\"x\ty\"}", E_DESC_SYNTAX, 1},
		{"{\"a\":\"\\x41\"}", E_DESC_SYNTAX, 1},
		{"{\"a\":\"\\u12\"}", E_DESC_SYNTAX, 1},
		{"{\"a\":\"\\u12", E_DESC_SYNTAX, 1},
		{"{\"a\":\"x\" \"y\"}", E_DESC_SYNTAX, 1},
		{"{\"a\":1} x", E_DESC_SYNTAX, 1},
		{"{\"a\":1} 5", E_DESC_SYNTAX, 1},
		{"{\"a\":1} \"s\"", E_DESC_SYNTAX, 1},
		{"{\"a\":'x'}", E_DESC_SYNTAX, 1},
	};

	(void)state;
	all_fail(rows, ARRAY_SIZE(rows));
	parse_tree_is("{\"a\":[],\"b\":{},\"c\":[true,false,[1]]}",
		      "a = ();\nb = {\n};\nc = (true, false, (1));\n");
}

static void guard_canonical_text_keeps_the_lines(void **state)
{
	static const char text[] =
		"# c\na = \"1\n2\";\n\n/* x\n*/ b = (1,\n 0x10, # y\n2.5);\nc = { d\n=\ntrue };\n";
	struct guarded g;
	struct err e = {0};

	(void)state;
	assert_int_equal(guard_walk(&g, text, strlen(text), NULL, &e), 0);
	assert_string_equal(g.text, "\na=\"1\\n2\";\n\n\n\nb=(1L,\n16L,\n2.5);\nc={d=\n\ntrue;};");
	assert_int_equal(g.count, 8);
	assert_false(g.json);
	guarded_clear(&g);
	assert_null(g.text);
}

static void guard_errors_show_foreign_bytes_only_printable(void **state)
{
	struct parse_tree t = parse_tree("{\"a\" \x7f: 1}");

	(void)state;
	assert_int_equal(t.err.code, E_DESC_SYNTAX);
	assert_null(strchr(t.err.why, 0x7f));
	parse_tree_clear(&t);
}

/* every text that is cut or changed in one byte is refused or read; nothing is lost or overrun */
static void t34_cut_and_flipped_texts_never_harm(void **state)
{
	static const char *const texts[] = {
		"s = { a = \"x\\\"\\x41y\" \"z\"; b : [ 1, -2L, 0x3 ], /* c */ c = ({ d = 1.5e3; }, true); # e\n};",
		"{\"s\": {\"a\":\"x\\\"\\u0041\\ud83d\\ude00\", \"b\":[1,-2.5e3,null,true,{}],\"c\":false}}",
	};
	char copy[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		size_t n = strlen(texts[i]);

		for (size_t at = 0; at <= n; at++) {
			struct parse_tree t = parse_tree_n(texts[i], at, NULL);

			assert_true(!at || at == n || t.rc < 0 || !i);
			parse_tree_clear(&t);
			for (unsigned bit = 0; at < n && bit < 8; bit++) {
				memcpy(copy, texts[i], n);
				copy[at] = (char)(copy[at] ^ (1 << bit));
				t = parse_tree_n(copy, n, NULL);
				assert_true(t.rc == 0 || t.err.code != E_NONE);
				parse_tree_clear(&t);
			}
		}
	}
}

static void guard_memory_used_up_is_an_error(void **state)
{
	static const char *const texts[] = {"a = ({ b = \"x\"; }, 1);",
					    "{\"a\":[{\"b\":\"x\"},1]}"};

	(void)state;
	if (!fail_malloc_works())
		skip();
	for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) {
		for (unsigned n = 1;; n++) {
			struct guarded g;
			struct err e = {0};
			int rc;

			fail_malloc_at(n);
			rc = guard_walk(&g, texts[i], strlen(texts[i]), NULL, &e);
			if (!fail_malloc_off()) {
				assert_int_equal(rc, 0);
				guarded_clear(&g);
				break;
			}
			assert_int_equal(rc, -ENOMEM);
			assert_int_equal(e.code, E_MEMORY);
		}
	}
}

/* jansson checks its allocations; libconfig does not, so only its callers' own are failed */
static void node_parse_survives_every_failed_allocation(void **state)
{
	static const char *const texts[] = {"a = ({ b = \"x\"; }, 1);",
					    "{\"a\":[{\"b\":\"x\"},1.5,null]}"};

	(void)state;
	if (!fail_malloc_works())
		skip();
	for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) {
		for (unsigned n = 1;; n++) {
			struct arena *a = arena_new(1 << 20);
			const struct node *root;
			struct err e = {0};
			bool failed;
			int rc;

			(i ? fail_malloc_at : fail_malloc_ours_at)(n);
			rc = node_parse(&root, texts[i], strlen(texts[i]), a, NULL, &e);
			failed = fail_malloc_off();
			arena_free(a);
			if (!failed) {
				assert_int_equal(rc, 0);
				break;
			}
			assert_int_equal(rc, -ENOMEM);
			assert_int_equal(e.code, E_MEMORY);
		}
	}
}

/* the library and the guard must agree about every node */
static void node_add_refuses_what_the_guard_did_not_see(void **state)
{
	struct guard_note notes[] = {{NODE_GROUP, 1, 0}, {NODE_INT, 2, 0}};
	const struct guarded seen = {.notes = notes, .count = 2};
	struct node_builder b = {.arena = arena_new(4096), .seen = &seen};
	const struct node_value root = {.type = NODE_GROUP};
	struct node_value v = {.type = NODE_INT, .name = "a", .integer = 5};
	struct err e = {0};

	(void)state;
	notes[1].sum = node_sum(node_sum(0, "a", 2), &v.integer, sizeof(v.integer));
	assert_non_null(node_add(&b, &root, &e));
	b.parent = b.last;
	b.last = NULL;
	v.integer = 6;
	assert_null(node_add(&b, &v, &e));
	assert_int_equal(e.code, E_DESC_SYNTAX);
	v.integer = 5;
	v.name = "b";
	assert_null(node_add(&b, &v, &e));
	v.name = "a";
	v.type = NODE_BOOL;
	assert_null(node_add(&b, &v, &e));
	v.type = NODE_INT;
	assert_non_null(node_add(&b, &v, &e));
	assert_null(node_add(&b, &v, &e)); /* one more than was seen */
	arena_free(b.arena);
}

/* no text is known that the guard takes and a library refuses: here one is made up */
static void node_library_that_refuses_the_canonical_text_is_an_error(void **state)
{
	char config[] = "\n a = ;", json[] = "{\n\"a\":}";
	const struct guarded seen[] = {{.text = config, .length = sizeof(config) - 1},
				       {.text = json, .length = sizeof(json) - 1}};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct node_builder b = {.seen = &seen[i]};
		struct err e = {0};

		assert_int_equal((i ? node_from_json : node_from_config)(&b, &e), -EINVAL);
		assert_int_equal(e.code, E_DESC_SYNTAX);
		assert_string_equal(e.object, "line 2");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t33_include_is_refused_in_every_form),
		cmocka_unit_test(t33_include_in_texts_and_comments_is_only_text),
		cmocka_unit_test(t34_nesting_is_bounded_at_64),
		cmocka_unit_test(t34_deepest_text_fits_a_small_stack),
		cmocka_unit_test(t34_values_bytes_texts_and_keys_are_bounded),
		cmocka_unit_test(t34_limits_of_the_caller_count),
		cmocka_unit_test(t34_cut_and_flipped_texts_never_harm),
		cmocka_unit_test(t36_bytes_that_are_no_text_are_refused),
		cmocka_unit_test(t36_tab_line_ends_and_utf8_are_text),
		cmocka_unit_test(t37_duplicate_keys_are_refused_in_both_syntaxes),
		cmocka_unit_test(t38_the_first_byte_decides_the_syntax_once),
		cmocka_unit_test(t39_numbers_arrive_whole_or_not_at_all),
		cmocka_unit_test(guard_refuses_what_is_not_libconfig),
		cmocka_unit_test(guard_refuses_what_is_not_json),
		cmocka_unit_test(guard_canonical_text_keeps_the_lines),
		cmocka_unit_test(guard_errors_show_foreign_bytes_only_printable),
		cmocka_unit_test(guard_memory_used_up_is_an_error),
		cmocka_unit_test(node_parse_survives_every_failed_allocation),
		cmocka_unit_test(node_add_refuses_what_the_guard_did_not_see),
		cmocka_unit_test(node_library_that_refuses_the_canonical_text_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
