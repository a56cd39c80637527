// SPDX-License-Identifier: GPL-2.0-only
/*
 * Write-combined pages. A page's mapping in the kernel's linear map must not be
 * cached while another one is write-combined, and changing it page by page
 * breaks the linear map up for good: so whole blocks of 2 MiB, or more, are
 * changed, runs are taken out of them, and what is free in them waits for the
 * next buffer. Only when the system has to get back what waits in a block that is
 * in use, it is broken up. What is charged to a memory cgroup is made for its
 * buffer, and ends with it.
 */

#include <linux/bitmap.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "../compat.h"
#include "page_pool.h"

#define BLOCK_ORDER get_order(SZ_2M)
/* So many blocks are looked into; where none has room there is a new one. */
#define MOST_LOOKED_INTO 16

/**
 * struct block - pages whose linear mapping is write-combined
 * @page: the first
 * @size: how many there are
 * @used: how many of them are taken
 * @gone: how many of those the system has back: then the block is broken up
 * @unclean: how many are dirty
 * @charged: they are one buffer's alone, and not in the pool
 * @node: in @whole, @partly or @full
 * @stuck_node: in @blocks_stuck if some are stuck
 * @dirty: which of the pages that wait are not zero; follows @taken
 * @stuck: which of the taken pages are the system's, but could not be restored;
 *	follows @dirty
 * @taken: which pages do not wait
 */
struct block {
	struct page *page;
	unsigned long size;
	unsigned long used;
	unsigned long gone;
	unsigned long unclean;
	bool charged;
	struct list_head node;
	struct list_head stuck_node;
	unsigned long *dirty;
	unsigned long *stuck;
	unsigned long taken[];
};

/* protects all blocks, the lists and the counts */
static DEFINE_SPINLOCK(lock);
static LIST_HEAD(whole);	/* blocks of which nothing is taken */
static LIST_HEAD(partly);	/* blocks of which something is */
static LIST_HEAD(full);		/* and of which all is */
static LIST_HEAD(blocks_stuck);

/* A block is a bonus: take it if it is there, do not work for it. */
static gfp_t lightly(gfp_t gfp)
{
	return (gfp & ~(__GFP_RECLAIM | __GFP_RETRY_MAYFAIL)) | __GFP_NORETRY;
}

static struct block *make_block(unsigned int order, gfp_t gfp)
{
	unsigned long size = 1UL << order, longs = BITS_TO_LONGS(size);
	struct block *block;

	block = kzalloc(struct_size(block, taken, 3 * longs),
			GFP_KERNEL | __GFP_NOWARN | __GFP_RETRY_MAYFAIL);
	if (!block)
		return NULL;
	block->dirty = block->taken + longs;
	block->stuck = block->dirty + longs;
	block->size = size;
	INIT_LIST_HEAD(&block->node);
	INIT_LIST_HEAD(&block->stuck_node);
	block->page = alloc_pages(gfp, order);
	if (!block->page)
		goto err_free;
	if (ion_set_pages_wc(block->page, size))
		goto err_pages;
	ion_clean_pages(block->page, size << PAGE_SHIFT);
	return block;

err_pages:
	/* What was changed before it failed must not get to others. */
	if (!ion_set_pages_wb(block->page, size))
		__free_pages(block->page, order);
err_free:
	kfree(block);
	return NULL;
}

/* Something of it was taken or came back. */
static void file_block(struct block *block, bool first)
{
	struct list_head *list = !block->used ? &whole :
				 block->used < block->size ? &partly : &full;

	lockdep_assert_held(&lock);
	if (first)
		list_move(&block->node, list);
	else
		list_move_tail(&block->node, list);
}

static void set_unclean(struct block *block)
{
	lockdep_assert_held(&lock);
	ion_wc_pool.dirty -= block->unclean;
	block->unclean = bitmap_weight(block->dirty, block->size);
	ion_wc_pool.dirty += block->unclean;
}

/* What is left of a new block waits from then on. */
static void mark_taken(struct block *block, unsigned long at,
		       unsigned long count)
{
	unsigned long more = list_empty(&block->node) ? block->size : 0;

	lockdep_assert_held(&lock);
	bitmap_set(block->taken, at, count);
	block->used += count;
	WRITE_ONCE(ion_wc_pool.idle, ion_wc_pool.idle + more - count);
	if (block->unclean) {
		bitmap_clear(block->dirty, at, count);
		set_unclean(block);
	}
	file_block(block, true);
}

/* Those that are not dirty are less urgently looked at. */
static void mark_free(struct block *block, unsigned long at,
		      unsigned long count, bool dirty)
{
	lockdep_assert_held(&lock);
	bitmap_clear(block->taken, at, count);
	block->used -= count;
	WRITE_ONCE(ion_wc_pool.idle, ion_wc_pool.idle + count);
	if (dirty) {
		bitmap_set(block->dirty, at, count);
		set_unclean(block);
	}
	file_block(block, dirty);
}

static struct page *take_from(struct block *block, unsigned long count,
			      unsigned long align, bool *dirty)
{
	unsigned long at;

	lockdep_assert_held(&lock);
	if (align > block->size)
		return NULL;
	at = bitmap_find_next_zero_area(block->taken, block->size, 0, count,
					align - 1);
	if (at + count > block->size)
		return NULL;
	*dirty = find_next_bit(block->dirty, block->size, at) < at + count;
	mark_taken(block, at, count);
	set_page_private(block->page + at, (unsigned long)block);
	return block->page + at;
}

static unsigned long pages_of(size_t align)
{
	return max_t(size_t, align >> PAGE_SHIFT, 1);
}

static struct page *take_from_any(struct list_head *list, size_t size,
				  size_t align, bool *dirty)
{
	unsigned int tries = MOST_LOOKED_INTO;
	struct page *page = NULL;
	struct block *block;

	list_for_each_entry(block, list, node) {
		page = take_from(block, size >> PAGE_SHIFT, pages_of(align),
				 dirty);
		if (page || !--tries)
			break;
	}
	return page;
}

static struct page *wc_take(size_t size, size_t align, bool *dirty)
{
	struct page *page;

	spin_lock(&lock);
	page = take_from_any(&partly, size, align, dirty) ?:
	       take_from_any(&whole, size, align, dirty);
	spin_unlock(&lock);
	return page;
}

static struct page *make_charged(unsigned int order, gfp_t gfp)
{
	struct block *block = make_block(order, gfp);

	if (!block)
		return NULL;
	block->charged = true;
	set_page_private(block->page, (unsigned long)block);
	spin_lock(&lock);
	mark_taken(block, 0, block->size);
	spin_unlock(&lock);
	return block->page;
}

static struct page *wc_make(size_t size, size_t align, gfp_t gfp)
{
	unsigned int order = get_order(max(size, align));
	struct block *block = NULL;
	struct page *page;
	bool dirty;

	if (gfp & __GFP_ACCOUNT)
		return make_charged(order, gfp);
	/* No block of which only a part is wanted, if there is no room for it. */
	if (order < BLOCK_ORDER &&
	    ion_page_pool_has_room(&ion_wc_pool, 1UL << BLOCK_ORDER))
		block = make_block(BLOCK_ORDER, lightly(gfp));
	if (!block)
		block = make_block(order, gfp);
	if (!block)
		return NULL;
	spin_lock(&lock);
	page = take_from(block, size >> PAGE_SHIFT, pages_of(align), &dirty);
	spin_unlock(&lock);
	return page;
}

static void set_stuck(struct block *block, unsigned long at,
		      unsigned long count)
{
	lockdep_assert_held(&lock);
	bitmap_set(block->stuck, at, count);
	list_move_tail(&block->stuck_node, &blocks_stuck);
	WRITE_ONCE(ion_wc_pool.idle, ion_wc_pool.idle + count);
}

/*
 * The system gets pages that are marked as taken for that. What cannot be
 * restored, for want of memory to break up a large page of the linear map, is
 * nobody's until that is tried again.
 */
static bool free_run(struct block *block, unsigned long at,
		     unsigned long count)
{
	struct page *page = block->page + at;
	bool unbroken = count == block->size, all;

	if (ion_set_pages_wb(page, count)) {
		spin_lock(&lock);
		set_stuck(block, at, count);
		spin_unlock(&lock);
		return false;
	}
	spin_lock(&lock);
	if (!block->gone && !unbroken)
		split_page(block->page, ilog2(block->size));
	block->gone += count;
	all = block->gone == block->size;
	if (all)
		list_del(&block->node);
	spin_unlock(&lock);
	/* Others may have freed the block by now, if not all of it was ours. */
	if (unbroken)
		__free_pages(page, ilog2(count));
	else
		ion_free_single_pages(page, count);
	if (all)
		kfree(block);
	return true;
}

/* Blocks of less than 2 MiB break the linear map up: they do not wait. */
static bool take_unused_small(struct block *block)
{
	lockdep_assert_held(&lock);
	if (block->used || block->size >= 1UL << BLOCK_ORDER)
		return false;
	mark_taken(block, 0, block->size);
	return true;
}

/* All of it may wait: what is too much is trimmed. */
static void wc_give(struct page *page, size_t size, bool keep)
{
	struct block *block = (struct block *)page_private(page);
	unsigned long at = page - block->page, count = size >> PAGE_SHIFT;
	bool broken;

	set_page_private(page, 0);
	spin_lock(&lock);
	broken = block->gone || block->charged;
	if (block->charged)
		count = block->size;
	if (!broken)
		mark_free(block, at, count, true);
	if (take_unused_small(block)) {
		at = 0;
		count = block->size;
		broken = true;
	}
	spin_unlock(&lock);
	if (broken)
		free_run(block, at, count);
}

static struct block *find_unclean(struct list_head *list)
{
	struct block *block;

	list_for_each_entry(block, list, node)
		if (block->unclean)
			return block;
	return NULL;
}

static bool wc_clean(void)
{
	unsigned long at = 0, end = 0;
	struct block *block;
	bool small;

	spin_lock(&lock);
	block = find_unclean(&whole) ?: find_unclean(&partly);
	if (block) {
		at = find_first_bit(block->dirty, block->size);
		end = find_next_zero_bit(block->dirty, block->size, at);
		mark_taken(block, at, end - at);
	}
	spin_unlock(&lock);
	if (!block)
		return false;

	ion_page_pool_clear(&ion_wc_pool, block->page + at,
			    (end - at) << PAGE_SHIFT);
	spin_lock(&lock);
	mark_free(block, at, end - at, false);
	small = take_unused_small(block);
	spin_unlock(&lock);
	if (small)
		free_run(block, 0, block->size);
	return true;
}

/* Rather those that do not have to be broken up. */
static struct block *take_rest(unsigned long *at, unsigned long *count)
{
	struct list_head *list = list_empty(&whole) ? &partly : &whole;
	struct block *block;

	lockdep_assert_held(&lock);
	if (list_empty(list))
		return NULL;
	block = list_last_entry(list, struct block, node);
	*at = find_first_zero_bit(block->taken, block->size);
	*count = find_next_bit(block->taken, block->size, *at) - *at;
	mark_taken(block, *at, *count);
	return block;
}

static struct block *take_stuck(unsigned long *at, unsigned long *count)
{
	struct block *block;

	lockdep_assert_held(&lock);
	if (list_empty(&blocks_stuck))
		return NULL;
	block = list_first_entry(&blocks_stuck, struct block, stuck_node);
	*at = find_first_bit(block->stuck, block->size);
	*count = find_next_zero_bit(block->stuck, block->size, *at) - *at;
	bitmap_clear(block->stuck, *at, *count);
	if (bitmap_empty(block->stuck, block->size))
		list_del_init(&block->stuck_node);
	WRITE_ONCE(ion_wc_pool.idle, ion_wc_pool.idle - *count);
	return block;
}

static size_t wc_release(size_t pages)
{
	unsigned long at, count;
	struct block *block;
	size_t freed = 0;

	while (freed < pages) {
		spin_lock(&lock);
		block = take_rest(&at, &count) ?: take_stuck(&at, &count);
		spin_unlock(&lock);
		if (!block || !free_run(block, at, count))
			break;
		freed += count;
		cond_resched();
	}
	return freed;
}

struct ion_page_pool ion_wc_pool = {
	.take = wc_take,
	.make = wc_make,
	.give = wc_give,
	.clean = wc_clean,
	.release = wc_release,
};
