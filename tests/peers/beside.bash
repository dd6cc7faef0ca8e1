# shellcheck shell=bash disable=SC2034,SC2154 # tests read and set theirs, ours and the words of both
# One bundle, one command line, two programs: `load beside` after ../e2e/helper, and setup_beside in setup().
# What the bundle writes lies in $D, the same for both: it begins as $D.old, and what each has made of it is left in the
# folders theirs and ours. What they said is in theirs.out, theirs.err, ours.out, ours.err; how they ended in $theirs and
# $ours.
GUIDE=${BATS_TEST_FILENAME%/*}/../../doc/migrating-from-swupdate.md

setup_beside() {
	T=$(mktemp -d "${BATS_TMPDIR:-/tmp}/swinstall.XXXXXX")
	chmod 755 "$T"
	cd "$T" || return 1
	need swupdate
	D=$T/device
	keys
	payload rootfs.img 300017
	mkdir bin device.old
	truncate -s 1M device.old/disk device.old/disk2
	ln -s "$BIN/swinstall" bin/swupdate
	printf 'globals : { bootloader = "none"; };\n' >peer.cfg
	printf 'globals : { bootloader = "none"; state-dir = "%s/state"; };\n' "$T" >our.cfg
}

# describe ELEMENTS: a description of one release with these; then build it with `bundle`, or `by_hand MEMBER...`
describe() { printf 'software = { version = "1.0"; hardware-compatibility: [ "1.0" ]; %s };\n' "$1" >sw-description; }

# entry ATTRIBUTES...: demo.swu with one image for each
entry() {
	local all='' one
	for one in "$@"; do all="$all${all:+, }{ $one }"; done
	describe "images: ( $all );"
	bundle >/dev/null
}

# both [OPTION...]: demo.swu installed by Debian's swupdate and by swinstall called as swupdate.
# K names the certificate, H the hardware; both options may be emptied
both() {
	local o=()
	[ -z "${K-demo.cert.pem}" ] || o+=(-k "${K-demo.cert.pem}")
	[ -z "${H-board1:1.0}" ] || o+=(-H "${H-board1:1.0}")
	APART=1 run_on theirs peer -f peer.cfg "${o[@]}" "$@" -i demo.swu
	rm -rf state && mkdir -m 700 state
	run_on ours bin/swupdate -v -f our.cfg "${o[@]}" "$@" -i demo.swu
}

run_on() { # run_on WHO COMMAND...
	rm -rf "$D" "$1" && cp -a device.old "$D"
	printf -v "$1" 0
	"${@:2}" >"$1.out" 2>"$1.err" </dev/null || printf -v "$1" %d $?
	mv "$D" "$1"
}

said() { echo "theirs: $theirs"; tail -n 30 theirs.out theirs.err; echo "ours: $ours"; tail -n 30 ours.out ours.err; return 1; }

# agree STATUS: both ended so
agree() { { [ "$theirs" -eq "$1" ] && [ "$ours" -eq "$1" ]; } || said; }

# differ THEIRS OURS WORDS: they ended so, and the migration page has the words that say why
differ() {
	{ [ "$theirs" -eq "$1" ] && [ "$ours" -eq "$2" ]; } || said
	tr '\n' ' ' <"$GUIDE" | grep -qF -- "$3" || { echo "the migration page does not say: $3"; return 1; }
}

# holds WHO FILE [IMAGE]: what this one wrote begins with the image
holds() { cmp -n "$(stat -c %s "${3:-rootfs.img}")" "$1/$2" "${3:-rootfs.img}"; }

# the two devices are equal, byte for byte, names, owners and modes too
same_device() { diff -r theirs ours && diff <(cd theirs && find . -printf '%p %M %U %G\n' | sort) <(cd ours && find . -printf '%p %M %U %G\n' | sort); }
