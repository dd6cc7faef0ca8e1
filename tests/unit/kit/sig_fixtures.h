/* Keys, certificates and signatures made by the openssl program (sig_fixtures.sh), for several
 * tests. */
#ifndef TESTS_SIG_FIXTURES_H
#define TESTS_SIG_FIXTURES_H

#include <stddef.h>
#include <stdint.h>

struct sig_fixtures {
	char dir[64];
};
struct sig_blob {
	uint8_t at[32 * 1024];
	size_t n;
};

int sig_fixtures_make(struct sig_fixtures *f); /* 0, or what the script ended with */
void sig_fixtures_remove(struct sig_fixtures *f);
struct sig_blob sig_fixture(const struct sig_fixtures *f,
			    const char *name); /* aborts when absent */

#endif
