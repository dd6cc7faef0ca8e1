/* What the files of the settings share. */
#ifndef PARSER_SETTINGS_DRAFT_H
#define PARSER_SETTINGS_DRAFT_H

#include "parser/settings.h"

struct settings_draft {
	struct settings s; /* first: both share one address */
	const struct node *slots;
};

/* groups of the file; each has rows in one of the tables */
enum settings_group {
	GROUP_SURICATTA = 1,
	GROUP_GSERVICE = 2,
	GROUP_DOWNLOAD = 4,
	GROUP_DELTA = 8,
	GROUP_WEBSERVER = 16,
	GROUP_PROCESS = 32, /* a group that bears the name of a process */
	GROUP_NAMED = 64,   /* items of identify and custom-http-headers */
	GROUP_VERSIONS = 128,
	GROUP_PROCESSES = 256,
	GROUP_COLORS = 512,
	GROUP_LOGEVENT = 1024,
};

/* a value of a part that this program does not have: its type is checked, then it is dropped */
union settings_dropped {
	const char *text;
	bool flag;
	int64_t integer;
	uint64_t size;
	const struct node *node;
};

extern const struct schema settings_globals;  /* into struct settings_draft */
extern const struct schema settings_policy;   /* into struct update_policy */
extern const struct schema settings_slot;     /* into struct slot_setting */
extern const struct schema settings_sections; /* into union settings_dropped; set 'where' */

#endif
