/* Steps whose bytes are made out of others by a source, and then go into the target of its chain.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/plan/own.h"
#include "core/plan/plan_private.h"
#include "corelib/base/text.h"

static int read_result(struct plan_step *ps, struct err *e)
{
	const char *hex = entry_property(ps->step.entry, RESULT_HASH);

	if (!hex)
		return 0;
	if (text_unhex(hex, strlen(hex), ps->result, sizeof(ps->result)) < 0)
		return err_set(e, E_PROPERTY, EINVAL,
			       "property '" RESULT_HASH "' has 64 hexadecimal digits");
	ps->has_result = true;
	return 0;
}

/*
 * What a source reads beside its payload: opened once, held to the end. It may be in use, for
 * nothing is written there, but it may not be the installer's own: what a bundle copies others may
 * read.
 */
int plan_source_reads(struct plan *p, struct plan_step *ps, struct err *e)
{
	const char *key = ps->source->reads;
	const char *path = key ? entry_property(ps->step.entry, key) : NULL;
	off_t end;
	int rc;

	if (!key)
		return 0;
	if (!path)
		return err_set(e, E_DESC_MISSING, EINVAL, "%s needs the property %s",
			       ps->source->name, key);
	if (*path != '/')
		return err_set(e, E_PROPERTY, EINVAL,
			       "property %s is '%s'; it names a file or a block device by its "
			       "whole path",
			       key, path);
	rc = slots_open_source(path, &ps->step.base, e);
	if (rc < 0)
		return rc;
	rc = own_check_file(judge_own(p->places->judge), ps->step.base, e);
	if (rc < 0)
		return rc;
	end = lseek(ps->step.base, 0, SEEK_END);
	if (end < 0)
		return err_sys(e, E_TARGET_READ, errno, "measuring %s", path);
	ps->step.base_size = (uint64_t)end;
	return 0;
}

/* a source that reads what the update writes would make something of which nobody knows what */
int plan_source_overlaps(const struct plan *p, struct err *e)
{
	for (const struct plan_step *r = p->steps; r < p->steps + p->count; r++)
		for (const struct plan_step *w = p->steps; w < p->steps + p->count; w++) {
			struct extent a, b;

			if (r->left_out || w->left_out || r->step.base < 0 ||
			    w->step.handler->record || /* switches when all is read */
			    extent_of(r->step.base, 0, r->step.base_size, &a) < 0 ||
			    place_extent(&w->span, &b) < 0 || !extent_overlaps(&a, &b))
				continue;
			return err_set(e, E_RANGE, EEXIST,
				       "line %u of the description reads what line %u writes",
				       r->step.entry->line, w->step.entry->line);
		}
	return 0;
}

int plan_chain(struct plan_step *ps, const struct handler *source, const struct plan_input *in,
	       struct err *e)
{
	const char *name = entry_property(ps->step.entry, CHAIN);
	const struct handler *h;

	if (!name)
		name = source->chain;
	h = plan_find_handler(in, name, &ps->step.arg);
	if (!h)
		return err_set(e, E_HANDLER, ENOENT,
			       "the target '%s' of the property " CHAIN " is not known here", name);
	if (h->kind != HANDLER_TARGET || h->no_data || h->records || h->foreign)
		return err_set(e, E_HANDLER, EINVAL,
			       "type '%s' cannot be the target of '%s': it takes no plain bytes",
			       h->name, source->name);
	ps->source = source;
	ps->step.handler = h;
	name = ps->step.entry->section == SECTION_SCRIPTS ? entry_property(ps->step.entry, "type")
							  : NULL;
	ps->early = name && strcmp(name, "preinstall") == 0;
	return read_result(ps, e);
}

/*
 * The payload's hash vouches for what goes into a source, not for what it makes of it and of what
 * it finds on the device (L1). A result whose digest is signed is proven at its end: enough where
 * its bytes count by the switch or in one move. Without one only an idle place may be written,
 * which nothing uses as it is.
 */
int plan_source_judge(const struct plan_step *ps, const struct plan_input *in, struct err *e)
{
	const struct step *st = &ps->step;
	bool idle = st->dev && !st->live;

	if (ps->has_result && (idle || st->file))
		return 0;
	if (ps->has_result)
		return err_set(e, E_TARGET, EPERM,
			       "what '%s' makes is proven at its end only, and here its bytes "
			       "count as they come",
			       ps->source->name);
	if (!idle) {
		err_fix(e, "let swbundle sign the digest of the result: property " RESULT_HASH);
		return err_set(e, E_DESC_HASH, EPERM,
			       "nobody vouches for what '%s' makes, and its place is in use",
			       ps->source->name);
	}
	reporter_warn(in->session->reporter,
		      "line %u of the description: nobody vouches for what '%s' makes: it has no "
		      "property " RESULT_HASH,
		      st->entry->line, ps->source->name);
	return 0;
}
