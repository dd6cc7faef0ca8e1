#!/usr/bin/env bats
# swbundle lint: every mistake is found, with its line and its path, and what is right is left alone.
load helper

A=0000000000000000000000000000000000000000000000000000000000000001
B=0000000000000000000000000000000000000000000000000000000000000002

# around LINES: a description whose line 3 on are these
around() {
	local boards='hardware-compatibility: [ "1.0" ];'
	[[ $1 != *hardware-compatibility* ]] || boards=
	printf 'software = {\n\tversion = "1.0"; %s\n%s\n};\n' "$boards" "$1" >sw-description
}

# entry LIST ATTRIBUTES: one entry in line 3 of a description
entry() {
	around "$1: ({ $2 });"
}

# finds LINE TEXT [OPTIONS]: lint must name this line and say this text as an error
finds() {
	local want="sw-description:$1: error: " text=$2
	shift 2
	run swbundle lint sw-description "$@"
	[ "$status" -eq 3 ] && grep -F "$want" <<<"$output" | grep -qF -- "$text" || { echo "status $status; wanted: $want $text"; cat sw-description; echo "$output"; return 1; }
}

# doubts LINE TEXT [OPTIONS]: the same as a warning, which is refused by --strict only
doubts() {
	local want="sw-description:$1: warning: " text=$2
	shift 2
	swbundle lint sw-description "$@" >out || { cat sw-description out; return 1; }
	grep -F "$want" out | grep -qF -- "$text" || { echo "wanted: $want $text"; cat out; return 1; }
	fails 3 swbundle lint --strict sw-description "$@"
}

clean() {
	run swbundle lint --strict sw-description "$@"
	[ "$status" -eq 0 ] || { echo "$output"; return 1; }
}

IMG='filename = "a.img"; device = "/dev/x"'

@test "keys that nobody reads are named, with the one that was meant" {
	printf 'sofware = { version = "1"; };\n' >sw-description
	finds 1 'sofware is not known; did you mean software?'
	around $'verson = "2";\nimages: ({ filename = "a"; device = "/dev/x"; });'
	finds 3 'software.verson is not known; did you mean version?'
	around $'files: ();\nimges: ({ filename = "a"; device = "/dev/x"; });'
	finds 4 'software.imges is not known; did you mean images?'
	entry images "$IMG; devcie = \"/dev/y\";"
	finds 3 'software.images[0].devcie is not known; did you mean device?'
	entry images "$IMG; installed-directy = true;"
	finds 3 'did you mean installed-directly?'
	around 'bootenv: ({ nmae = "a"; value = "1"; });'
	finds 3 'software.bootenv[0].nmae is not known; did you mean name?'
	around 'a = { b = { c = { d = { images: ({ filename = "a"; device = "/dev/x"; }); }; }; }; };'
	finds 3 'lies deeper than board, set and mode'
}

@test "syntax and bounds are told with their line" {
	printf 'software = {\n\tversion = "1"\n\timages = (;\n};\n' >sw-description
	finds 3 ''
	entry images "$IMG; $IMG"
	finds 3 ''
	printf 'software = {\n@include "x"\n};\n' >sw-description
	finds 2 ''
}

@test "values of the wrong type or out of bounds" {
	entry images "$IMG; installed-directly = \"true\";"
	finds 3 'software.images[0].installed-directly must be true or false'
	entry images "$IMG; size = 1.5;"
	finds 3 'software.images[0].size is a fraction'
	entry images "$IMG; size = -1;"
	finds 3 'software.images[0].size is negative'
	entry images "$IMG; offset = \"1T\";"
	finds 3 'software.images[0].offset is not a size'
	entry images "$IMG; compressed = \"rar\";"
	finds 3 'software.images[0].compressed must be one of'
	entry images "$IMG; encrypted = \"des\";"
	finds 3 'software.images[0].encrypted must be one of'
	entry images "$IMG; sha256 = \"1234\";"
	finds 3 'software.images[0].sha256 must have 64 hexadecimal digits'
	entry images "$IMG; ivt = \"12\";"
	finds 3 'software.images[0].ivt must have 32 hexadecimal digits'
	entry images "$IMG; parts = 1000;"
	finds 3 'software.images[0].parts is 1000'
	entry images 'filename = 5; device = "/dev/x";'
	finds 3 'software.images[0].filename must be a text'
	entry images "$IMG; properties = { chain = 7; };"
	finds 3 'software.images[0].properties.chain must be a text or a list of texts'
}

@test "what is missing for a selection or an entry" {
	printf 'software = {\n%s\n};\n' 'images: ({ filename = "a"; device = "/dev/x"; });' >sw-description
	finds 1 'software has no version'
	around 'images: ();'
	finds 1 'software has nothing to install'
	entry images 'filename = "a.img";'
	finds 3 'software.images[0] has neither type, device, slot nor volume'
	entry images 'filename = "a.img"; type = "raw";'
	finds 3 'software.images[0] has neither slot nor device'
	entry images 'device = "/dev/x";'
	doubts 3 'software.images[0] has no filename'
	entry files 'filename = "a";'
	finds 3 'software.files[0] has no path'
	entry partitions 'type = "diskpart";'
	finds 3 'software.partitions[0] has no device'
	entry images "$IMG; install-if-different = true;"
	finds 3 'needs name and version of the component'
	entry images "$IMG; hook = \"f\";"
	finds 3 'there is no embedded-script'
	entry images "$IMG;"
	finds 3 'software.images[0] has no sha256' --finished
	around 'bootenv: ({ value = "1"; });'
	finds 3 'software.bootenv[0] has no name'
}

@test "handlers that do not exist or stand in the wrong list" {
	entry images "$IMG; type = \"raww\";"
	finds 3 'software.images[0].type "raww" is no handler that is known; did you mean raw?'
	entry files 'filename = "a"; path = "/a"; type = "raw";'
	finds 3 'the handler raw has no place in files'
	entry files 'filename = "a"; path = "/a"; properties = { create-destination = "yes"; };'
	finds 3 'software.files[0].properties.create-destination must be "true" or "false"'
	entry files 'filename = "a"; path = "/a"; properties = { create-destinaton = "true"; };'
	doubts 3 'is no property of the handler rawfile; did you mean create-destination?'
}

@test "entries that contradict themselves" {
	entry images 'filename = "a"; device = "/dev/x"; slot = "rootfs";'
	finds 3 'has both slot and device'
	entry files 'filename = "a"; path = "etc/a";'
	finds 3 'software.files[0].path must begin with /'
	entry files 'filename = "a"; path = "/etc/../../a";'
	finds 3 'leads out of its folder by ..'
	entry files 'filename = "a"; path = "/a"; filesystem = "ext4";'
	finds 3 'needs the device that it is on'
	entry images "$IMG; ivt = \"000102030405060708090a0b0c0d0e0f\";"
	finds 3 'software.images[0].ivt has no use'
	entry images "$IMG; encrypted = \"aes-cbc-256\"; aes-key = \"000102030405060708090a0b0c0d0e0f\";"
	finds 3 'software.images[0].aes-key has 128 bits, aes-cbc-256 needs 256'
	entry images "$IMG; size = 0;"
	finds 3 'software.images[0].size is 0'
	entry images "$IMG; sha256 = \"$A\"; hash-list = \"l\";"
	finds 3 'has hash-list without hash-list-sha256' --finished
	entry images 'filename = ".."; device = "/dev/x";'
	finds 3 'is the name of a member'
	entry images "$IMG; compressed = true;"
	doubts 3 'software.images[0].compressed = true is the old form'
	entry images "$IMG; sha256 = \"$A\"; encrypted = true;" # T50
	doubts 3 'is encrypted without ivt' --finished
}

@test "entries that contradict each other" {
	around "images: ({ filename = \"a\"; device = \"/dev/x\"; },
	{ filename = \"b\"; device = \"/dev/x\"; });"
	doubts 4 'is written to the same place as the entry in line 3'
	around "files: ({ filename = \"a\"; path = \"/a\"; },
	{ filename = \"b\"; path = \"/a\"; });"
	finds 4 'is that of the entry in line 3 already'
	around "images: ({ filename = \"a\"; device = \"/dev/x\"; sha256 = \"$A\"; },
	{ filename = \"a\"; device = \"/dev/y\"; sha256 = \"$B\"; });"
	finds 4 'is not that of the same file in line 3'
	# T50: one initial vector for two images
	around 'images: ({ filename = "a"; device = "/dev/x"; encrypted = true; ivt = "000102030405060708090a0b0c0d0e0f"; },
	{ filename = "b"; device = "/dev/y"; encrypted = true; ivt = "000102030405060708090a0b0c0d0e0f"; });'
	finds 4 'is used in line 3 already'
	around $'bootenv: ({ name = "a"; value = "1"; },\n{ name = "a"; value = "2"; });'
	finds 4 'a is set in line 3 already'
	around 'bootenv: ({ name = "a b"; value = "1"; });'
	finds 3 "must have neither '=' nor blanks"
	around 'bootenv: ({ name = "ustate"; value = "1"; });'
	doubts 3 'ustate belongs to the installer'
}

@test "links and hardware" {
	around 'images: ({ ref = "#./nowhere"; });'
	finds 3 'leads nowhere'
	around $'a = { b = { ref = "#./c"; }; c = { ref = "#./b"; }; images: ({ filename = "f"; device = "/dev/x"; }); };'
	swbundle lint sw-description >/dev/null # nobody follows that circle
	around $'hardware-compatibility: [];\nimages: ({ filename = "a"; device = "/dev/x"; });'
	finds 3 'is empty: no board can take this release'
	around $'hardware-compatibility: ["#RE:("];\nimages: ({ filename = "a"; device = "/dev/x"; });'
	finds 3 ''
}

# A device that knows its revision refuses it; the device of a desk does not.
@test "a description without hardware-compatibility is doubtful, in each selection" {
	printf 'software = {\n\tversion = "1.0";\n\timages: ({ %s; });\n};\n' "$IMG" >sw-description
	doubts 1 'has no hardware-compatibility: a device that knows its hardware revision'
	printf 'software = {\n\tversion = "1.0";\n\tboard1 = { hardware-compatibility: [ "1.0" ]; images: ({ %s; }); };\n};\n' "$IMG" >sw-description
	clean
	swbundle init p; swbundle lint --strict p/sw-description
	grep -q '^	hardware-compatibility' p/sw-description
	swbundle init --swupdate q; DEVICE1=/dev/a DEVICE2=/dev/b swbundle lint --strict q/sw-description
}

# An author wants the whole list at once.
@test "many mistakes are found in one go" {
	around "verson = \"2\";
	images: (
	{ filename = \"a\"; devcie = \"/dev/x\"; sha256 = \"12\"; },
	{ filename = \"b\"; device = \"/dev/x\"; compressed = \"rar\"; type = \"raw\"; },
	{ filename = \"c\"; device = \"/dev/x\"; type = \"raww\"; });
	bootenv: ({ name = \"a b\"; value = \"1\"; });"
	fails 3 swbundle lint sw-description
	says ":3: error"
	says ":5: error: software.images[0].devcie"
	says ":5: error: software.images[0].sha256"
	says ":6: error"
	says ":7: error"
	says ":8: error"
	says "6 errors, 0 warnings"
}

# False alarms make people switch a linter off.
@test "good descriptions pass with --strict: templates, boards, sets, links, JSON, bundles" {
	keys; payload rootfs.img 1000; description 'hash-list = true; compressed = "zlib";'
	clean
	cat >sw-description <<-'D'
		software = {
			version = "@@RELEASE@@";
			embedded-script = "function f(i) return true, i end";
			base: ({ filename = "sub/a.img"; slot = "rootfs"; sha256 = "$swupdate_get_sha256(a.img)"; hook = "f"; });
			board1 = {
				hardware-compatibility: ["1.0", "#RE:^2\\.[0-9]+$"];
				stable = {
					copy1 = { images: ({ ref = "#/software/base"; }); bootenv: ({ name = "slot"; value = "1"; }); };
					copy2 = { ref = "#./copy1"; };
				};
			};
		};
	D
	clean
	printf '{"software": {"version": "1", "hardware-compatibility": "1.0", "images": [{"filename": "rootfs.img", "slot": "rootfs"}]}}' >sw-description
	clean
	description; bundle
	swbundle lint --strict demo.swu
}

# The last words of a failed check: how many, and what to do now; not what a device would say of one value.
@test "the end says how many findings there are and what to do, behind the findings also in one file" {
	entry images "$IMG; compressed = \"rar\";"
	fails 3 swbundle lint sw-description
	says '1 error and 0 warnings; each is a line above'
	says 'correct the lines that are named and run swbundle lint again'
	[[ $output != *'the manual lists'* ]]
	[[ $output == *':3: error:'*'E_DESC_VALUE'* ]] # with a pipe for both
	entry images "$IMG; compressed = true;"
	fails 3 swbundle lint --strict sw-description
	says '0 errors and 1 warning;'
	says 'without --strict warnings are no failure'
	swbundle lint sw-description
}

@test "entries that get in each other's way, scripts that would run as something else, relative devices" {
	entry images 'filename = "a"; device = "sda1"; type = "raw";'
	finds 3 'software.images[0].device must begin with /'
	entry images 'filename = "a"; device = "ubi0"; volume = "v";'
	swbundle lint sw-description
	entry scripts 'filename = "run.sh";'
	finds 3 'is run as Lua: a program needs type = "shellscript"'
	entry scripts 'filename = "run.sh"; type = "postinstall";'
	clean
	entry scripts 'filename = "run.lua"; type = "shellscript";'
	doubts 3 'runs a program, and the file is called .lua'
	around $'images: ({ filename = "a"; device = "/dev/x"; size = 4096; },\n{ filename = "b"; device = "/dev/x"; offset = 2048; size = 10; });'
	doubts 4 'is written to the same place as the entry in line 3'
	around $'images: ({ filename = "a"; device = "/dev/x"; size = 2048; },\n{ filename = "b"; device = "/dev/x"; offset = 2048; size = 10; });'
	clean
	# all of them in one go
	around $'images: ({ filename = "a"; device = "/dev/x"; },\n{ filename = "b"; device = "/dev/x"; },\n{ filename = "c"; device = "sda"; });\nscripts: ({ filename = "d.sh"; });'
	grep -q ':4: warning: .* is written to the same place as the entry in line 3' <(swbundle lint sw-description)
	finds 5 'must begin with /'
	finds 6 'is run as Lua'
}

# Forms of existing templates: what stands there is replaced when the bundle is built.
@test "lint accepts what build replaces" {
	keys; payload rootfs.img 1000
	for form in '@rootfs.img' '<rootfs.img_sha256>' '@@SHA@@' '$swupdate_get_sha256(rootfs.img)'; do
		printf 'software = {\n\tversion = "1"; hardware-compatibility: [ "1.0" ];\n\timages: ({ filename = "rootfs.img"; device = "/dev/x"; sha256 = "%s"; });\n};\n' "$form" >sw-description
		clean
		SHA=x bundle
		swbundle verify -k demo.cert.pem demo.swu
		# nothing replaces it any more
		fails 3 swbundle lint --finished sw-description
	done
	printf 'software = {\n\tversion = "1";\n\t@@MACHINE@@ = {\n\thardware-compatibility: [ "1.0" ];\n\timages: ({ filename = "rootfs.img"; device = "/dev/x"; });\n};\n};\n' >sw-description
	clean
	MACHINE=board1 bundle
	swbundle verify -k demo.cert.pem -H board1 demo.swu
	fails 1 bundle
	says 'the variable MACHINE has no value'
}

@test "handlers that the device does not have are told by lint, build and verify --strict" {
	keys; payload rootfs.img 1000
	around "images: ({ filename = \"rootfs.img\"; volume = \"v\"; device = \"ubi0\"; });"
	sed -i 's/^images/images/' sw-description
	doubts 3 'the handler ubivol is not in this build (--for FILE says what a device has)'
	run bundle; [ "$status" -eq 0 ]; says 'the handler ubivol is not in this build'
	swbundle verify -k demo.cert.pem demo.swu
	fails 3 swbundle verify --strict -k demo.cert.pem demo.swu; says 'the handler ubivol is not in this build'
	# a device that has it, by its own name or another
	printf '{"v":1,"handlers":[{"name":"other","also":["ubivol"]}]}\n' >device.json
	clean --for device.json
	run bundle --for device.json; [ "$status" -eq 0 ]; [[ $output != *ubivol* ]]
	swbundle verify --strict --for device.json -k demo.cert.pem demo.swu
	# what a device says of itself
	swinstall --handlers --json >own.json
	python3 -c 'import json; d = json.load(open("own.json")); assert d["v"] == 1 and "raw" in [h["name"] for h in d["handlers"]] and all(h["summary"] and h["in"] for h in d["handlers"])'
	around "images: ({ filename = \"rootfs.img\"; device = \"/dev/x\"; });"
	clean --for own.json
	printf '{"v":1,"handlers":[]}\n' >none.json
	doubts 3 'the handler raw is not on the device of none.json' --for none.json
	echo nonsense >no.json
	fails 1 swbundle lint --for no.json sw-description; says 'swinstall --handlers --json'
}

# What a source makes on the device is vouched for by the digest of the result alone.
@test "result-sha256: a digest, or in a template the file that must come out; without it a source is doubtful" {
	keys; payload p.patch 100; payload rootfs.new 5000
	patch() { around "images: ({ filename = \"p.patch\"; type = \"rdiff_image\"; device = \"/dev/x\"; properties = { rdiffbase = \"/dev/y\"; $1 }; });"; }
	printf '{"handlers":[{"name":"rdiff_image"},{"name":"rawcopy"}]}' >device.json
	patch ''
	doubts 3 'no property result-sha256 says what must come out' --for device.json
	patch 'result-sha256 = "12";'
	finds 3 'must have 64 hexadecimal digits, or name the file that must come out: "@FILE"'
	patch 'result-sha256 = "@rootfs.new";'
	clean --for device.json
	run bundle --for device.json
	[ "$status" -eq 0 ] || { echo "$output"; return 1; }
	swbundle inspect --json demo.swu | grep -qF "\"result-sha256\":\"$(sha rootfs.new)\""
	swbundle verify --strict --for device.json -k demo.cert.pem demo.swu
	# a source without a payload is no entry with a file, and has it too
	around 'scripts: ({ type = "rawcopy"; device = "/dev/x"; properties = { copyfrom = "/dev/y"; result-sha256 = "@rootfs.new"; }; }); images: ({ filename = "p.patch"; device = "/dev/z"; });'
	bundle --for device.json
	swbundle inspect --json demo.swu | grep -qF "\"result-sha256\":\"$(sha rootfs.new)\""
	patch 'result-sha256 = "@nosuch";'
	fails 1 bundle --for device.json
	says 'nosuch'; says 'line 3'
}
