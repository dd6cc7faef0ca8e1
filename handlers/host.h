/*
 * All that a handler may ask of the program. Filled by core, faked in tests.
 *
 * Nothing here is live before activation: variables join commit 2, notes go to the journal before
 * the act.
 */
#ifndef HANDLERS_HOST_H
#define HANDLERS_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "corelib/base/err.h"
#include "corelib/base/log.h"

struct host;
struct lua_state;
struct stream;

/* one more step, which Lua code asks for while its own runs (call_handler) */
struct host_call {
	const char *type;  /* of the handler */
	const char *text;  /* the group "entry" as node_print() says it */
	struct stream *in; /* the payload as the asking handler has it: proven. NULL: none */
	bool has_size;	   /* of 'in' */
	uint64_t size;
	const char *file; /* a payload in the folder of scripts instead; "" = none */
};
enum { HOST_CALL_TEXT = 6144 }; /* the longest text */

struct host_ops {
	/* put a boot variable into the one commit of this install; value NULL unsets */
	int (*set_variable)(struct host *h, const char *name, const char *value, struct err *e);
	/* does the commit of this install have a variable of this name already? */
	bool (*has_variable)(struct host *h, const char *name);
	/* what the boot environment will have after this install: 1 and a malloc'ed value, 0 unset
	 */
	int (*get_variable)(struct host *h, const char *name, char **value, struct err *e);
	/* a line for the log and the progress, from a handler that has something to tell */
	void (*tell)(struct host *h, const char *text);
	/* the same, of a program that was run; below LOG_LEVEL_INFO for the log only */
	void (*say)(struct host *h, enum log_level level, const char *text);
	/* the job's own folder for programs of the bundle: mode 0700, gone with the job (T58) */
	int (*script_folder)(struct host *h, const char **path, struct err *e);
	/* the Lua state of the job, which the embedded script has filled; NULL: there is none */
	struct lua_state *(*lua_state)(struct host *h);
	/* plan, check and install it now; it is committed or undone with all others. NULL: cannot
	 */
	int (*call)(struct host *h, const struct host_call *c, struct err *e);
};

struct host {
	const struct host_ops *ops;
	const volatile bool *cancel; /* NULL: never */
	int noted_in; /* where programs are noted while they run (struct process); 0 = nowhere */
	const char *board, *revision,
		*select; /* of the device; select is "SET,MODE". NULL = none */
	bool dry_run;
	bool verify_writes; /* files that a handler makes of one payload are read back */
};

#endif
