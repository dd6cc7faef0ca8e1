#include "tests/fuzz/fuzzkit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "corelib/base/crc32c.h"
#include "corelib/base/digest.h"
#include "corelib/base/log.h"
#include "corelib/base/text.h"
#include "tests/unit/kit/envkit.h"

#define NOBODY 65534

static char folder[64]; /* a fuzzer is one process with one device */
static pid_t owner;
static int free_before;

void fuzzkit_fail(const char *why, const char *detail)
{
	fuzzkit_regain();
	fprintf(stderr, "%s: %s\n", why, detail ? detail : "");
	abort();
}

static void remove_folder(void)
{
	if (getpid() == owner)
		envkit_remove_tree(folder);
}

const char *fuzzkit_folder(void)
{
	struct log_config quiet = {.level = LOG_LEVEL_ERROR, .fd = -1};

	if (*folder)
		return folder;
	quiet.fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	log_init(&quiet);
	snprintf(folder, sizeof(folder), "%s/fuzz-swinstall-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(folder) || (geteuid() == 0 && chown(folder, NOBODY, NOBODY) < 0))
		fuzzkit_fail("no private folder", folder);
	owner = getpid();
	atexit(remove_folder);
	return folder;
}

static int free_descriptor(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		fuzzkit_fail("no descriptor is free", strerror(errno));
	close(fd);
	return fd;
}

void fuzzkit_drop(void)
{
	free_before = free_descriptor();
	if (getuid() == 0 && seteuid(NOBODY) < 0)
		fuzzkit_fail("cannot become another user", NULL);
}

void fuzzkit_regain(void)
{
	if (getuid() == 0 && seteuid(0) < 0)
		abort();
}

const char *fuzzkit_path(const char *name)
{
	static char paths[8][192];
	static unsigned next;
	char *p = paths[next++ % ARRAY_SIZE(paths)];

	snprintf(p, sizeof(paths[0]), "%s/%s", fuzzkit_folder(), name);
	return p;
}

void fuzzkit_empty(const char *const *folders)
{
	DIR *d = opendir(fuzzkit_folder());
	struct dirent *f;

	while (d && (f = readdir(d)))
		if (strcmp(f->d_name, ".") != 0 && strcmp(f->d_name, "..") != 0)
			envkit_remove_tree(fuzzkit_path(f->d_name));
	if (d)
		closedir(d);
	for (; *folders; folders++)
		if (mkdir(fuzzkit_path(*folders), 0700) < 0)
			fuzzkit_fail("mkdir", *folders);
}

void fuzzkit_write(const char *name, const void *bytes, size_t n)
{
	envkit_write_file(fuzzkit_path(name), bytes, n);
	chmod(fuzzkit_path(name), 0600);
}

char *fuzzkit_read(const char *path, size_t *n)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st = {0};
	ssize_t got = 0;
	char *bytes;

	if (fd < 0 && errno != ENOENT && errno != ENOTDIR)
		fuzzkit_fail(strerror(errno), path);
	if (fd >= 0 && fstat(fd, &st) < 0)
		abort();
	bytes = malloc((size_t)st.st_size + 1);
	if (!bytes || (fd >= 0 && (got = read(fd, bytes, (size_t)st.st_size)) < 0))
		abort();
	bytes[got] = '\0';
	*n = (size_t)got;
	return bytes;
}

static uint32_t sum_path(uint32_t sum, const char *path);

static uint32_t sum_folder(uint32_t sum, const char *path)
{
	struct dirent **names = NULL;
	int n = scandir(path, &names, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		char *child = NULL;

		if (strcmp(names[i]->d_name, ".") != 0 && strcmp(names[i]->d_name, "..") != 0 &&
		    asprintf(&child, "%s/%s", path, names[i]->d_name) > 0) {
			sum = crc32c(sum, names[i]->d_name, strlen(names[i]->d_name) + 1);
			sum = sum_path(sum, child);
		}
		free(child);
		free(names[i]);
	}
	free(names);
	return sum;
}

static uint32_t sum_path(uint32_t sum, const char *path)
{
	struct stat st;
	size_t n;

	if (lstat(path, &st) < 0)
		return sum;
	sum = crc32c(sum, &st.st_mode, sizeof(st.st_mode));
	if (S_ISDIR(st.st_mode))
		return sum_folder(sum, path);
	if (S_ISREG(st.st_mode)) {
		char *bytes = fuzzkit_read(path, &n);

		sum = crc32c(sum, bytes, n);
		free(bytes);
	}
	return sum;
}

uint32_t fuzzkit_sum(const char *name)
{
	return sum_path(0, fuzzkit_path(name));
}

unsigned fuzzkit_leftovers(const char *name)
{
	DIR *d = opendir(fuzzkit_path(name));
	struct dirent *f;
	unsigned n = 0;

	while (d && (f = readdir(d)))
		n += strncmp(f->d_name, ".swinstall", 10) == 0 || strstr(f->d_name, ".tmp.") ||
		     strstr(f->d_name, ".new.");
	if (d)
		closedir(d);
	return n;
}

void fuzzkit_expect_closed(void)
{
	static bool warm; /* libraries keep some of the first input */

	if (warm && free_descriptor() > free_before)
		fuzzkit_fail("a descriptor was left open", NULL);
	warm = true;
}

void fuzzkit_replace(char **text, size_t *n, const char *what, const char *with)
{
	size_t old = strlen(what), fresh = strlen(with), from = 0;
	char *at;

	while ((at = memmem(*text + from, *n - from, what, old))) {
		size_t where = (size_t)(at - *text);
		char *grown = malloc(*n - old + fresh + 1);

		if (!grown)
			abort();
		memcpy(grown, *text, where);
		memcpy(grown + where, with, fresh);
		memcpy(grown + where + fresh, at + old, *n - where - old);
		*n += fresh - old;
		grown[*n] = '\0';
		free(*text);
		*text = grown;
		from = where + fresh;
	}
}
