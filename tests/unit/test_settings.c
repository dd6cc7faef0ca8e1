/* The configuration: an existing file works unchanged, mistakes name their line. */
#include "parse_help.h"

#include <stdio.h>
#include <string.h>

struct parsed {
	struct settings *s;
	struct err err;
	struct parse_notes notes;
	int rc;
};

static struct parsed parse(const char *text)
{
	struct parsed p = { .rc = 0 };

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
		"{ name = \"b\"; rootfs = \"/dev/sda3\"; env = { slot = \"b\"; }; }); };");

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings_defaults_are_those_of_the_manual),
		cmocka_unit_test(settings_slots_have_places_env_and_cmdline),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
