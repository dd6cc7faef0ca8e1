/* One installation at a time (T65): who waits is told for whom, and never longer than asked. */
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/session.h"
#include "core/state/lock.h"
#include "corelib/base/crc32c.h"
#include "corelib/base/sys.h"
#include "kit/envkit.h"
#include "tests/unit/kit/hang.h"
#include "tests/unit/kit/told.h"

static char dir[64], run[64];
static struct settings cfg;
static struct session session = {.cfg = &cfg};

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test-lock-XXXXXX");
	snprintf(run, sizeof(run), "/tmp/test-lock-XXXXXX");
	if (!mkdtemp(dir) || !mkdtemp(run))
		return -1;
	cfg = (struct settings){.state_dir = dir, .run_dir = run, .lock_timeout = 0};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return envkit_remove_tree(dir) | envkit_remove_tree(run);
}

static struct lock *take_ok(void)
{
	struct lock *l = NULL;
	struct err e = {0};

	if (lock_take(&l, &session, &e) < 0)
		fail_msg("%s", e.why);
	return l;
}

/* a process that holds the lock until it is ended */
static pid_t start_holder(void)
{
	int ready[2];
	char byte;

	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct err e = {0};
		struct lock *l;

		if (lock_take(&l, &session, &e) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void end_holder(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void lock_is_free_again_after_release(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		assert_null(lock_release(take_ok()));
	assert_null(lock_release(NULL));
}

static void t65_lock_held_by_another_is_busy_and_names_it(void **state)
{
	struct lock *l = NULL;
	struct err e = {0};
	struct told told;
	char pid_text[32];

	(void)state;
	cfg.lock_timeout = 1;
	told_open(&told);
	session.reporter = told.reporter;
	pid_t pid = start_holder();
	snprintf(pid_text, sizeof(pid_text), "%d (test_lock)", (int)pid);
	assert_true(lock_take(&l, &session, &e) < 0);
	assert_null(l);
	assert_int_equal(e.code, E_BUSY);
	assert_non_null(strstr(e.why, pid_text));
	assert_non_null(strstr(told_lines(&told), pid_text));
	assert_ptr_equal(strchr(told_lines(&told), '\n') + 1,
			 strchr(told_lines(&told), '\0')); /* once */
	session.reporter = NULL;
	told_close(&told);
	end_holder(pid);
}

static void t65_lock_of_a_killed_process_is_free(void **state)
{
	(void)state;
	end_holder(start_holder());
	lock_release(take_ok());
}

static void t65_lock_waits_until_the_holder_ends(void **state)
{
	int signs[2];
	char byte;

	(void)state;
	cfg.lock_timeout = 20;
	assert_int_equal(pipe2(signs, O_NONBLOCK), 0);
	pid_t pid = start_holder(), killer = fork();
	if (killer == 0) {
		usleep(200 * 1000);
		if (write(signs[1], "k", 1) == 1)
			kill(pid, SIGKILL);
		_exit(0);
	}
	struct lock *l = take_ok();
	assert_int_equal(read(signs[0], &byte, 1), 1); /* not before */
	lock_release(l);
	waitpid(killer, NULL, 0);
	waitpid(pid, NULL, 0);
	close(signs[0]);
	close(signs[1]);
}

static void lock_wait_ends_when_cancelled(void **state)
{
	const volatile bool cancel = true;
	struct lock *l = NULL;
	struct err e = {0};

	(void)state;
	cfg.lock_timeout = 60;
	session.cancel = &cancel;
	pid_t pid = start_holder();
	uint64_t start = sys_now_ms();
	assert_true(lock_take(&l, &session, &e) < 0);
	assert_int_equal(e.code, E_CANCELED);
	assert_true(sys_now_ms() - start < HANG_MS);
	session.cancel = NULL;
	end_holder(pid);
}

static void lock_whose_file_was_removed_is_not_taken_twice(void **state)
{
	struct lock *l = NULL;
	struct err e = {0};
	char path[96];

	(void)state;
	snprintf(path, sizeof(path), "%s/lock", dir);
	pid_t pid = start_holder();
	assert_true(lock_take(&l, &session, &e) < 0);
	/* the file is there, is not ours, and stays */
	assert_int_equal(access(path, F_OK), 0);
	end_holder(pid);
}

static void lock_falls_back_to_the_run_directory(void **state)
{
	char path[96];

	(void)state;
	cfg.state_dir = "/nonexistent/parent/state";
	struct lock *l = take_ok();
	snprintf(path, sizeof(path), "%s/lock-%08x", run,
		 crc32c(0, cfg.state_dir, strlen(cfg.state_dir)));
	assert_int_equal(access(path, F_OK), 0);
	lock_release(l);
}

static void lock_without_any_directory_names_the_state_directory(void **state)
{
	struct lock *l = NULL;
	struct err e = {0};

	(void)state;
	cfg.state_dir = "/nonexistent/parent/state";
	cfg.run_dir = NULL;
	assert_true(lock_take(&l, &session, &e) < 0);
	assert_int_equal(e.code, E_STATE_DIR);
	assert_int_equal(chmod(dir, 0777), 0);
	cfg.state_dir = dir;
	e = (struct err){0};
	assert_true(lock_take(&l, &session, &e) < 0);
	assert_int_equal(e.code, E_STATE_DIR);
}

static void lock_holder_text_cannot_carry_control_bytes(void **state)
{
	struct lock *l = NULL;
	struct err e = {0};
	char path[96];

	(void)state;
	snprintf(path, sizeof(path), "%s/lock", dir);
	pid_t pid = start_holder();
	envkit_write_file(path, "1 (\x1b[2J)\n", 9);
	assert_true(lock_take(&l, &session, &e) < 0);
	assert_int_equal(e.code, E_BUSY);
	assert_null(strchr(e.why, '\x1b'));
	end_holder(pid);
}

/* who cannot use the state directory has the run directory alone: they meet there */
static void t65_one_lock_for_who_can_use_the_state_directory_and_who_cannot(void **state)
{
	struct lock *l = take_ok(), *second = NULL;
	struct err e = {0};

	(void)state;
	chmod(dir, 0777); /* is refused as one that others may write */
	assert_true(lock_take(&second, &session, &e) < 0);
	assert_int_equal(e.code, E_BUSY);
	lock_release(l);
	l = take_ok();
	chmod(dir, 0700);
	err_clear(&e);
	assert_true(lock_take(&second, &session, &e) < 0);
	assert_int_equal(e.code, E_BUSY);
	lock_release(l);
	lock_release(take_ok());
	assert_int_equal(rmdir(run), 0); /* nothing stays in it */
	assert_int_equal(mkdir(run, 0700), 0);
}

static void other_state_directories_do_not_wait_for_each_other(void **state)
{
	char other[64] = "/tmp/test-lock-XXXXXX";
	struct settings second = {.run_dir = run, .lock_timeout = 0};
	struct lock *l = take_ok(), *m = NULL;
	struct err e = {0};

	(void)state;
	second.state_dir = mkdtemp(other);
	assert_int_equal(lock_take(&m, &(struct session){.cfg = &second}, &e), 0);
	lock_release(m);
	lock_release(l);
	envkit_remove_tree(other);
}

static void one_folder_for_both_is_locked_once(void **state)
{
	struct settings same = {.state_dir = dir, .run_dir = dir, .lock_timeout = 0};
	struct lock *l = NULL;
	struct err e = {0};

	(void)state;
	assert_int_equal(lock_take(&l, &(struct session){.cfg = &same}, &e), 0);
	lock_release(l);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(lock_is_free_again_after_release),
		T(t65_lock_held_by_another_is_busy_and_names_it),
		T(t65_lock_of_a_killed_process_is_free),
		T(t65_lock_waits_until_the_holder_ends),
		T(lock_wait_ends_when_cancelled),
		T(lock_whose_file_was_removed_is_not_taken_twice),
		T(lock_falls_back_to_the_run_directory),
		T(lock_without_any_directory_names_the_state_directory),
		T(lock_holder_text_cannot_carry_control_bytes),
		T(t65_one_lock_for_who_can_use_the_state_directory_and_who_cannot),
		T(other_state_directories_do_not_wait_for_each_other),
		T(one_folder_for_both_is_locked_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
