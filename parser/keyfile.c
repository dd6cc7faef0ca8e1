#include "parser/keyfile.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "corelib/base/digest.h"
#include "corelib/base/text.h"

struct span {
	const char *at;
	size_t n;
};

static int bad_key(struct err *e)
{
	return err_set(e, E_KEY_AES, EINVAL,
		       "a key file has one line: the key as 32, 48 or 64 "
		       "hexadecimal digits, a blank, the IV as 32");
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* the word at *s, which is moved behind it; n = 0 at the end of the line */
static struct span take_word(const char **s, const char *end)
{
	struct span w;

	while (*s < end && is_blank(**s))
		(*s)++;
	w.at = *s;
	while (*s < end && !is_blank(**s) && **s != '\n')
		(*s)++;
	w.n = (size_t)(*s - w.at);
	return w;
}

/* the value of "NAME = value" in a line of its own; n = 0: there is none */
static struct span find_value(const char *text, size_t n, const char *name)
{
	const char *end = text + n, *line = text, *next;
	size_t len = strlen(name);

	for (; line < end; line = next) {
		const char *eol = memchr(line, '\n', (size_t)(end - line)), *s = line + len;

		next = eol ? eol + 1 : end;
		if ((size_t)(next - line) <= len || memcmp(line, name, len) != 0)
			continue;
		while (s < next && is_blank(*s))
			s++;
		if (s < next && *s++ == '=')
			return take_word(&s, next);
	}
	return (struct span){text, 0};
}

int keyfile_parse(struct aes_key *k, const char *text, size_t n, struct err *e)
{
	const char *s = text;
	struct span key = find_value(text, n, "key"), iv = find_value(text, n, "iv");

	if (!key.n) {
		key = take_word(&s, text + n);
		iv = take_word(&s, text + n);
	}
	if (key.n != 32 && key.n != 48 && key.n != 64)
		return bad_key(e);
	if (text_unhex(key.at, key.n, k->key, key.n / 2) < 0 ||
	    text_unhex(iv.at, iv.n, k->iv, sizeof(k->iv)) < 0)
		return bad_key(e);
	k->bits = (unsigned)key.n * 4;
	return 0;
}

int aes_key_check(const struct aes_key *k, uint8_t check[KEY_CHECK_LEN], struct err *e)
{
	static const char label[] = "swinstall key check 1"; /* its NUL parts it from the vector */
	uint8_t text[sizeof(label) + sizeof(k->iv)], mac[SHA256_LEN];
	const struct bytes key = {k->key, k->bits / 8}, all = {text, sizeof(text)};
	int rc;

	memcpy(text, label, sizeof(label));
	memcpy(text + sizeof(label), k->iv, sizeof(k->iv));
	rc = hmac_sha256(&key, &all, mac, e);
	if (rc == 0)
		memcpy(check, mac, KEY_CHECK_LEN);
	secure_zero(mac, sizeof(mac));
	return rc;
}
