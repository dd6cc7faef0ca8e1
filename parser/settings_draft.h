/* What the files of the settings share. */
#ifndef PARSER_SETTINGS_DRAFT_H
#define PARSER_SETTINGS_DRAFT_H

#include "parser/settings.h"

struct settings_draft {
	struct settings s; /* first: both share one address */
	const struct node *slots;
};

extern const struct schema settings_globals; /* into struct settings_draft */
extern const struct schema settings_policy;  /* into struct update_policy */
extern const struct schema settings_slot;    /* into struct slot_setting */

/* ---- settings_parts.c: into the structs of settings_parts.h ---- */
extern const struct schema settings_suricatta, settings_hawkbit, settings_gservice,
	settings_download, settings_delta, settings_webserver, settings_logcolors;
extern const struct schema settings_identify, settings_headers;	 /* struct named_value */
extern const struct schema settings_processes, settings_process; /* struct process_setting */

#endif
