#include "core/pipeline.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "core/readback.h"
#include "core/plan/stages.h"
#include "corelib/base/sys.h"
#include "corelib/stream/records.h"

enum { AHEAD_DEPTH = 4 };

unsigned pipeline_threads(const struct settings *cfg)
{
	cpu_set_t cpus;

	if (cfg->threads)
		return cfg->threads > 64 ? 64 : (unsigned)cfg->threads;
	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0 || CPU_COUNT(&cpus) < 1)
		return 1;
	return (unsigned)CPU_COUNT(&cpus);
}

/* what a reading of this payload looks like now that it is at hand */
static void list_stages(struct stages *l, const struct plan_step *ps, const struct stream *raw,
			const struct feed *f, enum pass pass)
{
	const struct reading r = {
		.pass = pass,
		.list = ps->blocks.digests,
		.proof = raw->proof,
		.size = raw->has_size ? raw->size : UINT64_MAX,
		.threads = f->threads ? f->threads : f->session->threads,
		.read_back = f->session->cfg->verify_writes && session_writes(f->session),
	};

	stages_list(l, ps, &r);
}

/* what is made while the stages are opened, and asked afterwards */
struct made {
	struct notes *notes; /* of a first pass; NULL: nobody remembers */
	struct readback *readback;
};

/* the process that unpacks knows it too, and has no words for what is only odd */
static int warn_of_bzip2(struct stream **s, const struct feed *f, struct err *e)
{
	uint8_t head[PEEK_MAX];
	size_t n;
	int rc = stage_peek_open(s, head, &n, e);

	if (rc == 0 && n >= 4 && memcmp(head, "BZh", 3) == 0)
		reporter_warn(f->session->reporter,
			      "the archive is compressed by bzip2, which is slow: use zstd, xz or "
			      "gzip");
	return rc;
}

static int open_stage(struct stream **s, const struct stage *g, struct plan_step *ps,
		      const struct feed *f, struct made *made, struct err *e)
{
	const struct entry *t = ps->step.entry;
	const uint64_t mem_max = f->session->cfg->mem_max;
	int rc;

	switch (g->kind) {
	case STAGE_COUNT:
		return f->meter ? stage_count_open(s, f->meter, e) : 0;
	case STAGE_VERIFY:
		return stage_verify_open(s, t->sha256, e);
	case STAGE_BLOCKS:
		return stage_blocks_open(s, &ps->blocks, g->threads ? g->threads : 1, e);
	case STAGE_SAME:
		return stage_proven_open(s, f->notes, e);
	case STAGE_NOTE:
		return made->notes ? stage_note_open(s, made->notes, e) : 0;
	case STAGE_AHEAD:
		return stage_ahead_open(s, AHEAD_DEPTH, stages_block(), e);
	case STAGE_DECRYPT:
		return stage_decrypt_open(s, ps->key, e);
	case STAGE_DECOMPRESS:
		return stage_decompress_open(s, (enum codec)t->compressed, mem_max, e);
	case STAGE_UNPACK:
		return stage_process_open(s, (enum codec)t->compressed, mem_max, e);
	case STAGE_ARCHIVE:
		rc = t->compressed ? 0 : warn_of_bzip2(s, f, e);
		return rc < 0 ? rc : stage_archive_open(s, (enum codec)t->compressed, mem_max, e);
	case STAGE_SOURCE:
		return ps->source->open(&ps->step, s, e);
	case STAGE_RESULT:
		return stage_verify_open(s, ps->result, e);
	case STAGE_CAP:
		return stage_cap_open(s, g->room, e);
	case STAGE_READBACK:
		return readback_open(s, &made->readback, e);
	case STAGE_KINDS:
		break;
	}
	return err_set(e, E_INTERNAL, EINVAL, "the plan has a stage that nobody knows");
}

static int open_all(struct stream **s, const struct stages *l, struct plan_step *ps,
		    const struct feed *f, struct made *made, struct err *e)
{
	for (size_t i = 0; i < l->count; i++) {
		int rc = open_stage(s, &l->at[i], ps, f, made, e);

		if (rc < 0)
			return rc;
	}
	return 0;
}

static int copy_to(struct stream *s, int fd, struct err *e)
{
	const uint8_t *buf;
	ssize_t n;

	while ((n = stream_next(s, &buf, e)) > 0) {
		int rc = sys_write(fd, buf, (size_t)n);

		if (rc < 0)
			return err_sys(e, rc == -ENOSPC ? E_NO_SPACE : E_SPOOL, -rc,
				       "writing the payload to the spool directory");
	}
	return (int)n;
}

int pipeline_prove(struct plan_step *ps, struct stream *raw, const struct feed *f, struct notes *n,
		   int fd, struct err *e)
{
	AUTO_STREAM struct stream *s = raw;
	struct made made = {.notes = n};
	struct stages l;
	int rc;

	list_stages(&l, ps, raw, f, PASS_FIRST);
	rc = open_all(&s, &l, ps, f, &made, e);
	if (rc < 0)
		return rc;
	return fd < 0 ? stream_drain(s, e) : copy_to(s, fd, e);
}

/* the handler said that all is well: has the end been proven, and is nothing left? */
static int check_end(struct stream *s, const struct step *st, struct err *e)
{
	const uint8_t *buf;
	ssize_t n = stream_next(s, &buf, e);

	if (n <= 0)
		return (int)n;
	return err_set(e, E_INTERNAL, EBADMSG, "handler %s did not read its payload to the end",
		       st->handler->name);
}

/* all that an archive holds, without a place for it */
static int drain_records(struct stream *s, struct err *e)
{
	AUTO_RECORDS struct records *r = records_new(s, e);
	const struct record *rec;
	struct record_piece piece;
	int rc = r ? 0 : -e->sys;

	if (rc < 0)
		return rc;
	while ((rc = records_next(r, &rec, e)) > 0) {
		while (rec->kind == RECORD_FILE && (rc = records_data(r, &piece, e)) > 0)
			;
		if (rc < 0)
			return rc;
	}
	return rc;
}

static int hand_over(struct plan_step *ps, struct stream *s, const struct feed *f, struct err *e)
{
	int rc;

	if (!session_writes(f->session))
		return ps->step.handler->records ? drain_records(s, e) : stream_drain(s, e);
	rc = ps->step.handler->install(&ps->step, s, e);
	return rc < 0 ? rc : check_end(s, &ps->step, e);
}

void pipeline_fit(struct plan_step *ps, const struct stream *raw, const struct feed *f)
{
	list_stages(&ps->stages, ps, raw, f, f->notes ? PASS_AGAIN : PASS_ONLY);
}

int pipeline_install(struct plan_step *ps, struct stream *raw, const struct feed *f, struct err *e)
{
	AUTO_STREAM struct stream *s = raw;
	struct made made = {.readback = NULL};
	int rc = open_all(&s, &ps->stages, ps, f, &made, e);

	if (rc == 0)
		rc = hand_over(ps, s, f, e);
	if (rc == 0 && made.readback)
		rc = readback_check(made.readback, &ps->step, e);
	return rc;
}
