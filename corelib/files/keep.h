/*
 * A file that is about to be replaced keeps a second name; from there it comes back.
 *
 * No file is moved aside: a move between two folders is two changes on the medium, and POSIX does
 * not promise that a power cut keeps both or none. The second name is a link, or a flushed copy on
 * a file system without links (FAT), and it is still there after the file was brought back, so that
 * all of it can be done again.
 */
#ifndef CORELIB_KEEP_H
#define CORELIB_KEEP_H

/* the file 'name' gets the name 'as' in the folder 'to', where no such name is; the folder is not
 * flushed. A copy is content, owner, mode, attributes and times of a file, or a link's target;
 * other things without a second name fail with the error of the link. 0 or -errno */
int keep_file(int from, const char *name, int to, const char *as);
/* 'name' in the folder 'to' becomes the kept file, in one move; 'kept' stays. 0 or -errno */
int keep_put_back(int from, const char *kept, int to, const char *name);
/* 1 = two names of one file, 0 = not, or one of them is not there, -errno */
int keep_is_same(int a, const char *name, int b, const char *other);

#endif
