#include "handlers/mkfs.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "corelib/process/process.h"

#define DEVICE "/proc/self/fd/0"
#define BLOCK  4096

struct kind {
	const char *fstype, *program;
	const char *quiet[3]; /* options that keep it from asking */
	const char *label;    /* the option */
	size_t label_max;
	/* what marks one: bytes at an offset */
	uint32_t at;
	const char *mark;
	size_t mark_len;
};

#define EXT(name)                                                                                  \
	{                                                                                          \
		.fstype = name, .program = "mkfs." name, .quiet = {"-q", "-F"}, .label = "-L",     \
		.label_max = 16, .at = 1024 + 56, .mark = "\x53\xef", .mark_len = 2                \
	}

static const struct kind kinds[] = {
	EXT("ext4"),
	EXT("ext3"),
	EXT("ext2"),
	{.fstype = "vfat",
	 .program = "mkfs.vfat",
	 .quiet = {"-I"},
	 .label = "-n",
	 .label_max = 11,
	 .at = 510,
	 .mark = "\x55\xaa",
	 .mark_len = 2},
	{.fstype = "btrfs",
	 .program = "mkfs.btrfs",
	 .quiet = {"-q", "-f"},
	 .label = "-L",
	 .label_max = 255,
	 .at = 65536 + 64,
	 .mark = "_BHRfS_M",
	 .mark_len = 8},
};

static const struct kind *find_kind(const char *fstype)
{
	for (size_t i = 0; fstype && i < ARRAY_SIZE(kinds); i++)
		if (strcmp(kinds[i].fstype, fstype) == 0)
			return &kinds[i];
	return NULL;
}

static int find_program(const char *name, char *path, size_t n)
{
	static const char *const folders[] = {"/usr/sbin", "/sbin", "/usr/bin", "/bin"};

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (text_print(path, n, "%s/%s", folders[i], name) == 0 && access(path, X_OK) == 0)
			return 0;
	return -ENOENT;
}

int mkfs_check(const struct mkfs *m, struct err *e)
{
	const struct kind *k = find_kind(m->fstype);
	char path[128];

	if (!k)
		return err_set(e, E_PROPERTY, EINVAL,
			       "fstype is '%s'; it can be ext4, ext3, ext2, vfat or btrfs",
			       m->fstype ? m->fstype : "");
	if (m->label && (strlen(m->label) > k->label_max || m->label[0] == '-'))
		return err_set(e, E_PROPERTY, EINVAL,
			       "'%s' cannot be the label of a file system %s: %u bytes at most",
			       m->label, k->fstype, (unsigned)k->label_max);
	if (find_program(k->program, path, sizeof(path)) == 0)
		return 0;
	err_fix(e, "put %s (%s) on the device", k->program,
		strcmp(k->fstype, "vfat") == 0	  ? "dosfstools"
		: strcmp(k->fstype, "btrfs") == 0 ? "btrfs-progs"
						  : "e2fsprogs");
	return err_set(e, E_HANDLER, ENOENT, "the program %s is not here", k->program);
}

/* the mark of FAT is in every sector 0 that is ever started from: its name has to stand there too
 */
static bool is_fat(const uint8_t *sector)
{
	return memcmp(sector + 54, "FAT", 3) == 0 || memcmp(sector + 82, "FAT32", 5) == 0;
}

int mkfs_is_there(int fd, const char *fstype, struct err *e)
{
	const struct kind *k = find_kind(fstype);
	_Alignas(BLOCK) uint8_t block[BLOCK]; /* the device may be open for direct access */
	ssize_t n;

	if (!k)
		return 0;
	n = sys_pread(fd, block, sizeof(block), k->at / BLOCK * BLOCK);
	if (n < 0)
		return err_sys(e, E_TARGET_READ, (int)-n, "looking for a file system");
	if ((size_t)n < sizeof(block) || memcmp(block + k->at % BLOCK, k->mark, k->mark_len) != 0)
		return 0;
	return strcmp(fstype, "vfat") != 0 || is_fat(block);
}

static void output(void *host, const struct process_line *l)
{
	struct host *h = host;

	h->ops->say(h, l->from == 2 ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, l->text);
}

int mkfs_make(const struct mkfs *m, int fd, const char *name, struct host *h, struct err *e)
{
	const struct kind *k = find_kind(m->fstype);
	const char *argv[8] = {0};
	struct process p = {.argv = argv,
			    .exec_fd = -1,
			    .stdin_fd = fd,
			    .cancel = h->cancel,
			    .whole = true,
			    .line = output,
			    .arg = h};
	char path[128];
	size_t n = 0;
	int rc = m->force ? 0 : mkfs_is_there(fd, m->fstype, e);

	if (rc != 0)
		return rc < 0 ? err_at(e, rc, "%s", name) : 0;
	if (!k || find_program(k->program, path, sizeof(path)) < 0)
		return err_set(e, E_HANDLER, ENOENT, "the program for '%s' is not here", m->fstype);
	argv[n++] = path;
	for (size_t i = 0; i < ARRAY_SIZE(k->quiet) && k->quiet[i]; i++)
		argv[n++] = k->quiet[i];
	if (m->label) {
		argv[n++] = k->label;
		argv[n++] = m->label;
	}
	argv[n] = DEVICE;
	rc = process_run(&p, e);
	if (rc == 0) {
		rc = sys_fsync(fd);
		if (rc < 0)
			err_sys(e, E_TARGET_FLUSH, -rc, "flushing the new file system");
	}
	return err_at(e, err_while(e, rc, "making a file system %s", m->fstype), "%s", name);
}
