/*
 * Archives for tests, made by tests/unit/kit/archives.py in one run for the whole program, and what
 * is read from them.
 */
#ifndef TESTS_ARCHIVES_H
#define TESTS_ARCHIVES_H

#include "corelib/stream/records.h"
#include "corelib/stream/stages.h"
#include "tests/unit/kit/tool.h"

#define ARCHIVES_MEM_MAX (8u << 20)

/* group setup and teardown */
int archives_load(void **state);
int archives_forget(void **state);

/* a copy of the one called 'name'; form "-" or what archives.py calls it */
struct blob archives_get(const char *name, const char *form);
/* the at-th one of a kind ("evil", "broken"): its name, and a copy; NULL past the last */
const char *archives_at(const char *kind, unsigned at, struct blob *b);

/* what an archive holds, as text: a line for each entry */
struct archives_look {
	bool here; /* in this process, else in swinstall-unpack */
	size_t max;
	uint64_t mem_max;
	enum errcode at_end;
	enum codec codec;
	char text[8192];
	unsigned count;
	uint64_t bytes;
};

int archives_read(struct archives_look *l, struct stream *s, struct err *e);
int archives_look_at(struct archives_look *l, const struct blob *in, struct err *e);
/* what it is refused with; E_NONE = it is taken */
enum errcode archives_code_of(const struct blob *in, struct archives_look *l);

/* a file of 24 MiB that swinstall-unpack has begun to read: it waits for room, because nobody takes
 * more than one block; 'in' is to be cleared after the stream is closed */
struct stream *archives_half_way(struct blob *in, struct err *e);

#endif
