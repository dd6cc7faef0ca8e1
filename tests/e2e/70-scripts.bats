#!/usr/bin/env bats
# The scripts that judge the tree, each with a fault planted into a copy of it: a check that finds nothing shows nothing.
load helper

copy() {
	local top=${BATS_TEST_FILENAME%/*}/../..
	mkdir tree
	(cd "$top" && cp -r scripts corelib parser handlers core mongoose doc tests ./*.md "$T/tree")
	cd tree || return 1
}

@test "check-layers finds an upward include, and one from no folder of the house" {
	copy
	scripts/check-layers
	echo '#include "core/plan/plan.h"' >>corelib/base/text.c
	echo '#include "handlers/handler.h"' >>parser/version.c
	echo '#include "other/thing.h"' >>core/plan/plan.c
	fails 1 scripts/check-layers
	says 'corelib/base/text.c:'
	says 'parser/version.c:'
	says 'is no folder of the house'
}

@test "check-calls finds each banned call, and passes over comments" {
	local n=0 call
	copy
	printf '%s\n' '/* never strcpy(a, b) nor goto end */' 'char c; /* of a file system (or' '"a file \"system (%s)"' >>parser/version.c
	scripts/check-calls
	for call in 'strcpy(a, b);' 'sprintf(a, b);' 'x = atoi(a);' 'system("x");' 'goto end;' '#if CONFIG_X' 'printf("x");' \
		'fprintf(stderr, "x");' 'fsync(fd);' 'rename(a, b);' 'pthread_create(a, b, c, d);'; do
		printf '\t%s\n' "$call" >>parser/version.c
		n=$((n + 1))
	done
	fails 1 scripts/check-calls
	[ "$(grep -o '^parser/version.c:[0-9]*' <<<"$output" | sort -u | wc -l)" -eq $n ]
}

@test "check-docs finds a page that is old, a code without a test, a threat without a test, a dead link" {
	[ -x "$BIN/swdoc" ] || skip 'swdoc is not built here'
	copy
	mkdir o
	cp "$BIN/swdoc" o
	export O=o FILLED=doc/errors.md
	sed -i '/E_NO_SPACE/d' doc/errors.md
	echo 'ERRCODE(999, E_PLANTED_NOW, "x", "y")' | tee -a corelib/base/errcat.def >/dev/null
	sed -i 's/E_PLANTED_NOW/E_OTHER/' tests/e2e/70-scripts.bats
	echo 'T9999 planted' >>tests/threats.txt
	sed -i 's/T9999/T0/' tests/e2e/70-scripts.bats
	echo '[gone](doc/gone.md)' >>README.md
	mkdir core/attic
	mv core/spool.[ch] core/trust.c core/attic
	sed -i 's/recovery_that_was_cut_itself_goes_on/recovery_that_nobody_tests/' doc/requirements.md
	fails 1 scripts/check-docs
	says 'doc/errors.md is not what the tables say'
	says 'is raised nowhere'
	says 'no test names E_PLANTED_NOW'
	says 'no test names T9999'
	says 'doc/gone.md, which is not there'
	says 'doc/architecture.md has no room for core/attic/'
	says 'doc/requirements.md names core/trust.c, which is not there'
	says 'there is no test recovery_that_nobody_tests'
}

@test "run-bats prints the name, file and line of what failed, then the end of what it said" {
	printf 'said() { seq 500; [ 1 = 2 ]; }\n@test "one fails" { said; }\n@test "one passes" { true; }\n@test "one waits" { skip reason; }\n' >some.bats
	run env -i PATH=/usr/local/bin:/usr/bin:/bin "${BATS_TEST_FILENAME%/*}/../../scripts/run-bats" some.bats
	[ "$status" -eq 1 ]
	says 'not ok 1 one fails'
	says 'some.bats, line 1'
	says "# 500"
	[[ $output != *'# 300'* ]]
	says 'SKIP: reason (one waits)'
	says '1 passed, 1 failed, 1 skipped'
}

# plays a fuzzer whose search finds something
slow_fuzzer() {
	mkdir -p found seeds/toy
	echo input >found/toy-timeout-1
	cat >fuzz_toy <<-END
		#!/bin/sh
		case "\$*" in
		*-runs=0*) exit 0 ;;
		*-max_total_time=*) echo "Test unit written to $PWD/found/toy-timeout-1"; exit 70 ;;
		*/found/toy-timeout-1) exit $1 ;;
		esac
	END
	chmod +x fuzz_toy
}

@test "run-fuzz fails for what a search finds, names it and keeps it" {
	slow_fuzzer 70
	fails 1 env O=o CORPUS=seeds "${BATS_TEST_FILENAME%/*}/../../scripts/run-fuzz" "$PWD/fuzz_toy"
	says 'FAILED: toy'
	says '1 passed, 1 failed'
	[ -f found/toy-timeout-1 ]
}

@test "run-fuzz ends an input that takes more than its time of the processor" {
	slow_fuzzer 0
	sed -i 's/timeout-1) exit 0/timeout-1) while :; do :; done/' fuzz_toy
	fails 1 env O=o CORPUS=seeds CPU_MOST=1 "${BATS_TEST_FILENAME%/*}/../../scripts/run-fuzz" "$PWD/fuzz_toy"
	says 'FAILED: toy'
}
