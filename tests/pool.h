/* SPDX-License-Identifier: MIT */
/* What waits for the next buffers, and how much may. */
#ifndef TESTS_POOL_H
#define TESTS_POOL_H

#include "test.h"

static char pool_size_before[32];

static inline long set_pool_size(const char *value)
{
	int fd = expect_ok(sys(open("/sys/module/ion/parameters/pool_size",
				    O_WRONLY | O_CLOEXEC)));
	long ret = sys(write(fd, value, strlen(value)));

	close(fd);
	return ret < 0 ? ret : 0;
}

static inline void remember_pool_size(void)
{
	int fd = expect_ok(sys(open("/sys/module/ion/parameters/pool_size",
				    O_RDONLY | O_CLOEXEC)));

	memset(pool_size_before, 0, sizeof(pool_size_before));
	expect_ok(sys(read(fd, pool_size_before,
			   sizeof(pool_size_before) - 1)));
	close(fd);
}

static inline void restore_pool_size(void)
{
	expect(set_pool_size(pool_size_before), 0);
}

/* The kernel's own way to have it back. */
static inline long shrink_pools(void)
{
	static bool quiet;
	int fd = expect_ok(sys(open("/proc/sys/vm/drop_caches",
				    O_WRONLY | O_CLOEXEC)));
	long ret = 0;

	/* From then on it is not logged. */
	if (!quiet)
		ret = sys(write(fd, "4", 1));
	quiet = true;
	if (ret >= 0)
		ret = sys(write(fd, "2", 1));
	close(fd);
	return ret < 0 ? ret : 0;
}

static inline size_t pooled(void)
{
	FILE *file = fopen("/sys/kernel/debug/ion/heaps/ion_system_heap", "re");
	size_t bytes = 0;
	bool found = false;
	char line[256];

	assert_non_null(file);
	while (!found && fgets(line, sizeof(line), file))
		found = sscanf(line, "pool: %zu", &bytes) == 1;
	fclose(file);
	assert_true(found);
	return bytes;
}

/*
 * The thread that clears pages may have had some in hand as there were to be
 * fewer; it gives them back soon.
 */
static inline size_t pooled_soon(size_t most)
{
	size_t bytes;
	int tries = 10000;

	while ((bytes = pooled()) > most && tries--)
		usleep(1000);
	return bytes;
}

#endif
