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
