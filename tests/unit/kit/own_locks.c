#include "tests/unit/kit/own_locks.h"

#include <sched.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

void own_locks(void)
{
	struct stat st;

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return;
	/* mostly a link to /run/lock, which a bare system does not have */
	if (lstat("/var/lock", &st) == 0 && S_ISDIR(st.st_mode))
		(void)!mount("none", "/var/lock", "tmpfs", 0, "mode=1777");
	else if (mount("none", "/run", "tmpfs", 0, "mode=755") == 0 &&
		 mkdir("/run/lock", 0777) == 0)
		(void)!chmod("/run/lock", 01777);
}
