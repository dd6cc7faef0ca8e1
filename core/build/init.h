/*
 * An example project that builds, signs and installs as it is: a commented description, a payload
 * and a README with the commands.
 */
#ifndef CORE_BUILD_INIT_H
#define CORE_BUILD_INIT_H

#include <stdbool.h>

#include "corelib/base/err.h"

/* swupdate: set and mode chosen on the device, for both programs. Existing files are never touched
 */
int init_project(const char *folder, bool swupdate, struct err *e);

#endif
