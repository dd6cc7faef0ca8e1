/* A thread with all signals blocked and a stack that small devices can spare. */
#include "corelib/base/thread.h"

#include <signal.h>

#define STACK (1024u * 1024)

int thread_start(pthread_t *t, void *(*run)(void *arg), void *arg, struct err *e)
{
	sigset_t all, old;
	pthread_attr_t attr;
	int rc = pthread_attr_init(&attr);

	if (rc != 0)
		return err_sys(e, E_MEMORY, rc, "preparing a thread");
	pthread_attr_setstacksize(&attr, STACK);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(t, &attr, run, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return rc == 0 ? 0 : err_sys(e, E_MEMORY, rc, "starting a thread");
}
