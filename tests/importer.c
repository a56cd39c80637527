// SPDX-License-Identifier: MIT
/*
 * /dev/ion-test: through the DMA addresses of an attachment and through a kernel
 * mapping, in both directions. In a boot with bounce buffers a missing sync
 * shows here as wrong data.
 */
#include <linux/ion_test.h>

#include "test.h"

#define SIZE (MiB + PAGE)

static const unsigned long doors[] = { ION_IOC_TEST_DMA_MAPPING,
				       ION_IOC_TEST_KERNEL_MAPPING };

static int open_test(void)
{
	return expect_ok(sys(open("/dev/ion-test", O_RDWR | O_CLOEXEC)));
}

static long set_fd(int test, long fd)
{
	return sys(ioctl(test, ION_IOC_TEST_SET_FD, fd));
}

static long copy(int test, unsigned long door, void *ptr, uint64_t offset,
		 uint64_t size, int write)
{
	struct ion_test_rw_data data = {
		.ptr = (uintptr_t)ptr, .offset = offset, .size = size,
		.write = write, .__padding = -1,
	};

	return request(test, door, &data);
}

/* A device has no way to set-aside memory if it has to be bounced. */
static void is_refused(int fd)
{
	int test = open_test();
	char data[1];

	expect(set_fd(test, fd), 0);
	expect(copy(test, ION_IOC_TEST_DMA_MAPPING, data, 0, 1, 0),
	       -EOPNOTSUPP);
	close(test);
}

/* Copies in and out at odd places, and compares with the mapping. */
static void copies(int fd, unsigned long door)
{
	static const size_t places[] = { 0, 1, PAGE - 1, PAGE, 65537, MiB - 3 };
	static const size_t lengths[] = { 0, 1, 3, PAGE - 1, PAGE, PAGE + 1,
					  2 * PAGE + 5 };
	static unsigned char in[3 * PAGE], out[3 * PAGE], wanted[SIZE];
	int test = open_test();
	unsigned char *addr = map(fd, SIZE);

	expect(set_fd(test, fd), 0);
	expect(sync_buffer(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE), 0);
	fill(addr, SIZE, 1);
	expect(sync_buffer(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE), 0);
	fill(wanted, SIZE, 1);

	for (size_t p = 0; p < COUNT(places); p++) {
		for (size_t l = 0; l < COUNT(lengths); l++) {
			size_t at = places[p], len = lengths[l];

			if (at + len > SIZE)
				continue;
			memset(out, 0, sizeof(out));
			expect(copy(test, door, out, at, len, 0), 0);
			assert_memory_equal(out, wanted + at, len);
			expect_zero(out + len, sizeof(out) - len);

			fill(in, len, 7 * p + l);
			memcpy(wanted + at, in, len);
			expect(copy(test, door, in, at, len, 1), 0);
			expect(sync_buffer(fd, DMA_BUF_SYNC_START |
					   DMA_BUF_SYNC_READ), 0);
			if (memcmp(addr, wanted, SIZE))
				assert_memory_equal(addr, wanted, SIZE);
			expect(sync_buffer(fd, DMA_BUF_SYNC_END |
					   DMA_BUF_SYNC_READ), 0);
		}
	}
	munmap(addr, SIZE);
	close(test);
}

static void both_doors_copy_both_ways(void **state)
{
	const unsigned int set_aside = 1 << ION_HEAP_TYPE_CARVEOUT |
				       1 << ION_HEAP_TYPE_CHUNK;
	int ion = open_ion();

	(void)state;
	for (int i = 0; i < 4 * HEAPS; i++) {
		unsigned int heap = 1U << i / 4;
		int fd = alloc_with(ion, heap, SIZE, i & 1 ? CACHED : 0);

		if (i & 2)
			copies(fd, ION_IOC_TEST_KERNEL_MAPPING);
		else if (heap & set_aside && bounces())
			is_refused(fd);
		else
			copies(fd, ION_IOC_TEST_DMA_MAPPING);
		close(fd);
	}
	ion_close(ion);
}

static void whole_buffers_go_through(void **state)
{
	static unsigned char data[4 * MiB];
	int ion = open_ion(), test = open_test();
	int fd = alloc_fd(ion, SYSTEM, sizeof(data));

	(void)state;
	expect(set_fd(test, fd), 0);
	close(fd);
	for (int i = 0; i < 2; i++) {
		fill(data, sizeof(data), i);
		expect(copy(test, doors[i], data, 0, sizeof(data), 1), 0);
		memset(data, 0xff, sizeof(data));
		expect(copy(test, doors[!i], data, 0, sizeof(data), 0), 0);
		expect_pattern(data, sizeof(data), i);
	}
	close(test);
	ion_close(ion);
}

static void ranges_are_checked(void **state)
{
	int ion = open_ion(), test = open_test();
	int fd = alloc_fd(ion, SYSTEM, SIZE);
	char data[16] = { 0 };

	(void)state;
	expect(set_fd(test, fd), 0);
	for (int i = 0; i < 4; i++) {
		unsigned long door = doors[i / 2];
		int write = i % 2;

		expect(copy(test, door, data, SIZE - 16, 16, write), 0);
		expect(copy(test, door, data, SIZE - 15, 16, write), -EINVAL);
		expect(copy(test, door, data, SIZE, 0, write), 0);
		expect(copy(test, door, data, SIZE, 1, write), -EINVAL);
		expect(copy(test, door, data, SIZE + 1, 0, write), -EINVAL);
		expect(copy(test, door, data, UINT64_MAX, 2, write), -EINVAL);
		expect(copy(test, door, data, 2, UINT64_MAX, write), -EINVAL);
		expect(copy(test, door, data, 1ULL << 63, 1ULL << 63, write),
		       -EINVAL);
		expect(copy(test, door, NULL, 0, 16, write), -EFAULT);
		expect(copy(test, door, (void *)-PAGE, 0, 16, write), -EFAULT);
		expect(request(test, door, NULL), -EFAULT);
	}
	close(fd);
	close(test);
	ion_close(ion);
}

static void buffers_are_set_and_let_go(void **state)
{
	int ion = open_ion(), test = open_test(), pipes[2];
	int a = alloc_fd(ion, SYSTEM, PAGE), b = alloc_fd(ion, CONTIG, PAGE);
	char data[1] = { 'x' };
	char *addr = map(b, PAGE);

	(void)state;
	expect(sys(pipe(pipes)), 0);
	expect(copy(test, doors[0], data, 0, 1, 0), -EINVAL);
	expect(set_fd(test, -1), 0);
	expect(set_fd(test, -2), -EBADF);
	expect(set_fd(test, 1000), -EBADF);
	expect(set_fd(test, pipes[0]), -EINVAL);
	expect(set_fd(test, a), 0);
	expect(set_fd(test, pipes[0]), -EINVAL);
	expect(copy(test, doors[1], data, 0, 1, 1), 0);
	expect(set_fd(test, b), 0);
	expect(*addr, 0);
	expect(copy(test, doors[1], data, 0, 1, 1), 0);
	expect(*addr, 'x');
	expect(set_fd(test, -1), 0);
	expect(copy(test, doors[1], data, 0, 1, 0), -EINVAL);
	for (int nr = 0; nr < 256; nr++)
		if (nr < 0xf0 || nr > 0xf2)
			expect(sys(ioctl(test, _IO('I', nr), -1L)), -ENOTTY);
	munmap(addr, PAGE);
	close(pipes[0]);
	close(pipes[1]);
	close(a);
	close(b);
	close(test);
	ion_close(ion);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_doors_copy_both_ways),
		cmocka_unit_test(whole_buffers_go_through),
		cmocka_unit_test(ranges_are_checked),
		cmocka_unit_test(buffers_are_set_and_let_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
