/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ION_DMA_HEAP_H
#define _ION_DMA_HEAP_H

int ion_dma_heap_init(void);
void ion_dma_heap_exit(void);

#endif
