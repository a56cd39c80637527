/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ION_BUFFER_H
#define _ION_BUFFER_H

#include <linux/atomic.h>
#include <linux/dma-direction.h>
#include <linux/ion.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/types.h>

struct dma_buf;
struct ion_account;
struct seq_file;

/**
 * struct ion_buffer - the exporter's side of a dma-buf
 * @dmabuf: the other side, which owns this one
 * @ino: its inode number, by which people know it
 * @comm: the process that allocated it
 * @pid: the same
 * @heap: where the memory came from
 * @account: the open file that it was allocated through, or NULL
 * @charge: how many bytes count for it, and for all together
 * @flags: ION_FLAG_*
 * @mem: the memory; constant while the buffer lives
 * @node: in the heap's buffers
 * @maps: mappings into processes
 * @lock: protects @attachments, each one's direction, and @vaddr. Under it
 *	nothing waits for a fence, nor for memory (what maps for DMA may be
 *	called from interrupts): begin and end of CPU access take it, and the
 *	signal of a fence may be behind them.
 * @attachments: devices that may have the buffer mapped
 * @vaddr: the kernel mapping, while there is one
 *
 * It lives as long as its dma-buf, whose release frees it.
 */
struct ion_buffer {
	struct dma_buf *dmabuf;
	u64 ino;
	char comm[TASK_COMM_LEN];
	pid_t pid;
	struct ion_heap *heap;
	struct ion_account *account;
	size_t charge;
	unsigned int flags;
	struct ion_memory mem;
	struct list_head node;
	atomic_t maps;
	struct mutex lock;
	struct list_head attachments;
	void *vaddr;
};

struct dma_buf *ion_buffer_alloc(u64 len, u64 align, unsigned int heap_mask,
				 unsigned int flags, int mode,
				 struct ion_account *account);
struct ion_buffer *ion_buffer_of(struct dma_buf *dmabuf);
int ion_buffer_sync(struct dma_buf *dmabuf);
int ion_buffer_begin_range(struct dma_buf *dmabuf, u64 offset, u64 len,
			   enum dma_data_direction dir);
int ion_buffer_end_range(struct dma_buf *dmabuf, u64 offset, u64 len,
			 enum dma_data_direction dir);
void ion_buffer_show(struct seq_file *s, struct ion_buffer *buffer);

#endif
