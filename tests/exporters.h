/* SPDX-License-Identifier: MIT */
/* Buffers of other drivers, and what other drivers do with buffers. */
#ifndef TESTS_EXPORTERS_H
#define TESTS_EXPORTERS_H

#include <libdrm/drm.h>
#include <libdrm/drm_mode.h>
#include <linux/dma-heap.h>

#include "test.h"

/* vgem's node is the one that says so. -1: there is none. */
static inline int find_vgem(void)
{
	char path[32];

	for (int i = 0; i < 8; i++) {
		char name[16] = "";
		struct drm_version version = {
			.name = name, .name_len = sizeof(name) - 1,
		};
		int fd;

		snprintf(path, sizeof(path), "/dev/dri/card%d", i);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (!request(fd, DRM_IOCTL_VERSION, &version) &&
		    !strcmp(name, "vgem"))
			return fd;
		close(fd);
	}
	return -1;
}

static inline int open_vgem(void)
{
	int fd = find_vgem();

	if (fd < 0)
		fail_msg("no vgem: run with vm/run --modprobe vgem");
	return fd;
}

/* For reading only, unless DRM_RDWR is among the flags. */
static inline int export_from_vgem(int vgem, size_t size, __u32 flags)
{
	struct drm_mode_create_dumb dumb = {
		.width = PAGE / 4, .height = size / PAGE, .bpp = 32,
	};
	struct drm_prime_handle prime = { .flags = DRM_CLOEXEC | flags };

	expect(request(vgem, DRM_IOCTL_MODE_CREATE_DUMB, &dumb), 0);
	expect(dumb.size, size);
	prime.handle = dumb.handle;
	expect(request(vgem, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime), 0);
	return prime.fd;
}

static inline long import_into_vgem(int vgem, int fd, __u32 *handle)
{
	struct drm_prime_handle prime = { .fd = fd };
	long ret = request(vgem, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime);

	*handle = prime.handle;
	return ret;
}

/* Its fences, which Debian has no header for. They expire after 10 seconds. */
struct vgem_attach {
	__u32 handle;
	__u32 flags;
	__u32 fence;
	__u32 pad;
};

struct vgem_signal {
	__u32 fence;
	__u32 flags;
};

#define VGEM_WRITE	1
#define VGEM_ATTACH	DRM_IOWR(DRM_COMMAND_BASE + 1, struct vgem_attach)
#define VGEM_SIGNAL	DRM_IOW(DRM_COMMAND_BASE + 2, struct vgem_signal)

/* Somebody works on the buffer from now on, until the fence is signalled. */
static inline __u32 attach_fence(int vgem, __u32 handle, __u32 flags)
{
	struct vgem_attach attach = { .handle = handle, .flags = flags };

	expect(request(vgem, VGEM_ATTACH, &attach), 0);
	return attach.fence;
}

static inline long signal_fence(int vgem, __u32 fence)
{
	struct vgem_signal data = { .fence = fence };

	return request(vgem, VGEM_SIGNAL, &data);
}

/* Of the kernel's own, or -1 where it has none. */
static inline int alloc_from_dma_heap(size_t size)
{
	struct dma_heap_allocation_data data = {
		.len = size, .fd_flags = O_RDWR | O_CLOEXEC,
	};
	int heap;

	/* Without it, "system" is ours. */
	if (access("/sys/class/dma_heap", F_OK))
		return -1;
	heap = expect_ok(sys(open("/dev/dma_heap/system", O_RDWR)));
	expect(request(heap, DMA_HEAP_IOCTL_ALLOC, &data), 0);
	close(heap);
	return data.fd;
}

#endif
