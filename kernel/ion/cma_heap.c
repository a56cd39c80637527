// SPDX-License-Identifier: GPL-2.0-only
/*
 * Contiguous memory from the DMA API: from CMA where the kernel has it, else
 * what the page allocator has, up to its largest block.
 */

#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "../compat.h"
#include "dma.h"
#include "heap.h"

/**
 * struct cma_run - what the DMA API gave
 * @size: how many bytes, with what the alignment took
 * @addr: its DMA address
 */
struct cma_run {
	size_t size;
	dma_addr_t addr;
};

static void free_run(struct cma_run *run, struct page *page)
{
	dma_free_pages(ion_dma_device(), run->size, page, run->addr,
		       DMA_BIDIRECTIONAL);
	kfree(run);
}

static int cma_allocate(struct ion_heap *heap, struct ion_memory *mem)
{
	struct cma_run *run;
	struct page *page;
	int ret;

	if (mem->align > PAGE_SIZE << ION_MAX_ORDER)
		return -EINVAL;
	run = kmalloc(sizeof(*run), GFP_KERNEL);
	if (!run)
		return -ENOMEM;
	/* A run is aligned like the power of two that covers it. */
	run->size = max(mem->size, mem->align);
	page = dma_alloc_pages(ion_dma_device(), run->size, &run->addr,
			       DMA_BIDIRECTIONAL,
			       GFP_KERNEL | __GFP_NOWARN | __GFP_RETRY_MAYFAIL);
	if (!page) {
		kfree(run);
		return -ENOMEM;
	}
	/* But CMA stops at an alignment that is the kernel's configuration. */
	if (!IS_ALIGNED(page_to_phys(page), mem->align)) {
		ret = -EINVAL;
		goto err_free;
	}
	ret = sg_alloc_table(&mem->table, 1, GFP_KERNEL);
	if (ret)
		goto err_free;
	sg_set_page(mem->table.sgl, page, mem->size, 0);
	mem->priv = run;
	return 0;

err_free:
	free_run(run, page);
	return ret;
}

static void cma_free(struct ion_heap *heap, struct ion_memory *mem)
{
	free_run(mem->priv, sg_page(mem->table.sgl));
	sg_free_table(&mem->table);
}

static const struct ion_heap_ops cma_ops = {
	.allocate = cma_allocate,
	.free = cma_free,
};

struct ion_heap ion_cma_heap = {
	.name = "linux,cma",
	.node = "dma",
	.type = ION_HEAP_TYPE_DMA,
	.contiguous = true,
	.ops = &cma_ops,
	.owner = THIS_MODULE,
};
