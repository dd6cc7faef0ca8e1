#!/usr/bin/env bats
# Links (ref = "#…") in every position that descriptions have them in, beside Debian's swupdate: the same files are
# installed, or doc/migrating-from-swupdate.md says what differs.
# shellcheck disable=SC2154 # beside.bash sets theirs and ours
load ../e2e/helper
load beside

setup() {
	setup_beside
	local f
	for f in root software stable main item board deep; do echo "$f" >"$f.p"; done
}

# linked TEXT [OPTION...]: a description (@NAME@ is a file for $D/NAME) by both
linked() {
	local f text=$1
	shift
	for f in *.p; do
		text=${text//"@${f%.p}@"/"{ filename = \"$f\"; path = \"$D/${f%.p}\"; sha256 = \"$(sha "$f")\"; }"}
	done
	echo "$text" >sw-description
	by_hand
	both "$@"
}

by_hand() { # the members of these tests have no folder
	openssl cms -sign -in sw-description -out sw-description.sig -signer demo.cert.pem -inkey demo.key.pem -outform DER -nosmimecap -binary
	{ echo sw-description; echo sw-description.sig; ls ./*.p | sed 's|^\./||'; } | cpio -o -H crc --quiet >demo.swu
}

alike() { # alike STATUS WHAT
	agree "$1" || { echo "$2"; return 1; }
	diff -r theirs ours || { echo "$2"; return 1; }
	[ "$1" -ne 0 ] || [ -n "$(ls theirs | grep -v disk)" ] || { echo "$2: nothing was written"; return 1; }
}

HEAD='version = "1"; hardware-compatibility: [ "1.0" ];'

# "#./../x" is the form of SWUpdate's own manual.
@test "links: each form of a path, as an item of a list and in place of the list" {
	local ref how
	for ref in './t' '../t' './../t' '../../t' './../../t' './././t' '.././t' 'software/t' '/software/t' './../nowhere/../t' \
		'software/stable/../t' './x/../t' '/./t' '../../../t' './../../../t' '.././../t' './t/' './/t' '..//t' 't/'; do
		for how in "( { ref = \"#$ref\"; } )" "{ ref = \"#$ref\"; }"; do
			linked "t: ( @root@ ); software = { $HEAD t: ( @software@ ); stable = { t: ( @stable@ ); main = { t: ( @main@ ); files: $how; }; }; };" -e stable,main
			alike 0 "$how"
		done
	done
	for ref in './../stable/t' t './main/t' '../../../../t'; do
		linked "t: ( @root@ ); software = { $HEAD t: ( @software@ ); stable = { t: ( @stable@ ); main = { t: ( @main@ ); files: ( { ref = \"#$ref\"; } ); }; }; };" -e stable,main
		alike 1 "$ref"
	done
}

@test "links: version, hardware and switches" {
	local ref
	for ref in ./v ./../software/v software/v w2; do
		linked "w2 = \"3\"; software = { version = { ref = \"#$ref\"; }; v = \"2\"; hardware-compatibility: [ \"1.0\" ]; files: ( @software@ ); };"
		alike 0 "$ref"
	done
	linked "software = { $HEAD stable = { v = \"2\"; main = { version = { ref = \"#../v\"; }; files: ( @main@ ); }; }; };" -e stable,main
	alike 0 'version of a mode'
	linked "software = { version = \"1\"; hw: [ \"1.0\" ]; hardware-compatibility = { ref = \"#./hw\"; }; files: ( @item@ ); };"
	alike 0 'hardware'
	linked "software = { version = \"1\"; hw: [ \"9.0\" ]; hardware-compatibility = { ref = \"#./hw\"; }; files: ( @item@ ); };"
	alike 1 'other hardware'
	linked "software = { $HEAD d = \"text\"; r = false; description = { ref = \"#./d\"; }; reboot = { ref = \"#./r\"; }; files: ( @item@ ); };"
	alike 0 'description and reboot'
	linked "software = { version = { ref = \"#./nowhere\"; }; hardware-compatibility: [ \"1.0\" ]; files: ( @item@ ); };"
	alike 1 'a version that is nowhere'
}

@test "links: modes, boards, the whole, items among items, links that lead to links" {
	linked "software = { $HEAD stable = { main = { ref = \"#./alt\"; }; alt = { files: ( @main@ ); }; }; };" -e stable,main
	alike 0 'a mode'
	linked "software = { $HEAD other = { files: ( @main@ ); }; stable = { main = { ref = \"#./../other\"; }; }; };" -e stable,main
	alike 0 'a mode elsewhere'
	linked "software = { $HEAD board1 = { ref = \"#./../x\"; }; }; x = { files: ( @board@ ); };"
	alike 0 'a board'
	linked "software = { ref = \"#./x\"; }; x = { $HEAD files: ( @board@ ); };"
	alike 0 'the whole'
	linked "software = { $HEAD e = ( @item@, @deep@ ); files: ( @main@, { ref = \"#./e\"; comment = \"x\"; }, @software@ ); };"
	alike 0 'items'
	linked "software = { $HEAD f = ( @deep@ ); e = ( @item@, { ref = \"#./f\"; } ); files: ( { ref = \"#./e\"; } ); };"
	alike 0 'links to links'
	linked "software = { $HEAD deep = { t: ( @deep@ ); other = { t: ( @board@ ); files: ( { ref = \"#./../t\"; } ); }; }; t: ( @software@ ); stable = { main = { ref = \"#./../deep/other\"; }; }; };" -e stable,main
	alike 0 'the place of a link is where it stands'
	linked "software = { $HEAD files: ( @item@ ); s = (); b = ( { name = \"a\"; value = \"b\"; } ); scripts: ( { ref = \"#./s\"; } ); bootenv: ( { ref = \"#./b\"; } ); };"
	alike 0 'scripts and bootenv'
	linked "software = { $HEAD p = \"$D/item\"; files: ( { filename = \"item.p\"; path = { ref = \"#software/p\"; }; sha256 = \"$(sha item.p)\"; } ); };"
	alike 1 'an attribute of an entry is no place for a link'
	linked "software = { $HEAD stable = { main = { files: ( @main@ ); }; alt = { ref = \"#./nowhere\"; }; }; };" -e stable,main
	alike 0 'what is not selected is not followed'
}

@test "links: what is refused on one side alone stands in the migration page" {
	# set and board as links to groups that hold modes, a path through a link: followed here
	linked "software = { $HEAD stable = { ref = \"#./prod\"; }; prod = { main = { files: ( @main@ ); }; }; };" -e stable,main
	differ 1 0 'through other links'
	linked "software = { $HEAD a = { ref = \"#./b\"; }; b = { t: ( @item@ ); }; files: ( { ref = \"#./a/t\"; } ); };"
	differ 1 0 'through other links'
	# a link that leads nowhere is passed over there
	linked "software = { $HEAD files: ( @main@, { ref = \"#./nowhere\"; } ); };"
	differ 0 1 'a link that leads nowhere is an error'
	linked "software = { $HEAD files: ( @software@ ); stable = { main = { ref = \"#./nowhere\"; }; }; };" -e stable,main
	differ 0 1 'a link that leads nowhere is an error'
}
