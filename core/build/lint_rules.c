/* What the reader of a device accepts and nobody means, and what handlers will not take. */
#include <string.h>

#include "core/build/lint_private.h"
#include "core/build/results.h"
#include "corelib/base/text.h"
#include "corelib/base/words.h"
#include "handlers/handler.h"
#include "handlers/props.h"
#include "parser/keyfile.h"
#include "parser/version.h"

static const struct node *at(const struct lint_entry *x, const char *name)
{
	const struct node *n = node_find(x->node, name);

	return n ? n : x->node;
}

/* ---- handler and properties --------------------------------------------------------------- */

static const char *nearest_type(const char *name)
{
	const char *names[128];
	size_t n = 0;

	for (; n < ARRAY_SIZE(names) && handler_type_at(n); n++)
		names[n] = handler_type_at(n)->name;
	return text_nearest(name, names, n);
}

/* a type of the description's own Lua code may have any name */
static void unknown_type(struct lint *l, const struct lint_entry *x)
{
	const char *near = nearest_type(x->d.t.type);
	bool own = l->top.embedded_script != NULL;

	if (handler_type_find(x->d.t.type)) /* check_target() has told */
		return;
	lint_say(l, !own, at(x, "type"), "\"%s\" is no handler that is known%s%s%s", x->d.t.type,
		 near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

/* of a list of words: each begins as one of the row's values does */
static void check_word(struct lint *l, const struct node *n, const struct attr *row)
{
	const char *names[32], *near;
	char head[64];
	size_t count = 0;

	if (n->type != NODE_STRING)
		return;
	for (; count < ARRAY_SIZE(names) && row->values[count]; count++) {
		names[count] = row->values[count];
		if (strncmp(n->string, names[count], strlen(names[count])) == 0)
			return;
	}
	(void)text_print(head, sizeof(head), "%.*s=", (int)strcspn(n->string, "="), n->string);
	near = text_nearest(head, names, count);
	lint_say(l, true, n, "'%s' is nothing that a %s can have%s%s%s", n->string, row->name,
		 near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static void check_property_value(struct lint *l, const struct node *n, const struct attr *row)
{
	uint64_t v;

	if (row->type == ATTR_STRINGS && row->values && n->type == NODE_LIST)
		node_for_each(word, n)
			check_word(l, word, row);
	else if (row->type == ATTR_STRINGS && row->values)
		check_word(l, n, row);
	if (n->type != NODE_STRING)
		return;
	if ((row->type == ATTR_BOOL || row->type == ATTR_SWITCH) &&
	    strcmp(n->string, "true") != 0 && strcmp(n->string, "false") != 0)
		lint_say(l, true, n, "must be \"true\" or \"false\"");
	if ((row->type == ATTR_INT || row->type == ATTR_SIZE) && text_size(n->string, &v) < 0)
		lint_say(l, true, n, "must be a whole number");
}

static void unknown_property(struct lint *l, const struct node *n, const struct handler *h)
{
	static const char *const general[] = {"decompressed-size", "decrypted-size", KEY_CHECK,
					      RESULT_SHA256, "chain"};
	const char *names[64] = {0}, *near;
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_SIZE(general); i++) {
		if (strcmp(general[i], n->name) == 0)
			return;
		names[count++] = general[i];
	}
	for (size_t i = 0; i < h->prop_count && count < ARRAY_SIZE(names); i++)
		names[count++] = h->props[i].name;
	near = text_nearest(n->name, names, count);
	lint_say(l, false, n, "is no property of the handler %s%s%s%s", h->name,
		 near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

/* these make their bytes on the device, out of what nobody signed */
static bool is_source(const char *type, const struct handler *h)
{
	static const char *const names[] = {"copy", "rawcopy", "rdiff_image"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(names[i], type) == 0)
			return true;
	return h && h->kind == HANDLER_SOURCE;
}

static void check_result(struct lint *l, const struct lint_entry *x, const struct handler *h)
{
	const struct node *n = node_find(x->d.properties, RESULT_SHA256);
	uint8_t sum[SHA256_LEN];

	if (!n && is_source(x->d.t.type, h))
		lint_say(l, false, x->node,
			 "makes its bytes on the device, and no property " RESULT_SHA256
			 " says what must come out: it may write only what is not in use");
	if (!n || n->type != NODE_STRING)
		return;
	/* in a template it may name a file, or be answered when it is built */
	if (!l->o->finished && (strchr("@<$", n->string[0]) || strstr(n->string, "@@")))
		return;
	if (strlen(n->string) != 2 * sizeof(sum) ||
	    text_unhex(n->string, strlen(n->string), sum, sizeof(sum)) < 0)
		lint_say(l, true, n, "must have %zu hexadecimal digits%s", 2 * sizeof(sum),
			 l->o->finished ? "" : ", or name the file that must come out: \"@FILE\"");
}

static void check_properties(struct lint *l, const struct lint_entry *x, const struct handler *h)
{
	node_for_each(n, x->d.properties) {
		const struct attr *row = h ? props_row(h, n->name) : NULL;

		if (n->type != NODE_STRING && n->type != NODE_LIST)
			lint_say(l, true, n, "must be a text or a list of texts, not %s",
				 node_type_name(n->type));
		else if (row)
			check_property_value(l, n, row);
		else if (h)
			unknown_property(l, n, h);
	}
}

static void check_place(struct lint *l, const struct lint_entry *x, const struct handler *h)
{
	const struct entry *t = &x->d.t;

	if (h->holds == HOLDS_TABLE && !t->device)
		lint_say(l, true, x->node, "has no device, whose partition table is meant");
	if (h->holds == HOLDS_DEVICE && !t->device && !t->slot && !t->volume && !t->mtdname)
		lint_say(l, true, x->node, "has neither slot nor device to write to");
	if ((h->holds == HOLDS_FILE || h->holds == HOLDS_FOLDER) && !t->path && !t->slot)
		lint_say(l, true, x->node, "has no path to write to");
	if (h->no_data && t->filename)
		lint_say(l, true, at(x, "filename"), "is not read: the handler %s takes no file",
			 h->name);
	if (!h->no_data && h->holds != HOLDS_NOTHING && h->kind == HANDLER_TARGET && !t->filename)
		lint_say(l, false, x->node,
			 "has no filename: a device passes the entry over, and refuses it under "
			 "strict");
}

/* a device may have another build than this program */
static void check_target(struct lint *l, const struct lint_entry *x)
{
	const char *type = x->d.t.type;
	bool own = l->top.embedded_script && !handler_type_find(type);

	if (target_has(l->o->target, type) || own ||
	    (!handler_type_find(type) && !handler_find(type)))
		return;
	if (l->o->target && l->o->target->file)
		lint_no_handler(l, at(x, "type"), "the handler %s is not on the device of %s", type,
				l->o->target->file);
	else
		lint_no_handler(l, at(x, "type"),
				"the handler %s is not in this build (--for FILE says what a "
				"device has)",
				type);
}

static void check_handler(struct lint *l, const struct lint_entry *x)
{
	const struct handler *h = handler_find(x->d.t.type);

	check_properties(l, x, h);
	check_result(l, x, h);
	check_target(l, x);
	if (!h) {
		unknown_type(l, x);
		return;
	}
	if (!(h->sections & x->d.t.section))
		lint_say(l, true, at(x, "type"), "the handler %s has no place in %s", h->name,
			 section_name(x->d.t.section));
	check_place(l, x, h);
	for (size_t i = 0; i < h->prop_count; i++)
		if (h->props[i].required && !entry_property(&x->d.t, h->props[i].name))
			lint_say(l, true, x->node, "has no property %s, which %s needs",
				 h->props[i].name, h->name);
	if (h->irreversible)
		lint_say(l, false, at(x, "type"),
			 "what %s does cannot be undone when the update fails", h->name);
}

/* ---- attributes that belong together ------------------------------------------------------ */

static bool is_odd_path(const char *p)
{
	size_t n = strlen(p);

	return strstr(p, "/../") || strncmp(p, "../", 3) == 0 || strcmp(p, "..") == 0 ||
	       (n >= 3 && strcmp(p + n - 3, "/..") == 0);
}

/* T40: a device refuses all that is no block device, flash or file; these are known by name */
static bool is_memory(const char *p)
{
	static const char *const names[] = {"mem", "kmem", "port"};

	if (strncmp(p, "/dev/", 5) != 0)
		return false;
	p += 5 + strspn(p + 5, "/");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(p, names[i]) == 0)
			return true;
	return false;
}

static void check_paths(struct lint *l, const struct lint_entry *x)
{
	const struct entry *t = &x->d.t;

	if (t->path && t->path[0] != '/' && t->section == SECTION_FILES)
		lint_say(l, true, at(x, "path"), "must begin with /");
	if (t->path && is_odd_path(t->path))
		lint_say(l, true, at(x, "path"), "leads out of its folder by ..");
	if (t->device && is_odd_path(t->device))
		lint_say(l, true, at(x, "device"), "leads out of its folder by ..");
	/* flash and UBI have names without a folder */
	if (t->device && t->device[0] != '/' &&
	    (strchr(t->device, '/') || strcmp(t->type, "raw") == 0))
		lint_say(l, true, at(x, "device"), "must begin with /");
	if (t->device && is_memory(t->device))
		lint_say(
			l, true, at(x, "device"),
			"is the memory or the ports of the machine: no device takes it as a target");
	if (t->filesystem && !t->device && !t->slot && !t->volume)
		lint_say(l, true, at(x, "filesystem"), "needs the device that it is on");
}

static void check_encryption(struct lint *l, const struct lint_entry *x)
{
	const struct entry *t = &x->d.t;
	const struct cipher_row *c = entry_cipher(t);

	if (t->has_ivt && !c)
		lint_say(l, true, at(x, "ivt"), "has no use: the entry is not encrypted");
	if (t->has_aes_key)
		lint_say(l, false, at(x, "aes-key"),
			 "everybody can read it unless the description is encrypted too");
	if (t->has_aes_key && !c)
		lint_say(l, true, at(x, "aes-key"), "has no use: the entry is not encrypted");
	if (t->has_aes_key && c && c->bits && t->aes_key_len * 8 != c->bits)
		lint_say(l, true, at(x, "aes-key"), "has %u bits, %s needs %u", t->aes_key_len * 8,
			 c->name, c->bits);
	if (c && !t->has_ivt && l->o->finished)
		lint_say(l, false, x->node,
			 "is encrypted without ivt: all such images share one initial vector");
}

static void check_version_rule(struct lint *l, const struct lint_entry *x)
{
	const struct entry *t = &x->d.t;
	const char *rule = t->install_if_higher ? "install-if-higher" : "install-if-different";

	if (!t->install_if_different && !t->install_if_higher)
		return;
	if (t->install_if_different && t->install_if_higher)
		lint_say(l, false, at(x, rule), "and install-if-different are both set");
	if (!t->name || !t->version)
		lint_say(l, true, at(x, rule), "needs name and version of the component");
}

static void check_functions(struct lint *l, const struct lint_entry *x)
{
	static const char *const names[] = {"hook", "preinstall", "postinstall"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (node_find(x->node, names[i]) && !l->top.embedded_script)
			lint_say(l, true, at(x, names[i]),
				 "names a function, but there is no embedded-script");
}

/* T41: the words of a program */
static void check_words(struct lint *l, const struct lint_entry *x)
{
	struct words w = {0};
	struct err e;

	err_clear(&e);
	if (x->d.t.section == SECTION_SCRIPTS && x->d.t.data &&
	    words_split(&w, x->d.t.data, &e) < 0)
		lint_say(l, true, at(x, "data"), "cannot be split into words: %s", e.why);
	words_clear(&w);
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && strcmp(s + n - m, end) == 0;
}

/* without a type a script is Lua */
static void check_script(struct lint *l, const struct lint_entry *x)
{
	const struct entry *t = &x->d.t;
	bool is_lua = strcmp(t->type, "lua") == 0;

	if (t->section != SECTION_SCRIPTS || !t->filename)
		return;
	if (is_lua && ends_with(t->filename, ".sh"))
		lint_say(l, true, x->node,
			 "is run as Lua: a program needs type = \"shellscript\" (or preinstall, "
			 "postinstall)");
	if (!is_lua && ends_with(t->filename, ".lua") && handler_find(t->type))
		lint_say(l, false, at(x, "type"), "runs a program, and the file is called .lua");
}

static void check_habits(struct lint *l, const struct lint_entry *x)
{
	const struct entry *t = &x->d.t;
	const struct node *c = at(x, "compressed");

	if (c->type == NODE_BOOL && c->integer)
		lint_say(l, false, c, "= true is the old form of \"zlib\"");
	if (t->installed_directly && t->section == SECTION_SCRIPTS)
		lint_say(l, false, at(x, "installed-directly"), "has no meaning for scripts");
	if (t->has_size && !t->size && t->section != SECTION_PARTITIONS)
		lint_say(l, true, at(x, "size"), "is 0: there is nothing to install");
	if (t->preserve_attributes && strcmp(t->type, "archive") != 0 &&
	    strcmp(t->type, "tar") != 0)
		lint_say(l, false, at(x, "preserve-attributes"), "has a meaning for archives only");
}

void lint_entry_rules(struct lint *l, const struct lint_entry *x)
{
	check_handler(l, x);
	check_paths(l, x);
	check_encryption(l, x);
	check_version_rule(l, x);
	check_functions(l, x);
	check_words(l, x);
	check_script(l, x);
	check_habits(l, x);
}

/* ---- entries against each other ----------------------------------------------------------- */

static bool same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

static void compare_files(struct lint *l, const struct lint_entry *a, const struct lint_entry *b)
{
	const struct entry *s = &a->d.t, *t = &b->d.t;

	if (!same(s->filename, t->filename))
		return;
	if (s->has_sha256 && t->has_sha256 && memcmp(s->sha256, t->sha256, 32) != 0)
		lint_say(l, true, at(b, "sha256"), "is not that of the same file in line %u",
			 s->line);
	if (s->has_size && t->has_size && s->size != t->size)
		lint_say(l, true, at(b, "size"), "is not that of the same file in line %u",
			 s->line);
}

/* how many bytes an entry writes; 1 where that is not known */
static uint64_t bytes_of(const struct entry *t)
{
	if (t->has_decompressed_size)
		return t->decompressed_size;
	return t->has_size && t->size && !t->compressed && !t->encrypted ? t->size : 1;
}

static bool meet(const struct entry *s, const struct entry *t)
{
	const struct entry *low = s->offset <= t->offset ? s : t, *high = low == s ? t : s;

	return high->offset - low->offset < bytes_of(low);
}

static void compare(struct lint *l, const struct lint_entry *a, const struct lint_entry *b)
{
	const struct entry *s = &a->d.t, *t = &b->d.t;
	bool raw = same(s->type, "raw") && same(t->type, "raw") && meet(s, t);

	compare_files(l, a, b);
	if (raw && (same(s->device, t->device) || same(s->slot, t->slot)))
		lint_say(l, false, b->node,
			 "is written to the same place as the entry in line %u: the later one "
			 "counts, and a device refuses it under strict",
			 s->line);
	if (same(s->type, "rawfile") && same(t->type, "rawfile") && same(s->path, t->path) &&
	    (same(s->device, t->device) || (!s->device && !t->device && same(s->slot, t->slot)) ||
	     (!s->device && !t->device && !s->slot && !t->slot)))
		lint_say(l, true, at(b, "path"), "is that of the entry in line %u already",
			 s->line);
	if (s->has_ivt && t->has_ivt && !same(s->filename, t->filename) &&
	    memcmp(s->ivt, t->ivt, sizeof(s->ivt)) == 0)
		lint_say(l, true, at(b, "ivt"),
			 "is used in line %u already; each image needs its own", s->line);
}

static void check_hardware(struct lint *l)
{
	const struct node *n = select_find(&l->sel, "hardware-compatibility");
	struct err e;

	if (!n)
		lint_say(l, false, node_find(l->t->root, "software"),
			 "has no hardware-compatibility: a device that knows its hardware revision "
			 "(-H, /etc/hwrevision) refuses it");
	if (n && !l->top.hardware.count)
		lint_say(l, true, n, "is empty: no board can take this release");
	for (size_t i = 0; i < l->top.hardware.count; i++) {
		err_clear(&e);
		if (hardware_matches(l->top.hardware.at[i], "1.0", &e) < 0)
			lint_refused(l, n, &e);
	}
}

void lint_selection_rules(struct lint *l)
{
	check_hardware(l);
	for (const struct lint_entry *a = l->entries; a; a = a->next)
		for (const struct lint_entry *b = a->next; b; b = b->next)
			if (a->node != b->node)
				compare(l, a, b);
}

/* ---- variables -------------------------------------------------------------------------- */

/* is a variable of this name set further up in the same list? */
static const struct node *earlier(const struct node *var, const char *name)
{
	node_for_each(n, var->parent) {
		const struct node *other = n->type == NODE_GROUP ? node_find(n, "name") : NULL;

		if (n == var)
			return NULL;
		if (other && other->type == NODE_STRING && strcmp(other->string, name) == 0)
			return n;
	}
	return NULL;
}

void lint_variable_rules(struct lint *l, const struct node *var)
{
	static const char *const own[] = {"recovery_status", "ustate", "swinstall_txn"};
	const struct node *name = node_find(var, "name"), *value = node_find(var, "value"), *first;

	if (!name) {
		lint_say(l, true, var, "has no name");
		return;
	}
	if (name->type != NODE_STRING)
		return;
	if (strpbrk(name->string, "= \t\r\n"))
		lint_say(l, true, name, "must have neither '=' nor blanks");
	if (value && value->type == NODE_STRING && strpbrk(value->string, "\r\n"))
		lint_say(l, true, value, "has a line end");
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (strcmp(own[i], name->string) == 0)
			lint_say(l, false, name, "%s belongs to the installer", own[i]);
	first = earlier(var, name->string);
	if (first)
		lint_say(l, true, name, "%s is set in line %u already; the first one counts",
			 name->string, first->line);
}
