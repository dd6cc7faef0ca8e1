#!/usr/bin/env bats
# Archives beside Debian's swupdate: the same names, kinds, content, owners and modes, whatever was there before.
load ../e2e/helper

# there FOLDER: files and folders of before, with owners and modes of their own
there() {
	rm -rf "$1"
	mkdir -p "$1/sub/deep" "$1/other" "$1/shared"
	echo old >"$1/sub/f" && echo old >"$1/other/kept" && echo old >"$1/shared/g"
	chown 11:12 "$1/sub" "$1/shared" && chown 7:8 "$1/sub/f"
	chmod 711 "$1" && chmod 750 "$1/sub" && chmod 2775 "$1/shared" && chmod 600 "$1/sub/f" && chmod 700 "$1/sub/deep"
}

# a tar of new/, with or without entries for its folders
come() {
	mkdir -p new/sub/deep new/fresh new/shared
	echo new >new/sub/f && echo new >new/sub/deep/added && echo new >new/fresh/file && echo new >new/shared/g
	ln -s f new/sub/link && ln new/sub/f new/sub/hard
	chown -R 33:34 new
	chmod 755 new && chmod 1775 new/sub && chmod 4751 new/sub/f && chmod 700 new/fresh && chmod 755 new/shared
	case $1 in
	folders) tar -C new -cf app.tar . ;;
	files) (cd new && find . ! -type d -print | sort | tar -cf ../app.tar -T -) ;;
	esac
}

# listing FOLDER: everything but times
listing() { (cd "$1" && find . -exec stat -c '%n %F %a %u:%g %h' {} + | sort && find . -type f | sort | xargs sha256sum); }

# both ATTRIBUTES: the same bundle by both programs into the same state; what they made is compared
both() {
	local who
	printf 'software = { version = "1.0"; hardware-compatibility: [ "1.0" ]; images: ({ filename = "app.tar"; type = "archive"; path = "%s"; %s }); };\n' \
		"$T/live" "$1" >sw-description
	bundle
	for who in ours theirs; do
		there live
		if [ $who = ours ]; then
			echo "globals : { public-key-file = \"$T/demo.cert.pem\"; state-dir = \"$T/state\"; run-dir = \"$T/run\"; bootloader = \"none\"; };" >our.cfg
			swinstall -f our.cfg -H board1:1.0 demo.swu >$who.log 2>&1 || { cat $who.log; return 1; }
		else
			peer -H board1:1.0 -k demo.cert.pem -i demo.swu >$who.log 2>&1 || { tail -n 20 $who.log; return 1; }
		fi
		listing live >$who
	done
	diff ours theirs
}

begin() {
	need swupdate
	[ "$(id -u)" -eq 0 ] || skip 'only root gives files away'
	"$BIN/swinstall" --handlers 2>/dev/null | grep -q '^ *archive' || skip 'built without the handler archive'
	keys
	mkdir -m 700 state && mkdir -m 755 run
}

@test "plain: folders that are there keep owner and mode, files come as the peer makes them" {
	begin; come folders; both ''
}

@test "preserve-attributes: folders that are there take owner and mode of the archive" {
	begin; come folders; both 'preserve-attributes = true;'
}

@test "preserve-attributes: a folder that the archive does not name keeps what it has" {
	begin; come files; both 'preserve-attributes = true;'
}

@test "plain, without entries for folders" {
	begin; come files; both ''
}

@test "an archive compressed by bzip2 is unpacked by both" {
	need bzip2
	begin; come folders
	bzip2 app.tar && mv app.tar.bz2 app.tar
	both ''
}
