// SPDX-License-Identifier: MIT
/*
 * What each heap gives, through each of the ABIs: how much, how it is aligned,
 * that it is zero, what happens when there is no more, and who can use it.
 */
#include <linux/dma-heap.h>

#include "test.h"

#define REGION (16 * MiB)
#define TILE (64 * KiB)
#define LARGEST_BLOCK (4 * MiB)

/* What there is in a machine that tests/run boots. */
static struct heap {
	const char *node;
	size_t largest;		/* the largest buffer */
	size_t align;		/* the largest alignment */
} heaps[] = {
	[ION_HEAP_TYPE_SYSTEM] = { "system", 0, PAGE },
	[ION_HEAP_TYPE_SYSTEM_CONTIG] = {
		"system_contig", LARGEST_BLOCK, LARGEST_BLOCK },
	[ION_HEAP_TYPE_CARVEOUT] = { "frames", REGION, REGION },
	[ION_HEAP_TYPE_CHUNK] = { "tiles", REGION, TILE },
	[ION_HEAP_TYPE_DMA] = { "dma", LARGEST_BLOCK, LARGEST_BLOCK },
};

/* Regions that hold just so many bytes. */
static const int regions[] = { ION_HEAP_TYPE_CARVEOUT, ION_HEAP_TYPE_CHUNK };

static int ion;
static int nodes[HEAPS];
static size_t half;		/* of RAM */
static size_t cma;		/* what the kernel has of it */

static size_t memory_info(const char *key)
{
	char line[128];
	size_t kib = 0;
	FILE *file = fopen("/proc/meminfo", "r");

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, key, strlen(key)))
			kib = strtoul(line + strlen(key), NULL, 10);
	fclose(file);
	return kib * KiB;
}

static int setup(void **state)
{
	char path[64];

	(void)state;
	ion = open_ion();
	half = memory_info("MemTotal:") / 2 & ~(PAGE - 1);
	heaps[ION_HEAP_TYPE_SYSTEM].largest = half;
	cma = memory_info("CmaTotal:");
	if (cma)
		heaps[ION_HEAP_TYPE_DMA].largest = 0;	/* nobody knows */
	for (int heap = 0; heap < HEAPS; heap++) {
		snprintf(path, sizeof(path), "/dev/dma_heap/ion_%s",
			 heaps[heap].node);
		nodes[heap] = expect_ok(sys(open(path, O_RDONLY | O_CLOEXEC)));
	}
	return 0;
}

/*
 * The ABIs. Each gives a descriptor that is all that holds the buffer; with a
 * node it is always cached.
 */
static long by_handle(int heap, size_t len, unsigned int flags, int *fd)
{
	return ion_alloc_fd(ion, len, 0, 1U << heap, flags, fd);
}

/* Callers with pointer handles: where longs have 64 bits, other numbers. */
struct pointer_fd_data {
	void *handle;
	int fd;
};

struct pointer_alloc_data {
	size_t len, align;
	unsigned int heap_mask, flags;
	void *handle;
};

static long by_pointer(int heap, size_t len, unsigned int flags, int *fd)
{
	struct pointer_alloc_data data = {
		.len = len, .heap_mask = 1U << heap, .flags = flags,
		.handle = (void *)-1L,
	};
	struct pointer_fd_data shared = { .fd = -1 };
	void *gone;
	long ret;

	ret = request(ion, _IOWR('I', 0, struct pointer_alloc_data), &data);
	if (ret)
		return ret;
	shared.handle = data.handle;
	ret = request(ion, _IOWR('I', 4, struct pointer_fd_data), &shared);
	gone = data.handle;
	expect(request(ion, _IOWR('I', 1, void *), &gone), 0);
	if (!ret)
		*fd = shared.fd;
	return ret;
}

static long by_descriptor(int heap, size_t len, unsigned int flags, int *fd)
{
	struct ion_new_allocation_data data = {
		.len = len, .heap_id_mask = 1U << heap, .flags = flags,
	};
	long ret = request(ion, ION_IOC_NEW_ALLOC, &data);

	if (!ret)
		*fd = data.fd;
	return ret;
}

static long by_node(int heap, size_t len, unsigned int flags, int *fd)
{
	struct dma_heap_allocation_data data = {
		.len = len, .fd_flags = O_RDWR | O_CLOEXEC,
	};
	long ret = request(nodes[heap], DMA_HEAP_IOCTL_ALLOC, &data);

	(void)flags;
	if (!ret)
		*fd = data.fd;
	return ret;
}

typedef long abi_function(int heap, size_t len, unsigned int flags, int *fd);

static abi_function *const abis[] = {
	by_handle, by_pointer, by_descriptor, by_node,
};

static int alloc(abi_function *abi, int heap, size_t len, unsigned int flags)
{
	int fd = -1;

	expect(abi(heap, len, flags, &fd), 0);
	return fd;
}

static void no_alloc(abi_function *abi, int heap, size_t len,
		     unsigned int flags, long wanted)
{
	int fd = -77;

	expect(abi(heap, len, flags, &fd), wanted);
	expect(fd, -77);
}

typedef void heap_test(abi_function *abi, int heap, unsigned int flags);

static void each(heap_test *test)
{
	for (size_t a = 0; a < COUNT(abis); a++)
		for (int i = 0; i < 2 * HEAPS; i++)
			test(abis[a], i / 2, i % 2 ? CACHED : 0);
}

static void zero_each_time(abi_function *abi, int heap, size_t len,
			   unsigned int flags)
{
	size_t size = page_up(len);

	for (int again = 0; again < 3; again++) {
		int fd = alloc(abi, heap, len, flags);
		void *addr;

		expect(lseek(fd, 0, SEEK_END), size);
		addr = map(fd, size);
		expect_zero(addr, size);
		memset(addr, 0xa5, size);
		munmap(addr, size);
		close(fd);
	}
}

static void zero_and_rounded(abi_function *abi, int heap, unsigned int flags)
{
	static const size_t sizes[] = { 1, PAGE, PAGE + 1, TILE, TILE + 1,
					MiB - PAGE, MiB + PAGE };

	for (size_t i = 0; i < COUNT(sizes); i++)
		zero_each_time(abi, heap, sizes[i], flags);
}

static void memory_is_zero_every_time(void **state)
{
	(void)state;
	each(zero_and_rounded);
}

/* All that there is of it, so that no page can hide, nor one of the others. */
static void whole_regions_are_zero_every_time(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(regions); i++) {
		zero_each_time(by_handle, regions[i], REGION, CACHED);
		zero_each_time(by_descriptor, regions[i], REGION, 0);
		zero_each_time(by_node, regions[i], REGION, 0);
	}
}

static void largest(abi_function *abi, int heap, unsigned int flags)
{
	size_t most = heaps[heap].largest;

	no_alloc(abi, heap, 0, flags, -EINVAL);
	no_alloc(abi, heap, half + 1, flags, -ENOMEM);
	no_alloc(abi, heap, SIZE_MAX / 2 + 1, flags, -ENOMEM);
	if (!most)
		return;
	no_alloc(abi, heap, most + 1, flags, -ENOMEM);
	if (most == half)
		return;
	close(alloc(abi, heap, most, flags));
	close(alloc(abi, heap, most - PAGE + 1, flags));
}

static void heaps_give_as_much_as_they_have(void **state)
{
	(void)state;
	each(largest);
}

/* Touched here and there only: the other half is what the machine lives on. */
static void half_of_ram_is_there(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		int fd = alloc(i ? by_node : by_descriptor,
			       ION_HEAP_TYPE_SYSTEM, half, i ? CACHED : 0);
		unsigned char *addr;

		expect(lseek(fd, 0, SEEK_END), half);
		addr = map(fd, half);
		for (size_t at = 0; at < half; at += 509 * PAGE)
			expect(*(size_t *)(addr + at), 0);
		for (size_t at = 0; at < half; at += 509 * PAGE)
			*(size_t *)(addr + at) = at + 1;
		for (size_t at = 0; at < half; at += 509 * PAGE)
			expect(*(size_t *)(addr + at), at + 1);
		munmap(addr, half);
		close(fd);
	}
}

/* Where it is can be seen in the kernel only: tests/kernel/client_test.c */
static void alignment_is_given_or_refused(void **state)
{
	static const size_t bad[] = { 3, PAGE - 1, PAGE + 1, 3 * PAGE,
				      SIZE_MAX, SIZE_MAX / 2 };

	(void)state;
	for (int i = 0; i < 2 * HEAPS; i++) {
		const struct heap *heap = &heaps[i / 2];
		unsigned int mask = 1U << i / 2, flags = i % 2 ? CACHED : 0;
		int handle = 77;

		for (size_t align = 1; align && align <= SIZE_MAX / 2 + 1;
		     align *= 2) {
			long ret = ion_alloc(ion, PAGE, align, mask, flags,
					     &handle);

			/* How CMA aligns is the kernel's configuration. */
			if (cma && mask == ION_HEAP_TYPE_DMA_MASK &&
			    align > PAGE && align <= LARGEST_BLOCK &&
			    ret == -EINVAL)
				continue;
			expect(ret, align <= heap->align ? 0 : -EINVAL);
			if (ret)
				expect(handle, 77);
			else
				expect(ion_free(ion, handle), 0);
			handle = 77;
		}
		for (size_t b = 0; b < COUNT(bad); b++)
			expect(ion_alloc(ion, PAGE, bad[b], mask, flags,
					 &handle), -EINVAL);
	}
}

struct held {
	int fds[REGION / TILE];
	size_t count;
	size_t bytes;
};

/* Until there is no room for the next. */
static void fill_up(abi_function *abi, int heap, unsigned int flags,
		    const size_t *sizes, struct held *held)
{
	held->count = 0;
	held->bytes = 0;
	for (;;) {
		size_t len = sizes[held->count];
		int fd = -1;
		long ret = abi(heap, len, flags, &fd);

		if (ret) {
			expect(ret, -ENOMEM);
			break;
		}
		assert_true(held->count < COUNT(held->fds));
		held->fds[held->count++] = fd;
		held->bytes += page_up(len);
	}
}

/* In random order, down to so many. */
static void let_go(struct held *held, size_t left, unsigned int *seed)
{
	while (held->count > left) {
		size_t i = rand_r(seed) % held->count;

		expect(sys(close(held->fds[i])), 0);
		held->fds[i] = held->fds[--held->count];
	}
}

static void run_out_and_recover(abi_function *abi, int heap,
				unsigned int flags)
{
	static size_t tiles[REGION / TILE + 1], mixed[REGION / TILE + 1];
	const size_t all = REGION / TILE;
	unsigned int seed = 1;
	struct held held;

	for (size_t i = 0; i <= all; i++) {
		tiles[i] = TILE;
		mixed[i] = 1 + rand_r(&seed) % (5 * TILE);
	}
	fill_up(abi, heap, flags, tiles, &held);
	expect(held.count, all);
	/* One that goes is one that can come. */
	for (int i = 0; i < 8; i++) {
		let_go(&held, all - 1, &seed);
		held.fds[held.count++] = alloc(abi, heap, TILE, flags);
		no_alloc(abi, heap, 1, flags, -ENOMEM);
	}
	let_go(&held, 0, &seed);

	fill_up(abi, heap, flags, mixed, &held);
	for (int i = 0; i < 3; i++) {
		size_t count = held.count, bytes = held.bytes;

		/* More than a quarter of it would be lost to nobody. */
		assert_true(bytes > REGION / 4);
		let_go(&held, 0, &seed);
		fill_up(abi, heap, flags, mixed, &held);
		expect(held.count, count);
		expect(held.bytes, bytes);
	}
	/* What is left between others is there, too. */
	let_go(&held, held.count / 2, &seed);
	close(alloc(abi, heap, 1, flags));
	let_go(&held, 0, &seed);
	close(alloc(abi, heap, REGION, flags));
}

static void regions_run_out_and_recover(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(regions); i++) {
		run_out_and_recover(by_handle, regions[i], 0);
		run_out_and_recover(by_pointer, regions[i], CACHED);
		run_out_and_recover(by_descriptor, regions[i], CACHED);
		run_out_and_recover(by_node, regions[i], CACHED);
	}
}

/* A driver writes what the program reads, and the other way round. */
static void with_vion(abi_function *abi, int heap, unsigned int flags)
{
	static unsigned char data[3 * PAGE];
	const size_t len = TILE + 100, size = page_up(len), at = TILE - 1234;
	int vion = open_vion(), fd = alloc(abi, heap, len, flags);
	unsigned char *addr = map(fd, size);

	expect(request(vion, VION_REGISTER_ION, &fd), 0);
	fill(data, sizeof(data), heap);
	/* The rest of a chunk is not the driver's, either. */
	expect(pwrite(vion, data, sizeof(data), at), size - at);
	expect(pwrite(vion, data, 1, size), -1);
	expect_zero(addr, at);
	expect_pattern(addr + at, size - at, heap);
	fill(addr, size, heap + 1);
	for (size_t i = 0; i < size; i += PAGE - 1) {
		expect(pread(vion, data, 1, i), 1);
		expect_byte(i, size, *data, pattern(i, heap + 1));
	}
	munmap(addr, size);
	close(fd);
	close(vion);
}

static void drivers_use_every_heap(void **state)
{
	(void)state;
	each(with_vion);
}

/*
 * All ABIs at once, on one open file: buffers of all heaps taken by turns,
 * known to each other, and let go of one after another, the others unharmed.
 */
static void all_abis_are_served_at_once(void **state)
{
	enum { N = 4 * HEAPS };
	const size_t size = 5 * PAGE;
	int fds[N], handles[N], again[N], inode[N], fd;
	unsigned char *addr[N];

	(void)state;
	for (int i = 0; i < N; i++) {
		fds[i] = alloc(abis[i % 4], i / 4, size, i % 3 ? 0 : CACHED);
		addr[i] = map(fds[i], size);
		fill(addr[i], size, i);
		inode[i] = inode_of(fds[i]);
	}
	for (int i = 0; i < N; i++) {
		expect(ion_import(ion, fds[i], &handles[i]), 0);
		expect(ion_import(ion, fds[i], &again[i]), 0);
		expect(again[i], handles[i]);
		for (int j = 0; j < i; j++) {
			assert_int_not_equal(handles[i], handles[j]);
			assert_int_not_equal(inode[i], inode[j]);
		}
	}
	for (int i = 0; i < N; i++) {
		int n = i * 7 % N;	/* by turns */

		/* A descriptor is no handle, a handle no descriptor. */
		expect(ion_free(ion, handles[n]), 0);
		close(fds[n]);
		fd = -1;
		expect(ion_share(ion, handles[n], &fd), 0);
		expect(inode_of(fd), inode[n]);
		close(fd);
		expect(ion_free(ion, handles[n]), 0);
		expect(ion_free(ion, handles[n]), -EINVAL);
		expect_pattern(addr[n], size, n);
		munmap(addr[n], size);
		for (int j = i + 1; j < N; j++)
			expect_pattern(addr[j * 7 % N], size, j * 7 % N);
	}
}

/* A kernel with cma=64M: blocks that the page allocator does not have. */
static void cma_gives_large_blocks(void **state)
{
	const int heap = ION_HEAP_TYPE_DMA;
	int fds[8], count;

	(void)state;
	if (!cma)
		skip();
	assert_true(cma >= 64 * MiB);
	zero_each_time(by_descriptor, heap, 16 * MiB, 0);
	zero_each_time(by_node, heap, 32 * MiB, CACHED);
	for (int again = 0; again < 3; again++) {
		for (count = 0; count < 8; count++) {
			fds[count] = -1;
			if (by_handle(heap, 16 * MiB, again % 2 ? CACHED : 0,
				      &fds[count]))
				break;
		}
		assert_in_range(count, 2, 4);
		no_alloc(by_handle, heap, 16 * MiB, CACHED, -ENOMEM);
		no_alloc(by_node, heap, cma, CACHED, -ENOMEM);
		while (count--)
			close(fds[count]);
	}
	close(alloc(by_pointer, heap, 32 * MiB, CACHED));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_zero_every_time),
		cmocka_unit_test(whole_regions_are_zero_every_time),
		cmocka_unit_test(heaps_give_as_much_as_they_have),
		cmocka_unit_test(half_of_ram_is_there),
		cmocka_unit_test(alignment_is_given_or_refused),
		cmocka_unit_test(regions_run_out_and_recover),
		cmocka_unit_test(drivers_use_every_heap),
		cmocka_unit_test(all_abis_are_served_at_once),
		cmocka_unit_test(cma_gives_large_blocks),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
