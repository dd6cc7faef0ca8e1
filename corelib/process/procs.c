#include "corelib/process/procs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

int procs_read(pid_t pid, struct proc *p)
{
	char path[32], text[1024];
	unsigned long long start;
	int parent, group, session;
	const char *end;
	ssize_t n;
	char state;

	text_print(path, sizeof(path), "/proc/%d/stat", (int)pid);
	AUTO_CLOSE int fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);

	if (fd < 0)
		return fd;
	n = sys_read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return n < 0 ? (int)n : -ESRCH;
	text[n] = '\0';
	/* the second field is a name that may hold anything, also brackets and spaces */
	end = strrchr(text, ')');
	/* NOLINTNEXTLINE(cert-err34-c): numbers of the kernel fit */
	if (!end || sscanf(end,
			   ") %c %d %d %d %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
			   "%*s %llu",
			   &state, &parent, &group, &session, &start) != 5)
		return -EPROTO;
	*p = (struct proc){.pid = pid,
			   .parent = parent,
			   .group = group,
			   .session = session,
			   .start = start,
			   .ended = state == 'Z' || state == 'X'};
	return 0;
}

bool procs_each(void (*f)(void *arg, const struct proc *p), void *arg)
{
	DIR *d = opendir("/proc");
	const struct dirent *de;
	struct proc p;
	uint64_t pid;

	if (!d)
		return false;
	while ((de = readdir(d)))
		if (text_u64(de->d_name, &pid) == 0 && pid <= INT32_MAX &&
		    procs_read((pid_t)pid, &p) == 0)
			f(arg, &p);
	closedir(d);
	return true;
}
