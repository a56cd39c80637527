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
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/timer.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0) && \
	LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
#include <linux/pfn_t.h>
#endif

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
#include <linux/iommu-dma.h>
#include <linux/unaligned.h>
#else
#include <asm/unaligned.h>
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

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}
#endif

/*
 * One entry for 2 MiB in a process's page tables. Before 6.12 the kernel does
 * not ask for that in mappings of bare page frames.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0) && \
	defined(CONFIG_ARCH_SUPPORTS_PMD_PFNMAP)
#define ION_HUGE_MAPPINGS 1
#else
#define ION_HUGE_MAPPINGS 0
#endif

#if ION_HUGE_MAPPINGS
/* All that the kernel looks at of a fault. */
static inline vm_fault_t ion_insert_huge(struct vm_area_struct *vma,
					 unsigned long addr, pmd_t *pmd,
					 unsigned long pfn, bool write)
{
	struct vm_fault vmf = { .vma = vma, .address = addr, .pmd = pmd };

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 17, 0)
	return vmf_insert_pfn_pmd(&vmf, pfn, write);
#else
	return vmf_insert_pfn_pmd(&vmf, __pfn_to_pfn_t(pfn, PFN_DEV), write);
#endif
}
#endif

/* The same before the mapping can fault, if the kernel has the table for it. */
static inline void ion_map_huge(struct vm_area_struct *vma, unsigned long addr,
				unsigned long pfn)
{
#if ION_HUGE_MAPPINGS && defined(CONFIG_X86)
	pgd_t *pgd = pgd_offset(vma->vm_mm, addr);
	p4d_t *p4d;
	pud_t *pud;

	if (!has_transparent_hugepage() || pgd_none(*pgd))
		return;
	p4d = p4d_offset(pgd, addr);
	if (p4d_none(*p4d))
		return;
	pud = pud_offset(p4d, addr);
	if (!pud_none(*pud))
		ion_insert_huge(vma, addr, pmd_offset(pud, addr), pfn, false);
#endif
}

#ifdef CONFIG_X86
struct ion_map {
	struct vm_area_struct *vma;
	unsigned long pfn;
	unsigned int count;
};

/*
 * At the first of some entries of one table, under the table's lock. But where
 * a hypervisor's frames are, and in what cannot be accessed, the next frame is
 * the next number.
 */
static inline int ion_set_ptes(pte_t *pte, unsigned long addr, void *data)
{
	struct ion_map *map = data;
	pgprot_t prot = map->vma->vm_page_prot;
	pte_t entry = pte_mkspecial(pfn_pte(map->pfn, prot));
	bool plain = !cpu_feature_enabled(X86_FEATURE_XENPV) &&
		     pgprot_val(prot) & _PAGE_PRESENT;
	unsigned int i;

	for (i = 0;;) {
		set_pte_at(map->vma->vm_mm, addr + i * PAGE_SIZE, pte + i,
			   entry);
		if (++i == map->count)
			return 0;
		if (plain)
			entry.pte += PAGE_SIZE;
		else
			entry = pte_mkspecial(pfn_pte(map->pfn + i, prot));
	}
}
#endif

/*
 * Map page frames as vm_page_prot says. What remap_pfn_range() does beyond that
 * on x86 is to look up, page by page, what memory type others want it to have,
 * and to remember it: here it is known.
 */
static inline int ion_map_pfns(struct vm_area_struct *vma, unsigned long addr,
			       unsigned long pfn, size_t size)
{
#ifdef CONFIG_X86
	struct ion_map map = { .vma = vma, .pfn = pfn };
	unsigned long end = addr + size;
	int ret = 0;

	for (; !ret && addr < end; addr += (size_t)map.count << PAGE_SHIFT) {
		map.pfn += map.count;
		map.count = (pmd_addr_end(addr, end) - addr) >> PAGE_SHIFT;
		ret = apply_to_page_range(vma->vm_mm, addr, PAGE_SIZE,
					  ion_set_ptes, &map);
	}
	return ret;
#else
	return remap_pfn_range(vma, addr, pfn, size, vma->vm_page_prot);
#endif
}

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

static inline void ion_timer_stop(struct timer_list *timer)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
	del_timer_sync(timer);
#else
	timer_delete_sync(timer);
#endif
}

typedef unsigned long (*ion_shrink_t)(struct shrinker *shrinker,
				      struct shrink_control *sc);

/* What @count tells of is cheaper to have again than to read from a disk. */
static inline struct shrinker *ion_shrinker_add(const char *name,
						ion_shrink_t count,
						ion_shrink_t scan)
{
	struct shrinker *shrinker;

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
	int ret;

	shrinker = kzalloc(sizeof(*shrinker), GFP_KERNEL);
#else
	shrinker = shrinker_alloc(0, "%s", name);
#endif
	if (!shrinker)
		return ERR_PTR(-ENOMEM);
	shrinker->count_objects = count;
	shrinker->scan_objects = scan;
	shrinker->seeks = 1;
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
	ret = register_shrinker(shrinker, "%s", name);
	if (ret) {
		kfree(shrinker);
		return ERR_PTR(ret);
	}
#else
	shrinker_register(shrinker);
#endif
	return shrinker;
}

static inline void ion_shrinker_remove(struct shrinker *shrinker)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
	unregister_shrinker(shrinker);
	kfree(shrinker);
#else
	shrinker_free(shrinker);
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

/* The kernel's and a process's mappings of a page share what caches have of it. */
#ifdef ARCH_IMPLEMENTS_FLUSH_KERNEL_VMAP_RANGE
#define ION_VMAP_IS_COHERENT 0
#else
#define ION_VMAP_IS_COHERENT 1
#endif

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
