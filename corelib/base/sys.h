/*
 * The seam to the outside: time, randomness, environment, the file system's root.
 *
 * Every write that a power cut may tear, every flush and every rename of the product
 * goes through these calls, so that the tests can record, cut and fail them
 * (linker --wrap, or a preloaded library: they are plain libc calls inside).
 * They hide EINTR and short counts and nothing else: all return >= 0 or -errno.
 */
#ifndef CORELIB_SYS_H
#define CORELIB_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* whole reads and writes: the count read (short only at the end of file), or -errno */
ssize_t sys_read(int fd, void *buf, size_t n);
ssize_t sys_pread(int fd, void *buf, size_t n, uint64_t off);
int sys_write(int fd, const void *buf, size_t n); /* all of n, or -errno */
int sys_pwrite(int fd, const void *buf, size_t n, uint64_t off);
int sys_fsync(int fd);
int sys_fdatasync(int fd);
int sys_syncfs(int fd);

/* names; dirfd may be AT_FDCWD */
int sys_openat(int dirfd, const char *path, int flags, unsigned mode);
/* the call of Linux 5.6 that says how a path may be walked (RESOLVE_*); -ENOSYS before */
int sys_openat2(int dirfd, const char *path, int flags, uint64_t resolve);
int sys_renameat(int olddir, const char *old, int newdir, const char *new, unsigned flags);
int sys_linkat(int olddir, const char *old, int newdir, const char *new, int flags);
int sys_unlinkat(int dirfd, const char *path, int flags);
int sys_mkdirat(int dirfd, const char *path, unsigned mode);
int sys_symlinkat(const char *target, int dirfd, const char *path);
int sys_mknodat(int dirfd, const char *path, unsigned mode, dev_t dev);
int sys_fchmod(int fd, unsigned mode);
int sys_fchown(int fd, uint32_t uid, uint32_t gid);
int sys_ftruncate(int fd, uint64_t size);
int sys_fallocate(int fd, int mode, uint64_t off, uint64_t len);
/* flags as mount(2) and umount2(2) have them; only root may */
int sys_mount(const char *source, const char *point, const char *type, unsigned long flags);
int sys_umount(const char *point, int flags);
/* this descriptor and all above it; also in a child of fork() */
void sys_close_from(unsigned first);
int sys_close(int *fd); /* closes once, sets -1; returns the error of close */

/* the whole of a small file: n bytes at most (one more is -EFBIG); *buf is malloc'ed, NUL added */
int sys_read_file(int dirfd, const char *path, size_t max, char **buf, size_t *len);
/* the same of one that only root (or we) can change: -EPERM otherwise. What was judged is read */
int sys_read_safe_file(const char *path, size_t max, char **buf, size_t *len);

/*
 * Replace a file: temporary file beside it, fsync, rename, fsync of the folder.
 * mode applies to a new file; an existing one keeps mode and owner.
 */
int sys_replace_file(const char *path, const void *buf, size_t n, unsigned mode);

/* text to a terminal, pipe or log that another party owns: waits at most ms in all, drops the rest.
 * 0 = all written, 1 = something dropped, -errno */
int sys_write_polite(int fd, const char *buf, size_t n, unsigned ms);

/* clocks: milliseconds since boot; seconds since 1970 */
uint64_t sys_now_ms(void);
int64_t sys_now_real(void);

int sys_random(void *buf, size_t n);

/* less than 128 MiB of memory in all: buffers are chosen smaller */
bool sys_is_small(void);

/*
 * /proc, /sys, /dev and /etc as the program sees them. Tests put a folder in front;
 * the product never sets it. path is absolute; out has room for n bytes.
 */
void sys_set_root(const char *root);
int sys_path(const char *path, char *out, size_t n);

/*
 * What a program started by root must do before anything else: 0, 1 and 2 are open, nothing
 * else is; umask 077; signals at their defaults; working directory '/' unless keep_cwd; the
 * environment holds only what the manual lists (T60, T61). TMPDIR, RUNTIME_DIRECTORY and LUA_PATH
 * stay only where the folder is safe.
 */
int sys_harden(bool keep_cwd);

/* true when only root (or we) can change what the path leads to: each parent, sticky counts as safe
 */
bool sys_path_is_safe(const char *path);

#endif
