#include "core/plan/installed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

enum { VERSIONS_MAX = 1024 * 1024 };

static int from_config(struct version_list *l, const struct node *list, struct err *e)
{
	node_for_each(item, list) {
		const struct node *name = node_find(item, "name");
		const struct node *version = node_find(item, "version");

		if (!name || !version || name->type != NODE_STRING || version->type != NODE_STRING)
			return err_set(e, E_CONFIG, EINVAL,
				       "line %u: an item of 'versions' needs "
				       "the texts name and version",
				       item->line);
		if (version_list_put(l, name->string, version->string) < 0)
			return err_set(e, E_MEMORY, ENOMEM, "no memory for the installed versions");
	}
	return 0;
}

static int from_file(struct version_list *l, const char *path, struct err *e)
{
	AUTO_FREE char *text = NULL;
	size_t n = 0;
	int rc = sys_read_file(AT_FDCWD, path, VERSIONS_MAX, &text, &n);

	if (rc == -ENOENT)
		return 0;
	if (rc < 0)
		return err_sys(e, E_SYS, -rc, "reading the installed versions from %s", path);
	rc = version_list_parse(l, text, n, e);
	return err_at(e, rc, "%s", path);
}

int installed_load(struct version_list *l, const struct settings *cfg, struct err *e)
{
	int rc = 0;

	memset(l, 0, sizeof(*l));
	if (cfg->versions)
		rc = from_config(l, cfg->versions, e);
	else if (cfg->versions_file)
		rc = from_file(l, cfg->versions_file, e);
	if (rc < 0)
		version_list_clear(l);
	return rc;
}

bool installed_skips(const struct version_list *l, const struct entry *t)
{
	const char *now = t->name ? version_list_find(l, t->name) : NULL;

	if (!now || !t->version)
		return false;
	if (t->install_if_different && version_compare(t->version, now) == 0)
		return true;
	return t->install_if_higher && version_compare(t->version, now) <= 0;
}

static int merge(struct version_list *l, const char *lines, struct err *e)
{
	struct version_list add = {0};
	int rc = version_list_parse(&add, lines, strlen(lines), e);

	for (size_t i = 0; rc == 0 && i < add.count; i++)
		if (version_list_put(l, add.items[i].name, add.items[i].version) < 0)
			rc = err_set(e, E_MEMORY, ENOMEM, "no memory for the installed versions");
	version_list_clear(&add);
	return rc;
}

static int write_list(const char *path, const struct version_list *l, struct err *e)
{
	AUTO_FREE char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	int rc;

	if (!f)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the installed versions");
	for (size_t i = 0; i < l->count; i++)
		fprintf(f, "%s\t\t%s\n", l->items[i].name, l->items[i].version);
	rc = ferror(f);
	if (fclose(f) != 0 || rc)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the installed versions");
	rc = sys_replace_file(path, text, n, 0644);
	return rc < 0 ? err_sys(e, E_SYS, -rc, "writing the installed versions to %s", path) : 0;
}

int installed_write(const char *path, const char *lines, struct err *e)
{
	struct version_list l = {0};
	int rc = from_file(&l, path, e);

	if (rc == 0)
		rc = merge(&l, lines, e);
	if (rc == 0)
		rc = write_list(path, &l, e);
	version_list_clear(&l);
	return rc;
}

/* ---- what this release puts there ---- */

/* the list is lines of two words */
static bool is_word(const char *s)
{
	return s && *s && !strpbrk(s, " \t\r\n");
}

int installed_lines(const struct plan *p, char **lines, struct err *e)
{
	size_t n = 0;
	FILE *f = open_memstream(lines, &n);
	int rc;

	*lines = f ? *lines : NULL;
	if (!f)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the installed versions");
	for (size_t i = 0; i < p->count; i++) {
		const struct plan_step *ps = &p->steps[i];
		const struct entry *t = ps->step.entry;

		if (!ps->left_out && !ps->called && is_word(t->name) && is_word(t->version))
			fprintf(f, "%s %s\n", t->name, t->version);
	}
	rc = ferror(f);
	if (fclose(f) != 0 || rc)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the installed versions");
	return 0;
}
