// SPDX-License-Identifier: GPL-2.0-only
/*
 * Write-combined pages. A page's mapping in the kernel's linear map must not be
 * cached while another one is write-combined, and changing it page by page
 * breaks the linear map up for good: so whole blocks of 2 MiB are changed, runs
 * are taken out of them, and some blocks wait here for the next buffer. Not so
 * what is charged to a memory cgroup: it is made for its buffer, and ends with it.
 */

#include <linux/bitmap.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "../compat.h"
#include "page_pool.h"

#define BLOCK_ORDER get_order(SZ_2M)
/*
 * So much may wait, and no more than a 64th of RAM; past it no block is made
 * of which only a part is wanted.
 */
#define MOST_IDLE (SZ_16M >> PAGE_SHIFT)

/**
 * struct pool_block - pages whose linear mapping is write-combined
 * @page: the first
 * @order: how many there are, as a power of two
 * @used: how many of them are taken
 * @charged: they are one buffer's alone, and not in the pool
 * @node: in the pool's blocks, unless all are taken
 * @taken: which ones
 */
struct pool_block {
	struct page *page;
	unsigned int order;
	unsigned int used;
	bool charged;
	struct list_head node;
	unsigned long taken[];
};

static DEFINE_MUTEX(lock);	/* protects all blocks, the lists and idle */
static LIST_HEAD(blocks);
static LIST_HEAD(stuck);	/* charged ones that could not be restored */
static size_t idle;		/* pages that nobody has taken */

static bool may_wait(size_t pages)
{
	return pages <= min_t(size_t, MOST_IDLE, totalram_pages() / 64);
}

/* A block is a bonus: take it if it is there, do not work for it. */
static gfp_t lightly(gfp_t gfp)
{
	return (gfp & ~(__GFP_RECLAIM | __GFP_RETRY_MAYFAIL)) | __GFP_NORETRY;
}

static struct pool_block *make_block(unsigned int order, gfp_t gfp)
{
	struct pool_block *block;

	block = kzalloc(struct_size(block, taken, BITS_TO_LONGS(1UL << order)),
			GFP_KERNEL | __GFP_NOWARN | __GFP_RETRY_MAYFAIL);
	if (!block)
		return NULL;
	/* Each run is cleared as it is taken. */
	gfp &= ~__GFP_ZERO;
	block->page = alloc_pages(gfp | (order ? __GFP_COMP : 0), order);
	if (!block->page)
		goto err_free;
	if (ion_set_pages_wc(block->page, 1UL << order))
		goto err_pages;
	block->order = order;
	set_page_private(block->page, (unsigned long)block);
	return block;

err_pages:
	/* What was changed before it failed must not get to others. */
	if (!ion_set_pages_wb(block->page, 1UL << order))
		__free_pages(block->page, order);
err_free:
	kfree(block);
	return NULL;
}

/* Pages that could not be restored stay with us. */
static bool free_block(struct pool_block *block)
{
	if (ion_set_pages_wb(block->page, 1UL << block->order))
		return false;
	set_page_private(block->page, 0);
	__free_pages(block->page, block->order);
	kfree(block);
	return true;
}

static struct page *take(struct pool_block *block, unsigned long count,
			 unsigned long align)
{
	unsigned long size = 1UL << block->order, at;

	lockdep_assert_held(&lock);
	at = bitmap_find_next_zero_area(block->taken, size, 0, count,
					align - 1);
	if (at + count > size)
		return NULL;
	bitmap_set(block->taken, at, count);
	block->used += count;
	idle -= count;
	if (block->used == size)
		list_del_init(&block->node);
	return block->page + at;
}

static struct page *take_from_pool(unsigned long count, unsigned long align)
{
	struct pool_block *block;
	struct page *page = NULL;

	mutex_lock(&lock);
	list_for_each_entry(block, &blocks, node) {
		if (align > 1UL << block->order)
			continue;
		page = take(block, count, align);
		if (page)
			break;
	}
	mutex_unlock(&lock);
	return page;
}

/* All of it waits. */
static void add_block(struct pool_block *block)
{
	lockdep_assert_held(&lock);
	list_add(&block->node, &blocks);
	idle += 1UL << block->order;
}

static struct page *take_from_new(unsigned long count, unsigned long align,
				  gfp_t gfp)
{
	unsigned int order = order_base_2(max(count, align));
	struct pool_block *block = NULL;
	struct page *page;

	if (order < BLOCK_ORDER && may_wait(READ_ONCE(idle)))
		block = make_block(BLOCK_ORDER, lightly(gfp));
	if (!block)
		block = make_block(order, gfp);
	if (!block)
		return NULL;
	mutex_lock(&lock);
	add_block(block);
	page = take(block, count, align);
	mutex_unlock(&lock);
	return page;
}

static struct page *make_charged(unsigned int order, gfp_t gfp)
{
	struct pool_block *block = make_block(order, gfp);

	if (!block)
		return NULL;
	block->charged = true;
	return block->page;
}

/**
 * ion_page_pool_alloc() - take a contiguous run of write-combined pages
 * @size: bytes, a multiple of PAGE_SIZE
 * @align: its alignment in bytes, a power of two
 * @gfp: how hard to try for what the pool does not have; with __GFP_ACCOUNT it
 *	has nothing
 *
 * Context: may sleep.
 * Return: the first page, mapped and zeroed in the linear map, or NULL.
 */
struct page *ion_page_pool_alloc(size_t size, size_t align, gfp_t gfp)
{
	unsigned long count = size >> PAGE_SHIFT;
	unsigned int order = get_order(max(size, align));
	struct page *page;

	if (order > ION_MAX_ORDER)
		return NULL;
	align = max_t(size_t, align >> PAGE_SHIFT, 1);
	if (gfp & __GFP_ACCOUNT)
		page = make_charged(order, gfp);
	else
		page = take_from_pool(count, align) ?:
		       take_from_new(count, align, gfp);
	if (!page)
		return NULL;
	memset(page_address(page), 0, size);
	ion_clean_pages(page, size);
	return page;
}

/* Is the block none for the pool to keep? Then it is out of it. */
static bool give_back(struct pool_block *block, unsigned long at,
		      unsigned long count)
{
	bool gone;

	if (block->charged)
		return true;

	mutex_lock(&lock);
	if (block->used == 1UL << block->order)
		list_add(&block->node, &blocks);
	bitmap_clear(block->taken, at, count);
	block->used -= count;
	idle += count;
	/* Other blocks break the linear map up. */
	gone = !block->used &&
	       (block->order != BLOCK_ORDER || !may_wait(idle));
	if (gone) {
		list_del(&block->node);
		idle -= 1UL << block->order;
	}
	mutex_unlock(&lock);
	return gone;
}

/* What is charged to one must not become another's. */
static void keep_block(struct pool_block *block)
{
	mutex_lock(&lock);
	if (block->charged)
		list_add(&block->node, &stuck);
	else
		add_block(block);
	mutex_unlock(&lock);
}

/**
 * ion_page_pool_free() - give a run back
 * @page: what ion_page_pool_alloc() returned
 * @size: its size in bytes
 *
 * Context: may sleep.
 */
void ion_page_pool_free(struct page *page, size_t size)
{
	struct page *head = compound_head(page);
	struct pool_block *block = (void *)page_private(head);

	if (give_back(block, page - head, size >> PAGE_SHIFT) &&
	    !free_block(block))
		keep_block(block);
}

/**
 * ion_page_pool_idle() - what waits for the next buffer
 *
 * Return: bytes.
 */
size_t ion_page_pool_idle(void)
{
	return READ_ONCE(idle) << PAGE_SHIFT;
}

/**
 * ion_page_pool_exit() - give all blocks back
 *
 * Nothing of them is taken any more, and nobody else calls.
 */
void ion_page_pool_exit(void)
{
	struct pool_block *block, *next;

	list_splice(&stuck, &blocks);
	list_for_each_entry_safe(block, next, &blocks, node)
		free_block(block);
}
