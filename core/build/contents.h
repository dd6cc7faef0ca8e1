/*
 * Is a payload what its entry says? Told by the bytes: those of a compressed file begin in a known
 * way and can be decompressed to their end, those of an encrypted one begin like nothing known.
 */
#ifndef CORE_BUILD_CONTENTS_H
#define CORE_BUILD_CONTENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "corelib/base/err.h"
#include "corelib/stream/stages.h"
#include "parser/manifest.h"

struct contents {
	/* told by the caller */
	enum codec codec;
	enum cipher cipher;
	bool archive, image; /* it is for a handler that unpacks it, that writes it to a device */
	/* found out */
	bool wrong;    /* it cannot be installed as it is described; else only doubtful */
	char why[256]; /* what contradicts, behind the words "the payload"; "" = nothing */
};

void contents_of_entry(struct contents *c, const struct entry *t);
/* reads *s from its beginning, maybe to its end; stages may be put on it */
int contents_judge(struct contents *c, struct stream **s, struct err *e);

/* each entry of a bundle, in every selection, whose payload is not what is said of it */
struct contents_options {
	void (*found)(void *arg, const struct entry *t, const struct contents *c);
	void *arg;
};
int contents_judge_bundle(int fd, const struct contents_options *o, struct err *e);

#endif
