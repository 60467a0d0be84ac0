# memtrace: `make demo` shows it, `make test` proves it, `make help` lists the rest.

ifeq ($(origin CC),default)
CC := gcc
endif
BUILD ?= build
PYTHON ?= /usr/bin/python3
SANITIZE ?=

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith \
            -Wno-unused-parameter -Wformat=2 -Wundef
CFLAGS ?= -O2 -g
COMMON := -std=gnu11 -fPIC -fvisibility=hidden $(WARNINGS) -Inative -I$(BUILD)/generated -MMD -MP $(SANITIZE)

RECORDER_SOURCES := $(wildcard native/recorder/*.c) $(BUILD)/generated/frame_layout.c
PYTHON_TABLES    := $(foreach table,names 3_9 3_10 3_11 3_12 3_13 3_14 3_15,$(BUILD)/generated/python_$(table).c)
LIBRARY_SOURCES  := $(foreach floor,base layout target attach python allocators heap trace output commands,$(wildcard native/$(floor)/*.c)) \
                    $(wildcard native/*.c) $(PYTHON_TABLES)
CLI_SOURCES      := $(wildcard native/cli/*.c)

# The recorder lives in other people's processes: libc alone, no lazy binding, TLS that needs no allocation.
RECORDER_CFLAGS  := -D_GNU_SOURCE -O2 -fno-semantic-interposition -ftls-model=initial-exec -fno-builtin -fno-stack-protector \
                    -fomit-frame-pointer
RECORDER_LDFLAGS := -shared -Wl,--no-as-needed -l:libdl.so.2 -Wl,-Bsymbolic -Wl,-z,now -Wl,-z,relro -Wl,-z,nodelete -Wl,--as-needed

objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out $(BUILD)/%,$(1))) \
          $(patsubst $(BUILD)/%.c,$(BUILD)/obj/%.o,$(filter $(BUILD)/%,$(1)))
RECORDER_OBJECTS := $(call objects,$(RECORDER_SOURCES))
LIBRARY_OBJECTS  := $(call objects,$(LIBRARY_SOURCES))
CLI_OBJECTS      := $(call objects,$(CLI_SOURCES))

.DEFAULT_GOAL := build
.PHONY: build
build: $(BUILD)/libmemtrace-recorder.so $(BUILD)/libmemtrace.so $(BUILD)/memtrace ## Build everything (the default)

$(BUILD)/obj/native/recorder/%.o $(BUILD)/obj/generated/frame_layout.o: COMMON += $(RECORDER_CFLAGS)

$(BUILD)/obj/%.o: %.c Makefile | $(BUILD)/generated/python.stamp
	@mkdir -p $(@D)
	@echo "  CC   $@"
	@$(CC) $(CFLAGS) $(COMMON) -c -o $@ $<

$(BUILD)/obj/%.o: $(BUILD)/%.c Makefile | $(BUILD)/generated/python.stamp
	@mkdir -p $(@D)
	@echo "  CC   $@"
	@$(CC) $(CFLAGS) $(COMMON) -c -o $@ $<

$(BUILD)/generated/frame_layout.c: native/layout/generate.py native/layout/offsets.json
	@mkdir -p $(@D)
	$(PYTHON) native/layout/generate.py native/layout/offsets.json > $@.tmp
	mv $@.tmp $@

# The stamp, because the tables change only when their contents do.
$(BUILD)/generated/python.stamp: native/layout/generate_python.py native/layout/generate.py native/layout/offsets.json
	@mkdir -p $(@D)
	$(PYTHON) -B native/layout/generate_python.py native/layout/offsets.json $(@D)
	@touch $@
$(PYTHON_TABLES): $(BUILD)/generated/python.stamp ;

$(BUILD)/libmemtrace-recorder.so: $(RECORDER_OBJECTS)
	@echo "  LINK $@"
	@$(CC) $(SANITIZE) $(RECORDER_LDFLAGS) -o $@ $^

$(BUILD)/libmemtrace.so: $(LIBRARY_OBJECTS)
	@echo "  LINK $@"
	@$(CC) $(SANITIZE) -shared -Wl,-z,now -Wl,--as-needed -o $@ $^ -ldw -lelf -lm

$(BUILD)/memtrace: $(CLI_OBJECTS) $(BUILD)/libmemtrace.so
	@echo "  LINK $@"
	@$(CC) $(SANITIZE) -Wl,-rpath,'$$ORIGIN:$$ORIGIN/../lib/memtrace' -o $@ $(CLI_OBJECTS) -L$(BUILD) -lmemtrace -lreadline

# --- what it takes ------------------------------------------------------------------------------------------------

BUILD_PACKAGES := gcc libc6-dev libdw-dev libelf-dev libreadline-dev python3
DEMO_PACKAGES  := gdb lldb-19 python3-lldb-19 python3-numpy
TEST_PACKAGES  := clang clang-format clang-tidy g++ gdbserver libclang-rt-14-dev libcmocka-dev libjemalloc2 musl-tools \
                  python3-dev python3-greenlet python3-pyflakes python3-pytest
PACKAGES       := $(BUILD_PACKAGES) $(DEMO_PACKAGES) $(TEST_PACKAGES)

.PHONY: deps
deps: ## Install the Debian packages that are missing (the one target that needs the network, and only then)
	@command -v dpkg-query > /dev/null || { echo "not a Debian system: install by hand what $(PACKAGES) are here"; exit 1; }
	@missing=; for package in $(PACKAGES); do \
	    dpkg-query -W -f '$${db:Status-Status}\n' $$package 2> /dev/null | grep -qx installed || missing="$$missing $$package"; \
	done; \
	[ -n "$$missing" ] || exit 0; \
	echo "installing$$missing"; \
	as_root=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	$$as_root apt-get update -qq && \
	$$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing > /dev/null

# --- seeing and proving -------------------------------------------------------------------------------------------

include $(wildcard tests/*/*.mk)

.PHONY: demo
demo: deps ## Record the examples and show their peaks: in gdb, in lldb, on the command line
	@$(MAKE) --no-print-directory -s build > /dev/null
	@BUILD=$(abspath $(BUILD)) PYTHON=$(PYTHON) examples/demo.sh

.PHONY: test
test: deps ## Build with gcc and clang, run all tests
	$(MAKE) build unit unit-asan
	$(MAKE) CC=clang BUILD=$(BUILD)/clang build
	BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -ra tests

.PHONY: check-debuggers
check-debuggers: build ## Say of each gdb and lldb on PATH whether memtrace works in it, and what to do where not
	@MEMTRACE_LIBRARY=$(abspath $(BUILD))/libmemtrace.so $(PYTHON) -B native/door/check_debuggers.py gdb/memtrace.py lldb/memtrace_lldb.py

# --- installing ---------------------------------------------------------------------------------------------------

PREFIX  ?= /usr/local
DESTDIR ?=

# What is installed: FOLDER:FILE. The adapters find each other, and the library, by their places to each other.
INSTALLED := $(foreach program,memtrace,bin:$(BUILD)/$(program)) \
             $(foreach library,libmemtrace.so libmemtrace-recorder.so,lib/memtrace:$(BUILD)/$(library)) \
             $(foreach file,$(wildcard gdb/*.py lldb/*.py native/door/*.py),share/memtrace/$(patsubst %/,%,$(dir $(file))):$(file)) \
             $(foreach file,README.md LICENSE $(wildcard docs/*.md),share/doc/memtrace:$(file))
# Ours alone, the inner ones first.
INSTALLED_FOLDERS := share/memtrace/gdb share/memtrace/lldb share/memtrace/native/door share/memtrace/native \
                     share/memtrace share/doc/memtrace lib/memtrace
folder_of = $(firstword $(subst :, ,$(1)))
file_of   = $(lastword $(subst :, ,$(1)))

# gdb reads the first one that there is, and only that.
GDBINIT = $(firstword $(wildcard $(or $(XDG_CONFIG_HOME),$(HOME)/.config)/gdb/gdbinit) $(HOME)/.gdbinit)

.PHONY: install uninstall
install: build ## Install into PREFIX (/usr/local), below DESTDIR; says which line each debugger needs
	@$(foreach one,$(INSTALLED),install -D -m $(if $(filter bin:% lib/%,$(one)),755,644) '$(call file_of,$(one))' \
	    '$(DESTDIR)$(PREFIX)/$(call folder_of,$(one))/$(notdir $(call file_of,$(one)))' && ) true
	@echo "installed in $(DESTDIR)$(PREFIX). One line makes a debugger load it at each start:"
	@echo "  gdb, in $(GDBINIT):"
	@echo "    source $(PREFIX)/share/memtrace/gdb/memtrace.py"
	@echo "  lldb, in $(HOME)/.lldbinit:"
	@echo "    command script import $(PREFIX)/share/memtrace/lldb/memtrace_lldb.py"

uninstall: ## Remove what `make install` put there (same PREFIX and DESTDIR)
	@rm -f $(foreach one,$(INSTALLED),'$(DESTDIR)$(PREFIX)/$(call folder_of,$(one))/$(notdir $(call file_of,$(one)))')
	@for folder in $(INSTALLED_FOLDERS); do \
	    rm -rf "$(DESTDIR)$(PREFIX)/$$folder/__pycache__"; \
	    if [ -d "$(DESTDIR)$(PREFIX)/$$folder" ]; then rmdir --ignore-fail-on-non-empty "$(DESTDIR)$(PREFIX)/$$folder"; fi; \
	done

# --- housekeeping -------------------------------------------------------------------------------------------------

C_FILES      := $(shell find native tests -name '*.[ch]' -o -name '*.cc' -o -name '*.cpp')
PYTHON_FILES := $(shell find native gdb lldb tests examples -name '*.py')

.PHONY: format lint clean help
format: ## Lay out the C code
	clang-format -i $(C_FILES)

lint: $(BUILD)/generated/python.stamp ## Check layout and habits of C and Python
	clang-format --dry-run -Werror $(C_FILES)
	clang-tidy --quiet $(filter-out $(BUILD)/%,$(LIBRARY_SOURCES)) $(CLI_SOURCES) -- -std=gnu11 -Inative -I$(BUILD)/generated
	clang-tidy --quiet $(wildcard native/recorder/*.c) -- -std=gnu11 -Inative -D_GNU_SOURCE
	$(PYTHON) -m pyflakes $(PYTHON_FILES)

clean: ## Remove what was built
	rm -rf $(BUILD)

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | sort | awk -F '\t' '{ printf "make %-10s %s\n", $$1, $$2 }'

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
