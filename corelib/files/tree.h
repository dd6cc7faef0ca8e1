/*
 * Files made of records, beneath one open folder; for archives, in the process that may write.
 *
 * Each part of a path is opened beneath the one before and no link is followed, whoever made it, so
 * nothing outside the folder is reached (T45). A later entry replaces an earlier one of its name as
 * tar does, but a folder stays a folder: E_ARCHIVE_PATH. Hard links lead only to what lies beneath
 * the folder. Nothing is flushed here, but for 'read_back'.
 *
 * Plain: files, folders and links, owned by this process; of the mode the permission bits, and
 * nobody but the owner may write, which is what the umask of existing installers leaves; nodes and
 * pipes are left out, attributes ignored. 'preserve': owner, the whole mode, times, extended
 * attributes and ACLs, nodes and pipes (T46).
 */
#ifndef CORELIB_TREE_H
#define CORELIB_TREE_H

#include "corelib/stream/records.h"

#define TREE_ENTRIES_MAX (1u << 20)
#define TREE_DEPTH_MAX	 128u

struct tree_options {
	bool preserve;
	bool read_back;	    /* each file is flushed and compared with the medium: E_VERIFY_WRITES */
	uint64_t max_bytes; /* of all files together: E_NO_SPACE */
	bool declared;	    /* max_bytes is what the description says: E_LIMIT_OUTPUT */
	/* the folder that all of it will be put into, or NULL: a folder that is there already, and
	 * that the archive does not dress, is made as it is there */
	const int *like;
	const char *const
		*closed; /* paths in the folder that no entry may touch: E_TARGET_PROTECTED */
	size_t closed_count;
};

/* what came out */
struct tree_count {
	uint64_t entries, bytes;
	uint64_t nodes_left_out; /* devices and pipes of a plain archive */
	uint64_t attrs_lost; /* entries whose attributes this file system (or the archive) cannot
				tell */
};

/* all records to their proven end; 'root' is lent */
int tree_write(int root, struct records *r, const struct tree_options *o, struct tree_count *n,
	       struct err *e);

#endif
