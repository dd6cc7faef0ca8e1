/*
 * SIGKILL before every call that changes something: afterwards recovery leaves the old system or
 * the new one, never half, and says which; an install after it succeeds; no program that the killed
 * one had started runs on. The child runs under ptrace, one thread.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "corelib/base/sys.h"
#include "corelib/process/procs.h"
#include "tests/unit/kit/fake_stream.h"
#include "tests/unit/kit/jobkit.h"

enum { IMAGE = 100 * 1024 + 5 };
static uint8_t image[IMAGE];

#define SOFTWARE                                                                                        \
	"software = { version = \"2.0\";\n"                                                             \
	"images: ( { filename = \"rootfs.img\"; slot = \"rootfs\"; sha256 = \"@rootfs.img@\"; } );\n"   \
	"files: ( { filename = \"one\"; path = \"%DIR%/app/one\"; sha256 = \"@one@\"; },\n"             \
	"         { filename = \"two\"; path = \"%DIR%/app/two\"; sha256 = \"@two@\"; name = \"app\"; " \
	"version = \"2.0\"; } );\n};\n"

/* Each starts a process in a session of its own, which only its good end ends. Lua has no other
 * way to learn of it than a file. */
#define SHELL                                                                                          \
	"#!/bin/sh\nsetsid sleep 1000 & pid=$!\necho begun >&3\nkill -9 $pid\nwait $pid 2>/dev/null\n" \
	"exit 0\n"
#define LUA                                                                                        \
	"function all()\n"                                                                         \
	"os.execute('setsid sleep 1000 >/dev/null 2>&1 & echo $! >%DIR%/pid')\n"                   \
	"swupdate.info('begun')\n"                                                                 \
	"return os.execute('kill -9 $(cat %DIR%/pid)')\nend\n"                                     \
	"preinst = all postinst = all\n"

#define SCRIPTS                                                                                         \
	"software = { version = \"2.0\";\n"                                                             \
	"images: ( { filename = \"rootfs.img\"; slot = \"rootfs\"; sha256 = \"@rootfs.img@\"; } );\n"   \
	"files: ( { filename = \"one\"; path = \"%DIR%/app/one\"; sha256 = \"@one@\"; },\n"             \
	"         { filename = \"two\"; path = \"%DIR%/app/two\"; sha256 = \"@two@\"; name = \"app\"; " \
	"version = \"2.0\"; } );\n"                                                                     \
	"scripts: ( { filename = \"s.sh\"; type = \"shellscript\"; sha256 = \"@s.sh@\"; },\n"           \
	"           { filename = \"s.lua\"; type = \"lua\"; sha256 = \"@s.lua@\"; } );\n};\n"

static const struct jobkit_part parts[] = {
	{"rootfs.img", image, IMAGE}, {"one", "new one", 7}, {"two", "new two", 7}};

/* programs inherit it: others may run the same test beside us */
static char ours[128];

static void find_ours(void *arg, const struct proc *p)
{
	char path[64], *text = NULL;
	size_t n = 0;

	snprintf(path, sizeof(path), "/proc/%d/environ", (int)p->pid);
	if (!p->ended && sys_read_file(AT_FDCWD, path, 1 << 20, &text, &n) == 0 &&
	    memmem(text, n, ours, strlen(ours)))
		++*(unsigned *)arg;
	free(text);
}

static unsigned programs_left(void)
{
	unsigned n = 0;

	assert_true(procs_each(find_ours, &n));
	return n;
}

/* calls after which something may be different */
static bool changes(long nr)
{
	static const long list[] = {SYS_write,	   SYS_pwrite64,  SYS_fsync,	SYS_fdatasync,
				    SYS_renameat2, SYS_renameat,  SYS_linkat,	SYS_unlinkat,
				    SYS_mkdirat,   SYS_ftruncate, SYS_fallocate};

	for (size_t i = 0; i < sizeof(list) / sizeof(*list); i++)
		if (list[i] == nr)
			return true;
	return false;
}

static bool stop_of_call(pid_t child, int status, long *nr)
{
	struct __ptrace_syscall_info info;

	if (!WIFSTOPPED(status) || WSTOPSIG(status) != (SIGTRAP | 0x80))
		return false;
	if (ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof(info), &info) <= 0 ||
	    info.op != PTRACE_SYSCALL_INFO_ENTRY)
		return false;
	*nr = (long)info.entry.nr;
	return true;
}

/* runs 'work' and kills it before the N-th change; false when it came to its end. -1: no ptrace
 * here */
static int run_killed(int (*work)(struct jobkit *k), struct jobkit *k, unsigned n)
{
	unsigned seen = 0;
	int status;
	long nr;
	pid_t child = fork();

	if (child == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(99);
		raise(SIGSTOP);
		_exit(work(k) < 0 ? 1 : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (!WIFSTOPPED(status))
		return -1;
	ptrace(PTRACE_SETOPTIONS, child, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	for (;;) {
		if (ptrace(PTRACE_SYSCALL, child, NULL, NULL) < 0)
			return -1;
		assert_int_equal(waitpid(child, &status, 0), child);
		if (WIFEXITED(status)) {
			assert_int_equal(WEXITSTATUS(status), 0);
			return 0;
		}
		if (stop_of_call(child, status, &nr) && changes(nr) && ++seen == n) {
			kill(child, SIGKILL);
			waitpid(child, &status, 0);
			return 1;
		}
	}
}

static int install(struct jobkit *k)
{
	return jobkit_install(k, JOB_INSTALL);
}

static int recover(struct jobkit *k)
{
	char did[512];

	err_clear(&k->e);
	return job_recover(k->cfg, did, sizeof(did), &k->e);
}

static bool app_is(const struct jobkit *k, const char *name, const char *text)
{
	char path[256], *now;
	bool same;

	snprintf(path, sizeof(path), "%s/%s", k->app, name);
	now = jobkit_text(path);
	same = text ? now && strcmp(now, text) == 0 : !now;
	free(now);
	return same;
}

static bool is_old(struct jobkit *k)
{
	return strcmp(jobkit_var(k, "boot_slot"), "a") == 0 && app_is(k, "one", "old") &&
	       app_is(k, "two", NULL) && strcmp(jobkit_var(k, "ustate"), "") == 0;
}

static bool is_new(struct jobkit *k)
{
	return strcmp(jobkit_var(k, "boot_slot"), "b") == 0 && app_is(k, "one", "new one") &&
	       app_is(k, "two", "new two") && strcmp(jobkit_var(k, "ustate"), "1") == 0 &&
	       jobkit_holds(k->slot[1], image, IMAGE);
}

static void device(struct jobkit *k, const char *bootloader)
{
	char path[256];
	FILE *f;

	jobkit_make(k, bootloader);
	setenv("SWINSTALL_TEST", k->dir, 1);
	snprintf(ours, sizeof(ours), "SWINSTALL_TEST=%s", k->dir);
	k->cfg->threads = 1;
	snprintf(path, sizeof(path), "%s/one", k->app);
	f = fopen(path, "w");
	fputs("old", f);
	fclose(f);
	jobkit_bundle(k, SOFTWARE, parts, 3);
}

static void with_scripts(struct jobkit *k, const char *shell, const char *lua)
{
	char *text[2] = {jobkit_filled(k, shell), jobkit_filled(k, lua)};
	const struct jobkit_part all[] = {parts[0],
					  parts[1],
					  parts[2],
					  {"s.sh", text[0], strlen(text[0])},
					  {"s.lua", text[1], strlen(text[1])}};

	jobkit_bundle(k, SCRIPTS, all, 5);
	free(text[0]);
	free(text[1]);
}

static void settled(struct jobkit *k, unsigned n)
{
	bool old = is_old(k), fresh = is_new(k);

	if (old == fresh)
		print_message("killed before change %u: neither old nor new\n", n);
	assert_true(old != fresh);
	assert_int_equal(jobkit_leftovers(k), 0);
	assert_string_not_equal(jobkit_var(k, "recovery_status"), "in_progress");
}

static void sweep(const char *bootloader, unsigned stride, bool scripts)
{
	unsigned n = 1, news = 0;
	struct jobkit k;
	int rc;

	for (;; n += stride) {
		device(&k, bootloader);
		if (scripts)
			with_scripts(&k, SHELL, LUA);
		rc = run_killed(install, &k, n);
		if (rc <= 0)
			break;
		assert_int_equal(recover(&k), 0);
		settled(&k, n);
		/* one that its script has killed in a good end may still be dying */
		for (int i = 0; i < 5000 && programs_left(); i++)
			usleep(1000);
		assert_int_equal(programs_left(), 0);
		news += is_new(&k);
		if (n % 7 == 0) { /* life goes on */
			k.cfg->threads = 0;
			assert_int_equal(install(&k), 0);
		}
		jobkit_remove(&k);
	}
	jobkit_remove(&k);
	if (rc < 0) {
		print_message("SKIP: ptrace is not allowed here\n");
		skip();
	}
	print_message("%u places, one in %u tried, %u times after the switch\n", n - 1, stride,
		      news);
	assert_true(n > 20);
	assert_true(news > 0 && news < n - 1);
}

static void t114_killed_before_every_change_with_a_file_environment(void **state)
{
	(void)state;
	sweep("file", 1, false);
}

static void t114_killed_before_every_third_change_with_a_grub_block(void **state)
{
	(void)state;
	sweep("grub", 3, false);
}

static void t114_killed_before_every_third_change_with_scripts_and_lua(void **state)
{
	(void)state;
	sweep("file", 3, true);
}

/* in the middle of a script, by the script: what it left behind would write into the slot */
#define WRITER                                                                                     \
	"setsid sh -c 'while :; do echo bad 1<>%DIR%/slot-b; sleep 0.01; done' >/dev/null 2>&1 & "
#define KILLED_SHELL "#!/bin/sh\n" WRITER "\nkill -9 $PPID; sleep 1000\n"
/* the job is the parent of the process that runs Lua, which is the parent of the shell */
#define KILLED_LUA                                                                                 \
	"function preinst()\nos.execute(\"" WRITER                                                 \
	" kill -9 $(cut -d' ' -f4 /proc/$PPID/stat); sleep 1000\")\nreturn true\nend\n"

static void killed_by_its_script(const char *shell, const char *lua)
{
	struct jobkit k;
	unsigned before;
	pid_t child;
	int status;

	device(&k, "file");
	with_scripts(&k, shell, lua);
	child = fork();
	if (child == 0)
		_exit(install(&k) < 0 ? 1 : 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	before = programs_left(); /* at least what is in a session of its own */
	assert_true(before > 0);
	assert_int_equal(recover(&k), 0);
	assert_int_equal(programs_left(), 0);
	settled(&k, 0);
	with_scripts(&k, SHELL, LUA);
	assert_int_equal(install(&k), 0);
	assert_true(is_new(&k));
	jobkit_remove(&k);
}

static void t64_what_a_shell_script_of_a_killed_job_left_is_ended_first(void **state)
{
	(void)state;
	killed_by_its_script(KILLED_SHELL, LUA);
}

static void t64_what_a_lua_script_of_a_killed_job_left_is_ended_first(void **state)
{
	(void)state;
	killed_by_its_script("#!/bin/sh\nexit 0\n", KILLED_LUA);
}

static void recovery_killed_before_every_change_goes_on_the_next_time(void **state)
{
	/* an install killed late: before and after its switch */
	static const unsigned first[] = {30, 42, 50, 58};
	struct jobkit k;

	(void)state;
	for (size_t i = 0; i < sizeof(first) / sizeof(*first); i++) {
		for (unsigned n = 1;; n++) {
			int rc;

			device(&k, "file");
			rc = run_killed(install, &k, first[i]);
			if (rc > 0)
				rc = run_killed(recover, &k, n);
			if (rc > 0) {
				assert_int_equal(recover(&k), 0);
				settled(&k, n);
			}
			jobkit_remove(&k);
			if (rc <= 0)
				break;
		}
	}
}

static int setup(void **state)
{
	(void)state;
	fake_bytes(image, sizeof(image), 5);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t114_killed_before_every_change_with_a_file_environment),
		cmocka_unit_test(t114_killed_before_every_third_change_with_a_grub_block),
		cmocka_unit_test(t114_killed_before_every_third_change_with_scripts_and_lua),
		cmocka_unit_test(t64_what_a_shell_script_of_a_killed_job_left_is_ended_first),
		cmocka_unit_test(t64_what_a_lua_script_of_a_killed_job_left_is_ended_first),
		cmocka_unit_test(recovery_killed_before_every_change_goes_on_the_next_time),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
