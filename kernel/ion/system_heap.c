// SPDX-License-Identifier: GPL-2.0-only
/* Pages from the page allocator, the largest blocks first. */

#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>

#include "../compat.h"
#include "account.h"
#include "heap.h"
#include "page_pool.h"

/* A caller that asks for too much gets ENOMEM, not others the OOM killer. */
#define ION_PAGE_GFP (__GFP_NOWARN | __GFP_RETRY_MAYFAIL)
/* A block is a bonus: take it if it is there, do not work for it. */
#define ION_BLOCK_GFP (__GFP_NOWARN | __GFP_NORETRY)

/**
 * struct runs - contiguous pages of a buffer in the making
 * @of: of each order, linked by the first page's lru; larger ones come first
 * @count: how many in all
 */
struct runs {
	struct list_head of[ION_MAX_ORDER + 1];
	unsigned int count;
};

static struct ion_page_pool *pool_for(struct ion_memory *mem)
{
	return mem->cached ? &ion_cached_pool : &ion_wc_pool;
}

static gfp_t gfp_for(struct ion_memory *mem, unsigned int order)
{
	gfp_t gfp = mem->cached ? GFP_HIGHUSER : GFP_KERNEL;

	if (order)
		gfp = (gfp & ~__GFP_RECLAIM) | ION_BLOCK_GFP;
	else
		gfp |= ION_PAGE_GFP;
	return ion_account_gfp(gfp);
}

/* What is write-combined waits in blocks of 2 MiB: no larger run is looked for. */
static unsigned int largest_order(struct ion_memory *mem)
{
	return mem->cached ? ION_MAX_ORDER :
	       min_t(unsigned int, ION_MAX_ORDER, get_order(SZ_2M));
}

/* Of *@order, or of a lower one if there is no such run. */
static struct page *alloc_run(struct ion_memory *mem, unsigned int *order)
{
	struct page *page;

	for (;; (*order)--) {
		page = ion_page_pool_alloc(pool_for(mem), PAGE_SIZE << *order,
					   PAGE_SIZE, gfp_for(mem, *order));
		if (page || !*order)
			return page;
	}
}

static int alloc_runs(struct ion_memory *mem, struct runs *runs)
{
	unsigned long left = mem->size >> PAGE_SHIFT;
	unsigned int order = largest_order(mem);
	struct page *page;

	for (; left; left -= 1UL << order) {
		/* Clearing a run is no place where others get to run. */
		cond_resched();
		if (fatal_signal_pending(current))
			return -EINTR;
		order = min_t(unsigned int, order, ilog2(left));
		page = alloc_run(mem, &order);
		if (!page)
			return -ENOMEM;
		list_add_tail(&page->lru, &runs->of[order]);
		runs->count++;
	}
	return 0;
}

static void free_runs(struct ion_memory *mem, struct runs *runs)
{
	struct page *page, *next;
	int order;

	for (order = ION_MAX_ORDER; order >= 0; order--)
		list_for_each_entry_safe(page, next, &runs->of[order], lru) {
			cond_resched();
			ion_page_pool_free(pool_for(mem), page,
					   PAGE_SIZE << order);
		}
}

static int fill_table(struct sg_table *table, struct runs *runs)
{
	struct scatterlist *sg;
	struct page *page;
	int order, ret;

	ret = sg_alloc_table(table, runs->count, ION_TABLE_GFP);
	if (ret)
		return ret;
	sg = table->sgl;
	for (order = ION_MAX_ORDER; order >= 0; order--)
		list_for_each_entry(page, &runs->of[order], lru) {
			sg_set_page(sg, page, PAGE_SIZE << order, 0);
			sg = sg_next(sg);
		}
	return 0;
}

static int alloc_table(struct ion_memory *mem)
{
	struct runs runs = { };
	int order, ret;

	for (order = ION_MAX_ORDER; order >= 0; order--)
		INIT_LIST_HEAD(&runs.of[order]);
	ret = alloc_runs(mem, &runs);
	if (!ret)
		ret = fill_table(&mem->table, &runs);
	if (ret)
		free_runs(mem, &runs);
	return ret;
}

/* Most buffers are small, or have the size of a run. */
static bool alloc_one_run(struct ion_memory *mem)
{
	unsigned int order = get_order(mem->size);
	struct page *page;

	if (order > largest_order(mem) || !is_power_of_2(mem->size))
		return false;
	page = ion_page_pool_alloc(pool_for(mem), mem->size, PAGE_SIZE,
				   gfp_for(mem, order));
	if (page)
		ion_table_set(mem, page);
	return page;
}

static int system_allocate(struct ion_heap *heap, struct ion_memory *mem)
{
	int ret = 0;

	if (mem->align > PAGE_SIZE)
		return -EINVAL;
	if (!alloc_one_run(mem))
		ret = alloc_table(mem);
	mem->combined = !mem->cached;
	return ret;
}

static void system_free(struct ion_heap *heap, struct ion_memory *mem)
{
	struct scatterlist *sg;
	int i;

	for_each_sgtable_sg(&mem->table, sg, i) {
		ion_page_pool_free(pool_for(mem), sg_page(sg), sg->length);
		cond_resched();
	}
	if (mem->table.sgl != &mem->entry)
		sg_free_table(&mem->table);
}

/* The contiguous heap takes from the same pool: it is told of here. */
static size_t system_pooled(struct ion_heap *heap)
{
	return ion_page_pool_idle();
}

static const struct ion_heap_ops system_ops = {
	.allocate = system_allocate,
	.free = system_free,
	.pooled = system_pooled,
};

struct ion_heap ion_system_heap = {
	.name = "ion_system_heap",
	.node = "system",
	.type = ION_HEAP_TYPE_SYSTEM,
	.ops = &system_ops,
	.owner = THIS_MODULE,
};
