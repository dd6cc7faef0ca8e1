/*
 * Walk a cpio archive: header, name, content, header, ...
 *
 * Over a seekable stream small reads fetch the headers and content is found again by its place.
 * Over a pipe the blocks that the source lends are handed on as they are, and everything is read
 * once, in order. Nothing is copied but headers and names.
 */
#ifndef PARSER_CPIO_READ_H
#define PARSER_CPIO_READ_H

#include "parser/bundle.h"

struct cpio_reader {
	struct stream *src; /* lent */
	bool seek;
	bool loose, strict;
	uint64_t at; /* the next byte, from the start of the archive */
};

struct cpio_member {
	struct cpio_head head;
	char name[CPIO_NAME_MAX];
	uint64_t data; /* where its content begins */
};

void cpio_reader_init(struct cpio_reader *r, struct stream *src, const struct bundle_options *o);
/* the next member's header, from behind the content of the one before; 1, or 0 at the trailer */
int cpio_read_member(struct cpio_reader *r, struct cpio_member *m, struct err *e);
/* 1..max bytes of content, lent or copied; a seekable reader moves to 'at' first. The source's end
 * is E_TRUNCATED */
ssize_t cpio_lend(struct cpio_reader *r, uint64_t max, const uint8_t **buf, struct err *e);
ssize_t cpio_read(struct cpio_reader *r, uint8_t *buf, uint64_t max, struct err *e);
/* the whole content of a member into memory, its checksum compared */
int cpio_read_content(struct cpio_reader *r, const struct cpio_member *m, uint8_t *buf,
		      struct err *e);
/* step over the content; a pipe is read and its checksum compared */
int cpio_skip_content(struct cpio_reader *r, const struct cpio_member *m, struct err *e);
/*
 * What follows the trailer: 1 when there are bytes other than NUL, else 0. A pipe is not read for
 * this: only what has arrived is looked at. Of a file 1 MiB is looked at, all of it when strict.
 */
int cpio_read_tail(struct cpio_reader *r, struct err *e);
/* E_CPIO_SUM unless equal */
int cpio_sum_check(const struct cpio_head *h, uint32_t sum, struct err *e);

#endif
