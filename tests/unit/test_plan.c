/* The plan: whatever can be refused is refused here, with its reason, and nothing has been written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/plan/plan.h"
#include "corelib/base/digest.h"
#include "corelib/files/staged.h"
#include "corelib/base/text.h"
#include "tests/unit/kit/envkit.h"
#include "tests/unit/kit/fake_blkdev.h"
#include "tests/unit/kit/fake_host.h"
#include "tests/unit/kit/loopdev.h"
#include "tests/unit/kit/make_bundle.h"
#include "tests/unit/kit/told.h"

enum { SLOT = 256 * 1024, IMAGE = 100 * 1024 };

struct bench {
	char dir[64], slot[96], other[96], state[96];
	uint8_t image[IMAGE];
	struct make_bundle mb;
	struct settings cfg;
	struct session session;
	struct slot_setting slot_settings[3];
	struct slot_place places[4];
	struct manifest *m;
	struct bundle *b;
	struct plan *p;
	struct handler_rows own; /* the job's registry */
	struct told told;
	struct err e;
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	char zero[SLOT] = "";
	const struct bootenv_options none = {.kind = "none"};

	strcpy(b->dir, "/tmp/swinstall-plan-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(b->slot, sizeof(b->slot), "%s/slot", b->dir);
	snprintf(b->other, sizeof(b->other), "%s/other", b->dir);
	envkit_write_file(b->slot, zero, SLOT);
	envkit_write_file(b->other, zero, SLOT);
	memset(b->image, 0x5a, IMAGE);
	b->cfg.mem_max = 8 << 20;
	snprintf(b->state, sizeof(b->state), "%s/state", b->dir);
	assert_int_equal(mkdir(b->state, 0700), 0);
	b->cfg.state_dir = b->state;
	/* the running slot is elsewhere; both files belong to the other one */
	b->places[0] = (struct slot_place){"rootfs", "/nowhere"};
	b->places[1] = (struct slot_place){"rootfs", b->slot};
	b->places[2] = (struct slot_place){"data", b->other};
	b->slot_settings[0] =
		(struct slot_setting){.name = "a", .places = b->places, .place_count = 1};
	b->slot_settings[1] =
		(struct slot_setting){.name = "b", .places = b->places + 1, .place_count = 2};
	b->cfg.slots = b->slot_settings;
	b->cfg.slot_count = 2;
	b->session.cfg = &b->cfg;
	b->session.slots = (struct slots){.cfg = &b->cfg,
					  .running = &b->slot_settings[0],
					  .next = &b->slot_settings[0],
					  .target = &b->slot_settings[1]};
	assert_int_equal(bootenv_open(&b->session.env, &none, &b->e), 0);
	told_open(&b->told);
	b->session.reporter = b->told.reporter;
	*state = b;
	return 0;
}

static void forget(struct bench *b)
{
	plan_free(b->p);
	if (b->b)
		bundle_close(b->b);
	manifest_free(b->m);
	make_bundle_free(&b->mb);
	b->p = NULL;
	b->b = NULL;
	b->m = NULL;
	memset(&b->mb, 0, sizeof(b->mb));
	err_clear(&b->e);
}

static int teardown(void **state)
{
	struct bench *b = *state;

	forget(b);
	bootenv_close(b->session.env);
	told_close(&b->told);
	envkit_remove_tree(b->dir);
	free(b);
	return 0;
}

/* in the description %S is the slot, %O the other one, %D the folder, %H the image's sha256 */
static void describe(const struct bench *b, const char *form, char *out, size_t n)
{
	uint8_t sum[32];
	char hex[65];
	struct err e = {0};
	size_t at = 0;

	sha256_once(b->image, IMAGE, sum, &e);
	text_hex(sum, 32, hex);
	for (; *form && at + 200 < n; form++) {
		const char *with = NULL;

		if (*form == '%')
			with = form[1] == 'S'	? b->slot
			       : form[1] == 'O' ? b->other
			       : form[1] == 'D' ? b->dir
			       : form[1] == 'H' ? hex
						: NULL;
		if (with) {
			at += (size_t)snprintf(out + at, n - at, "%s", with);
			form++;
		} else {
			out[at++] = *form;
		}
	}
	out[at] = '\0';
}

static void open_bundle(struct bench *b, size_t pipe_chunk)
{
	const struct bundle_options o = {0};
	struct stream *s = NULL;

	if (pipe_chunk)
		s = make_pipe_stream(b->mb.bytes, b->mb.n, pipe_chunk);
	else
		assert_int_equal(stream_mem_open(&s, b->mb.bytes, b->mb.n, &b->e), 0);
	assert_int_equal(bundle_open(&b->b, &s, &o, &b->e), 0);
}

/* a source, as the job's registry might have it */
static int open_nothing(struct step *st, struct stream **s, struct err *e)
{
	(void)st;
	(void)s;
	(void)e;
	return 0;
}

static const struct attr maker_props[] = {{.name = "base", .type = ATTR_STRING}};
static const struct handler_row own_rows[] = {
	{.handler = {.name = "maker",
		     .kind = HANDLER_SOURCE,
		     .sections = SECTION_IMAGES | SECTION_FILES,
		     .props = maker_props,
		     .prop_count = 1,
		     .open = open_nothing,
		     .chain = "raw"}}};

/* the plan of a release with these lists; members "image" and "list" are there */
static int plan_with(struct bench *b, const char *lists, size_t pipe_chunk)
{
	const struct manifest_options mo = {.hash_required = true};
	uint8_t digests[64] = {0};
	char text[8192], form[8192];
	int rc;

	forget(b);
	snprintf(form, sizeof(form), "software = { version = \"1\"; %s };", lists);
	describe(b, form, text, sizeof(text));
	make_bundle_add(&b->mb, "sw-description", text, strlen(text));
	make_bundle_add(&b->mb, "list", digests, 64);
	make_bundle_add(&b->mb, "image", b->image, IMAGE);
	make_bundle_trailer(&b->mb);
	open_bundle(b, pipe_chunk);
	rc = manifest_parse(&b->m, text, strlen(text), &mo, &b->e);
	if (rc < 0)
		return rc;
	const struct plan_input in = {
		.session = &b->session,
		.manifest = b->m,
		.bundle = b->b,
		.own = b->own.count ? b->own : (struct handler_rows){own_rows, 1},
	};
	rc = bundle_bind(b->b, b->m, &b->e);
	return rc < 0 ? rc : plan_build(&b->p, &in, &b->e);
}

static void refused(struct bench *b, const char *lists, enum errcode code, const char *word)
{
	assert_true(plan_with(b, lists, 0) < 0);
	if (b->e.code != code || (word && !strstr(b->e.why, word)))
		print_message("%s: %s (%s)\n", err_info(b->e.code)->name, b->e.why, lists);
	assert_int_equal(b->e.code, code);
	if (word)
		assert_non_null(strstr(b->e.why, word));
	assert_null(b->p);
}

#define IMG(more) "images = ( { filename = \"image\"; sha256 = \"%H\"; " more " } );"
#define TWO(a, c)                                                                                  \
	"images = ( { filename = \"image\"; sha256 = \"%H\"; " a " }, { filename = \"image\"; "    \
	"sha256 = \"%H\"; " c " } );"
#define FILE_(more) "files = ( { filename = \"image\"; sha256 = \"%H\"; " more " } );"

static void an_image_from_a_file_is_read_twice(void **state)
{
	struct bench *b = *state;

	assert_int_equal(plan_with(b, IMG("device = \"%S\";"), 0), 0);
	assert_int_equal(b->p->count, 1);
	assert_int_equal(b->p->steps[0].route, ROUTE_TWICE);
	assert_string_equal(b->p->steps[0].step.handler->name, "raw");
	assert_true(b->p->steps[0].step.has_size);
	assert_int_equal(b->p->steps[0].step.size, IMAGE);
	assert_false(b->p->steps[0].step.live);
	assert_false(b->p->wants_undo);
	assert_int_equal(b->p->steps[0].span.room, IMAGE);
}

static void an_image_from_a_pipe_is_spooled_unless_it_asks_to_flow(void **state)
{
	struct bench *b = *state;

	assert_int_equal(plan_with(b, IMG("device = \"%S\";"), 1000), 0);
	assert_int_equal(b->p->steps[0].route, ROUTE_SPOOL);
	assert_int_equal(plan_with(b, IMG("device = \"%S\"; installed-directly = true;"), 1000), 0);
	assert_int_equal(b->p->steps[0].route, ROUTE_FLOW);
	assert_int_equal(plan_with(b, IMG("device = \"%S\"; installed-directly = true;"), 0), 0);
	assert_int_equal(b->p->steps[0].route, ROUTE_FLOW);
}

static void t1_files_are_live_and_proven_first(void **state)
{
	struct bench *b = *state;

	assert_int_equal(plan_with(b, FILE_("path = \"%D/x\"; installed-directly = true;"), 0), 0);
	assert_int_equal(b->p->steps[0].route, ROUTE_TWICE);
	assert_true(b->p->steps[0].step.live);
	assert_true(b->p->wants_undo);
	assert_int_equal(plan_with(b, FILE_("path = \"%D/x\"; installed-directly = true;"), 500),
			 0);
	assert_int_equal(b->p->steps[0].route, ROUTE_SPOOL);
}

static void the_planning_of_a_file_writes_nothing(void **state)
{
	struct bench *b = *state;
	char path[128];

	assert_int_equal(plan_with(b,
				   FILE_("path = \"%D/new/deep/x\"; "
					 "properties = { create-destination = \"true\"; };"),
				   0),
			 0);
	snprintf(path, sizeof(path), "%s/new", b->dir);
	assert_int_not_equal(access(path, F_OK), 0);
}

static void a_slot_stands_for_its_device(void **state)
{
	struct bench *b = *state;

	assert_int_equal(plan_with(b, IMG("slot = \"data\";"), 0), 0);
	assert_non_null(strstr(b->p->steps[0].step.dev->name, "other"));
	assert_ptr_equal(b->p->taken, &b->slot_settings[1]);
	assert_int_equal(plan_with(b, IMG("device = \"%O\";"), 0), 0);
	assert_ptr_equal(b->p->taken, &b->slot_settings[1]);
	refused(b, IMG("slot = \"kernel\";"), E_SLOT, "kernel");
}

/* its bytes are what counts: a disk and an offset, or a loop device, lead there too */
static void the_bytes_of_a_slot_by_another_name_take_the_slot(void **state)
{
	struct bench *b = *state;
	struct loopdev loop;
	char lists[512];
	const char *why = loopdev_attach(&loop, b->slot, 512, false);

	if (why) {
		print_message("SKIP: %s\n", why);
		skip();
	}
	snprintf(lists, sizeof(lists),
		 "images = ( { filename = \"image\"; sha256 = \"%%H\"; device = "
		 "\"%s\"; offset = 4096; } );",
		 loop.path);
	assert_int_equal(plan_with(b, lists, 0), 0);
	assert_ptr_equal(b->p->taken, &b->slot_settings[1]);
	b->session.slots.target = NULL; /* the same when it is the one that boots next */
	b->session.slots.next = &b->slot_settings[1];
	assert_int_equal(plan_with(b, lists, 0), 0);
	assert_ptr_equal(b->p->taken, &b->slot_settings[1]);
	forget(b);
	loopdev_detach(&loop);
}

/* a runs, c waits for its reboot, and the bundle names the device of c: the switch goes to c */
static void the_slot_that_is_written_is_the_slot_that_is_switched_to(void **state)
{
	struct bench *b = *state;

	b->places[3] = (struct slot_place){"rootfs", b->other};
	b->slot_settings[1].place_count = 1;
	b->slot_settings[2] =
		(struct slot_setting){.name = "c", .places = b->places + 3, .place_count = 1};
	b->cfg.slot_count = 3;
	b->session.slots.next = &b->slot_settings[2];
	assert_int_equal(plan_with(b, IMG("device = \"%O\";"), 0), 0);
	assert_ptr_equal(b->p->taken, &b->slot_settings[2]);
	assert_int_equal(plan_with(b, IMG("slot = \"rootfs\";"), 0), 0);
	assert_ptr_equal(b->p->taken, &b->slot_settings[1]);
	refused(b, TWO("slot = \"rootfs\";", "device = \"%O\";"), E_SLOT, "slot 'b'");
	/* a rescue system fills all of them */
	b->session.slots.running = NULL;
	assert_int_equal(plan_with(b, TWO("device = \"%O\";", "slot = \"rootfs\";"), 0), 0);
	assert_ptr_equal(b->p->taken, &b->slot_settings[1]);
}

static void a_file_that_is_no_slot_is_live_and_proven_first(void **state)
{
	struct bench *b = *state;

	b->cfg.slot_count = 0;
	b->session.cfg = &b->cfg;
	b->session.slots = (struct slots){.cfg = &b->cfg};
	assert_int_equal(plan_with(b, IMG("device = \"%S\"; installed-directly = true;"), 0), 0);
	assert_int_equal(b->p->steps[0].route, ROUTE_TWICE);
	assert_null(b->p->taken);
}

static void unknown_types_are_refused_with_a_guess(void **state)
{
	refused(*state, IMG("device = \"%S\"; type = \"rwa\";"), E_HANDLER, "did you mean 'raw'");
	refused(*state, IMG("device = \"%S\"; type = \"swuforward\";"), E_HANDLER,
		"(a bundle passed on to other units) is not built into");
	refused(*state, IMG("device = \"%S\"; type = \"no-such-thing-at-all\";"), E_HANDLER,
		"not known");
}

static void a_handler_in_the_wrong_list_is_refused(void **state)
{
	refused(*state, FILE_("path = \"%D/x\"; type = \"raw\"; device = \"%S\";"), E_HANDLER,
		"files");
}

static void unknown_properties_are_refused_with_a_guess(void **state)
{
	refused(*state, FILE_("path = \"%D/x\"; properties = { create-destinaton = \"true\"; };"),
		E_PROPERTY, "did you mean 'create-destination'");
	refused(*state, FILE_("path = \"%D/x\"; properties = { create-destination = \"maybe\"; };"),
		E_PROPERTY, "maybe");
}

static void t4_an_entry_without_hash_is_refused(void **state)
{
	refused(*state, "images = ( { filename = \"image\"; device = \"%S\"; } );", E_DESC_HASH,
		NULL);
}

static void a_payload_that_is_not_in_the_bundle_is_refused(void **state)
{
	refused(*state, "images = ( { filename = \"gone\"; sha256 = \"%H\"; device = \"%S\"; } );",
		E_MEMBER_MISSING, "gone");
}

static void a_size_that_is_not_the_members_is_refused(void **state)
{
	refused(*state, IMG("device = \"%S\"; size = 102399;"), E_MEMBER_SIZE, "102400");
}

static void t39_an_image_larger_than_its_target_is_refused(void **state)
{
	struct bench *b = *state;

	refused(b, IMG("device = \"%S\"; offset = 159745;"), E_TARGET_SMALL, NULL);
	refused(b, IMG("device = \"%S\"; offset = 262145;"), E_RANGE, NULL);
	refused(b, IMG("device = \"%S\"; offset = \"8E\";"), E_DESC_NUMBER, NULL);
	assert_int_equal(plan_with(b, IMG("device = \"%S\"; offset = 159744;"), 0), 0);
}

static void t40_targets_must_be_devices_or_existing_files(void **state)
{
	refused(*state, IMG("device = \"%D/absent\";"), E_TARGET, NULL);
	refused(*state, IMG("device = \"%D\";"), E_TARGET, NULL);
	refused(*state, IMG("device = \"/dev/null\";"), E_TARGET, NULL);
	refused(*state, IMG("device = \"relative\";"), E_TARGET, NULL);
}

static void t17_files_of_the_installer_are_protected(void **state)
{
	struct bench *b = *state;

	refused(b, FILE_("path = \"%D/state/x\";"), E_TARGET_PROTECTED, "x");
	refused(b, IMG("device = \"%D/state\";"), E_TARGET, NULL);
	b->cfg.public_key_file = b->other;
	refused(b, FILE_("path = \"%O\";"), E_TARGET_PROTECTED, "other");
	refused(b, FILE_("path = \"%D/../%D/other\";"), E_FILE, NULL);
	assert_int_equal(plan_with(b, FILE_("path = \"%D/other2\";"), 0), 0);
	b->cfg.spool_dir = b->dir;
	refused(b, FILE_("path = \"%D/other2\";"), E_TARGET_PROTECTED, "other2");
}

static void files_outside_of_the_listed_targets_are_refused(void **state)
{
	struct bench *b = *state;
	const char *here[] = {b->dir};
	const char *elsewhere[] = {"/usr", "/nonexistent", "/tm"};

	b->cfg.targets = (struct strings){elsewhere, 3};
	refused(b, FILE_("path = \"%D/other2\";"), E_TARGET, "list targets");
	b->cfg.targets = (struct strings){here, 1};
	assert_int_equal(plan_with(b, FILE_("path = \"%D/other2\";"), 0), 0);
}

static void a_file_on_a_device_says_its_file_system_and_is_mounted_from_a_device(void **state)
{
#define RAWFILE(more) FILE_("type = \"rawfile\"; path = \"/x\"; " more)
	refused(*state, RAWFILE("device = \"%S\";"), E_DESC_MISSING, "filesystem");
	refused(*state, RAWFILE("filesystem = \"ext4\";"), E_DESC_MISSING, "device");
	refused(*state, RAWFILE("slot = \"rootfs\"; filesystem = \"ext4\";"), E_MOUNT,
		"block device");
	refused(*state,
		FILE_("type = \"rawfile\"; path = \"/../x\"; slot = \"rootfs\"; "
		      "filesystem = \"ext4\";"),
		E_FILE, "'..'");
}

static void two_entries_on_the_same_bytes_are_refused_under_strict(void **state)
{
	struct bench *b = *state;

	b->cfg.strict = true;
	refused(b, TWO("device = \"%S\";", "device = \"%S\";"), E_RANGE, "same bytes");
	refused(b, TWO("device = \"%S\";", "device = \"%S\"; offset = 102399;"), E_RANGE,
		"same bytes");
	refused(b, TWO("device = \"%S\"; offset = 102399;", "device = \"%S\";"), E_RANGE,
		"same bytes");
	assert_int_equal(
		plan_with(b, TWO("device = \"%S\"; offset = 102400;", "device = \"%S\";"), 0), 0);
	assert_int_equal(plan_with(b, TWO("device = \"%S\";", "device = \"%O\";"), 0), 0);
}

static unsigned open_files(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void entries_of_one_device_share_its_descriptor(void **state)
{
	struct bench *b = *state;
	unsigned before = open_files();

	assert_int_equal(
		plan_with(b, TWO("device = \"%S\"; offset = 102400;", "device = \"%S\";"), 0), 0);
	assert_ptr_equal(b->p->steps[0].step.dev, b->p->steps[1].step.dev);
	assert_ptr_equal(b->p->steps[0].span.place, b->p->steps[1].span.place);
	unsigned one = open_files();
	assert_int_equal(plan_with(b, TWO("device = \"%S\";", "device = \"%O\";"), 0), 0);
	assert_ptr_not_equal(b->p->steps[0].step.dev, b->p->steps[1].step.dev);
	assert_int_equal(open_files(), one + 1);
	forget(b);
	assert_int_equal(open_files(), before);
}

static void a_link_to_the_same_target_is_the_same_target(void **state)
{
	struct bench *b = *state;
	char path[128];

	b->cfg.strict = true;
	snprintf(path, sizeof(path), "%s/link", b->dir);
	assert_int_equal(symlink(b->slot, path), 0);
	refused(b, TWO("device = \"%S\";", "device = \"%D/link\";"), E_RANGE, "same bytes");
}

/* t5: a disk, its partition, and the file below are the same bytes by three names */
static void a_disk_and_its_partition_are_the_same_bytes(void **state)
{
	struct bench *b = *state;
	struct loopdev l;
	char disk[128];
	const char *why;

	b->cfg.strict = true;
	snprintf(disk, sizeof(disk), "%s/disk", b->dir);
	envkit_write_file(disk, "", 0);
	assert_int_equal(truncate(disk, 8 << 20), 0);
	why = loopdev_attach(&l, disk, 512, false);
	if (!why)
		why = loopdev_partition(&l, 1 << 20, 2 << 20);
	if (why) {
		loopdev_detach(&l);
		print_message("SKIP: %s\n", why);
		skip();
	}
	snprintf(b->slot, sizeof(b->slot), "%s", l.path);
	snprintf(b->other, sizeof(b->other), "%s", l.part);
	refused(b, TWO("device = \"%S\"; offset = 1048576;", "device = \"%O\";"), E_RANGE,
		"same bytes");
	refused(b, TWO("device = \"%O\"; offset = 1024;", "device = \"%S\"; offset = 1048576;"),
		E_RANGE, "same bytes");
	refused(b, TWO("device = \"%S\"; offset = 1048064;", "device = \"%O\";"), E_RANGE,
		"same bytes");
	refused(b, TWO("device = \"%D/disk\"; offset = 1048576;", "device = \"%O\";"), E_RANGE,
		"same bytes");
	assert_int_equal(plan_with(b, TWO("device = \"%S\";", "device = \"%O\";"), 0), 0);
	plan_free(b->p);
	b->p = NULL;
	loopdev_detach(&l);
}

static void a_write_protected_device_is_told_while_planning(void **state)
{
	struct bench *b = *state;
	struct loopdev l;
	const char *why = loopdev_attach(&l, b->slot, 512, false);
	int on = 1, off = 0;

	if (why) {
		print_message("SKIP: %s\n", why);
		skip();
	}
	snprintf(b->slot, sizeof(b->slot), "%s", l.path);
	assert_int_equal(plan_with(b, IMG("device = \"%S\";"), 0), 0);
	plan_free(b->p);
	b->p = NULL;
	assert_int_equal(ioctl(l.fd, BLKROSET, &on), 0);
	err_clear(&b->e);
	int rc = plan_with(b, IMG("device = \"%S\";"), 0);
	/* it outlives the detaching: before any assertion */
	assert_int_equal(ioctl(l.fd, BLKROSET, &off), 0);
	loopdev_detach(&l);
	assert_int_equal(rc, -EROFS);
	assert_int_equal(b->e.code, E_TARGET);
	assert_non_null(strstr(b->e.why, "write-protected"));
}

static void two_entries_for_the_same_file_are_refused(void **state)
{
	struct bench *b = *state;

	refused(b,
		"files = ( { filename = \"image\"; sha256 = \"%H\"; path = \"%D/x\"; }, { filename = "
		"\"image\"; sha256 = \"%H\"; path = \"%D/x\"; } );",
		E_RANGE, "same file");
}

static void sharers_of_a_member_agree_on_its_hash(void **state)
{
	refused(*state,
		"images = ( { filename = \"image\"; sha256 = \"%H\"; device = \"%S\"; }, { filename "
		"= \"image\"; device = \"%O\"; sha256 = "
		"\"1111111111111111111111111111111111111111111111111111111111111111\"; } );",
		E_DESC_HASH, "different sha256");
}

static void only_one_sharer_may_flow(void **state)
{
	refused(*state,
		TWO("device = \"%S\"; installed-directly = true;",
		    "device = \"%O\"; installed-directly = true;"),
		E_DESC_VALUE, "one may");
}

static void a_hash_list_that_was_not_signed_is_refused(void **state)
{
	refused(*state,
		IMG("device = \"%S\"; hash-block = 65536; hash-list = \"list\"; "
		    "hash-list-sha256 = \"%H\";"),
		E_HASH_LIST, "signed");
}

#define ZEROS64 "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b"

static void a_hash_list_makes_a_payload_flow_unasked(void **state)
{
	struct bench *b = *state;

	assert_int_equal(plan_with(b,
				   IMG("device = \"%S\"; hash-block = 65536; hash-list = \"list\"; "
				       "hash-list-sha256 = \"" ZEROS64 "\";"),
				   0),
			 0);
	assert_int_equal(b->p->steps[0].route, ROUTE_BLOCKS);
	assert_int_equal(b->p->steps[0].blocks.count, 2);
	assert_non_null(b->p->steps[0].blocks.digests);
	refused(b,
		IMG("device = \"%S\"; hash-block = 131072; hash-list = \"list\"; "
		    "hash-list-sha256 = \"" ZEROS64 "\";"),
		E_HASH_LIST, "1 blocks");
}

/* block by block proven is not whole: the last block may be missing when the first ones are live */
static void t1_a_hash_list_does_not_make_a_payload_flow_into_a_live_device(void **state)
{
	struct bench *b = *state;
	const char *image = IMG("device = \"%S\"; hash-block = 65536; hash-list = \"list\"; "
				"installed-directly = true; hash-list-sha256 = \"" ZEROS64 "\";");

	b->cfg.slot_count = 0; /* a file that is no slot is live */
	b->session.cfg = &b->cfg;
	b->session.slots = (struct slots){.cfg = &b->cfg};
	assert_int_equal(plan_with(b, image, 0), 0);
	assert_true(b->p->steps[0].step.live);
	assert_int_equal(b->p->steps[0].route, ROUTE_TWICE);
}

static void an_encrypted_payload_needs_a_key(void **state)
{
	refused(*state, IMG("device = \"%S\"; encrypted = true;"), E_KEY_AES, "no key is known");
}

static void the_first_boot_variable_of_a_name_wins(void **state)
{
	struct bench *b = *state;
	const struct envvar *v;

	assert_int_equal(
		plan_with(
			b,
			IMG("device = \"%S\";") "bootenv = ( { name = \"a\"; value = \"1\"; },"
						" { name = \"a\"; value = \"2\"; }, { name = \"b\"; } );",
			0),
		0);
	v = envset_find(&b->p->variables, "a");
	assert_non_null(v);
	assert_string_equal(v->value, "1");
	assert_null(envset_find(&b->p->variables, "b")->value);
}

static void what_is_installed_already_is_skipped_and_never_opened(void **state)
{
	struct bench *b = *state;
	char path[128];

	snprintf(path, sizeof(path), "%s/sw-versions", b->dir);
	envkit_write_file(path, "fpga 1.5\n", 9);
	b->cfg.versions_file = path;
	assert_int_equal(
		plan_with(b,
			  IMG("device = \"%D/absent\"; name = \"fpga\"; version = \"1.5\"; "
			      "install-if-different = true;"),
			  0),
		0);
	assert_true(b->p->steps[0].left_out);
	assert_int_equal(
		plan_with(b,
			  IMG("device = \"%D/absent\"; name = \"fpga\"; version = \"1.4\"; "
			      "install-if-higher = true;"),
			  0),
		0);
	assert_true(b->p->steps[0].left_out);
	refused(b,
		IMG("device = \"%D/absent\"; name = \"fpga\"; version = \"1.6\"; "
		    "install-if-higher = true;"),
		E_TARGET, NULL);
}

static void errors_name_handler_entry_and_release(void **state)
{
	struct bench *b = *state;

	refused(b, IMG("device = \"%S\"; offset = 159745;"), E_TARGET_SMALL, NULL);
	assert_non_null(strstr(b->e.where, "handler raw"));
	assert_non_null(strstr(b->e.where, "images[0] of release 1"));
}

static void an_image_of_unknown_length_stops_where_an_earlier_one_begins(void **state)
{
	struct bench *b = *state;

	assert_int_equal(plan_with(b,
				   TWO("device = \"%S\"; offset = 131072;",
				       "device = \"%S\"; compressed = \"zstd\";"),
				   1000),
			 0);
	assert_int_equal(b->p->steps[1].span.room, 131072);
	/* the other way round the later one writes over it, which is told */
	assert_int_equal(plan_with(b,
				   TWO("device = \"%S\"; compressed = \"zstd\";",
				       "device = \"%S\"; offset = 131072;"),
				   1000),
			 0);
	assert_int_equal(b->p->steps[0].span.room, SLOT);
	assert_non_null(strstr(told_lines(&b->told), "may write to the same bytes"));
}

/* a whole disk, then a part of it: in this order, also where the second one asks to flow */
static void a_later_entry_writes_over_an_earlier_one_and_this_is_told(void **state)
{
	struct bench *b = *state;

	assert_int_equal(
		plan_with(b,
			  TWO("device = \"%S\";",
			      "device = \"%S\"; offset = 4096; installed-directly = true;"),
			  1000),
		0);
	assert_int_equal(b->p->steps[1].route, ROUTE_SPOOL);
	assert_non_null(strstr(told_lines(&b->told), "what the later one writes counts"));
}

static void an_entry_without_the_file_that_its_handler_needs_is_passed_over(void **state)
{
	struct bench *b = *state;
	const char *lists = "images = ( { device = \"%S\"; type = \"raw\"; }, { filename = "
			    "\"image\"; sha256 = \"%H\"; device = \"%O\"; } );";

	assert_int_equal(plan_with(b, lists, 0), 0);
	assert_true(b->p->steps[0].left_out);
	assert_false(b->p->steps[1].left_out);
	assert_non_null(strstr(told_lines(&b->told), "passed over"));
	b->cfg.strict = true;
	refused(b, lists, E_DESC_MISSING, "has no filename");
}

/* ---- versions, and the slot that is taken ---- */

#define OLD	     " name = \"fpga\"; version = \"1.5\"; install-if-different = true;"
#define NAMED(other) "{ filename = \"image\"; sha256 = \"%H\"; " other " }"

/* the versions are those of the running system; the slot holds something else */
static void nothing_of_a_slot_that_is_taken_is_left_out(void **state)
{
	struct bench *b = *state;
	char path[128];

	snprintf(path, sizeof(path), "%s/sw-versions", b->dir);
	envkit_write_file(path, "fpga 1.5\n", 9);
	b->cfg.versions_file = path;
	/* another entry takes the slot: both that lie in it are written */
	assert_int_equal(
		plan_with(b,
			  "images = ( " NAMED("slot = \"rootfs\";" OLD) ", " NAMED(
				  "device = \"%O\";") " ); files = ( " NAMED("path = "
									     "\"%D/"
									     "x\";" OLD) " );",
			  0),
		0);
	assert_false(b->p->steps[0].left_out);
	assert_non_null(b->p->steps[0].step.dev);
	assert_false(b->p->steps[1].left_out);
	assert_true(b->p->steps[2].left_out); /* not in a slot */
	assert_non_null(strstr(told_lines(&b->told), "slot 'b' is written"));
	/* also by the name of its device, and behind the one that takes it */
	assert_int_equal(plan_with(b,
				   "images = ( " NAMED("slot = \"data\";") ", " NAMED(
					   "device = \"%S\";" OLD) " );",
				   0),
			 0);
	assert_false(b->p->steps[1].left_out);
	/* nobody takes it: nothing is switched, nothing is written */
	assert_int_equal(plan_with(b, "images = ( " NAMED("slot = \"rootfs\";" OLD) " );", 0), 0);
	assert_true(b->p->steps[0].left_out);
	assert_null(b->p->taken);
	/* what is written must be in the bundle, what is left out need not */
	refused(b,
		"images = ( { filename = \"gone\"; sha256 = \"%H\"; slot = \"rootfs\";" OLD
		" }, " NAMED("slot = \"data\";") " );",
		E_MEMBER_MISSING, "gone");
	assert_int_equal(plan_with(b,
				   "images = ( { filename = \"gone\"; sha256 = \"%H\"; slot = "
				   "\"rootfs\";" OLD " } );",
				   0),
			 0);
}

/* ---- room ---- */

#define INTO(path)                                                                                 \
	"{ filename = \"image\"; sha256 = \"%H\"; path = \"%D/small/" path "\"; " CREATE " }"
#define CREATE "properties = { create-destination = \"true\"; };"

/* each of them fits by itself; also into folders that are still to be made */
static void t108_files_that_do_not_fit_together_are_refused_while_planning(void **state)
{
	struct bench *b = *state;
	char small[128];

	snprintf(small, sizeof(small), "%s/small", b->dir);
	assert_int_equal(mkdir(small, 0755), 0);
	if (mount("none", small, "tmpfs", 0, "size=256k") < 0) {
		print_message("SKIP: nothing can be mounted here\n");
		skip();
	}
	assert_int_equal(plan_with(b, "files = ( " INTO("a") ", " INTO("new/b") " );", 0), 0);
	/* the folder of a place is held: it is let go before the file system is */
	int rc = plan_with(b, "files = ( " INTO("a") ", " INTO("b") ", " INTO("new/c") " );", 0);
	enum errcode code = b->e.code;
	bool says = strstr(b->e.why, "what other entries put on the same file system") != NULL;
	bool where = strstr(b->e.where, "new/c") != NULL;
	forget(b);
	umount2(small, MNT_DETACH);
	assert_true(rc < 0);
	assert_int_equal(code, E_NO_SPACE);
	assert_true(says);
	assert_true(where);
}

/* ---- handlers of the job's registry ---- */

static int take_all(struct step *st, struct stream *in, struct err *e)
{
	(void)st;
	return stream_drain(in, e);
}

/* T104: Lua code gets the name of the slot; who flushes what it writes is the plan */
static void t104_a_slot_that_code_writes_is_held_and_taken(void **state)
{
	const struct handler_row row = {.handler = {.name = "mine",
						    .kind = HANDLER_TARGET,
						    .sections = SECTION_IMAGES,
						    .foreign = true,
						    .install = take_all}};
	struct bench *b = *state;
	struct err e = {0};

	b->own = (struct handler_rows){&row, 1};
	assert_int_equal(plan_with(b, IMG("slot = \"rootfs\"; type = \"mine\";"), 0), 0);
	assert_ptr_equal(b->p->taken, &b->slot_settings[1]);
	assert_string_equal(b->p->steps[0].step.slot_device, b->slot);
	assert_null(b->p->steps[0].step.dev); /* not for the handler */
	assert_non_null(b->p->steps[0].span.place->dev);
	assert_int_equal(b->p->steps[0].route, ROUTE_TWICE);
	assert_int_equal(places_flush(b->p->places, &e), 0);
	b->p->steps[0].span.place->dev->broken = true;
	assert_int_equal(places_flush(b->p->places, &e), -EIO);
	/* by the name of its device too; other words of 'device' are the code's own */
	assert_int_equal(plan_with(b, IMG("device = \"%O\"; type = \"mine\";"), 0), 0);
	assert_ptr_equal(b->p->taken, &b->slot_settings[1]);
	assert_null(b->p->steps[0].step.slot_device);
	assert_int_equal(plan_with(b, IMG("device = \"eth0\"; type = \"mine\";"), 0), 0);
	assert_null(b->p->taken);
	/* the running slot is refused as everywhere */
	b->session.slots.running = &b->slot_settings[1];
	b->session.slots.target = &b->slot_settings[1];
	refused(b, IMG("slot = \"rootfs\"; type = \"mine\";"), E_TARGET_ACTIVE, NULL);
}

/* code reads the size of its payload from the entry */
static void code_is_told_the_size_of_its_payload_where_the_description_says_none(void **state)
{
	const struct handler_row row = {.handler = {.name = "mine",
						    .kind = HANDLER_TARGET,
						    .sections = SECTION_IMAGES,
						    .foreign = true,
						    .install = take_all}};
	struct bench *b = *state;

	b->own = (struct handler_rows){&row, 1};
	assert_int_equal(plan_with(b, IMG("type = \"mine\";"), 0), 0);
	assert_true(b->p->steps[0].step.entry->has_size);
	assert_int_equal(b->p->steps[0].step.entry->size, IMAGE);
	assert_int_equal(plan_with(b, IMG("device = \"%S\";"), 0), 0);
	assert_false(b->p->steps[0].step.entry->has_size);
}

#define RESULT "properties = { result-sha256 = \"%H\"; };"

static void a_source_is_chained_under_the_target_that_is_asked_for(void **state)
{
	struct bench *b = *state;
	const struct plan_step *ps;
	char text[128];

	assert_int_equal(plan_with(b, IMG("type = \"maker\"; device = \"%S\"; " RESULT), 0), 0);
	ps = &b->p->steps[0];
	assert_string_equal(ps->source->name, "maker");
	assert_string_equal(ps->step.handler->name, "raw");
	assert_true(ps->has_result);
	assert_false(ps->step.has_size); /* of the payload, not of what is made of it */
	assert_int_equal(ps->route, ROUTE_TWICE);
	stages_text(&ps->stages, text, sizeof(text));
	assert_string_equal(text, "count, same, source, result, cap 262144");
	/* one pass would show it bytes that are not proven */
	assert_int_equal(plan_with(b,
				   IMG("type = \"maker\"; device = \"%S\"; installed-directly = "
				       "true; " RESULT),
				   1000),
			 0);
	assert_int_equal(b->p->steps[0].route, ROUTE_SPOOL);
	assert_int_equal(
		plan_with(b,
			  FILE_("type = \"maker\"; path = \"%D/x\"; properties = { chain = "
				"\"rawfile\"; base = \"/x\"; result-sha256 = \"%H\"; };"),
			  0),
		0);
	assert_string_equal(b->p->steps[0].step.handler->name, "rawfile");
}

static void a_chain_that_takes_no_plain_bytes_is_refused(void **state)
{
	struct bench *b = *state;

	refused(b, IMG("type = \"maker\"; device = \"%S\"; properties = { chain = \"nix\"; };"),
		E_HANDLER, "'nix'");
	refused(b, IMG("type = \"maker\"; device = \"%S\"; properties = { chain = \"archive\"; };"),
		E_HANDLER, "plain bytes");
	refused(b, IMG("type = \"maker\"; device = \"%S\"; properties = { chain = \"maker\"; };"),
		E_HANDLER, "plain bytes");
	refused(b,
		IMG("type = \"maker\"; device = \"%S\"; properties = { result-sha256 = \"12\"; };"),
		E_PROPERTY, "64 hexadecimal");
	refused(b, IMG("type = \"maker\"; device = \"%S\"; properties = { bse = \"1\"; };"),
		E_PROPERTY, "did you mean 'base'");
}

static void l1_what_nobody_vouches_for_goes_to_idle_places_only(void **state)
{
	struct bench *b = *state;
	const char *image = IMG("type = \"maker\"; device = \"%S\";");

	assert_int_equal(plan_with(b, image, 0), 0); /* warned */
	refused(b,
		FILE_("type = \"maker\"; path = \"%D/x\"; properties = { chain = \"rawfile\"; };"),
		E_DESC_HASH, "nobody vouches");
	b->cfg.slot_count = 0; /* the file is no slot: in use as it is */
	b->session.slots = (struct slots){.cfg = &b->cfg};
	refused(b, image, E_DESC_HASH, "nobody vouches");
	refused(b, IMG("type = \"maker\"; device = \"%S\"; " RESULT), E_TARGET, "at its end only");
}

/* a volume that must know its total: found out while writing, other steps had written before */
static void a_size_that_a_place_must_know_is_asked_for_in_the_plan(void **state)
{
	struct bench *b = *state;
	struct fakedev f;
	struct places places = {.devices = NULL};
	const struct plan p = {.places = &places};
	struct place volume = {.kind = PLACE_UBI, .state = PLACE_JUDGED, .path = "/dev/ubi0_1"};
	struct entry t = {.filename = "x", .compressed = CODEC_GZIP};
	struct plan_step ps = {.step = {.entry = &t, .handler = handler_find("raw")}};

	assert_int_equal(fakedev_init(&f, 65536, 0), 0);
	f.d.needs_total = true;
	volume.dev = &f.d;
	span_init(&ps.span);
	ps.span.place = &volume;
	assert_true(plan_entry_size(&p, &ps, 100, &b->e) < 0);
	assert_int_equal(b->e.code, E_TARGET);
	assert_non_null(strstr(err_fix_text(&b->e), "decompressed-size"));
	err_clear(&b->e);
	t.has_decompressed_size = true;
	t.decompressed_size = 4096;
	assert_int_equal(plan_entry_size(&p, &ps, 100, &b->e), 0);
	t.has_decompressed_size = false;
	t.compressed = CODEC_NONE;
	ps.step.has_size = false;
	assert_int_equal(plan_entry_size(&p, &ps, 100, &b->e), 0);
	fakedev_clear(&f);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_image_from_a_file_is_read_twice),
		T(an_image_from_a_pipe_is_spooled_unless_it_asks_to_flow),
		T(t1_files_are_live_and_proven_first),
		T(the_planning_of_a_file_writes_nothing),
		T(a_slot_stands_for_its_device),
		T(the_bytes_of_a_slot_by_another_name_take_the_slot),
		T(the_slot_that_is_written_is_the_slot_that_is_switched_to),
		T(a_file_that_is_no_slot_is_live_and_proven_first),
		T(unknown_types_are_refused_with_a_guess),
		T(a_handler_in_the_wrong_list_is_refused),
		T(unknown_properties_are_refused_with_a_guess),
		T(t4_an_entry_without_hash_is_refused),
		T(a_payload_that_is_not_in_the_bundle_is_refused),
		T(a_size_that_is_not_the_members_is_refused),
		T(t39_an_image_larger_than_its_target_is_refused),
		T(t40_targets_must_be_devices_or_existing_files),
		T(t17_files_of_the_installer_are_protected),
		T(a_file_on_a_device_says_its_file_system_and_is_mounted_from_a_device),
		T(files_outside_of_the_listed_targets_are_refused),
		T(two_entries_on_the_same_bytes_are_refused_under_strict),
		T(entries_of_one_device_share_its_descriptor),
		T(a_link_to_the_same_target_is_the_same_target),
		T(two_entries_for_the_same_file_are_refused),
		T(a_disk_and_its_partition_are_the_same_bytes),
		T(a_write_protected_device_is_told_while_planning),
		T(sharers_of_a_member_agree_on_its_hash),
		T(only_one_sharer_may_flow),
		T(a_source_is_chained_under_the_target_that_is_asked_for),
		T(a_chain_that_takes_no_plain_bytes_is_refused),
		T(l1_what_nobody_vouches_for_goes_to_idle_places_only),
		T(a_size_that_a_place_must_know_is_asked_for_in_the_plan),
		T(a_hash_list_that_was_not_signed_is_refused),
		T(a_hash_list_makes_a_payload_flow_unasked),
		T(t1_a_hash_list_does_not_make_a_payload_flow_into_a_live_device),
		T(an_encrypted_payload_needs_a_key),
		T(the_first_boot_variable_of_a_name_wins),
		T(what_is_installed_already_is_skipped_and_never_opened),
		T(errors_name_handler_entry_and_release),
		T(an_image_of_unknown_length_stops_where_an_earlier_one_begins),
		T(a_later_entry_writes_over_an_earlier_one_and_this_is_told),
		T(an_entry_without_the_file_that_its_handler_needs_is_passed_over),
		T(nothing_of_a_slot_that_is_taken_is_left_out),
		T(t104_a_slot_that_code_writes_is_held_and_taken),
		T(code_is_told_the_size_of_its_payload_where_the_description_says_none),
		T(t108_files_that_do_not_fit_together_are_refused_while_planning),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
