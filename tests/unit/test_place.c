/* A place from its name to its release: shared, judged again, made by an earlier step, held. */
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
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/plan/place.h"
#include "tests/unit/kit/envkit.h"
#include "tests/unit/kit/loopdev.h"

#define MIB (1024 * 1024)

static char dir[64], image[96], other[96], state_dir[96];
static struct settings cfg;
static struct session session;
static struct places all;
static struct loopdev loop;
static struct err e;

static void need_loop(void)
{
	const char *why = loopdev_attach(&loop, image, 512, false);

	if (why) {
		print_message("SKIP: %s\n", why);
		skip();
	}
}

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test-place-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(image, sizeof(image), "%s/image", dir);
	snprintf(other, sizeof(other), "%s/other", dir);
	snprintf(state_dir, sizeof(state_dir), "%s/state", dir);
	envkit_write_file(image, "", 0);
	envkit_write_file(other, "", 0);
	if (truncate(image, 8 * MIB) < 0 || truncate(other, MIB) < 0 || mkdir(state_dir, 0700) < 0)
		return -1;
	loop = (struct loopdev){.fd = -1};
	cfg = (struct settings){.state_dir = state_dir};
	session = (struct session){.cfg = &cfg, .slots = {.cfg = &cfg}};
	strcpy(session.txn, "0123456789abcdef");
	e = (struct err){0};
	return places_init(&all, &session, &e);
}

static int teardown(void **state)
{
	(void)state;
	places_free(&all);
	if (loop.fd >= 0)
		loopdev_detach(&loop);
	return envkit_remove_tree(dir);
}

static int name(struct span *s, const char *device, uint64_t off, enum holds holds)
{
	const struct entry t = {.device = device, .offset = off};

	span_init(s);
	return place_name(&all, s, &t, holds, 0, &e);
}

static bool can_claim(const char *path)
{
	int fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void a_place_is_shared_by_its_name_and_goes_through_its_states(void **state)
{
	struct span a, b;

	(void)state;
	assert_int_equal(name(&a, image, 0, HOLDS_DEVICE), 0);
	assert_int_equal(name(&b, image, 4096, HOLDS_DEVICE), 0);
	assert_ptr_equal(a.place, b.place);
	assert_int_equal(a.place->kind, PLACE_FILE);
	assert_int_equal(a.place->state, PLACE_NAMED);
	assert_int_equal(place_judge(&all, &a, &e), 0);
	assert_int_equal(a.place->state, PLACE_JUDGED);
	assert_int_equal(place_judge(&all, &b, &e), 0);
	assert_int_equal(a.room, 8 * MIB);
	assert_int_equal(b.room, 8 * MIB - 4096);
	assert_int_equal(place_open(&all, &a, true, &e), 0);
	assert_int_equal(a.place->state, PLACE_OPENED);
	assert_int_equal(places_flush(&all, &e), 0);
}

/* T2: idle while planning, claimed when the step begins */
static void t2_a_place_is_judged_again_when_its_step_begins(void **state)
{
	struct span s;

	(void)state;
	need_loop();
	assert_int_equal(name(&s, loop.path, 0, HOLDS_DEVICE), 0);
	assert_int_equal(s.place->kind, PLACE_BLOCK);
	assert_int_equal(place_judge(&all, &s, &e), 0);
	int fd = open(loop.path, O_RDONLY | O_EXCL | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_true(place_open(&all, &s, true, &e) < 0);
	assert_int_equal(e.code, E_TARGET_ACTIVE);
	assert_non_null(strstr(e.why, "held by another program"));
	err_clear(&e);
	assert_true(place_open(&all, &s, false, &e) < 0); /* a step that writes nothing itself */
	close(fd);
	err_clear(&e);
	assert_int_equal(place_open(&all, &s, true, &e), 0);
	place_end(&s);
}

/* nobody mounts what is being written; what scripts do afterwards is theirs */
static void t2_a_device_is_held_alone_while_a_step_writes_it(void **state)
{
	struct span s;

	(void)state;
	need_loop();
	assert_int_equal(name(&s, loop.path, 0, HOLDS_DEVICE), 0);
	assert_int_equal(place_judge(&all, &s, &e), 0);
	assert_true(can_claim(loop.path));
	assert_int_equal(place_open(&all, &s, true, &e), 0);
	assert_false(can_claim(loop.path));
	place_end(&s);
	assert_true(can_claim(loop.path));
	/* a program that the step runs needs it for itself */
	assert_int_equal(place_open(&all, &s, false, &e), 0);
	assert_true(can_claim(loop.path));
}

/* a loop device over a file of the plan, claimed after the plan: the lists are read again */
static void t2_a_file_behind_a_loop_device_is_judged_again(void **state)
{
	struct span s;

	(void)state;
	assert_int_equal(name(&s, image, 0, HOLDS_DEVICE), 0);
	assert_int_equal(place_judge(&all, &s, &e), 0);
	need_loop();
	int fd = open(loop.path, O_RDONLY | O_EXCL | O_CLOEXEC);
	assert_true(fd >= 0);
	usleep(20 * 1000); /* what came without a word is seen by age */
	assert_true(place_open(&all, &s, true, &e) < 0);
	assert_int_equal(e.code, E_TARGET_ACTIVE);
	close(fd);
}

/* as a step that makes partitions does: the name leads nowhere while the plan is made */
static void a_device_that_an_earlier_step_makes_is_opened_when_its_step_begins(void **state)
{
	struct span disk, first, second;
	char made[96];

	(void)state;
	snprintf(made, sizeof(made), "%s/made", dir);
	assert_int_equal(name(&disk, image, 0, HOLDS_DEVICE), 0);
	assert_int_equal(place_judge(&all, &disk, &e), 0);
	assert_int_equal(places_promise(&all, made, disk.place, &e), 0);
	assert_int_equal(name(&first, made, 0, HOLDS_DEVICE), 0);
	assert_int_equal(name(&second, made, 4096, HOLDS_DEVICE), 0);
	assert_ptr_equal(first.place, second.place);
	assert_true(place_is_late(&first));
	assert_int_equal(place_judge(&all, &first, &e), 0); /* nothing to judge yet */
	assert_true(place_is_late(&first));
	assert_null(first.place->dev);
	assert_int_equal(places_flush(&all, &e), 0);
	/* nobody promised this one */
	span_init(&second);
	assert_true(name(&second, "/nowhere/at/all", 0, HOLDS_DEVICE) < 0);
	assert_int_equal(e.code, E_TARGET);
	err_clear(&e);

	assert_int_equal(place_open(&all, &disk, false, &e), 0);
	assert_int_equal(symlink(other, made), 0);
	assert_int_equal(place_open(&all, &first, true, &e), 0);
	assert_false(place_is_late(&first));
	assert_int_equal(first.place->dev->size, MIB);
	assert_int_equal(first.place->state, PLACE_OPENED);
	assert_true(first.live); /* no slot, not in the list: judged as everything is */
}

/* a check of what is made says what is wrong with it then, not before */
static void what_was_promised_and_is_not_made_fails_when_its_step_begins(void **state)
{
	static const volatile bool stop = true; /* else the name is waited for */
	struct span disk, s;
	char made[96];

	(void)state;
	snprintf(made, sizeof(made), "%s/made", dir);
	assert_int_equal(name(&disk, image, 0, HOLDS_DEVICE), 0);
	assert_int_equal(places_promise(&all, made, disk.place, &e), 0);
	assert_int_equal(name(&s, made, 0, HOLDS_DEVICE), 0);
	session.cancel = &stop;
	assert_true(place_open(&all, &s, true, &e) < 0);
	assert_int_equal(e.code, E_TARGET);
	assert_non_null(strstr(e.where, made));
}

static void a_staged_file_learns_its_number_when_its_step_begins(void **state)
{
	struct entry t = {0};
	char path[96];
	struct span s;

	(void)state;
	snprintf(path, sizeof(path), "%s/file", dir);
	t.path = path;
	span_init(&s);
	assert_int_equal(place_name(&all, &s, &t, HOLDS_FILE, 3, &e), 0);
	assert_int_equal(s.place->kind, PLACE_FILE);
	assert_string_equal(s.place->file->address.txn, "");
	assert_true(place_wants_undo(&s));
	assert_int_equal(place_open(&all, &s, true, &e), 0);
	assert_string_equal(s.place->file->address.txn, session.txn);
	assert_int_equal(s.place->file->address.index, 3);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_place_is_shared_by_its_name_and_goes_through_its_states),
		T(t2_a_place_is_judged_again_when_its_step_begins),
		T(t2_a_device_is_held_alone_while_a_step_writes_it),
		T(t2_a_file_behind_a_loop_device_is_judged_again),
		T(a_device_that_an_earlier_step_makes_is_opened_when_its_step_begins),
		T(what_was_promised_and_is_not_made_fails_when_its_step_begins),
		T(a_staged_file_learns_its_number_when_its_step_begins),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
