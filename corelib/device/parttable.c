#include "corelib/device/parttable.h"

#include <errno.h>
#include <fcntl.h>
#include <libfdisk/libfdisk.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

enum {
	EDGE = 1024 * 1024, /* tables lie within so much of either end of a disk */
	BOOT_CODE = 440,    /* of sector 0: the boot loader's, not the table's */
	ENTRIES_AT = 446,   /* four entries of 16 bytes in sector 0 */
	EXTENDED_MAX = 128, /* links of a chain of logical partitions */
	SECTOR_MAX = 4096,
};

/* ---- the shadow ---- */

static ssize_t shadow_read(int fd, void *buf, size_t n, uint64_t off)
{
	memset(buf, 0, n);
	return sys_pread(fd, buf, n, off);
}

/* from the medium, in the alignment that the device asks for; 'off' and 'n' are whole sectors */
static int copy_range(int shadow, struct blkdev *d, uint64_t off, uint64_t n, struct err *e)
{
	const uint64_t align = d->io_align > 1 ? d->io_align : 1;
	uint64_t at = off / align * align, end = (off + n + align - 1) / align * align;
	AUTO_FREE uint8_t *buf = NULL;

	if (end > d->size)
		end = d->size;
	if (posix_memalign((void **)&buf, SECTOR_MAX, EDGE) != 0)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a partition table");
	while (at < end) {
		size_t want = end - at < EDGE ? (size_t)(end - at) : EDGE;
		ssize_t got = d->ops->pread(d, buf, want, at, e);
		int rc;

		if (got < 0)
			return (int)got;
		if ((size_t)got < want)
			return err_set(e, E_TARGET_READ, EIO, "%s ends too early", d->name);
		rc = sys_pwrite(shadow, buf, want, at);
		if (rc < 0)
			return err_sys(e, E_SYS, -rc, "copying a partition table");
		at += want;
	}
	return 0;
}

static uint32_t le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static bool is_extended(const uint8_t *entry)
{
	return entry[4] == 0x05 || entry[4] == 0x0f || entry[4] == 0x85;
}

/* the records of logical partitions lie between the partitions: each names the next one */
static int copy_logical(int shadow, struct blkdev *d, uint32_t sector, struct err *e)
{
	uint8_t record[512];
	uint64_t base = 0, next = 0;

	if (shadow_read(shadow, record, sizeof(record), 0) < 0)
		return err_set(e, E_TARGET_READ, EIO, "the table of %s cannot be read", d->name);
	for (int i = 0; i < EXTENDED_MAX; i++) {
		const uint8_t *link = NULL;

		if (record[510] != 0x55 || record[511] != 0xaa)
			return 0;
		for (int k = 0; k < 4 && !link; k++)
			if (is_extended(record + ENTRIES_AT + 16 * k))
				link = record + ENTRIES_AT + 16 * k;
		if (!link)
			return 0;
		next = base + le32(link + 8);
		if (!base)
			base = next;
		if (!next || next >= d->size / sector)
			return 0;
		int rc = copy_range(shadow, d, next * sector, sector, e);
		if (rc < 0)
			return rc;
		if (shadow_read(shadow, record, sizeof(record), next * sector) < 0)
			return err_set(e, E_TARGET_READ, EIO, "the table of %s cannot be read",
				       d->name);
	}
	return 0;
}

static int make_shadow(uint64_t size, int *fd, struct err *e)
{
	int rc;

	*fd = memfd_create("partition table", MFD_CLOEXEC);
	if (*fd < 0)
		return err_sys(e, E_SYS, errno, "making memory for a partition table");
	rc = sys_ftruncate(*fd, size);
	if (rc < 0)
		return err_sys(e, E_SYS, -rc, "making memory for a partition table");
	return 0;
}

/* ---- libfdisk ---- */

static void cleanup_context(struct fdisk_context **c)
{
	fdisk_unref_context(*c);
}
#define AUTO_CONTEXT __attribute__((unused, cleanup(cleanup_context)))

static int open_context(struct fdisk_context **c, int shadow, uint32_t sector, bool look_only,
			struct err *e)
{
	int rc;

	*c = fdisk_new_context();
	if (!*c)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a partition table");
	fdisk_disable_dialogs(*c, 1);
	rc = fdisk_save_user_sector_size(*c, sector, sector);
	if (rc == 0)
		rc = fdisk_assign_device_by_fd(*c, shadow, "the disk", look_only);
	if (rc < 0)
		return err_sys(e, E_SYS, -rc, "reading a partition table");
	return 0;
}

static void take_text(char *to, size_t n, const char *from)
{
	if (from)
		text_copy(to, n, from);
}

static int take_partition(struct parttable *t, struct fdisk_partition *pa, struct err *e)
{
	struct fdisk_parttype *type = fdisk_partition_get_type(pa);
	struct partition *p;

	if (!fdisk_partition_is_used(pa) || !fdisk_partition_has_start(pa) ||
	    !fdisk_partition_has_size(pa))
		return 0;
	if (t->count == PARTTABLE_MAX)
		return err_set(e, E_TARGET, E2BIG, "the disk has more than %d partitions",
			       (int)PARTTABLE_MAX);
	p = &t->parts[t->count++];
	p->number = (unsigned)fdisk_partition_get_partno(pa) + 1;
	p->start = fdisk_partition_get_start(pa) * t->sector;
	p->size = fdisk_partition_get_size(pa) * t->sector;
	take_text(p->name, sizeof(p->name), fdisk_partition_get_name(pa));
	take_text(p->uuid, sizeof(p->uuid), fdisk_partition_get_uuid(pa));
	if (type && t->kind == PARTTABLE_GPT)
		take_text(p->type, sizeof(p->type), fdisk_parttype_get_string(type));
	else if (type)
		text_print(p->type, sizeof(p->type), "%02x", fdisk_parttype_get_code(type));
	p->boot = t->kind == PARTTABLE_DOS && fdisk_partition_is_bootable(pa) == 1;
	return 0;
}

/* types of the partitions that sector 0 names beside a GPT */
static int take_hybrid(struct parttable *t, struct err *e)
{
	uint8_t record[512];

	if (shadow_read(t->shadow, record, sizeof(record), 0) < 0)
		return err_set(e, E_TARGET_READ, EIO, "sector 0 cannot be read");
	for (int k = 0; k < 4; k++) {
		const uint8_t *at = record + ENTRIES_AT + 16 * k;

		for (size_t i = 0; i < t->count && at[4] != 0 && at[4] != 0xee; i++)
			if (t->parts[i].start == (uint64_t)le32(at + 8) * t->sector)
				text_print(t->parts[i].dos_type, sizeof(t->parts[i].dos_type),
					   "%02x", at[4]);
	}
	return 0;
}

static int by_number(const void *x, const void *y)
{
	const struct partition *a = x, *b = y;

	return a->number < b->number ? -1 : a->number > b->number;
}

/* what the shadow says */
static int take_table(struct parttable *t, struct err *e)
{
	AUTO_CONTEXT struct fdisk_context *c = NULL;
	struct fdisk_table *table = NULL;
	AUTO_FREE char *id = NULL;
	int rc = open_context(&c, t->shadow, t->sector, true, e);

	if (rc < 0)
		return rc;
	if (!fdisk_has_label(c))
		return 0;
	if (fdisk_is_label(c, GPT))
		t->kind = PARTTABLE_GPT;
	else if (fdisk_is_label(c, DOS))
		t->kind = PARTTABLE_DOS;
	else
		return 0;
	t->usable = fdisk_get_first_lba(c) * t->sector;
	t->usable_end = (fdisk_get_last_lba(c) + 1) * t->sector;
	t->room = (uint32_t)fdisk_get_npartitions(c);
	if (fdisk_get_disklabel_id(c, &id) == 0)
		take_text(t->id, sizeof(t->id), id);
	rc = fdisk_get_partitions(c, &table);
	if (rc < 0)
		return err_sys(e, E_TARGET_READ, -rc, "reading a partition table");
	for (size_t i = 0; rc == 0 && i < fdisk_table_get_nents(table); i++)
		rc = take_partition(t, fdisk_table_get_partition(table, i), e);
	fdisk_unref_table(table);
	qsort(t->parts, t->count, sizeof(t->parts[0]), by_number);
	return rc < 0 || t->kind != PARTTABLE_GPT ? rc : take_hybrid(t, e);
}

static int new_table(struct parttable **t, uint64_t size, uint32_t sector, struct err *e)
{
	*t = calloc(1, sizeof(**t));
	if (!*t)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a partition table");
	(*t)->sector = sector;
	(*t)->size = size / sector * sector;
	(*t)->shadow = -1;
	return make_shadow((*t)->size, &(*t)->shadow, e);
}

uint32_t parttable_sector(const struct blkdev *d)
{
	int n = 0;

	if (d->fd < 0 || ioctl(d->fd, BLKSSZGET, &n) < 0 || n < 512 || n > SECTOR_MAX)
		return 512;
	return (uint32_t)n;
}

int parttable_read(struct parttable **out, struct blkdev *d, uint32_t sector, struct err *e)
{
	AUTO_PARTTABLE struct parttable *t = NULL;
	uint64_t tail;
	int rc;

	if (!d->has_size || !d->ops->pread || d->size < 2 * SECTOR_MAX)
		return err_set(e, E_TARGET, EINVAL, "%s cannot hold a partition table", d->name);
	rc = new_table(&t, d->size, sector, e);
	if (rc < 0)
		return rc;
	tail = t->size > EDGE ? t->size - EDGE : 0;
	rc = copy_range(t->shadow, d, 0, t->size < EDGE ? t->size : EDGE, e);
	if (rc == 0 && tail)
		rc = copy_range(t->shadow, d, tail, EDGE, e);
	if (rc == 0)
		rc = copy_logical(t->shadow, d, sector, e);
	if (rc == 0)
		rc = take_table(t, e);
	if (rc < 0)
		return err_at(e, rc, "%s", d->name);
	*out = t;
	t = NULL;
	return 0;
}

/* ---- a new table ---- */

static bool is_guid(const char *s)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	for (size_t i = 0; i < sizeof(form); i++)
		if (form[i] == 'x' ? text_hex_digit(s[i]) < 0 : s[i] != form[i])
			return false;
	return true;
}

static int set_type(struct fdisk_context *c, struct fdisk_partition *pa, const char *text,
		    struct err *e)
{
	struct fdisk_parttype *type;
	int rc;

	if (!*text)
		return 0;
	type = fdisk_label_parse_parttype(fdisk_get_label(c, NULL), text);
	/* libfdisk makes a type of any word */
	if (!type ||
	    (fdisk_parttype_is_unknown(type) && fdisk_is_label(c, GPT) && !is_guid(text))) {
		fdisk_unref_parttype(type);
		return err_set(e, E_PROPERTY, EINVAL, "'%s' is no type of a partition", text);
	}
	rc = fdisk_partition_set_type(pa, type);
	fdisk_unref_parttype(type);
	return rc < 0 ? err_sys(e, E_PROPERTY, -rc, "the type '%s' of a partition", text) : 0;
}

static int fill_partition(struct fdisk_context *c, struct fdisk_partition *pa,
			  const struct partition *p, const char *uuid, struct err *e)
{
	const unsigned long sector = fdisk_get_sector_size(c);
	int rc;

	if (*uuid && !is_guid(uuid))
		return err_set(e, E_PROPERTY, EINVAL, "'%s' is no uuid of a partition", uuid);
	rc = fdisk_partition_set_partno(pa, p->number - 1);
	if (rc == 0)
		rc = p->start ? fdisk_partition_set_start(pa, p->start / sector)
			      : fdisk_partition_start_follow_default(pa, 1);
	if (rc == 0)
		rc = p->size ? fdisk_partition_set_size(pa, p->size / sector)
			     : fdisk_partition_end_follow_default(pa, 1);
	if (rc == 0 && p->size)
		rc = fdisk_partition_size_explicit(pa, 1);
	if (rc == 0 && *p->name)
		rc = fdisk_partition_set_name(pa, p->name);
	if (rc == 0 && *uuid)
		rc = fdisk_partition_set_uuid(pa, uuid);
	if (rc < 0)
		return err_sys(e, E_PROPERTY, -rc, "describing partition %u", p->number);
	return set_type(c, pa, p->type, e);
}

static int add_partition(struct fdisk_context *c, const struct partition *p, const char *uuid,
			 struct err *e)
{
	struct fdisk_partition *pa = fdisk_new_partition();
	int rc;

	if (!pa)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a partition");
	rc = fill_partition(c, pa, p, uuid, e);
	if (rc == 0) {
		rc = fdisk_add_partition(c, pa, NULL);
		if (rc < 0)
			rc = err_set(e, E_TARGET_SMALL, -rc, "partition %u does not fit: %s",
				     p->number, strerror(-rc));
	}
	fdisk_unref_partition(pa);
	if (rc == 0 && p->boot && fdisk_is_label(c, DOS) &&
	    fdisk_toggle_partition_flag(c, p->number - 1, DOS_FLAG_ACTIVE) < 0)
		return err_set(e, E_PROPERTY, EINVAL, "partition %u cannot be the active one",
			       p->number);
	return rc;
}

const struct partition *parttable_find(const struct parttable *t, unsigned number)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->parts[i].number == number)
			return &t->parts[i];
	return NULL;
}

/* other programs name a partition by its uuid: one that stays where it is keeps it */
static const char *uuid_for(const struct partition *p, const struct parttable *old)
{
	const struct partition *was =
		old->kind == PARTTABLE_GPT ? parttable_find(old, p->number) : NULL;

	if (*p->uuid || !was || !p->start || was->start != p->start)
		return p->uuid;
	return was->uuid;
}

/* the entry that protects the GPT covers the disk: it has to end where the first partition begins
 */
static int shorten_protection(struct fdisk_context *dos, uint64_t end, struct err *e)
{
	struct fdisk_partition *pa = fdisk_new_partition();
	int rc = pa ? fdisk_partition_set_size(pa, end / fdisk_get_sector_size(dos) - 1) : -ENOMEM;

	if (rc == 0)
		rc = fdisk_partition_size_explicit(pa, 1);
	if (rc == 0)
		rc = fdisk_set_partition(dos, 0, pa);
	fdisk_unref_partition(pa);
	return rc < 0 ? err_sys(e, E_PROPERTY, -rc, "making the hybrid record") : 0;
}

/* up to three partitions of the GPT stand in sector 0 too, for boot loaders that know nothing else
 */
static int add_hybrid(struct fdisk_context *c, const struct parttable *wanted, struct err *e)
{
	struct fdisk_context *dos = fdisk_new_nested_context(c, "dos");
	unsigned n = 0;
	int rc = dos ? 0 : err_set(e, E_MEMORY, ENOMEM, "no memory for a partition table");

	for (size_t i = 0; rc == 0 && i < wanted->count; i++) {
		struct partition in = wanted->parts[i];
		struct fdisk_partition *made = NULL;

		if (!*in.dos_type)
			continue;
		if (++n > PARTTABLE_HYBRID_MAX) {
			rc = err_set(e, E_PROPERTY, E2BIG,
				     "at most %d partitions can have a dostype",
				     (int)PARTTABLE_HYBRID_MAX);
			break;
		}
		if (fdisk_get_partition(c, in.number - 1, &made) == 0) {
			in.start = fdisk_partition_get_start(made) * fdisk_get_sector_size(c);
			in.size = fdisk_partition_get_size(made) * fdisk_get_sector_size(c);
			fdisk_unref_partition(made);
		}
		/* entry 1 stays the protective one */
		in.number = n + 1;
		in.name[0] = '\0';
		text_copy(in.type, sizeof(in.type), in.dos_type);
		rc = n == 1 ? shorten_protection(dos, in.start, e) : 0;
		if (rc == 0)
			rc = add_partition(dos, &in, "", e);
	}
	if (rc == 0 && n) {
		rc = fdisk_write_disklabel(dos);
		if (rc < 0)
			rc = err_sys(e, E_PROPERTY, -rc, "making the hybrid record");
	}
	fdisk_unref_context(dos);
	return rc;
}

/* the boot loader in sector 0 stays; what marks a GPT goes where there is none any more */
static int finish_edges(struct parttable *t, const struct parttable *old, struct err *e)
{
	const uint64_t marks[] = {t->sector, t->size - t->sector};
	uint8_t was[SECTOR_MAX], now[SECTOR_MAX];
	int rc = 0;

	if (shadow_read(old->shadow, was, t->sector, 0) < 0 ||
	    shadow_read(t->shadow, now, t->sector, 0) < 0)
		return err_set(e, E_SYS, EIO, "copying sector 0");
	memcpy(now, was, BOOT_CODE);
	rc = sys_pwrite(t->shadow, now, t->sector, 0);
	for (size_t i = 0; rc == 0 && t->kind != PARTTABLE_GPT && i < ARRAY_SIZE(marks); i++) {
		if (shadow_read(t->shadow, now, t->sector, marks[i]) < 0)
			return err_set(e, E_SYS, EIO, "copying the end of a table");
		if (memcmp(now, "EFI PART", 8) != 0)
			continue;
		memset(now, 0, t->sector);
		rc = sys_pwrite(t->shadow, now, t->sector, marks[i]);
	}
	return rc < 0 ? err_sys(e, E_SYS, -rc, "writing to memory") : 0;
}

static int fill_shadow(struct parttable *t, const struct parttable *wanted,
		       const struct parttable *old, struct err *e)
{
	AUTO_CONTEXT struct fdisk_context *c = NULL;
	int rc = open_context(&c, t->shadow, t->sector, false, e);

	if (rc < 0)
		return rc;
	rc = fdisk_create_disklabel(c, wanted->kind == PARTTABLE_GPT ? "gpt" : "dos");
	if (rc == 0 && old->kind == wanted->kind && *old->id)
		rc = fdisk_set_disklabel_id_from_string(c, old->id);
	/* a short table makes room for a boot loader: some processors start it from 8 KiB on */
	if (rc == 0 && old->kind == wanted->kind && wanted->kind == PARTTABLE_GPT)
		rc = fdisk_gpt_set_npartitions(c, old->room);
	if (rc < 0)
		return err_sys(e, E_TARGET, -rc, "making a new partition table");
	for (size_t i = 0; rc == 0 && i < wanted->count; i++)
		rc = add_partition(c, &wanted->parts[i], uuid_for(&wanted->parts[i], old), e);
	if (rc < 0)
		return rc;
	rc = fdisk_write_disklabel(c);
	if (rc < 0)
		return err_sys(e, E_TARGET, -rc, "making a new partition table");
	return wanted->kind == PARTTABLE_GPT ? add_hybrid(c, wanted, e) : 0;
}

/* the edges of the old disk, so that only what changes differs */
static int copy_edges(struct parttable *t, const struct parttable *old, struct err *e)
{
	AUTO_FREE uint8_t *buf = malloc(EDGE);
	const uint64_t ends[] = {0, t->size > EDGE ? t->size - EDGE : 0};

	if (!buf)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a partition table");
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		size_t n = t->size < EDGE ? (size_t)t->size : EDGE;

		if (shadow_read(old->shadow, buf, n, ends[i]) < 0 ||
		    sys_pwrite(t->shadow, buf, n, ends[i]) < 0)
			return err_set(e, E_SYS, EIO, "copying a partition table");
	}
	return 0;
}

/* Other programs can move the entries (sgdisk -j) out of the way of a boot loader; libfdisk puts
 * them right behind the header, where that lies */
static int check_moved(const struct parttable *t, const struct parttable *old, struct err *e)
{
	uint8_t head[SECTOR_MAX];

	if (old->kind != PARTTABLE_GPT || t->kind != PARTTABLE_GPT || parttable_same(t, old))
		return 0;
	if (shadow_read(old->shadow, head, t->sector, t->sector) < 0)
		return err_set(e, E_SYS, EIO, "reading the head of a table");
	if (memcmp(head, "EFI PART", 8) != 0 || (le32(head + 72) == 2 && le32(head + 76) == 0))
		return 0;
	return err_set(e, E_TARGET, ENOTSUP,
		       "the entries of its partition table do not lie behind the header, and a new "
		       "table would write over what does");
}

/* libfdisk takes less where there is not enough */
static int check_made(const struct parttable *t, const struct parttable *wanted, struct err *e)
{
	for (size_t i = 0; i < wanted->count; i++) {
		const struct partition *w = &wanted->parts[i];
		const struct partition *p = parttable_find(t, w->number);

		if (!p || (w->start && p->start != w->start) ||
		    (w->size && p->size != w->size / t->sector * t->sector))
			return err_set(e, E_TARGET_SMALL, ENOSPC,
				       "partition %u does not fit where it is wanted", w->number);
	}
	return 0;
}

int parttable_make(struct parttable **out, const struct parttable *wanted,
		   const struct parttable *old, struct err *e)
{
	AUTO_PARTTABLE struct parttable *t = NULL;
	int rc = new_table(&t, old->size, old->sector, e);

	if (rc < 0)
		return rc;
	t->kind = wanted->kind;
	rc = copy_edges(t, old, e);
	if (rc == 0)
		rc = fill_shadow(t, wanted, old, e);
	if (rc == 0)
		rc = finish_edges(t, old, e);
	if (rc == 0)
		rc = take_table(t, e);
	if (rc == 0)
		rc = check_made(t, wanted, e);
	if (rc == 0)
		rc = check_moved(t, old, e);
	if (rc < 0)
		return rc;
	*out = t;
	t = NULL;
	return 0;
}

static bool same_partition(const struct partition *a, const struct partition *b)
{
	return a->number == b->number && a->start == b->start && a->size == b->size &&
	       strcmp(a->name, b->name) == 0 && strcasecmp(a->type, b->type) == 0 &&
	       strcasecmp(a->uuid, b->uuid) == 0 && strcmp(a->dos_type, b->dos_type) == 0 &&
	       a->boot == b->boot;
}

bool parttable_same(const struct parttable *a, const struct parttable *b)
{
	if (a->kind != b->kind || a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!same_partition(&a->parts[i], &b->parts[i]))
			return false;
	return true;
}

struct parttable *parttable_free(struct parttable *t)
{
	if (!t)
		return NULL;
	cleanup_close(&t->shadow);
	free(t);
	return NULL;
}

void cleanup_parttable(struct parttable **t)
{
	parttable_free(*t);
}
