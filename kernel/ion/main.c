// SPDX-License-Identifier: GPL-2.0-only
/* Starts and stops the memory manager, in order. */

#include <linux/kernel.h>
#include <linux/module.h>

#include "../compat.h"
#include "dma_heap.h"
#include "heap.h"
#include "ioctl.h"

static struct ion_heap *const heaps[] = { &ion_system_heap, &ion_contig_heap };

static int __init ion_init(void)
{
	size_t i;
	int ret;

	ret = ion_dma_heap_init();
	if (ret)
		return ret;
	for (i = 0; i < ARRAY_SIZE(heaps); i++) {
		ion_heap_add(heaps[i]);
		ret = ion_dma_heap_add(heaps[i]);
		if (ret)
			goto err;
	}
	ret = ion_ioctl_init();
	if (ret)
		goto err;
	return 0;

err:
	ion_dma_heap_exit();
	return ret;
}

static void __exit ion_exit(void)
{
	ion_ioctl_exit();
	ion_dma_heap_exit();
}

module_init(ion_init);
module_exit(ion_exit);

MODULE_DESCRIPTION("ION memory manager: buffers shared as dma-bufs");
MODULE_LICENSE("GPL");
ION_IMPORT_DMA_BUF_NS();
