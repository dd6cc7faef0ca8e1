/*
 * Recovery after any journal. The first byte is the kind, the second has flags in its low bits, a
 * line end follows:
 *
 *   R  the rest are the bytes of the journal
 *   J  lines: the first character is a record's type from '1', the rest its payload; '|' is a line
 *      end, '%DIR%' the device's folder
 *
 * Flags: what is in the staging folder (1 the new file, 2 the old one, 4 the note that there was
 * none), 8: the switch was made.
 */
#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/job.h"
#include "core/state/journal.h"
#include "corelib/base/crc32c.h"
#include "corelib/base/digest.h"
#include "tests/fuzz/fuzzkit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define TXN "00112233445566aa"

static const char *const folders[] = {"state", "app", "app/.swinstall-" TXN, NULL};

struct input {
	char *at;
	size_t n;
};

static void add(struct input *b, const void *p, size_t n)
{
	b->at = realloc(b->at, b->n + n + 1);
	if (!b->at)
		abort();
	memcpy(b->at + b->n, p, n);
	b->n += n;
}

static void add_record(struct input *b, unsigned type, const char *payload, size_t n)
{
	size_t start = b->n;
	uint32_t magic = htole32(0x4c4a5753u), length = htole32((uint32_t)n), crc;
	uint16_t version = htole16(1), kind = htole16((uint16_t)type);

	add(b, &magic, sizeof(magic));
	add(b, &version, sizeof(version));
	add(b, &kind, sizeof(kind));
	add(b, &length, sizeof(length));
	add(b, TXN, 16);
	add(b, payload, n);
	add(b, "", 1);
	crc = htole32(crc32c(0, b->at + start, b->n - start));
	add(b, &crc, sizeof(crc));
}

static void add_lines(struct input *b, const uint8_t *data, size_t n)
{
	char *text = malloc(n + 1), *end;

	if (!text)
		abort();
	memcpy(text, data, n);
	text[n] = '\0';
	fuzzkit_replace(&text, &n, "%DIR%", fuzzkit_folder());
	for (char *p = text; p < text + n; p = end + 1) {
		end = memchr(p, '\n', (size_t)(text + n - p));
		if (!end)
			end = text + n;
		for (char *c = p; c < end; c++)
			if (*c == '|')
				*c = '\n';
		if (end > p)
			add_record(b, (unsigned)(*p - '0') & 0xff, p + 1, (size_t)(end - p - 1));
	}
	free(text);
}

static void make_device(unsigned flags)
{
	fuzzkit_empty(folders);
	fuzzkit_write("app/app.txt", "old", 3);
	if (flags & 1)
		fuzzkit_write("app/.swinstall-" TXN "/0.new", "new", 3);
	if (flags & 2)
		fuzzkit_write("app/.swinstall-" TXN "/0.old", "older", 5);
	if (flags & 4)
		fuzzkit_write("app/.swinstall-" TXN "/0.none", "", 0);
	if (flags & 8)
		fuzzkit_write("bootenv", "swinstall_txn=" TXN "\n", 15 + 16);
	else
		fuzzkit_write("bootenv", "recovery_status=in_progress\n", 28);
}

static struct settings *configure(void)
{
	const char *dir = fuzzkit_folder();
	struct settings *s = NULL;
	struct err e = {0};
	char text[1024];

	snprintf(
		text, sizeof(text),
		"globals : { bootloader = \"file\"; bootenv-path = \"%s/bootenv\"; state-dir = \"%s/state\";\n"
		"gen-swversions = \"%s/versions\"; lock-timeout = 1; };\n",
		dir, dir, dir);
	if (settings_new(&s, &e) < 0 || settings_parse(s, text, strlen(text), NULL, NULL, &e) < 0)
		fuzzkit_fail("the configuration is not read", e.why);
	return s;
}

/* what was tidied up is tidy */
static void look_again(const struct settings *cfg)
{
	struct journal *j = NULL;
	struct err e = {0};
	char did[256], txn[17];

	if (job_recover(cfg, did, sizeof(did), &e) < 0)
		fuzzkit_fail("a second recovery fails", e.why);
	if (journal_open(&j, cfg->state_dir, &e) < 0 || journal_at(j, 0))
		fuzzkit_fail("the journal is still open after a recovery", e.why);
	if (journal_begin(j, "1", txn, &e) < 0 || journal_add(j, JOURNAL_STAGED, "", &e) < 0 ||
	    !journal_at(j, 1) || journal_finish(j, &e) < 0)
		fuzzkit_fail("no new transaction", e.why);
	journal_close(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct settings *cfg;
	struct input b = {0};
	struct err e = {0};
	char did[256];

	if (n < 3 || n > 65536 || (data[0] != 'R' && data[0] != 'J'))
		return 0;
	fuzzkit_folder();
	fuzzkit_drop();
	make_device(data[1] & 15);
	if (data[0] == 'R')
		add(&b, data + 3, n - 3);
	else
		add_lines(&b, data + 3, n - 3);
	fuzzkit_write("state/journal", b.at ? b.at : "", b.n);
	free(b.at);
	cfg = configure();
	if (job_recover(cfg, did, sizeof(did), &e) >= 0)
		look_again(cfg);
	else if (e.code == E_NONE || e.code == E_INTERNAL)
		fuzzkit_fail("it failed without a reason", e.why);
	settings_free(cfg);
	fuzzkit_expect_closed();
	fuzzkit_regain();
	return 0;
}
