/*
 * The nature of files and folders: owner, mode, attributes.
 *
 * Descriptors are open for reading. 0 or -errno. A file system without attributes or ACLs is no
 * failure.
 */
#ifndef CORELIB_NATURE_H
#define CORELIB_NATURE_H

#include <stdbool.h>

/* owner, mode and all attributes, for what takes the place of 'from'; not those that speak about
 * its content */
int nature_copy(int from, int to);

/* owner, mode and ACLs of a folder that stays; its label and what others noted on it stay too */
int nature_of_folder_copy(int from, int to);
/* 1 = the same owner, mode and ACLs, 0 = not */
int nature_of_folder_same(int a, int b);

#endif
