/* What the files of build share: one bundle while it is made. */
#ifndef CORE_BUILD_BUILD_PRIVATE_H
#define CORE_BUILD_BUILD_PRIVATE_H

#include "core/build/build.h"
#include "core/build/payload.h"
#include "core/build/template.h"

#define DESCRIPTION "sw-description"

struct build {
	const struct build_options *o;
	struct template *t;
	struct payload_file *files; /* each once, in order of the template */
	size_t count;
	struct payload_file **of; /* of each entry */
	struct output out;
	char *text; /* the finished description */
	size_t text_n;
	uint8_t *sig;
	size_t sig_n;
	uint64_t size; /* of the bundle */
};

/* a switch of the template that is on, or a word that stands for one */
static inline bool is_set(const struct node *n)
{
	return n && !(n->type == NODE_BOOL && n->integer == 0);
}

/* the template says that the file was encrypted elsewhere */
static inline bool is_encrypted_already(const struct template_entry *t)
{
	return is_set(node_find(t->group, ENCRYPTED_ALREADY));
}

/* ---- build_files.c: each file once, compressed and encrypted as its entries say, measured ---- */
int build_open_files(struct build *b, struct err *e);

/* ---- build_check.c: what must not go into a bundle ---- */
/* is the file what its entry says? */
int build_check_contents(const struct build *b, const struct template_entry *t,
			 const struct payload_file *p, struct err *e);
int build_check_vectors(const struct build *b, struct err *e);
/* the finished description, by the reader of the device */
int build_check_text(const struct build *b, struct err *e);

#endif
