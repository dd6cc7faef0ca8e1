/* copy: bytes of one place of the device into another; no payload. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "handlers/handler.h"

enum { COPY_BYTES = 1024 * 1024, COPY_ALIGN = 4096 };

static const char *const phases[] = {"preinstall", "postinstall", NULL};

static const struct attr props[] = {
	{.name = "copyfrom", .type = ATTR_STRING, .help = "the file or device that is read"},
	{.name = "type",
	 .type = ATTR_ENUM,
	 .values = phases,
	 .help = "before the images, or after images and files"},
	{.name = "size",
	 .type = ATTR_SIZE,
	 .help = "so many bytes (K, M, G); else all from offset on"},
	{.name = "offset", .type = ATTR_SIZE, .dflt = "0", .help = "where reading begins"},
	{.name = "create-destination",
	 .type = ATTR_BOOL,
	 .dflt = "false",
	 .help = "with a path: make its folder"},
};

struct copy {
	struct stream s;
	const struct step *st;
	uint64_t at, left;
	uint8_t *buf;
};

/* from where, how much */
static int find_range(const struct step *st, uint64_t *off, uint64_t *size, struct err *e)
{
	const char *from = entry_property(st->entry, "offset");
	const char *much = entry_property(st->entry, "size");

	*off = 0;
	if (from && text_size(from, off) < 0)
		return err_set(e, E_PROPERTY, EINVAL, "offset is '%s'", from);
	if (*off > st->base_size)
		return err_set(e, E_RANGE, ERANGE, "%s has %llu bytes, less than the offset",
			       entry_property(st->entry, "copyfrom"),
			       (unsigned long long)st->base_size);
	*size = st->base_size - *off;
	if (!much)
		return 0;
	if (text_size(much, size) < 0)
		return err_set(e, E_PROPERTY, EINVAL, "size is '%s'", much);
	if (*size > st->base_size - *off)
		return err_set(e, E_RANGE, ERANGE, "%s has %llu bytes behind the offset, not %llu",
			       entry_property(st->entry, "copyfrom"),
			       (unsigned long long)(st->base_size - *off),
			       (unsigned long long)*size);
	return 0;
}

static int copy_check(struct step *st, struct err *e)
{
	uint64_t off;
	int rc;

	if (!entry_property(st->entry, "type"))
		return err_set(e, E_DESC_MISSING, EINVAL,
			       "copy needs the property type: preinstall or postinstall");
	rc = find_range(st, &off, &st->size, e);
	st->has_size = rc == 0;
	return rc;
}

static ssize_t copy_next(struct stream *s, const uint8_t **buf, struct err *e)
{
	struct copy *c = (struct copy *)s;
	size_t want = c->left < COPY_BYTES ? (size_t)c->left : COPY_BYTES;
	ssize_t n;

	if (flag_is_set(c->st->host->cancel))
		return err_set(e, E_CANCELED, ECANCELED, "cancelled");
	if (!want)
		return stream_drain(s->up, e);
	n = sys_pread(c->st->base, c->buf, want, c->at);
	if (n < 0)
		return err_sys(e, E_TARGET_READ, (int)-n, "reading what is copied");
	if ((size_t)n < want)
		return err_set(e, E_TARGET_READ, EIO, "what is copied became shorter");
	c->at += want;
	c->left -= want;
	*buf = c->buf;
	return n;
}

static void copy_close(struct stream *s)
{
	struct copy *c = (struct copy *)s;

	free(c->buf);
	free(c);
}

static const struct stream_ops copy_ops = {
	.name = "copy",
	.next = copy_next,
	.close = copy_close,
};

static int copy_open(struct step *st, struct stream **s, struct err *e)
{
	struct copy *c = calloc(1, sizeof(*c));
	int rc;

	if (!c || posix_memalign((void **)&c->buf, COPY_ALIGN, COPY_BYTES) != 0) {
		free(c);
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a copy");
	}
	c->st = st;
	rc = find_range(st, &c->at, &c->left, e);
	if (rc < 0) {
		copy_close(&c->s);
		return rc;
	}
	stream_init(&c->s, &copy_ops, *s);
	c->s.has_size = true;
	c->s.size = c->left;
	*s = &c->s;
	return 0;
}

const struct handler handler_copy = {
	.name = "copy",
	.aliases = "rawcopy",
	.summary = "copy a file or device of this device into another place",
	.kind = HANDLER_SOURCE,
	.sections = SECTION_SCRIPTS,
	.chain = "raw",
	.no_data = true,
	.reads = "copyfrom",
	.props = props,
	.prop_count = ARRAY_SIZE(props),
	.check = copy_check,
	.open = copy_open,
};
