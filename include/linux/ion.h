/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ION for other kernel modules: allocate and import buffers, map them into the
 * kernel and share them with user space, and add heaps. Each function is
 * described where it is, in kernel/ion/client.c and heap.c. What fails answers
 * ERR_PTR or a negative errno.
 */
#ifndef _LINUX_ION_H
#define _LINUX_ION_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/scatterlist.h>
#include <linux/types.h>
#include <uapi/linux/ion.h>

struct dentry;
struct dma_buf;
struct ion_client;
struct ion_device;
struct ion_handle;
struct ion_heap;
struct module;

struct ion_device *ion_device_get(void);

struct ion_client *ion_client_create(struct ion_device *dev,
				     unsigned int heap_mask, const char *name);
void ion_client_destroy(struct ion_client *client);

struct ion_handle *ion_alloc(struct ion_client *client, size_t len,
			     size_t align, unsigned int heap_mask,
			     unsigned int flags);
void ion_free(struct ion_client *client, struct ion_handle *handle);

int ion_phys(struct ion_client *client, struct ion_handle *handle,
	     phys_addr_t *addr, size_t *len);
void *ion_map_kernel(struct ion_client *client, struct ion_handle *handle);
void ion_unmap_kernel(struct ion_client *client, struct ion_handle *handle);
struct sg_table *ion_sg_table(struct ion_client *client,
			      struct ion_handle *handle);

int ion_begin_access(struct ion_client *client, struct ion_handle *handle);
int ion_end_access(struct ion_client *client, struct ion_handle *handle);

struct dma_buf *ion_share_dma_buf(struct ion_client *client,
				  struct ion_handle *handle);
int ion_share_dma_buf_fd(struct ion_client *client, struct ion_handle *handle);
struct ion_handle *ion_import_dma_buf(struct ion_client *client, int fd);

/**
 * struct ion_memory - what a heap gives for one buffer
 * @size: bytes wanted, a multiple of PAGE_SIZE; whatever a program asked for, so
 *	allocate with __GFP_NOWARN
 * @align: alignment wanted in bytes, a power of two, at least PAGE_SIZE
 * @cached: mappings of it will be cached; otherwise they are write-combined, and
 *	unless @combined is set, ION makes the linear map follow
 * @combined: set by a heap that gives write-combined memory itself, of which no
 *	cached mapping is left
 * @table: where it is: set by the heap, page-aligned entries of less than 4 GiB
 *	that are @size bytes in all
 * @entry: room for a table of one entry, for a heap that has no need to allocate
 *	it
 * @vaddr: where the heap keeps it mapped into the kernel, cached or not as
 *	@cached says, or NULL: then its pages are mapped when somebody asks
 * @priv: the heap's own
 *
 * What the heap sets is zero when it is asked to allocate.
 */
struct ion_memory {
	size_t size;
	size_t align;
	bool cached;
	bool combined;
	struct sg_table table;
	struct scatterlist entry;
	void *vaddr;
	void *priv;
};

/**
 * struct ion_heap_ops - a heap gives memory and takes it back, nothing else
 * @allocate: fill @mem with zeroed memory. Returns -EINVAL if the heap cannot
 *	give the alignment, -ENOMEM if it has no room, -EINTR if the process is
 *	being killed, and keeps nothing then.
 * @free: take back what @allocate gave, the sg_table's own memory too. It is not
 *	called for pages that could not be made cached again in the linear map:
 *	those, and the heap's module, then stay for good.
 * @takes: bytes of the heap that a buffer of that size and alignment takes, for
 *	the limits; at least @size. May be missing: then it is @size.
 * @pooled: bytes that the heap keeps for buffers to come; may be missing
 *
 * All may sleep and are called without a lock, several at once.
 */
struct ion_heap_ops {
	int (*allocate)(struct ion_heap *heap, struct ion_memory *mem);
	void (*free)(struct ion_heap *heap, struct ion_memory *mem);
	size_t (*takes)(struct ion_heap *heap, size_t size, size_t align);
	size_t (*pooled)(struct ion_heap *heap);
};

/**
 * struct ion_heap - where memory comes from
 * @name: the name that callers look for: letters, digits and "_-.,", no "." at
 *	the start, shorter than MAX_HEAP_NAME, no other heap's
 * @node: its name in /dev/dma_heap, where it comes after "ion_"; NULL: @name
 * @type: enum ion_heap_type
 * @contiguous: every buffer is one physically contiguous run
 * @set_aside: its memory is not in the kernel's linear map, but has page
 *	structures. @allocate maps every entry, cached or write-combined as is
 *	wanted, until @free, and sets vaddr if there is one entry. Devices that
 *	could reach it only through bounce buffers, or that see no caches and
 *	are given a cached buffer, cannot attach.
 * @ops: its operations
 * @owner: THIS_MODULE, which its buffers and open nodes pin
 * @id: its bit in a heap mask, set by ion_heap_add(): @type for the first heap
 *	of a type, from 6 up for others
 *
 * It is there for callers once its module has been loaded. ion_heap_remove()
 * answers -EBUSY while there are buffers or open nodes of it.
 */
struct ion_heap {
	const char *name;
	const char *node;
	enum ion_heap_type type;
	bool contiguous;
	bool set_aside;
	const struct ion_heap_ops *ops;
	struct module *owner;
	unsigned int id;
	/* private: */
	size_t name_len;
	atomic_t users;			/* buffers, and requests under way */
	struct mutex lock;		/* protects what follows */
	struct list_head buffers;
	unsigned long count;
	size_t bytes;
	size_t peak;
	struct dentry *debug;
};

int ion_heap_add(struct ion_heap *heap);
int ion_heap_remove(struct ion_heap *heap);

#endif
