/* Elements of the description and attributes of its entries: parser, manual and lint read these. */
#include "parser/manifest_draft.h"

#include <string.h>

enum { TOP = 1 };
enum {
	/* an item of bootenv with a file name is an entry too: a file of variables */
	PLACED = SECTION_IMAGES | SECTION_FILES | SECTION_SCRIPTS,
	ENTRIES = PLACED | SECTION_PARTITIONS | SECTION_BOOTENV,
	VARIABLES = SECTION_BOOTENV | SECTION_VARS,
};

/* a row is read as a row */
/* clang-format off */
#define TOP_AT(field) .where = TOP, .at = offsetof(struct manifest_draft, field)
#define TOP_LIST(key, field, text) \
	{ .name = key, .type = ATTR_LIST, TOP_AT(field), .help = text }

static const struct attr top[] = {
	{ .name = "version", .type = ATTR_STRING, TOP_AT(m.version), .min = 1, .max = 255,
	  .help = "version of the release; must be given" },
	{ .name = "description", .type = ATTR_STRING, TOP_AT(m.description), .max = 511,
	  .help = "a sentence for people" },
	{ .name = "update-type", .type = ATTR_STRING, TOP_AT(m.update_type), .max = 255,
	  .dflt = "default",
	  .help = "kind of update; the configuration's update-types say which are accepted" },
	{ .name = "hardware-compatibility", .type = ATTR_STRINGS, TOP_AT(m.hardware),
	  .help = "board revisions that this release fits: exact text, or #RE: and a POSIX "
		  "extended regular expression" },
	{ .name = "reboot", .type = ATTR_SWITCH, TOP_AT(m.reboot),
	  .has = offsetof(struct manifest_draft, m.has_reboot),
	  .help = "whether the device restarts after the update; else the configuration decides" },
	{ .name = "bootloader_transaction_marker", .type = ATTR_BOOL, TOP_AT(m.transaction_marker),
	  .has = offsetof(struct manifest_draft, m.has_transaction_marker), .dflt = "true",
	  .help = "keep recovery_status in the boot environment while installing" },
	{ .name = "bootloader_state_marker", .type = ATTR_BOOL, TOP_AT(m.state_marker),
	  .has = offsetof(struct manifest_draft, m.has_state_marker), .dflt = "true",
	  .help = "set ustate in the boot environment when installed" },
	{ .name = "output", .type = ATTR_STRING, TOP_AT(m.output), .max = 4095,
	  .help = "file to keep the bundle in while it is read; only where -o allows it" },
	{ .name = "namespace-for-vars", .type = ATTR_STRING, TOP_AT(m.namespace_for_vars),
	  .max = 255, .help = "variable namespace that vars are stored in" },
	{ .name = "embedded-script", .type = ATTR_STRING, TOP_AT(m.embedded_script),
	  .help = "Lua code for the whole update" },
	TOP_LIST("partitions", partitions, "volumes and partitions to make before anything else"),
	TOP_LIST("images", images, "payloads for devices and volumes"),
	TOP_LIST("files", files, "payloads for paths in file systems"),
	TOP_LIST("scripts", scripts, "what runs before and after the installation"),
	TOP_LIST("bootenv", bootenv, "variables of the boot loader"),
	TOP_LIST("uboot", uboot, "older name of bootenv, read when there is no bootenv"),
	TOP_LIST("vars", vars, "variables of the update itself, kept apart from bootenv"),
};

const struct schema manifest_schema = {
	.name = "software", .rows = top, .count = ARRAY_SIZE(top), .where = TOP,
	.unknown = E_DESC_UNKNOWN,
};

/* index = enum codec */
static const char *const codecs[] = { "", "zlib", "xz", "zstd", "lz4", NULL };

static const struct cipher_row ciphers[] = {
	{ "", CIPHER_NONE, 0 },
	{ "aes-cbc", CIPHER_AES_CBC, 0 },
	{ "aes-cbc-128", CIPHER_AES_CBC, 128 },
	{ "aes-cbc-192", CIPHER_AES_CBC, 192 },
	{ "aes-cbc-256", CIPHER_AES_CBC, 256 },
	{ "aes-ctr-128", CIPHER_AES_CTR, 128 },
	{ "aes-ctr-192", CIPHER_AES_CTR, 192 },
	{ "aes-ctr-256", CIPHER_AES_CTR, 256 },
};
static const char *const cipher_names[] = {
	"", "aes-cbc", "aes-cbc-128", "aes-cbc-192", "aes-cbc-256",
	"aes-ctr-128", "aes-ctr-192", "aes-ctr-256", NULL,
};

const struct cipher_row *entry_cipher(const struct entry *t)
{
	return t->encrypted > 0 && (size_t)t->encrypted < ARRAY_SIZE(ciphers) ?
		ciphers + t->encrypted : NULL;
}

const struct cipher_row *cipher_find(const char *name)
{
	for (size_t i = 1; i < ARRAY_SIZE(ciphers); i++)
		if (strcmp(ciphers[i].name, name) == 0)
			return &ciphers[i];
	return NULL;
}

#define AT(field) .at = offsetof(struct entry_draft, t.field)
#define HAS(field) .has = offsetof(struct entry_draft, t.field)
#define TEXT(key, places, field, most, text) \
	{ .name = key, .type = ATTR_STRING, .where = places, AT(field), .max = most, .help = text }
#define FLAG(key, places, field, text) \
	{ .name = key, .type = ATTR_BOOL, .where = places, AT(field), .dflt = "false", .help = text }

static const struct attr attributes[] = {
	{ .name = "filename", .type = ATTR_STRING, .where = ENTRIES, AT(filename), .min = 1,
	  .max = 255, .help = "member of the bundle that is the payload" },
	TEXT("type", ENTRIES, type, 255,
	     "handler; images: ubivol with volume, else raw; files: rawfile; scripts: lua; "
	     "partitions: ubipartition; bootenv: bootloader"),
	TEXT("name", ENTRIES, name, 255, "component, for versions; partitions: name of the volume"),
	TEXT("version", ENTRIES, version, 255, "version of the component"),
	TEXT("slot", PLACED, slot, 255,
	     "role (rootfs, kernel, ...) in the inactive slot of the configuration, instead of device"),
	TEXT("volume", ENTRIES, volume, 255, "UBI volume, or name of a GPT partition"),
	TEXT("device", ENTRIES, device, 4095, "device node that is written or mounted"),
	TEXT("mtdname", ENTRIES, mtdname, 255, "MTD partition by its name"),
	TEXT("path", ENTRIES, path, 4095, "path of the file or folder that is written"),
	TEXT("filesystem", ENTRIES, filesystem, 255, "file system of 'device', to mount it"),
	TEXT("mode", SECTION_FILES, mode, 64,
	     "mode of the file in octal digits, as \"0640\"; else a file that is there keeps its own, a new one has 0600"),
	TEXT("owner", SECTION_FILES, owner, 64,
	     "owner of the file, a number or a name that the running system knows; else as mode, root"),
	TEXT("group", SECTION_FILES, group, 64, "group of the file, as owner"),
	TEXT("data", ENTRIES, data, 0, "free text for the handler; argument of a script"),
	{ .name = "size", .type = ATTR_SIZE, .where = ENTRIES, AT(size), HAS(has_size),
	  .help = "bytes of the payload in the bundle; partitions: size of the volume" },
	{ .name = "parts", .type = ATTR_SIZE, .where = PLACED, AT(parts), .min = 1, .max = 999,
	  .help = "the payload is the members FILENAME.001 to FILENAME.N, for more than 4 GiB" },
	{ .name = "sha256", .type = ATTR_HEX, .where = ENTRIES, AT(sha256), HAS(has_sha256),
	  .max = 32, .code = E_DESC_HASH,
	  .help = "SHA-256 of the payload as it is in the bundle; needed in signed bundles" },
	{ .name = "hash-block", .type = ATTR_SIZE, .where = PLACED, AT(hashes.block),
	  .min = 65536, .max = 1048576, .dflt = "262144",
	  .help = "bytes that each digest of the hash list covers, a power of two" },
	{ .name = "hash-list", .type = ATTR_STRING, .where = PLACED, AT(hashes.name), .min = 1,
	  .max = 255, .help = "member with the SHA-256 of each block, 32 raw bytes each" },
	{ .name = "hash-list-sha256", .type = ATTR_HEX, .where = PLACED, AT(hashes.sha256),
	  .max = 32, .code = E_DESC_HASH, .help = "SHA-256 of the hash list" },
	{ .name = "offset", .type = ATTR_SIZE, .where = ENTRIES, AT(offset), HAS(has_offset),
	  .dflt = "0", .help = "where writing begins on the target" },
	{ .name = "compressed", .type = ATTR_BOOL_OR_ENUM, .where = ENTRIES, AT(compressed),
	  .values = codecs, .dflt = "false", .help = "zlib (gzip files), xz, zstd or lz4" },
	{ .name = "encrypted", .type = ATTR_BOOL_OR_ENUM, .where = ENTRIES, AT(encrypted),
	  .values = cipher_names, .dflt = "false",
	  .help = "true means aes-cbc; the length of the key decides where no bits are named" },
	{ .name = "ivt", .type = ATTR_HEX, .where = ENTRIES, AT(ivt), HAS(has_ivt), .max = 16,
	  .help = "initial vector of this payload; else the one beside the key" },
	{ .name = "aes-key", .type = ATTR_HEX, .where = ENTRIES, AT(aes_key), HAS(has_aes_key),
	  .min = 16, .max = 32, .help = "key of this payload; only in encrypted descriptions" },
	FLAG("installed-directly", ENTRIES, installed_directly,
	     "write while reading, where the target does not become active by it"),
	FLAG("install-if-different", ENTRIES, install_if_different,
	     "skip when 'name' is installed with the same version"),
	FLAG("install-if-higher", ENTRIES, install_if_higher,
	     "skip when 'name' is installed with this or a higher version"),
	FLAG("preserve-attributes", ENTRIES, preserve_attributes,
	     "archives: keep owner, mode, times, ACLs and extended attributes"),
	{ .name = "properties", .type = ATTR_GROUP, .where = ENTRIES,
	  .at = offsetof(struct entry_draft, properties),
	  .help = "settings of the handler: texts and lists of texts" },
	TEXT("hook", ENTRIES, hook, 255, "Lua function that may change the entry"),
	TEXT("preinstall", ENTRIES, preinstall, 255, "Lua function before this entry"),
	TEXT("postinstall", ENTRIES, postinstall, 255, "Lua function after this entry"),
};

const struct schema entry_schema = {
	.name = "entry", .rows = attributes, .count = ARRAY_SIZE(attributes), .where = ENTRIES,
	.unknown = E_DESC_UNKNOWN,
};

static const struct attr variables[] = {
	{ .name = "name", .type = ATTR_STRING, .where = VARIABLES,
	  .at = offsetof(struct boot_var, name), .min = 1, .max = 255,
	  .help = "name of the variable; the first of several counts" },
	{ .name = "value", .type = ATTR_STRING, .where = VARIABLES,
	  .at = offsetof(struct boot_var, value),
	  .help = "its value; empty or absent removes the variable" },
	{ .name = "hook", .type = ATTR_STRING, .where = SECTION_BOOTENV,
	  .at = offsetof(struct boot_var, hook), .max = 255,
	  .help = "Lua function that may change the variable" },
};

const struct schema boot_var_schema = {
	.name = "variable", .rows = variables, .count = ARRAY_SIZE(variables), .where = VARIABLES,
	.unknown = E_DESC_UNKNOWN,
};
/* clang-format on */
