// SPDX-License-Identifier: GPL-2.0-only
/* One contiguous run of pages from the page allocator. */

#include <linux/gfp.h>
#include <linux/minmax.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/module.h>

#include "../compat.h"
#include "account.h"
#include "heap.h"
#include "page_pool.h"

#define ION_RUN_GFP (GFP_KERNEL | __GFP_NOWARN | __GFP_RETRY_MAYFAIL)

static struct ion_page_pool *pool_for(struct ion_memory *mem)
{
	return mem->cached ? &ion_cached_pool : &ion_wc_pool;
}

static void contig_free(struct ion_heap *heap, struct ion_memory *mem)
{
	ion_page_pool_free(pool_for(mem), sg_page(mem->table.sgl), mem->size);
}

static int contig_allocate(struct ion_heap *heap, struct ion_memory *mem)
{
	size_t limit = PAGE_SIZE << ION_MAX_ORDER;
	struct page *page;

	if (mem->align > limit)
		return -EINVAL;
	if (mem->size > limit)
		return -ENOMEM;

	/* A run is aligned to the power of two that covers it. */
	page = ion_page_pool_alloc(pool_for(mem), mem->size,
				   max(mem->align,
				       roundup_pow_of_two(mem->size)),
				   ion_account_gfp(ION_RUN_GFP));
	if (!page)
		return -ENOMEM;
	ion_table_set(mem, page);
	mem->combined = !mem->cached;
	return 0;
}

static size_t contig_takes(struct ion_heap *heap, size_t size, size_t align)
{
	return align > PAGE_SIZE << ION_MAX_ORDER ? size : max(size, align);
}

static const struct ion_heap_ops contig_ops = {
	.allocate = contig_allocate,
	.free = contig_free,
	.takes = contig_takes,
};

struct ion_heap ion_contig_heap = {
	.name = "ion_system_contig_heap",
	.node = "system_contig",
	.type = ION_HEAP_TYPE_SYSTEM_CONTIG,
	.contiguous = true,
	.ops = &contig_ops,
	.owner = THIS_MODULE,
};
