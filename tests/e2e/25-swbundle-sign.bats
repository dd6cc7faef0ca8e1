#!/usr/bin/env bats
# swbundle sign: with each scheme, with keys that are out of reach, against openssl, swupdate and SoftHSM.
load helper

unsigned() {
	payload rootfs.img 200000; description
	swbundle build sw-description --unsigned -o plain.swu
}

# a signer as a key service would be: it sees the digest only
signer() { # KEY OPTIONS
	local key=$1
	shift
	printf '#!/bin/sh\nexec openssl pkeyutl -sign -inkey %s %s\n' "$T/$key" "$*" >signer.sh
	chmod 755 signer.sh
}

@test "an unsigned bundle is signed with each scheme, a signed one anew; the other bytes stay" {
	need cpio
	unsigned; keys
	for t in rsa ecdsa ed25519; do swbundle keygen --type "$t" --name "$t" >/dev/null; done
	for s in rsa:rsa rsa-pss:rsa ecdsa:ecdsa ed25519:ed25519; do
		swbundle sign plain.swu -o signed.swu --key "${s#*:}.key.pem" --scheme "${s%:*}"
		swbundle verify -k "${s#*:}.pub.pem" --digest-provider "${s%:*}" signed.swu
	done
	swbundle sign signed.swu --key demo.key.pem --cert demo.cert.pem
	swbundle verify -k demo.cert.pem signed.swu
	fails 3 swbundle verify -k ed25519.pub.pem signed.swu
	[ "$(cpio -it --quiet <signed.swu | tr '\n' ' ')" = "sw-description sw-description.sig rootfs.img " ]
	cpio -i --quiet --to-stdout rootfs.img <signed.swu | cmp - rootfs.img
	# what is built signed and what is signed later are the same bytes
	export SOURCE_DATE_EPOCH=1700000000
	bundle
	swbundle build sw-description --unsigned -o later.swu && swbundle sign later.swu --key demo.key.pem --cert demo.cert.pem
	cmp demo.swu later.swu
}

@test "an external signer makes bare RSA, RSA-PSS and ECDSA signatures" {
	unsigned
	for t in rsa ecdsa; do swbundle keygen --type "$t" --name "$t" >/dev/null; done
	signer rsa.key.pem -pkeyopt digest:sha256
	swbundle sign plain.swu -o a.swu --signer "$T/signer.sh" --scheme rsa
	swbundle verify -k rsa.pub.pem --digest-provider rsa a.swu
	signer rsa.key.pem -pkeyopt digest:sha256 -pkeyopt rsa_padding_mode:pss -pkeyopt rsa_pss_saltlen:32
	swbundle sign plain.swu -o a.swu --signer "$T/signer.sh" --scheme rsa-pss
	swbundle verify -k rsa.pub.pem --digest-provider rsa-pss a.swu
	signer ecdsa.key.pem -pkeyopt digest:sha256
	swbundle sign plain.swu -o a.swu --signer "$T/signer.sh" --scheme ecdsa
	swbundle verify -k ecdsa.pub.pem a.swu
}

# The usual signature, with the private key in a place that only signs digests.
@test "an external signer makes CMS signatures that openssl and swupdate accept" {
	need cpio swupdate
	unsigned; keys
	signer demo.key.pem -pkeyopt digest:sha256
	swbundle sign plain.swu -o demo.swu --signer "$T/signer.sh" --cert demo.cert.pem
	swbundle verify -k demo.cert.pem demo.swu
	cpio -iu --quiet 'sw-description*' <demo.swu
	openssl cms -verify -inform DER -in sw-description.sig -content sw-description -binary -CAfile demo.cert.pem -out /dev/null
	fails 0 peer -H board:1.0 -k demo.cert.pem -c -i demo.swu
	for curve in P-256 P-384; do
		openssl req -x509 -newkey ec -pkeyopt "ec_paramgen_curve:$curve" -nodes -days 30 -keyout ec.pem -out ec.cert.pem -subj /CN=ec -addext extendedKeyUsage=emailProtection 2>/dev/null
		signer ec.pem -pkeyopt "digest:sha$([ "$curve" = P-256 ] && echo 256 || echo 384)"
		swbundle sign plain.swu -o demo.swu --signer "$T/signer.sh" --cert ec.cert.pem
		swbundle verify -k ec.cert.pem demo.swu
	done
}

@test "a signer that fails, says nothing, lies or has another key makes no bundle" {
	unsigned; keys
	swbundle keygen --name other >/dev/null
	cp plain.swu kept.swu
	signer other.key.pem -pkeyopt digest:sha256
	for command in /bin/false /bin/true "/bin/echo no signature" "$T/signer.sh" /no/such/program "sh -c exit${IFS}3;"; do
		fails 1 swbundle sign plain.swu --signer "$command" --cert demo.cert.pem
		cmp plain.swu kept.swu
	done
	fails 1 swbundle sign plain.swu --signer "$T/signer.sh" --cert demo.cert.pem
	says E_SIG_BAD
	says "no signature by the key of the certificate"; says "no bundle was written"
	cmp plain.swu kept.swu
	# bare schemes, where the certificate is given; build too
	for s in rsa rsa-pss; do
		fails 1 swbundle sign plain.swu --signer "$T/signer.sh" --cert demo.cert.pem --scheme "$s"
		says E_SIG_BAD
		cmp plain.swu kept.swu
	done
	fails 1 swbundle build sw-description --signer "$T/signer.sh" --cert demo.cert.pem -o built.swu
	says E_SIG_BAD
	[ ! -e built.swu ]
	fails 2 swbundle sign plain.swu --signer "$T/signer.sh" --key demo.key.pem --cert demo.cert.pem
	fails 2 swbundle sign plain.swu
	fails 1 swbundle sign plain.swu --signer /bin/true --scheme ed25519
	[ -z "$(find . -name '.*.swu*')" ]
}

# No shell: what looks like one is a word.
@test "the words of a signer are not expanded" {
	unsigned; keys
	fails 1 swbundle sign plain.swu --signer "/bin/echo \$(touch $T/x) ; touch $T/y" --cert demo.cert.pem
	[ ! -e x ] && [ ! -e y ]
}

# A token: the key never leaves it, a small program of its own tool set asks it.
@test "a key in SoftHSM signs through its PKCS#11 tool" {
	need softhsm2-util pkcs11-tool
	unsigned; keys
	module=$(find /usr/lib -name libsofthsm2.so | head -n 1)
	mkdir tokens
	printf 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n' "$T/tokens" >softhsm2.conf
	export SOFTHSM2_CONF=$T/softhsm2.conf
	softhsm2-util --init-token --free --label demo --pin 1234 --so-pin 4321 >/dev/null
	openssl pkcs8 -topk8 -nocrypt -in demo.key.pem -out p8.pem
	softhsm2-util --import p8.pem --token demo --label sign --id a1 --pin 1234 >/dev/null
	# the mechanism takes DigestInfo: its fixed 19 bytes stand before a SHA-256
	cat >signer.sh <<-S
		#!/bin/sh
		cd "$T" || exit 1
		{ printf '\060\061\060\015\006\011\140\206\110\001\145\003\004\002\001\005\000\004\040'; cat; } >info
		pkcs11-tool --module "$module" --token-label demo --pin 1234 --id a1 --sign -m RSA-PKCS -i info -o made >/dev/null 2>&1 && cat made
	S
	chmod 755 signer.sh
	swbundle sign plain.swu -o demo.swu --signer "$T/signer.sh" --cert demo.cert.pem
	swbundle verify -k demo.cert.pem demo.swu
	swbundle sign plain.swu -o demo.swu --signer "$T/signer.sh" --scheme rsa
	openssl x509 -in demo.cert.pem -pubkey -noout >demo.pub.pem
	swbundle verify -k demo.pub.pem demo.swu
}

# token [LABEL PIN]: another token of SoftHSM with its PIN; its module is known to p11-kit or named
token() {
	need softhsm2-util pkcs11-tool
	grep -q '^# CONFIG_PKCS11 is not set' "$BIN/.config" && skip 'this configuration leaves tokens out'
	module=$(find /usr/lib -name libsofthsm2.so | head -n 1)
	mkdir -p tokens
	printf 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n' "$T/tokens" >softhsm2.conf
	export SOFTHSM2_CONF=$T/softhsm2.conf
	softhsm2-util --init-token --free --label "$1" --pin "$2" --so-pin 87654321 >/dev/null
	(umask 077; echo "$2" >"$1.pin")
}

into_token() { # TOKEN PIN FILE LABEL ID
	openssl pkcs8 -topk8 -nocrypt -in "$3" -out p8.pem
	softhsm2-util --import p8.pem --token "$1" --label "$4" --id "$5" --pin "$2" >/dev/null
}

@test "pkcs11: a key in a token signs by CMS for sign and build; openssl, swupdate and we accept it; the bytes are those of the file" {
	need cpio swupdate
	unsigned; keys; token one 1234; into_token one 1234 demo.key.pem release a1
	uri="pkcs11:token=one;object=release?pin-source=file:$T/one.pin&module-path=$module"
	export SOURCE_DATE_EPOCH=1700000000
	swbundle sign plain.swu -o demo.swu --key "$uri" --cert demo.cert.pem
	swbundle verify -k demo.cert.pem demo.swu
	cpio -iu --quiet 'sw-description*' <demo.swu
	openssl cms -verify -inform DER -in sw-description.sig -content sw-description -binary -CAfile demo.cert.pem -out /dev/null
	fails 0 peer -H board:1.0 -k demo.cert.pem -c -i demo.swu
	description
	swbundle build sw-description --key "$uri" --cert demo.cert.pem -o built.swu
	swbundle verify -k demo.cert.pem built.swu
	bundle
	cmp demo.swu built.swu
}

@test "pkcs11: bare RSA, RSA-PSS, ECDSA on P-256 and P-384, and a key that wants the PIN each time" {
	local t s
	unsigned; token one 1234
	for t in rsa ecdsa; do swbundle keygen --type "$t" --name "$t" >/dev/null; done
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384.key.pem 2>/dev/null
	openssl pkey -in p384.key.pem -pubout -out p384.pub.pem
	into_token one 1234 rsa.key.pem rsa 01; into_token one 1234 ecdsa.key.pem ecdsa 02; into_token one 1234 p384.key.pem p384 03
	for s in rsa:rsa rsa-pss:rsa ecdsa:ecdsa ecdsa:p384; do
		swbundle sign plain.swu -o a.swu --key "pkcs11:token=one;object=${s#*:}?pin-value=1234" --scheme "${s%:*}"
		swbundle verify -k "${s#*:}.pub.pem" --digest-provider "${s%:*}" a.swu
	done
	swbundle sign plain.swu -o a.swu --key "pkcs11:token=one;id=%02?pin-source=$T/one.pin" --scheme ecdsa
	swbundle verify -k ecdsa.pub.pem a.swu
	pkcs11-tool --module "$module" --token-label one --login --pin 1234 --keypairgen --key-type rsa:2048 --id 04 --label each --always-auth >/dev/null
	pkcs11-tool --module "$module" --token-label one --read-object --type pubkey --id 04 -o each.der >/dev/null
	openssl pkey -pubin -inform DER -in each.der -out each.pub.pem
	swbundle sign plain.swu -o a.swu --key "pkcs11:token=one;object=each?pin-source=file:one.pin" --scheme rsa
	swbundle verify -k each.pub.pem a.swu
}

# fails_by CODE TEXT KEY [OPTION...]: no bundle, this error, and no PIN in what is said
fails_by() {
	local code=$1 text=$2 key=$3
	shift 3
	fails 1 swbundle sign plain.swu -o a.swu --key "$key" "$@"
	says "$code"; says "$text"
	[[ $output != *4711* ]] || { echo "$output"; return 1; }
	[ ! -e a.swu ]
}

@test "pkcs11: what does not fit is told with its cause, the PIN never; no token is locked by guessing" {
	local cms="--cert demo.cert.pem"
	unsigned; keys; token one 1234; into_token one 1234 demo.key.pem release a1; into_token one 1234 demo.key.pem again a2
	# shellcheck disable=SC2086
	{
		fails_by E_TOKEN "wants a PIN" 'pkcs11:token=one;object=release' $cms
		fails_by E_TOKEN "the PIN is not that of the token 'one'" 'pkcs11:token=one;object=release?pin-value=4711' $cms
		fails_by E_TOKEN "no token fits the URI; there is 'one'" 'pkcs11:token=on;object=release?pin-value=4711' $cms
		fails_by E_TOKEN "has no private key" 'pkcs11:token=one;object=relase?pin-value=1234' $cms
		fails_by E_TOKEN "more than one private key" 'pkcs11:token=one?pin-value=1234' $cms
		fails_by E_TOKEN "a word that is not known" 'pkcs11:tokn=one?pin-value=4711' $cms
		fails_by E_TOKEN "the URI cannot be read" 'pkcs11:token=%zz?pin-value=4711' $cms
		fails_by E_TOKEN "No such file" 'pkcs11:token=one;object=release?pin-source=file:gone' $cms
		fails_by E_TOKEN "must be a file" 'pkcs11:token=one;object=release?pin-source=|cat' $cms
		fails_by E_TOKEN "'/gone.so' cannot be loaded" 'pkcs11:token=one?pin-value=4711&module-path=/gone.so' $cms
		fails_by E_SIG_KEY "cannot sign as ecdsa" 'pkcs11:token=one;object=release?pin-value=1234' --scheme ecdsa
		fails_by E_SIG_KEY "signs no digests" 'pkcs11:token=one;object=release?pin-value=1234' --scheme ed25519
		# a certificate of another key, of the same kind and of another
		swbundle keygen --name other >/dev/null
		fails_by E_SIG_BAD "no signature by the key of the certificate" 'pkcs11:token=one;object=release?pin-value=1234' --cert other.cert.pem
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -keyout ec.pem -out ec.cert.pem -subj /CN=ec 2>/dev/null
		fails_by E_KEY_FILE "not that of the key in the token" 'pkcs11:token=one;object=release?pin-value=1234' --cert ec.cert.pem
		# a second token: a PIN is for one of them
		token two 9999
		fails_by E_TOKEN "2 tokens fit the URI" 'pkcs11:object=release?pin-value=1234' $cms
		# none at all: what to install
		mkdir none; printf 'directories.tokendir = %s\n' "$T/none" >softhsm2.conf
		fails_by E_TOKEN "Debian: softhsm2 for SoftHSM" 'pkcs11:token=one?pin-value=4711' $cms
	}
	fails 2 swbundle sign plain.swu --key 'pkcs11:token=one' # CMS without certificate
	[ -z "$(find . -name '.*.swu*')" ]
}

# The programs of a device have nothing of it.
@test "pkcs11: only swbundle is linked with p11-kit" {
	need ldd
	! ldd "$BIN/swinstall" "$BIN/swctl" "$BIN/swinstall-unpack" | grep -q p11
}

# Each answer says what, why and what to do now.
@test "what goes wrong before anything is signed has its own words" {
	keys; swbundle keygen --name other >/dev/null; description; payload rootfs.img 100
	fails 1 swbundle keygen --name other
	says 'the key cannot be stored'; says 'other.cert.pem is there already'; says 'name another folder (--dir)'
	swbundle init p
	fails 1 swbundle init p
	says 'the project cannot be made'; says 'name a folder that is new or empty'
	fails 1 swbundle lint nofile
	says 'the description was not checked'; says 'the description cannot be read'; says 'check the name'
	fails 1 swbundle verify -k demo.cert.pem nofile
	says 'the bundle was not checked'; says 'check the name'
	fails 1 swbundle build sw-description --key demo.key.pem --cert other.cert.pem -o demo.swu
	says 'the private key and the certificate do not belong together'; says 'give by --cert the certificate of this key'
	printf '#!/bin/sh\necho no card in the reader >&2\necho try again\nexit 3\n' >signer; chmod +x signer
	fails 1 swbundle build sw-description --signer ./signer --cert demo.cert.pem -o demo.swu
	says 'no card in the reader'; says "the signer ended with status 3"; says "which wrote 'try again'"; says 'stands above'
	fails 1 swbundle build sw-description --signer ./nosuch --cert demo.cert.pem -o demo.swu
	says "there is no program './nosuch'"; says 'where PATH leads'
	[ ! -e demo.swu ]
}

@test "help of a command: swbundle help build, and build --help" {
	for c in init keygen build sign verify lint inspect extract; do
		swbundle help $c >one; swbundle $c --help >two; cmp one two
	done
	fails 2 swbundle help nosuch; says "there is no command 'nosuch'"
	swbundle help | grep -q 'swbundle help COMMAND'
}
