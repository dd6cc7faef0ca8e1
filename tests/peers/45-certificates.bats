#!/usr/bin/env bats
# The certificate that a device names, as people make it with openssl, beside Debian's swupdate.
# shellcheck disable=SC2154 # beside.bash sets theirs and ours
load ../e2e/helper
load beside

setup() { setup_beside; }

# own EXTENSION...: a pair signed by itself; demo.swu is signed by it
own() {
	local o=() x
	for x in "$@"; do o+=(-addext "$x"); done
	openssl req -x509 -newkey rsa:2048 -nodes -days 30 -keyout own.key.pem -out own.cert.pem -subj /CN=signer "${o[@]}" 2>/dev/null
	describe "images: ({ filename = \"rootfs.img\"; device = \"$D/disk\"; type = \"raw\"; });"
	swbundle build sw-description --key own.key.pem --cert own.cert.pem -o demo.swu
	K=own.cert.pem both
}

@test "a certificate signed by itself whose key usage is digitalSignature is trusted as it stands" {
	own keyUsage=digitalSignature extendedKeyUsage=emailProtection
	agree 0; holds ours disk
	own keyUsage=critical,digitalSignature extendedKeyUsage=emailProtection basicConstraints=critical,CA:FALSE
	agree 0; holds ours disk
	own extendedKeyUsage=emailProtection
	agree 0; holds ours disk
}

@test "a certificate of another signer is refused, whatever it may be used for" {
	own keyUsage=digitalSignature extendedKeyUsage=emailProtection
	openssl req -x509 -newkey rsa:2048 -nodes -days 30 -keyout other.key.pem -out other.cert.pem -subj /CN=signer \
		-addext keyUsage=digitalSignature,keyCertSign -addext extendedKeyUsage=emailProtection 2>/dev/null
	K=other.cert.pem both
	agree 1
	cmp device.old/disk ours/disk
}
