#include "core/build/members.h"

#include <stdlib.h>

#include "parser/cpio_read.h"

static int walk(struct cpio_reader *r, const struct member_walk *w, struct err *e)
{
	struct cpio_member m;
	struct member told = {.name = m.name};
	int rc;

	while ((rc = cpio_read_member(r, &m, e)) > 0) {
		told.size = m.head.size;
		told.data = m.data;
		told.sum = m.head.sum;
		told.has_sum = m.head.has_sum;
		rc = w->cb(w->arg, &told, e);
		if (rc == 0)
			rc = cpio_skip_content(r, &m, e);
		if (rc < 0)
			return rc;
		told.index++;
	}
	return rc;
}

int members_walk(int fd, const struct member_walk *w, struct err *e)
{
	const struct stream_fd_options whole = {.size = UINT64_MAX};
	const struct bundle_options how = {0};
	AUTO_STREAM struct stream *s = NULL;
	struct cpio_reader r;
	int rc = stream_fd_open(&s, fd, &whole, e);

	if (rc < 0)
		return rc;
	cpio_reader_init(&r, s, &how);
	if (!r.seek)
		return err_set(e, E_BUILD, 0, "it must be a file, not a pipe");
	return walk(&r, w, e);
}
