/* SPDX-License-Identifier: MIT */
/*
 * libion: allocate buffers and share them, from /dev/ion or, where there is
 * none, from what else the kernel has.
 *
 * Every function returns 0 or a descriptor on success and a negative errno on
 * failure, and sets no out parameter on failure. A null out parameter is
 * -EINVAL, a closed descriptor -EBADF, an open one that is no ION client
 * -ENOTTY or -EINVAL, but ion_close() closes it. All may be called from several
 * threads at once. None from a signal handler, nor fork(2) from one that may
 * interrupt them. 32-bit programs are to be compiled with the _FILE_OFFSET_BITS
 * that the library was: off_t is one of its arguments.
 *
 * Backends, in the order in which ion_open() tries them:
 *
 *	"ion"		/dev/ion
 *	"dma-heap"	/dev/dma_heap/NAME
 *	"udmabuf"	/dev/udmabuf: dma-bufs of ordinary memory
 *	"memfd"		memory that processes can share, on any machine
 *
 * The calls, their errors and the rules of handles are the same on all of them.
 * What differs:
 *
 *				ion	dma-heap	udmabuf		memfd
 *	a buffer is a		dma-buf	dma-buf		dma-buf		memfd (1)
 *	imports any		dma-buf	dma-buf		dma-buf		memfd (1)
 *	heaps			its own	the kernel's(2)	system		system
 *	alignment		heap's	a page		a page		a page
 *	largest buffer		half of	half of RAM	64 MiB on	half of
 *				RAM (3)			old kernels(4)	RAM (6)
 *	without ION_FLAG_CACHED	write-	cached		cached		cached
 *				combined
 *	descriptors per client	1	2, and heaps	3		2
 *	descriptors per handle	none	1 (5)		1 (5)		1 (5)
 *	ion_sync_range()	a part	the whole	the whole	nothing to do
 *
 * (1) No driver takes it, and what only dma-bufs have, DMA_BUF_IOCTL_SYNC and
 *	the like, is ENOTTY. Its size is sealed, and sealed so, and whole pages,
 *	it has to be to be imported. That a device has no part in it makes
 *	ion_sync_fd() and ion_sync_range() succeed without having anything to do.
 * (2) "system" is ion_system_heap, id 0; "linux,cma", "reserved" or
 *	"default_cma_region", the first that is there, is linux,cma, id 4; and
 *	ion.ko's nodes are what they are for /dev/ion, if that is not taken.
 *	All others have their node's name and ids from 6 up, those above first
 *	and then by name. Heaps are found when the client is opened.
 * (3) Unless its memory was set aside; and ion.ko has limits that can be set.
 * (4) size_limit_mb of udmabuf; more is -ENOMEM. And see (6). Where devices need
 *	bounce buffers, the kernel does not bring what they wrote to udmabuf's memory.
 * (5) Of the process's own: so ion_alloc() and ion_import() can be -EMFILE.
 * (6) And RLIMIT_FSIZE, see getrlimit(2); more is -ENOMEM. With less than a page
 *	"memfd" cannot be opened at all.
 *
 * On all but "ion" the client lives in this process, and its descriptor, which
 * stands for it, is no device: requests of <linux/ion.h> are ENOTTY to it, and in
 * another process, or in a program that was started by this one, it means
 * nothing. It can be duplicated and it is close-on-exec. As with a file, the
 * client ends when the last duplicate is closed; but unless that is done by
 * ion_close(), its buffers are given back late: at the next ion_open() or
 * ion_close(), or at exit. After fork(2) both processes go on, each with handles
 * of its own that begin as the same. In both, ion_close() of the last duplicate
 * that the process has ends its client, where there is /proc; close(2) does not
 * while the other process has one open. If other threads are in calls of the
 * library just then, the child may keep some of the library's own descriptors, of
 * buffers that were about to get a handle or to be given back, which nothing
 * closes there before execve(2) or the end.
 *
 * A client's own descriptors are not for the program to close. After closefrom(3)
 * or the like the client is gone, and its descriptor, if that was spared, is that
 * of no client. That is told by one of them: who closes others of them one by one
 * makes the library take for its own what is opened by their numbers.
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
 * ion_open() - become a client of ION, or of what there is
 *
 * Takes the first backend that can be used here: one that is missing, or that
 * may not be opened, is passed over, and so is "dma-heap" where its system heap is
 * missing or may not be opened. If the environment has ION_BACKEND, and it
 * is not empty, it is the backend of that name or an error; it is ignored where
 * secure_getenv(3) ignores it.
 *
 * Return: a descriptor, close-on-exec, to be closed with ion_close(). -EMFILE,
 * -ENFILE, -ENOMEM: there is a shortage, for which no other backend is taken;
 * -EINVAL: ION_BACKEND is none of the names; or as ion_open_backend().
 */
int ion_open(void);

/**
 * ion_open_backend() - become a client of that backend
 * @name: one of ion_backend_name(), or NULL, which is ion_open()
 *
 * Return: as ion_open(). -EINVAL: there is no such name; -ENOENT: the kernel has
 * it not; -EACCES: without permission; or what open(2) says.
 */
int ion_open_backend(const char *name);

/**
 * ion_backend() - which backend a client has
 * @fd: from ion_open()
 *
 * Return: the name, which stays valid; NULL if @fd is no client.
 */
const char *ion_backend(int fd);

/**
 * ion_backend_name() - the names of the backends
 * @i: 0, 1, ...
 *
 * Return: the name of the @i-th that ion_open() tries; NULL after the last.
 */
const char *ion_backend_name(unsigned int i);

/**
 * ion_probe_backend() - can a backend be used here, and if not, why?
 * @name: one of ion_backend_name()
 * @why: returns a sentence, also on failure: what it is, or why it cannot be
 *	used; may be NULL
 * @size: room in @why, in bytes; a longer sentence is cut
 *
 * Return: 0 if it can be used, though ion_open() may pass it over; -EINVAL: there
 * is no such name; or as ion_open_backend().
 */
int ion_probe_backend(const char *name, char *why, size_t size);

/**
 * ion_close() - end a client and drop all its handles
 * @fd: from ion_open(); not valid afterwards
 *
 * The client lives on while there is a duplicate of @fd. Buffers that were shared
 * live on as long as somebody holds a descriptor. A call of another thread that
 * is under way is not waited for: it goes on with the client, which then ends
 * when it has returned, or it is -EBADF; and as with close(2) it may meet what
 * that number is next. A descriptor that is no client is closed, too, and that is
 * no error.
 *
 * Return: 0. -EBADF: @fd is not open.
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
 * files; -EMFILE: see above, of backends.
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
 * @handle_fd: returns a descriptor of the buffer, close-on-exec; close(2) it
 *
 * Return: as ion_alloc(), or -EMFILE.
 */
int ion_alloc_fd(int fd, size_t len, size_t align, unsigned int heap_mask,
		 unsigned int flags, int *handle_fd);

/**
 * ion_sync_fd() - make what the CPU wrote visible to devices
 * @fd: from ion_open()
 * @handle_fd: a descriptor of a buffer
 *
 * For a buffer of another driver's it may wait for its fences.
 *
 * Return: 0. -EBADF: @handle_fd is not open; -EINVAL: it is no buffer that @fd
 * could import; -EINTR: a signal came while it waited.
 */
int ion_sync_fd(int fd, int handle_fd);

/**
 * ion_sync_range() - begin or end CPU access to a part of a buffer
 * @fd: from ion_open()
 * @handle_fd: a descriptor of a buffer
 * @offset: where the part starts, in bytes
 * @len: how long it is, in bytes, not 0
 * @flags: DMA_BUF_SYNC_START before and DMA_BUF_SYNC_END after the access, with
 *	DMA_BUF_SYNC_READ, DMA_BUF_SYNC_WRITE or DMA_BUF_SYNC_RW
 *
 * For those who touch 4 KiB of a 16 MiB frame: what DMA_BUF_IOCTL_SYNC does for
 * the whole buffer, at the cost of the part. To begin waits for its fences.
 * Another driver's buffer is begun and ended as a whole.
 *
 * Return: 0. -EBADF: @handle_fd is not open; -EINVAL: it is no buffer that @fd
 * could import, the part is not in the buffer, or @flags are others; -EINTR;
 * -ENOTTY: the kernel's ION does not know the request.
 */
int ion_sync_range(int fd, int handle_fd, __u64 offset, __u64 len,
		   unsigned int flags);

/**
 * ion_free() - give back one reference to a handle
 * @fd: from ion_open()
 * @handle: one of its handles
 *
 * What was freed is not taken for a later handle before 2^30 others were made.
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
 * @map_fd: returns a descriptor of the buffer, close-on-exec; close(2) it
 *
 * Return: 0. -EINVAL: the client does not hold @handle, or the range is not in
 * the buffer, or @flags are refused (ion_map_fd()); -EMFILE; or what mmap(2)
 * says. No descriptor is left behind on failure.
 */
int ion_map(int fd, ion_user_handle_t handle, size_t length, int prot,
	    int flags, off_t offset, unsigned char **ptr, int *map_fd);

/**
 * ion_map_fd() - map a buffer of which there is a descriptor
 * @buffer_fd: a dma-buf descriptor, of any driver, or a memfd of libion's
 * @length: bytes to map
 * @prot: PROT_* of mmap(2)
 * @flags: MAP_* of mmap(2); MAP_SHARED, a private mapping is refused
 * @offset: where in the buffer to start, a multiple of the page size
 * @ptr: returns the address; munmap(2) it
 *
 * From 2 MiB on the address is one at which the kernel can map 2 MiB with one
 * entry of the page tables, which costs a 500th. mmap(2) alone finds such an
 * address by luck. Where threads map at the same time it may be any address.
 *
 * Return: 0, or what mmap(2) says. -EINVAL: the range is not in the buffer, or
 * @flags are not those of a shared mapping, or have MAP_FIXED,
 * MAP_FIXED_NOREPLACE or MAP_ANONYMOUS. The range of a memfd is not looked at in
 * a process that has opened "ion", and neither "memfd" nor a struct ion_buffer of
 * a memfd: mmap(2) maps it, and what is not in the memfd is SIGBUS to touch.
 */
int ion_map_fd(int buffer_fd, size_t length, int prot, int flags, off_t offset,
	       unsigned char **ptr);

/**
 * ion_share() - get a descriptor for a handle
 * @fd: from ion_open()
 * @handle: one of its handles
 * @share_fd: returns the descriptor, close-on-exec; close(2) it
 *
 * Return: 0. -EINVAL: the client does not hold @handle; -EMFILE.
 */
int ion_share(int fd, ion_user_handle_t handle, int *share_fd);

/**
 * ion_import() - get a handle for a buffer's descriptor
 * @fd: from ion_open()
 * @share_fd: a dma-buf of any driver, or see above, of backends; may be closed
 *	afterwards
 * @handle: returns the handle; the same one, with one more reference, if the
 *	client holds the buffer already
 *
 * Return: 0. -EBADF: @share_fd is not open; -EINVAL: it is no dma-buf, or for a
 * client of memfds no such memfd; -EMFILE: see above; -ENOMEM.
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
 * ion_is_legacy() - does the client speak the handle ABI?
 * @fd: from ion_open()
 *
 * Return: 1 if it does, which our ion.ko and the library always do; 0 if it only
 * speaks the descriptor ABI or @fd is not open. It is for ION clients: of another
 * driver's descriptor it may say either.
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
