# What a tired person reads when something simple is wrong: where it is, why, and what to do, in words without jargon.
# Why: these are the first errors that anybody meets; each was tried by hand and read before it was written down here.
# shellcheck disable=SC2154 # bats sets status and output
load helper

setup() {
	T=$(mktemp -d "${BATS_TMPDIR:-/tmp}/swinstall.XXXXXX")
	chmod 755 "$T"
	cd "$T" || return 1
	keys
	RUNNING=a slots
	release 2.0 # its description has hardware-compatibility only where a test wants it
	bundle >/dev/null
	before=$(device_sum)
}

# refused CODE TEXT...: status 1, nothing written, the code last, and each text in one line of the report
refused() {
	local code=$1 text
	shift
	[ "$status" -eq 1 ] || { echo "status $status: $output"; return 1; }
	[[ ${lines[${#lines[@]} - 1]} == "[ERROR] : $code"* ]] || { echo "$output"; return 1; }
	for text in "$@"; do says "$text" || return 1; done
	[ "$(device_sum)" = "$before" ]
}

@test "no configuration at all, a missing one, a missing key" {
	[ ! -e /etc/swinstall.cfg ] && [ ! -e /etc/swupdate.cfg ] || skip 'SKIP: this machine has a configuration'
	run swinstall demo.swu
	refused E_CONFIG 'there is neither /etc/swinstall.cfg nor' 'fix   write /etc/swinstall.cfg (doc/start.md shows one)'
	run swinstall -f none.cfg demo.swu
	refused E_CONFIG 'where none.cfg' 'No such file' 'fix   check the name'
	run swinstall -f device.cfg -k none.pem demo.swu
	refused E_KEY_FILE 'where none.pem' 'No such file' 'fix   check the name (-k, or public-key-file'
	sed 's/public-key-file/public-key-fil/' device.cfg >typo.cfg
	run swinstall -f typo.cfg demo.swu
	refused E_KEY_FILE 'did you mean public-key-file?' 'where typo.cfg' 'does not know by whom' "fix   copy the signer's certificate"
}

@test "whoever is not root is told so, by every program and at every place" {
	[ "$(id -u)" -eq 0 ] || skip 'SKIP: only root may become somebody else'
	need setpriv
	nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
	run nobody swinstall -f device.cfg demo.swu
	refused E_STATE_DIR 'Permission denied' 'fix   run it as root'
	chmod 755 .
	run nobody swinstall -f device.cfg --check demo.swu
	refused E_ENV_WRITE 'Permission denied' 'fix   run it as root'
	run nobody swctl -f device.cfg history
	refused E_STATE_DIR 'Permission denied' 'fix   run it as root'
	run nobody swctl -f device.cfg recover
	refused E_STATE_DIR 'Permission denied' 'fix   run it as root'
	run nobody swctl -f device.cfg status
	[ "$status" -eq 0 ]
	says 'now     not known: '; says 'last    not known: run it as root'
	chmod 600 slot-b
	run nobody swinstall -f device.cfg --check demo.swu
	refused E_TARGET 'Permission denied' 'fix   run it as root'
}

@test "slots: no list, a role that is not there, a file that is missing" {
	printf 'globals : { public-key-file = "%s/demo.cert.pem"; bootloader = "none"; state-dir = "%s/state"; };\n' "$T" "$T" >bare.cfg
	run swinstall -f bare.cfg demo.swu
	refused E_SLOT '(bare.cfg) has no list slots' 'fix   describe the slots of this device in the list slots'
	sed 's/rootfs = /root = /' device.cfg >role.cfg
	run swinstall -f role.cfg demo.swu
	refused E_SLOT "slot 'b' of the configuration has no place 'rootfs', only: root" 'fix   name the place in each slot'
	mv slot-b away
	run swinstall -f device.cfg demo.swu
	mv away slot-b
	refused E_TARGET "where $T/slot-b" 'No such file' "fix   slot 'b' of the configuration names it as rootfs"
}

@test "a selection: none was given, one that is not there, one of another board" {
	echo 'software = { version = "2.0"; b1 = { stable = { main = { hardware-compatibility: [ "1" ]; images: ({ filename = "rootfs.img"; slot = "rootfs"; }); }; }; }; };' >sw-description
	bundle >/dev/null
	run swinstall -f device.cfg -H b1:1 demo.swu
	refused E_SELECT 'where sw-description' 'none was given' 'fix   choose one with -e SET,MODE, or select in the configuration: stable,main'
	run swinstall -f device.cfg -H b1:1 -e stable,man demo.swu
	refused E_SELECT "'stable' has no mode 'man'; its modes: main" 'stable,main'
	run swinstall -f device.cfg -H b2:7 -e stable,main demo.swu
	refused E_SELECT "for other boards only (b1); this device is board 'b2' revision '7'" 'fix   use a bundle for this board'
}

@test "the wrong key names the signer" {
	swbundle keygen --dir . --name other >/dev/null
	run swinstall -f device.cfg -k other.cert.pem demo.swu
	refused E_CERT_CHAIN "it was signed by 'CN=demo'" 'no certificate of this device' 'fix   name the certificate of the signer'
}

@test "a file that is missing, a folder, something else, an empty file, one that is cut" {
	run swinstall -f device.cfg none.swu
	refused E_IO 'where none.swu' 'No such file' 'fix   check the name of the bundle'
	run swinstall -f device.cfg state
	refused E_IO 'is a folder' 'fix   name a bundle (.swu) in the folder'
	run swinstall -f device.cfg rootfs.img
	refused E_CPIO_MAGIC "'rootfs.img' was not installed" 'it is not a cpio archive' 'fix   a .swu is'
	: >empty.swu
	run swinstall -f device.cfg empty.swu
	refused E_TRUNCATED 'ends at byte 0' 'fix   copy or download the bundle again'
	head -c 200000 demo.swu >cut.swu
	run swinstall -f device.cfg cut.swu
	refused E_TRUNCATED "'rootfs.img' should have 300017 bytes" 'fix   copy or download the bundle again'
}

@test "hardware: the wrong board is refused, an unknown one is warned of, and refused where strict is set" {
	sed -i 's/version = "2.0";/& hardware-compatibility: [ "rev2" ];/' sw-description
	bundle >/dev/null
	run swinstall -f device.cfg -H board:rev1 demo.swu
	refused E_HARDWARE "this board is 'board' revision 'rev1'; the bundle is made for 'rev2'"
	sed "s|slots = |hwrevision-file = \"$T/none\"; &|" device.cfg >unknown.cfg
	sed 's/slots = /strict = true; &/' unknown.cfg >strict.cfg
	run swinstall -f strict.cfg demo.swu
	refused E_HARDWARE 'does not say what it is' "fix   write 'BOARD REVISION' into that file"
	run swinstall -f unknown.cfg demo.swu
	[ "$status" -eq 0 ]
	says "[WARN ] : the bundle is made for hardware 'rev2', and this device does not say what it is ($T/none)"
	run swinstall -f device.cfg -H board demo.swu
	[ "$status" -eq 1 ]
	says "-H takes BOARD:REVISION, not 'board'"
}

@test "mistakes of the configuration are named by file and line, once" {
	printf 'globals : {\n  public-key-file = "x\n};\n' >quote.cfg
	run swinstall -f quote.cfg demo.swu
	refused E_CONFIG 'no closing quote' 'where line 2, quote.cfg'
	[[ $output != *'quote.cfg, quote.cfg'* ]]
	printf 'globals : {\n  verify-writes = yes;\n};\n' >bare.cfg
	run swinstall -f bare.cfg demo.swu
	refused E_CONFIG 'line 2' 'not yes' 'texts stand in quotes'
	sed 's/bootloader = "file"/bootloader = "ubot"/' device.cfg >boot.cfg
	run swinstall -f boot.cfg demo.swu
	refused E_CONFIG 'where bootloader of boot.cfg' "did you mean 'uboot'?"
	cp device.cfg open.cfg
	chmod 666 open.cfg
	run swinstall -f open.cfg demo.swu
	refused E_CONFIG 'where open.cfg' 'others than root' 'fix   chown root open.cfg; chmod go-w open.cfg'
}

@test "a person who is not root is told to be" {
	need setpriv
	[ "$(id -u)" -eq 0 ] || skip 'SKIP: root is needed to become somebody else'
	cp "$BIN/swinstall" . # where anybody may enter
	chmod 755 swinstall
	run setpriv --reuid=65534 --regid=65534 --clear-groups ./swinstall -f device.cfg demo.swu
	refused E_STATE_DIR "$T/state" 'Permission denied' 'fix   run it as root'
	chmod 755 state
	run setpriv --reuid=65534 --regid=65534 --clear-groups ./swinstall -f device.cfg demo.swu
	refused E_STATE_DIR 'fix   run it as root'
}

@test "no room: for a pipe's payload, and on a device" {
	[ "$(id -u)" -eq 0 ] || skip 'SKIP: root is needed to mount'
	mkdir -m 700 small
	mount -t tmpfs -o size=128k,mode=700 tmpfs small || skip 'SKIP: tmpfs cannot be mounted here'
	sed "s|slots = |spool-dir = \"$T/small\"; &|" device.cfg >spool.cfg
	run bash -c 'cat demo.swu | swinstall -f spool.cfg -i -'
	umount small
	refused E_NO_SPACE 'the payload has 300017 bytes' "$T/small has 131072 free" 'fix   free space on the file system named'
	truncate -s 128k disk
	L=$(losetup -f --show disk) || skip 'SKIP: there is no loop device'
	sed "s|slot = \"rootfs\"|device = \"$L\"|" sw-description >sw-description.disk
	swbundle build sw-description.disk --key demo.key.pem --cert demo.cert.pem -o disk.swu >/dev/null
	run swinstall -f device.cfg disk.swu
	losetup -d "$L"
	refused E_TARGET_SMALL '131072' 'fix   enlarge the partition or build a smaller image'
}

@test "a sender that stops, and an input that is none, say where and what to check" {
	need python3
	python3 - "$BIN/swinstall" <<-'P' >out 2>&1 || true
	import os, subprocess, sys
	r, w = os.pipe()
	os.write(w, open('demo.swu', 'rb').read(30000))
	p = subprocess.Popen([sys.argv[1], '-f', 'device.cfg', '-i', '-'], stdin=r)
	os.close(w)
	sys.exit(p.wait())
	P
	run cat out
	says "E_TRUNCATED"
	says 'ends at byte 30000'
	run swinstall -f device.cfg -i - <.
	refused E_IO 'is a folder'
	run swinstall -f device.cfg -i - <&-
	[ "$status" -eq 1 ]
	says 'fix   '
}
