/* Command lines: every spelling of existing callers, and what is said about wrong ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/cli/swinstall_options.h"
#include "corelib/base/arena.h"
#include "parser/settings.h"

/* a command line of words between blanks, read whole */
struct line {
	char text[512];
	char *argv[32];
	int argc;
	struct options o;
	struct swinstall_cli cli;
	struct settings s;
	struct arena *arena;
	struct err e;
	int rc;
};

static void split(struct line *l, const char *text)
{
	char *rest = NULL;

	strncpy(l->text, text, sizeof(l->text) - 1);
	l->argv[l->argc++] = (char *)(uintptr_t) "swinstall";
	for (char *w = strtok_r(l->text, " ", &rest); w; w = strtok_r(NULL, " ", &rest))
		l->argv[l->argc++] = w;
}

static struct line *given(const char *text)
{
	struct line *l = calloc(1, sizeof(*l));

	assert_non_null(l);
	split(l, text);
	l->arena = arena_new(1 << 20);
	assert_non_null(l->arena);
	l->rc = swinstall_cli_parse(&l->cli, &l->o, l->argc, l->argv, &l->e);
	if (l->rc == 0)
		l->rc = options_apply(&l->o, INTO_SETTINGS, &l->s, l->arena, &l->e);
	return l;
}

static void done(struct line *l)
{
	options_clear(&l->o);
	arena_free(l->arena);
	free(l);
}

static void refused(const char *text, enum errcode code, const char *says)
{
	struct line *l = given(text);

	if (l->rc >= 0 || l->e.code != code)
		fail_msg("'%s' gave %d (%s)", text, l->e.code, l->e.why);
	if (!strstr(l->e.why, says) && !strstr(l->e.fix, says))
		fail_msg("'%s' says '%s' and '%s', not '%s'", text, l->e.why, l->e.fix, says);
	done(l);
}

static void accepted(const char *text)
{
	struct line *l = given(text);

	if (l->rc < 0)
		fail_msg("'%s' was refused: %s", text, l->e.why);
	done(l);
}

static void a_bundle_is_named_in_four_ways(void **state)
{
	static const char *const lines[] = {"a.swu",	     "-i a.swu",      "-ia.swu",
					    "--image=a.swu", "--image a.swu", "-- a.swu",
					    "-v a.swu -L"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct line *l = given(lines[i]);

		assert_int_equal(l->rc, 0);
		assert_string_equal(l->cli.image, "a.swu");
		done(l);
	}
}

static void a_single_dash_is_standard_input(void **state)
{
	static const char *const lines[] = {"-", "-i -", "-i-", "--image -", "--image=-"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct line *l = given(lines[i]);

		assert_int_equal(l->rc, 0);
		assert_string_equal(l->cli.image, "-");
		done(l);
	}
}

/* COMPAT 5: each letter and each long name, with an argument where it takes one */
static void every_option_of_existing_callers_is_known_in_both_spellings(void **state)
{
	static const char *const both[][2] = {
		{"-f x", "--file x"},
		{"-b 0", "--blacklist 0"},
		{"-B grub", "--bootloader grub"},
		{"-p x", "--postupdate x"},
		{"-P x", "--preupdate x"},
		{"-e a,b", "--select a,b"},
		{"-q a,b", "--accepted-select a,b"},
		{"-l 3", "--loglevel 3"},
		{"-L", "--syslog"},
		{"-k x", "--key x"},
		{"-K x", "--key-aes x"},
		{"-n", "--dry-run"},
		{"-N 1.0", "--no-downgrading 1.0"},
		{"-R 1.0", "--no-reinstalling 1.0"},
		{"-M", "--no-transaction-marker"},
		{"-m", "--no-state-marker"},
		{"-s x", "--gen-swversions x"},
		{"-H a:b", "--hwrevision a:b"},
		{"-c", "--check"},
		{"-v", "--verbose"},
		{"-g", "--get-root"},
		{"-h", "--help"},
		{"--max-version 2", "--max-version=2"},
		{"--ca-path x", "--ca-path=x"},
		{"--cert-purpose codeSigning", "--cert-purpose=emailProtection"},
		{"--forced-signer-name x", "--forced-signer-name=x"},
		{"--crl-path x", "--crl-path=x"},
		{"--digest-provider x", "--digest-provider=x"},
		{"--hash-provider x", "--hash-provider=x"},
		{"--decrypt-provider x", "--decrypt-provider=x"},
		{"--version", "--version"},
	};
	char line[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(both); i++)
		for (size_t k = 0; k < 2; k++) {
			text_print(line, sizeof(line), "%s -i a.swu", both[i][k]);
			accepted(line);
		}
}

static void options_of_later_parts_say_that_they_are_not_built(void **state)
{
	static const char *const lines[][2] = {
		{"-w x", "WEBSERVER"},
		{"--webserver x", "WEBSERVER"},
		{"-u x", "SURICATTA"},
		{"--suricatta x", "SURICATTA"},
		{"-d x", "DOWNLOAD"},
		{"--download x", "DOWNLOAD"},
		{"-o x", "DAEMON"},
		{"--output x", "DAEMON"},
		{"--daemon", "DAEMON"},
		{"-E /dev/mmcblk0", "HANDLER_EMMC_BOOT"},
		{"--get-emmc-boot x", "HANDLER_EMMC_BOOT"},
		{"--gpg-home-dir x", "SIG_GPG"},
		{"--gpg-protocol cms", "SIG_GPG"},
		{"--decryption-key x", "ASYM_DECRYPTION"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		refused(lines[i][0], E_NOT_BUILT, lines[i][1]);
}

static void servers_take_arguments_that_begin_with_a_dash(void **state)
{
	struct options o;
	struct err e = {0};
	char *argv[] = {(char *)(uintptr_t) "swinstall", (char *)(uintptr_t) "-u",
			(char *)(uintptr_t) "-t default -u http://x",
			(char *)(uintptr_t) "--webserver=-p 80"};

	(void)state;
	assert_int_equal(options_parse(&o, &swinstall_table, 4, argv, &e), 0);
	assert_string_equal(options_given(&o, "suricatta"), "-t default -u http://x");
	assert_string_equal(options_given(&o, "webserver"), "-p 80");
	assert_true(options_check_built(&o, &e) < 0);
	assert_int_equal(e.code, E_NOT_BUILT);
	options_clear(&o);
}

static void an_argument_that_begins_with_a_dash_is_a_forgotten_one(void **state)
{
	(void)state;
	refused("-k -v a.swu", E_USAGE, "--key needs an argument");
	refused("-i -v", E_USAGE, "--image needs an argument");
	refused("--file --json a.swu", E_USAGE, "--file needs an argument");
	refused("--key=-x a.swu", E_USAGE, "--key needs an argument");
	refused("a.swu -k", E_USAGE, "--key needs an argument");
	refused("-k - a.swu", E_USAGE, "--key needs an argument");
}

static void contradictions_are_refused(void **state)
{
	(void)state;
	refused("-i a -o b", E_USAGE, "cannot be given together");
	refused("-i a -u x", E_USAGE, "cannot be given together");
	refused("-c -u x", E_USAGE, "cannot be given together");
	refused("-i a b", E_USAGE, "one bundle at a time");
	refused("a b", E_USAGE, "one bundle at a time");
	refused("-c", E_USAGE, "--check needs a bundle");
	refused("-v", E_USAGE, "no bundle is named");
	refused("", E_USAGE, "no bundle is named");
}

static void unknown_options_suggest_a_known_one(void **state)
{
	(void)state;
	refused("--dryrun a", E_USAGE, "did you mean --dry-run?");
	refused("--handler-list a", E_USAGE, "there is no option '--handler-list'");
	refused("-X a", E_USAGE, "there is no option '-X'");
	refused("-vX a", E_USAGE, "there is no option '-X'");
	refused("--verbose=1 a", E_USAGE, "takes no argument");
	refused("--=1 a", E_USAGE, "there is no option");
}

/* getopt_long lets callers shorten names; scripts do */
static void long_names_may_be_shortened_while_they_are_clear(void **state)
{
	struct line *l = given("--bootl grub --sel a,b --verb a.swu");

	(void)state;
	assert_int_equal(l->rc, 0);
	assert_string_equal(l->s.bootloader, "grub");
	assert_string_equal(l->s.select, "a,b");
	assert_true(l->s.verbose);
	done(l);
	refused("--gpg a a.swu", E_USAGE, "could be --gpg-home-dir or --gpg-protocol");
	refused("--ver", E_USAGE, "could be");
}

static void values_land_in_the_settings(void **state)
{
	struct line *l = given(
		"--ca-path ca -k key.pem -K aes -q a,b -q c,d -l 5 -nvMm -N 1 -R 2 --max-version 3 "
		"-p post -P pre -H brd:1 --allow-unsigned a.swu");

	(void)state;
	assert_int_equal(l->rc, 0);
	assert_string_equal(l->s.public_key_file, "key.pem");
	assert_string_equal(l->s.aes_key_file, "aes");
	assert_int_equal(l->s.accepted_select.count, 2);
	assert_string_equal(l->s.accepted_select.at[0], "a,b");
	assert_string_equal(l->s.accepted_select.at[1], "c,d");
	assert_int_equal(l->s.loglevel, 5);
	assert_true(l->s.has_loglevel && l->s.dry_run && l->s.verbose && l->s.allow_unsigned);
	assert_true(l->s.no_transaction_marker && l->s.no_state_marker);
	assert_string_equal(l->s.policy.no_downgrading, "1");
	assert_string_equal(l->s.policy.no_reinstalling, "2");
	assert_string_equal(l->s.policy.max_version, "3");
	assert_string_equal(l->s.policy.postupdatecmd, "post");
	assert_string_equal(l->s.policy.preupdatecmd, "pre");
	assert_string_equal(l->cli.board, "brd:1");
	done(l);
}

static void the_last_one_counts(void **state)
{
	struct line *l = given("-k one -k two a.swu");

	(void)state;
	assert_string_equal(l->s.public_key_file, "two");
	assert_string_equal(options_given(&l->o, "key"), "two");
	assert_null(options_given(&l->o, "key-aes"));
	done(l);
}

static void numbers_and_words_are_checked(void **state)
{
	(void)state;
	refused("-l 100 a", E_USAGE, "from 0 to 99");
	refused("-l x a", E_USAGE, "from 0 to 99");
	refused("-l 18446744073709551617 a", E_USAGE, "from 0 to 99");
	refused("--cert-purpose tls a", E_USAGE, "emailProtection, codeSigning, any");
}

static void questions_need_no_bundle(void **state)
{
	(void)state;
	accepted("-h");
	accepted("--help -w x");
	accepted("--version");
	accepted("--handlers");
	accepted("-g");
}

/* T119: text with conversions is text */
static void t119_conversions_in_words_stay_text(void **state)
{
	(void)state;
	refused("--%n%s%x a", E_USAGE, "--%n%s%x");
	refused("-l %n a", E_USAGE, "'%n'");
}

static void help_names_every_row_within_eighty_columns(void **state)
{
	AUTO_FREE char *text = options_help(&swinstall_table);
	char *rest = NULL;

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < swinstall_table.count; i++) {
		char word[64];

		text_print(word, sizeof(word), "--%s", swinstall_table.rows[i].name);
		if (!strstr(text, word))
			fail_msg("%s is missing", word);
	}
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		if (strlen(line) > 80)
			fail_msg("%zu columns: %s", strlen(line), line);
}

static void rows_of_the_table_are_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < swinstall_table.count; i++) {
		const struct option *a = &swinstall_table.rows[i];

		assert_non_null(a->name);
		assert_non_null(a->help);
		assert_non_null(a->group);
		assert_true((a->kind == OPTION_ABSENT) == (a->symbol != NULL));
		if (a->kind != OPTION_ABSENT)
			assert_true((a->kind == OPTION_FLAG) == (a->arg == NULL));
		for (size_t k = 0; k < i; k++) {
			const struct option *b = &swinstall_table.rows[k];

			assert_string_not_equal(a->name, b->name);
			assert_true(!a->letter || a->letter != b->letter);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bundle_is_named_in_four_ways),
		cmocka_unit_test(a_single_dash_is_standard_input),
		cmocka_unit_test(every_option_of_existing_callers_is_known_in_both_spellings),
		cmocka_unit_test(options_of_later_parts_say_that_they_are_not_built),
		cmocka_unit_test(servers_take_arguments_that_begin_with_a_dash),
		cmocka_unit_test(an_argument_that_begins_with_a_dash_is_a_forgotten_one),
		cmocka_unit_test(contradictions_are_refused),
		cmocka_unit_test(unknown_options_suggest_a_known_one),
		cmocka_unit_test(long_names_may_be_shortened_while_they_are_clear),
		cmocka_unit_test(values_land_in_the_settings),
		cmocka_unit_test(the_last_one_counts),
		cmocka_unit_test(numbers_and_words_are_checked),
		cmocka_unit_test(questions_need_no_bundle),
		cmocka_unit_test(t119_conversions_in_words_stay_text),
		cmocka_unit_test(help_names_every_row_within_eighty_columns),
		cmocka_unit_test(rows_of_the_table_are_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
