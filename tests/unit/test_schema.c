/* One row, one type: what fits is stored, everything else is an error with path and line (T35). */
#include "corelib/base/arena.h"
#include "kit/parse_help.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kit/fail_malloc.h"
#include "parser/manifest.h"

struct out {
	bool first; /* nothing may store a flag at offset 0 */
	const char *text;
	bool flag, has_flag, sw;
	int64_t integer;
	uint64_t size;
	uint8_t hex[4], key[32], hash[2];
	int word, mixed;
	struct strings list;
	const struct node *group, *items;
};

static const char *const words[] = {"auto", "yes", "no", NULL};
static const char *const codecs[] = {"", "zlib", "xz", NULL};

#define AT(field) .where = 1, .at = offsetof(struct out, field)
static const struct attr rows[] = {
	{.name = "text", .type = ATTR_STRING, AT(text), .min = 2, .max = 4},
	{.name = "free", .type = ATTR_STRING, AT(text)},
	{.name = "flag", .type = ATTR_BOOL, AT(flag), .has = offsetof(struct out, has_flag)},
	{.name = "switch", .type = ATTR_SWITCH, AT(sw)},
	{.name = "integer", .type = ATTR_INT, AT(integer), .min = 1, .max = 10},
	{.name = "size", .type = ATTR_SIZE, AT(size)},
	{.name = "range", .type = ATTR_SIZE, AT(size), .min = 16, .max = 1024},
	{.name = "hex", .type = ATTR_HEX, AT(hex), .max = 4},
	{.name = "key", .type = ATTR_HEX, AT(key), .min = 16, .max = 32},
	{.name = "hash", .type = ATTR_HEX, AT(hash), .max = 2, .code = E_DESC_HASH},
	{.name = "word", .type = ATTR_ENUM, AT(word), .values = words},
	{.name = "mixed", .type = ATTR_BOOL_OR_ENUM, AT(mixed), .values = codecs},
	{.name = "list", .type = ATTR_STRINGS, AT(list)},
	{.name = "group", .type = ATTR_GROUP, AT(group)},
	{.name = "items", .type = ATTR_LIST, AT(items)},
	{.name = "elsewhere", .type = ATTR_BOOL, .where = 2, .at = offsetof(struct out, flag)},
};
static const struct schema table = {.name = "table",
				    .rows = rows,
				    .count = ARRAY_SIZE(rows),
				    .where = 1,
				    .unknown = E_DESC_UNKNOWN};

struct filled {
	struct parse_tree t;
	struct out out;
	struct parse_notes notes;
	struct err err;
	int rc;
};

static struct filled fill(const char *text, bool strict)
{
	struct filled f = {.t = parse_tree(text)};
	struct schema s = table;

	assert_int_equal(f.t.rc, 0);
	s.strict = strict;
	s.note = parse_note;
	s.arg = &f.notes;
	f.rc = schema_fill(&s, f.t.root, &f.out, f.t.arena, &f.err);
	return f;
}

static void refused(const char *text, enum errcode code, const char *why)
{
	struct filled f = fill(text, false);

	if (f.rc >= 0 || f.err.code != code || !strstr(f.err.why, why))
		fail_msg("%s: rc %d, code %d, why %s", text, f.rc, f.err.code, f.err.why);
	assert_non_null(strstr(f.err.where, "line 2"));
	parse_tree_clear(&f.t);
}

static void schema_stores_what_fits(void **state)
{
	struct filled f = fill(
		"text = \"abc\"; flag = true; switch = \"enabled\"; integer = 10;"
		"size = \"4K\"; hex = \"00fFa07e\"; key = \"000102030405060708090a0b0c0d0e0f\";"
		"hash = \"0100\"; word = \"no\"; mixed = true; list = [ \"x\", \"y\" ];"
		"group = { a = 1; }; items = ({ b = 2; });",
		true);

	(void)state;
	assert_int_equal(f.rc, 0);
	assert_string_equal(f.out.text, "abc");
	assert_true(f.out.flag && f.out.has_flag && f.out.sw);
	assert_int_equal(f.out.integer, 10);
	assert_int_equal(f.out.size, 4096);
	assert_int_equal(f.out.hex[1], 0xff);
	assert_int_equal(f.out.key[15], 15);
	assert_int_equal(f.out.word, 2);
	assert_int_equal(f.out.mixed, 1);
	assert_int_equal(f.out.list.count, 2);
	assert_string_equal(f.out.list.at[1], "y");
	assert_int_equal(f.out.group->count, 1);
	assert_int_equal(f.out.items->count, 1);
	assert_int_equal(f.notes.count, 0);
	assert_false(f.out.first);
	parse_tree_clear(&f.t);
}

static void schema_takes_every_spelling_of_a_type(void **state)
{
	struct filled f =
		fill("mixed = \"xz\"; switch = \"no\"; list = \"one\"; items = { x = 1; };"
		     "size = 0x10; text = \"\xc3\xa4\";",
		     true);

	(void)state;
	assert_int_equal(f.rc, 0);
	assert_int_equal(f.out.mixed, 2);
	assert_false(f.out.sw);
	assert_int_equal(f.out.list.count, 1);
	assert_string_equal(f.out.list.at[0], "one");
	assert_int_equal(f.out.items->type, NODE_GROUP);
	assert_int_equal(f.out.size, 16);
	parse_tree_clear(&f.t);
	f = fill("mixed = false; switch = \"disabled\"; list = (); switch2 = 1; free = \"\"",
		 false);
	assert_int_equal(f.rc, 0);
	assert_int_equal(f.out.mixed, 0);
	assert_int_equal(f.out.list.count, 0);
	assert_null(f.out.text); /* an empty text is absent */
	parse_tree_clear(&f.t);
	f = fill("switch = true; size = \"9223372036854775807\"; key = \"" H64 "\"", false);
	assert_int_equal(f.rc, 0);
	assert_true(f.out.sw);
	assert_true(f.out.size == INT64_MAX);
	assert_int_equal(f.out.key[31], 0xef);
	parse_tree_clear(&f.t);
}

/* a value of each kind of node */
static const char *const values[] = {"{ }", "(1)", "\"zz\"", "5", "true", "2.5"};

static void t35_every_type_takes_only_its_own_values(void **state)
{
	/* which of the values above each row takes */
	static const struct {
		const char *key;
		unsigned takes;
	} want[] = {
		{"text", 1u << 2},    {"free", 1u << 2},  {"flag", 1u << 4}, {"switch", 1u << 4},
		{"integer", 1u << 3}, {"size", 1u << 3},  {"range", 0},	     {"hex", 0},
		{"key", 0},	      {"hash", 0},	  {"word", 0},	     {"mixed", 1u << 4},
		{"list", 1u << 2},    {"group", 1u << 0}, {"items", 3u},
	};
	char text[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		for (unsigned v = 0; v < ARRAY_SIZE(values); v++) {
			struct filled f;

			(void)snprintf(text, sizeof(text), "\n%s = %s;", want[i].key, values[v]);
			f = fill(text, true);
			if ((f.rc == 0) != !!(want[i].takes & 1u << v))
				fail_msg("%s: %d", text, f.rc);
			if (f.rc < 0) {
				assert_non_null(strstr(f.err.why, want[i].key));
				assert_non_null(strstr(f.err.where, "line 2"));
				assert_in_range(f.err.code, E_DESC_TYPE, E_DESC_VALUE);
			}
			parse_tree_clear(&f.t);
		}
}

static void t35_wrong_types_name_path_and_line(void **state)
{
	(void)state;
	refused("\ntext = 5;", E_DESC_TYPE, "text must be a text, not a number");
	refused("\nflag = \"true\";", E_DESC_TYPE, "flag must be true or false, not a text");
	refused("\nflag = 1;", E_DESC_TYPE, "flag must be true or false");
	refused("\nlist = (1, 2);", E_DESC_TYPE, "list[0] must be a text");
	refused("\nword = true;", E_DESC_TYPE, "\"auto\" \"yes\" \"no\"");
	refused("\nhash = 5;", E_DESC_HASH, "hash must be hexadecimal");
	refused("\ngroup = ();", E_DESC_TYPE, "group must be a group");
	refused("\nitems = \"x\";", E_DESC_TYPE, "items must be a list of groups");
}

static void t39_sizes_and_numbers_hold_their_limits(void **state)
{
	(void)state;
	refused("\nsize = -1;", E_DESC_NUMBER, "negative");
	refused("\nsize = 1.5;", E_DESC_NUMBER, "fraction");
	refused("\nsize = 1.0e30;", E_DESC_NUMBER, "fraction");
	refused("\nsize = \"1e30\";", E_DESC_NUMBER, "not a size");
	refused("\nsize = \"-1\";", E_DESC_NUMBER, "not a size");
	refused("\nsize = \"\";", E_DESC_NUMBER, "not a size");
	refused("\nsize = \"4X\";", E_DESC_NUMBER, "not a size");
	refused("\nsize = \"K\";", E_DESC_NUMBER, "not a size");
	refused("\nsize = \"17179869184G\";", E_DESC_NUMBER, "not a size");
	refused("\nsize = \"9223372036854775808\";", E_DESC_NUMBER, "not a size");
	refused("\nsize = \"18446744073709551616\";", E_DESC_NUMBER, "not a size");
	refused("\nrange = 15;", E_DESC_NUMBER, "is 15, allowed is 16 to 1024");
	refused("\nrange = \"2K\";", E_DESC_NUMBER, "allowed is 16 to 1024");
	refused("\ninteger = 0;", E_DESC_NUMBER, "allowed is 1 to 10");
	refused("\ninteger = 11;", E_DESC_NUMBER, "allowed is 1 to 10");
	refused("\ninteger = -5;", E_DESC_NUMBER, "negative");
}

static void schema_refuses_words_lengths_and_digits(void **state)
{
	(void)state;
	refused("\ntext = \"\";", E_DESC_VALUE, "is empty");
	refused("\ntext = \"a\";", E_DESC_VALUE, "too short");
	refused("\ntext = \"abcde\";", E_DESC_VALUE, "has 5 bytes, 4 are allowed");
	refused("\nword = \"maybe\";", E_DESC_VALUE, "\"auto\" \"yes\" \"no\", not \"maybe\"");
	refused("\nword = \"\";", E_DESC_VALUE, "must be one of");
	refused("\nmixed = \"\";", E_DESC_VALUE, "must be one of");
	refused("\nmixed = \"lzma\";", E_DESC_VALUE, "\"zlib\" \"xz\", not \"lzma\"");
	refused("\nswitch = \"on\";", E_DESC_VALUE, "\"enabled\" or \"disabled\"");
	refused("\nhex = \"00ffa07\";", E_DESC_VALUE, "8 hexadecimal digits");
	refused("\nhex = \"00ffa07e0\";", E_DESC_VALUE, "8 hexadecimal digits");
	refused("\nhex = \"00ffa07g\";", E_DESC_VALUE, "8 hexadecimal digits");
	refused("\nhex = \"0x00ffa0\";", E_DESC_VALUE, "8 hexadecimal digits");
	refused("\nkey = \"0001\";", E_DESC_VALUE, "hexadecimal digits");
	refused("\nkey = \"000102030405060708090a0b0c0d0e0f00\";", E_DESC_VALUE,
		"hexadecimal digits");
	refused("\nhash = \"0000\";", E_DESC_HASH, "zeros");
	refused("\nhash = \"\";", E_DESC_HASH, "4 hexadecimal digits");
}

static void schema_notes_unknown_keys_and_guesses(void **state)
{
	struct filled f = fill("\nintegr = 5;\nqqqqqqqq = { x = 1; };\nelsewhere = 1;", false);

	(void)state;
	assert_int_equal(f.rc, 0);
	assert_int_equal(f.notes.count, 3);
	assert_non_null(
		strstr(f.notes.text, "line 2: integr is not known; did you mean integer?\n"));
	assert_non_null(strstr(f.notes.text, "line 3: qqqqqqqq is not known\n"));
	assert_non_null(strstr(f.notes.text, "line 4: elsewhere is not known"));
	parse_tree_clear(&f.t);
}

static void schema_strict_refuses_unknown_keys(void **state)
{
	struct filled f = fill("\nintegr = 5;", true);

	(void)state;
	assert_int_equal(f.rc, -EINVAL);
	assert_int_equal(f.err.code, E_DESC_UNKNOWN);
	assert_string_equal(f.err.why, "integr is not known; did you mean integer?");
	assert_non_null(strstr(f.err.where, "integr, line 2"));
	parse_tree_clear(&f.t);
}

static void schema_without_a_listener_stays_silent(void **state)
{
	struct parse_tree t = parse_tree("nothing = 1;");
	struct out out = {0};
	struct err e = {0};

	(void)state;
	assert_int_equal(schema_fill(&table, t.root, &out, t.arena, &e), 0);
	parse_tree_clear(&t);
}

static void schema_find_sees_rows_of_its_place(void **state)
{
	struct schema other = table;

	(void)state;
	other.where = 2;
	assert_ptr_equal(schema_find(&table, "flag"), rows + 2);
	assert_null(schema_find(&table, "elsewhere"));
	assert_ptr_equal(schema_find(&other, "elsewhere"), rows + 15);
	assert_null(schema_find(&other, "flag"));
}

static void schema_memory_used_up_is_an_error(void **state)
{
	struct parse_tree t = parse_tree("list = (\"a\", \"b\");");
	struct arena *none = arena_new(0);
	struct out out = {0};
	struct err e = {0};

	(void)state;
	assert_int_equal(schema_fill(&table, t.root, &out, none, &e), -ENOMEM);
	assert_int_equal(e.code, E_MEMORY);
	arena_free(none);
	parse_tree_clear(&t);
}

static void table_is_complete(const struct schema *s)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct attr *a = s->rows + i;

		assert_non_null(a->help);
		assert_true(a->help[0] && a->help[strlen(a->help) - 1] != '.');
		assert_true(a->where);
		assert_non_null(attr_type_name(a));
		if (a->type == ATTR_ENUM || a->type == ATTR_BOOL_OR_ENUM)
			assert_non_null(a->values);
		for (size_t k = 0; k < i; k++)
			if (!strcmp(s->rows[k].name, a->name))
				fail_msg("%s stands twice in %s", a->name, s->name);
	}
}

static void schema_rows_of_all_tables_have_help_and_one_name(void **state)
{
	(void)state;
	table_is_complete(&manifest_schema);
	table_is_complete(&entry_schema);
	table_is_complete(&boot_var_schema);
	for (size_t i = 0; settings_schema(i); i++) {
		const struct schema *s = settings_schema(i);

		table_is_complete(s);
		assert_true(s->name[0]);
		assert_int_equal(s->unknown, E_CONFIG);
		for (size_t k = 0; k < s->count; k++)
			assert_int_equal(s->rows[k].code, E_CONFIG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(schema_stores_what_fits),
		cmocka_unit_test(schema_takes_every_spelling_of_a_type),
		cmocka_unit_test(t35_every_type_takes_only_its_own_values),
		cmocka_unit_test(t35_wrong_types_name_path_and_line),
		cmocka_unit_test(t39_sizes_and_numbers_hold_their_limits),
		cmocka_unit_test(schema_refuses_words_lengths_and_digits),
		cmocka_unit_test(schema_notes_unknown_keys_and_guesses),
		cmocka_unit_test(schema_strict_refuses_unknown_keys),
		cmocka_unit_test(schema_without_a_listener_stays_silent),
		cmocka_unit_test(schema_find_sees_rows_of_its_place),
		cmocka_unit_test(schema_memory_used_up_is_an_error),
		cmocka_unit_test(schema_rows_of_all_tables_have_help_and_one_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
