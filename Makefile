# Makefile: builds nodus. Plain GNU make, out of tree in $(BUILD). `make help` lists what there is.
# A room is a folder of the map in CONTRIBUTING.md; every .c file in a room is compiled, so adding a file needs no edit here.

BUILD   ?= build
CC      = gcc
CFLAGS  ?= -O2 -g
WERROR  ?= -Werror
PREFIX  ?= /usr/local
DESTDIR ?=
datadir ?= $(PREFIX)/share

ROOMS ?= engine/base engine/tensor engine/formats engine/graph engine kernels/ref kernels/cpu nodes nodes/known nodes/models nodes/diffusion lua
LIBS  := lua5.4 libcjson libpng libturbojpeg libwebp libwebpmux libwebpdemux libexif zlib libzstd libxxhash libutf8proc libpcre2-32
EXTRA_CFLAGS  ?=
EXTRA_LDFLAGS ?=

PKG_CONFIG ?= pkg-config
Q ?= @
# make Q= shows every command
ifneq ($(filter-out help clean,$(or $(MAKECMDGOALS),build)),)
MISSING := $(shell for l in $(LIBS) stb; do $(PKG_CONFIG) --exists $$l || echo $$l; done)
ifneq ($(MISSING),)
$(error missing libraries: $(MISSING); ./bootstrap installs them)
endif
endif

COMMON := -std=gnu17 -D_GNU_SOURCE -I. -Iinclude -fvisibility=hidden -fPIC -ffp-contract=off -fno-math-errno -pthread \
          -Wall -Wextra $(WERROR) -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wcast-qual -Wvla -Wno-missing-field-initializers \
          $(shell $(PKG_CONFIG) --cflags $(LIBS) stb 2>/dev/null)
LDLIBS := $(shell $(PKG_CONFIG) --libs $(LIBS) 2>/dev/null) -ldl -lm -pthread

LIB_SOURCES := $(sort $(foreach room,$(ROOMS),$(wildcard $(room)/*.c)))
LIB_OBJECTS := $(LIB_SOURCES:%.c=$(BUILD)/%.o)
CLI_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard engine/cli/*.c))

.DEFAULT_GOAL := build
.SECONDARY:
.PHONY: help build test bench fuzz lint asan tsan docs install clean check-includes format

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile

build: $(BUILD)/nodus $(BUILD)/libnodus.a $(BUILD)/libnodus.so ## the program and the libraries, in build/

$(BUILD)/nodus: $(CLI_OBJECTS) $(BUILD)/libnodus.a
	@echo "  LD  $@"
	$(Q)$(CC) $(CFLAGS) $(EXTRA_LDFLAGS) -rdynamic -o $@ $(CLI_OBJECTS) -Wl,--whole-archive $(BUILD)/libnodus.a -Wl,--no-whole-archive $(LDLIBS)

$(BUILD)/libnodus.a: $(LIB_OBJECTS)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

# Plug-ins and programs link with this one; its symbols are those of include/nodus.
$(BUILD)/libnodus.so: $(LIB_OBJECTS)
	@echo "  LD  $@"
	$(Q)$(CC) $(CFLAGS) $(EXTRA_LDFLAGS) -shared -Wl,-soname,libnodus.so.0 -o $@ $^ $(LDLIBS)

# These hold text files of the tree (.incbin).
$(BUILD)/lua/library.o: $(wildcard lua/nodus/*.lua)
$(BUILD)/engine/cli/plugin_new.o: $(wildcard docs/plugins/sepia/*)

# Line editing in `nodus repl`: libedit is loaded when it is used, and only its header is needed here.
$(BUILD)/engine/cli/repl%.o: COMMON += $(shell $(PKG_CONFIG) --exists libedit && echo -DNODUS_HAVE_EDITLINE $$($(PKG_CONFIG) --cflags libedit))

# A file of kernels/cpu is compiled for the instruction set that its name ends in.
$(BUILD)/kernels/cpu/%_avx2.o: ISA := -mavx2 -mfma -mf16c
$(BUILD)/kernels/cpu/%_avx512.o: ISA := -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512
$(BUILD)/kernels/cpu/%.o: OPTIMIZE := -O3
$(BUILD)/kernels/ref/%.o: OPTIMIZE := -O3

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo "  CC  $<"
	$(Q)$(CC) $(COMMON) $(CFLAGS) $(OPTIMIZE) $(ISA) $(EXTRA_CFLAGS) -MMD -MP -c -o $@ $<

# The files that know where things are installed; they are compiled again when that changes.
$(BUILD)/datadir: FORCE
	@mkdir -p $(@D); echo '$(datadir)' | cmp -s - $@ || echo '$(datadir)' > $@
.PHONY: FORCE
$(BUILD)/engine/cli/session.o $(BUILD)/engine/cli/docs.o: COMMON += -DNODUS_DATADIR='"$(datadir)"'
$(BUILD)/engine/cli/session.o $(BUILD)/engine/cli/docs.o: $(BUILD)/datadir

# Tests: each .c file of tests/unit, tests/ops, tests/faults is a program on its own.
TEST_SOURCES := $(wildcard tests/unit/test_*.c tests/ops/test_*.c tests/faults/test_*.c)
TESTS        := $(TEST_SOURCES:%.c=$(BUILD)/%)
$(BUILD)/tests/%: $(BUILD)/tests/%.o $(BUILD)/tests/libsupport.a $(BUILD)/libnodus.a
	$(Q)$(CC) $(CFLAGS) $(EXTRA_LDFLAGS) -o $@ $< $(BUILD)/tests/libsupport.a $(BUILD)/libnodus.a $(LDLIBS) $(shell $(PKG_CONFIG) --libs cmocka) $(TEST_LDFLAGS)
$(BUILD)/tests/faults/%: TEST_LDFLAGS := -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc -Wl,--wrap=aligned_alloc -Wl,--wrap=read -Wl,--wrap=pread

# What several tests share (tests/support.h); an archive, so that a program takes only what it uses.
$(BUILD)/tests/libsupport.a: $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/support*.c))
	@mkdir -p $(@D); rm -f $@
	$(Q)$(AR) rcs $@ $^

test: build $(TESTS) $(BUILD)/tests/golden/make_models ## all tests; the last line is "N passed, N failed"
	@tests/run $(BUILD)

BENCHES := $(patsubst %.c,$(BUILD)/%,$(filter-out tests/bench/peak.c,$(wildcard tests/bench/*.c)))
bench: build $(BENCHES) ## speed: nodus beside the FMA peak of this machine (and PyTorch, where it is installed)
	@tests/bench/run $(BUILD)

fuzz: ## every reader under libFuzzer with ASan and UBSan; SECONDS=60 each
	@tests/fuzz/run $(or $(SECONDS),60)

# (sanitizers see other code paths and warn falsely: warnings are errors in the ordinary build)
asan: ## all tests under AddressSanitizer and UBSan
	$(MAKE) BUILD=$(BUILD)/asan OPTIMIZE=-O1 WERROR= EXTRA_CFLAGS="-fsanitize=address,undefined -fno-sanitize-recover=undefined" EXTRA_LDFLAGS="-fsanitize=address,undefined" test

tsan: ## all tests under ThreadSanitizer
	$(MAKE) BUILD=$(BUILD)/tsan OPTIMIZE=-O1 WERROR= EXTRA_CFLAGS="-fsanitize=thread" EXTRA_LDFLAGS="-fsanitize=thread" test

# clang's warnings on every file, the include rules, and shell syntax.
ALL_SOURCES = $(LIB_SOURCES) $(wildcard engine/cli/*.c tests/*.c tests/unit/*.c tests/ops/*.c tests/faults/*.c)
lint: ## clang's warnings, include rules, script syntax
	@for f in $(filter-out %_avx2.c %_avx512.c,$(ALL_SOURCES)); do clang $(COMMON) -DNODUS_DATADIR='""' -fsyntax-only $$f || exit 1; done
	@for f in $(filter %_avx2.c,$(ALL_SOURCES)); do clang $(COMMON) -mavx2 -mfma -mf16c -fsyntax-only $$f || exit 1; done
	@for f in $(filter %_avx512.c,$(ALL_SOURCES)); do clang $(COMMON) -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl -fsyntax-only $$f || exit 1; done
	@tests/check_includes
	@bash -n bootstrap .ci/run tests/run docs/make_reference docs/make_gallery && echo "lint: clean"

format: ## lay out .c files by .clang-format
	clang-format -i $(filter-out nodes/models/merges_table.c,$(ALL_SOURCES))

docs: build ## man pages, shell completion and the pages of nodes, from their tables
	@mkdir -p $(BUILD)/docs
	@$(BUILD)/nodus man > $(BUILD)/docs/nodus.1
	@for s in bash zsh fish; do $(BUILD)/nodus completion $$s > $(BUILD)/docs/nodus.$$s; done
	@$(BUILD)/nodus nodes --luals --no-plugins > $(BUILD)/docs/nodus.d.lua
	@docs/make_reference $(BUILD)
	@echo "docs: $(BUILD)/docs, docs/nodes.md, docs/comfyui-nodes.md, docs/lua-library.md"

install: build docs ## program, library, headers, demo model, man page, completion; DESTDIR and PREFIX are honoured
	install -Dm755 $(BUILD)/nodus $(DESTDIR)$(PREFIX)/bin/nodus
	install -Dm644 $(BUILD)/libnodus.a $(DESTDIR)$(PREFIX)/lib/libnodus.a
	install -Dm755 $(BUILD)/libnodus.so $(DESTDIR)$(PREFIX)/lib/libnodus.so.0
	ln -sf libnodus.so.0 $(DESTDIR)$(PREFIX)/lib/libnodus.so
	install -d $(DESTDIR)$(PREFIX)/include/nodus $(DESTDIR)$(PREFIX)/lib/pkgconfig
	install -m644 include/nodus/*.h $(DESTDIR)$(PREFIX)/include/nodus/
	printf 'Name: nodus\nDescription: node-graph engine for diffusion models\nVersion: 0.1.0\nRequires.private: $(LIBS)\nLibs: -L$(PREFIX)/lib -lnodus\nLibs.private: -lm -pthread\nCflags: -I$(PREFIX)/include\n' > $(DESTDIR)$(PREFIX)/lib/pkgconfig/nodus.pc
	install -Dm644 $(BUILD)/docs/nodus.d.lua $(DESTDIR)$(datadir)/nodus/nodus.d.lua
	install -d $(DESTDIR)$(datadir)/nodus/lua
	install -m644 lua/nodes/*.lua $(DESTDIR)$(datadir)/nodus/lua/
	install -Dm644 models/checkpoints/shapes-sd1.safetensors $(DESTDIR)$(datadir)/nodus/models/checkpoints/shapes-sd1.safetensors
	install -Dm644 $(BUILD)/docs/nodus.1 $(DESTDIR)$(datadir)/man/man1/nodus.1
	install -Dm644 $(BUILD)/docs/nodus.bash $(DESTDIR)$(datadir)/bash-completion/completions/nodus
	install -Dm644 $(BUILD)/docs/nodus.zsh $(DESTDIR)$(datadir)/zsh/site-functions/_nodus
	install -Dm644 $(BUILD)/docs/nodus.fish $(DESTDIR)$(datadir)/fish/vendor_completions.d/nodus.fish

clean: ## remove build/
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
