/* What swctl status says of a device, for people and for programs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/cli/device_text.h"
#include "core/state/device.h"
#include "core/cli/swctl_options.h"
#include "corelib/base/text.h"

static void says(const struct device *d, const char *part)
{
	AUTO_FREE char *text = device_text(d);

	assert_non_null(text);
	if (!strstr(text, part))
		fail_msg("'%s' is not in:\n%s", part, text);
}

static json_t *json_of(const struct device *d)
{
	AUTO_FREE char *text = device_json(d);
	json_t *o;

	assert_non_null(text);
	o = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	if (!o)
		fail_msg("not JSON: %s", text);
	return o;
}

static struct device failed(void)
{
	struct device d = {.now = NOW_IDLE,
			   .last = {.state = "failure",
				    .version = "2.0",
				    .bundle = "a.swu",
				    .time = 1767225600}};

	err_set(&d.last.err, E_TARGET_SMALL, ENOSPC, "too small");
	err_at(&d.last.err, -1, "/dev/x");
	return d;
}

static void a_fresh_device_says_that_nothing_was_installed(void **state)
{
	struct device d = {.now = NOW_IDLE};
	json_t *o = json_of(&d);

	(void)state;
	says(&d, "nothing was installed");
	says(&d, "now     idle");
	assert_null(json_object_get(o, "last"));
	assert_null(json_object_get(o, "slots"));
	json_decref(o);
}

static void the_last_failure_comes_with_its_fields(void **state)
{
	struct device d = failed();
	json_t *o = json_of(&d), *error;

	(void)state;
	says(&d, "last    failure: release 2.0 of 'a.swu', 2026-01-01 00:00:00 UTC\n");
	says(&d, "  why    too small\n");
	says(&d, "  code   SWI-210 E_TARGET_SMALL");
	error = json_object_get(json_object_get(o, "last"), "error");
	assert_string_equal(json_string_value(json_object_get(error, "name")), "E_TARGET_SMALL");
	assert_string_equal(json_string_value(json_object_get(error, "where")), "/dev/x");
	json_decref(o);
}

static void an_interrupted_install_names_what_to_do(void **state)
{
	struct device d = {.now = NOW_INTERRUPTED, .version = "2.0"};
	json_t *o = json_of(&d);

	(void)state;
	says(&d, "an installation of release 2.0 was interrupted: swctl recover tidies up");
	assert_string_equal(json_string_value(json_object_get(o, "now")), "interrupted");
	json_decref(o);
}

static void what_is_not_known_is_said_with_its_reason(void **state)
{
	struct device d = {.now = NOW_UNKNOWN,
			   .why = "no rights",
			   .has_slots = true,
			   .slots_why = "no environment"};
	json_t *o = json_of(&d);

	(void)state;
	says(&d, "now     not known: no rights");
	says(&d, "slots   not known: no environment");
	assert_string_equal(json_string_value(json_object_get(o, "why")), "no rights");
	json_decref(o);
}

static void slots_tell_what_boots_next(void **state)
{
	struct device d = {.now = NOW_RUNNING,
			   .why = "1234 holds it",
			   .has_slots = true,
			   .running = "a",
			   .next = "b",
			   .target = "b",
			   .pending = true};
	json_t *o = json_of(&d), *slots = json_object_get(o, "slots");

	(void)state;
	says(&d, "an installation is running: 1234 holds it");
	says(&d, "running: a, boots next: b, installs into: b");
	says(&d, "waits for its reboot");
	assert_true(json_is_true(json_object_get(slots, "pending")));
	assert_string_equal(json_string_value(json_object_get(slots, "next")), "b");
	json_decref(o);
	d.next[0] = '\0';
	says(&d, "boots next: not known");
}

/* T118: the status file is text that anybody with the medium could have changed */
static void t118_foreign_text_stays_within_its_member(void **state)
{
	struct device d = {.now = NOW_IDLE,
			   .last = {.state = "x\"}", .version = "\",\"now\":\"", .bundle = "\\"}};
	json_t *o = json_of(&d);

	(void)state;
	assert_string_equal(json_string_value(json_object_get(o, "now")), "idle");
	assert_string_equal(json_string_value(json_object_get(json_object_get(o, "last"), "state")),
			    "x\"}");
	json_decref(o);
}

static enum errcode verb_code(const char *a, const char *b, const char **says_this)
{
	static struct err e;
	char *argv[] = {(char *)(uintptr_t) "swctl", (char *)(uintptr_t)a, (char *)(uintptr_t)b};
	const struct swctl_verb *verb;
	struct swctl_cli c;
	struct options o;
	int rc;

	err_clear(&e);
	rc = swctl_cli_parse(&c, &o, &verb, a ? b ? 3 : 2 : 1, argv, &e);
	options_clear(&o);
	*says_this = *e.fix ? e.fix : e.why;
	return rc < 0 ? e.code : E_NONE;
}

static void verbs_are_known_suggested_or_not_built(void **state)
{
	const char *text;

	(void)state;
	assert_int_equal(verb_code("status", NULL, &text), E_NONE);
	assert_int_equal(verb_code("--help", NULL, &text), E_NONE);
	assert_int_equal(verb_code(NULL, NULL, &text), E_USAGE);
	assert_int_equal(verb_code("status", "x", &text), E_USAGE);
	assert_int_equal(verb_code("recovr", NULL, &text), E_USAGE);
	assert_non_null(strstr(text, "did you mean recover?"));
	for (const struct swctl_verb *v = swctl_verbs; v->name; v++) {
		AUTO_FREE char *help = swctl_help();

		assert_int_equal(verb_code(v->name, NULL, &text), v->symbol ? E_NOT_BUILT : E_NONE);
		assert_true(!strstr(help, v->help) == !!v->symbol);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fresh_device_says_that_nothing_was_installed),
		cmocka_unit_test(the_last_failure_comes_with_its_fields),
		cmocka_unit_test(an_interrupted_install_names_what_to_do),
		cmocka_unit_test(what_is_not_known_is_said_with_its_reason),
		cmocka_unit_test(slots_tell_what_boots_next),
		cmocka_unit_test(t118_foreign_text_stays_within_its_member),
		cmocka_unit_test(verbs_are_known_suggested_or_not_built),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
