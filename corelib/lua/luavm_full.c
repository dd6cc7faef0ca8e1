/* What differs in a full state: no end of the program, and programs that cannot outlive the call.
 */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "corelib/lua/luavm_private.h"
#include "corelib/process/orphans.h"
#include "corelib/process/spawn.h"

enum { TICK_MS = 20 };

/* the program's own end is not for a script to choose */
static int no_exit(lua_State *L)
{
	return luaL_error(L, "os.exit is not for scripts: return, or raise an error");
}

/* the status of waitpid; -1 when it was ended because the time is over or by a cancel */
static int follow(lua_State *L, pid_t pid)
{
	int status;

	for (long ms = 1; !spawn_poll(pid, &status); ms = ms * 2 < TICK_MS ? ms * 2 : TICK_MS) {
		const struct timespec nap = {.tv_nsec = ms * 1000000};

		if (luavm_must_stop(luavm_of(L))) {
			spawn_end(pid);
			return -1;
		}
		nanosleep(&nap, NULL);
	}
	return status;
}

static int run_shell(lua_State *L, const char *command)
{
	static const int fds[] = {-1, 1, 2};
	const char *const argv[] = {"/bin/sh", "-c", command, NULL};
	const struct spawn sp = {.argv = argv,
				 .env = (const char *const *)environ,
				 .exec_fd = -1,
				 .fds = fds,
				 .fd_count = 3};
	struct orphans o = {.watching = false};
	struct err e = {0};
	pid_t pid;
	int status;

	orphans_watch(&o);
	pid = spawn_start(&sp, &e);
	status = pid < 0 ? -1 : follow(L, pid);
	if (status == -1)
		orphans_end(&o);
	orphans_release(&o);
	errno = pid < 0 ? e.sys : status == -1 ? ETIMEDOUT : 0; /* Lua looks at it */
	return status;
}

/* as Lua's own, with an empty standard input; what it started is ended with it (T64) */
static int execute(lua_State *L)
{
	const char *command = luaL_optstring(L, 1, NULL);
	int status;

	if (!command) {
		lua_pushboolean(L, access("/bin/sh", X_OK) == 0);
		return 1;
	}
	luavm_check(L);
	status = run_shell(L, command);
	if (status == -1) {
		int why = errno;

		luavm_check(L);
		errno = why;
	}
	return luaL_execresult(L, status);
}

void luavm_open_full(lua_State *L)
{
	const struct luavm_options *o = &luavm_of(L)->o;

	luaL_openlibs(L);
	lua_getglobal(L, LUA_OSLIBNAME);
	lua_pushcfunction(L, no_exit);
	lua_setfield(L, -2, "exit");
	if (o->bounded) {
		lua_pushcfunction(L, execute);
		lua_setfield(L, -2, "execute");
	}
	if (o->print) {
		lua_pushcfunction(L, luavm_print);
		lua_setglobal(L, "print");
	}
}
