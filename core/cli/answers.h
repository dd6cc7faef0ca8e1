/* What swinstall prints when it is asked, instead of installing. */
#ifndef CLI_ANSWERS_H
#define CLI_ANSWERS_H

#include "corelib/base/err.h"

/* all return malloc'ed text, or NULL without memory */
char *answer_version(const char *program);
/* json: one object, what swbundle reads by --for */
char *answer_handlers(bool json);
char *answer_root(struct err *e);
/* the section of doc/errors.md: 'word' is "SWI-210", "210" or "E_TARGET_SMALL" in any case */
char *answer_error(const char *word, struct err *e);

#endif
