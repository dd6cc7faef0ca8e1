/* Who mounts "/"? The kernel's table of mounts knows the device, its name comes from sysfs. */
#include "core/cli/rootdev.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "core/plan/inuse.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "corelib/device/mountinfo.h"

#define FILE_MAX (1024u * 1024)

/* the last mount counts: it lies over those before */
static bool name_of_mount(char *out, size_t n)
{
	struct mountinfo_list l;
	const struct mountinfo *root = NULL;
	bool found = false;
	char name[128];

	if (mountinfo_read(&l) < 0)
		return false;
	for (size_t i = 0; i < l.count; i++)
		if (strcmp(l.at[i].point, "/") == 0)
			root = &l.at[i];
	if (root && inuse_name(root->dev, name, sizeof(name)) == 0)
		found = text_print(out, n, "/dev/%s", name) == 0;
	/* file systems of several devices (btrfs) have a number of their own */
	if (root && !found && strncmp(root->source, "/dev/", 5) == 0 &&
	    strcmp(root->source, "/dev/root") != 0)
		found = text_copy(out, n, root->source) == 0;
	mountinfo_clear(&l);
	return found;
}

/* root= of the kernel's command line, when it is a path */
static bool name_of_kernel(char *out, size_t n)
{
	AUTO_FREE char *text = NULL;
	char path[512], *rest = NULL;

	if (sys_path("/proc/cmdline", path, sizeof(path)) < 0 ||
	    sys_read_file(AT_FDCWD, path, FILE_MAX, &text, NULL) < 0)
		return false;
	for (char *word = strtok_r(text, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest))
		if (strncmp(word, "root=/dev/", 10) == 0)
			return text_copy(out, n, word + 5) == 0;
	return false;
}

int rootdev_find(char *out, size_t n, struct err *e)
{
	if (name_of_mount(out, n) || name_of_kernel(out, n))
		return 0;
	return err_set(e, E_SLOT, ENODEV,
		       "the root file system is not on a block device that can be named");
}
