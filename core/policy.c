#include "core/policy.h"

#include <errno.h>
#include <string.h>

#include "corelib/base/text.h"
#include "corelib/process/sandbox.h"
#include "parser/version.h"

/* nothing is known to compare with */
static int unknown_hardware(const struct session *s, const struct manifest *m, struct err *e)
{
	const struct settings *cfg = s->cfg;
	char text[256];
	int rc;

	if (m->hardware.count == 0)
		return 0;
	text_print(
		text, sizeof(text),
		"the bundle is made for hardware '%.80s', and this device does not say what it is "
		"(%.80s)",
		m->hardware.at[0], cfg->hwrevision_file ? cfg->hwrevision_file : "-H");
	if (!cfg->strict) {
		reporter_warn(s->reporter, "%s", text);
		return 0;
	}
	rc = err_set(e, E_HARDWARE, ENODEV, "%s", text);
	err_fix(e, "write 'BOARD REVISION' into that file, or use -H BOARD:REVISION");
	return rc;
}

static int check_hardware(const struct session *s, const struct manifest *m, struct err *e)
{
	const struct settings *cfg = s->cfg;

	if (!cfg->revision)
		return unknown_hardware(s, m, e);
	for (size_t i = 0; i < m->hardware.count; i++) {
		int rc = hardware_matches(m->hardware.at[i], cfg->revision, e);

		if (rc != 0)
			return rc < 0 ? rc : 0;
	}
	if (m->hardware.count == 0)
		return err_set(e, E_HARDWARE, ENODEV,
			       "this board is '%s' revision '%s', and the bundle has no list "
			       "hardware-compatibility",
			       cfg->board ? cfg->board : "", cfg->revision);
	return err_set(e, E_HARDWARE, ENODEV,
		       "this board is '%s' revision '%s'; the bundle is made for '%s'%s",
		       cfg->board ? cfg->board : "", cfg->revision, m->hardware.at[0],
		       m->hardware.count > 1 ? " and others" : "");
}

static int find_type(const struct update_policy **found, const struct settings *cfg,
		     const struct manifest *m, struct err *e)
{
	const char *type = m->update_type;

	*found = NULL;
	if (!type && cfg->update_type_required)
		return err_set(e, E_UPDATE_TYPE, EPERM,
			       "the bundle has no update-type, and the "
			       "configuration demands one");
	for (size_t i = 0; i < cfg->type_count; i++)
		if (strcmp(cfg->types[i].name, type ? type : "default") == 0)
			*found = &cfg->types[i];
	if (*found || !type || strcmp(type, "default") == 0)
		return 0;
	return err_set(e, E_UPDATE_TYPE, EPERM,
		       "the bundle's update-type is '%s'; the configuration does not list it",
		       type);
}

static void warn_of_classes(const struct session *s, const char *bundle, const char *limit)
{
	if (version_class(bundle) != version_class(limit))
		reporter_warn(s->reporter,
			      "versions '%s' and '%s' are written in different ways "
			      "and compare as text",
			      bundle, limit);
}

/* a type of its own may add limits, never lift those of globals */
static const char *pick(const char *own, const char *global)
{
	return own ? own : global;
}

static int check_versions(const struct session *s, const struct update_policy *type,
			  const struct manifest *m, struct err *e)
{
	const struct update_policy *all = &s->cfg->policy, *t = type ? type : all;
	const char *min = pick(t->no_downgrading, all->no_downgrading);
	const char *max = pick(t->max_version, all->max_version);
	const char *now = pick(t->no_reinstalling, all->no_reinstalling);

	if (min)
		warn_of_classes(s, m->version, min);
	if (min && version_compare(m->version, min) < 0)
		return err_set(e, E_VERSION, EPERM,
			       "the bundle is %s; no-downgrading allows %s "
			       "and later",
			       m->version, min);
	if (max && version_compare(m->version, max) > 0)
		return err_set(e, E_VERSION, EPERM, "the bundle is %s; max-version allows up to %s",
			       m->version, max);
	if (now && strcmp(m->version, now) == 0)
		return err_set(e, E_REINSTALL, EALREADY,
			       "version %s is installed, and "
			       "no-reinstalling is set",
			       now);
	return 0;
}

int policy_check(const struct update_policy **type, const struct session *s,
		 const struct manifest *m, struct err *e)
{
	int rc = find_type(type, s->cfg, m, e);

	if (rc < 0)
		return rc;
	rc = check_versions(s, *type, m, e);
	return rc < 0 ? rc : check_hardware(s, m, e);
}

int policy_walls(const struct session *s, const char *what, struct err *e)
{
	unsigned missing = sandbox_missing();
	const char *walls = missing == SANDBOX_LANDLOCK	 ? "Landlock"
			    : missing == SANDBOX_SECCOMP ? "seccomp"
							 : "Landlock and seccomp";

	if (missing && s->cfg->strict)
		return err_set(e, E_SANDBOX, ENOTSUP, "it has no %s, and strict is on", walls);
	if (missing)
		reporter_warn(s->reporter,
			      "W_NO_SANDBOX: this kernel has no %s; %s in a process with fewer "
			      "walls",
			      walls, what);
	return 0;
}
