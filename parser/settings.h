/*
 * The configuration: /etc/swinstall.cfg, or an existing swupdate.cfg unchanged.
 *
 * One table gives every key its name, type, limits, default and help; doc/config.md is made of it.
 * Keys of parts that are not built in are known, kept and silent. Strings live in the arena.
 * The command line overrides by writing the same fields.
 */
#ifndef PARSER_SETTINGS_H
#define PARSER_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "corelib/base/arena.h"
#include "corelib/base/err.h"
#include "corelib/device/blkdev.h"
#include "parser/schema.h"
#include "parser/settings_parts.h"

struct slot_setting {
	const char *name;
	const char *cmdline;	/* words that the kernel command line has when this slot runs */
	const struct node *env; /* name = "value": what makes the boot loader choose it */
	struct slot_place {
		const char *role, *path; /* "rootfs", "/dev/mmcblk0p2" */
	} * places;
	size_t place_count;
	const char *select; /* SET,MODE of bundles that install into this slot */
};

/* limits of versions and commands, in globals and per update type */
struct update_policy {
	const char *name; /* update type; NULL in globals */
	const char *postupdatecmd, *preupdatecmd;
	const char *no_downgrading, *max_version, *no_reinstalling;
	bool has_reboot, reboot;
};

/* what code of a description may do (T43) */
enum lua_trust { LUA_CONFINED, LUA_FULL };

struct settings {
	/* COMPAT 6, globals */
	const char *bootloader, *public_key_file, *ca_path, *crl_path, *aes_key_file,
		*decryption_key_file;
	const char *mtd_blacklist, *namespace_vars, *gen_swversions, *fwenv_config, *cert_purpose;
	const char *forced_signer_name, *select, *gpg_home, *gpg_protocol;
	const char *hash_provider, *decrypt_provider, *digest_provider;
	bool verbose, syslog, update_type_required;
	int64_t loglevel;
	bool has_loglevel;
	uint64_t description_max;
	bool has_description_max;
	bool no_transaction_marker, no_state_marker;
	struct update_policy policy;
	const struct update_policy *types;
	size_t type_count;
	/* ours */
	const char *state_dir, *spool_dir, *run_dir, *bootenv_path, *versions_file,
		*hwrevision_file;
	const char *state_variable;    /* ustate */
	const char *running_slot_file; /* NULL: root device and kernel command line tell */
	bool several_switches;	       /* variables and partition table in one update */
	bool allow_unsigned, allow_unchecked_key, strict, strict_members, require_redundant_env,
		verify_writes;
	enum blkdev_direct direct_io;
	enum blkdev_compare compare_writes;
	int cpio_loose;
	const char *lua_handlers; /* NULL: looked for in the Lua path */
	enum lua_trust lua_trust; /* settings_lua_full() knows the default */
	bool has_lua_trust;
	uint64_t mem_max, max_members, threads, lock_timeout, idle_timeout;
	struct strings targets; /* allow-list; empty = any that root controls */
	const struct slot_setting *slots;
	size_t slot_count;
	struct strings accepted_select;
	const struct node *versions; /* list {name, version}, replaces the file */
	struct parts_settings parts; /* groups that parts with doors read */
	/* not keys: what the program was told */
	const char *file; /* where this was read */
	bool compat;	  /* an existing swupdate.cfg, or called as swupdate */
	bool as_swupdate; /* called so */
	const char *board, *revision;
	bool dry_run;
	struct arena *arena;
};

int settings_new(struct settings **s, struct err *e); /* defaults */
int settings_parse(struct settings *s, const void *text, size_t n,
		   void (*note)(void *, const char *), void *arg, struct err *e);
void settings_free(struct settings *s);

/* full also where an existing swupdate.cfg is used */
static inline bool settings_lua_full(const struct settings *s)
{
	return s->has_lua_trust ? s->lua_trust == LUA_FULL : s->compat;
}

/* tables by group name for the manual; NULL past the last */
const struct schema *settings_schema(size_t i);

#endif
