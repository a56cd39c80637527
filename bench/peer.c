// SPDX-License-Identifier: MIT
/* The ways to get memory that can be shared. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <ion/ion.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>

#include "bench.h"

static int open_ion(void)
{
	int dev = ion_open();

	return dev < 0 ? -1 : dev;
}

static int alloc_ion(int dev, size_t size, unsigned int heaps,
		     unsigned int flags)
{
	int fd;

	return ion_alloc_fd(dev, size, 0, heaps, flags, &fd) ? -1 : fd;
}

static int alloc_cached(int dev, size_t size)
{
	return alloc_ion(dev, size, ION_HEAP_SYSTEM_MASK, ION_FLAG_CACHED);
}

/* What libion asks for the above. */
static int alloc_bare(int dev, size_t size)
{
	struct ion_new_allocation_data data = {
		.len = size,
		.heap_id_mask = ION_HEAP_SYSTEM_MASK,
		.flags = ION_FLAG_CACHED,
	};

	return ioctl(dev, ION_IOC_NEW_ALLOC, &data) ? -1 : (int)data.fd;
}

static int alloc_combined(int dev, size_t size)
{
	return alloc_ion(dev, size, ION_HEAP_SYSTEM_MASK, 0);
}

static int alloc_contig(int dev, size_t size)
{
	return alloc_ion(dev, size, ION_HEAP_SYSTEM_CONTIG_MASK,
			 ION_FLAG_CACHED);
}

static char *map_ion(int fd, size_t size)
{
	unsigned char *addr;

	if (ion_map_fd(fd, size, PROT_READ | PROT_WRITE, MAP_SHARED, 0, &addr))
		die("ion_map_fd");
	return (char *)addr;
}

static char *map_plain(int fd, size_t size)
{
	char *addr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (addr == MAP_FAILED)
		die("mmap");
	return addr;
}

/* A kernel without dma-heaps gets the node from us. */
static int open_dma_heap(void)
{
	if (access("/sys/class/dma_heap", F_OK))
		return -1;
	return open("/dev/dma_heap/system", O_RDONLY | O_CLOEXEC);
}

static int alloc_dma_heap(int dev, size_t size)
{
	struct dma_heap_allocation_data data = {
		.len = size,
		.fd_flags = O_RDWR | O_CLOEXEC,
	};

	return ioctl(dev, DMA_HEAP_IOCTL_ALLOC, &data) ? -1 : (int)data.fd;
}

static int open_udmabuf(void)
{
	return open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
}

static int alloc_memfd(int dev, size_t size)
{
	int fd = memfd_create("bench", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)dev;
	if (fd < 0 || ftruncate(fd, size))
		return -1;
	return fd;
}

static int alloc_udmabuf(int dev, size_t size)
{
	struct udmabuf_create create = {
		.memfd = alloc_memfd(-1, size),
		.flags = UDMABUF_FLAGS_CLOEXEC,
		.size = size,
	};
	int fd;

	if (fcntl(create.memfd, F_ADD_SEALS, F_SEAL_SHRINK))
		return -1;
	fd = ioctl(dev, UDMABUF_CREATE, &create);
	close(create.memfd);
	return fd;
}

static int open_nothing(void)
{
	return 0;
}

const struct peer ion = {
	"ion", open_ion, alloc_cached, map_ion, true
};
const struct peer ion_bare = {
	"ion, by ioctl", open_ion, alloc_bare, map_plain, true
};
const struct peer ion_wc = {
	"ion, write-combined", open_ion, alloc_combined, map_ion, true
};
const struct peer ion_contig = {
	"ion, contiguous", open_ion, alloc_contig, map_ion, true
};
static const struct peer dma_heap = {
	"dma-heap", open_dma_heap, alloc_dma_heap, map_plain, true
};
static const struct peer udmabuf = {
	"udmabuf", open_udmabuf, alloc_udmabuf, map_plain, true
};
static const struct peer memfd = {
	"memfd", open_nothing, alloc_memfd, map_plain, false
};

const struct peer *const peers[] = { &ion, &dma_heap, &udmabuf, &memfd };
const size_t peer_count = sizeof(peers) / sizeof(*peers);
