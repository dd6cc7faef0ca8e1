/* The device that the root file system is on: "/dev/mmcblk0p2". */
#ifndef CLI_ROOTDEV_H
#define CLI_ROOTDEV_H

#include <stddef.h>

#include "corelib/base/err.h"

int rootdev_find(char *out, size_t n, struct err *e);

#endif
