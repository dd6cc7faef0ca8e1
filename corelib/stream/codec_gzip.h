/* What both gzip decoders share: which wrapper a member has. */
#ifndef CORELIB_CODEC_GZIP_H
#define CORELIB_CODEC_GZIP_H

#include <errno.h>

#include "corelib/stream/codec.h"

enum gzip_wrapper { WRAPPER_NONE, WRAPPER_GZIP, WRAPPER_ZLIB };

/* gzip members follow each other; a zlib stream (RFC 1950) stands alone */
static inline int gzip_wrapper_next(enum gzip_wrapper *w, const uint8_t *head, struct err *e)
{
	bool gzip = head[0] == 0x1f && head[1] == 0x8b;
	bool zlib = (head[0] & 0x8f) == 8 && ((unsigned)head[0] << 8 | head[1]) % 31 == 0;

	if (*w != WRAPPER_ZLIB && gzip) {
		*w = WRAPPER_GZIP;
		return 0;
	}
	if (*w == WRAPPER_NONE && zlib) {
		*w = WRAPPER_ZLIB;
		return 0;
	}
	return err_set(e, E_DECOMPRESS, EBADMSG, "%s",
		       *w == WRAPPER_NONE ? "these are not gzip data"
					  : "there are bytes behind the end of the gzip data");
}

#endif
