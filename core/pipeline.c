#include "core/pipeline.h"

#include <errno.h>
#include <sched.h>

#include "core/tap.h"
#include "corelib/base/sys.h"

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

static unsigned threads_of(const struct feed *f)
{
	return f->threads ? f->threads : f->session->threads;
}

static int ahead(struct stream **s, const struct feed *f, struct err *e)
{
	const size_t block = sys_is_small() ? STREAM_BLOCK_SMALL : STREAM_BLOCK;

	/* less than a block cannot overlap with itself: a thread for it only costs its start */
	if (threads_of(f) < 2 || ((*s)->has_size && (*s)->size < block))
		return 0;
	return stage_ahead_open(s, AHEAD_DEPTH, block, e);
}

/* writing has a core to itself: threads that hash on it only get in its way */
static unsigned hashers(const struct feed *f)
{
	return threads_of(f) > 1 ? threads_of(f) - 1 : 1;
}

/* the stage that knows whether these are the signed bytes */
static int stack_proof(struct stream **s, const struct plan_step *ps, const struct feed *f,
		       struct err *e)
{
	if (f->notes)
		return stage_proven_open(s, f->notes, e);
	if (ps->blocks.digests)
		return stage_blocks_open(s, &ps->blocks, hashers(f), e);
	if (ps->step.entry->has_sha256)
		return stage_verify_open(s, ps->step.entry->sha256, e);
	return 0; /* only under allow-unsigned: the parser demands sha256 otherwise */
}

static bool wants_records(const struct plan_step *ps)
{
	return ps->step.handler->wants & WANT_RECORDS;
}

static int stack_decompress(struct stream **s, const struct plan_step *ps, const struct feed *f,
			    struct err *e)
{
	enum codec c = (enum codec)ps->step.entry->compressed;

	if (wants_records(ps))
		return stage_archive_open(s, c, f->session->cfg->mem_max, e);
	if (c == CODEC_NONE)
		return 0;
	if ((*s)->proof == PROOF_NONE)
		return stage_process_open(s, c, f->session->cfg->mem_max, e);
	return stage_decompress_open(s, c, f->session->cfg->mem_max, e);
}

static int stack_decrypt(struct stream **s, const struct plan_step *ps, struct err *e)
{
	return ps->key ? stage_decrypt_open(s, ps->key, e) : 0;
}

/* does it run in threads or a process of its own, so that one more only costs memory and a copy? */
static bool overlaps_itself(const struct plan_step *ps, const struct feed *f)
{
	bool blocks = ps->blocks.digests && !f->notes && hashers(f) > 1;
	bool unproven = ps->step.entry->compressed != CODEC_NONE && !f->notes && !ps->key;
	bool child = wants_records(ps) || (unproven && !blocks);

	return blocks || child;
}

/*
 * Three works want a core each: reading and hashing, decompressing, writing. Decrypting is so cheap
 * that it stays with writing, while the block is warm.
 */
static int stack(struct stream **s, const struct plan_step *ps, const struct feed *f, struct err *e)
{
	int rc = 0;

	if (f->meter)
		rc = stage_count_open(s, f->meter, e);
	if (rc == 0)
		rc = stack_proof(s, ps, f, e);
	if (rc == 0 && !overlaps_itself(ps, f))
		rc = ahead(s, f, e);
	if (rc == 0)
		rc = stack_decrypt(s, ps, e);
	if (rc == 0 && (ps->step.entry->compressed != CODEC_NONE || wants_records(ps))) {
		bool here = (*s)->proof != PROOF_NONE && !wants_records(ps);

		rc = stack_decompress(s, ps, f, e);
		if (rc == 0 && here)
			rc = ahead(s, f, e);
	}
	/* records have heads of their own; who makes files of them counts their bytes */
	if (rc == 0 && ps->span.room != UINT64_MAX && !wants_records(ps))
		rc = stage_cap_open(s, ps->span.room, e);
	return rc;
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

int pipeline_prove(const struct plan_step *ps, struct stream *raw, const struct feed *f,
		   struct notes *n, int fd, struct err *e)
{
	AUTO_STREAM struct stream *s = raw;
	int rc = 0;

	if (f->meter)
		rc = stage_count_open(&s, f->meter, e);
	if (rc == 0)
		rc = stack_proof(&s, ps, f, e);
	if (rc == 0 && n)
		rc = ahead(&s, f, e);
	if (rc == 0 && n)
		rc = stage_note_open(&s, n, e);
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

static int hand_over(struct plan_step *ps, struct stream *s, const struct feed *f, struct err *e)
{
	int rc;

	if (!session_writes(f->session))
		return stream_drain(s, e);
	rc = ps->step.handler->install(&ps->step, s, e);
	return rc < 0 ? rc : check_end(s, &ps->step, e);
}

int pipeline_install(struct plan_step *ps, struct stream *raw, const struct feed *f, struct err *e)
{
	AUTO_STREAM struct stream *s = raw;
	struct tap *tap = NULL;
	int rc = stack(&s, ps, f, e);

	if (rc == 0 && f->session->cfg->verify_writes && session_writes(f->session) &&
	    (ps->step.dev || ps->step.handler->holds == HOLDS_FILE))
		rc = tap_open(&s, &tap, e);
	if (rc == 0)
		rc = hand_over(ps, s, f, e);
	if (rc == 0 && tap)
		rc = tap_check(tap, &ps->step, e);
	return rc;
}
