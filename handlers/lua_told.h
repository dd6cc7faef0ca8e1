/*
 * What a Lua script in a process of its own tells the job: records of corelib/process/forked.h, a
 * letter and what belongs to it. Whatever bytes arrive, what comes of them is well formed; a record
 * that cannot be read is a failure of the script.
 */
#ifndef HANDLERS_LUA_TOLD_H
#define HANDLERS_LUA_TOLD_H

#include "handlers/host.h"

enum lua_record {
	LUA_SET = 'S',	  /* NAME NUL VALUE NUL */
	LUA_UNSET = 'U',  /* the same */
	LUA_SAY = 'L',	  /* level from '1' on, TEXT NUL */
	LUA_TELL = 'T',	  /* any byte, TEXT NUL */
	LUA_FAILED = 'F', /* struct err */
	LUA_CALL = 'C',	  /* TYPE NUL FILE NUL TEXT NUL: struct host_call, answered by */
	LUA_ANSWER = 'A'  /* struct err: from the job */
};

/* the first failure goes to *e, where none is set */
void lua_told(struct host *h, struct err *e, const char *bytes, size_t n);
/* one step that the script asks for; how it ended is for the script alone */
void lua_told_call(struct host *h, const char *bytes, size_t n, struct err *answer);

#endif
