// SPDX-License-Identifier: MIT
/* What it takes to hand bytes from the kernel to a program, or back. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/dma-buf.h>
#include <linux/vion.h>

#include "bench.h"

#define WARM 3
#define ROUNDS 31

static int open_vion(void)
{
	int vion = open("/dev/vion_dev", O_RDWR | O_CLOEXEC);

	if (vion < 0)
		die("/dev/vion_dev");
	return vion;
}

static int register_buffer(int vion, int fd)
{
	return ioctl(vion, VION_REGISTER_ION, &fd);
}

static int alloc_registered(int dev, int vion, size_t size)
{
	int fd = ion.alloc(dev, size);

	if (fd < 0 || register_buffer(vion, fd))
		die("VION_REGISTER_ION");
	return fd;
}

static char *alloc_frame(size_t size)
{
	char *frame = aligned_alloc(PAGE, (size + PAGE - 1) & -PAGE);

	if (!frame)
		die("malloc");
	memset(frame, 1, size);
	return frame;
}

static void expect_all(ssize_t n, size_t size)
{
	if (n != (ssize_t)size)
		die("a read or write in part");
}

static void write_all(int vion, char *frame, size_t size)
{
	expect_all(pwrite(vion, frame, size, 0), size);
}

static void read_all(int vion, char *frame, size_t size)
{
	expect_all(pread(vion, frame, size, 0), size);
}

#define PIPE_SIZE (256 * KiB)

static void pass_through_pipe(int ends, char *frame, size_t size)
{
	const int out = ends >> 16, in = ends & 0xffff;

	for (size_t n; size; size -= n, frame += n) {
		n = size < PIPE_SIZE ? size : PIPE_SIZE;
		expect_all(write(out, frame, n), n);
		expect_all(read(in, frame, n), n);
	}
}

static int open_pipe(void)
{
	int ends[2];

	if (pipe(ends) || fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE) < 0)
		die("pipe");
	return ends[1] << 16 | ends[0];
}

/* Between two of these the program reads what the driver wrote: where it is. */
static void share(int fd, char *frame, size_t size)
{
	struct dma_buf_sync sync = {
		.flags = DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ,
	};

	(void)frame;
	(void)size;
	if (ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync))
		die("DMA_BUF_IOCTL_SYNC");
	sync.flags = DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ;
	if (ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync))
		die("DMA_BUF_IOCTL_SYNC");
}

static double measure(void (*pass)(int fd, char *frame, size_t size), int fd,
		      char *frame, size_t size)
{
	double took[ROUNDS], start;

	for (int i = -WARM; i < ROUNDS; i++) {
		start = now();
		pass(fd, frame, size);
		took[i < 0 ? 0 : i] = now() - start;
	}
	return median(took, ROUNDS);
}

static void measure_size(int dev, int vion, int memfd, size_t size)
{
	int fd = alloc_registered(dev, vion, size);
	char *frame = alloc_frame(size);

	write_all(memfd, frame, size);
	progress("copy", "vion and memfd", size);
	report("copy", "vion", size, "write",
	       measure(write_all, vion, frame, size), "read",
	       measure(read_all, vion, frame, size), NULL);
	report("copy", "memfd", size, "write",
	       measure(write_all, memfd, frame, size), "read",
	       measure(read_all, memfd, frame, size), NULL);
	free(frame);
	close(fd);
}

static void measure_frame(int dev, int vion, int memfd, size_t size)
{
	int fd = alloc_registered(dev, vion, size), ends = open_pipe();
	char *frame = alloc_frame(size);

	progress("frame", "all", size);
	write_all(memfd, frame, size);
	report("frame", "shared buffer", size, "whole",
	       measure(share, fd, frame, size), NULL);
	report("frame", "vion read()", size, "whole",
	       measure(read_all, vion, frame, size), NULL);
	report("frame", "memfd pread()", size, "whole",
	       measure(read_all, memfd, frame, size), NULL);
	report("frame", "pipe", size, "whole",
	       measure(pass_through_pipe, ends, frame, size), NULL);
	close(ends >> 16);
	close(ends & 0xffff);
	free(frame);
	close(fd);
}

void measure_copies(void)
{
	static const size_t sizes[] = {
		4 * KiB, 16 * KiB, 64 * KiB, 256 * KiB, MiB, 4 * MiB, 16 * MiB
	};
	static const size_t frames[] = { 640 * 480 * 4, 1920 * 1080 * 4 };
	int dev = ion.open(), vion = open_vion();
	int memfd = memfd_create("bench", MFD_CLOEXEC);

	for (size_t s = 0; s < COUNT(sizes); s++)
		measure_size(dev, vion, memfd, sizes[s]);
	for (size_t s = 0; s < COUNT(frames); s++)
		measure_frame(dev, vion, memfd, frames[s]);
	close(memfd);
	close(vion);
	close(dev);
}

/*
 * The driver maps it: whatever its size, once. The sizes take turns, for now and
 * then the kernel's allocator of objects is slower for a while.
 */
void measure_registering(void)
{
	static const size_t sizes[] = { 4 * KiB, 64 * KiB, MiB, 4 * MiB };
	int dev = ion_contig.open(), vion = open_vion(), fds[COUNT(sizes)];
	double took[COUNT(sizes)][ROUNDS], start;

	progress("register", ion_contig.name, sizes[COUNT(sizes) - 1]);
	for (size_t s = 0; s < COUNT(sizes); s++) {
		fds[s] = ion_contig.alloc(dev, sizes[s]);
		if (fds[s] < 0)
			die(ion_contig.name);
	}
	for (int i = -WARM; i < ROUNDS; i++) {
		for (size_t s = 0; s < COUNT(sizes); s++) {
			start = now();
			if (register_buffer(vion, fds[s]))
				die("VION_REGISTER_ION");
			took[s][i < 0 ? 0 : i] = now() - start;
			ioctl(vion, VION_UNREGISTER_ION, &fds[s]);
		}
	}
	for (size_t s = 0; s < COUNT(sizes); s++) {
		report("register", ion_contig.name, sizes[s], "whole",
		       median(took[s], ROUNDS), NULL);
		close(fds[s]);
	}
	close(vion);
	close(dev);
}
