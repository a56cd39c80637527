// SPDX-License-Identifier: GPL-2.0-only
/* A buffer that was shared with us, and access to its memory by the CPU. */

#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/ion.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "buffer.h"

/**
 * vion_buffer_import() - get and map a buffer that a program has
 * @client: the open file's
 * @fd: a dma-buf descriptor of the current process
 *
 * Context: may sleep. Takes the buffer's reservation lock.
 * Return: the buffer, with one reference. ERR_PTR: -EBADF: not open; -EINVAL:
 * no dma-buf, or it cannot be mapped; -EOPNOTSUPP: I/O memory; -ENOMEM; or what
 * the exporter answers.
 */
struct vion_buffer *vion_buffer_import(struct ion_client *client, int fd)
{
	struct vion_buffer *buffer;
	int ret;

	buffer = kzalloc(sizeof(*buffer), GFP_KERNEL_ACCOUNT);
	if (!buffer)
		return ERR_PTR(-ENOMEM);
	kref_init(&buffer->ref);
	buffer->client = client;

	buffer->handle = ion_import_dma_buf(client, fd);
	if (IS_ERR(buffer->handle)) {
		ret = PTR_ERR(buffer->handle);
		goto err_free;
	}
	buffer->vaddr = ion_map_kernel(client, buffer->handle);
	if (IS_ERR(buffer->vaddr)) {
		ret = PTR_ERR(buffer->vaddr);
		goto err_handle;
	}
	buffer->dmabuf = ion_share_dma_buf(client, buffer->handle);
	buffer->ours = !IS_ERR(ion_sg_table(client, buffer->handle));
	return buffer;

err_handle:
	ion_free(client, buffer->handle);
err_free:
	kfree(buffer);
	return ERR_PTR(ret);
}

/**
 * vion_buffer_get() - take one more reference
 * @buffer: a buffer that cannot go away
 *
 * Return: the buffer.
 */
struct vion_buffer *vion_buffer_get(struct vion_buffer *buffer)
{
	kref_get(&buffer->ref);
	return buffer;
}

/*
 * So that the memory is back at once: a process puts the file's last reference
 * before it returns to the program, but a kernel thread leaves that to another.
 */
static void put_dmabuf(struct dma_buf *dmabuf)
{
	if (current->flags & PF_KTHREAD)
		__fput_sync(dmabuf->file);
	else
		dma_buf_put(dmabuf);
}

static void release(struct kref *ref)
{
	struct vion_buffer *buffer = container_of(ref, struct vion_buffer, ref);

	ion_unmap_kernel(buffer->client, buffer->handle);
	ion_free(buffer->client, buffer->handle);
	put_dmabuf(buffer->dmabuf);
	kfree(buffer);
}

/**
 * vion_buffer_put() - drop a reference
 * @buffer: a buffer, or NULL; the last reference unmaps it
 *
 * Context: may sleep. Takes the buffer's reservation lock, and may release the
 * buffer.
 */
void vion_buffer_put(struct vion_buffer *buffer)
{
	if (buffer)
		kref_put(&buffer->ref, release);
}

/**
 * vion_buffer_writable() - may the memory be changed?
 * @buffer: the buffer
 *
 * Return: whether its exporter gave it out for writing.
 */
bool vion_buffer_writable(struct vion_buffer *buffer)
{
	return buffer->dmabuf->file->f_mode & FMODE_WRITE;
}

/**
 * vion_buffer_idle() - can the CPU have the memory now?
 * @buffer: the buffer
 * @write: for writing, too
 *
 * Return: whether all fences that stand against that have signalled.
 */
bool vion_buffer_idle(struct vion_buffer *buffer, bool write)
{
	return dma_resv_test_signaled(buffer->dmabuf->resv,
				      dma_resv_usage_rw(write));
}

/**
 * vion_buffer_wait() - wait until the CPU can have the memory
 * @buffer: the buffer
 * @write: see vion_buffer_idle()
 *
 * Return: 0, or -ERESTARTSYS if a signal came.
 */
int vion_buffer_wait(struct vion_buffer *buffer, bool write)
{
	long ret = dma_resv_wait_timeout(buffer->dmabuf->resv,
					 dma_resv_usage_rw(write), true,
					 MAX_SCHEDULE_TIMEOUT);

	return ret < 0 ? ret : 0;
}

/* What is written in a part must not take the rest from what it was. */
static enum dma_data_direction direction(bool write)
{
	return write ? DMA_BIDIRECTIONAL : DMA_FROM_DEVICE;
}

/**
 * vion_buffer_is_fenceable() - may a fence wait for CPU access to it?
 * @buffer: the buffer
 *
 * Return: whether begin and end take no lock under which anybody takes memory or
 * waits for fences: so it is with ION's, and where there is nothing to do.
 */
bool vion_buffer_is_fenceable(struct vion_buffer *buffer)
{
	const struct dma_buf_ops *ops = buffer->dmabuf->ops;

	return buffer->ours || (!ops->begin_cpu_access && !ops->end_cpu_access);
}

/**
 * vion_buffer_begin() - begin CPU access, after the fences
 * @buffer: the buffer
 * @write: see vion_buffer_idle()
 *
 * Without a wait, where the buffer is fenceable: a job would wait for its own
 * fence.
 *
 * Context: may sleep.
 * Return: 0, or what the exporter answers; 0 if the buffer is fenceable.
 */
int vion_buffer_begin(struct vion_buffer *buffer, bool write)
{
	if (buffer->ours)
		return ion_begin_access(buffer->client, buffer->handle);
	if (vion_buffer_is_fenceable(buffer))
		return 0;
	return dma_buf_begin_cpu_access(buffer->dmabuf, direction(write));
}

/**
 * vion_buffer_end() - end CPU access
 * @buffer: the buffer
 * @write: as it was begun
 *
 * Context: may sleep.
 * Return: see vion_buffer_begin().
 */
int vion_buffer_end(struct vion_buffer *buffer, bool write)
{
	if (buffer->ours)
		return ion_end_access(buffer->client, buffer->handle);
	if (vion_buffer_is_fenceable(buffer))
		return 0;
	return dma_buf_end_cpu_access(buffer->dmabuf, direction(write));
}
