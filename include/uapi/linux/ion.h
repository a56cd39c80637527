/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * /dev/ion: allocate memory and share it as dma-buf file descriptors.
 *
 * Two generations of requests, both served at the same time: the handle ABI
 * (Linux 3.0 to 4.11), in which an open file owns handles to buffers, and the
 * descriptor ABI (Linux 4.12 to 5.10), in which an allocation is a descriptor.
 *
 * ION_DESCRIPTOR_ABI, defined before this file is included, gives the second
 * one the names that the headers of 4.12 to 5.10 had. ION_POINTER_HANDLES gives
 * handles the type that they had before 3.11, struct ion_handle *.
 */
#ifndef _UAPI_LINUX_ION_H
#define _UAPI_LINUX_ION_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * enum ion_heap_type - what kind of memory a heap gives
 * @ION_HEAP_TYPE_SYSTEM: single pages and larger runs, not contiguous
 * @ION_HEAP_TYPE_SYSTEM_CONTIG: one physically contiguous run of pages
 * @ION_HEAP_TYPE_CARVEOUT: a region set aside at boot
 * @ION_HEAP_TYPE_CHUNK: such a region, in chunks of one size
 * @ION_HEAP_TYPE_DMA: contiguous memory from the DMA API
 * @ION_HEAP_TYPE_CUSTOM: a heap of another module
 *
 * The id of the first heap of a type is the type's number.
 */
enum ion_heap_type {
	ION_HEAP_TYPE_SYSTEM,
	ION_HEAP_TYPE_SYSTEM_CONTIG,
	ION_HEAP_TYPE_CARVEOUT,
	ION_HEAP_TYPE_CHUNK,
	ION_HEAP_TYPE_DMA,
	ION_HEAP_TYPE_CUSTOM,
};

/* For programs of old: there may be as many heaps as there are ids. */
#define ION_NUM_HEAPS			16
#define ION_NUM_HEAP_IDS		32
#define MAX_HEAP_NAME			32

#define ION_HEAP_SYSTEM_MASK		(1 << ION_HEAP_TYPE_SYSTEM)
#define ION_HEAP_SYSTEM_CONTIG_MASK	(1 << ION_HEAP_TYPE_SYSTEM_CONTIG)
#define ION_HEAP_CARVEOUT_MASK		(1 << ION_HEAP_TYPE_CARVEOUT)
#define ION_HEAP_TYPE_DMA_MASK		(1 << ION_HEAP_TYPE_DMA)

/* CPU mappings are cached; without it they are write-combined, all of them. */
#define ION_FLAG_CACHED			1
/*
 * The caller does the cache maintenance, with ION_IOC_SYNC. Kept with the
 * buffer, for programs of old: it changes nothing.
 */
#define ION_FLAG_CACHED_NEEDS_SYNC	2

#define ION_IOC_MAGIC			'I'

typedef int ion_user_handle_t;

#ifdef ION_POINTER_HANDLES
struct ion_handle;
typedef struct ion_handle *__ion_handle_t;
#else
typedef ion_user_handle_t __ion_handle_t;
#endif

#ifdef ION_DESCRIPTOR_ABI
#define ion_new_allocation_data		ion_allocation_data
#define ION_IOC_ALLOC			ION_IOC_NEW_ALLOC
#else

/**
 * struct ion_allocation_data - argument of ION_IOC_ALLOC
 * @len: bytes wanted; the buffer is that, rounded up to a page
 * @align: alignment wanted in bytes, a power of two; 0 means a page
 * @heap_id_mask: heaps to try, 1 << id each, the highest id first
 * @flags: ION_FLAG_*, kept with the buffer
 * @handle: returns the handle
 */
struct ion_allocation_data {
	__kernel_size_t len;
	__kernel_size_t align;
#ifdef ION_POINTER_HANDLES
	union {
		unsigned int heap_mask;
		unsigned int heap_id_mask;
	};
#else
	unsigned int heap_id_mask;
#endif
	unsigned int flags;
	__ion_handle_t handle;
};

/*
 * Allocate a buffer. ENODEV: no heap of the mask exists; EINVAL: the length is 0
 * or overflows, or no heap can align so; ENOMEM: no heap has room, the length is
 * over half of RAM (unless the heap's memory was set aside), or a limit of
 * ion.ko is reached; EINTR: the process is being killed; ENFILE.
 */
#define ION_IOC_ALLOC	_IOWR(ION_IOC_MAGIC, 0, struct ion_allocation_data)
#endif

/**
 * struct ion_fd_data - argument of ION_IOC_MAP, SHARE, IMPORT and SYNC
 * @handle: a handle of this open file
 * @fd: a dma-buf descriptor
 */
struct ion_fd_data {
	__ion_handle_t handle;
	int fd;
};

/**
 * struct ion_handle_data - argument of ION_IOC_FREE
 * @handle: a handle of this open file
 */
struct ion_handle_data {
	__ion_handle_t handle;
};

/**
 * struct ion_custom_data - argument of ION_IOC_CUSTOM
 * @cmd: the platform's request
 * @arg: its argument
 */
struct ion_custom_data {
	unsigned int cmd;
	unsigned long arg;
};

/* Give back one reference to a handle. EINVAL: this file does not hold it. */
#define ION_IOC_FREE	_IOWR(ION_IOC_MAGIC, 1, struct ion_handle_data)
/* Both return a new dma-buf descriptor for a handle. */
#define ION_IOC_MAP	_IOWR(ION_IOC_MAGIC, 2, struct ion_fd_data)
#define ION_IOC_SHARE	_IOWR(ION_IOC_MAGIC, 4, struct ion_fd_data)
/* Return a handle for a dma-buf descriptor, whoever exported the buffer. */
#define ION_IOC_IMPORT	_IOWR(ION_IOC_MAGIC, 5, struct ion_fd_data)
/* A platform's own request. ENOTTY where there is none. */
#define ION_IOC_CUSTOM	_IOWR(ION_IOC_MAGIC, 6, struct ion_custom_data)
/* Make what the CPU wrote to a dma-buf descriptor visible to devices. */
#define ION_IOC_SYNC	_IOWR(ION_IOC_MAGIC, 7, struct ion_fd_data)

/**
 * struct ion_new_allocation_data - argument of ION_IOC_NEW_ALLOC
 * @len: bytes wanted; the buffer is that, rounded up to a page
 * @heap_id_mask: heaps to try, 1 << id each, the highest id first
 * @flags: ION_FLAG_*, kept with the buffer
 * @fd: returns the dma-buf descriptor
 * @unused: ignored
 */
struct ion_new_allocation_data {
	__u64 len;
	__u32 heap_id_mask;
	__u32 flags;
	__u32 fd;
	__u32 unused;
};

/**
 * struct ion_heap_data - one heap, as ION_IOC_HEAP_QUERY tells it
 * @name: its name, always terminated
 * @type: enum ion_heap_type
 * @heap_id: its bit in a mask
 * @reserved0: 0
 * @reserved1: 0
 * @reserved2: 0
 */
struct ion_heap_data {
	char name[MAX_HEAP_NAME];
	__u32 type;
	__u32 heap_id;
	__u32 reserved0;
	__u32 reserved1;
	__u32 reserved2;
};

/**
 * struct ion_heap_query - argument of ION_IOC_HEAP_QUERY
 * @cnt: entries that @heaps has room for; returns how many were written, or
 *	with @heaps 0 how many heaps there are
 * @reserved0: must be 0
 * @heaps: address of an array of struct ion_heap_data, or 0
 * @reserved1: must be 0
 * @reserved2: must be 0
 */
struct ion_heap_query {
	__u32 cnt;
	__u32 reserved0;
	__u64 heaps;
	__u32 reserved1;
	__u32 reserved2;
};

#define ION_IOC_NEW_ALLOC \
	_IOWR(ION_IOC_MAGIC, 0, struct ion_new_allocation_data)
#define ION_IOC_HEAP_QUERY \
	_IOWR(ION_IOC_MAGIC, 8, struct ion_heap_query)
/* 2 or more: heaps may come as modules. */
#define ION_IOC_ABI_VERSION \
	_IOR(ION_IOC_MAGIC, 9, __u32)

/**
 * struct ion_sync_range_data - argument of ION_IOC_SYNC_RANGE
 * @fd: a dma-buf descriptor
 * @flags: DMA_BUF_SYNC_START or DMA_BUF_SYNC_END with DMA_BUF_SYNC_READ,
 *	DMA_BUF_SYNC_WRITE or DMA_BUF_SYNC_RW, of <linux/dma-buf.h>
 * @offset: where in the buffer the range starts, in bytes
 * @len: how long it is, in bytes, not 0
 */
struct ion_sync_range_data {
	__s32 fd;
	__u32 flags;
	__u64 offset;
	__u64 len;
};

/*
 * Begin or end CPU access to a part of a buffer: what DMA_BUF_IOCTL_SYNC does,
 * at the cost of the part. What is outside is neither brought from devices nor
 * made visible to them. Another driver's buffer is begun and ended as a whole.
 * EBADF: no open file; EINVAL: no dma-buf, other flags, or no part of it; EINTR:
 * a signal came while it waited for fences.
 */
#define ION_IOC_SYNC_RANGE \
	_IOW(ION_IOC_MAGIC, 10, struct ion_sync_range_data)

#endif
