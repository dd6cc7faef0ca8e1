/*
 * Take the members of a bundle apart, into a folder.
 *
 * Only plain names are taken (no folders, no control bytes); they are created beneath the folder
 * without following links; a file that is there already is never touched. Nothing is said
 * about trust: that is verify. Decoded payloads must have the hash that the description says.
 */
#ifndef CORE_BUILD_EXTRACT_H
#define CORE_BUILD_EXTRACT_H

#include <stdbool.h>

#include "corelib/base/err.h"
#include "corelib/stream/stages.h"

/* folder is made when absent; told() hears of each file */
struct extract_options {
	const char *bundle, *folder;
	bool decode;		   /* payloads as they reach the device */
	const struct aes_key *aes; /* for decode; NULL = none */
	void (*told)(void *arg, const char *name, unsigned long long size);
	void *arg;
};
int extract_bundle(const struct extract_options *o, struct err *e);

#endif
