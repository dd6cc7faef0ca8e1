#include "tests/unit/kit/luajob.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/unit/kit/fake_stream.h"

const uint8_t *luajob_image(void)
{
	static uint8_t image[LUAJOB_IMAGE];

	fake_bytes(image, sizeof(image), 3);
	return image;
}

void luajob_install(const char *lua, const char *more, enum errcode code, bool written)
{
	const struct jobkit_part part = {"rootfs.img", luajob_image(), LUAJOB_IMAGE};
	struct jobkit k;
	char text[4096];

	snprintf(
		text, sizeof(text),
		"software = {\nversion = \"2.0\";\nembedded-script = \"%s\";\nimages: ( { filename = "
		"\"rootfs.img\"; slot = \"rootfs\"; sha256 = \"@rootfs.img@\"; %s } );\n};\n",
		lua, more);
	for (int pipe = 0; pipe < 2; pipe++) {
		int rc;

		jobkit_make(&k, "file");
		jobkit_bundle(&k, text, &part, 1);
		rc = pipe ? jobkit_install_pipe(&k, JOB_INSTALL) : jobkit_install(&k, JOB_INSTALL);
		if (k.e.code != code)
			fail_msg("%s: %d %s (%s)", lua, rc, k.e.why, k.e.where);
		assert_int_equal(rc < 0, code != E_NONE);
		assert_true(jobkit_holds(k.slot[1], luajob_image(), LUAJOB_IMAGE) == written);
		/* an entry that names the slot takes it, whoever writes */
		assert_string_equal(jobkit_var(&k, "boot_slot"), code ? "a" : "b");
		assert_int_equal(jobkit_leftovers(&k), 0);
		jobkit_remove(&k);
	}
}
