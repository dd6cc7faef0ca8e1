/*
 * From a description and files to a signed bundle.
 *
 * The same input makes the same bytes: members have no owner and time 'epoch' (0 without), and
 * stand in this order: description, signature, scripts, hash lists, payloads as the description
 * names them. The result appears whole or not at all. Signing is CMS unless a scheme is named.
 */
#ifndef CORE_BUILD_BUILD_H
#define CORE_BUILD_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "corelib/base/err.h"
#include "core/build/target.h"
#include "corelib/sign/sig.h"
#include "corelib/stream/stages.h"

struct build_options {
	const char *template_file;
	const char *output;
	const char *const *dirs; /* where payloads are; the template's folder is the last */
	size_t dir_count;
	const char *key_file, *cert_file; /* key_file NULL: not signed */
	const char *signer;		  /* instead of key_file: an external program */
	enum sig_scheme scheme;		  /* SIG_ANY: CMS */
	const char *vars_file;		  /* NAME=VALUE lines for @@NAME@@ */
	bool use_environment;		  /* then the environment's */
	bool hash_lists;		  /* for each image of 1 MiB or more */
	const struct aes_key *aes;	  /* NULL: what is 'encrypted' is so already */
	bool encrypt_all;		  /* images and files, whatever the template says */
	const struct target *target;	  /* whose handlers; NULL: this build */
	uint64_t part_size;		  /* split payloads that are larger; 0 = at 4 GiB */
	bool has_epoch;
	int64_t epoch; /* SOURCE_DATE_EPOCH */
	void (*note)(void *arg,
		     const char *text); /* what the reader of the device remarks; may be NULL */
	void *arg;
};

int build_bundle(const struct build_options *o, uint64_t *size, struct err *e);

#endif
