# What the pages and manual pages show beside their blocks of commands: examples, files, inline commands, JSON, the installed tree.
# Why: the other pages are run by 70-documents.bats; a command that stands in a sentence is copied just as well.
# shellcheck disable=SC2154 # bats sets status and output
load helper
TOP=$BATS_TEST_DIRNAME/../..
DOC=$TOP/doc

# example PAGE: the text under EXAMPLES of a manual page, as it is shown
example() {
	sed -n '/^\.SH EXAMPLES/,/^\.fi/p' "$DOC/man/$1" | sed -e '/^\./d' -e 's/\\-/-/g; s/\\e$/\\/'
}

# a release of the example's name, made by the commands of swbundle(1), and a device that takes it
example_release() {
	slots
	head -c 200000 /dev/urandom >rootfs.ext4
	zstd -q rootfs.ext4
	example sw-description.5 >sw-description
	example swbundle.1 >commands
	grep -q 'swbundle build' commands
	bash -e commands >/dev/null
	sed -i "s|$T/demo.cert.pem|$T/keys/release.cert.pem|" device.cfg
}

@test "the examples of the manual pages work as they are written" {
	need zstd
	example_release
	{ echo "swinstall() { command swinstall -f $T/device.cfg \"\$@\"; }"; example swinstall.8; } >commands
	grep -q 'swinstall -i -' commands
	run bash -e commands
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	slot_holds b rootfs.ext4
	swbundle lint sw-description
}

@test "the configurations that the pages show are read" {
	keys
	mkdir -m 700 state
	example swinstall.cfg.5 >man.cfg
	{ echo 'globals : {'; sed -n '/^    slots = (/,/^    );/p' "$DOC/bundles.md"; echo '};'; } >bundles.cfg
	local f
	for f in man bundles; do
		grep -q 'slots = (' $f.cfg
		sed -i "s|^globals : {|& state-dir = \"$T/state\";|" $f.cfg
		run swctl -f $f.cfg status
		[ "$status" -eq 0 ] || { echo "$f: $output"; false; }
		[[ $output != *'[WARN'* ]] || { echo "$f: $output"; false; }
	done
}

@test "the line of doc/migrating-from-swupdate.md checks and writes nothing" {
	need zstd
	example_release
	sed -n '/^    swinstall /p' "$DOC/migrating-from-swupdate.md" | sed "s|/etc/swupdate.cfg|$T/device.cfg|" >line
	[ -s line ]
	before=$(device_sum)
	run bash -e line
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	[ "$(device_sum)" = "$before" ]
}

@test "the targets of make that README.md names are there" {
	local p
	for p in $(sed -n 's/^    make \([a-z_]*\) .*/\1/p' "$TOP/README.md") $(grep -o 'make [a-z]*_defconfig' "$TOP/README.md" | cut -d' ' -f2); do
		make -n -C "$TOP" O="$T/o" "$p" >/dev/null || { echo "$p"; return 1; }
	done
}

@test "doc/json.md names every member that a run prints, and its example is one" {
	need python3
	keys; slots; release 2.0; bundle
	swinstall -f device.cfg --json demo.swu >good.json 2>/dev/null
	printf 'X' | dd of=demo.swu bs=1 seek=200000 conv=notrunc status=none
	swinstall -f device.cfg --json demo.swu >bad.json 2>/dev/null || true
	swctl -f device.cfg --json status >status.json
	sed -n '/^```json/,/^```/{/^```/d;p}' "$DOC/json.md" >shown.json
	python3 - "$DOC/json.md" shown.json good.json bad.json <<-'P'
	import json, re, sys
	page = open(sys.argv[1]).read()
	row = re.compile(r'^\| `(\w+)`(.*)$|^\| \|(.*)$', re.M)
	common, of, kind = {'v', 'seq', 't', 'type'}, {}, None
	for m in row.finditer(page):
	    kind = m.group(1) if m.group(1) else kind
	    cell = m.group(2).split(' | ')[1] if m.group(1) else m.group(3).split(' | ')[0]
	    of.setdefault(kind, set()).update(re.findall(r'`(\w+)`', cell))
	seen = set()
	for name in sys.argv[2:]:
	    for n, line in enumerate(open(name), 1):
	        o = json.loads(line)
	        more = set(o) - common - of[o['type']]
	        seen.add(o['type'])
	        if more:
	            sys.exit(f'{name}:{n}: {o["type"]} has {more}, which the page does not name')
	        for k in o.get('error', {}):
	            if f'`{k}`' not in page:
	                sys.exit(f'{name}:{n}: error has {k}')
	assert seen >= {'state', 'step', 'progress', 'log', 'result'} - {'log'}, seen
	for k in json.load(open('status.json')):
	    assert f'`{k}`' in page, k
	P
}

# A command in a sentence: `swctl recover --forget`. Its verb and its options must be there; the fixes of errors are among them.
@test "programs, verbs and options that stand in sentences are there" {
	local p verb o bad=0 n=0 words
	for p in swinstall swctl swbundle; do $p --help >$p.help; done
	for verb in $(sed -n 's/^  \([a-z]*\) .*/\1/p' swbundle.help); do swbundle "$verb" --help >"swbundle.$verb" 2>/dev/null || true; done
	while read -r words; do
		read -r p verb _ <<<"$words"
		n=$((n + 1))
		f=$p.help
		case $p:$verb in
		swinstall:* | *:-*) ;;
		swctl:[a-z]*) swctl "$verb" --help >/dev/null 2>&1 || grep -qw -- "$verb" swctl.help || { echo "no verb: $words"; bad=1; } ;;
		swbundle:[a-z]*) f=swbundle.$verb; [ -s "$f" ] || { echo "no command: $words"; bad=1; continue; } ;;
		esac
		for o in $(grep -oE -- ' --?[a-z][a-z-]*' <<<"$words"); do
			grep -qE -- "(^| )$o(,| |$)" "$f" || { echo "no option $o: $words"; bad=1; }
		done
	done < <(grep -ohE '`(swinstall|swctl|swbundle) [a-z-][^`]*`' "$TOP"/*.md "$DOC"/*.md | tr -d '`' | sort -u
		sed -n 's/^ERRCODE.*"\([^"]*\)")$/\1/p' "$TOP/corelib/errcat.def" | grep -oE '(swctl|swbundle) [a-z]+|swinstall --[a-z]+( --[a-z-]+)?')
	[ "$n" -ge 20 ] || { echo "only $n"; false; }
	[ $bad -eq 0 ]
}

# So that a page which comes later is not forgotten.
@test "every page with blocks of commands is run by a test" {
	local f
	for f in $(cd "$TOP" && grep -lE '^```(sh|bash|console)' ./*.md doc/*.md); do
		grep -rq -- "${f#./}" "$BATS_TEST_DIRNAME" || { echo "$f"; return 1; }
	done
}

# What the functions of zsh are handed; zsh itself offers only in a terminal.
@test "completion of zsh has the options, verbs and commands that the programs have" {
	need zsh
	local f=$TOP/scripts/completion/_swinstall p c o
	zsh -n "$f"
	offers() { # offers PROGRAM WORDS...: all that _arguments and _describe are given behind these words
		# shellcheck disable=SC2016 # for zsh to expand
		zsh -fc '_arguments() { print -rl -- "$@" }; _describe() { print -rl -- ${(P)2} }
			file=$1 service=$2; shift; words=("$@" ""); CURRENT=$#words; . $file' - "$f" "$@"
	}
	[ -x "$BIN/swdoc" ] || skip 'swdoc is not built here'
	offers swinstall >given
	for o in $("$BIN/swdoc" --facts | sed -nE 's/^option swinstall (--[a-z-]+) here ?/\1 /p'); do
		grep -qE -- "(^|[)*])${o}[+=]?\[" given || { echo "$o"; return 1; }
	done
	offers swinstall | grep -qF -- '--cert-purpose=['
	offers swinstall | grep -q '^\*:bundle:_files -g'
	if offers swinstall | grep -q -- --webserver; then return 1; fi
	for c in $(swbundle --help | sed -n 's/^  \([a-z]*\) .*/\1/p'); do
		offers swbundle | grep -q "^$c:" || { echo "$c"; return 1; }
		swbundle "$c" --help >/dev/null 2>&1 || continue
		offers swbundle "$c" | grep -qF -- --help
	done
	offers swbundle build | grep -qF 'ed25519'
	offers swctl | grep -qF '{_describe verb _swctl_verbs}'
}
