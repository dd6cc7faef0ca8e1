/*
 * Staged trees: whatever happens, after recovery the folder is the old one or the new one, what the
 * archive does not name stays, and nothing is left beside it. The N-th call ends the process, or
 * fails.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "corelib/files/staged.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "tests/unit/kit/fail_malloc.h"
#include "tests/unit/kit/old_kernel.h"

#define TXN "0123456789abcdef"
#define CUT 77

static struct {
	unsigned count, at; /* the at-th from now; 0 = never */
	int fail;	    /* errno, 0 = end the process */
	bool no_links;
} fault;

static int faulty(void)
{
	if (!fault.at || ++fault.count != fault.at)
		return 0;
	if (!fault.fail)
		_exit(CUT);
	errno = fault.fail;
	return -1;
}

static void arm(unsigned n, int fail)
{
	fault.count = 0;
	fault.at = n;
	fault.fail = fail;
}

#define CALL(call) (faulty() < 0 ? -1 : (call))

int fsync(int fd)
{
	return CALL((int)syscall(SYS_fsync, fd));
}

int syncfs(int fd)
{
	(void)fd; /* it would wait for everybody's files */
	return CALL(0);
}

int renameat(int od, const char *o, int nd, const char *n)
{
	return CALL((int)syscall(SYS_renameat2, od, o, nd, n, 0));
}

int renameat2(int od, const char *o, int nd, const char *n, unsigned flags)
{
	if (flags && fault.no_links) {
		errno = EINVAL;
		return -1;
	}
	return CALL((int)syscall(SYS_renameat2, od, o, nd, n, flags));
}

int linkat(int od, const char *o, int nd, const char *n, int flags)
{
	if (fault.no_links) {
		errno = EPERM;
		return -1;
	}
	return CALL((int)syscall(SYS_linkat, od, o, nd, n, flags));
}

int unlinkat(int d, const char *n, int flags)
{
	return CALL((int)syscall(SYS_unlinkat, d, n, flags));
}

int mkdirat(int d, const char *n, mode_t mode)
{
	return CALL((int)syscall(SYS_mkdirat, d, n, mode));
}

int fchmod(int fd, mode_t mode)
{
	return CALL((int)syscall(SYS_fchmod, fd, mode));
}

ssize_t write(int fd, const void *b, size_t n)
{
	return CALL(syscall(SYS_write, fd, b, n));
}

int openat64(int d, const char *n, int flags, ...)
{
	va_list ap;
	unsigned mode;

	va_start(ap, flags);
	mode = va_arg(ap, unsigned);
	va_end(ap);
	return CALL((int)syscall(SYS_openat, d, n, flags, mode));
}

/* ---- a folder, and what an archive brings ---- */

static char base[64], target[96];

static int drop_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	(void)st;
	(void)flag;
	(void)f;
	return remove(path);
}

/* a path ends with '/': a folder, its text the mode; a text begins with '>': a link */
struct row {
	const char *path, *text;
};

static int make_rows(const char *folder, const struct row *rows)
{
	int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = dir;

	for (; rc >= 0 && rows->path; rows++) {
		int fd;

		if (rows->path[strlen(rows->path) - 1] == '/') {
			rc = mkdirat(dir, rows->path, 0700);
			if (rc == 0)
				rc = fchmodat(dir, rows->path, (mode_t)strtoul(rows->text, NULL, 8),
					      0);
		} else if (rows->text[0] == '>') {
			rc = symlinkat(rows->text + 1, dir, rows->path);
		} else {
			rc = fd = openat(dir, rows->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
			if (fd >= 0 && write(fd, rows->text, strlen(rows->text)) < 0)
				rc = -1;
			close(fd);
		}
	}
	close(dir);
	return rc < 0 ? -EIO : 0;
}

static const struct row olds[] = {
	{"replaced", "old"},  {"kept", "kept"},		 {"sub/", "755"},
	{"sub/deep/", "711"}, {"sub/file", "old"},	 {"sub/deep/kept", "kept"},
	{"link", ">kept"},    {"becomes-folder", "old"}, {NULL, NULL},
};

static int drop_tree(const char *path)
{
	return nftw(path, drop_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void make_old(void)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/t", base);
	drop_tree(path);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(make_rows(path, olds), 0);
}

static int setup(void **state)
{
	(void)state;
	before_openat2 = faulty;
	memset(&fault, 0, sizeof(fault));
	umask(022);
	strcpy(base, access("/dev/shm", W_OK) == 0 ? "/dev/shm/stree-XXXXXX" : "/tmp/stree-XXXXXX");
	assert_non_null(mkdtemp(base));
	snprintf(target, sizeof(target), "%s/t/", base);
	make_old();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	memset(&fault, 0, sizeof(fault));
	drop_tree(base);
	return 0;
}

static void note(FILE *to, const char *dir, const char *path);

static void note_all(FILE *to, const char *dir)
{
	struct dirent **names = NULL;
	int n = scandir(dir, &names, NULL, alphasort);

	assert_true(n >= 0);
	for (int i = 0; i < n; i++) {
		if (strcmp(names[i]->d_name, ".") && strcmp(names[i]->d_name, ".."))
			note(to, dir, names[i]->d_name);
		free(names[i]);
	}
	free(names);
}

static void note(FILE *to, const char *dir, const char *name)
{
	char path[300], text[64] = "";
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(lstat(path, &st), 0);
	if (S_ISLNK(st.st_mode)) {
		assert_true(readlink(path, text, sizeof(text) - 1) > 0);
	} else if (S_ISREG(st.st_mode)) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		assert_true(read(fd, text, sizeof(text) - 1) >= 0);
		close(fd);
	}
	fprintf(to, "%s %o %s\n", path + strlen(base) + 3, st.st_mode, text);
	if (S_ISDIR(st.st_mode))
		note_all(to, path);
}

/* names, kinds, modes and content, hidden files too; malloc'ed */
static char *snapshot(void)
{
	char path[96], *out = NULL;
	size_t n;
	FILE *f = open_memstream(&out, &n);

	snprintf(path, sizeof(path), "%s/t", base);
	note_all(f, path);
	fclose(f);
	return out;
}

static const struct row fill[] = {
	{"replaced", "new"},
	{"added", "new"},
	{"sub/", "2750"},
	{"sub/deep/", "711"},
	{"fresh/", "755"},
	{"fresh/deep/", "700"},
	{"becomes-folder/", "755"},
	{"sub/file", "new"},
	{"sub/deep/added", "new"},
	{"fresh/deep/file", "new"},
	{"link", ">added"},
	{"becomes-folder/file", "new"},
	{NULL, NULL},
};

static struct staged *open_tree(struct err *e)
{
	struct staged *s = NULL;

	if (staged_open(&s, target, TXN, 3, false, e) < 0)
		return NULL;
	return s;
}

/* what the tree writer does is not counted here */
static int put_content(struct staged *s, const struct row *rows, struct err *e)
{
	char path[128];
	int fd = staged_tree_folder(s, e);
	unsigned at = fault.at;
	int rc;

	if (fd < 0)
		return fd;
	close(fd);
	snprintf(path, sizeof(path), "%s/t/.swinstall-" TXN "/3.new", base);
	fault.at = 0;
	rc = make_rows(path, rows);
	fault.at = at;
	return rc;
}

static int do_all(const struct row *how, bool commit, struct err *e)
{
	struct staged *s = open_tree(e);
	int rc = s ? put_content(s, how, e) : -e->sys;

	if (rc == 0)
		rc = staged_sync(s, e);
	if (rc == 0)
		rc = staged_publish(s, e);
	if (rc == 0 && commit)
		rc = staged_drop(s, e);
	staged_close(s);
	return rc;
}

static int recover(bool keep, struct err *e)
{
	struct staged_address p = {.txn = TXN, .index = 3};
	struct staged *s = NULL;
	int rc;

	snprintf(p.folder, sizeof(p.folder), "%s/t", base);
	rc = staged_find(&s, &p, -1, e);
	if (rc > 0 && !keep)
		rc = staged_revert(s, e);
	if (rc >= 0 && s)
		rc = staged_drop(s, e);
	staged_close(s);
	return rc < 0 ? rc : 0;
}

static char *new_state(void)
{
	struct err e = {0};
	char *out;

	assert_int_equal(do_all(fill, true, &e), 0);
	out = snapshot();
	make_old();
	return out;
}

static void assert_state(const char *want)
{
	AUTO_FREE char *now = snapshot();

	assert_string_equal(now, want);
}

/* ---- what is promised ---- */

static void staged_tree_adds_and_replaces_and_keeps_the_rest(void **state)
{
	AUTO_FREE char *now = new_state();

	(void)state;
	assert_non_null(strstr(now, "kept 100644 kept"));
	assert_non_null(strstr(now, "sub/deep/kept 100644 kept"));
	assert_non_null(strstr(now, "replaced 100644 new"));
	assert_non_null(strstr(now, "fresh/deep/file 100644 new"));
	assert_non_null(strstr(now, "becomes-folder/file 100644 new"));
	assert_non_null(strstr(now, "link 120777 added"));
	assert_null(strstr(now, ".swinstall-"));
}

static void staged_tree_is_untouched_before_and_comes_back_after(void **state)
{
	AUTO_FREE char *old = snapshot();
	struct err e = {0};
	struct staged *s = open_tree(&e);

	(void)state;
	assert_non_null(s);
	assert_int_equal(put_content(s, fill, &e), 0);
	assert_int_equal(staged_sync(s, &e), 0);
	assert_int_equal(staged_publish(s, &e), 0);
	assert_int_equal(staged_publish(s, &e), 0); /* once more changes nothing */
	assert_int_equal(staged_revert(s, &e), 0);
	assert_int_equal(staged_revert(s, &e), 0);
	assert_int_equal(staged_drop(s, &e), 0);
	assert_int_equal(staged_drop(s, &e), 0);
	assert_state(old);
	staged_close(s);
}

static const struct {
	bool link; /* sub is a link beforehand */
	struct row how[3];
	const char *why;
} clashes[] = {
	{false, {{"sub", "x"}}, "there is a folder where"},
	{false, {{"sub", ">/"}}, "there is a folder where"},
	{true, {{"sub/", "755"}, {"sub/file", "x"}}, "there is a link where"},
};

static void t45_staged_tree_goes_through_no_link_and_replaces_no_folder(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(clashes) / sizeof(clashes[0]); i++) {
		AUTO_FREE char *old = NULL;
		struct err e = {0};
		char path[128];

		make_old();
		snprintf(path, sizeof(path), "%s/t/sub", base);
		if (clashes[i].link) {
			drop_tree(path);
			assert_int_equal(symlink("/etc", path), 0);
		}
		old = snapshot();
		assert_true(do_all(clashes[i].how, true, &e) < 0);
		assert_int_equal(e.code, E_FILE);
		assert_non_null(strstr(e.why, clashes[i].why));
		err_clear(&e);
		assert_int_equal(recover(false, &e), 0);
		assert_state(old);
	}
}

static const struct row theirs[] = {
	{"file", "theirs"},
	{"deep/", "700"},
	{"deep/added", "theirs"},
	{NULL, NULL},
};

static void note_outside(char **out)
{
	size_t n;
	FILE *to = open_memstream(out, &n);
	char path[128];

	snprintf(path, sizeof(path), "%s/outside", base);
	note_all(to, path);
	fclose(to);
}

/* somebody has the device between a cut and the next start */
static void t45_staged_tree_undo_goes_through_no_folder_that_became_a_link(void **state)
{
	AUTO_FREE char *old = snapshot();
	AUTO_FREE char *before = NULL;
	AUTO_FREE char *after = NULL;
	char outside[128], sub[128], away[128];
	struct err e = {0};

	(void)state;
	snprintf(outside, sizeof(outside), "%s/outside", base);
	snprintf(sub, sizeof(sub), "%s/t/sub", base);
	snprintf(away, sizeof(away), "%s/away", base);
	assert_int_equal(mkdir(outside, 0755), 0);
	assert_int_equal(make_rows(outside, theirs), 0);
	assert_int_equal(do_all(fill, false, &e), 0);
	note_outside(&before);

	assert_int_equal(rename(sub, away), 0);
	assert_int_equal(symlink(outside, sub), 0);
	assert_true(recover(false, &e) < 0);
	assert_int_equal(e.code, E_FILE);
	note_outside(&after);
	assert_string_equal(before, after);

	err_clear(&e);
	assert_int_equal(unlink(sub), 0);
	assert_int_equal(rename(away, sub), 0);
	assert_int_equal(recover(false, &e), 0);
	assert_state(old);
}

static void staged_tree_straight_stages_nothing(void **state)
{
	struct err e = {0};
	struct staged *s = open_tree(&e);
	int fd;

	(void)state;
	s->straight = true;
	fd = staged_tree_folder(s, &e);
	assert_true(fd >= 0);
	assert_int_equal(faccessat(fd, "kept", F_OK, 0), 0);
	close(fd);
	assert_int_equal(staged_sync(s, &e), 0);
	assert_int_equal(staged_publish(s, &e), 0);
	assert_int_equal(staged_revert(s, &e), 0);
	assert_int_equal(staged_drop(s, &e), 0);
	staged_close(s);
}

/* ---- cuts ---- */

/* in a child that dies at the n-th call; false when it came to its end before */
static bool cut_at(unsigned n, int (*act)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		arm(n, 0);
		_exit(act() < 0 ? 1 : 0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_true(WEXITSTATUS(status) == CUT || WEXITSTATUS(status) == 0);
	return WEXITSTATUS(status) == CUT;
}

static int act_publish(void)
{
	struct err e = {0};

	return do_all(fill, false, &e);
}

static int act_undo(void)
{
	struct err e = {0};

	return recover(false, &e);
}

static int act_finish(void)
{
	struct err e = {0};

	return recover(true, &e);
}

static void cut_everywhere(bool no_links)
{
	AUTO_FREE char *old = snapshot();
	unsigned n;

	for (n = 1;; n++) {
		struct err e = {0};
		bool cut;

		make_old();
		fault.no_links = no_links;
		cut = cut_at(n, act_publish);
		assert_int_equal(recover(false, &e), 0);
		assert_state(old);
		if (!cut)
			break;
	}
	assert_true(n > 30);
}

static void t103_staged_tree_is_the_old_one_after_a_cut_at_every_call(void **state)
{
	(void)state;
	cut_everywhere(false);
}

static void t103_staged_tree_without_links_is_the_old_one_after_a_cut(void **state)
{
	(void)state;
	cut_everywhere(true);
}

static void recovery_cut(const char *want, int (*act)(void), bool no_links)
{
	unsigned n;

	for (n = 1;; n++) {
		struct err e = {0};
		bool cut;

		make_old();
		fault.no_links = no_links;
		assert_int_equal(do_all(fill, false, &e), 0);
		cut = cut_at(n, act);
		assert_int_equal(act(), 0);
		assert_state(want);
		if (!cut)
			break;
	}
	assert_true(n > 10);
}

static void t103_staged_tree_undo_may_be_cut_at_every_call(void **state)
{
	AUTO_FREE char *old = snapshot();

	(void)state;
	recovery_cut(old, act_undo, false);
	recovery_cut(old, act_undo, true);
}

static void t103_staged_tree_finish_may_be_cut_at_every_call(void **state)
{
	AUTO_FREE char *new = new_state();

	(void)state;
	recovery_cut(new, act_finish, false);
}

static void t108_staged_tree_survives_a_failure_of_every_call(void **state)
{
	AUTO_FREE char *old = snapshot();
	AUTO_FREE char *new = new_state();
	const int errors[] = {EIO, ENOSPC, EINTR};

	(void)state;
	for (size_t k = 0; k < 3; k++)
		for (unsigned n = 1;; n++) {
			struct err e = {0};
			unsigned met;
			int rc;

			make_old();
			arm(n, errors[k]);
			rc = do_all(fill, true, &e);
			met = fault.count;
			fault.at = 0;
			if (rc < 0)
				assert_true(err_is_set(&e));
			if (rc < 0 && k == 2)
				fail_msg("EINTR of call %u was not hidden: %s", n, e.why);
			err_clear(&e);
			/* a drop that failed has nothing old left to bring back */
			if (rc < 0 && recover(false, &e) == 0) {
				AUTO_FREE char *now = snapshot();

				assert_true(strcmp(now, old) == 0 || strcmp(now, new) == 0);
			} else {
				assert_state(new);
			}
			if (met < n)
				break;
		}
}

static void staged_tree_without_memory_says_so(void **state)
{
	AUTO_FREE char *old = snapshot();

	(void)state;
	if (!fail_malloc_works())
		return;
	for (unsigned n = 1;; n++) {
		struct err e = {0};
		int rc;

		make_old();
		fail_malloc_at(n);
		rc = do_all(fill, false, &e);
		if (!fail_malloc_off())
			break;
		if (rc < 0)
			assert_int_equal(e.code, E_MEMORY);
		err_clear(&e);
		assert_int_equal(recover(false, &e), 0);
		assert_state(old);
	}
}

static unsigned mode_of(const char *name)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/t/%s", base, name);
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void staged_tree_gives_a_folder_that_stays_its_new_mode_and_takes_it_back(void **state)
{
	struct err e = {0};

	(void)state;
	assert_int_equal(do_all(fill, false, &e), 0);
	assert_int_equal(mode_of("sub"), 02750);
	assert_int_equal(mode_of("sub/deep"), 0711);
	assert_int_equal(recover(false, &e), 0);
	assert_int_equal(mode_of("sub"), 0755);
	assert_int_equal(do_all(fill, true, &e), 0);
	assert_int_equal(mode_of("sub"), 02750);
	assert_int_equal(mode_of(""), 0755);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(staged_tree_adds_and_replaces_and_keeps_the_rest),
		T(staged_tree_is_untouched_before_and_comes_back_after),
		T(t45_staged_tree_goes_through_no_link_and_replaces_no_folder),
		T(staged_tree_gives_a_folder_that_stays_its_new_mode_and_takes_it_back),
		T(t45_staged_tree_undo_goes_through_no_folder_that_became_a_link),
		T(staged_tree_straight_stages_nothing),
		T(t103_staged_tree_is_the_old_one_after_a_cut_at_every_call),
		T(t103_staged_tree_without_links_is_the_old_one_after_a_cut),
		T(t103_staged_tree_undo_may_be_cut_at_every_call),
		T(t103_staged_tree_finish_may_be_cut_at_every_call),
		T(t108_staged_tree_survives_a_failure_of_every_call),
		T(staged_tree_without_memory_says_so),
	};

	int bad = cmocka_run_group_tests_name("staged_tree", tests, NULL, NULL);

	old_kernel = ENOSYS;
	return bad + cmocka_run_group_tests_name("staged_tree on an old kernel", tests, NULL, NULL);
}
