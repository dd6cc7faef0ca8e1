#include "corelib/lua/luaproc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "corelib/base/flag.h"
#include "corelib/base/lines.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "corelib/process/orphans.h"
#include "corelib/process/process.h"
#include "corelib/process/running.h"
#include "corelib/process/spawn.h"

#define PROGRAM	   "swinstall-lua"
#define TICK_MS	   50
#define LAST_READS 64		/* a grandchild that goes on writing is not listened to for ever */
#define VALUES_MAX (4u << 20)	/* memory of one message */
#define READ_ONCE  (16u * 1024) /* of its output */

struct luaproc {
	struct luaproc_options o;
	pid_t pid;
	struct running note;
	int fd, output;
	unsigned depth; /* of luaproc_ask() */
	uint64_t until, ms, used_ms;
	struct err ended;  /* why nothing of it runs any more */
	struct err raised; /* the last one that serve() answered with */
	size_t told;	   /* bytes of lines */
	struct lines lines;
};

/* ---- what it prints ---- */

static void take_line(void *arg, const char *text)
{
	struct luaproc *p = arg;

	text = lines_bounded(&p->told, text);
	if (text && p->o.line)
		p->o.line(p->o.arg, text);
}

static bool read_output(struct luaproc *p)
{
	char buf[READ_ONCE];
	ssize_t n = p->output < 0 ? 0 : read(p->output, buf, sizeof(buf));

	if (n > 0)
		lines_take(&p->lines, buf, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		sys_close(&p->output);
	return n > 0;
}

static void read_last(struct luaproc *p)
{
	for (int n = 0; n < LAST_READS && read_output(p); n++)
		;
	lines_end(&p->lines);
}

/* ---- its end ---- */

/* with all that it started, also what made a session of its own: that has the word of our note;
 * without a note, it is adopted by the process and we inherit it */
static void kill_all(struct luaproc *p)
{
	const bool noted = p->note.dir > 0;
	struct orphans o = {.watching = false};

	if (p->pid <= 0)
		return;
	if (p->o.full && !noted)
		orphans_watch(&o);
	spawn_end(p->pid);
	orphans_end(&o);
	orphans_release(&o);
	if (noted)
		running_sweep(&p->note, p->pid);
	p->pid = 0;
	read_last(p);
}

/* the first reason stays: all later calls answer with it */
static int dies(struct luaproc *p, const struct err *why, struct err *e)
{
	kill_all(p);
	if (!err_is_set(&p->ended))
		p->ended = *why;
	*e = p->ended;
	return -e->sys;
}

static int must_stop(struct luaproc *p, struct err *e)
{
	struct err why = {0};

	if (flag_is_set(p->o.cancel))
		err_set(&why, E_CANCELED, ECANCELED, "%s was ended because of a cancel", p->o.name);
	else if (sys_now_ms() >= p->until)
		err_set(&why, E_DEADLINE, ETIMEDOUT, "%s did not end within %llu ms", p->o.name,
			(unsigned long long)p->ms);
	else
		return 0;
	return dies(p, &why, e);
}

/* its socket was closed: 0 when all is well with it */
static int reap(struct luaproc *p, struct err *e)
{
	struct err why = {0};
	char how[80];
	int status, rc = 0;

	for (int ms = 1; !spawn_poll(p->pid, &status); ms = ms < TICK_MS ? ms * 2 : ms) {
		rc = must_stop(p, e);
		if (rc < 0)
			return rc;
		if (!read_output(p))
			poll(NULL, 0, ms);
	}
	if (status == 0)
		running_forget(&p->note);
	else if (p->note.dir > 0)
		running_sweep(&p->note, p->pid);
	p->pid = 0;
	read_last(p);
	if (status == 0)
		return 0;
	spawn_tell(status, how, sizeof(how));
	err_set(&why, E_PROCESS, ECHILD, "%s %s", p->o.name, how);
	return dies(p, &why, e);
}

static int lost(struct luaproc *p, struct err *e)
{
	struct err why = {0};
	int rc = reap(p, e);

	if (rc < 0)
		return rc;
	err_set(&why, E_PROCESS, EPIPE, "%s ended before it answered", p->o.name);
	return dies(p, &why, e);
}

/* ---- messages ---- */

static int wait_for(struct luaproc *p, short events, struct err *e)
{
	struct pollfd fds[] = {{p->fd, events, 0}, {p->output, POLLIN, 0}};
	int rc = must_stop(p, e);

	if (rc < 0)
		return rc;
	if (poll(fds, 2, TICK_MS) > 0 && fds[1].revents)
		read_output(p);
	return 0;
}

static int send_bytes(struct luaproc *p, const uint8_t *bytes, size_t n, struct err *e)
{
	while (n) {
		ssize_t done = send(p->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		int rc = 0;

		if (done > 0) {
			bytes += done;
			n -= (size_t)done;
		} else if (errno == EAGAIN || errno == EINTR) {
			rc = wait_for(p, POLLOUT, e);
		} else {
			return lost(p, e);
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* n, 0 = it closed its socket before the first of them */
static ssize_t take_bytes(struct luaproc *p, void *to, size_t n, struct err *e)
{
	for (size_t got = 0; got < n;) {
		ssize_t some = recv(p->fd, (uint8_t *)to + got, n - got, MSG_DONTWAIT);
		int rc = 0;

		if (some > 0)
			got += (size_t)some;
		else if (some < 0 && (errno == EAGAIN || errno == EINTR))
			rc = wait_for(p, POLLIN, e);
		else if (got == 0)
			return 0;
		else
			rc = lost(p, e);
		if (rc < 0)
			return rc;
	}
	return (ssize_t)n;
}

static int send_message(struct luaproc *p, enum lua_kind kind, const struct luabuf *b,
			struct err *e)
{
	const struct lua_head head = {.n = (uint32_t)b->n, .kind = kind};
	int rc;

	if (b->failed || b->n > UINT32_MAX)
		return err_set(e, E_MEMORY, ENOMEM, "no memory to talk to Lua code");
	rc = send_bytes(p, (const uint8_t *)&head, sizeof(head), e);
	return rc < 0 ? rc : send_bytes(p, b->at, b->n, e);
}

/* 1, 0 = it closed its socket */
static int take_head(struct luaproc *p, struct lua_head *head, struct err *e)
{
	/* a flood of messages is no reason to look at the clock less often */
	int rc = must_stop(p, e);
	ssize_t n = rc < 0 ? rc : take_bytes(p, head, sizeof(*head), e);
	struct err why = {0};

	if (n <= 0)
		return (int)n;
	if (head->n <= LUA_MOST)
		return 1;
	err_set(&why, E_LUA, EMSGSIZE, "%s sent a message of %u bytes", p->o.name, head->n);
	return dies(p, &why, e);
}

static int take_values(struct luaproc *p, const struct lua_head *head, struct arena *a,
		       const struct luaval **values, struct err *e)
{
	uint8_t *bytes = arena_alloc(a, head->n);
	struct err why = {0};
	ssize_t n;

	*values = NULL;
	if (!bytes)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a message of Lua code");
	n = head->n ? take_bytes(p, bytes, head->n, e) : 1;
	if (n <= 0)
		return n < 0 ? (int)n : lost(p, e);
	return luaval_read(bytes, head->n, a, values, &why) < 0 ? dies(p, &why, e) : 0;
}

/* ---- asking ---- */

static int fails(struct luaproc *p, const struct luaval *values, struct err *e)
{
	const struct luaval *text = luaval_at(values, 0);
	char shown[sizeof(e->why)];

	if (text->type != LUAVAL_TEXT)
		return err_set(e, E_LUA, EINVAL, "an error without a text");
	if (err_is_set(&p->raised) && strcmp(text->text, p->raised.why) == 0) {
		*e = p->raised;
		return -e->sys;
	}
	text_printable(text->text, text->n, shown, sizeof(shown));
	return err_set(e, E_LUA, EINVAL, "%s", shown);
}

static int serve(struct luaproc *p, enum lua_kind kind, const struct luaval *args, struct err *e)
{
	const bool told = kind == LUA_SAY || kind == LUA_TELL;
	uint64_t began = sys_now_ms();
	struct luabuf answer = {.n = 0};
	struct err why = {0};
	int rc = p->o.serve(p->o.arg, kind, args, &answer, &why);

	p->until += sys_now_ms() - began;
	if (err_is_set(&p->ended)) { /* by a call within */
		*e = p->ended;
		rc = -e->sys;
	} else if (rc < 0 && why.code == E_LUA && why.sys == EPROTO) {
		rc = dies(p, &why, e);
	} else if (rc < 0) {
		p->raised = why;
		answer.n = 0;
		luabuf_text(&answer, why.why);
	}
	if (!err_is_set(&p->ended) && !told)
		rc = send_message(p, rc < 0 ? LUA_REFUSED : LUA_ANSWER, &answer, e);
	else if (!err_is_set(&p->ended))
		rc = 0;
	free(answer.at);
	return rc;
}

static int serve_message(struct luaproc *p, const struct lua_head *head, struct err *e)
{
	struct arena *a = arena_new(VALUES_MAX);
	const struct luaval *args;
	int rc;

	if (!a)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a message of Lua code");
	rc = take_values(p, head, a, &args, e);
	if (rc == 0)
		rc = serve(p, head->kind, args, e);
	arena_free(a);
	return rc;
}

static int converse(struct luaproc *p, struct arena *a, const struct luaval **results,
		    struct err *e)
{
	for (;;) {
		struct lua_head head;
		int rc = take_head(p, &head, e);

		if (rc == 0)
			rc = lost(p, e);
		if (rc < 0)
			return rc;
		if (head.kind == LUA_DONE)
			return take_values(p, &head, a, results, e);
		if (head.kind == LUA_FAILED) {
			rc = take_values(p, &head, a, results, e);
			return rc < 0 ? rc : fails(p, *results, e);
		}
		rc = serve_message(p, &head, e);
		if (rc < 0)
			return rc;
	}
}

int luaproc_ask(struct luaproc *p, enum lua_kind kind, struct luabuf *args, uint64_t ms,
		struct arena *a, const struct luaval **results, struct err *e)
{
	const uint64_t until = p->until, outer_ms = p->ms;
	int rc;

	if (err_is_set(&p->ended)) {
		free(args->at);
		*e = p->ended;
		return -e->sys;
	}
	p->ms = ms;
	p->until = sys_now_ms() + ms;
	p->depth++;
	err_clear(&p->raised);
	rc = send_message(p, kind, args, e);
	free(args->at);
	if (rc == 0)
		rc = converse(p, a, results, e);
	/* what is half said cannot be gone on with */
	if (rc < 0 && e->code == E_MEMORY)
		dies(p, &(struct err){.code = E_MEMORY, .sys = ENOMEM, .why = "no memory"}, e);
	/* the time of what was served has moved 'until' */
	if (--p->depth == 0 && sys_now_ms() + ms > p->until)
		p->used_ms += sys_now_ms() + ms - p->until;
	p->until = until;
	p->ms = outer_ms;
	return rc;
}

uint64_t luaproc_used_ms(const struct luaproc *p)
{
	return p->used_ms;
}

int luaproc_pid(const struct luaproc *p)
{
	return p->pid;
}

/* ---- its life ---- */

int luaproc_finish(struct luaproc *p, uint64_t ms, struct err *e)
{
	struct lua_head head;
	int rc = 1;

	if (err_is_set(&p->ended)) {
		*e = p->ended;
		return -e->sys;
	}
	p->ms = ms;
	p->until = sys_now_ms() + ms;
	shutdown(p->fd, SHUT_WR);
	/* what closes with the state may have something to say */
	while (rc > 0) {
		rc = take_head(p, &head, e);
		if (rc > 0 && head.kind != LUA_SAY && head.kind != LUA_TELL)
			rc = lost(p, e);
		if (rc > 0)
			rc = serve_message(p, &head, e) < 0 ? -e->sys : 1;
	}
	return rc < 0 ? rc : reap(p, e);
}

struct luaproc *luaproc_free(struct luaproc *p)
{
	if (!p)
		return NULL;
	kill_all(p);
	sys_close(&p->fd);
	sys_close(&p->output);
	free(p);
	return NULL;
}

static int start(struct luaproc *p, const char *program, struct err *e)
{
	static const char *const nothing[] = {NULL};
	AUTO_FREE const char **env = NULL;
	const char *const argv[] = {program, p->o.full ? "full" : "confined",
				    p->o.registers ? "registers" : "calls", NULL};
	int pair[2], ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, E_NONE, errno, "socketpair");
	p->fd = pair[0];
	AUTO_CLOSE int theirs = pair[1];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, E_NONE, errno, "pipe2");
	p->output = ends[0];
	AUTO_CLOSE int out = ends[1];
	const int fds[] = {-1, out, out, theirs};
	struct spawn sp = {
		.argv = argv,
		.exec_fd = -1,
		.fds = fds,
		.fd_count = LUA_FD + 1,
		.born = running_note,
		.arg = &p->note,
	};
	int rc = running_open(&p->note, p->o.full ? p->o.noted_in : 0, e);

	if (rc == 0)
		rc = running_environment(
			&p->note, p->o.full ? (const char *const *)environ : nothing, &env, e);
	if (rc < 0)
		return rc;
	sp.env = env;

	if (fcntl(p->output, F_SETFL, O_NONBLOCK) < 0)
		return err_sys(e, E_NONE, errno, "fcntl");
	p->pid = spawn_start(&sp, e);
	return p->pid < 0 ? p->pid : 0;
}

int luaproc_start(struct luaproc **out, const struct luaproc_options *o, struct err *e)
{
	char program[4096];
	struct luaproc *p;
	int rc = process_helper(PROGRAM, program, sizeof(program));

	*out = NULL;
	if (rc < 0) {
		rc = err_set(e, E_WORKER, -rc,
			     PROGRAM " is neither beside this program nor in ../libexec/swinstall");
		err_fix(e, "install " PROGRAM " in one of the two (make install does)");
		return rc;
	}
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for Lua");
	p->o = *o;
	p->fd = p->output = -1;
	p->lines.line = take_line;
	p->lines.arg = p;
	rc = start(p, program, e);
	if (rc < 0)
		luaproc_free(p);
	else
		*out = p;
	return rc;
}
