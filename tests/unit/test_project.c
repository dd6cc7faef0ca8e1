/* From init to extract without memory: each command of the build side ends with an error, and
 * leaves nothing half. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/build/build.h"
#include "core/build/extract.h"
#include "core/build/init.h"
#include "core/build/keygen.h"
#include "core/build/lint.h"
#include "core/build/sign.h"
#include "core/build/verify_strict.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "tests/unit/kit/fail_malloc.h"

static char dir[64], bundle[128], key[128], project[128];
static struct keyring *ring;

static int drop(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static void empty(const char *path)
{
	nftw(path, drop, 8, FTW_DEPTH | FTW_PHYS);
}

static unsigned count_files(const char *path)
{
	DIR *d = opendir(path);
	unsigned n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

/* ---- the commands ------------------------------------------------------------------------ */

static int run_init(struct err *e)
{
	return init_project(project, true, e);
}

static int run_lint(struct err *e)
{
	static const char text[] =
		"software = { version = \"1\"; verson = \"2\";\n"
		"images: ({ filename = \"a\"; device = \"/dev/x\"; }, { filename = \"b\"; device = \"/dev/x\"; }); };";
	const struct lint_options o = {0};
	struct lint_result r;

	return lint_description(&r, text, sizeof(text) - 1, &o, e);
}

static int run_lint_bundle(struct err *e)
{
	const struct lint_options o = {0};
	struct lint_result r;

	return lint_file(&r, bundle, &o, e);
}

static int run_sign(struct err *e)
{
	const struct sign_options o = {.key_file = key, .scheme = SIG_ED25519};
	uint64_t size;

	return sign_bundle(&o, bundle, bundle, &size, e);
}

static int run_extract(struct err *e)
{
	const struct extract_options o = {.bundle = bundle, .folder = project};

	return extract_bundle(&o, e);
}

static int run_tolerated(struct err *e)
{
	const struct verify_options o = {.bundle = bundle, .keys = ring};
	struct verify_result r;
	unsigned found;

	return verify_strict(&o, &r, &found, e);
}

/* ---- promises ----------------------------------------------------------------------------- */

static void each_command_without_memory_is_an_error(void **state)
{
	static const struct {
		const char *name;
		int (*run)(struct err *e);
	} all[] = {
		{"init", run_init}, {"lint", run_lint},	      {"lint of a bundle", run_lint_bundle},
		{"sign", run_sign}, {"extract", run_extract}, {"verify --strict", run_tolerated},
	};

	(void)state;
	if (!fail_malloc_works())
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		for (unsigned n = 1;; n++) {
			unsigned before = count_files(dir);
			struct err e;
			int rc;

			err_clear(&e);
			fail_malloc_ours_at(n);
			rc = all[i].run(&e);
			if (!fail_malloc_off()) {
				if (rc < 0)
					fail_msg("%s: %s", all[i].name, e.why);
				break;
			}
			empty(project);
			if (rc == 0 || e.code != E_MEMORY)
				fail_msg("%s, allocation %u: rc %d, %s", all[i].name, n, rc, e.why);
			assert_int_equal(count_files(dir), before); /* no file of ours behind */
		}
		empty(project);
	}
}

/* the bundle stays what it was while it cannot be signed anew */
static void a_bundle_that_cannot_be_signed_stays_as_it_is(void **state)
{
	const struct sign_options o = {.key_file = "/nonexistent", .scheme = SIG_ED25519};
	char *before, *after;
	size_t n, m;
	uint64_t size;
	struct err e;

	(void)state;
	assert_int_equal(sys_read_file(AT_FDCWD, bundle, 1 << 20, &before, &n), 0);
	err_clear(&e);
	assert_true(sign_bundle(&o, bundle, bundle, &size, &e) < 0);
	assert_int_equal(sys_read_file(AT_FDCWD, bundle, 1 << 20, &after, &m), 0);
	assert_int_equal(n, m);
	assert_memory_equal(before, after, n);
	free(before);
	free(after);
}

static void init_twice_keeps_the_first(void **state)
{
	struct err e;

	(void)state;
	err_clear(&e);
	assert_int_equal(init_project(project, false, &e), 0);
	assert_true(init_project(project, false, &e) < 0);
	assert_int_equal(e.code, E_BUILD);
	assert_non_null(strstr(e.why, "there already"));
	empty(project);
}

static int make(void **state)
{
	const char *dirs[] = {project};
	char template_file[160];
	struct keygen_pair p;
	struct err e;
	uint64_t size;
	struct build_options o = {.template_file = template_file,
				  .output = bundle,
				  .key_file = key,
				  .scheme = SIG_ED25519,
				  .dirs = dirs,
				  .dir_count = 1};
	int rc;

	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test-project-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(bundle, sizeof(bundle), "%s/b.swu", dir);
	snprintf(key, sizeof(key), "%s/k.key.pem", dir);
	snprintf(project, sizeof(project), "%s/p", dir);
	snprintf(template_file, sizeof(template_file), "%s/sw-description", project);
	err_clear(&e);
	rc = keygen_make(&p, "ed25519", "k", &e);
	if (rc == 0)
		rc = keygen_write(&p, dir, "k", &e);
	if (rc == 0)
		rc = keyring_parse(&ring, p.pub_pem, strlen(p.pub_pem), NULL, 0,
				   &(struct keyring_options){0}, &e);
	keygen_clear(&p);
	if (rc == 0)
		rc = init_project(project, false, &e);
	if (rc == 0)
		rc = build_bundle(&o, &size, &e);
	empty(project);
	return rc;
}

static int clean(void **state)
{
	(void)state;
	keyring_free(ring);
	empty(dir);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_command_without_memory_is_an_error),
		cmocka_unit_test(a_bundle_that_cannot_be_signed_stays_as_it_is),
		cmocka_unit_test(init_twice_keeps_the_first),
	};
	return cmocka_run_group_tests(tests, make, clean);
}
