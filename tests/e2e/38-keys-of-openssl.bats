#!/usr/bin/env bats
# Who may sign, with keys, certificates and signatures that the openssl program made: what a device believes must be what
# others make, not only what swbundle makes.
load helper

setup_file() {
	export K=$BATS_FILE_TMPDIR/k
	mkdir "$K" && cd "$K" || return 1
	openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.key 2>/dev/null
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out p256.key
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384.key
	openssl genpkey -algorithm ED25519 -out ed.key
	for k in rsa p256 p384 ed; do openssl pkey -in $k.key -pubout -out $k.pub; done
	ca root / 3650
	ca middle root 3650
	leaf good middle 3650 emailProtection
}

# ca NAME ISSUER DAYS ['/' signs itself]; leaf NAME ISSUER DAYS PURPOSE
ca() { certificate "$1" "$2" "$3" 'basicConstraints = critical, CA:TRUE' 'keyUsage = critical, keyCertSign, cRLSign'; }
leaf() { certificate "$1" "$2" "$3" 'keyUsage = critical, digitalSignature' "extendedKeyUsage = $4"; }
certificate() {
	local name=$1 by=$2 days=$3
	shift 3
	printf '%s\n' "$@" 'subjectKeyIdentifier = hash' >"$name.ext"
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$name.key"
	openssl req -new -key "$name.key" -subj "/CN=$name" -out "$name.csr"
	if [ "$by" = / ]; then
		openssl x509 -req -in "$name.csr" -signkey "$name.key" -days "$days" -extfile "$name.ext" -out "$name.pem" 2>/dev/null
	else
		openssl x509 -req -in "$name.csr" -CA "$by.pem" -CAkey "$by.key" -CAcreateserial -days "$days" -extfile "$name.ext" -out "$name.pem" 2>/dev/null
	fi
}

# a device, and a description without its signature
unsigned_release() {
	keys; slots; payload rootfs.img 50000
	printf 'software = { version = "2.0"; images: ({ filename = "rootfs.img"; slot = "rootfs"; sha256 = "%s"; }); };\n' "$(sha rootfs.img)" >sw-description
}

pack() { printf '%s\n' sw-description sw-description.sig rootfs.img | cpio -o -H newc --quiet >demo.swu; }

# by_cms CERTIFICATE [OPTION...]: signed with it
by_cms() {
	local c=$1
	shift
	openssl cms -sign -in sw-description -out sw-description.sig -signer "$K/$c.pem" -inkey "$K/$c.key" -outform DER -nosmimecap -binary "$@"
	pack
}

installs() {
	echo bootslot=a >bootenv
	fails 0 swinstall -f device.cfg "$@" demo.swu
	boots b; slot_holds b rootfs.img
}

# refuses CODE [OPTION...]
refuses() {
	local code=$1 old
	shift
	echo bootslot=a >bootenv
	old=$(device_sum)
	fails 1 swinstall -f device.cfg "$@" demo.swu
	says "$code"
	[ "$(device_sum)" = "$old" ]
}

@test "bare signatures of openssl install: RSA, RSA-PSS with both salts, ECDSA on both curves, Ed25519" {
	unsigned_release
	openssl dgst -sha256 -sign "$K/rsa.key" -out sw-description.sig sw-description
	pack; installs -k "$K/rsa.pub"
	for salt in 32 max; do
		openssl dgst -sha256 -sign "$K/rsa.key" -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:$salt -out sw-description.sig sw-description
		pack; installs -k "$K/rsa.pub"
		installs -k "$K/rsa.pub" --digest-provider rsa-pss
		refuses E_SIG -k "$K/rsa.pub" --digest-provider rsa
	done
	openssl dgst -sha256 -sign "$K/p256.key" -out sw-description.sig sw-description
	pack; installs -k "$K/p256.pub"; refuses E_SIG -k "$K/p384.pub"
	openssl dgst -sha384 -sign "$K/p384.key" -out sw-description.sig sw-description
	pack; installs -k "$K/p384.pub"
	openssl dgst -sha256 -sign "$K/p384.key" -out sw-description.sig sw-description
	pack; refuses E_SIG -k "$K/p384.pub" # its digest is SHA-384
	openssl pkeyutl -sign -inkey "$K/ed.key" -rawin -in sw-description -out sw-description.sig
	pack; installs -k "$K/ed.pub"
}

@test "-k with several keys of one kind: each may sign, another may not; two kinds are refused" {
	unsigned_release
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out new.key
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out stranger.key
	openssl pkey -in new.key -pubout -out new.pub
	cat "$K/p256.pub" new.pub >both.pub
	for key in "$K/p256.key" new.key; do
		openssl dgst -sha256 -sign "$key" -out sw-description.sig sw-description
		pack; installs -k both.pub
	done
	openssl dgst -sha256 -sign stranger.key -out sw-description.sig sw-description
	pack; refuses E_SIG_BAD -k both.pub
	cat "$K/p256.pub" "$K/root.pem" >mixed.pem
	refuses E_KEY_FILE -k mixed.pem
	# certificates: two roots in one file
	cat demo.cert.pem "$K/root.pem" >roots.pem
	by_cms good -certfile "$K/middle.pem"
	installs -k roots.pem
	openssl cms -sign -in sw-description -out sw-description.sig -signer demo.cert.pem -inkey demo.key.pem -outform DER -nosmimecap -binary
	pack; installs -k roots.pem
}

@test "a chain is followed to the root; without its middle, or with a stranger's root, it leads nowhere" {
	unsigned_release
	by_cms good -certfile "$K/middle.pem"
	installs -k "$K/root.pem"
	refuses E_CERT -k demo.cert.pem
	by_cms good
	refuses E_CERT -k "$K/root.pem"
	# the device may know the middle one itself
	cat "$K/root.pem" "$K/middle.pem" >known.pem
	installs -k known.pem
}

@test "T13: a certificate made for something else signs nothing" {
	unsigned_release
	(
		cd "$K" || exit 1
		leaf server middle 3650 serverAuth
		leaf code middle 3650 codeSigning
	)
	by_cms server -certfile "$K/middle.pem"
	refuses E_CERT_PURPOSE -k "$K/root.pem"
	refuses E_CERT_PURPOSE -k "$K/root.pem" --cert-purpose codeSigning
	installs -k "$K/root.pem" --cert-purpose any
	by_cms code -certfile "$K/middle.pem"
	refuses E_CERT_PURPOSE -k "$K/root.pem"
	installs -k "$K/root.pem" --cert-purpose codeSigning
}

# what a clock of 1970 or of 2099 makes of it is told by the unit tests of trust and signatures
@test "T14: a certificate that has ended, and one that begins later, sign nothing" {
	need faketime
	unsigned_release
	for row in 2001-01-01:20000:valid 2001-01-01:30:expired 2090-01-01:7300:later; do
		IFS=: read -r from days name <<<"$row"
		faketime "$from" openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$K/$name.key" -subj "/CN=$name" \
			-days "$days" -addext 'extendedKeyUsage = emailProtection' -out "$K/$name.pem" 2>/dev/null
	done
	by_cms valid
	installs -k "$K/valid.pem"
	by_cms expired
	refuses E_CERT_TIME -k "$K/expired.pem"
	by_cms later
	refuses E_CERT_TIME -k "$K/later.pem"
}
