// SPDX-License-Identifier: GPL-2.0-only
/* A buffer: memory of a heap, exported as a dma-buf. */

#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/fcntl.h>
#include <linux/highmem.h>
#include <linux/iosys-map.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "../compat.h"
#include "buffer.h"
#include "heap.h"

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

static int buffer_attach(struct dma_buf *dmabuf,
			 struct dma_buf_attachment *attachment)
{
	struct ion_buffer *buffer = dmabuf->priv;
	struct device *dev = attachment->dev;
	struct ion_attachment *a;
	size_t max;
	int ret;

	max = min_t(size_t, dma_max_mapping_size(dev),
		    dma_get_max_seg_size(dev));
	max = max_t(size_t, round_down(max, PAGE_SIZE), PAGE_SIZE);

	a = kzalloc(sizeof(*a), GFP_KERNEL);
	if (!a)
		return -ENOMEM;

	ret = copy_table(&a->table, &buffer->table, max);
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
	dma_sync_sgtable_for_device(a->dev, &a->table, dir);
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
	dma_sync_sgtable_for_cpu(a->dev, table, a->dir);
	dma_unmap_sgtable(a->dev, table, a->dir, DMA_ATTR_SKIP_CPU_SYNC);
	a->dir = DMA_NONE;
	mutex_unlock(&buffer->lock);
}

/*
 * What has to move depends on how each device has the buffer mapped, not on
 * what the CPU is about to do: hence the attachments' own directions.
 *
 * Where bounce buffers stand in for the memory, each device has one of its own,
 * and nothing tells which of two that may both be written holds the news: map
 * for writing from one device at a time there.
 */
static int buffer_begin_cpu_access(struct dma_buf *dmabuf,
				   enum dma_data_direction dir)
{
	struct ion_buffer *buffer = dmabuf->priv;
	struct ion_attachment *a;

	mutex_lock(&buffer->lock);
	if (buffer->vaddr)
		invalidate_kernel_vmap_range(buffer->vaddr, buffer->size);
	list_for_each_entry(a, &buffer->attachments, node)
		if (a->dir != DMA_NONE)
			dma_sync_sgtable_for_cpu(a->dev, &a->table, a->dir);
	mutex_unlock(&buffer->lock);
	return 0;
}

static int buffer_end_cpu_access(struct dma_buf *dmabuf,
				 enum dma_data_direction dir)
{
	struct ion_buffer *buffer = dmabuf->priv;
	struct ion_attachment *a;

	mutex_lock(&buffer->lock);
	if (buffer->vaddr)
		flush_kernel_vmap_range(buffer->vaddr, buffer->size);
	list_for_each_entry(a, &buffer->attachments, node)
		if (a->dir != DMA_NONE)
			dma_sync_sgtable_for_device(a->dev, &a->table, a->dir);
	mutex_unlock(&buffer->lock);
	return 0;
}

static int buffer_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	struct ion_buffer *buffer = dmabuf->priv;
	size_t skip = (size_t)vma->vm_pgoff << PAGE_SHIFT;
	unsigned long addr = vma->vm_start;
	struct scatterlist *sg;
	int i, ret;

	/* Copy-on-write of bare page frames is not possible. */
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;

	for_each_sgtable_sg(&buffer->table, sg, i) {
		unsigned long len;

		if (skip >= sg->length) {
			skip -= sg->length;
			continue;
		}
		len = min(sg->length - skip, vma->vm_end - addr);
		ret = remap_pfn_range(vma, addr, page_to_pfn(sg_page(sg)) +
				      (skip >> PAGE_SHIFT), len,
				      vma->vm_page_prot);
		if (ret)
			return ret;
		addr += len;
		if (addr == vma->vm_end)
			break;
		skip = 0;
	}
	return 0;
}

static void *map_pages(struct ion_buffer *buffer)
{
	unsigned int n = 0, count = buffer->size >> PAGE_SHIFT;
	struct sg_page_iter iter;
	struct page **pages;
	void *vaddr;

	pages = kvmalloc_array(count, sizeof(*pages), ION_TABLE_GFP);
	if (!pages)
		return NULL;
	for_each_sgtable_page(&buffer->table, &iter, 0)
		pages[n++] = sg_page_iter_page(&iter);
	vaddr = vmap(pages, count, VM_MAP, PAGE_KERNEL);
	kvfree(pages);
	return vaddr;
}

/* The dma-buf core counts the callers: this is the first one. */
static int buffer_vmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	struct ion_buffer *buffer = dmabuf->priv;
	struct page *page = sg_page(buffer->table.sgl);
	void *vaddr;

	if (buffer->table.orig_nents == 1 && !PageHighMem(page))
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

	if (is_vmalloc_addr(map->vaddr))
		vunmap(map->vaddr);
}

static void buffer_free(struct ion_buffer *buffer)
{
	buffer->heap->ops->free(buffer->heap, &buffer->table);
	mutex_destroy(&buffer->lock);
	kfree(buffer);
}

static void buffer_release(struct dma_buf *dmabuf)
{
	buffer_free(dmabuf->priv);
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

static struct dma_buf *alloc_from(struct ion_heap *heap, size_t size,
				  size_t align, unsigned int flags, int mode)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct ion_buffer *buffer;
	struct dma_buf *dmabuf;
	int ret;

	buffer = kzalloc(sizeof(*buffer), GFP_KERNEL);
	if (!buffer)
		return ERR_PTR(-ENOMEM);
	buffer->heap = heap;
	buffer->flags = flags;
	buffer->size = size;
	mutex_init(&buffer->lock);
	INIT_LIST_HEAD(&buffer->attachments);

	ret = heap->ops->allocate(heap, &buffer->table, size, align);
	if (ret) {
		mutex_destroy(&buffer->lock);
		kfree(buffer);
		return ERR_PTR(ret);
	}

	info.ops = &buffer_ops;
	info.owner = heap->owner;
	info.size = size;
	info.flags = mode;
	info.priv = buffer;
	dmabuf = dma_buf_export(&info);
	if (IS_ERR(dmabuf))
		buffer_free(buffer);
	return dmabuf;
}

/**
 * ion_buffer_alloc() - allocate a buffer from the first heap that has room
 * @len: bytes wanted, rounded up to PAGE_SIZE
 * @align: alignment wanted in bytes, a power of two; 0 means a page
 * @heap_mask: heaps to try, 1 << id each, the highest id first
 * @flags: ION_FLAG_*, kept with the buffer
 * @mode: O_RDWR, O_RDONLY or O_WRONLY: what its descriptors can be used for
 *
 * Context: may sleep.
 * Return: a dma-buf whose only reference is the caller's. ERR_PTR: -EINVAL for
 * a length that is 0 or overflows when rounded up, or an alignment that no heap
 * of the mask can give; -ENODEV if no heap of the mask exists; -ENOMEM if none
 * has room or the length is over half of RAM; -EINTR if the process is being
 * killed; -ENFILE if the system has no more files.
 */
struct dma_buf *ion_buffer_alloc(u64 len, u64 align, unsigned int heap_mask,
				 unsigned int flags, int mode)
{
	u64 limit = (u64)totalram_pages() << (PAGE_SHIFT - 1);
	u64 size = PAGE_ALIGN(len);
	int id, ret = -ENODEV;

	if (!size || size < len || size > SIZE_MAX)
		return ERR_PTR(-EINVAL);
	if (align && !is_power_of_2(align))
		return ERR_PTR(-EINVAL);

	for (id = ION_NUM_HEAP_IDS - 1; id >= 0; id--) {
		struct dma_buf *dmabuf = ERR_PTR(-ENOMEM);
		struct ion_heap *heap;

		if (!(heap_mask & (1U << id)))
			continue;
		heap = ion_heap_get(id);
		if (!heap)
			continue;
		if (size <= limit)
			dmabuf = alloc_from(heap, size, align ?: PAGE_SIZE,
					    flags, mode);
		ion_heap_put(heap);
		/* Another heap may have room, or be able to align. */
		if (dmabuf != ERR_PTR(-ENOMEM) && dmabuf != ERR_PTR(-EINVAL))
			return dmabuf;
		if (ret != -ENOMEM)
			ret = PTR_ERR(dmabuf);
	}
	return ERR_PTR(ret);
}
