// SPDX-License-Identifier: MIT
/* No byte of anybody's old memory, and no address, ever reaches a program. */
#include <ctype.h>
#include <ftw.h>
#include <linux/dma-heap.h>
#include <sys/klog.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/sysinfo.h>

#include "kernel/page_test.h"
#include "load.h"

static int ion, vion, page_test;
static int nodes[HEAPS];
static __u64 marker;

static int setup(void **state)
{
	static const char *const names[HEAPS] = {
		"system", "system_contig", "frames", "tiles", "dma",
	};

	(void)state;
	expect(load_with("tests/kernel/page_test", ""), 0);
	page_test = expect_ok(sys(open("/dev/ion_page_test",
				       O_RDONLY | O_CLOEXEC)));
	ion = open_ion();
	vion = open_vion();
	for (int i = 0; i < HEAPS; i++) {
		char path[64];

		snprintf(path, sizeof(path), "/dev/dma_heap/ion_%s", names[i]);
		nodes[i] = expect_ok(sys(open(path, O_RDONLY | O_CLOEXEC)));
	}
	expect(sys(getrandom(&marker, sizeof(marker), 0)), sizeof(marker));
	/* No byte of it is 0. */
	marker |= 0x0101010101010101;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (int i = 0; i < HEAPS; i++)
		close(nodes[i]);
	close(vion);
	close(ion);
	close(page_test);
	expect(unload("page_test"), 0);
	return 0;
}

/* ---- memory */

static void mark(void *addr, size_t len)
{
	__u64 *words = addr;

	for (size_t i = 0; i < len / sizeof(*words); i++)
		words[i] = marker;
}

/* Of what is free, all but what the machine needs meanwhile. */
static size_t free_memory(void)
{
	struct sysinfo info;

	sysinfo(&info);
	return info.freeram * info.mem_unit / 8 * 7 & ~(PAGE - 1);
}

/* As programs have it, then, since the kernel keeps that apart, as we do. */
static int mark_free_memory(void *arg)
{
	const size_t piece = 8 * MiB - PAGE;
	size_t size = free_memory();
	void *addr;

	(void)arg;
	addr = mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (addr == MAP_FAILED)
		return 1;
	mark(addr, size);
	munmap(addr, size);
	for (; size > piece; size -= piece)
		mark(map(alloc_fd(ion, SYSTEM, piece), piece), piece);
	return 0;
}

/* Small pieces, such as what structures are copied through. */
static int mark_small_memory(void *arg)
{
	static __u64 data[512];

	(void)arg;
	mark(data, sizeof(data));
	for (int i = 0; i < 100; i++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair))
			return 1;
		for (size_t len = 8; len <= sizeof(data); len *= 2)
			if (write(pair[0], data, len) != (ssize_t)len)
				return 1;
	}
	return 0;
}

/*
 * Pages that nobody cleared have it: so what heaps are given has. What comes
 * first of all are the odd pages between others, which nothing large was in.
 */
static void expect_marked(void)
{
	struct page_test_free_data data = {
		.word = marker, .pages = free_memory() / PAGE / 2,
	};

	expect(request(page_test, PAGE_TEST_FREE, &data), 0);
	if (data.marked >= data.pages / 4)
		return;
	print_error("of %u free pages %u are marked: is init_on_alloc=0 set?\n",
		    data.pages, data.marked);
	fail_at(__FILE__, __LINE__);
}

/* ---- buffers */

struct source {
	unsigned int heap;
	enum { ION_CACHED, ION_COMBINED, NODE, DOORS } door;
};

static int alloc_from(struct source from, size_t len)
{
	struct dma_heap_allocation_data data = {
		.len = len, .fd_flags = O_RDWR | O_CLOEXEC,
	};

	if (from.door != NODE)
		return alloc_with(ion, 1U << from.heap, len,
				  from.door == ION_CACHED ? CACHED : 0);
	expect(request(nodes[from.heap], DMA_HEAP_IOCTL_ALLOC, &data), 0);
	return data.fd;
}

static unsigned long dirty;	/* buffers from the source in turn */

static void expect_clear(struct source from, const unsigned char *data,
			 size_t size)
{
	static const char *const doors[DOORS] = {
		"cached", "write-combined", "from its node",
	};
	size_t at = 0;

	if (!*data && !memcmp(data, data + 1, size - 1))
		return;
	while (at < size && !data[at])
		at++;
	if (at < size && !dirty++)
		print_error("heap %u, %s: byte %zu of %zu is 0x%02x%s\n",
			    from.heap, doors[from.door], at, size, data[at],
			    !memcmp(data + (at & ~7UL), &marker, 8) ?
			    ", as it was marked" : "");
}

static void read_by_driver(struct source from, int fd, size_t size)
{
	static unsigned char data[2 * MiB];

	memset(data, 0x5a, sizeof(data));
	expect(request(vion, VION_REGISTER_ION, &fd), 0);
	expect(sys(pread(vion, data, sizeof(data), 0)), size);
	expect_clear(from, data, size);
	/* And of what is past the end it gives nothing. */
	for (size_t i = size; i < size + 64; i++)
		expect_byte(i, size, data[i], 0x5a);
	expect(request(vion, VION_UNREGISTER_ION, &fd), 0);
}

/* All of it is zero, to the end of its last page. It is left marked. */
static void look_into(struct source from, int fd, size_t len)
{
	size_t size = page_up(len);
	void *addr;

	expect(lseek(fd, 0, SEEK_END), size);
	/* What a heap took besides is out of reach. */
	expect(mmap(NULL, size + PAGE, PROT_READ, MAP_SHARED, fd, 0) ==
	       MAP_FAILED, 1);
	addr = map(fd, size);
	expect_clear(from, addr, size);
	mark(addr, size);
	munmap(addr, size);
}

static const size_t lengths[] = {
	1, 100, PAGE - 1, PAGE, PAGE + 1, 5000, 12345, 3 * PAGE, 64 * KiB + 1,
};

#define HELD 170

/* So many at once that they are not always the same pages. */
static unsigned long look_at_many(struct source from, unsigned int turn)
{
	size_t large = turn % 2 ? MiB : MiB + PAGE / 2;
	int fds[HELD];

	for (unsigned int i = 0; i < HELD; i++) {
		size_t len = i ? lengths[(i + turn) % COUNT(lengths)] : large;

		fds[i] = alloc_from(from, len);
		if (i % 16 == turn)
			read_by_driver(from, fds[i], page_up(len));
		look_into(from, fds[i], len);
	}
	for (unsigned int i = 0; i < HELD; i++)
		close(fds[i]);
	return HELD;
}

/* The largest that it has, and that again. */
static unsigned long look_at_large(struct source from)
{
	size_t len = (from.heap == 0 ? 16 * MiB : 4 * MiB) - 100;

	for (int i = 0; i < 2; i++) {
		int fd = alloc_from(from, len);

		look_into(from, fd, len);
		close(fd);
	}
	return 2;
}

static void buffers_are_clear(void **state)
{
	const unsigned int turns = fewer_if_slow(4);
	unsigned long looked = 0, all_dirty = 0;

	(void)state;
	for (unsigned int turn = 0; turn < turns; turn++) {
		if (turn % 2 == 0) {
			expect(end_of(mark_small_memory, NULL), 0);
			expect(end_of(mark_free_memory, NULL), 0);
			expect_marked();
		}
		for (unsigned int i = 0; i < HEAPS * DOORS; i++) {
			struct source from = { i / DOORS, i % DOORS };

			dirty = 0;
			looked += look_at_many(from, turn);
			if (turn == 0)
				looked += look_at_large(from);
			all_dirty += dirty;
		}
	}
	expect(all_dirty, 0);
	assert_true(looked >= turns * 2500);
	sum_up(looked, "new buffers found clear");
}

/* ---- structures */

/* The kernel's stack gets to be full of it, as deep as requests go. */
static void mark_stack(void)
{
	struct pollfd polled[30];
	struct iovec iov[8];
	__u64 sets[3][16];

	mark(polled, sizeof(polled));
	mark(iov, sizeof(iov));
	mark(sets, sizeof(sets));
	(void)!readv(0, iov, COUNT(iov));
	(void)!poll(polled, COUNT(polled), 0);
	(void)!select(1023, (fd_set *)sets[0], (fd_set *)sets[1],
		      (fd_set *)sets[2], NULL);
}

/* An answer, in what was 0x5a before, with its surroundings. */
struct area {
	unsigned char bytes[128];
};

static void expect_bytes(const struct area *came, const void *wanted,
			 size_t size)
{
	const unsigned char *bytes = wanted;

	for (size_t i = 0; i < sizeof(came->bytes); i++)
		expect_byte(i, size, came->bytes[i],
			    i < size ? bytes[i] : 0x5a);
}

static void ask_in(struct area *area, int fd, unsigned long cmd,
		   const void *given)
{
	memset(area, 0x5a, sizeof(*area));
	memcpy(area, given, _IOC_SIZE(cmd));
	mark_stack();
	expect(request(fd, cmd, area), 0);
}

/* All that comes back is what was given, or what is told of it here. */
static void answers_of_handles(void **state)
{
	struct ion_allocation_data alloc, answered;
	struct {
		__u64 handle;
		__s32 fd;
		__u32 pad;
	} pointer;
	struct ion_fd_data data;
	struct area area;

	(void)state;
	memset(&alloc, 0x5a, sizeof(alloc));
	alloc.len = 5000;
	alloc.align = 0;
	alloc.heap_id_mask = SYSTEM;
	ask_in(&area, ion, ION_IOC_ALLOC, &alloc);
	memcpy(&answered, &area, sizeof(answered));
	alloc.handle = answered.handle;
	memset(&alloc.handle + 1, 0,
	       (char *)(&alloc + 1) - (char *)(&alloc.handle + 1));
	assert_in_range(alloc.handle, 1, 100000);
	expect_bytes(&area, &alloc, sizeof(alloc));

	memset(&data, 0x5a, sizeof(data));
	data.handle = alloc.handle;
	ask_in(&area, ion, ION_IOC_SHARE, &data);
	memcpy(&data.fd, area.bytes + 4, sizeof(data.fd));
	assert_in_range(data.fd, 3, 1023);
	expect_bytes(&area, &data, sizeof(data));

	data.handle = 0x5a5a5a5a;
	ask_in(&area, ion, ION_IOC_IMPORT, &data);
	data.handle = alloc.handle;
	expect_bytes(&area, &data, sizeof(data));

	memset(&pointer, 0x5a, sizeof(pointer));
	pointer.fd = data.fd;
	ask_in(&area, ion, _IOWR('I', 5, pointer), &pointer);
	pointer.handle = alloc.handle;
	pointer.pad = 0;
	expect_bytes(&area, &pointer, sizeof(pointer));
	close(data.fd);

	memset(&pointer, 0x5a, sizeof(pointer));
	pointer.handle = alloc.handle;
	ask_in(&area, ion, _IOWR('I', 4, pointer), &pointer);
	memcpy(&pointer.fd, area.bytes + 8, sizeof(pointer.fd));
	assert_in_range(pointer.fd, 3, 1023);
	pointer.pad = 0;
	expect_bytes(&area, &pointer, sizeof(pointer));
	close(pointer.fd);
	for (int i = 0; i < 3; i++)
		expect(ion_free(ion, alloc.handle), 0);
}

static void answers_of_descriptors(void **state)
{
	struct ion_new_allocation_data alloc;
	struct dma_heap_allocation_data node = {
		.len = 5000, .fd_flags = O_RDWR,
	};
	struct area area;
	__u32 version = 0;

	(void)state;
	memset(&alloc, 0x5a, sizeof(alloc));
	alloc.len = 5000;
	alloc.heap_id_mask = SYSTEM;
	ask_in(&area, ion, ION_IOC_NEW_ALLOC, &alloc);
	memcpy(&alloc.fd, area.bytes + offsetof(typeof(alloc), fd), 4);
	assert_in_range(alloc.fd, 3, 1023);
	expect_bytes(&area, &alloc, sizeof(alloc));
	close(alloc.fd);

	ask_in(&area, nodes[0], DMA_HEAP_IOCTL_ALLOC, &node);
	memcpy(&node.fd, area.bytes + offsetof(typeof(node), fd), 4);
	assert_in_range(node.fd, 3, 1023);
	expect_bytes(&area, &node, sizeof(node));
	close(node.fd);

	ask_in(&area, ion, ION_IOC_ABI_VERSION, &version);
	version = 2;
	expect_bytes(&area, &version, sizeof(version));
}

static void answers_of_heaps(void **state)
{
	struct ion_heap_data heaps[HEAPS + 1];
	struct ion_heap_query query = {
		.cnt = HEAPS + 1, .heaps = (uintptr_t)heaps,
	};
	struct area area;

	(void)state;
	memset(heaps, 0x5a, sizeof(heaps));
	ask_in(&area, ion, ION_IOC_HEAP_QUERY, &query);
	query.cnt = HEAPS;
	expect_bytes(&area, &query, sizeof(query));
	for (int i = 0; i < HEAPS; i++) {
		size_t len = strnlen(heaps[i].name, MAX_HEAP_NAME);

		expect_zero(heaps[i].name + len, MAX_HEAP_NAME - len);
		expect(heaps[i].type, i);
		expect(heaps[i].heap_id, i);
		expect_zero(&heaps[i].reserved0, 12);
	}
	for (size_t i = 0; i < sizeof(*heaps); i++)
		expect(((unsigned char *)&heaps[HEAPS])[i], 0x5a);
}

/* ---- addresses */

#define SECRETS (2 * HEAPS + 2)

static __u64 secrets[SECRETS];	/* where in physical memory buffers are */
static unsigned long files, bytes;

static bool is_secret(__u64 value)
{
	for (int i = 0; i < SECRETS; i++)
		if (value == secrets[i])
			return true;
	return false;
}

/* LEN digits that stand for themselves. */
static bool is_address(const char *digits, size_t len)
{
	if (len > 16)
		return false;
	/* Where the kernel has its own: but one page is the same for all. */
	if (len == 16 && !strncasecmp(digits, "ffff", 4))
		return strncasecmp(digits, "ffffffffff60", 12);
	return is_secret(strtoull(digits, NULL, 16)) ||
	       is_secret(strtoull(digits, NULL, 10));
}

/* The first address in it, or NULL. */
static const char *find_address(const char *text)
{
	for (size_t len; *text; text += len ? len : 1) {
		len = strspn(text, "0123456789abcdefABCDEF");
		if (len >= 7 && is_address(text, len))
			return text;
	}
	return NULL;
}

static bool has_address(const char *text, const char *where)
{
	const char *found = find_address(text);

	if (found)
		print_error("%s tells an address: %.32s\n", where, found);
	return found;
}

static int look_at_file(const char *path, const struct stat *st, int type,
			struct FTW *ftw)
{
	static char text[256 * KiB];
	ssize_t len;
	int fd;

	(void)st;
	(void)ftw;
	if (type != FTW_F)
		return 0;
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return 0;
	files++;
	for (char *p = text; p < text + sizeof(text) - 1; p += len) {
		len = read(fd, p, text + sizeof(text) - 1 - p);
		if (len <= 0)
			break;
		bytes += len;
		p[len] = '\0';
	}
	close(fd);
	return bytes && has_address(text, path);
}

static bool look_below(const char *path)
{
	char *root = realpath(path, NULL);
	bool found;

	if (!root) {
		print_error("there is no %s\n", path);
		return true;
	}
	found = nftw(root, look_at_file, 16, FTW_PHYS);
	free(root);
	return found;
}

static const char *const roots[] = {
	"/sys/class/misc/ion", "/sys/class/misc/vion_dev",
	"/sys/class/misc/ion-test", "/sys/class/ion_dma_heap/ion_system",
	"/sys/class/ion_dma_heap/ion_system_contig",
	"/sys/class/ion_dma_heap/ion_frames",
	"/sys/class/ion_dma_heap/ion_tiles", "/sys/class/ion_dma_heap/ion_dma",
	"/sys/module/ion", "/sys/module/vion", "/sys/bus/platform/devices/ion",
	"/sys/bus/platform/devices/vion", "/proc/self/fdinfo",
	"/proc/self/maps", "/proc/self/smaps", "/proc/devices", "/proc/misc",
	"/proc/modules", "/proc/iomem", "/proc/cgroups",
};

/* The parameters say where memory was set aside. */
static bool is_closed(const char *path)
{
	return open(path, O_RDONLY) == -1 && errno == EACCES;
}

static int look_as_user(void *arg)
{
	(void)arg;
	if (setgid(65534) || setuid(65534) || prctl(PR_SET_DUMPABLE, 1))
		return 2;
	for (size_t i = 0; i < COUNT(roots); i++)
		if (look_below(roots[i]))
			return 1;
	/* Each had something to be looked at. */
	if (files < 3 * COUNT(roots) || bytes < 1000) {
		print_error("%lu bytes in %lu files\n", bytes, files);
		return 3;
	}
	if (!is_closed("/sys/module/ion/parameters/carveout") ||
	    !is_closed("/sys/module/ion/parameters/chunk") ||
	    !is_closed("/sys/module/ion/sections/.text") ||
	    !is_closed("/sys/kernel/debug/ion/buffers"))
		return 4;
	return 0;
}

static __u64 address_of(int fd)
{
	struct page_test_data data = { .fd = fd };

	expect(request(page_test, PAGE_TEST_LOOK, &data), 0);
	assert_true(data.first);
	return data.first;
}

static void log_tells_no_address(void)
{
	size_t size = klogctl(10, NULL, 0);	/* SIZE_BUFFER */
	char *log = calloc(1, size + 1), *next = log, *line;
	bool found = false;
	int lines = 0;

	expect_ok(sys(klogctl(3, log, size)));	/* READ_ALL */
	while ((line = strsep(&next, "\n"))) {
		if (!strstr(line, " ion: ") && !strstr(line, " vion: "))
			continue;
		lines++;
		found |= has_address(line, "the log");
	}
	free(log);
	assert_true(lines);
	assert_false(found);
}

static void no_file_tells_an_address(void **state)
{
	unsigned char *addrs[SECRETS];
	int fds[SECRETS];

	(void)state;
	for (int i = 0; i < 2 * HEAPS; i++) {
		fds[i] = alloc_with(ion, 1U << i / 2, 3 * PAGE, i % 2);
		addrs[i] = map(fds[i], 3 * PAGE);
		secrets[i] = address_of(fds[i]);
	}
	secrets[2 * HEAPS] = 0x30000000;
	secrets[2 * HEAPS + 1] = 0x31000000;
	expect(request(vion, VION_REGISTER_ION, &fds[0]), 0);

	assert_non_null(find_address("at 0x30000000, size 1"));
	assert_non_null(find_address(" ffff888012345678"));
	expect(end_of(look_as_user, NULL), 0);
	/* What root alone can read has no kernel addresses either. */
	expect(look_below("/sys/kernel/debug/ion"), 0);
	assert_true(files > HEAPS);
	log_tells_no_address();
	for (int i = 0; i < 2 * HEAPS; i++) {
		munmap(addrs[i], 3 * PAGE);
		close(fds[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buffers_are_clear),
		cmocka_unit_test(answers_of_handles),
		cmocka_unit_test(answers_of_descriptors),
		cmocka_unit_test(answers_of_heaps),
		cmocka_unit_test(no_file_tells_an_address),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
