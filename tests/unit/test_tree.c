/*
 * The tree writer: whatever the records say, nothing outside the folder is reached (T45), and a
 * plain archive brings nothing but files, folders and links (T46).
 */
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
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "corelib/base/sys.h"
#include "corelib/files/tree.h"
#include "tests/unit/kit/fail_malloc.h"
#include "tests/unit/kit/old_kernel.h"
#include "tests/unit/kit/record_make.h"

/* ---- calls that fail: the at-th from now ---- */

static struct {
	unsigned count, at;
	int error;
} fault;

static int faulty(void)
{
	if (!fault.at || ++fault.count != fault.at)
		return 0;
	errno = fault.error;
	return -1;
}

#define CALL(call) (faulty() < 0 ? -1 : (call))

int mkdirat(int d, const char *n, mode_t m)
{
	return CALL((int)syscall(SYS_mkdirat, d, n, m));
}

int unlinkat(int d, const char *n, int f)
{
	return CALL((int)syscall(SYS_unlinkat, d, n, f));
}

int linkat(int od, const char *o, int nd, const char *n, int f)
{
	return CALL((int)syscall(SYS_linkat, od, o, nd, n, f));
}

int symlinkat(const char *t, int d, const char *n)
{
	return CALL((int)syscall(SYS_symlinkat, t, d, n));
}

int fchmod(int fd, mode_t m)
{
	return CALL((int)syscall(SYS_fchmod, fd, m));
}

int fchown(int fd, uid_t u, gid_t g)
{
	return CALL((int)syscall(SYS_fchown, fd, u, g));
}

ssize_t pwrite64(int fd, const void *b, size_t n, off64_t off)
{
	return CALL(syscall(SYS_pwrite64, fd, b, n, off));
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

/* ---- a folder with something beside it that nobody may touch ---- */

static char base[64];
static int root = -1;
static struct blob blob;
static struct tree_count count;
static struct err err;

static void put_outside(void)
{
	int at = open(base, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	int fd;

	assert_true(at >= 0);
	assert_int_equal(mkdirat(at, "outside", 0700), 0);
	assert_int_equal(mkdirat(at, "root", 0700), 0);
	fd = openat(at, "outside/secret", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "old", 3), 3);
	close(fd);
	root = openat(at, "root", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	assert_true(root >= 0);
	close(at);
}

static int setup(void **state)
{
	(void)state;
	before_openat2 = faulty;
	memset(&fault, 0, sizeof(fault));
	strcpy(base, access("/dev/shm", W_OK) == 0 ? "/dev/shm/tree-XXXXXX" : "/tmp/tree-XXXXXX");
	assert_non_null(mkdtemp(base));
	put_outside();
	return 0;
}

static void remove_all(void)
{
	const char *const argv[] = {"rm", "-rf", base, NULL};
	struct blob out = {0};

	assert_int_equal(tool_filter(argv, NULL, &out), 0);
	blob_clear(&out);
}

static int teardown(void **state)
{
	struct stat st;
	char path[128];

	(void)state;
	fault.at = 0;
	/* the promise of all tests: outside is as it was */
	snprintf(path, sizeof(path), "%s/outside/secret", base);
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_size, 3);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(st.st_mode & 07777, 0600);
	snprintf(path, sizeof(path), "%s/outside", base);
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_nlink, 2);
	blob_clear(&blob);
	close(root);
	remove_all();
	return 0;
}

static void add(enum record_kind kind, const char *path, const char *target)
{
	struct record r = record_of(kind, path);

	if (target)
		r.target = target;
	if (kind == RECORD_FILE)
		record_put_file(&blob, &r, target ? target : "new", target ? strlen(target) : 3);
	else
		record_put(&blob, &r);
}

/* a file says its content where a link says its target */
static void add_file(const char *path, const char *text)
{
	struct record r = record_of(RECORD_FILE, path);

	record_put_file(&blob, &r, text, strlen(text));
}

static int run(const struct tree_options *o)
{
	struct stream *s = NULL;
	struct records *r = NULL;
	int rc;

	err_clear(&err);
	rc = stream_mem_open(&s, blob.data, blob.len, &err);
	if (rc == 0) {
		r = records_new(s, &err);
		rc = r ? tree_write(root, r, o, &count, &err) : -err.sys;
	}
	records_free(r);
	stream_close(s);
	return rc;
}

static int run_plain(void)
{
	const struct tree_options o = {.max_bytes = 1 << 20};

	return run(&o);
}

static int run_preserving(void)
{
	const struct tree_options o = {.max_bytes = 1 << 20, .preserve = true};

	return run(&o);
}

static struct stat look(const char *path)
{
	struct stat st = {0};

	assert_int_equal(fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st;
}

static bool is_there(const char *path)
{
	struct stat st;

	return fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void assert_content(const char *path, const char *text)
{
	char buf[64] = "";
	int fd = openat(root, path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_true(read(fd, buf, sizeof(buf) - 1) >= 0);
	close(fd);
	assert_string_equal(buf, text);
}

/* ---- what an archive has ---- */

static void tree_makes_files_folders_and_links(void **state)
{
	(void)state;
	add(RECORD_DIR, "a", NULL);
	add_file("a/x", "one");
	add_file("b/c/y", "two"); /* folders that nobody named */
	add(RECORD_SYMLINK, "a/link", "/etc/passwd");
	add(RECORD_HARDLINK, "b/hard", "a/x");
	assert_int_equal(run_plain(), 0);
	assert_content("a/x", "one");
	assert_content("b/c/y", "two");
	assert_content("b/hard", "one");
	assert_true(S_ISLNK(look("a/link").st_mode));
	assert_int_equal(look("a/x").st_nlink, 2);
	assert_int_equal(look("a/x").st_mode & 07777, 0644);
	assert_int_equal(look("b/c").st_mode & 07777, 0755);
	assert_int_equal(count.entries, 5);
	assert_int_equal(count.bytes, 6);
}

static void tree_later_entries_replace_earlier_ones(void **state)
{
	(void)state;
	add_file("a", "first");
	add(RECORD_HARDLINK, "other", "a");
	add_file("a", "2nd");
	add(RECORD_SYMLINK, "l", "a");
	add_file("l", "no link any more");
	add(RECORD_HARDLINK, "l", "l");
	assert_int_equal(run_plain(), 0);
	assert_content("a", "2nd");
	assert_content("other", "first"); /* the second name of the first one is not written */
	assert_content("l", "no link any more");
	assert_true(S_ISREG(look("l").st_mode));
}

static void tree_keeps_holes(void **state)
{
	struct record r = record_of(RECORD_FILE, "sparse");

	(void)state;
	r.size = 300000;
	record_put(&blob, &r);
	record_put_extent(&blob, 100000, 4);
	blob_add(&blob, "data", 4);
	record_put_extent(&blob, 300000, 0);
	assert_int_equal(run_plain(), 0);
	assert_int_equal(look("sparse").st_size, 300000);
	assert_true(look("sparse").st_blocks * 512 < 100000);
	assert_int_equal(count.bytes, 4);
}

/* ---- T45 ---- */

struct evil {
	const char *why;
	struct {
		enum record_kind kind;
		const char *path, *target;
	} rec[4];
};

static const struct evil evils[] = {
	{"a link on the way",
	 {{RECORD_SYMLINK, "a", "../outside"}, {RECORD_FILE, "a/secret", NULL}}},
	{"an absolute link on the way", {{RECORD_SYMLINK, "a", "/"}, {RECORD_FILE, "a/tmp", NULL}}},
	{"a link deep on the way",
	 {{RECORD_SYMLINK, "d/a", "../../outside"}, {RECORD_DIR, "d/a/b", NULL}}},
	{"two links",
	 {{RECORD_SYMLINK, "a", "b"},
	  {RECORD_SYMLINK, "b", "../outside"},
	  {RECORD_FILE, "a/secret", NULL}}},
	{"a link through a link",
	 {{RECORD_SYMLINK, "a", "../outside"}, {RECORD_SYMLINK, "a/b", "x"}}},
	{"a hard link through a link",
	 {{RECORD_SYMLINK, "a", "../outside"}, {RECORD_HARDLINK, "b", "a/secret"}}},
	{"a hard link to nothing of the archive", {{RECORD_HARDLINK, "b", "outside/secret"}}},
	{"a hard link to a folder", {{RECORD_DIR, "a", NULL}, {RECORD_HARDLINK, "b", "a"}}},
	{"a folder replaced by a link",
	 {{RECORD_DIR, "a", NULL}, {RECORD_SYMLINK, "a", "../outside"}}},
	{"a full folder replaced by a link",
	 {{RECORD_FILE, "a/x", NULL},
	  {RECORD_SYMLINK, "a", "../outside"},
	  {RECORD_FILE, "a/secret", NULL}}},
	{"a folder replaced by a file", {{RECORD_DIR, "a", NULL}, {RECORD_FILE, "a", NULL}}},
	{"a file on the way", {{RECORD_FILE, "a", NULL}, {RECORD_FILE, "a/b", NULL}}},
	{"a name of the installer", {{RECORD_FILE, ".swinstall-0123456789abcdef/0.new", NULL}}},
	{"a name of the installer below", {{RECORD_FILE, "a/.swinstall-x", NULL}}},
	{"a dot-dot", {{RECORD_FILE, "../outside/secret", NULL}}},
	{"a dot-dot inside", {{RECORD_FILE, "a/../../outside/secret", NULL}}},
	{"an absolute name", {{RECORD_FILE, "/etc/x", NULL}}},
	{"a hard link by dot-dot", {{RECORD_HARDLINK, "b", "../outside/secret"}}},
};

static void t45_tree_refuses_what_leads_out(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(evils) / sizeof(evils[0]); i++) {
		blob_clear(&blob);
		for (size_t k = 0; k < 4 && evils[i].rec[k].path; k++)
			add(evils[i].rec[k].kind, evils[i].rec[k].path, evils[i].rec[k].target);
		if (run_plain() >= 0 || err.code != E_ARCHIVE_PATH)
			fail_msg("%s: %s", evils[i].why, err.why);
		remove_all();
		close(root);
		assert_int_equal(mkdir(base, 0700), 0);
		put_outside();
	}
}

/* a folder that comes where a link was is a folder of its own: what follows stays inside */
static void t45_tree_folder_in_place_of_a_link_is_no_way_out(void **state)
{
	(void)state;
	add(RECORD_SYMLINK, "a", "../outside");
	add(RECORD_DIR, "a", NULL);
	add_file("a/secret", "inside");
	assert_int_equal(run_plain(), 0);
	assert_content("a/secret", "inside");
	assert_true(S_ISDIR(look("a").st_mode));
}

static void t45_tree_follows_no_link_that_was_there_before(void **state)
{
	(void)state;
	assert_int_equal(symlinkat("../outside", root, "old"), 0);
	add_file("old/secret", "new");
	assert_true(run_plain() < 0);
	assert_int_equal(err.code, E_ARCHIVE_PATH);
	blob_clear(&blob);
	assert_int_equal(symlinkat("../outside/secret", root, "last"), 0);
	add_file("last", "new");
	assert_int_equal(run_plain(), 0);
	assert_content("last", "new");
	assert_true(S_ISREG(look("last").st_mode));
}

static void t45_tree_too_deep_is_refused(void **state)
{
	char path[2 * (TREE_DEPTH_MAX + 2) + 1] = "";

	(void)state;
	for (unsigned i = 0; i < TREE_DEPTH_MAX + 1; i++)
		strcat(path, "d/");
	strcat(path, "f");
	add_file(path, "deep");
	assert_true(run_plain() < 0);
	assert_int_equal(err.code, E_ARCHIVE_PATH);
}

static void t17_tree_never_touches_what_is_closed(void **state)
{
	static const char *const closed[] = {"etc/swinstall.cfg", "var/lib/swinstall"};
	const struct tree_options o = {.max_bytes = 1 << 20, .closed = closed, .closed_count = 2};
	static const struct {
		enum record_kind kind;
		const char *path;
		bool good;
	} rows[] = {
		{RECORD_FILE, "etc/swinstall.cfg", false},
		{RECORD_FILE, "var/lib/swinstall/journal", false},
		{RECORD_DIR, "var/lib/swinstall/x", false},
		{RECORD_SYMLINK, "var/lib", false},
		{RECORD_SYMLINK, "var/lib/swinstall", false},
		{RECORD_DIR, "var/lib", true},
		{RECORD_FILE, "etc/swinstall.cfg2", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		blob_clear(&blob);
		add(rows[i].kind, rows[i].path, rows[i].kind == RECORD_SYMLINK ? "x" : NULL);
		assert_int_equal(run(&o) == 0, rows[i].good);
		if (!rows[i].good)
			assert_int_equal(err.code, E_TARGET_PROTECTED);
	}
}

/* ---- T46 ---- */

static void put_special(void)
{
	struct record r = record_of(RECORD_FILE, "suid");
	const struct record_xattr x = {"user.test", (const uint8_t *)"value", 5};

	r.mode = 06777;
	r.uid = 1234;
	r.gid = 4321;
	r.xattrs = &x;
	r.xattr_count = 1;
	record_put_file(&blob, &r, "x", 1);
	r = record_of(RECORD_DIR, "sticky");
	r.mode = 01777;
	r.uid = 77;
	record_put(&blob, &r);
	add_file("sticky/inside", "y");
	r = record_of(RECORD_CHAR, "null");
	r.major = 1;
	r.minor = 3;
	record_put(&blob, &r);
	r.kind = RECORD_BLOCK;
	r.path = "disk";
	record_put(&blob, &r);
	add(RECORD_FIFO, "pipe", NULL);
	r = record_of(RECORD_SYMLINK, "link");
	r.target = "suid";
	r.uid = 99;
	record_put(&blob, &r);
}

static void t46_tree_plain_drops_all_but_files_folders_and_links(void **state)
{
	char value[8];
	int fd;

	(void)state;
	put_special();
	assert_int_equal(run_plain(), 0);
	assert_int_equal(look("suid").st_mode & 07777, 0755);
	assert_int_equal(look("suid").st_uid, geteuid());
	assert_int_equal(look("sticky").st_mode & 07777, 0755);
	assert_int_equal(look("link").st_uid, geteuid());
	assert_false(is_there("null"));
	assert_false(is_there("disk"));
	assert_false(is_there("pipe"));
	assert_int_equal(count.nodes_left_out, 3);
	fd = openat(root, "suid", O_RDONLY | O_CLOEXEC);
	assert_true(fgetxattr(fd, "user.test", value, sizeof(value)) < 0);
	close(fd);
}

static void t46_tree_preserving_keeps_all(void **state)
{
	char value[8];
	int fd;

	(void)state;
	if (geteuid() != 0) {
		print_message("SKIP: owners and nodes need root\n");
		return;
	}
	put_special();
	assert_int_equal(run_preserving(), 0);
	assert_int_equal(look("suid").st_mode & 07777, 06777);
	assert_int_equal(look("suid").st_uid, 1234);
	assert_int_equal(look("suid").st_gid, 4321);
	assert_int_equal(look("suid").st_mtime, 1000000000);
	assert_int_equal(look("sticky").st_mode & 07777, 01777);
	assert_int_equal(look("sticky").st_uid, 77);
	assert_int_equal(look("sticky").st_mtime, 1000000000); /* although a file came later */
	assert_int_equal(look("link").st_uid, 99);
	assert_true(S_ISCHR(look("null").st_mode));
	assert_int_equal(look("null").st_rdev, makedev(1, 3));
	assert_true(S_ISBLK(look("disk").st_mode));
	assert_true(S_ISFIFO(look("pipe").st_mode));
	fd = openat(root, "suid", O_RDONLY | O_CLOEXEC);
	if (fgetxattr(fd, "user.test", value, sizeof(value)) != 5)
		assert_int_equal(count.attrs_lost, 1); /* tmpfs of older kernels has none */
	close(fd);
}

/* ---- limits and faults ---- */

static void t47_tree_stops_at_the_size_that_it_may_have(void **state)
{
	struct tree_options o = {.max_bytes = 5, .declared = true};

	(void)state;
	add_file("a", "1234");
	add_file("b", "56");
	assert_true(run(&o) < 0);
	assert_int_equal(err.code, E_LIMIT_OUTPUT);
	o.declared = false;
	assert_true(run(&o) < 0);
	assert_int_equal(err.code, E_NO_SPACE);
}

static void put_many(void)
{
	add(RECORD_DIR, "d", NULL);
	add_file("d/f", "one");
	add_file("d/f", "two");
	add_file("e/g", "three");
	add(RECORD_SYMLINK, "d/l", "f");
	add(RECORD_HARDLINK, "d/h", "d/f");
}

static void t108_tree_tells_a_failure_of_every_call(void **state)
{
	const int errors[] = {EIO, ENOSPC};
	unsigned tried = 0;

	(void)state;
	put_many();
	for (size_t k = 0; k < 2; k++)
		for (unsigned n = 1;; n++) {
			int rc;

			fault.error = errors[k];
			fault.count = 0;
			fault.at = n;
			rc = run_preserving();
			fault.at = 0;
			if (fault.count < n)
				break;
			tried++;
			assert_true(rc < 0);
			assert_true(err_is_set(&err));
			if (k == 1 && err.sys == ENOSPC && err.code != E_NO_SPACE)
				assert_int_equal(err.code,
						 E_ARCHIVE_PATH); /* looking for a link's file */
			remove_all();
			close(root);
			assert_int_equal(mkdir(base, 0700), 0);
			put_outside();
		}
	assert_true(tried > 30);
}

static void tree_hides_interrupted_calls(void **state)
{
	(void)state;
	put_many();
	for (unsigned n = 1;; n++) {
		fault.error = EINTR;
		fault.count = 0;
		fault.at = n;
		assert_int_equal(run_plain(), 0);
		fault.at = 0;
		if (fault.count < n)
			break;
	}
	assert_content("d/h", "two");
}

static void tree_without_memory_says_so(void **state)
{
	(void)state;
	if (!fail_malloc_works())
		return;
	put_many();
	for (unsigned n = 1;; n++) {
		int rc;

		fail_malloc_at(n);
		rc = run_plain();
		if (!fail_malloc_off())
			break;
		assert_true(rc < 0);
		assert_int_equal(err.code, E_MEMORY);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* ---- a medium that keeps something else than it was given ---- */

static bool lies;

ssize_t pread(int fd, void *buf, size_t n, off_t off)
{
	ssize_t r = syscall(SYS_pread64, fd, buf, n, off);

	if (lies && r > 0)
		((char *)buf)[r / 2] ^= 1;
	return r;
}

static void files_are_read_back_when_asked(void **state)
{
	const struct tree_options o = {.max_bytes = 1 << 20, .read_back = true};
	struct record holes = record_of(RECORD_FILE, "sparse");

	(void)state;
	add_file("empty", "");
	add_file("text", "some text");
	holes.size = 300000;
	record_put(&blob, &holes);
	record_put_extent(&blob, 5000, 6);
	blob_add(&blob, "middle", 6);
	record_put_extent(&blob, 200000, 4);
	blob_add(&blob, "late", 4);
	record_put_extent(&blob, holes.size, 0);
	assert_int_equal(run(&o), 0);
	lies = true;
	assert_int_equal(run(&o), -EIO);
	lies = false;
	assert_int_equal(err.code, E_VERIFY_WRITES);
	assert_string_equal(err.object, "text");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(tree_makes_files_folders_and_links),
		T(tree_later_entries_replace_earlier_ones),
		T(tree_keeps_holes),
		T(files_are_read_back_when_asked),
		T(t45_tree_refuses_what_leads_out),
		T(t45_tree_folder_in_place_of_a_link_is_no_way_out),
		T(t45_tree_follows_no_link_that_was_there_before),
		T(t45_tree_too_deep_is_refused),
		T(t17_tree_never_touches_what_is_closed),
		T(t46_tree_plain_drops_all_but_files_folders_and_links),
		T(t46_tree_preserving_keeps_all),
		T(t47_tree_stops_at_the_size_that_it_may_have),
		T(t108_tree_tells_a_failure_of_every_call),
		T(tree_hides_interrupted_calls),
		T(tree_without_memory_says_so),
	};

	int bad = cmocka_run_group_tests_name("tree", tests, NULL, NULL);

	old_kernel = ENOSYS;
	return bad + cmocka_run_group_tests_name("tree on an old kernel", tests, NULL, NULL);
}
