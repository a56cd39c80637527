// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <ion/ion.h>

static int request(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) < 0 ? -errno : 0;
}

int ion_open(void)
{
	int fd = open("/dev/ion", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int ion_close(int fd)
{
	return close(fd) < 0 ? -errno : 0;
}

int ion_alloc(int fd, size_t len, size_t align, unsigned int heap_mask,
	      unsigned int flags, ion_user_handle_t *handle)
{
	struct ion_allocation_data data = {
		.len = len,
		.align = align,
		.heap_id_mask = heap_mask,
		.flags = flags,
	};
	int ret;

	if (!handle)
		return -EINVAL;
	ret = request(fd, ION_IOC_ALLOC, &data);
	if (!ret)
		*handle = data.handle;
	return ret;
}

int ion_alloc_fd(int fd, size_t len, size_t align, unsigned int heap_mask,
		 unsigned int flags, int *handle_fd)
{
	ion_user_handle_t handle;
	int ret;

	if (!handle_fd)
		return -EINVAL;
	ret = ion_alloc(fd, len, align, heap_mask, flags, &handle);
	if (ret)
		return ret;
	ret = ion_share(fd, handle, handle_fd);
	ion_free(fd, handle);
	return ret;
}

int ion_sync_fd(int fd, int handle_fd)
{
	struct ion_fd_data data = { .fd = handle_fd };

	return request(fd, ION_IOC_SYNC, &data);
}

int ion_sync_range(int fd, int handle_fd, __u64 offset, __u64 len,
		   unsigned int flags)
{
	struct ion_sync_range_data data = {
		.fd = handle_fd,
		.flags = flags,
		.offset = offset,
		.len = len,
	};

	return request(fd, ION_IOC_SYNC_RANGE, &data);
}

int ion_free(int fd, ion_user_handle_t handle)
{
	struct ion_handle_data data = { .handle = handle };

	return request(fd, ION_IOC_FREE, &data);
}

static int get_fd(int fd, unsigned long cmd, ion_user_handle_t handle,
		  int *out)
{
	struct ion_fd_data data = { .handle = handle };
	int ret = request(fd, cmd, &data);

	if (!ret)
		*out = data.fd;
	return ret;
}

int ion_map(int fd, ion_user_handle_t handle, size_t length, int prot,
	    int flags, off_t offset, unsigned char **ptr, int *map_fd)
{
	int buffer_fd, ret;
	void *addr;

	if (!ptr || !map_fd)
		return -EINVAL;
	ret = get_fd(fd, ION_IOC_MAP, handle, &buffer_fd);
	if (ret)
		return ret;
	addr = mmap(NULL, length, prot, flags, buffer_fd, offset);
	if (addr == MAP_FAILED) {
		ret = -errno;
		close(buffer_fd);
		return ret;
	}
	*ptr = addr;
	*map_fd = buffer_fd;
	return 0;
}

int ion_share(int fd, ion_user_handle_t handle, int *share_fd)
{
	if (!share_fd)
		return -EINVAL;
	return get_fd(fd, ION_IOC_SHARE, handle, share_fd);
}

int ion_import(int fd, int share_fd, ion_user_handle_t *handle)
{
	struct ion_fd_data data = { .fd = share_fd };
	int ret;

	if (!handle)
		return -EINVAL;
	ret = request(fd, ION_IOC_IMPORT, &data);
	if (!ret)
		*handle = data.handle;
	return ret;
}

int ion_query_heap_cnt(int fd, int *cnt)
{
	struct ion_heap_query query = { 0 };
	int ret;

	if (!cnt)
		return -EINVAL;
	ret = request(fd, ION_IOC_HEAP_QUERY, &query);
	if (!ret)
		*cnt = query.cnt;
	return ret;
}

int ion_query_get_heaps(int fd, int cnt, void *buffers)
{
	struct ion_heap_query query = {
		.cnt = cnt,
		.heaps = (uintptr_t)buffers,
	};

	if (cnt <= 0 || !buffers)
		return -EINVAL;
	return request(fd, ION_IOC_HEAP_QUERY, &query);
}

int ion_is_legacy(int fd)
{
	int ret = ion_free(fd, 0);

	return ret != -ENOTTY && ret != -EBADF;
}

int ion_is_using_modular_heaps(int fd)
{
	__u32 version;

	return !request(fd, ION_IOC_ABI_VERSION, &version) && version >= 2;
}
