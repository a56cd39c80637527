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

#define ION_RUN_GFP (GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN | \
		     __GFP_RETRY_MAYFAIL)

/* A run is aligned to the power of two that covers it. */
static struct page *alloc_exact(size_t size, size_t align)
{
	size_t span = max(size, align);
	void *vaddr = alloc_pages_exact(span, ion_account_gfp(ION_RUN_GFP));

	if (!vaddr)
		return NULL;
	if (span > size)
		free_pages_exact(vaddr + size, span - size);
	return virt_to_page(vaddr);
}

static void contig_free(struct ion_heap *heap, struct ion_memory *mem)
{
	struct page *page = sg_page(mem->table.sgl);

	if (mem->cached)
		free_pages_exact(page_address(page), mem->size);
	else
		ion_page_pool_free(page, mem->size);
	sg_free_table(&mem->table);
}

static int contig_allocate(struct ion_heap *heap, struct ion_memory *mem)
{
	size_t limit = PAGE_SIZE << ION_MAX_ORDER;
	struct page *page;
	int ret;

	if (mem->align > limit)
		return -EINVAL;
	if (mem->size > limit)
		return -ENOMEM;

	ret = sg_alloc_table(&mem->table, 1, GFP_KERNEL);
	if (ret)
		return ret;
	page = mem->cached ? alloc_exact(mem->size, mem->align) :
			     ion_page_pool_alloc(mem->size,
						 max(mem->align,
						     roundup_pow_of_two(mem->size)),
						 ion_account_gfp(ION_RUN_GFP));
	if (!page) {
		sg_free_table(&mem->table);
		return -ENOMEM;
	}
	sg_set_page(mem->table.sgl, page, mem->size, 0);
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
