/* SPDX-License-Identifier: MIT */
/* vgem, a driver of the kernel's with buffers and fences, and no device. */
#ifndef TESTS_VGEM_H
#define TESTS_VGEM_H

#include <libdrm/drm.h>
#include <libdrm/drm_mode.h>

#include "test.h"

/* What vgem_drm.h has, which Debian does not install. */
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

#define VGEM_WRITE 1
#define VGEM_ATTACH DRM_IOWR(DRM_COMMAND_BASE + 1, struct vgem_attach)
#define VGEM_SIGNAL DRM_IOW(DRM_COMMAND_BASE + 2, struct vgem_signal)

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

/* A descriptor of a new buffer of vgem's, a multiple of 16 KiB large. */
static inline int export_from_vgem(int vgem, size_t size)
{
	struct drm_mode_create_dumb dumb = {
		.width = PAGE, .height = size / PAGE / 4, .bpp = 32,
	};
	struct drm_prime_handle prime = { .flags = DRM_CLOEXEC | DRM_RDWR };

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

#endif
