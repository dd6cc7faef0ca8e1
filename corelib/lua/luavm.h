/*
 * A Lua 5.4 state with limits, for code that a signature has vouched for.
 *
 * Confined: tables, strings, numbers and coroutines; no way to files, programs, other code,
 * bytecode or the limits themselves. Full: Lua's whole library, with the system's paths.
 * A call is stopped when its time is over or by a cancel, whatever the code tries to catch:
 * E_DEADLINE, E_CANCELED. A confined state is stopped wherever it is; a full one only between two
 * of its instructions and, when it is 'bounded', while os.execute() waits; not within another call
 * of the system: a read of a pipe (run it in a process that can be ended).
 *
 * Nothing may be done with the lua_State outside luavm_run() and functions that Lua calls: an
 * error there would end the program. One thread at a time.
 */
#ifndef CORELIB_LUAVM_H
#define CORELIB_LUAVM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "corelib/base/err.h"

struct lua_State;
struct luavm;

enum { LUAVM_CALL_MS = 2000, LUAVM_MEMORY = 8 * 1024 * 1024 }; /* of a confined state */

struct luavm_options {
	bool full;
	bool bounded;	  /* full: what os.execute() runs is ended with the call */
	size_t memory;	  /* most bytes; 0 = LUAVM_MEMORY, full: not bounded */
	unsigned call_ms; /* longest time of one outermost call; 0 = LUAVM_CALL_MS, full: 10 min */
	const volatile bool *cancel; /* NULL: never */
	/* a line of print(); NULL: dropped (full: standard output) */
	void (*print)(void *arg, const char *text);
	void *arg;
};

int luavm_new(struct luavm **vm, const struct luavm_options *o, struct err *e);
struct luavm *luavm_free(struct luavm *vm); /* NULL is fine; returns NULL */

/* compile text (never bytecode) and run it; 'name' is for messages. E_LUA with line and message */
int luavm_load(struct luavm *vm, const char *name, const char *text, size_t n, struct err *e);

/*
 * Run fn(L, arg) protected, within the limits; the stack is empty before and emptied after. An
 * error that it raises by lua_error() or a function it calls becomes *e. To hand out an error of
 * its own, fn calls luavm_raise().
 */
typedef void (*luavm_fn)(struct lua_State *L, void *arg);
int luavm_run(struct luavm *vm, luavm_fn fn, void *arg, struct err *e);

/* a call of a global function: push puts 'n' arguments on the stack and returns n, take finds
 * 'results' values at 1, 2, … ; both may be NULL. E_LUA when there is no such function. */
struct luavm_call {
	const char *name;
	int (*push)(struct lua_State *L, void *arg);
	void (*take)(struct lua_State *L, void *arg);
	int results;
	void *arg;
};
int luavm_call(struct luavm *vm, const struct luavm_call *c, struct err *e);
/* 1 when a global function of this name is there, 0 when not, -errno */
int luavm_has(struct luavm *vm, const char *name, struct err *e);

/* longest time of the outermost calls from now on */
void luavm_limit(struct luavm *vm, unsigned call_ms);
/* milliseconds that its calls took so far, without pauses */
uint64_t luavm_used_ms(const struct luavm *vm);

/* ---- for functions that Lua calls ---- */

struct luavm *luavm_of(struct lua_State *L);
/* the module's own: one pointer for each state */
void luavm_set_user(struct luavm *vm, void *user);
void *luavm_user(struct lua_State *L);
/* the clock stands still while the program works for the script: mounts, writes an image. Pairs. */
void luavm_pause(struct lua_State *L);
void luavm_resume(struct lua_State *L);
/* raise e as a Lua error; the caller of luavm_run gets *e as it was when nobody catches it.
 * Does not return. */
int luavm_raise(struct lua_State *L, const struct err *e) __attribute__((noreturn));

#endif
