#!/usr/bin/env bats
# Mode and owner of files that a bundle brings or replaces, beside Debian's swupdate.
# shellcheck disable=SC2154 # beside.bash sets theirs and ours
load ../e2e/helper
load beside

setup() { setup_beside; }

# put RIGHTS OWNER ATTRIBUTES: a file is there with these, or is not there ('-'); both install over it
put() {
	rm -f device.old/f
	[ "$1" = - ] || { echo old >device.old/f; chown "$2" device.old/f; chmod "$1" device.old/f; }
	describe "files: ({ filename = \"rootfs.img\"; path = \"$D/f\"; $3 });"
	bundle >/dev/null
	both
	agree 0
	they=$(stat -c '%a %u:%g' theirs/f) we=$(stat -c '%a %u:%g' ours/f)
}

@test "without mode and owner files are as the peer leaves them, new and replaced" {
	[ "$(id -u)" -eq 0 ] || skip 'only root gives files away'
	local how m
	for how in '' 'installed-directly = true;'; do
		put - - "$how"
		[ "$they" = "$we" ] && [ "$we" = '600 0:0' ] || { echo "$how: $they $we"; return 1; }
		for m in 600 640 644 755 4755; do
			put $m 11:12 "$how"
			[ "$they" = "$we" ] && [ "$we" = "$m 11:12" ] || { echo "$m $how: $they $we"; return 1; }
		done
	done
	# there a file of atomic-install is a new one
	put 644 11:12 'properties = { atomic-install = "true"; };'
	[ "$they" = '600 0:0' ] && [ "$we" = '644 11:12' ]
	differ 0 0 'keeps mode and owner of the file that it replaces'
}

@test "mode, owner and group are passed over by the peer" {
	[ "$(id -u)" -eq 0 ] || skip 'only root gives files away'
	put 644 11:12 'mode = "0640"; owner = "root"; group = "root";'
	[ "$they" = '644 11:12' ] && [ "$we" = '640 0:0' ]
	differ 0 0 'mode, owner and group of files'
}
