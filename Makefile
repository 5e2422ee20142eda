# SPDX-License-Identifier: GPL-2.0
#
# Wring: top-level build. `make help` lists what can be asked for; everything built lands in build/.

ROOT  := $(CURDIR)
BUILD := build

# What `wring --version` and `modinfo wring.ko` say.
WRING_VERSION := 0.1.0

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
SHELL := /bin/bash
MAKEFLAGS += --no-builtin-rules

# ---- Set-up: once per invocation, before anything looks at the machine ------------------------------------------

goals := $(or $(MAKECMDGOALS),all)
ifeq ($(WRING_NO_SETUP),)
ifneq ($(filter-out help clean,$(goals)),)
ifneq ($(shell scripts/setup </dev/null >&2 || echo failed),)
$(error scripts/setup failed)
endif
export WRING_NO_SETUP := 1
endif
endif

# ---- Kernels ----------------------------------------------------------------------------------------------------

# KERNEL=6.1|6.12|both, or KDIR=<kernel build directory>.
KERNEL ?= both
ifeq ($(filter $(KERNEL),6.1 6.12 both),)
$(error KERNEL=$(KERNEL): must be 6.1, 6.12 or both)
endif
available := $(shell . scripts/lib.sh; \
	for k in "$${WRING_KERNELS[@]}"; do kernel_headers $$k >/dev/null && echo $$k; done)
ifneq ($(KDIR),)
kernels := $(shell . scripts/lib.sh; r=$$(kernel_release '$(KDIR)') && kernel_line "$$r")
ifeq ($(kernels),)
$(error KDIR=$(KDIR): not a kernel build directory)
endif
else ifeq ($(KERNEL),both)
kernels := $(available)
else
kernels := $(KERNEL)
endif

modules := $(foreach k,$(kernels),$(BUILD)/kernel/$(k)/wring.ko)
# For fault injection (kmod/os/inject.c); tests load them.
inject-modules := $(foreach k,$(kernels),$(BUILD)/kernel-inject/$(k)/wring.ko)
# Both again, for the debug kernels; DEBUG_KIND=debug: memory, locks, leaks; =kcsan: data races.
DEBUG_KIND ?= debug
debug-lines   := $(kernels:=-$(DEBUG_KIND))
debug-modules := $(foreach k,$(debug-lines),$(BUILD)/kernel/$(k)/wring.ko $(BUILD)/kernel-inject/$(k)/wring.ko)

# ---- Sources ----------------------------------------------------------------------------------------------------

find = $(sort $(foreach d,$(1),$(if $(wildcard $(d)),$(shell find $(d) -name '$(2)'))))

core-src   := $(call find,kmod/core,*.cc)
posix-src  := $(wildcard selftests/host/platform_posix.cc)
gen-src    := $(wildcard selftests/fuzz/generate*.cc) selftests/fuzz/check_generated.cc \
	      selftests/core/x64/thunks_test.cc
tool-src   := $(filter-out $(posix-src),$(wildcard selftests/host/*.cc)) $(gen-src)
loader-src := $(call find,loader,*.cc)
loader-lib := $(filter-out loader/main.cc,$(loader-src))
test-src   := $(call find,selftests/core,*_test.cc)
inject-src := $(wildcard selftests/inject/*.cc)
fuzz-src   := $(wildcard selftests/fuzz/fuzz_*.cc)
ioctl-fuzz-src := $(wildcard selftests/fuzz/ioctl/*.cc)
bench-src  := $(wildcard selftests/bench/*.cc)
engine-bench-src := $(wildcard selftests/bench/engine/*.cc)
compile-bench-src := $(wildcard selftests/bench/compile/*.cc)
slices-bench-src := $(wildcard selftests/bench/slices/*.cc)
shapes-src := $(wildcard selftests/bench/compile/shapes/*.cc)
host-src   := $(core-src) $(posix-src) $(tool-src) $(test-src) $(loader-src) $(fuzz-src) $(bench-src) \
	      $(engine-bench-src) $(compile-bench-src) $(slices-bench-src) $(shapes-src) $(inject-src) $(ioctl-fuzz-src)
guest-src  := $(call find,wasi-kernel/examples selftests/kernel/guest,*.c)
ktest-src  := $(wildcard selftests/kernel/test_*.c)
ktest-sh   := $(wildcard selftests/kernel/test_*.sh)

# ---- Hosted C++: the engine as a library, its tool, its tests, the loader -----------------------------------------

WERROR   ?= 1
export WERROR
warnings := -Wall -Wextra $(if $(filter 0,$(WERROR)),,-Werror)
CLANG    ?= clang
CLANGXX  ?= clang++

# Each variant compiles every hosted source in its own directory.
variants  := host asan fuzz count inject
cxx-host  := $(CXX)
opt-host  := -O2 -g
cxx-asan  := $(CXX)
opt-asan  := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
cxx-fuzz  := $(CLANGXX)
opt-fuzz  := -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
# Counts the basic blocks it executes.
cxx-count := $(CXX)
opt-count := -O2 -g -fsanitize-coverage=trace-pc
# For fault injection (core/base/inject.h).
cxx-inject := $(cxx-asan)
opt-inject := $(opt-asan) -DWRING_INJECT

cxxflags  := -std=c++20 $(warnings) -Ikmod -I. -MMD -MP
loader-libs := -lbpf -luring -ldw -lelf -lz -lpthread
# As in the kernel, where the engine must also live without these.
coreflags := -fno-exceptions -fno-rtti -fno-threadsafe-statics -funsigned-char

flags-for = $(cxxflags) $(if $(filter kmod/core/%,$(1)),$(coreflags)) \
	$(if $(filter loader/%,$(1)),-DWRING_VERSION='"$(WRING_VERSION)"') \
	$(if $(filter selftests/bench/engine/%,$(1)),-I$(BUILD)/bench) \
	$(if $(filter selftests/fuzz/ioctl/%,$(1)),-I$(BUILD)/fuzz)

define variant-rules
$(BUILD)/$(1)/obj/%.o: %.cc Makefile
	@mkdir -p $$(@D)
	@echo "  CXX     $$@"
	@$$(cxx-$(1)) $$(opt-$(1)) $$(call flags-for,$$<) -c -o $$@ $$<

$(BUILD)/$(1)/libwring_core.a: $(patsubst %.cc,$(BUILD)/$(1)/obj/%.o,$(core-src) $(posix-src))
	@echo "  AR      $$@"
	@rm -f $$@
	@$(AR) rcs $$@ $$^

$(BUILD)/$(1)/wring-host: $(patsubst %.cc,$(BUILD)/$(1)/obj/%.o,$(tool-src)) $(BUILD)/$(1)/libwring_core.a
	@echo "  LINK    $$@"
	@$$(cxx-$(1)) $$(opt-$(1)) -o $$@ $$^ -lZydis -lpthread

$(BUILD)/$(1)/core-tests: $(patsubst %.cc,$(BUILD)/$(1)/obj/%.o,$(test-src) $(loader-lib)) \
		$(BUILD)/$(1)/libwring_core.a
	@echo "  LINK    $$@"
	@$$(cxx-$(1)) $$(opt-$(1)) -o $$@ $$^ -lgtest -lgtest_main -lZydis $$(loader-libs)

$(BUILD)/$(1)/wring: $(patsubst %.cc,$(BUILD)/$(1)/obj/%.o,$(loader-src)) $(BUILD)/$(1)/libwring_core.a
	@echo "  LINK    $$@"
	@$$(cxx-$(1)) $$(opt-$(1)) -o $$@ $$^ $$(loader-libs)

# Wasm against eBPF, to be run in the VM: takes from the loader what it needs of it.
$(BUILD)/$(1)/wring-compare: $(patsubst %.cc,$(BUILD)/$(1)/obj/%.o,$(bench-src) \
		$(loader-lib)) $(BUILD)/$(1)/libwring_core.a
	@echo "  LINK    $$@"
	@$$(cxx-$(1)) $$(opt-$(1)) -o $$@ $$^ $$(loader-libs)

-include $(patsubst %.cc,$(BUILD)/$(1)/obj/%.d,$(host-src))
endef
$(foreach v,$(variants),$(eval $(call variant-rules,$(v))))

fuzz-bin := $(patsubst selftests/fuzz/%.cc,$(BUILD)/fuzz/%,$(fuzz-src))

$(fuzz-bin): $(BUILD)/fuzz/%: $(BUILD)/fuzz/obj/selftests/fuzz/%.o \
		$(patsubst %.cc,$(BUILD)/fuzz/obj/%.o,$(gen-src)) $(BUILD)/fuzz/libwring_core.a
	@echo "  LINK    $@"
	@$(cxx-fuzz) $(opt-fuzz) -fsanitize=fuzzer -o $@ $^ -lpthread

$(BUILD)/inject/inject-tests: $(patsubst %.cc,$(BUILD)/inject/obj/%.o,$(inject-src) $(gen-src)) \
		$(BUILD)/inject/libwring_core.a
	@echo "  LINK    $@"
	@$(cxx-inject) $(opt-inject) -o $@ $^ -lgtest -lgtest_main

host-bin := $(if $(tool-src),$(BUILD)/host/wring-host) $(if $(loader-src),$(BUILD)/host/wring)
tests-bin := $(if $(test-src),$(BUILD)/asan/core-tests) $(if $(inject-src),$(BUILD)/inject/inject-tests)

# ---- Guests: examples and programs for tests, as Wasm and as eBPF -----------------------------------------------

# An example that eBPF cannot express says so in its source.
bpf-src    := $(if $(guest-src),$(shell grep -L 'wring: no eBPF twin' $(guest-src)))
guest-name  = $(basename $(notdir $(1)))
guest-wasm := $(foreach s,$(guest-src),$(BUILD)/guest/$(call guest-name,$(s)).wasm)
guest-bpf  := $(foreach s,$(bpf-src),$(BUILD)/guest/$(call guest-name,$(s)).bpf.o)
guest-hdr  := $(call find,wasi-kernel/include selftests/kernel/guest,*.h)
guests     := $(guest-wasm) $(guest-bpf)

wasm-flags := --target=wasm32 -O2 -std=gnu11 -ffreestanding -nostdlib -mbulk-memory -msign-ext $(warnings) \
	-Iwasi-kernel/include -Wl,--no-entry -Wl,--stack-first -Wl,-z,stack-size=16384
# asm/types.h lives below the multiarch directory, which clang does not search for this target.
bpf-flags  := --target=bpf -mcpu=v3 -O2 -g -std=gnu11 $(warnings) -Iwasi-kernel/include \
	-idirafter /usr/include/x86_64-linux-gnu

define guest-rules
$(BUILD)/guest/$(call guest-name,$(1)).wasm: $(1) $(guest-hdr) Makefile
	@mkdir -p $$(@D)
	@echo "  WASM    $$@"
	@$$(CLANG) $$(wasm-flags) -o $$@ $$<
$(BUILD)/guest/$(call guest-name,$(1)).bpf.o: $(1) $(guest-hdr) Makefile
	@mkdir -p $$(@D)
	@echo "  BPF     $$@"
	@$$(CLANG) $$(bpf-flags) -c -o $$@ $$<
endef
$(foreach s,$(guest-src),$(eval $(call guest-rules,$(s))))
$(BUILD)/guest/cli_lines.wasm $(BUILD)/guest/cli_divide.wasm: wasm-flags += -g
$(BUILD)/guest/fpu_%.wasm: wasm-flags += -msimd128 -ffp-contract=off

# ---- Benchmark kernels: one C source each as machine code, as Wasm with and without SIMD, and through wasm2c -------

bench-kernels := $(basename $(notdir $(wildcard selftests/bench/kernels/*.c)))
bench-cflags  := -O2 -std=gnu11 -ffreestanding $(warnings)
bench-wasm    := --target=wasm32 -nostdlib -mbulk-memory -msign-ext -mnontrapping-fptoint \
	-Wl,--no-entry -Wl,--stack-first -Wl,-z,stack-size=65536
wasm2c-dir    := $(firstword $(wildcard /usr/share/wabt/wasm2c /usr/src/wasm2c))
bench-objs    := $(foreach k,$(bench-kernels),$(BUILD)/bench/native/$(k).o $(BUILD)/bench/wasm2c/$(k).o) \
	$(BUILD)/bench/wasm2c/wasm-rt-impl.o
bench-modules := $(foreach k,$(bench-kernels),$(BUILD)/bench/scalar/$(k).wasm $(BUILD)/bench/simd/$(k).wasm)

$(BUILD)/bench/native/%.o: selftests/bench/kernels/%.c selftests/bench/kernels/kernel.h Makefile
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CLANG) $(bench-cflags) -Drun=native_$* -c -o $@ $<

$(BUILD)/bench/scalar/%.wasm: selftests/bench/kernels/%.c selftests/bench/kernels/kernel.h Makefile
	@mkdir -p $(@D)
	@echo "  WASM    $@"
	@$(CLANG) $(bench-cflags) $(bench-wasm) -o $@ $<

$(BUILD)/bench/simd/%.wasm: selftests/bench/kernels/%.c selftests/bench/kernels/kernel.h Makefile
	@mkdir -p $(@D)
	@echo "  WASM    $@"
	@$(CLANG) $(bench-cflags) $(bench-wasm) -msimd128 -o $@ $<

$(BUILD)/bench/wasm2c/%.o: $(BUILD)/bench/scalar/%.wasm selftests/bench/engine/wasm2c_glue.c
	@mkdir -p $(@D)
	@echo "  WASM2C  $@"
	@wasm2c -n $* -o $(@D)/$*.c $<
	@$(CLANG) -O2 -w -I$(@D) -I$(wasm2c-dir) -DKERNEL=$* -DSOURCE='"$*.c"' -c -o $@ \
		selftests/bench/engine/wasm2c_glue.c

$(BUILD)/bench/wasm2c/wasm-rt-impl.o: $(wasm2c-dir)/wasm-rt-impl.c
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CLANG) -O2 -w -I$(wasm2c-dir) -c -o $@ $<

$(BUILD)/bench/kernels.inc: $(wildcard selftests/bench/kernels/*.c) Makefile
	@mkdir -p $(@D)
	@printf 'KERNEL(%s)\n' $(bench-kernels) > $@

$(patsubst %.cc,$(BUILD)/host/obj/%.o,$(engine-bench-src)): | $(BUILD)/bench/kernels.inc

$(BUILD)/host/wring-bench: $(patsubst %.cc,$(BUILD)/host/obj/%.o,$(engine-bench-src) \
		$(filter-out selftests/host/wring_host.cc,$(tool-src))) $(bench-objs) $(BUILD)/host/libwring_core.a
	@echo "  LINK    $@"
	@$(cxx-host) $(opt-host) -o $@ $^ -lZydis -lpthread

$(BUILD)/host/wring-bench-compile: $(patsubst %.cc,$(BUILD)/host/obj/%.o,$(compile-bench-src) \
		$(filter-out selftests/host/wring_host.cc,$(tool-src))) $(BUILD)/host/libwring_core.a
	@echo "  LINK    $@"
	@$(cxx-host) $(opt-host) -o $@ $^ -lZydis -lpthread

$(BUILD)/host/wring-bench-slices: $(patsubst %.cc,$(BUILD)/host/obj/%.o,$(slices-bench-src) \
		$(filter-out selftests/host/wring_host.cc,$(tool-src))) $(BUILD)/host/libwring_core.a
	@echo "  LINK    $@"
	@$(cxx-host) $(opt-host) -o $@ $^ -lZydis -lpthread

count-wraps := wring_os_alloc wring_os_free memset memcpy

$(BUILD)/count/wring-shapes: $(patsubst %.cc,$(BUILD)/count/obj/%.o,$(shapes-src) \
		$(filter-out selftests/host/wring_host.cc,$(tool-src))) $(BUILD)/count/libwring_core.a
	@echo "  LINK    $@"
	@$(cxx-count) $(opt-count) $(count-wraps:%=-Wl,--wrap=%) -o $@ $^ -lZydis -lpthread

# ---- Kernel self-tests ------------------------------------------------------------------------------------------

ktests := $(patsubst selftests/kernel/%.c,$(BUILD)/selftests/%,$(ktest-src))
ktest-lib := $(filter-out $(ktest-src),$(wildcard selftests/kernel/*.c))
ktest-hdr := $(wildcard selftests/kernel/*.h kmod/uapi/*.h)

$(ktests): $(BUILD)/selftests/%: selftests/kernel/%.c $(ktest-lib) $(ktest-hdr) Makefile
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) -O2 -g -std=gnu11 -D_GNU_SOURCE $(warnings) -Ikmod -I. -o $@ $< $(ktest-lib) \
		-lbpf -luring -lelf -lz -lpthread

# The conformance driver with the kernel as its backend.
spec-src  := $(wildcard selftests/kernel/*.cc)
spec-objs := $(patsubst %.cc,$(BUILD)/host/obj/%.o,$(spec-src) $(filter-out selftests/host/wring_host.cc,$(tool-src)))
spec-bin  := $(if $(spec-src),$(BUILD)/selftests/wring-spec)

$(BUILD)/selftests/wring-spec: $(spec-objs) $(BUILD)/host/libwring_core.a
	@mkdir -p $(@D)
	@echo "  LINK    $@"
	@$(cxx-host) $(opt-host) -o $@ $^ -lZydis -lpthread

-include $(patsubst %.cc,$(BUILD)/host/obj/%.d,$(spec-src))

# The fuzzer of the device's commands, which knows all that the header has.
ioctl-fuzz-objs := $(patsubst %.cc,$(BUILD)/host/obj/%.o,\
	$(ioctl-fuzz-src) $(wildcard selftests/fuzz/generate*.cc))
ioctl-fuzz-bin  := $(if $(ioctl-fuzz-src),$(BUILD)/selftests/wring-ioctl-fuzz)

$(BUILD)/fuzz/wring_uapi_names.inc: kmod/uapi/wring.h Makefile
	@mkdir -p $(@D)
	@sed -nE -e 's/^#define (WRING_IOC_[A-Z0-9_]+)[ \t]+_IO.*/WRING_HAS_COMMAND(\1)/p' \
		-e 's/^struct (wring_[a-z0-9_]+) \{.*/WRING_HAS_STRUCT(\1)/p' $< >$@

$(patsubst %.cc,$(BUILD)/host/obj/%.o,$(ioctl-fuzz-src)): | $(BUILD)/fuzz/wring_uapi_names.inc

$(BUILD)/selftests/wring-ioctl-fuzz: $(ioctl-fuzz-objs) $(BUILD)/host/libwring_core.a
	@mkdir -p $(@D)
	@echo "  LINK    $@"
	@$(cxx-host) $(opt-host) -static -o $@ $^ -lpthread

# ---- Test data --------------------------------------------------------------------------------------------------

TESTDATA ?= $(ROOT)/../shared/testdata
data-names := wasm-spec fuzz-differential wasi-preview1
data := $(foreach n,$(data-names),$(if $(wildcard $(TESTDATA)/$(n).tar.xz),$(BUILD)/testdata/$(n)/.unpacked))

$(BUILD)/testdata/%/.unpacked: $(TESTDATA)/%.tar.xz
	@echo "  UNPACK  $(@D)"
	@rm -rf $(@D) && mkdir -p $(@D)
	@tar -xJf $< -C $(@D)
	@touch $@

# ---- Targets ----------------------------------------------------------------------------------------------------

.PHONY: all demo bench-hooks bench-engine bench-compile bench-shapes bench-slices bench-modules \
	test test-host test-vm test-debug test-modules conformance style format check clean help setup \
	modules host guests tests FORCE

##@ Building
## all: wring.ko for both kernels, the loader, the hosted engine tool and the guest programs (default)
all: modules host guests

## modules: wring.ko (KERNEL=6.1|6.12|both, or KDIR=<kernel build directory>) in build/kernel/
modules: $(modules)

$(BUILD)/kernel/%/wring.ko: FORCE
	+@scripts/build-module $(or $(KDIR),$*)

$(BUILD)/kernel-inject/%/wring.ko: FORCE
	+@WRING_INJECT=1 scripts/build-module $(or $(KDIR),$*)

debug-kernels := $(debug-lines:%=$(BUILD)/debug/%/.built)

$(debug-kernels): $(BUILD)/debug/%/.built: FORCE
	+@scripts/debug-kernel $*

$(filter $(BUILD)/kernel/%,$(debug-modules)): $(BUILD)/kernel/%/wring.ko: $(BUILD)/debug/%/.built FORCE
	+@scripts/build-module $*

$(filter $(BUILD)/kernel-inject/%,$(debug-modules)): $(BUILD)/kernel-inject/%/wring.ko: $(BUILD)/debug/%/.built FORCE
	+@WRING_INJECT=1 scripts/build-module $*

## host: build/host/wring (the loader) and build/host/wring-host (the engine as a process)
host: $(host-bin)

## guests: the example programs as build/guest/*.wasm and *.bpf.o
guests: $(guests)

##@ Running
## demo: boots the VM and shows Wasm at work in the kernel
demo: all $(BUILD)/host/wring-compare
	@scripts/demo $(addprefix --kernel ,$(if $(filter both,$(KERNEL)),,$(KERNEL)))

## bench-hooks: Wasm against eBPF at XDP, in instructions per invocation, as tables for the README
bench-hooks: all $(BUILD)/host/wring-compare
	@for k in $(kernels); do \
		scripts/vm --kernel $$k --icount --put $(BUILD)/guest --put $(BUILD)/host/wring-compare -- \
			/wring-compare --icount --format markdown /guest && echo || exit; \
	done

## bench-engine: C as Wasm against the same C as machine code; tables in selftests/bench/results (ENGINES="v8 ...")
ENGINES ?= wring wring-unmetered v8 wasm2c
bench-engine: $(BUILD)/host/wring-bench $(bench-modules)
	@mkdir -p selftests/bench/results
	@$< --engines 'native $(ENGINES)' --markdown selftests/bench/results/engine.md \
		--svg selftests/bench/results/engine.svg $(BUILD)/bench

## bench-compile: speed and memory of compilation of ten real modules of 0.1 to 40 MB, and cost of instances
bench-compile: $(BUILD)/host/wring-bench-compile
	@selftests/modules/fetch --tag bench && selftests/modules/fetch --tag engine
	@mkdir -p selftests/bench/results
	@node=$$(selftests/modules/files --tag engine); selftests/modules/files --tag bench | \
		xargs -d '\n' $< --node "$${node:-node}" --markdown selftests/bench/results/compile.md

## bench-slices: how long hostile programs run between two looks at the time
bench-slices: $(BUILD)/host/wring-bench-slices
	@mkdir -p selftests/bench/results
	@$< --markdown selftests/bench/results/slices.md

## bench-modules: what all real modules of selftests/modules.list take to compile, as a table in selftests/bench/results
bench-modules: $(BUILD)/host/wring-host
	@selftests/modules/fetch
	@selftests/modules/compile --targets native --markdown selftests/bench/results/modules.md

## bench-shapes: how compile time and memory grow with code that has much of one thing, up to the limits (SHAPE=NAME)
bench-shapes: $(BUILD)/count/wring-shapes
	@$< --most $(SHAPE)

##@ Testing
## test: everything: test-host, then test-vm; ends with the totals
test: tests
	@KERNELS='$(kernels)' scripts/run-tests host vm

## test-host: unit tests under sanitizers, conformance vectors, fuzzing (FUZZ_SECONDS=60 each), check
test-host: tests
	@KERNELS='$(kernels)' scripts/run-tests host

## test-vm: the kernel self-tests, one VM per kernel (TESTS="test_hook_xdp ..." selects)
test-vm: all $(inject-modules) $(ktests) $(spec-bin) $(ioctl-fuzz-bin) $(data)
	@KERNELS='$(kernels)' scripts/run-tests vm

## test-debug: the kernel self-tests in kernels with KASAN, lockdep, kmemleak, built first (DEBUG_KIND=kcsan: races)
test-debug: host guests $(debug-modules) $(ktests) $(spec-bin) $(ioctl-fuzz-bin) $(data)
	@KERNELS='$(debug-lines)' TEST_TIMEOUT=3600 VM_TIMEOUT=14400 scripts/run-tests vm

## test-modules: real modules from npm packages: compiled for every target, run against V8, loaded in the VMs (hours)
test-modules: all $(spec-bin)
	@KERNELS='$(kernels)' scripts/run-tests modules

tests: all $(tests-bin) $(if $(tool-src),$(BUILD)/asan/wring-host) $(if $(loader-src),$(BUILD)/asan/wring) \
	$(inject-modules) $(fuzz-bin) $(BUILD)/count/wring-shapes $(ktests) $(spec-bin) $(ioctl-fuzz-bin) $(data)

## conformance: the tables of the README: what passes per group, in a process and in the kernels
conformance: all $(spec-bin) $(data)
	@scripts/conformance hosted $(kernels)

##@ Quality
## style: formatting of C++ (clang-format) and C (kernel style)
style:
	@scripts/check-style

## format: rewrites the C++ as `style` wants it
format:
	@scripts/check-style --fix

## check: engine seam, include layering, shell scripts
check: $(if $(core-src),$(BUILD)/host/libwring_core.a $(modules))
	@KERNELS='$(kernels)' scripts/check

##@ Housekeeping
## setup: installs what is missing (every target does; WRING_NO_SETUP=1 skips it)
setup:
	@:

## clean: removes what was built; keeps the downloaded kernels (build/vm)
clean:
	@find $(BUILD) -mindepth 1 -maxdepth 1 ! -name vm -exec rm -rf {} + 2>/dev/null || true

## help: this list
help:
	@sed -n -e 's/^##@ \(.*\)/\n\1/p' -e 's/^## \([a-z-]*\): \(.*\)/  \1\t\2/p' Makefile | expand -t 14
