// SPDX-License-Identifier: MIT
/* Dma-bufs that /dev/udmabuf makes of memfds. */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include <linux/dma-buf.h>
#include <linux/udmabuf.h>

#include "internal.h"

#define NODE "/dev/udmabuf"

static int udmabuf_alloc(const struct heap *heap, size_t size)
{
	struct udmabuf_create create = {
		.flags = UDMABUF_FLAGS_CLOEXEC,
		.size = size,
	};
	int memfd, fd;

	memfd = ion_memfd_create(size);
	if (memfd < 0)
		return memfd;
	create.memfd = memfd;
	fd = ioctl(heap->fd, UDMABUF_CREATE, &create);
	/* All else is as it wants it, so it is more than size_limit_mb. */
	if (fd < 0)
		fd = errno == EINVAL ? -ENOMEM : -errno;
	close(memfd);
	if (fd < 0)
		return fd;

	/*
	 * It keeps a mapping that is made at the first access, for what that is
	 * for: so let it be for both. Where there is no room for the mapping,
	 * accesses say so.
	 */
	if (!ion_dma_buf_sync(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW))
		ion_dma_buf_sync(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW);
	return fd;
}

static int udmabuf_open(struct heaps *heaps)
{
	int fd = open(NODE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	ion_heap_fill(&heaps->heap[heaps->count++], "ion_system_heap",
		      ION_HEAP_TYPE_SYSTEM, ION_HEAP_TYPE_SYSTEM, fd);
	return 0;
}

const struct backend ion_udmabuf_backend = {
	.name = "udmabuf",
	.node = NODE,
	.what = "dma-bufs of ordinary memory",
	.open = udmabuf_open,
	.alloc = udmabuf_alloc,
	.check = ion_dma_buf_check,
	.sync = ion_dma_buf_sync,
	.flush = ion_dma_buf_flush,
};
