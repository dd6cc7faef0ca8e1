#include "core/marks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/plan/slots.h"
#include "corelib/base/sys.h"

#define USTATE_OK	 "0"
#define USTATE_INSTALLED "1"

int marks_env(const struct settings *cfg, struct bootenv **env, struct err *e)
{
	const struct bootenv_options o = {
		.kind = cfg->bootloader ? cfg->bootloader : "none",
		.path = cfg->bootenv_path,
		.config = cfg->fwenv_config,
		.require_redundant = cfg->require_redundant_env,
	};
	int rc = bootenv_open(env, &o, e);

	if (rc == 0 && slots_have_env(cfg) && !bootenv_is_switch(*env)) {
		*env = bootenv_close(*env);
		rc = err_set(e, E_CONFIG, EINVAL,
			     "the slots have boot variables (env), and the boot loader comes out "
			     "as 'none': nothing would read them");
		err_fix(e, "set bootloader to uboot, grub or file, or remove env from all slots");
	}
	return cfg->file ? err_at(e, rc, "bootloader of %s", cfg->file) : rc;
}

static bool has_status(const struct marks *m)
{
	const struct manifest *asked = m->manifest;

	if (m->cfg->no_transaction_marker)
		return false;
	return !asked || !asked->has_transaction_marker || asked->transaction_marker;
}

static bool has_state(const struct marks *m)
{
	const struct manifest *asked = m->manifest;

	if (m->cfg->no_state_marker || !m->cfg->state_variable)
		return false;
	return !asked || !asked->has_state_marker || asked->state_marker;
}

int marks_put_status(const struct marks *m, struct envset *s, const char *status, struct err *e)
{
	return has_status(m) ? envset_put(s, RECOVERY_STATUS, status, e) : 0;
}

int marks_write_status(const struct marks *m, const char *status, struct err *e)
{
	AUTO_ENVSET struct envset s = {0};
	int rc = bootenv_is_switch(m->env) ? marks_put_status(m, &s, status, e) : 0;

	return rc < 0 || !s.count ? rc : bootenv_commit(m->env, &s, e);
}

int marks_put_installed(const struct marks *m, struct envset *s, const char *txn, struct err *e)
{
	int rc = has_state(m) ? envset_put(s, m->cfg->state_variable, USTATE_INSTALLED, e) : 0;

	if (rc < 0)
		return rc;
	if (bootenv_is_switch(m->env))
		rc = envset_put(s, TXN_VARIABLE, txn, e);
	return rc < 0 ? rc : marks_put_status(m, s, NULL, e);
}

/* a boot script or a server would count it as installed for ever */
int marks_put_taken_back(const struct marks *m, struct envset *s, const struct envset *all,
			 struct err *e)
{
	const struct envvar *v;

	if (!has_state(m))
		return 0;
	v = envset_find(all, m->cfg->state_variable);
	if (!v || strcmp(v->value, USTATE_INSTALLED) != 0)
		return 0;
	return envset_put(s, m->cfg->state_variable, USTATE_OK, e);
}

int marks_have_txn(const struct marks *m, const char *txn, bool *yes, struct err *e)
{
	AUTO_FREE char *value = NULL;
	int rc;

	*yes = false;
	if (!bootenv_is_switch(m->env))
		return 0;
	rc = bootenv_get(m->env, TXN_VARIABLE, &value, e);
	*yes = rc > 0 && strcmp(value, txn) == 0;
	return rc < 0 ? rc : 0;
}

int marks_clear(const struct marks *m, bool always, bool *was, struct err *e)
{
	AUTO_FREE char *value = NULL;
	AUTO_ENVSET struct envset s = {0};
	int rc;

	*was = false;
	if (!bootenv_is_switch(m->env))
		return 0;
	rc = bootenv_get(m->env, RECOVERY_STATUS, &value, e);
	if (rc < 0)
		return rc;
	*was = value && strcmp(value, "in_progress") == 0 && has_status(m);
	if (!*was && !always)
		return 0;
	rc = envset_put(&s, RECOVERY_STATUS, *was ? "failed" : value, e);
	return rc < 0 ? rc : bootenv_commit(m->env, &s, e);
}
