/* What lint reads: a text, or the first member of a bundle. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "core/build/lint.h"
#include "core/build/variables.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "parser/bundle.h"

static int look_into_bundle(struct lint_result *r, int fd, const struct lint_options *o,
			    struct err *e)
{
	const struct stream_fd_options whole = {.size = UINT64_MAX};
	const struct bundle_options how = {0};
	AUTO_STREAM struct stream *s = NULL;
	struct lint_options finished = *o;
	struct bundle *b = NULL;
	const char *text;
	size_t n;
	int rc = stream_fd_open(&s, fd, &whole, e);

	finished.finished = true;
	finished.vars = NULL;
	finished.bundle = &fd;
	if (rc == 0)
		rc = bundle_open(&b, &s, &how, e);
	if (rc < 0)
		return rc;
	text = bundle_description(b, &n);
	rc = lint_description(r, text, n, &finished, e);
	bundle_close(b);
	return rc;
}

int lint_file(struct lint_result *r, const char *path, const struct lint_options *o, struct err *e)
{
	AUTO_CLOSE int fd = build_open(path, E_BUILD, "the description", e);
	AUTO_FREE char *text = NULL;
	char magic[5] = "";
	size_t n;
	int rc;

	if (fd < 0)
		return fd;
	if (sys_pread(fd, magic, 5, 0) == 5 && memcmp(magic, "07070", 5) == 0)
		return err_at(e, look_into_bundle(r, fd, o, e), "%s", path);
	rc = build_read_text(path, &text, &n, e);
	return rc < 0 ? rc : lint_description(r, text, n, o, e);
}
