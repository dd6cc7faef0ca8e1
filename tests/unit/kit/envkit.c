#include "envkit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

const struct envkit_kind envkit_kinds[] = {
	{"uboot redundant", "uboot", "fw_setenv", .too_big = E_ENV_BIG},
	{"uboot single", "uboot", "fw_setenv", .single = true, .too_big = E_ENV_BIG},
	{"grub", "grub", "grub-editenv", .too_big = E_ENV_BIG},
	{"grub on FAT", "grub", "grub-editenv", .fat = true, .too_big = E_ENV_TORN},
	{"file", "file", NULL, .too_big = E_NONE},
	{"none", "none", NULL, .volatile_ = true, .too_big = E_NONE},
};
const size_t envkit_kind_count = sizeof(envkit_kinds) / sizeof(*envkit_kinds);

int envkit_run(const char *const *argv, char *out, size_t n)
{
	int fds[2], status;
	size_t len = 0;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		dup2(fds[1], 1);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	close(fds[1]);
	while (len + 1 < n) {
		ssize_t got = read(fds[0], out + len, n - 1 - len);
		if (got <= 0)
			break;
		len += (size_t)got;
	}
	if (n)
		out[len] = '\0';
	close(fds[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool envkit_has(const char *program)
{
	static const char *const folders[] = {"/usr/bin", "/bin", "/usr/sbin", "/sbin"};
	char path[PATH_MAX];

	for (size_t i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/%s", folders[i], program);
		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

void envkit_write_file(const char *path, const void *bytes, size_t n)
{
	FILE *f = fopen(path, "w");

	if (!f || fwrite(bytes, 1, n, f) != n || fclose(f) != 0)
		abort();
}

char *envkit_read_file(const char *path, size_t *n)
{
	FILE *f = fopen(path, "r");
	char *buf = calloc(1, 1024 * 1024 + 1);

	*n = f && buf ? fread(buf, 1, 1024 * 1024, f) : 0;
	if (f)
		fclose(f);
	return buf;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

int envkit_remove_tree(const char *path)
{
	return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void make_uboot(struct envkit *k)
{
	static const char zeros[ENVKIT_UBOOT_SIZE];
	char text[512], defaults[128], first[2048];
	int n = 0;

	for (int i = 0; i < (k->kind->single ? 1 : 2); i++) {
		snprintf(k->copies[i], sizeof(k->copies[i]), "%s/copy%d", k->dir, i);
		envkit_write_file(k->copies[i], zeros, sizeof(zeros));
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%s 0x0 0x%x\n", k->copies[i],
			      ENVKIT_UBOOT_SIZE);
	}
	snprintf(k->config, sizeof(k->config), "%s/fw_env.config", k->dir);
	envkit_write_file(k->config, text, (size_t)n);
	snprintf(defaults, sizeof(defaults), "%s/first", k->dir);
	/* enough that a cut write shows */
	n = snprintf(first, sizeof(first), "a=1\nbulk=%01500d\nkeep=me\nzero=0\n", 7);
	envkit_write_file(defaults, first, (size_t)n);
	envkit_run((const char *[]){"fw_setenv", "-c", k->config, "-f", defaults, "a", "1", NULL},
		   text, sizeof(text));
	k->options.config = k->config;
	k->options.defaults = "/nonexistent/u-boot-initial-env";
}

bool envkit_make(struct envkit *k, const struct envkit_kind *kind)
{
	char out[16];

	*k = (struct envkit){.kind = kind, .dir = "/tmp/envkit-XXXXXX"};
	if (kind->program && !envkit_has(kind->program))
		return false;
	if (!mkdtemp(k->dir))
		return false;
	k->options.kind = kind->backend;
	snprintf(k->path, sizeof(k->path), "%s/env", k->dir);
	snprintf(k->copies[0], sizeof(k->copies[0]), "%s", k->path);
	if (strcmp(kind->backend, "uboot") == 0) {
		make_uboot(k);
	} else if (strcmp(kind->backend, "grub") == 0) {
		envkit_run((const char *[]){"grub-editenv", k->path, "create", NULL}, out, 16);
		envkit_run((const char *[]){"grub-editenv", k->path, "set", "a=1", "keep=me",
					    "zero=0", NULL},
			   out, 16);
		k->options.path = k->path;
	} else if (strcmp(kind->backend, "file") == 0) {
		envkit_write_file(k->path, "# mine\na=1\nkeep=me\n\nzero=0\n", 27);
		k->options.path = k->path;
	}
	return true;
}

void envkit_remove(struct envkit *k)
{
	envkit_remove_tree(k->dir);
}

int envkit_foreign_set(const struct envkit *k, const char *name, const char *value)
{
	char text[256], out[64];

	snprintf(text, sizeof(text), "%s=%s", name, value);
	if (strcmp(k->kind->backend, "uboot") == 0)
		return envkit_run((const char *[]){"fw_setenv", "-c", k->config, name, value, NULL},
				  out, sizeof(out));
	if (strcmp(k->kind->backend, "grub") == 0)
		return envkit_run((const char *[]){"grub-editenv", k->path, "set", text, NULL}, out,
				  sizeof(out));
	FILE *f = fopen(k->path, "a");
	if (!f)
		return -1;
	fprintf(f, "%s\n", text);
	return fclose(f);
}

int envkit_foreign_list(const struct envkit *k, char *out, size_t n)
{
	if (strcmp(k->kind->backend, "uboot") == 0)
		return envkit_run((const char *[]){"fw_printenv", "-c", k->config, NULL}, out, n);
	if (strcmp(k->kind->backend, "grub") == 0)
		return envkit_run((const char *[]){"grub-editenv", k->path, "list", NULL}, out, n);
	return envkit_run((const char *[]){"cat", k->path, NULL}, out, n);
}

void envkit_save(const struct envkit *k, struct envkit_state *s)
{
	*s = (struct envkit_state){0};
	for (int i = 0; i < 2 && *k->copies[i]; i++)
		s->bytes[i] = envkit_read_file(k->copies[i], &s->size[i]);
}

void envkit_restore(const struct envkit *k, const struct envkit_state *s)
{
	for (int i = 0; i < 2 && s->bytes[i]; i++)
		envkit_write_file(k->copies[i], s->bytes[i], s->size[i]);
}

void envkit_state_free(struct envkit_state *s)
{
	free(s->bytes[0]);
	free(s->bytes[1]);
}
