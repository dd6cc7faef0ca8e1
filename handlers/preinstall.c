/* preinstall: a program of the bundle that runs before the images. */
#include "handlers/script.h"

const struct handler handler_preinstall = {
	.name = "preinstall",
	.summary = "run a script before the images",
	.kind = HANDLER_ACTION,
	.sections = SECTION_SCRIPTS,
	.holds = HOLDS_NOTHING,
	.phases = 1u << PHASE_PREINSTALL,
	.props = script_props,
	.prop_count = SCRIPT_PROPS,
	.check = script_check,
	.install = script_install,
	.commit = script_commit,
	.discard = script_discard,
	.run = script_run_plain,
};
