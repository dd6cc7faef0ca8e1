#include "core/build/extract.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "core/build/members.h"
#include "core/build/variables.h"
#include "corelib/base/crc32c.h"
#include "corelib/base/digest.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define CHUNK (1024u * 1024)

struct extract {
	const struct extract_options *o;
	int in, folder;
	uint8_t *buf;
};

static int extract_copy(const struct extract *x, const struct member *m, int out, struct err *e)
{
	uint32_t sum = 0;
	ssize_t got = 0;
	int rc;

	for (uint64_t done = 0; done < m->size; done += (uint64_t)got) {
		uint64_t left = m->size - done;

		got = sys_pread(x->in, x->buf, left < CHUNK ? (size_t)left : CHUNK, m->data + done);
		if (got < 0)
			return err_sys(e, E_IO, (int)-got, "reading it failed");
		if (got == 0)
			return err_set(e, E_TRUNCATED, 0, "its bytes end too early");
		sum = bytesum(sum, x->buf, (size_t)got);
		rc = sys_write(out, x->buf, (size_t)got);
		if (rc < 0)
			return err_sys(e, E_BUILD, -rc, "writing it failed");
	}
	if (m->has_sum && sum != m->sum)
		return err_set(e, E_CPIO_SUM, 0, "its checksum is not that of its bytes");
	return 0;
}

/* the name is a plain one: it lies beneath the folder */
static int write_member(const struct extract *x, const struct member *m, struct err *e)
{
	int out = sys_openat(x->folder, m->name,
			     O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	int rc, closed;

	if (out < 0)
		return err_at(e,
			      err_sys(e, E_BUILD, -out, "creating it in %s failed", x->o->folder),
			      "%s", m->name);
	rc = extract_copy(x, m, out, e);
	closed = sys_close(&out);
	if (rc == 0 && closed < 0)
		rc = err_sys(e, E_BUILD, -closed, "writing it failed");
	if (rc < 0)
		sys_unlinkat(x->folder, m->name, 0);
	else if (x->o->told)
		x->o->told(x->o->arg, m->name, m->size);
	return err_at(e, rc, "%s", m->name);
}

static int extract_member(void *arg, const struct member *m, struct err *e)
{
	char shown[256];

	if (!strchr(m->name, '/') && strcmp(m->name, ".") != 0 && strcmp(m->name, "..") != 0)
		return write_member(arg, m, e);
	text_printable(m->name, strlen(m->name), shown, sizeof(shown));
	return err_set(e, E_CPIO_NAME, 0, "the name '%s' would lead out of the folder", shown);
}

static int open_both(struct extract *x, struct err *e)
{
	int rc = sys_mkdirat(AT_FDCWD, x->o->folder, 0755);

	if (rc < 0 && rc != -EEXIST)
		return err_at(e, err_sys(e, E_BUILD, -rc, "creating the folder failed"), "%s",
			      x->o->folder);
	x->folder = sys_openat(AT_FDCWD, x->o->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (x->folder < 0)
		return err_at(e, err_sys(e, E_BUILD, -x->folder, "opening the folder failed"), "%s",
			      x->o->folder);
	return 0;
}

int extract_bundle(const struct extract_options *o, struct err *e)
{
	AUTO_CLOSE int in = build_open(o->bundle, E_IO, "the bundle", e);
	AUTO_FREE uint8_t *buf = malloc(CHUNK);
	struct extract x = {.o = o, .in = in, .folder = -1, .buf = buf};
	const struct member_walk w = {extract_member, &x};
	int rc;

	if (in < 0)
		return in;
	if (!buf)
		return err_set(e, E_MEMORY, ENOMEM, "no memory to read the bundle");
	rc = open_both(&x, e);
	if (rc == 0)
		rc = err_at(e, members_walk(in, &w, e), "%s", o->bundle);
	if (x.folder >= 0)
		sys_close(&x.folder);
	return rc;
}
