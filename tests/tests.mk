# Faults, power cuts, fuzzing, benchmarks: included by the top Makefile.

# programs of the thread stages under TSan
THREAD_UNIT := $(filter $(O)/unit/test_stage_% $(O)/unit/test_job $(O)/unit/test_pipeline $(O)/unit/test_progress,$(UNIT))
.PHONY: unit-threads
unit-threads: all $(THREAD_UNIT) $(HELPERS)
	$(Q)O=$(O) scripts/run-unit $(THREAD_UNIT)

# tests/fuzz/fuzz_x.c is one target; tests/fuzz/corpus/x/ its seeds. SAN=fuzz CC=clang
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ := $(patsubst tests/fuzz/%.c,$(O)/fuzz/%,$(FUZZ_SRC))
FUZZ_HELP := $(patsubst %.c,$(O)/%.o,$(filter-out $(FUZZ_SRC),$(wildcard tests/fuzz/*.c)) \
	tests/unit/kit/make_bundle.c tests/unit/kit/envkit.c)
$(O)/fuzz/%: $(O)/tests/fuzz/%.o $(FUZZ_HELP) $(O)/libswcli.a $(O)/libswbuild.a $(O)/libswinstall.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $(filter %.o,$^) $(O)/libswcli.a $(O)/libswbuild.a $(O)/libswinstall.a $(LIBS)
.PHONY: fuzz-build fuzz-check fuzz
fuzz-build: all $(FUZZ) $(HELPERS)
# corpora replayed, then FUZZ_RUNS of search each, the same ones every time
FUZZ_RUNS ?= 5000
fuzz-check: fuzz-build
	$(Q)O=$(O) RUNS=$(FUZZ_RUNS) scripts/run-fuzz $(FUZZ)
# another search each time, for as long as there is time: a night, not a check
fuzz: fuzz-build
	$(Q)O=$(O) SECONDS_EACH=$(or $(FUZZ_LONG),3600) CPU_MOST=unlimited scripts/run-fuzz $(FUZZ)
.PHONY: print-cflags
print-cflags: $(AUTO)
	@echo '$(filter-out -Werror -ftrivial-auto-var-init=%,$(subst $(PREFIX_MAP),,$(ALL_CFLAGS)))'

# power cuts: record real runs, cut everywhere, recover, look. CUTS=1000000 for a release
CUTS ?= 20000
.PHONY: cuts
cuts: all
	$(Q)python3 tests/fault/cuts.py --bin $(O) --cuts $(CUTS)

# the N-th call of each kind fails. FAULTS_MOST=0 for every N
FAULTS_MOST ?= 10
$(O)/libfault.so: tests/fault/libfault.c
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D); gcc -shared -fPIC -O1 -g -Wall -Wextra -o $@ $< -ldl
.PHONY: fault
fault: all $(O)/libfault.so
	$(Q)python3 tests/fault/faults.py --bin $(O) --lib $(O)/libfault.so --most $(FAULTS_MOST)

# figures beside Debian's swupdate. BENCH='--size 256 --runs 3 --only F1'
.PHONY: bench
bench: all
	python3 tests/bench/bench.py --bin $(O) $(BENCH) --write doc/benchmarks.md

# lines that tests reach: parser/ at least 98 %, all at least 85 %
.PHONY: coverage coverage-run
coverage:
	$(Q)$(MAKE) O=$(O)/coverage SAN=coverage coverage-run
coverage-run: unit-build
	$(Q)find $(O) -name '*.gcda' -delete
	$(Q)O=$(O) scripts/run-unit $(UNIT) | tail -n 1
	$(Q)BIN=$(O) scripts/run-bats tests/e2e | tail -n 1
	$(Q)scripts/coverage-report $(O)

.PHONY: lint lint-full format
lint: all
	$(Q)O=$(O) scripts/lint
lint-full: all
	$(Q)O=$(O) scripts/lint all
format:
	$(Q)clang-format -i $$(git ls-files '*.c' '*.h')

# the long campaigns: a night, not a check
RANDCONFIGS ?= 3 7
.PHONY: proof
proof:
	$(Q)$(MAKE) O=$(O) cuts CUTS=1000000
	$(Q)$(MAKE) O=$(O) fault FAULTS_MOST=0
	$(Q)$(MAKE) O=$(O)/fuzz CC=clang SAN=fuzz fuzz
	$(Q)O=$(O) scripts/try-randconfigs $(RANDCONFIGS)
