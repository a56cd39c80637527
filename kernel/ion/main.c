// SPDX-License-Identifier: GPL-2.0-only
/* Starts and stops the memory manager, in order. */

#include <linux/module.h>

#include "../compat.h"
#include "heap.h"
#include "ioctl.h"

static int __init ion_init(void)
{
	ion_heap_add(&ion_system_heap);
	ion_heap_add(&ion_contig_heap);
	return ion_ioctl_init();
}

static void __exit ion_exit(void)
{
	ion_ioctl_exit();
}

module_init(ion_init);
module_exit(ion_exit);

MODULE_DESCRIPTION("ION memory manager: buffers shared as dma-bufs");
MODULE_LICENSE("GPL");
ION_IMPORT_DMA_BUF_NS();
