#include "tests/unit/kit/tool.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

unsigned tool_random(unsigned *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

void blob_clear(struct blob *b)
{
	free(b->data);
	*b = (struct blob){0};
}

/* memory grows in powers of two */
static size_t room_for(size_t n)
{
	size_t room = 4096;

	while (room <= n)
		room *= 2;
	return room;
}

void blob_add(struct blob *b, const void *data, size_t n)
{
	bool enough = b->data && room_for(b->len) == room_for(b->len + n);
	uint8_t *more = enough ? b->data : realloc(b->data, room_for(b->len + n));

	if (!more) {
		fprintf(stderr, "no memory for the test\n");
		exit(99);
	}
	b->data = more;
	if (n)
		memcpy(b->data + b->len, data, n);
	b->len += n;
}

struct blob blob_image(size_t n, unsigned seed)
{
	static const uint8_t zeros[4096];
	struct blob b = {0};

	blob_add(&b, "", 0);
	while (b.len < n) {
		uint8_t part[4096];
		unsigned kind = tool_random(&seed) % 4;

		for (size_t i = 0; i < sizeof(part); i++)
			part[i] = (uint8_t)(kind ? "swinstall "[(i * kind) % 10] + (i >> 6)
						 : tool_random(&seed));
		blob_add(&b, kind == 1 ? zeros : part,
			 sizeof(part) < n - b.len ? sizeof(part) : n - b.len);
	}
	return b;
}

static int scratch(void)
{
	return memfd_create("tool", MFD_CLOEXEC);
}

static bool fill(int fd, const struct blob *in)
{
	for (size_t done = 0; in && done < in->len;) {
		ssize_t n = write(fd, in->data + done, in->len - done);

		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return lseek(fd, 0, SEEK_SET) == 0;
}

static bool slurp(int fd, struct blob *out)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	void *p = malloc(room_for((size_t)st.st_size));

	if (!p || pread(fd, p, (size_t)st.st_size, 0) != st.st_size) {
		free(p);
		return false;
	}
	blob_clear(out);
	*out = (struct blob){p, (size_t)st.st_size};
	return true;
}

static int run(const char *const *argv, int in, int out)
{
	posix_spawn_file_actions_t fa;
	pid_t pid;
	int status = -1, rc;

	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, in, 0);
	posix_spawn_file_actions_adddup2(&fa, out, 1);
	rc = posix_spawnp(&pid, argv[0], &fa, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	if (rc != 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int tool_filter(const char *const *argv, const struct blob *in, struct blob *out)
{
	int from = scratch(), to = scratch(), rc = -1;

	if (from >= 0 && to >= 0 && fill(from, in))
		rc = run(argv, from, to);
	if (rc >= 0 && !slurp(to, out))
		rc = -1;
	close(from);
	close(to);
	return rc;
}

bool tool_there(const char *name)
{
	const char *const argv[] = {"sh", "-c", "command -v \"$0\" >/dev/null", name, NULL};
	struct blob none = {0};
	bool there = tool_filter(argv, NULL, &none) == 0;

	blob_clear(&none);
	if (!there)
		printf("SKIP: the program %s is not installed\n", name);
	return there;
}
