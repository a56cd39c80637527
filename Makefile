# SPDX-License-Identifier: MIT
#
# make                  the library and the examples; ionctl where json-c is
#                       installed, and the modules for the running kernel where
#                       its headers are
# make demo             boot a real kernel in a VM and share a buffer there
# make picture          boot one with a screen, and show a camera's frames on it
#                       through shared buffers: camera.png
# make check            all tests and lint, on every kernel that we support
# make fuzz             random operations on the debug kernel, until stopped
#                       or until one goes wrong         [FUZZ=, its options]
# make bench            compare with dma-heap and others, by counted
#                       instructions; HOST=1: here, by the wall clock
# make tools            ionctl
# make install          library, headers, .pc files, udev rules and, where json-c
#                       and scdoc are installed, ionctl and the man pages
#                       [DESTDIR= PREFIX= LIBDIR=]
# make modules          the kernel modules              [KERNELDIR=]
# make test_modules     modules that use ours: those of the tests, the example
# make modules_install  and where modprobe finds them   [INSTALL_MOD_PATH=]
# make deb              Debian packages of all that, in build/deb
# make man              the man pages
# make clean            remove build/, where everything is built

ifneq ($(words $(CURDIR)),1)
$(error Kbuild cannot build below a path with spaces: $(CURDIR))
endif

VERSION := 0.1.0
SOVERSION := 1

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
KERNELDIR ?= /lib/modules/$(shell uname -r)/build

B := build
DEST := $(DESTDIR)$(PREFIX)
MANDIR := $(DEST)/share/man
COMPLETIONS := $(DEST)/share/bash-completion/completions

CFLAGS ?= -O2 -g
ALL_CFLAGS = -std=gnu11 -Wall -Wextra $(CFLAGS) $(WERROR)
ALL_CPPFLAGS = -D_GNU_SOURCE -MMD -MP -I$(B)/include $(CPPFLAGS)

OBJECTS := $(patsubst lib/%.c,$(B)/lib/%.o,$(wildcard lib/*.c))
OBJECTS32 := $(OBJECTS:.o=32.o)
LIB := $(B)/lib/libion.a $(B)/lib/libion.so $(B)/lib/libion.so.$(SOVERSION)
PC := $(B)/lib/libion.pc $(B)/lib/libion-legacy.pc
# One example has a screen.
LIBDRM := $(shell pkg-config --libs libdrm 2>/dev/null)
EXAMPLES := $(patsubst examples/%.c,$(B)/examples/%,$(wildcard examples/*.c)) \
	$(B)/examples/invert $(if $(LIBDRM),$(B)/examples/camera)
TOOLS := $(B)/tools/ionctl
JSON_C := $(shell pkg-config --exists json-c 2>/dev/null && echo yes)
# What has no use for a 32-bit build: it is not about the ABI.
ONLY_64 := pools module accounting information races storms fuzz faults stress \
	frames
TESTS := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/*.c))
TESTS += $(addsuffix 32,$(filter-out $(addprefix %/,$(ONLY_64)),$(TESTS)))

# The headers as they are installed: ours beside the system's, not all of uapi.
HEADERS := ion/ion.h ion/buffer.h linux/ion.h linux/ion_4.12.h \
	linux/ion_4.19.h linux/ion_test.h linux/vion.h $(addprefix ion-legacy/, ion/ion.h \
	 linux/ion.h cutils/log.h ion_test_module.h)
INCLUDES := $(addprefix $(B)/include/,$(HEADERS))
MAN := $(patsubst man/%.scd,$(B)/man/%,$(wildcard man/*.scd))

# What a fresh Debian needs.
VM_PACKAGES := gcc libc6-dev gcc-12 pahole kmod xz-utils zstd busybox-static \
	qemu-system-x86 debian-archive-keyring
PICTURE_PACKAGES := pkg-config libdrm-dev
BENCH_PACKAGES := $(PICTURE_PACKAGES) libjson-c-dev jq gnuplot-nox bsdextrautils
DEB_PACKAGES := build-essential dpkg-dev debhelper dh-dkms scdoc pkg-config \
	libjson-c-dev
CHECK_PACKAGES := $(VM_PACKAGES) git perl shellcheck sparse \
	gcc-multilib libcmocka-dev netpbm linux-source-6.12 udev \
	qemu-system-arm device-tree-compiler flex bison bc libelf-dev \
	graphviz strace tmux $(BENCH_PACKAGES) $(DEB_PACKAGES) \
	lintian mmdebstrap e2fsprogs man-db

all: lib examples
	@if [ -n "$(JSON_C)" ]; then \
		$(MAKE) --no-print-directory tools; \
	else \
		echo "no json-c (libjson-c-dev): ionctl not built"; \
	fi
	@if [ -e $(UTSRELEASE) ]; then \
		$(MAKE) --no-print-directory modules; \
	else \
		echo "no kernel headers in $(KERNELDIR): modules not built"; \
	fi

lib: $(LIB) $(PC) $(INCLUDES)
examples: $(EXAMPLES)
tools: $(TOOLS)
tests: $(TESTS) $(B)/tests/holder $(B)/bench/measure

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
	@sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' \
		-e 's|@LIBDIR@|$(LIBDIR:$(PREFIX)/%=$${prefix}/%)|' $< > $@

vpath %.c examples examples/driver
$(B)/examples/%: %.c $(B)/lib/libion.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $< \
		$(B)/lib/libion.a

$(B)/examples/camera: $(wildcard examples/camera/*.[ch]) $(B)/lib/libion.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(shell pkg-config --cflags libdrm) -MF $@.d \
		$(ALL_CFLAGS) $(LDFLAGS) -o $@ $(filter %.c,$^) \
		$(B)/lib/libion.a $(LIBDRM)

$(B)/tools/ionctl: $(wildcard tools/*.c tools/*.h) $(B)/lib/libion.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) -DVERSION='"$(VERSION)"' $(ALL_CFLAGS) $(LDFLAGS) \
		-MF $@.d -o $@ $(filter %.c,$^) $(B)/lib/libion.a -ljson-c

$(B)/tests/%: tests/%.c $(B)/lib/libion.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $(filter %.c,$^) \
		$(B)/lib/libion.a -lcmocka -lpthread $(LDLIBS)

$(B)/tests/holder: tests/programs/holder.c $(B)/lib/libion.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ -lpthread

$(B)/tests/fuzz: $(wildcard tests/fuzz/*)

# With the parts of that example.
$(B)/tests/frames: $(addprefix examples/camera/,common.c capture.c screen.c \
	pipeline.c)
$(B)/tests/frames: CPPFLAGS += $(shell pkg-config --cflags libdrm)
$(B)/tests/frames: LDLIBS := $(LIBDRM)

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

$(B)/man/%: man/%.scd
	@mkdir -p $(@D)
	scdoc < $< > $@

man: $(MAN)

install: lib $(if $(JSON_C),install_tools) \
		$(if $(shell command -v scdoc),install_man)
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig
	install -m 644 $(B)/lib/libion.a $(DESTDIR)$(LIBDIR)
	install -m 755 $(B)/lib/libion.so.$(SOVERSION) $(DESTDIR)$(LIBDIR)
	ln -sf libion.so.$(SOVERSION) $(DESTDIR)$(LIBDIR)/libion.so
	install -m 644 $(PC) $(DESTDIR)$(LIBDIR)/pkgconfig
	for h in $(HEADERS); do \
		install -D -m 644 $(B)/include/$$h $(DEST)/include/$$h || \
			exit; \
	done
	install -d $(DEST)/lib/udev/rules.d
	install -m 644 packaging/60-ion.rules $(DEST)/lib/udev/rules.d

install_tools: tools
	install -d $(DEST)/bin $(COMPLETIONS)
	install -m 755 $(TOOLS) $(DEST)/bin
	install -m 644 tools/ionctl.bash $(COMPLETIONS)/ionctl

# A page is found by each of the names before the dash of its NAME.
install_man: man
	for page in $(notdir $(MAN)); do \
		section=$${page##*.}; \
		install -D -m 644 $(B)/man/$$page \
			$(MANDIR)/man$$section/$$page || exit; \
		for name in $$(sed -n '/^# NAME$$/,/ - /s/,\{0,1\} - .*//p' \
				man/$$page.scd | tr -d ,); do \
			[ -e $(MANDIR)/man$$section/$$name.$$section ] || \
				echo ".so man$$section/$$page" > \
				$(MANDIR)/man$$section/$$name.$$section || exit; \
		done; \
	done

deb:
	@vm/packages $(DEB_PACKAGES)
	@packaging/deb $(B)/deb $(VERSION)

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
IN_KBUILD = -C $(KERNELDIR) M=$(abspath $(MODULES))/kernel

modules:
	@test -e $(UTSRELEASE) || \
		{ echo "no kernel headers in KERNELDIR=$(KERNELDIR)"; exit 1; }
	@printf '%s\n' $(firstword $(TESTED)) $(kernel_release) | sort -VC || \
		{ echo "Linux $(kernel_release) is too old: the modules need" \
			"Linux $(firstword $(TESTED)) or newer"; exit 1; }
	@mkdir -p $(MODULES)
	@cp -rsf $(abspath kernel) $(MODULES)
	@ln -sfn $(abspath include) $(MODULES)/include
	$(if $(filter $(series),$(TESTED)),,@)$(MAKE) $(IN_KBUILD) modules \
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
	$(MAKE) $(IN_KBUILD) CONFIG_MODULE_SIG_ALL= modules_install

# ---- in a VM

demo:
	@vm/packages $(VM_PACKAGES)
	@$(MAKE) -s $(B)/examples/share
	@vm/run $(B)/examples/share

picture:
	@vm/packages $(VM_PACKAGES) $(PICTURE_PACKAGES)
	@$(MAKE) -s $(B)/examples/camera
	@vm/run --screenshot camera.png --modprobe 'vivid n_devs=1 node_types=1' \
		examples/camera/picture --frames 60
	@echo "camera.png is what was on the screen"

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
	@$(MAKE) -s $(B)/bench/measure $(if $(HOST),,$(B)/examples/camera)
	@bench/run $(if $(HOST),--host)

clean:
	rm -rf $(B)

-include $(wildcard $(B)/*/*.d)

FORCE:

.PHONY: all lib examples tools tests man install install_tools install_man \
	deb modules test_modules modules_install demo picture check fuzz bench \
	clean
.DELETE_ON_ERROR:
.SECONDARY: $(OBJECTS32)
