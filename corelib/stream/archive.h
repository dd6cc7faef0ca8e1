/*
 * The child's side of archives: bytes of an archive in, records out. Only swinstall-unpack and
 * tests use it; no other program contains a parser of archives.
 *
 * Formats: tar as ustar, pax and GNU write it. Around it one of the codecs that are built in, told
 * by its first bytes and bounded by mem_max. A missing end mark, bytes behind it that are not
 * zeros, and whatever the library warns of are errors: E_ARCHIVE.
 */
#ifndef CORELIB_ARCHIVE_H
#define CORELIB_ARCHIVE_H

#include "corelib/stream/records.h"

/* decompress what is compressed; anything else passes as it is */
int stage_guess_open(struct stream **s, uint64_t mem_max, struct err *e);
/* E_NOT_BUILT without CONFIG_ARCHIVE */
int stage_untar_open(struct stream **s, struct err *e);

/* once, before rights are given up: what the library reads from files later otherwise */
void archive_warm_up(void);

#endif
