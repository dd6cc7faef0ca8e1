/*
 * Remarks of a parser on their way to the log: the first few of them, then how many more there
 * were, so that no text can fill the log (T31).
 */
#ifndef CORE_REMARKS_H
#define CORE_REMARKS_H

#define REMARKS_MAX 20

struct remarks {
	void (*note)(void *arg, const char *text);
	void *arg;
	unsigned long count;
};

void remarks_note(void *remarks, const char *text);
void remarks_end(struct remarks *r); /* "and N more": once, after the last */

#endif
