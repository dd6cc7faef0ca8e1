/*
 * Staged files: whatever happens, the target is the whole old or the whole new file, and nothing is
 * left beside it. The calls below stand in front of libc's: the N-th one ends the process, or
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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "corelib/files/staged.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "tests/unit/kit/fail_malloc.h"
#include "tests/unit/kit/old_kernel.h"

#define TXN "0123456789abcdef"
#define CUT 77

/* ---- calls that are cut or fail: counted in the whole program, as they are one kernel's ---- */

static struct {
	unsigned count, at;  /* the at-th from now; 0 = never */
	int fail;	     /* errno, 0 = end the process */
	const char *appears; /* this file, when a rename is asked for */
	bool no_links;	     /* a file system of the poor kind: no links, no flags of rename */
} fault;

static void put_file(const char *path, const char *text, unsigned mode);

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

#define CALL(call) (faulty() < 0 ? -1 : (int)(call))

int fsync(int fd)
{
	return CALL(syscall(SYS_fsync, fd));
}

int renameat(int od, const char *o, int nd, const char *n)
{
	return CALL(syscall(SYS_renameat2, od, o, nd, n, 0));
}

int renameat2(int od, const char *o, int nd, const char *n, unsigned flags)
{
	if (fault.appears)
		put_file(fault.appears, "theirs", 0644);
	if (flags && fault.no_links) {
		errno = EINVAL;
		return -1;
	}
	return CALL(syscall(SYS_renameat2, od, o, nd, n, flags));
}

int linkat(int od, const char *o, int nd, const char *n, int flags)
{
	if (fault.no_links) {
		errno = EPERM;
		return -1;
	}
	return CALL(syscall(SYS_linkat, od, o, nd, n, flags));
}

int unlinkat(int d, const char *n, int flags)
{
	return CALL(syscall(SYS_unlinkat, d, n, flags));
}

int mkdirat(int d, const char *n, mode_t mode)
{
	return CALL(syscall(SYS_mkdirat, d, n, mode));
}

int fchmod(int fd, mode_t mode)
{
	return CALL(syscall(SYS_fchmod, fd, mode));
}

int openat64(int d, const char *n, int flags, ...)
{
	va_list ap;
	unsigned mode;

	va_start(ap, flags);
	mode = va_arg(ap, unsigned);
	va_end(ap);
	return CALL(syscall(SYS_openat, d, n, flags, mode));
}

/* ---- a folder with a target ---- */

static char dir[64], target[128];

static void put_file(const char *path, const char *text, unsigned mode)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

/* "" when there is none */
static const char *content(const char *path)
{
	static char buf[64];
	FILE *f = fopen(path, "r");
	size_t n;

	buf[0] = '\0';
	if (!f)
		return buf;
	n = fread(buf, 1, sizeof(buf) - 1, f);
	buf[n] = '\0';
	fclose(f);
	return buf;
}

static unsigned left_over(const char *path)
{
	DIR *d = opendir(path);
	unsigned n = 0;

	assert_non_null(d);
	for (struct dirent *de; (de = readdir(d));)
		n += strncmp(de->d_name, ".swinstall-", 11) == 0;
	closedir(d);
	return n;
}

static int setup(void **state)
{
	(void)state;
	before_openat2 = faulty;
	memset(&fault, 0, sizeof(fault));
	snprintf(dir, sizeof(dir), "%s/swinstall-staged-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"); /* thousands of flushes */
	assert_non_null(mkdtemp(dir));
	snprintf(target, sizeof(target), "%s/app", dir);
	return 0;
}

static int teardown(void **state)
{
	char cmd[128];

	(void)state;
	memset(&fault, 0, sizeof(fault));
	snprintf(cmd, sizeof(cmd), "%s", dir);
	if (fork() == 0) {
		execlp("rm", "rm", "-rf", cmd, (char *)NULL);
		_exit(1);
	}
	wait(NULL);
	return 0;
}

static struct staged *open_ok(const char *path, unsigned index, bool create)
{
	struct err e = {0};
	struct staged *s;

	assert_int_equal(staged_open(&s, path, TXN, index, create, &e), 0);
	return s;
}

static int write_new(struct staged *s, const char *text, struct err *e)
{
	int fd = staged_create(s, 0600, e);
	int rc = fd < 0 ? fd : sys_write(fd, text, strlen(text));

	sys_close(&fd);
	return rc;
}

/* ---- the plain way ---- */

static void staged_file_replaces_the_old_one_and_leaves_nothing(void **state)
{
	struct err e = {0};
	struct staged *s;

	(void)state;
	for (unsigned existed = 0; existed < 2; existed++) {
		unlink(target);
		if (existed)
			put_file(target, "old", 0644);
		s = open_ok(target, 3, false);
		assert_int_equal(s->existed, existed);
		assert_int_equal(left_over(dir), 0); /* opening writes nothing */
		assert_int_equal(write_new(s, "new", &e), 0);
		assert_int_equal(staged_sync(s, &e), 0);
		assert_string_equal(content(target), existed ? "old" : "");
		assert_int_equal(staged_publish(s, &e), 0);
		assert_true(s->published);
		assert_string_equal(content(target), "new");
		assert_int_equal(staged_publish(s, &e), 0);
		assert_int_equal(staged_sync(s, &e), 0);
		assert_int_equal(left_over(dir), 1);
		assert_int_equal(staged_drop(s, &e), 0);
		assert_int_equal(staged_drop(s, &e), 0);
		assert_string_equal(content(target), "new");
		assert_int_equal(left_over(dir), 0);
		s = staged_close(s);
		assert_null(s);
	}
}

static void staged_revert_brings_back_what_was(void **state)
{
	struct err e = {0};
	struct staged *s;
	struct stat st;

	(void)state;
	for (unsigned way = 0; way < 4; way++) {
		const bool existed = way & 1, published = way & 2;

		unlink(target);
		if (existed)
			put_file(target, "old", 0640);
		s = open_ok(target, 0, false);
		assert_int_equal(write_new(s, "new", &e), 0);
		assert_int_equal(staged_sync(s, &e), 0);
		if (published)
			assert_int_equal(staged_publish(s, &e), 0);
		for (unsigned twice = 0; twice < 2; twice++) {
			assert_int_equal(staged_revert(s, &e), 0);
			assert_string_equal(content(target), existed ? "old" : "");
		}
		assert_int_equal(staged_drop(s, &e), 0);
		assert_int_equal(staged_revert(s, &e), 0);
		assert_string_equal(content(target), existed ? "old" : "");
		assert_int_equal(left_over(dir), 0);
		if (existed) {
			assert_int_equal(stat(target, &st), 0);
			assert_int_equal(st.st_mode & 07777, 0640);
			assert_int_equal(st.st_nlink, 1);
		}
		s = staged_close(s);
	}
}

/* FAT: no links, so that the old file is copied; no moment without a whole file under its name */
static void staged_file_without_links_comes_back_as_it_was(void **state)
{
	const struct timespec times[2] = {{.tv_sec = 1000000}, {.tv_sec = 1234567}};
	struct err e = {0};
	struct stat st;
	struct staged *s;

	(void)state;
	put_file(target, "old", 0640);
	assert_int_equal(utimensat(AT_FDCWD, target, times, 0), 0);
	fault.no_links = true;
	s = open_ok(target, 3, false);
	assert_int_equal(write_new(s, "new", &e), 0);
	assert_int_equal(staged_publish(s, &e), 0);
	assert_string_equal(content(target), "new");
	assert_int_equal(staged_revert(s, &e), 0);
	assert_string_equal(content(target), "old");
	assert_int_equal(staged_drop(s, &e), 0);
	staged_close(s);
	assert_int_equal(left_over(dir), 0);
	assert_int_equal(stat(target, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(st.st_mtime, 1234567);
}

/* what a cut may leave of a move between two folders: the new name, and the old one too */
static void t103_staged_undo_knows_new_content_that_kept_both_names(void **state)
{
	char new_name[160];

	(void)state;
	for (unsigned existed = 0; existed < 2; existed++) {
		struct err e = {0};
		struct staged *s;

		unlink(target);
		if (existed)
			put_file(target, "old", 0644);
		s = open_ok(target, 3, false);
		assert_int_equal(write_new(s, "new", &e), 0);
		assert_int_equal(staged_publish(s, &e), 0);
		snprintf(new_name, sizeof(new_name), "%s/.swinstall-" TXN "/3.new", dir);
		assert_int_equal(link(target, new_name), 0);
		assert_int_equal(staged_revert(s, &e), 0);
		assert_string_equal(content(target), existed ? "old" : "");
		assert_int_equal(staged_drop(s, &e), 0);
		staged_close(s);
		assert_string_equal(content(target), existed ? "old" : "");
		assert_int_equal(left_over(dir), 0);
	}
}

static void staged_files_may_share_a_folder(void **state)
{
	struct staged *a, *b;
	struct err e = {0};
	char other[128];

	(void)state;
	snprintf(other, sizeof(other), "%s/lib", dir);
	put_file(target, "old", 0644);
	a = open_ok(target, 1, false);
	b = open_ok(other, 11, false);
	assert_int_equal(write_new(a, "A", &e), 0);
	assert_int_equal(write_new(b, "B", &e), 0);
	assert_int_equal(staged_publish(a, &e), 0);
	assert_int_equal(staged_drop(a, &e), 0);
	assert_int_equal(left_over(dir), 1); /* b still needs it */
	assert_int_equal(staged_publish(b, &e), 0);
	assert_string_equal(content(other), "B");
	assert_int_equal(staged_drop(b, &e), 0);
	assert_int_equal(left_over(dir), 0);
	staged_close(a);
	staged_close(b);
}

/* ---- mode, owner, attributes, folders ---- */

static void staged_file_keeps_mode_owner_and_attributes_of_the_old_one(void **state)
{
	const bool root = geteuid() == 0;
	struct err e = {0};
	struct staged *s;
	struct stat st;
	char value[8] = "";
	bool attrs;

	(void)state;
	put_file(target, "old", 04751);
	if (root) {
		assert_int_equal(chown(target, 1234, 4321), 0);
		assert_int_equal(chmod(target, 04751), 0);
	}
	attrs = setxattr(target, "user.colour", "blue", 4, 0) == 0;
	s = open_ok(target, 0, false);
	assert_int_equal(write_new(s, "new", &e), 0);
	assert_int_equal(staged_publish(s, &e), 0);
	assert_int_equal(stat(target, &st), 0);
	assert_int_equal(st.st_mode & 07777, root ? 04751 : 0751);
	assert_int_equal(st.st_uid, root ? 1234 : geteuid());
	if (attrs) {
		assert_int_equal(getxattr(target, "user.colour", value, sizeof(value)), 4);
		assert_memory_equal(value, "blue", 4);
	}
	assert_int_equal(staged_drop(s, &e), 0);
	staged_close(s);
}

static void staged_new_file_has_the_mode_asked_for_whatever_the_umask(void **state)
{
	struct err e = {0};
	mode_t mask = umask(0777);
	struct staged *s;
	struct stat st;

	(void)state;
	s = open_ok(target, 0, false);
	assert_int_equal(write_new(s, "new", &e), 0);
	umask(mask);
	assert_int_equal(staged_publish(s, &e), 0);
	assert_int_equal(stat(target, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	staged_drop(s, &e);
	staged_close(s);
}

static void staged_makes_missing_folders_only_when_asked_and_not_before_the_content(void **state)
{
	char deep[192], a[96];
	struct err e = {0};
	struct staged *s;
	struct stat st;
	mode_t mask;

	(void)state;
	snprintf(a, sizeof(a), "%s/a", dir);
	snprintf(deep, sizeof(deep), "%s/b//c/app", a);
	assert_int_equal(staged_open(&s, deep, TXN, 0, false, &e), -ENOENT);
	assert_int_equal(e.code, E_FILE);
	assert_non_null(strstr(err_fix_text(&e), "create-destination"));
	err_clear(&e);
	s = open_ok(deep, 0, true);
	assert_int_equal(stat(a, &st), -1);
	mask = umask(077);
	assert_int_equal(write_new(s, "new", &e), 0);
	umask(mask);
	assert_int_equal(stat(a, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(staged_publish(s, &e), 0);
	assert_string_equal(content(deep), "new");
	assert_int_equal(staged_drop(s, &e), 0);
	staged_close(s);
}

/* ---- refusals (T40) ---- */

static void t40_staged_refuses_paths_that_are_not_plain(void **state)
{
	static const char *const bad[] = {
		"",	     "app",	      "/tmp/../etc/passwd", "/tmp/./x",		 "/tmp/..",
		"/tmp/a\nb", "/tmp/a\x1b[2J", "/tmp/\xff",	    "/tmp/.swinstall-x", "./x",
	};
	char longer[1400];
	struct staged *s;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err e = {0};

		assert_true(staged_open(&s, bad[i], TXN, 0, true, &e) < 0);
		assert_int_equal(e.code, E_FILE);
		assert_null(s);
	}
	/* a folder as a tree, and no file */
	for (unsigned i = 0; i < 2; i++) {
		struct err e = {0};

		assert_int_equal(staged_open(&s, i ? "/" : "/tmp//", TXN, 0, true, &e), 0);
		assert_string_equal(s->address.folder, i ? "/" : "/tmp");
		assert_string_equal(s->address.name, "");
		staged_close(s);
	}
	memset(longer, 'x', sizeof(longer));
	longer[0] = '/';
	longer[sizeof(longer) - 1] = '\0';
	for (unsigned i = 0; i < 2; i++) {
		struct err e = {0};

		longer[1100] = i ? '/' : 'x';
		assert_int_equal(staged_open(&s, longer, TXN, 0, true, &e), -ENAMETOOLONG);
		assert_int_equal(e.code, E_FILE);
	}
}

static void t40_staged_follows_no_link_in_the_last_part_and_wants_a_file(void **state)
{
	struct staged *s;
	struct stat st;

	(void)state;
	for (unsigned way = 0; way < 3; way++) {
		struct err e = {0};

		if (way == 0)
			assert_int_equal(symlink("/etc/hostname", target), 0);
		else if (way == 1)
			assert_int_equal(mkfifo(target, 0600), 0);
		else
			assert_int_equal(mkdir(target, 0700), 0);
		assert_true(staged_open(&s, target, TXN, 0, false, &e) < 0);
		assert_int_equal(e.code, E_FILE);
		assert_string_equal(e.object, target);
		assert_int_equal(lstat(target, &st), 0);
		remove(target);
	}
}

static void t40_staged_refuses_a_folder_that_others_may_change(void **state)
{
	struct err e = {0};
	char deep[160], open_dir[96];
	struct staged *s;
	struct stat st;

	(void)state;
	snprintf(open_dir, sizeof(open_dir), "%s/open", dir);
	snprintf(deep, sizeof(deep), "%s/x", open_dir);
	assert_int_equal(mkdir(open_dir, 0777), 0);
	assert_int_equal(chmod(open_dir, 0777), 0);
	assert_int_equal(staged_open(&s, deep, TXN, 0, false, &e), -EPERM);
	assert_int_equal(e.code, E_TARGET);
	/* nor does it make folders there */
	err_clear(&e);
	snprintf(deep, sizeof(deep), "%s/open/sub/x", dir);
	s = open_ok(deep, 0, true);
	assert_true(write_new(s, "new", &e) < 0);
	assert_int_equal(e.code, E_FILE);
	snprintf(deep, sizeof(deep), "%s/open/sub", dir);
	assert_int_equal(stat(deep, &st), -1);
	staged_close(s);
}

static void staged_refuses_a_staging_folder_that_is_not_its_own(void **state)
{
	struct err e = {0};
	char stage[128];
	struct staged *s;

	(void)state;
	snprintf(stage, sizeof(stage), "%s/.swinstall-" TXN, dir);
	assert_int_equal(mkdir(stage, 0700), 0);
	assert_int_equal(chmod(stage, 0770), 0);
	s = open_ok(target, 0, false);
	assert_int_equal(write_new(s, "new", &e), -EPERM);
	assert_int_equal(e.code, E_FILE);
	staged_close(s);
	assert_int_equal(rmdir(stage), 0);
	assert_int_equal(symlink("/tmp", stage), 0);
	err_clear(&e);
	s = open_ok(target, 0, false);
	assert_true(write_new(s, "new", &e) < 0);
	staged_close(s);
}

/* a script before or after the payload may make, change or remove the file */
static void staged_brings_back_what_was_there_when_it_was_published(void **state)
{
	(void)state;
	for (unsigned way = 0; way < 4; way++) {
		const bool before = way & 1, after = way & 2;
		struct err e = {0};
		struct staged *s;

		unlink(target);
		if (before)
			put_file(target, "old", 0644);
		s = open_ok(target, 0, false);
		assert_int_equal(write_new(s, "new", &e), 0);
		unlink(target);
		if (after)
			put_file(target, "theirs", 0600);
		assert_int_equal(staged_publish(s, &e), 0);
		assert_string_equal(content(target), "new");
		assert_int_equal(staged_revert(s, &e), 0);
		assert_string_equal(content(target), after ? "theirs" : "");
		assert_int_equal(staged_drop(s, &e), 0);
		assert_int_equal(left_over(dir), 0);
		staged_close(s);
	}
}

static void staged_never_replaces_a_file_that_appears_in_the_last_moment(void **state)
{
	struct err e = {0};
	struct staged *s = open_ok(target, 0, false);

	(void)state;
	assert_int_equal(write_new(s, "new", &e), 0);
	fault.appears = target;
	assert_int_equal(staged_publish(s, &e), -EEXIST);
	fault.appears = NULL;
	assert_int_equal(e.code, E_FILE);
	err_clear(&e);
	assert_int_equal(staged_revert(s, &e), 0);
	assert_string_equal(content(target), "theirs");
	/* the same again now finds the file and keeps it aside */
	assert_int_equal(staged_publish(s, &e), 0);
	assert_string_equal(content(target), "new");
	assert_int_equal(staged_revert(s, &e), 0);
	assert_int_equal(staged_drop(s, &e), 0);
	assert_string_equal(content(target), "theirs");
	assert_int_equal(left_over(dir), 0);
	staged_close(s);
}

static void staged_never_replaces_what_is_no_file_any_more(void **state)
{
	struct err e = {0};
	struct staged *s = open_ok(target, 0, false);

	(void)state;
	assert_int_equal(write_new(s, "new", &e), 0);
	assert_int_equal(symlink("/etc/hostname", target), 0);
	assert_int_equal(staged_publish(s, &e), -ELOOP);
	assert_int_equal(e.code, E_FILE);
	err_clear(&e);
	assert_int_equal(staged_drop(s, &e), 0);
	assert_int_equal(left_over(dir), 0);
	staged_close(s);
}

static void staged_wants_content_before_it_is_published(void **state)
{
	struct err e = {0};
	struct staged *s = open_ok(target, 0, false);

	(void)state;
	assert_true(staged_publish(s, &e) < 0);
	assert_int_equal(e.code, E_INTERNAL);
	err_clear(&e);
	assert_true(staged_sync(s, &e) < 0);
	assert_int_equal(e.code, E_INTERNAL);
	err_clear(&e);
	assert_int_equal(staged_revert(s, &e), 0);
	assert_int_equal(staged_drop(s, &e), 0);
	staged_close(s);
	assert_true(staged_open(&s, target, "../../etc/cron.d", 0, false, &e) < 0);
	assert_int_equal(e.code, E_INTERNAL);
}

/* ---- cuts and faults: at every call, recovered by another process ---- */

struct scene {
	bool existed, no_links, commit; /* commit: the cut may be after the commit point */
};

static void prepare(const struct scene *sc)
{
	unlink(target);
	if (sc->existed)
		put_file(target, "old", 0644);
}

/* in the child: the whole way; 1 = the commit point was passed */
static int whole_way(const struct scene *sc, struct staged_address *place, int committed)
{
	struct err e = {0};
	struct staged *s;
	int rc = staged_open(&s, target, TXN, 2, false, &e);

	if (rc < 0)
		return rc;
	*place = s->address;
	rc = write_new(s, "new", &e);
	if (rc == 0)
		rc = staged_sync(s, &e);
	if (rc == 0)
		rc = staged_publish(s, &e);
	if (rc == 0 && sc->commit) {
		rc = write(committed, "c", 1) == 1 ? 0 : -EIO;
		rc = rc == 0 ? staged_drop(s, &e) : rc;
	} else {
		rc = rc == 0 ? staged_revert(s, &e) : rc;
		rc = rc == 0 ? staged_drop(s, &e) : rc;
	}
	staged_close(s);
	return rc;
}

static int recover(const struct staged_address *place, bool finish)
{
	struct err e = {0};
	struct staged *s;
	int rc = staged_find(&s, place, -1, &e);

	if (rc <= 0)
		return rc;
	rc = finish ? 0 : staged_revert(s, &e);
	if (rc == 0)
		rc = staged_drop(s, &e);
	staged_close(s);
	return rc;
}

/* runs in a child that is cut at its n-th call (0: never); the exit status */
static int in_child(const struct scene *sc, unsigned n, bool *committed, int (*recovery)(void))
{
	struct staged_address place;
	int pipes[2], status;
	char c;
	pid_t pid;

	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		arm(n, 0);
		fault.no_links = sc->no_links;
		_exit((recovery ? recovery() : whole_way(sc, &place, pipes[1])) < 0);
	}
	close(pipes[1]);
	if (committed)
		*committed = read(pipes[0], &c, 1) == 1;
	close(pipes[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static bool recover_finish; /* for the child of the second cut */

static struct staged_address the_place(void)
{
	struct staged_address p = {.index = 2};

	snprintf(p.folder, sizeof(p.folder), "%s", dir);
	snprintf(p.name, sizeof(p.name), "app");
	snprintf(p.txn, sizeof(p.txn), TXN);
	return p;
}

static int recover_here(void)
{
	struct staged_address p = the_place();

	return recover(&p, recover_finish);
}

static void assert_whole(const struct scene *sc)
{
	const char *now = content(target);

	if (strcmp(now, "new") == 0)
		return;
	if (sc->existed && sc->no_links && !*now)
		return; /* the moment between two renames, which only recovery ends */
	assert_string_equal(now, sc->existed ? "old" : "");
}

static void assert_recovered(const struct scene *sc, bool committed)
{
	assert_string_equal(content(target), committed ? "new" : sc->existed ? "old" : "");
	assert_int_equal(left_over(dir), 0);
}

static unsigned cut_everywhere(const struct scene *sc)
{
	unsigned n = 0;

	for (int status = CUT; status == CUT;) {
		bool committed;

		prepare(sc);
		status = in_child(sc, ++n, &committed, NULL);
		assert_true(status == CUT || status == 0);
		assert_whole(sc);
		recover_finish = committed;
		assert_int_equal(recover_here(), 0);
		assert_recovered(sc, committed);
	}
	return n;
}

static void t103_staged_file_is_old_or_new_after_a_cut_at_every_call(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		struct scene sc = {i & 1, i & 2, i & 4};

		assert_true(cut_everywhere(&sc) > 10);
	}
}

static void t103_staged_recovery_may_be_cut_at_every_call_too(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		struct scene sc = {i & 1, i & 2, i & 4};

		for (unsigned n = 6, status = CUT; status == CUT; n++) {
			for (unsigned m = 1, again = CUT; again == CUT; m++) {
				bool committed;

				prepare(&sc);
				status = (unsigned)in_child(&sc, n, &committed, NULL);
				recover_finish = committed;
				again = (unsigned)in_child(&sc, m, NULL, recover_here);
				assert_true(again == CUT || again == 0);
				assert_whole(&sc);
				assert_int_equal(recover_here(), 0);
				assert_recovered(&sc, committed);
			}
		}
	}
}

static void t103_staged_drop_alone_never_loses_the_only_file(void **state)
{
	const struct scene sc = {.existed = true, .no_links = true};

	(void)state;
	for (unsigned n = 1, status = CUT; status == CUT; n++) {
		prepare(&sc);
		status = (unsigned)in_child(&sc, n, NULL, NULL);
		recover_finish = true;
		assert_int_equal(recover_here(), 0);
		assert_true(*content(target));
		assert_int_equal(left_over(dir), 0);
	}
}

static void t108_staged_file_survives_a_failure_of_every_call(void **state)
{
	static const int errnos[] = {EIO, ENOSPC, EACCES};

	(void)state;
	for (unsigned i = 0; i < 4 * ARRAY_SIZE(errnos); i++) {
		struct scene sc = {i & 1, false, i & 2};
		struct staged_address place = the_place();

		for (unsigned n = 1, more = 1; more; n++) {
			int fds[2], rc;
			bool committed;
			char c;

			assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
			prepare(&sc);
			arm(n, errnos[i / 4]);
			rc = whole_way(&sc, &place, fds[1]);
			more = fault.count >= n;
			assert_true(rc <= 0);
			arm(0, 0);
			committed = read(fds[0], &c, 1) == 1;
			close(fds[0]);
			close(fds[1]);
			assert_whole(&sc);
			place = the_place();
			assert_int_equal(recover(&place, committed), 0);
			assert_recovered(&sc, committed);
		}
	}
}

static void staged_without_memory_says_so_and_loses_none(void **state)
{
	const struct scene sc = {.existed = true};

	(void)state;
	if (!fail_malloc_works())
		skip();
	for (unsigned n = 1, more = 1; more; n++) {
		struct err e = {0};
		struct staged *s;
		long live;
		int rc;

		prepare(&sc);
		setxattr(target, "user.colour", "blue", 4, 0);
		live = fail_malloc_live();
		fail_malloc_ours_at(n);
		rc = staged_open(&s, target, TXN, 2, false, &e);
		if (rc == 0)
			rc = write_new(s, "new", &e);
		more = fail_malloc_off();
		assert_int_equal(rc, more ? -ENOMEM : 0);
		err_clear(&e);
		if (s) {
			assert_int_equal(staged_revert(s, &e), 0);
			assert_int_equal(staged_drop(s, &e), 0);
		}
		staged_close(s);
		assert_int_equal(fail_malloc_live(), live);
		assert_recovered(&sc, false);
	}
}

/* beneath a mounted file system: 'sub' became a link to 'out' between a cut and the recovery */
static void undo_beside_a_link(int root)
{
	char sub[128], out[128], away[128], ours[192], theirs[192];
	struct staged_address place;
	struct staged *s = NULL;
	struct err e = {0};

	snprintf(sub, sizeof(sub), "%s/sub", dir);
	snprintf(out, sizeof(out), "%s/out", dir);
	snprintf(away, sizeof(away), "%s/away", dir);
	snprintf(ours, sizeof(ours), "%s/app", sub);
	snprintf(theirs, sizeof(theirs), "%s/app", out);
	put_file(ours, "old", 0644);
	put_file(theirs, "theirs", 0644);
	assert_int_equal(staged_name(&s, "/sub/app", 0, false, &e), 0);
	strcpy(s->address.txn, TXN);
	assert_int_equal(staged_bind(s, root, &e), 0);
	assert_int_equal(write_new(s, "new", &e), 0);
	assert_int_equal(staged_publish(s, &e), 0);
	place = s->address;
	staged_close(s);

	assert_true(rename(sub, away) == 0 && symlink(out, sub) == 0);
	assert_true(staged_find(&s, &place, root, &e) < 0);
	assert_int_equal(e.code, E_FILE);
	assert_non_null(strstr(e.why, "is a link"));
	assert_true(unlink(sub) == 0 && rename(away, sub) == 0);
	err_clear(&e);
	assert_int_equal(staged_find(&s, &place, root, &e), 1);
	assert_int_equal(staged_revert(s, &e), 0);
	assert_int_equal(staged_drop(s, &e), 0);
	staged_close(s);
	assert_string_equal(content(theirs), "theirs");
	assert_string_equal(content(ours), "old");
}

static void t40_staged_undo_goes_through_no_folder_that_became_a_link(void **state)
{
	static const int kernels[] = {0, ENOSYS};
	AUTO_CLOSE int root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/sub", dir);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/out", dir);
	assert_int_equal(mkdir(path, 0755), 0);
	for (size_t i = 0; i < ARRAY_SIZE(kernels); i++) {
		old_kernel = kernels[i];
		undo_beside_a_link(root);
	}
	old_kernel = 0;
}

static void staged_find_of_nothing_is_nothing(void **state)
{
	struct staged_address p = the_place();
	struct err e = {0};
	struct staged *s;

	(void)state;
	assert_int_equal(staged_find(&s, &p, -1, &e), 0);
	assert_null(s);
	snprintf(p.folder, sizeof(p.folder), "%s/not-there", dir);
	assert_int_equal(staged_find(&s, &p, -1, &e), 0);
	assert_false(err_is_set(&e));
	snprintf(p.txn, sizeof(p.txn), "../..");
	assert_true(staged_find(&s, &p, -1, &e) < 0);
	assert_int_equal(e.code, E_INTERNAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(staged_file_replaces_the_old_one_and_leaves_nothing),
		T(staged_revert_brings_back_what_was),
		T(staged_file_without_links_comes_back_as_it_was),
		T(t103_staged_undo_knows_new_content_that_kept_both_names),
		T(staged_files_may_share_a_folder),
		T(staged_file_keeps_mode_owner_and_attributes_of_the_old_one),
		T(staged_new_file_has_the_mode_asked_for_whatever_the_umask),
		T(staged_makes_missing_folders_only_when_asked_and_not_before_the_content),
		T(t40_staged_refuses_paths_that_are_not_plain),
		T(t40_staged_follows_no_link_in_the_last_part_and_wants_a_file),
		T(t40_staged_refuses_a_folder_that_others_may_change),
		T(staged_refuses_a_staging_folder_that_is_not_its_own),
		T(staged_brings_back_what_was_there_when_it_was_published),
		T(staged_never_replaces_a_file_that_appears_in_the_last_moment),
		T(staged_never_replaces_what_is_no_file_any_more),
		T(staged_wants_content_before_it_is_published),
		T(t103_staged_file_is_old_or_new_after_a_cut_at_every_call),
		T(t103_staged_recovery_may_be_cut_at_every_call_too),
		T(t103_staged_drop_alone_never_loses_the_only_file),
		T(t108_staged_file_survives_a_failure_of_every_call),
		T(staged_without_memory_says_so_and_loses_none),
		T(t40_staged_undo_goes_through_no_folder_that_became_a_link),
		T(staged_find_of_nothing_is_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
