/*
 * A file on its way into a bundle: opened once, measured once, then written as one member or
 * several parts.
 *
 * Digests are of the bytes as stored, so after compression and encryption. What is written is
 * compared with what was measured.
 */
#ifndef CORE_BUILD_PAYLOAD_H
#define CORE_BUILD_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/build/cpio_write.h"
#include "core/build/output.h"
#include "corelib/base/digest.h"
#include "corelib/stream/stages.h"

#define PAYLOAD_PARTS_MAX 999
#define PAYLOAD_PART	  (UINT64_C(0xfff00000)) /* of payloads that one member cannot hold */

struct payload_file {
	/* told by the caller */
	const char *path;   /* as the template names it; lent */
	enum codec codec;   /* compress with this; CODEC_NONE = as it is */
	enum cipher cipher; /* then encrypt with this; CIPHER_NONE = as it is */
	const struct aes_key *key;
	uint64_t block;	    /* of the hash list; 0 = none */
	uint64_t part_size; /* larger payloads are split; 0 = PAYLOAD_PART */
	bool script;
	/* found out */
	int fd;
	char member[256], list_member[256];
	bool was_compressed;		  /* here */
	uint64_t plain_size, packed_size; /* before all, before it was encrypted */
	uint64_t size;
	uint8_t iv[16]; /* when it was encrypted here */
	uint8_t sha256[SHA256_LEN], list_sha256[SHA256_LEN];
	size_t parts;	/* 0 = one member */
	uint32_t *sums; /* of each part */
	uint8_t *list;	/* digests of the blocks */
	size_t list_len;
};

/* folders to look in, in order */
struct payload_dirs {
	const char *const *at;
	size_t count;
};

bool payload_is_there(const char *path, const struct payload_dirs *dirs);
int payload_open(struct payload_file *p, const struct payload_dirs *dirs,
		 const struct output *scratch, struct err *e);
int payload_measure(struct payload_file *p, struct err *e);
int payload_write_list(const struct payload_file *p, struct cpio_writer *w, struct err *e);
int payload_write(const struct payload_file *p, struct cpio_writer *w, struct err *e);
void payload_close(struct payload_file *p);

#endif
