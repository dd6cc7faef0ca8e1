#include "corelib/sign/pkcs11.h"

#include <string.h>
#include <strings.h>

#include "corelib/base/text.h"

bool pkcs11_is_uri(const char *name)
{
	return strncasecmp(name, "pkcs11:", 7) == 0;
}

void pkcs11_name(const char *uri, char *out, size_t n)
{
	if (text_print(out, n, "%.*s", (int)strcspn(uri, "?"), uri) < 0)
		(void)text_copy(out, n, "a pkcs11: URI");
}
