#!/usr/bin/env bats
# mode, owner and group of files: what the description says, from the first byte on; without it what SWUpdate gives.
load helper

setup() {
	T=$(mktemp -d "${BATS_TMPDIR:-/tmp}/swinstall.XXXXXX")
	chmod 755 "$T"
	cd "$T" || return 1
	[ "$(id -u)" -eq 0 ] || skip 'only root gives files away'
	keys; payload app.conf 3000; mkdir -m 700 state; mkdir app
	printf 'globals : { public-key-file = "%s/demo.cert.pem"; bootloader = "none"; state-dir = "%s/state"; run-dir = "%s/state"; };\n' "$T" "$T" "$T" >device.cfg
}

# file ATTRIBUTES: demo.swu with app/app.conf
file() {
	printf 'software = { version = "1"; hardware-compatibility: [ "1.0" ]; files: ({ filename = "app.conf"; path = "%s/app/app.conf"; %s }); };\n' "$T" "$1" >sw-description
	bundle >/dev/null
}

# gives RIGHTS ATTRIBUTES: installed with these attributes it has them
gives() {
	file "$2"
	run swinstall -f device.cfg demo.swu
	[ "$status" -eq 0 ] || { echo "$output"; return 1; }
	cmp app.conf app/app.conf
	[ "$(stat -c '%a %u:%g' app/app.conf)" = "$1" ] || { echo "$2: $(stat -c '%a %u:%g' app/app.conf), not $1"; return 1; }
}

old() { rm -f app/app.conf; echo old >app/app.conf; chown "$2" app/app.conf; chmod "$1" app/app.conf; }

@test "mode, owner and group of a new file and of one that is there" {
	gives '600 0:0' ''
	rm app/app.conf; gives '644 0:0' 'mode = "0644";'
	rm app/app.conf; gives '640 7:12' 'mode = "640"; owner = "7"; group = "12";'
	rm app/app.conf; gives "600 $(id -u nobody):0" 'owner = "nobody";'
	old 4755 11:12; gives '4755 11:12' ''
	old 644 11:12; gives '600 11:12' 'mode = "0600";'
	old 640 11:12; gives '640 0:0' 'owner = "root"; group = "root";'
	old 644 11:12; gives '4750 0:12' 'mode = "4750"; owner = "0";'
	old 644 11:12; gives '644 11:13' 'group = "13";'
}

@test "a list of others on the old file gives nobody access to the new one" {
	need setfacl getfacl
	old 600 0:0
	setfacl -m u:11:r app/app.conf || skip 'no ACLs on this file system'
	gives '640 0:0' 'mode = "0640";'
	if getfacl -n app/app.conf 2>/dev/null | grep -q '^user:11'; then return 1; fi
}

# The file that is staged has its rights before its first byte.
@test "no byte of a secret is readable meanwhile" {
	need strace
	old 644 11:12
	file 'mode = "0600"; owner = "root";'
	strace -f -y -o trace -e trace=fchmod,fchown,write,pwrite64,pwritev swinstall -f device.cfg demo.swu
	first=$(grep -n 'p*write.*app/\.swinstall' trace | head -n 1 | cut -d: -f1) last=$(grep -n 'fch[a-z]*(.*app/\.swinstall.*0600)' trace | tail -n 1 | cut -d: -f1)
	[ -n "$first" ] && [ -n "$last" ] && [ "$last" -lt "$first" ] || { cat trace; return 1; }
	[ "$(stat -c '%a %u' app/app.conf)" = '600 0' ]
}

@test "users that are not there, modes that are none and other handlers are refused before anything is written" {
	old 644 11:12; before=$(stat -c '%a %u:%g %Y' app/app.conf)
	file 'owner = "nosuchuser";'
	for how in --check --verbose; do
		fails 1 swinstall -f device.cfg $how demo.swu
		says E_DESC_VALUE; says "no user 'nosuchuser'"
	done
	file 'group = "nosuchgroup";'
	fails 1 swinstall -f device.cfg demo.swu; says "no group 'nosuchgroup'"
	file 'owner = "4294967295";'
	fails 1 swinstall -f device.cfg demo.swu; says 'is no user'
	[ "$(stat -c '%a %u:%g %Y' app/app.conf)" = "$before" ]
	for bad in 9 68 0888 00644 rw; do
		fails 1 file "mode = \"$bad\";"; says 'octal digits'
	done
	fails 1 file 'mode = 644;'; says 'must be a text'
	fails 1 file 'type = "dummy"; mode = "0644";'
	says 'which only rawfile sets'
	description 'mode = "0644";'; payload rootfs.img 10
	fails 3 swbundle lint sw-description; says 'mode is not known'
}

@test "a hook that changes the entry keeps its rights, and may set them" {
	swinstall --handlers | grep -q '^lua' || skip 'built without Lua'
	file 'hook = "f"; mode = "0640";'
	sed -i 's|version = "1";|& embedded-script = "function f(i) i.data = i.mode; i.group = \\"12\\"; return true, i end";|' sw-description
	bundle
	swinstall -f device.cfg demo.swu
	[ "$(stat -c '%a %u:%g' app/app.conf)" = '640 0:12' ]
}
