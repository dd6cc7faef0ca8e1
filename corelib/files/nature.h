/*
 * The nature of files and folders: owner, mode, attributes.
 *
 * Descriptors are open for reading. 0 or -errno. A file system without attributes or ACLs is no
 * failure.
 */
#ifndef CORELIB_NATURE_H
#define CORELIB_NATURE_H

#include <stdbool.h>

/* Gives 'to', which takes the place of 'from', its owner, mode and all attributes but those that
 * speak about its content (IMA, EVM). */
int nature_copy(int from, int to);

/* Gives the folder 'to', which stays, owner, mode and ACLs of 'from'; its label and what other
 * programs noted on it stay as they are. */
int nature_of_folder_copy(int from, int to);
/* 1 = the same owner, mode and ACLs, 0 = not */
int nature_of_folder_same(int a, int b);

#endif
