/* Who mounts "/"? The kernel's table of mounts knows the device, its name comes from sysfs. */
#include "core/cli/rootdev.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define FILE_MAX (1024u * 1024)

static int read_text(const char *file, char **text)
{
	char path[512];
	int rc = sys_path(file, path, sizeof(path));

	return rc < 0 ? rc : sys_read_file(AT_FDCWD, path, FILE_MAX, text, NULL);
}

struct mount {
	char number[32], source[256];
};

/* "36 35 98:0 / / rw,noatime - ext4 /dev/root rw": fields of one line; true when it mounts "/" */
static bool parse_mount(char *line, struct mount *m)
{
	char *rest = NULL, *word, *dash = strstr(line, " - ");
	bool is_root = false;

	if (!dash)
		return false;
	*dash = '\0';
	for (unsigned i = 0; (word = strtok_r(i ? NULL : line, " ", &rest)); i++) {
		if (i == 2 && text_copy(m->number, sizeof(m->number), word) < 0)
			return false;
		if (i == 4)
			is_root = strcmp(word, "/") == 0;
	}
	word = strtok_r(dash + 3, " ", &rest);
	word = word ? strtok_r(NULL, " ", &rest) : NULL;
	return is_root && word && text_copy(m->source, sizeof(m->source), word) == 0;
}

/* the last one counts: it lies over those before */
static bool find_mount(struct mount *m)
{
	AUTO_FREE char *text = NULL;
	char *rest = NULL;
	bool found = false;

	if (read_text("/proc/self/mountinfo", &text) < 0)
		return false;
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		struct mount one;

		if (!parse_mount(line, &one))
			continue;
		*m = one;
		found = true;
	}
	return found;
}

/* DEVNAME=mmcblk0p2 */
static bool name_of_number(const char *number, char *out, size_t n)
{
	AUTO_FREE char *text = NULL;
	char path[128];
	const char *name;

	if (text_print(path, sizeof(path), "/sys/dev/block/%s/uevent", number) < 0 ||
	    read_text(path, &text) < 0)
		return false;
	name = strstr(text, "DEVNAME=");
	if (!name)
		return false;
	name += strlen("DEVNAME=");
	return text_print(out, n, "/dev/%.*s", (int)strcspn(name, "\n"), name) == 0;
}

/* root= of the kernel's command line, when it is a path */
static bool name_of_kernel(char *out, size_t n)
{
	AUTO_FREE char *text = NULL;
	char *rest = NULL;

	if (read_text("/proc/cmdline", &text) < 0)
		return false;
	for (char *word = strtok_r(text, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest))
		if (strncmp(word, "root=/dev/", 10) == 0)
			return text_copy(out, n, word + 5) == 0;
	return false;
}

int rootdev_find(char *out, size_t n, struct err *e)
{
	struct mount m;

	if (find_mount(&m)) {
		if (name_of_number(m.number, out, n))
			return 0;
		/* file systems of several devices (btrfs) have a number of their own */
		if (strncmp(m.source, "/dev/", 5) == 0 && strcmp(m.source, "/dev/root") != 0)
			return text_copy(out, n, m.source);
	}
	if (name_of_kernel(out, n))
		return 0;
	return err_set(e, E_SLOT, ENODEV,
		       "the root file system is not on a block device that can be named");
}
