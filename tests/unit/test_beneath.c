/* Paths beneath a folder: nothing outside is reached, on new kernels and on old ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "corelib/base/text.h"
#include "corelib/files/beneath.h"
#include "kit/envkit.h"
#include "kit/old_kernel.h"

static char base[64];
static int root = -1;

static void below(const char *name, char path[128])
{
	snprintf(path, 128, "%s/%s", base, name);
}

static void put(const char *name, const char *text)
{
	char path[128];

	below(name, path);
	envkit_write_file(path, text, strlen(text));
}

static void link_to(const char *target, const char *name)
{
	char path[128];

	below(name, path);
	assert_int_equal(symlink(target, path), 0);
}

static int setup(void **state)
{
	static const char *const folders[] = {"in", "in/a", "in/a/b", "out"};
	char path[128];

	(void)state;
	snprintf(base, sizeof(base), "/tmp/test-beneath-XXXXXX");
	if (!mkdtemp(base))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		below(folders[i], path);
		if (mkdir(path, 0755) < 0)
			return -1;
	}
	put("in/a/b/file", "mine");
	put("out/file", "theirs");
	link_to("../../out", "in/a/up");
	link_to(base, "in/abs");
	link_to("b", "in/a/here");
	link_to("file", "in/a/b/link");
	below("in", path);
	root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	old_kernel = 0;
	return root < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	close(root);
	return envkit_remove_tree(base);
}

/* what is read through a path; NULL and the error otherwise */
static const char *read_it(const char *path, int *error)
{
	static char text[32];
	AUTO_CLOSE int fd = beneath_open(root, path, O_RDONLY);
	ssize_t n;

	*error = fd < 0 ? fd : 0;
	if (fd < 0)
		return NULL;
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	n = read(fd, text, sizeof(text) - 1);
	assert_true(n >= 0);
	text[n] = '\0';
	return text;
}

static void each_kernel(void (*f)(void))
{
	static const int kernels[] = {0, ENOSYS, EPERM};

	for (size_t i = 0; i < ARRAY_SIZE(kernels); i++) {
		old_kernel = kernels[i];
		f();
	}
}

static void reach_plain(void)
{
	static const char *const paths[] = {"a/b/file", "/a/b/file", "//a//b///file",
					    "./a/./b/file"};
	int rc;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		const char *text = read_it(paths[i], &rc);

		assert_int_equal(rc, 0);
		assert_string_equal(text, "mine");
	}
}

static void beneath_reaches_plain_paths(void **state)
{
	(void)state;
	each_kernel(reach_plain);
}

static void follow_none(void)
{
	static const char *const paths[] = {"a/up/file", "abs/out/file", "a/here/file", "a/b/link",
					    "a/up",	 "abs",		 "a/b/file/x"};
	int rc;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		assert_null(read_it(paths[i], &rc));
		assert_true(rc == -ELOOP || rc == -ENOTDIR);
		rc = beneath_open(root, paths[i], O_PATH);
		assert_true(rc == -ELOOP || rc == -ENOTDIR);
		rc = beneath_open_dir(root, paths[i]);
		assert_true(rc == -ELOOP || rc == -ENOTDIR);
	}
}

static void t45_beneath_follows_no_link_in_any_part(void **state)
{
	(void)state;
	each_kernel(follow_none);
}

static void lead_nowhere(void)
{
	static const char *const up[] = {"..", "../out/file", "a/../../out/file", "a/..", "/../x"};
	char name[300];
	int rc;

	for (size_t i = 0; i < ARRAY_SIZE(up); i++) {
		assert_null(read_it(up[i], &rc));
		assert_int_equal(rc, -EXDEV);
	}
	assert_null(read_it("a/none/file", &rc));
	assert_int_equal(rc, -ENOENT);
	assert_null(read_it("a/b/file/", &rc));
	assert_int_equal(rc, -ENOTDIR);
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_null(read_it(name, &rc));
	assert_int_equal(rc, -ENAMETOOLONG);
}

static void t45_beneath_leads_nowhere_else(void **state)
{
	(void)state;
	each_kernel(lead_nowhere);
}

static void name_the_folder(void)
{
	AUTO_CLOSE int slash = beneath_open_dir(root, "/"), none = beneath_open_dir(root, "");
	AUTO_CLOSE int dotted = beneath_open(root, "a/b..c", O_RDONLY);
	struct stat a, b, c;

	assert_true(fstat(root, &a) == 0 && fstat(slash, &b) == 0 && fstat(none, &c) == 0);
	assert_true(a.st_ino == b.st_ino && a.st_ino == c.st_ino);
	assert_int_equal(dotted, -ENOENT); /* a name like any other */
}

static void beneath_knows_the_folder_itself(void **state)
{
	(void)state;
	each_kernel(name_the_folder);
}

static void keep_parent(void)
{
	struct beneath at;
	const char *name;
	int first;

	beneath_init(&at, root);
	first = beneath_parent(&at, "a/b/file", &name);
	assert_true(first >= 0);
	assert_string_equal(name, "file");
	assert_int_equal(beneath_has(first, name), 1);
	assert_int_equal(beneath_parent(&at, "a/b/other", &name), first);
	assert_int_equal(beneath_has(first, name), 0);
	assert_true(beneath_parent(&at, "a/up/file", &name) < 0);
	assert_int_equal(beneath_parent(&at, "none/file", &name), -ENOENT);
	assert_int_equal(beneath_has(-ENOENT, "file"), 0);
	assert_true(beneath_parent(&at, "a", &name) >= 0);
	assert_string_equal(name, "a");
	beneath_clear(&at);
}

static void beneath_parent_is_kept_for_the_next_path(void **state)
{
	(void)state;
	each_kernel(keep_parent);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(beneath_reaches_plain_paths),
		T(t45_beneath_follows_no_link_in_any_part),
		T(t45_beneath_leads_nowhere_else),
		T(beneath_knows_the_folder_itself),
		T(beneath_parent_is_kept_for_the_next_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
