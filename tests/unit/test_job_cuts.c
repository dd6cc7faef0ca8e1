/*
 * T24: one small signed bundle, cut at every byte and with every bit flipped, through whole
 * installs from file and pipe. Either the device is as it was, or the very release that was signed
 * is on it: nothing between.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "corelib/base/text.h"
#include "tests/unit/kit/envkit.h"
#include "tests/unit/kit/fake_stream.h"
#include "tests/unit/kit/jobkit.h"

enum { IMAGE = 203 };
static uint8_t image[IMAGE];

struct world {
	struct jobkit k;
	char *good, *env, *slot;
	size_t n, env_n, slot_n, end; /* end: the last byte that an install needs */
	unsigned installed, refused;
};

/* one bit of each byte by default */
#define FLIPS_ENV "SWINSTALL_TEST_ALL_BITS"

static const struct jobkit_part parts[] = {{"rootfs.img", image, IMAGE}};

static void make(struct world *w, const char *more)
{
	char text[512];

	jobkit_make(&w->k, "file");
	snprintf(
		text, sizeof(text),
		"software = { version = \"2\"; images: ({ filename = \"rootfs.img\"; slot = \"rootfs\"; "
		"sha256 = \"@rootfs.img@\"; %s }); };\n",
		more);
	jobkit_bundle(&w->k, text, parts, 1);
	w->good = envkit_read_file(w->k.bundle, &w->n);
	w->env = envkit_read_file(w->k.env, &w->env_n);
	w->slot = envkit_read_file(w->k.slot[1], &w->slot_n);
	w->end = w->n;
	while (w->good[w->end - 1] == 0)
		w->end--; /* the last '!' of TRAILER!!!; its NUL follows */
}

static void clear(struct world *w)
{
	free(w->good);
	free(w->env);
	free(w->slot);
	jobkit_remove(&w->k);
}

static int setup(void **state)
{
	fake_bytes(image, sizeof(image), 5);
	*state = calloc(1, sizeof(struct world));
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	clear(*state);
	free(*state);
	return 0;
}

static void put_back(struct world *w)
{
	envkit_write_file(w->k.env, w->env, w->env_n);
	envkit_write_file(w->k.slot[1], w->slot, w->slot_n);
}

/* the new state or the old one */
static void judge(struct world *w, int rc, uint32_t before, size_t at)
{
	if (rc == 0) {
		w->installed++;
		if (!jobkit_holds(w->k.slot[1], image, IMAGE) ||
		    strcmp(jobkit_var(&w->k, "boot_slot"), "b") != 0)
			fail_msg("at %zu: said to be installed, and is not", at);
		put_back(w);
		return;
	}
	w->refused++;
	if (jobkit_sum(&w->k) != before)
		fail_msg("at %zu: refused with %s, and the device has changed", at,
			 err_info(w->k.e.code)->name);
	assert_int_not_equal(w->k.e.code, E_INTERNAL);
	assert_int_not_equal(w->k.e.code, E_WORKER);
}

static void cut_everywhere(struct world *w, bool pipe)
{
	uint32_t before = jobkit_sum(&w->k);

	for (size_t cut = 0; cut < w->n; cut++) {
		int rc;

		envkit_write_file(w->k.bundle, w->good, cut);
		rc = pipe ? jobkit_install_pipe(&w->k, JOB_INSTALL)
			  : jobkit_install(&w->k, JOB_INSTALL);
		judge(w, rc, before, cut);
		if (cut <= w->end && rc == 0)
			fail_msg("cut at %zu of %zu, and installed", cut, w->n);
	}
	assert_int_equal(w->installed, w->n - w->end - 1);
	assert_int_equal(jobkit_leftovers(&w->k), 0);
}

static void t24_a_file_cut_at_every_byte_changes_nothing(void **state)
{
	struct world *w = *state;

	make(w, "");
	cut_everywhere(w, false);
}

static void t24_a_pipe_cut_at_every_byte_changes_nothing(void **state)
{
	struct world *w = *state;

	make(w, "");
	cut_everywhere(w, true);
}

/* bits that no signature covers and nothing uses may flip: times, owners, padding */
static void flip_everywhere(struct world *w, bool pipe)
{
	uint32_t before = jobkit_sum(&w->k);
	bool all = getenv(FLIPS_ENV) != NULL; /* ten times the time */
	size_t step = pipe && !all ? 4 : 1;
	size_t from = jobkit_find(&w->k, "software ="), to = jobkit_find(&w->k, "rootfs\"; sha256");

	assert_true(from < to);
	for (size_t bit = 0; bit < w->n * 8; bit++) {
		bool covered = bit / 8 >= from && bit / 8 < to;
		int rc;

		if (!all && (bit % 8 != bit / 8 % 8 || bit / 8 % step))
			continue;
		w->good[bit / 8] ^= (char)(1 << bit % 8);
		envkit_write_file(w->k.bundle, w->good, w->n);
		w->good[bit / 8] ^= (char)(1 << bit % 8);
		rc = pipe ? jobkit_install_pipe(&w->k, JOB_INSTALL)
			  : jobkit_install(&w->k, JOB_INSTALL);
		judge(w, rc, before, bit);
		if (covered && rc == 0)
			fail_msg("bit %zu of the description flipped, and installed", bit);
	}
	assert_true(w->installed > 100 / step); /* otherwise nothing was tried but refusals */
	assert_true(w->refused > 400 / step);
	assert_int_equal(jobkit_leftovers(&w->k), 0);
}

static void t24_a_flipped_bit_is_refused_or_means_nothing(void **state)
{
	struct world *w = *state;

	make(w, "");
	flip_everywhere(w, false);
}

static void t24_a_flipped_bit_in_a_pipe_is_refused_or_means_nothing(void **state)
{
	struct world *w = *state;

	make(w, "");
	flip_everywhere(w, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(t24_a_file_cut_at_every_byte_changes_nothing, setup,
						teardown),
		cmocka_unit_test_setup_teardown(t24_a_pipe_cut_at_every_byte_changes_nothing, setup,
						teardown),
		cmocka_unit_test_setup_teardown(t24_a_flipped_bit_is_refused_or_means_nothing,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			t24_a_flipped_bit_in_a_pipe_is_refused_or_means_nothing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
