/*
 * What the installer itself depends on: state, keys, configuration. No bundle writes there (T17).
 *
 * Folders are known by device and inode, not by name: a bind mount, a link and a second name lead
 * to the same one. Of what does not exist yet the deepest folder that does is compared, and the
 * names behind it. A link on the way to something of ours is ours, too: whoever replaces it chooses
 * what is read.
 */
#ifndef CORE_OWN_H
#define CORE_OWN_H

#include <stdbool.h>
#include <stddef.h>

#include "corelib/base/err.h"
#include "parser/settings.h"

struct own;
/* the paths of the configuration, looked up once */
int own_new(struct own **o, const struct settings *cfg, struct err *e);
void own_free(struct own *o);

/*
 * May a bundle put a file 'name' into 'folder'; or fill the folder, where name is ""? Then 'inside'
 * is called with each path in the folder that nothing may touch. E_TARGET_PROTECTED.
 */
int own_check(const struct own *o, const char *folder, const char *name,
	      int (*inside)(void *arg, const char *path, struct err *e), void *arg, struct err *e);
/* the same for an open file that is written in place */
int own_check_file(const struct own *o, int fd, struct err *e);

/* is 'path', or what it will be, beneath 'folder'? */
bool own_is_beneath(const char *path, const char *folder);

#endif
