// SPDX-License-Identifier: GPL-2.0-only
/* Pages from the page allocator, the largest blocks first. */

#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include "../compat.h"
#include "heap.h"

/* A caller that asks for too much gets ENOMEM, not others the OOM killer. */
#define ION_PAGE_GFP (GFP_HIGHUSER | __GFP_ZERO | __GFP_NOWARN | \
		      __GFP_RETRY_MAYFAIL)
/* A block is a bonus: take it if it is there, do not work for it. */
#define ION_BLOCK_GFP ((GFP_HIGHUSER | __GFP_ZERO | __GFP_NOWARN | \
			__GFP_NORETRY | __GFP_COMP) & ~__GFP_RECLAIM)

/* Lowers *order to that of the block it got, for the next call to start at. */
static struct page *alloc_block(unsigned int *order)
{
	struct page *page;

	for (; *order; --*order) {
		page = alloc_pages(ION_BLOCK_GFP, *order);
		if (page)
			return page;
	}
	return alloc_page(ION_PAGE_GFP);
}

static void free_blocks(struct list_head *blocks)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, blocks, lru)
		__free_pages(page, compound_order(page));
}

static int alloc_blocks(struct list_head *blocks, size_t len)
{
	unsigned int order = ION_MAX_ORDER;
	unsigned long left = len >> PAGE_SHIFT;
	struct page *page;
	int nents = 0;

	while (left) {
		/* Clearing a block is no place where others get to run. */
		cond_resched();
		if (fatal_signal_pending(current))
			return -EINTR;
		order = min_t(unsigned int, order, ilog2(left));
		page = alloc_block(&order);
		if (!page)
			return -ENOMEM;
		list_add_tail(&page->lru, blocks);
		left -= 1UL << order;
		nents++;
	}
	return nents;
}

static int system_allocate(struct ion_heap *heap, struct sg_table *table,
			   size_t len, size_t align)
{
	struct page *page, *next;
	struct scatterlist *sg;
	LIST_HEAD(blocks);
	int ret;

	if (align > PAGE_SIZE)
		return -EINVAL;

	ret = alloc_blocks(&blocks, len);
	if (ret < 0)
		goto err_free;
	ret = sg_alloc_table(table, ret, ION_TABLE_GFP);
	if (ret)
		goto err_free;

	sg = table->sgl;
	list_for_each_entry_safe(page, next, &blocks, lru) {
		list_del(&page->lru);
		sg_set_page(sg, page, page_size(page), 0);
		sg = sg_next(sg);
	}
	return 0;

err_free:
	free_blocks(&blocks);
	return ret;
}

static void system_free(struct ion_heap *heap, struct sg_table *table)
{
	struct scatterlist *sg;
	int i;

	for_each_sgtable_sg(table, sg, i) {
		cond_resched();
		__free_pages(sg_page(sg), compound_order(sg_page(sg)));
	}
	sg_free_table(table);
}

static const struct ion_heap_ops system_ops = {
	.allocate = system_allocate,
	.free = system_free,
};

struct ion_heap ion_system_heap = {
	.name = "ion_system_heap",
	.node = "system",
	.type = ION_HEAP_TYPE_SYSTEM,
	.id = ION_HEAP_TYPE_SYSTEM,
	.ops = &system_ops,
	.owner = THIS_MODULE,
};
