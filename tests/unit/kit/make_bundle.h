/* Builds cpio bundles in memory, good ones and bad ones. Aborts when memory is used up. */
#ifndef TESTS_MAKE_BUNDLE_H
#define TESTS_MAKE_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct make_bundle {
	bool newc; /* 070701, without checksums */
	uint8_t *bytes;
	size_t n, room;
};

/* what a header should say otherwise than it should: fields of eight characters by number from 0
 * (ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize chksum) */
struct make_head {
	const char *magic;     /* NULL = right */
	const char *field[13]; /* NULL = right */
	const void *name;      /* the name's bytes when it is not a string */
	size_t name_len;
	char pad; /* what the padding is made of */
};

/* a member; returns where its header begins. 'head' may be NULL */
size_t make_bundle_add(struct make_bundle *b, const char *name, const void *data, size_t n);
size_t make_bundle_add_head(struct make_bundle *b, const char *name, const void *data, size_t n,
			    const struct make_head *head);
void make_bundle_bytes(struct make_bundle *b, const void *data, size_t n); /* as they are */
void make_bundle_trailer(struct make_bundle *b);			   /* with padding to 512 */
void make_bundle_free(struct make_bundle *b);

struct stream;
/* a source of one pass that lends at most 'chunk' bytes at a time, like a pipe */
struct stream *make_pipe_stream(const void *bytes, size_t n, size_t chunk);

#endif
