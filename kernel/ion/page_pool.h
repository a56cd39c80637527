/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ION_PAGE_POOL_H
#define _ION_PAGE_POOL_H

#include <linux/gfp.h>
#include <linux/mm_types.h>
#include <linux/types.h>

/**
 * struct ion_page_pool - pages of one kind, some of which wait for buffers
 * @take: a run of @size bytes, aligned to @align, that waits; NULL if none does.
 *	Says whether it must be cleared first.
 * @make: a new and zeroed one, in which @size bytes are the caller's; or NULL
 * @give: a run comes back, and waits if @keep is set; without it, it may
 * @clean: clear one that waits and is not zero; false if all are
 * @release: give at least that many pages to the system; returns how many
 * @idle: pages that wait, and those that the system could not be given yet;
 *	written under the pool's own lock
 * @dirty: those of them that are not zero; the same
 *
 * All may sleep, and none holds a lock while it clears pages, has their mapping
 * changed, or calls the page allocator.
 */
struct ion_page_pool {
	struct page *(*take)(size_t size, size_t align, bool *dirty);
	struct page *(*make)(size_t size, size_t align, gfp_t gfp);
	void (*give)(struct page *page, size_t size, bool keep);
	bool (*clean)(void);
	size_t (*release)(size_t pages);
	size_t idle;
	size_t dirty;
};

extern struct ion_page_pool ion_cached_pool;
extern struct ion_page_pool ion_wc_pool;

/* Pages that are blocks of the page allocator's no more. */
static inline void ion_free_single_pages(struct page *page, size_t count)
{
	while (count--)
		__free_page(page++);
}

struct page *ion_page_pool_alloc(struct ion_page_pool *pool, size_t size,
				 size_t align, gfp_t gfp);
void ion_page_pool_free(struct ion_page_pool *pool, struct page *page,
			size_t size);
bool ion_page_pool_is_behind(void);
bool ion_page_pool_has_room(struct ion_page_pool *pool, size_t pages);
void ion_page_pool_clear(struct ion_page_pool *pool, struct page *page,
			 size_t size);
size_t ion_page_pool_idle(void);
int ion_page_pool_init(void);
void ion_page_pool_exit(void);

#endif
