#include "corelib/sign/sig_command.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "corelib/process/spawn.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define WORDS_MAX   64
#define DEADLINE_MS (5 * 60 * 1000) /* somebody may have to touch a token */
#define POLL_US	    5000

extern char **environ;

struct command {
	char text[4096], program[PATH_MAX];
	const char *argv[WORDS_MAX + 1];
};

/* the program as an absolute path: as it is named, or found in PATH */
static int find_program(struct command *c, struct err *e)
{
	const char *path = getenv("PATH"), *name = c->argv[0];
	char at[PATH_MAX];

	if (strchr(name, '/'))
		path = NULL;
	else if (!path)
		path = "/usr/bin:/bin";
	for (const char *dir = path; dir && *dir; dir += strspn(dir, ":")) {
		size_t n = strcspn(dir, ":");

		if (text_print(at, sizeof(at), "%.*s/%s", (int)n, dir, name) >= 0 &&
		    access(at, X_OK) == 0 && realpath(at, c->program))
			return 0;
		dir += n;
	}
	if (!path && realpath(name, c->program))
		return 0;
	err_fix(e, "name the program with its folder, or put it where PATH leads");
	return err_set(e, E_PROCESS, ENOENT, "there is no program '%s'", name);
}

static int split(struct command *c, const char *command, struct err *e)
{
	char *rest = c->text, *word;
	size_t n = 0;

	if (text_copy(c->text, sizeof(c->text), command) < 0)
		return err_set(e, E_USAGE, EINVAL, "the command of the signer is too long");
	while ((word = strsep(&rest, " \t")) != NULL) {
		if (*word && n == WORDS_MAX)
			return err_set(e, E_USAGE, EINVAL, "the signer has too many words");
		if (*word)
			c->argv[n++] = word;
	}
	if (!n)
		return err_set(e, E_USAGE, EINVAL, "the command of the signer is empty");
	return find_program(c, e);
}

static int wait_for(pid_t pid, struct err *e)
{
	uint64_t end = sys_now_ms() + DEADLINE_MS;
	char text[96];
	int status;

	while (spawn_poll(pid, &status) == 0) {
		if (sys_now_ms() > end) {
			spawn_end(pid);
			return err_set(e, E_DEADLINE, ETIMEDOUT,
				       "the signer did not end within 5 minutes");
		}
		usleep(POLL_US);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	spawn_tell(status, text, sizeof(text));
	return err_set(e, E_PROCESS, EIO, "the signer %s", text);
}

static int command_run(struct command *c, int in, int out, struct err *e)
{
	const int fds[] = {in, out, STDERR_FILENO};
	const struct spawn sp = {.argv = c->argv,
				 .env = (const char *const *)environ,
				 .exec_fd = -1,
				 .fds = fds,
				 .fd_count = 3};
	pid_t pid;

	c->argv[0] = c->program;
	pid = spawn_start(&sp, e);
	return pid < 0 ? (int)pid : wait_for(pid, e);
}

/* its errors went to ours while it ran; some programs tell them on standard output */
static int failed(int out, int rc, struct err *e)
{
	char said[160], shown[200];
	ssize_t n = sys_pread(out, said, sizeof(said) - 1, 0);

	err_fix(e,
		"what the program printed stands above; it reads the digest on standard input and "
		"writes the signature on standard output");
	if (n <= 0)
		return rc;
	said[n] = '\0';
	text_printable(said, strcspn(said, "\n"), shown, sizeof(shown));
	return err_at(e, rc, "which wrote '%s'", shown);
}

int sig_command(const char *command, const uint8_t *digest, size_t digest_len, uint8_t *sig,
		size_t *n, struct err *e)
{
	AUTO_CLOSE int in = memfd_create("digest", MFD_CLOEXEC);
	AUTO_CLOSE int out = memfd_create("signature", MFD_CLOEXEC);
	struct command c = {0};
	ssize_t got;
	int rc = split(&c, command, e);

	if (rc < 0)
		return rc;
	if (in < 0 || out < 0 || sys_pwrite(in, digest, digest_len, 0) < 0)
		return err_sys(e, E_SYS, errno, "no room for the digest");
	rc = command_run(&c, in, out, e);
	if (rc < 0)
		return failed(out, rc, e);
	got = sys_pread(out, sig, *n, 0);
	if (got <= 0 || (size_t)got == *n) {
		err_fix(e,
			"the program must write the signature on standard output, and nothing else");
		return err_set(e, E_PROCESS, EIO, "the signer wrote %s on its standard output",
			       got > 0 ? "too much" : "nothing");
	}
	*n = (size_t)got;
	return 0;
}
