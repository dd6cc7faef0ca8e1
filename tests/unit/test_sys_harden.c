/* What a program started by root drops (T60, T61), seen from a child that was started badly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

static char dir[64];
static char told[65536]; /* what the hardened child printed */

/* ---- the child: harden, then tell
 * ------------------------------------------------------------------ */

/* kernels before 5.9 do not have it */
static bool old_kernel;

int close_range(unsigned first, unsigned last, int flags)
{
	if (!old_kernel)
		return (int)syscall(SYS_close_range, first, last, flags);
	errno = ENOSYS;
	return -1;
}

static void tell_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	for (struct dirent *i; d && (i = readdir(d));)
		if (i->d_name[0] != '.' && atoll(i->d_name) != dirfd(d)) {
			printf("fd %s\n", i->d_name);
			n++;
		}
	printf("fds %u\n", n);
	if (d)
		closedir(d);
}

static void tell_signals(void)
{
	struct sigaction now;
	sigset_t mask;

	sigprocmask(SIG_BLOCK, NULL, &mask);
	for (int sig = 1; sig < 32; sig++)
		if (sigaction(sig, NULL, &now) == 0 && now.sa_handler == SIG_IGN)
			printf("ignored %d\n", sig);
		else if (sigismember(&mask, sig))
			printf("blocked %d\n", sig);
}

static int child(bool keep_cwd)
{
	char cwd[4096];
	struct rlimit lim;
	mode_t mask;
	int rc = sys_harden(keep_cwd);

	printf("rc %d\n", rc);
	for (char **v = environ; *v; v++)
		printf("env %s\n", *v);
	tell_descriptors();
	tell_signals();
	mask = umask(0);
	printf("umask %03o\n", (unsigned)mask);
	printf("cwd %s\n", getcwd(cwd, sizeof(cwd)) ? cwd : "none");
	getrlimit(RLIMIT_CORE, &lim);
	printf("core %llu\n", (unsigned long long)lim.rlim_max);
	getrlimit(RLIMIT_FSIZE, &lim);
	printf("fsize %s\n", lim.rlim_cur == lim.rlim_max ? "free" : "bounded");
	fflush(stdout);
	return 0;
}

/* runs this program again as the child; 'prepare' spoils what it inherits */
static void run_child(void (*prepare)(void), char *const *env, const char *how)
{
	int fds[2], status;
	size_t n = 0;
	ssize_t r;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char *argv[] = {(char *)"test", (char *)how, NULL};
		char exe[4096] = "";

		if (readlink("/proc/self/exe", exe, sizeof(exe) - 1) <= 0)
			_exit(96);
		dup2(fds[1], 1);
		if (prepare)
			prepare();
		execve(exe, argv, env);
		_exit(97);
	}
	close(fds[1]);
	while ((r = read(fds[0], told + n, sizeof(told) - 1 - n)) > 0)
		n += (size_t)r;
	told[n] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_non_null(strstr(told, "rc 0\n"));
}

static bool says(const char *line)
{
	char with_feed[600];

	assert_int_equal(text_print(with_feed, sizeof(with_feed), "\n%s\n", line), 0);
	return strstr(told, with_feed) != NULL;
}

static unsigned count_of(const char *start)
{
	unsigned n = 0;

	for (const char *p = told; (p = strstr(p, start)); p++)
		if (p == told || p[-1] == '\n')
			n++;
	return n;
}

/* ---- T60
 * -------------------------------------------------------------------------------------------- */

static void t60_harden_drops_every_poisoned_variable(void **state)
{
	static const char *const poison[] = {
		"LD_PRELOAD=",
		"LD_LIBRARY_PATH=/tmp",
		"LD_AUDIT=",
		"IFS=x",
		"PATH=/tmp/evil",
		"BASH_ENV=/tmp/evil",
		"ENV=/tmp/evil",
		"LUA_INIT=os.exit(1)",
		"LUA_CPATH=/tmp/?.so",
		"OPENSSL_CONF=/tmp/evil",
		"OPENSSL_ENGINES=/tmp",
		"OPENSSL_MODULES=/tmp",
		"http_proxy=http://evil",
		"HTTPS_PROXY=http://evil",
		"ALL_PROXY=http://evil",
		"HOME=/tmp/evil",
		"SSL_CERT_FILE=/tmp/evil",
		"BASH_FUNC_x%%=() { :; }",
		"UNKNOWN=1",
		"GCONV_PATH=/tmp",
		"LOCPATH=/tmp",
		/* LOCPATH makes the C library keep a list for a library's constructor */
		"ASAN_OPTIONS=detect_leaks=0",
		"MALLOC_CHECK_=3",
		"GLIBC_TUNABLES=x=y",
		"TZDIR=/tmp",
		"LANG=../../tmp/evil",
		"LC_ALL=/tmp/evil",
		"TERM=/tmp/evil",
		"TZ=../../tmp/evil",
		"no-equals",
		"=empty",
		"TERMX=1",
		"XTERM=1",
		"LISTEN_PIDX=1",
	};
	char *env[ARRAY_SIZE(poison) + 1] = {NULL};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(poison); i++)
		env[i] = (char *)poison[i];
	run_child(NULL, env, "harden");
	assert_true(says("env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
	assert_true(says("env HOME=/"));
	assert_int_equal(count_of("env "), 2);
}

static void t60_harden_keeps_what_the_manual_lists_once(void **state)
{
	static const char *const good[] = {
		"SWUPDATE_X=1",
		"SWINSTALL_Y=2",
		"TERM=xterm-256color",
		"LANG=de_DE.UTF-8",
		"LC_ALL=C.UTF-8",
		"TZ=Europe/Berlin",
		"NO_COLOR=",
		"COLUMNS=80",
		"SOURCE_DATE_EPOCH=1",
		"NOTIFY_SOCKET=@x",
		"GCOV_PREFIX_STRIP=0",
		"TMPDIR=/tmp",
		"RUNTIME_DIRECTORY=/usr:/etc",
		"LUA_PATH=/usr/share/?.lua;/usr/?/init.lua;;",
	};
	char *env[ARRAY_SIZE(good) + 2] = {NULL};
	char line[300];

	(void)state;
	if (!sys_path_is_safe("/usr/share") || !sys_path_is_safe("/tmp")) {
		print_message("SKIP: /usr/share or /tmp of this machine are not root's alone\n");
		skip();
	}
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		env[i] = (char *)good[i];
	env[ARRAY_SIZE(good)] = (char *)"TERM=second";
	run_child(NULL, env, "harden");
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		text_print(line, sizeof(line), "env %s", good[i]);
		if (!says(line))
			fail_msg("lost: %s", good[i]);
	}
	assert_int_equal(count_of("env "), ARRAY_SIZE(good) + 2);
}

static void t60_harden_drops_folders_that_others_can_change(void **state)
{
	char a[300], b[300], c[300], open_dir[200];
	char *env[] = {a, b, c, NULL};

	(void)state;
	text_print(open_dir, sizeof(open_dir), "%s/open", dir);
	assert_int_equal(mkdir(open_dir, 0700), 0);
	assert_int_equal(chmod(open_dir, 0777), 0);
	text_print(a, sizeof(a), "TMPDIR=%s", open_dir);
	text_print(b, sizeof(b), "RUNTIME_DIRECTORY=/usr:%s", open_dir);
	text_print(c, sizeof(c), "LUA_PATH=/usr/?.lua;%s/?.lua", open_dir);
	run_child(NULL, env, "harden");
	assert_int_equal(count_of("env "), 2);
	/* sticky is enough for temporary files, not for modules that are loaded by name */
	assert_int_equal(chmod(open_dir, 01777), 0);
	run_child(NULL, env, "harden");
	assert_int_equal(count_of("env TMPDIR="), 1);
	assert_int_equal(count_of("env RUNTIME_DIRECTORY="), 1);
	assert_int_equal(count_of("env LUA_PATH="), 0);
	text_copy(a, sizeof(a), "TMPDIR=relative");
	text_copy(b, sizeof(b), "RUNTIME_DIRECTORY=/no/such/folder");
	text_copy(c, sizeof(c), "LUA_PATH=?.lua");
	run_child(NULL, env, "harden");
	assert_int_equal(count_of("env "), 2);
}

/* ---- T61
 * -------------------------------------------------------------------------------------------- */

static void spoil(void)
{
	struct rlimit lim = {1 << 20, RLIM_INFINITY};
	sigset_t all;
	char gone[200];

	for (int i = 0; i < 500; i++)
		if (open("/dev/null", O_RDONLY) < 0)
			break;
	close(0);
	close(2);
	umask(0);
	signal(SIGINT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	setrlimit(RLIMIT_FSIZE, &lim);
	text_print(gone, sizeof(gone), "%s/gone", dir);
	if (mkdir(gone, 0700) < 0 || chdir(gone) < 0 || rmdir(gone) < 0)
		_exit(95);
}

static void t61_harden_undoes_what_was_inherited(void **state)
{
	char *env[] = {NULL};

	(void)state;
	for (int keep = 0; keep < 2; keep++) {
		run_child(spoil, env, keep ? "harden-keep" : "harden");
		assert_int_equal(count_of("fd "), 3);
		assert_true(says("fd 0") && says("fd 1") && says("fd 2"));
		assert_int_equal(count_of("ignored "), 0);
		assert_int_equal(count_of("blocked "), 0);
		assert_true(says("umask 077"));
		assert_true(says("cwd /"));
		assert_true(says("core 0"));
		assert_true(says("fsize free"));
	}
}

static void go_to_tmp(void)
{
	if (chdir("/tmp") < 0)
		_exit(94);
}

static void t61_harden_closes_descriptors_on_old_kernels_too(void **state)
{
	char *env[] = {NULL};

	(void)state;
	run_child(spoil, env, "harden-old");
	assert_int_equal(count_of("fd "), 3);
}

static void t61_harden_keeps_the_folder_only_when_told(void **state)
{
	char *env[] = {NULL};

	(void)state;
	run_child(go_to_tmp, env, "harden-keep");
	assert_true(says("cwd /tmp"));
	run_child(go_to_tmp, env, "harden");
	assert_true(says("cwd /"));
}

static char listen_pid[40];

static void hand_over_two(void)
{
	for (int fd = 3; fd < 8; fd++)
		dup2(0, fd);
	text_print(listen_pid, sizeof(listen_pid), "LISTEN_PID=%ld", (long)getpid());
}

static void t61_harden_keeps_sockets_that_were_handed_to_this_process(void **state)
{
	char *env[] = {listen_pid, (char *)"LISTEN_FDS=2", NULL};
	char *other[] = {(char *)"LISTEN_PID=1", (char *)"LISTEN_FDS=2", NULL};
	char *many[] = {listen_pid, (char *)"LISTEN_FDS=99999999999", NULL};

	(void)state;
	run_child(hand_over_two, env, "harden");
	assert_int_equal(count_of("fd "), 5);
	assert_true(says("fd 3") && says("fd 4"));
	run_child(hand_over_two, other, "harden");
	assert_int_equal(count_of("fd "), 3);
	run_child(hand_over_two, many, "harden");
	assert_int_equal(count_of("fd "), 3);
}

/* ---- safe paths
 * --------------------------------------------------------------------------------------- */

static const char *below(const char *name)
{
	static char path[4][300];
	static unsigned turn;
	char *p = path[turn++ % 4];

	assert_int_equal(text_print(p, sizeof(path[0]), "%s/%s", dir, name), 0);
	return p;
}

static void touch(const char *path, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void t17_path_is_safe_when_each_parent_and_the_file_are(void **state)
{
	(void)state;
	touch(below("key"), 0644);
	assert_true(sys_path_is_safe(below("key")));
	assert_true(sys_path_is_safe(dir));
	assert_true(sys_path_is_safe("/"));
	assert_false(sys_path_is_safe(""));
	assert_false(sys_path_is_safe(below("none")));
	assert_int_equal(chmod(below("key"), 0666), 0);
	assert_false(sys_path_is_safe(below("key")));
	if (geteuid() == 0) {
		assert_int_equal(chmod(below("key"), 0664), 0);
		assert_false(sys_path_is_safe(below("key")));
	}
	assert_int_equal(chmod(below("key"), 0600), 0);
	assert_int_equal(chmod(dir, 0777), 0);
	assert_false(sys_path_is_safe(below("key")));
	assert_int_equal(chmod(dir, 01777), 0);
	assert_true(sys_path_is_safe(below("key")));
	assert_int_equal(chmod(dir, 0700), 0);
}

/* ---- a file that is exchanged between its opening and its judgement ---- */

static void (*on_look)(void);

int lstat(const char *path, struct stat *st)
{
	void (*now)(void) = on_look;

	on_look = NULL;
	if (now)
		now();
	return fstatat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

static void put_good_in_place(void)
{
	char good[PATH_MAX];

	strcpy(good, below("good"));
	assert_int_equal(rename(good, below("key")), 0);
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void t17_what_is_judged_is_what_was_opened(void **state)
{
	char *text = NULL;
	size_t n;

	(void)state;
	touch(below("key"), 0666);
	write_text(below("key"), "evil");
	assert_int_equal(sys_read_safe_file(below("key"), 100, &text, &n), -EPERM);
	touch(below("good"), 0600);
	write_text(below("good"), "good");
	on_look = put_good_in_place;
	assert_int_equal(sys_read_safe_file(below("key"), 100, &text, &n), -EPERM);
	assert_int_equal(sys_read_safe_file(below("key"), 100, &text, &n), 0);
	assert_string_equal(text, "good");
	free(text);
}

static void t17_path_of_another_owner_is_not_safe(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("SKIP: only root can give a file away\n");
		skip();
	}
	touch(below("key"), 0600);
	assert_int_equal(chown(below("key"), 12345, 0), 0);
	assert_false(sys_path_is_safe(below("key")));
	assert_int_equal(symlink("/etc/hostname", below("link")), 0);
	assert_int_equal(lchown(below("link"), 12345, 0), 0);
	assert_false(sys_path_is_safe(below("link")));
}

static void t17_path_is_followed_through_links_and_each_step_counts(void **state)
{
	(void)state;
	assert_int_equal(mkdir(below("good"), 0700), 0);
	assert_int_equal(mkdir(below("bad"), 0700), 0);
	assert_int_equal(chmod(below("bad"), 0777), 0);
	touch(below("good/key"), 0600);
	touch(below("bad/key"), 0600);
	assert_int_equal(symlink("good/key", below("l1")), 0);
	assert_int_equal(symlink("bad/key", below("l2")), 0);
	assert_int_equal(symlink(below("good"), below("abs")), 0);
	assert_int_equal(symlink("loop", below("loop")), 0);
	assert_int_equal(symlink("../good/../good/./key", below("good/up")), 0);
	assert_int_equal(symlink("../good/key", below("bad/out")), 0);
	assert_true(sys_path_is_safe(below("l1")));
	assert_false(sys_path_is_safe(below("l2")));
	assert_true(sys_path_is_safe(below("abs/key")));
	assert_true(sys_path_is_safe(below("good/up")));
	assert_true(sys_path_is_safe(below("good//./key")));
	assert_false(sys_path_is_safe(below("loop")));
	assert_false(sys_path_is_safe(below("bad/out")));
	assert_false(sys_path_is_safe(below("bad/../good/key")));
}

static void path_relative_counts_from_the_working_directory(void **state)
{
	int here = open(".", O_RDONLY | O_DIRECTORY);

	(void)state;
	touch(below("key"), 0600);
	assert_int_equal(chdir(dir), 0);
	assert_true(sys_path_is_safe("key"));
	assert_true(sys_path_is_safe("./key"));
	assert_int_equal(chmod("key", 0602), 0);
	assert_false(sys_path_is_safe("key"));
	assert_int_equal(fchdir(here), 0);
	close(here);
}

static void path_too_long_is_not_safe(void **state)
{
	static char big[5000];

	(void)state;
	memset(big, 'a', sizeof(big) - 1);
	big[0] = '/';
	assert_false(sys_path_is_safe(big));
	big[4000] = '\0';
	assert_false(sys_path_is_safe(big));
}

static int make_dir(void **state)
{
	(void)state;
	memcpy(dir, "/tmp/swinstall-harden-XXXXXX", 29);
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	static const char *const names[] = {"key",  "link",    "open",	  "good/key", "good/up",
					    "good", "bad/key", "bad/out", "bad",      "l1",
					    "l2",   "abs",     "loop"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		(void)!remove(below(names[i]));
	return rmdir(dir);
}

#define T(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(t60_harden_drops_every_poisoned_variable),
		T(t60_harden_keeps_what_the_manual_lists_once),
		T(t60_harden_drops_folders_that_others_can_change),
		T(t61_harden_undoes_what_was_inherited),
		T(t61_harden_closes_descriptors_on_old_kernels_too),
		T(t61_harden_keeps_the_folder_only_when_told),
		T(t61_harden_keeps_sockets_that_were_handed_to_this_process),
		T(t17_path_is_safe_when_each_parent_and_the_file_are),
		T(t17_what_is_judged_is_what_was_opened),
		T(t17_path_of_another_owner_is_not_safe),
		T(t17_path_is_followed_through_links_and_each_step_counts),
		T(path_relative_counts_from_the_working_directory),
		T(path_too_long_is_not_safe),
	};

	if (argc == 2) {
		old_kernel = strcmp(argv[1], "harden-old") == 0;
		return child(strcmp(argv[1], "harden-keep") == 0);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
