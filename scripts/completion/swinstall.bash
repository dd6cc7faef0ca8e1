# shellcheck shell=bash
# Completion of swinstall, swctl and swbundle in bash. The regions "table … end" are made by `make docs`.

_swinstall_files() { mapfile -t COMPREPLY < <(compgen -f -- "$cur"); compopt -o filenames; }
_swinstall_words() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur"); }
# _swinstall_dash WORDS: offered once a dash is there
_swinstall_dash() { [[ $cur == -* ]] && _swinstall_words "$1"; }
# folders, and files whose names end as the pattern says
_swinstall_named() {
	mapfile -t COMPREPLY < <(compgen -d -- "$cur"; compgen -f -X "!$1" -- "$cur")
	compopt -o filenames
}

# table programs
_swinstall_options() {
	case $prev in
	-i|--image) _swinstall_files; return ;;
	-f|--file) _swinstall_files; return ;;
	-e|--select) COMPREPLY=(); return ;;
	-q|--accepted-select) COMPREPLY=(); return ;;
	-H|--hwrevision) COMPREPLY=(); return ;;
	-k|--key) _swinstall_files; return ;;
	--ca-path) _swinstall_files; return ;;
	--crl-path) _swinstall_files; return ;;
	--cert-purpose) _swinstall_words 'emailProtection codeSigning any'; return ;;
	--forced-signer-name) COMPREPLY=(); return ;;
	--digest-provider) COMPREPLY=(); return ;;
	--hash-provider) COMPREPLY=(); return ;;
	--decrypt-provider) COMPREPLY=(); return ;;
	-K|--key-aes) _swinstall_files; return ;;
	-N|--no-downgrading) COMPREPLY=(); return ;;
	--max-version) COMPREPLY=(); return ;;
	-R|--no-reinstalling) COMPREPLY=(); return ;;
	-s|--gen-swversions) _swinstall_files; return ;;
	-B|--bootloader) COMPREPLY=(); return ;;
	-P|--preupdate) COMPREPLY=(); return ;;
	-p|--postupdate) COMPREPLY=(); return ;;
	-b|--blacklist) COMPREPLY=(); return ;;
	--explain) COMPREPLY=(); return ;;
	-l|--loglevel) COMPREPLY=(); return ;;
	esac
	_swinstall_dash '--image --check --dry-run --file --select --accepted-select --hwrevision --key --ca-path --crl-path --cert-purpose --forced-signer-name --digest-provider --hash-provider --decrypt-provider --key-aes --allow-unsigned --no-downgrading --max-version --no-reinstalling --gen-swversions --bootloader --no-transaction-marker --no-state-marker --preupdate --postupdate --blacklist --get-root --handlers --explain --verbose --loglevel --syslog --json --version --help' && return
	return 1
}
_swctl_options() {
	case $prev in
	-f|--file) _swinstall_files; return ;;
	esac
	_swinstall_dash '--file --json --forget --version --help' && return
	return 1
}
# end
# table verbs
_swctl_verbs='status history recover help'
# end
# table commands
_swbundle_commands='init keygen build sign verify lint inspect extract'
_swbundle_init_options() {
	case $prev in
	esac
	_swinstall_dash '--swupdate --help' && return
	return 1
}
_swbundle_keygen_options() {
	case $prev in
	--dir) _swinstall_files; return ;;
	--name) COMPREPLY=(); return ;;
	--type) _swinstall_words 'cms rsa ecdsa ed25519'; return ;;
	esac
	_swinstall_dash '--dir --name --type --aes --help' && return
	return 1
}
_swbundle_build_options() {
	case $prev in
	-o|--output) _swinstall_files; return ;;
	-I|--include) _swinstall_files; return ;;
	--vars) _swinstall_files; return ;;
	--for) _swinstall_files; return ;;
	--key) COMPREPLY=(); return ;;
	--signer) COMPREPLY=(); return ;;
	--cert) _swinstall_files; return ;;
	--scheme) _swinstall_words 'cms rsa rsa-pss ecdsa ed25519'; return ;;
	-K|--key-aes) _swinstall_files; return ;;
	--part-size) COMPREPLY=(); return ;;
	esac
	_swinstall_dash '--output --include --vars --for --key --signer --cert --scheme --unsigned --hash-list --key-aes --encrypt --part-size --help' && return
	return 1
}
_swbundle_sign_options() {
	case $prev in
	-o|--output) _swinstall_files; return ;;
	--key) COMPREPLY=(); return ;;
	--signer) COMPREPLY=(); return ;;
	--cert) _swinstall_files; return ;;
	--scheme) _swinstall_words 'cms rsa rsa-pss ecdsa ed25519'; return ;;
	esac
	_swinstall_dash '--output --key --signer --cert --scheme --help' && return
	return 1
}
_swbundle_verify_options() {
	case $prev in
	-k|--key) _swinstall_files; return ;;
	--cert-purpose) _swinstall_words 'emailProtection codeSigning any'; return ;;
	--forced-signer-name) COMPREPLY=(); return ;;
	--crl-path) _swinstall_files; return ;;
	--digest-provider) _swinstall_words 'cms rsa rsa-pss ecdsa ed25519'; return ;;
	-e|--select) COMPREPLY=(); return ;;
	-H|--board) COMPREPLY=(); return ;;
	--for) _swinstall_files; return ;;
	esac
	_swinstall_dash '--key --cert-purpose --forced-signer-name --crl-path --digest-provider --select --board --for --strict --json --help' && return
	return 1
}
_swbundle_lint_options() {
	case $prev in
	--vars) _swinstall_files; return ;;
	--for) _swinstall_files; return ;;
	esac
	_swinstall_dash '--vars --finished --for --strict --help' && return
	return 1
}
_swbundle_inspect_options() {
	case $prev in
	esac
	_swinstall_dash '--json --help' && return
	return 1
}
_swbundle_extract_options() {
	case $prev in
	--dir) _swinstall_files; return ;;
	-K|--key-aes) _swinstall_files; return ;;
	esac
	_swinstall_dash '--dir --decode --key-aes --help' && return
	return 1
}
# end

_swinstall() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	_swinstall_options && return
	_swinstall_named '*.swu'
}

_swctl() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	_swctl_options || _swinstall_words "$_swctl_verbs"
}

_swbundle() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}
	if [ "$COMP_CWORD" -eq 1 ]; then
		_swinstall_words "$_swbundle_commands --help --version"
	elif declare -F "_swbundle_${command}_options" >/dev/null; then
		"_swbundle_${command}_options" && return
		case $command in
		verify | inspect | extract | sign) _swinstall_named '*.swu' ;;
		*) _swinstall_files ;;
		esac
	fi
}

complete -F _swinstall swinstall
complete -F _swctl swctl
complete -F _swbundle swbundle
