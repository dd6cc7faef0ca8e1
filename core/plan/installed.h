/* What is installed: /etc/sw-versions (or the configuration's own list) read, compared, and written
 * after the commit. */
#ifndef CORE_INSTALLED_H
#define CORE_INSTALLED_H

#include "core/plan/plan.h"
#include "parser/version.h"

int installed_load(struct version_list *l, const struct settings *cfg, struct err *e);
/* does install-if-different / install-if-higher say that there is nothing to do? */
bool installed_skips(const struct version_list *l, const struct entry *t);

/* what the file will have of this release: *lines is malloc'ed, NULL when there is nothing */
int installed_lines(const struct plan *p, char **lines, struct err *e);
/* lines "name<TAB><TAB>version" put over what the file has, in one replacement; running it again
 * changes nothing */
int installed_write(const char *path, const char *lines, struct err *e);

#endif
