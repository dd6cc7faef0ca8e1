/* Lines: index, name, folder; then, where they say something, kept, device, file system; then its
 * mark. */
#include "core/state/journal_address.h"

#include <errno.h>
#include <string.h>

#include "corelib/files/staged.h"
#include "corelib/base/text.h"

static bool one_line(const char *s)
{
	return !strchr(s, '\n');
}

/* the lines behind the folder came later: where they say nothing, the text is as it was */
int journal_address_text(const struct staged_address *p, char *out, size_t n)
{
	if (!one_line(p->folder) || !one_line(p->name) || !one_line(p->device) ||
	    !one_line(p->filesystem))
		return -EINVAL;
	if (fsmark_is_known(&p->fs))
		return text_print(out, n, "%u\n%s\n%s\n%u\n%s\n%s\n%s\n%s\n%s", p->index, p->name,
				  p->folder, p->kept, p->device, p->filesystem, p->fs.point,
				  p->fs.type, p->fs.id);
	if (!p->device[0] && !p->kept)
		return text_print(out, n, "%u\n%s\n%s", p->index, p->name, p->folder);
	return text_print(out, n, "%u\n%s\n%s\n%u\n%s\n%s", p->index, p->name, p->folder, p->kept,
			  p->device, p->filesystem);
}

/* the next line; false when there is none or it is too long */
static bool take_line(const char **text, char *out, size_t n)
{
	size_t len = *text ? strcspn(*text, "\n") : n;

	if (len >= n)
		return false;
	memcpy(out, *text, len);
	out[len] = '\0';
	*text = (*text)[len] ? *text + len + 1 : NULL;
	return true;
}

static bool take_number(const char **text, unsigned *v)
{
	char digits[24];
	uint64_t number;

	if (!take_line(text, digits, sizeof(digits)) || text_u64(digits, &number) < 0 ||
	    number > UINT32_MAX)
		return false;
	*v = (unsigned)number;
	return true;
}

int journal_address_parse(struct staged_address *p, const char *text)
{
	memset(p, 0, sizeof(*p));
	if (!take_number(&text, &p->index) || !take_line(&text, p->name, sizeof(p->name)) ||
	    !take_line(&text, p->folder, sizeof(p->folder)))
		return -EINVAL;
	if (!text)
		return 0;
	if (!take_number(&text, &p->kept) || !take_line(&text, p->device, sizeof(p->device)) ||
	    !take_line(&text, p->filesystem, sizeof(p->filesystem)))
		return -EINVAL;
	if (!text)
		return 0;
	if (!take_line(&text, p->fs.point, sizeof(p->fs.point)) ||
	    !take_line(&text, p->fs.type, sizeof(p->fs.type)) ||
	    !take_line(&text, p->fs.id, sizeof(p->fs.id)) || text)
		return -EINVAL;
	return 0;
}
