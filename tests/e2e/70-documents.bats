# The commands in the documents work as they are written; completion offers what the tables have.
# Why: a manual that is wrong once is not believed again.
# shellcheck disable=SC2154 # bats sets status and output
load helper
DOC=$BATS_TEST_DIRNAME/../../doc
COMPLETION=$BATS_TEST_DIRNAME/../../scripts/completion/swinstall.bash

# commands_of PAGE: its blocks of sh, run in the working folder, each block in a shell of its own
commands_of() {
	local n=0 out
	awk -v d="$T" '/^```sh$/ { on = 1; n++; next } /^```/ { on = 0 } on { print > (d "/block" sprintf("%02d", n)) }' "$1"
	for b in "$T"/block*; do
		out=$(bash -e "$b" 2>&1) || { echo "$1: block ${b##*block} fails:"; cat "$b"; echo "$out"; return 1; }
		n=$((n + 1))
	done
	rm -f "$T"/block*
	[ "$n" -gt 0 ]
}

@test "doc/bundles.md: its commands work as they are written" {
	need zstd
	commands_of "$DOC/bundles.md"
	swbundle inspect release/parts.swu | grep -q big.img
	swbundle inspect release/listed.swu | grep -q big.img.hl
}

@test "doc/swbundle.md: its commands work as they are written, tokens too" {
	need zstd openssl softhsm2-util pkcs11-tool
	[ -e /usr/lib/softhsm/libsofthsm2.so ] || skip 'SoftHSM is in another folder here'
	grep -q '^# CONFIG_PKCS11 is not set' "$BIN/.config" && skip 'this configuration leaves tokens out'
	mkdir tokens
	printf 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n' "$T/tokens" >softhsm2.conf
	SOFTHSM2_CONF=$T/softhsm2.conf commands_of "$DOC/swbundle.md"
	cmp one.swu two.swu
	[ "$(jq -r .signature update.json)" = cms ]
	[ -e members/sw-description ]
	swbundle inspect update.swu | grep -q cms
}

# The blocks "sh device" run on a device of files: the same lines, other places.
@test "doc/start.md: from nothing to an updated device, as it is written" {
	need zstd fw_setenv fw_printenv
	mkdir -p etc var/lib dev
	head -c 1000000 /dev/zero >dev/mmcblk0p2
	head -c 1000000 /dev/zero >dev/mmcblk0p3
	truncate -s 5M dev/mmcblk0
	printf '%s 0x400000 0x4000\n%s 0x404000 0x4000\n' "$T/dev/mmcblk0" "$T/dev/mmcblk0" >first.config
	echo 'bootslot=a' >defaults
	fw_setenv -c first.config -f defaults bootdelay 3
	{
		echo "swinstall() { command swinstall -f $T/etc/swinstall.cfg \"\$@\"; }"
		echo "swctl() { command swctl -f $T/etc/swinstall.cfg \"\$@\"; }"
		echo "fw_printenv() { command fw_printenv -c $T/etc/fw_env.config \"\$@\"; }"
	} >fake
	awk '/^```sh/ { on = 1; next } /^```/ { on = 0 } on' "$DOC/start.md" |
		sed -e "s|/etc/|$T/etc/|g; s|/dev/mmcblk|$T/dev/mmcblk|g; s|/var/lib|$T/var/lib|g" \
			-e "s|bootloader = \"uboot\";|&  fwenv-config-location = \"$T/etc/fw_env.config\";|" |
		cat fake - >commands
	run bash -e commands
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	says bootslot=a
	says 'boots next: b'
	cmp -n 500000 images/rootfs.ext4 dev/mmcblk0p3
	[ "$(fw_printenv -c etc/fw_env.config -n bootslot)" = b ]
}

@test "README.md: the commands under 'Use it' work as they are written" {
	need zstd
	slots
	head -c 200000 /dev/urandom >rootfs.ext4.zst
	awk '/^## / { use = $0 == "## Use it" } use && /^    / { print substr($0, 5) }' "$DOC/../README.md" >lines
	# the description and the configuration of the page are files, all else are commands
	sed -n '/^software = {/,/^};/p' lines >sw-description
	sed -n '/^globals : {/,/^};/p' lines >shown.cfg
	sed -e '/^software = {/,/^};/d; /^globals : {/,/^};/d' lines >commands
	grep -q swinstall commands
	grep -q slots shown.cfg
	sed -i "s|$T/demo.cert.pem|$T/keys/release.cert.pem|" device.cfg
	{
		echo "swinstall() { command swinstall -f $T/device.cfg \"\$@\"; }"
		echo "swctl() { command swctl -f $T/device.cfg \"\$@\"; }"
		cat commands
	} >all
	run bash -e all
	[ "$status" -eq 0 ] || { cat all; echo "$output"; false; }
}

@test "doc/swbundle.md and doc/migrating-from-swupdate.md name commands and options that there are" {
	local c o
	for c in $(sed -n 's/^## swbundle //p' "$DOC/swbundle.md"); do swbundle "$c" --help >/dev/null; done
	for o in $(sed -n 's/^| `\(--[a-z-]*\)` .*/\1/p' "$DOC/migrating-from-swupdate.md"); do
		swinstall --help | grep -q -- "$o" || { echo "$o"; return 1; }
	done
}

@test "every error that doc/start.md explains is one that there is" {
	local c
	for c in $(grep -oE '^\| E_[A-Z_, ]+' "$DOC/start.md" | tr -d '|,'); do
		grep -q "^### SWI-" "$DOC/errors.md"
		grep -q "^\*\*$c\*\*" "$DOC/errors.md" || { echo "$c is not in errors.md"; return 1; }
	done
}

@test "the unit for recovery is one that systemd takes" {
	need systemd-analyze
	sed "s|@PREFIX@/bin/swctl|/bin/true|" "$DOC/../scripts/systemd/swinstall-recover.service" >swinstall-recover.service
	run systemd-analyze verify --man=no ./swinstall-recover.service
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	[[ $output != *swinstall-recover* ]] || { echo "$output"; false; }
}

# complete WORDS...: what bash offers for the last word
offers() {
	# shellcheck disable=SC1090
	bash -c 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); compopt() { :; }
		"_$1"; printf "%s\n" "${COMPREPLY[@]}"' - "$COMPLETION" "$@" | sort
}

@test "completion offers options, words of an option, verbs, commands and bundles" {
	touch a.swu b.txt
	[ "$(offers swinstall --max)" = --max-version ]
	[ "$(offers swinstall --cert-purpose e)" = emailProtection ]
	[ "$(offers swinstall '')" = a.swu ]
	[ "$(offers swinstall -k b)" = b.txt ]
	[ "$(offers swctl re)" = recover ]
	[ "$(offers swbundle bu)" = build ]
	[ "$(offers swbundle build --scheme ed)" = ed25519 ]
	[ "$(offers swbundle inspect '')" = a.swu ]
	[ -z "$(offers swinstall --webs)" ]
}
