/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ION_HEAP_H
#define _ION_HEAP_H

#include <linux/gfp.h>
#include <linux/ion.h>

/* For what describes a buffer: it grows with it, and may be refused like it. */
#define ION_TABLE_GFP (GFP_KERNEL | __GFP_NOWARN | __GFP_RETRY_MAYFAIL)

extern struct ion_heap ion_system_heap;
extern struct ion_heap ion_contig_heap;
extern struct ion_heap ion_cma_heap;

int ion_region_heaps_init(void);
void ion_region_heaps_exit(void);

struct ion_heap *ion_heap_get(unsigned int id);
void ion_heap_put(struct ion_heap *heap);
void ion_heap_each(void (*each)(struct ion_heap *heap, void *data),
		   void *data);
unsigned int ion_heap_query(struct ion_heap_data *data, unsigned int cnt);

#endif
