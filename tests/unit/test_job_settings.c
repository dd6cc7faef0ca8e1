/* Whole updates where the configuration or the description asks for more than one plain image. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <openssl/evp.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <zlib.h>

#include "core/spool.h"
#include "corelib/base/digest.h"
#include "corelib/base/sys.h"
#include "tests/unit/kit/envkit.h"
#include "tests/unit/kit/fake_stream.h"
#include "tests/unit/kit/hang.h"
#include "handlers/handler.h"
#include "tests/unit/kit/jobkit.h"

enum { BLOCK = 65536, IMAGE = 2 * BLOCK + 333, BLOCKS = 3 };
static uint8_t image[IMAGE], list[BLOCKS * 32], sealed[IMAGE + 16];
static size_t sealed_len;

#define KEY "000102030405060708090a0b0c0d0e0f"
#define IV  "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"

#define LANDLOCK_CREATE_RULESET 444 /* on every architecture */

static const struct jobkit_part parts[] = {{"rootfs.img", image, IMAGE},
					   {"rootfs.hl", list, sizeof(list)}};

#define SOFTWARE(x) "software = {\nversion = \"2.0\";\n" x "};\n"
#define ROOTFS(more)                                                                                 \
	"images: ( { filename = \"rootfs.img\"; slot = \"rootfs\"; sha256 = \"@rootfs.img@\"; " more \
	" } );\n"
#define APP(more)                                                                                        \
	"files: ( { filename = \"rootfs.img\"; path = \"%DIR%/app/x\"; sha256 = \"@rootfs.img@\"; " more \
	" } );\n"

static void seal(void)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	uint8_t key[16], iv[16];
	int n = 0, last = 0;

	for (int i = 0; i < 16; i++) {
		key[i] = (uint8_t)i;
		iv[i] = (uint8_t)(0xf0 + i);
	}
	assert_int_equal(EVP_EncryptInit_ex(c, EVP_aes_128_cbc(), NULL, key, iv), 1);
	assert_int_equal(EVP_EncryptUpdate(c, sealed, &n, image, IMAGE), 1);
	assert_int_equal(EVP_EncryptFinal_ex(c, sealed + n, &last), 1);
	sealed_len = (size_t)(n + last);
	EVP_CIPHER_CTX_free(c);
}

static int setup(void **state)
{
	struct jobkit *k = calloc(1, sizeof(*k));
	struct err e = {0};

	fake_bytes(image, sizeof(image), 11);
	for (size_t i = 0; i < BLOCKS; i++)
		sha256_once(image + i * BLOCK, i + 1 < BLOCKS ? BLOCK : IMAGE % BLOCK,
			    list + 32 * i, &e);
	seal();
	jobkit_make(k, "grub");
	*state = k;
	return 0;
}

static int teardown(void **state)
{
	jobkit_remove(*state);
	free(*state);
	return 0;
}

static void installs(struct jobkit *k)
{
	if (jobkit_install(k, JOB_INSTALL) < 0)
		print_message("%s: %s (%s)\n", err_info(k->e.code)->name, k->e.why, k->e.where);
	assert_int_equal(k->e.code, E_NONE);
}

static void refuses(struct jobkit *k, enum errcode code)
{
	uint32_t before = jobkit_sum(k);

	assert_true(jobkit_install(k, JOB_INSTALL) < 0);
	if (k->e.code != code)
		print_message("%s: %s\n", err_info(k->e.code)->name, k->e.why);
	assert_int_equal(k->e.code, code);
	assert_int_equal(jobkit_sum(k), before);
}

#define LISTED "hash-block = 65536; hash-list = \"rootfs.hl\"; hash-list-sha256 = \"@rootfs.hl@\";"

static void an_image_with_block_hashes_flows_from_file_and_pipe(void **state)
{
	struct jobkit *k = *state;
	const struct jobkit_part order[] = {parts[1], parts[0]};

	jobkit_bundle(k, SOFTWARE(ROOTFS(LISTED)), order, 2);
	installs(k);
	assert_true(jobkit_holds(k->slot[1], image, IMAGE));
	assert_int_equal(jobkit_install_pipe(k, JOB_INSTALL), 0);
	assert_true(jobkit_holds(k->slot[0], image, IMAGE));
}

static void a_file_with_block_hashes_is_staged_all_the_same(void **state)
{
	struct jobkit *k = *state;
	char path[256];

	jobkit_bundle(k, SOFTWARE(APP(LISTED)), parts, 2);
	installs(k);
	snprintf(path, sizeof(path), "%s/x", k->app);
	assert_true(jobkit_holds(path, image, IMAGE));
	assert_int_equal(jobkit_leftovers(k), 0);
}

static void t1_a_wrong_block_in_a_file_never_becomes_live(void **state)
{
	struct jobkit *k = *state;
	char path[256];

	jobkit_bundle(k, SOFTWARE(APP(LISTED)), parts, 2);
	jobkit_flip(k, jobkit_find(k, "TRAILER") - 200 - sizeof(list) - 110);
	assert_true(jobkit_install(k, JOB_INSTALL) < 0);
	assert_int_equal(k->e.code, E_BLOCK_HASH);
	snprintf(path, sizeof(path), "%s/x", k->app);
	assert_int_not_equal(access(path, F_OK), 0);
	assert_int_equal(jobkit_leftovers(k), 0);
}

static void what_was_written_is_read_back_when_asked(void **state)
{
	struct jobkit *k = *state;

	k->cfg->verify_writes = true;
	jobkit_bundle(k, SOFTWARE(ROOTFS("installed-directly = true;")), parts, 1);
	installs(k);
	assert_true(jobkit_holds(k->slot[1], image, IMAGE));
}

/* ---- a medium that keeps something else than it was given ---- */

static unsigned lies; /* so many flushes of staged files are followed by a changed byte */

static int flush_and_lie(int fd, long call)
{
	char name[64], path[512] = "";
	int rc = (int)syscall(call, fd);
	uint8_t byte;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	if (lies && readlink(name, path, sizeof(path) - 1) > 0 && strstr(path, "/.swinstall-") &&
	    pread(fd, &byte, 1, 9) == 1) {
		byte ^= 1;
		assert_int_equal(pwrite(fd, &byte, 1, 9), 1);
		lies--;
	}
	return rc;
}

int fdatasync(int fd)
{
	return flush_and_lie(fd, SYS_fdatasync);
}

int fsync(int fd)
{
	return flush_and_lie(fd, SYS_fsync);
}

static void a_file_too_is_read_back_when_asked(void **state)
{
	struct jobkit *k = *state;
	char path[256];

	snprintf(path, sizeof(path), "%s/x", k->app);
	jobkit_bundle(k, SOFTWARE(APP("")), parts, 1);
	k->cfg->verify_writes = true;
	lies = 1;
	assert_true(jobkit_install(k, JOB_INSTALL) < 0);
	assert_int_equal(lies, 0);
	assert_int_equal(k->e.code, E_VERIFY_WRITES);
	assert_int_not_equal(access(path, F_OK), 0);
	assert_int_equal(jobkit_leftovers(k), 0);
	installs(k);
	assert_true(jobkit_holds(path, image, IMAGE));
	k->cfg->verify_writes = false; /* then nobody looks */
	lies = 1;
	installs(k);
	assert_false(jobkit_holds(path, image, IMAGE));
}

static void write_key(struct jobkit *k, const char *text)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/aes", k->dir);
	envkit_write_file(path, text, strlen(text));
	assert_int_equal(chmod(path, 0600), 0);
	k->cfg->aes_key_file = path;
}

static void an_encrypted_image_is_decrypted_with_roots_key(void **state)
{
	struct jobkit *k = *state;
	const struct jobkit_part part = {"rootfs.img", sealed, sealed_len};

	write_key(k, KEY " " IV "\n");
	for (int i = 0; i < 2; i++) {
		jobkit_bundle(k,
			      i ? SOFTWARE(ROOTFS("encrypted = true; installed-directly = true;"))
				: SOFTWARE(ROOTFS("encrypted = true;")),
			      &part, 1);
		installs(k);
		assert_true(jobkit_holds(k->slot[1 - i], image, IMAGE));
	}
}

static void the_wrong_key_is_an_error_and_no_switch(void **state)
{
	struct jobkit *k = *state;
	const struct jobkit_part part = {"rootfs.img", sealed, sealed_len};

	write_key(k, IV " " IV "\n");
	jobkit_bundle(k, SOFTWARE(ROOTFS("encrypted = true;")), &part, 1);
	assert_true(jobkit_install(k, JOB_INSTALL) < 0);
	assert_int_equal(k->e.code, E_DECRYPT);
	assert_string_equal(jobkit_var(k, "boot_slot"), "a");
	write_key(k, "");
	refuses(k, E_KEY_AES);
}

static void a_key_of_another_length_than_signed_is_refused(void **state)
{
	struct jobkit *k = *state;
	const struct jobkit_part part = {"rootfs.img", sealed, sealed_len};

	write_key(k, KEY " " IV "\n");
	jobkit_bundle(k, SOFTWARE(ROOTFS("encrypted = \"aes-cbc-256\";")), &part, 1);
	refuses(k, E_KEY_AES);
}

static void the_board_is_read_from_its_file(void **state)
{
	struct jobkit *k = *state;
	char path[256];

	snprintf(path, sizeof(path), "%s/hwrevision", k->dir);
	envkit_write_file(path, "beagle 1.4\n", 11);
	k->cfg->hwrevision_file = path;
	jobkit_bundle(k, SOFTWARE("hardware-compatibility: [ \"1.4\" ];\n" ROOTFS("")), parts, 1);
	installs(k);
	jobkit_bundle(k, SOFTWARE("hardware-compatibility: [ \"1.5\" ];\n" ROOTFS("")), parts, 1);
	refuses(k, E_HARDWARE);
	assert_non_null(strstr(k->e.why, "beagle"));
	jobkit_bundle(
		k, SOFTWARE("beagle = {\nhardware-compatibility: [ \"1.4\" ];\n" ROOTFS("") "};\n"),
		parts, 1);
	installs(k);
}

static void a_selection_picks_its_part_of_the_description(void **state)
{
	struct jobkit *k = *state;

	jobkit_bundle(k, SOFTWARE("stable = { main = {\n" ROOTFS("") "}; };\n"), parts, 1);
	refuses(k, E_SELECT);
	assert_non_null(strstr(k->e.why, "none was given"));
	assert_non_null(
		strstr(k->e.fix, "-e SET,MODE, or select in the configuration: stable,main"));
	assert_string_equal(k->e.where, "sw-description");
	k->cfg->select = "stable,mian";
	refuses(k, E_SELECT);
	assert_non_null(strstr(k->e.why, "'stable' has no mode 'mian'; its modes: main"));
	k->cfg->select = "stabel,main";
	refuses(k, E_SELECT);
	assert_non_null(strstr(k->e.why, "no set 'stabel'; its sets: stable"));
	k->cfg->select = "stable,main";
	installs(k);
	k->cfg->select = "stable";
	refuses(k, E_SELECT);
	k->cfg->select = "stable,main,more";
	refuses(k, E_SELECT);
	k->cfg->select = ",main";
	refuses(k, E_SELECT);
}

static void a_list_of_vars_is_refused_while_planning(void **state)
{
	struct jobkit *k = *state;

	jobkit_bundle(k, SOFTWARE(ROOTFS("") "vars: ( { name = \"a\"; value = \"b\"; } );\n"),
		      parts, 1);
	refuses(k, E_ENV_NAMESPACE);
}

static void boot_variables_of_the_bundle_come_with_the_switch(void **state)
{
	struct jobkit *k = *state;
	static const char text[] = "# from a file\nfrom_file=yes\ngone=\n";
	const struct jobkit_part both[] = {parts[0], {"vars.txt", text, sizeof(text) - 1}};

	jobkit_bundle(
		k,
		SOFTWARE(
			"images: ( { filename = \"rootfs.img\"; slot = \"rootfs\"; sha256 = "
			"\"@rootfs.img@\"; }, { filename = \"vars.txt\"; type = \"uboot\"; sha256 = "
			"\"@vars.txt@\"; } );\nbootenv: ( { name = \"kernel\"; value = \"2\"; } );\n"),
		both, 2);
	installs(k);
	assert_string_equal(jobkit_var(k, "kernel"), "2");
	assert_string_equal(jobkit_var(k, "from_file"), "yes");
	assert_string_equal(jobkit_var(k, "boot_slot"), "b");
}

static void variables_that_do_not_fit_are_refused_before_any_write(void **state)
{
	struct jobkit *k = *state;
	char text[2048] =
		SOFTWARE(ROOTFS("") "bootenv: ( { name = \"big\"; value = \"XXX\"; } );\n");
	char *at = strstr(text, "XXX"), tail[64];

	snprintf(tail, sizeof(tail), "%s", at + 3);
	memset(at, 'x', 1000);
	strcpy(at + 1000, tail);
	jobkit_bundle(k, text, parts, 1);
	refuses(k, E_ENV_BIG);
}

/* sends a part of the bundle, then nothing more */
static int falls_silent(int fd, const uint8_t *bytes, size_t n)
{
	size_t at = n < 4000 ? n : 4000;

	if (write(fd, bytes, at) != (ssize_t)at)
		return -1;
	return usleep(1500 * 1000);
}

static void t22_a_silent_sender_holds_the_lock_no_longer_than_idle_timeout(void **state)
{
	struct jobkit *k = *state;
	uint64_t start = sys_now_ms();
	uint32_t before;

	k->cfg->idle_timeout = 1;
	jobkit_bundle(k, SOFTWARE(ROOTFS("")), parts, 1);
	before = jobkit_sum(k);
	k->feeder = falls_silent;
	assert_true(jobkit_install_pipe(k, JOB_INSTALL) < 0);
	assert_int_equal(k->e.code, E_DEADLINE);
	assert_non_null(strstr(k->e.fix, "idle-timeout"));
	assert_true(sys_now_ms() - start < HANG_MS);
	assert_int_equal(jobkit_sum(k), before);
	k->feeder = NULL;
	assert_int_equal(jobkit_install_pipe(k, JOB_INSTALL), 0); /* the lock is free again */
}

static unsigned lines(const char *text)
{
	unsigned n = 0;

	while ((text = strchr(text, '\n')))
		n++, text++;
	return n;
}

static void t31_odd_keys_of_a_description_cannot_fill_the_log(void **state)
{
	struct jobkit *k = *state;
	char text[16384] = SOFTWARE(ROOTFS("") "ODD"), *at = strstr(text, "ODD"), tail[16];

	snprintf(tail, sizeof(tail), "%s", at + 3);
	for (int i = 0; i < 500; i++)
		at += sprintf(at, "odd_%d = 1;\n", i);
	strcpy(at, tail);
	jobkit_bundle(k, text, parts, 1);
	installs(k);
	assert_true(lines(k->notes) < 30);
	assert_non_null(strstr(k->notes, "odd_19 "));
	assert_null(strstr(k->notes, "odd_20"));
	assert_non_null(strstr(k->notes, "and 480 more"));
}

/* a kernel without Landlock, as far as this process can see */
static int without_landlock(struct jobkit *k)
{
	scmp_filter_ctx c = seccomp_init(SCMP_ACT_ALLOW);
	const char *told;

	if (!c || seccomp_rule_add(c, SCMP_ACT_ERRNO(ENOSYS), LANDLOCK_CREATE_RULESET, 0) < 0 ||
	    seccomp_load(c) < 0)
		return 9;
	seccomp_release(c);
	if (jobkit_install(k, JOB_INSTALL) < 0)
		return 1;
	told = strstr(k->notes, "W_NO_SANDBOX");
	if (!told || !strstr(told, "no Landlock") || strstr(told + 1, "W_NO_SANDBOX"))
		return 2;
	k->cfg->strict = true;
	return jobkit_install(k, JOB_INSTALL) < 0 && k->e.code == E_SANDBOX ? 0 : 3;
}

static size_t gzip(uint8_t *out, size_t room)
{
	z_stream z = {
		.next_in = image, .avail_in = IMAGE, .next_out = out, .avail_out = (uInt)room};

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return z.total_out;
}

static void a_kernel_that_cannot_confine_is_told_and_strict_refuses_it(void **state)
{
	struct jobkit *k = *state;
	static uint8_t packed[IMAGE + 4096];
	const struct jobkit_part part = {"rootfs.img", packed, gzip(packed, sizeof(packed))};
	int status = -1;
	pid_t pid;

	jobkit_bundle(k, SOFTWARE(ROOTFS("compressed = \"zlib\"; installed-directly = true;")),
		      &part, 1);
	pid = fork();
	if (pid == 0)
		_exit(without_landlock(k));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(jobkit_holds(k->slot[1], image, IMAGE));
	jobkit_bundle(k, SOFTWARE(ROOTFS("")), parts, 1); /* nothing to unpack: nothing to tell */
	installs(k);
	assert_null(strstr(k->notes, "W_NO_SANDBOX"));
}

static void
t43_confined_lua_that_the_kernel_cannot_confine_is_told_and_strict_refuses_it(void **state)
{
	struct jobkit *k = *state;
	int status = -1;
	pid_t pid;

	if (!handler_find("lua"))
		return;
	jobkit_bundle(k, SOFTWARE(ROOTFS("") "embedded-script = \"x = 1\";"), parts, 1);
	pid = fork();
	if (pid == 0)
		_exit(without_landlock(k));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void append(const struct jobkit *k, const void *bytes, size_t n)
{
	FILE *f = fopen(k->bundle, "a");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static void t27_bytes_behind_the_end_are_told_once_and_strict_refuses_them(void **state)
{
	struct jobkit *k = *state;
	char *told = NULL;

	jobkit_bundle(k, SOFTWARE(ROOTFS("")), parts, 1);
	append(k, "\0\0\0\0", 4);
	installs(k);
	assert_null(strstr(k->notes, "follow the end"));
	append(k, "more", 4);
	for (int i = 0; i < 2; i++) {
		assert_int_equal((i ? jobkit_install_pipe : jobkit_install)(k, JOB_INSTALL), 0);
		told = strstr(i ? told + 1 : k->notes, "follow the end of the bundle");
		assert_non_null(told); /* the notes of all jobs so far */
		assert_null(strstr(told + 1, "follow the end"));
	}
	k->cfg->strict_members = true;
	refuses(k, E_CPIO_TRAILER);
}

static void an_update_that_has_nothing_to_do_succeeds(void **state)
{
	struct jobkit *k = *state;
	char path[256];

	snprintf(path, sizeof(path), "%s/sw-versions", k->dir);
	envkit_write_file(path, "fpga 1.5\n", 9);
	k->cfg->versions_file = path;
	jobkit_bundle(k,
		      SOFTWARE(ROOTFS(
			      "name = \"fpga\"; version = \"1.5\"; install-if-different = true;")),
		      parts, 1);
	installs(k);
	assert_false(jobkit_holds(k->slot[1], image, 100));
	assert_string_equal(jobkit_var(k, "boot_slot"), "a"); /* nothing was written there */
}

static void the_list_of_installed_versions_is_written(void **state)
{
	struct jobkit *k = *state;
	char path[256], *text;

	snprintf(path, sizeof(path), "%s/sw-versions", k->dir);
	k->cfg->gen_swversions = path;
	jobkit_bundle(k, SOFTWARE(ROOTFS("name = \"fpga\"; version = \"1.5\";")), parts, 1);
	installs(k);
	text = jobkit_text(path);
	assert_string_equal(text, "fpga\t\t1.5\n");
	free(text);
}

static void t4_without_signature_a_hash_may_be_missing_but_never_be_wrong(void **state)
{
	struct jobkit *k = *state;

	k->cfg->allow_unsigned = true;
	k->no_signature = true;
	jobkit_bundle(k,
		      SOFTWARE("images: ( { filename = \"rootfs.img\"; slot = \"rootfs\"; } );\n"),
		      parts, 1);
	installs(k);
	assert_true(jobkit_holds(k->slot[1], image, IMAGE));
	jobkit_cut(k, jobkit_find(k, "TRAILER") - 300);
	assert_true(jobkit_install(k, JOB_INSTALL) < 0); /* T25 */
	assert_int_equal(k->e.code, E_TRUNCATED);
}

static void the_spool_folder_is_that_of_the_configuration_or_of_root(void **state)
{
	struct settings cfg = {.state_dir = "/state", .spool_dir = "/spool"};

	(void)state;
	assert_string_equal(spool_folder(&cfg), "/spool");
	cfg.spool_dir = NULL;
	setenv("TMPDIR", "/", 1);
	assert_string_equal(spool_folder(&cfg), "/");
	setenv("TMPDIR", "relative", 1);
	assert_string_equal(spool_folder(&cfg), "/state");
	unsetenv("TMPDIR");
	assert_string_equal(spool_folder(&cfg), "/state");
}

static void recovery_without_anything_to_do_says_so(void **state)
{
	struct jobkit *k = *state;
	char did[256];

	assert_int_equal(job_recover(k->cfg, did, sizeof(did), &k->e), 0);
	assert_string_equal(did, "nothing to do");
	k->cfg->state_dir = "/proc/nowhere";
	assert_true(job_recover(k->cfg, did, sizeof(did), &k->e) < 0);
	assert_int_equal(k->e.code, E_STATE_DIR);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_image_with_block_hashes_flows_from_file_and_pipe),
		T(a_file_with_block_hashes_is_staged_all_the_same),
		T(t1_a_wrong_block_in_a_file_never_becomes_live),
		T(what_was_written_is_read_back_when_asked),
		T(a_file_too_is_read_back_when_asked),
		T(an_encrypted_image_is_decrypted_with_roots_key),
		T(the_wrong_key_is_an_error_and_no_switch),
		T(a_key_of_another_length_than_signed_is_refused),
		T(the_board_is_read_from_its_file),
		T(a_selection_picks_its_part_of_the_description),
		T(a_list_of_vars_is_refused_while_planning),
		T(boot_variables_of_the_bundle_come_with_the_switch),
		T(variables_that_do_not_fit_are_refused_before_any_write),
		T(t22_a_silent_sender_holds_the_lock_no_longer_than_idle_timeout),
		T(t31_odd_keys_of_a_description_cannot_fill_the_log),
		T(a_kernel_that_cannot_confine_is_told_and_strict_refuses_it),
		T(t43_confined_lua_that_the_kernel_cannot_confine_is_told_and_strict_refuses_it),
		T(t27_bytes_behind_the_end_are_told_once_and_strict_refuses_them),
		T(an_update_that_has_nothing_to_do_succeeds),
		T(the_list_of_installed_versions_is_written),
		T(t4_without_signature_a_hash_may_be_missing_but_never_be_wrong),
		T(the_spool_folder_is_that_of_the_configuration_or_of_root),
		T(recovery_without_anything_to_do_says_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
