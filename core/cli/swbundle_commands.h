/* The commands of swbundle that have a file of their own. */
#ifndef CLI_SWBUNDLE_COMMANDS_H
#define CLI_SWBUNDLE_COMMANDS_H

#include "core/cli/swbundle_options.h"

int swbundle_init(const struct swbundle_cli *c, struct err *e);
int swbundle_extract(const struct swbundle_cli *c, struct err *e);
int swbundle_lint(const struct swbundle_cli *c, struct err *e);

#endif
