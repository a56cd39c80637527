/* SPDX-License-Identifier: MIT */
/*
 * libion: allocate buffers from /dev/ion and share them.
 *
 * Every function returns 0 or a descriptor on success and a negative errno on
 * failure, and sets no out parameter on failure. A null out parameter is
 * -EINVAL, a closed descriptor -EBADF, an open one that is no ION client
 * -ENOTTY or -EINVAL. All may be called from several threads at once.
 */
#ifndef ION_ION_H
#define ION_ION_H

#include <stddef.h>
#include <sys/types.h>

#include <linux/ion.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * ion_open() - become a client of /dev/ion
 *
 * Return: a descriptor, close-on-exec, to be closed with ion_close(). -ENOENT
 * if the kernel has no ION, -EACCES without permission, or what open(2) says.
 */
int ion_open(void);

int ion_open_backend(const char *name);
const char *ion_backend(int fd);
int ion_probe_backend(const char *name, char *why, size_t size);
const char *ion_backend_name(unsigned int i);

/**
 * ion_close() - end a client and drop all its handles
 * @fd: from ion_open(); not valid afterwards
 *
 * Buffers that were shared live on as long as somebody holds a descriptor.
 *
 * Return: 0, -EBADF.
 */
int ion_close(int fd);

/**
 * ion_alloc() - allocate a buffer
 * @fd: from ion_open()
 * @len: bytes, rounded up to a page; the memory is zero
 * @align: alignment in bytes, a power of two; 0 means a page
 * @heap_mask: heaps to try, the highest id first: ION_HEAP_*_MASK, or 1 << id
 *	as ion_query_get_heaps() tells it
 * @flags: ION_FLAG_*; other bits are kept and mean nothing
 * @handle: returns a handle that only @fd knows, to be freed with ion_free()
 *
 * Return: 0. -EINVAL: @len is 0 or overflows, or no heap can give @align;
 * -ENODEV: no heap of the mask exists; -ENOMEM: none has room, @len is over
 * half of RAM (unless the heap's memory was set aside), or a limit of ion.ko is
 * reached; -EINTR: the process is being killed; -ENFILE: the system has no more
 * files.
 */
int ion_alloc(int fd, size_t len, size_t align, unsigned int heap_mask,
	      unsigned int flags, ion_user_handle_t *handle);

/**
 * ion_alloc_fd() - allocate a buffer and get a descriptor instead of a handle
 * @fd: from ion_open()
 * @len: see ion_alloc()
 * @align: see ion_alloc()
 * @heap_mask: see ion_alloc()
 * @flags: see ion_alloc()
 * @handle_fd: returns a dma-buf descriptor, close-on-exec; close(2) it
 *
 * Return: as ion_alloc(), or -EMFILE.
 */
int ion_alloc_fd(int fd, size_t len, size_t align, unsigned int heap_mask,
		 unsigned int flags, int *handle_fd);

/**
 * ion_sync_fd() - make what the CPU wrote visible to devices
 * @fd: from ion_open()
 * @handle_fd: a dma-buf descriptor
 *
 * Return: 0. -EBADF: @handle_fd is not open; -EINVAL: it is no dma-buf.
 */
int ion_sync_fd(int fd, int handle_fd);

/**
 * ion_sync_range() - begin or end CPU access to a part of a buffer
 * @fd: from ion_open()
 * @handle_fd: a dma-buf descriptor
 * @offset: where the part starts, in bytes
 * @len: how long it is, in bytes, not 0
 * @flags: DMA_BUF_SYNC_START before and DMA_BUF_SYNC_END after the access, with
 *	DMA_BUF_SYNC_READ, DMA_BUF_SYNC_WRITE or DMA_BUF_SYNC_RW
 *
 * For those who touch 4 KiB of a 16 MiB frame: what DMA_BUF_IOCTL_SYNC does for
 * the whole buffer, at the cost of the part. It waits for the buffer's fences.
 * Another driver's buffer is begun and ended as a whole.
 *
 * Return: 0. -EBADF: @handle_fd is not open; -EINVAL: it is no dma-buf, the
 * part is not in the buffer, or @flags are others; -EINTR; -ENOTTY: the kernel's
 * ION does not know the request.
 */
int ion_sync_range(int fd, int handle_fd, __u64 offset, __u64 len,
		   unsigned int flags);

/**
 * ion_free() - give back one reference to a handle
 * @fd: from ion_open()
 * @handle: one of its handles
 *
 * Return: 0. -EINVAL: the client does not hold @handle.
 */
int ion_free(int fd, ion_user_handle_t handle);

/**
 * ion_map() - map a buffer
 * @fd: from ion_open()
 * @handle: one of its handles
 * @length: bytes to map
 * @prot: PROT_* of mmap(2)
 * @flags: MAP_* of mmap(2); MAP_SHARED, a private mapping is refused
 * @offset: where in the buffer to start, a multiple of the page size
 * @ptr: returns the address, chosen as ion_map_fd() does; munmap(2) it
 * @map_fd: returns a dma-buf descriptor; close(2) it
 *
 * Return: 0. -EINVAL: the client does not hold @handle, or the range is not in
 * the buffer; -EMFILE; or what mmap(2) says. No descriptor is left behind on
 * failure.
 */
int ion_map(int fd, ion_user_handle_t handle, size_t length, int prot,
	    int flags, off_t offset, unsigned char **ptr, int *map_fd);

/**
 * ion_map_fd() - map a buffer of which there is a descriptor
 * @buffer_fd: a dma-buf descriptor, of any driver
 * @length: bytes to map
 * @prot: PROT_* of mmap(2)
 * @flags: MAP_* of mmap(2); MAP_SHARED, a private mapping is refused
 * @offset: where in the buffer to start, a multiple of the page size
 * @ptr: returns the address; munmap(2) it
 *
 * From 2 MiB on the address is one at which the kernel can map 2 MiB with one
 * entry of the page tables, which costs a 500th. mmap(2) alone finds such an
 * address by luck.
 *
 * Return: 0, or what mmap(2) says. -EINVAL: the range is not in the buffer.
 */
int ion_map_fd(int buffer_fd, size_t length, int prot, int flags, off_t offset,
	       unsigned char **ptr);

/**
 * ion_share() - get a dma-buf descriptor for a handle
 * @fd: from ion_open()
 * @handle: one of its handles
 * @share_fd: returns the descriptor, close-on-exec; close(2) it
 *
 * Return: 0. -EINVAL: the client does not hold @handle; -EMFILE.
 */
int ion_share(int fd, ion_user_handle_t handle, int *share_fd);

/**
 * ion_import() - get a handle for a dma-buf descriptor
 * @fd: from ion_open()
 * @share_fd: a dma-buf of any driver; may be closed afterwards
 * @handle: returns the handle; the same one, with one more reference, if the
 *	client holds the buffer already
 *
 * Return: 0. -EBADF: @share_fd is not open; -EINVAL: it is no dma-buf.
 */
int ion_import(int fd, int share_fd, ion_user_handle_t *handle);

/**
 * ion_query_heap_cnt() - count the heaps
 * @fd: from ion_open()
 * @cnt: returns how many there are
 *
 * Return: 0. -ENOTTY: a kernel with the handle ABI only.
 */
int ion_query_heap_cnt(int fd, int *cnt);

/**
 * ion_query_get_heaps() - describe the heaps
 * @fd: from ion_open()
 * @cnt: how many @buffers has room for, from ion_query_heap_cnt()
 * @buffers: an array of struct ion_heap_data
 *
 * Return: 0. -EINVAL: @cnt is not above 0; -ENOTTY: see ion_query_heap_cnt().
 */
int ion_query_get_heaps(int fd, int cnt, void *buffers);

/**
 * ion_is_legacy() - does the kernel speak the handle ABI?
 * @fd: from ion_open()
 *
 * Return: 1 if it does, which our ion.ko always does; 0 if it only speaks the
 * descriptor ABI or @fd is not open. It is for ION clients: of another driver's
 * descriptor it may say either.
 */
int ion_is_legacy(int fd);

/**
 * ion_is_using_modular_heaps() - may heaps come as modules?
 * @fd: from ion_open()
 *
 * Return: 1 if so, which means that heap ids must be asked for; 0 if not.
 */
int ion_is_using_modular_heaps(int fd);

#ifdef __cplusplus
}
#endif

#endif
