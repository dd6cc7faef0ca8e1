/* What a description says becomes typed values, or an error that names path and line. */
#include "parse_help.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void manifest_a_signed_image_arrives_with_every_attribute(void **state)
{
	struct parse_manifest p = parse_body(
		"images = ({ filename = \"rootfs.ext4\"; type = \"raw\"; device = \"/dev/mmcblk0p2\";\n"
		"name = \"rootfs\"; version = \"2.4.1\"; sha256 = \"" H64 "\"; size = 5000000000L;\n"
		"offset = \"4K\"; compressed = \"zstd\"; encrypted = \"aes-cbc-256\";\n"
		"ivt = \"000102030405060708090a0b0c0d0e0f\"; installed-directly = true;\n"
		"hash-list = \"rootfs.hl\"; hash-list-sha256 = \"" H64 "\"; hash-block = 65536;\n"
		"properties = { decompressed-size = \"1M\"; x = [ \"a\", \"b\" ]; }; });");
	const struct entry *t;
	char label[64];

	(void)state;
	assert_int_equal(p.rc, 0);
	assert_int_equal(p.m->entry_count, 1);
	t = p.m->entries;
	assert_int_equal(t->section, SECTION_IMAGES);
	assert_string_equal(t->filename, "rootfs.ext4");
	assert_string_equal(t->device, "/dev/mmcblk0p2");
	assert_true(t->has_sha256 && t->has_size && t->has_offset && t->has_ivt);
	assert_int_equal(t->sha256[0], 0x01);
	assert_int_equal(t->sha256[31], 0xef);
	assert_int_equal(t->size, 5000000000);
	assert_int_equal(t->offset, 4096);
	assert_int_equal(t->compressed, CODEC_ZSTD);
	assert_int_equal(entry_cipher(t)->cipher, CIPHER_AES_CBC);
	assert_int_equal(entry_cipher(t)->bits, 256);
	assert_true(t->installed_directly);
	assert_string_equal(t->hashes.name, "rootfs.hl");
	assert_int_equal(t->hashes.block, 65536);
	assert_true(t->has_decompressed_size);
	assert_int_equal(t->decompressed_size, 1 << 20);
	assert_string_equal(entry_property(t, "x"), "b");
	assert_int_equal(entry_properties(t, "x")->count, 2);
	assert_null(entry_property(t, "y"));
	entry_label(t, label, sizeof(label));
	assert_string_equal(label, "images[0] (rootfs.ext4, line 2)");
	assert_int_equal(p.notes.count, 0);
	manifest_free(p.m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(manifest_a_signed_image_arrives_with_every_attribute),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
