/* From a configuration file and a command line to settings. */
#include "core/cli/configure.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/remarks.h"
#include "corelib/base/arena.h"
#include "corelib/base/log.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define CONFIG_MAX (1024u * 1024)

static const char our_file[] = "/etc/swinstall.cfg", their_file[] = "/etc/swupdate.cfg";

static bool is_named(const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');

	return strcmp(slash ? slash + 1 : path, name) == 0;
}

bool configure_is_compat(const char *argv0)
{
	return is_named(argv0, "swupdate");
}

static bool is_there(const char *file)
{
	char path[512];

	return sys_path(file, path, sizeof(path)) == 0 && faccessat(AT_FDCWD, path, F_OK, 0) == 0;
}

/* NULL: there is none */
static const char *choose(const struct configure *c, bool *compat)
{
	/* a configuration means the same whether it was found or named */
	*compat = c->compat || (c->file && is_named(c->file, "swupdate.cfg"));
	if (c->file)
		return c->file;
	if (!c->compat && is_there(our_file))
		return our_file;
	*compat = is_there(their_file);
	return *compat ? their_file : NULL;
}

/* only the places of our own choice move with the root of the tests */
static int place_of(const struct configure *c, const char *file, char *path, size_t n,
		    struct err *e)
{
	int rc = c->file ? text_copy(path, n, file) : sys_path(file, path, n);

	return rc < 0 ? err_set(e, E_CONFIG, -rc, "the name of the file is too long") : 0;
}

static int read_file(struct settings *s, const struct configure *c, const char *file, struct err *e)
{
	AUTO_FREE char *text = NULL;
	struct remarks remarks = {.about = file};
	char path[4096];
	size_t n;
	int rc = place_of(c, file, path, sizeof(path), e);

	if (rc < 0)
		return rc;
	rc = sys_read_safe_file(path, CONFIG_MAX, &text, &n);
	if (rc == -EPERM) {
		rc = err_set(e, E_CONFIG, EPERM,
			     "others than root (or you) can change it, or a folder above it");
		err_fix(e, "chown root %s; chmod go-w %s, and the same for its folders", file,
			file);
		return rc;
	}
	if (rc < 0) {
		rc = err_set(e, E_CONFIG, -rc, "it cannot be read: %s", strerror(-rc));
		err_fix(e, "check the name, and who may read it");
		return rc;
	}
	s->file = arena_strndup(s->arena, file, strlen(file));
	rc = settings_parse(s, text, n, remarks_note, &remarks, e);
	remarks_end(&remarks);
	return rc;
}

static int no_file(bool compat, struct err *e)
{
	int rc = compat ? err_set(e, E_CONFIG, ENOENT, "there is no %s", their_file)
			: err_set(e, E_CONFIG, ENOENT, "there is neither %s nor %s", our_file,
				  their_file);

	err_fix(e,
		"write %s (doc/start.md shows one), name another file with -f, or give the key "
		"of those who sign with -k",
		compat ? their_file : our_file);
	return rc;
}

static int find_and_read(struct settings *s, const struct configure *c, struct err *e)
{
	bool compat;
	const char *file = choose(c, &compat);
	int rc;

	s->compat = compat;
	s->as_swupdate = c->compat;
	if (!file && c->may_lack)
		return 0;
	if (!file)
		return no_file(c->compat, e);
	rc = read_file(s, c, file, e);
	return s->file ? rc : err_at(e, rc, "%s", file); /* the parser names it itself */
}

/* "board:revision" */
static int take_board(struct settings *s, const char *text, struct err *e)
{
	const char *colon = strchr(text, ':');

	if (!colon || colon == text || !colon[1])
		return err_set(e, E_USAGE, EINVAL, "-H takes BOARD:REVISION, not '%s'", text);
	s->board = arena_strndup(s->arena, text, (size_t)(colon - text));
	s->revision = arena_strndup(s->arena, colon + 1, strlen(colon + 1));
	if (!s->board || !s->revision)
		return err_set(e, E_MEMORY, ENOMEM, "a name of the board");
	return 0;
}

static bool is_selection(const char *text)
{
	const char *comma = strchr(text, ',');

	return comma && comma != text && comma[1] && !strchr(comma + 1, ',');
}

static int check_selection(const struct settings *s, struct err *e)
{
	const struct strings *accepted = &s->accepted_select;

	if (!s->select || strcmp(s->select, "auto") == 0) /* then the list slots names it */
		return 0;
	if (!is_selection(s->select))
		return err_set(e, E_SELECT, EINVAL, "'%s' is not of the form SET,MODE", s->select);
	for (size_t i = 0; i < accepted->count; i++)
		if (strcmp(accepted->at[i], s->select) == 0)
			return 0;
	if (accepted->count == 0)
		return 0;
	return err_set(e, E_SELECT, EPERM,
		       "'%s' is not among the selections that this device accepts", s->select);
}

static int overlay(struct settings *s, const struct configure *c, struct err *e)
{
	int rc = 0;

	if (c->options)
		rc = options_apply(c->options, INTO_SETTINGS, s, s->arena, e);
	if (rc == 0 && c->board)
		rc = take_board(s, c->board, e);
	if (rc == 0)
		rc = check_selection(s, e);
	return err_while(e, rc, "reading the command line");
}

int configure(struct settings **out, const struct configure *c, struct err *e)
{
	struct settings *s = NULL;
	int rc = settings_new(&s, e);

	if (rc == 0)
		rc = err_while(e, find_and_read(s, c, e), "reading the configuration");
	if (rc == 0)
		rc = overlay(s, c, e);
	if (rc < 0) {
		settings_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

static enum log_level log_level_of(int64_t n)
{
	if (n < LOG_LEVEL_ERROR)
		return LOG_LEVEL_ERROR;
	return n > LOG_LEVEL_TRACE ? LOG_LEVEL_TRACE : (enum log_level)n;
}

enum output configure_output(bool json, bool compat)
{
	if (json)
		return OUTPUT_JSON;
	if (!isatty(STDERR_FILENO) || (compat && !isatty(STDOUT_FILENO)))
		return OUTPUT_LINES;
	return OUTPUT_TERMINAL;
}

void configure_log(const struct settings *s, int fd, enum output output)
{
	bool terminal = output == OUTPUT_TERMINAL;
	struct log_config l = {.level = LOG_LEVEL_INFO,
			       .syslog = s->syslog,
			       .fd = fd,
			       .terminal = terminal,
			       .swupdate = s->as_swupdate};

	if (s->as_swupdate && output == OUTPUT_LINES)
		l.info_fd = STDOUT_FILENO;
	if (terminal) /* the bar tells what the lines would */
		l.level = LOG_LEVEL_WARN;
	if (s->has_loglevel)
		l.level = log_level_of(s->loglevel);
	if (s->verbose)
		l.level = LOG_LEVEL_TRACE;
	log_init(&l);
}
