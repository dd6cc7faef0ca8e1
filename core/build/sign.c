#include "core/build/sign.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "core/build/cpio_write.h"
#include "core/build/members.h"
#include "core/build/output.h"
#include "core/build/variables.h"
#include "corelib/base/crc32c.h"
#include "corelib/base/digest.h"
#include "corelib/sign/pkcs11.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define CHUNK	    (1024u * 1024)
#define TEXT_MAX    (1024u * 1024)
#define DESCRIPTION "sw-description"

/* a token's URI may hold its PIN */
static void name_signer(const struct sign_options *o, bool token, char *out, size_t n)
{
	if (token)
		pkcs11_name(o->key_file, out, n);
	else
		(void)text_print(out, n, "%.200s", o->command ? o->command : o->key_file);
}

int sign_text(const struct sign_options *o, const void *text, size_t n, uint8_t **sig,
	      size_t *sig_n, struct err *e)
{
	bool token = !o->command && pkcs11_is_uri(o->key_file), away = o->command || token;
	struct sig_signer s = {.scheme = o->scheme == SIG_ANY ? SIG_CMS : o->scheme,
			       .command = o->command,
			       .token = token ? o->key_file : NULL,
			       .time = o->has_epoch ? o->epoch : sys_now_real()};
	AUTO_FREE char *cert = NULL;
	char *key = NULL, who[256];
	size_t key_n = 0, cert_n;
	int rc = away ? 0 : build_read_text(o->key_file, &key, &key_n, e);

	if (rc == 0 && o->cert_file && (s.scheme == SIG_CMS || away))
		rc = build_read_text(o->cert_file, &cert, &cert_n, e);
	s.key_pem = key;
	s.cert_pem = cert;
	name_signer(o, token, who, sizeof(who));
	if (rc == 0)
		rc = err_at(e, sig_sign(&s, text, n, sig, sig_n, e), "%s", who);
	if (key)
		secure_zero(key, key_n);
	free(key);
	return rc;
}

/* ---- a bundle that is there ----------------------------------------------------------------- */

struct resign {
	const struct sign_options *o;
	int in;
	struct cpio_writer w;
	uint8_t *buf;
};

/* the description comes first, its new signature behind it */
static int sign_first(struct resign *r, const struct member *m, struct err *e)
{
	AUTO_FREE char *text = NULL;
	AUTO_FREE uint8_t *sig = NULL;
	size_t sig_n = 0;
	ssize_t got;
	int rc;

	if (strcmp(m->name, DESCRIPTION) != 0 || m->size > TEXT_MAX)
		return err_set(e, E_ORDER, 0, "the first member is not a " DESCRIPTION);
	text = malloc((size_t)m->size + 1);
	if (!text)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the description");
	got = sys_pread(r->in, text, (size_t)m->size, m->data);
	if (got < 0 || (uint64_t)got != m->size)
		return err_set(e, E_TRUNCATED, 0, "the description ends too early");
	rc = sign_text(r->o, text, (size_t)m->size, &sig, &sig_n, e);
	if (rc < 0)
		return rc;
	rc = cpio_write_mem(&r->w, DESCRIPTION, text, (size_t)m->size, e);
	return rc < 0 ? rc : cpio_write_mem(&r->w, DESCRIPTION ".sig", sig, sig_n, e);
}

struct sink {
	struct resign *r;
	bool write;
	uint32_t sum;
};

/* once over the bytes: to sum them, or to write them */
static int pass(struct sink *s, const struct member *m, struct err *e)
{
	ssize_t got;
	int rc = 0;

	for (uint64_t done = 0; rc == 0 && done < m->size; done += (uint64_t)got) {
		uint64_t left = m->size - done;

		got = sys_pread(s->r->in, s->r->buf, left < CHUNK ? (size_t)left : CHUNK,
				m->data + done);
		if (got < 0)
			return err_sys(e, E_IO, (int)-got, "reading it failed");
		if (got == 0)
			return err_set(e, E_TRUNCATED, 0, "its bytes end too early");
		s->sum = bytesum(s->sum, s->r->buf, (size_t)got);
		if (s->write)
			rc = cpio_write_data(&s->r->w, s->r->buf, (size_t)got, e);
	}
	return rc;
}

static int resign_copy(struct resign *r, const struct member *m, struct err *e)
{
	struct sink s = {.r = r};
	struct cpio_member head = {.name = m->name, .size = m->size, .sum = m->sum};
	int rc = m->has_sum ? 0 : pass(&s, m, e);

	if (rc == 0 && !m->has_sum)
		head.sum = s.sum;
	s.write = true;
	if (rc == 0)
		rc = cpio_write_begin(&r->w, &head, e);
	if (rc == 0)
		rc = pass(&s, m, e);
	return rc < 0 ? rc : cpio_write_end(&r->w, e);
}

static int take_member(void *arg, const struct member *m, struct err *e)
{
	struct resign *r = arg;

	if (m->index == 0)
		return sign_first(r, m, e);
	if (strcmp(m->name, DESCRIPTION ".sig") == 0)
		return 0;
	return err_at(e, resign_copy(r, m, e), "%s", m->name);
}

static int rewrite(struct resign *r, struct err *e)
{
	const struct member_walk w = {take_member, r};
	int rc;

	r->buf = malloc(CHUNK);
	rc = r->buf ? members_walk(r->in, &w, e)
		    : err_set(e, E_MEMORY, ENOMEM, "no memory to read the bundle");
	free(r->buf);
	return rc < 0 ? rc : cpio_write_trailer(&r->w, e);
}

int sign_bundle(const struct sign_options *o, const char *bundle, const char *output,
		uint64_t *size, struct err *e)
{
	AUTO_CLOSE int in = build_open(bundle, E_BUILD, "the bundle", e);
	struct output out __attribute__((cleanup(output_close))) = {.fd = -1, .folder = -1};
	struct resign r = {.o = o, .in = in};
	int rc;

	if (in < 0)
		return in;
	rc = output_open(&out, output, e);
	if (rc < 0)
		return rc;
	r.w.fd = out.fd;
	r.w.mtime = o->has_epoch ? (uint32_t)o->epoch : 0;
	rc = err_at(e, rewrite(&r, e), "%s", bundle);
	if (rc == 0)
		rc = output_commit(&out, e);
	if (rc == 0)
		*size = r.w.at;
	return rc;
}
