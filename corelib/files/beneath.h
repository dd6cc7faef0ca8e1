/*
 * Paths beneath an open folder: no part of them may be a link and none leads out, whoever made what
 * lies there (T40, T45).
 *
 * One call of the kernel looks at the whole path (openat2, Linux 5.6); before that, and where a
 * container forbids the call, each part is opened beneath the one before. A slash at the beginning
 * stands for the folder itself.
 */
#ifndef CORELIB_BENEATH_H
#define CORELIB_BENEATH_H

#include <stdbool.h>
#include <stddef.h>

/* flags as open() has them, without O_CREAT. A link in the path is -ELOOP or -ENOTDIR, a part '..'
 * is -EXDEV, other failures are those of open() */
int beneath_open(int root, const char *path, int flags);
/* a folder, for reading */
int beneath_open_dir(int root, const char *path);
/* the folder that holds the last part of the path, for names in it alone, and that part */
int beneath_open_parent(int root, const char *path, const char **name);
/* has the path a part '..'? */
bool beneath_leads_up(const char *path);

/* 1 = something of that name is in the folder, 0 = nothing, -errno; a folder that is not there
 * (dir is -ENOENT) holds nothing */
int beneath_has(int dir, const char *name);

/* the folder of the last path asked for stays open: the next one mostly lies in it too */
struct beneath {
	int root; /* lent */
	int fd;	  /* of the folder 'path'; -1 = none yet */
	char path[4096];
	size_t len;
};

void beneath_init(struct beneath *b, int root);
void beneath_clear(struct beneath *b);
/* beneath_open_parent(), lent until the next call */
int beneath_parent(struct beneath *b, const char *path, const char **name);

/* a folder and all that is in it; not there is 0; deeper than 512 is -ELOOP */
int beneath_remove(int dir, const char *name);

#endif
