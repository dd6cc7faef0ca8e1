/* What the commands of swbundle take: one table each, read by the parser, --help, the manual and
 * completion. */
#ifndef CLI_SWBUNDLE_OPTIONS_H
#define CLI_SWBUNDLE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/cli/options.h"
#include "parser/schema.h"

struct swbundle_cli {
	/* keygen */
	const char *dir, *name, *type;
	/* build */
	const char *output, *key, *cert, *scheme, *vars, *part_size;
	struct strings include;
	const char *key_aes;
	bool aes, decode; /* keygen, extract */
	bool hash_list, unsigned_bundle, encrypt;
	const char *command; /* an external signer */
	/* verify; keys is also 'key' there */
	const char *purpose, *signer, *crl, *select, *board;
	bool strict;
	const char *target; /* --for: what swinstall --handlers --json printed there */
	/* init */
	bool swupdate;
	/* lint */
	bool finished;
	/* inspect */
	bool json;
	bool help;
	const char *word; /* what the command is for: template, bundle */
};

extern const struct option_table swbundle_keygen_table, swbundle_build_table, swbundle_verify_table,
	swbundle_inspect_table, swbundle_lint_table, swbundle_init_table, swbundle_extract_table,
	swbundle_sign_table;

/* all of them, in the order of the manual; NULL at the end */
extern const struct option_table *const swbundle_tables[];

#endif
