/* How a plan is made: what its files ask of each other while planning. */
#ifndef CORE_PLAN_PRIVATE_H
#define CORE_PLAN_PRIVATE_H

#include "core/plan/plan.h"

/* bind one entry: in core/plan/plan_entry.c */
int plan_entry_bind(struct plan *p, struct plan_step *ps, const struct plan_input *in,
		    struct err *e);

/* of the program, then of the job, with the argument of its row; NULL: none */
const struct handler *plan_find_handler(const struct plan_input *in, const char *type, void **arg);

/* the place it writes to, opened once; live or not. In core/plan/plan_place.c */
int plan_place_open(struct plan *p, struct plan_step *ps, const struct plan_input *in,
		    struct err *e);
int plan_place_judge(struct plan *p, struct plan_step *ps, const struct plan_input *in,
		     struct err *e);
/* what the entry names by device or slot, lent and open, not yet judged */
int plan_device_open(const struct entry *t, const struct plan_input *in, const char **path, int *fd,
		     struct err *e);
/* remember which slot these bytes are of: the switch goes there. E_SLOT for a second slot, unless
 * no slot runs: then all may be written */
int plan_take_slot(struct plan *p, const struct entry *t, const struct plan_input *in,
		   const struct place_range *r, struct err *e);
/* no two steps write the same bytes: E_RANGE. A step of unknown length gets the room up to the next
 * one. */
int plan_place_overlaps(struct plan *p, struct err *e);

/* in core/plan/plan_mount.c; path as staged_name() wants it */
int plan_mount_place(struct plan *p, struct plan_step *ps, const struct plan_input *in,
		     const char *path, struct err *e);
int plan_mount_overlaps(const struct plan *p, struct err *e);

/* who shares which payload; refuses what contradicts itself. In core/plan/plan_share.c */
int plan_share(struct plan *p, struct err *e);
void plan_share_free(struct plan *p);

#endif
