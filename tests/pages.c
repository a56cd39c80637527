// SPDX-License-Identifier: MIT
/*
 * How buffers are cached, read from the page tables by tests/kernel/page_test.c:
 * in the mappings of programs and of the kernel and in the kernel's linear map,
 * which must all agree. And how many mappings debugfs counts.
 */
#include <linux/dma-heap.h>

#include "kernel/page_test.h"
#include "load.h"
#include "pool.h"

#define SET_ASIDE (1 << ION_HEAP_TYPE_CARVEOUT | 1 << ION_HEAP_TYPE_CHUNK)

static int ion;
static int page_test;

static int setup(void **state)
{
	(void)state;
	remember_ion_params();
	expect(load_with("tests/kernel/page_test", ""), 0);
	page_test = expect_ok(sys(open("/dev/ion_page_test",
				       O_RDONLY | O_CLOEXEC)));
	ion = open_ion();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(ion);
	close(page_test);
	expect(unload("page_test"), 0);
	return 0;
}

static void expect_kinds(const char *where, const __u32 *kinds, int wanted,
			 size_t pages)
{
	for (int kind = 0; kind < PAGE_TEST_KINDS; kind++) {
		size_t want = kind == wanted ? pages : 0;

		if (kinds[kind] == want)
			continue;
		print_error("%s: expected %zu pages of kind %d, came %u\n",
			    where, want, kind, kinds[kind]);
		fail_at(__FILE__, __LINE__);
	}
}

struct buffer {
	unsigned int heap;	/* its mask */
	int kind;		/* as all of it should be */
	size_t size;
	int fd;
};

static struct buffer new_buffer(unsigned int heap, size_t size,
				unsigned int flags)
{
	return (struct buffer) {
		heap, flags & CACHED ? PAGE_TEST_WB : PAGE_TEST_WC, size,
		alloc_with(ion, heap, size, flags),
	};
}

/* All pages of it, and of a mapping of a part of it. */
static void look_untouched(const struct buffer *b, void *addr, size_t len,
			   size_t offset)
{
	struct page_test_data data = {
		.fd = b->fd, .addr = (uintptr_t)addr, .len = len,
		.offset = offset,
	};

	expect(request(page_test, PAGE_TEST_LOOK, &data), 0);
	expect_kinds("user", data.user, b->kind, len / PAGE);
	expect_kinds("kernel", data.kernel, b->kind, b->size / PAGE);
	expect_kinds("linear", data.linear,
		     b->heap & SET_ASIDE ? PAGE_TEST_NONE : b->kind,
		     b->size / PAGE);
	expect(data.strange, 0);
}

/* What has a large entry, or had one, may not be mapped before it is touched. */
static void look_at(const struct buffer *b, void *addr, size_t len,
		    size_t offset)
{
	for (size_t i = 0; i < len; i += PAGE)
		(void)__atomic_load_n((char *)addr + i, __ATOMIC_RELAXED);
	look_untouched(b, addr, len, offset);
}

static void look_at_memory(const struct buffer *b)
{
	look_at(b, NULL, 0, 0);
}

/* How the linear map has what was looked at last, now. */
static struct page_test_data look_again(void)
{
	struct page_test_data data = { .fd = -1 };

	expect(request(page_test, PAGE_TEST_LOOK, &data), 0);
	return data;
}

typedef void buffer_test(const struct buffer *b);

static void with_every_buffer(buffer_test *test)
{
	static const size_t sizes[] = { PAGE, 5 * PAGE, 64 * KiB + PAGE,
					MiB + PAGE, 4 * MiB };

	for (size_t s = 0; s < COUNT(sizes); s++) {
		for (int i = 0; i < 4 * HEAPS; i++) {
			/* The flags are ION_FLAG_CACHED and _NEEDS_SYNC. */
			struct buffer b = new_buffer(1U << i / 4, sizes[s],
						     i % 4);

			test(&b);
			close(b.fd);
		}
	}
}

static void whole_and_parts(const struct buffer *b)
{
	void *whole = map(b->fd, b->size), *part;
	size_t n = b->size / PAGE;

	look_at(b, whole, b->size, 0);
	for (size_t first = 0; first < n; first += n / 3 + 1) {
		size_t len = (n - first) / 2 * PAGE + PAGE;

		part = map_at(b->fd, len, PROT_READ, first * PAGE);
		look_at(b, part, len, first * PAGE);
		munmap(part, len);
	}
	munmap(whole, b->size);
	/* Not only while it is mapped. */
	look_at_memory(b);
}

static void mappings_are_as_the_flags_say(void **state)
{
	(void)state;
	with_every_buffer(whole_and_parts);
}

struct mapping {
	const struct buffer *b;
	char *addr;
};

static int look_in_child(void *arg)
{
	struct mapping *m = arg;

	look_at(m->b, m->addr, m->b->size, 0);
	munmap(m->addr, m->b->size);
	look_at_memory(m->b);
	return 42;
}

static void mapped_and_more(const struct buffer *b)
{
	struct mapping m = { b, map(b->fd, b->size) };
	size_t half = b->size / 2 & ~(PAGE - 1);
	char *moved;

	expect(end_of(look_in_child, &m), -42);
	look_at(b, m.addr, b->size, 0);

	expect(sys(mprotect(m.addr, b->size, PROT_READ)), 0);
	look_at(b, m.addr, b->size, 0);
	expect(sys(mprotect(m.addr, half, PROT_NONE)), 0);
	look_untouched(b, m.addr, b->size, 0);
	expect(sys(mprotect(m.addr, b->size, PROT_READ | PROT_WRITE)), 0);
	look_at(b, m.addr, b->size, 0);
	*m.addr = 1;
	munmap(m.addr, b->size);

	/* Elsewhere, and then less and less of it. */
	m.addr = map(b->fd, b->size);
	moved = map(b->fd, b->size);
	moved = mremap(m.addr, b->size, b->size, MREMAP_MAYMOVE | MREMAP_FIXED,
		       moved);
	expect(moved == MAP_FAILED ? -errno : 0, 0);
	look_at(b, moved, b->size, 0);
	if (half) {
		munmap(moved, PAGE);
		look_at(b, moved + PAGE, b->size - PAGE, PAGE);
		munmap(moved + half, PAGE);
		look_at(b, moved + half + PAGE, b->size - half - PAGE,
			half + PAGE);
		look_at(b, moved + PAGE, half - PAGE, PAGE);
	}
	munmap(moved, b->size);
	look_at_memory(b);
}

static void mappings_stay_so(void **state)
{
	(void)state;
	with_every_buffer(mapped_and_more);
}

/* What is left of a mapping says nothing about the next buffer there. */
static void memory_changes_its_kind(void **state)
{
	static const size_t sizes[HEAPS] = { 8 * MiB, 4 * MiB, 16 * MiB,
					     16 * MiB, 4 * MiB };

	(void)state;
	for (int i = 0; i < 6 * HEAPS; i++) {
		struct buffer b = new_buffer(1U << i % HEAPS, sizes[i % HEAPS],
					     i / HEAPS % 2 ? CACHED : 0);
		struct mapping m = { &b, map(b.fd, b.size) };
		size_t len = b.size / 2;
		char *part;

		look_at(&b, m.addr, b.size, 0);
		expect(end_of(look_in_child, &m), -42);
		part = map_at(b.fd, len, PROT_READ, PAGE);
		look_at(&b, part, len, PAGE);
		munmap(part, PAGE);
		munmap(part + len - PAGE, PAGE);
		munmap(m.addr + (i % 3) * (len / 2), len);
		munmap(m.addr, b.size);
		munmap(part, len);
		look_at_memory(&b);
		close(b.fd);
	}
}

static void buffers_of_nodes_are_cached(void **state)
{
	static const char *const nodes[HEAPS] = {
		"system", "system_contig", "frames", "tiles", "dma" };

	(void)state;
	for (int i = 0; i < HEAPS; i++) {
		struct dma_heap_allocation_data data = {
			.len = MiB, .fd_flags = O_RDWR,
		};
		struct buffer b = { 1U << i, PAGE_TEST_WB, MiB, -1 };
		char path[64];
		void *addr;
		int node;

		/* In memory that was write-combined just now. */
		close(new_buffer(1U << i, MiB, 0).fd);
		snprintf(path, sizeof(path), "/dev/dma_heap/ion_%s", nodes[i]);
		node = expect_ok(sys(open(path, O_RDONLY | O_CLOEXEC)));
		expect(request(node, DMA_HEAP_IOCTL_ALLOC, &data), 0);
		close(node);
		b.fd = data.fd;
		addr = map(b.fd, b.size);
		look_at(&b, addr, b.size, 0);
		munmap(addr, b.size);
		close(b.fd);
	}
}

/* One buffer's kind is not its neighbours', whoever comes and goes. */
static void neighbours_do_not_mind(void **state)
{
	enum { N = 48 };
	struct buffer b[N];
	unsigned int seed = 1;

	(void)state;
	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < N; i++) {
			if (round && rand_r(&seed) % 2)
				continue;
			if (round)
				close(b[i].fd);
			b[i] = new_buffer(1U << rand_r(&seed) % HEAPS,
					  (1 + rand_r(&seed) % 40) * PAGE,
					  rand_r(&seed) % 2 ? CACHED : 0);
		}
		for (int i = 0; i < N; i++)
			look_at_memory(&b[i]);
	}
	for (int i = 0; i < N; i++)
		close(b[i].fd);
}

/* Of the buffer's pages, those that are still write-combined wait in the pool. */
static struct page_test_data look_at_freed(bool may_wait)
{
	struct page_test_data data;
	size_t waits, kept;

	/* What is just being cleared does not count as waiting. */
	for (int tries = 0; tries < 600; tries++) {
		data = look_again();
		kept = data.linear[PAGE_TEST_WC] * PAGE;
		waits = may_wait ? pooled() : 0;
		if (kept <= waits) {
			assert_true(waits <=
				    sysconf(_SC_PHYS_PAGES) / 32 * PAGE);
			return data;
		}
		usleep(100000);
	}
	fail_msg("%zu bytes are write-combined, %zu wait", kept, waits);
	return data;
}

/*
 * Others get it as it was before. What waits in the pool does not go to others;
 * without the module nothing waits.
 */
static void freed_memory_is_cached(void **state)
{
	static const unsigned int heaps[] = {
		SYSTEM, CONTIG, ION_HEAP_TYPE_DMA_MASK };
	struct page_test_data data;
	size_t size;

	(void)state;
	for (size_t i = 0; i < COUNT(heaps); i++) {
		struct buffer b;

		size = heaps[i] == SYSTEM ? 96 * MiB : 4 * MiB;
		b = new_buffer(heaps[i], size, 0);
		look_at_memory(&b);
		close(b.fd);
		data = look_at_freed(heaps[i] != ION_HEAP_TYPE_DMA_MASK);
		expect(data.linear[PAGE_TEST_WC] + data.linear[PAGE_TEST_WB],
		       size / PAGE);

		b = new_buffer(heaps[i], size, 0);
		look_at_memory(&b);
		close(b.fd);
		ion_close(ion);
		expect(unload("vion"), 0);
		expect(unload("ion"), 0);
		expect_kinds("linear", look_again().linear, PAGE_TEST_WB,
			     size / PAGE);
		expect(load_with("kernel/ion/ion", ion_params), 0);
		expect(load_with("kernel/vion/vion", ""), 0);
		ion = open_ion();
	}
}

/* The "maps" of a buffer in debugfs. */
static int maps(int buffer)
{
	FILE *file = fopen("/sys/kernel/debug/ion/buffers", "r");
	unsigned long long inode;
	char line[256];
	int n, found = -1;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%llu %*u %*x %d", &inode, &n) == 2 &&
		    inode == inode_of(buffer))
			found = n;
	fclose(file);
	return found;
}

static int maps_in_child(void *arg)
{
	struct mapping *m = arg;

	expect(maps(m->b->fd), 2);
	munmap(m->addr + PAGE, PAGE);
	expect(maps(m->b->fd), 3);
	munmap(m->addr, PAGE);
	expect(maps(m->b->fd), 2);
	map(m->b->fd, PAGE);
	expect(maps(m->b->fd), 3);
	return 42;	/* with two of its own */
}

static void counted(const struct buffer *b)
{
	struct mapping m = { b, NULL };
	char *addr, *other;

	if (b->size < 5 * PAGE)
		return;
	expect(maps(b->fd), 0);
	m.addr = map(b->fd, b->size);
	addr = m.addr;
	expect(maps(b->fd), 1);
	expect(end_of(maps_in_child, &m), -42);
	expect(maps(b->fd), 1);

	other = map(b->fd, PAGE);
	expect(maps(b->fd), 2);
	/* On top of the other one, which goes. */
	other = mremap(addr, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, other);
	expect(other == MAP_FAILED ? -errno : 0, 0);
	expect(maps(b->fd), 2);
	munmap(other, PAGE);
	expect(maps(b->fd), 1);

	munmap(addr + 2 * PAGE, PAGE);
	expect(maps(b->fd), 2);
	expect(sys(mprotect(addr + 4 * PAGE, PAGE, PROT_READ)), 0);
	expect(maps(b->fd), b->size > 5 * PAGE ? 4 : 3);
	munmap(addr + PAGE, PAGE);
	expect(maps(b->fd), b->size > 5 * PAGE ? 3 : 2);
	munmap(addr, b->size);
	expect(maps(b->fd), 0);
}

static void mappings_are_counted(void **state)
{
	(void)state;
	with_every_buffer(counted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mappings_are_as_the_flags_say),
		cmocka_unit_test(mappings_stay_so),
		cmocka_unit_test(buffers_of_nodes_are_cached),
		cmocka_unit_test(neighbours_do_not_mind),
		cmocka_unit_test(freed_memory_is_cached),
		cmocka_unit_test(mappings_are_counted),
		cmocka_unit_test(memory_changes_its_kind),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
