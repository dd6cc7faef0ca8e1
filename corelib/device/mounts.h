/*
 * File systems that an update mounts for itself: nosuid, nodev, noexec, seen by nobody else.
 *
 * The mount is taken out of the tree as soon as its root is open, so that it lives only as long as
 * the descriptors on it: whatever ends the process, ends the mount. Only a kill between the two
 * calls leaves one in its private folder; mounts_sweep() removes it, under the install lock. A
 * sweep by an installer with another lock is survived: it is tried again, and no folder is taken
 * for a mount.
 */
#ifndef CORELIB_MOUNTS_H
#define CORELIB_MOUNTS_H

#include <stdbool.h>
#include <sys/types.h>

#include "corelib/base/err.h"

struct mount; /* one device; shared by all that name it */
struct mounts;

/* has the kernel this file system, or a module for it? True where nothing can be asked */
bool mounts_knows(const char *filesystem);
/* 'folder' belongs to this user and nobody else may write there; nothing is made or mounted yet */
int mounts_new(struct mounts **m, const char *folder, struct err *e);
/* *fd, an open device, is taken also on failure; 'path' is for messages; E_MOUNT when the device is
 * known already with another type */
int mounts_add(struct mounts *m, struct mount **out, int *fd, const char *path, const char *type,
	       struct err *e);
/* mounts it when it is not; the root of the file system, lent until mounts_free(). -EINVAL: there
 * is no such file system on the device; E_MOUNT */
int mount_open(struct mount *m, struct err *e);
int mount_root(const struct mount *m);	 /* -1 when it is not mounted */
int mount_device(const struct mount *m); /* lent; good for questions only */
/* all that is mounted is on the medium */
int mounts_flush(struct mounts *m, struct err *e);
/* last one first; all descriptors below are closed before */
struct mounts *mounts_free(struct mounts *m);

/* what killed processes left in 'folder'; 0 also when the folder is not there. What has such a name
 * and is not ours, because it is no empty folder, stays: 'foreign' is called with its path */
int mounts_sweep(const char *folder, void (*foreign)(void *arg, const char *path), void *arg,
		 struct err *e);

#endif
