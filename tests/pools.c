// SPDX-License-Identifier: MIT
/* What waits for the next buffer: bounded, clear, and given back. */
#include <limits.h>
#include <pthread.h>
#include <sys/resource.h>

#include "pool.h"

static size_t available(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	size_t kib = 0;
	char line[256];

	assert_non_null(file);
	while (!kib && fgets(line, sizeof(line), file))
		sscanf(line, "MemAvailable: %zu", &kib);
	fclose(file);
	assert_true(kib > 0);
	return kib * KiB;
}

static int setup(void **state)
{
	(void)state;
	remember_pool_size();
	return 0;
}

static int as_before(void **state)
{
	(void)state;
	restore_pool_size();
	return 0;
}

/* Buffers of @size bytes, @total in all, have been and gone. */
static void use(int ion, size_t size, size_t total, unsigned int flags)
{
	int fds[512], count = total / size;

	assert_true(count <= (int)COUNT(fds));
	for (int i = 0; i < count; i++)
		fds[i] = alloc_with(ion, SYSTEM, size, flags);
	for (int i = 0; i < count; i++)
		close(fds[i]);
}

static void they_are_bounded(void **state)
{
	static const size_t sizes[] = { PAGE, 64 * KiB, MiB, 2 * MiB, 6 * MiB };
	int ion = open_ion();

	(void)state;
	expect(set_pool_size("4M\n"), 0);
	for (size_t s = 0; s < COUNT(sizes); s++)
		for (int flags = 0; flags <= CACHED; flags++) {
			use(ion, sizes[s], sizes[s] == PAGE ? MiB : 24 * MiB,
			    flags);
			assert_true(pooled_soon(8 * MiB) <= 8 * MiB);
		}
	assert_true(pooled() > 0);
	ion_close(ion);
}

/* Also what waits beside a buffer that lives. */
static void they_are_drained(void **state)
{
	int ion = open_ion(), fds[64];

	(void)state;
	for (size_t i = 0; i < COUNT(fds); i++)
		fds[i] = alloc_with(ion, SYSTEM, 3 * PAGE << i % 6,
				    i % 3 ? 0 : CACHED);
	for (size_t i = 0; i < COUNT(fds); i += 2)
		close(fds[i]);
	assert_true(pooled() > 0);
	expect(set_pool_size("0"), 0);
	expect(pooled_soon(0), 0);
	for (size_t i = 1; i < COUNT(fds); i += 2)
		close(fds[i]);
	expect(pooled_soon(0), 0);
	/* Of four pages three are the buffer's. */
	fds[0] = alloc_with(ion, CONTIG, 3 * PAGE, 0);
	expect(pooled_soon(0), 0);
	close(fds[0]);
	ion_close(ion);
}

static void bad_bounds_are_refused(void **state)
{
	static const char *const bad[] = { "x", "-1", "1Q", " 1" };

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		expect(set_pool_size(bad[i]), -EINVAL);
}

/* Whoever clears them: who takes them, or the thread, if it has had the time. */
static void they_are_clear(void **state)
{
	static const size_t sizes[] = { PAGE, 3 * PAGE, 64 * KiB, MiB + PAGE,
					2 * MiB, 4 * MiB, 7 * MiB };
	int ion = open_ion();

	(void)state;
	for (int i = 0; i < 4 * (int)COUNT(sizes); i++) {
		size_t size = sizes[i / 4];

		for (int round = 0; round < 40; round++) {
			int fd = alloc_with(ion, SYSTEM, size, i % 2);
			unsigned char *addr = map(fd, size);

			expect_zero(addr, size);
			memset(addr, 0xa5, size);
			munmap(addr, size);
			close(fd);
			if (i & 2)
				sched_yield();
			if (size >= MiB && round == 3)
				break;
		}
	}
	ion_close(ion);
}

/* ---- who changes the attributes of memory */

#define TRACEFS "/sys/kernel/debug/tracing/"

static long trace_with(const char *name, const char *value)
{
	char path[128];
	long ret;
	int fd;

	snprintf(path, sizeof(path), TRACEFS "%s", name);
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = sys(write(fd, value, strlen(value)));
	close(fd);
	return ret < 0 ? ret : 0;
}

static int changes(void)
{
	FILE *file = fopen(TRACEFS "trace", "re");
	char line[512];
	int count = 0;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		count += strstr(line, ": set_memory_w") != NULL;
	fclose(file);
	return count;
}

static int untrace(void **state)
{
	trace_with("current_tracer", "nop");
	trace_with("set_ftrace_filter", "");
	return as_before(state);
}

/* The first of a size makes them, and what it leaves is enough for the others. */
static void warm_ones_stay_combined(void **state)
{
	static const size_t sizes[] = { 2 * MiB, 4 * MiB, 16 * MiB, MiB,
					64 * KiB, PAGE, 7 * PAGE };
	int ion = open_ion(), first;

	(void)state;
	if (trace_with("set_ftrace_filter", "set_memory_w*") ||
	    trace_with("current_tracer", "function")) {
		ion_close(ion);
		print_message("# no function tracer\n");
		skip();
	}
	expect(set_pool_size("64M"), 0);
	use(ion, 16 * MiB, 32 * MiB, 0);
	first = changes();
	assert_true(first > 0);
	for (size_t s = 0; s < COUNT(sizes); s++)
		for (int round = 0; round < 4; round++)
			use(ion, sizes[s], sizes[s] < MiB ? 100 * sizes[s] :
							    16 * MiB, 0);
	expect(changes(), first);
	use(ion, 16 * MiB, 16 * MiB, CACHED);
	expect(changes(), first);
	expect(set_pool_size("0"), 0);
	assert_true(changes() > first);
	ion_close(ion);
}

static int take_memory(void *arg)
{
	size_t size = *(size_t *)arg;
	char *addr = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (addr == MAP_FAILED)
		return 1;
	for (size_t i = 0; i < size; i += PAGE)
		addr[i] = 1;
	return 42;
}

/* More than is free: nobody is killed as long as something waits. */
static void the_system_gets_them(void **state)
{
	int ion = open_ion();
	size_t wanted;

	(void)state;
	expect(set_pool_size("1G"), 0);
	use(ion, 2 * MiB, 192 * MiB, CACHED);
	use(ion, 64 * KiB, 16 * MiB, CACHED);
	use(ion, 2 * MiB, 64 * MiB, 0);
	assert_true(pooled() >= 250 * MiB);
	wanted = available() + 160 * MiB;
	expect(end_of(take_memory, &wanted), -42);
	assert_true(pooled() < 140 * MiB);
	ion_close(ion);
}

/* What the kernel's page tables are filled with, and by how many faults. */
static long faults_of_touching(char *addr, size_t size)
{
	struct rusage before, after;

	expect(sys(getrusage(RUSAGE_THREAD, &before)), 0);
	for (size_t i = 0; i < size; i += PAGE)
		__atomic_store_n(addr + i, 1, __ATOMIC_RELAXED);
	expect(sys(getrusage(RUSAGE_THREAD, &after)), 0);
	return after.ru_minflt - before.ru_minflt;
}

/* One fault for 2 MiB, at the most, whatever part of a buffer it is. */
static void mappings_are_large(void **state)
{
	static const size_t sizes[] = { PAGE, MiB, 2 * MiB, 4 * MiB, 16 * MiB };
	int ion = open_ion();

	(void)state;
	for (size_t s = 0; s < COUNT(sizes); s++)
		for (size_t offset = 0; offset < sizes[s];
		     offset += sizes[s] / 4 + PAGE) {
			size_t len = sizes[s] - (offset & -PAGE);
			int fd = alloc_with(ion, SYSTEM, sizes[s], s % 2);
			unsigned char *addr;
			long faults;

			expect(ion_map_fd(fd, len, PROT_READ | PROT_WRITE,
					  MAP_SHARED, offset & -PAGE, &addr),
			       0);
			if (len >= 2 * MiB)
				expect((uintptr_t)addr % (2 * MiB),
				       (offset & -PAGE) % (2 * MiB));
			faults = faults_of_touching((char *)addr, len);
			if (faults > (long)(len / (2 * MiB)))
				print_error("%zu bytes: %ld faults\n", len,
					    faults);
			assert_true(faults <= (long)(len / (2 * MiB)));
			munmap(addr, len);
			close(fd);
		}
	ion_close(ion);
}

/* ---- against each other */

#define TURNS 600

static void *allocate(void *arg)
{
	unsigned int seed = (uintptr_t)arg;
	int ion = open_ion();

	for (int i = 0; i < TURNS; i++) {
		size_t size = PAGE << rand_r(&seed) % 11;
		int fd = alloc_with(ion, SYSTEM, size, rand_r(&seed) % 2);
		unsigned char *addr = map(fd, size);

		/* What is mapped outlives its descriptor. */
		if (rand_r(&seed) % 2) {
			close(fd);
			fd = -1;
		}
		expect_zero(addr, size);
		memset(addr, 0xff, size);
		munmap(addr, size);
		if (fd >= 0)
			close(fd);
	}
	ion_close(ion);
	return NULL;
}

static _Atomic bool over;

static void *drain(void *arg)
{
	(void)arg;
	while (!over) {
		expect(set_pool_size("0"), 0);
		expect(set_pool_size("16M"), 0);
	}
	return NULL;
}

static void *shrink(void *arg)
{
	(void)arg;
	while (!over)
		expect(shrink_pools(), 0);
	return NULL;
}

static void all_at_once(void **state)
{
	void *(*const others[])(void *) = { drain, shrink };
	pthread_t threads[4];

	(void)state;
	over = false;
	for (uintptr_t i = 0; i < 2; i++) {
		expect(pthread_create(&threads[i], NULL, allocate,
				      (void *)(i + 1)), 0);
		expect(pthread_create(&threads[2 + i], NULL, others[i], NULL),
		       0);
	}
	for (int i = 0; i < 4; i++) {
		expect(pthread_join(threads[i], NULL), 0);
		over = i >= 1;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(they_are_bounded, as_before),
		cmocka_unit_test_teardown(they_are_drained, as_before),
		cmocka_unit_test(bad_bounds_are_refused),
		cmocka_unit_test(they_are_clear),
		cmocka_unit_test_teardown(warm_ones_stay_combined, untrace),
		cmocka_unit_test_teardown(the_system_gets_them, as_before),
		cmocka_unit_test(mappings_are_large),
		cmocka_unit_test_teardown(all_at_once, as_before),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
