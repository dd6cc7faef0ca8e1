/* Folders beneath an open one, reached by paths without following links; the last one stays open.
 */
#ifndef CORELIB_BENEATH_H
#define CORELIB_BENEATH_H

#include <stddef.h>

struct beneath {
	int root; /* lent */
	int fd;	  /* of the folder 'path'; -1 = none yet */
	char path[4096];
	size_t len;
};

void beneath_init(struct beneath *b, int root);
void beneath_clear(struct beneath *b);
/* the folder that holds the last part of 'path', lent until the next call, and that part; -errno */
int beneath_parent(struct beneath *b, const char *path, const char **name);
/* a folder and all that is in it; not there is 0; deeper than 512 is -ELOOP */
int beneath_remove(int dir, const char *name);

#endif
