// SPDX-License-Identifier: GPL-2.0-only
/* Starts and stops the memory manager, in order. */

#include <linux/kernel.h>
#include <linux/module.h>

#include "../compat.h"
#include "debug.h"
#include "dma_heap.h"
#include "heap.h"
#include "ioctl.h"
#include "page_pool.h"
#include "report.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

static int __init ion_init(void)
{
	int ret;

	ret = ion_page_pool_init();
	if (ret)
		return ret;
	ret = ion_region_heaps_init();
	if (ret)
		goto err_pool;
	ret = ion_dma_heap_init();
	if (ret)
		goto err_regions;
	ion_debug_init();
	ion_report_init();
	ret = ion_heap_add(&ion_system_heap);
	if (ret)
		goto err_dma_heap;
	ret = ion_heap_add(&ion_contig_heap);
	if (ret)
		goto err_system;
	ret = ion_cma_heap_init();
	if (ret)
		goto err_contig;
	ret = ion_region_heaps_add();
	if (ret)
		goto err_cma;
	ret = ion_ioctl_init();
	if (ret)
		goto err_cma;
	return 0;

err_cma:
	ion_region_heaps_remove();
	ion_cma_heap_exit();
err_contig:
	ion_heap_remove(&ion_contig_heap);
err_system:
	ion_heap_remove(&ion_system_heap);
err_dma_heap:
	ion_report_exit();
	ion_debug_exit();
	ion_dma_heap_exit();
err_regions:
	ion_region_heaps_exit();
err_pool:
	ion_page_pool_exit();
	return ret;
}

static void __exit ion_exit(void)
{
	ion_ioctl_exit();
	ion_region_heaps_remove();
	ion_cma_heap_exit();
	ion_heap_remove(&ion_contig_heap);
	ion_heap_remove(&ion_system_heap);
	ion_report_exit();
	ion_debug_exit();
	ion_dma_heap_exit();
	ion_region_heaps_exit();
	ion_page_pool_exit();
}

module_init(ion_init);
module_exit(ion_exit);

MODULE_DESCRIPTION("ION memory manager: buffers shared as dma-bufs");
MODULE_LICENSE("GPL");
ION_IMPORT_DMA_BUF_NS();
ION_IMPORT_DMA_BUF_HEAP_NS();
