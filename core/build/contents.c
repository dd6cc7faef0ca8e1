#include "core/build/contents.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/build/entries.h"
#include "corelib/base/text.h"
#include "parser/bundle.h"

enum { HEAD = 1104, TAR_BLOCK = 512, WINDOW_MAX = 256 << 20, ARENA_MAX = 16 << 20 };

/* ---- what first bytes say ----------------------------------------------------------------- */

struct magic {
	const char *name;
	enum codec codec; /* CODEC_NONE: no compression, or one that bundles do not have */
	bool packed;	  /* an archive may be compressed so on its own */
	unsigned at, n;
	const char *bytes;
};

/* long enough that encrypted bytes do not look like one of them by chance */
static const struct magic magics[] = {
	{"gzip", CODEC_GZIP, true, 0, 3, "\x1f\x8b\x08"},
	{"xz", CODEC_XZ, true, 0, 6,
	 "\xfd"
	 "7zXZ\0"},
	{"zstd", CODEC_ZSTD, true, 0, 4, "\x28\xb5\x2f\xfd"},
	{"lz4", CODEC_LZ4, true, 0, 4, "\x04\x22\x4d\x18"},
	{"bzip2", CODEC_BZIP2, true, 0, 3, "BZh"},
	{"a zip archive", CODEC_NONE, false, 0, 4, "PK\3\4"},
	{"a squashfs", CODEC_NONE, false, 0, 4, "hsqs"},
	{"a program", CODEC_NONE, false, 0, 4,
	 "\x7f"
	 "ELF"},
	{"a script", CODEC_NONE, false, 0, 3, "#!/"},
	{"a cpio archive", CODEC_NONE, false, 0, 5, "07070"},
	{"a tar archive", CODEC_NONE, false, 257, 5, "ustar"},
	{"a file system of DOS", CODEC_NONE, false, 82, 5, "FAT32"},
	{"a file system of DOS", CODEC_NONE, false, 54, 5, "FAT16"},
	/* the magic, and a clean state */
	{"an ext file system", CODEC_NONE, false, 1080, 4, "\x53\xef\1\0"},
};

static const struct magic *find_magic(const uint8_t *head, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(magics); i++) {
		const struct magic *m = &magics[i];

		if (n >= m->at + m->n && memcmp(head + m->at, m->bytes, m->n) == 0)
			return m;
	}
	return NULL;
}

/* the sum in the header decides, old archives have no magic; one without files is zeros only */
static bool is_tar(const uint8_t *head, size_t n)
{
	unsigned sum = 0, any = 0;
	unsigned long told;
	char text[9] = "";

	if (n < TAR_BLOCK)
		return false;
	for (size_t i = 0; i < TAR_BLOCK; i++) {
		sum += i >= 148 && i < 156 ? ' ' : head[i];
		any |= head[i];
	}
	memcpy(text, head + 148, 8);
	told = strtoul(text, NULL, 8);
	return !any || told == sum;
}

/* ---- one payload -------------------------------------------------------------------------- */

static int read_head(struct stream *s, uint8_t head[HEAD], size_t *n, struct err *e)
{
	ssize_t got = 1;

	for (*n = 0; *n < HEAD && got > 0; *n += (size_t)got) {
		got = stream_read(s, head + *n, HEAD - *n, e);
		if (got < 0)
			return (int)got;
	}
	return 0;
}

static void say_wrong(struct contents *c, const char *said, const struct magic *is)
{
	c->wrong = true;
	(void)text_print(c->why, sizeof(c->why), "is said to be %s, and %s%s", said,
			 is ? "is " : "does not begin so", is ? is->name : "");
}

/* CBC fills up to whole blocks, and adds one to what has whole blocks already */
static int judge_encrypted(struct contents *c, struct stream *s, const struct magic *m,
			   struct err *e)
{
	int rc;

	if (m) {
		say_wrong(c, "encrypted", m);
		return 0;
	}
	if (c->cipher != CIPHER_AES_CBC)
		return 0;
	rc = stream_drain(s, e);
	if (rc < 0 || (s->pos && s->pos % 16 == 0))
		return rc;
	c->wrong = true;
	(void)text_print(
		c->why, sizeof(c->why),
		"is said to be encrypted by aes-cbc, and has %llu bytes: not whole blocks of 16",
		(unsigned long long)s->pos);
	return 0;
}

static void judge_archive(struct contents *c, const uint8_t *head, size_t n)
{
	const struct magic *m = find_magic(head, n);

	if (!c->why[0] && !is_tar(head, n) && !(m && m->packed))
		say_wrong(c, "an archive", m);
	if (!c->why[0] && m && m->codec == CODEC_BZIP2)
		(void)text_print(c->why, sizeof(c->why),
				 "is an archive compressed by bzip2, which is slow and tolerated "
				 "only: use zstd, xz or gzip");
}

/* to the end, so that a file that was cut is found where it can still be replaced */
static int judge_unpacked(struct contents *c, struct stream **s, enum codec codec, bool archive,
			  struct err *e)
{
	uint8_t head[HEAD];
	size_t n;
	int rc;

	if (!codec_is_built(codec))
		return 0;
	rc = stream_seek(*s, 0, e);
	if (rc == 0)
		rc = stage_decompress_open(s, codec, WINDOW_MAX, e);
	if (rc == 0)
		rc = read_head(*s, head, &n, e);
	if (rc == 0 && archive)
		judge_archive(c, head, n);
	if (rc == 0)
		rc = stream_drain(*s, e);
	if (rc == 0 || e->code == E_MEMORY || e->code == E_IO)
		return rc;
	c->wrong = true;
	(void)text_print(c->why, sizeof(c->why), "cannot be decompressed: %.180s", e->why);
	err_clear(e);
	return 0;
}

static int judge_compressed(struct contents *c, struct stream **s, const struct magic *m,
			    struct err *e)
{
	if (m && m->codec == c->codec)
		return judge_unpacked(c, s, c->codec, c->archive, e);
	say_wrong(c, c->codec == CODEC_GZIP ? "gzip (zlib)" : codec_name(c->codec), m);
	return 0;
}

int contents_judge(struct contents *c, struct stream **s, struct err *e)
{
	uint8_t head[HEAD];
	const struct magic *m;
	size_t n;
	int rc = read_head(*s, head, &n, e);

	c->wrong = false;
	c->why[0] = '\0';
	if (rc < 0)
		return rc;
	m = find_magic(head, n);
	if (c->cipher != CIPHER_NONE)
		return judge_encrypted(c, *s, m, e);
	if (c->codec != CODEC_NONE)
		return judge_compressed(c, s, m, e);
	if (c->archive) {
		judge_archive(c, head, n);
		if (!c->wrong && m && m->packed)
			return judge_unpacked(c, s, m->codec, false, e);
	} else if (c->image && m && m->codec != CODEC_NONE) {
		(void)text_print(
			c->why, sizeof(c->why),
			"is %s, and nothing says that it is compressed: it is written as it is",
			m->name);
	}
	return 0;
}

/* ---- all of a bundle ---------------------------------------------------------------------- */

void contents_of_entry(struct contents *c, const struct entry *t)
{
	const struct cipher_row *row = entry_cipher(t);

	*c = (struct contents){
		.codec = t->compressed,
		.cipher = row ? row->cipher : CIPHER_NONE,
		.archive = strcmp(t->type, "archive") == 0 || strcmp(t->type, "tar") == 0,
		.image = strcmp(t->type, "raw") == 0 || strcmp(t->type, "ubivol") == 0};
}

/* in each selection stands much of what stands in the others: it is read once */
struct judged {
	struct judged *next;
	char name[256];
	struct contents as;
};

struct judging {
	const struct contents_options *o;
	struct arena *arena;
	struct judged *all;
};

static bool is_judged(const struct judging *j, const char *name, const struct contents *as)
{
	const struct judged *x = j->all;

	while (x && (strcmp(x->name, name) != 0 || x->as.codec != as->codec ||
		     x->as.cipher != as->cipher || x->as.archive != as->archive ||
		     x->as.image != as->image))
		x = x->next;
	return x;
}

static int judge_entry(void *arg, struct bundle *b, const struct entry *t, struct err *e)
{
	struct judging *j = arg;
	const struct payload *p = t->filename ? bundle_find(b, t->filename) : NULL;
	AUTO_STREAM struct stream *s = NULL;
	struct judged *x;
	struct contents c;
	int rc;

	if (!p)
		return 0;
	contents_of_entry(&c, t);
	if (is_judged(j, t->filename, &c))
		return 0;
	x = arena_alloc(j->arena, sizeof(*x));
	if (!x)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the list of payloads");
	(void)text_copy(x->name, sizeof(x->name), t->filename);
	x->as = c;
	x->next = j->all;
	j->all = x;
	rc = bundle_payload(b, p, &s, e);
	if (rc == 0)
		rc = contents_judge(&c, &s, e);
	if (rc == 0 && c.why[0])
		j->o->found(j->o->arg, t, &c);
	return rc;
}

int contents_judge_bundle(int fd, const struct contents_options *o, struct err *e)
{
	struct judging j = {.o = o, .arena = arena_new(ARENA_MAX)};
	const struct entry_walk w = {judge_entry, &j};
	int rc = j.arena ? entries_walk(fd, &w, e)
			 : err_set(e, E_MEMORY, ENOMEM, "no memory for the list of payloads");

	arena_free(j.arena);
	return rc;
}
