// SPDX-License-Identifier: MIT
/*
 * One buffer, a program and a kernel driver: the program allocates it from
 * /dev/ion and hands it to /dev/vion_dev; each then reads what the other wrote,
 * through its own mapping, and nothing is copied on the way.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <ion/ion.h>
#include <linux/dma-buf.h>
#include <linux/vion.h>

#define SIZE 128

static const char from_kernel[] = "ion buffer test magic string";
static const char from_user[] = "and the kernel reads this line";

static int step;

/* What fails from here on failed in this step. */
static void begin(const char *what)
{
	printf("%d. %s\n", ++step, what);
	fflush(stdout);
}

static int fail(const char *what, int error)
{
	fprintf(stderr, "share: step %d failed: %s: %s\n", step, what,
		strerror(error));
	return -1;
}

/* CPU access to a buffer is bracketed, or a device may not see it. */
static int cpu_access(int buffer, __u64 flags)
{
	struct dma_buf_sync sync = { .flags = flags };

	if (ioctl(buffer, DMA_BUF_IOCTL_SYNC, &sync))
		return fail("DMA_BUF_IOCTL_SYNC", errno);
	return 0;
}

static int ask_driver_to_write(int vion)
{
	ssize_t n;

	begin("write(): ask the driver to put a string into the buffer");
	n = write(vion, from_kernel, sizeof(from_kernel));
	if (n != (ssize_t)sizeof(from_kernel))
		return fail("write", n < 0 ? errno : EIO);
	begin("the driver wrote it through its own kernel mapping");
	return 0;
}

static int read_through_mapping(int buffer, const char *vaddr)
{
	char seen[SIZE];

	begin("read it back through the program's own mapping");
	if (cpu_access(buffer, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ))
		return -1;
	memcpy(seen, vaddr, SIZE);
	if (cpu_access(buffer, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ))
		return -1;
	seen[SIZE - 1] = '\0';
	printf("   confirm_vaddr is not NULL, confirm data string \"%s\"\n",
	       seen);
	if (strcmp(seen, from_kernel))
		return fail("another string", EBADMSG);
	return 0;
}

static int write_through_mapping(int buffer, char *vaddr)
{
	begin("write a line of the program's own through the mapping");
	if (cpu_access(buffer, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW))
		return -1;
	memcpy(vaddr, from_user, sizeof(from_user));
	return cpu_access(buffer, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW);
}

static int ask_driver_to_read(int vion)
{
	char seen[SIZE] = "";
	ssize_t n;

	begin("read(): ask the driver what it sees there");
	n = pread(vion, seen, SIZE - 1, 0);
	if (n != SIZE - 1)
		return fail("pread", n < 0 ? errno : EIO);
	printf("   the driver sees \"%s\"\n", seen);
	if (strcmp(seen, from_user))
		return fail("another string", EBADMSG);
	return 0;
}

static int use(int vion, int buffer)
{
	char *vaddr;
	int ret;

	begin("VION_REGISTER_ION: hand the descriptor to the driver");
	if (ioctl(vion, VION_REGISTER_ION, &buffer))
		return fail("VION_REGISTER_ION", errno);
	begin("the driver imported the buffer through ION's client API");

	vaddr = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, buffer, 0);
	if (vaddr == MAP_FAILED)
		return fail("mmap", errno);
	ret = ask_driver_to_write(vion) ||
	      read_through_mapping(buffer, vaddr) ||
	      write_through_mapping(buffer, vaddr) ||
	      ask_driver_to_read(vion);
	munmap(vaddr, SIZE);

	if (ioctl(vion, VION_UNREGISTER_ION, &buffer))
		return fail("VION_UNREGISTER_ION", errno);
	return ret ? -1 : 0;
}

int main(void)
{
	ion_user_handle_t handle;
	int ion, vion, buffer, ret;

	begin("allocate 128 bytes from /dev/ion and share the handle");
	ion = ion_open();
	if (ion < 0) {
		fail("ion_open", -ion);
		return 1;
	}
	ret = ion_alloc(ion, SIZE, 0, ION_HEAP_SYSTEM_CONTIG_MASK,
			ION_FLAG_CACHED, &handle);
	if (ret) {
		fail("ion_alloc", -ret);
		goto close_ion;
	}
	ret = ion_share(ion, handle, &buffer);
	ion_free(ion, handle);
	if (ret) {
		fail("ion_share", -ret);
		goto close_ion;
	}
	printf("   it is dma-buf descriptor %d\n", buffer);

	begin("open /dev/vion_dev, the driver to share it with");
	vion = open("/dev/vion_dev", O_RDWR | O_CLOEXEC);
	if (vion < 0) {
		ret = fail("open", errno);
		goto close_buffer;
	}
	ret = use(vion, buffer);
	close(vion);
	if (!ret)
		printf("shared: one memory, both directions, no copy\n");

close_buffer:
	close(buffer);
close_ion:
	ion_close(ion);
	return ret ? 1 : 0;
}
