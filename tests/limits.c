// SPDX-License-Identifier: MIT
/* How much one open file and all together may hold: ion.ko's parameters. */
#include <linux/dma-heap.h>

#include "test.h"

#define PARAMETERS "/sys/module/ion/parameters/"

static long set(const char *name, const char *value)
{
	char path[128];
	long ret;
	int fd;

	snprintf(path, sizeof(path), PARAMETERS "%s", name);
	fd = expect_ok(sys(open(path, O_WRONLY)));
	ret = sys(write(fd, value, strlen(value)));
	close(fd);
	return ret < 0 ? ret : 0;
}

static unsigned long long get(const char *name)
{
	char path[128], text[32] = "";
	int fd;

	snprintf(path, sizeof(path), PARAMETERS "%s", name);
	fd = expect_ok(sys(open(path, O_RDONLY)));
	expect_ok(sys(read(fd, text, sizeof(text) - 1)));
	close(fd);
	return strtoull(text, NULL, 10);
}

/* Whatever a failed test left behind. */
static int no_limits(void **state)
{
	(void)state;
	expect(set("limit", "0"), 0);
	expect(set("file_limit", "0"), 0);
	return 0;
}

static void limits_can_be_written(void **state)
{
	static const char *const bad[] = { "x", "-1", "1x", "1M 2", "M" };

	(void)state;
	expect(set("limit", "64M"), 0);
	assert_true(get("limit") == 64 * MiB);
	expect(set("limit", "1G\n"), 0);
	assert_true(get("limit") == 1024ULL * MiB);
	expect(set("limit", "4096"), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		expect(set("limit", bad[i]), -EINVAL);
	assert_true(get("limit") == 4096);
}

static int fill_file(int ion, size_t size, int *handles, int most)
{
	int n = 0, ret = 0;

	while (n < most && !ret) {
		ret = ion_alloc(ion, size, 0, SYSTEM, CACHED, &handles[n]);
		n += !ret;
	}
	expect(ret, n == most ? 0 : -ENOMEM);
	return n;
}

static void one_file_has_its_limit(void **state)
{
	int ion = open_ion(), other = open_ion(), handles[20], fd;

	(void)state;
	expect(set("file_limit", "1M"), 0);
	expect(fill_file(ion, 64 * KiB, handles, 20), 16);
	expect(ion_alloc(ion, 1, 0, CONTIG, CACHED, &handles[16]), -ENOMEM);
	expect(ion_alloc_fd(other, MiB, 0, SYSTEM, CACHED, &fd), 0);

	/* What another allocated does not count, what is shared still does. */
	expect(ion_import(ion, fd, &handles[16]), 0);
	close(fd);
	expect(ion_share(ion, handles[0], &fd), 0);
	expect(ion_free(ion, handles[0]), 0);
	expect(ion_alloc(ion, 1, 0, SYSTEM, CACHED, &handles[0]), -ENOMEM);
	close(fd);
	expect(ion_alloc(ion, 64 * KiB, 0, SYSTEM, CACHED, &handles[0]), 0);
	ion_close(ion);
	ion_close(other);
}

static void descriptors_and_nodes_count_too(void **state)
{
	struct dma_heap_allocation_data node = {
		.len = 512 * KiB, .fd_flags = O_RDWR | O_CLOEXEC,
	};
	struct ion_new_allocation_data data = {
		.len = 512 * KiB, .heap_id_mask = SYSTEM,
	};
	int ion = open_ion(), fds[2], heap;

	(void)state;
	expect(set("file_limit", "1M"), 0);
	heap = expect_ok(sys(open("/dev/dma_heap/ion_system", O_RDONLY)));
	for (int i = 0; i < 2; i++) {
		expect(request(ion, ION_IOC_NEW_ALLOC, &data), 0);
		fds[i] = data.fd;
		node.fd = 0;
		expect(request(heap, DMA_HEAP_IOCTL_ALLOC, &node), 0);
		close(node.fd);
	}
	expect(request(ion, ION_IOC_NEW_ALLOC, &data), -ENOMEM);
	close(fds[0]);
	expect(request(ion, ION_IOC_NEW_ALLOC, &data), 0);
	close(data.fd);

	/* A node's buffers are its own, and its file may be gone before them. */
	node.len = MiB;
	node.fd = 0;
	expect(request(heap, DMA_HEAP_IOCTL_ALLOC, &node), 0);
	fds[0] = node.fd;
	node.fd = 0;
	expect(request(heap, DMA_HEAP_IOCTL_ALLOC, &node), -ENOMEM);
	close(heap);
	close(fds[0]);
	close(fds[1]);
	ion_close(ion);
}

static void lowered_limit_takes_nothing_away(void **state)
{
	int ion = open_ion(), fd = alloc_fd(ion, SYSTEM, MiB), handle;
	unsigned char *addr = map(fd, MiB);

	(void)state;
	expect(set("limit", "64K"), 0);
	fill(addr, MiB, 1);
	expect_pattern(addr, MiB, 1);
	expect(ion_alloc(ion, PAGE, 0, SYSTEM, CACHED, &handle), -ENOMEM);
	munmap(addr, MiB);
	close(fd);
	expect(ion_alloc(ion, 64 * KiB, 0, SYSTEM, CACHED, &handle), 0);
	expect(ion_alloc(ion, 1, 0, SYSTEM, CACHED, &handle), -ENOMEM);
	ion_close(ion);
}

/* What alignment takes counts, not what was asked for. */
static void alignment_counts(void **state)
{
	(void)state;
	expect(set("limit", "16M"), 0);
	for (unsigned int heaps = CONTIG; heaps <= ION_HEAP_TYPE_DMA_MASK;
	     heaps *= ION_HEAP_TYPE_DMA_MASK / CONTIG) {
		for (unsigned int flags = 0; flags <= CACHED; flags++) {
			int ion = open_ion(), handle, n = 0;

			while (!ion_alloc(ion, PAGE, 4 * MiB, heaps, flags,
					  &handle))
				n++;
			/* CMA may not align as much. */
			expect(n, heaps == CONTIG || n ? 4 : 0);
			ion_close(ion);
		}
	}
}

/* A buffer takes whole chunks, of 64 KiB in "tiles" and "blocks". */
static void chunks_count(void **state)
{
	int ion = open_ion(), handle, n = 0;

	(void)state;
	expect(set("file_limit", "512K"), 0);
	while (!ion_alloc(ion, PAGE, 0, 1 << ION_HEAP_TYPE_CHUNK, CACHED,
			  &handle))
		n++;
	expect(n, 8);
	ion_close(ion);
	ion = open_ion();
	expect(ion_alloc(ion, PAGE, 64 * MiB, SYSTEM | CONTIG, CACHED,
			 &handle), -EINVAL);
	ion_close(ion);
}

/* Takes what it can get, says how much that was, and waits for its end. */
static void greedy(int start, int report, int end)
{
	int ion = ion_open(), n = 0, handle;
	char c;

	if (read(start, &c, 1) < 0)
		_exit(1);
	while (!ion_alloc(ion, 256 * KiB, 0, n % 2 ? SYSTEM : CONTIG,
			  n % 3 ? CACHED : 0, &handle))
		n++;
	if (write(report, &n, sizeof(n)) != sizeof(n) || read(end, &c, 1) < 0)
		_exit(1);
	_exit(0);
}

static void eight_processes_share_exactly_the_limit(void **state)
{
	int start[2], report[2], end[2];

	(void)state;
	expect(set("limit", "32M"), 0);
	for (int round = 0; round < 3; round++) {
		int sum = 0, n;

		expect(sys(pipe(start)), 0);
		expect(sys(pipe(report)), 0);
		expect(sys(pipe(end)), 0);
		for (int i = 0; i < 8; i++) {
			if (expect_ok(sys(fork())))
				continue;
			close(start[1]);
			close(end[1]);
			greedy(start[0], report[1], end[0]);
		}
		/* They all begin and end with the end of a pipe. */
		close(start[1]);
		for (int i = 0; i < 8; i++) {
			expect(sys(read(report[0], &n, sizeof(n))), sizeof(n));
			sum += n;
		}
		expect(sum, 32 * MiB / (256 * KiB));
		close(end[1]);
		for (int i = 0; i < 8; i++) {
			int status = -1;

			expect_ok(sys(wait(&status)));
			expect(status, 0);
		}
		close(start[0]);
		close(end[0]);
		close(report[0]);
		close(report[1]);
	}
}

#define limit_test(test) cmocka_unit_test_teardown(test, no_limits)

int main(void)
{
	const struct CMUnitTest tests[] = {
		limit_test(limits_can_be_written),
		limit_test(one_file_has_its_limit),
		limit_test(descriptors_and_nodes_count_too),
		limit_test(lowered_limit_takes_nothing_away),
		limit_test(alignment_counts),
		limit_test(chunks_count),
		limit_test(eight_processes_share_exactly_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
