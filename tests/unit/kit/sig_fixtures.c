#include "tests/unit/kit/sig_fixtures.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int run(const char *const argv[])
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	return pid < 0 || waitpid(pid, &status, 0) != pid ? -1 : status;
}

int sig_fixtures_make(struct sig_fixtures *f)
{
	const char *const argv[] = {"/bin/sh", "tests/unit/kit/sig_fixtures.sh", f->dir, NULL};

	snprintf(f->dir, sizeof(f->dir), "/tmp/test-sig-XXXXXX");
	return mkdtemp(f->dir) ? run(argv) : -1;
}

static int drop(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

void sig_fixtures_remove(struct sig_fixtures *f)
{
	nftw(f->dir, drop, 8, FTW_DEPTH | FTW_PHYS);
}

struct sig_blob sig_fixture(const struct sig_fixtures *f, const char *name)
{
	struct sig_blob b = {0};
	char path[512];
	FILE *in;

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	in = fopen(path, "rb");
	if (!in) {
		fprintf(stderr, "no fixture %s\n", path);
		abort();
	}
	b.n = fread(b.at, 1, sizeof(b.at), in);
	fclose(in);
	return b;
}
