/*
 * A description as its author wrote it, before sizes and digests are known.
 *
 * @@NAME@@ is replaced, the text is read by the parser of the device, and its tree is copied so
 * that attributes can be set. Printed it is canonical libconfig text: keys keep their order,
 * comments are left out, new attributes stand last. Any group with a 'filename' is an entry,
 * wherever it stands: lists may be reached by links.
 */
#ifndef CORE_BUILD_TEMPLATE_H
#define CORE_BUILD_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "corelib/base/arena.h"
#include "corelib/base/err.h"
#include "parser/text/node.h"

/* an attribute that templates alone have: the file was encrypted before it came here */
#define ENCRYPTED_ALREADY "encrypted-already"

struct template_entry {
	struct node *group;
	const char *filename;
	unsigned line;
	bool script, image, file; /* stands in a list called scripts, images, files */
};

struct template
{
	struct arena *arena;
	struct node *root;
	struct template_entry *entries; /* in document order */
	size_t count;
};

/* facts of a file that existing templates ask for: $swupdate_get_sha256(FILE),
 * $swupdate_get_size(FILE) */
enum template_call { CALL_SHA256, CALL_SIZE };
#define CALL_ANSWER 65

/* value of a variable, or NULL; answer of a call (call NULL: calls stay) */
struct template_vars {
	const char *(*find)(void *arg, const char *name);
	int (*call)(void *arg, enum template_call what, const char *file, char answer[CALL_ANSWER],
		    struct err *e);
	void *arg;
};

int template_load(struct template **t, const char *text, size_t n, const struct template_vars *v,
		  struct err *e);
void template_free(struct template *t);

/* replaces or appends; template_group finds or makes the group 'name' */
int template_set_text(struct template *t, struct node *group, const char *name, const char *value,
		      struct err *e);
int template_set_number(struct template *t, struct node *group, const char *name, uint64_t value,
			struct err *e);
int template_set_true(struct template *t, struct node *group, const char *name, struct err *e);
void template_unset(struct node *group, const char *name);
int template_group(struct template *t, struct node *parent, const char *name, struct node **group,
		   struct err *e);

/* *text is malloc'ed */
int template_print(const struct template *t, char **text, size_t *n, struct err *e);

/* @@NAME@@, then calls, for template_load and its tests; *out is malloc'ed */
int template_expand(const char *text, size_t n, const struct template_vars *v, char **out,
		    size_t *out_n, struct err *e);

#endif
