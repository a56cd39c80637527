/* SPDX-License-Identifier: MIT */
/* Who holds a buffer, as ION's debugfs tells it. */
#ifndef TESTS_IMPORTERS_H
#define TESTS_IMPORTERS_H

#include "test.h"

/**
 * struct importers - what debugfs says about one buffer
 * @exists: it lives
 * @attached: devices that are attached to it
 * @mapped: those of them that have it mapped
 * @kernel: there is a kernel mapping
 */
struct importers {
	bool exists, kernel;
	int attached, mapped;
};

static inline struct importers importers_of(ino_t inode)
{
	FILE *file = fopen("/sys/kernel/debug/ion/buffers", "r");
	struct importers found = { 0 };
	unsigned long long number;
	bool inside = false;
	char line[256], kernel[8];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%llu %*u %*x %*d %7s", &number,
			   kernel) == 2) {
			inside = number == inode;
			if (!inside)
				continue;
			found.exists = true;
			found.kernel = !strcmp(kernel, "yes");
		} else if (inside && !strncmp(line, "          ", 10)) {
			found.attached++;
			found.mapped += strstr(line, ", mapped") != NULL;
		} else {
			inside = false;
		}
	}
	fclose(file);
	return found;
}

static inline void expect_importers(ino_t inode, int attached, int mapped)
{
	struct importers found = importers_of(inode);

	expect(found.exists, true);
	expect(found.attached, attached);
	expect(found.mapped, mapped);
}

static inline void expect_gone(ino_t inode)
{
	expect(importers_of(inode).exists, false);
}

/* How many buffers live, of whomever. */
static inline int living_buffers(void)
{
	FILE *file = fopen("/sys/kernel/debug/ion/buffers", "r");
	char line[256];
	int n = 0;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		unsigned long long inode, bytes;

		if (sscanf(line, "%llu %llu", &inode, &bytes) == 2)
			n++;
	}
	fclose(file);
	return n;
}

/* The heaps that there are, which tests/run sees to. */
static inline void query_heaps(int ion, struct ion_heap_data heaps[HEAPS])
{
	struct ion_heap_query query = {
		.cnt = HEAPS, .heaps = (uintptr_t)heaps,
	};

	expect(request(ion, ION_IOC_HEAP_QUERY, &query), 0);
	expect(query.cnt, HEAPS);
}

#endif
