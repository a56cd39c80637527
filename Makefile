# SPDX-License-Identifier: MIT
#
# make                  the library and the examples, and the modules for the
#                       running kernel where its headers are installed
# make demo             boot a real kernel in a VM and share a buffer there
# make check            all tests and lint, on every kernel that we support
# make fuzz             random operations on the debug kernel, until stopped
#                       or until one goes wrong         [FUZZ=, its options]
# make bench            compare with dma-heap and others, by counted
#                       instructions; HOST=1: here, by the wall clock
# make install          library, headers, .pc files and udev rules
#                       [DESTDIR= PREFIX=]
# make modules          the kernel modules              [KERNELDIR=]
# make modules_install  and where modprobe finds them   [INSTALL_MOD_PATH=]
# make clean            remove build/, where everything is built

ifneq ($(words $(CURDIR)),1)
$(error Kbuild cannot build below a path with spaces: $(CURDIR))
endif

VERSION := 0.1.0
SOVERSION := 1

PREFIX ?= /usr/local
KERNELDIR ?= /lib/modules/$(shell uname -r)/build

B := build
LIBDIR := $(DESTDIR)$(PREFIX)/lib
INCDIR := $(DESTDIR)$(PREFIX)/include

CFLAGS ?= -O2 -g
ALL_CFLAGS = -std=gnu11 -Wall -Wextra $(CFLAGS) $(WERROR)
ALL_CPPFLAGS = -D_GNU_SOURCE -MMD -MP -I$(B)/include $(CPPFLAGS)

OBJECTS := $(patsubst lib/%.c,$(B)/lib/%.o,$(wildcard lib/*.c))
OBJECTS32 := $(OBJECTS:.o=32.o)
LIB := $(B)/lib/libion.a $(B)/lib/libion.so $(B)/lib/libion.so.$(SOVERSION)
PC := $(B)/lib/libion.pc $(B)/lib/libion-legacy.pc
EXAMPLES := $(patsubst examples/%.c,$(B)/examples/%,$(wildcard examples/*.c)) \
	$(B)/examples/invert
# What has no use for a 32-bit build: it is not about the ABI.
ONLY_64 := pools module accounting information races storms fuzz faults stress
TESTS := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/*.c))
TESTS += $(addsuffix 32,$(filter-out $(addprefix %/,$(ONLY_64)),$(TESTS)))

# The headers as they are installed: ours beside the system's, not all of uapi.
HEADERS := ion/ion.h ion/buffer.h linux/ion.h linux/ion_4.12.h \
	linux/ion_4.19.h linux/ion_test.h linux/vion.h $(addprefix ion-legacy/, ion/ion.h \
	 linux/ion.h cutils/log.h ion_test_module.h)
INCLUDES := $(addprefix $(B)/include/,$(HEADERS))

# What a fresh Debian needs.
VM_PACKAGES := gcc libc6-dev gcc-12 pahole kmod xz-utils zstd busybox-static \
	qemu-system-x86 debian-archive-keyring
BENCH_PACKAGES := libjson-c-dev jq gnuplot-nox bsdextrautils
CHECK_PACKAGES := $(VM_PACKAGES) git perl pkg-config shellcheck sparse \
	gcc-multilib libcmocka-dev libdrm-dev linux-source-6.12 udev \
	qemu-system-arm device-tree-compiler flex bison bc libelf-dev \
	$(BENCH_PACKAGES)

all: lib examples
	@if [ -e $(UTSRELEASE) ]; then \
		$(MAKE) --no-print-directory modules; \
	else \
		echo "no kernel headers in $(KERNELDIR): modules not built"; \
	fi

lib: $(LIB) $(PC) $(INCLUDES)
examples: $(EXAMPLES)
tests: $(TESTS) $(B)/bench/measure

# ---- the user side

vpath %.h include/uapi lib/include
$(INCLUDES): $(B)/include/%.h: %.h
	@mkdir -p $(@D)
	@cp $< $@

$(B)/lib/%.o: lib/%.c | $(INCLUDES)
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -fPIC -c -o $@ $<

$(B)/lib/libion.a: $(OBJECTS)
	@rm -f $@
	$(AR) rcs $@ $^

$(B)/lib/libion.so.$(SOVERSION): $(OBJECTS) lib/libion.map
	$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-soname,$(@F) \
		-Wl,--version-script,lib/libion.map -Wl,-z,defs -o $@ $(OBJECTS)

$(B)/lib/libion.so: $(B)/lib/libion.so.$(SOVERSION)
	@ln -sf $(<F) $@

$(B)/lib/%.pc: lib/%.pc.in FORCE
	@mkdir -p $(@D)
	@sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' $< > $@

vpath %.c examples examples/driver
$(B)/examples/%: %.c $(B)/lib/libion.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $< \
		$(B)/lib/libion.a

$(B)/tests/%: tests/%.c $(B)/lib/libion.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $(filter %.c,$^) \
		$(B)/lib/libion.a -lcmocka -lpthread

$(B)/tests/fuzz: $(wildcard tests/fuzz/*)

$(B)/bench/measure: $(wildcard bench/*.c bench/*.h) $(B)/lib/libion.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(LDFLAGS) -MF $@.d -o $@ \
		$(filter %.c,$^) $(B)/lib/libion.a -ljson-c -lpthread

# The same tests as 32-bit programs, with a cmocka that is not installed.
M32 = -m32 -D_FILE_OFFSET_BITS=64
CMOCKA32 = $(eval CMOCKA32 := $(or $(shell tests/cmocka32),$(error \
	no 32-bit cmocka)))$(CMOCKA32)

$(B)/lib/%32.o: lib/%.c | $(INCLUDES)
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(M32) -c -o $@ $<

$(B)/tests/%32: tests/%.c $(OBJECTS32)
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) -I$(CMOCKA32)/include $(ALL_CFLAGS) $(M32) \
		$(LDFLAGS) -o $@ $< $(OBJECTS32) -L$(CMOCKA32)/lib \
		-Wl,-rpath,$(CMOCKA32)/lib -lcmocka -lpthread

install: lib
	install -d $(LIBDIR)/pkgconfig
	install -m 644 $(B)/lib/libion.a $(LIBDIR)
	install -m 755 $(B)/lib/libion.so.$(SOVERSION) $(LIBDIR)
	ln -sf libion.so.$(SOVERSION) $(LIBDIR)/libion.so
	install -m 644 $(PC) $(LIBDIR)/pkgconfig
	for h in $(HEADERS); do \
		install -D -m 644 $(B)/include/$$h $(INCDIR)/$$h || exit; \
	done
	install -d $(LIBDIR)/udev/rules.d
	install -m 644 packaging/60-ion.rules $(LIBDIR)/udev/rules.d

# ---- the kernel side

# Kbuild builds beside the sources: so it gets a tree of links to them.
UTSRELEASE = $(KERNELDIR)/include/generated/utsrelease.h
kernel_release = $(shell sed -n 's/.*"\(.*\)".*/\1/p' $(UTSRELEASE) 2>/dev/null)
MODULES = $(B)/modules/$(kernel_release)

# What the tests run on. The modules are built for others too, but none that is
# older than the first; what goes wrong there is not the reader's to mend.
TESTED := 6.1 6.12 7.3
series = $(shell sed -n 's/.*"\([0-9]*\.[0-9]*\).*/\1/p' $(UTSRELEASE) 2>/dev/null)
tried = > $(MODULES)/log 2>&1 || { \
	echo "the modules do not build for Linux $(kernel_release), which is not" \
		"one of the tested: $(TESTED) (see $(MODULES)/log)"; exit 1; }; \
	cat $(MODULES)/log
KBUILD = $(MAKE) -C $(KERNELDIR) M=$(abspath $(MODULES))/kernel

modules:
	@test -e $(UTSRELEASE) || \
		{ echo "no kernel headers in KERNELDIR=$(KERNELDIR)"; exit 1; }
	@printf '%s\n' $(firstword $(TESTED)) $(kernel_release) | sort -VC || \
		{ echo "Linux $(kernel_release) is too old: the modules need" \
			"Linux $(firstword $(TESTED)) or newer"; exit 1; }
	@mkdir -p $(MODULES)
	@cp -rsf $(abspath kernel) $(MODULES)
	@ln -sfn $(abspath include) $(MODULES)/include
	$(if $(filter $(series),$(TESTED)),,@)$(KBUILD) modules \
		$(if $(filter $(series),$(TESTED)),,$(tried))

# Modules that use ours, built as anybody's driver would be.
test_modules: modules
	@for d in tests/kernel examples/driver; do \
		mkdir -p $(MODULES)/$$d && \
		cp -rsf $(abspath .)/$$d/. $(MODULES)/$$d && \
		$(MAKE) -C $(KERNELDIR) M=$(abspath $(MODULES))/$$d \
			KBUILD_EXTRA_SYMBOLS=$(abspath $(MODULES))/kernel/Module.symvers \
			modules || exit; \
	done

modules_install: modules
	$(KBUILD) CONFIG_MODULE_SIG_ALL= modules_install

# ---- in a VM

demo:
	@vm/packages $(VM_PACKAGES)
	@$(MAKE) -s $(B)/examples/share
	@vm/run $(B)/examples/share

check:
	@vm/packages $(CHECK_PACKAGES)
	@tests/run

# With the heaps that tests/run sets up.
fuzz:
	@vm/packages $(CHECK_PACKAGES)
	@$(MAKE) -s $(B)/tests/fuzz
	@$(MAKE) -s test_modules KERNELDIR=$$(vm/kernel debug)/headers
	@vm/run --kernel debug --mem 2048 --timeout 0 --append \
		'memmap=32M$$0x30000000 cma=64M init_on_alloc=0' \
		--param ion.carveout=frames:0x30000000:16M \
		--param ion.chunk=tiles:0x31000000:16M:64K \
		$(B)/tests/fuzz $(or $(FUZZ),--endless)

bench:
	@vm/packages $(if $(HOST),gcc libc6-dev,$(VM_PACKAGES)) $(BENCH_PACKAGES)
	@$(MAKE) -s $(B)/bench/measure
	@bench/run $(if $(HOST),--host)

clean:
	rm -rf $(B)

-include $(wildcard $(B)/*/*.d)

FORCE:

.PHONY: all lib examples tests install modules test_modules modules_install \
	demo check fuzz bench clean
.DELETE_ON_ERROR:
.SECONDARY: $(OBJECTS32)
