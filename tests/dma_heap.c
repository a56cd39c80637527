// SPDX-License-Identifier: MIT
/*
 * Programs that speak the dma-heap ABI: the same tests for each of our nodes and
 * for "system", which is the kernel's own where it has one, and ours elsewhere.
 */
#include <linux/dma-heap.h>

#include "importers.h"

static const char *const nodes[] = {
	"/dev/dma_heap/ion_system",
	"/dev/dma_heap/ion_system_contig",
	"/dev/dma_heap/ion_frames",
	"/dev/dma_heap/ion_tiles",
	"/dev/dma_heap/ion_dma",
	"/dev/dma_heap/system",
};

#define for_each_heap(heap)						\
	for (int node = 0, heap; node <= HEAPS &&			\
	     (heap = open_heap(node)) >= 0; node++, close(heap))

static bool ours(int node)
{
	return node < HEAPS || access("/sys/class/dma_heap", F_OK);
}

static int open_heap(int node)
{
	return expect_ok(sys(open(nodes[node], O_RDONLY | O_CLOEXEC)));
}

static long alloc(int heap, uint64_t len, uint32_t fd_flags, int *fd)
{
	struct dma_heap_allocation_data data = {
		.len = len, .fd_flags = fd_flags,
	};
	long ret = request(heap, DMA_HEAP_IOCTL_ALLOC, &data);

	if (!ret)
		*fd = data.fd;
	return ret;
}

static void buffers_are_memory(void **state)
{
	static const size_t sizes[] = { 1, PAGE, PAGE + 1, MiB + 1 };

	(void)state;
	for_each_heap(heap) {
		for (size_t i = 0; i < 4; i++) {
			size_t size = page_up(sizes[i]);
			unsigned char *addr;
			int fd = -1;

			expect(alloc(heap, sizes[i], O_RDWR | O_CLOEXEC, &fd),
			       0);
			expect(fcntl(fd, F_GETFD), FD_CLOEXEC);
			expect(lseek(fd, 0, SEEK_END), size);
			addr = map(fd, size);
			expect_zero(addr, size);
			fill(addr, size, i);
			expect(sync_buffer(fd, DMA_BUF_SYNC_START |
					   DMA_BUF_SYNC_RW), 0);
			expect_pattern(addr, size, i);
			expect(sync_buffer(fd, DMA_BUF_SYNC_END |
					   DMA_BUF_SYNC_RW), 0);
			munmap(addr, size);
			close(fd);
		}
	}
}

static void descriptor_flags_are_honoured(void **state)
{
	(void)state;
	for_each_heap(heap) {
		void *addr;
		int fd = -1;

		expect(alloc(heap, PAGE, O_RDWR, &fd), 0);
		expect(fcntl(fd, F_GETFD), 0);
		close(fd);
		expect(alloc(heap, PAGE, O_RDONLY | O_CLOEXEC, &fd), 0);
		expect(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
		addr = mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, fd, 0);
		expect(addr == MAP_FAILED ? -errno : 0, -EACCES);
		addr = map_at(fd, PAGE, PROT_READ, 0);
		expect_zero(addr, PAGE);
		expect(sys(mprotect(addr, PAGE, PROT_READ | PROT_WRITE)),
		       -EACCES);
		munmap(addr, PAGE);
		close(fd);
	}
}

static void bad_requests_are_refused(void **state)
{
	struct dma_heap_allocation_data good = {
		.len = PAGE, .fd_flags = O_RDWR | O_CLOEXEC,
	}, bad;

	(void)state;
	for_each_heap(heap) {
		bad = good;
		bad.fd = 1;
		expect(request(heap, DMA_HEAP_IOCTL_ALLOC, &bad), -EINVAL);
		bad = good;
		bad.fd_flags |= O_NONBLOCK;
		expect(request(heap, DMA_HEAP_IOCTL_ALLOC, &bad), -EINVAL);
		bad = good;
		bad.heap_flags = 1;
		expect(request(heap, DMA_HEAP_IOCTL_ALLOC, &bad), -EINVAL);
		bad.heap_flags = 1ULL << 63;
		expect(request(heap, DMA_HEAP_IOCTL_ALLOC, &bad), -EINVAL);
		bad = good;
		bad.len = 0;
		expect(request(heap, DMA_HEAP_IOCTL_ALLOC, &bad), -EINVAL);
		bad.len = UINT64_MAX;
		expect(request(heap, DMA_HEAP_IOCTL_ALLOC, &bad), -EINVAL);
		expect(request(heap, DMA_HEAP_IOCTL_ALLOC, NULL), -EFAULT);
		/* The kernel's own kills processes, and looks at nr alone. */
		if (!ours(node))
			continue;
		bad.len = 1ULL << 50;
		expect(request(heap, DMA_HEAP_IOCTL_ALLOC, &bad), -ENOMEM);
		expect(request(heap, _IO('H', 1), &bad), -ENOTTY);
		expect(request(heap, ION_IOC_ALLOC, &bad), -ENOTTY);
	}
}

/* A buffer from a node goes through /dev/ion to the driver, cached. */
static void buffers_go_to_ion_and_vion(void **state)
{
	int ion = open_ion(), vion = open_vion();

	(void)state;
	for_each_heap(heap) {
		int fd = -1, handle = 0;
		char *addr;

		expect(alloc(heap, PAGE, O_RDWR, &fd), 0);
		expect(ion_import(ion, fd, &handle), 0);
		expect(request(vion, VION_REGISTER_ION, &fd), 0);
		expect(pwrite(vion, "heap", 4, 0), 4);
		addr = map(fd, PAGE);
		assert_memory_equal(addr, "heap", 4);
		munmap(addr, PAGE);
		expect(ion_free(ion, handle), 0);
		close(fd);
	}
	close(vion);
	ion_close(ion);
}

static void full_descriptor_table_is_reported(void **state)
{
	(void)state;
	for_each_heap(heap) {
		int held[1024], n = 0, fd = 77, buffers = living_buffers();

		while (n < 1024 && (held[n] = dup(0)) >= 0)
			n++;
		expect(alloc(heap, PAGE, O_RDWR, &fd), -EMFILE);
		expect(fd, 77);
		while (n--)
			close(held[n]);
		expect(living_buffers(), buffers);
		expect(alloc(heap, PAGE, O_RDWR, &fd), 0);
		close(fd);
	}
}

static void a_read_only_answer_leaves_nothing(void **state)
{
	const struct dma_heap_allocation_data data = {
		.len = PAGE, .fd_flags = O_RDWR | O_CLOEXEC,
	};
	int buffers = living_buffers(), fds = open_descriptors();

	(void)state;
	for_each_heap(heap) {
		void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		/* The kernel's own leaves a descriptor behind. */
		if (!ours(node))
			continue;
		memcpy(page, &data, sizeof(data));
		expect(sys(mprotect(page, PAGE, PROT_READ)), 0);
		expect(request(heap, DMA_HEAP_IOCTL_ALLOC, page), -EFAULT);
		expect(open_descriptors(), fds + 1);
		expect(living_buffers(), buffers);
		munmap(page, PAGE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buffers_are_memory),
		cmocka_unit_test(descriptor_flags_are_honoured),
		cmocka_unit_test(bad_requests_are_refused),
		cmocka_unit_test(buffers_go_to_ion_and_vion),
		cmocka_unit_test(full_descriptor_table_is_reported),
		cmocka_unit_test(a_read_only_answer_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
