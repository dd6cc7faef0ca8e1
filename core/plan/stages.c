#include "core/plan/stages.h"

#include <stdio.h>
#include <string.h>

#include "core/plan/plan_private.h"
#include "corelib/base/sys.h"

const char *stage_name(enum stage_kind k)
{
	static const char *const names[STAGE_KINDS] = {
		[STAGE_COUNT] = "count",     [STAGE_VERIFY] = "verify",
		[STAGE_BLOCKS] = "blocks",   [STAGE_SAME] = "same",
		[STAGE_NOTE] = "note",	     [STAGE_AHEAD] = "ahead",
		[STAGE_DECRYPT] = "decrypt", [STAGE_DECOMPRESS] = "decompress",
		[STAGE_UNPACK] = "unpack",   [STAGE_ARCHIVE] = "archive",
		[STAGE_SOURCE] = "source",   [STAGE_RESULT] = "result",
		[STAGE_CAP] = "cap",	     [STAGE_READBACK] = "readback",
	};

	return names[k];
}

size_t stages_block(void)
{
	return sys_is_small() ? STREAM_BLOCK_SMALL : STREAM_BLOCK;
}

static struct stage *add(struct stages *l, enum stage_kind kind, enum proof proof)
{
	struct stage *s = &l->at[l->count++];

	*s = (struct stage){.kind = kind, .proof = proof};
	return s;
}

static enum proof proof_now(const struct stages *l, const struct reading *r)
{
	return l->count ? l->at[l->count - 1].proof : r->proof;
}

/* less than a block cannot overlap with itself: a thread for it only costs its start */
static void add_thread(struct stages *l, const struct reading *r, uint64_t size)
{
	if (r->threads > 1 && size >= stages_block())
		add(l, STAGE_AHEAD, proof_now(l, r))->threads = 1;
}

/* who knows whether these are the signed bytes; writing has a core to itself: threads that hash on
 * it only get in its way */
static void add_proof(struct stages *l, const struct plan_step *ps, const struct reading *r)
{
	const struct entry *t = ps->step.entry;
	/* without a hash only under allow-unsigned: then nobody has vouched for them */
	bool vouched = t->has_sha256 || t->hashes.name;

	if (r->pass == PASS_AGAIN)
		add(l, STAGE_SAME, vouched ? PROOF_WHOLE : PROOF_NONE);
	else if (r->list)
		add(l, STAGE_BLOCKS, PROOF_BLOCK)->threads = r->threads > 2 ? r->threads - 1 : 0;
	else if (t->has_sha256)
		add(l, STAGE_VERIFY, PROOF_NONE);
}

/* a process overlaps with what feeds it, unless that is busy decrypting */
static bool overlaps_itself(const struct stages *l, const struct plan_step *ps, bool process)
{
	return l->at[l->count - 1].threads || (process && !ps->key);
}

/*
 * Three works want a core each: reading and hashing, decompressing, writing. Decrypting is so cheap
 * that it stays with writing, while the block is warm.
 */
void stages_list(struct stages *l, const struct plan_step *ps, const struct reading *r)
{
	const struct entry *t = ps->step.entry;
	bool records = plan_reader(ps)->records, packed = t->compressed != CODEC_NONE, process;

	*l = (struct stages){.count = 0};
	add(l, STAGE_COUNT, r->proof);
	add_proof(l, ps, r);
	if (r->pass == PASS_FIRST) {
		add_thread(l, r, r->size);
		add(l, STAGE_NOTE, proof_now(l, r));
		return;
	}
	process = records || (packed && proof_now(l, r) == PROOF_NONE);
	if (!overlaps_itself(l, ps, process))
		add_thread(l, r, r->size);
	if (ps->key)
		add(l, STAGE_DECRYPT, proof_now(l, r));
	if (process)
		add(l, records ? STAGE_ARCHIVE : STAGE_UNPACK, proof_now(l, r))->process = true;
	else if (packed)
		add(l, STAGE_DECOMPRESS, proof_now(l, r));
	if (packed && !process)
		add_thread(l, r, UINT64_MAX);
	if (ps->source) {
		/* the signature speaks of what goes in; what comes out is not vouched for by it */
		add(l, STAGE_SOURCE, PROOF_NONE);
		if (ps->has_result)
			add(l, STAGE_RESULT, PROOF_NONE);
		add_thread(l, r, UINT64_MAX);
	}
	/* records have heads of their own; who makes files of them counts their bytes */
	if (ps->span.room != UINT64_MAX && !records)
		add(l, STAGE_CAP, proof_now(l, r))->room = ps->span.room;
	if (r->read_back && (ps->step.dev || ps->step.handler->holds == HOLDS_FILE))
		add(l, STAGE_READBACK, proof_now(l, r));
}

bool stages_want_process(const struct stages *l)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->at[i].process)
			return true;
	return false;
}

void stages_text(const struct stages *l, char *out, size_t n)
{
	size_t at = 0;

	*out = '\0';
	for (size_t i = 0; i < l->count && at < n; i++) {
		const struct stage *s = &l->at[i];
		char room[32] = "";

		if (s->kind == STAGE_CAP)
			snprintf(room, sizeof(room), " %llu", (unsigned long long)s->room);
		at += (size_t)snprintf(out + at, n - at, "%s%s%s", i ? ", " : "",
				       stage_name(s->kind), room);
	}
}
