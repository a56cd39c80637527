// SPDX-License-Identifier: MIT
/* Dma-bufs, whoever exported them. */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>

#include <linux/dma-buf.h>
#include <linux/magic.h>

#include "internal.h"

int ion_dma_buf_check(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	struct statfs fs;

	/* To the kernel, what is only a path is not open. */
	if (flags < 0 || flags & O_PATH)
		return -EBADF;
	if (fstatfs(fd, &fs))
		return errno == EBADF ? -EBADF : -EINVAL;
	return fs.f_type == DMA_BUF_MAGIC ? 0 : -EINVAL;
}

int ion_dma_buf_sync(int fd, __u64 flags)
{
	struct dma_buf_sync sync = { .flags = flags };

	return ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync) ? -errno : 0;
}

/*
 * An end, and no begin before it: that would bring what a device wrote over what
 * the CPU did. Only who has never seen a begin may want one: udmabuf, which maps
 * the buffer then, for the direction of that first access and for good.
 */
int ion_dma_buf_flush(int fd)
{
	int ret = ion_dma_buf_sync(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE);

	if (ret != -EINVAL)
		return ret;
	ret = ion_dma_buf_sync(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW);
	if (ret)
		return ret;
	return ion_dma_buf_sync(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW);
}
