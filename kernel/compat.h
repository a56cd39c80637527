/* SPDX-License-Identifier: GPL-2.0-only */
/* What differs between the kernels that the modules are built for. */
#ifndef _ION_COMPAT_H
#define _ION_COMPAT_H

#include <linux/device.h>
#include <linux/dma-buf.h>
#include <linux/dma-map-ops.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/module.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
#include <linux/iommu-dma.h>
#endif
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 3, 0)
#include <linux/dma-heap.h>
#endif
#ifdef CONFIG_X86
#include <asm/cacheflush.h>
#include <asm/set_memory.h>
#elif defined(CONFIG_ARCH_HAS_PMEM_API)
#include <linux/libnvdimm.h>
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
#define ION_IMPORT_DMA_BUF_NS() MODULE_IMPORT_NS(DMA_BUF)
#else
#define ION_IMPORT_DMA_BUF_NS() MODULE_IMPORT_NS("DMA_BUF")
#endif

/* The heaps' own namespace has the switch of ion_kernel_accounts(). */
#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 3, 0)
#define ION_IMPORT_DMA_BUF_HEAP_NS()
#else
#define ION_IMPORT_DMA_BUF_HEAP_NS() MODULE_IMPORT_NS("DMA_BUF_HEAP")
#endif

/* Are the kernel's own heaps told to charge memory cgroups? */
static inline bool ion_kernel_accounts(void)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 3, 0) && defined(CONFIG_DMABUF_HEAPS)
	return mem_accounting;
#else
	return false;
#endif
}

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
#define ion_class_create(name) class_create(THIS_MODULE, name)
#else
#define ion_class_create(name) class_create(name)
#endif

/* Whether class.devnode gets a const device. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define ION_DEVNODE_CONST
#else
#define ION_DEVNODE_CONST const
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
/* The reservation lock was not yet the caller's to take. */
#define dma_buf_vmap_unlocked dma_buf_vmap
#define dma_buf_vunmap_unlocked dma_buf_vunmap
#endif

/* Say that a device sees the CPU's caches, before it gets its DMA mask. */
static inline void ion_set_dma_coherent(struct device *dev)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
	dev_set_dma_coherent(dev);
#elif defined(CONFIG_ARCH_HAS_SYNC_DMA_FOR_DEVICE) || \
	defined(CONFIG_ARCH_HAS_SYNC_DMA_FOR_CPU) || \
	defined(CONFIG_ARCH_HAS_SYNC_DMA_FOR_CPU_ALL)
	dev->dma_coherent = true;
#endif
}

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 10, 0)
#define ion_assign_str(dst, src) __assign_str(dst, src)
#else
#define ion_assign_str(dst, src) do { (void)(src); __assign_str(dst); } while (0)
#endif

/* The page allocator's largest block, inclusive. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
#define ION_MAX_ORDER (MAX_ORDER - 1)
#elif LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
#define ION_MAX_ORDER MAX_ORDER
#else
#define ION_MAX_ORDER MAX_PAGE_ORDER
#endif

/* Does the DMA API put addresses of its own in the place of physical ones? */
static inline bool ion_dma_is_remapped(struct device *dev)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
	return use_dma_iommu(dev);
#else
	return get_dma_ops(dev) && device_iommu_mapped(dev);
#endif
}

/*
 * Change how the linear map has pages, where the processor must not see two
 * kinds of mappings. The other architectures map as they are told to.
 */
#define ION_LINEAR_MAP_FOLLOWS IS_ENABLED(CONFIG_X86)

static inline int ion_set_pages_wc(struct page *page, unsigned long count)
{
#ifdef CONFIG_X86
	return set_memory_wc((unsigned long)page_address(page), count);
#else
	return 0;
#endif
}

static inline int ion_set_pages_wb(struct page *page, unsigned long count)
{
#ifdef CONFIG_X86
	return set_memory_wb((unsigned long)page_address(page), count);
#else
	return 0;
#endif
}

/*
 * Nothing of this memory stays in the caches, to be written back later over
 * what others wrote past them.
 */
static inline void ion_flush_mapping(void *vaddr, size_t size)
{
#ifdef CONFIG_X86
	clflush_cache_range(vaddr, size);
#elif defined(CONFIG_ARCH_HAS_PMEM_API)
	arch_wb_cache_pmem(vaddr, size);
	arch_invalidate_pmem(vaddr, size);
#else
#error "no way to clean the caches behind write-combined memory is known here"
#endif
}

/* The same for pages of a linear map that stays cached. */
static inline void ion_clean_pages(struct page *page, size_t size)
{
	if (!ION_LINEAR_MAP_FOLLOWS)
		ion_flush_mapping(page_address(page), size);
}

#endif
