/* Boot environments that somebody else wrote: any bytes in the place of the block or the file. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "corelib/bootenv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char *const kinds[] = {"grub", "file"};
	struct bootenv_options o = {0};
	struct bootenv *b = NULL;
	struct envset all = {0};
	struct err e = {0};
	char path[64];
	int fd;

	if (n < 1)
		return 0;
	fd = memfd_create("env", 0);
	if (fd < 0 || write(fd, data + 1, n - 1) != (ssize_t)(n - 1))
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	o.kind = kinds[data[0] & 1];
	o.path = path;
	if (bootenv_open(&b, &o, &e) == 0) {
		struct envset change = {0};

		bootenv_load(b, &all, &e);
		err_clear(&e);
		if (envset_put(&change, "ustate", "1", &e) == 0)
			bootenv_check(b, &change, &e);
		envset_clear(&change);
		bootenv_close(b);
	}
	envset_clear(&all);
	close(fd);
	return 0;
}
