/*
 * The ordered steps of one update. Everything that can be refused is refused here, before any
 * write: handlers and sections, properties, places and their size, boot variables, space.
 */
#ifndef CORE_PLAN_H
#define CORE_PLAN_H

#include "core/session.h"
#include "core/plan/place.h"
#include "core/plan/stages.h"
#include "handlers/handler.h"
#include "parser/bundle.h"

/* how the bytes of a step travel (DESIGN 5.3) */
enum route {
	ROUTE_FLOW,   /* one pass, proven at the end; the place goes live by activation only */
	ROUTE_BLOCKS, /* one pass, each block proven by the signed list */
	ROUTE_TWICE,  /* hash first, then read the same descriptor again, block by block compared */
	ROUTE_SPOOL,  /* from a pipe into an unnamed file, then as TWICE */
	ROUTE_NONE,   /* no payload */
};
const char *route_name(enum route r);

/* one payload and the steps that name it: they are the same bytes */
struct plan_payload {
	const char *name;
	struct plan_step **users; /* in the order of the steps, those that are left out aside */
	size_t count;
};

/* what is to be done: const once it is planned; what becomes of it is core/step.h */
struct plan_step {
	struct step step;
	const struct plan_payload *payload; /* NULL without one */
	const struct handler *source; /* makes the bytes that the handler gets; NULL: the payload */
	bool has_result;	      /* what it makes is signed: */
	uint8_t result[32];
	enum route route;
	struct stages stages;	    /* between payload and handler */
	struct span span;	    /* what it writes of its place */
	struct block_hashes blocks; /* digests NULL: no list, or not yet arrived */
	uint8_t *list;		    /* their memory */
	struct aes_key *key;	    /* NULL: not encrypted */
	bool early;		    /* a source that runs before the images */
	bool left_out;		    /* nothing to do; or a called step that failed */
	bool called;		    /* Lua code asked for it while the update ran: core/called.h */
};

enum { PLAN_CALLED = 64 }; /* the most steps that Lua code may ask for */

struct plan {
	const struct manifest *manifest;
	struct plan_step *steps; /* with room for those that Lua code asks for */
	size_t count;
	struct plan_payload *payloads; /* sorted by name */
	size_t payload_count;
	struct plan_step **users; /* memory of all payloads' users */
	struct places *places;	  /* where the bytes go */
	struct arena *arena;	  /* of entries that are told more than the description says */
	struct envset variables;  /* of the bundle: part of commit 2 */
	bool seekable;
	bool code; /* Lua code of the description runs beside the steps: it may leave mounts */
	bool wants_undo; /* some step stages files: needs a writable state directory */
	const struct slot_setting *taken; /* the slot that steps write: the switch goes to it. NULL:
					     none */
};

struct plan_input {
	struct session *session;
	const struct manifest *manifest;
	struct bundle *bundle;
	struct handler_rows own; /* the job's registry */
};
int plan_build(struct plan **p, const struct plan_input *in, struct err *e);
void plan_free(struct plan *p); /* closes places; does not discard */

/* the payload's size is known now: E_MEMBER_SIZE, E_TARGET_SMALL, then the handler's own check */
int plan_entry_size(const struct plan *p, struct plan_step *ps, uint64_t size, struct err *e);
/* the signed list of block hashes has arrived in 's': compared, kept, ready for a payload of 'size'
 */
int plan_hash_list(struct plan_step *ps, struct stream *s, uint64_t list_size, struct err *e);
const struct plan_payload *plan_payload(const struct plan *p, const char *name); /* or NULL */

/*
 * The place of a step, when the step begins; a check and a dry run open none. What files go to is
 * mounted early, before the first byte is written, but for a device that an earlier step of the
 * plan writes or makes: that one is there when its step begins. 'ps' is one that runs.
 */
bool plan_opens_early(const struct plan *p, const struct plan_step *planned);
int plan_open_place(const struct plan *p, struct plan_step *ps, struct err *e);

/* for messages: its file, else its name, else its type; and the handler's name */
const char *plan_step_name(const struct plan_step *ps);
const char *plan_step_handler(const struct plan_step *ps);
/* how often it acts: an action once in each of its phases, but that after a failure */
unsigned plan_step_runs(const struct plan_step *ps);
/* where it happened, for every error of a step */
int plan_at(const struct plan *p, const struct plan_step *ps, int rc, struct err *e);

#endif
