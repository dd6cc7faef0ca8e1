/*
 * New file systems, made by the mkfs programs of the device, which get the open device as standard
 * input and never a name that somebody could exchange.
 */
#ifndef HANDLERS_MKFS_H
#define HANDLERS_MKFS_H

#include <stdbool.h>

#include "handlers/handler.h"

struct mkfs {
	const char *fstype; /* "ext4", "vfat", … */
	const char *label;  /* NULL: none */
	bool force;	    /* also where there is one already */
};

/* while planning: is it a type of the list, with a program here, and does it take the label? */
int mkfs_check(const struct mkfs *m, struct err *e);
/* is there a file system of this type? -errno when that cannot be read */
int mkfs_is_there(int fd, const char *fstype, struct err *e);
/* on 'fd', open for reading and writing; 'name' for messages. Nothing where one is there already */
int mkfs_make(const struct mkfs *m, int fd, const char *name, struct host *h, struct err *e);

#endif
