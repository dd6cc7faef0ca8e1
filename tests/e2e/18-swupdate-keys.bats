#!/usr/bin/env bats
# Keys of the configuration and attributes of descriptions that doc/migrating-from-swupdate.md calls the same, by their
# effect. tests/same.txt says which test is whose.
load helper

# set LINE...: the keys of globals of this device, beside those that each device has
set_keys() {
	[ -e device.base ] || cp device.cfg device.base
	sed "s|^globals : {|& $*|" device.base >device.cfg
}

installs() { # installs [OPTION...]
	echo bootslot=a >bootenv; rm -rf state; mkdir -m 700 state
	run swinstall -f device.cfg "$@" demo.swu
	[ "$status" -eq 0 ] && boots b || { cat device.cfg; echo "$output"; return 1; }
}

refused() { # refused CODE [OPTION...]
	echo bootslot=a >bootenv; rm -rf state; mkdir -m 700 state
	fails 1 swinstall -f device.cfg "${@:2}" demo.swu
	says "$1"
	boots a
}

@test "who may sign: ca-path, crl-path, cert-purpose, forced-signer-name, digest-provider" {
	keys; slots; release 2.0; bundle
	sed -i 's/public-key-file/ca-path/' device.cfg
	installs
	set_keys 'forced-signer-name = "demo";'; installs
	set_keys 'forced-signer-name = "other";'; refused E_CERT_NAME
	set_keys 'cert-purpose = "codeSigning";'; installs
	set_keys 'digest-provider = "opensslCMS"; hash-provider = "opensslSHA256"; decrypt-provider = "opensslAES";'; installs
	set_keys 'digest-provider = "opensslRSA";'; refused E_KEY_FILE
	openssl req -x509 -newkey rsa:2048 -nodes -days 30 -keyout mail.key.pem -out mail.cert.pem -subj /CN=mail -addext extendedKeyUsage=emailProtection 2>/dev/null
	swbundle build sw-description --key mail.key.pem --cert mail.cert.pem -o demo.swu
	set_keys "ca-path = \"$T/mail.cert.pem\";"; sed -i 's/ca-path = "[^"]*demo.cert.pem";//' device.cfg; installs
	sed -i 's/^globals : {/& cert-purpose = "codeSigning";/' device.cfg; refused E_CERT_PURPOSE
	# the authority's list of revoked certificates
	mkdir ca; : >ca/index; echo 01 >ca/serial; echo 01 >ca/crlnumber
	printf '[ca]\ndefault_ca = d\n[d]\ndatabase = ca/index\nserial = ca/serial\ncrlnumber = ca/crlnumber\nnew_certs_dir = ca\ndefault_md = sha256\ndefault_days = 30\ndefault_crl_days = 30\npolicy = p\nx509_extensions = x\n[p]\ncommonName = supplied\n[x]\nextendedKeyUsage = emailProtection\n' >ca.cnf
	openssl req -x509 -newkey rsa:2048 -nodes -days 30 -keyout ca.key.pem -out ca.pem -subj /CN=ca -addext keyUsage=keyCertSign,cRLSign 2>/dev/null
	openssl req -newkey rsa:2048 -nodes -keyout leaf.key.pem -out leaf.csr -subj /CN=leaf 2>/dev/null
	openssl ca -batch -config ca.cnf -cert ca.pem -keyfile ca.key.pem -in leaf.csr -out leaf.pem -notext 2>/dev/null
	openssl ca -config ca.cnf -cert ca.pem -keyfile ca.key.pem -gencrl -out empty.crl 2>/dev/null
	openssl ca -config ca.cnf -cert ca.pem -keyfile ca.key.pem -revoke leaf.pem 2>/dev/null
	openssl ca -config ca.cnf -cert ca.pem -keyfile ca.key.pem -gencrl -out full.crl 2>/dev/null
	swbundle build sw-description --key leaf.key.pem --cert leaf.pem -o demo.swu
	sed 's/ca-path = "[^"]*";//' device.base >base; mv base device.base
	set_keys "ca-path = \"$T/ca.pem\"; crl-path = \"$T/empty.crl\";"; installs
	set_keys "ca-path = \"$T/ca.pem\"; crl-path = \"$T/full.crl\";"; refused E_CERT_REVOKED
}

@test "what may be installed: no-downgrading, max-version, no-reinstalling, update-type-required, sw-description-max-size" {
	keys; slots; release 2.0; bundle
	set_keys 'no-downgrading = "2.0";'; installs
	set_keys 'no-downgrading = "2.1";'; refused E_VERSION
	set_keys 'max-version = "2.0";'; installs
	set_keys 'max-version = "1.9";'; refused E_VERSION
	set_keys 'no-reinstalling = "1.9";'; installs
	set_keys 'no-reinstalling = "2.0";'; refused E_REINSTALL
	set_keys 'sw-description-max-size = 4096;'; installs
	set_keys 'sw-description-max-size = 100;'; refused E_DESC_LIMIT
	set_keys 'update-type-required = true;'; refused E_UPDATE_TYPE
	sed -i 's/version = /update-type = "os"; &/' sw-description; bundle
	echo 'update-types : ( { name = "os"; no-downgrading = "2.0"; } );' >>device.base
	set_keys 'update-type-required = true;'; installs
	sed -i 's/update-type = "os"/update-type = "app"/' sw-description; bundle
	set_keys ''; refused E_UPDATE_TYPE
}

@test "what is told and kept: verbose, loglevel, gen-swversions, reboot, select, bootloader, mtd-blacklist" {
	keys; slots; release 2.0 'name = "system"; version = "7";'; bundle
	set_keys ''; installs; quiet=$(wc -l <<<"$output")
	set_keys 'verbose = true;'; installs; [ "$(wc -l <<<"$output")" -gt "$quiet" ]
	set_keys 'loglevel = 1;'; installs; [ "$(wc -l <<<"$output")" -lt "$quiet" ]
	set_keys "gen-swversions = \"$T/versions\";"; installs; grep -q '^system.*7' versions
	set_keys 'mtd-blacklist = "0 1";'; installs
	set_keys 'reboot = "disabled";'; installs --json; says '"reboot":false'
	set_keys 'reboot = "enabled";'; installs --json; says '"reboot":true'
	sed -i 's/version = "2.0";/& reboot = false;/' sw-description; bundle
	installs --json; says '"reboot":false'
	sed -i 's/images: .*/stable = { a = { & }; };/' sw-description; bundle
	set_keys 'select = "stable,a";'; installs
	set_keys 'bootloader = "nosuch";'; sed -i 's/bootloader = "file"; *//' device.cfg; refused E_
}

@test "marks in the boot environment: bootloader_transaction_marker, bootloader_state_marker" {
	keys; slots; release 2.0; bundle
	installs; grep -q '^ustate=1' bootenv
	sed -i 's/version = "2.0";/& bootloader_state_marker = false; bootloader_transaction_marker = false;/' sw-description; bundle
	installs; if grep -q 'ustate\|recovery_status' bootenv; then return 1; fi
}

@test "attributes of an entry: size, offset, sha256, description, output, name and version of a component" {
	keys; slots; release 2.0 'offset = "4K";'
	sed -i 's|version = "2.0";|& description = "text"; output = "/nowhere";|' sw-description; bundle
	installs
	cmp -n 300017 -i 4096:0 slot-b rootfs.img
	by_hand_with() { # by_hand_with ATTRIBUTES
		printf 'software = { version = "1"; images: ({ filename = "rootfs.img"; slot = "rootfs"; %s }); };\n' "$1" >sw-description
		FORMAT=crc by_hand rootfs.img
	}
	by_hand_with "sha256 = \"$(sha rootfs.img)\"; size = 300017;"; installs
	by_hand_with "sha256 = \"$(sha rootfs.img)\"; size = 300016;"; refused E_MEMBER_SIZE
	by_hand_with "sha256 = \"$(printf '%064d' 1)\";"; refused E_PAYLOAD_HASH
	by_hand_with ''; refused E_DESC_HASH
}

@test "attributes that other handlers read are known: volume, mtdname, partitions" {
	keys; slots; release 2.0
	sed -i 's/images:/partitions: ({ type = "ubipartition"; device = "ubi0"; volume = "v"; name = "v"; mtdname = "m"; size = 4096; }); &/' sw-description
	bundle
	refused E_HANDLER
	says ubipartition
}
