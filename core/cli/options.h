/*
 * Command lines by table: one row says how an option is spelled, what it takes, where its value
 * goes and what it is for. The parser, --help, the manual, shell completion and tests read the same
 * rows.
 *
 * Parsing only notes what was given; options_apply() writes it, so that the command line can be
 * laid over a configuration file that itself was named on the command line. Values point into argv.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "corelib/base/arena.h"
#include "corelib/base/err.h"
#include "corelib/base/text.h"

enum option_kind {
	OPTION_FLAG,   /* bool: becomes true */
	OPTION_TEXT,   /* const char * */
	OPTION_NUMBER, /* int64_t within min..max */
	OPTION_LIST,   /* struct strings: one more each time */
	OPTION_ABSENT, /* known, but not built into this program */
};

/* may the argument begin with '-'? Existing programs refuse that, to catch a forgotten argument */
enum option_dash { DASH_NEVER, DASH_ALONE, DASH_ANY };

enum option_target { INTO_PROGRAM, INTO_SETTINGS };

struct option {
	char letter;	  /* 0 = none */
	const char *name; /* the long spelling, without dashes */
	const char *arg;  /* what --help calls its argument; NULL = takes none */
	enum option_kind kind;
	enum option_target target;
	size_t at;  /* offsetof in the target */
	size_t has; /* offsetof a bool that says 'given'; 0 = none */
	enum option_dash dash;
	int64_t min, max;
	const char *const *values; /* the only words allowed; NULL = any */
	const char *group;	   /* heading in --help */
	const char *help;
	const char *symbol;  /* OPTION_ABSENT: its Kconfig symbol */
	const char *instead; /* OPTION_ABSENT: what to do until it is there */
};

struct option_table {
	const char *program, *summary;
	const char *const *usage; /* lines behind the program's name; NULL at the end */
	const struct option *rows;
	size_t count;
};

struct given {
	const struct option *option;
	const char *value; /* NULL for flags */
};

struct options {
	const struct option_table *table;
	struct given *given;
	size_t given_count;
	const char **words; /* what is no option */
	size_t word_count;
};

int options_parse(struct options *o, const struct option_table *t, int argc, char **argv,
		  struct err *e);
void options_clear(struct options *o);
/* lists grow in the arena */
int options_apply(const struct options *o, enum option_target target, void *base, struct arena *a,
		  struct err *e);
/* the last value of an option, "" for a flag; NULL = not given */
const char *options_given(const struct options *o, const char *name);
/* E_NOT_BUILT for the first option that this program knows of and does not have */
int options_check_built(const struct options *o, struct err *e);
/* text of --help at 80 columns; malloc'ed, NULL without memory */
char *options_help(const struct option_table *t);

#endif
