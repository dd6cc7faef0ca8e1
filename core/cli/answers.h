/* What swinstall prints when it is asked, instead of installing. */
#ifndef CLI_ANSWERS_H
#define CLI_ANSWERS_H

#include "corelib/base/err.h"

/* all return malloc'ed text, or NULL without memory */
char *answer_version(const char *program);
char *answer_handlers(void);
char *answer_root(struct err *e);

#endif
