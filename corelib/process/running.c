#include "corelib/process/running.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "corelib/process/childenv.h"
#include "corelib/process/procs.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define PREFIX	    "running-"
#define WORD_LEN    16
#define NOTE_MAX    160
#define ENVIRON_MAX (4u * 1024 * 1024)
#define END_MS	    5000
#define UNSURE_MS   300
#define QUIET	    3

static int note_name(char *name, size_t n, const char *word)
{
	return text_print(name, n, PREFIX "%s", word);
}

/* a note of an earlier boot speaks of processes that are no more */
static int read_boot(char boot[48])
{
	AUTO_FREE char *text = NULL;
	size_t len;
	int rc = sys_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &text, &len);

	if (rc < 0)
		return rc;
	text[strcspn(text, "\n")] = '\0';
	return text_copy(boot, 48, text);
}

/* ---- before and after a program ---- */

int running_open(struct running *r, int dir, struct err *e)
{
	uint64_t random;
	int rc;

	*r = (struct running){.dir = dir};
	if (dir <= 0)
		return 0;
	rc = sys_random(&random, sizeof(random));
	if (rc < 0)
		return err_sys(e, E_NONE, -rc, "drawing a random word");
	text_print(r->word, sizeof(r->word), "%016" PRIx64, random);
	text_print(r->variable, sizeof(r->variable), RUNNING_VARIABLE "=%s", r->word);
	return 0;
}

/* not flushed: after a power cut nothing of this boot runs any more */
int running_note(void *arg, pid_t group, struct err *e)
{
	const struct running *r = arg;
	char name[40], text[NOTE_MAX], boot[48];
	struct proc p, own;
	int rc;

	if (r->dir <= 0)
		return 0;
	rc = procs_read(group, &p);
	if (rc == 0)
		rc = procs_read(getpid(), &own);
	if (rc == 0)
		rc = read_boot(boot);
	if (rc == 0)
		rc = text_print(text, sizeof(text), "%d %" PRIu64 " %d %" PRIu64 " %s\n",
				(int)group, p.start, (int)own.pid, own.start, boot);
	if (rc == 0)
		rc = note_name(name, sizeof(name), r->word);
	if (rc < 0)
		return err_sys(e, E_STATE_DIR, -rc, "looking at a program before it runs");
	AUTO_CLOSE int fd = sys_openat(r->dir, name,
				       O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	rc = fd < 0 ? fd : sys_write(fd, text, strlen(text));
	if (rc == 0)
		return 0;
	running_forget(r);
	return err_sys(e, E_STATE_DIR, -rc, "noting in the file '%s' that a program runs", name);
}

int running_environment(const struct running *r, const char *const *own, const char ***env,
			struct err *e)
{
	static const char *const usual[] = {CHILDENV_ALWAYS, NULL};
	size_t n = 0;

	if (!own)
		own = usual;
	while (own[n])
		n++;
	*env = calloc(n + 2, sizeof(**env));
	if (!*env)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for an environment");
	memcpy(*env, own, n * sizeof(**env));
	(*env)[n] = r->dir > 0 ? r->variable : NULL;
	return 0;
}

void running_forget(const struct running *r)
{
	char name[40];

	if (r->dir > 0 && note_name(name, sizeof(name), r->word) == 0)
		sys_unlinkat(r->dir, name, 0);
}

/* ---- after a killed process ---- */

struct hunt {
	const char *word;
	pid_t group;
	uint64_t start;
	bool group_is_ours; /* one of its members is: the kernel gives the id to nobody else then */
	unsigned found, unsure;
	bool ending;
	pid_t last;
};

/* 1, 0, or -1 for one that shows no environment, as while it becomes another program */
static int has_word(pid_t pid, const char *word)
{
	AUTO_FREE char *text = NULL;
	char path[32], want[40];
	size_t len;

	text_print(path, sizeof(path), "/proc/%d/environ", (int)pid);
	text_print(want, sizeof(want), RUNNING_VARIABLE "=%s", word);
	if (sys_read_file(AT_FDCWD, path, ENVIRON_MAX, &text, &len) < 0)
		return 0;
	for (const char *at = text; at < text + len; at += strlen(at) + 1)
		if (strcmp(at, want) == 0)
			return 1;
	return len ? 0 : -1;
}

static void look_at(void *arg, const struct proc *p)
{
	struct hunt *h = arg;
	bool member = p->group == h->group || p->session == h->group;
	bool ours;
	int word;

	if (p->ended || p->pid == getpid() || p->pid == 1)
		return;
	word = has_word(p->pid, h->word);
	ours = (p->pid == h->group && p->start == h->start) || word > 0;
	/* threads of the kernel, which never have one, are children of number 2 */
	h->unsure += word < 0 && p->pid != 2 && p->parent != 2;
	h->group_is_ours |= ours && member;
	if (!h->ending || !(ours || (member && h->group_is_ours)))
		return;
	h->found++;
	h->last = p->pid;
	kill(p->pid, SIGKILL);
}

/*
 * How many it were. What forks meanwhile is found by the next look. One that is just becoming
 * another program shows no environment for a moment: nobody is left only when several looks say so,
 * and while there are such, looking goes on for a while; some have none for good.
 */
static int end_all(struct hunt *h, struct err *e)
{
	const struct timespec pause = {.tv_nsec = 2000000};
	uint64_t until = sys_now_ms() + END_MS, sure = sys_now_ms() + UNSURE_MS;
	unsigned most = 0, quiet = 0;

	for (;;) {
		h->ending = h->group_is_ours = false;
		if (!procs_each(look_at, h))
			return err_set(e, E_BUSY, ENOENT,
				       "/proc cannot be read: nobody knows "
				       "whether a program of a killed "
				       "installation still runs");
		h->ending = true;
		h->found = h->unsure = 0;
		procs_each(look_at, h);
		quiet = h->found || (h->unsure && sys_now_ms() < sure) ? 0 : quiet + 1;
		if (quiet == QUIET)
			return (int)most;
		most = h->found > most ? h->found : most;
		if (sys_now_ms() >= until)
			return err_set(e, E_BUSY, EBUSY,
				       "process %d, which a killed installation has started, does "
				       "not end",
				       (int)h->last);
		nanosleep(&pause, NULL);
	}
}

void running_sweep(const struct running *r, pid_t group)
{
	struct hunt h = {.word = r->word, .group = group};
	struct err e = {0};

	/* what does not end stays noted: the next start says so */
	if (end_all(&h, &e) >= 0)
		running_forget(r);
}

/* whoever wrote the note may be at work, under another lock */
static bool lives(pid_t pid, uint64_t start)
{
	struct proc p;

	return pid != getpid() && procs_read(pid, &p) == 0 && p.start == start && !p.ended;
}

static int end_one(int dir, const char *name, struct err *e)
{
	char boot[48] = "", noted[48];
	struct hunt h = {.word = name + strlen(PREFIX)};
	AUTO_FREE char *text = NULL;
	int group = 0, job = 0, rc = 0;
	uint64_t job_start;
	size_t len;

	/* one that was cut stands for a program that never began: its process waits for the note */
	if (read_boot(boot) == 0 && strlen(h.word) == WORD_LEN &&
	    sys_read_file(dir, name, NOTE_MAX, &text, &len) == 0 &&
	    /* NOLINTNEXTLINE(cert-err34-c): we wrote it, and a wrong number finds no process */
	    sscanf(text, "%d %" SCNu64 " %d %" SCNu64 " %47s", &group, &h.start, &job, &job_start,
		   noted) == 5 &&
	    group > 1 && strcmp(noted, boot) == 0) {
		if (lives(job, job_start))
			return 0;
		h.group = group;
		rc = end_all(&h, e);
	}
	if (rc >= 0)
		sys_unlinkat(dir, name, 0);
	return rc;
}

int running_end(int dir, struct err *e)
{
	int copy = sys_openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *de;
	int ended = 0, rc = 0;

	if (!d) {
		rc = err_sys(e, E_STATE_DIR, copy < 0 ? -copy : errno, "reading the folder");
		sys_close(&copy);
		return rc;
	}
	while (rc >= 0 && (de = readdir(d)))
		if (strncmp(de->d_name, PREFIX, strlen(PREFIX)) == 0) {
			rc = end_one(dir, de->d_name, e);
			ended += rc > 0 ? rc : 0;
		}
	closedir(d);
	return rc < 0 ? rc : ended;
}
