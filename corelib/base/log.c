/* Log lines: made printable, written without waiting, to a descriptor and to syslog. */
#include "corelib/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define TEXT_MAX 2048
#define WAIT_MS	 50 /* once; a reader that let this pass gets no more time until it reads again */

/* one log per program: every line of every thread goes to the same place */
static struct {
	pthread_mutex_t lock;
	struct log_config config;
	int syslog_fd;
	unsigned long lost, info_lost; /* lines that fd and info_fd did not take */
} state = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.config = {.level = LOG_LEVEL_INFO, .fd = 2},
	.syslog_fd = -1,
};

struct level_name {
	const char *prefix, *kind;
	const char *words; /* as swupdate has them */
	int syslog;	   /* severity as RFC 5424 numbers it */
};

static const struct level_name names[] = {
	[LOG_LEVEL_ERROR] = {"[ERROR] : ", "error: ", "SWUPDATE failed [0] ERROR : ", 3},
	[LOG_LEVEL_WARN] = {"[WARN ] : ", "warning: ", "SWUPDATE running :  ", 4},
	[LOG_LEVEL_INFO] = {"[INFO ] : ", "", "SWUPDATE running :  ", 6},
	[LOG_LEVEL_DEBUG] = {"[DEBUG] : ", "debug: ", "SWUPDATE running :  ", 7},
	[LOG_LEVEL_TRACE] = {"[TRACE] : ", "trace: ", "SWUPDATE running :  ", 7},
};

#define FACILITY_DAEMON (3 << 3)

void log_init(const struct log_config *c)
{
	pthread_mutex_lock(&state.lock);
	state.config = *c;
	state.lost = state.info_lost = 0;
	cleanup_close(&state.syslog_fd);
	if (c->syslog)
		state.syslog_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	pthread_mutex_unlock(&state.lock);
}

bool log_wants(enum log_level level)
{
	bool wants;

	pthread_mutex_lock(&state.lock);
	wants = level <= state.config.level;
	pthread_mutex_unlock(&state.lock);
	return wants;
}

/* sent to no fixed peer, so that a restart of the system's logger changes nothing */
static void to_syslog(const struct level_name *name, const char *text)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	char line[TEXT_MAX + 64];
	int n;

	if (sys_path("/dev/log", to.sun_path, sizeof(to.sun_path)) < 0)
		return;
	n = snprintf(line, sizeof(line), "<%d>swinstall[%ld]: %s", FACILITY_DAEMON | name->syslog,
		     (long)getpid(), text);
	if (n > 0)
		sendto(state.syslog_fd, line, strnlen(line, sizeof(line)),
		       MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&to, sizeof(to));
}

static void to_fd(enum log_level level, const char *text)
{
	const struct log_config *c = &state.config;
	const struct level_name *name = &names[level];
	bool apart = c->info_fd && level != LOG_LEVEL_ERROR;
	unsigned long *missed = apart ? &state.info_lost : &state.lost;
	char line[TEXT_MAX + 192], lost[128] = "";

	/* the line feed ends what may be left of a line that was cut */
	if (*missed > 0)
		snprintf(lost, sizeof(lost),
			 "\n%s%lu lines of the log were not read and are lost\n",
			 c->terminal ? names[LOG_LEVEL_WARN].kind : names[LOG_LEVEL_WARN].prefix,
			 *missed);
	snprintf(line, sizeof(line), "%s%s%s%s\n", lost, c->terminal ? name->kind : name->prefix,
		 c->swupdate && !c->terminal ? name->words : "", text);
	if (sys_write_polite(apart ? c->info_fd : c->fd, line, strlen(line),
			     *missed > 0 ? 0 : WAIT_MS) == 0)
		*missed = 0;
	else
		(*missed)++;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char raw[TEXT_MAX], text[TEXT_MAX];
	va_list ap;

	if (level < LOG_LEVEL_ERROR || level > LOG_LEVEL_TRACE || !log_wants(level))
		return;
	va_start(ap, fmt);
	vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	text_printable(raw, strlen(raw), text, sizeof(text));
	pthread_mutex_lock(&state.lock);
	to_fd(level, text);
	if (state.syslog_fd >= 0)
		to_syslog(&names[level], text);
	pthread_mutex_unlock(&state.lock);
}
