#include "core/build/inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/build/choices.h"
#include "core/build/variables.h"
#include "corelib/base/json.h"
#include "corelib/base/digest.h"
#include "corelib/sign/sig.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "parser/bundle.h"

struct member {
	char name[256];
	uint64_t size;
};

struct inspect {
	const char *path;
	struct bundle *b;
	struct choices choices;
	struct manifest **manifests; /* of each choice; NULL where it has none */
	struct member *members;
	size_t member_count, member_room;
	char signature[64], signer[256];
	FILE *out;
	struct err *e; /* for callbacks */
};

/* ---- reading ---------------------------------------------------------------------------- */

static int add_member(void *arg, const char *name, const struct cpio_head *h)
{
	struct inspect *x = arg;
	size_t room = x->member_room ? 2 * x->member_room : 32;
	struct member *grown;

	if (x->member_count == x->member_room) {
		grown = realloc(x->members, room * sizeof(*grown));
		if (!grown)
			return err_set(x->e, E_MEMORY, ENOMEM, "no memory for the list of members");
		x->members = grown;
		x->member_room = room;
	}
	text_printable(name, strlen(name), x->members[x->member_count].name,
		       sizeof(x->members->name));
	x->members[x->member_count++].size = h->size;
	return 0;
}

static void read_signature(struct inspect *x)
{
	size_t n;
	const void *sig = bundle_signature(x->b, &n);
	enum sig_scheme s = sig_guess(sig, n);

	(void)text_copy(x->signature, sizeof(x->signature),
			!n		     ? "none"
			: s == SIG_ANY	     ? "unknown"
			: s == SIG_RSA_PKCS1 ? "rsa or rsa-pss" /* they look alike */
					     : sig_scheme_name(s));
	if (n && s == SIG_CMS && sig_claimed_signer(sig, n, x->signer, sizeof(x->signer)) < 0)
		x->signer[0] = '\0';
}

static int read_manifests(struct inspect *x, struct err *e)
{
	size_t n;
	const void *text = bundle_description(x->b, &n);
	int rc = choices_find(&x->choices, text, n, e);

	if (rc < 0)
		return rc;
	x->manifests = calloc(x->choices.count, sizeof(struct manifest *));
	if (!x->manifests)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the description");
	for (size_t i = 0; rc == 0 && i < x->choices.count; i++) {
		const struct manifest_options o = {.sel = x->choices.at[i]};

		rc = manifest_parse(&x->manifests[i], text, n, &o, e);
	}
	return rc;
}

static int read_bundle(struct inspect *x, int fd, struct err *e)
{
	const struct stream_fd_options whole = {.size = UINT64_MAX};
	const struct bundle_options how = {0};
	AUTO_STREAM struct stream *s = NULL;
	int rc = stream_fd_open(&s, fd, &whole, e);

	if (rc == 0)
		rc = bundle_open(&x->b, &s, &how, e);
	x->e = e;
	if (rc == 0)
		rc = bundle_list(x->b, add_member, x, e);
	if (rc == 0 && err_is_set(e)) /* a callback only stops the walk */
		rc = -e->sys;
	if (rc == 0)
		read_signature(x);
	return rc < 0 ? rc : read_manifests(x, e);
}

/* ---- for people ------------------------------------------------------------------------- */

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

/* where it goes, in a few words */
static void target_of(const struct entry *t, char *out, size_t n)
{
	const char *what = t->path ? t->path : t->device ? t->device : t->mtdname ? t->mtdname : "";

	if (t->slot)
		(void)text_print(out, n, "slot %s", t->slot);
	else if (t->volume)
		(void)text_print(out, n, "volume %s", t->volume);
	else if (t->path && t->device)
		(void)text_print(out, n, "%s:%s", t->device, t->path);
	else
		(void)text_copy(out, n, what);
}

static void marks_of(const struct entry *t, char *out, size_t n)
{
	static const char *const codecs[CODEC_COUNT] = {"", " zlib", " xz", " zstd", " lz4"};

	(void)text_print(out, n, "%s%s%s%s%s",
			 t->compressed >= 0 && t->compressed < CODEC_COUNT ? codecs[t->compressed]
									   : "",
			 t->encrypted ? " encrypted" : "", t->hashes.name ? " block-hashes" : "",
			 t->installed_directly ? " direct" : "", t->parts ? " parts" : "");
}

static uint64_t size_of(const struct inspect *x, const struct entry *t)
{
	size_t n = t->filename ? strlen(t->filename) : 0;
	uint64_t sum = 0;

	for (size_t i = 0; n && i < x->member_count; i++) {
		const char *name = x->members[i].name;

		if (strncmp(name, t->filename, n) == 0 &&
		    (t->parts ? name[n] == '.' && strspn(name + n + 1, "0123456789") == 3 &&
					!name[n + 4]
			      : !name[n]))
			sum += x->members[i].size;
	}
	return sum;
}

static void print_entry(const struct inspect *x, const struct entry *t)
{
	char hex[2 * SHA256_LEN + 1] = "-", target[300], marks[80], shown[300];

	if (t->has_sha256)
		text_hex(t->sha256, SHA256_LEN, hex);
	target_of(t, target, sizeof(target));
	marks_of(t, marks, sizeof(marks));
	text_printable(target, strlen(target), shown, sizeof(shown));
	fprintf(x->out, "  %-9s %-24s %-12s %-24s %12" PRIu64 "  %.16s%s\n",
		section_name(t->section), t->filename ? t->filename : "-", or_empty(t->type), shown,
		size_of(x, t), hex, marks);
}

static void print_vars(const struct inspect *x, const char *list, const struct boot_var *v,
		       size_t n)
{
	char name[256], value[256];

	for (size_t i = 0; i < n; i++) {
		text_printable(v[i].name, strlen(v[i].name), name, sizeof(name));
		text_printable(or_empty(v[i].value), strlen(or_empty(v[i].value)), value,
			       sizeof(value));
		fprintf(x->out, "  %-9s %s = %s\n", list, name, v[i].value ? value : "(unset)");
	}
}

static void print_choice(const struct inspect *x, size_t i)
{
	const struct manifest *m = x->manifests[i];
	char label[256], version[256];

	choice_label(&x->choices.at[i], label, sizeof(label));
	text_printable(m->version, strlen(m->version), version, sizeof(version));
	fprintf(x->out, "\n%s%s%sversion %s\n", label[0] ? "selection " : "", label,
		label[0] ? ", " : "", version);
	if (m->entry_count)
		fprintf(x->out, "  %-9s %-24s %-12s %-24s %12s  %s\n", "section", "file", "type",
			"target", "bytes", "sha256");
	for (size_t k = 0; k < m->entry_count; k++)
		print_entry(x, &m->entries[k]);
	print_vars(x, "bootenv", m->bootenv, m->bootenv_count);
	print_vars(x, "vars", m->vars, m->var_count);
}

static void print_text(const struct inspect *x)
{
	const struct manifest *m = x->manifests[0];
	char text[600];

	fprintf(x->out, "bundle     %s\n", x->path);
	if (m->description) {
		text_printable(m->description, strlen(m->description), text, sizeof(text));
		fprintf(x->out, "about      %s\n", text);
	}
	fprintf(x->out, "signature  %s%s%s%s\n", x->signature, x->signer[0] ? ", names " : "",
		x->signer,
		strcmp(x->signature, "none") == 0 ? "" : " (not checked: swbundle verify -k)");
	for (size_t i = 0; i < m->hardware.count; i++) {
		text_printable(m->hardware.at[i], strlen(m->hardware.at[i]), text, sizeof(text));
		fprintf(x->out, "%-10s %s\n", i ? "" : "hardware", text);
	}
	for (size_t i = 0; i < x->choices.count; i++)
		print_choice(x, i);
	fprintf(x->out, "\nmembers\n");
	for (size_t i = 0; i < x->member_count; i++)
		fprintf(x->out, "  %-48s %12" PRIu64 "\n", x->members[i].name, x->members[i].size);
}

/* ---- as JSON ---------------------------------------------------------------------------- */

static void json_hex(const struct inspect *x, const char *key, const uint8_t *bytes, size_t n)
{
	char hex[2 * SHA256_LEN + 1];

	text_hex(bytes, n, hex);
	json_member(x->out, key, hex);
}

static bool is_there(const struct attr *row, const void *all)
{
	return !row->has || *(const bool *)((const char *)all + row->has);
}

/* what the description says, by the rows of its tables: 'all' is a struct entry or manifest */
static void json_rows(const struct inspect *x, const struct schema *s, const void *all)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct attr *row = &s->rows[i];
		const void *at = (const char *)all + row->at;
		int word;

		switch (row->type) {
		case ATTR_STRING:
			json_member(x->out, row->name, *(const char *const *)at);
			break;
		case ATTR_BOOL:
		case ATTR_SWITCH:
			if (row->has ? is_there(row, all) : *(const bool *)at)
				fprintf(x->out, ",\"%s\":%s", row->name,
					*(const bool *)at ? "true" : "false");
			break;
		case ATTR_SIZE:
			if (is_there(row, all) && *(const uint64_t *)at)
				fprintf(x->out, ",\"%s\":%" PRIu64, row->name,
					*(const uint64_t *)at);
			break;
		case ATTR_HEX:
			if (row->has && is_there(row, all) && row->min == 0)
				json_hex(x, row->name, at, (size_t)row->max);
			break;
		case ATTR_ENUM:
		case ATTR_BOOL_OR_ENUM:
			word = *(const int *)at;
			if (word > 0)
				json_member(x->out, row->name, row->values[word]);
			break;
		default: /* lists and groups have members of their own */
			break;
		}
	}
}

static void json_properties(const struct inspect *x, const struct entry *t)
{
	if (!t->prop_count)
		return;
	fputs(",\"properties\":{", x->out);
	for (size_t i = 0; i < t->prop_count; i++) {
		const struct property *p = &t->props[i];

		fputs(i ? "," : "", x->out);
		json_print(x->out, p->name);
		fputs(p->count > 1 ? ":[" : ":", x->out);
		for (size_t k = 0; k < p->count; k++) {
			fputs(k ? "," : "", x->out);
			json_print(x->out, p->values[k]);
		}
		fputs(p->count > 1 ? "]" : "", x->out);
	}
	fputc('}', x->out);
}

/* the key of an entry is left out: it would end in logs */
static void json_entry(const struct inspect *x, const struct entry *t)
{
	struct entry shown = *t;

	if (!t->hashes.name)
		shown.hashes.block = 0;
	shown.size = t->filename ? 0 : t->size;
	fprintf(x->out, "{\"section\":\"%s\",\"line\":%u", section_name(t->section), t->line);
	json_rows(x, &entry_schema, &shown);
	if (t->hashes.name)
		json_hex(x, "hash-list-sha256", t->hashes.sha256, SHA256_LEN);
	json_properties(x, t);
	if (t->filename)
		fprintf(x->out, ",\"size\":%" PRIu64, size_of(x, t));
	fputc('}', x->out);
}

static void json_vars(const struct inspect *x, const char *list, const struct boot_var *v, size_t n)
{
	fprintf(x->out, ",\"%s\":[", list);
	for (size_t i = 0; i < n; i++) {
		fprintf(x->out, "%s{\"name\":", i ? "," : "");
		json_print(x->out, v[i].name);
		if (v[i].value) { /* an empty one is said: it unsets the variable */
			fprintf(x->out, ",\"value\":");
			json_print(x->out, v[i].value);
		}
		fputc('}', x->out);
	}
	fputc(']', x->out);
}

static void json_choice(const struct inspect *x, size_t i)
{
	const struct manifest *m = x->manifests[i];
	const struct selection *s = &x->choices.at[i];
	struct schema elements = manifest_schema;

	elements.rows++; /* the version stands first, there and here */
	elements.count--;
	fprintf(x->out, "{\"version\":");
	json_print(x->out, m->version);
	json_member(x->out, "board", s->board);
	json_member(x->out, "set", s->set);
	json_member(x->out, "mode", s->mode);
	json_rows(x, &elements, m);
	fprintf(x->out, ",\"hardware\":[");
	for (size_t k = 0; k < m->hardware.count; k++) {
		fputs(k ? "," : "", x->out);
		json_print(x->out, m->hardware.at[k]);
	}
	fprintf(x->out, "],\"entries\":[");
	for (size_t k = 0; k < m->entry_count; k++) {
		fputs(k ? "," : "", x->out);
		json_entry(x, &m->entries[k]);
	}
	fputc(']', x->out);
	json_vars(x, "bootenv", m->bootenv, m->bootenv_count);
	json_vars(x, "vars", m->vars, m->var_count);
	fputc('}', x->out);
}

static void print_json(const struct inspect *x)
{
	fprintf(x->out, "{\"v\":1,\"bundle\":");
	json_print(x->out, x->path);
	json_member(x->out, "signature", x->signature);
	json_member(x->out, "signer", x->signer[0] ? x->signer : NULL);
	fprintf(x->out, ",\"selections\":[");
	for (size_t i = 0; i < x->choices.count; i++) {
		fputs(i ? "," : "", x->out);
		json_choice(x, i);
	}
	fprintf(x->out, "],\"members\":[");
	for (size_t i = 0; i < x->member_count; i++) {
		fprintf(x->out, "%s{\"name\":", i ? "," : "");
		json_print(x->out, x->members[i].name);
		fprintf(x->out, ",\"size\":%" PRIu64 "}", x->members[i].size);
	}
	fprintf(x->out, "]}\n");
}

/* ------------------------------------------------------------------------------------------ */

static int print(struct inspect *x, bool json, char **text, struct err *e)
{
	size_t n;

	x->out = open_memstream(text, &n);
	if (!x->out)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the report");
	if (json)
		print_json(x);
	else
		print_text(x);
	if (text_close(x->out, text))
		return 0;
	return err_set(e, E_MEMORY, ENOMEM, "no memory for the report");
}

static void clear(struct inspect *x)
{
	for (size_t i = 0; x->manifests && i < x->choices.count; i++)
		manifest_free(x->manifests[i]);
	free(x->manifests);
	choices_clear(&x->choices);
	free(x->members);
	if (x->b)
		bundle_close(x->b);
}

int inspect_bundle(const char *path, bool json, char **text, struct err *e)
{
	AUTO_CLOSE int fd = build_open(path, E_IO, "the bundle", e);
	struct inspect x __attribute__((cleanup(clear))) = {.path = path};
	int rc;

	*text = NULL;
	if (fd < 0)
		return fd;
	rc = read_bundle(&x, fd, e);
	if (rc == 0)
		rc = print(&x, json, text, e);
	return err_at(e, rc, "%s", path);
}
