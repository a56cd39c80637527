// SPDX-License-Identifier: GPL-2.0-only
/* Pages from the page allocator, the largest blocks first. */

#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "../compat.h"
#include "account.h"
#include "heap.h"
#include "page_pool.h"

/* A caller that asks for too much gets ENOMEM, not others the OOM killer. */
#define ION_PAGE_GFP (__GFP_ZERO | __GFP_NOWARN | __GFP_RETRY_MAYFAIL)
/* A block is a bonus: take it if it is there, do not work for it. */
#define ION_BLOCK_GFP (__GFP_ZERO | __GFP_NOWARN | __GFP_NORETRY | __GFP_COMP)

/**
 * struct run - contiguous pages of a buffer in the making
 * @page: the first
 * @size: how many bytes, a power of two
 * @node: in the list of the buffer's
 */
struct run {
	struct page *page;
	size_t size;
	struct list_head node;
};

static struct page *alloc_pages_of(size_t size, bool cached)
{
	gfp_t gfp = size > PAGE_SIZE ? ION_BLOCK_GFP : ION_PAGE_GFP;
	gfp_t base = cached ? GFP_HIGHUSER : GFP_KERNEL;

	if (size > PAGE_SIZE)
		base &= ~__GFP_RECLAIM;
	gfp = ion_account_gfp(base | gfp);
	return cached ? alloc_pages(gfp, get_order(size)) :
			ion_page_pool_alloc(size, PAGE_SIZE, gfp);
}

static void free_pages_of(struct page *page, size_t size, bool cached)
{
	if (cached)
		__free_pages(page, get_order(size));
	else
		ion_page_pool_free(page, size);
}

static void free_runs(struct list_head *runs, bool cached)
{
	struct run *run, *next;

	list_for_each_entry_safe(run, next, runs, node) {
		cond_resched();
		free_pages_of(run->page, run->size, cached);
		kfree(run);
	}
}

/* Of @size bytes, or less if there is no such run. */
static struct run *alloc_run(size_t size, bool cached)
{
	struct run *run;

	run = kmalloc(sizeof(*run), ION_TABLE_GFP);
	if (!run)
		return NULL;
	for (; size >= PAGE_SIZE; size /= 2) {
		run->page = alloc_pages_of(size, cached);
		run->size = size;
		if (run->page)
			return run;
	}
	kfree(run);
	return NULL;
}

static int alloc_runs(struct list_head *runs, size_t left, bool cached)
{
	size_t size = PAGE_SIZE << ION_MAX_ORDER;
	struct run *run;
	int nents = 0;

	for (; left; left -= size) {
		/* Clearing a run is no place where others get to run. */
		cond_resched();
		if (fatal_signal_pending(current))
			return -EINTR;
		run = alloc_run(min_t(size_t, size, rounddown_pow_of_two(left)),
				cached);
		if (!run)
			return -ENOMEM;
		list_add_tail(&run->node, runs);
		size = run->size;
		nents++;
	}
	return nents;
}

static int system_allocate(struct ion_heap *heap, struct ion_memory *mem)
{
	struct run *run, *next;
	struct scatterlist *sg;
	LIST_HEAD(runs);
	int ret;

	if (mem->align > PAGE_SIZE)
		return -EINVAL;

	ret = alloc_runs(&runs, mem->size, mem->cached);
	if (ret < 0)
		goto err_free;
	ret = sg_alloc_table(&mem->table, ret, ION_TABLE_GFP);
	if (ret)
		goto err_free;

	sg = mem->table.sgl;
	list_for_each_entry_safe(run, next, &runs, node) {
		sg_set_page(sg, run->page, run->size, 0);
		sg = sg_next(sg);
		kfree(run);
	}
	mem->combined = !mem->cached;
	return 0;

err_free:
	free_runs(&runs, mem->cached);
	return ret;
}

static void system_free(struct ion_heap *heap, struct ion_memory *mem)
{
	struct scatterlist *sg;
	int i;

	for_each_sgtable_sg(&mem->table, sg, i) {
		cond_resched();
		free_pages_of(sg_page(sg), sg->length, mem->cached);
	}
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
