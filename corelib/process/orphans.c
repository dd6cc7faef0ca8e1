#include "corelib/process/orphans.h"

#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "corelib/process/procs.h"
#include "corelib/base/sys.h"

#define END_MS 2000

static void note_child(void *arg, const struct proc *p)
{
	struct orphans *o = arg;

	if (p->parent != getpid())
		return;
	if (o->count < ORPHANS_KNOWN)
		o->known[o->count] = p->pid;
	o->count++;
}

void orphans_watch(struct orphans *o)
{
	memset(o, 0, sizeof(*o));
	if (!procs_each(note_child, o) || o->count > ORPHANS_KNOWN)
		return;
	o->watching = prctl(PR_GET_CHILD_SUBREAPER, &o->before, 0, 0, 0) == 0 &&
		      prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0;
}

struct hunt {
	const struct orphans *o;
	unsigned found;
};

static void end_child(void *arg, const struct proc *p)
{
	struct hunt *h = arg;
	int status;

	if (p->parent != getpid())
		return;
	for (size_t i = 0; i < h->o->count; i++)
		if (h->o->known[i] == p->pid)
			return;
	h->found++;
	kill(p->pid, SIGKILL);
	waitpid(p->pid, &status, WNOHANG);
}

void orphans_end(struct orphans *o)
{
	const struct timespec pause = {.tv_nsec = 2000000};
	uint64_t until = sys_now_ms() + END_MS;
	unsigned quiet = 0;

	/* an end makes the next generation ours: until twice nobody is left */
	while (o->watching && quiet < 2 && sys_now_ms() < until) {
		struct hunt h = {.o = o};

		procs_each(end_child, &h);
		quiet = h.found ? 0 : quiet + 1;
		nanosleep(&pause, NULL);
	}
}

void orphans_release(struct orphans *o)
{
	if (o->watching)
		prctl(PR_SET_CHILD_SUBREAPER, (unsigned long)o->before, 0, 0, 0);
	o->watching = false;
}
