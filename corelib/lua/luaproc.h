/*
 * Lua in a process of its own: swinstall-lua, started by a job, with nothing of the job's memory.
 *
 * The two take turns on a socket. The job asks (run this text, call that function); until the
 * answer the process may ask back, and each such request is served before it goes on. A message is
 * its length and kind, then values of corelib/lua/luavalue.h.
 *
 * Whatever the code does, and whatever it waits for: at its deadline or by a cancel the process is
 * ended with all that it started (T43, T64), and each further call answers with the same error.
 * What it and its programs print comes as lines, within the bounds of other programs (T120).
 */
#ifndef CORELIB_LUAPROC_H
#define CORELIB_LUAPROC_H

#include "corelib/lua/luavalue.h"

enum lua_kind {
	/* the job asks */
	LUA_INIT = 'I', /* a table of names: handlers that there are */
	LUA_LOAD = 'L', /* name, text: answered by what the text returns */
	LUA_CALL = 'C', /* struct lua_call of handlers/lua/lua_state.h */
	/* the answers */
	LUA_DONE = 'D',	  /* values */
	LUA_FAILED = 'F', /* text */

	/* the process asks; the module's functions of these names */
	LUA_SAY = 's',	/* level, text; not answered */
	LUA_TELL = 't', /* text; not answered */
	LUA_SET_BOOTENV = 'b',
	LUA_GET_BOOTENV = 'g',
	LUA_GET_HW = 'h',
	LUA_GET_SELECTION = 'e',
	LUA_GETVERSION = 'v',
	LUA_IS_DRYRUN = 'd',
	LUA_TMPDIR = 'f',
	LUA_GET_CMDLINE = 'l',
	LUA_GETROOT = 'r',
	LUA_MOUNT = 'm',
	LUA_UMOUNT = 'u',
	LUA_CALL_HANDLER = 'c',
	LUA_REGISTER = 'y', /* name, mask: answered by the handler's number */
	LUA_READ = 'i',	    /* number of the call: answered by a block, or by nothing at the end */
	LUA_COPY = 'o',	    /* number of the call, path */
	/* the answers */
	LUA_ANSWER = 'A',  /* what the function returns */
	LUA_REFUSED = 'R', /* text: it raises an error */
};

enum {
	LUA_FD = 3,	       /* of the process: the socket */
	LUA_MOST = 256 * 1024, /* bytes of a message to the job */
	LUA_MEMORY = 8 << 20,  /* of a confined state */
	LUA_BLOCK = 64 * 1024, /* most bytes of a payload in one message */
};
/* of register_handler(): what a handler is for */
enum lua_mask {
	LUA_MASK_IMAGE = 1,
	LUA_MASK_FILE = 2,
	LUA_MASK_SCRIPT = 4,
	LUA_MASK_BOOTLOADER = 8,
	LUA_MASK_PARTITION = 16,
	LUA_MASK_NO_DATA = 32,
	LUA_MASK_ANY = 63,
};
/* ROOT_DEVICE, from 0: how the kernel command line names the root device */
#define LUA_ROOTS "PATH", "UUID", "PARTUUID", "PARTLABEL", "PARTUNKNOWN"

struct lua_head {
	uint32_t n; /* bytes behind it */
	uint32_t kind;
};

struct luaproc;
struct luaproc_options {
	const char *name;	     /* in messages */
	bool full;		     /* Lua's whole library and root's rights; else confined */
	bool registers;		     /* the module has register_handler */
	int noted_in;		     /* as in struct process; of a full one */
	const volatile bool *cancel; /* NULL: never */
	/* puts the answer; an error becomes one of the script. The time that it takes is not the
	 * script's */
	int (*serve)(void *arg, enum lua_kind kind, const struct luaval *args,
		     struct luabuf *answer, struct err *e);
	void (*line)(void *arg, const char *text); /* printable */
	void *arg;
};

int luaproc_start(struct luaproc **p, const struct luaproc_options *o, struct err *e);
/*
 * 'args' (taken: freed) behind 'kind', then requests are served until the answer. *results lies in
 * 'a'. E_LUA with line and message, an error of serve() that no code has caught, E_DEADLINE,
 * E_CANCELED, E_PROCESS. serve() may ask again.
 */
int luaproc_ask(struct luaproc *p, enum lua_kind kind, struct luabuf *args, uint64_t ms,
		struct arena *a, const struct luaval **results, struct err *e);
/* lets it close its state and end; what still runs after 'ms' is ended: E_DEADLINE */
int luaproc_finish(struct luaproc *p, uint64_t ms, struct err *e);
/* ends it, if it still runs; NULL is fine; returns NULL */
struct luaproc *luaproc_free(struct luaproc *p);
/* milliseconds that its code took so far */
uint64_t luaproc_used_ms(const struct luaproc *p);
int luaproc_pid(const struct luaproc *p); /* 0: it has ended */

#endif
