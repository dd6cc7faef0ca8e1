# Called as swupdate, each option does what its users know, in each of its spellings, or is clearly not built in yet.
# Why: a unit file or an update script is not rewritten for a new installer; one row that is missing is a device that cannot be updated.
# shellcheck disable=SC2154 # bats sets status and output
load helper

# SPELLINGS, separated by ; | EXPECTATION, a function below with its words. Every option of the table has a row.
ROWS='
-i demo.swu; --image demo.swu; --image=demo.swu         | installs rootfs.img
-c -i demo.swu; --check -i demo.swu                     | writes_nothing
-n -i demo.swu; --dry-run -i demo.swu                   | writes_nothing
-f device.cfg -i demo.swu; --file=device.cfg -i demo.swu | installs rootfs.img
-e stable,main -i demo.swu; --select stable,main -i demo.swu; --select=stable,main -i demo.swu | installs other.img
-q a,b -e stable,main -i demo.swu; --accepted-select=a,b -e stable,main -i demo.swu  | refuses E_SELECT
-q stable,main -q a,b -e stable,main -i demo.swu; --accepted-select a,b --accepted-select stable,main -e stable,main -i demo.swu | installs other.img
-H board:2.0 -i demo.swu; --hwrevision board:2.0 -i demo.swu; --hwrevision=board:2.0 -i demo.swu | refuses E_HARDWARE
-k other.cert.pem -i demo.swu; --key other.cert.pem -i demo.swu; --key=other.cert.pem -i demo.swu | refuses E_CERT_CHAIN
--ca-path other.cert.pem -i demo.swu; --ca-path=other.cert.pem -i demo.swu | refuses E_CERT_CHAIN
--ca-path none.pem -i demo.swu; --ca-path=none.pem -i demo.swu | refuses E_KEY_FILE
--crl-path other.cert.pem -i demo.swu; --crl-path=other.cert.pem -i demo.swu | refuses E_KEY_FILE
--cert-purpose codeSigning -i demo.swu; --cert-purpose=codeSigning -i demo.swu | refuses E_CERT_PURPOSE
--cert-purpose emailProtection -i demo.swu              | installs rootfs.img
--forced-signer-name nobody -i demo.swu; --forced-signer-name=nobody -i demo.swu | refuses E_CERT_NAME
--digest-provider opensslRSA -i demo.swu; --digest-provider=opensslRSAPSS -i demo.swu | refuses E_KEY_FILE
--digest-provider opensslCMS -i demo.swu                | installs rootfs.img
--hash-provider opensslSHA256 -i demo.swu; --hash-provider=opensslSHA256 -i demo.swu | installs rootfs.img
--decrypt-provider opensslAES -i demo.swu; --decrypt-provider=opensslAES -i demo.swu | installs rootfs.img
-e stable,secret -K aes -i demo.swu; -e stable,secret --key-aes aes -i demo.swu; -e stable,secret --key-aes=aes -i demo.swu | installs other.img
-e stable,secret -i demo.swu                            | refuses E_KEY_AES
-N 3.0 -i demo.swu; --no-downgrading 3.0 -i demo.swu; --no-downgrading=3.0 -i demo.swu | refuses E_VERSION
--max-version 1.0 -i demo.swu; --max-version=1.0 -i demo.swu | refuses E_VERSION
-R 2.0 -i demo.swu; --no-reinstalling 2.0 -i demo.swu   | refuses E_REINSTALL
-s versions -i demo.swu; --gen-swversions versions -i demo.swu; --gen-swversions=versions -i demo.swu | writes versions system.*2.0
-B grub -i demo.swu; --bootloader grub -i demo.swu; --bootloader=grub -i demo.swu | refuses E_ENV_READ
-e stable,fails -i demo.swu                             | marks recovery_status=failed
-e stable,fails -M -i demo.swu; -e stable,fails --no-transaction-marker -i demo.swu | leaves_no recovery_status E_PROCESS
-v -i demo.swu; --verbose -i demo.swu                   | marks ustate=1
-m -i demo.swu; --no-state-marker -i demo.swu           | leaves_no ustate
-P false -i demo.swu; --preupdate false -i demo.swu; --preupdate=false -i demo.swu | refuses E_PROCESS
-p ./post -i demo.swu; --postupdate ./post -i demo.swu; --postupdate=./post -i demo.swu | writes posted yes
-b 0 -i demo.swu; --blacklist 0 -i demo.swu; --blacklist=0 -i demo.swu | installs rootfs.img
-L -i demo.swu; --syslog -i demo.swu                    | installs rootfs.img
-l 5 -i demo.swu; -l 6 -i demo.swu; --loglevel 5 -i demo.swu; --loglevel=5 -i demo.swu | says_trace
-v -i demo.swu; --verbose -i demo.swu                   | says_trace
-l 1 -i demo.swu; -l 0 -i demo.swu                      | is_silent
-h; --help                                              | answers --no-transaction-marker
--version                                               | answers swinstall
--handlers                                              | answers rawfile
--explain SWI-210                                       | answers E_TARGET_SMALL
-g; --get-root                                          | answers_or E_SLOT
-i a -o b; -o b --image a                               | refuses E_USAGE
-i a -u x; -c -u x; -c                                  | refuses E_USAGE
-i; -i -v; -k -c; -l x; -H board -i demo.swu; --no-such; -X | refuses E_USAGE
-o b; --output b; --output=b                            | refuses E_NOT_BUILT
--daemon                                                | refuses E_NOT_BUILT
--decryption-key k -i demo.swu                          | refuses E_NOT_BUILT
--gpg-home-dir d -i demo.swu                            | refuses E_NOT_BUILT
--gpg-protocol openpgp -i demo.swu                      | refuses E_NOT_BUILT
-E /dev/mmcblk0; --get-emmc-boot /dev/mmcblk0           | refuses E_NOT_BUILT
-d -u=http://x/a.swu; --download=-u                     | refuses E_NOT_BUILT
-u -t; --suricatta -u                                    | refuses E_NOT_BUILT
-w -p; --webserver -r                                   | refuses E_NOT_BUILT
-v; -l 3 -H board:1.0; -e stable,main; -q a,b           | refuses E_NOT_BUILT
--json -i demo.swu                                      | installs rootfs.img
--allow-unsigned -i demo.swu                            | installs rootfs.img
'

setup() {
	T=$(mktemp -d "${BATS_TMPDIR:-/tmp}/swinstall.XXXXXX")
	chmod 755 "$T"
	cd "$T" || return 1
	keys
	ln -s "$BIN/swinstall" swupdate
}

make_demo() {
	local iv
	swbundle keygen --dir . --name other >/dev/null
	openssl req -x509 -newkey rsa:2048 -nodes -days 30 -keyout demo.key.pem -out demo.cert.pem -subj /CN=demo \
		-addext extendedKeyUsage=emailProtection 2>/dev/null
	payload rootfs.img 300017
	payload other.img 200003
	iv=$(printf '%032d' 9)
	echo "$(printf '%064d' 7) $iv" >aes
	chmod 600 aes
	printf '#!/bin/sh\nexit 3\n' >fails.sh
	printf '#!/bin/sh\necho yes >posted\n' >post
	chmod +x post
	openssl enc -aes-256-cbc -in other.img -out secret.img -K "$(printf '%064d' 7)" -iv "$iv"
	cat >sw-description <<-'D'
	software = {
		version = "2.0";
		hardware-compatibility: [ "1.0" ];
		images: ({ filename = "rootfs.img"; slot = "rootfs"; name = "system"; version = "2.0"; });
		stable = {
			main = { images: ({ filename = "other.img"; slot = "rootfs"; }); };
			secret = { images: ({ filename = "secret.img"; slot = "rootfs"; encrypted = true; encrypted-already = true; }); };
			fails = { images: ({ filename = "rootfs.img"; slot = "rootfs"; });
				scripts: ({ filename = "fails.sh"; type = "postinstall"; }); };
		};
	};
	D
	bundle
	echo 'board 1.0' >hwrevision
}

# before each run: slot a runs, nothing was ever installed, nothing was written
fresh() {
	rm -rf state slot-? bootenv versions posted
	RUNNING=a slots "hwrevision-file = \"$T/hwrevision\";"
	before=$(device_sum)
}

good() { [ "$status" -eq 0 ] || { echo "$output"; return 1; }; }
installs() { good && slot_holds b "$1" && boots b; }
writes_nothing() { good && [ "$(device_sum)" = "$before" ]; }
refuses() {
	[ "$status" -eq 1 ] && [[ ${lines[${#lines[@]} - 1]} == "[ERROR] : SWUPDATE failed [0] ERROR : $1"* ]] &&
		[ "$(device_sum)" = "$before" ] || { echo "$status $output"; return 1; }
}
writes() { good && grep -q -- "$2" "$1"; }
marks() { grep -qx -- "$1" bootenv; }
leaves_no() { no "^$1=" bootenv && { [ $# -eq 1 ] && good || says "$2"; }; }
no() { if grep -q -- "$1" "$2"; then cat "$2"; return 1; fi; }
says_trace() { good && says '[TRACE] : '; }
is_silent() { good && [ -z "$output" ]; }
answers() { good && says "$1" && [ "$(device_sum)" = "$before" ]; }
answers_or() { [ "$status" -eq 0 ] || says "$1"; }

@test "every row of the command line, in each spelling, by its effect" {
	need openssl
	make_demo
	local spellings expect one words bad=0 n=0
	while IFS='|' read -r spellings expect; do
		[ -n "$spellings" ] || continue
		while IFS= read -r one; do
			read -ra words <<<"$one"
			case " $one " in *' -f '* | *' --file='*) ;; *) words+=(-f device.cfg) ;; esac
			fresh
			run ./swupdate "${words[@]}"
			n=$((n + 1))
			# shellcheck disable=SC2086 # an expectation is words
			$expect || { echo "swupdate $one: not: $expect"; bad=1; }
		done < <(tr ';' '\n' <<<"$spellings")
	done <<<"$ROWS"
	[ "$n" -gt 100 ]
	[ $bad -eq 0 ]
}

@test "no option is without a row" {
	[ -x "$BIN/swdoc" ] || skip 'swdoc is not built here'
	local kind group name is letter
	while read -r kind group name is letter; do
		[ "$kind $group" = 'option swinstall' ] || continue
		grep -qE -- "(^|[ ;])$name([ =;|]|$)" <<<"$ROWS" || { echo "$name $is"; return 1; }
		[ -z "$letter" ] || grep -qE -- "(^|[ ;])$letter([ ;|]|$)" <<<"$ROWS" || { echo "$letter"; return 1; }
	done < <("$BIN/swdoc" --facts)
}

@test "a swupdate that only listens is told what it needs, and what to do instead" {
	fresh
	run ./swupdate -v -f device.cfg
	[ "$status" -eq 1 ]
	says 'without -i a swupdate stays and waits for clients'
	says 'swupdate -i FILE'
	run swinstall -f device.cfg
	says 'E_USAGE'
}

# The other program's own help says what its users can spell.
@test "every option of the peer's --help is one of ours, with an argument where it has one" {
	need swupdate
	command swupdate --help >theirs 2>&1
	swinstall --help >ours
	local letter name rest missing=0 n=0
	while read -r letter name rest; do
		n=$((n + 1))
		[ "$letter" = - ] || grep -qE -- "^  $letter, $name( |$)" ours || { echo "$letter $name"; missing=1; }
		grep -qE -- "^  (-.,|   ) $name( |$)" ours || { echo "$name"; missing=1; }
		case $rest in '<'* | '['*) grep -qE -- " $name [A-Z0-9]" ours || { echo "$name has no argument"; missing=1; } ;; esac
	done < <(sed -nE 's/^ (-.), (--[a-z-]+) *([<[]?).*/\1 \2 \3/p; s/^     (--[a-z-]+) *([<[]?).*/- \1 \2/p' theirs)
	[ "$n" -ge 25 ]
	[ $missing -eq 0 ]
}
