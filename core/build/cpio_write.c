#include "core/build/cpio_write.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "corelib/base/crc32c.h"
#include "corelib/base/digest.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "parser/bundle.h"

#define BLOCK	  512u
#define FILE_MODE 0100644u

static int put(struct cpio_writer *w, const void *buf, size_t n, struct err *e)
{
	int rc = sys_write(w->fd, buf, n);

	if (rc < 0)
		return err_sys(e, E_BUILD, -rc, "writing the bundle failed");
	w->at += n;
	return 0;
}

static int pad(struct cpio_writer *w, unsigned to, struct err *e)
{
	static const uint8_t zeros[BLOCK];

	return put(w, zeros, (size_t)(-w->at % to), e);
}

static int put_head(struct cpio_writer *w, const struct cpio_member *m, uint32_t mode,
		    struct err *e)
{
	size_t name = strlen(m->name) + 1;
	bool trailer = mode == 0;
	char head[CPIO_HEAD + 1];
	int rc;

	/* magic ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor
	 * namesize chksum */
	rc = text_print(head, sizeof(head),
			"070702%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
			trailer ? 0 : ++w->ino, mode, 0u, 0u, 1u, trailer ? 0 : w->mtime,
			(unsigned)m->size, 0u, 0u, 0u, 0u, (unsigned)name, m->sum);
	if (rc < 0)
		return err_set(e, E_INTERNAL, EINVAL, "a cpio header has the wrong length");
	rc = put(w, head, CPIO_HEAD, e);
	if (rc < 0)
		return rc;
	rc = put(w, m->name, name, e);
	return rc < 0 ? rc : pad(w, 4, e);
}

int cpio_write_begin(struct cpio_writer *w, const struct cpio_member *m, struct err *e)
{
	int rc = cpio_name_check(m->name, strlen(m->name) + 1, e);

	if (rc < 0)
		return rc;
	if (strcmp(m->name, CPIO_TRAILER) == 0)
		return err_set(e, E_CPIO_NAME, EINVAL, "'%s' is what ends an archive", m->name);
	/* devices read such names in old bundles and look them up only; nobody should make new ones
	 */
	if (strchr(m->name, '/') || strcmp(m->name, "..") == 0 || strcmp(m->name, ".") == 0)
		return err_set(e, E_CPIO_NAME, EINVAL, "'%s' is no plain file name", m->name);
	if (m->size > UINT32_MAX)
		return err_set(e, E_BUILD, EFBIG,
			       "'%s' has %" PRIu64 " bytes; a member holds less than 4 GiB",
			       m->name, m->size);
	w->now = *m;
	w->done = 0;
	w->sum = 0;
	return put_head(w, m, FILE_MODE, e);
}

int cpio_write_data(struct cpio_writer *w, const void *buf, size_t n, struct err *e)
{
	if (n > w->now.size - w->done)
		return err_set(e, E_BUILD, EBUSY, "'%s' grew while it was read", w->now.name);
	w->done += n;
	w->sum = bytesum(w->sum, buf, n);
	return put(w, buf, n, e);
}

int cpio_write_end(struct cpio_writer *w, struct err *e)
{
	if (w->done != w->now.size || w->sum != w->now.sum)
		return err_set(e, E_BUILD, EBUSY, "'%s' changed while it was read", w->now.name);
	return pad(w, 4, e);
}

int cpio_write_mem(struct cpio_writer *w, const char *name, const void *buf, size_t n,
		   struct err *e)
{
	const struct cpio_member m = {.name = name, .size = n, .sum = bytesum(0, buf, n)};
	int rc = cpio_write_begin(w, &m, e);

	if (rc < 0)
		return rc;
	rc = cpio_write_data(w, buf, n, e);
	return rc < 0 ? rc : cpio_write_end(w, e);
}

int cpio_write_trailer(struct cpio_writer *w, struct err *e)
{
	const struct cpio_member m = {.name = CPIO_TRAILER};
	int rc = put_head(w, &m, 0, e);

	return rc < 0 ? rc : pad(w, BLOCK, e);
}
