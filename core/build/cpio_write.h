/*
 * Writes a cpio archive of the crc format. Its bytes depend on names, order, content and 'mtime'
 * only: owner 0, mode 0644, inodes counted from 1, no devices.
 *
 * Size and checksum stand before the data, so they are told first and checked when the member ends:
 * a file that changed since it was measured is an error. Padding to 512 bytes at the end.
 */
#ifndef CORE_BUILD_CPIO_WRITE_H
#define CORE_BUILD_CPIO_WRITE_H

#include <stdint.h>

#include "corelib/base/err.h"

struct cpio_member {
	const char *name;
	uint64_t size; /* less than 4 GiB */
	uint32_t sum;  /* of all bytes */
};

struct cpio_writer {
	int fd; /* lent */
	uint32_t mtime;
	/* kept by cpio_write_*; zero at first */
	uint64_t at;
	uint32_t ino;
	struct cpio_member now;
	uint64_t done;
	uint32_t sum;
};

int cpio_write_begin(struct cpio_writer *w, const struct cpio_member *m, struct err *e);
int cpio_write_data(struct cpio_writer *w, const void *buf, size_t n, struct err *e);
int cpio_write_end(struct cpio_writer *w, struct err *e);
int cpio_write_mem(struct cpio_writer *w, const char *name, const void *buf, size_t n,
		   struct err *e);
int cpio_write_trailer(struct cpio_writer *w, struct err *e);

#endif
