#include "core/called.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/pipeline.h"
#include "core/plan/plan_private.h"
#include "corelib/files/staged.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

/* ---- a stream that its owner goes on using ---- */

struct lent {
	struct stream s;
	struct stream *of;
};

static ssize_t lent_next(struct stream *s, const uint8_t **buf, struct err *e)
{
	return stream_next(((struct lent *)s)->of, buf, e);
}

static ssize_t lent_read(struct stream *s, uint8_t *buf, size_t n, struct err *e)
{
	return stream_read(((struct lent *)s)->of, buf, n, e);
}

static void lent_stop(struct stream *s)
{
	stream_stop(((struct lent *)s)->of);
}

static void lent_close(struct stream *s)
{
	free(s);
}

static const struct stream_ops lent_ops = {
	.name = "lent",
	.next = lent_next,
	.read = lent_read,
	.stop = lent_stop,
	.close = lent_close,
};

static int lend(struct stream **s, struct stream *of, struct err *e)
{
	struct lent *l = calloc(1, sizeof(*l));

	if (!l)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a stream");
	stream_init(&l->s, &lent_ops, NULL);
	l->s.proof = of->proof;
	l->of = of;
	*s = &l->s;
	return 0;
}

/* ---- the payload ---- */

struct load {
	const struct host_call *asked;
	int fd; /* of a file; -1: none */
	uint64_t size;
};

static int open_file(struct load *l, const char *folder, struct err *e)
{
	const char *path = l->asked->file, *name;
	size_t n = strlen(folder);
	struct stat st;

	name = n && strncmp(path, folder, n) == 0 && path[n] == '/' ? path + n : "";
	name += strspn(name, "/");
	if (!*name || strchr(name, '/') || strcmp(name, "..") == 0)
		return err_set(e, E_LUA, EPERM,
			       "the file '%s' is not in the folder of tmpdirscripts()", path);
	l->fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
	if (l->fd < 0)
		return err_sys(e, E_NONE, -l->fd, "opening %s", path);
	if (fstat(l->fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(e, E_LUA, EINVAL, "%s is not a regular file", path);
	l->size = (uint64_t)st.st_size;
	return 0;
}

static int open_stream(const struct load *l, struct stream **s, struct err *e)
{
	const struct stream_fd_options o = {.size = l->size};

	if (l->fd >= 0)
		return stream_fd_open(s, l->fd, &o, e);
	return l->asked->in ? lend(s, l->asked->in, e) : stream_mem_open(s, "", 0, e);
}

/* ---- the entry ---- */

static enum section section_of(const struct called *c, const char *type)
{
	static const enum section order[] = {SECTION_IMAGES, SECTION_FILES, SECTION_BOOTENV};
	const struct handler *h = plan_find_handler(c->in, type, NULL);

	if (!h)
		return SECTION_IMAGES; /* the plan says that there is none */
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		if (h->sections & order[i])
			return order[i];
	return h->sections & SECTION_PARTITIONS ? SECTION_PARTITIONS : SECTION_SCRIPTS;
}

/* what the asking handler has is already what the attributes of the payload lead to */
static void describe_stream(struct entry *t, const struct host_call *asked)
{
	t->has_sha256 = false;
	t->compressed = CODEC_NONE;
	t->encrypted = 0;
	t->hashes.name = NULL;
	t->parts = 0;
	t->has_size = asked->has_size;
	t->size = asked->size;
	t->has_decompressed_size = false;
}

static int make_entry(const struct called *c, const struct load *l, struct entry **t, struct err *e)
{
	const struct manifest_options o = {.note = reporter_remark,
					   .arg = c->in->session->reporter};
	int rc = manifest_extra(c->in->manifest, section_of(c, l->asked->type), l->asked->text, &o,
				t, e);

	if (rc < 0)
		return rc;
	(*t)->hook = (*t)->preinstall = (*t)->postinstall = NULL;
	(*t)->installed_directly = false;
	if (l->fd < 0)
		describe_stream(*t, l->asked);
	else if ((*t)->has_size && (*t)->size != l->size)
		return err_set(e, E_MEMBER_SIZE, EBADMSG, "%s has %llu bytes, not %llu",
			       l->asked->file, (unsigned long long)l->size,
			       (unsigned long long)(*t)->size);
	if (l->fd >= 0) {
		(*t)->has_size = true;
		(*t)->size = l->size;
	}
	return 0;
}

/* ---- the step ---- */

static int check_kind(const struct plan_step *ps, const struct load *l, struct err *e)
{
	const struct handler *h = ps->step.handler;
	const char *why = NULL;

	if (ps->source)
		why = "makes its bytes out of others and cannot be called";
	else if (h->kind != HANDLER_TARGET)
		why = "is for the list scripts and cannot be called";
	else if (h->irreversible) /* a program, out of its turn, for code that may be confined */
		why = "runs after all others, when nothing can fail any more, and cannot be called";
	else if (!h->no_data && !h->data_optional && l->fd < 0 && !l->asked->in)
		why = "needs a payload: name a file of tmpdirscripts() by its whole path";
	return why ? err_set(e, E_HANDLER, EINVAL, "type '%s' %s", h->name, why) : 0;
}

static int check_slot(struct plan *p, const struct slot_setting *taken, struct err *e)
{
	if (p->taken == taken)
		return 0;
	p->taken = taken;
	err_fix(e, "name the slot in the entry that calls (slot = \"…\"), so that it is known "
		   "before anything is written");
	return err_set(e, E_SLOT, EPERM,
		       "it would write the slot, and no entry of the bundle does");
}

static int bind(const struct called *c, struct plan_step *ps, const struct load *l, struct err *e)
{
	struct plan *p = c->plan;
	const struct slot_setting *taken = p->taken;
	int rc = plan_entry_bind(p, ps, c->in, e);

	if (rc == 0)
		rc = check_kind(ps, l, e);
	if (rc == 0)
		rc = check_slot(p, taken, e);
	if (rc == 0)
		rc = plan_overlaps(p, c->in->session, e);
	ps->route = ROUTE_NONE;
	return rc;
}

/* a file with a hash: the whole of it, before the first byte is written (L1) */
static int prove(const struct called *c, struct run_step *rs, const struct load *l,
		 struct notes **n, struct err *e)
{
	const struct feed f = {.session = c->in->session, .threads = 1};
	struct stream *s = NULL;
	int rc;

	if (l->fd < 0 || !rs->known.step.entry->has_sha256)
		return 0;
	*n = notes_new(l->size, e);
	if (!*n)
		return -e->sys;
	rc = open_stream(l, &s, e);
	return rc < 0 ? rc : pipeline_prove(&rs->known, s, &f, *n, -1, e);
}

static int install(const struct called *c, struct run_step *rs, const struct load *l, struct err *e)
{
	/* its bytes were counted on their way to the code that asks */
	struct meter m = {.cancel = c->in->session->cancel};
	struct feed f = {.session = c->in->session, .meter = &m, .threads = 1};
	struct notes *n = NULL;
	struct stream *s = NULL;
	int rc = prove(c, rs, l, &n, e);

	if (rc == 0)
		rc = open_stream(l, &s, e);
	f.notes = n;
	if (rc == 0)
		pipeline_fit(&rs->known, s, &f);
	if (rc == 0)
		rc = step_write(c->steps, rs, s, &f, e);
	else
		step_at(c->steps, rs, rc, e);
	notes_free(n);
	return rc;
}

static int add_step(const struct called *c, const struct entry *t, const struct load *l,
		    struct err *e)
{
	struct plan_step *ps;
	struct run_step *rs;
	int rc = plan_add(c->plan, c->in, t, &ps, e);

	if (rc < 0)
		return rc;
	rc = plan_at(c->plan, ps, bind(c, ps, l, e), e);
	rs = steps_add(c->steps, ps);
	if (rc == 0)
		rc = install(c, rs, l, e);
	if (rc < 0) {
		step_give_up(c->steps, rs, e);
		plan_give_up(ps);
	}
	return rc;
}

static int check_time(const struct called *c, struct err *e)
{
	const char *why = NULL;

	if (!c->steps)
		why = "works while entries are installed: neither in the embedded script nor in a "
		      "hook";
	else if (c->steps->closed)
		why = "does nothing any more: the update has failed or is being activated";
	else if (!session_writes(c->in->session) || !c->begun)
		why = "does nothing in a check or a dry run";
	return why ? err_set(e, E_LUA, EPERM, "call_handler %s", why) : 0;
}

int called_run(const struct called *c, const struct host_call *asked, struct err *e)
{
	struct load l = {.asked = asked, .fd = -1};
	struct entry *t = NULL;
	int rc = check_time(c, e);

	if (rc == 0 && asked->in && asked->in->proof == PROOF_NONE)
		rc = err_set(e, E_INTERNAL, EPROTO, "the payload was not proven before");
	if (rc == 0 && asked->file && *asked->file)
		rc = open_file(&l, c->in->session->scripts_folder, e);
	if (rc == 0)
		rc = make_entry(c, &l, &t, e);
	if (rc == 0)
		rc = add_step(c, t, &l, e);
	sys_close(&l.fd);
	return rc;
}
