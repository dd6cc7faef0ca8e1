/* gptswap: partitions of a disk exchange their names, and with them their turn to boot. */
#include "handlers/handler.h"

#include <errno.h>
#include <string.h>

#include "corelib/base/text.h"
#include "corelib/device/gpt.h"

enum { CHANGES = 32, LINE = 2 * (GPT_ID + 2 * GPT_NAME) + 3 };
_Static_assert(CHANGES *LINE < SWITCH_TEXT, "all changes fit into a record");

static const struct attr props[] = {
	{.name = "swap-N",
	 .type = ATTR_STRINGS,
	 .help = "two names of partitions that are exchanged, as swap-0 = [\"rootfs\", \"rootfs-other\"]"},
};

/* ---- the pairs of the entry ---- */

static int swap_all(const struct entry *t, struct gpt *g, struct err *e)
{
	size_t pairs = 0;

	for (size_t i = 0; i < t->prop_count; i++) {
		const struct property *p = &t->props[i];
		int rc;

		if (strncmp(p->name, "swap-", 5) != 0)
			continue;
		if (p->count != 2 || strcmp(p->values[0], p->values[1]) == 0)
			return err_set(e, E_PROPERTY, EINVAL,
				       "property '%s' is not a list of two names", p->name);
		rc = gpt_swap(g, p->values[0], p->values[1], e);
		if (rc < 0)
			return err_at(e, rc, "property %s", p->name);
		pairs++;
	}
	if (pairs)
		return 0;
	return err_set(e, E_PROPERTY, EINVAL, "there is no property swap-0 with two names");
}

/* the changes that the table of now asks for: their number, or -errno */
static int find_changes(struct step *st, struct gpt *g, struct gpt_change *c, struct err *e)
{
	int rc = swap_all(st->entry, g, e);
	size_t n;

	if (rc < 0)
		return rc;
	n = gpt_changes(g, c, CHANGES);
	if (n && n <= CHANGES)
		return (int)n;
	return err_set(e, E_PROPERTY, EINVAL,
		       n ? "more than %d names are changed"
			 : "the names are as they were in the end",
		       CHANGES);
}

static int look(struct step *st, struct gpt **g, struct gpt_change *c, struct err *e)
{
	int rc;

	if (!st->dev)
		return err_set(e, E_DESC_MISSING, EINVAL, "gptswap needs the attribute device");
	rc = gpt_open(g, st->dev->fd, e);
	if (rc == 0)
		rc = find_changes(st, *g, c, e);
	return err_at(e, rc, "%s", st->dev->name);
}

static int gptswap_check(struct step *st, struct err *e)
{
	struct gpt_change c[CHANGES];
	struct gpt *g = NULL;
	int rc = look(st, &g, c, e);

	gpt_close(g);
	return rc < 0 ? rc : 0;
}

static int gptswap_run(struct step *st, enum phase phase, struct err *e)
{
	struct gpt_change c[CHANGES];
	struct gpt *g = NULL;
	int rc;

	if (phase != PHASE_SWITCH)
		return 0;
	rc = look(st, &g, c, e);
	if (rc > 0)
		rc = err_at(e, gpt_set(g, c, (size_t)rc, GPT_NEW, e), "%s", st->dev->name);
	gpt_close(g);
	return rc;
}

/* ---- what the journal keeps ---- */

static int gptswap_record(struct step *st, char *text, size_t n, struct err *e)
{
	struct gpt_change c[CHANGES];
	struct gpt *g = NULL;
	int rc = look(st, &g, c, e);
	size_t at = 0;

	gpt_close(g);
	for (int i = 0; i < rc && at + LINE < n; i++) {
		text_hex(c[i].id, GPT_ID, text + at);
		at += 2 * GPT_ID;
		text[at++] = ' ';
		text_hex(c[i].old_name, GPT_NAME, text + at);
		at += 2 * GPT_NAME;
		text[at++] = ' ';
		text_hex(c[i].new_name, GPT_NAME, text + at);
		at += 2 * GPT_NAME;
		text[at++] = '\n';
		text[at] = '\0';
	}
	return rc < 0 ? rc : 0;
}

static bool take(const char **at, uint8_t *out, size_t n, char end)
{
	if (strlen(*at) < 2 * n + 1 || (*at)[2 * n] != end || text_unhex(*at, 2 * n, out, n) < 0)
		return false;
	*at += 2 * n + 1;
	return true;
}

static int parse(const char *text, struct gpt_change *c, struct err *e)
{
	int n = 0;

	while (*text && n < CHANGES && take(&text, c[n].id, GPT_ID, ' ') &&
	       take(&text, c[n].old_name, GPT_NAME, ' ') &&
	       take(&text, c[n].new_name, GPT_NAME, '\n'))
		n++;
	return n && !*text ? n
			   : err_set(e, E_JOURNAL, EBADMSG, "a record of gptswap cannot be read");
}

static int gptswap_side(int fd, const char *text, enum switch_side *side, struct err *e)
{
	struct gpt_change c[CHANGES];
	struct gpt *g = NULL;
	int n = parse(text, c, e), rc = n < 0 ? n : gpt_open(&g, fd, e);

	if (rc == 0)
		*side = gpt_look(g, c, (size_t)n) == GPT_NEW ? SWITCH_NEW : SWITCH_OLD;
	gpt_close(g);
	return rc;
}

static int gptswap_set(int fd, const char *text, enum switch_side side, struct err *e)
{
	struct gpt_change c[CHANGES];
	struct gpt *g = NULL;
	int n = parse(text, c, e), rc = n < 0 ? n : gpt_open(&g, fd, e);

	if (rc == 0)
		rc = gpt_set(g, c, (size_t)n, side == SWITCH_NEW ? GPT_NEW : GPT_OLD, e);
	gpt_close(g);
	return rc;
}

static const struct switch_record record = {
	.record = gptswap_record,
	.side = gptswap_side,
	.set = gptswap_set,
};

const struct handler handler_gptswap = {
	.name = "gptswap",
	.summary = "exchange the names of partitions (GPT), as the switch to the new system",
	.kind = HANDLER_ACTION,
	.sections = SECTION_SCRIPTS,
	.holds = HOLDS_TABLE,
	.no_data = true,
	.props = props,
	.prop_count = ARRAY_SIZE(props),
	.phases = 1u << PHASE_SWITCH,
	.check = gptswap_check,
	.run = gptswap_run,
	.record = &record,
};
