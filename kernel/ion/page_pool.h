/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ION_PAGE_POOL_H
#define _ION_PAGE_POOL_H

#include <linux/gfp.h>
#include <linux/types.h>

struct page;

struct page *ion_page_pool_alloc(size_t size, size_t align, gfp_t gfp);
void ion_page_pool_free(struct page *page, size_t size);
size_t ion_page_pool_idle(void);
void ion_page_pool_exit(void);

#endif
