/*
 * What the reference documents take from the programs' tables.
 *
 * A page of doc/, a manual page or a completion script holds regions between two marks, written as
 * comments of its own language: "table NAME" and "end". `swdoc FILE` prints the page with each
 * region made anew; what stands outside the marks is written by people.
 */
#ifndef CLI_SWDOC_H
#define CLI_SWDOC_H

#include <stdbool.h>

#include "core/cli/options.h"
#include "parser/schema.h"

struct doc_table {
	const char *name;
	void (*print)(void);
};

/* by the language of the page; name NULL at the end */
extern const struct doc_table doc_markdown[], doc_roff[], doc_shell[];

/* rows of doc_shell for zsh, in swdoc_zsh.c */
void doc_zsh_programs(void);
void doc_zsh_verbs(void);
void doc_zsh_commands(void);

/* the programs and, of swbundle, the commands; NULL at the end */
const struct option_table *doc_program(unsigned i);
const struct option_table *doc_command(unsigned i);
const char *doc_command_name(const struct option_table *t); /* "swbundle build" -> "build" */

/* does this program use the keys of the group, or only know them? */
bool doc_is_read(const struct schema *group);
/* does the option name a file or folder? */
bool doc_takes_path(const struct option *o);

#endif
