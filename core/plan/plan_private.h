/* How a plan is made: what its files ask of each other while planning. */
#ifndef CORE_PLAN_PRIVATE_H
#define CORE_PLAN_PRIVATE_H

#include "core/plan/plan.h"

/* bind one entry: in core/plan/plan_entry.c */
int plan_entry_bind(struct plan *p, struct plan_step *ps, const struct plan_input *in,
		    struct err *e);

/* one more step, which Lua code asks for: not bound to anything yet; its place among the bytes of
 * others is free again when it is given up */
int plan_add(struct plan *p, const struct plan_input *in, const struct entry *t,
	     struct plan_step **ps, struct err *e);
void plan_give_up(struct plan_step *ps);

/*
 * Handlers that make bytes out of others: the target that the entry's property chain names, and
 * where such bytes may go. In core/plan/plan_source.c
 */
#define CHAIN	    "chain"
#define RESULT_HASH "result-sha256"
int plan_chain(struct plan_step *ps, const struct handler *source, const struct plan_input *in,
	       struct err *e);
/* what the source reads on the device; then that no step writes there: E_RANGE */
int plan_source_reads(struct plan *p, struct plan_step *ps, struct err *e);
int plan_source_overlaps(const struct plan *p, struct err *e);
int plan_source_judge(const struct plan_step *ps, const struct plan_input *in, struct err *e);
/* who reads the payload: the source, else the handler of the place */
const struct handler *plan_reader(const struct plan_step *ps);

/* of the program, then of the job, with the argument of its row; NULL: none */
const struct handler *plan_find_handler(const struct plan_input *in, const char *type, void **arg);

/* in core/plan/overlap.c: remember which slot these bytes are of: the switch goes there. E_SLOT for
 * a second slot, unless no slot runs: then all may be written */
int plan_take_slot(struct plan *p, const struct plan_step *ps, const struct slots *s,
		   struct err *e);
/* does the entry write into a slot that others of the plan take? */
bool plan_is_in_taken(const struct plan *p, const struct entry *t, const struct slots *s);
/* files and trees do not meet: E_RANGE. Raw bytes may, in the order of the steps: that is told
 * (refused under strict, and of steps that code asks for). One of unknown length that comes later
 * stops where an earlier one begins */
int plan_overlaps(struct plan *p, const struct session *s, struct err *e);
/* does this step write raw bytes of the storage that the file's file system lies on? */
bool plan_writes_below(const struct plan_step *raw, const struct plan_step *file);

/* who shares which payload; refuses what contradicts itself. In core/plan/plan_share.c */
int plan_share(struct plan *p, struct err *e);
void plan_share_free(struct plan *p);

/* anew, where the route of a step has changed */
void plan_list_stages(const struct plan *p, struct plan_step *ps, const struct plan_input *in);

#endif
