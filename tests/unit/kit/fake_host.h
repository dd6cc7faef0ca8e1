/* What a handler asked of the program, for tests. Nothing here asserts. */
#ifndef TESTS_UNIT_FAKE_HOST_H
#define TESTS_UNIT_FAKE_HOST_H

#include "handlers/host.h"

#define FAKE_HOST_MAX 64

struct fake_host {
	struct host h;
	struct {
		char name[64], value[256];
		bool unset;
	} vars[FAKE_HOST_MAX]; /* in the order they were set */
	unsigned var_count;
	char told[FAKE_HOST_MAX][256];
	unsigned told_count;
	char said[FAKE_HOST_MAX][1100]; /* "3 text": level and text; the first ones */
	unsigned said_count;		/* all of them */
	char folder[128];		/* of scripts: the test makes it */
	unsigned calls;			/* of handlers; 'broken' is one that fails: E_TARGET */
	char call_type[64], call_file[256], call_text[HOST_CALL_TEXT]; /* the last one */
	unsigned fail_at; /* the N-th set_variable fails with E_ENV_NAME; 0 = none */
};

void fake_host_init(struct fake_host *f);
/* the last value set, "" when unset; NULL when never named */
const char *fake_host_value(const struct fake_host *f, const char *name);

#endif
