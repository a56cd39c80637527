// SPDX-License-Identifier: GPL-2.0-only
/*
 * Contiguous memory from the DMA API: from CMA where the kernel has it, else
 * what the page allocator has, up to its largest block.
 */

#include <linux/cc_platform.h>
#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "../compat.h"
#include "account.h"
#include "heap.h"
#include "page_pool.h"

#define ION_RUN_GFP (GFP_KERNEL | __GFP_NOWARN | __GFP_RETRY_MAYFAIL)
/* Small runs come from the pool, which leaves the linear map in large pages. */
#define ION_POOLED SZ_2M

/* The DMA API gives memory to devices only: this one reaches all of it. */
static struct platform_device *device;

/**
 * struct cma_run - what the DMA API gave
 * @size: how many bytes, with what the alignment took
 * @addr: its DMA address
 */
struct cma_run {
	size_t size;
	dma_addr_t addr;
};

static bool is_pooled(const struct ion_memory *mem)
{
	return !mem->priv;
}

static void free_run(struct ion_memory *mem, struct page *page)
{
	struct cma_run *run = mem->priv;

	if (is_pooled(mem)) {
		ion_page_pool_free(&ion_wc_pool, page, mem->size);
		return;
	}
	dma_free_pages(&device->dev, run->size, page, run->addr,
		       DMA_BIDIRECTIONAL);
	kfree(run);
}

static struct page *alloc_run(struct ion_memory *mem)
{
	/* A run is aligned like the power of two that covers it. */
	size_t size = max(mem->size, mem->align);
	struct cma_run *run;
	struct page *page;

	if (!mem->cached && size <= ION_POOLED) {
		page = ion_page_pool_alloc(&ion_wc_pool, mem->size,
					   roundup_pow_of_two(size),
					   ion_account_gfp(ION_RUN_GFP));
		mem->combined = page;
		if (page)
			return page;
	}

	run = kmalloc(sizeof(*run), GFP_KERNEL);
	if (!run)
		return NULL;
	run->size = size;
	page = dma_alloc_pages(&device->dev, size, &run->addr,
			       DMA_BIDIRECTIONAL, ion_account_gfp(ION_RUN_GFP));
	if (page)
		mem->priv = run;
	else
		kfree(run);
	return page;
}

static int cma_allocate(struct ion_heap *heap, struct ion_memory *mem)
{
	struct page *page;

	if (mem->align > PAGE_SIZE << ION_MAX_ORDER)
		return -EINVAL;
	/* What devices get of an encrypted guest, programs cannot read. */
	if (mem->size > ION_MAX_PIECE ||
	    cc_platform_has(CC_ATTR_GUEST_MEM_ENCRYPT))
		return -ENOMEM;

	page = alloc_run(mem);
	if (!page)
		return -ENOMEM;
	/* CMA stops at an alignment that is the kernel's configuration. */
	if (!IS_ALIGNED(page_to_phys(page), mem->align)) {
		free_run(mem, page);
		return -EINVAL;
	}
	ion_table_set(mem, page);
	return 0;
}

static void cma_free(struct ion_heap *heap, struct ion_memory *mem)
{
	free_run(mem, sg_page(mem->table.sgl));
}

static size_t cma_takes(struct ion_heap *heap, size_t size, size_t align)
{
	return align > PAGE_SIZE << ION_MAX_ORDER ? size : max(size, align);
}

static const struct ion_heap_ops cma_ops = {
	.allocate = cma_allocate,
	.free = cma_free,
	.takes = cma_takes,
};

static struct ion_heap cma_heap = {
	.name = "linux,cma",
	.node = "dma",
	.type = ION_HEAP_TYPE_DMA,
	.contiguous = true,
	.ops = &cma_ops,
	.owner = THIS_MODULE,
};

/**
 * ion_cma_heap_init() - add the heap
 *
 * Return: 0, or what the driver core or ion_heap_add() answers.
 */
int ion_cma_heap_init(void)
{
	int ret;

	device = platform_device_register_simple("ion", PLATFORM_DEVID_NONE,
						 NULL, 0);
	if (IS_ERR(device))
		return PTR_ERR(device);
	ret = dma_coerce_mask_and_coherent(&device->dev, DMA_BIT_MASK(64));
	if (!ret)
		ret = ion_heap_add(&cma_heap);
	if (ret)
		platform_device_unregister(device);
	return ret;
}

/**
 * ion_cma_heap_exit() - take the heap away
 */
void ion_cma_heap_exit(void)
{
	ion_heap_remove(&cma_heap);
	platform_device_unregister(device);
}
