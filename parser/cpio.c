/* The two texts that lead a cpio member: its header of 110 bytes, and its name. */
#include "parser/bundle.h"

#include <errno.h>
#include <string.h>

#include "corelib/base/text.h"

#define FIELDS 13

/* order of the fields in a header */
enum { F_MODE = 1, F_SIZE = 6, F_NAMESIZE = 11, F_SUM = 12 };

/* eight digits; 'loose' allows blanks before them, as old writers of "%8x" make them */
static bool field_parse(const uint8_t *text, bool loose, uint32_t *value)
{
	size_t i = 0;
	uint32_t v = 0;

	while (loose && i < 7 && text[i] == ' ')
		i++;
	for (; i < 8; i++) {
		int d = text_hex_digit((char)text[i]);

		if (d < 0)
			return false;
		v = v << 4 | (uint32_t)d;
	}
	*value = v;
	return true;
}

/* what a file that is no bundle most often is: the hint saves a call to the maker */
static const char *magic_hint(const uint8_t *p)
{
	static const struct {
		const char *bytes;
		size_t n;
		const char *hint;
	} known[] = {
		{"070707", 6, "a cpio archive of the old 'odc' format: make it with cpio -H crc"},
		{"\xc7\x71", 2, "a binary cpio archive: make it with cpio -H crc"},
		{"\x71\xc7", 2, "a binary cpio archive: make it with cpio -H crc"},
		{"\x1f\x8b", 2, "compressed with gzip: a bundle is not compressed as a whole"},
		{"\xfd\x37zXZ", 5, "compressed with xz: a bundle is not compressed as a whole"},
		{"\x28\xb5\x2f\xfd", 4,
		 "compressed with zstd: a bundle is not compressed as a whole"},
		{"PK\x03\x04", 4, "a zip archive"},
		{"-----BEGIN", 10, "a PEM file"},
		{"\x7f"
		 "ELF",
		 4, "a program"},
		{"<!DOCTYPE", 9, "a web page: perhaps the server's error page was saved"},
		{"<html", 5, "a web page: perhaps the server's error page was saved"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (memcmp(p, known[i].bytes, known[i].n) == 0)
			return known[i].hint;
	return "not a cpio archive";
}

static int magic_check(const uint8_t *p, bool *has_sum, struct err *e)
{
	if (memcmp(p, "070701", 6) == 0 || memcmp(p, "070702", 6) == 0) {
		*has_sum = p[5] == '2';
		return 0;
	}
	return err_set(e, E_CPIO_MAGIC, EINVAL,
		       "the file does not begin with 070701 or 070702; it is %s", magic_hint(p));
}

int cpio_head_parse(struct cpio_head *h, const uint8_t head[CPIO_HEAD], bool loose, struct err *e)
{
	uint32_t f[FIELDS];
	char shown[64];
	int rc;

	memset(h, 0, sizeof(*h));
	rc = magic_check(head, &h->has_sum, e);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < FIELDS; i++) {
		const uint8_t *text = head + 6 + 8 * i;

		if (field_parse(text, loose, &f[i]))
			continue;
		text_printable((const char *)text, 8, shown, sizeof(shown));
		return err_set(e, E_CPIO_HEADER, EINVAL,
			       "field %zu of the header is '%s', not eight hexadecimal digits",
			       i + 1, shown);
	}
	h->size = f[F_SIZE];
	h->sum = f[F_SUM];
	h->mode = f[F_MODE];
	h->namesize = f[F_NAMESIZE];
	if (h->namesize < 2 || h->namesize > CPIO_NAME_MAX)
		return err_set(e, E_CPIO_NAME, EINVAL,
			       "the header says that the name has %u bytes; 2 to %u are possible",
			       h->namesize, CPIO_NAME_MAX);
	return 0;
}

static bool has_control(const char *name, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((uint8_t)name[i] < 0x20)
			return true;
	return text_has_control(name, n);
}

int cpio_name_check(const char *name, size_t namesize, struct err *e)
{
	char shown[128];
	const char *nul;
	size_t n;

	if (namesize < 2 || namesize > CPIO_NAME_MAX)
		return err_set(e, E_CPIO_NAME, EINVAL, "a name of %zu bytes; 2 to %u are possible",
			       namesize, CPIO_NAME_MAX);
	n = namesize - 1;
	nul = memchr(name, '\0', namesize);
	text_printable(name, n, shown, sizeof(shown));
	if (!nul)
		return err_set(e, E_CPIO_NAME, EINVAL, "the name '%s' has no end", shown);
	if (nul != name + n)
		return err_set(e, E_CPIO_NAME, EINVAL, "the name '%s' has a NUL inside", shown);
	if (has_control(name, n))
		return err_set(e, E_CPIO_NAME, EINVAL, "the name '%s' has control bytes", shown);
	if (!text_is_utf8(name, n))
		return err_set(e, E_CPIO_NAME, EINVAL, "the name '%s' is not valid UTF-8", shown);
	return 0;
}
