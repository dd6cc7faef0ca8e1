/* A lock folder of this test program alone. */
#ifndef TESTS_UNIT_OWN_LOCKS_H
#define TESTS_UNIT_OWN_LOCKS_H

/*
 * /var/lock, where libubootenv has its lock, becomes an empty folder that no other process sees:
 * neither a missing /run/lock nor a test beside this one matters. Where that is not allowed all
 * stays as it is.
 */
void own_locks(void);

#endif
