/* swbundle lint: findings in the form of compilers, so that editors can jump to them. */
#include <stdio.h>

#include "core/build/lint.h"
#include "core/build/variables.h"
#include "core/cli/swbundle_commands.h"

static void print(void *arg, const struct lint_finding *f)
{
	printf("%s:%u: %s: %s\n", (const char *)arg, f->line, f->error ? "error" : "warning",
	       f->text);
}

static const char *more(unsigned n)
{
	return n == 1 ? "" : "s";
}

/* the findings have told what is wrong and where: what is left is how many, and what to do */
static int conclude(const struct swbundle_cli *c, const struct lint_result *r, struct err *e)
{
	int rc;

	if (!r->errors && !(c->strict && r->warnings))
		return 0;
	(void)fflush(stdout); /* in one file with the errors it stands above them */
	rc = err_set(e, E_DESC_VALUE, 0, "%u error%s and %u warning%s; each is a line above",
		     r->errors, more(r->errors), r->warnings, more(r->warnings));
	err_fix(e, "correct the lines that are named and run swbundle lint again%s",
		r->errors ? "" : "; without --strict warnings are no failure");
	return err_while(e, err_at(e, rc, "%s", c->word), "the description has findings");
}

int swbundle_lint(const struct swbundle_cli *c, struct err *e)
{
	struct variables v __attribute__((cleanup(variables_clear))) = {0};
	const struct template_vars vars = {.find = variables_find, .arg = &v};
	struct target t __attribute__((cleanup(target_close))) = {0};
	const struct lint_options o = {.finished = c->finished,
				       .vars = &vars,
				       .target = &t,
				       .found = print,
				       .arg = (void *)c->word};
	struct lint_result r = {0};
	int rc = variables_open(&v, c->vars, true, e);

	if (rc == 0)
		rc = target_open(&t, c->target, e);
	if (rc == 0)
		rc = lint_file(&r, c->word, &o, e);
	if (rc < 0)
		return rc;
	printf("%s: %u errors, %u warnings\n", c->word, r.errors, r.warnings);
	return conclude(c, &r, e);
}
