/* postinstall: a program of the bundle that runs after the images. */
#include "handlers/script.h"

const struct handler handler_postinstall = {
	.name = "postinstall",
	.summary = "run a script after the images",
	.kind = HANDLER_ACTION,
	.sections = SECTION_SCRIPTS,
	.holds = HOLDS_NOTHING,
	.phases = 1u << PHASE_POSTINSTALL,
	.props = script_props,
	.prop_count = SCRIPT_PROPS,
	.check = script_check,
	.install = script_install,
	.commit = script_commit,
	.discard = script_discard,
	.run = script_run_plain,
};
