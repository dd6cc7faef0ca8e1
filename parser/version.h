/* Versions as COMPAT 12 orders them: four numbers, semver, or text. Numbers of any length (T42). */
#ifndef PARSER_VERSION_H
#define PARSER_VERSION_H

#include "corelib/base/err.h"

enum version_class { VERSION_NUMBERS, VERSION_SEMVER, VERSION_TEXT };
enum version_class version_class(const char *v);
int version_compare(const char *a, const char *b); /* <0, 0, >0 */

/* board revision against "1.0" or "#RE:^1\..*$"; 1 yes, 0 no, -errno (length, syntax: T44) */
int hardware_matches(const char *pattern, const char *revision, struct err *e);

/* one file of "name version" lines: /etc/sw-versions, /etc/hwrevision */
struct version_list {
	struct version_item {
		char *name, *version;
	} * items;
	size_t count;
};
int version_list_parse(struct version_list *l, const char *text, size_t n, struct err *e);
const char *version_list_find(const struct version_list *l, const char *name);
int version_list_put(struct version_list *l, const char *name, const char *version);
void version_list_clear(struct version_list *l);

#endif
