/*
 * Which slot runs, which one boots next, which one is the target.
 *
 * running = root device, else kernel command line, else the file that the key running-slot-file
 * names. next = boot environment, where the slots have env, else the note of an update that waits
 * for its reboot; it stands for running only where all slots are plain files. A target is never the
 * running slot.
 */
#ifndef CORE_SLOTS_H
#define CORE_SLOTS_H

#include "corelib/bootenv/bootenv.h"
#include "corelib/base/err.h"
#include "parser/settings.h"

struct session;

struct slots {
	const struct settings *cfg;
	const struct slot_setting *running, *next, *target; /* lent; NULL = none */
};

int slots_observe(struct slots *s, const struct settings *cfg, struct bootenv *env, struct err *e);
/* the path of a role ("rootfs") in the target slot; E_SLOT with the known roles otherwise */
int slots_place(const struct slots *s, const char *role, const char **path, struct err *e);
/* select = "auto": the SET,MODE that installs into the target slot */
int slots_selection(const struct slots *s, const char **set_mode, struct err *e);
/* variables that choose a slot; one with an empty value is unset */
int slots_env(const struct slot_setting *slot, struct envset *out, struct err *e);
/* all slots have env, or none has: the configuration says so */
bool slots_have_env(const struct settings *cfg);
/* does the boot loader choose this slot, and no other, by what the environment holds? */
bool slots_only(const struct settings *cfg, const struct slot_setting *slot,
		const struct envset *all);
/* the slot whose storage a folder lies on, which an update of it overwrites; NULL: none */
const struct slot_setting *slots_holding(const struct settings *cfg, const char *folder);
/* an earlier install waits for its reboot: another slot than the running one boots next */
bool slots_pending(const struct slots *s);

/* open what an entry names, once: links only where root owns them, the right kind of file (T40). A
 * check and a dry run open it for reading */
int slots_open_target(const struct session *s, const char *path, int *fd, struct err *e);
/* the same for what is only read: a file, whoever owns it, or a block device */
int slots_open_source(const char *path, int *fd, struct err *e);

#endif
