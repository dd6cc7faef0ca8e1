#!/bin/sh
# Makes keys and signatures with the openssl program for test_sig.c and test_keyring.c. Usage: sig_fixtures.sh DIR
# Elliptic keys where the kind does not matter: they are made in no time.
set -eu
cd "$1"
export OPENSSL_CONF="$1/ca.cnf"
cat >ca.cnf <<'C'
[req]
distinguished_name = dn
[dn]
[ca]
default_ca = ca
[ca]
[none]
basicConstraints = critical,CA:FALSE
[inter]
basicConstraints = critical,CA:TRUE
keyUsage = keyCertSign,cRLSign
[mail]
basicConstraints = CA:FALSE
keyUsage = digitalSignature
extendedKeyUsage = emailProtection
[code]
basicConstraints = CA:FALSE
extendedKeyUsage = codeSigning
[both]
extendedKeyUsage = codeSigning,emailProtection
[tls]
basicConstraints = CA:FALSE
extendedKeyUsage = serverAuth
[crypt]
keyUsage = keyEncipherment
[odd]
1.2.3.4.5 = critical,ASN1:UTF8String:unknown
C
printf 'software = { version = "1.0"; }\n' >data
printf 'software = { version = "1.1"; }\n' >other

ec() { openssl genpkey -algorithm EC -pkeyopt "ec_paramgen_curve:${2:-P-256}" -out "$1.key" 2>/dev/null; }
rsa() { openssl genpkey -algorithm RSA -pkeyopt "rsa_keygen_bits:$2" -pkeyopt "rsa_keygen_pubexp:${3:-65537}" -out "$1.key" 2>/dev/null; }
pub() { for k in "$@"; do openssl pkey -in "$k.key" -pubout -out "$k.pub"; done; }

# bare keys
rsa rsa 2048 & rsa rsab 2048 & rsa rsa1024 1024 & rsa rsae3 2048 3 &
ec p256; ec p384 P-384; ec p521 P-521; ec k1 secp256k1
openssl genpkey -algorithm ED25519 -out ed25519.key
openssl genpkey -algorithm ED448 -out ed448.key
wait
openssl pkcs8 -topk8 -in p256.key -passout pass:x -out locked.key
openssl ec -in p256.key -aes128 -passout pass:x -out locked1.key 2>/dev/null
pub rsa rsab rsa1024 rsae3 p256 p384 p521 k1 ed25519 ed448
openssl rsa -in rsa.key -RSAPublicKey_out -out rsa.rsapub 2>/dev/null
cat rsab.pub rsa.pub >two.pub
cat p384.pub p256.pub >twoec.pub
cat rsa.pub p256.pub >mixed.pub

# bare signatures
pss() { openssl dgst -sha256 -sign rsa.key -sigopt rsa_padding_mode:pss -sigopt "rsa_pss_saltlen:$1" -out "pss$1.sig" data; }
for s in 0 20 31 32 33 max; do pss "$s"; done
openssl dgst -sha256 -sign rsa.key -sigopt rsa_padding_mode:pss -sigopt rsa_mgf1_md:sha1 -sigopt rsa_pss_saltlen:32 -out pssmgf1.sig data
openssl dgst -sha512 -sign rsa.key -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -out pss512.sig data
openssl dgst -sha256 -sign rsa.key -out rsa.sig data
openssl dgst -sha1 -sign rsa.key -out rsasha1.sig data
openssl dgst -sha512 -sign rsa.key -out rsasha512.sig data
openssl dgst -sha256 -sign p256.key -out ecdsa.sig data
openssl dgst -sha384 -sign p384.key -out ecdsa384.sig data
openssl dgst -sha256 -sign p384.key -out ecdsa384sha256.sig data
openssl pkeyutl -sign -rawin -inkey ed25519.key -in data -out ed25519.sig

# certificates: self NAME SECTION CN [KEY]; issue NAME ISSUER SECTION CN
self() { openssl req -x509 -new -key "${4:-$1}.key" -subj "/CN=$3" -days 30 -extensions "$2" -set_serial 7 -out "$1.pem"; }
issue() {
	ec "$1"
	openssl req -new -key "$1.key" -subj "/CN=$4" | openssl x509 -req -CA "$2.pem" -CAkey "$2.key" \
		-set_serial "0x$(printf %s "$1" | od -An -tx1 | tr -d ' \n')" -days 30 -extfile ca.cnf -extensions "$3" -out "$1.pem" 2>/dev/null
}
sign() { # NAME SIGNER options
	n=$1 c=$2
	shift 2
	openssl cms -sign -binary -in data -outform DER -nosmimecap -signer "$c.pem" -inkey "$c.key" "$@" -out "$n.cms"
}
for k in mail code both tls crypt plain odd release guestself; do ec "$k"; done
self rsa mail 'rsa signer'; self rsa1024 mail weak; self p521 mail weak
self mail mail 'mail signer'; self code code 'code signer'; self both both both; self tls tls www.example.org
self crypt crypt crypt; self plain none plain; self odd odd odd; self release mail release
ec root; self root inter root
issue i1 root inter 'authority 1'
issue leaf i1 mail leaf
issue leaf2 i1 mail leaf2
issue direct root mail guest
issue www i1 tls www
# the same name and number as 'release', another key
self guestself mail release guestself
# a chain of 7 with the root: i1 … i5 and the signer; one shorter is allowed
issue i2 i1 inter 'authority 2'; issue i3 i2 inter 'authority 3'; issue i4 i3 inter 'authority 4'; issue i5 i4 inter 'authority 5'
issue long i5 mail long; issue fits i4 mail fits
cat i1.pem i2.pem i3.pem i4.pem >to4.pem
cat to4.pem i5.pem >to5.pem
cat root.pem mail.pem >anchors.pem

# private keys whose public part is another's: what they sign, nobody accepts (SEC 1: the public point stands last)
mixed() { # NAME PRIVATE PUBLIC
	openssl ec -in "$2.key" -outform DER -out a.der 2>/dev/null
	openssl ec -in "$3.key" -outform DER -out b.der 2>/dev/null
	{ echo '-----BEGIN EC PRIVATE KEY-----'; { head -c 57 a.der; tail -c 64 b.der; } | base64; echo '-----END EC PRIVATE KEY-----'; } >"$1.key"
}
mixed mixedec p256 mail

for c in rsa mail code both tls crypt plain odd direct p521 rsa1024; do sign "$c" "$c"; done
sign noattr mail -noattr
sign embedded mail -nodetach
sign typed mail -econtent_type 1.2.840.113549.1.9.16.1.4
sign digested mail -econtent_type 1.2.840.113549.1.7.5
sign sha1 mail -md sha1
sign sha512 mail -md sha512
sign nocerts mail -nocerts
sign leaf leaf -certfile i1.pem
sign leaf2 leaf2 -certfile i1.pem
sign alone leaf
sign www www -certfile i1.pem
sign long long -certfile to5.pem
sign fits fits -certfile to4.pem
sign twice mail -signer release.pem -inkey release.key
sign guestfirst direct -signer release.pem -inkey release.key
sign guestlast release -signer direct.pem -inkey direct.key
sign impostor guestself
for s in 20 32; do sign "pss$s" rsa -keyopt rsa_padding_mode:pss -keyopt "rsa_pss_saltlen:$s"; done
openssl cms -sign -binary -in other -outform DER -nosmimecap -signer mail.pem -inkey mail.key -out othercontent.cms
openssl cms -encrypt -binary -in data -outform DER -out encrypted.cms rsa.pem
openssl cms -sign -binary -in data -outform PEM -nosmimecap -signer mail.pem -inkey mail.key -out pem.cms
# more certificates than allowed
rm -f many.pem
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
	openssl req -x509 -new -key plain.key -subj "/CN=n$i" -set_serial "$i" -days 30 -extensions none >>many.pem
done
sign many mail -certfile many.pem

# revocation: i1 revokes leaf2; the root's list revokes i1, or nothing
crl() { # NAME ISSUER [REVOKED]
	: >index
	for c in ${3:-}; do
		printf 'R\t350101000000Z\t250101000000Z\t%s\tunknown\t/CN=x\n' "$(openssl x509 -in "$c.pem" -noout -serial | cut -d= -f2)" >>index
	done
	openssl ca -gencrl -config crl.cnf -keyfile "$2.key" -cert "$2.pem" -crldays 30 -out "$1.crl" 2>/dev/null
}
printf '[ca]\ndefault_ca=d\n[d]\ndatabase=index\ndefault_md=sha256\n' >crl.cnf
crl i1 i1 leaf2
crl rootbad root i1
crl rootgood root
cat i1.crl rootbad.crl >both.crl
cat i1.crl rootgood.crl >fine.crl
openssl crl -in i1.crl -outform DER -out i1.der
