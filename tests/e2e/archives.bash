# shellcheck shell=bash disable=SC2154 # bats sets status and output
# Archives for bats files: a live folder, new content, bundles with an archive in them. To be loaded after device.

# live/ with files of before, new/ with what comes, app.tar of it; before: the sums of live/
make_live() {
	"$BIN/swinstall" --handlers 2>/dev/null | grep -q '^ *archive' || skip 'built without the handler archive'
	mkdir -p live/sub
	echo old >live/replaced
	echo kept >live/kept
	echo old >live/sub/file
	mkdir -p new/sub new/fresh/deep
	echo new >new/replaced
	echo new >new/sub/file
	echo new >new/fresh/deep/file
	ln -s replaced new/link
	ln new/replaced new/hard
	tar -C new -cf app.tar .
	find live -type f | sort | xargs sha256sum >before
}

# archive ATTRIBUTES [MORE-LISTS]: the bundle app.swu with the member ${MEMBER:-app.tar} in it
archive() {
	cat >sw-description <<-DESC
	software = {
		version = "2.0";
		hardware-compatibility: [ "1.0" ];
		images: ({ filename = "${MEMBER:-app.tar}"; type = "archive"; $1 });
		${2-}
	};
	DESC
	swbundle build sw-description --key "$BATS_FILE_TMPDIR/keys/test.key.pem" \
		--cert "$BATS_FILE_TMPDIR/keys/test.cert.pem" -I . -o app.swu >/dev/null
}

# the same of a member that swbundle would not take for an archive
hostile() {
	cat >sw-description <<-DESC
	software = {
		version = "2.0";
		hardware-compatibility: [ "1.0" ];
		images: ({ filename = "member"; type = "archive"; sha256 = "$(sha256sum member | cut -d' ' -f1)"; $1 });
	};
	DESC
	openssl cms -sign -in sw-description -out sw-description.sig -signer "$BATS_FILE_TMPDIR/keys/test.cert.pem" \
		-inkey "$BATS_FILE_TMPDIR/keys/test.key.pem" -outform DER -nosmimecap -binary
	printf '%s\n' sw-description sw-description.sig member | cpio -o -H newc --quiet >app.swu
	rm sw-description.sig
}

live_is_old() { find live -type f | sort | xargs sha256sum | cmp - before; }

live_is_new() {
	[ "$(cat live/replaced live/sub/file live/fresh/deep/file live/link live/hard)" = "$(printf 'new\n%.0s' 1 2 3 4 5)" ] &&
		[ "$(cat live/kept)" = kept ] && [ -L live/link ] && ! find . -name '.swinstall-*' | grep .
}

# refused CODE [OPTION...] FILE: the install fails with that code, and the folder is as it was
refused() {
	local code=$1
	shift
	run swinstall -f device.cfg -H board:1.0 "$@"
	[ "$status" -ne 0 ] && [[ $output == *"$code"* ]] || { echo "status $status, $code expected: $output"; return 1; }
	live_is_old && ! find live -name '.swinstall-*' | grep .
}

installs() {
	run swinstall -f device.cfg -H board:1.0 "$@"
	[ "$status" -eq 0 ] || { echo "$output"; return 1; }
}
