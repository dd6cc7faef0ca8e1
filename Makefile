# swinstall: `make` builds the default configuration into build/.
#
#   make help            print this
#   make menuconfig | defconfig | full_defconfig | tiny_defconfig | savedefconfig | randconfig
#   make unit            build and run the unit tests
#   make O=DIR           build elsewhere        make V=1    show the commands
#   make SAN=address     with ASan and UBSan    SAN=thread  with TSan   SAN=fuzz CC=clang
#   make install DESTDIR=… PREFIX=/usr       install-swupdate-names: the old name too
#   make docs            fill the tables of the manual from those of the programs
#   make lint | bench    and ./scripts/check runs every test
#
# Each folder's Makefile lists what is in it: obj-$(CONFIG_X) += x.o, handler-$(CONFIG_X) += x.
O ?= build
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
MAKEFLAGS += --no-builtin-rules --no-print-directory
.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:

VERSION := 0.1.0
# the newest date that this program knows of: certificates are never checked against an earlier one
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 1767225600)

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' '$(1)' '$(2)')

# ---- configuration --------------------------------------------------------------------------
CONFIG := $(O)/.config
AUTO := $(O)/include/config/auto.conf
AUTOH := $(O)/include/generated/autoconf.h
KCONFIG_SRC := Kconfig handlers/Kconfig
# kconfig-frontends reads and writes in its working directory; srctree leads 'source' back here
kconf = $(Q)mkdir -p $(O)/include/config $(O)/include/generated && cd $(O) && \
	srctree='$(CURDIR)' CONFIG_=CONFIG_ $(1) '$(CURDIR)/Kconfig'
no_config_goals := %config help clean distclean
ifneq ($(filter-out $(no_config_goals),$(or $(MAKECMDGOALS),all)),)
-include $(AUTO)
endif

# ---- tools ----------------------------------------------------------------------------------
CROSS_COMPILE ?= $(patsubst "%",%,$(CONFIG_CROSS_COMPILE))
ifeq ($(origin CC),default)
CC := $(CROSS_COMPILE)gcc
endif
AR := $(CROSS_COMPILE)ar
PKG_CONFIG ?= $(CROSS_COMPILE)pkg-config
STRIP ?= $(CROSS_COMPILE)strip

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wwrite-strings -Wvla -Wformat=2 -Wundef -Wold-style-definition -Wimplicit-fallthrough
cc_has = $(shell $(CC) -Werror $(1) -x c -c /dev/null -o /dev/null 2>/dev/null && echo '$(1)')
HARDEN := -fstack-protector-strong -fPIE -fno-strict-aliasing -fno-common \
	$(call cc_has,-fstack-clash-protection) $(call cc_has,-fcf-protection) $(call cc_has,-ftrivial-auto-var-init=zero)
FORTIFY := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
# addresses as a bitmap, 33 KiB less; a C library before glibc 2.36 would not start such a program
short_relocs := -Wl,-z,pack-relative-relocs
hash := \#
SHORT_RELOCS := $(shell printf '$(hash)%s\n' 'include <features.h>' 'if !__GLIBC_PREREQ(2, 36)' error endif | \
	$(CC) -shared -nostdlib $(short_relocs) -Wl,--fatal-warnings -x c - -o /dev/null 2>/dev/null && echo '$(short_relocs)')
LINK_HARDEN := -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed -Wl,--gc-sections $(SHORT_RELOCS)
# no table for unwinding: nothing here throws, and debuggers have their own
OPT ?= $(if $(CONFIG_SMALL_CODE),-Os,-O2) -fno-asynchronous-unwind-tables -fno-unwind-tables
ifeq ($(SAN),address)
OPT := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
FORTIFY :=
HARDEN := -fPIE -fno-strict-aliasing -fno-common
else ifeq ($(SAN),thread)
OPT := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
FORTIFY :=
HARDEN := -fPIE -fno-strict-aliasing -fno-common
else ifeq ($(SAN),fuzz)
OPT := -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
FORTIFY :=
HARDEN := -fPIE -fno-strict-aliasing -fno-common
else ifeq ($(SAN),coverage)
OPT := -O0 -g --coverage
FORTIFY :=
endif
CFLAGS ?= -g
PREFIX_MAP := '-ffile-prefix-map=$(CURDIR)=.'
ALL_CFLAGS = -std=gnu11 $(OPT) $(WARN) $(HARDEN) $(FORTIFY) -ffunction-sections -fdata-sections \
	$(PREFIX_MAP) -pthread -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 \
	-I. -I$(O) $(CFLAGS) $(patsubst "%",%,$(CONFIG_EXTRA_CFLAGS)) $(PKG_CFLAGS)
ALL_LDFLAGS = $(OPT) -pthread $(LINK_HARDEN) $(LDFLAGS)

# ---- what is built --------------------------------------------------------------------------
include $(wildcard corelib/*/Makefile) parser/Makefile parser/text/Makefile handlers/Makefile core/Makefile $(wildcard core/*/Makefile)

LIB_OBJS := $(addprefix $(O)/,$(corelib-y) $(parser-y) $(handlers-y) $(core-y))
BUILD_OBJS := $(addprefix $(O)/,$(build-y))
CLI_OBJS := $(addprefix $(O)/,$(cli-y))
PROGRAMS := $(addprefix $(O)/,$(prog-y))
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(pkgs-y) 2>/dev/null)
PKG_LIBS := $(shell $(PKG_CONFIG) --libs $(pkgs-y) 2>/dev/null)
LIBS = $(PKG_LIBS) $(libs-y)

.PHONY: all
all: $(PROGRAMS)

$(CONFIG): | $(KCONFIG_SRC)
	$(call say,CONFIG,$@ (default))
	$(call kconf,kconfig-conf --defconfig='$(CURDIR)/scripts/configs/default') >/dev/null
$(AUTO): $(CONFIG) $(KCONFIG_SRC)
	$(call kconf,kconfig-conf --olddefconfig) >/dev/null
	$(call kconf,kconfig-conf --silentoldconfig) </dev/null >/dev/null
	$(Q)touch $(AUTO) $(AUTOH)

.PHONY: help
help:
	@sed -n '/^#/!q; s/^#$$//; s/^# //p' Makefile

.PHONY: menuconfig defconfig olddefconfig savedefconfig randconfig tiny_defconfig full_defconfig
menuconfig:
	$(call kconf,kconfig-mconf)
defconfig:
	$(call kconf,kconfig-conf --defconfig='$(CURDIR)/scripts/configs/default')
tiny_defconfig full_defconfig:
	$(call kconf,kconfig-conf --defconfig='$(CURDIR)/scripts/configs/$(@:_defconfig=)')
olddefconfig randconfig:
	$(call kconf,kconfig-conf --$@)
savedefconfig:
	$(call kconf,kconfig-conf --savedefconfig=defconfig)
	@echo "$(O)/defconfig"

# ---- rules ----------------------------------------------------------------------------------
flags_now = $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(LIBS) $(VERSION)
$(O)/flags: FORCE | $(AUTO)
	$(Q)mkdir -p $(@D); printf '%s\n' '$(subst ','\'',$(flags_now))' | cmp -s - $@ || printf '%s\n' '$(subst ','\'',$(flags_now))' > $@
.PHONY: FORCE
FORCE:

# the registry: a row for each handler that the configuration names
$(O)/generated/handlers.inc: handlers/Makefile $(AUTO) $(handler-y:%=handlers/%.c)
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D); for h in $(notdir $(handler-y)); do echo "HANDLER(handler_$$(echo $$h | tr - _))"; done > $@
$(O)/handlers/registry.o: $(O)/generated/handlers.inc
# the boot environments that the configuration names
$(O)/generated/bootenv.inc: corelib/bootenv/Makefile $(AUTO)
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D); for b in $(bootenv-y); do echo "BOOTENV($$b)"; done > $@
$(O)/corelib/bootenv/bootenv.o: $(O)/generated/bootenv.inc
# the same for the decoders
$(O)/generated/codecs.inc: corelib/stream/Makefile $(AUTO)
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D); for c in $(codec-y); do echo "CODEC(codec_$$c)"; done > $@
$(O)/corelib/stream/codec.o: $(O)/generated/codecs.inc
$(O)/generated/build.h: FORCE
	$(Q)mkdir -p $(@D); printf '%s\n' '#define SWINSTALL_VERSION "$(VERSION)"' '#define SWINSTALL_BUILD_STAMP $(SOURCE_DATE_EPOCH)' \
		| cmp -s - $@ || printf '%s\n' '#define SWINSTALL_VERSION "$(VERSION)"' '#define SWINSTALL_BUILD_STAMP $(SOURCE_DATE_EPOCH)' > $@

$(O)/%.o: %.c $(O)/flags | $(O)/generated/build.h
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(O)/libswinstall.a: $(LIB_OBJS)
	$(call say,AR,$@)
	$(Q)rm -f $@; $(AR) rcs $@ $^
$(O)/libswbuild.a: $(BUILD_OBJS)
	$(call say,AR,$@)
	$(Q)rm -f $@; $(AR) rcs $@ $^

$(O)/libswcli.a: $(CLI_OBJS)
	$(call say,AR,$@)
	$(Q)rm -f $@; $(AR) rcs $@ $^

# a program is core/cli/NAME.c and what it takes of the libraries; core/cli/Makefile may list more as NAME-y
define program
$(O)/$(1): $(O)/core/cli/$(1).o $$(addprefix $(O)/,$$($(1)-y)) $(if $(filter swbundle,$(1)),$(O)/libswbuild.a) $(O)/libswcli.a $(O)/libswinstall.a
	$$(call say,LD,$$@)
	$$(Q)$$(CC) $$(ALL_LDFLAGS) -o $$@ $$(filter %.o,$$^) $$(filter %.a,$$^) $$(if $$($(1)-libs),$$($(1)-libs),$$(LIBS))
endef
$(foreach p,$(prog-y),$(eval $(call program,$(p))))

# ---- tests ----------------------------------------------------------------------------------
# tests/unit/test_x.c is one program; tests/unit/kit/ helps all of them
# but for those that need what this configuration leaves out
include tests/unit/needs.mk
UNIT_ALL := $(sort $(wildcard tests/unit/test_*.c))
UNIT_NOT := $(sort $(foreach s,$(UNIT_SYMBOLS),$(if $(CONFIG_$(s)),,$(addprefix test_,$(UNIT_OF_$(s))))))
UNIT_SRC := $(filter-out $(UNIT_NOT:%=tests/unit/%.c),$(UNIT_ALL))
UNIT_HELP := $(patsubst %.c,$(O)/%.o,$(wildcard tests/unit/kit/*.c))
UNIT := $(patsubst tests/unit/%.c,$(O)/unit/%,$(UNIT_SRC))
$(O)/unit/%: $(O)/tests/unit/%.o $(UNIT_HELP) $(O)/libswcli.a $(O)/libswbuild.a $(O)/libswinstall.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(O)/libswcli.a $(O)/libswbuild.a $(O)/libswinstall.a $(LIBS) -lcmocka
# unit programs find the helpers as installed ones do
HELPERS := $(addprefix $(O)/libexec/swinstall/,$(helper-y))
$(O)/libexec/swinstall/%: $(O)/%
	$(Q)mkdir -p $(@D); ln -sf ../../$* $@
.PHONY: unit unit-build
unit-build: all $(UNIT) $(HELPERS)
unit: unit-build
	$(Q)for t in $(UNIT_NOT); do echo "SKIP: $$t needs what this configuration leaves out"; done
	$(Q)O=$(O) scripts/run-unit $(UNIT)

# ---- documents made from the tables -----------------------------------------------------------
# swdoc is not installed: it knows the tables that the programs read, and fills the regions of pages that say so
SWDOC_OBJS := $(addprefix $(O)/core/cli/,swdoc.o swdoc_tables.o swdoc_man.o swdoc_complete.o swdoc_zsh.o swbundle_options.o)
$(O)/swdoc: $(SWDOC_OBJS) $(O)/libswcli.a $(O)/libswinstall.a
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)
FILLED := scripts/completion/swinstall.bash scripts/completion/_swinstall $(wildcard doc/man/*.[158])
FILLED += $(shell grep -l '^<!-- table ' doc/*.md)
.PHONY: docs docs-check
docs: $(O)/swdoc
	$(Q)for f in $(FILLED); do $(O)/swdoc $$f > $(O)/page || exit 1; cmp -s $(O)/page $$f || cp $(O)/page $$f; done
docs-check: $(O)/swdoc all
	$(Q)O=$(O) FILLED='$(FILLED)' scripts/check-docs

-include tests/tests.mk

# ---- install --------------------------------------------------------------------------------
# whatever the umask is: what is installed can be read by all
DEST := $(DESTDIR)$(PREFIX)
.PHONY: install
install: all
	install -d '$(DEST)/bin' '$(DEST)/libexec/swinstall' '$(DEST)/lib/systemd/system' '$(DEST)/share/bash-completion/completions'
	for p in $(filter-out $(helper-y),$(prog-y)); do install -m 0755 $(O)/$$p '$(DEST)/bin/' || exit 1; done
	for p in $(helper-y); do install -m 0755 $(O)/$$p '$(DEST)/libexec/swinstall/' || exit 1; done
	sed 's|@PREFIX@|$(PREFIX)|' scripts/systemd/swinstall-recover.service >$(O)/swinstall-recover.service
	install -m 0644 $(O)/swinstall-recover.service '$(DEST)/lib/systemd/system/'
	for s in 1 5 8; do install -d '$(DEST)'/share/man/man$$s && install -m 0644 doc/man/*.$$s '$(DEST)'/share/man/man$$s/ || exit 1; done
	for p in $(filter-out $(helper-y),$(prog-y)); do install -m 0644 scripts/completion/swinstall.bash \
		'$(DEST)'/share/bash-completion/completions/$$p || exit 1; done
	install -d '$(DEST)/share/zsh/vendor-completions' '$(DEST)/share/doc/swinstall'
	install -m 0644 doc/swinstall.cfg doc/errors.md '$(DEST)/share/doc/swinstall/'
	install -m 0644 scripts/completion/_swinstall '$(DEST)/share/zsh/vendor-completions/'

# an existing unit file that calls swupdate finds this program
.PHONY: install-swupdate-names
install-swupdate-names: install
	ln -sf swinstall '$(DEST)/bin/swupdate'

.PHONY: clean distclean
clean:
	$(Q)rm -rf $(O)/corelib $(O)/parser $(O)/handlers $(O)/core $(O)/tests $(O)/unit $(O)/generated $(O)/*.a $(O)/flags $(PROGRAMS)
distclean:
	$(Q)rm -rf build build-*

-include $(shell find $(O) -name '*.d' 2>/dev/null)
