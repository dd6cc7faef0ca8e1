/* One entry of the description becomes a step: handler, properties, place, range, route. */

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/plan/keys.h"
#include "core/plan/plan_private.h"
#include "corelib/base/arena.h"
#include "corelib/base/digest.h"
#include "corelib/files/staged.h"
#include "corelib/base/text.h"
#include "handlers/props.h"
#include "parser/keyfile.h"

/* a list of this size serves a payload of 512 GiB in blocks of 1 MiB, 128 GiB in the default ones
 */

static bool transformed(const struct entry *t)
{
	return t->compressed != CODEC_NONE || t->encrypted;
}

/* ---- handler and properties ---- */

static int no_handler(const char *type, struct err *e)
{
	const struct handler_type *known = handler_type_find(type);
	const char *names[128], *near;
	size_t n = 0;

	if (known)
		return err_set(e, E_HANDLER, ENOENT,
			       "type '%s' (%s) is not built into this program", known->name,
			       known->summary);
	for (; n < ARRAY_SIZE(names) && handler_at(n); n++)
		names[n] = handler_at(n)->name;
	near = text_nearest(type, names, n);
	return err_set(e, E_HANDLER, ENOENT, "type '%s' is not known here%s%s%s", type,
		       near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

const struct handler *plan_find_handler(const struct plan_input *in, const char *type, void **arg)
{
	const struct handler *h = handler_find(type);

	for (size_t i = 0; !h && i < in->own.count; i++)
		if (strcmp(in->own.at[i].handler.name, type) == 0) {
			h = &in->own.at[i].handler;
			if (arg)
				*arg = in->own.at[i].arg;
		}
	return h;
}

static int find_handler(struct plan_step *ps, const struct plan_input *in, struct err *e)
{
	const struct entry *t = ps->step.entry;
	const struct handler *h = t->type ? plan_find_handler(in, t->type, &ps->step.arg) : NULL;

	if (!h)
		return no_handler(t->type ? t->type : "", e);
	if (!(h->sections & t->section))
		return err_set(e, E_HANDLER, EINVAL, "type '%s' does not belong into the list '%s'",
			       h->name, section_name(t->section));
	if (h->kind == HANDLER_SOURCE)
		return plan_chain(ps, h, in, e);
	ps->step.handler = h;
	return 0;
}

const struct handler *plan_reader(const struct plan_step *ps)
{
	return ps->source ? ps->source : ps->step.handler;
}

static bool is_generic(const char *name)
{
	return strcmp(name, "decompressed-size") == 0 || strcmp(name, "decrypted-size") == 0 ||
	       strcmp(name, RESULT_HASH) == 0 || strcmp(name, KEY_CHECK) == 0;
}

static int unknown_property(const struct handler *h, const char *name, struct err *e)
{
	const char *names[64];
	const char *near;
	size_t n = 0;

	for (; n < h->prop_count && n < ARRAY_SIZE(names); n++)
		names[n] = h->props[n].name;
	near = text_nearest(name, names, n);
	return err_set(e, E_PROPERTY, EINVAL, "handler %s has no property '%s'%s%s%s", h->name,
		       name, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static bool value_fits(const struct attr *a, const char *v)
{
	uint64_t number;

	switch (a->type) {
	case ATTR_BOOL:
	case ATTR_SWITCH:
		return strcmp(v, "true") == 0 || strcmp(v, "false") == 0;
	case ATTR_INT:
	case ATTR_SIZE:
		return text_size(v, &number) == 0 && number >= a->min &&
		       (a->max == 0 || number <= a->max);
	case ATTR_ENUM:
	case ATTR_BOOL_OR_ENUM:
		for (const char *const *w = a->values; w && *w; w++)
			if (strcmp(*w, v) == 0)
				return true;
		return false;
	default:
		return a->max == 0 || strlen(v) <= a->max;
	}
}

/* a called step has those of the handler that calls, too */
static bool may_be_unknown(const struct plan_step *ps, const char *name)
{
	return ps->step.handler->foreign || ps->called || is_generic(name) ||
	       (ps->source && strcmp(name, CHAIN) == 0);
}

static int check_property(const struct plan_step *ps, const struct property *p, struct err *e)
{
	const struct handler *h = plan_reader(ps);
	const struct attr *row = props_row(h, p->name);

	if (!row && ps->source)
		row = props_row(ps->step.handler, p->name);
	if (!row)
		return may_be_unknown(ps, p->name) ? 0 : unknown_property(h, p->name, e);
	for (size_t i = 0; i < p->count; i++)
		if (!value_fits(row, p->values[i]))
			return err_set(e, E_PROPERTY, EINVAL,
				       "property '%s' of handler %s is %s; "
				       "it cannot be '%s'",
				       p->name, h->name, attr_type_name(row), p->values[i]);
	return 0;
}

static int check_properties(const struct plan_step *ps, struct err *e)
{
	const struct entry *t = ps->step.entry;

	for (size_t i = 0; i < t->prop_count; i++) {
		int rc = check_property(ps, &t->props[i], e);

		if (rc < 0)
			return rc;
	}
	return 0;
}

/* ---- payload ---- */

static int check_payload(const struct plan_step *ps, struct err *e)
{
	const struct entry *t = ps->step.entry;
	const struct handler *h = plan_reader(ps);

	if (h->no_data && t->filename) { /* T4 */
		err_fix(e, "remove filename, or choose another type, and build the bundle again");
		return err_set(e, E_DESC_VALUE, EINVAL,
			       "handler %s takes no payload, and the entry "
			       "names the file '%s'",
			       h->name, t->filename);
	}
	return 0;
}

/* what will arrive at the handler, as far as it can be known before the bytes come */
static void know_size(struct plan_step *ps, uint64_t packed)
{
	struct step *st = &ps->step;
	const struct entry *t = st->entry;

	if (ps->source)
		return; /* its check() tells, if anybody can */
	if (t->has_decompressed_size) {
		st->has_size = true;
		st->size = t->decompressed_size;
	} else if (!transformed(t) && !st->handler->records) {
		st->has_size = true;
		st->size = packed;
	}
}

/* what it must know before the first byte is judged before the first write of the whole update */
static int check_total(const struct plan_step *ps, struct err *e)
{
	const struct step *st = &ps->step;
	const struct entry *t = st->entry;
	bool comes = !ps->source && !transformed(t) && !st->handler->records;

	if (!st->dev || !st->dev->needs_total || st->has_size || comes)
		return 0;
	err_fix(e, "say the size of what is written with the property decompressed-size");
	return err_at(
		e, err_set(e, E_TARGET, EINVAL, "it must know the size of the payload beforehand"),
		"%s", st->dev->name);
}

/* what the handler sees of its place; how much goes there, as far as that is known now; the one
 * call of its check. What an earlier step makes is checked when it is there */
static int check_place(const struct plan *plan, struct plan_step *ps, struct err *e)
{
	struct step *st = &ps->step;
	struct place *p = ps->span.place;
	int rc = 0;

	if (place_is_late(&ps->span))
		return 0;
	st->file = p ? p->file : NULL;
	if (ps->source && ps->source->check)
		rc = ps->source->check(st, e);
	if (rc == 0 && p && st->handler->holds == HOLDS_DEVICE) {
		st->dev = p->dev;
		ps->span.len = st->has_size ? st->size : 0;
		rc = blkdev_range(st->dev, ps->span.off, ps->span.len, e);
		if (rc == 0)
			rc = check_total(ps, e);
	}
	if (p && st->handler->holds == HOLDS_TABLE)
		st->dev = p->dev;
	if (rc == 0 && st->handler->check)
		rc = st->handler->check(st, e);
	if (rc == 0 && st->file)
		rc = err_at(e,
			    place_fits(plan->places, &ps->span,
				       st->has_size	     ? st->size
				       : st->entry->has_size ? st->entry->size
							     : 0,
				       e),
			    "%s", st->entry->path);
	if (st->dev && st->handler->holds == HOLDS_DEVICE && st->handler->no_data) {
		ps->span.off = st->off;
		ps->span.len = st->len;
	}
	return rc;
}

/* does it write by itself, so that nobody else may have the device meanwhile? */
static bool writes_alone(const struct handler *h)
{
	return h->holds == HOLDS_DEVICE && !h->no_data && !h->makes;
}

int plan_open_place(const struct plan *p, struct plan_step *ps, struct err *e)
{
	const struct place *place = ps->span.place;
	bool again = place && (place_is_late(&ps->span) || place->mount);
	int rc = place_open(p->places, &ps->span, writes_alone(ps->step.handler), e);

	return rc == 0 && again ? check_place(p, ps, e) : rc;
}

static int blocks_fit(struct plan_step *ps, uint64_t size, struct err *e)
{
	const struct hash_list *l = &ps->step.entry->hashes;
	uint64_t blocks;

	if (!ps->list)
		return 0;
	blocks = size / l->block + (size % l->block != 0);
	if (blocks != ps->blocks.count)
		return err_set(e, E_HASH_LIST, EBADMSG,
			       "'%s' has %llu digests; a payload of %llu bytes "
			       "has %llu blocks of %llu",
			       l->name, (unsigned long long)ps->blocks.count,
			       (unsigned long long)size, (unsigned long long)blocks,
			       (unsigned long long)l->block);
	ps->blocks.size = size;
	ps->blocks.digests = ps->list;
	return 0;
}

/* code reads the size of its payload from the entry, as with SWUpdate also where the description
 * does not say it */
static int tell_size(const struct plan *p, struct step *st, uint64_t size, struct err *e)
{
	struct entry *t;

	if (!st->handler->foreign || st->entry->has_size)
		return 0;
	t = arena_alloc(p->arena, sizeof(*t));
	if (!t)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for an entry");
	*t = *st->entry;
	t->has_size = true;
	t->size = size;
	st->entry = t;
	return 0;
}

int plan_entry_size(const struct plan *p, struct plan_step *ps, uint64_t size, struct err *e)
{
	struct step *st = &ps->step;
	int rc;

	if (st->entry->has_size && st->entry->size != size)
		return err_set(e, E_MEMBER_SIZE, EBADMSG,
			       "'%s' has %llu bytes in the bundle; the "
			       "description says %llu",
			       st->entry->filename, (unsigned long long)size,
			       (unsigned long long)st->entry->size);
	rc = tell_size(p, st, size, e);
	if (rc < 0)
		return rc;
	know_size(ps, size);
	if (st->has_size && st->size < ps->span.room)
		ps->span.room = st->size;
	rc = blocks_fit(ps, size, e);
	return rc < 0 ? rc : check_place(p, ps, e);
}

/* ---- block hashes ---- */

int plan_hash_list(struct plan_step *ps, struct stream *s, uint64_t size, struct err *e)
{
	const struct hash_list *l = &ps->step.entry->hashes;
	uint8_t sum[SHA256_LEN];
	int rc;

	if (size == 0 || size % SHA256_LEN || size > HASH_LIST_MAX)
		return err_set(e, E_HASH_LIST, EBADMSG,
			       "'%s' has %llu bytes; a list is digests of 32 "
			       "bytes, %u MiB at most",
			       l->name, (unsigned long long)size, HASH_LIST_MAX >> 20);
	ps->list = malloc(size);
	if (!ps->list)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for '%s'", l->name);
	rc = stream_read_all(s, ps->list, size, e);
	if (rc == 0)
		rc = stream_drain(s, e);
	if (rc == 0)
		rc = sha256_once(ps->list, size, sum, e);
	if (rc < 0)
		return rc;
	if (memcmp(sum, l->sha256, sizeof(sum)) != 0)
		return err_set(e, E_HASH_LIST, EBADMSG, "'%s' is not the list that was signed",
			       l->name);
	ps->blocks.count = size / SHA256_LEN;
	ps->blocks.block = (uint32_t)l->block;
	return 0;
}

static int read_hash_list(struct plan_step *ps, const struct plan_input *in, struct err *e)
{
	const struct hash_list *l = &ps->step.entry->hashes;
	const struct payload *p = bundle_find(in->bundle, l->name);
	AUTO_STREAM struct stream *s = NULL;
	int rc;

	if (!p)
		return err_set(e, E_MEMBER_MISSING, ENOENT,
			       "the hash list '%s' is not in the bundle", l->name);
	rc = bundle_payload(in->bundle, p, &s, e);
	return rc < 0 ? rc : plan_hash_list(ps, s, p->size, e);
}

/* ---- route ---- */

static enum route choose_route(const struct plan_step *ps, bool seekable)
{
	const struct step *st = &ps->step;
	const struct entry *t = st->entry;
	enum route stored = seekable ? ROUTE_TWICE : ROUTE_SPOOL;

	if (plan_reader(ps)->no_data || !t->filename)
		return ROUTE_NONE;
	if (ps->source)
		return stored; /* it sees proven bytes only */
	/* a file is staged: what flows into it is not live, but only block by block proven bytes
	 * may (L1) */
	if (t->hashes.name && (st->file || (st->dev && !st->live)))
		return ROUTE_BLOCKS;
	if (t->installed_directly && st->dev && !st->live)
		return ROUTE_FLOW;
	return stored;
}

static int bind_payload(struct plan *p, struct plan_step *ps, const struct plan_input *in,
			struct err *e)
{
	const struct entry *t = ps->step.entry;
	const struct payload *load;
	int rc;

	if (!t->filename || !p->seekable || ps->called) {
		if (t->has_size)
			know_size(ps, t->size);
		return check_place(p, ps, e);
	}
	load = bundle_find(in->bundle, t->filename);
	if (!load)
		return err_set(e, E_MEMBER_MISSING, ENOENT, "'%s' is not in the bundle",
			       t->filename);
	if (t->hashes.name) {
		rc = read_hash_list(ps, in, e);
		if (rc < 0)
			return rc;
	}
	return plan_entry_size(p, ps, load->size, e);
}

/* told once, by the first step that is encrypted */
static int find_key(const struct plan *p, struct plan_step *ps, const struct plan_input *in,
		    struct err *e)
{
	const struct settings *cfg = in->session->cfg;
	int rc = keys_find(&ps->key, cfg, ps->step.entry, e);
	const struct plan_step *first = p->steps;

	if (rc <= 0)
		return rc;
	while (first < ps && !first->key)
		first++;
	if (first == ps)
		reporter_warn(in->session->reporter,
			      "others than its owner can read the key file %s: set its mode to 600",
			      cfg->aes_key_file);
	return 0;
}

/* what it makes for later steps */
static int promise(struct plan *p, const struct plan_step *ps, struct err *e)
{
	char path[PATH_MAX];
	int rc = 1;

	for (size_t i = 0; ps->step.handler->makes && rc > 0; i++) {
		rc = ps->step.handler->makes(&ps->step, i, path, sizeof(path), e);
		if (rc > 0 && places_promise(p->places, path, ps->span.place, e) < 0)
			return -e->sys;
	}
	return rc < 0 ? rc : 0;
}

static int bind_place(struct plan *p, struct plan_step *ps, const struct plan_input *in,
		      struct err *e)
{
	const struct handler *h = ps->step.handler;
	int rc = place_name(p->places, &ps->span, ps->step.entry, h->holds,
			    (unsigned)(ps - p->steps), e);

	if (rc == 0)
		rc = bind_payload(p, ps, in, e);
	if (rc == 0 && ps->step.nothing) {
		ps->left_out = true; /* its place may be in use: nothing is written there */
		return 0;
	}
	if (rc == 0)
		rc = place_judge(p->places, &ps->span, e);
	if (rc < 0 && ps->step.dev && !ps->step.has_size && ps->step.entry->compressed)
		err_fix(e, "if the image is small enough not to reach there, say so with the "
			   "property decompressed-size");
	if (rc == 0)
		rc = plan_take_slot(p, ps, &in->session->slots, e);
	ps->step.live = h->holds != HOLDS_DEVICE || ps->span.live;
	if (h->holds == HOLDS_NOTHING && ps->step.entry->slot && ps->span.place)
		ps->step.slot_device = ps->span.place->path;
	return rc < 0 ? rc : promise(p, ps, e);
}

/* a file that the handler needs and nobody names: nothing to do, as SWUpdate has it. 1 = that */
static int lacks_payload(struct plan_step *ps, const struct plan_input *in, struct err *e)
{
	const struct handler *h = plan_reader(ps);
	const struct entry *t = ps->step.entry;

	if (h->no_data || h->data_optional || t->filename)
		return 0;
	if (ps->called || in->session->cfg->strict)
		return err_set(e, E_DESC_MISSING, EINVAL,
			       "handler %s needs a payload, and the entry has no filename",
			       h->name);
	reporter_warn(in->session->reporter,
		      "line %u of the description: handler %s needs a payload, and the entry has "
		      "no filename: passed over",
		      t->line, h->name);
	ps->left_out = true;
	ps->route = ROUTE_NONE;
	return 1;
}

/* as this update reads it; a check reads everything once */
void plan_list_stages(const struct plan *p, struct plan_step *ps, const struct plan_input *in)
{
	const struct session *s = in->session;
	const struct entry *t = ps->step.entry;
	const struct payload *load = t->filename && p->seekable && !ps->called
					     ? bundle_find(in->bundle, t->filename)
					     : NULL;
	bool again = s->mode != JOB_CHECK && (ps->route == ROUTE_TWICE || ps->route == ROUTE_SPOOL);
	const struct reading r = {
		.pass = again ? PASS_AGAIN : PASS_ONLY,
		.list = ps->route == ROUTE_BLOCKS,
		.size = ps->route == ROUTE_NONE ? 0
			: load			? load->size
			: t->has_size		? t->size
						: UINT64_MAX,
		.threads = s->threads,
		.read_back = s->cfg->verify_writes && session_writes(s),
	};

	stages_list(&ps->stages, ps, &r);
}

int plan_entry_bind(struct plan *p, struct plan_step *ps, const struct plan_input *in,
		    struct err *e)
{
	const struct entry *t = ps->step.entry;
	int rc = find_handler(ps, in, e);

	if (rc == 0)
		rc = check_properties(ps, e);
	if (rc == 0)
		rc = lacks_payload(ps, in, e);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = check_payload(ps, e);
	if (rc == 0 && t->encrypted)
		rc = find_key(p, ps, in, e);
	if (rc == 0 && ps->source)
		rc = plan_source_reads(p, ps, e);
	if (rc == 0)
		rc = bind_place(p, ps, in, e);
	if (rc == 0 && ps->source)
		rc = plan_source_judge(ps, in, e);
	if (rc < 0)
		return rc;
	ps->route = choose_route(ps, p->seekable);
	plan_list_stages(p, ps, in);
	return 0;
}

bool plan_opens_early(const struct plan *p, const struct plan_step *planned)
{
	const struct place *place = planned->span.place;

	if (!place || !place->mount)
		return false;
	for (const struct plan_step *q = p->steps; q < planned; q++)
		if (plan_writes_below(q, planned))
			return false;
	return true;
}
