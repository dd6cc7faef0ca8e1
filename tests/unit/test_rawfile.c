/* rawfile: the new file is whole before anybody sees it; the old one stays until then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "corelib/files/staged.h"
#include "corelib/base/text.h"
#include "handlers/handler.h"
#include "tests/unit/kit/fake_host.h"
#include "tests/unit/kit/fake_stream.h"

#define TXN "00112233445566ff"

extern const struct handler handler_rawfile;

static uint8_t data[300001];
static char dir[64], target[96];

struct scene {
	struct entry entry;
	struct step st;
	struct property props[2];
	const char *values[2];
};

static void scene_open(struct scene *sc)
{
	struct err e = {0};

	memset(sc, 0, sizeof(*sc));
	sc->entry.path = target;
	sc->entry.filename = "app";
	sc->entry.props = sc->props;
	sc->st.entry = &sc->entry;
	assert_int_equal(staged_open(&sc->st.file, target, TXN, 0, false, &e), 0);
}

static void scene_property(struct scene *sc, const char *name, const char *value)
{
	size_t i = sc->entry.prop_count++;

	sc->values[i] = value;
	sc->props[i] = (struct property){name, &sc->values[i], 1};
}

static int setup(void **state)
{
	(void)state;
	fake_bytes(data, sizeof(data), 21);
	snprintf(dir, sizeof(dir), "/tmp/swinstall-rawfile-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(target, sizeof(target), "%s/app", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(target);
	return rmdir(dir); /* fails the test when something is left */
}

static void put_old(const char *text, unsigned mode)
{
	FILE *f = fopen(target, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	chmod(target, mode);
}

static void assert_content(const void *want, size_t n)
{
	FILE *f = fopen(target, "r");
	uint8_t *got = malloc(n + 1);

	assert_non_null(f);
	assert_non_null(got);
	assert_int_equal(fread(got, 1, n + 1, f), n);
	assert_memory_equal(got, want, n);
	free(got);
	fclose(f);
}

static int install(struct scene *sc, struct fake *src, struct err *e)
{
	struct stream *s;
	int rc;

	memset(e, 0, sizeof(*e));
	assert_int_equal(handler_rawfile.check(&sc->st, e), 0);
	assert_int_equal(fake_stream_open(&s, src, e), 0);
	rc = handler_rawfile.install(&sc->st, s, e);
	stream_close(s);
	return rc;
}

static void rawfile_appears_at_commit_and_not_before(void **state)
{
	struct fake src = {.data = data, .size = sizeof(data), .max_piece = 5000, .seed = 3};
	struct scene sc;
	struct stat st;
	struct err e;

	(void)state;
	scene_open(&sc);
	assert_int_equal(install(&sc, &src, &e), 0);
	assert_int_equal(stat(target, &st), -1);
	assert_int_equal(handler_rawfile.commit(&sc.st, &e), 0);
	assert_content(data, sizeof(data));
	assert_int_equal(stat(target, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(staged_drop(sc.st.file, &e), 0);
	staged_close(sc.st.file);
}

static void rawfile_keeps_the_mode_of_the_old_file(void **state)
{
	struct fake src = {.data = data, .size = 10};
	struct scene sc;
	struct stat st;
	struct err e;

	(void)state;
	put_old("old and longer than ten bytes", 0755);
	scene_open(&sc);
	assert_int_equal(install(&sc, &src, &e), 0);
	assert_content("old and longer than ten bytes", 29);
	assert_int_equal(handler_rawfile.commit(&sc.st, &e), 0);
	assert_content(data, 10);
	assert_int_equal(stat(target, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(staged_drop(sc.st.file, &e), 0);
	staged_close(sc.st.file);
}

static void rawfile_discard_brings_back_the_old_file(void **state)
{
	(void)state;
	for (unsigned committed = 0; committed < 2; committed++) {
		struct fake src = {.data = data, .size = sizeof(data)};
		struct scene sc;
		struct err e;

		put_old("old", 0640);
		scene_open(&sc);
		assert_int_equal(install(&sc, &src, &e), 0);
		if (committed)
			assert_int_equal(handler_rawfile.commit(&sc.st, &e), 0);
		handler_rawfile.discard(&sc.st);
		assert_content("old", 3);
		staged_close(sc.st.file);
	}
}

static void rawfile_truncated_payload_never_becomes_visible(void **state)
{
	struct fake src = {.data = data,
			   .size = sizeof(data),
			   .max_piece = 4096,
			   .fails = true,
			   .fail_at = 200000,
			   .fail_code = E_TRUNCATED};
	struct scene sc;
	struct err e;

	(void)state;
	put_old("old", 0644);
	scene_open(&sc);
	assert_true(install(&sc, &src, &e) < 0);
	assert_int_equal(e.code, E_TRUNCATED);
	handler_rawfile.discard(&sc.st);
	assert_content("old", 3);
	staged_close(sc.st.file);
}

static void rawfile_discard_of_a_step_that_never_began_is_nothing(void **state)
{
	struct scene sc;

	(void)state;
	scene_open(&sc);
	handler_rawfile.discard(&sc.st);
	staged_close(sc.st.file);
}

static void t47_rawfile_property_that_is_not_understood_is_refused(void **state)
{
	static const char *const names[] = {"create-destination", "atomic-install"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct err e = {0};
		struct scene sc;

		scene_open(&sc);
		scene_property(&sc, names[i], "true");
		assert_int_equal(handler_rawfile.check(&sc.st, &e), 0);
		sc.values[0] = "maybe";
		assert_true(handler_rawfile.check(&sc.st, &e) < 0);
		assert_int_equal(e.code, E_PROPERTY);
		staged_close(sc.st.file);
	}
}

static void rawfile_without_a_path_says_what_is_missing(void **state)
{
	struct err e = {0};
	struct scene sc;

	(void)state;
	scene_open(&sc);
	sc.entry.path = NULL;
	assert_true(handler_rawfile.check(&sc.st, &e) < 0);
	assert_int_equal(e.code, E_DESC_MISSING);
	err_clear(&e);
	sc.entry.path = target;
	sc.entry.offset = 1;
	sc.entry.has_offset = true;
	assert_true(handler_rawfile.check(&sc.st, &e) < 0);
	assert_int_equal(e.code, E_DESC_VALUE);
	staged_close(sc.st.file);
}

static void rawfile_describes_its_properties(void **state)
{
	(void)state;
	assert_int_equal(handler_rawfile.sections, SECTION_FILES);
	assert_int_equal(handler_rawfile.holds, HOLDS_FILE);
	for (size_t i = 0; i < handler_rawfile.prop_count; i++) {
		assert_non_null(handler_rawfile.props[i].help);
		assert_non_null(handler_rawfile.props[i].dflt);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(rawfile_appears_at_commit_and_not_before),
		T(rawfile_keeps_the_mode_of_the_old_file),
		T(rawfile_discard_brings_back_the_old_file),
		T(rawfile_truncated_payload_never_becomes_visible),
		T(rawfile_discard_of_a_step_that_never_began_is_nothing),
		T(t47_rawfile_property_that_is_not_understood_is_refused),
		T(rawfile_without_a_path_says_what_is_missing),
		T(rawfile_describes_its_properties),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
