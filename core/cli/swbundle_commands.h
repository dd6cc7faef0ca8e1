/* The commands of swbundle that have a file of their own. */
#ifndef CLI_SWBUNDLE_COMMANDS_H
#define CLI_SWBUNDLE_COMMANDS_H

#include "core/cli/swbundle_options.h"
#include "corelib/sign/sig.h"

int swbundle_init(const struct swbundle_cli *c, struct err *e);
int swbundle_extract(const struct swbundle_cli *c, struct err *e);
int swbundle_sign(const struct swbundle_cli *c, struct err *e);
int swbundle_verify(const struct swbundle_cli *c, struct err *e);
int swbundle_lint(const struct swbundle_cli *c, struct err *e);

/* ---- swbundle.c ---- */
int swbundle_usage(struct err *e, const char *why);
enum sig_scheme swbundle_scheme(const char *name);
/* is what signing needs there? */
int swbundle_check_signing(const struct swbundle_cli *c, struct err *e);
/* SOURCE_DATE_EPOCH */
int swbundle_epoch(bool *has, int64_t *epoch, struct err *e);

#endif
