// SPDX-License-Identifier: MIT
/* Heaps that another module adds and removes: tests/kernel/heap_test.c. */
#include <linux/dma-heap.h>
#include <pthread.h>

#include "kernel/heap_test.h"
#include "kernel/page_test.h"
#include "load.h"

#define CUSTOM (1U << ION_HEAP_TYPE_CUSTOM)
#define NODE "/dev/dma_heap/ion_custom"
#define FIRST_FREE_ID 6

static int ion;

static int setup(void **state)
{
	(void)state;
	ion = open_ion();
	return 0;
}

static void load(void)
{
	expect(load_with("tests/kernel/heap_test", ""), 0);
}

static int open_control(void)
{
	return expect_ok(sys(open("/dev/ion_heap_test", O_RDONLY | O_CLOEXEC)));
}

static long alloc_node(int node, size_t len, int *fd)
{
	struct dma_heap_allocation_data data = {
		.len = len, .fd_flags = O_RDWR | O_CLOEXEC,
	};
	long ret = request(node, DMA_HEAP_IOCTL_ALLOC, &data);

	if (!ret)
		*fd = data.fd;
	return ret;
}

static long alloc_descriptor(unsigned int heaps, size_t len,
			     unsigned int flags, int *fd)
{
	struct ion_new_allocation_data data = {
		.len = len, .heap_id_mask = heaps, .flags = flags,
	};
	long ret = request(ion, ION_IOC_NEW_ALLOC, &data);

	if (!ret)
		*fd = data.fd;
	return ret;
}

/* The id of the heap, or -1. */
static int query(const char *name, unsigned int type)
{
	struct ion_heap_data heaps[ION_NUM_HEAP_IDS];
	int cnt;

	expect(ion_query_heap_cnt(ion, &cnt), 0);
	assert_in_range(cnt, HEAPS, ION_NUM_HEAP_IDS);
	expect(ion_query_get_heaps(ion, cnt, heaps), 0);
	for (int i = 0; i < cnt; i++) {
		if (strcmp(heaps[i].name, name))
			continue;
		expect(heaps[i].type, type);
		return heaps[i].heap_id;
	}
	return -1;
}

static void a_heap_comes_and_goes(void **state)
{
	int fd = -1;

	(void)state;
	for (int i = 0; i < 3; i++) {
		expect(query("custom", 0), -1);
		expect(sys(access(NODE, F_OK)), -ENOENT);
		expect(alloc_descriptor(CUSTOM, PAGE, 0, &fd), -ENODEV);
		load();
		expect(query("custom", ION_HEAP_TYPE_CUSTOM),
		       ION_HEAP_TYPE_CUSTOM);
		expect(sys(access(NODE, F_OK)), 0);
		expect(sys(access("/sys/kernel/debug/ion/heaps/custom", F_OK)),
		       0);
		expect(alloc_descriptor(CUSTOM, PAGE, 0, &fd), 0);
		close(fd);
		expect(unload("heap_test"), 0);
	}
}

static void look_at(int page_test, int fd, void *addr, size_t size, int kind)
{
	struct page_test_data data = {
		.fd = fd, .addr = (uintptr_t)addr, .len = size,
	};

	expect(request(page_test, PAGE_TEST_LOOK, &data), 0);
	expect(data.user[kind], size / PAGE);
	expect(data.kernel[kind], size / PAGE);
	expect(data.linear[kind], size / PAGE);
	expect(data.strange, 0);
}

/* Through every ABI, as the flags say, in every mapping. */
static void its_buffers_are_like_others(void **state)
{
	const size_t size = 37 * PAGE;
	struct page_test_data gone = { .fd = -1 };
	int page_test, node, vion = open_vion();

	(void)state;
	load();
	expect(load_with("tests/kernel/page_test", ""), 0);
	page_test = expect_ok(sys(open("/dev/ion_page_test", O_RDONLY)));
	node = expect_ok(sys(open(NODE, O_RDONLY | O_CLOEXEC)));
	for (int i = 0; i < 10; i++) {
		unsigned int flags = i / 5 ? CACHED : 0;
		int fd = -1, kind = PAGE_TEST_WC;
		unsigned char *addr, byte = 0;

		switch (i % 5) {
		case 0 ... 1:
			fd = alloc_with(ion, CUSTOM, size - 1, flags);
			break;
		case 2 ... 3:
			expect(alloc_descriptor(CUSTOM, size, flags, &fd), 0);
			break;
		case 4:
			expect(alloc_node(node, size, &fd), 0);
			flags = CACHED;
			break;
		}
		if (flags)
			kind = PAGE_TEST_WB;
		expect(lseek(fd, 0, SEEK_END), size);
		addr = map(fd, size);
		expect_zero(addr, size);
		look_at(page_test, fd, addr, size, kind);
		fill(addr, size, i);
		expect(request(vion, VION_REGISTER_ION, &fd), 0);
		expect(pread(vion, &byte, 1, size - 1), 1);
		expect_byte(size - 1, size, byte, pattern(size - 1, i));
		expect(request(vion, VION_UNREGISTER_ION, &fd), 0);
		munmap(addr, size);
		close(fd);
		expect(request(page_test, PAGE_TEST_LOOK, &gone), 0);
		expect(gone.linear[PAGE_TEST_WB], size / PAGE);
	}
	close(node);
	close(vion);
	close(page_test);
	expect(unload("page_test"), 0);
	expect(unload("heap_test"), 0);
}

static void stays_while_in_use(void **state)
{
	struct heap_test_data heap = { .slot = 0 };
	int control, node, fd = -1, handle = 0;
	char *addr;

	(void)state;
	load();
	control = open_control();
	fd = alloc_with(ion, CUSTOM, PAGE, 0);
	expect(request(control, HEAP_TEST_REMOVE, &heap), -EBUSY);
	close(control);
	expect(unload("heap_test"), -EWOULDBLOCK);
	addr = map(fd, PAGE);
	close(fd);
	expect(unload("heap_test"), -EWOULDBLOCK);
	munmap(addr, PAGE);

	expect(ion_alloc(ion, PAGE, 0, CUSTOM, CACHED, &handle), 0);
	expect(unload("heap_test"), -EWOULDBLOCK);
	expect(ion_free(ion, handle), 0);

	node = expect_ok(sys(open(NODE, O_RDONLY | O_CLOEXEC)));
	expect(unload("heap_test"), -EWOULDBLOCK);
	control = open_control();
	expect(request(control, HEAP_TEST_REMOVE, &heap), -EBUSY);
	expect(alloc_node(node, PAGE, &fd), 0);
	close(node);
	expect(request(control, HEAP_TEST_REMOVE, &heap), -EBUSY);
	close(fd);

	/* Nothing of it is in use any more, and then it is not there. */
	expect(request(control, HEAP_TEST_REMOVE, &heap), 0);
	expect(request(control, HEAP_TEST_REMOVE, &heap), -ENODEV);
	expect(query("custom", 0), -1);
	expect(sys(access(NODE, F_OK)), -ENOENT);
	expect(alloc_descriptor(CUSTOM, PAGE, 0, &fd), -ENODEV);
	expect(alloc_descriptor(CUSTOM | SYSTEM, PAGE, 0, &fd), 0);
	close(fd);
	heap.what = HEAP_TEST_AS_IT_IS;
	expect(request(control, HEAP_TEST_ADD, &heap), 0);
	expect(heap.id, ION_HEAP_TYPE_CUSTOM);
	close(alloc_with(ion, CUSTOM, PAGE, CACHED));
	close(control);
	expect(unload("heap_test"), 0);
}

static void bad_heaps_are_refused(void **state)
{
	static const struct {
		struct heap_test_data heap;
		long wanted;
	} bad[] = {
		{ { 1, 5, HEAP_TEST_NO_NAME, 0, "", "" }, -EINVAL },
		{ { 1, 5, 0, 0, "", "" }, -EINVAL },
		{ { 1, 5, 0, 0, ".", "" }, -EINVAL },
		{ { 1, 5, 0, 0, "..", "" }, -EINVAL },
		{ { 1, 5, 0, 0, "a/b", "" }, -EINVAL },
		{ { 1, 5, 0, 0, "a b", "" }, -EINVAL },
		{ { 1, 5, 0, 0, "a!b", "" }, -EINVAL },
		{ { 1, 5, 0, 0, "a\n", "" }, -EINVAL },
		{ { 1, 5, 0, 0, "\xc3\xa4", "" }, -EINVAL },
		{ { 1, 5, 0, 0, "a_name_with_just_thirty_two_bytes", "" },
		  -EINVAL },
		{ { 1, 5, 0, 0, "good", "../bad" }, -EINVAL },
		{ { 1, 5, 0, 0, "good", ".bad" }, -EINVAL },
		{ { 1, 6, 0, 0, "good", "" }, -EINVAL },
		{ { 1, UINT32_MAX, 0, 0, "good", "" }, -EINVAL },
		{ { 1, 5, HEAP_TEST_NO_OPS, 0, "good", "" }, -EINVAL },
		{ { 1, 5, HEAP_TEST_NO_OWNER, 0, "good", "" }, -EINVAL },
		{ { 1, 5, 0, 0, "custom", "good" }, -EEXIST },
		{ { 1, 0, 0, 0, "ion_system_heap", "good" }, -EEXIST },
		{ { 0, 5, HEAP_TEST_AS_IT_IS, 0, "", "" }, -EEXIST },
		/* Other names, but no other node. */
		{ { 1, 5, 0, 0, "good", "custom" }, -EEXIST },
		{ { 1, 5, 0, 0, "good", "system" }, -EEXIST },
		{ { 1, 5, 0, 0, "system", "" }, -EEXIST },
	};
	int control, before, after;

	(void)state;
	load();
	control = open_control();
	expect(ion_query_heap_cnt(ion, &before), 0);
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct heap_test_data heap = bad[i].heap;
		long came = request(control, HEAP_TEST_ADD, &heap);

		if (came != bad[i].wanted)
			print_error("heap %zu, \"%s\":\n", i, heap.name);
		expect(came, bad[i].wanted);
	}
	expect(ion_query_heap_cnt(ion, &after), 0);
	expect(after, before);
	close(alloc_with(ion, CUSTOM, PAGE, 0));
	close(control);
	expect(unload("heap_test"), 0);
}

/* The first of a type has its number, all others come after all types. */
static void ids_are_given_in_order(void **state)
{
	struct heap_test_data heap = { .slot = 1 };
	int control, last, fd = -1;

	(void)state;
	load();
	control = open_control();
	for (last = FIRST_FREE_ID; last < ION_NUM_HEAP_IDS; last++) {
		heap.slot = last;
		heap.type = last % (ION_HEAP_TYPE_CUSTOM + 1);
		snprintf(heap.name, sizeof(heap.name), "heap-%d", last);
		expect(request(control, HEAP_TEST_ADD, &heap), 0);
		expect(heap.id, last);
		expect(query(heap.name, heap.type), last);
		close(alloc_with(ion, 1U << last, PAGE, last % 2));
	}
	heap.slot = last;
	snprintf(heap.name, sizeof(heap.name), "one-too-many");
	expect(request(control, HEAP_TEST_ADD, &heap), -ENOSPC);
	expect(query(heap.name, 0), -1);

	/* The highest id comes first; what was free is given again. */
	expect(alloc_descriptor(~0U, 5 * PAGE, 0, &fd), 0);
	heap.slot = ION_NUM_HEAP_IDS - 1;
	expect(request(control, HEAP_TEST_REMOVE, &heap), -EBUSY);
	close(fd);
	heap.slot = 9;
	expect(request(control, HEAP_TEST_REMOVE, &heap), 0);
	expect(alloc_descriptor(1 << 9, PAGE, 0, &fd), -ENODEV);
	heap.type = ION_HEAP_TYPE_CUSTOM;
	expect(request(control, HEAP_TEST_ADD, &heap), 0);
	expect(heap.id, 9);
	heap.slot = 0;
	expect(request(control, HEAP_TEST_REMOVE, &heap), 0);
	heap.slot = 1;
	snprintf(heap.name, sizeof(heap.name), "the-first");
	expect(request(control, HEAP_TEST_ADD, &heap), 0);
	expect(heap.id, ION_HEAP_TYPE_CUSTOM);
	close(control);
	expect(unload("heap_test"), 0);
}

struct load {
	pthread_t thread;
	int way;
	long allocated;
	long refused;
	long strange;		/* an error that should not be */
};

static int stop;

static long alloc_one_way(int way, int *fd)
{
	int node, handle;
	long ret;

	switch (way) {
	case 0:
		return alloc_descriptor(CUSTOM, 3 * PAGE, 0, fd);
	case 1:
		ret = ion_alloc(ion, 3 * PAGE, 0, CUSTOM, CACHED, &handle);
		if (ret)
			return ret;
		ret = ion_share(ion, handle, fd);
		ion_free(ion, handle);
		return ret;
	default:
		node = open(NODE, O_RDONLY | O_CLOEXEC);
		/* Its name is gone, or the name is there yet, or still. */
		if (node < 0)
			return errno == ENOENT || errno == ENXIO ? -ENODEV :
								   -errno;
		ret = alloc_node(node, 3 * PAGE, fd);
		close(node);
		return ret;
	}
}

/* Checks in a thread must not leave the test: it tells what it saw. */
static void *work(void *arg)
{
	struct load *load = arg;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		int fd = -1;
		long ret = alloc_one_way(load->way, &fd);
		char *addr;

		if (!ret) {
			addr = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE,
				    MAP_SHARED, fd, 0);
			close(fd);
			if (addr == MAP_FAILED) {
				load->strange = -errno;
				break;
			}
			if (addr[0] || addr[3 * PAGE - 1])
				load->strange = 1;
			memset(addr, 0xa5, 3 * PAGE);
			munmap(addr, 3 * PAGE);
			load->allocated++;
		} else if (ret == -ENODEV || ret == -ENOMEM) {
			load->refused++;
		} else {
			load->strange = ret;
		}
		/* Its pace: or the module would hardly ever be seen unused. */
		usleep(300 + load->way * 300);
	}
	return NULL;
}

/* Until everybody has got a buffer since, or nothing would be under load. */
static void wait_for_load(const struct load *loads, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		long before = __atomic_load_n(&loads[i].allocated,
					      __ATOMIC_RELAXED);

		while (__atomic_load_n(&loads[i].allocated,
				       __ATOMIC_RELAXED) <= before &&
		       !__atomic_load_n(&loads[i].strange, __ATOMIC_RELAXED))
			sched_yield();
	}
}

static void is_removed_under_load(void **state)
{
	const int times = fewer_if_slow(50);
	struct load loads[4] = { 0 };
	int busy = 0;

	(void)state;
	load();
	stop = 0;
	for (size_t i = 0; i < COUNT(loads); i++) {
		loads[i].way = i % 3;
		expect(pthread_create(&loads[i].thread, NULL, work, &loads[i]),
		       0);
	}
	wait_for_load(loads, COUNT(loads));
	for (int i = 0; i < times; i++) {
		long ret;

		while ((ret = unload("heap_test")) == -EWOULDBLOCK) {
			busy++;
			usleep(500);
		}
		expect(ret, 0);
		expect(load_with("tests/kernel/heap_test", ""), 0);
		wait_for_load(loads, COUNT(loads));
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (size_t i = 0; i < COUNT(loads); i++) {
		expect(pthread_join(loads[i].thread, NULL), 0);
		expect(loads[i].strange, 0);
		/* Else it was no load. */
		assert_true(loads[i].allocated > times);
	}
	/* Else nothing was removed, or nobody was in the way. */
	assert_true(loads[0].refused > 0);
	assert_true(busy > 0);
	expect(unload("heap_test"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_heap_comes_and_goes),
		cmocka_unit_test(its_buffers_are_like_others),
		cmocka_unit_test(stays_while_in_use),
		cmocka_unit_test(ids_are_given_in_order),
		cmocka_unit_test(is_removed_under_load),
		cmocka_unit_test(bad_heaps_are_refused),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
