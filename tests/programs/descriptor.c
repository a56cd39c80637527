// SPDX-License-Identifier: MIT
/*
 * A program as they were written for Linux 4.12 to 5.10: it asks which heaps
 * there are, allocates a descriptor from one, and knows nothing of this project.
 * It should build whichever of the headers comes first.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/ion.h>
#include <linux/ion_4.12.h>
#include <linux/ion_4.19.h>

_Static_assert(sizeof(struct ion_new_allocation_data) == 24, "NEW_ALLOC");
_Static_assert(sizeof(struct ion_heap_data) == 52, "a heap");
_Static_assert(sizeof(struct ion_heap_query) == 24, "HEAP_QUERY");

static int fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	return 1;
}

/* The mask of the heap of that name, 0 if there is none. */
static unsigned int mask_of(int ion, const char *name)
{
	struct ion_heap_data heaps[ION_NUM_HEAP_IDS];
	struct ion_heap_query query = { 0 };

	if (ioctl(ion, ION_IOC_HEAP_QUERY, &query) ||
	    query.cnt > ION_NUM_HEAP_IDS)
		return 0;
	query.heaps = (uintptr_t)heaps;
	if (ioctl(ion, ION_IOC_HEAP_QUERY, &query))
		return 0;
	for (unsigned int i = 0; i < query.cnt; i++)
		if (!strcmp(heaps[i].name, name))
			return 1U << heaps[i].heap_id;
	return 0;
}

int main(void)
{
	struct ion_new_allocation_data data = {
		.len = 4096, .flags = ION_FLAG_CACHED,
	};
	int ion = open("/dev/ion", O_RDONLY | O_CLOEXEC);
	__u32 version = 0;
	char *addr;

	if (ion < 0)
		return fail("/dev/ion");
	if (ioctl(ion, ION_IOC_ABI_VERSION, &version) || version < 2)
		return fail("ION_IOC_ABI_VERSION");
	data.heap_id_mask = mask_of(ion, "ion_system_heap");
	if (!data.heap_id_mask)
		return fail("ION_IOC_HEAP_QUERY");
	if (ioctl(ion, ION_IOC_NEW_ALLOC, &data))
		return fail("ION_IOC_NEW_ALLOC");
	addr = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, data.fd, 0);
	if (addr == MAP_FAILED)
		return fail("mmap");
	memset(addr, 0xff, 4096);
	munmap(addr, 4096);
	close(data.fd);
	close(ion);
	return 0;
}
