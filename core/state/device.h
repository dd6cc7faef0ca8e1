/* What a device knows about itself without a daemon: what `swctl status` tells. */
#ifndef CORE_DEVICE_H
#define CORE_DEVICE_H

#include "core/state/status.h"
#include "parser/settings.h"

enum device_now { NOW_UNKNOWN, NOW_IDLE, NOW_RUNNING, NOW_INTERRUPTED, NOW_BLOCKED };

struct device {
	struct status last;
	bool last_hidden;   /* it may not be read by this user */
	struct status live; /* NOW_RUNNING: how far it is; state "" = not known */
	enum device_now now;
	char why[256];	   /* NOW_UNKNOWN: what keeps us from knowing; NOW_RUNNING: who runs;
			      NOW_BLOCKED: what is wrong with the journal */
	char version[128]; /* NOW_INTERRUPTED: of the release */
	bool has_slots;
	char running[64], next[64], target[64]; /* "" = not known */
	bool pending;				/* an install waits for its reboot */
	char slots_why[256];
	const struct slot_setting *slots; /* of the settings; last.slots says what they hold */
	size_t slot_count;
};

/* only a status file that cannot be read is an error; all else that is not known is said so */
int device_look(struct device *d, const struct settings *cfg, struct err *e);
/* the release that this slot holds, "" when that is not known */
const char *device_holds(const struct device *d, const char *slot);
/* as one JSON object; malloc'ed, NULL without memory */
char *device_json(const struct device *d);
/* the same of results, the newest first */
char *device_history_json(const struct status *list, size_t count);

#endif
