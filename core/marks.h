/*
 * Marks of an update in the boot environment: the state of the update (ustate), recovery_status and
 * swinstall_txn. None of them switches anything; they join the commit that does, or follow it.
 */
#ifndef CORE_MARKS_H
#define CORE_MARKS_H

#include "corelib/bootenv/bootenv.h"
#include "parser/manifest.h"
#include "parser/settings.h"

#define RECOVERY_STATUS "recovery_status"
#define TXN_VARIABLE	"swinstall_txn"

struct marks {
	const struct settings *cfg;
	const struct manifest *manifest; /* NULL in recovery: the configuration alone decides */
	struct bootenv *env;
};

/* the boot environment of the configuration. E_CONFIG: slots have env, and nothing reads it */
int marks_env(const struct settings *cfg, struct bootenv **env, struct err *e);

/* one commit of recovery_status: "in_progress", "failed"; nothing where it is switched off */
int marks_write_status(const struct marks *m, const char *status, struct err *e);
/* recovery_status among other changes; 'status' NULL removes it */
int marks_put_status(const struct marks *m, struct envset *s, const char *status, struct err *e);
/* all marks of an update that is installed */
int marks_put_installed(const struct marks *m, struct envset *s, const char *txn, struct err *e);
/* of an update that is taken back before its reboot; 'all' is what the environment says */
int marks_put_taken_back(const struct marks *m, struct envset *s, const struct envset *all,
			 struct err *e);

/* recovery: did the commit of this transaction reach the environment? */
int marks_have_txn(const struct marks *m, const char *txn, bool *yes, struct err *e);
/*
 * recovery, under the install lock: recovery_status of a run that is no more becomes "failed".
 * 'always': what is there is written once more, because a commit that was cut may have left its
 * temporary file.
 */
int marks_clear(const struct marks *m, bool always, bool *was, struct err *e);

#endif
