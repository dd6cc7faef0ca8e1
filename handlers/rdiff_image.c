/*
 * rdiff_image: an image made out of a patch and of what the device has (librsync).
 *
 * The patch is read forward, the base at random, so memory stays small. librsync parses in the job
 * and with its rights: it gets bytes that are proven, never others.
 */
#include <errno.h>
#include <librsync.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "handlers/handler.h"

enum { OUT_BYTES = 256 * 1024, OUT_ALIGN = 4096 };

static const struct attr props[] = {
	{.name = "rdiffbase",
	 .type = ATTR_STRING,
	 .help = "the file or device that the patch was made against; it is read, never written"},
};

struct patch {
	struct stream s;
	const struct step *st;
	rs_job_t *job;
	rs_buffers_t io;
	uint8_t *out;
	bool ended; /* the patch has said so */
	int base_error;
};

static rs_result read_base(void *arg, rs_long_t pos, size_t *len, void **buf)
{
	struct patch *p = arg;
	ssize_t n = pos < 0 ? -EINVAL : sys_pread(p->st->base, *buf, *len, (uint64_t)pos);

	if (n < 0)
		p->base_error = (int)-n;
	if (n <= 0)
		return n < 0 ? RS_IO_ERROR : RS_INPUT_ENDED;
	*len = (size_t)n;
	return RS_DONE;
}

static int fail(const struct patch *p, rs_result r, struct err *e)
{
	if (p->base_error)
		return err_sys(e, E_TARGET_READ, p->base_error, "reading the base of a patch");
	err_fix(e, "build the patch against exactly the version that the device has, or send the "
		   "whole image");
	return err_set(e, E_PATCH, EBADMSG, "%s", rs_strerror(r));
}

/* more of the patch; at its end librsync is told */
static int feed(struct patch *p, struct err *e)
{
	const uint8_t *in;
	ssize_t n;

	if (p->io.avail_in || p->io.eof_in)
		return 0;
	n = stream_next(p->s.up, &in, e);
	if (n < 0)
		return (int)n;
	p->io.eof_in = n == 0;
	p->io.next_in = (char *)(uintptr_t)in; /* librsync only reads there */
	p->io.avail_in = (size_t)n;
	return 0;
}

/* nothing may come behind a patch, and its own end has to be proven */
static int end(struct patch *p, struct err *e)
{
	const uint8_t *in;
	ssize_t n = p->io.eof_in ? 0 : stream_next(p->s.up, &in, e);

	if (n < 0)
		return (int)n;
	if (n > 0 || p->io.avail_in)
		return err_set(e, E_PATCH, EBADMSG, "bytes follow the end of the patch");
	return 0;
}

static ssize_t patch_next(struct stream *s, const uint8_t **buf, struct err *e)
{
	struct patch *p = (struct patch *)s;
	size_t made;

	/* one instruction of a patch may copy for hours */
	if (flag_is_set(p->st->host->cancel))
		return err_set(e, E_CANCELED, ECANCELED, "cancelled");
	p->io.next_out = (char *)p->out;
	p->io.avail_out = OUT_BYTES;
	while (!p->ended && p->io.avail_out) {
		size_t in, out;
		rs_result r;
		int rc = feed(p, e);

		if (rc < 0)
			return rc;
		in = p->io.avail_in;
		out = p->io.avail_out;
		r = rs_job_iter(p->job, &p->io);
		if (r != RS_DONE && r != RS_BLOCKED)
			return fail(p, r, e);
		p->ended = r == RS_DONE;
		if (!p->ended && p->io.avail_in == in && p->io.avail_out == out)
			return fail(p, RS_INPUT_ENDED, e);
	}
	made = OUT_BYTES - p->io.avail_out;
	*buf = p->out;
	return made || !p->ended ? (ssize_t)made : end(p, e);
}

static void patch_close(struct stream *s)
{
	struct patch *p = (struct patch *)s;

	if (p->job)
		rs_job_free(p->job);
	free(p->out);
	free(p);
}

static const struct stream_ops patch_ops = {
	.name = "patch",
	.next = patch_next,
	.close = patch_close,
};

static int rdiff_open(struct step *st, struct stream **s, struct err *e)
{
	struct patch *p = calloc(1, sizeof(*p));

	if (p)
		p->job = rs_patch_begin(read_base, p);
	if (!p || !p->job || posix_memalign((void **)&p->out, OUT_ALIGN, OUT_BYTES) != 0) {
		if (p && p->job)
			rs_job_free(p->job);
		free(p);
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a patch");
	}
	p->st = st;
	stream_init(&p->s, &patch_ops, *s);
	*s = &p->s;
	return 0;
}

const struct handler handler_rdiff_image = {
	.name = "rdiff_image",
	.summary = "make an image out of a patch and of what the device has",
	.kind = HANDLER_SOURCE,
	.sections = SECTION_IMAGES,
	.chain = "raw",
	.reads = "rdiffbase",
	.props = props,
	.prop_count = ARRAY_SIZE(props),
	.open = rdiff_open,
};
