/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ION_HEAP_H
#define _ION_HEAP_H

#include <linux/gfp.h>
#include <linux/scatterlist.h>
#include <linux/types.h>
#include <uapi/linux/ion.h>

/* For what describes a buffer: it grows with it, and may be refused like it. */
#define ION_TABLE_GFP (GFP_KERNEL | __GFP_NOWARN | __GFP_RETRY_MAYFAIL)

struct ion_heap;
struct module;

/**
 * struct ion_heap_ops - a heap gives memory and takes it back, nothing else
 * @allocate: fill an empty sg_table with zeroed pages. @len is a multiple of
 *	PAGE_SIZE and at most half of RAM, @align a power of two. Returns
 *	-EINVAL if the heap cannot give @align, -ENOMEM if it has no room,
 *	-EINTR if the process is being killed, and keeps nothing then.
 * @free: take back what @allocate gave, the sg_table's own memory too
 *
 * Both may sleep and are called without a lock, several at once.
 */
struct ion_heap_ops {
	int (*allocate)(struct ion_heap *heap, struct sg_table *table,
			size_t len, size_t align);
	void (*free)(struct ion_heap *heap, struct sg_table *table);
};

/**
 * struct ion_heap - where memory comes from
 * @name: the name that callers look for
 * @node: the same for /dev/dma_heap, where it comes after "ion_"
 * @type: enum ion_heap_type
 * @id: its bit in a heap mask, below ION_NUM_HEAP_IDS
 * @contiguous: every buffer is one physically contiguous run
 * @ops: its operations
 * @owner: the module that its buffers pin
 */
struct ion_heap {
	const char *name;
	const char *node;
	enum ion_heap_type type;
	unsigned int id;
	bool contiguous;
	const struct ion_heap_ops *ops;
	struct module *owner;
};

extern struct ion_heap ion_system_heap;
extern struct ion_heap ion_contig_heap;

void ion_heap_add(struct ion_heap *heap);
struct ion_heap *ion_heap_get(unsigned int id);
void ion_heap_put(struct ion_heap *heap);
unsigned int ion_heap_query(struct ion_heap_data *data, unsigned int cnt);

#endif
