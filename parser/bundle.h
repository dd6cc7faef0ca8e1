/*
 * A bundle: a cpio archive (newc or crc) read once, from one descriptor.
 *
 * Opening reads the description and its signature into memory. Then either bundle_scan() walks the
 * headers of a seekable source, or bundle_next() steps through a pipe. Member names are
 * looked up, never used as paths (T21). A payload may be one member or adjacent parts.
 * All sums of sizes are 64 bit and checked. Lives in parser/: no writes, no processes.
 */
#ifndef PARSER_BUNDLE_H
#define PARSER_BUNDLE_H

#include <stdbool.h>
#include <stdint.h>

#include "corelib/base/err.h"
#include "corelib/stream/stream.h"
#include "parser/manifest.h"

#define CPIO_HEAD     110
#define CPIO_NAME_MAX 256u /* with its NUL */
#define CPIO_TRAILER  "TRAILER!!!"

struct cpio_head {
	uint64_t size;
	uint32_t sum;
	bool has_sum;
	uint32_t mode, namesize;
};
/* the 110 bytes before a name */
int cpio_head_parse(struct cpio_head *h, const uint8_t head[CPIO_HEAD], bool loose, struct err *e);
int cpio_name_check(const char *name, size_t namesize, struct err *e);

struct bundle_options {
	uint64_t max_members;	  /* 0 = 4096 */
	uint64_t max_description; /* 0 = 1 MiB */
	bool loose;		  /* compat-cpio = loose: blanks in numbers */
	bool strict; /* strict-members: unlisted members, padding, data after the end */
	bool need_signature;
};

struct bundle;
int bundle_open(struct bundle **b, struct stream **src /* taken on success */,
		const struct bundle_options *o, struct err *e);
struct bundle *bundle_close(struct bundle *b);

const void *bundle_description(const struct bundle *b, size_t *n);
const void *bundle_signature(const struct bundle *b, size_t *n); /* n = 0: none */
bool bundle_can_seek(const struct bundle *b);

/* one payload: a member, or parts joined */
struct payload {
	const char *name; /* as the entry says it */
	uint64_t size;	  /* of all parts */
	bool has_size;	  /* false on a pipe for several parts: the later ones are not known yet */
	uint64_t index;	  /* order in the archive */
};

/*
 * Tell the bundle which payloads are wanted (entries and hash lists of the manifest). Refuses
 * duplicates of listed names, parts out of order, members missing.
 * Seekable: walks all headers at once and checks the end. Pipe: notes the names only.
 */
int bundle_bind(struct bundle *b, const struct manifest *m, struct err *e);

/* seekable: find by name; NULL = absent */
const struct payload *bundle_find(const struct bundle *b, const char *name);

/* pipe: the next wanted payload; 1, or 0 at the proven end of the archive */
int bundle_next(struct bundle *b, const struct payload **p, struct err *e);

/*
 * The bytes of a payload; ends are proven by length (and by cpio's checksum when that is there).
 * Pipe: the current payload only, once; closing it early is allowed and skips the rest at the next
 * bundle_next().
 */
int bundle_payload(struct bundle *b, const struct payload *p, struct stream **out, struct err *e);

uint64_t bundle_skipped(const struct bundle *b); /* unlisted members met */
bool bundle_has_tail(
	const struct bundle *b); /* bytes other than NUL follow the trailer: ignored, warn */

/* for inspect and lint: every member in order; seekable sources only. cb returns 0 to go on */
int bundle_list(struct bundle *b, int (*cb)(void *arg, const char *name, const struct cpio_head *h),
		void *arg, struct err *e);

#endif
