/* `swctl status` for people. */
#ifndef CLI_DEVICE_TEXT_H
#define CLI_DEVICE_TEXT_H

#include "core/state/device.h"

/* malloc'ed, NULL without memory */
char *device_text(const struct device *d);

#endif
