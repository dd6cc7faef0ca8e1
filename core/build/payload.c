#include "core/build/payload.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/build/compress.h"
#include "core/build/encrypt.h"
#include "corelib/base/crc32c.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "parser/manifest.h"

#define CHUNK (1024u * 1024)

/* ---- finding it ------------------------------------------------------------------------- */

static int open_in(const char *dir, const char *file)
{
	char path[PATH_MAX];

	if (text_print(path, sizeof(path), "%s%s%s", dir, *dir ? "/" : "", file) < 0)
		return -ENAMETOOLONG;
	return sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);
}

static int open_first(const char *path, const struct payload_dirs *dirs)
{
	int fd = -ENOENT;

	if (path[0] == '/')
		return open_in("", path);
	for (size_t i = 0; fd == -ENOENT && i < dirs->count; i++)
		fd = open_in(dirs->at[i], path);
	return fd;
}

bool payload_is_there(const char *path, const struct payload_dirs *dirs)
{
	AUTO_CLOSE int fd = open_first(path, dirs);

	return fd != -ENOENT;
}

static int find(struct payload_file *p, const struct payload_dirs *dirs, struct err *e)
{
	struct stat st;

	p->fd = open_first(p->path, dirs);
	if (p->fd == -ENOENT)
		return err_set(e, E_BUILD, ENOENT,
			       "the file is not in %s%s; name its folder with -I",
			       dirs->count ? dirs->at[0] : "/",
			       dirs->count > 1 ? " or the other folders" : "");
	if (p->fd < 0)
		return err_sys(e, E_BUILD, -p->fd, "opening it failed");
	if (fstat(p->fd, &st) < 0)
		return err_sys(e, E_BUILD, errno, "reading it failed");
	if (!S_ISREG(st.st_mode))
		return err_set(e, E_BUILD, EINVAL, "it is not a plain file");
	p->size = p->packed_size = p->plain_size = (uint64_t)st.st_size;
	return 0;
}

/* ---- compressing and encrypting it -------------------------------------------------------- */

/* p is from now on what 'change' makes of it */
static int transform(struct payload_file *p, const struct output *scratch,
		     int (*change)(struct payload_file *p, int out, struct err *e), struct err *e)
{
	int out = output_scratch(scratch, e), rc;
	struct stat st = {0};

	if (out < 0)
		return out;
	rc = change(p, out, e);
	sys_close(&p->fd);
	p->fd = out;
	if (rc == 0 && fstat(out, &st) < 0)
		rc = err_sys(e, E_BUILD, errno, "reading what was made of it failed");
	p->size = (uint64_t)st.st_size;
	return rc;
}

static int compress(struct payload_file *p, int out, struct err *e)
{
	int rc = compress_file(p->codec, p->fd, out, e);
	off_t end = lseek(p->fd, 0, SEEK_CUR);

	p->was_compressed = true;
	if (rc < 0)
		return rc;
	if (end < 0 || (uint64_t)end != p->plain_size)
		rc = err_set(e, E_BUILD, EBUSY, "it changed while it was read");
	return rc;
}

static int encrypt(struct payload_file *p, int out, struct err *e)
{
	struct encryption x = {.key = p->key, .cipher = p->cipher, .name = p->member};
	int rc = encrypt_vector(&x, p->fd, e);

	if (rc == 0)
		rc = encrypt_file(&x, p->fd, out, e);
	memcpy(p->iv, x.iv, sizeof(p->iv));
	return rc;
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && strcmp(s + n - m, end) == 0;
}

/* members have no folders; what was compressed or encrypted here says so by its name */
static int name_member(struct payload_file *p, struct err *e)
{
	const char *slash = strrchr(p->path, '/'), *name = slash ? slash + 1 : p->path;
	const char *suffix = p->was_compressed ? compress_suffix(p->codec) : "";

	if (ends_with(name, suffix))
		suffix = "";
	if (text_print(p->member, sizeof(p->member) - 4, "%s%s%s", name, suffix,
		       p->cipher == CIPHER_NONE ? "" : ".enc") < 0 ||
	    text_print(p->list_member, sizeof(p->list_member), "%s.hl", p->member) < 0)
		return err_set(e, E_BUILD, ENAMETOOLONG, "its name is too long");
	return 0;
}

static int compress_if_not_done(struct payload_file *p, const struct output *scratch, struct err *e)
{
	int rc = compress_is_done(p->fd, p->codec, e);

	if (rc == 0)
		rc = transform(p, scratch, compress, e);
	p->packed_size = p->size;
	return rc < 0 ? rc : 0;
}

int payload_open(struct payload_file *p, const struct payload_dirs *dirs,
		 const struct output *scratch, struct err *e)
{
	int rc = find(p, dirs, e);

	if (rc == 0 && p->codec != CODEC_NONE)
		rc = compress_if_not_done(p, scratch, e);
	if (rc == 0)
		rc = name_member(p, e);
	if (rc == 0 && p->cipher != CIPHER_NONE)
		rc = transform(p, scratch, encrypt, e);
	return err_at(e, rc, "%s", p->path);
}

/* ---- measuring it ----------------------------------------------------------------------- */

struct measure {
	struct payload_file *p;
	struct sha256 whole, block;
	uint64_t done, part_size;
	uint8_t *buf;
	struct err *e;
};

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* up to the next end of a part or a block */
static size_t step_size(const struct measure *m)
{
	const struct payload_file *p = m->p;
	uint64_t n = least(CHUNK, p->size - m->done);

	n = least(n, m->part_size - m->done % m->part_size);
	if (p->block)
		n = least(n, p->block - m->done % p->block);
	return (size_t)n;
}

static int block_step(struct measure *m, size_t n)
{
	struct payload_file *p = m->p;
	uint64_t index = m->done / p->block, end = m->done + n;
	int rc = sha256_update(&m->block, m->buf, n, m->e);

	if (rc == 0 && (end % p->block == 0 || end == p->size)) {
		rc = sha256_final(&m->block, p->list + index * SHA256_LEN, m->e);
		if (rc == 0)
			rc = sha256_again(&m->block, m->e);
	}
	return rc;
}

static int step(struct measure *m)
{
	struct payload_file *p = m->p;
	size_t n = step_size(m), part = (size_t)(m->done / m->part_size);
	ssize_t got = sys_pread(p->fd, m->buf, n, m->done);
	int rc;

	if (got < 0)
		return err_sys(m->e, E_BUILD, (int)-got, "reading it failed");
	if ((size_t)got != n)
		return err_set(m->e, E_BUILD, EBUSY, "it became shorter while it was read");
	p->sums[part] = bytesum(p->sums[part], m->buf, n);
	rc = sha256_update(&m->whole, m->buf, n, m->e);
	if (rc == 0 && p->block)
		rc = block_step(m, n);
	m->done += n;
	return rc;
}

static int measure_all(struct measure *m)
{
	int rc = sha256_init(&m->whole, m->e);

	if (rc == 0)
		rc = sha256_init(&m->block, m->e);
	while (rc == 0 && m->done < m->p->size)
		rc = step(m);
	return rc < 0 ? rc : sha256_final(&m->whole, m->p->sha256, m->e);
}

/* how many parts, how many blocks */
static int make_room(struct payload_file *p, uint64_t part_size, struct err *e)
{
	uint64_t parts = p->size / part_size + (p->size % part_size != 0);

	if (parts > PAYLOAD_PARTS_MAX)
		return err_set(e, E_BUILD, EFBIG, "it needs %" PRIu64 " parts; %d are allowed",
			       parts, PAYLOAD_PARTS_MAX);
	p->parts = parts > 1 ? (size_t)parts : 0;
	if (!p->size)
		p->block = 0;
	if (p->block)
		p->list_len = (size_t)(p->size / p->block + (p->size % p->block != 0)) * SHA256_LEN;
	if (p->list_len > HASH_LIST_MAX)
		return err_set(e, E_BUILD, EFBIG,
			       "its hash list would have %zu bytes; devices take %u MiB: choose a "
			       "larger hash-block",
			       p->list_len, HASH_LIST_MAX >> 20);
	p->sums = calloc(parts ? parts : 1, sizeof(*p->sums));
	p->list = p->list_len ? malloc(p->list_len) : NULL;
	if (!p->sums || (p->list_len && !p->list))
		return err_set(e, E_MEMORY, ENOMEM, "no memory for its digests");
	return 0;
}

int payload_measure(struct payload_file *p, struct err *e)
{
	struct measure m = {
		.p = p, .part_size = p->part_size ? p->part_size : PAYLOAD_PART, .e = e};
	int rc = make_room(p, m.part_size, e);

	m.buf = malloc(CHUNK);
	if (rc == 0 && !m.buf)
		rc = err_set(e, E_MEMORY, ENOMEM, "no memory to read it");
	if (rc == 0)
		rc = measure_all(&m);
	sha256_clear(&m.whole);
	sha256_clear(&m.block);
	free(m.buf);
	if (rc == 0 && p->list)
		rc = sha256_once(p->list, p->list_len, p->list_sha256, e);
	return err_at(e, rc, "%s", p->path);
}

/* ---- writing it ------------------------------------------------------------------------- */

struct writing {
	const struct payload_file *p;
	struct sha256 sum;
	struct cpio_writer *w;
	uint8_t *buf;
	struct err *e;
};

static int payload_copy(struct writing *x, uint64_t from, uint64_t n)
{
	ssize_t got;
	int rc = 0;

	for (uint64_t end = from + n; rc == 0 && from < end; from += (uint64_t)got) {
		got = sys_pread(x->p->fd, x->buf, (size_t)least(CHUNK, end - from), from);
		if (got < 0)
			return err_sys(x->e, E_BUILD, (int)-got, "reading it failed");
		if (got == 0)
			return err_set(x->e, E_BUILD, EBUSY, "it became shorter while it was read");
		rc = sha256_update(&x->sum, x->buf, (size_t)got, x->e);
		if (rc == 0)
			rc = cpio_write_data(x->w, x->buf, (size_t)got, x->e);
	}
	return rc;
}

static int write_part(struct writing *x, size_t part)
{
	const struct payload_file *p = x->p;
	uint64_t part_size = p->part_size ? p->part_size : PAYLOAD_PART, from = part * part_size;
	struct cpio_member m = {.name = p->member, .size = p->size, .sum = p->sums[part]};
	char name[sizeof(p->member) + 8];
	int rc;

	if (p->parts) {
		(void)text_print(name, sizeof(name), "%s.%03zu", p->member, part + 1);
		m.name = name;
		m.size = least(part_size, p->size - from);
	}
	rc = cpio_write_begin(x->w, &m, x->e);
	if (rc < 0)
		return rc;
	rc = payload_copy(x, from, m.size);
	return rc < 0 ? rc : cpio_write_end(x->w, x->e);
}

/* the archive's own sum does not see what changes places */
static int compare(struct writing *x)
{
	uint8_t got[SHA256_LEN];
	int rc = sha256_final(&x->sum, got, x->e);

	if (rc < 0 || memcmp(got, x->p->sha256, SHA256_LEN) == 0)
		return rc;
	return err_set(x->e, E_BUILD, EBUSY, "it changed while it was read");
}

int payload_write(const struct payload_file *p, struct cpio_writer *w, struct err *e)
{
	AUTO_FREE uint8_t *buf = malloc(CHUNK);
	struct writing x = {.p = p, .w = w, .buf = buf, .e = e};
	size_t count = p->parts ? p->parts : 1;
	int rc = buf ? sha256_init(&x.sum, e)
		     : err_set(e, E_MEMORY, ENOMEM, "no memory to write it");

	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = write_part(&x, i);
	if (rc == 0)
		rc = compare(&x);
	sha256_clear(&x.sum);
	return err_at(e, rc, "%s", p->path);
}

int payload_write_list(const struct payload_file *p, struct cpio_writer *w, struct err *e)
{
	return p->list ? cpio_write_mem(w, p->list_member, p->list, p->list_len, e) : 0;
}

void payload_close(struct payload_file *p)
{
	if (p->fd >= 0)
		sys_close(&p->fd);
	free(p->sums);
	free(p->list);
	p->sums = NULL;
	p->list = NULL;
}
