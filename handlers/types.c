/* The handlers that the format has, here or elsewhere: what a description may name. */
#include <string.h>

#include "corelib/base/text.h"
#include "handlers/handler.h"

/* clang-format off */
static const struct handler_type table[] = {
	{ "raw", "a payload to a block device" },
	{ "rawfile", "one file" },
	{ "archive", "an archive unpacked into a folder" },
	{ "tar", "the same as archive" },
	{ "flash", "a payload to MTD flash" },
	{ "flash-hamming1", "MTD flash with the Hamming code of some boot ROMs" },
	{ "ubivol", "a payload to a UBI volume" },
	{ "ubipartition", "make, resize or remove a UBI volume" },
	{ "ubiswap", "swap the names of UBI volumes" },
	{ "uboot", "boot variables from a text file" },
	{ "bootloader", "boot variables from a text file" },
	{ "bootenv", "boot variables from a text file" },
	{ "lua", "a Lua script of the bundle" },
	{ "shellscript", "a program of the bundle, in every phase" },
	{ "preinstall", "a program of the bundle, before the images" },
	{ "postinstall", "a program of the bundle, after the images" },
	{ "diskpart", "a partition table and file systems" },
	{ "toggleboot", "move the active flag of a DOS partition table" },
	{ "gptswap", "swap the names of GPT partitions" },
	{ "gptpart", "a payload to a GPT partition by its name" },
	{ "diskformat", "make a file system" },
	{ "uniqueuuid", "refuse when a file system's UUID is there already" },
	{ "btrfs", "make or delete a btrfs subvolume" },
	{ "btrfs-receive", "a btrfs stream" },
	{ "executor", "a payload to the standard input of a program" },
	{ "copy", "files or a device copied on the device itself" },
	{ "rawcopy", "a device copied on the device itself" },
	{ "docker_imageload", "a container image" },
	{ "docker_imagedelete", "delete a container image" },
	{ "docker_imageprune", "delete unused container images" },
	{ "docker_containercreate", "create a container" },
	{ "docker_containerdelete", "delete a container" },
	{ "docker_containerstart", "start a container" },
	{ "docker_networkcreate", "create a container network" },
	{ "docker_networkdelete", "delete a container network" },
	{ "docker_volumecreate", "create a container volume" },
	{ "docker_volumedelete", "delete a container volume" },
	{ "delta", "a payload of which only changed chunks are fetched" },
	{ "rdiff_image", "a binary patch of a device" },
	{ "rdiff_file", "a binary patch of a file" },
	{ "remote", "a payload to another program over a socket" },
	{ "swuforward", "a bundle passed on to other units" },
	{ "ucfw", "firmware of a microcontroller over a serial line" },
	{ "ssblswitch", "choose the second-stage boot loader" },
	{ "emmc_boot", "choose the boot partition of an eMMC" },
	{ "emmc_boot_toggle", "switch to the other boot partition of an eMMC" },
	{ "readback", "read a device and compare its hash" },
	{ "dummy", "a payload read and thrown away" },
};
/* clang-format on */

const struct handler_type *handler_type_at(size_t i)
{
	return i < ARRAY_SIZE(table) ? table + i : NULL;
}

const struct handler_type *handler_type_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (strcmp(table[i].name, name) == 0)
			return table + i;
	return NULL;
}
