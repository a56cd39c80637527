// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cached pages that wait: runs of each power of two in a list of their own, as
 * they were in their buffers. Past the bound those of the size go that nobody
 * has asked for or brought back for the longest time.
 */

#include <linux/highmem.h>
#include <linux/lockdep.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

#include "../compat.h"
#include "page_pool.h"

/* In the first page of a run that is made of single pages. */
#define CUT 1

/**
 * struct runs - what waits of one size, each first page naming the next
 * @zero: can be taken as it is
 * @dirty: has what a buffer left in it
 * @used: when one was last taken or given, in turns
 */
struct runs {
	struct page *zero;
	struct page *dirty;
	u64 used;
};

static DEFINE_SPINLOCK(lock);	/* protects all runs, turn and the counts */
static struct runs runs[ION_MAX_ORDER + 1];
static u64 turn;

static void push(unsigned int order, struct page **list, struct page *page)
{
	lockdep_assert_held(&lock);
	set_page_private(page, (unsigned long)*list);
	*list = page;
	ion_cached_pool.idle += 1UL << order;
	if (list == &runs[order].dirty)
		ion_cached_pool.dirty += 1UL << order;
}

static struct page *pop(unsigned int order, struct page **list)
{
	struct page *page = *list;

	lockdep_assert_held(&lock);
	if (!page)
		return NULL;
	*list = (struct page *)page_private(page);
	set_page_private(page, 0);
	ion_cached_pool.idle -= 1UL << order;
	if (list == &runs[order].dirty)
		ion_cached_pool.dirty -= 1UL << order;
	return page;
}

static struct page *cached_take(size_t size, size_t align, bool *dirty)
{
	unsigned int order = get_order(size);
	struct page *page;

	if (!is_power_of_2(size) || align > size)
		return NULL;
	spin_lock(&lock);
	page = pop(order, &runs[order].zero);
	*dirty = !page;
	if (!page && ion_page_pool_is_behind())
		page = pop(order, &runs[order].dirty);
	runs[order].used = ++turn;
	spin_unlock(&lock);
	return page;
}

/* What is no block of the page allocator's any more is marked. */
static struct page *cached_make(size_t size, size_t align, gfp_t gfp)
{
	unsigned int order = get_order(max(size, align));
	struct page *page = alloc_pages(gfp, order);

	if (!page || size == PAGE_SIZE << order)
		return page;
	split_page(page, order);
	ion_free_single_pages(page + (size >> PAGE_SHIFT),
			      (1UL << order) - (size >> PAGE_SHIFT));
	set_page_private(page, CUT);
	return page;
}

static void cached_give(struct page *page, size_t size, bool keep)
{
	unsigned int order = get_order(size);

	if (page_private(page) == CUT) {
		set_page_private(page, 0);
		ion_free_single_pages(page, size >> PAGE_SHIFT);
		return;
	}
	if (!keep) {
		__free_pages(page, order);
		return;
	}
	spin_lock(&lock);
	push(order, &runs[order].dirty, page);
	runs[order].used = ++turn;
	spin_unlock(&lock);
}

static bool cached_clean(void)
{
	struct page *page = NULL;
	int order;

	spin_lock(&lock);
	for (order = ION_MAX_ORDER; !page && order >= 0; order--)
		page = pop(order, &runs[order].dirty);
	spin_unlock(&lock);
	if (!page)
		return false;

	order++;
	ion_page_pool_clear(&ion_cached_pool, page, PAGE_SIZE << order);
	spin_lock(&lock);
	push(order, &runs[order].zero, page);
	spin_unlock(&lock);
	return true;
}

/* The least recently used, and dirty ones before those that cost something. */
static struct page *get_oldest(unsigned int *oldest)
{
	struct page *page = NULL;
	unsigned int order;
	u64 used = U64_MAX;

	spin_lock(&lock);
	for (order = 0; order <= ION_MAX_ORDER; order++) {
		if (runs[order].used >= used ||
		    (!runs[order].zero && !runs[order].dirty))
			continue;
		used = runs[order].used;
		*oldest = order;
	}
	if (used != U64_MAX)
		page = pop(*oldest, &runs[*oldest].dirty) ?:
		       pop(*oldest, &runs[*oldest].zero);
	spin_unlock(&lock);
	return page;
}

static size_t cached_release(size_t pages)
{
	unsigned int order;
	struct page *page;
	size_t freed = 0;

	while (freed < pages) {
		page = get_oldest(&order);
		if (!page)
			break;
		__free_pages(page, order);
		freed += 1UL << order;
		cond_resched();
	}
	return freed;
}

struct ion_page_pool ion_cached_pool = {
	.take = cached_take,
	.make = cached_make,
	.give = cached_give,
	.clean = cached_clean,
	.release = cached_release,
};
