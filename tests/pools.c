// SPDX-License-Identifier: MIT
/* What waits for the next buffer: bounded, clear, and given back. */
#include <limits.h>
#include <pthread.h>
#include <sys/resource.h>

#include "test.h"

#define POOL_SIZE "/sys/module/ion/parameters/pool_size"

static char pool_size[32];

static void write_file(const char *path, const char *text)
{
	int fd = expect_ok(sys(open(path, O_WRONLY | O_CLOEXEC)));

	expect(sys(write(fd, text, strlen(text))), strlen(text));
	close(fd);
}

static size_t number_in(const char *path, const char *key)
{
	FILE *file = fopen(path, "r");
	unsigned long number = ULONG_MAX;
	char line[256];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, key, strlen(key)))
			number = strtoul(line + strlen(key), NULL, 10);
	fclose(file);
	assert_int_not_equal(number, ULONG_MAX);
	return number;
}

static size_t pooled(void)
{
	return number_in("/sys/kernel/debug/ion/heaps/ion_system_heap",
			 "pool:");
}

static size_t memory(const char *key)
{
	return number_in("/proc/meminfo", key) * KiB;
}

static int setup(void **state)
{
	int fd = expect_ok(sys(open(POOL_SIZE, O_RDONLY | O_CLOEXEC)));

	(void)state;
	expect_ok(sys(read(fd, pool_size, sizeof(pool_size) - 1)));
	close(fd);
	return 0;
}

static int as_before(void **state)
{
	(void)state;
	write_file(POOL_SIZE, pool_size);
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
	write_file(POOL_SIZE, "4M\n");
	for (size_t s = 0; s < COUNT(sizes); s++)
		for (int flags = 0; flags <= CACHED; flags++) {
			use(ion, sizes[s], sizes[s] == PAGE ? MiB : 24 * MiB,
			    flags);
			assert_true(pooled() <= 8 * MiB);
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
	write_file(POOL_SIZE, "0");
	expect(pooled(), 0);
	for (size_t i = 1; i < COUNT(fds); i += 2)
		close(fds[i]);
	expect(pooled(), 0);
	ion_close(ion);
}

static void bad_bounds_are_refused(void **state)
{
	static const char *const bad[] = { "", "x", "-1", "1Q", " 1" };
	int fd = expect_ok(sys(open(POOL_SIZE, O_WRONLY | O_CLOEXEC)));

	(void)state;
	for (size_t i = 1; i < COUNT(bad); i++)
		expect(sys(write(fd, bad[i], strlen(bad[i]))), -EINVAL);
	close(fd);
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
	write_file(POOL_SIZE, "1G");
	use(ion, 2 * MiB, 192 * MiB, CACHED);
	use(ion, 64 * KiB, 16 * MiB, CACHED);
	use(ion, 2 * MiB, 64 * MiB, 0);
	assert_true(pooled() >= 250 * MiB);
	wanted = memory("MemAvailable:") + 160 * MiB;
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
		write_file(POOL_SIZE, "0");
		write_file(POOL_SIZE, "16M");
	}
	return NULL;
}

static void *shrink(void *arg)
{
	(void)arg;
	/* From then on it is not logged. */
	write_file("/proc/sys/vm/drop_caches", "4");
	while (!over)
		write_file("/proc/sys/vm/drop_caches", "2");
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
		cmocka_unit_test_teardown(the_system_gets_them, as_before),
		cmocka_unit_test(mappings_are_large),
		cmocka_unit_test_teardown(all_at_once, as_before),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
