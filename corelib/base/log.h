/*
 * Lines for people and for programs that read them.
 *
 * Only core/reporter.c and the programs log; everything below returns errors and notes.
 * Off a terminal a line starts with its level: "[ERROR] : ", "[WARN ] : ", "[INFO ] : ",
 * "[DEBUG] : ", "[TRACE] : ". Control bytes of foreign text never reach the output (T118).
 * A reader that does not read loses lines, never our time. Thread safe.
 */
#ifndef CORELIB_LOG_H
#define CORELIB_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_level {
	LOG_LEVEL_ERROR = 1,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_TRACE
};

struct log_config {
	enum log_level level;
	bool syslog;   /* send to syslog too */
	int fd;	       /* where lines go, 2 unless a test says otherwise */
	int info_fd;   /* where lines go that are no errors; 0 = to fd as well */
	bool terminal; /* kinder layout without the level prefix for info */
	bool swupdate; /* off a terminal: behind the level the words that callers of swupdate read
			*/
};

void log_init(const struct log_config *c);
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool log_wants(enum log_level level);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_trace(...) log_line(LOG_LEVEL_TRACE, __VA_ARGS__)

#endif
