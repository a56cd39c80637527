// SPDX-License-Identifier: MIT
#include <err.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ion/ion.h>
#include <linux/dma-buf.h>

int main(void)
{
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
	ret = ion_sync_range(ion, fd, 0, 4096,
			     DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW);
	if (ret)
		errx(1, "begin: %s", strerror(-ret));
	memcpy(p, "hello, driver", 14);
	ret = ion_sync_range(ion, fd, 0, 4096,
			     DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW);
	if (ret)
		errx(1, "end: %s", strerror(-ret));
	printf("descriptor %d, of %s, is ready\n", fd, ion_backend(ion));
	return 0;
}
