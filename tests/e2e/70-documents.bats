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
