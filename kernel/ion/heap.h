/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ION_HEAP_H
#define _ION_HEAP_H

#include <linux/gfp.h>
#include <linux/ion.h>
#include <linux/limits.h>
#include <linux/mm.h>

/* For what describes a buffer: it grows with it, and may be refused like it. */
#define ION_TABLE_GFP (GFP_KERNEL | __GFP_NOWARN | __GFP_RETRY_MAYFAIL)

/* An entry of a table has room for no more than 32 bits of length. */
#define ION_MAX_PIECE (UINT_MAX & PAGE_MASK)

/* A table of one entry: nothing can fail, and nothing is to be freed. */
static inline void ion_table_set(struct ion_memory *mem, struct page *page)
{
	sg_init_table(&mem->entry, 1);
	sg_set_page(&mem->entry, page, mem->size, 0);
	mem->table.sgl = &mem->entry;
	mem->table.nents = 1;
	mem->table.orig_nents = 1;
}

extern struct ion_heap ion_system_heap;
extern struct ion_heap ion_contig_heap;

int ion_cma_heap_init(void);
void ion_cma_heap_exit(void);
int ion_region_heaps_init(void);
int ion_region_heaps_add(void);
void ion_region_heaps_remove(void);
void ion_region_heaps_exit(void);

/**
 * struct ion_front - what shows heaps to callers or to people
 * @add: a heap comes, but ion_heap_get() does not find it yet; 0 or -errno
 * @remove: a heap goes, and nobody uses it any more
 * @node: in the list of them
 *
 * Both may sleep. They are called under the lock of the heaps.
 */
struct ion_front {
	int (*add)(struct ion_heap *heap);
	void (*remove)(struct ion_heap *heap);
	struct list_head node;
};

void ion_front_add(struct ion_front *front);
void ion_front_remove(struct ion_front *front);

struct ion_heap *ion_heap_get(unsigned int id);
void ion_heap_put(struct ion_heap *heap);
unsigned int ion_heap_query(struct ion_heap_data *data, unsigned int cnt);

#endif
