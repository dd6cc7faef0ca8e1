#!/usr/bin/env bats
# Bundles of swugenerator install here: Debian's 0.2 and PyPI's 0.6, plain, compressed, encrypted, signed by CMS and RSA.
load ../e2e/helper

setup_file() {
	# made once; without the registry the tests of 0.6 say so and are skipped
	export VENV="$BATS_FILE_TMPDIR/venv"
	if [ -n "${SWUGENERATOR_VENV-}" ]; then
		VENV=$SWUGENERATOR_VENV
	else
		python3 -m venv "$VENV" >/dev/null 2>&1 &&
			timeout 120 "$VENV/bin/pip" install -q --disable-pip-version-check 'swugenerator==0.6' >"$BATS_FILE_TMPDIR/pip.log" 2>&1 || true
	fi
}

newer() { [ -x "$VENV/bin/swugenerator" ] || skip 'swugenerator 0.6 could not be installed from PyPI'; }

# template ATTRIBUTE...: one attribute a line, as that program wants it
template() {
	{
		printf 'software =\n{\n\tversion = "@@RELEASE@@";\n\timages: (\n\t\t{\n\t\t\tfilename = "rootfs.img";\n\t\t\tdevice = "%s";\n\t\t\ttype = "raw";\n' "$T/disk"
		printf '\t\t\t%s;\n' "$@"
		printf '\t\t}\n\t);\n};\n'
	} >sw-description
	printf 'variables: { RELEASE = "4.2"; };\n' >conf.cfg
}

prepare() {
	keys; payload rootfs.img 300017
	printf 'key=%s\niv=%s\n' "$(printf '%064d' 7)" "$(printf '%032d' 9)" >aes.kv
	(umask 077; echo "$(printf '%064d' 7) $(printf '%032d' 9)" >aes)
	mkdir -m 700 state
	printf 'globals : { bootloader = "none"; public-key-file = "%s/demo.cert.pem"; aes-key-file = "%s/aes"; state-dir = "%s/state"; };\n' "$T" "$T" "$T" >device.cfg
}

# each GENERATOR: what it makes in each way is good here and installs
each() {
	local how
	prepare
	for how in 'path = ""' 'compressed = "zlib"' 'encrypted = true' 'compressed = "zlib"|encrypted = true'; do
		IFS='|' read -ra lines <<<"$how"
		template "${lines[@]}"
		"$1" -s sw-description -c conf.cfg -a "$T" -K aes.kv -k CMS,demo.key.pem,demo.cert.pem -o theirs.swu create
		swbundle verify -k demo.cert.pem theirs.swu
		rm -f disk; truncate -s 1M disk
		swinstall -f device.cfg theirs.swu
		cmp -n 300017 disk rootfs.img
	done
	openssl genrsa -traditional -out rsa.pem 2048 2>/dev/null
	openssl rsa -in rsa.pem -pubout -out rsa.pub.pem 2>/dev/null
	template 'path = ""'
	"$1" -s sw-description -c conf.cfg -a "$T" -k RSA,rsa.pem -o theirs.swu create
	rm -f disk; truncate -s 1M disk
	swinstall -f device.cfg -k rsa.pub.pem theirs.swu
	cmp -n 300017 disk rootfs.img
	# what was altered on the way is refused
	printf 'X' | dd of=theirs.swu bs=1 seek=200000 conv=notrunc status=none
	fails 1 swinstall -f device.cfg -k rsa.pub.pem theirs.swu
	says E_PAYLOAD_HASH
}

@test "bundles of Debian's swugenerator install here" {
	need swugenerator
	each swugenerator
}

@test "bundles of swugenerator 0.6 install here" {
	newer
	each "$VENV/bin/swugenerator"
}

@test "one template builds in all three, and each bundle holds the same payload" {
	need swugenerator cpio; newer
	prepare; template 'path = ""'
	swugenerator -s sw-description -c conf.cfg -a "$T" -k CMS,demo.key.pem,demo.cert.pem -o old.swu create
	"$VENV/bin/swugenerator" -s sw-description -c conf.cfg -a "$T" -k CMS,demo.key.pem,demo.cert.pem -o new.swu create
	RELEASE=4.2 swbundle build sw-description --key demo.key.pem --cert demo.cert.pem -o ours.swu
	for b in old new ours; do
		swbundle verify -k demo.cert.pem $b.swu >$b.out
		grep -q 'Version 4.2' $b.out
		cpio -i --quiet --to-stdout rootfs.img <$b.swu | cmp - rootfs.img
	done
}

# Said where a person meets it: a description that is encrypted as a whole is not read here.
@test "a bundle whose description is encrypted is refused, and nothing is written" {
	newer
	prepare; template 'path = ""'; truncate -s 1M disk
	"$VENV/bin/swugenerator" -s sw-description -c conf.cfg -a "$T" -K aes.kv -t -k CMS,demo.key.pem,demo.cert.pem -o theirs.swu create
	before=$(sha disk)
	fails 1 swinstall -f device.cfg theirs.swu
	says E_DESC_SEALED
	says "encrypted as a whole"
	fails 3 swbundle verify -k demo.cert.pem theirs.swu
	says E_DESC_SEALED
	fails 1 swbundle inspect theirs.swu
	says E_DESC_SEALED
	fails 3 swbundle lint theirs.swu
	[ "$(sha disk)" = "$before" ]
}
