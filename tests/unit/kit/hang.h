/* A guard against what would never end; no measure: a busy machine takes its time. */
#ifndef TESTS_UNIT_HANG_H
#define TESTS_UNIT_HANG_H

enum { HANG_MS = 50000 };

#endif
