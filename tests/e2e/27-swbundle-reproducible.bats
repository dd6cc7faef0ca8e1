#!/usr/bin/env bats
# Two builds of one input give the same bytes: wherever, whoever, whenever.
load helper

# project FOLDER [REVERSE]: the same content with other names around it; files are made in the other order
project() {
	local names="rootfs.img app.bin run.sh" n
	mkdir -p "$1/files"
	[ -z "${2-}" ] || names="run.sh app.bin rootfs.img"
	for n in $names; do
		case $n in
		run.sh) printf '#!/bin/sh\nexit 0\n' >"$1/files/run.sh" ;;
		*) (cd "$1/files" && payload "$n" 2100001) ;;
		esac
	done
	cat >"$1/sw-description" <<-'D'
		software = { version = "@@RELEASE@@";
			images: ({ filename = "rootfs.img"; slot = "rootfs"; compressed = "zstd"; encrypted = true; hash-list = true; },
				{ filename = "rootfs.img"; device = "/dev/x"; compressed = "xz"; });
			files: ({ filename = "app.bin"; path = "/app"; compressed = "zlib"; },
				{ filename = "app.bin"; path = "/app4"; compressed = "lz4"; });
			scripts: ({ filename = "run.sh"; type = "postinstall"; }); };
	D
	cp demo.key.pem demo.cert.pem aes "$1"
	chmod -R a+rX "$1"
}

# make_in FOLDER WRAPPER...: build there, wrapped
make_in() {
	local folder=$1
	shift
	(cd "$folder" && RELEASE=3.0 "$@" "$BIN/swbundle" build sw-description -I files -K aes --key demo.key.pem --cert demo.cert.pem -o out.swu >/dev/null)
}

prepare() {
	keys; chmod 644 demo.key.pem
	echo "$(printf '%064d' 7) $(printf '%032d' 9)" >aes
	export SOURCE_DATE_EPOCH=1700000000
}

@test "another folder, order of files, date of files, time zone, locale, umask and environment: the same bytes" {
	prepare
	project one; make_in one env TZ=UTC LC_ALL=C
	mkdir -p "deep er/and"; project "deep er/and/two" reverse
	find "deep er" -exec touch -d '2001-02-03 04:05:06' {} +
	(umask 077; make_in "deep er/and/two" env TZ=Asia/Kathmandu LC_ALL=tr_TR.UTF-8 LANG=de_DE.UTF-8 HOME=/nowhere USER=other HOSTNAME=elsewhere TMPDIR="$T")
	cmp one/out.swu "deep er/and/two/out.swu"
	swbundle verify -k demo.cert.pem one/out.swu
}

@test "another user: the same bytes" {
	[ "$(id -u)" -eq 0 ] || skip 'SKIP: becoming another user needs root'
	need setpriv
	prepare
	project one; make_in one env
	project two; chown -R 65534:65534 two; [ -x "$BIN" ] || skip 'SKIP: the programs are not readable for others'
	setpriv --reuid=65534 --regid=65534 --clear-groups "$BIN/swbundle" --version || skip 'SKIP: the programs are not readable for others'
	make_in two setpriv --reuid=65534 --regid=65534 --clear-groups
	[ "$(stat -c %u two/out.swu)" = 65534 ]
	cmp one/out.swu two/out.swu
}

# The clock itself moves: SOURCE_DATE_EPOCH decides alone.
@test "another day: the same bytes; without SOURCE_DATE_EPOCH only the time of signing differs" {
	need faketime
	prepare
	project one; make_in one faketime '2024-02-29 23:59:59'
	project two; make_in two faketime '2031-07-01 12:00:00'
	cmp one/out.swu two/out.swu
	unset SOURCE_DATE_EPOCH
	make_in one faketime '2024-02-29 23:59:59'
	make_in two faketime '2031-07-01 12:00:00'
	if cmp -s one/out.swu two/out.swu; then return 1; fi
	for f in one two; do (cd $f && swbundle extract out.swu --dir members >/dev/null && rm members/sw-description.sig); done
	diff -r one/members two/members
}

@test "bare keys that sign the same each time do so; a change of content is a change of bytes" {
	prepare
	payload rootfs.img 70001; description
	for t in rsa ed25519; do
		swbundle keygen --type $t --name $t >/dev/null
		swbundle build sw-description --key $t.key.pem --scheme $t -o one.swu
		swbundle build sw-description --key $t.key.pem --scheme $t -o two.swu
		cmp one.swu two.swu
	done
	bundle; cp demo.swu one.swu
	printf X | dd of=rootfs.img bs=1 seek=5 conv=notrunc status=none
	bundle
	! cmp -s one.swu demo.swu
}

# init_in FOLDER KIND WRAPPER...: a project as init makes it, with one key for all, built as its README says
init_in() {
	local folder=$1 kind=$2
	shift 2
	if [ "$kind" = own ]; then
		"$@" "$BIN/swbundle" init "$folder" >/dev/null
		set -- "$@" "$BIN/swbundle" build sw-description
	else
		"$@" "$BIN/swbundle" init --swupdate "$folder" >/dev/null
		set -- "$@" "$BIN/swbundle" build sw-description --vars devices
	fi
	(cd "$folder" && "$@" --key "$T/demo.key.pem" --cert "$T/demo.cert.pem" -o out.swu >/dev/null)
}

@test "the projects of init, each kind made and built twice: the same bytes" {
	local kind
	prepare
	mkdir "else where"
	for kind in own swupdate; do
		init_in "one-$kind" "$kind" env TZ=UTC LC_ALL=C
		(umask 077; init_in "else where/two-$kind" "$kind" env TZ=Asia/Kathmandu LC_ALL=tr_TR.UTF-8 HOME=/nowhere TMPDIR="$T")
		cmp "one-$kind/out.swu" "else where/two-$kind/out.swu"
		swbundle verify -k demo.cert.pem "one-$kind/out.swu"
	done
	if cmp -s one-own/out.swu one-swupdate/out.swu; then return 1; fi
}

# The cut of the parts is part of the bundle: another size, other members; the content stays.
@test "a payload in parts, with a hash list, compressed and encrypted: the same bytes for the same size of parts" {
	local options=(-I files -K aes --key demo.key.pem --cert demo.cert.pem --hash-list) f
	need cpio
	prepare
	for f in one "deep er"; do
		project "$f" "$([ "$f" = one ] || echo reverse)"
		(cd "$f" && RELEASE=3.0 swbundle build sw-description "${options[@]}" --part-size 300K -o out.swu >/dev/null)
	done
	run cpio -it --quiet <one/out.swu
	says '.002'; says '.hl'
	cmp one/out.swu "deep er/out.swu"
	swbundle verify -k demo.cert.pem one/out.swu
	(cd one && RELEASE=3.0 swbundle build sw-description "${options[@]}" --part-size 299K -o other.swu >/dev/null)
	if cmp -s one/out.swu one/other.swu; then return 1; fi
	swbundle verify -k demo.cert.pem one/other.swu
}
