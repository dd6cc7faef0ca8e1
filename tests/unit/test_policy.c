/* Hardware, update types, versions: what root's configuration allows. Keys and lists of versions,
 * too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/plan/installed.h"
#include "core/plan/keys.h"
#include "core/policy.h"
#include "core/state/status.h"
#include "core/trust.h"
#include "corelib/base/text.h"
#include "generated/build.h"
#include "parser/keyfile.h"
#include "tests/unit/kit/envkit.h"
#include "tests/unit/kit/make_bundle.h"
#include "tests/unit/kit/told.h"

struct bench {
	struct settings cfg;
	struct manifest m;
	const struct update_policy *type;
	char notes[512];
	struct err e;
};

static struct bench fresh(void)
{
	struct bench b = {.m = {.version = "2.0.1"}};

	return b;
}

static enum errcode check(struct bench *b)
{
	struct session s = {.cfg = &b->cfg};
	struct told told;
	int rc;

	told_open(&told);
	s.reporter = told.reporter;
	err_clear(&b->e);
	rc = policy_check(&b->type, &s, &b->m, &b->e);
	text_copy(b->notes, sizeof(b->notes), told_lines(&told));
	told_close(&told);
	return rc < 0 ? b->e.code : E_NONE;
}

static void hardware_is_compared_with_each_pattern(void **state)
{
	struct bench b = fresh();
	const char *list[] = {"1.0", "#RE:^2\\.[0-9]$"};

	(void)state;
	b.m.hardware = (struct strings){.at = list, .count = 2};
	assert_int_equal(check(&b), E_NONE); /* no revision is known */
	b.cfg.board = "board";
	b.cfg.revision = "2.7";
	assert_int_equal(check(&b), E_NONE);
	b.cfg.revision = "1.0";
	assert_int_equal(check(&b), E_NONE);
	b.cfg.revision = "3.0";
	assert_int_equal(check(&b), E_HARDWARE);
	assert_non_null(strstr(b.e.why, "'3.0'"));
	assert_non_null(strstr(b.e.why, "'1.0' and others"));
}

static void a_bundle_without_hardware_list_is_refused_where_the_revision_is_known(void **state)
{
	struct bench b = fresh();

	(void)state;
	b.cfg.revision = "1.0";
	assert_int_equal(check(&b), E_HARDWARE);
}

static void versions_have_limits(void **state)
{
	struct bench b = fresh();

	(void)state;
	b.cfg.policy.no_downgrading = "2.0.1";
	assert_int_equal(check(&b), E_NONE);
	b.cfg.policy.no_downgrading = "2.0.2";
	assert_int_equal(check(&b), E_VERSION);
	b.cfg.policy.no_downgrading = NULL;
	b.cfg.policy.max_version = "2.0.1";
	assert_int_equal(check(&b), E_NONE);
	b.cfg.policy.max_version = "2.0.0";
	assert_int_equal(check(&b), E_VERSION);
	b.cfg.policy.max_version = NULL;
	b.cfg.policy.no_reinstalling = "2.0.1";
	assert_int_equal(check(&b), E_REINSTALL);
	b.cfg.policy.no_reinstalling = "2.0.10";
	assert_int_equal(check(&b), E_NONE);
}

static void t42_versions_of_different_classes_are_noted(void **state)
{
	struct bench b = fresh();

	(void)state;
	b.cfg.policy.no_downgrading = "2.0.0-rc1";
	b.m.version = "2.0.0.7";
	check(&b);
	assert_non_null(strstr(b.notes, "different ways"));
}

static void update_types_pick_their_own_limits_and_never_lift_the_global_ones(void **state)
{
	struct bench b = fresh();
	const struct update_policy types[] = {
		{.name = "app"},
		{.name = "system", .max_version = "1.0"},
	};

	(void)state;
	b.cfg.types = types;
	b.cfg.type_count = 2;
	b.m.update_type = "app";
	assert_int_equal(check(&b), E_NONE);
	b.m.update_type = "system";
	assert_int_equal(check(&b), E_VERSION);
	b.m.update_type = "other";
	assert_int_equal(check(&b), E_UPDATE_TYPE);
	b.m.update_type = "default";
	assert_int_equal(check(&b), E_NONE);
	b.m.update_type = NULL;
	assert_int_equal(check(&b), E_NONE);
	b.cfg.update_type_required = true;
	assert_int_equal(check(&b), E_UPDATE_TYPE);
	b.cfg.policy.no_downgrading = "3";
	b.m.update_type = "app";
	assert_int_equal(check(&b), E_VERSION);
}

static void digest_providers_name_the_kind_of_signature(void **state)
{
	static const struct {
		const char *name;
		enum sig_scheme scheme;
	} rows[] = {{"opensslRSA", SIG_RSA_PKCS1},
		    {"opensslRSAPSS", SIG_RSA_PSS},
		    {"opensslCMS", SIG_CMS},
		    {"pkcs#7mbedtls", SIG_CMS},
		    {"ecdsa", SIG_ECDSA},
		    {"ed25519", SIG_ED25519},
		    {NULL, SIG_ANY},
		    {"", SIG_ANY}};
	enum sig_scheme s;
	struct err e = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_int_equal(trust_scheme(rows[i].name, &s, &e), 0);
		assert_int_equal(s, rows[i].scheme);
	}
	assert_true(trust_scheme("GPG", &s, &e) < 0);
	assert_int_equal(e.code, E_CONFIG);
}

/* the reader of bundles refuses them too; this is the second lock of the same door */
static void t6_trust_itself_refuses_what_is_not_signed(void **state)
{
	const struct bundle_options o = {0};
	struct settings cfg = {.public_key_file = "/nowhere"};
	struct make_bundle mb = {0};
	struct bundle *b = NULL;
	struct stream *s = NULL;
	struct trust t;
	struct err e = {0};

	(void)state;
	make_bundle_add(&mb, "sw-description", "x", 1);
	make_bundle_trailer(&mb);
	assert_int_equal(stream_mem_open(&s, mb.bytes, mb.n, &e), 0);
	assert_int_equal(bundle_open(&b, &s, &o, &e), 0);
	assert_true(trust_verify(&t, &cfg, b, &e) < 0);
	assert_int_equal(e.code, E_SIG_MISSING);
	assert_false(t.vouched);
	err_clear(&e);
	cfg.allow_unsigned = true;
	assert_int_equal(trust_verify(&t, &cfg, b, &e), 0);
	assert_false(t.vouched);
	assert_non_null(strstr(t.warning, "nobody vouches"));
	bundle_close(b);
	make_bundle_free(&mb);
}

static int64_t told_time; /* 0: the real one */

int clock_gettime(clockid_t id, struct timespec *t)
{
	if (id != CLOCK_REALTIME || !told_time)
		return (int)syscall(SYS_clock_gettime, id, t);
	*t = (struct timespec){.tv_sec = (time_t)told_time};
	return 0;
}

/* that the time given decides about a certificate is shown in test_sig.c */
static void t14_certificates_are_judged_at_the_later_of_build_and_clock(void **state)
{
	const int64_t built = SWINSTALL_BUILD_STAMP;
	const int64_t rows[][2] = {
		{1, built},	{86400, built},		{built - 1, built},
		{built, built}, {built + 1, built + 1}, {4070908800, 4070908800}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		told_time = rows[i][0];
		assert_int_equal(trust_time(), rows[i][1]);
	}
	told_time = 0;
	assert_true(trust_time() >= built);
}

#define KEY16 "000102030405060708090a0b0c0d0e0f"
#define KEY32 KEY16 KEY16

static void a_key_file_is_key_and_iv_and_nothing_else(void **state)
{
	static const char *const bad[] = {"",
					  "\n",
					  KEY16,
					  KEY16 " ",
					  KEY16 " 00",
					  "zz" KEY16 " " KEY16,
					  KEY16 "00 " KEY16,
					  KEY32 "\n" KEY16,
					  "key=" KEY32 "\n",
					  "keys=" KEY32 "\niv=" KEY16 "\n",
					  KEY16 "  " KEY16 "0"};
	struct aes_key k = {0};
	struct err e = {0};

	(void)state;
	assert_int_equal(keyfile_parse(&k, KEY32 " " KEY16 "\n", 64 + 1 + 32 + 1, &e), 0);
	assert_int_equal(k.bits, 256);
	assert_int_equal(k.key[31], 15);
	assert_int_equal(k.iv[15], 15);
	assert_int_equal(keyfile_parse(&k, KEY16 "\t" KEY16, 65, &e), 0);
	assert_int_equal(k.bits, 128);
	k = (struct aes_key){0}; /* as openssl enc -P prints it */
	assert_int_equal(keyfile_parse(&k, "salt=00\nkey=" KEY32 "\niv =" KEY16 "\n", 114, &e), 0);
	assert_int_equal(k.bits, 256);
	assert_int_equal(k.iv[15], 15);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		err_clear(&e);
		assert_true(keyfile_parse(&k, bad[i], strlen(bad[i]), &e) < 0);
		assert_int_equal(e.code, E_KEY_AES);
		assert_null(strstr(e.why, "0001")); /* no word of the content */
	}
}

static enum errcode find(const char *path, const struct entry *t, struct aes_key **k)
{
	struct settings cfg = {.aes_key_file = path};
	struct err e = {0};

	return keys_find(k, &cfg, t, &e) < 0 ? e.code : E_NONE;
}

static void a_key_file_that_others_can_change_is_refused(void **state)
{
	char path[] = "/tmp/swinstall-key-XXXXXX", link[64];
	struct entry t = {.encrypted = 1};
	struct aes_key *k;
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, KEY16 " " KEY16, 65), 65);
	close(fd);
	assert_int_equal(find(path, &t, &k), E_NONE);
	assert_int_equal(k->cipher, CIPHER_AES_CBC);
	keys_free(k);
	assert_int_equal(chmod(path, 0620), 0);
	assert_int_equal(find(path, &t, &k), E_KEY_AES);
	assert_int_equal(chmod(path, 0602), 0);
	assert_int_equal(find(path, &t, &k), E_KEY_AES);
	assert_int_equal(chmod(path, 0600), 0);
	snprintf(link, sizeof(link), "%s.link", path);
	assert_int_equal(symlink(path, link), 0);
	assert_int_equal(find(link, &t, &k), E_KEY_AES);
	unlink(link);
	unlink(path);
	assert_int_equal(find(path, &t, &k), E_KEY_AES);
}

/* existing devices have it so */
static void a_key_file_that_others_can_read_is_worth_a_warning_and_strict_refuses_it(void **state)
{
	char path[] = "/tmp/swinstall-key-XXXXXX";
	struct settings cfg = {.aes_key_file = path};
	struct entry t = {.encrypted = 1};
	struct err e = {0};
	struct aes_key *k;
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, KEY16 " " KEY16, 65), 65);
	assert_int_equal(keys_find(&k, &cfg, &t, &e), 0);
	keys_free(k);
	assert_int_equal(fchmod(fd, 0644), 0);
	assert_int_equal(keys_find(&k, &cfg, &t, &e), 1);
	keys_free(k);
	cfg.strict = true;
	assert_true(keys_find(&k, &cfg, &t, &e) < 0);
	assert_int_equal(e.code, E_KEY_AES);
	assert_non_null(strstr(e.why, "can read"));
	close(fd);
	unlink(path);
}

/* the flags that the kernel tells of the memory at p: two letters each */
static void memory_flags(const void *p, char *flags, size_t n)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long from, to;
	bool here = false;
	char line[512];

	flags[0] = '\0';
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = from <= (uintptr_t)p && (uintptr_t)p < to;
		if (here && strncmp(line, "VmFlags:", 8) == 0)
			snprintf(flags, n, "%s", line);
	}
	fclose(f);
}

static void t51_keys_are_in_no_swap_no_core_and_no_child(void **state)
{
	char path[] = "/tmp/swinstall-key-XXXXXX", flags[512];
	struct entry t = {.encrypted = 1};
	struct aes_key *k;
	int fd = mkstemp(path), ends[2], status;
	pid_t pid;

	(void)state;
	assert_int_equal(write(fd, KEY16 " " KEY16, 65), 65);
	close(fd);
	assert_int_equal(find(path, &t, &k), E_NONE);
	memory_flags(k, flags, sizeof(flags));
#ifndef __SANITIZE_ADDRESS__		       /* its runtime takes mlock away */
	assert_non_null(strstr(flags, " lo")); /* locked */
#endif
	assert_non_null(strstr(flags, " dd")); /* not dumped */
	assert_non_null(strstr(flags, " dc")); /* not copied by fork */
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) /* the kernel looks, which is no fault of ours */
		_exit(write(ends[1], k, sizeof(*k)) < 0 && errno == EFAULT ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	/* given back, and no other memory of ours has it */
	keys_free(k);
	assert_true(write(ends[1], k, sizeof(*k)) < 0);
	close(ends[0]);
	close(ends[1]);
	unlink(path);
}

/* a key whose check value is 'check' opens the entry, else code */
static enum errcode find_checked(const char *check, int cipher, bool unchecked)
{
	char path[] = "/tmp/swinstall-key-XXXXXX";
	struct settings cfg = {.aes_key_file = path, .allow_unchecked_key = unchecked};
	const struct property p = {KEY_CHECK, &check, 1};
	struct entry t = {.encrypted = cipher, .props = check ? &p : NULL, .prop_count = !!check};
	struct err e = {0};
	struct aes_key *k;
	int fd = mkstemp(path), rc;

	assert_int_equal(write(fd, KEY16 " " KEY16, 65), 65);
	close(fd);
	rc = keys_find(&k, &cfg, &t, &e);
	keys_free(k);
	unlink(path);
	return rc < 0 ? e.code : E_NONE;
}

static void a_wrong_key_is_known_by_its_check_value(void **state)
{
	const int cbc = 2, ctr = 5; /* the 128 bit rows of the table of ciphers */
	struct aes_key k = {0};
	uint8_t check[KEY_CHECK_LEN];
	char good[2 * KEY_CHECK_LEN + 1], wrong[2 * KEY_CHECK_LEN + 1];
	struct err e = {0};

	(void)state;
	assert_int_equal(keyfile_parse(&k, KEY16 " " KEY16, 65, &e), 0);
	assert_int_equal(aes_key_check(&k, check, &e), 0);
	text_hex(check, sizeof(check), good);
	for (int bit = 0; bit < 8 * (int)(16 + 16); bit += 7) { /* of the key, then of the vector */
		struct aes_key other = k;

		(bit < 128 ? other.key : other.iv)[bit % 128 / 8] ^= 1u << bit % 8;
		assert_int_equal(aes_key_check(&other, check, &e), 0);
		text_hex(check, sizeof(check), wrong);
		assert_string_not_equal(wrong, good);
		assert_int_equal(find_checked(wrong, cbc, true), E_KEY_AES);
		assert_int_equal(find_checked(wrong, ctr, true), E_KEY_AES);
	}
	assert_int_equal(find_checked(good, cbc, false), E_NONE);
	assert_int_equal(find_checked(good, ctr, false), E_NONE);
	assert_int_equal(find_checked("00", cbc, false), E_PROPERTY);
	assert_int_equal(find_checked("xyxyxyxy", cbc, false), E_PROPERTY);
	/* without one: the padding of CBC is all there is, and CTR has not even that */
	assert_int_equal(find_checked(NULL, cbc, false), E_NONE);
	assert_int_equal(find_checked(NULL, ctr, false), E_KEY_AES);
	assert_int_equal(find_checked(NULL, ctr, true), E_NONE);
}

static void the_signed_entry_may_bring_its_own_key(void **state)
{
	struct entry t = {.encrypted = 1, .has_aes_key = true, .aes_key_len = 16};
	struct aes_key *k;

	(void)state;
	memset(t.aes_key, 7, 16);
	assert_int_equal(find(NULL, &t, &k), E_KEY_AES); /* and no iv */
	t.has_ivt = true;
	t.ivt[3] = 9;
	assert_int_equal(find(NULL, &t, &k), E_NONE);
	assert_int_equal(k->bits, 128);
	assert_int_equal(k->key[0], 7);
	assert_int_equal(k->iv[3], 9);
	keys_free(k);
}

static void what_is_installed_comes_from_the_file(void **state)
{
	char path[] = "/tmp/swinstall-versions-XXXXXX";
	struct settings cfg = {.versions_file = path};
	struct version_list l;
	struct err e = {0};
	struct entry t = {.name = "fpga", .version = "1.4", .install_if_higher = true};
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, "fpga\t\t1.5\n", 10), 10);
	close(fd);
	assert_int_equal(installed_load(&l, &cfg, &e), 0);
	assert_true(installed_skips(&l, &t));
	t.version = "1.5";
	assert_true(installed_skips(&l, &t));
	t.version = "1.6";
	assert_false(installed_skips(&l, &t));
	t.install_if_higher = false;
	t.install_if_different = true;
	assert_false(installed_skips(&l, &t));
	t.version = "1.5";
	assert_true(installed_skips(&l, &t));
	t.name = "unknown";
	assert_false(installed_skips(&l, &t));
	version_list_clear(&l);
	unlink(path);
	assert_int_equal(installed_load(&l, &cfg, &e), 0); /* no file: nothing installed */
	assert_int_equal(l.count, 0);
}

static void writing_the_list_again_changes_nothing(void **state)
{
	char dir[] = "/tmp/swinstall-list-XXXXXX", path[64];
	struct err e = {0};
	size_t n;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/versions", dir);
	for (int i = 0; i < 2; i++) {
		char *text;

		assert_int_equal(installed_write(path, "a 1\nb 2\n", &e), 0);
		text = envkit_read_file(path, &n);
		assert_string_equal(text, "a\t\t1\nb\t\t2\n");
		free(text);
	}
	envkit_remove_tree(dir);
}

static void the_status_can_be_read_back(void **state)
{
	char dir[] = "/tmp/swinstall-status-XXXXXX";
	struct status in = {.time = 12345}, out;

	(void)state;
	assert_non_null(mkdtemp(dir));
	strcpy(in.state, "failure");
	strcpy(in.version, "2 \x1b[31m");
	strcpy(in.bundle, "a=b\nstate=success");
	err_set(&in.err, E_NO_SPACE, 28, "a disk\nis full");
	err_at(&in.err, -28, "/dev/x");
	assert_int_equal(status_write(dir, &in), 0);
	assert_int_equal(status_read(dir, &out), 0);
	assert_string_equal(out.state, "failure"); /* a name cannot add a line of its own (T118) */
	assert_string_equal(out.err.where, "/dev/x");
	assert_int_equal(out.err.code, E_NO_SPACE);
	assert_int_equal(out.time, 12345);
	assert_null(strchr(out.version, '\x1b'));
	envkit_remove_tree(dir);
	assert_true(status_write(dir, &in) < 0);
	assert_int_equal(status_read(dir, &out), 0);
	assert_string_equal(out.state, "");
}

static void history_add(const char *dir, const char *state, const char *version, const char *slot,
			const char *lost)
{
	struct status s = {.time = 1};

	strcpy(s.state, state);
	strcpy(s.version, version);
	strcpy(s.slot, slot);
	if (strcmp(state, "failure") == 0)
		err_set(&s.err, E_NO_SPACE, 28, "line\n\nstate=success");
	status_keep(dir, &s, lost);
}

/* an empty line ends a result: no text may hold one (T118) */
static void t118_the_history_has_the_newest_results_and_foreign_text_adds_none(void **state)
{
	char dir[] = "/tmp/swinstall-status-XXXXXX", version[16];
	struct status *list;
	size_t n;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(status_history(dir, &list, &n), 0);
	assert_int_equal(n, 0);
	free(list);
	for (unsigned i = 1; i <= STATUS_HISTORY + 3; i++) {
		snprintf(version, sizeof(version), "%u", i);
		history_add(dir, i % 2 ? "failure" : "success", version, "", NULL);
		assert_int_equal(status_history(dir, &list, &n), 0);
		assert_int_equal(n, i < STATUS_HISTORY ? i : STATUS_HISTORY);
		for (unsigned k = 0; k < n; k++)
			assert_int_equal(atoi(list[k].version), i - k);
		assert_int_equal(list[0].err.code, i % 2 ? E_NO_SPACE : E_NONE);
		free(list);
	}
	envkit_remove_tree(dir);
	history_add("/nonexistent", "success", "1", "", NULL);
	history_add(NULL, "success", "1", "", NULL);
}

static void what_a_slot_holds_outlives_other_results_and_is_lost_with_its_content(void **state)
{
	char dir[] = "/tmp/swinstall-status-XXXXXX";
	struct status s;

	(void)state;
	assert_non_null(mkdtemp(dir));
	history_add(dir, "success", "1", "a", NULL);
	history_add(dir, "success", "2", "b", NULL);
	history_add(dir, "failure", "3", "", NULL);
	assert_int_equal(status_read(dir, &s), 0);
	assert_string_equal(s.version, "3");
	assert_string_equal(s.slots[0].name, "b");
	assert_string_equal(s.slots[0].version, "2");
	assert_string_equal(s.slots[1].name, "a");
	assert_string_equal(s.slots[1].version, "1");
	history_add(dir, "failure", "3", "b", "b");
	assert_int_equal(status_read(dir, &s), 0);
	assert_string_equal(s.slots[0].name, "a");
	assert_string_equal(s.slots[1].name, "");
	for (char name[2] = "c"; *name < 'z'; (*name)++)
		history_add(dir, "success", "4", name, NULL);
	assert_int_equal(status_read(dir, &s), 0);
	assert_string_equal(s.slots[0].name, "y");
	assert_string_equal(s.slots[STATUS_SLOTS - 1].name, "r");
	envkit_remove_tree(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hardware_is_compared_with_each_pattern),
		cmocka_unit_test(
			a_bundle_without_hardware_list_is_refused_where_the_revision_is_known),
		cmocka_unit_test(versions_have_limits),
		cmocka_unit_test(t42_versions_of_different_classes_are_noted),
		cmocka_unit_test(update_types_pick_their_own_limits_and_never_lift_the_global_ones),
		cmocka_unit_test(digest_providers_name_the_kind_of_signature),
		cmocka_unit_test(t6_trust_itself_refuses_what_is_not_signed),
		cmocka_unit_test(t14_certificates_are_judged_at_the_later_of_build_and_clock),
		cmocka_unit_test(a_key_file_is_key_and_iv_and_nothing_else),
		cmocka_unit_test(a_key_file_that_others_can_change_is_refused),
		cmocka_unit_test(
			a_key_file_that_others_can_read_is_worth_a_warning_and_strict_refuses_it),
		cmocka_unit_test(t51_keys_are_in_no_swap_no_core_and_no_child),
		cmocka_unit_test(a_wrong_key_is_known_by_its_check_value),
		cmocka_unit_test(the_signed_entry_may_bring_its_own_key),
		cmocka_unit_test(what_is_installed_comes_from_the_file),
		cmocka_unit_test(writing_the_list_again_changes_nothing),
		cmocka_unit_test(the_status_can_be_read_back),
		cmocka_unit_test(
			t118_the_history_has_the_newest_results_and_foreign_text_adds_none),
		cmocka_unit_test(
			what_a_slot_holds_outlives_other_results_and_is_lost_with_its_content),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
