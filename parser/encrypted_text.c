#include "parser/encrypted_text.h"

#include <errno.h>
#include <stdbool.h>

#include "corelib/base/text.h"

#define LOOK_AT	 256u
#define AT_LEAST 16u /* a block of AES */

/* of random bytes more than half are no text; a damaged or foreign text has a few of them */
static bool is_encrypted_text(const char *s, size_t n)
{
	size_t odd = 0, look = n < LOOK_AT ? n : LOOK_AT;

	if (n < AT_LEAST)
		return false;
	for (size_t i = 0; i < look;) {
		size_t len = 1;

		while (len < 4 && i + len < n && (s[i + len] & 0xc0) == 0x80)
			len++;
		if (!text_is_utf8(s + i, len) || text_has_control(s + i, len))
			odd += len;
		i += len;
	}
	return odd > look / 4;
}

int encrypted_text_explain(const void *text, size_t n, int rc, struct err *e)
{
	if (rc >= 0 || e->code == E_MEMORY || !is_encrypted_text(text, n))
		return rc;
	err_clear(e);
	return err_set(e, E_DESC_SEALED, ENOTSUP,
		       "it is no text: encrypted as a whole, or overwritten");
}
