/* What the module `swupdate` tells full states of files and devices. */
#include "corelib/lua/luavm_private.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mmc/ioctl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

/* nil and "what: why" */
static int failed(lua_State *L, const char *what, int error)
{
	lua_pushnil(L);
	lua_pushfstring(L, "%s: %s", what, strerror(error));
	return 2;
}

static void set_text(lua_State *L, const char *key, const char *value)
{
	lua_pushstring(L, value);
	lua_setfield(L, -2, key);
}

static void set_number(lua_State *L, const char *key, uint64_t value)
{
	lua_pushinteger(L, (lua_Integer)value);
	lua_setfield(L, -2, key);
}

/* ---- stat ---- */

static const char *kind_name(mode_t mode)
{
	static const char *const names[] = {
		[S_IFSOCK >> 12] = "socket",	  [S_IFLNK >> 12] = "link",
		[S_IFREG >> 12] = "regular file", [S_IFBLK >> 12] = "block device",
		[S_IFDIR >> 12] = "directory",	  [S_IFCHR >> 12] = "char device",
		[S_IFIFO >> 12] = "named pipe",
	};
	const char *name =
		names[(mode & S_IFMT) >> 12 < ARRAY_SIZE(names) ? (mode & S_IFMT) >> 12 : 0];

	return name ? name : "unknown";
}

static void set_device(lua_State *L, const char *key, dev_t dev)
{
	lua_createtable(L, 0, 2);
	set_number(L, "major", major(dev));
	set_number(L, "minor", minor(dev));
	lua_setfield(L, -2, key);
}

static void set_time(lua_State *L, const char *key, time_t t)
{
	char text[64];
	struct tm tm;

	if (!localtime_r(&t, &tm) || !strftime(text, sizeof(text), "%a %b %e %H:%M:%S %Y", &tm))
		*text = '\0';
	set_text(L, key, text);
}

static void set_permissions(lua_State *L, mode_t mode)
{
	char text[] = "rwxrwxrwx";

	for (unsigned i = 0; i < 9; i++)
		if (!(mode & (0400u >> i)))
			text[i] = '-';
	set_text(L, "permissions", text);
}

int luasystem_stat(lua_State *L)
{
	const char *path = luaL_checkstring(L, 1);
	struct stat st;

	if (stat(path, &st) < 0)
		return failed(L, path, errno);
	lua_createtable(L, 0, 14);
	set_text(L, "mode", kind_name(st.st_mode));
	set_permissions(L, st.st_mode);
	set_device(L, "dev", st.st_dev);
	set_device(L, "rdev", st.st_rdev);
	set_number(L, "ino", st.st_ino);
	set_number(L, "nlink", st.st_nlink);
	set_number(L, "uid", st.st_uid);
	set_number(L, "gid", st.st_gid);
	set_number(L, "size", (uint64_t)st.st_size);
	set_number(L, "blocks", (uint64_t)st.st_blocks);
	set_number(L, "blksize", (uint64_t)st.st_blksize);
	set_time(L, "access", st.st_atime);
	set_time(L, "modification", st.st_mtime);
	set_time(L, "change", st.st_ctime);
	return 1;
}

/* ---- the boot partition of an eMMC ---- */

enum { SEND_EXT_CSD = 8, EXT_CSD_BYTES = 512, PARTITION_CONFIG = 179 };
/* a data block comes back, with a response of kind 1: the kernel has no public names for these */
enum { MMC_FLAGS = 1u << 0 | 1u << 2 | 1u << 4 | 1u << 5 };

static int read_ext_csd(const char *device, uint8_t *bytes)
{
	AUTO_CLOSE int fd = sys_openat(AT_FDCWD, device, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0);
	struct mmc_ioc_cmd c = {
		.opcode = SEND_EXT_CSD,
		.flags = MMC_FLAGS,
		.blksz = EXT_CSD_BYTES,
		.blocks = 1,
	};

	if (fd < 0)
		return fd;
	mmc_ioc_cmd_set_data(c, bytes);
	return ioctl(fd, MMC_IOC_CMD, &c) < 0 ? -errno : 0;
}

/* 0: mmcblkXboot0, 1: mmcblkXboot1; -1 when none is chosen, and with a text on an error */
int luasystem_emmcbootpart(lua_State *L)
{
	const char *device = luaL_checkstring(L, 1);
	uint8_t bytes[EXT_CSD_BYTES];
	int rc;

	rc = read_ext_csd(device, bytes);
	if (rc == 0) {
		lua_pushinteger(L, (bytes[PARTITION_CONFIG] >> 3 & 7) - 1);
		return 1;
	}
	lua_pushinteger(L, -1);
	lua_pushfstring(L, "%s: %s", device, strerror(-rc));
	return 2;
}
