/*
 * uboot: the environment of U-Boot, by libubootenv.
 *
 * The library waits for its lock without end, ends its process on some damaged input and does not
 * report a failed flush. So it runs in a child that is killed when the lock does not come, and this
 * process holds its own descriptors of the places, flushes them and reads back.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libuboot.h>

#include "corelib/bootenv/bootenv_private.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "corelib/process/spawn.h"

#define CONFIG_PATH    "/etc/fw_env.config"
#define DEFAULTS_PATH  "/etc/u-boot-initial-env"
#define LOCK_PATH      "/var/lock/fw_printenv.lock" /* of the library: not to be chosen in 0.3.2 */
#define SIZE_MIN       64
#define FWENV_SIZE_MAX (16 * 1024 * 1024)
#define WORK_MS	       120000 /* with the lock held: only a dying medium takes this long */
#define LOCK_LEAST_MS  500    /* what a look may wait where its phase has waited long */
#define REPLY_MAX      (FWENV_SIZE_MAX + 4096)

enum op { OP_LOAD, OP_CHECK, OP_COMMIT };

/* from the child: one LOCKED when it has the lock, then one END and 'length' bytes of texts */
struct message {
	enum { MESSAGE_LOCKED = 0x4c4f434b, MESSAGE_END = 0x454e4421 } kind;
	int rc;
	uint32_t length;
	struct err err;
};

static int uboot_open(struct bootenv *b, const struct bootenv_options *o, struct err *e)
{
	int rc = sys_path(o->defaults ? o->defaults : DEFAULTS_PATH, b->defaults,
			  sizeof(b->defaults));

	if (rc < 0)
		return err_sys(e, E_ENV_READ, -rc, "the file of defaults");
	rc = fwenv_read(b, o->config ? o->config : CONFIG_PATH, e);
	if (rc == 0 && !fwenv_redundant(b))
		b->warning =
			"there is only one copy of the U-Boot environment: a power cut while it is "
			"written can destroy it";
	return rc;
}

/* ---- in the child ---- */

static int put_line(struct uboot_ctx *ctx, char *line)
{
	char *eq = strchr(line, '=');

	if (!eq || *line == '#' || eq == line || !eq[1])
		return 0;
	*eq = '\0';
	return libuboot_set_env(ctx, line, eq + 1);
}

/* the library's own reader cuts lines after 2047 bytes; boot scripts are longer */
static int put_defaults(const struct bootenv *b, struct uboot_ctx *ctx, struct err *e)
{
	AUTO_FREE char *text = NULL;
	size_t n;
	int rc = sys_read_file(AT_FDCWD, b->defaults, BOOTENV_FILE_MAX, &text, &n);

	if (rc < 0) {
		rc = err_set(
			e, E_ENV_READ, ENODATA,
			"no copy has a valid checksum, and the defaults '%s' cannot be read: %s",
			b->defaults, strerror(-rc));
		err_fix(e, "write the environment once from U-Boot (saveenv), or provide '%s'",
			b->defaults);
		return rc;
	}
	for (char *rest = text; rest && rc == 0;)
		rc = put_line(ctx, strsep(&rest, "\r\n"));
	return rc < 0 ? err_set(e, E_ENV_READ, -rc, "the defaults '%s' cannot be used", b->defaults)
		      : 0;
}

static void tell_locked(int out)
{
	const struct message m = {.kind = MESSAGE_LOCKED};

	sys_write(out, &m, sizeof(m));
	/* with the lock held what is begun is ended, also when the parent dies */
	prctl(PR_SET_PDEATHSIG, 0);
}

/* 1: there is no valid copy, these are the defaults */
static int child_open(const struct bootenv *b, struct uboot_ctx **ctx, int out, struct err *e)
{
	int rc = libuboot_initialize(ctx, NULL);

	if (rc < 0)
		return err_set(e, E_MEMORY, -rc, "libubootenv does not start");
	rc = libuboot_read_config(*ctx, b->path);
	if (rc < 0)
		return err_set(e, E_ENV_READ, -rc, "libubootenv does not accept '%s'", b->path);
	rc = libuboot_open(*ctx);
	tell_locked(out);
	if (rc == -ENODATA) {
		rc = put_defaults(b, *ctx, e);
		return rc < 0 ? rc : 1;
	}
	return rc < 0 ? err_sys(e, E_ENV_READ, -rc, "reading the places named in '%s'", b->path)
		      : 0;
}

static int apply(struct uboot_ctx *ctx, const struct envset *changes, struct err *e)
{
	for (size_t i = 0; i < changes->count; i++) {
		const struct envvar *v = &changes->vars[i];
		int rc = libuboot_set_env(ctx, v->name, v->value);

		if (rc == -EPERM)
			return err_set(e, E_ENV_WRITE, EPERM,
				       "the environment's .flags forbid this change of '%s'",
				       v->name);
		if (rc < 0)
			return err_set(e, E_ENV_WRITE, -rc, "'%s' cannot be set", v->name);
	}
	return 0;
}

static size_t texts_size(struct uboot_ctx *ctx)
{
	size_t n = 0;

	for (void *v = NULL; (v = libuboot_iterator(ctx, v));)
		n += strlen(libuboot_getname(v)) + strlen(libuboot_getvalue(v)) + 2;
	return n;
}

/* room for the variables, the byte that ends them, and what the library writes for .flags */
static int fits(const struct bootenv *b, struct uboot_ctx *ctx, struct err *e)
{
	size_t need = texts_size(ctx) + 1 + fwenv_flags(b);

	if (need <= fwenv_room(b))
		return 0;
	return err_set(e, E_ENV_BIG, ENOSPC,
		       "the variables need %zu bytes, the environment has %zu", need,
		       fwenv_room(b));
}

static bool unchanged(struct uboot_ctx *ctx, const struct envset *changes)
{
	for (size_t i = 0; i < changes->count; i++) {
		AUTO_FREE char *is = libuboot_get_env(ctx, changes->vars[i].name);
		const char *want = changes->vars[i].value;

		if (!want ? is != NULL : !is || strcmp(is, want) != 0)
			return false;
	}
	return true;
}

static int child_change(const struct bootenv *b, struct uboot_ctx *ctx,
			const struct envset *changes, enum op op, struct err *e)
{
	int rc = apply(ctx, changes, e);
	if (rc == 0)
		rc = fits(b, ctx, e);
	if (rc < 0 || op == OP_CHECK)
		return rc;
	rc = libuboot_env_store(ctx);
	return rc < 0 ? err_sys(e, E_ENV_WRITE, rc == -1 ? EIO : -rc, "writing the environment")
		      : 0;
}

static void send_end(int out, struct uboot_ctx *ctx, enum op op, struct message *m)
{
	m->length = op == OP_LOAD && m->rc >= 0 ? (uint32_t)texts_size(ctx) : 0;
	if (sys_write(out, m, sizeof(*m)) < 0 || !m->length)
		return;
	for (void *v = NULL; (v = libuboot_iterator(ctx, v));) {
		const char *name = libuboot_getname(v), *value = libuboot_getvalue(v);

		if (sys_write(out, name, strlen(name) + 1) < 0 ||
		    sys_write(out, value, strlen(value) + 1) < 0)
			return;
	}
}

struct task {
	const struct bootenv *b;
	const struct envset *changes;
	enum op op;
};

/* whoever waits for a lock must not act on it after its parent is gone: it dies with it until then
 */
static void child(void *arg, int out)
{
	const struct task *t = arg;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct message m = {.kind = MESSAGE_END};
	struct uboot_ctx *ctx = NULL;

	/* the library prints when it is built for debugging */
	if (null >= 0) {
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
	}
	m.rc = child_open(t->b, &ctx, out, &m.err);
	if (m.rc >= 0 && t->op != OP_LOAD && (m.rc > 0 || !unchanged(ctx, t->changes)))
		m.rc = child_change(t->b, ctx, t->changes, t->op, &m.err);
	send_end(out, ctx, t->op, &m);
	libuboot_close(ctx);
}

/* ---- in the parent ---- */

/* "; process 123 (fw_setenv) holds it", as far as /proc/locks tells */
static void name_holder(char *out, size_t n)
{
	AUTO_FREE char *locks = NULL;
	char needle[32];
	struct stat st;
	size_t len;
	int pid;

	*out = '\0';
	if (stat(LOCK_PATH, &st) < 0 ||
	    sys_read_file(AT_FDCWD, "/proc/locks", 1024 * 1024, &locks, &len) < 0 ||
	    text_print(needle, sizeof(needle), ":%llu ", (unsigned long long)st.st_ino) < 0)
		return;
	for (char *rest = locks; rest;) {
		AUTO_FREE char *comm = NULL;
		char path[64], *line = strsep(&rest, "\n");

		if (!strstr(line, needle) || strstr(line, "->"))
			continue;
		/* NOLINTNEXTLINE(cert-err34-c): a number of the kernel fits */
		if (sscanf(line, "%*s %*s %*s %*s %d", &pid) != 1)
			continue;
		text_print(path, sizeof(path), "/proc/%d/comm", pid);
		if (sys_read_file(AT_FDCWD, path, 64, &comm, &len) < 0)
			continue;
		comm[strcspn(comm, "\n")] = '\0';
		text_print(out, n, "; process %d (%s) holds it", pid, comm);
		return;
	}
}

static int lock_late(unsigned waited, struct err *e)
{
	char holder[96];

	name_holder(holder, sizeof(holder));
	return err_set(e, E_ENV_LOCK, EBUSY, "the lock %s was not free within %u ms%s", LOCK_PATH,
		       waited, holder);
}

/* n bytes until 'until'; -ETIMEDOUT, -EPIPE at an early end */
static int read_by(int fd, void *buf, size_t n, uint64_t until)
{
	char *at = buf;

	while (n) {
		uint64_t now = sys_now_ms();
		struct pollfd p = {.fd = fd, .events = POLLIN};

		if (now >= until)
			return -ETIMEDOUT;
		int ready = poll(&p, 1, (int)(until - now));
		if (ready < 0 && errno != EINTR)
			return -errno;
		if (ready <= 0)
			continue;
		ssize_t got = read(fd, at, n);
		if (got == 0)
			return -EPIPE;
		if (got < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (got > 0) {
			at += got;
			n -= (size_t)got;
		}
	}
	return 0;
}

/* name NUL value NUL, to the end of the buffer */
static int take_texts(const char *buf, size_t n, struct envset *all, struct err *e)
{
	const char *at = buf, *end = buf + n;

	while (at < end) {
		const char *value = memchr(at, '\0', (size_t)(end - at));
		const char *stop =
			value ? memchr(value + 1, '\0', (size_t)(end - value - 1)) : NULL;

		if (!stop)
			return err_set(e, E_ENV_READ, EPROTO, "the answer of libubootenv is cut");
		int rc = envset_put(all, at, value + 1, e);
		if (rc < 0)
			return rc;
		at = stop + 1;
	}
	return 0;
}

static int child_silent(enum op op, struct err *e)
{
	return err_set(e, op == OP_COMMIT ? E_ENV_WRITE : E_ENV_READ, EIO,
		       "libubootenv ended without an answer; the environment may be damaged");
}

/* a lock that is free is always taken, whatever the phase has waited before */
static int await_lock(struct bootenv *b, int fd, struct message *m, struct err *e)
{
	uint64_t began = sys_now_ms(), took;
	unsigned most = b->wait_left > LOCK_LEAST_MS ? b->wait_left : LOCK_LEAST_MS;
	int rc = read_by(fd, m, sizeof(*m), began + most);

	took = sys_now_ms() - began;
	b->wait_left = took < b->wait_left ? b->wait_left - (unsigned)took : 0;
	return rc == -ETIMEDOUT ? lock_late(most, e) : rc;
}

static int take_answer(struct bootenv *b, int fd, enum op op, struct envset *all, struct err *e)
{
	AUTO_FREE char *buf = NULL;
	struct message m = {0};

	int rc = await_lock(b, fd, &m, e);
	if (rc == -EBUSY)
		return rc;
	uint64_t until = sys_now_ms() + WORK_MS;
	if (rc == 0 && m.kind == MESSAGE_LOCKED)
		rc = read_by(fd, &m, sizeof(m), until);
	if (rc < 0 || m.kind != MESSAGE_END || m.length > REPLY_MAX)
		return child_silent(op, e);
	if (m.rc < 0) {
		*e = m.err;
		return m.rc;
	}
	buf = malloc(m.length + 1);
	if (!buf)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for boot variables");
	if (read_by(fd, buf, m.length, until) < 0)
		return child_silent(op, e);
	return take_texts(buf, m.length, all, e);
}

/* it has answered or is late; one that hangs in the kernel is left behind (nobody waits, L4) */
static int run(struct bootenv *b, const struct envset *changes, enum op op, struct envset *all,
	       struct err *e)
{
	struct task t = {b, changes, op};
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(e, E_SYS, errno, "making a pipe");
	AUTO_CLOSE int in = fds[0], out = fds[1];
	pid_t pid = spawn_function(child, &t, out, e);
	if (pid < 0)
		return err_while(e, pid, "starting a process for the boot environment");
	sys_close(&out);
	int rc = take_answer(b, in, op, all, e);
	spawn_end(pid);
	return rc;
}

static int uboot_load(struct bootenv *b, struct envset *all, struct err *e)
{
	return run(b, &(struct envset){0}, OP_LOAD, all, e);
}

static int names_ok(const struct envset *changes, struct err *e)
{
	for (size_t i = 0; i < changes->count; i++)
		if (strcmp(changes->vars[i].name, ".flags") == 0)
			return err_set(e, E_ENV_NAME, EINVAL,
				       "'.flags' is kept by libubootenv and cannot be set");
	return 0;
}

static int uboot_check(struct bootenv *b, const struct envset *changes, struct err *e)
{
	struct envset all = {0};
	int rc = names_ok(changes, e);

	for (size_t i = 0; rc == 0 && i < b->place_count; i++)
		if (access(b->places[i].path, W_OK) < 0 &&
		    errno != ENOENT) /* ubi0:name is no path */
			rc = err_sys(e, E_ENV_WRITE, errno, "'%s' cannot be written",
				     b->places[i].path);
	if (rc == 0)
		rc = run(b, changes, OP_CHECK, &all, e);
	envset_clear(&all);
	return rc;
}

/* opened before the write: the kernel reports a failed write-back to whoever had the place open */
static int hold_places(const struct bootenv *b, int held[2], struct err *e)
{
	for (size_t i = 0; i < b->place_count; i++) {
		held[i] = sys_openat(AT_FDCWD, b->places[i].path, O_RDONLY | O_CLOEXEC, 0);
		if (held[i] < 0 && !strchr(b->places[i].path, ':'))
			return err_sys(e, E_ENV_READ, -held[i], "opening '%s'", b->places[i].path);
	}
	return 0;
}

static int flush_places(const struct bootenv *b, const int held[2], struct err *e)
{
	for (size_t i = 0; i < b->place_count; i++) {
		if (held[i] < 0)
			continue;
		int rc = sys_fsync(held[i]);
		if (rc < 0 && rc != -EINVAL) /* MTD has no cache and no fsync */
			return err_sys(e, E_ENV_WRITE, -rc, "flushing '%s'", b->places[i].path);
		posix_fadvise(held[i], (off_t)b->places[i].off, (off_t)b->places[i].size,
			      POSIX_FADV_DONTNEED); /* what is read back is the medium's */
	}
	return 0;
}

static int uboot_commit(struct bootenv *b, const struct envset *changes, struct err *e)
{
	AUTO_CLOSE int held0 = -1, held1 = -1;
	struct envset all = {0};
	int held[2] = {-1, -1};

	int rc = names_ok(changes, e);
	if (rc == 0)
		rc = hold_places(b, held, e);
	held0 = held[0];
	held1 = held[1];
	if (rc == 0)
		rc = run(b, changes, OP_COMMIT, &all, e);
	envset_clear(&all);
	return rc < 0 ? rc : flush_places(b, held, e);
}

const struct bootenv_backend bootenv_uboot = {
	.name = "uboot",
	.summary = "U-Boot's environment (libubootenv)",
	.open = uboot_open,
	.load = uboot_load,
	.check = uboot_check,
	.commit = uboot_commit,
};
