#include "corelib/device/mountinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define TEXT_MAX (8u * 1024 * 1024)

int mountinfo_dev(const char *text, dev_t *dev)
{
	char *colon, *end;
	unsigned long ma = strtoul(text, &colon, 10), mi;

	if (colon == text || *colon != ':')
		return -EPROTO;
	mi = strtoul(colon + 1, &end, 10);
	if (end == colon + 1)
		return -EPROTO;
	*dev = makedev((unsigned)ma, (unsigned)mi);
	return 0;
}

void mountinfo_unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (*s == '\\' && strspn(s + 1, "01234567") >= 3) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

/* ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAGS] - TYPE SOURCE SUPER-OPTIONS; the point goes to
 * 'plain', which has room for the whole line */
static bool parse(char *line, char *plain, struct mountinfo *m)
{
	char *word[5], *tail = strstr(line, " - "), *type, *source;

	if (!tail)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(word); i++) {
		word[i] = strsep(&line, " ");
		if (!line)
			return false;
	}
	tail += strlen(" - ");
	type = strsep(&tail, " ");
	source = strsep(&tail, " ");
	if (line > type || !source || mountinfo_dev(word[2], &m->dev) < 0)
		return false;
	memcpy(plain, word[4], strlen(word[4]) + 1);
	mountinfo_unescape(plain);
	mountinfo_unescape(source);
	m->id = (int)strtol(word[0], NULL, 10);
	m->point = plain;
	m->point_text = word[4];
	m->source = source;
	m->type = type;
	return true;
}

static int read_text(struct mountinfo_list *l)
{
	char path[512];
	size_t len, lines = 1;
	int rc = sys_path("/proc/self/mountinfo", path, sizeof(path));

	if (rc == 0)
		rc = sys_read_file(AT_FDCWD, path, TEXT_MAX, &l->text, &len);
	if (rc < 0)
		return rc;
	for (const char *p = l->text; *p; p++)
		lines += *p == '\n';
	l->points = malloc(len + 1);
	l->at = calloc(lines, sizeof(*l->at));
	return l->points && l->at ? 0 : -ENOMEM;
}

int mountinfo_read(struct mountinfo_list *l)
{
	*l = (struct mountinfo_list){0};
	int rc = read_text(l);
	char *plain = l->points;

	if (rc < 0) {
		mountinfo_clear(l);
		return rc;
	}
	for (char *rest = l->text; rest;) {
		char *line = strsep(&rest, "\n");
		size_t room = strlen(line) + 1;

		if (parse(line, plain, &l->at[l->count])) {
			plain += room;
			l->count++;
		} else {
			l->unread += room > 1;
		}
	}
	return 0;
}

void mountinfo_clear(struct mountinfo_list *l)
{
	free(l->text);
	free(l->points);
	free(l->at);
	*l = (struct mountinfo_list){0};
}
