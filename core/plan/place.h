/*
 * A place is where the bytes of steps go: a device, a file or folder, or what code gets by its name
 * alone. It goes
 *
 *   named     its path is known;
 *   judged    it is held open, and what the system uses was compared with what a step will write;
 *   opened    a step on it has begun: judged again, its file system mounted;
 *   released  closed, after the last of its steps.
 *
 * Steps that name one device share its place: one descriptor, one flush for all of them. What a
 * step writes of it is the step's span. A device that an earlier step makes (a partition, a volume)
 * stays named until a step on it begins. Whatever is judged is held to the end and flushed before
 * the switch, whoever writes it.
 */
#ifndef CORE_PLACE_H
#define CORE_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/plan/judge.h"
#include "core/plan/space.h"
#include "core/session.h"
#include "corelib/device/blkdev.h"
#include "corelib/device/mounts.h"
#include "corelib/files/staged.h"
#include "handlers/handler.h"

enum place_kind { PLACE_FILE, PLACE_FOLDER, PLACE_BLOCK, PLACE_MTD, PLACE_UBI };
enum place_state { PLACE_NAMED, PLACE_JUDGED, PLACE_OPENED, PLACE_RELEASED };

struct place {
	struct place *next;
	enum place_kind kind; /* a regular file that stands for a device is PLACE_FILE */
	enum place_state state;
	const char *path;    /* of the device, as the entry or its slot names it; NULL: none */
	struct blkdev *dev;  /* of a device */
	struct staged *file; /* of a file or folder */
	struct mount *mount; /* its file system, where that is not the live one */
	const char *filesystem;
	const struct place *made_on; /* an earlier step makes it there; NULL: it exists */
};

/* what one step writes of its place */
struct span {
	struct place *place; /* NULL: nothing that is known */
	uint64_t off, len;   /* len 0 = to the end */
	uint64_t room;	     /* bytes that may reach the handler; UINT64_MAX = not bounded */
	bool live;	     /* its bytes count as they come: proven first, then staged */
	bool by_name;	     /* code gets the path and does what it wants */
	unsigned number;     /* of the verdict */
	int claim;	     /* held alone while the step writes; -1 */
	struct need need;    /* of a file or folder */
};
void span_init(struct span *s);

/* all places of one plan */
struct places {
	struct session *session;
	struct judge *judge;
	struct place *devices, *files;
	struct mounts *mounts; /* NULL: no step needs one */
	struct promise *promises;
	struct space *space; /* what files need */
};
int places_init(struct places *all, struct session *s, struct err *e);
void places_free(struct places *all); /* closes them; does not discard */

/* a step on 'on' makes what 'path' names, before later steps begin */
int places_promise(struct places *all, const char *path, const struct place *on, struct err *e);
/* all devices that are held, also those that no handler wrote: code may have; E_TARGET_FLUSH */
int places_flush(struct places *all, struct err *e);
/* is this mounted device, or the file below it, one of them? */
bool places_hold(const struct places *all, dev_t mounted);

/*
 * What an entry names, held as its handler wants it; 'index' is the step's. A file or folder is
 * judged with it.
 */
int place_name(struct places *all, struct span *s, const struct entry *t, enum holds holds,
	       unsigned index, struct err *e);
/* a span of which all is known that can be known while planning; what is not there yet is passed
 * over */
int place_judge(struct places *all, struct span *s, struct err *e);
/*
 * A step begins: what was not there yet is opened, the verdict is given again, this job's own
 * mounts aside; a file system is mounted; the staged file learns the number of the update. 'alone':
 * nobody else may mount or claim the device until place_end().
 */
int place_open(struct places *all, struct span *s, bool alone, struct err *e);
void place_end(struct span *s);

/* may 'bytes' go to a file or folder, beside what other steps put on the same file system? */
int place_fits(struct places *all, struct span *s, uint64_t bytes, struct err *e);

/* is it there only when a step begins? */
bool place_is_late(const struct span *s);
/* the folder of a tree that the switch alone makes live is written in place; nothing is undone */
bool place_is_straight(const struct span *s);
bool place_wants_undo(const struct span *s);
/* where file systems are mounted: run-dir, else state-dir */
int place_mounts_new(struct mounts **m, const struct settings *cfg, struct err *e);
/* the storage of a span: the disk and the range, or the file; -errno where that is not known */
int place_extent(const struct span *s, struct extent *x);

#endif
