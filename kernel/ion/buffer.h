/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ION_BUFFER_H
#define _ION_BUFFER_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/scatterlist.h>
#include <linux/types.h>

struct dma_buf;
struct ion_heap;

/**
 * struct ion_buffer - the exporter's side of a dma-buf
 * @heap: where the memory came from
 * @flags: ION_FLAG_*
 * @size: bytes, a multiple of PAGE_SIZE
 * @table: the memory; constant while the buffer lives
 * @lock: protects @attachments, each one's direction, and @vaddr
 * @attachments: devices that may have the buffer mapped
 * @vaddr: the kernel mapping, while there is one
 *
 * It lives as long as its dma-buf, whose release frees it.
 */
struct ion_buffer {
	struct ion_heap *heap;
	unsigned int flags;
	size_t size;
	struct sg_table table;
	struct mutex lock;
	struct list_head attachments;
	void *vaddr;
};

struct dma_buf *ion_buffer_alloc(u64 len, u64 align, unsigned int heap_mask,
				 unsigned int flags, int mode);
struct ion_buffer *ion_buffer_of(struct dma_buf *dmabuf);
int ion_buffer_sync(struct dma_buf *dmabuf);

#endif
