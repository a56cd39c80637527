/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ION_DMA_HEAP_H
#define _ION_DMA_HEAP_H

struct ion_heap;

int ion_dma_heap_init(void);
void ion_dma_heap_exit(void);
int ion_dma_heap_add(struct ion_heap *heap);
void ion_dma_heap_remove(struct ion_heap *heap);

#endif
