/*
 * Threads, for the stages that run their upstream ahead or hash in parallel; nobody else starts
 * any. All signals stay with the main thread.
 */
#ifndef CORELIB_THREAD_H
#define CORELIB_THREAD_H

#include <pthread.h>

#include "corelib/base/err.h"

int thread_start(pthread_t *t, void *(*run)(void *arg), void *arg, struct err *e);

#endif
