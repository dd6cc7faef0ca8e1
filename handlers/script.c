#include "handlers/script.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "corelib/process/childenv.h"
#include "corelib/process/process.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "corelib/base/words.h"

#define INFO_FD	  3
#define WARN_FD	  4
#define EXTRA_MAX (256u * 1024) /* T120: of both together; the rest is dropped */
#define COPY_STEP 65536

const struct attr script_props[] = {
	{.name = "timeout",
	 .type = ATTR_INT,
	 .min = 1,
	 .max = SCRIPT_TIMEOUT_MOST,
	 .dflt = "600",
	 .help = "seconds after which the script is ended and the install fails"},
};
_Static_assert(ARRAY_SIZE(script_props) == SCRIPT_PROPS, "the count in the header");

struct script {
	char path[512];
};

/* one run of it */
struct running {
	struct step *st;
	char last[400]; /* of standard error: says more than a status */
	size_t extra;	/* bytes told on the two further descriptors */
	void *arg;	/* of the caller's input */
	ssize_t (*input)(void *arg, const uint8_t **buf, struct err *e);
};

/* ---- before the first write ---- */

int script_check(struct step *st, struct err *e)
{
	struct words w;
	int rc = words_split(&w, st->entry->data, e);

	if (rc < 0)
		return err_at(e, rc, "data");
	words_clear(&w);
	return 0;
}

/* ---- the file ---- */

/* the name it has in the bundle, so that it may look for its companions; a second entry gets its
 * own */
static int create(const struct step *st, const char *folder, struct script *s, struct err *e)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	const struct entry *t = st->entry;
	int fd = -ENAMETOOLONG;

	if (text_print(s->path, sizeof(s->path), "%s/%s", folder, t->filename) == 0)
		fd = sys_openat(AT_FDCWD, s->path, flags, 0700);
	if (fd == -EEXIST &&
	    text_print(s->path, sizeof(s->path), "%s/%u-%s", folder, t->index, t->filename) == 0)
		fd = sys_openat(AT_FDCWD, s->path, flags, 0700);
	return fd < 0 ? err_sys(e, E_NONE, -fd, "making '%s' in %s", t->filename, folder) : fd;
}

static int script_copy(struct stream *in, int fd, const char *path, struct err *e)
{
	AUTO_FREE char *buf = malloc(COPY_STEP);
	ssize_t n;

	if (!buf)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a script");
	while ((n = stream_read(in, buf, COPY_STEP, e)) > 0) {
		int rc = sys_write(fd, buf, (size_t)n);

		if (rc < 0)
			return err_sys(e, E_NONE, -rc, "writing %s", path);
	}
	return (int)n;
}

int script_install(struct step *st, struct stream *in, struct err *e)
{
	struct script *s = calloc(1, sizeof(*s));
	const char *folder = NULL;
	int rc;

	if (!s)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a script");
	st->state = s;
	rc = st->host->ops->script_folder(st->host, &folder, e);
	if (rc < 0)
		return rc;
	AUTO_CLOSE int fd = create(st, folder, s, e);

	if (fd < 0)
		return fd;
	rc = script_copy(in, fd, s->path, e);
	if (rc < 0)
		return rc;
	/* an open writer would make exec fail with ETXTBSY */
	rc = sys_close(&fd);
	return rc < 0 ? err_sys(e, E_NONE, -rc, "closing %s", s->path) : 0;
}

int script_commit(struct step *st, struct err *e)
{
	(void)e;
	script_discard(st);
	return 0;
}

/* the file goes with its folder */
void script_discard(struct step *st)
{
	free(st->state);
	st->state = NULL;
}

/* ---- what it says ---- */

static void take_extra(struct running *r, enum log_level level, const char *text)
{
	size_t n = strlen(text) + 1;
	struct host *h = r->st->host;

	if (r->extra > EXTRA_MAX)
		return;
	r->extra += n;
	if (r->extra > EXTRA_MAX)
		h->ops->say(h, LOG_LEVEL_WARN, "(more messages of this script are not shown)");
	else
		h->ops->say(h, level, text);
}

static void take_line(void *arg, const struct process_line *l)
{
	struct running *r = arg;
	struct host *h = r->st->host;

	switch (l->from) {
	case 2:
		if (*l->text)
			snprintf(r->last, sizeof(r->last), "%s", l->text);
		h->ops->say(h, LOG_LEVEL_ERROR, l->text);
		break;
	case INFO_FD:
	case WARN_FD:
		take_extra(r, l->from == INFO_FD ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, l->text);
		break;
	default:
		h->ops->say(h, LOG_LEVEL_TRACE, l->text);
	}
}

/* ---- running ---- */

uint64_t script_deadline(const struct entry *t)
{
	const char *v = entry_property(t, "timeout");
	uint64_t seconds = SCRIPT_TIMEOUT;

	/* the plan has checked it against the table */
	if (v && (text_size(v, &seconds) < 0 || seconds > SCRIPT_TIMEOUT_MOST))
		seconds = SCRIPT_TIMEOUT;
	return seconds * 1000;
}

static ssize_t give_input(void *arg, const uint8_t **buf, struct err *e)
{
	const struct running *r = arg;

	return r->input(r->arg, buf, e);
}

/* a copy in memory that nobody can change any more, for folders on which nothing may be executed
 * (T59) */
static int sealed_copy(const char *path, struct err *e)
{
	const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
	AUTO_CLOSE int from = sys_openat(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0);
	AUTO_CLOSE int to = memfd_create("script", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	AUTO_FREE char *buf = malloc(COPY_STEP);
	ssize_t n = 0;
	int out;

	if (from < 0 || to < 0)
		return err_sys(e, E_NONE, from < 0 ? -from : errno, "copying %s into memory", path);
	if (!buf)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a script");
	while (n >= 0 && (n = sys_read(from, buf, COPY_STEP)) > 0) {
		int rc = sys_write(to, buf, (size_t)n);

		n = rc < 0 ? rc : n;
	}
	if (n == 0 && (fchmod(to, 0500) < 0 || fcntl(to, F_ADD_SEALS, seals) < 0))
		n = -errno;
	if (n < 0)
		return err_sys(e, E_NONE, (int)-n, "copying %s into memory", path);
	out = to;
	to = -1;
	return out;
}

static int run_sealed(struct process *p, const char *path, struct err *e)
{
	AUTO_CLOSE int fd = sealed_copy(path, e);

	if (fd < 0)
		return fd;
	p->exec_fd = fd;
	return process_run(p, e);
}

/* argv has a free place in front: of the shell, for a text that names no interpreter */
static int run_any(struct process *p, struct err *e)
{
	const char **argv = (const char **)(uintptr_t)p->argv, *path = argv[1];
	struct err why = {0};
	int rc;

	p->argv = argv + 1;
	rc = process_run(p, &why);
	if (rc < 0 && why.code == E_SYS && why.sys == EACCES) {
		err_clear(&why);
		rc = run_sealed(p, path, &why);
		p->exec_fd = -1;
	}
	if (rc < 0 && why.code == E_SYS && why.sys == ENOEXEC) {
		err_clear(&why);
		argv[0] = "/bin/sh";
		p->argv = argv;
		rc = process_run(p, &why);
	}
	if (rc < 0)
		*e = why;
	return rc;
}

int script_follow(struct step *st, struct process *p, int (*run)(struct process *p, struct err *e),
		  struct err *e)
{
	static const char *const more[] = {"SWUPDATE_INFO_FD=3", "SWUPDATE_WARN_FD=4", NULL};
	AUTO_FREE const char **env = NULL;
	struct running r = {.st = st, .arg = p->arg, .input = p->input};
	struct err why = {0};
	int rc = childenv_make(&env, more, e);

	if (rc < 0)
		return rc;
	p->env = env;
	p->exec_fd = p->stdin_fd = -1;
	p->extra = 2;
	p->deadline_ms = script_deadline(st->entry);
	p->noted_in = st->host->noted_in;
	p->whole = true;
	p->line = take_line;
	if (p->input)
		p->input = give_input;
	p->arg = &r;
	rc = run(p, &why);
	if (rc < 0 && why.code == E_PROCESS && r.last[0])
		return err_set(e, E_PROCESS, why.sys, "%s: %s", why.why, r.last);
	if (rc < 0)
		*e = why;
	return rc;
}

static int run_with(struct step *st, const char *word, struct err *e)
{
	const char *argv[WORDS_MAX + 4] = {NULL}, *name = st->entry->filename;
	const struct script *s = st->state;
	struct process p = {
		.name = name,
		.argv = argv,
		/* a cancel must not keep it from tidying up */
		.cancel = word && strcmp(word, "postfailure") == 0 ? NULL : st->host->cancel,
	};
	size_t n = 1;
	struct words w;
	int rc;

	if (!s)
		return err_set(e, E_INTERNAL, EINVAL, "a script was not stored before it runs");
	rc = words_split(&w, st->entry->data, e);
	if (rc < 0)
		return rc;
	argv[n++] = s->path;
	if (word)
		argv[n++] = word;
	for (size_t i = 0; i < w.count; i++)
		argv[n++] = w.at[i];
	rc = script_follow(st, &p, run_any, e);
	words_clear(&w);
	return err_while(e, rc, "running %s%s%s", name, word ? " " : "", word ? word : "");
}

int script_run(struct step *st, enum phase phase, struct err *e)
{
	static const char *const words[] = {"preinst", "postinst", "postfailure"};

	return run_with(st, words[phase], e);
}

int script_run_plain(struct step *st, enum phase phase, struct err *e)
{
	(void)phase;
	return run_with(st, NULL, e);
}
