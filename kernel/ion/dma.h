/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ION_DMA_H
#define _ION_DMA_H

#include <linux/types.h>

struct device;
struct page;

int ion_dma_init(void);
void ion_dma_exit(void);
struct device *ion_dma_device(void);
int ion_dma_clean(struct page *page, size_t size);

#endif
