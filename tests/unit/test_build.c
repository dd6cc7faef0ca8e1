/* Building and checking bundles: what is built verifies, what is altered does not, and nothing is
 * left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/build/build.h"
#include "core/build/compress.h"
#include "core/build/inspect.h"
#include "core/build/keygen.h"
#include "core/build/verify.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "tests/unit/kit/fail_malloc.h"

#define MIB (1024u * 1024)

static char dir[64];
static struct keyring *ring;
static const char description[] =
	"software = { version = \"1\"; images: ({ filename = \"image\"; device = \"/dev/x\"; }); };";

static const char *in_dir(const char *name)
{
	static char path[8][256];
	static int turn;

	turn = (turn + 1) % 8;
	text_print(path[turn], sizeof(path[turn]), "%s/%s", dir, name);
	return path[turn];
}

static void put(const char *name, const void *bytes, size_t n)
{
	FILE *f = fopen(in_dir(name), "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static void put_text(const char *name, const char *text)
{
	put(name, text, strlen(text));
}

/* bytes that do not repeat soon */
static void put_pattern(const char *name, size_t n)
{
	uint8_t *p = malloc(n);
	uint32_t x = 1;

	assert_non_null(p);
	for (size_t i = 0; i < n; i++) {
		x = x * 1664525u + 1013904223u;
		p[i] = i % 32 < 16 ? (uint8_t)(x >> 24) : p[i - 16];
	}
	put(name, p, n);
	free(p);
}

static char *get(const char *name, size_t *n)
{
	char *text;

	assert_int_equal(sys_read_file(AT_FDCWD, in_dir(name), 64 * MIB, &text, n), 0);
	return text;
}

static unsigned count_files(void)
{
	DIR *d = opendir(dir);
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

struct run {
	const char *text; /* of the template */
	const char *out;  /* NULL = "out.swu" */
	struct build_options o;
	uint64_t size; /* of the bundle */
	struct err e;
};

static enum errcode build(struct run *r)
{
	char template_file[256], output[256], key[256], own[256];
	const char *dirs[] = {own};
	int rc;

	text_copy(template_file, sizeof(template_file), in_dir("sw-description"));
	text_copy(output, sizeof(output), in_dir(r->out ? r->out : "out.swu"));
	text_copy(key, sizeof(key), in_dir("k.key.pem"));
	text_copy(own, sizeof(own), dir);
	put_text("sw-description", r->text);
	r->o.template_file = template_file;
	r->o.output = output;
	r->o.key_file = r->o.key_file ? r->o.key_file : key;
	r->o.scheme = r->o.scheme == SIG_ANY ? SIG_ECDSA : r->o.scheme;
	r->o.dirs = dirs;
	r->o.dir_count = 1;
	err_clear(&r->e);
	rc = build_bundle(&r->o, &r->size, &r->e);
	assert_int_equal(rc < 0, err_is_set(&r->e));
	return r->e.code;
}

static enum errcode verify(const char *name, struct verify_result *r, bool strict)
{
	const struct verify_options o = {.bundle = in_dir(name), .keys = ring, .strict = strict};
	struct err e;
	int rc;

	err_clear(&e);
	rc = verify_bundle(&o, r, &e);
	assert_int_equal(rc < 0, err_is_set(&e));
	return e.code;
}

/* the description as it was written into a bundle */
static char *described(const char *name)
{
	size_t n;
	char *all = get(name, &n), *end = memmem(all, n, "070702", 6), *next;

	assert_ptr_equal(end, all);
	next = memmem(all + 110, n - 110, "070702", 6);
	assert_non_null(next);
	*next = '\0';
	memmove(all, all + 110 + 18, (size_t)(next - all) - 110 - 18 + 1);
	return all;
}

static void assert_says(const char *bundle, const char *part)
{
	char *text = described(bundle);

	if (!strstr(text, part))
		fail_msg("'%s' is not in: %s", part, text);
	free(text);
}

static void build_makes_what_verify_accepts(void **state)
{
	struct run r = {.text = description};
	struct verify_result v;

	(void)state;
	put_pattern("image", 5000);
	assert_int_equal(build(&r), E_NONE);
	assert_int_equal(verify("out.swu", &v, true), E_NONE);
	assert_int_equal(r.size % 512, 0);
	assert_true(r.size > 5000);
	assert_int_equal(v.payloads, 1);
	assert_int_equal(v.bytes, 5000);
	assert_int_equal(v.signature.scheme, SIG_ECDSA);
	assert_string_equal(v.version, "1");
	assert_says("out.swu", "size = 5000;");
}

static void build_twice_makes_the_same_bytes(void **state)
{
	char key[256];
	struct run r = {.text = description,
			.out = "one.swu",
			.o.key_file = key,
			.o.scheme = SIG_RSA_PKCS1};
	char *a, *b;
	size_t n, m;

	(void)state;
	text_copy(key, sizeof(key), in_dir("rsa.key.pem"));
	put_pattern("image", 5000);
	assert_int_equal(build(&r), E_NONE);
	(void)umask(077);
	r.out = "two.swu";
	assert_int_equal(build(&r), E_NONE);
	(void)umask(022);
	a = get("one.swu", &n);
	b = get("two.swu", &m);
	assert_int_equal(n, m);
	assert_memory_equal(a, b, n);
	free(a);
	free(b);
}

static void build_epoch_is_in_every_header(void **state)
{
	struct run r = {.text = description, .o.has_epoch = true, .o.epoch = 0x12345678};
	size_t n;
	char *a;

	(void)state;
	put_pattern("image", 100);
	assert_int_equal(build(&r), E_NONE);
	a = get("out.swu", &n);
	assert_memory_equal(a + 46, "12345678", 8);
	free(a);
}

static void build_hash_lists_are_those_of_the_stored_bytes(void **state)
{
	struct run r = {
		.text = "software = { version = \"1\"; images: ("
			"{ filename = \"image\"; device = \"/dev/x\"; hash-list = true; hash-block = 65536; },"
			"{ filename = \"other\"; device = \"/dev/x\"; hash-list = false; }); };",
		.o.hash_lists = true};
	struct verify_result v;

	(void)state;
	put_pattern("image", 200000);
	put_pattern("other", 2 * MIB);
	assert_int_equal(build(&r), E_NONE);
	assert_int_equal(verify("out.swu", &v, true), E_NONE);
	assert_says("out.swu", "hash-list = \"image.hl\";");
	assert_says("out.swu", "hash-block = 65536;");
}

static void build_hash_lists_for_all_mean_large_images(void **state)
{
	struct run r = {
		.text = "software = { version = \"1\"; images: ({ filename = \"image\"; device = \"/dev/x\"; },"
			"{ filename = \"small\"; device = \"/dev/x\"; });"
			"files: ({ filename = \"file\"; path = \"/x\"; }); };",
		.o.hash_lists = true};
	struct verify_result v;
	char *text;

	(void)state;
	put_pattern("image", MIB);
	put_pattern("small", MIB - 1);
	put_pattern("file", MIB);
	assert_int_equal(build(&r), E_NONE);
	assert_int_equal(verify("out.swu", &v, true), E_NONE);
	text = described("out.swu");
	assert_non_null(strstr(text, "image.hl"));
	assert_null(strstr(text, "small.hl"));
	assert_null(strstr(text, "file.hl"));
	free(text);
}

static void t1_a_hash_list_with_a_wrong_block_is_refused(void **state)
{
	struct run r = {
		.text = "software = { version = \"1\"; images: ({ filename = \"image\"; device = \"/dev/x\"; "
			"hash-list = true; }); };"};
	struct verify_result v;
	size_t n;
	char *a;

	(void)state;
	put_pattern("image", 600000);
	assert_int_equal(build(&r), E_NONE);
	a = get("out.swu", &n);
	a[n - 1000] ^= 1; /* in the payload */
	put("bad.swu", a, n);
	free(a);
	assert_int_equal(verify("bad.swu", &v, false), E_BLOCK_HASH);
}

static void build_bad_hash_block_is_refused(void **state)
{
	struct run r = {
		.text = "software = { version = \"1\"; images: ({ filename = \"image\"; device = \"/dev/x\"; "
			"hash-list = true; hash-block = 100000; }); };"};

	(void)state;
	put_pattern("image", 10);
	assert_int_equal(build(&r), E_BUILD);
	assert_non_null(strstr(r.e.why, "power of two"));
}

static void build_splits_what_a_member_cannot_hold(void **state)
{
	static const size_t sizes[] = {65536, 65537, 3 * 65536, 200000};
	static const unsigned parts[] = {0, 2, 3, 4};
	struct run r = {
		.text = "software = { version = \"1\"; images: ({ filename = \"image\"; device = \"/dev/x\"; "
			"hash-list = true; }); };",
		.o.part_size = 65536};
	struct verify_result v;
	char line[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		put_pattern("image", sizes[i]);
		assert_int_equal(build(&r), E_NONE);
		assert_int_equal(verify("out.swu", &v, true), E_NONE);
		assert_int_equal(v.bytes, sizes[i]);
		text_print(line, sizeof(line), parts[i] ? "parts = %u;" : "filename = \"image\";",
			   parts[i]);
		assert_says("out.swu", line);
	}
	put_pattern("image", 200000);
	r.o.part_size = 200; /* 1000 parts */
	assert_int_equal(build(&r), E_BUILD);
	r.o.part_size = 201;
	assert_int_equal(build(&r), E_NONE);
	assert_int_equal(verify("out.swu", &v, true), E_NONE);
}

static void build_compresses_what_is_not_yet(void **state)
{
	static const char *const words[] = {"zlib", "xz", "zstd", "lz4"};
	static const char *const names[] = {"image.gz", "image.xz", "image.zst", "image.lz4"};
	struct verify_result v;
	char text[256];

	(void)state;
	put_pattern("image", 3 * MIB / 4);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		struct run r = {.text = text};

		text_print(text, sizeof(text),
			   "software = { version = \"1\"; images: ({ filename = \"image\"; "
			   "device = \"/dev/x\"; compressed = \"%s\"; }); };",
			   words[i]);
		assert_int_equal(build(&r), E_NONE);
		assert_int_equal(verify("out.swu", &v, true), E_NONE);
		assert_true(v.bytes < 3 * MIB / 4);
		assert_says("out.swu", names[i]);
		assert_says("out.swu", "decompressed-size = \"786432\";");
	}
}

static void compress_gives_back_the_same_bytes(void **state)
{
	static const size_t sizes[] = {0, 1, 262143, 262144, 262145, 700000};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t n;
		char *want;

		put_pattern("plain", sizes[i]);
		want = get("plain", &n);
		for (int c = CODEC_GZIP; c < CODEC_COUNT; c++) {
			AUTO_CLOSE int in = open(in_dir("plain"), O_RDONLY | O_CLOEXEC);
			AUTO_CLOSE int out = open(in_dir("packed"),
						  O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
			const struct stream_fd_options whole = {.size = UINT64_MAX};
			AUTO_STREAM struct stream *s = NULL;
			AUTO_FREE char *back = malloc(n + 1);
			struct err e;

			err_clear(&e);
			assert_int_equal(compress_is_done(in, (enum codec)c, &e), 0);
			assert_int_equal(compress_file((enum codec)c, in, out, &e), 0);
			assert_int_equal(compress_is_done(out, (enum codec)c, &e), 1);
			if (!codec_is_built((enum codec)c))
				continue;
			assert_int_equal(stream_fd_open(&s, out, &whole, &e), 0);
			assert_int_equal(stage_decompress_open(&s, (enum codec)c, 64 * MIB, &e), 0);
			assert_int_equal(stream_read_all(s, back, n, &e), 0);
			assert_int_equal(stream_drain(s, &e), 0);
			assert_memory_equal(back, want, n);
		}
		free(want);
	}
}

static void build_takes_compressed_and_encrypted_files_as_they_are(void **state)
{
	struct run r = {
		.text = "software = { version = \"1\"; images: ("
			"{ filename = \"done.zst\"; device = \"/dev/x\"; compressed = \"zstd\"; },"
			"{ filename = \"image\"; device = \"/dev/x\"; compressed = \"zstd\"; encrypted = true;"
			" encrypted-already = true; }); };"};
	/* a frame of one raw block: 'hello' */
	static const char zstd[] = "\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00hello";
	char *text;

	(void)state;
	put("done.zst", zstd, sizeof(zstd) - 1);
	put_pattern("image", 112);
	assert_int_equal(build(&r), E_NONE);
	assert_says("out.swu", "size = 14;");
	assert_says("out.swu", "size = 112;");
	text = described("out.swu");
	assert_null(strstr(text, "encrypted-already"));
	free(text);
}

/* what is said of a payload and what its bytes say */
static void build_refuses_a_payload_that_is_not_what_it_is_said_to_be(void **state)
{
	static const char zstd[] = "\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00hello";
	static const struct {
		const char *attributes, *bytes;
		size_t n;
		const char *why;
	} rows[] = {
		{"encrypted = true;", "0123456789abcdef", 16, "there is no key"},
		{"encrypted-already = true;", "0123456789abcdef", 16, "not 'encrypted'"},
		{"encrypted = true; encrypted-already = true;", "0123456789abcde", 15,
		 "whole blocks"},
		{"encrypted = true; encrypted-already = true;", "#!/bin/sh\nexit 0", 16,
		 "a script"},
		{"encrypted = true; encrypted-already = true; compressed = \"zstd\";",
		 "\x28\xb5\x2f\xfd 23456789ab", 16, "is said to be encrypted, and is zstd"},
		{"compressed = \"zstd\";", zstd, sizeof(zstd) - 4, "cannot be decompressed"},
		{"type = \"archive\"; path = \"/x\";", "not a tar", 9, "is said to be an archive"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char text[300];
		struct run r = {.text = text};

		(void)text_print(
			text, sizeof(text),
			"software = { version = \"1\"; images: ({ filename = \"p\"; %s %s }); };",
			strstr(rows[i].attributes, "type") ? "" : "device = \"/dev/x\";",
			rows[i].attributes);
		put("p", rows[i].bytes, rows[i].n);
		assert_int_equal(build(&r), E_BUILD);
		if (!strstr(r.e.why, rows[i].why))
			fail_msg("row %zu: '%s' is not in: %s", i, rows[i].why, r.e.why);
	}
}

static void build_one_file_for_several_entries_is_one_member(void **state)
{
	struct run r = {
		.text = "software = { version = \"1\"; s = { a = { images: ({ filename = \"image\"; device = \"/dev/a\"; }); };"
			"b = { images: ({ filename = \"image\"; device = \"/dev/b\"; }); }; }; };"};
	struct verify_result v;

	(void)state;
	put_pattern("image", 100);
	assert_int_equal(build(&r), E_NONE);
	assert_int_equal(verify("out.swu", &v, true), E_NONE);
	assert_int_equal(v.selections, 2);
	assert_int_equal(v.payloads, 1);
}

static void build_members_have_no_folders(void **state)
{
	struct run r = {
		.text = "software = { version = \"1\"; images: ({ filename = \"sub/image2\"; device = \"/dev/x\"; }); };"};
	struct run twice = {
		.text = "software = { version = \"1\"; images: ({ filename = \"sub/image\"; device = \"/dev/x\"; },"
			"{ filename = \"image\"; device = \"/dev/x\"; }); };"};
	struct verify_result v;

	(void)state;
	(void)mkdir(in_dir("sub"), 0700);
	put_pattern("sub/image2", 10);
	put_pattern("sub/image", 10);
	put_pattern("image", 20);
	assert_int_equal(build(&r), E_NONE);
	assert_says("out.swu", "filename = \"image2\";");
	assert_int_equal(verify("out.swu", &v, true), E_NONE);
	assert_int_equal(build(&twice), E_BUILD);
	assert_non_null(strstr(twice.e.why, "would both be called"));
}

static void build_that_fails_leaves_the_old_bundle_and_no_file(void **state)
{
	static const struct {
		const char *text;
		enum errcode want;
	} rows[] = {
		{"software = { version = \"1\"; images: ({ filename = \"missing\"; device = \"/dev/x\"; }); };",
		 E_BUILD},
		{"software = { version = \"1\"; images: ({ filename = \"sub\"; device = \"/dev/x\"; }); };",
		 E_BUILD},
		{"software = { version = \"1\"; images: ({ filename = \"image\"; }); };",
		 E_DESC_MISSING},
		{"software = { version = \"1\"; images: ({ filename = \"image\"; device = \"/x\"; compressed = \"rar\"; }); };",
		 E_DESC_VALUE},
		{"software = { images: ({ filename = \"image\"; device = \"/x\"; }); };",
		 E_DESC_MISSING},
		{"software = { version = \"1\"; };", E_DESC_EMPTY},
		{"software = { version = \"@@NO_SUCH@@\"; };", E_BUILD},
		{"software = {", E_DESC_SYNTAX},
	};
	unsigned before;

	(void)state;
	put_text("out.swu", "the old one");
	put_pattern("image", 10);
	(void)mkdir(in_dir("sub"), 0700);
	put_text("sw-description", "");
	before = count_files();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct run r = {.text = rows[i].text};
		size_t n;
		char *old;

		if (build(&r) != rows[i].want)
			fail_msg("row %zu: %s %s", i, err_info(r.e.code)->name, r.e.why);
		old = get("out.swu", &n);
		assert_string_equal(old, "the old one");
		free(old);
	}
	assert_int_equal(count_files(), before);
}

static void build_with_a_key_that_does_not_suit_is_refused(void **state)
{
	struct run r = {.text = description, .o.scheme = SIG_ED25519};
	struct run no_cert = {.text = description, .o.scheme = SIG_CMS};

	(void)state;
	put_pattern("image", 10);
	assert_int_equal(build(&r), E_SIG_KEY);
	assert_int_equal(build(&no_cert), E_KEY_FILE);
}

static void build_each_altered_byte_is_refused(void **state)
{
	struct run r = {.text = description};
	struct verify_result v;
	size_t n, accepted = 0;
	char *a;

	(void)state;
	put_pattern("image", 64);
	assert_int_equal(build(&r), E_NONE);
	a = get("out.swu", &n);
	for (size_t i = 0; i < n; i++) {
		a[i] ^= 4;
		put("bad.swu", a, n);
		accepted += verify("bad.swu", &v, false) == E_NONE;
		a[i] ^= 4;
	}
	/* in headers only size, name, sum and magic count: six fields of four members and some
	 * padding may change */
	assert_true(accepted < 4 * 80 + 512);
	free(a);
}

static void verify_wants_a_signature_and_all_members(void **state)
{
	struct run r = {.text = description, .out = "unsigned.swu"};
	struct verify_result v;
	size_t n;
	char *a;

	(void)state;
	put_pattern("image", 64);
	assert_int_equal(build(&r), E_NONE);
	a = get("unsigned.swu", &n);
	memcpy(memmem(a, n, "sw-description.sig", 18), "sw-description.sik", 18);
	put("unsigned.swu", a, n);
	assert_int_equal(verify("unsigned.swu", &v, false), E_SIG_MISSING);
	free(a);
	r.out = "missing.swu";
	assert_int_equal(build(&r), E_NONE);
	a = get("missing.swu", &n);
	memcpy(memmem(a, n, "image\0", 6), "imago",
	       5); /* the member; the text has quotes behind the name */
	put("missing.swu", a, n);
	free(a);
	assert_int_equal(verify("missing.swu", &v, false), E_MEMBER_MISSING);
	assert_int_equal(verify("nothing.swu", &v, false), E_IO);
	put_text(
		"text.swu",
		"this is no bundle at all, but some text that is long enough to be read as a header, "
		"and then some more of it so that it is not too short");
	assert_int_equal(verify("text.swu", &v, false), E_CPIO_MAGIC);
}

static void inspect_tells_what_is_inside(void **state)
{
	struct run r = {
		.text = "software = { version = \"2.0\"; description = \"say \\\"hi\\\"\"; hardware-compatibility: [\"1.0\"];"
			"images: ({ filename = \"image\"; device = \"/dev/x\"; hash-list = true; });"
			"bootenv: ({ name = \"a\"; value = \"b\"; }, { name = \"gone\"; }); };"};
	static const char *const words[] = {"2.0",    "say \"hi\"",	"image.hl",
					    "/dev/x", "block-hashes",	"ecdsa",
					    "a = b",  "gone = (unset)", "1.0"};
	char *text, *json;
	struct err e;

	(void)state;
	put_pattern("image", 2000);
	assert_int_equal(build(&r), E_NONE);
	err_clear(&e);
	assert_int_equal(inspect_bundle(in_dir("out.swu"), false, &text, &e), 0);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strstr(text, words[i]))
			fail_msg("'%s' is not in: %s", words[i], text);
	assert_int_equal(inspect_bundle(in_dir("out.swu"), true, &json, &e), 0);
	assert_non_null(strstr(json, "\"description\":\"say \\\"hi\\\"\""));
	assert_non_null(strstr(json, "{\"name\":\"gone\"}"));
	assert_non_null(strstr(json, "{\"name\":\"image\",\"size\":2000}"));
	free(text);
	free(json);
	assert_true(inspect_bundle(in_dir("image"), true, &json, &e) < 0);
	assert_int_equal(e.code, E_CPIO_MAGIC);
	assert_null(json);
}

static void keygen_never_overwrites(void **state)
{
	struct keygen_pair p;
	size_t n, m;
	char *before, *after;
	struct err e;
	struct stat st;

	(void)state;
	err_clear(&e);
	assert_int_equal(keygen_make(&p, "ed25519", "x", &e), 0);
	before = get("k.key.pem", &n);
	assert_true(keygen_write(&p, dir, "k", &e) < 0);
	assert_int_equal(e.code, E_BUILD);
	after = get("k.key.pem", &m);
	assert_string_equal(before, after);
	err_clear(&e);
	(void)unlink(in_dir("half.key.pem"));
	put_text("half.key.pem", "mine");
	assert_true(keygen_write(&p, dir, "half", &e) < 0);
	assert_int_not_equal(access(in_dir("half.pub.pem"), F_OK), 0);
	err_clear(&e);
	assert_int_equal(keygen_write(&p, in_dir("new"), "y", &e), 0);
	assert_int_equal(stat(in_dir("new/y.key.pem"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(keygen_write(&p, dir, "a/b", &e), -EINVAL);
	keygen_clear(&p);
	assert_int_equal(keygen_make(&p, "dsa", "x", &e), -EINVAL);
	free(before);
	free(after);
}

static void keygen_certificate_signs_and_lasts(void **state)
{
	static const int64_t times[] = {946684800 + 86400, 1700000000,
					2366841600}; /* 2000, 2023, 2045 */
	static const char *const purposes[] = {NULL, "codeSigning"};
	struct keygen_pair p;
	struct sig_info info;
	struct err e;

	(void)state;
	err_clear(&e);
	assert_int_equal(keygen_make(&p, NULL, "a name", &e), 0);
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		const struct sig_signer s = {
			.key_pem = p.key_pem, .cert_pem = p.cert_pem, .time = times[i]};
		const struct keyring_options o = {
			.now = times[i], .purpose = purposes[i % 2], .signer_name = "a name"};
		AUTO_FREE uint8_t *sig = NULL;
		struct keyring *k;
		size_t n;

		assert_int_equal(sig_sign(&s, "x", 1, &sig, &n, &e), 0);
		assert_int_equal(keyring_parse(&k, p.cert_pem, strlen(p.cert_pem), NULL, 0, &o, &e),
				 0);
		assert_int_equal(sig_verify(k, "x", 1, sig, n, &info, &e), 0);
		assert_string_equal(info.signer, "CN=a name");
		keyring_free(k);
	}
	keygen_clear(&p);
}

static void build_without_memory_is_an_error_and_leaves_nothing(void **state)
{
	struct run r = {
		.text = "software = { version = \"1\"; images: ({ filename = \"image\"; device = \"/dev/x\"; "
			"hash-list = true; compressed = \"zlib\"; }); };",
		.out = "memory.swu"};
	unsigned before;

	(void)state;
	if (!fail_malloc_works())
		skip();
	put_pattern("image", 1000);
	put_text("sw-description", r.text);
	before = count_files();
	for (unsigned n = 1;; n++) {
		const char *dirs[] = {dir};
		char template_file[256], output[256], key[256];
		struct build_options o = {.template_file = template_file,
					  .output = output,
					  .key_file = key,
					  .scheme = SIG_ECDSA,
					  .dirs = dirs,
					  .dir_count = 1};
		struct err e;
		int rc;

		text_copy(template_file, sizeof(template_file), in_dir("sw-description"));
		text_copy(output, sizeof(output), in_dir("memory.swu"));
		text_copy(key, sizeof(key), in_dir("k.key.pem"));
		err_clear(&e);
		fail_malloc_ours_at(n);
		rc = build_bundle(&o, &r.size, &e);
		if (!fail_malloc_off()) {
			assert_int_equal(rc, 0);
			break;
		}
		assert_int_equal(e.code, E_MEMORY);
		assert_int_equal(rc, -ENOMEM);
		assert_int_equal(count_files(), before);
	}
}

static int run_verify(struct err *e)
{
	const struct verify_options o = {.bundle = in_dir("out.swu"), .keys = ring};
	struct verify_result r;

	return verify_bundle(&o, &r, e);
}

static int run_inspect(struct err *e)
{
	char *text = NULL;
	int rc = inspect_bundle(in_dir("out.swu"), true, &text, e);

	free(text);
	return rc;
}

static int run_keygen(struct err *e)
{
	struct keygen_pair p;
	int rc = keygen_make(&p, "ed25519", "x", e);

	keygen_clear(&p);
	return rc;
}

static void readers_without_memory_end_with_an_error(void **state)
{
	static int (*const runs[])(struct err * e) = {run_verify, run_inspect, run_keygen};
	struct run r = {
		.text = "software = { version = \"1\"; images: ({ filename = \"image\"; device = \"/dev/x\"; "
			"hash-list = true; }); };"};

	(void)state;
	if (!fail_malloc_works())
		skip();
	put_pattern("image", 1000);
	assert_int_equal(build(&r), E_NONE);
	for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
		for (unsigned n = 1;; n++) {
			struct err e;
			int rc;

			err_clear(&e);
			fail_malloc_ours_at(n);
			rc = runs[i](&e);
			if (!fail_malloc_off()) {
				assert_int_equal(rc, 0);
				break;
			}
			if (e.code != E_MEMORY)
				fail_msg("run %zu, allocation %u: rc %d, %s", i, n, rc, e.why);
		}
	}
}

static void build_into_a_place_that_is_none_is_told(void **state)
{
	static const struct {
		const char *out;
		enum errcode want;
	} rows[] = {{"no-such-folder/x.swu", E_BUILD},
		    {"sub/", E_USAGE},
		    {"image/x.swu", E_BUILD},
		    {"sub", E_BUILD}};

	(void)state;
	(void)mkdir(in_dir("sub"), 0700);
	put_pattern("image", 10);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct run r = {.text = description, .out = rows[i].out};

		assert_int_equal(build(&r), rows[i].want);
	}
}

/* ---- */

static void make_key(const char *type, const char *name)
{
	struct keygen_pair p;
	struct err e;

	err_clear(&e);
	assert_int_equal(keygen_make(&p, type, name, &e), 0);
	assert_int_equal(keygen_write(&p, dir, name, &e), 0);
	if (!ring)
		assert_int_equal(keyring_parse(&ring, p.pub_pem, strlen(p.pub_pem), NULL, 0,
					       &(struct keyring_options){0}, &e),
				 0);
	keygen_clear(&p);
}

static int make(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test-build-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	make_key("ecdsa", "k");
	make_key("rsa", "rsa");
	return 0;
}

static int drop(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static int clean(void **state)
{
	(void)state;
	keyring_free(ring);
	nftw(dir, drop, 8, FTW_DEPTH | FTW_PHYS);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(build_makes_what_verify_accepts),
		cmocka_unit_test(build_twice_makes_the_same_bytes),
		cmocka_unit_test(build_epoch_is_in_every_header),
		cmocka_unit_test(build_hash_lists_are_those_of_the_stored_bytes),
		cmocka_unit_test(build_hash_lists_for_all_mean_large_images),
		cmocka_unit_test(t1_a_hash_list_with_a_wrong_block_is_refused),
		cmocka_unit_test(build_bad_hash_block_is_refused),
		cmocka_unit_test(build_splits_what_a_member_cannot_hold),
		cmocka_unit_test(build_compresses_what_is_not_yet),
		cmocka_unit_test(compress_gives_back_the_same_bytes),
		cmocka_unit_test(build_takes_compressed_and_encrypted_files_as_they_are),
		cmocka_unit_test(build_refuses_a_payload_that_is_not_what_it_is_said_to_be),
		cmocka_unit_test(build_one_file_for_several_entries_is_one_member),
		cmocka_unit_test(build_members_have_no_folders),
		cmocka_unit_test(build_that_fails_leaves_the_old_bundle_and_no_file),
		cmocka_unit_test(build_with_a_key_that_does_not_suit_is_refused),
		cmocka_unit_test(build_each_altered_byte_is_refused),
		cmocka_unit_test(verify_wants_a_signature_and_all_members),
		cmocka_unit_test(inspect_tells_what_is_inside),
		cmocka_unit_test(keygen_never_overwrites),
		cmocka_unit_test(keygen_certificate_signs_and_lasts),
		cmocka_unit_test(build_into_a_place_that_is_none_is_told),
		cmocka_unit_test(readers_without_memory_end_with_an_error),
		cmocka_unit_test(build_without_memory_is_an_error_and_leaves_nothing),
	};
	return cmocka_run_group_tests(tests, make, clean);
}
