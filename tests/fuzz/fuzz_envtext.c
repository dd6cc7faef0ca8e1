/*
 * The file of variables that a bundle brings (handler bootenv), from any bytes to the boot
 * environment: the same in any chunks, written and read again the same, and what the check of the
 * environment promises, the commit keeps. The first byte is a set of flags (FLAG_...).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/bootenv/bootenv.h"
#include "handlers/handler.h"
#include "tests/fuzz/fuzzkit.h"
#include "tests/unit/kit/make_bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

extern const struct handler handler_bootenv;

enum { FLAG_KEEP = 1, FLAG_GRUB = 2 };

struct device {
	struct host h;
	struct envset own, set; /* of the description; of the file */
};

static int set_variable(struct host *h, const char *name, const char *value, struct err *e)
{
	struct device *d = (struct device *)h;

	if (!*name || strpbrk(name, "=\n") || strchr(" \t#", *name))
		fuzzkit_fail("no line has this name", name);
	if (value && (!*value || strchr(value, '\n')))
		fuzzkit_fail("no line has this value", value);
	return envset_put(&d->set, name, value, e);
}

static bool has_variable(struct host *h, const char *name)
{
	return envset_find(&((struct device *)h)->own, name) ||
	       envset_find(&((struct device *)h)->set, name);
}

static const struct host_ops ops = {.set_variable = set_variable, .has_variable = has_variable};

static int install(struct device *d, const void *text, size_t n, bool keep, size_t chunk)
{
	static const char *const yes = "true";
	const struct property prop = {"nooverride", &yes, 1};
	const struct entry t = {.filename = "vars", .props = &prop, .prop_count = keep};
	struct stream *in = make_pipe_stream(text, n, chunk);
	struct step st = {.entry = &t, .host = &d->h};
	struct err e = {0};
	int rc;

	*d = (struct device){.h.ops = &ops};
	if (envset_put(&d->own, "boot_slot", "b", &e) < 0)
		abort();
	rc = handler_bootenv.install(&st, in, &e);
	if (rc < 0 && e.code != E_ENV_NAME && e.code != E_ENV_BIG)
		fuzzkit_fail("it failed with another reason", e.why);
	if (keep && envset_find(&d->set, "boot_slot"))
		fuzzkit_fail("it took a variable of the description", NULL);
	stream_close(in);
	return rc;
}

static void clear(struct device *d)
{
	envset_clear(&d->own);
	envset_clear(&d->set);
}

static void expect_same(const struct envset *a, const struct envset *b, const char *when)
{
	for (size_t i = 0; i < a->count; i++) {
		const struct envvar *x = envset_find(a, a->vars[i].name);
		const struct envvar *y = envset_find(b, a->vars[i].name);

		if (!y || !x->value != !y->value || (x->value && strcmp(x->value, y->value) != 0))
			fuzzkit_fail(when, x->name);
	}
	if (a->count != b->count)
		fuzzkit_fail(when, "another number of variables");
}

/* its variables as a text; false where one of them ends as a line of DOS */
static bool write_text(const struct envset *s, char **text, size_t *n)
{
	FILE *f = open_memstream(text, n);
	bool plain = true;

	for (size_t i = 0; i < s->count; i++) {
		const char *value = s->vars[i].value ? s->vars[i].value : "";

		fprintf(f, "%s=%s\n", s->vars[i].name, value);
		plain = plain && (!*value || value[strlen(value) - 1] != '\r');
	}
	fclose(f);
	return plain;
}

static void try_again(const struct device *d)
{
	struct device again;
	char *text = NULL;
	size_t n;

	if (write_text(&d->set, &text, &n)) {
		if (install(&again, text, n, false, 1 << 20) < 0)
			fuzzkit_fail("what was read cannot be read again", text);
		expect_same(&d->set, &again.set, "read again, it means something else");
		clear(&again);
	}
	free(text);
}

static void write_env(const char *kind)
{
	static const char head[] = "# GRUB Environment Block\n";
	char block[1024];

	if (*kind == 'f') {
		fuzzkit_write("env", "boot_slot=a\n", 12);
		return;
	}
	memset(block, '#', sizeof(block));
	memcpy(block, head, sizeof(head) - 1);
	fuzzkit_write("env", block, sizeof(block));
}

static void commit(const struct device *d, const char *kind)
{
	const struct bootenv_options o = {.kind = kind, .path = fuzzkit_path("env")};
	struct bootenv *b = NULL;
	struct envset now = {0};
	struct err e = {0};

	write_env(kind);
	if (bootenv_open(&b, &o, &e) < 0)
		fuzzkit_fail("no environment", e.why);
	if (bootenv_check(b, &d->set, &e) == 0) {
		if (bootenv_commit(b, &d->set, &e) < 0 || bootenv_load(b, &now, &e) < 0)
			fuzzkit_fail("the check promised more than the write keeps", e.why);
		for (size_t i = 0; i < d->set.count; i++) {
			const struct envvar *v = envset_find(&d->set, d->set.vars[i].name);
			const struct envvar *is = envset_find(&now, v->name);

			if (!v->value != !is || (is && strcmp(is->value, v->value) != 0))
				fuzzkit_fail("written, and it reads as something else", v->name);
		}
	}
	envset_clear(&now);
	bootenv_close(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct device one, two;
	bool keep;
	int rc;

	if (n < 1 || n > 65536)
		return 0;
	keep = data[0] & FLAG_KEEP;
	fuzzkit_folder();
	fuzzkit_drop();
	rc = install(&one, data + 1, n - 1, keep, 1 << 20);
	if (rc != install(&two, data + 1, n - 1, keep, 7))
		fuzzkit_fail("the chunks changed the meaning", NULL);
	expect_same(&one.set, &two.set, "the chunks changed the meaning");
	if (rc == 0) {
		try_again(&one);
		commit(&one, data[0] & FLAG_GRUB ? "grub" : "file");
	}
	clear(&one);
	clear(&two);
	fuzzkit_expect_closed();
	fuzzkit_regain();
	return 0;
}
