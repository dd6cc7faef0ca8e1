#include "corelib/device/gpt.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define SIGNATURE   "EFI PART"
#define HEAD_LEAST  92
#define ENTRY_LEAST 128
#define TABLE_MOST  (1024 * 1024)
#define NAME_UNITS  (GPT_NAME / 2)

/* as it lies at the first block of a copy, little endian */
struct head {
	char signature[8];
	uint32_t revision, size, crc, reserved;
	uint64_t here, other, first, last;
	uint8_t disk[16];
	uint64_t table;
	uint32_t count, entry_size, table_crc;
} __attribute__((packed));

struct entry_head {
	uint8_t type[16], id[GPT_ID];
	uint64_t first, last, flags;
	uint8_t name[GPT_NAME];
} __attribute__((packed));

/* one of the two; 'block' is where its header lies */
struct copy {
	bool whole;
	uint64_t block;
	uint8_t *head, *table; /* a block; all entries */
};

struct gpt {
	int fd;
	size_t block; /* bytes of one */
	uint64_t blocks;
	size_t table_size; /* of the entries, in whole blocks */
	struct copy first, second;
	struct copy *counts; /* the one that readers take */
	uint8_t *before;     /* its entries as they were found */
};

static uint32_t crc32_of(const uint8_t *at, size_t n)
{
	uint32_t crc = ~0u;

	while (n--) {
		crc ^= *at++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

static struct head head_of(const struct copy *c)
{
	struct head h;

	memcpy(&h, c->head, sizeof(h));
	return h;
}

static uint32_t head_crc(const struct gpt *g, const struct copy *c)
{
	struct head h = head_of(c);
	uint8_t text[4096];

	memcpy(text, c->head, g->block);
	memset(text + offsetof(struct head, crc), 0, sizeof(h.crc));
	return crc32_of(text, le32toh(h.size));
}

/* ---- reading ---- */

/* all that a later use relies on; the numbers come from the medium */
static bool head_is_good(const struct gpt *g, const struct copy *c)
{
	struct head h = head_of(c);
	uint64_t bytes = (uint64_t)le32toh(h.count) * le32toh(h.entry_size);
	uint64_t table = le64toh(h.table), blocks = (bytes + g->block - 1) / g->block;

	return memcmp(h.signature, SIGNATURE, sizeof(h.signature)) == 0 &&
	       le32toh(h.size) >= HEAD_LEAST && le32toh(h.size) <= g->block &&
	       head_crc(g, c) == le32toh(h.crc) && le64toh(h.here) == c->block &&
	       le32toh(h.entry_size) >= ENTRY_LEAST && le32toh(h.entry_size) % 8 == 0 && bytes &&
	       bytes <= TABLE_MOST && table >= 2 && table < g->blocks &&
	       blocks <= g->blocks - table && (table > c->block || table + blocks <= c->block) &&
	       (table + blocks <= le64toh(h.first) || table > le64toh(h.last));
}

static int read_copy(struct gpt *g, struct copy *c, uint64_t block, struct err *e)
{
	struct head h;
	size_t bytes, room;

	c->block = block;
	c->head = c->head ? c->head : malloc(g->block);
	if (!c->head)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a partition table");
	if (sys_pread(g->fd, c->head, g->block, block * g->block) != (ssize_t)g->block ||
	    !head_is_good(g, c))
		return 0;
	h = head_of(c);
	bytes = (size_t)le32toh(h.count) * le32toh(h.entry_size);
	room = (bytes + g->block - 1) / g->block * g->block;
	c->table = malloc(room);
	if (!c->table)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a partition table");
	c->whole = sys_pread(g->fd, c->table, room, le64toh(h.table) * g->block) == (ssize_t)room &&
		   crc32_of(c->table, bytes) == le32toh(h.table_crc);
	if (!c->whole) {
		free(c->table);
		c->table = NULL;
	}
	return 0;
}

static int measure(struct gpt *g, struct err *e)
{
	uint64_t bytes = 0;
	struct stat st;
	int block = 512;

	if (fstat(g->fd, &st) < 0)
		return err_sys(e, E_TARGET, errno, "looking at it");
	/* an image that was written to the same disk may have left it so; blocks here are not
	 * aligned */
	fcntl(g->fd, F_SETFL, fcntl(g->fd, F_GETFL) & ~O_DIRECT);
	if (S_ISREG(st.st_mode))
		bytes = (uint64_t)st.st_size;
	else if (ioctl(g->fd, BLKGETSIZE64, &bytes) < 0 || ioctl(g->fd, BLKSSZGET, &block) < 0)
		return err_sys(e, E_TARGET, errno, "asking for its size");
	g->block = (size_t)block;
	g->blocks = bytes / g->block;
	if (g->block > 4096 || g->blocks < 6)
		return err_set(e, E_TARGET, EINVAL, "it is no disk with a partition table");
	return 0;
}

/* where the first copy is damaged the second one is looked for at the end of the disk */
static int read_copies(struct gpt *g, struct err *e)
{
	uint64_t other = g->blocks - 1;
	int rc = read_copy(g, &g->first, 1, e);

	if (rc < 0)
		return rc;
	if (g->first.whole && le64toh(head_of(&g->first).other) < g->blocks)
		other = le64toh(head_of(&g->first).other);
	if (other == 1)
		other = g->blocks - 1;
	rc = read_copy(g, &g->second, other, e);
	if (rc < 0)
		return rc;
	if (!g->first.whole && !g->second.whole)
		return err_set(e, E_TARGET, EINVAL,
			       "it has no partition table (GPT) that is whole");
	return 0;
}

static bool same_shape(const struct copy *a, const struct copy *b)
{
	struct head x = head_of(a), y = head_of(b);

	return !a->whole || !b->whole || (x.count == y.count && x.entry_size == y.entry_size);
}

static int open_table(struct gpt *g, struct err *e)
{
	struct head h;
	int rc = measure(g, e);

	if (rc == 0)
		rc = read_copies(g, e);
	if (rc < 0)
		return rc;
	g->counts = g->first.whole ? &g->first : &g->second;
	if (!same_shape(&g->first, &g->second))
		g->second.whole = false; /* of an earlier table: it is made anew */
	h = head_of(g->counts);
	g->table_size = ((size_t)le32toh(h.count) * le32toh(h.entry_size) + g->block - 1) /
			g->block * g->block;
	g->before = malloc(g->table_size);
	if (!g->before)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a partition table");
	memcpy(g->before, g->counts->table, g->table_size);
	return 0;
}

int gpt_open(struct gpt **out, int fd, struct err *e)
{
	struct gpt *g = calloc(1, sizeof(*g));
	int rc;

	*out = NULL;
	if (!g)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a partition table");
	g->fd = fd;
	rc = open_table(g, e);
	if (rc < 0) {
		gpt_close(g);
		return rc;
	}
	*out = g;
	return 0;
}

struct gpt *gpt_close(struct gpt *g)
{
	if (g) {
		free(g->first.head);
		free(g->first.table);
		free(g->second.head);
		free(g->second.table);
		free(g->before);
		free(g);
	}
	return NULL;
}

/* ---- entries ---- */

static size_t entry_count(const struct gpt *g)
{
	return le32toh(head_of(g->counts).count);
}

static struct entry_head *entry_at(const struct gpt *g, uint8_t *table, size_t i)
{
	return (struct entry_head *)(table + i * le32toh(head_of(g->counts).entry_size));
}

static bool is_used(const struct entry_head *p)
{
	static const uint8_t none[16];

	return memcmp(p->type, none, sizeof(none)) != 0;
}

/* UTF-8 to the units of the table; false when it does not fit or is none */
static bool name_of(const char *text, uint8_t out[GPT_NAME])
{
	const uint8_t *at = (const uint8_t *)text;
	size_t n = 0;

	memset(out, 0, GPT_NAME);
	while (*at) {
		size_t more = *at < 0x80 ? 0 : *at >= 0xf0 ? 3 : *at >= 0xe0 ? 2 : 1;
		uint32_t c = more ? *at & (0x3fu >> more) : *at;
		uint16_t units[2];
		size_t count = 1;

		for (at++; more; more--, at++) {
			if ((*at & 0xc0) != 0x80)
				return false;
			c = c << 6 | (*at & 0x3fu);
		}
		units[0] = (uint16_t)c;
		if (c > 0xffff) {
			units[0] = (uint16_t)(0xd800 + ((c - 0x10000) >> 10));
			units[1] = (uint16_t)(0xdc00 + (c & 0x3ff));
			count = 2;
		}
		if (n + count > NAME_UNITS)
			return false;
		for (size_t i = 0; i < count; i++, n++) {
			out[2 * n] = (uint8_t)(units[i] & 0xff);
			out[2 * n + 1] = (uint8_t)(units[i] >> 8);
		}
	}
	return n > 0;
}

/* for messages only */
static void list_names(const struct gpt *g, char *out, size_t n)
{
	size_t at = 0;

	*out = '\0';
	for (size_t i = 0; i < entry_count(g); i++) {
		const struct entry_head *p = entry_at(g, g->counts->table, i);

		if (!is_used(p) || at + NAME_UNITS + 3 > n)
			continue;
		if (at)
			at += (size_t)snprintf(out + at, n - at, ", ");
		for (size_t k = 0; k < NAME_UNITS && (p->name[2 * k] || p->name[2 * k + 1]); k++) {
			bool plain = !p->name[2 * k + 1] && p->name[2 * k] > ' ' &&
				     p->name[2 * k] < 0x7f;

			out[at++] = plain ? (char)p->name[2 * k] : '?';
		}
		out[at] = '\0';
	}
}

static int find_name(const struct gpt *g, const char *text, struct entry_head **found,
		     struct err *e)
{
	char shown[128], names[400];
	uint8_t name[GPT_NAME];

	*found = NULL;
	text_printable(text, strlen(text), shown, sizeof(shown));
	if (!name_of(text, name))
		return err_set(e, E_TARGET, EINVAL, "'%s' cannot be the name of a partition",
			       shown);
	for (size_t i = 0; i < entry_count(g); i++) {
		struct entry_head *p = entry_at(g, g->counts->table, i);

		if (!is_used(p) || memcmp(p->name, name, GPT_NAME) != 0)
			continue;
		if (*found)
			return err_set(e, E_TARGET, EEXIST, "two partitions have the name '%s'",
				       shown);
		*found = p;
	}
	if (*found)
		return 0;
	list_names(g, names, sizeof(names));
	err_fix(e, "name two partitions that there are (lsblk -o NAME,PARTLABEL)");
	return err_set(e, E_TARGET, ENOENT, "no partition has the name '%s', there are: %s", shown,
		       names);
}

int gpt_swap(struct gpt *g, const char *a, const char *b, struct err *e)
{
	struct entry_head *x, *y;
	uint8_t name[GPT_NAME];
	int rc = find_name(g, a, &x, e);

	if (rc == 0)
		rc = find_name(g, b, &y, e);
	if (rc < 0)
		return rc;
	memcpy(name, x->name, GPT_NAME);
	memcpy(x->name, y->name, GPT_NAME);
	memcpy(y->name, name, GPT_NAME);
	return 0;
}

size_t gpt_changes(const struct gpt *g, struct gpt_change *out, size_t most)
{
	size_t n = 0;

	for (size_t i = 0; i < entry_count(g); i++) {
		const struct entry_head *was = entry_at(g, g->before, i);
		const struct entry_head *is = entry_at(g, g->counts->table, i);

		if (memcmp(was->name, is->name, GPT_NAME) == 0)
			continue;
		if (n < most) {
			memcpy(out[n].id, is->id, GPT_ID);
			memcpy(out[n].old_name, was->name, GPT_NAME);
			memcpy(out[n].new_name, is->name, GPT_NAME);
		}
		n++;
	}
	return n;
}

static struct entry_head *find_id(const struct gpt *g, const uint8_t id[GPT_ID])
{
	for (size_t i = 0; i < entry_count(g); i++) {
		struct entry_head *p = entry_at(g, g->counts->table, i);

		if (is_used(p) && memcmp(p->id, id, GPT_ID) == 0)
			return p;
	}
	return NULL;
}

enum gpt_names gpt_look(const struct gpt *g, const struct gpt_change *c, size_t n)
{
	size_t old = 0, new = 0;

	for (size_t i = 0; i < n; i++) {
		const struct entry_head *p = find_id(g, c[i].id);

		old += p && memcmp(p->name, c[i].old_name, GPT_NAME) == 0;
		new += p &&memcmp(p->name, c[i].new_name, GPT_NAME) == 0;
	}
	return n && new == n ? GPT_NEW : old == n ? GPT_OLD : GPT_OTHER;
}

/* ---- writing ---- */

/* the entries first: a header that fits them says that the copy is whole */
static int write_copy(const struct gpt *g, const struct copy *c, struct err *e)
{
	struct head h = head_of(c);
	int rc = sys_pwrite(g->fd, c->table, g->table_size, le64toh(h.table) * g->block);

	if (rc == 0)
		rc = sys_pwrite(g->fd, c->head, g->block, c->block * g->block);
	if (rc < 0)
		return err_sys(e, E_TARGET_WRITE, -rc, "writing the partition table");
	rc = sys_fsync(g->fd);
	if (rc < 0)
		return err_sys(e, E_TARGET_FLUSH, -rc, "flushing the partition table");
	posix_fadvise(g->fd, 0, 0, POSIX_FADV_DONTNEED); /* what is read back is the medium's */
	return 0;
}

/* where the other copy lies when it cannot say so itself */
static uint64_t table_of(const struct gpt *g, const struct copy *c)
{
	if (c->whole)
		return le64toh(head_of(c).table);
	return c == &g->first ? 2 : c->block - g->table_size / g->block;
}

/* both copies say what the one that counts says in memory */
static int seal(struct gpt *g, struct copy *c, uint64_t other, struct err *e)
{
	struct head h = head_of(g->counts);
	uint64_t table = table_of(g, c), blocks = g->table_size / g->block;

	if (table + blocks > le64toh(h.first) && table <= le64toh(h.last))
		return err_set(e, E_TARGET, ENOSPC,
			       "there is no room for the second copy of its partition table");
	if (!c->whole) {
		free(c->table);
		c->table = malloc(g->table_size);
	}
	if (!c->table)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a partition table");
	if (c != g->counts) {
		memcpy(c->table, g->counts->table, g->table_size);
		memcpy(c->head, g->counts->head, g->block);
	}
	h.here = htole64(c->block);
	h.other = htole64(other);
	h.table = htole64(table);
	h.table_crc = htole32(crc32_of(c->table, (size_t)le32toh(h.count) * le32toh(h.entry_size)));
	memcpy(c->head, &h, sizeof(h));
	h.crc = htole32(head_crc(g, c));
	memcpy(c->head, &h, sizeof(h));
	return 0;
}

/* the second copy of a grown disk stays where the first one says */
static int write_both(struct gpt *g, struct err *e)
{
	struct copy *last = g->counts, *begin = last == &g->first ? &g->second : &g->first;
	int rc = seal(g, last, begin->block, e);

	if (rc == 0)
		rc = seal(g, begin, last->block, e);
	if (rc == 0)
		rc = write_copy(g, begin, e);
	return rc < 0 ? rc : write_copy(g, last, e);
}

static bool both_are(const struct gpt *g, const struct gpt_change *c, size_t n,
		     enum gpt_names which)
{
	return g->first.whole && g->second.whole && gpt_look(g, c, n) == which &&
	       le32toh(head_of(&g->first).table_crc) == le32toh(head_of(&g->second).table_crc);
}

static int check_both(const struct gpt *g, const struct gpt_change *c, size_t n,
		      enum gpt_names which, struct err *e)
{
	struct gpt *now;
	int rc = gpt_open(&now, g->fd, e);

	if (rc < 0)
		return rc;
	if (!both_are(now, c, n, which))
		rc = err_set(e, E_TARGET_WRITE, EIO,
			     "the partition table did not read back as it was written");
	gpt_close(now);
	return rc;
}

int gpt_set(struct gpt *g, const struct gpt_change *c, size_t n, enum gpt_names which,
	    struct err *e)
{
	memcpy(g->counts->table, g->before, g->table_size);
	if (both_are(g, c, n, which))
		return 0;
	if (gpt_look(g, c, n) == GPT_OTHER)
		return err_set(e, E_TARGET, ESTALE,
			       "its partitions are not those whose names were to be changed");
	for (size_t i = 0; i < n; i++)
		memcpy(find_id(g, c[i].id)->name, which == GPT_NEW ? c[i].new_name : c[i].old_name,
		       GPT_NAME);
	int rc = write_both(g, e);
	return rc < 0 ? rc : check_both(g, c, n, which, e);
}
