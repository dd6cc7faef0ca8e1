/*
 * The stages that the bytes of a step pass, computed here and nowhere else: the pipeline opens the
 * list, --verbose and --json print it, the sandbox check reads it.
 *
 *   payload -> count -> verify | blocks | same -> [ahead] -> decrypt -> decompress | unpack |
 *           archive -> [ahead] -> source -> result -> [ahead] -> cap -> readback -> handler
 *
 * What arrives is decompressed in this process only when each byte is proven before it is lent;
 * otherwise in the process without rights. Archives are always read there: records come out. Where
 * the cores allow, reading and hashing, decompressing and writing run beside each other; no thread
 * is put where a stage has its own.
 */
#ifndef CORE_STAGES_H
#define CORE_STAGES_H

#include "corelib/stream/stages.h"

struct plan_step;

enum stage_kind {
	STAGE_COUNT,	  /* progress and cancel */
	STAGE_VERIFY,	  /* proven at its end by the signed hash */
	STAGE_BLOCKS,	  /* each block proven by the signed list */
	STAGE_SAME,	  /* each block as it was when the whole was proven */
	STAGE_NOTE,	  /* of a first pass: remember each block for STAGE_SAME */
	STAGE_AHEAD,	  /* what comes before runs in a thread of its own */
	STAGE_DECRYPT,	  /* by the key of the device or the entry */
	STAGE_DECOMPRESS, /* in this process */
	STAGE_UNPACK,	  /* the same in swinstall-unpack */
	STAGE_ARCHIVE,	  /* read in swinstall-unpack, records come out */
	STAGE_SOURCE,	  /* a handler that makes bytes out of these */
	STAGE_RESULT,	  /* what it makes is proven at its end by the signed hash of the result */
	STAGE_CAP,	  /* no more bytes than the place has room for */
	STAGE_READBACK,	  /* verify-writes: hashed, and compared with the medium afterwards */
	STAGE_KINDS
};

struct stage {
	enum stage_kind kind;
	enum proof proof; /* how far a byte may be trusted that it hands on */
	unsigned threads; /* of its own; 0: it runs in the thread that reads from it */
	bool process;	  /* works in swinstall-unpack */
	uint64_t room;	  /* of STAGE_CAP */
};

enum { STAGES_MOST = 14 };
struct stages {
	struct stage at[STAGES_MOST];
	size_t count;
};

/* how the payload is read */
enum pass {
	PASS_ONLY,  /* once: proven on the way to the handler */
	PASS_FIRST, /* to prove it, and remember it for the second pass */
	PASS_AGAIN, /* after a first pass: compared with it */
};
struct reading {
	enum pass pass;
	bool list;	  /* the signed list of block hashes is there by then */
	enum proof proof; /* of the bytes before the first stage: those that Lua code lends */
	uint64_t size;	  /* as packed; UINT64_MAX = not known */
	unsigned threads; /* that may run beside each other */
	bool read_back;
};

void stages_list(struct stages *l, const struct plan_step *ps, const struct reading *r);
size_t stages_block(void); /* what a thread hands on at once */
/* does a part of it work in the process without rights? */
bool stages_want_process(const struct stages *l);
const char *stage_name(enum stage_kind k); /* one word */
/* "verify, ahead, decompress, cap 4096"; cut where 'n' is too small */
void stages_text(const struct stages *l, char *out, size_t n);

#endif
