/* Where an element is found, and where links lead; the rows were seen with SWUpdate 2022.12. */
#include "corelib/base/arena.h"
#include "kit/parse_help.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_(name) "{ filename = \"" name "\"; sha256 = \"" H64 "\"; }"

static struct parse_manifest select_in(const char *text, const char *board, const char *set,
				       const char *mode)
{
	const struct manifest_options o = {.sel = {board, set, mode}, .hash_required = true};

	return parse_manifest(text, &o);
}

/* the files of the selection are these, blanks between */
static void has_files(struct parse_manifest p, const char *want)
{
	char got[512] = "";

	if (p.rc < 0)
		fail_msg("%s (%s)", p.err.why, p.err.where);
	for (size_t i = 0; i < p.m->entry_count; i++) {
		size_t n = strlen(got);

		(void)snprintf(got + n, sizeof(got) - n, "%s%s", n ? " " : "",
			       p.m->entries[i].filename);
	}
	assert_string_equal(got, want);
	manifest_free(p.m);
}

static const char tree[] = "software = { version = \"0\"; files = (" FILE_(
	"all") ");\n"
	       " b = { version = \"b\"; files = (" FILE_(
		       "board") ");\n"
				"  s = { m = { version = \"bsm\"; files = (" FILE_(
					"board-mode") "); }; }; };\n"
						      " s = { m = { files = (" FILE_(
							      "mode") "); }; n = { version = \"n\"; }; };\n"
								      " c = { description = \"no files here\"; }; };";

static void select_takes_the_first_place_that_has_the_element(void **state)
{
	(void)state;
	has_files(select_in(tree, NULL, NULL, NULL), "all");
	has_files(select_in(tree, "b", "s", "m"), "board-mode");
	has_files(select_in(tree, NULL, "s", "m"), "mode");
	has_files(select_in(tree, "x", "s", "m"), "mode");
	has_files(select_in(tree, "b", NULL, NULL), "board");
	has_files(select_in(tree, "c", NULL, NULL), "all");
	/* nothing is merged, but each element is looked for on its own */
	has_files(select_in(tree, "b", "s", "n"), "board");
	has_files(select_in(tree, NULL, "s", "n"), "all");
}

static void select_finds_scalars_along_the_same_way(void **state)
{
	struct parse_manifest p = select_in(tree, "b", "s", "m");

	(void)state;
	assert_string_equal(p.m->version, "bsm");
	manifest_free(p.m);
	p = select_in(tree, NULL, "s", "m");
	assert_string_equal(p.m->version, "0");
	manifest_free(p.m);
	p = select_in(tree, "c", "s", "n");
	assert_string_equal(p.m->version, "n");
	assert_string_equal(p.m->description, "no files here");
	manifest_free(p.m);
}

static void select_that_leads_nowhere_falls_back_with_a_note(void **state)
{
	struct manifest_options strict = {.sel = {NULL, "s", "x"}, .strict = true};
	struct parse_manifest p = select_in(tree, NULL, "s", "x");

	(void)state;
	assert_non_null(strstr(p.notes.text, "has no s,x"));
	has_files(p, "all");
	p = select_in(tree, NULL, "s", NULL);
	assert_int_equal(p.notes.count, 1);
	has_files(p, "all");
	p = parse_manifest(tree, &strict);
	assert_int_equal(p.err.code, E_SELECT);
}

static const char links[] = "software = { version = \"1\"; common = (" FILE_(
	"root") ");\n"
		" s = { common = (" FILE_(
			"set") ");\n"
			       "  m1 = { common = (" FILE_(
				       "m1") "); files = ({ ref = \"#./common\"; }); };\n"
					     "  m2 = { files = ({ ref = \"#../common\"; }); };\n"
					     "  m3 = { files = ({ ref = \"#../../common\"; }); };\n"
					     "  m4 = { ref = \"#./m1\"; };\n"
					     "  m5 = { ref = \"#./m4\"; };\n"
					     "  m6 = { ref = \"#../plain\"; };\n"
					     "  m7 = { files = ({ ref = \"#/software/common\"; }); };\n"
					     "  m8 = { files = ({ ref = \"#/common\"; }); };\n"
					     "  m9 = { files = ({ ref = \"#software/common\"; }); };\n"
					     "  m10 = { files = ({ ref = \"#common\"; }); };\n"
					     "  m11 = { files : { ref = \"#./common\"; }; common = (" FILE_(
						     "m11") "); };\n"
							    "  m12 = { files = (" FILE_("before") ", { ref = \"#../m2/files\"; }, " FILE_(
								    "after") "); };\n"
									     "  m13 = { files = ({ ref = \"#../m4/files\"; }); };\n"
									     "  m14 = { files = ({ ref = \"#../../one\"; }); };\n"
									     "  m15 = { files = ({ ref = \"#../../../../software/common\"; }); };\n"
									     " };\n"
									     " one = " FILE_(
										     "one") ";\n"
											    " plain = { files = (" FILE_(
												    "plain") "); }; };";

static void select_follows_links_as_existing_bundles_have_them(void **state)
{
	static const char *const rows[][2] = {
		{"m1", "m1"},	{"m2", "set"},
		{"m3", "root"}, {"m4", "m1"},
		{"m5", "m1"},	{"m6", "plain"},
		{"m7", "root"}, {"m9", "root"},
		{"m11", "m11"}, {"m12", "before set after"},
		{"m13", "m1"},	{"m14", "one"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		has_files(select_in(links, NULL, "s", rows[i][0]), rows[i][1]);
}

/* "#./../x" is the form of SWUpdate's own manual */
static void select_a_link_is_a_path_in_words(void **state)
{
	static const char *const rows[][2] = {
		{"#./t", "m"},
		{"#../t", "s"},
		{"#./../t", "s"},
		{"#../../t", "software"},
		{"#./../../t", "software"},
		{"#./././t", "m"},
		{"#.././t", "s"},
		{"#./../s/t", NULL},
		{"#./../nowhere/../t", "s"},
		{"#software/s/../t", "software"},
		{"#t/", "root"},
		{"#.//t", "m"},
		{"#/./t", "m"},
		{"#../../../t", "root"},
		{"#./../../../t", "root"},
		{"#.././../t", "software"},
		{"#../../../../t", NULL},
		{"#./a/../../../../../t", NULL},
		{"#./1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21", NULL},
	};

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(rows); i++) {
		char text[1200];
		struct parse_manifest p;

		/* as an item of a list, and in place of the list */
		(void)snprintf(
			text, sizeof(text),
			"t = (" FILE_("root") "); software = { version = \"1\"; t = (" FILE_(
				"software") "); s = { t = (" FILE_("s") "); m = { t = (" FILE_("m") "); files = %s{ ref = \"%s\"; }%s; }; }; };",
			i % 2 ? "" : "(", rows[i / 2][0], i % 2 ? "" : ")");
		p = select_in(text, NULL, "s", "m");
		if (rows[i / 2][1])
			has_files(p, rows[i / 2][1]);
		else
			assert_int_equal(p.err.code, E_DESC_LINK);
	}
}

static void select_links_stand_for_values_too(void **state)
{
	struct parse_manifest p = select_in(
		"v2 = \"3\"; software = { version = { ref = \"#v2\"; }; off = false; text = \"t\"; hw = [ \"a\", \"b\" ];"
		"reboot = { ref = \"#./off\"; }; hardware-compatibility = { ref = \"#./hw\"; };"
		"s = { m = { description = { ref = \"#./../../text\"; }; files = (" FILE_(
			"f") "); }; }; };",
		NULL, "s", "m");

	(void)state;
	assert_int_equal(p.rc, 0);
	assert_string_equal(p.m->version, "3");
	assert_string_equal(p.m->description, "t");
	assert_true(p.m->has_reboot && !p.m->reboot);
	assert_int_equal(p.m->hardware.count, 2);
	manifest_free(p.m);
	p = parse_body("description = { ref = \"#./nowhere\"; }; files = (" FILE_("f") ");");
	assert_int_equal(p.err.code, E_DESC_LINK);
	p = parse_body("description = { ref = \"#./d\"; }; d = 1; files = (" FILE_("f") ");");
	assert_int_equal(p.err.code, E_DESC_TYPE);
	p = parse_body("description = { ref = \"#./description\"; }; files = (" FILE_("f") ");");
	assert_int_equal(p.err.code, E_DESC_LINK);
}

static void select_counts_entries_after_links(void **state)
{
	struct parse_manifest p = select_in(links, NULL, "s", "m12");

	(void)state;
	assert_int_equal(p.m->entries[0].index, 0);
	assert_int_equal(p.m->entries[1].index, 1);
	assert_int_equal(p.m->entries[2].index, 2);
	assert_int_equal(p.m->entries[1].line, 2);
	assert_int_equal(p.m->entries[2].line, 14);
	manifest_free(p.m);
}

static void link_fails(struct parse_manifest p, const char *why)
{
	if (p.rc >= 0 || p.err.code != E_DESC_LINK || !strstr(p.err.why, why))
		fail_msg("rc %d, code %d, why %s", p.rc, p.err.code, p.err.why);
}

static void select_links_that_lead_nowhere_are_errors(void **state)
{
	(void)state;
	link_fails(select_in(links, NULL, "s", "m8"), "leads nowhere");
	link_fails(select_in(links, NULL, "s", "m10"), "leads nowhere");
	link_fails(select_in(links, NULL, "s", "m15"), "leads nowhere");
	link_fails(parse_body("files = ({ ref = \"#./files/x\"; });"), "leads nowhere");
	link_fails(parse_body("files = ({ ref = \"#./version/x\"; });"), "leads nowhere");
	link_fails(parse_body("files = ({ ref = \"#./commo\"; }); common = (" FILE_("a") ");"),
		   "leads nowhere");
	link_fails(parse_body("files = ({ ref = \"./common\"; }); common = ();"), "form");
	link_fails(parse_body("files = ({ ref = \"#.\"; });"), "form");
	link_fails(parse_body("files = ({ ref = \"\"; });"), "form");
	link_fails(parse_body("files = ({ ref = 5; });"), "form");
	link_fails(parse_body("files = ({ ref = true; });"), "form");
}

static void t34_links_in_circles_are_errors(void **state)
{
	(void)state;
	link_fails(parse_body("files = ({ ref = \"#./files\"; });"), "more than 10");
	link_fails(parse_body("files = ({ ref = \"#./a\"; }); a = ({ ref = \"#./b\"; });"
			      "b = ({ ref = \"#./a\"; });"),
		   "more than 10");
	link_fails(parse_body("files = { ref = \"#./files\"; };"), "leads to itself");
	link_fails(parse_body("files = { ref = \"#./a\"; }; a = { ref = \"#./b\"; };"
			      "b = { ref = \"#./a\"; };"),
		   "more than 10");
	link_fails(parse_manifest("software = { ref = \"#/software\"; };", NULL),
		   "leads to itself");
	link_fails(parse_manifest("software = { ref = \"#/a\"; }; a = { ref = \"#/software\"; };",
				  NULL),
		   "more than 10");
	link_fails(select_in("software = { version = \"1\"; s = { m = { ref = \"#./m/x\"; }; }; };",
			     NULL, "s", "m"),
		   "");
	/* a link whose path goes through itself, again and again */
	link_fails(
		parse_body("files = ({ ref = \"#./a/a/a/a\"; }); a = { ref = \"#./a/a/a/a/a\"; };"),
		"");
}

static void t34_ten_links_in_a_row_are_followed_and_not_eleven(void **state)
{
	char body[1024];
	int at;

	(void)state;
	for (int n = 10; n <= 11; n++) {
		at = snprintf(body, sizeof(body), "files = ({ ref = \"#./l1\"; });");
		for (int i = 1; i < n; i++)
			at += snprintf(body + at, sizeof(body) - (size_t)at,
				       "l%d = ({ ref = \"#./l%d\"; });", i, i + 1);
		(void)snprintf(body + at, sizeof(body) - (size_t)at, "l%d = (" FILE_("end") ");",
			       n);
		if (n == 10)
			has_files(parse_body(body), "end");
		else
			link_fails(parse_body(body), "more than 10");
	}
}

/* each list holds twenty links to the next one: 20^8 entries, or none at all */
static void t34_links_that_multiply_are_bounded(void **state)
{
	static char text[32768];
	int at;

	(void)state;
	for (int filled = 0; filled < 2; filled++) {
		struct parse_manifest p;

		at = snprintf(text, sizeof(text),
			      "software = { version = \"1\"; files = ({ ref = \"#./l0\"; });");
		for (int i = 0; i < 8; i++) {
			at += snprintf(text + at, sizeof(text) - (size_t)at, "l%d = (", i);
			for (int k = 0; k < 20; k++)
				at += snprintf(text + at, sizeof(text) - (size_t)at,
					       "%s{ ref = \"#./l%d\"; }", k ? "," : "", i + 1);
			at += snprintf(text + at, sizeof(text) - (size_t)at, ");");
		}
		(void)snprintf(text + at, sizeof(text) - (size_t)at, "l8 = (%s); };",
			       filled ? FILE_("x") : "");
		p = parse_manifest(text, NULL);
		link_fails(p, "more than 4096");
	}
}

/* one long list, linked often: the count of entries is bounded too */
static void t34_entries_of_links_are_bounded(void **state)
{
	static char text[200000];
	int at = snprintf(text, sizeof(text), "software = { version = \"1\"; files = (");
	struct parse_manifest p;

	(void)state;
	for (int k = 0; k < 1000; k++)
		at += snprintf(text + at, sizeof(text) - (size_t)at, "%s{ ref = \"#./l\"; }",
			       k ? "," : "");
	at += snprintf(text + at, sizeof(text) - (size_t)at, "); l = (");
	for (int k = 0; k < 100; k++)
		at += snprintf(text + at, sizeof(text) - (size_t)at, "%s{ name = \"x\"; }",
			       k ? "," : "");
	(void)snprintf(text + at, sizeof(text) - (size_t)at, "); };");
	p = parse_manifest(text, NULL);
	assert_int_equal(p.err.code, E_DESC_LIMIT);
	assert_non_null(strstr(p.err.why, "too many entries"));
}

static void select_link_in_vars_stays_in_vars(void **state)
{
	struct parse_manifest p = parse_body("files = (" FILE_(
		"f") "); bootenv = ({ name = \"b\"; value = \"1\"; });\n"
		     "vars = ({ ref = \"#./shared\"; }, { name = \"v\"; value = \"2\"; });\n"
		     "shared = ({ name = \"s\"; value = \"3\"; });");

	(void)state;
	assert_int_equal(p.rc, 0);
	assert_int_equal(p.m->bootenv_count, 1);
	assert_string_equal(p.m->bootenv[0].name, "b");
	assert_int_equal(p.m->var_count, 2);
	assert_string_equal(p.m->vars[0].name, "s");
	assert_string_equal(p.m->vars[0].value, "3");
	assert_string_equal(p.m->vars[1].name, "v");
	manifest_free(p.m);
}

static void select_works_alike_in_json(void **state)
{
	static const char text[] =
		"{\"software\":{\"version\":\"1\",\"s\":{\"m\":{\"files\":[{\"ref\":\"#../common\"}]},"
		"\"n\":{\"ref\":\"#./m\"},\"common\":{\"filename\":\"f\",\"sha256\":\"" H64
		"\"}}}}";

	(void)state;
	has_files(select_in(text, NULL, "s", "m"), "f");
	has_files(select_in(text, NULL, "s", "n"), "f");
}

static void select_lists_hold_groups_only(void **state)
{
	(void)state;
	parse_body_fails("files = (1);", E_DESC_TYPE, "software.files[0] must be a list of groups");
	parse_body_fails("files = ({ ref = \"#./version\"; });", E_DESC_TYPE,
			 "software.version must be a list of groups, not a text");
	parse_body_fails("files = \"x\";", E_DESC_TYPE, "software.files must be a list of groups");
}

static void offers(const char *text, const char *want)
{
	struct arena *a = arena_new(1 << 20);
	struct selections list;
	struct err e = {0};
	char got[256] = "";

	assert_int_equal(manifest_selections(text, strlen(text), &list, a, &e), 0);
	for (size_t i = 0; i < list.count; i++) {
		size_t n = strlen(got);

		(void)snprintf(got + n, sizeof(got) - n, "%s%s%s%s,%s", n ? " " : "",
			       list.at[i].board ? list.at[i].board : "",
			       list.at[i].board ? ":" : "", list.at[i].set, list.at[i].mode);
	}
	assert_string_equal(got, want);
	arena_free(a);
}

static void manifest_selections_are_the_sets_and_modes(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct selections list;
	struct err e = {0};

	(void)state;
	offers("software = { version = \"1\"; images = (); };", "");
	offers(tree, "b:s,m s,m");
	offers("software = { stable = { a = { images = (); }; b = { ref = \"#./a\"; }; };"
	       "board = { stable = { a = { files = (); }; c = { uboot = (); }; }; };"
	       "common = ({ x = 1; }); properties = { x = { y = 1; }; }; };",
	       "stable,a stable,b board:stable,a board:stable,c");
	offers("{\"software\":{\"s\":{\"m\":{\"bootenv\":[]}}}}", "s,m");
	assert_int_equal(manifest_selections("x = 1;", 6, &list, a, &e), -EINVAL);
	assert_int_equal(e.code, E_DESC_MISSING);
	err_clear(&e);
	assert_int_equal(manifest_selections("x = ", 4, &list, a, &e), -EINVAL);
	assert_int_equal(e.code, E_DESC_SYNTAX);
	arena_free(a);
}

static void explains(const char *board, const char *revision, const char *set, const char *mode,
		     const char *why, const char *fix)
{
	static const char text[] =
		"software = { version = \"1\"; b1 = { stable = { a = { files = (); }; b = { files = (); }; }; };"
		"b2 = { stable = { a = { files = (); }; }; test = { a = { files = (); }; }; }; };";
	const struct manifest_options o = {.sel = {board, set, mode}, .revision = revision};
	struct manifest *m;
	struct err e = {0};

	assert_true(manifest_parse(&m, text, strlen(text), &o, &e) < 0);
	assert_int_equal(e.code, E_SELECT);
	assert_string_equal(e.why, why);
	assert_string_equal(e.where, "sw-description");
	if (!strstr(e.fix, fix))
		fail_msg("'%s' is not in '%s'", fix, e.fix);
}

/* never 'it has no stable,a, it has: stable,a' */
static void select_says_what_is_different(void **state)
{
	(void)state;
	explains("b3", "1.2", "stable", "a",
		 "'stable,a' is in the bundle for other boards only (b1; b2); this device is board "
		 "'b3' revision '1.2'",
		 "-H BOARD:REVISION");
	explains("b1", NULL, "test", "a",
		 "'test,a' is in the bundle for other boards only (b2); this device is board 'b1'",
		 "/etc/hwrevision");
	explains(NULL, NULL, "test", "a",
		 "'test,a' is in the bundle for other boards only (b2); this device does not say "
		 "which board it is",
		 "/etc/hwrevision");
	explains("b1", "1", "stable", "c", "'stable' has no mode 'c'; its modes: a; b",
		 "stable,a; stable,b");
	explains("b2", "1", "live", "a", "the bundle has no set 'live'; its sets: stable; test",
		 "stable,a; test,a");
	explains("b2", "1", NULL, NULL,
		 "all that the bundle has is for a selection, and none was given",
		 "-e SET,MODE, or select in the configuration: stable,a; test,a");
	explains("b3", "1", NULL, NULL,
		 "the bundle is for other boards only (b1; b2); this device is board 'b3' revision "
		 "'1'",
		 "-H BOARD:REVISION");
}

static void manifest_selections_fail_for_a_reason(void **state)
{
	static const char text[] =
		"software = { s = { m = { files = (); }; }; b = { t = { n = { vars = (); }; }; }; };";
	static const char *const bad[] = {
		"software = { s = { m = { ref = \"#./no\"; }; }; };",
		"software = { b = { s = { m = { ref = \"#./no\"; }; }; }; };",
	};
	bool done = false;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct arena *a = arena_new(1 << 20);
		struct selections list;
		struct err e = {0};

		assert_int_equal(manifest_selections(bad[i], strlen(bad[i]), &list, a, &e),
				 -EINVAL);
		assert_int_equal(e.code, E_DESC_LINK);
		arena_free(a);
	}
	for (size_t cap = 0; !done; cap += 8) {
		struct arena *a = arena_new(cap);
		struct selections list;
		struct err e = {0};

		done = manifest_selections(text, strlen(text), &list, a, &e) == 0;
		if (!done)
			assert_int_equal(e.code, E_MEMORY);
		else
			assert_int_equal(list.count, 2);
		arena_free(a);
		assert_true(cap < 1 << 16);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(select_takes_the_first_place_that_has_the_element),
		cmocka_unit_test(select_finds_scalars_along_the_same_way),
		cmocka_unit_test(select_that_leads_nowhere_falls_back_with_a_note),
		cmocka_unit_test(select_follows_links_as_existing_bundles_have_them),
		cmocka_unit_test(select_a_link_is_a_path_in_words),
		cmocka_unit_test(select_links_stand_for_values_too),
		cmocka_unit_test(select_counts_entries_after_links),
		cmocka_unit_test(select_links_that_lead_nowhere_are_errors),
		cmocka_unit_test(t34_links_in_circles_are_errors),
		cmocka_unit_test(t34_ten_links_in_a_row_are_followed_and_not_eleven),
		cmocka_unit_test(t34_links_that_multiply_are_bounded),
		cmocka_unit_test(t34_entries_of_links_are_bounded),
		cmocka_unit_test(select_link_in_vars_stays_in_vars),
		cmocka_unit_test(select_works_alike_in_json),
		cmocka_unit_test(select_lists_hold_groups_only),
		cmocka_unit_test(manifest_selections_are_the_sets_and_modes),
		cmocka_unit_test(select_says_what_is_different),
		cmocka_unit_test(manifest_selections_fail_for_a_reason),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
