/*
 * Boot environments that somebody else wrote: any bytes in the place of the block or the file. What
 * can be read keeps its other variables when one is changed.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/bootenv/bootenv.h"
#include "tests/fuzz/fuzzkit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char *const changed[][2] = {
	{"ustate", "1"}, {"boot_slot", "b"}, {"recovery_status", NULL}};

static bool is_changed(const char *name)
{
	for (size_t i = 0; i < sizeof(changed) / sizeof(*changed); i++)
		if (strcmp(changed[i][0], name) == 0)
			return true;
	return false;
}

static void compare(const struct envset *old, const struct envset *now)
{
	for (size_t i = 0; i < old->count; i++) {
		const struct envvar *was = envset_find(old, old->vars[i].name);
		const struct envvar *is = envset_find(now, old->vars[i].name);

		if (!is_changed(was->name) && (!is || strcmp(was->value, is->value) != 0))
			fuzzkit_fail("a variable was lost", was->name);
	}
	for (size_t i = 0; i < sizeof(changed) / sizeof(*changed); i++) {
		const struct envvar *is = envset_find(now, changed[i][0]);

		if (changed[i][1] ? !is || strcmp(is->value, changed[i][1]) != 0 : is != NULL)
			fuzzkit_fail("a variable was not changed", changed[i][0]);
	}
}

static void change(struct bootenv *b, const struct envset *old)
{
	struct envset changes = {0}, now = {0};
	struct err e = {0};
	int check;

	for (size_t i = 0; i < sizeof(changed) / sizeof(*changed); i++)
		if (envset_put(&changes, changed[i][0], changed[i][1], &e) < 0)
			abort();
	check = bootenv_check(b, &changes, &e);
	if (bootenv_commit(b, &changes, &e) == 0) {
		if (check < 0)
			fuzzkit_fail("written, and the check refused it", e.why);
		if (bootenv_load(b, &now, &e) < 0)
			fuzzkit_fail("written, and not readable", e.why);
		compare(old, &now);
	} else if (check == 0) {
		fuzzkit_fail("the check promised more than the write keeps", e.why);
	}
	envset_clear(&changes);
	envset_clear(&now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char *const kinds[] = {"grub", "file"};
	struct bootenv_options o = {0};
	struct bootenv *b = NULL;
	struct envset all = {0};
	struct err e = {0};

	if (n < 1 || n > 65536)
		return 0;
	fuzzkit_folder();
	fuzzkit_drop();
	fuzzkit_write("env", data + 1, n - 1);
	o.kind = kinds[data[0] & 1];
	o.path = fuzzkit_path("env");
	if (bootenv_open(&b, &o, &e) == 0) {
		if (bootenv_load(b, &all, &e) == 0)
			change(b, &all);
		bootenv_close(b);
	}
	envset_clear(&all);
	fuzzkit_expect_closed();
	fuzzkit_regain();
	return 0;
}
