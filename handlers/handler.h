/*
 * A handler is a named const vtable for one kind of target or action; a step is an entry bound to
 * it.
 *
 * check() runs while planning, before any write, and may run again when the member's header
 * tells the size. install() pulls 'in' to its proven end or returns an error; whatever it wrote
 * is not live before commit(). discard() undoes outside effects; it runs in reverse order
 * for every started step that is not committed, also after a failed install. A handler never logs,
 * hashes, makes threads, or calls another handler.
 */
#ifndef HANDLERS_HANDLER_H
#define HANDLERS_HANDLER_H

#include <stdbool.h>
#include <stdint.h>

#include "corelib/device/blkdev.h"
#include "corelib/base/err.h"
#include "corelib/stream/stream.h"
#include "handlers/host.h"
#include "parser/manifest.h"

enum handler_kind { HANDLER_TARGET, HANDLER_SOURCE, HANDLER_ACTION };

/* what the plan opens for a step and holds until activation or discard */
enum holds {
	HOLDS_NOTHING, /* nothing on this device */
	HOLDS_DEVICE,  /* 'device' or 'slot': st->dev */
	HOLDS_FILE,    /* 'path', maybe on 'device' + 'filesystem': st->file */
	HOLDS_FOLDER,  /* the same for a tree; straight where its device goes live by the switch */
	HOLDS_TABLE,   /* the partition table of the disk 'device', which may be in use: st->dev */
};

enum phase { PHASE_PREINSTALL, PHASE_POSTINSTALL, PHASE_POSTFAILURE, PHASE_SWITCH };

struct handler;

/* run state of one entry; the entry itself is const and never shares a type with it */
struct step {
	const struct entry *entry;
	const struct handler *handler;
	struct host *host;
	struct blkdev *dev;  /* HOLDS_DEVICE */
	struct staged *file; /* HOLDS_FILE, HOLDS_FOLDER: corelib/files/staged.h */
	bool live; /* the place is in use as it is: bytes must be proven first, then staged */
	const char *slot_device; /* what 'slot' names, for a handler without a place; else NULL */
	bool has_size;
	uint64_t size; /* of what will arrive at install(), when known */
	/*
	 * Told by check() of a handler that takes no payload: the bytes of its device that it will
	 * write (len 0 = to the end), or that there is nothing to do.
	 */
	uint64_t off, len;
	bool nothing;
	int base; /* of a source: what it reads beside its payload, open; else -1 */
	uint64_t base_size;
	void *state; /* the handler's own, freed by discard or commit */
	void *arg;   /* of the row of the job's registry; NULL: a built-in handler */
};

/*
 * A switch record: what decides what boots is changed by run(PHASE_SWITCH), after everything is
 * flushed. record() says before that what is to change, in text for the journal; after a cut the
 * other two know from this text and the device alone which side it is on. set() makes that side
 * whole where a cut left it half.
 */
enum switch_side { SWITCH_OLD, SWITCH_NEW };
struct switch_record {
	int (*record)(struct step *st, char *text, size_t n, struct err *e);
	int (*side)(int fd, const char *text, enum switch_side *side, struct err *e);
	int (*set)(int fd, const char *text, enum switch_side side, struct err *e);
};
enum { SWITCH_TEXT = 16384 }; /* the longest text */

struct handler {
	const char *name;
	const char *aliases; /* "tar" beside "archive"; blanks between; NULL = none */
	const char *summary;
	enum handler_kind kind;
	unsigned sections; /* of enum section */
	enum holds holds;
	bool records;	    /* its payload is an archive: install() gets corelib/stream/records.h */
	bool no_data;	    /* takes no payload: a file name is refused (T4) */
	bool data_optional; /* may do without a payload */
	bool irreversible;  /* runs when nothing else can be refused any more: after the last script
			     */
	bool foreign;	    /* of the job's registry: takes any property, may leave mounts */
	/* why not all of it can be undone, for people; then every payload of the bundle is proven
	 * before the first step begins. NULL: discard() undoes it */
	const char *forever;
	const struct attr *props; /* properties it takes, for check, manual and lint */
	size_t prop_count;
	int (*check)(struct step *st, struct err *e);
	int (*install)(struct step *st, struct stream *in, struct err *e);
	/*
	 * Sources: a stage over the payload, which is proven, or over nothing, as those of
	 * corelib/stream/stages.h. What it makes goes into the target that the property chain
	 * names, else into 'chain'; 'st' is the step of that target. It runs in a check too.
	 */
	int (*open)(struct step *st, struct stream **s, struct err *e);
	const char *chain;
	const char *reads; /* of a source: the property that names what it reads on the device */
	/*
	 * The i-th device that this step makes for later ones (a partition, a volume), by the path
	 * that they name: 1; 0 past the last. What lies on it is opened when its own step begins.
	 */
	int (*makes)(const struct step *st, size_t i, char *path, size_t n, struct err *e);
	int (*commit)(struct step *st, struct err *e);
	void (*discard)(struct step *st);
	/*
	 * Actions: install() stores the payload before the first of their phases, run() acts in
	 * each of them. One without PHASE_PREINSTALL may have its payload behind the images of a
	 * pipe.
	 */
	unsigned phases; /* bits 1u << enum phase */
	int (*run)(struct step *st, enum phase phase, struct err *e);
	const struct switch_record *record; /* with PHASE_SWITCH; else NULL */
};

/* handlers of one job, beside the built-in ones, which come first */
struct handler_row {
	struct handler handler;
	void *arg;
};
struct handler_rows {
	const struct handler_row *at;
	size_t count;
};

/* built-in handlers, in the order of the Makefile; NULL past the last */
const struct handler *handler_at(size_t i);
const struct handler *handler_find(const char *name);

/* types that the format has, built in or not: for lint, messages and the manual; NULL past the last
 */
struct handler_type {
	const char *name, *summary;
};
const struct handler_type *handler_type_at(size_t i);
const struct handler_type *handler_type_find(const char *name);

#endif
