/*
 * Whole bundles on a device of files. The first byte of the input is the kind, the second is a
 * set of flags (FLAG_...), a line end follows:
 *
 *   U  the rest is an archive; nobody needs to sign it
 *   K  the rest is an archive; a key is configured that nobody has: never installed
 *   S  the rest is a description and members, each after a line "%%NAME"; signed with the right
 * key.
 *      '@NAME@' in the description is the member's SHA-256, '%DIR%' the device's folder
 *   D  as S, and behind "%%!" two bytes of place and one of value each: changes to the archive
 *
 * It is checked, then installed, then recovered, and after each the device is OLD or NEW.
 * FUZZ_SAY=1 in the environment prints each verdict.
 */
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/build/keygen.h"
#include "core/job.h"
#include "corelib/base/digest.h"
#include "corelib/sign/sig.h"
#include "corelib/base/text.h"
#include "parser/manifest.h"
#include "tests/fuzz/fuzzkit.h"
#include "tests/unit/kit/make_bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { SLOT = 16384, MOST = 96 * 1024, PARTS = 8 };
enum {
	FLAG_PIPE = 1,
	FLAG_STRICT = 2,
	FLAG_MEMBERS = 4,
	FLAG_LOOSE = 8,
	FLAG_CRC = 16,
	FLAG_ALONE = 32
};

static struct keygen_pair key;
static const char *const folders[] = {"state", "app", "env", "key", NULL};

struct part {
	char name[64];
	const uint8_t *data;
	size_t n;
};

struct input {
	char kind;
	unsigned flags;
	char *description; /* of S and D */
	size_t length;
	struct part parts[PARTS];
	size_t count;
	const uint8_t *changes;
	size_t change_bytes;
	struct make_bundle archive;
};

/* what must not change unless all of it does */
struct device {
	uint32_t running, other, env, app;
};

/* ---- the device ---- */

static void fill_slot(const char *name, char with)
{
	char old[SLOT];

	memset(old, with, sizeof(old));
	fuzzkit_write(name, old, sizeof(old));
}

static void make_device(void)
{
	struct err e = {0};

	fuzzkit_empty(folders);
	fill_slot("slot-a", 'a');
	fill_slot("slot-b", 'o');
	fuzzkit_write("env/bootenv", "boot_slot=a\n", 12);
	fuzzkit_write("app/app.txt", "old", 3);
	if (!key.key_pem && keygen_make(&key, "ed25519", "fuzz", &e) < 0)
		fuzzkit_fail("no key", e.why);
	fuzzkit_write("key/key.pem", key.pub_pem, strlen(key.pub_pem));
}

static struct device look(void)
{
	return (struct device){fuzzkit_sum("slot-a"), fuzzkit_sum("slot-b"), fuzzkit_sum("env"),
			       fuzzkit_sum("app")};
}

static struct settings *configure(const struct input *in)
{
	const char *dir = fuzzkit_folder();
	struct settings *s = NULL;
	struct err e = {0};
	char text[2048];

	snprintf(
		text, sizeof(text),
		"globals : { bootloader = \"file\"; bootenv-path = \"%s/env/bootenv\"; state-dir = \"%s/state\";\n"
		"public-key-file = \"%s/key/key.pem\"; allow-unsigned = %s; targets = ( \"%s/app\" );\n"
		"gen-swversions = \"%s/state/versions\"; lock-timeout = 1; strict = %s;\n"
		"strict-members = %s; compat-cpio = \"%s\"; threads = %d; lua-trust = \"confined\";\n"
		"slots = ( { name = \"a\"; rootfs = \"%s/slot-a\"; env = { boot_slot = \"a\"; }; },\n"
		"          { name = \"b\"; rootfs = \"%s/slot-b\"; env = { boot_slot = \"b\"; }; } );\n};\n",
		dir, dir, dir, in->kind == 'U' ? "true" : "false", dir, dir,
		in->flags & FLAG_STRICT ? "true" : "false",
		in->flags & FLAG_MEMBERS ? "true" : "false",
		in->flags & FLAG_LOOSE ? "loose" : "strict", in->flags & FLAG_ALONE ? 1 : 0, dir,
		dir);
	if (settings_new(&s, &e) < 0 || settings_parse(s, text, strlen(text), NULL, NULL, &e) < 0)
		fuzzkit_fail("the configuration is not read", e.why);
	return s;
}

/* ---- the bundle ---- */

static const uint8_t *find_mark(const uint8_t *at, const uint8_t *end)
{
	const uint8_t *m = at < end ? memmem(at, (size_t)(end - at), "\n%%", 3) : NULL;

	return m ? m : end;
}

/* one member after its mark; the end of it */
static const uint8_t *take_part(struct input *in, const uint8_t *at, const uint8_t *end)
{
	const uint8_t *line = memchr(at, '\n', (size_t)(end - at)), *stop;
	struct part *p = &in->parts[in->count];

	if (!line)
		return end;
	if (line - at == 1 && *at == '!') {
		in->changes = line + 1;
		in->change_bytes = (size_t)(end - line - 1);
		return end;
	}
	stop = find_mark(line + 1, end);
	if ((size_t)(line - at) < sizeof(p->name) && line > at && in->count < PARTS) {
		memcpy(p->name, at, (size_t)(line - at));
		p->data = line + 1;
		p->n = (size_t)(stop - line - 1);
		in->count += strlen(p->name) == (size_t)(line - at);
	}
	return stop;
}

static void fill_in(struct input *in)
{
	fuzzkit_replace(&in->description, &in->length, "%DIR%", fuzzkit_folder());
	for (size_t i = 0; i < in->count; i++) {
		char name[80], hex[65];
		uint8_t sum[32];
		struct err e = {0};

		if (sha256_once(in->parts[i].data, in->parts[i].n, sum, &e) < 0)
			abort();
		text_hex(sum, sizeof(sum), hex);
		snprintf(name, sizeof(name), "@%s@", in->parts[i].name);
		if (strlen(in->parts[i].name) < 16) /* the text grows by few bytes */
			fuzzkit_replace(&in->description, &in->length, name, hex);
	}
}

static void build(struct input *in, const uint8_t *data, size_t n)
{
	const uint8_t *end = data + n, *at = find_mark(data, end);
	struct sig_signer signer = {.key_pem = key.key_pem};
	struct err e = {0};
	uint8_t *sig = NULL;
	size_t len = 0;

	in->length = (size_t)(at - data);
	in->description = malloc(in->length + 1);
	if (!in->description)
		abort();
	memcpy(in->description, data, in->length);
	while (at < end)
		at = take_part(in, at + 3, end);
	fill_in(in);
	if (sig_sign(&signer, in->description, in->length, &sig, &len, &e) < 0)
		fuzzkit_fail("not signed", e.why);
	make_bundle_add(&in->archive, "sw-description", in->description, in->length);
	make_bundle_add(&in->archive, "sw-description.sig", sig, len);
	for (size_t i = 0; i < in->count; i++)
		make_bundle_add(&in->archive, in->parts[i].name, in->parts[i].data, in->parts[i].n);
	make_bundle_trailer(&in->archive);
	free(sig);
	for (; in->kind == 'D' && in->change_bytes >= 3; in->changes += 3, in->change_bytes -= 3)
		in->archive.bytes[(in->changes[0] | (size_t)in->changes[1] << 8) % in->archive.n] =
			in->changes[2];
}

static bool make_input(struct input *in, const uint8_t *data, size_t n)
{
	if (n < 3 || n > MOST || !strchr("UKSD", data[0]) || !data[0])
		return false;
	*in = (struct input){.kind = (char)data[0], .flags = data[1]};
	in->archive.newc = !(in->flags & FLAG_CRC);
	if (in->kind == 'U' || in->kind == 'K')
		make_bundle_bytes(&in->archive, data + 3, n - 3);
	else
		build(in, data + 3, n - 3);
	fuzzkit_write("bundle.swu", in->archive.bytes, in->archive.n);
	return true;
}

static int open_bundle(const struct input *in)
{
	int fds[2];

	if (!(in->flags & FLAG_PIPE))
		return open(fuzzkit_path("bundle.swu"), O_RDONLY | O_CLOEXEC);
	if (pipe2(fds, O_CLOEXEC) < 0 || fcntl(fds[1], F_SETPIPE_SZ, 4 * MOST) < 0 ||
	    write(fds[1], in->archive.bytes, in->archive.n) != (ssize_t)in->archive.n)
		fuzzkit_fail("no pipe", NULL);
	close(fds[1]);
	return fds[0];
}

static int submit(const struct input *in, const struct settings *cfg, enum job_mode mode)
{
	struct job_request r = {.fd = open_bundle(in), .name = "bundle.swu", .mode = mode};
	struct job *j = NULL;
	struct err e = {0};
	int rc;

	if (r.fd < 0 || job_new(&j, cfg, &e) < 0)
		fuzzkit_fail("no job", e.why);
	rc = job_submit(j, &r, &e);
	if (getenv("FUZZ_SAY"))
		fprintf(stderr, "mode %d: %d %s: %s\n", mode, rc, err_info(e.code)->name, e.why);
	if (rc < 0 && e.code == E_NONE)
		fuzzkit_fail("it failed without a reason", NULL);
	if (rc < 0 && (e.code == E_INTERNAL || e.code == E_JOURNAL || e.code == E_STATE_DIR))
		fuzzkit_fail("a reason that no bundle should give", e.why);
	job_free(j);
	close(r.fd);
	return rc;
}

/* ---- what must be true ---- */

/* some first bytes of the file have this digest */
static bool begins_with(const char *path, const uint8_t want[32])
{
	EVP_MD_CTX *all = EVP_MD_CTX_new(), *now = EVP_MD_CTX_new();
	bool found = false;
	uint8_t sum[32];
	size_t n;
	char *bytes = fuzzkit_read(path, &n);

	EVP_DigestInit_ex(all, EVP_sha256(), NULL);
	for (size_t i = 0; i <= n && !found; i++) {
		EVP_MD_CTX_copy_ex(now, all);
		EVP_DigestFinal_ex(now, sum, NULL);
		found = memcmp(sum, want, sizeof(sum)) == 0;
		if (i < n)
			EVP_DigestUpdate(all, bytes + i, 1);
	}
	EVP_MD_CTX_free(all);
	EVP_MD_CTX_free(now);
	free(bytes);
	return found;
}

static bool is_plain(const struct entry *t)
{
	return t->filename && t->has_sha256 && !t->compressed && !t->encrypted && !t->offset &&
	       !t->install_if_different && !t->install_if_higher;
}

/* the payloads are where the description wants them */
static void expect_new(const struct input *in)
{
	struct manifest_options o = {.strict = in->flags & FLAG_STRICT,
				     .hash_required = in->kind != 'U'};
	struct manifest *m = NULL;
	struct err e = {0};
	unsigned slots = 0;

	if (in->kind == 'U' || in->kind == 'D')
		return; /* its description is what the archive says, not what we wrote */
	if (memmem(in->description, in->length, "embedded-script", 15))
		return; /* a hook may have amended it */
	if (manifest_parse(&m, in->description, in->length, &o, &e) < 0)
		fuzzkit_fail("installed, yet not readable", e.why);
	for (size_t i = 0; i < m->entry_count; i++)
		slots += m->entries[i].section == SECTION_IMAGES;
	for (size_t i = 0; i < m->entry_count; i++) {
		const struct entry *t = &m->entries[i];

		if (!is_plain(t))
			continue;
		if (t->section == SECTION_IMAGES && slots == 1 && strcmp(t->type, "raw") == 0 &&
		    !begins_with(fuzzkit_path("slot-b"), t->sha256))
			fuzzkit_fail("installed, yet the slot has other content", NULL);
		if (t->section == SECTION_FILES && strcmp(t->type, "rawfile") == 0 &&
		    !begins_with(t->path, t->sha256))
			fuzzkit_fail("installed, yet the file has other content", t->path);
	}
	manifest_free(m);
}

static bool chose_new(void)
{
	size_t n;
	char *text = fuzzkit_read(fuzzkit_path("env/bootenv"), &n);
	bool yes = strncmp(text, "boot_slot=b\n", 12) == 0 || strstr(text, "\nboot_slot=b\n");

	free(text);
	return yes;
}

static void expect_clean(const char *when)
{
	if (fuzzkit_leftovers(".") + fuzzkit_leftovers("app") + fuzzkit_leftovers("state") +
	    fuzzkit_leftovers("env"))
		fuzzkit_fail("something is left over", when);
}

static void expect(bool truth, const char *what)
{
	static const char *const seen[] = {"slot-a", "slot-b", "env", "app", "state"};

	if (!truth) {
		for (size_t i = 0; i < sizeof(seen) / sizeof(*seen); i++)
			fprintf(stderr, "%s: %08x\n", seen[i], fuzzkit_sum(seen[i]));
		fuzzkit_fail("neither OLD nor NEW", what);
	}
}

/*
 * Mutated programs are not run, and what they do is not ours to judge; \\u may spell the word. The
 * description of an archive of kind U is somewhere in it. Lua code is confined by the
 * configuration.
 */
static bool has_programs(const struct input *in)
{
	return in->archive.n > 0 && (memmem(in->archive.bytes, in->archive.n, "scripts", 7) ||
				     memmem(in->archive.bytes, in->archive.n, "\\u", 2));
}

static void try_all(const struct input *in, const struct settings *cfg)
{
	const struct device old = look();
	struct err e = {0};
	char did[256];
	int check, rc;
	struct device now;

	check = submit(in, cfg, JOB_CHECK);
	now = look();
	expect(memcmp(&now, &old, sizeof(now)) == 0, "a check changed something");
	expect_clean("after a check");
	if (has_programs(in))
		return;
	rc = submit(in, cfg, JOB_INSTALL);
	now = look();
	expect(now.running == old.running, "the running slot was written");
	expect(rc < 0 || in->kind != 'K', "installed without a signature");
	expect(rc < 0 || check >= 0, "installed what a check refuses");
	expect(rc >= 0 || (now.app == old.app && !chose_new()), "failed, and yet changed");
	expect(rc < 0 || !cfg->allow_unsigned || in->kind == 'U', "unsigned");
	expect_clean("after the installation");
	if (rc >= 0)
		expect_new(in);
	if (job_recover(cfg, did, sizeof(did), &e) < 0)
		fuzzkit_fail("not recovered", e.why);
	expect(look().app == now.app && look().other == now.other && look().running == now.running,
	       "recovery changed what was finished");
	expect_clean("after recovery");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct settings *cfg;
	struct input in;

	fuzzkit_folder();
	fuzzkit_drop();
	make_device();
	if (make_input(&in, data, n)) {
		cfg = configure(&in);
		try_all(&in, cfg);
		settings_free(cfg);
		free(in.description);
		make_bundle_free(&in.archive);
	}
	fuzzkit_expect_closed();
	fuzzkit_regain();
	return 0;
}
