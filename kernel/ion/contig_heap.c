// SPDX-License-Identifier: GPL-2.0-only
/* One contiguous run of pages from the page allocator. */

#include <linux/gfp.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>

#include "../compat.h"
#include "heap.h"

static int contig_allocate(struct ion_heap *heap, struct sg_table *table,
			   size_t len, size_t align)
{
	/* A run is aligned to the power of two that covers it. */
	size_t span = max(len, align);
	void *vaddr;
	int ret;

	if (align > PAGE_SIZE << ION_MAX_ORDER)
		return -EINVAL;

	ret = sg_alloc_table(table, 1, GFP_KERNEL);
	if (ret)
		return ret;

	vaddr = alloc_pages_exact(span, GFP_KERNEL | __GFP_ZERO |
				  __GFP_NOWARN | __GFP_RETRY_MAYFAIL);
	if (!vaddr) {
		sg_free_table(table);
		return -ENOMEM;
	}
	if (span > len)
		free_pages_exact(vaddr + len, span - len);

	sg_set_page(table->sgl, virt_to_page(vaddr), len, 0);
	return 0;
}

static void contig_free(struct ion_heap *heap, struct sg_table *table)
{
	free_pages_exact(page_address(sg_page(table->sgl)),
			 table->sgl->length);
	sg_free_table(table);
}

static const struct ion_heap_ops contig_ops = {
	.allocate = contig_allocate,
	.free = contig_free,
};

struct ion_heap ion_contig_heap = {
	.name = "ion_system_contig_heap",
	.node = "system_contig",
	.type = ION_HEAP_TYPE_SYSTEM_CONTIG,
	.id = ION_HEAP_TYPE_SYSTEM_CONTIG,
	.contiguous = true,
	.ops = &contig_ops,
	.owner = THIS_MODULE,
};
