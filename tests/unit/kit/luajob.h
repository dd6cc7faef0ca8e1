/* Whole jobs of a bundle with Lua code in its description and one image for the slot. */
#ifndef TESTS_UNIT_LUAJOB_H
#define TESTS_UNIT_LUAJOB_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/unit/kit/jobkit.h"

enum { LUAJOB_IMAGE = 100 * 1024 };

#define LUAJOB_OWN	"type = \"mine\"; properties = { anything = \"x\"; };"
#define LUAJOB_REGISTER "swupdate.register_handler('mine', "

/* LUAJOB_IMAGE bytes */
const uint8_t *luajob_image(void);
/*
 * Installs it from a file and from a pipe: 'lua' is the embedded script, 'more' stands in the
 * entry of the image. It must end with 'code'; 'written': the slot holds the image.
 */
void luajob_install(const char *lua, const char *more, enum errcode code, bool written);

#endif
