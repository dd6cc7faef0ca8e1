/* `swctl status` and `swctl history` for people. */
#ifndef CLI_DEVICE_TEXT_H
#define CLI_DEVICE_TEXT_H

#include "core/state/device.h"

/* malloc'ed, NULL without memory */
char *device_text(const struct device *d);
char *device_history_text(const struct status *list, size_t count);

#endif
