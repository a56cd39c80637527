// SPDX-License-Identifier: MIT
/*
 * Shares a buffer with the kernel one step at a time: does what a line of
 * standard input names, answers with a line, and waits for the next. Meanwhile
 * it can be looked at from outside, as docs/how-it-works.md does.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <ion/ion.h>
#include <linux/dma-buf.h>
#include <linux/vion.h>

#define SEEN 64

static struct {
	int ion, vion, buffer;
	ion_user_handle_t handle;
	size_t size;
	unsigned char *addr;
} state = { .ion = -1, .vion = -1, .buffer = -1 };

/* Each returns 0 or -errno, and says what it did if that is 0. */

static int open_step(const char *arg)
{
	int fd = ion_open();

	(void)arg;
	if (fd < 0)
		return fd;
	state.ion = fd;
	printf("/dev/ion is descriptor %d\n", fd);
	return 0;
}

static int alloc_step(const char *arg)
{
	size_t size = strtoul(arg, NULL, 0);
	unsigned int flags = strstr(arg, "uncached") ? 0 : ION_FLAG_CACHED;
	int ret;

	ret = ion_alloc(state.ion, size, 0, ION_HEAP_SYSTEM_MASK, flags,
			&state.handle);
	if (ret)
		return ret;
	state.size = size;
	printf("%zu bytes are handle %d\n", size, state.handle);
	return 0;
}

static int share_step(const char *arg)
{
	int ret = ion_share(state.ion, state.handle, &state.buffer);

	(void)arg;
	if (!ret)
		printf("handle %d is shared as descriptor %d\n", state.handle,
		       state.buffer);
	return ret;
}

static int map_step(const char *arg)
{
	int ret = ion_map_fd(state.buffer, state.size, PROT_READ | PROT_WRITE,
			     MAP_SHARED, 0, &state.addr);

	(void)arg;
	if (!ret)
		printf("descriptor %d is mapped at %p\n", state.buffer,
		       state.addr);
	return ret;
}

static long page_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

static int touch_step(const char *arg)
{
	size_t page = sysconf(_SC_PAGESIZE), at;
	long before = page_faults();
	unsigned int sum = 0;

	(void)arg;
	if (!state.addr)
		return -EFAULT;
	for (at = 0; at < state.size; at += page)
		sum += state.addr[at];
	printf("%zu pages are read, which took %ld page faults; their sum is %u\n",
	       state.size / page, page_faults() - before, sum);
	return 0;
}

static int register_step(const char *arg)
{
	(void)arg;
	if (state.vion < 0)
		state.vion = open("/dev/vion_dev", O_RDWR | O_CLOEXEC);
	if (state.vion < 0 ||
	    ioctl(state.vion, VION_REGISTER_ION, &state.buffer))
		return -errno;
	printf("/dev/vion_dev, descriptor %d, has the buffer, too\n",
	       state.vion);
	return 0;
}

static int ask_step(const char *arg)
{
	ssize_t n = pwrite(state.vion, arg, strlen(arg) + 1, 0);

	if (n < 0)
		return -errno;
	printf("the driver wrote %zd bytes\n", n);
	return 0;
}

static int sync_buffer(__u64 flags, const char *what)
{
	struct dma_buf_sync sync = { .flags = flags };

	if (ioctl(state.buffer, DMA_BUF_IOCTL_SYNC, &sync))
		return -errno;
	printf("the program's access has %s\n", what);
	return 0;
}

static int begin_step(const char *arg)
{
	(void)arg;
	return sync_buffer(DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW, "begun");
}

static int end_step(const char *arg)
{
	(void)arg;
	return sync_buffer(DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW, "ended");
}

static int look_step(const char *arg)
{
	char seen[SEEN];

	(void)arg;
	if (!state.addr)
		return -EFAULT;
	memcpy(seen, state.addr, SEEN);
	seen[SEEN - 1] = '\0';
	printf("the program sees \"%s\"\n", seen);
	return 0;
}

static int unregister_step(const char *arg)
{
	(void)arg;
	if (ioctl(state.vion, VION_UNREGISTER_ION, &state.buffer))
		return -errno;
	printf("the driver let go\n");
	return 0;
}

static int free_step(const char *arg)
{
	int ret = ion_free(state.ion, state.handle);

	(void)arg;
	if (!ret)
		printf("handle %d is free\n", state.handle);
	return ret;
}

static int close_step(const char *arg)
{
	(void)arg;
	if (close(state.buffer))
		return -errno;
	printf("descriptor %d is closed\n", state.buffer);
	state.buffer = -1;
	return 0;
}

static int unmap_step(const char *arg)
{
	(void)arg;
	if (munmap(state.addr, state.size))
		return -errno;
	state.addr = NULL;
	printf("the mapping is gone\n");
	return 0;
}

static const struct {
	const char *name;
	int (*run)(const char *arg);
} steps[] = {
	{ "open", open_step },
	{ "alloc", alloc_step },
	{ "share", share_step },
	{ "map", map_step },
	{ "touch", touch_step },
	{ "register", register_step },
	{ "ask", ask_step },
	{ "begin", begin_step },
	{ "look", look_step },
	{ "end", end_step },
	{ "unregister", unregister_step },
	{ "free", free_step },
	{ "close", close_step },
	{ "unmap", unmap_step },
};

static int run(const char *name, const char *arg)
{
	size_t i;

	for (i = 0; i < sizeof(steps) / sizeof(*steps); i++)
		if (!strcmp(name, steps[i].name))
			return steps[i].run(arg);
	return -EINVAL;
}

int main(void)
{
	char line[256], *arg;
	int ret;

	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		arg = line + strcspn(line, " ");
		if (*arg)
			*arg++ = '\0';
		ret = run(line, arg);
		if (ret)
			printf("%s: %s\n", line, strerror(-ret));
		fflush(stdout);
	}
	return 0;
}
