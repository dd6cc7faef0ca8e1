/*
 * The stages that a pipeline stacks. Each constructor takes the chain so far in *s and leaves
 * the new top in *s; on failure *s is unchanged and still the caller's.
 *
 * Untrusted lengths end here: a stage never lends more than its limit, and bytes missing or
 * left over arrive as an error instead of the end.
 */
#ifndef CORELIB_STAGES_H
#define CORELIB_STAGES_H

#include <stdatomic.h>
#include <stdint.h>

#include "corelib/stream/stream.h"

/* at most max bytes, the upstream's end is the end: one byte more is E_LIMIT_OUTPUT */
int stage_cap_open(struct stream **s, uint64_t max, struct err *e);

/*
 * The end is proven by the SHA-256 of all bytes: E_PAYLOAD_HASH. That is the code too where the
 * upstream knows its size and fails behind the last byte with E_CPIO_SUM, and the digest differs.
 */
int stage_verify_open(struct stream **s, const uint8_t sha256[32], struct err *e);

/*
 * Signed block hashes: digests of ceil(size/block) blocks (block a power of two, 64 KiB..1 MiB).
 * Each block is compared before it is lent: E_BLOCK_HASH. proof becomes BLOCK.
 * threads > 1 hashes on as many threads and hands on in order. The list is lent until close.
 */
struct block_hashes {
	const uint8_t *digests; /* 32 bytes each */
	uint64_t count;
	uint32_t block;
	uint64_t size; /* of the payload */
};
int stage_blocks_open(struct stream **s, const struct block_hashes *h, unsigned threads,
		      struct err *e);

/*
 * Two passes over one descriptor: the first notes a GMAC of each block under a random key of
 * the job, the second compares each block before lending it (E_SOURCE_CHANGED). stage_note
 * passes bytes through; stage_proven needs complete notes. proof of the second becomes WHOLE where
 * the first pass has proven them: the same bytes twice are no signed bytes.
 */
struct notes; /* 16 bytes a block of 256 KiB */
struct notes *notes_new(uint64_t size, struct err *e);
void notes_free(struct notes *n);
int stage_note_open(struct stream **s, struct notes *n, struct err *e);
int stage_proven_open(struct stream **s, const struct notes *n, struct err *e);

enum cipher { CIPHER_NONE, CIPHER_AES_CBC, CIPHER_AES_CTR };
struct aes_key {
	enum cipher cipher;
	unsigned bits; /* 128, 192, 256 */
	uint8_t key[32], iv[16];
};
/* PKCS#7 padding is removed; every failure gives the same text (T49) */
int stage_decrypt_open(struct stream **s, const struct aes_key *k, struct err *e);

enum codec {
	CODEC_NONE,
	CODEC_GZIP,
	CODEC_XZ,
	CODEC_ZSTD,
	CODEC_LZ4,
	CODEC_COUNT, /* of those that a description may name */
	CODEC_BZIP2, /* known by its first bytes, around an archive */
};
const char *codec_name(enum codec c); /* as in the attribute: "none", "zlib", "xz", "zstd", "lz4" */
bool codec_is_built(enum codec c);
/* Several members or frames follow each other; truncation and bytes behind the last are errors.
 * mem_max bounds window and dictionary: E_LIMIT_MEM. */
int stage_decompress_open(struct stream **s, enum codec c, uint64_t mem_max, struct err *e);

/* the same in the child swinstall-unpack, which has no rights at all; proof stays the upstream's */
int stage_process_open(struct stream **s, enum codec c, uint64_t mem_max, struct err *e);

/* the same child reads an archive, which may be compressed by 'c' around its own compression, and
 * hands on records (corelib/stream/records.h) */
int stage_archive_open(struct stream **s, enum codec c, uint64_t mem_max, struct err *e);

/* the first bytes, which are lent again to whoever reads then */
enum { PEEK_MAX = 6 };
int stage_peek_open(struct stream **s, uint8_t head[PEEK_MAX], size_t *n, struct err *e);

/* count bytes for progress, end the stream with E_CANCELED when *cancel is set */
struct meter {
	atomic_uint_fast64_t bytes;
	const volatile bool *cancel;
	/* told 'bytes' by the stage's thread, at most each 1/4 MiB and at the end; may be NULL */
	void (*moved)(void *arg, uint64_t bytes);
	void *arg;
};
int stage_count_open(struct stream **s, struct meter *m, struct err *e);

/* run all that is upstream in a thread of its own, 'depth' blocks ahead */
int stage_ahead_open(struct stream **s, unsigned depth, size_t block, struct err *e);

#endif
