#include "core/build/init.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

struct example {
	const char *name, *text;
};

#define HEAD                                                                                       \
	"# What a release puts where. `swbundle lint sw-description` finds mistakes,\n"            \
	"# `swbundle build` adds sizes and hashes and signs it.\n"                                 \
	"software = {\n"                                                                           \
	"\tversion = \"1.0.0\";\n"                                                                 \
	"\tdescription = \"an example\";\n"                                                        \
	"\n"                                                                                       \
	"\t# Boards that this release fits; a device says what it is with -H or in /etc/hwrevision.\n"

static const struct example own[] = {
	{"sw-description",
	 HEAD "\thardware-compatibility: [ \"1.0\", \"#RE:^1\\\\.[0-9]+$\" ];\n"
	      "\n"
	      "\timages: (\n"
	      "\t\t{\n"
	      "\t\t\tfilename = \"rootfs.img\";\n"
	      "\t\t\tslot = \"rootfs\";\t# the slot of this role that does not run now\n"
	      "\t\t\tcompressed = \"zstd\";\t# swbundle compresses it\n"
	      "\t\t}\n"
	      "\t);\n"
	      "\n"
	      "\t# files: ({ filename = \"app.conf\"; path = \"/data/app.conf\"; });\n"
	      "};\n"},
	{"README",
	 "An update for devices with slots.\n"
	 "\n"
	 "  1. a key, once; keep keys/swinstall.key.pem on the build machine:\n"
	 "     swbundle keygen --dir keys\n"
	 "  2. the bundle (replace rootfs.img by your image first):\n"
	 "     swbundle build sw-description --key keys/swinstall.key.pem --cert keys/swinstall.cert.pem -o update.swu\n"
	 "  3. on the device, which has keys/swinstall.cert.pem as public-key-file and its slots in /etc/swinstall.cfg:\n"
	 "     swinstall update.swu\n"},
	{"rootfs.img", "release 1.0.0: put the image of a root file system here\n"},
};

static const struct example shared[] = {
	{"sw-description", HEAD
	 "\thardware-compatibility: [ \"1.0\" ];\n"
	 "\n"
	 "\t# The device names the copy that does not run: -e stable,copy1 or -e stable,copy2;\n"
	 "\t# swinstall finds it by itself with select = \"auto\" (see README).\n"
	 "\tstable = {\n"
	 "\t\tcopy1 = {\n"
	 "\t\t\timages: ({ filename = \"rootfs.img\"; type = \"raw\"; device = \"@@DEVICE1@@\"; });\n"
	 "\t\t};\n"
	 "\t\tcopy2 = {\n"
	 "\t\t\timages: ({ filename = \"rootfs.img\"; type = \"raw\"; device = \"@@DEVICE2@@\"; });\n"
	 "\t\t};\n"
	 "\t};\n"
	 "};\n"},
	{"devices", "# where the two copies are on the device\n"
		    "DEVICE1=/dev/mmcblk0p2\n"
		    "DEVICE2=/dev/mmcblk0p3\n"},
	{"README",
	 "An update for devices with two copies; SWUpdate installs it too.\n"
	 "\n"
	 "  1. a key, once; keep keys/swinstall.key.pem on the build machine:\n"
	 "     swbundle keygen --dir keys\n"
	 "  2. the bundle (name your partitions in the file devices first):\n"
	 "     swbundle build sw-description --vars devices --key keys/swinstall.key.pem --cert keys/swinstall.cert.pem -o update.swu\n"
	 "  3. on a device that runs copy 1:\n"
	 "     swinstall -k swinstall.cert.pem -H board:1.0 -e stable,copy2 update.swu\n"
	 "     swupdate -k swinstall.cert.pem -H board:1.0 -e stable,copy2 -i update.swu\n"
	 "     swinstall needs no -e where its configuration knows the copies:\n"
	 "       select = \"auto\";\n"
	 "       slots = ({ name = \"1\"; rootfs = \"/dev/mmcblk0p2\"; select = \"stable,copy1\"; env = { slot = \"1\"; }; },\n"
	 "                { name = \"2\"; rootfs = \"/dev/mmcblk0p3\"; select = \"stable,copy2\"; env = { slot = \"2\"; }; });\n"},
	{"rootfs.img", "release 1.0.0: put the image of a root file system here\n"},
};

static int write_example(int dir, const struct example *x, struct err *e)
{
	int fd = sys_openat(dir, x->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
			    0644);
	int rc, closed;

	if (fd == -EEXIST) {
		err_fix(e, "name a folder that is new or empty");
		return err_set(e, E_BUILD, EEXIST, "%s is there already; nothing is overwritten",
			       x->name);
	}
	if (fd < 0)
		return err_sys(e, E_BUILD, -fd, "creating %s failed", x->name);
	rc = sys_write(fd, x->text, strlen(x->text));
	closed = sys_close(&fd);
	rc = rc < 0 ? rc : closed;
	if (rc == 0)
		return 0;
	sys_unlinkat(dir, x->name, 0);
	return err_sys(e, E_BUILD, -rc, "writing %s failed", x->name);
}

int init_project(const char *folder, bool swupdate, struct err *e)
{
	const struct example *all = swupdate ? shared : own;
	size_t count = swupdate ? ARRAY_SIZE(shared) : ARRAY_SIZE(own);
	AUTO_CLOSE int fd = -1;
	int rc = sys_mkdirat(AT_FDCWD, folder, 0755);

	if (rc < 0 && rc != -EEXIST)
		return err_at(e, err_sys(e, E_BUILD, -rc, "creating the folder failed"), "%s",
			      folder);
	fd = sys_openat(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd < 0)
		return err_at(e, err_sys(e, E_BUILD, -fd, "opening the folder failed"), "%s",
			      folder);
	rc = 0;
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = write_example(fd, &all[i], e);
	return err_while(e, err_at(e, rc, "%s", folder), "the project cannot be made");
}
