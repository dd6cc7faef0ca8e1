#include "corelib/process/orphans.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define END_MS 2000

/* the fourth field of /proc/PID/stat, behind a name that may hold anything */
static pid_t parent_of(int proc, const char *pid)
{
	char path[32], text[512];
	const char *end;
	ssize_t n;

	if (text_print(path, sizeof(path), "%s/stat", pid) < 0)
		return -1;
	AUTO_CLOSE int fd = sys_openat(proc, path, O_RDONLY | O_CLOEXEC, 0);

	n = fd < 0 ? fd : sys_read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	end = strrchr(text, ')');
	if (!end || strlen(end) < 5)
		return -1;
	return (pid_t)strtol(end + 4, NULL, 10);
}

/* calls f with each child of this process; false where that cannot be known */
static bool each_child(void (*f)(void *arg, pid_t pid), void *arg)
{
	DIR *d = opendir("/proc");
	const struct dirent *de;
	uint64_t pid;

	if (!d)
		return false;
	while ((de = readdir(d)))
		if (text_u64(de->d_name, &pid) == 0 && pid <= INT32_MAX &&
		    parent_of(dirfd(d), de->d_name) == getpid())
			f(arg, (pid_t)pid);
	closedir(d);
	return true;
}

static void note_child(void *arg, pid_t pid)
{
	struct orphans *o = arg;

	if (o->count < ORPHANS_KNOWN)
		o->known[o->count] = pid;
	o->count++;
}

void orphans_watch(struct orphans *o)
{
	memset(o, 0, sizeof(*o));
	if (!each_child(note_child, o) || o->count > ORPHANS_KNOWN)
		return;
	o->watching = prctl(PR_GET_CHILD_SUBREAPER, &o->before, 0, 0, 0) == 0 &&
		      prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0;
}

struct hunt {
	const struct orphans *o;
	unsigned found;
};

static void end_child(void *arg, pid_t pid)
{
	struct hunt *h = arg;
	int status;

	for (size_t i = 0; i < h->o->count; i++)
		if (h->o->known[i] == pid)
			return;
	h->found++;
	kill(pid, SIGKILL);
	waitpid(pid, &status, WNOHANG);
}

void orphans_end(struct orphans *o)
{
	const struct timespec pause = {.tv_nsec = 2000000};
	uint64_t until = sys_now_ms() + END_MS;
	unsigned quiet = 0;

	/* an end makes the next generation ours: until twice nobody is left */
	while (o->watching && quiet < 2 && sys_now_ms() < until) {
		struct hunt h = {.o = o};

		each_child(end_child, &h);
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
