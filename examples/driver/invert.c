// SPDX-License-Identifier: MIT
/*
 * The program for ion_example.ko: has the driver invert a buffer in place, and
 * looks at it through its own mapping.
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <ion/ion.h>
#include <linux/dma-buf.h>

#define EXAMPLE_INVERT _IO('e', 1)
#define SIZE (64 * 1024)

/* The CPU's access is begun and ended, so that driver and program take turns. */
static void cpu_access(int buffer, __u64 flags)
{
	struct dma_buf_sync sync = { flags };

	if (ioctl(buffer, DMA_BUF_IOCTL_SYNC, &sync))
		err(1, "DMA_BUF_IOCTL_SYNC");
}

int main(void)
{
	int driver = open("/dev/ion_example", O_RDWR | O_CLOEXEC);
	int ion = ion_open(), buffer, ret, i;
	unsigned char *p;

	if (driver < 0)
		err(1, "/dev/ion_example");
	if (ion < 0)
		errx(1, "ion_open: %s", strerror(-ion));
	ret = ion_alloc_fd(ion, SIZE, 0, ION_HEAP_SYSTEM_MASK,
			   ION_FLAG_CACHED, &buffer);
	if (ret)
		errx(1, "ion_alloc_fd: %s", strerror(-ret));
	p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, buffer, 0);
	if (p == MAP_FAILED)
		err(1, "mmap");

	cpu_access(buffer, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE);
	for (i = 0; i < SIZE; i++)
		p[i] = i % 251;
	cpu_access(buffer, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE);

	if (ioctl(driver, EXAMPLE_INVERT, buffer))
		err(1, "EXAMPLE_INVERT");

	cpu_access(buffer, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
	for (i = 0; i < SIZE; i++)
		if (p[i] != 255 - i % 251)
			errx(1, "byte %d is %d, not %d", i, p[i],
			     255 - i % 251);
	printf("the driver inverted %d bytes: 0 1 2 ... are now %d %d %d ...\n",
	       SIZE, p[0], p[1], p[2]);
	cpu_access(buffer, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
	return 0;
}
