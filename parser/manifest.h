/*
 * What the signed description says, as typed values.
 *
 * Const after parsing; all strings live in the manifest's arena; absent is a flag or NULL, never a
 * magic value. Selection (board, set, mode) and links are resolved; nothing here knows devices.
 */
#ifndef PARSER_MANIFEST_H
#define PARSER_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "corelib/base/arena.h"
#include "corelib/base/err.h"
#include "corelib/stream/stages.h"
#include "parser/text/node.h"
#include "parser/schema.h"

enum section {
	SECTION_IMAGES = 1,
	SECTION_FILES = 2,
	SECTION_SCRIPTS = 4,
	SECTION_PARTITIONS = 8,
	SECTION_BOOTENV = 16,
	SECTION_VARS = 32,
};
const char *section_name(enum section s);

struct property {
	const char *name;
	const char *const *values; /* at least one */
	size_t count;
};

/* the signed list of block digests (SECURITY 4.6) */
#define HASH_LIST_MAX (16u * 1024 * 1024) /* bytes; digests of 32 GiB in blocks of 64 KiB */

struct hash_list {
	const char *name; /* member, NULL = none */
	uint8_t sha256[32];
	uint64_t block;
};

struct entry {
	enum section section;
	unsigned index; /* in its list, from 0 */
	unsigned line;
	const char *filename, *type, *name, *version, *slot;
	const char *volume, *device, *mtdname, *path, *filesystem, *data;
	const char *hook, *preinstall, *postinstall;
	const char *mode, *owner, *group; /* of a file, as text; NULL: as it is */
	uint64_t size, offset;
	uint64_t decompressed_size;
	uint64_t parts; /* 0: the member is called filename; else NAME.001 … */
	uint8_t sha256[32];
	uint8_t ivt[16];
	uint8_t aes_key[32];
	unsigned aes_key_len;
	struct hash_list hashes;
	enum codec compressed;
	int encrypted; /* row of the table of ciphers, 0 = no: entry_cipher() */
	bool has_size, has_offset, has_sha256, has_ivt, has_aes_key, has_decompressed_size;
	bool installed_directly, install_if_different, install_if_higher, preserve_attributes;
	const struct property *props;
	size_t prop_count;
};

/* what 'encrypted' says; NULL = not encrypted. bits 0: the length of the key decides */
struct cipher_row {
	const char *name;
	enum cipher cipher;
	unsigned bits;
};
const struct cipher_row *entry_cipher(const struct entry *t);
const struct cipher_row *cipher_find(const char *name); /* "aes-cbc-256" */

/* the bits of a mode in octal digits; -EINVAL */
int entry_mode(const char *text, unsigned *bits);

/* a value of a property: the last one listed, or NULL; and all of them */
const char *entry_property(const struct entry *t, const char *name);
const struct property *entry_properties(const struct entry *t, const char *name);

struct boot_var {
	const char *name, *value; /* value NULL = unset */
	const char *hook;
	unsigned line;
};

struct manifest {
	const char *version, *description, *update_type, *output;
	const char *namespace_for_vars, *embedded_script;
	struct strings hardware; /* exact text or #RE: */
	bool has_reboot, reboot;
	bool has_transaction_marker, transaction_marker;
	bool has_state_marker, state_marker;
	/* partitions, images, files, files of bootenv, scripts: document order in each */
	const struct entry *entries;
	size_t entry_count;
	const struct boot_var *bootenv, *vars;
	size_t bootenv_count, var_count;
	struct arena *arena;
};

struct selection {
	const char *board, *set, *mode; /* NULL = none */
};

struct manifest_options {
	struct selection sel;
	const char *revision; /* of the board, for messages */
	bool strict;	      /* unknown keys and loose habits are errors */
	bool hash_required;   /* every entry with a file name needs sha256 */
	size_t max_bytes;     /* of the text, 0 = 1 MiB */
	void (*note)(void *arg, const char *text);
	void *arg;
};

int manifest_parse(struct manifest **m, const void *text, size_t n,
		   const struct manifest_options *o, struct err *e);
void manifest_free(struct manifest *m);

/*
 * What code of the bundle made of an entry or a variable, in the order of the manifest's lists. A
 * group holds attributes as a description has them; it and its texts live in the manifest's arena.
 */
enum amend { AMEND_KEEP, AMEND_LEAVE_OUT, AMEND_REPLACE };
struct amendment {
	enum amend what;
	const struct node *group; /* AMEND_REPLACE */
};
struct amendments {
	const struct amendment *entries; /* entry_count of them; NULL: all are kept */
	const struct amendment *bootenv; /* bootenv_count of them; NULL: all are kept */
};
/*
 * *m becomes a new manifest in the same arena; nothing of the old one is changed, and on an error
 * *m stays the old one. A new entry passes every rule of the parser, keeps section, index
 * and line, and has a sha256 where the old one had (L1).
 */
int manifest_amend(struct manifest **m, const struct amendments *a,
		   const struct manifest_options *o, struct err *e);

/* one more entry for 'section', by the same rules, in the arena of 'm': 'text' is a description of
 * one group, "entry" */
int manifest_extra(const struct manifest *m, enum section section, const char *text,
		   const struct manifest_options *o, struct entry **t, struct err *e);

/* "images[0] (rootfs.ext4, line 12)" for messages */
void entry_label(const struct entry *t, char *out, size_t n);

/* the tables, for the manual and lint; 'where' of the rows of entry_schema is a set of sections */
extern const struct schema manifest_schema, entry_schema, boot_var_schema;

/* the sets and modes that a description offers, with their boards: for messages */
struct selections {
	struct selection *at;
	size_t count;
};
int manifest_selections(const void *text, size_t n, struct selections *out, struct arena *a,
			struct err *e);
/* nothing is left of a description: says what is different from what was asked for; returns rc, or
 * that of E_SELECT */
int manifest_explain(const void *text, size_t n, const struct manifest_options *o, int rc,
		     struct err *e);

#endif
