#include "core/plan/slots.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/plan/inuse.h"
#include "core/plan/judge.h"
#include "core/state/pending.h"
#include "corelib/device/extent.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "parser/text/node.h"

#define ROOTFS "rootfs"

/* ---- which one runs ---- */

static const char *place_of(const struct slot_setting *slot, const char *role)
{
	for (size_t i = 0; i < slot->place_count; i++)
		if (strcmp(slot->places[i].role, role) == 0)
			return slot->places[i].path;
	return NULL;
}

/* the root device may lie on a loop device over the slot's file */
static bool root_is_in(const struct inuse *u, const struct extent *place)
{
	for (size_t i = 0; i < u->root_count; i++) {
		struct extent root;

		if (extent_of_device(u->roots[i], 0, 0, &root) == 0 &&
		    extent_overlaps(&root, place))
			return true;
	}
	return false;
}

static const struct slot_setting *by_root(const struct settings *cfg, const struct inuse *u)
{
	for (size_t i = 0; i < cfg->slot_count; i++) {
		const char *path = place_of(&cfg->slots[i], ROOTFS);
		struct extent x;

		if (path && judge_extent(path, &x) == 0 && root_is_in(u, &x))
			return &cfg->slots[i];
	}
	return NULL;
}

static bool has_word(const char *line, const char *word, size_t len)
{
	for (const char *at = line; (at = strstr(at, word)); at++) {
		bool starts = at == line || strchr(" \t\n", at[-1]);

		if (starts && strchr(" \t\n", at[len]))
			return true;
	}
	return false;
}

/* all words of the setting are words of the kernel's command line */
static bool has_words(const char *line, const char *words)
{
	bool any = false;

	for (const char *at = words + strspn(words, " \t"); *at; at += strspn(at, " \t")) {
		char word[256];
		size_t len = strcspn(at, " \t");

		if (len >= sizeof(word))
			return false;
		memcpy(word, at, len);
		word[len] = '\0';
		if (!has_word(line, word, len))
			return false;
		any = true;
		at += len;
	}
	return any;
}

static int by_cmdline(const struct settings *cfg, const struct slot_setting **found, struct err *e)
{
	AUTO_FREE char *line = NULL;
	char path[512];

	if (sys_path("/proc/cmdline", path, sizeof(path)) < 0 ||
	    sys_read_file(AT_FDCWD, path, 65536, &line, NULL) < 0)
		return 0; /* then nothing is known from it */
	for (size_t i = 0; i < cfg->slot_count; i++) {
		const struct slot_setting *s = &cfg->slots[i];

		if (!s->cmdline || !has_words(line, s->cmdline))
			continue;
		if (*found)
			return err_set(e, E_SLOT, EINVAL,
				       "the kernel command line has the words of "
				       "the slots '%s' and '%s'",
				       (*found)->name, s->name);
		*found = s;
	}
	return 0;
}

/* ---- which one boots next ---- */

static bool env_chooses(const struct slot_setting *slot, const struct envset *all)
{
	bool any = false;

	node_for_each(n, slot->env) {
		const struct envvar *v = envset_find(all, n->name);

		if (strcmp(v ? v->value : "", n->string) != 0)
			return false;
		any = true;
	}
	return any;
}

bool slots_have_env(const struct settings *cfg)
{
	for (size_t i = 0; i < cfg->slot_count; i++)
		if (cfg->slots[i].env && cfg->slots[i].env->child)
			return true;
	return false;
}

bool slots_only(const struct settings *cfg, const struct slot_setting *slot,
		const struct envset *all)
{
	bool chosen = false;

	for (size_t i = 0; i < cfg->slot_count; i++) {
		const struct slot_setting *s = &cfg->slots[i];

		if (!env_chooses(s, all))
			continue;
		if (s != slot)
			return false;
		chosen = true;
	}
	return chosen;
}

/* whatever the bundle or another record switched to: the note tells until the restart */
static void next_by_note(struct slots *s)
{
	char name[128];

	if (!pending_find(s->cfg, name, sizeof(name)))
		return;
	for (size_t i = 0; i < s->cfg->slot_count; i++)
		if (strcmp(s->cfg->slots[i].name, name) == 0)
			s->next = &s->cfg->slots[i];
}

static int find_next(struct slots *s, struct bootenv *env, struct err *e)
{
	AUTO_ENVSET struct envset all = {0};
	int rc;

	if (!slots_have_env(s->cfg)) {
		next_by_note(s);
		return 0;
	}
	rc = bootenv_load(env, &all, e);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < s->cfg->slot_count; i++)
		if (slots_only(s->cfg, &s->cfg->slots[i], &all))
			s->next = &s->cfg->slots[i];
	return 0;
}

static bool is_plain(const char *path)
{
	char real[PATH_MAX];
	struct stat st;

	return sys_path(path, real, sizeof(real)) == 0 && stat(real, &st) == 0 &&
	       S_ISREG(st.st_mode);
}

static bool all_plain_files(const struct settings *cfg)
{
	for (size_t i = 0; i < cfg->slot_count; i++)
		for (size_t k = 0; k < cfg->slots[i].place_count; k++)
			if (!is_plain(cfg->slots[i].places[k].path))
				return false;
	return true;
}

static void find_target(struct slots *s, bool plain)
{
	if (!s->running && !plain)
		return;
	for (size_t i = 0; !s->target && i < s->cfg->slot_count; i++)
		if (&s->cfg->slots[i] != s->running)
			s->target = &s->cfg->slots[i];
}

/* a device whose slots are files has no root device that tells; something else keeps this word */
static int by_file(const struct settings *cfg, const struct slot_setting **found, struct err *e)
{
	AUTO_FREE char *text = NULL;
	char shown[64];
	int rc = sys_read_file(AT_FDCWD, cfg->running_slot_file, 256, &text, NULL);

	if (rc < 0)
		return err_sys(e, E_SLOT, -rc, "reading '%s', which says what slot runs",
			       cfg->running_slot_file);
	text[strcspn(text, " \t\r\n")] = '\0';
	for (size_t i = 0; i < cfg->slot_count; i++)
		if (strcmp(cfg->slots[i].name, text) == 0)
			*found = &cfg->slots[i];
	if (*found)
		return 0;
	text_printable(text, strlen(text), shown, sizeof(shown));
	err_fix(e, "write the name of the slot that runs into the file");
	return err_set(e, E_SLOT, ENOENT, "'%s' says that slot '%s' runs, which there is not",
		       cfg->running_slot_file, shown);
}

static int find_running(struct slots *s, struct err *e)
{
	struct inuse u;
	int rc = inuse_read(&u, e);

	if (rc < 0)
		return rc;
	s->running = by_root(s->cfg, &u);
	inuse_clear(&u);
	if (!s->running)
		rc = by_cmdline(s->cfg, &s->running, e);
	if (rc < 0 || s->running || !s->cfg->running_slot_file)
		return rc;
	return by_file(s->cfg, &s->running, e);
}

int slots_observe(struct slots *s, const struct settings *cfg, struct bootenv *env, struct err *e)
{
	*s = (struct slots){.cfg = cfg};
	if (!cfg->slot_count || !cfg->slots)
		return 0;
	int rc = find_running(s, e);
	if (rc == 0)
		rc = find_next(s, env, e);
	if (rc < 0)
		return err_while(e, rc, "finding out which slot runs");
	bool plain = all_plain_files(cfg);
	if (!s->running && plain)
		s->running = s->next;
	find_target(s, plain);
	return 0;
}

const struct slot_setting *slots_holding(const struct settings *cfg, const char *folder)
{
	struct extent mine, x;
	struct stat st;

	if (stat(folder, &st) < 0 || extent_of_device(st.st_dev, 0, 0, &mine) < 0)
		return NULL;
	for (size_t i = 0; i < cfg->slot_count; i++)
		for (size_t k = 0; k < cfg->slots[i].place_count; k++)
			if (judge_extent(cfg->slots[i].places[k].path, &x) == 0 &&
			    extent_overlaps(&mine, &x))
				return &cfg->slots[i];
	return NULL;
}

bool slots_pending(const struct slots *s)
{
	return s->running && s->next && s->running != s->next;
}

/* ---- what is asked of a slot ---- */

static int no_target(const struct slots *s, struct err *e)
{
	if (!s->cfg->slot_count) {
		err_fix(e, "describe the slots of this device in the list slots of the "
			   "configuration (doc/start.md shows one), or install a bundle whose "
			   "entries name a device");
		return err_set(e, E_SLOT, ENOENT,
			       "the bundle installs into a slot, and the configuration (%s) has no "
			       "list slots",
			       s->cfg->file ? s->cfg->file : "none was read");
	}
	if (!s->running)
		return err_set(e, E_SLOT, ENOENT,
			       "which slot runs is not known: neither the root "
			       "device nor the kernel command line belongs to one");
	err_fix(e, "add the other copy of the system to the list slots of the configuration");
	return err_set(e, E_SLOT, ENOENT, "there is no slot besides the running '%s'",
		       s->running->name);
}

int slots_place(const struct slots *s, const char *role, const char **path, struct err *e)
{
	char roles[256] = "", shown[64];

	if (!s->target)
		return no_target(s, e);
	*path = place_of(s->target, role);
	if (*path)
		return 0;
	for (size_t i = 0; i < s->target->place_count; i++) {
		size_t len = strlen(roles);

		snprintf(roles + len, sizeof(roles) - len, "%s%s", i ? ", " : "",
			 s->target->places[i].role);
	}
	text_printable(role, strlen(role), shown, sizeof(shown));
	err_fix(e,
		"name the place in each slot of the configuration: %s = \"/dev/...\"; or correct "
		"slot = \"%s\" of the entry and build the bundle again",
		shown, shown);
	return err_set(e, E_SLOT, ENOENT, "slot '%s' of the configuration has no place '%s'%s%s",
		       s->target->name, shown, *roles ? ", only: " : "", roles);
}

int slots_selection(const struct slots *s, const char **set_mode, struct err *e)
{
	if (!s->target)
		return no_target(s, e);
	*set_mode = s->target->select;
	if (*set_mode)
		return 0;
	err_fix(e,
		"add select = \"SET,MODE\" to each slot of the configuration, or use -e SET,MODE");
	return err_set(e, E_SLOT, ENOENT, "the slot '%s' has no select, which 'auto' asks for",
		       s->target->name);
}

int slots_env(const struct slot_setting *slot, struct envset *out, struct err *e)
{
	if (!slot)
		return 0;
	node_for_each(n, slot->env) {
		int rc = envset_put(out, n->name, *n->string ? n->string : NULL, e);

		if (rc < 0)
			return rc;
	}
	return 0;
}
