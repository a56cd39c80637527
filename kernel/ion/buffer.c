// SPDX-License-Identifier: GPL-2.0-only
/* A buffer: memory of a heap, exported as a dma-buf. */

#include <linux/dma-buf.h>
#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/fcntl.h>
#include <linux/highmem.h>
#include <linux/iosys-map.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/swiotlb.h>
#include <linux/vmalloc.h>

#include <uapi/linux/dma-buf.h>

#include "../compat.h"
#include "account.h"
#include "buffer.h"
#include "heap.h"
#include "trace.h"

/**
 * struct ion_attachment - one importing device
 * @dev: the device
 * @table: the buffer's memory, with this device's DMA addresses
 * @dir: how it is mapped, DMA_NONE while it is not
 * @node: in the buffer's attachments
 */
struct ion_attachment {
	struct device *dev;
	struct sg_table table;
	enum dma_data_direction dir;
	struct list_head node;
};

/* The same memory again, in entries that the device can map at once. */
static int copy_table(struct sg_table *to, struct sg_table *from, size_t max)
{
	struct scatterlist *sg, *out;
	unsigned int nents = 0;
	int i, ret;

	for_each_sgtable_sg(from, sg, i)
		nents += (sg->length - 1) / max + 1;
	ret = sg_alloc_table(to, nents, ION_TABLE_GFP);
	if (ret)
		return ret;

	out = to->sgl;
	for_each_sgtable_sg(from, sg, i) {
		unsigned int done, len;

		for (done = 0; done < sg->length; done += len) {
			len = min_t(size_t, sg->length - done, max);
			sg_set_page(out, pfn_to_page(page_to_pfn(sg_page(sg)) +
						     (done >> PAGE_SHIFT)),
				    len, 0);
			out = sg_next(out);
		}
	}
	return 0;
}

/*
 * Set-aside memory is out of reach for what the DMA API does through the linear
 * map: bounce buffers, and cache maintenance for devices that see no caches.
 * What needs neither never needs a sync.
 */
static bool can_attach(struct ion_buffer *buffer, struct device *dev)
{
	u64 most = min_not_zero(dma_get_mask(dev), dev->bus_dma_limit);
	struct scatterlist *sg;
	int i;

	if (!buffer->heap->set_aside)
		return true;
	if (buffer->mem.cached && !dev_is_dma_coherent(dev))
		return false;
	if (ion_dma_is_remapped(dev))
		return true;
	/* Others than these have bounce buffers of their own. */
	if (get_dma_ops(dev) || is_swiotlb_force_bounce(dev))
		return false;
	for_each_sgtable_sg(&buffer->mem.table, sg, i)
		if (phys_to_dma(dev, sg_phys(sg) + sg->length - 1) > most)
			return false;
	return true;
}

static int buffer_attach(struct dma_buf *dmabuf,
			 struct dma_buf_attachment *attachment)
{
	struct ion_buffer *buffer = dmabuf->priv;
	struct device *dev = attachment->dev;
	struct ion_attachment *a;
	size_t max;
	int ret;

	if (!can_attach(buffer, dev))
		return -EOPNOTSUPP;

	max = min_t(size_t, dma_max_mapping_size(dev),
		    dma_get_max_seg_size(dev));
	max = max_t(size_t, round_down(max, PAGE_SIZE), PAGE_SIZE);

	a = kzalloc(sizeof(*a), GFP_KERNEL);
	if (!a)
		return -ENOMEM;

	ret = copy_table(&a->table, &buffer->mem.table, max);
	if (ret) {
		kfree(a);
		return ret;
	}
	a->dev = dev;
	a->dir = DMA_NONE;
	attachment->priv = a;

	mutex_lock(&buffer->lock);
	list_add(&a->node, &buffer->attachments);
	mutex_unlock(&buffer->lock);
	/* Before a map looks at the memory. Pairs with that of end_range(). */
	smp_mb();
	return 0;
}

static void buffer_detach(struct dma_buf *dmabuf,
			  struct dma_buf_attachment *attachment)
{
	struct ion_buffer *buffer = dmabuf->priv;
	struct ion_attachment *a = attachment->priv;

	mutex_lock(&buffer->lock);
	list_del(&a->node);
	mutex_unlock(&buffer->lock);

	sg_free_table(&a->table);
	kfree(a);
}

typedef void (*sync_range_t)(struct device *dev, dma_addr_t addr,
			     unsigned long offset, size_t size,
			     enum dma_data_direction dir);

/* Applies to what of @offset, @len lies in each entry. */
static void sync_table(struct ion_attachment *a, size_t offset, size_t len,
		       sync_range_t sync)
{
	struct scatterlist *sg;
	int i;

	for_each_sgtable_dma_sg(&a->table, sg, i) {
		size_t size = sg_dma_len(sg), n;

		if (offset >= size) {
			offset -= size;
			continue;
		}
		n = min(len, size - offset);
		sync(a->dev, sg_dma_address(sg), offset, n, a->dir);
		len -= n;
		if (!len)
			break;
		offset = 0;
	}
}

/* What an IOMMU made one of several entries can only be synced as a whole. */
static bool is_partial(struct ion_buffer *buffer, struct ion_attachment *a,
		       size_t len)
{
	return len != buffer->mem.size &&
	       a->table.nents == a->table.orig_nents;
}

static void sync_for_cpu(struct ion_buffer *buffer, struct ion_attachment *a,
			 size_t offset, size_t len)
{
	if (buffer->heap->set_aside)
		return;
	if (!is_partial(buffer, a, len))
		dma_sync_sgtable_for_cpu(a->dev, &a->table, a->dir);
	else
		sync_table(a, offset, len, dma_sync_single_range_for_cpu);
}

static void sync_for_device(struct ion_buffer *buffer,
			    struct ion_attachment *a, size_t offset, size_t len)
{
	if (buffer->heap->set_aside)
		return;
	if (!is_partial(buffer, a, len))
		dma_sync_sgtable_for_device(a->dev, &a->table, a->dir);
	else
		sync_table(a, offset, len, dma_sync_single_range_for_device);
}

/*
 * Two importers of one buffer are the normal case, and DMA debugging objects to
 * a second mapping that syncs a page which is mapped already: so mapping never
 * syncs, and what it would have synced is synced here, for this device.
 */
static struct sg_table *buffer_map(struct dma_buf_attachment *attachment,
				   enum dma_data_direction dir)
{
	struct ion_buffer *buffer = attachment->dmabuf->priv;
	struct ion_attachment *a = attachment->priv;
	int ret;

	mutex_lock(&buffer->lock);
	if (a->dir != DMA_NONE) {
		ret = -EBUSY;
		goto out;
	}
	ret = dma_map_sgtable(a->dev, &a->table, dir, DMA_ATTR_SKIP_CPU_SYNC);
	if (ret)
		goto out;
	a->dir = dir;
	sync_for_device(buffer, a, 0, buffer->mem.size);
out:
	mutex_unlock(&buffer->lock);
	return ret ? ERR_PTR(ret) : &a->table;
}

static void buffer_unmap(struct dma_buf_attachment *attachment,
			 struct sg_table *table, enum dma_data_direction dir)
{
	struct ion_buffer *buffer = attachment->dmabuf->priv;
	struct ion_attachment *a = attachment->priv;

	mutex_lock(&buffer->lock);
	sync_for_cpu(buffer, a, 0, buffer->mem.size);
	dma_unmap_sgtable(a->dev, table, a->dir, DMA_ATTR_SKIP_CPU_SYNC);
	a->dir = DMA_NONE;
	mutex_unlock(&buffer->lock);
}

/* Who attaches meanwhile, and maps, has it synced by that. */
static bool needs_no_sync(struct ion_buffer *buffer)
{
	return ION_VMAP_IS_COHERENT &&
	       list_empty_careful(&buffer->attachments);
}

/*
 * What has to move depends on how each device has the buffer mapped, not on
 * what the CPU is about to do: hence the attachments' own directions.
 *
 * Where bounce buffers stand in for the memory, each device has one of its own,
 * and nothing tells which of two that may both be written holds the news: map
 * for writing from one device at a time there.
 */
static void begin_range(struct ion_buffer *buffer, size_t offset, size_t len)
{
	struct ion_attachment *a;

	if (needs_no_sync(buffer))
		return;
	mutex_lock(&buffer->lock);
	if (buffer->vaddr)
		invalidate_kernel_vmap_range(buffer->vaddr + offset, len);
	list_for_each_entry(a, &buffer->attachments, node)
		if (a->dir != DMA_NONE)
			sync_for_cpu(buffer, a, offset, len);
	mutex_unlock(&buffer->lock);
}

static void end_range(struct ion_buffer *buffer, size_t offset, size_t len)
{
	struct ion_attachment *a;

	/* What was written is there before who attaches is not yet seen. */
	smp_mb();
	if (needs_no_sync(buffer))
		return;
	mutex_lock(&buffer->lock);
	if (buffer->vaddr)
		flush_kernel_vmap_range(buffer->vaddr + offset, len);
	list_for_each_entry(a, &buffer->attachments, node)
		if (a->dir != DMA_NONE)
			sync_for_device(buffer, a, offset, len);
	mutex_unlock(&buffer->lock);
}

/*
 * The dma-buf core waits for the fences after this. But what a device writes can
 * only be brought when it has written, and what it wrote before must not come
 * over what a job of the kernel's writes.
 */
static int wait_for_fences(struct dma_buf *dmabuf, enum dma_data_direction dir)
{
	bool write = dir == DMA_TO_DEVICE || dir == DMA_BIDIRECTIONAL;
	long ret = dma_resv_wait_timeout(dmabuf->resv, dma_resv_usage_rw(write),
					 true, MAX_SCHEDULE_TIMEOUT);

	return ret < 0 ? ret : 0;
}

static int buffer_begin_cpu_access(struct dma_buf *dmabuf,
				   enum dma_data_direction dir)
{
	int ret = wait_for_fences(dmabuf, dir);

	if (!ret)
		begin_range(dmabuf->priv, 0, dmabuf->size);
	return ret;
}

static int buffer_end_cpu_access(struct dma_buf *dmabuf,
				 enum dma_data_direction dir)
{
	end_range(dmabuf->priv, 0, dmabuf->size);
	return 0;
}

static void vma_open(struct vm_area_struct *vma)
{
	struct ion_buffer *buffer = vma->vm_private_data;

	atomic_inc(&buffer->maps);
}

static void vma_close(struct vm_area_struct *vma)
{
	struct ion_buffer *buffer = vma->vm_private_data;

	atomic_dec(&buffer->maps);
}

/* Where in memory the buffer's @offset is; *@left bytes from there are in a row. */
static phys_addr_t find_phys(struct ion_buffer *buffer, size_t offset,
			     size_t *left)
{
	struct scatterlist *sg;
	int i;

	for_each_sgtable_sg(&buffer->mem.table, sg, i) {
		if (offset < sg->length)
			break;
		offset -= sg->length;
	}
	*left = sg->length - offset;
	return sg_phys(sg) + offset;
}

/* What had, or was to have, a large entry but cannot: all of it, in pages. */
static vm_fault_t vma_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long addr = max(vmf->address & PMD_MASK, vma->vm_start);
	unsigned long end = min((vmf->address & PMD_MASK) + PMD_SIZE,
				vma->vm_end);
	vm_fault_t ret = VM_FAULT_NOPAGE;
	phys_addr_t phys = 0;
	size_t left = 0;

	for (; addr < end && ret == VM_FAULT_NOPAGE; addr += PAGE_SIZE) {
		if (!left)
			phys = find_phys(vma->vm_private_data,
					 linear_page_index(vma, addr)
					 << PAGE_SHIFT, &left);
		ret = vmf_insert_pfn(vma, addr, PHYS_PFN(phys));
		phys += PAGE_SIZE;
		left -= PAGE_SIZE;
	}
	return ret;
}

#if ION_HUGE_MAPPINGS
static vm_fault_t vma_huge_fault(struct vm_fault *vmf, unsigned int order)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long addr = vmf->address & PMD_MASK;
	phys_addr_t phys;
	size_t left;

	if (order != PMD_ORDER || addr < vma->vm_start ||
	    vma->vm_end - addr < PMD_SIZE)
		return VM_FAULT_FALLBACK;
	phys = find_phys(vma->vm_private_data,
			 linear_page_index(vma, addr) << PAGE_SHIFT, &left);
	if (!IS_ALIGNED(phys, PMD_SIZE) || left < PMD_SIZE)
		return VM_FAULT_FALLBACK;
	/* Only of an entry that is there must it be said. */
	return ion_insert_huge(vma, addr, vmf->pmd, PHYS_PFN(phys),
			       vmf->flags & FAULT_FLAG_WRITE &&
			       pmd_trans_huge(pmdp_get_lockless(vmf->pmd)));
}
#endif

/* A mapping holds the file, and so the buffer. */
static const struct vm_operations_struct vma_ops = {
	.open = vma_open,
	.close = vma_close,
	.fault = vma_fault,
};

#if ION_HUGE_MAPPINGS
static const struct vm_operations_struct huge_vma_ops = {
	.open = vma_open,
	.close = vma_close,
	.fault = vma_fault,
	.huge_fault = vma_huge_fault,
};
#else
#define huge_vma_ops vma_ops
#endif

/* Can one entry of the page tables map 2 MiB of what is there? */
static bool is_huge(unsigned long addr, phys_addr_t phys, size_t len)
{
	return ION_HUGE_MAPPINGS && IS_ALIGNED(addr | phys, PMD_SIZE) &&
	       len >= PMD_SIZE;
}

/* How much has to be mapped in pages, before that begins or to the end. */
static size_t not_huge(unsigned long addr, phys_addr_t phys, size_t len)
{
	size_t before = -addr & ~PMD_MASK;

	if (before < len && is_huge(addr + before, phys + before, len - before))
		return before;
	return len;
}

static int map_run(struct vm_area_struct *vma, unsigned long addr,
		   phys_addr_t phys, size_t len, bool huge)
{
	size_t n;
	int ret;

	for (; len; len -= n, addr += n, phys += n) {
		n = is_huge(addr, phys, len) ? PMD_SIZE :
					       not_huge(addr, phys, len);
		if (huge != is_huge(addr, phys, len))
			continue;
		if (huge) {
			ion_map_huge(vma, addr, PHYS_PFN(phys));
			continue;
		}
		ret = ion_map_pfns(vma, addr, PHYS_PFN(phys), n);
		if (ret)
			return ret;
	}
	return 0;
}

static int map_runs(struct ion_buffer *buffer, struct vm_area_struct *vma,
		    bool huge)
{
	size_t skip = (size_t)vma->vm_pgoff << PAGE_SHIFT, len;
	unsigned long addr = vma->vm_start;
	struct scatterlist *sg;
	int i, ret;

	for_each_sgtable_sg(&buffer->mem.table, sg, i) {
		if (skip >= sg->length) {
			skip -= sg->length;
			continue;
		}
		len = min(sg->length - skip, vma->vm_end - addr);
		ret = map_run(vma, addr, sg_phys(sg) + skip, len, huge);
		if (ret)
			return ret;
		addr += len;
		if (addr == vma->vm_end)
			break;
		skip = 0;
		cond_resched();
		if (!huge && fatal_signal_pending(current))
			return -EINTR;
	}
	return 0;
}

/*
 * Large entries come last, when nothing can fail any more: Linux 6.12 takes those
 * of a mapping that failed for huge pages of a process, and puts them. Where the
 * kernel has no table for them yet, the first touch makes it.
 */
static int map_all(struct ion_buffer *buffer, struct vm_area_struct *vma)
{
	int ret = map_runs(buffer, vma, false);

	if (!ret && vma->vm_end - vma->vm_start >= PMD_SIZE)
		map_runs(buffer, vma, true);
	return ret;
}

static int buffer_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	struct ion_buffer *buffer = dmabuf->priv;
	int ret;

	/*
	 * Copy-on-write of bare page frames is not possible. A shared mapping
	 * of a read-only descriptor has lost VM_SHARED by now.
	 */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (!buffer->mem.cached)
		vma->vm_page_prot = pgprot_writecombine(vma->vm_page_prot);
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);

	ret = map_all(buffer, vma);
	if (ret)
		return ret;
	vma->vm_private_data = buffer;
	vma->vm_ops = vma->vm_end - vma->vm_start < PMD_SIZE ? &vma_ops :
							       &huge_vma_ops;
	vma_open(vma);
	trace_ion_map(buffer, vma->vm_end - vma->vm_start);
	return 0;
}

static void *map_pages(struct ion_buffer *buffer)
{
	unsigned int n = 0, count = buffer->mem.size >> PAGE_SHIFT;
	pgprot_t prot = buffer->mem.cached ? PAGE_KERNEL :
				pgprot_writecombine(PAGE_KERNEL);
	struct sg_page_iter iter;
	struct page **pages;
	void *vaddr;

	pages = kvmalloc_array(count, sizeof(*pages), ION_TABLE_GFP);
	if (!pages)
		return NULL;
	for_each_sgtable_page(&buffer->mem.table, &iter, 0)
		pages[n++] = sg_page_iter_page(&iter);
	vaddr = vmap(pages, count, VM_MAP, prot);
	kvfree(pages);
	return vaddr;
}

/* In one piece, and mapped as the buffer is to be. */
static bool in_linear_map(struct ion_buffer *buffer)
{
	return buffer->mem.table.orig_nents == 1 && !buffer->heap->set_aside &&
	       (buffer->mem.cached || ION_LINEAR_MAP_FOLLOWS);
}

/* The dma-buf core counts the callers: this is the first one. */
static int buffer_vmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	struct ion_buffer *buffer = dmabuf->priv;
	struct page *page = sg_page(buffer->mem.table.sgl);
	void *vaddr;

	if (buffer->mem.vaddr)
		vaddr = buffer->mem.vaddr;
	else if (in_linear_map(buffer) && !PageHighMem(page))
		vaddr = page_address(page);
	else
		vaddr = map_pages(buffer);
	if (!vaddr)
		return -ENOMEM;

	mutex_lock(&buffer->lock);
	buffer->vaddr = vaddr;
	mutex_unlock(&buffer->lock);
	iosys_map_set_vaddr(map, vaddr);
	return 0;
}

static void buffer_vunmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	struct ion_buffer *buffer = dmabuf->priv;

	mutex_lock(&buffer->lock);
	buffer->vaddr = NULL;
	mutex_unlock(&buffer->lock);

	if (is_vmalloc_addr(map->vaddr) && map->vaddr != buffer->mem.vaddr)
		vunmap(map->vaddr);
}

/* Whether ION itself has to see to it that no cached mapping is left. */
static bool needs_combining(struct ion_heap *heap, struct ion_memory *mem)
{
	return !mem->cached && !mem->combined && !heap->set_aside;
}

static bool set_wb(struct sg_table *table)
{
	struct scatterlist *sg;
	bool good = true;
	int i;

	for_each_sgtable_sg(table, sg, i) {
		cond_resched();
		if (ion_set_pages_wb(sg_page(sg), sg->length >> PAGE_SHIFT))
			good = false;
	}
	return good;
}

static bool set_wc(struct sg_table *table)
{
	struct scatterlist *sg;
	int i;

	for_each_sgtable_sg(table, sg, i) {
		cond_resched();
		if (ion_set_pages_wc(sg_page(sg), sg->length >> PAGE_SHIFT))
			return false;
		ion_clean_pages(sg_page(sg), sg->length);
	}
	return true;
}

/*
 * Pages of which it is not certain that the linear map is cached again must not
 * get to others: then they stay where they are for good, with their heap.
 */
static void mem_free(struct ion_heap *heap, struct ion_memory *mem)
{
	if (!needs_combining(heap, mem) || set_wb(&mem->table)) {
		heap->ops->free(heap, mem);
	} else {
		__module_get(heap->owner);
		atomic_inc(&heap->users);
	}
}

static int mem_alloc(struct ion_heap *heap, struct ion_memory *mem)
{
	int ret = heap->ops->allocate(heap, mem);

	if (ret || !needs_combining(heap, mem) || set_wc(&mem->table))
		return ret;
	mem_free(heap, mem);
	return -ENOMEM;
}

static void count_buffer(struct ion_buffer *buffer)
{
	struct ion_heap *heap = buffer->heap;

	mutex_lock(&heap->lock);
	list_add_tail(&buffer->node, &heap->buffers);
	heap->count++;
	heap->bytes += buffer->mem.size;
	heap->peak = max(heap->peak, heap->bytes);
	mutex_unlock(&heap->lock);
}

static void uncount_buffer(struct ion_buffer *buffer)
{
	struct ion_heap *heap = buffer->heap;

	mutex_lock(&heap->lock);
	list_del(&buffer->node);
	heap->count--;
	heap->bytes -= buffer->mem.size;
	mutex_unlock(&heap->lock);
}

static void buffer_release(struct dma_buf *dmabuf)
{
	struct ion_buffer *buffer = dmabuf->priv;
	struct ion_heap *heap = buffer->heap;

	trace_ion_free(buffer);
	uncount_buffer(buffer);
	mem_free(heap, &buffer->mem);
	ion_account_uncharge(buffer->account, buffer->charge);
	mutex_destroy(&buffer->lock);
	kfree(buffer);
	/* The heap may be gone then; the dma-buf still pins its module. */
	(void)atomic_dec_return_release(&heap->users);
}

static const struct dma_buf_ops buffer_ops = {
	.attach = buffer_attach,
	.detach = buffer_detach,
	.map_dma_buf = buffer_map,
	.unmap_dma_buf = buffer_unmap,
	.begin_cpu_access = buffer_begin_cpu_access,
	.end_cpu_access = buffer_end_cpu_access,
	.mmap = buffer_mmap,
	.vmap = buffer_vmap,
	.vunmap = buffer_vunmap,
	.release = buffer_release,
};

/**
 * ion_buffer_of() - is this buffer ours?
 * @dmabuf: any dma-buf
 *
 * Return: its exporter's side, or NULL if another driver exported it.
 */
struct ion_buffer *ion_buffer_of(struct dma_buf *dmabuf)
{
	return dmabuf->ops == &buffer_ops ? dmabuf->priv : NULL;
}

/**
 * ion_buffer_sync() - make what the CPU wrote visible to devices
 * @dmabuf: any dma-buf
 *
 * Return: 0, or what the exporter of another driver's buffer answers.
 */
int ion_buffer_sync(struct dma_buf *dmabuf)
{
	int ret;

	/*
	 * Some exporters refuse an end without a begin. Ours must not see a
	 * begin: it would bring what a device wrote over what the CPU did.
	 */
	if (!ion_buffer_of(dmabuf)) {
		ret = dma_buf_begin_cpu_access(dmabuf, DMA_TO_DEVICE);
		if (ret)
			return ret;
	}
	return dma_buf_end_cpu_access(dmabuf, DMA_TO_DEVICE);
}

/* Another driver's buffer is begun and ended as a whole. */
static int check_range(struct dma_buf *dmabuf, u64 offset, u64 len)
{
	if (!len || offset > dmabuf->size || len > dmabuf->size - offset)
		return -EINVAL;
	return 0;
}

/**
 * ion_buffer_begin_range() - begin CPU access to a part of a buffer
 * @dmabuf: any dma-buf; another driver's is begun as a whole
 * @offset: where the part starts, in bytes
 * @len: how long it is, in bytes, not 0
 * @dir: what the CPU is going to do, seen from devices: DMA_FROM_DEVICE: read
 *
 * Waits for the buffer's fences, as dma_buf_begin_cpu_access() does.
 *
 * Return: 0. -EINVAL: the part is not in the buffer; -ERESTARTSYS: a signal
 * came while waiting; or what the other driver answers.
 */
int ion_buffer_begin_range(struct dma_buf *dmabuf, u64 offset, u64 len,
			   enum dma_data_direction dir)
{
	int ret = check_range(dmabuf, offset, len);

	if (ret)
		return ret;
	if (!ion_buffer_of(dmabuf))
		return dma_buf_begin_cpu_access(dmabuf, dir);
	ret = wait_for_fences(dmabuf, dir);
	if (!ret)
		begin_range(dmabuf->priv, offset, len);
	return ret;
}

/**
 * ion_buffer_end_range() - end CPU access to a part of a buffer
 * @dmabuf: see ion_buffer_begin_range()
 * @offset: see ion_buffer_begin_range()
 * @len: see ion_buffer_begin_range()
 * @dir: see ion_buffer_begin_range()
 *
 * Return: 0. -EINVAL: the part is not in the buffer; or what the other driver
 * answers.
 */
int ion_buffer_end_range(struct dma_buf *dmabuf, u64 offset, u64 len,
			 enum dma_data_direction dir)
{
	int ret = check_range(dmabuf, offset, len);

	if (ret)
		return ret;
	if (!ion_buffer_of(dmabuf))
		return dma_buf_end_cpu_access(dmabuf, dir);
	end_range(dmabuf->priv, offset, len);
	return 0;
}

/**
 * ion_buffer_begin() - begin CPU access to all of a buffer, past its fences
 * @buffer: a buffer of ours
 *
 * Context: takes the buffer's lock, under which nothing waits for a fence or for
 * memory.
 */
void ion_buffer_begin(struct ion_buffer *buffer)
{
	begin_range(buffer, 0, buffer->mem.size);
}

/**
 * ion_buffer_end() - end what ion_buffer_begin() began
 * @buffer: a buffer of ours
 *
 * Context: see ion_buffer_begin().
 */
void ion_buffer_end(struct ion_buffer *buffer)
{
	end_range(buffer, 0, buffer->mem.size);
}

/* Seen in /proc/PID/maps and fdinfo, unless its user gives it another. */
static char *default_name(struct ion_heap *heap, size_t size)
{
	char *name = kmalloc(DMA_BUF_NAME_LEN, GFP_KERNEL);
	char digits[DMA_BUF_NAME_LEN];
	size_t at = sizeof(digits), len;

	if (!name)
		return NULL;
	/* By hand: formatting takes longer than allocating a page. */
	digits[--at] = '\0';
	do
		digits[--at] = '0' + size % 10;
	while (size /= 10);
	digits[--at] = ':';
	len = min(heap->name_len, at);
	memcpy(name, heap->name, len);
	memcpy(name + len, digits + at, sizeof(digits) - at);
	return name;
}

static struct dma_buf *export(struct ion_buffer *buffer, int mode)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dma_buf *dmabuf;
	char *name;

	name = default_name(buffer->heap, buffer->mem.size);
	if (!name)
		return ERR_PTR(-ENOMEM);
	info.ops = &buffer_ops;
	info.owner = buffer->heap->owner;
	info.size = buffer->mem.size;
	info.flags = mode;
	info.priv = buffer;
	dmabuf = dma_buf_export(&info);
	if (IS_ERR(dmabuf)) {
		kfree(name);
		return dmabuf;
	}
	/* There is a list of all dma-bufs, which others read. */
	spin_lock(&dmabuf->name_lock);
	dmabuf->name = name;
	spin_unlock(&dmabuf->name_lock);
	return dmabuf;
}

static struct dma_buf *alloc_from(struct ion_heap *heap, size_t size,
				  size_t align, unsigned int flags, int mode,
				  struct ion_account *account)
{
	struct ion_buffer *buffer;
	struct dma_buf *dmabuf;
	int ret;

	buffer = kzalloc(sizeof(*buffer), GFP_KERNEL);
	if (!buffer)
		return ERR_PTR(-ENOMEM);
	buffer->heap = heap;
	buffer->account = account;
	buffer->flags = flags;
	buffer->mem.size = size;
	buffer->mem.align = align;
	buffer->mem.cached = flags & ION_FLAG_CACHED;
	buffer->pid = task_tgid_nr(current);
	/* It may be changed meanwhile, but always ends. */
	memcpy(buffer->comm, current->comm, sizeof(buffer->comm));
	mutex_init(&buffer->lock);
	INIT_LIST_HEAD(&buffer->attachments);

	buffer->charge = heap->ops->takes ?
		heap->ops->takes(heap, size, align) : size;
	ret = ion_account_charge(account, buffer->charge);
	if (ret)
		goto err_buffer;
	ret = mem_alloc(heap, &buffer->mem);
	if (ret)
		goto err_uncharge;
	dmabuf = export(buffer, mode);
	if (IS_ERR(dmabuf)) {
		ret = PTR_ERR(dmabuf);
		goto err_mem;
	}
	buffer->dmabuf = dmabuf;
	buffer->ino = file_inode(dmabuf->file)->i_ino;
	atomic_inc(&heap->users);
	count_buffer(buffer);
	trace_ion_alloc(buffer);
	return dmabuf;

err_mem:
	mem_free(heap, &buffer->mem);
err_uncharge:
	ion_account_uncharge(account, buffer->charge);
err_buffer:
	mutex_destroy(&buffer->lock);
	kfree(buffer);
	return ERR_PTR(ret);
}

/**
 * ion_buffer_alloc() - allocate a buffer from the first heap that has room
 * @len: bytes wanted, rounded up to PAGE_SIZE
 * @align: alignment wanted in bytes, a power of two; 0 means a page
 * @heap_mask: heaps to try, 1 << id each, the highest id first
 * @flags: ION_FLAG_*, kept with the buffer
 * @mode: O_RDWR, O_RDONLY or O_WRONLY: what its descriptors can be used for
 * @account: the open file that it counts for, or NULL
 *
 * Context: may sleep.
 * Return: a dma-buf whose only reference is the caller's. ERR_PTR: -EINVAL for
 * a length that is 0 or overflows when rounded up, or an alignment that no heap
 * of the mask can give; -ENODEV if no heap of the mask exists; -ENOMEM if none
 * has room, the length is over half of RAM (unless the heap's memory was set
 * aside), or a limit is reached; -EINTR if the process is being killed; -ENFILE if the system has no more files.
 */
struct dma_buf *ion_buffer_alloc(u64 len, u64 align, unsigned int heap_mask,
				 unsigned int flags, int mode,
				 struct ion_account *account)
{
	u64 limit = (u64)totalram_pages() << (PAGE_SHIFT - 1);
	u64 size = PAGE_ALIGN(len);
	int ret = -ENODEV;

	if (!size || size < len || size > SIZE_MAX || align > SIZE_MAX)
		return ERR_PTR(-EINVAL);
	if (align && !is_power_of_2(align))
		return ERR_PTR(-EINVAL);

	while (heap_mask) {
		struct dma_buf *dmabuf = ERR_PTR(-ENOMEM);
		int id = __fls(heap_mask);
		struct ion_heap *heap;

		heap_mask &= ~(1U << id);
		heap = ion_heap_get(id);
		if (!heap)
			continue;
		/* Set-aside memory is not RAM that others would miss. */
		if (size <= limit || heap->set_aside)
			dmabuf = alloc_from(heap, size,
					    max_t(size_t, align, PAGE_SIZE),
					    flags, mode, account);
		ion_heap_put(heap);
		/* Another heap may have room, or be able to align. */
		if (dmabuf != ERR_PTR(-ENOMEM) && dmabuf != ERR_PTR(-EINVAL))
			return dmabuf;
		if (ret != -ENOMEM)
			ret = PTR_ERR(dmabuf);
	}
	return ERR_PTR(ret);
}

/**
 * ion_buffer_show() - describe a buffer in a line and its importers in others
 * @s: where to
 * @buffer: a buffer that cannot go away: its heap's lock is held
 */
void ion_buffer_show(struct seq_file *s, struct ion_buffer *buffer)
{
	struct ion_attachment *a;

	spin_lock(&buffer->dmabuf->name_lock);
	seq_printf(s, "%10llu %12zu %8x %5d %6s %16s %10d  %s\n", buffer->ino,
		   buffer->mem.size, buffer->flags, atomic_read(&buffer->maps),
		   buffer->vaddr ? "yes" : "no", buffer->comm, buffer->pid,
		   buffer->dmabuf->name ?: "");
	spin_unlock(&buffer->dmabuf->name_lock);

	mutex_lock(&buffer->lock);
	list_for_each_entry(a, &buffer->attachments, node)
		seq_printf(s, "%75s%s%s\n", "", dev_name(a->dev),
			   a->dir == DMA_NONE ? "" : ", mapped");
	mutex_unlock(&buffer->lock);
}
