// SPDX-License-Identifier: MIT
/*
 * The calls, as requests to /dev/ion. What answers ENOTTY is no ION descriptor,
 * and may be a client that lives in the library: so /dev/ion pays nothing for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

/* What one entry of a process's page tables can map instead of a page. */
#define LARGE ((size_t)2 << 20)

#ifndef MAP_32BIT
#define MAP_32BIT 0
#endif

static int request(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) < 0 ? -errno : 0;
}

int ion_close(int fd)
{
	int ret = ion_client_close(fd);

	return ret == -ENOTTY ? ion_close_fd(fd) : ret;
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
	if (ret == -ENOTTY)
		return ion_client_alloc(fd, len, align, heap_mask, handle);
	if (!ret)
		*handle = data.handle;
	return ret;
}

int ion_alloc_fd(int fd, size_t len, size_t align, unsigned int heap_mask,
		 unsigned int flags, int *handle_fd)
{
	struct ion_new_allocation_data data = {
		.len = len,
		.heap_id_mask = heap_mask,
		.flags = flags,
	};
	ion_user_handle_t handle;
	int ret = -ENOTTY;

	if (!handle_fd)
		return -EINVAL;
	/* The descriptor ABI, in one request, knows no alignment. */
	if (align <= ion_page_size() && !(align & (align - 1)))
		ret = request(fd, ION_IOC_NEW_ALLOC, &data);
	if (!ret)
		*handle_fd = data.fd;
	if (ret != -ENOTTY)
		return ret;
	ret = ion_client_alloc_fd(fd, len, align, heap_mask, handle_fd);
	if (ret != -ENOTTY)
		return ret;
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
	int ret = request(fd, ION_IOC_SYNC, &data);

	return ret == -ENOTTY ? ion_client_sync(fd, handle_fd) : ret;
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
	int ret = request(fd, ION_IOC_SYNC_RANGE, &data);

	if (ret == -ENOTTY)
		return ion_client_sync_range(fd, handle_fd, offset, len, flags);
	return ret;
}

int ion_free(int fd, ion_user_handle_t handle)
{
	struct ion_handle_data data = { .handle = handle };
	int ret = request(fd, ION_IOC_FREE, &data);

	return ret == -ENOTTY ? ion_client_free(fd, handle) : ret;
}

static int get_fd(int fd, unsigned long cmd, ion_user_handle_t handle,
		  int *out)
{
	struct ion_fd_data data = { .handle = handle };
	int ret = request(fd, cmd, &data);

	if (ret == -ENOTTY)
		return ion_client_share(fd, handle, out);
	if (!ret)
		*out = data.fd;
	return ret;
}

static bool is_large(const void *addr, off_t offset)
{
	return (uintptr_t)addr % LARGE == (uintptr_t)offset % LARGE;
}

/*
 * In the middle of what is surely large enough, unless another thread takes that
 * meanwhile. Nothing is mapped with MAP_FIXED, which could be over its mapping.
 */
static void *map_large(int fd, size_t length, int prot, int flags, off_t offset)
{
	size_t room = length + LARGE;
	char *start, *addr;

	if (room < length)
		return MAP_FAILED;
	start = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (start == MAP_FAILED)
		return MAP_FAILED;
	munmap(start, room);
	start += ((uintptr_t)offset - (uintptr_t)start) % LARGE;
	addr = mmap(start, length, prot, flags, fd, offset);
	if (addr == MAP_FAILED || is_large(addr, offset))
		return addr;
	munmap(addr, length);
	return MAP_FAILED;
}

static void *map(int fd, size_t length, int prot, int flags, off_t offset)
{
	/*
	 * Where the last one was, if it was large, or else the last small one:
	 * as likely as not that is free again, and found sooner.
	 */
	static _Atomic uintptr_t lasts[2];
	bool large = length >= LARGE;
	uintptr_t hint = lasts[large];
	void *addr, *better;

	if (flags & MAP_32BIT)
		return mmap(NULL, length, prot, flags, fd, offset);

	if (hint && large)
		hint += (uintptr_t)offset % LARGE;
	addr = mmap((void *)hint, length, prot, flags, fd, offset);
	if (addr == MAP_FAILED)
		return addr;
	if (large && !is_large(addr, offset)) {
		better = map_large(fd, length, prot, flags, offset);
		if (better == MAP_FAILED)
			return addr;
		munmap(addr, length);
		addr = better;
	}
	lasts[large] = large ? (uintptr_t)addr & -LARGE : (uintptr_t)addr;
	return addr;
}

/* There is no address to be fixed, and a buffer is neither private nor nameless. */
static bool is_mappable(int flags)
{
	int type = flags & MAP_TYPE;

	return (type == MAP_SHARED || type == MAP_SHARED_VALIDATE) &&
	       !(flags & (MAP_FIXED | MAP_FIXED_NOREPLACE | MAP_ANONYMOUS));
}

/*
 * Of a memfd more could be mapped than it has, and what touches that is killed.
 * What is before its start mmap(2) refuses by another error than a dma-buf's.
 */
static bool is_beyond(int fd, size_t length, off_t offset)
{
	struct stat st;

	if (offset < 0)
		return true;
	if (!ion_memfd_expected() || fcntl(fd, F_GET_SEALS) < 0 ||
	    fstat(fd, &st))
		return false;
	return offset > st.st_size ||
	       ion_page_up(length) > (__u64)(st.st_size - offset);
}

int ion_map_fd(int buffer_fd, size_t length, int prot, int flags, off_t offset,
	       unsigned char **ptr)
{
	void *addr;

	if (!ptr || !is_mappable(flags) || is_beyond(buffer_fd, length, offset))
		return -EINVAL;
	addr = map(buffer_fd, length, prot, flags, offset);
	if (addr == MAP_FAILED)
		return -errno;
	*ptr = addr;
	return 0;
}

int ion_map(int fd, ion_user_handle_t handle, size_t length, int prot,
	    int flags, off_t offset, unsigned char **ptr, int *map_fd)
{
	int buffer_fd, ret;

	if (!ptr || !map_fd)
		return -EINVAL;
	ret = get_fd(fd, ION_IOC_MAP, handle, &buffer_fd);
	if (ret)
		return ret;
	ret = ion_map_fd(buffer_fd, length, prot, flags, offset, ptr);
	if (ret)
		close(buffer_fd);
	else
		*map_fd = buffer_fd;
	return ret;
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
	if (ret == -ENOTTY)
		return ion_client_import(fd, share_fd, handle);
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
	if (ret == -ENOTTY)
		ret = ion_client_heaps(fd, NULL, 0, &query.cnt);
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

	int ret;

	if (cnt <= 0 || !buffers)
		return -EINVAL;
	ret = request(fd, ION_IOC_HEAP_QUERY, &query);
	return ret == -ENOTTY ? ion_client_heaps(fd, buffers, cnt, &query.cnt) :
				 ret;
}

int ion_is_legacy(int fd)
{
	int ret = ion_free(fd, 0);

	return ret != -ENOTTY && ret != -EBADF;
}

int ion_is_using_modular_heaps(int fd)
{
	__u32 version;

	if (ion_client_backend(fd))
		return 1;
	return !request(fd, ION_IOC_ABI_VERSION, &version) && version >= 2;
}
