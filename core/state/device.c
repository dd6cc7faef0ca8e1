/* Looking at a device: the status file, the lock, the journal, the slots. */
#include "core/state/device.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/marks.h"
#include "core/state/journal.h"
#include "core/session.h"
#include "core/state/lock.h"
#include "core/plan/slots.h"
#include "corelib/base/text.h"

static void look_at_journal(struct device *d, const struct settings *cfg)
{
	const struct journal_record *first;
	struct journal *j = NULL;
	struct err e = {0};

	if (journal_open(&j, cfg->state_dir, &e) < 0) {
		d->now = e.code == E_JOURNAL ? NOW_BLOCKED : NOW_UNKNOWN;
		text_copy(d->why, sizeof(d->why), e.why);
		return;
	}
	first = journal_at(j, 0);
	d->now = first ? NOW_INTERRUPTED : NOW_IDLE;
	if (first && first->type == JOURNAL_BEGIN)
		text_printable(first->payload, strlen(first->payload), d->version,
			       sizeof(d->version));
	journal_close(j);
}

/* under the lock nobody is in the middle of anything: what the journal holds then was left behind
 */
static void look_at_now(struct device *d, const struct settings *cfg)
{
	struct settings at_once = *cfg;
	const struct session s = {.cfg = &at_once, .mode = JOB_CHECK};
	struct lock *lock = NULL;
	struct err e = {0};

	if (faccessat(AT_FDCWD, cfg->state_dir, F_OK, AT_EACCESS) < 0 && errno == ENOENT) {
		d->now = NOW_IDLE; /* nothing was ever installed; asking makes no folders */
		return;
	}
	at_once.lock_timeout = 0;
	if (lock_take(&lock, &s, &e) < 0) {
		d->now = e.code == E_BUSY ? NOW_RUNNING : NOW_UNKNOWN;
		text_copy(d->why, sizeof(d->why), e.why);
		return;
	}
	look_at_journal(d, cfg);
	lock_release(lock);
}

static void copy_name(char *out, size_t n, const struct slot_setting *s)
{
	if (s && s->name)
		text_printable(s->name, strlen(s->name), out, n);
}

static void look_at_slots(struct device *d, const struct settings *cfg)
{
	struct bootenv *env = NULL;
	struct slots s;
	struct err e = {0};
	int rc;

	d->has_slots = cfg->slot_count > 0;
	d->slots = cfg->slots;
	d->slot_count = cfg->slot_count;
	if (!d->has_slots)
		return;
	rc = marks_env(cfg, &env, &e);
	if (rc == 0)
		rc = slots_observe(&s, cfg, env, &e);
	if (rc == 0) {
		copy_name(d->running, sizeof(d->running), s.running);
		copy_name(d->next, sizeof(d->next), s.next);
		copy_name(d->target, sizeof(d->target), s.target);
		d->pending = slots_pending(&s);
	} else {
		text_copy(d->slots_why, sizeof(d->slots_why), e.why);
	}
	bootenv_close(env);
}

/* an installation tells how far it is; run-dir may be shared with one of another state directory */
static void look_at_live(struct device *d, const struct settings *cfg)
{
	if (d->now != NOW_RUNNING || status_read(cfg->run_dir, &d->live) < 0 ||
	    strcmp(d->live.owner, cfg->state_dir) != 0)
		d->live.state[0] = '\0';
}

const char *device_holds(const struct device *d, const char *slot)
{
	for (size_t i = 0; slot && i < STATUS_SLOTS; i++)
		if (strcmp(d->last.slots[i].name, slot) == 0)
			return d->last.slots[i].version;
	return "";
}

int device_look(struct device *d, const struct settings *cfg, struct err *e)
{
	int rc;

	memset(d, 0, sizeof(*d));
	rc = status_read(cfg->state_dir, &d->last);
	d->last_hidden = rc == -EACCES;
	if (rc < 0 && rc != -EACCES)
		return err_at(e, err_sys(e, E_STATE_DIR, -rc, "reading the status"), "%s/status",
			      cfg->state_dir);
	look_at_now(d, cfg);
	look_at_live(d, cfg);
	look_at_slots(d, cfg);
	return 0;
}
