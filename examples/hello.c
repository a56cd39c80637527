// SPDX-License-Identifier: MIT
#include <err.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <ion/ion.h>
#include <linux/dma-buf.h>

int main(void)
{
	struct dma_buf_sync begin = { DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW };
	struct dma_buf_sync end = { DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW };
	int ion = ion_open(), fd, ret;
	char *p;

	if (ion < 0)
		errx(1, "ion_open: %s", strerror(-ion));
	ret = ion_alloc_fd(ion, 4096, 0, ION_HEAP_SYSTEM_MASK,
			   ION_FLAG_CACHED, &fd);
	if (ret)
		errx(1, "ion_alloc_fd: %s", strerror(-ret));
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		err(1, "mmap");
	if (ioctl(fd, DMA_BUF_IOCTL_SYNC, &begin))
		err(1, "begin");
	memcpy(p, "hello, driver", 14);
	if (ioctl(fd, DMA_BUF_IOCTL_SYNC, &end))
		err(1, "end");
	printf("descriptor %d is ready for any driver\n", fd);
	return 0;
}
