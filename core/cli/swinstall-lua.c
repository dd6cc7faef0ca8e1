/*
 * swinstall-lua: Lua of a bundle or of the device, in a process that the job can end. Started by a
 * job only; corelib/lua/luaproc.h says what the two say to each other.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "corelib/lua/luaproc.h"
#include "corelib/lua/luavm.h"
#include "corelib/process/sandbox.h"

/* messages, the text of a script, and the rounding of the allocator */
#define MEMORY_BESIDE (48u << 20)

static void do_nothing(int sig)
{
	(void)sig;
}

/* T43: it reads and writes its socket, speaks on its standard error, and nothing else */
static int confine(struct err *e)
{
	static const int reads[] = {LUA_FD, -1}, writes[] = {2, LUA_FD, -1};
	struct sandbox s = {.keep_fds = LUA_FD + 1,
			    .read_fds = reads,
			    .write_fds = writes,
			    .memory = LUA_MEMORY + MEMORY_BESIDE};

	return sandbox_enter(&s, e);
}

/* its programs get neither the socket nor a changed signal; what they leave is adopted, so that it
 * can be ended with this process */
static void prepare_full(void)
{
	fcntl(LUA_FD, F_SETFD, FD_CLOEXEC);
	signal(SIGPIPE, do_nothing); /* a write to a program that has ended is an error of Lua */
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

int main(int argc, char **argv)
{
	struct err e = {0};
	struct luavm *vm;

	if (argc != 3 || fcntl(LUA_FD, F_GETFD) < 0) {
		fputs("swinstall-lua is started by swinstall, not by hand\n", stderr);
		return 2;
	}
	const struct luavm_options o = {.full = strcmp(argv[1], "full") == 0,
					.registers = strcmp(argv[2], "registers") == 0};

	if (o.full)
		prepare_full();
	if (luavm_new(&vm, &o, &e) < 0 || (!o.full && confine(&e) < 0)) {
		fprintf(stderr, "%s\n", e.why);
		_exit(3);
	}
	luavm_serve(vm);
	if (o.full)
		luavm_free(vm); /* closes the files and programs that the code has left open */
	/* no exit handlers: confined, they want more than is allowed */
	fflush(stdout);
	_exit(0);
}
