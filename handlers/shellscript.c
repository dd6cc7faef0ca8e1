/* shellscript: a program of the bundle that runs before and after the images, and after a failure.
 */
#include "handlers/script.h"

const struct handler handler_shellscript = {
	.name = "shellscript",
	.summary = "run a script before and after the images, and after a failure",
	.kind = HANDLER_ACTION,
	.sections = SECTION_SCRIPTS,
	.holds = HOLDS_NOTHING,
	.phases = 1u << PHASE_PREINSTALL | 1u << PHASE_POSTINSTALL | 1u << PHASE_POSTFAILURE,
	.props = script_props,
	.prop_count = SCRIPT_PROPS,
	.check = script_check,
	.install = script_install,
	.commit = script_commit,
	.discard = script_discard,
	.run = script_run,
};
