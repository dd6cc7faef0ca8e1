/* Templates: variables, entries wherever they stand, attributes set without losing order. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/build/choices.h"
#include "core/build/template.h"

static const char *find(void *arg, const char *name)
{
	(void)arg;
	if (strcmp(name, "VERSION") == 0)
		return "1.2";
	if (strcmp(name, "_x9") == 0)
		return "@@VERSION@@";
	if (strcmp(name, "BAD") == 0)
		return "a\nb";
	return strcmp(name, "EMPTY") == 0 ? "" : NULL;
}

static const struct template_vars vars = {.find = find};

static enum errcode expand(const char *text, const char *want, unsigned line)
{
	AUTO_FREE char *out = NULL;
	char where[32];
	struct err e;
	size_t n;

	err_clear(&e);
	if (template_expand(text, strlen(text), &vars, &out, &n, &e) == 0) {
		assert_string_equal(out, want);
		assert_int_equal(n, strlen(want));
	} else {
		text_print(where, sizeof(where), "line %u", line);
		assert_non_null(strstr(e.where, where));
	}
	return e.code;
}

static void template_variables_are_replaced_once(void **state)
{
	(void)state;
	assert_int_equal(expand("v = \"@@VERSION@@\";", "v = \"1.2\";", 0), E_NONE);
	assert_int_equal(expand("@@VERSION@@@@VERSION@@", "1.21.2", 0), E_NONE);
	assert_int_equal(expand("@@_x9@@", "@@VERSION@@", 0), E_NONE);
	assert_int_equal(expand("a@@EMPTY@@b", "ab", 0), E_NONE);
	assert_int_equal(expand("", "", 0), E_NONE);
}

static void template_what_is_no_variable_stays(void **state)
{
	static const char *const same[] = {"@@",	   "@@@@",	 "@VERSION@", "@@9A@@",
					   "@@VER SION@@", "@@VERSION@", "@@VERSION", "a@@b"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(same); i++)
		assert_int_equal(expand(same[i], same[i], 0), E_NONE);
	assert_int_equal(expand("@@@@VERSION@@", "@@1.2", 0), E_NONE);
}

static void template_a_variable_without_value_is_told_with_its_line(void **state)
{
	(void)state;
	assert_int_equal(expand("a\nb\n@@MISSING@@", NULL, 3), E_BUILD);
	assert_int_equal(expand("@@BAD@@", NULL, 1), E_BUILD);
}

static struct template *load(const char *text)
{
	struct template *t;
	struct err e;

	err_clear(&e);
	assert_int_equal(template_load(&t, text, strlen(text), &vars, &e), 0);
	return t;
}

static void check_print(const struct template *t, const char *want)
{
	AUTO_FREE char *text = NULL;
	struct err e;
	size_t n;

	err_clear(&e);
	assert_int_equal(template_print(t, &text, &n, &e), 0);
	assert_string_equal(text, want);
	assert_int_equal(n, strlen(want));
}

static void template_finds_entries_in_all_places(void **state)
{
	struct template *t = load(
		"software = { version = \"1\"; images: ({ filename = \"a\"; }, { device = \"x\"; });\n"
		"board = { stable = { copy1 = { files: ({ filename = \"b\"; }); }; }; };\n"
		"shared: ({ filename = \"c\"; properties = { filename = \"no\"; }; });\n"
		"scripts = { filename = \"d\"; }; };");

	(void)state;
	assert_int_equal(t->count, 4);
	assert_string_equal(t->entries[0].filename, "a");
	assert_true(t->entries[0].image && !t->entries[0].script);
	assert_string_equal(t->entries[1].filename, "b");
	assert_int_equal(t->entries[1].line, 2);
	assert_string_equal(t->entries[2].filename, "c");
	assert_string_equal(t->entries[3].filename, "d");
	assert_true(t->entries[3].script);
	template_free(t);
}

static void template_attributes_are_replaced_or_stand_last(void **state)
{
	struct template *t = load(
		"software = { images: ({ sha256 = \"old\"; filename = \"a\"; hash-list = true; }); };");
	struct node *g = t->entries[0].group, *props;
	struct err e;

	(void)state;
	err_clear(&e);
	assert_int_equal(template_set_text(t, g, "sha256", "new", &e), 0);
	assert_int_equal(template_set_number(t, g, "size", UINT64_C(5000000000), &e), 0);
	template_unset(g, "hash-list");
	template_unset(g, "never-there");
	assert_int_equal(template_group(t, g, "properties", &props, &e), 0);
	assert_int_equal(template_set_text(t, props, "p", "a\"b", &e), 0);
	check_print(
		t,
		"software = {\n\timages = (\n\t\t{\n\t\t\tsha256 = \"new\";\n\t\t\tfilename = \"a\";\n"
		"\t\t\tsize = 5000000000L;\n\t\t\tproperties = {\n\t\t\t\tp = \"a\\\"b\";\n\t\t\t};\n\t\t}\n\t);\n};\n");
	assert_int_equal(template_set_number(t, g, "size", UINT64_MAX, &e), -ERANGE);
	template_free(t);
}

static void template_a_group_that_is_none_is_told(void **state)
{
	struct template *t =
		load("software = { images: ({ filename = \"a\"; properties = 1; }); };");
	struct node *props;
	struct err e;

	(void)state;
	err_clear(&e);
	assert_true(template_group(t, t->entries[0].group, "properties", &props, &e) < 0);
	assert_int_equal(e.code, E_DESC_TYPE);
	template_free(t);
}

static void template_of_json_becomes_libconfig(void **state)
{
	struct template *t =
		load("{\"software\": {\"version\": \"1\", \"images\": [{\"filename\": \"a\"}]}}");

	(void)state;
	assert_int_equal(t->count, 1);
	check_print(
		t,
		"software = {\n\tversion = \"1\";\n\timages = (\n\t\t{\n\t\t\tfilename = \"a\";\n\t\t}\n\t);\n};\n");
	template_free(t);
}

static void template_that_libconfig_cannot_say_is_refused(void **state)
{
	struct template *t = load("{\"software\": {\"a b\": 1}}");
	AUTO_FREE char *text = NULL;
	struct err e;
	size_t n;

	(void)state;
	err_clear(&e);
	assert_true(template_print(t, &text, &n, &e) < 0);
	assert_int_equal(e.code, E_BUILD);
	template_free(t);
}

static void template_bad_syntax_keeps_its_code(void **state)
{
	struct template *t;
	struct err e;

	(void)state;
	err_clear(&e);
	assert_true(template_load(&t, "software = {", 12, &vars, &e) < 0);
	assert_int_equal(e.code, E_DESC_SYNTAX);
	assert_null(t);
}

static void template_size_is_bounded(void **state)
{
	size_t n = 1024 * 1024 + 1;
	char *big = malloc(n);
	struct template *t;
	struct err e;

	(void)state;
	assert_non_null(big);
	memset(big, ' ', n);
	err_clear(&e);
	assert_true(template_load(&t, big, n, &vars, &e) < 0);
	assert_int_equal(e.code, E_DESC_LIMIT);
	free(big);
}

/* ---- selections ------------------------------------------------------------------------- */

static void check_choices(const char *text, const char *const *want, size_t count)
{
	struct choices c;
	char label[256];
	struct err e;

	err_clear(&e);
	assert_int_equal(choices_find(&c, text, strlen(text), &e), 0);
	assert_int_equal(c.count, count);
	for (size_t i = 0; i < count; i++) {
		choice_label(&c.at[i], label, sizeof(label));
		assert_string_equal(label, want[i]);
	}
	choices_clear(&c);
}

static void choices_are_all_places_with_entries(void **state)
{
	static const char *const whole[] = {""}, *const board[] = {"", "b1", "b2: s,m"},
				 *const sets[] = {"s,m1", "s,m2"};

	(void)state;
	check_choices("software = { version = \"1\"; images: (); };", whole, 1);
	check_choices("software = { version = \"1\"; };", whole, 1);
	check_choices(
		"software = { images: (); b1 = { files: (); }; b2 = { s = { m = { bootenv: (); }; }; }; };",
		board, 3);
	check_choices("software = { s = { m1 = { images: (); }; m2 = { scripts: (); }; }; };", sets,
		      2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(template_variables_are_replaced_once),
		cmocka_unit_test(template_what_is_no_variable_stays),
		cmocka_unit_test(template_a_variable_without_value_is_told_with_its_line),
		cmocka_unit_test(template_finds_entries_in_all_places),
		cmocka_unit_test(template_attributes_are_replaced_or_stand_last),
		cmocka_unit_test(template_a_group_that_is_none_is_told),
		cmocka_unit_test(template_of_json_becomes_libconfig),
		cmocka_unit_test(template_that_libconfig_cannot_say_is_refused),
		cmocka_unit_test(template_bad_syntax_keeps_its_code),
		cmocka_unit_test(template_size_is_bounded),
		cmocka_unit_test(choices_are_all_places_with_entries),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
