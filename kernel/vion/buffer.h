/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _VION_BUFFER_H
#define _VION_BUFFER_H

#include <linux/dma-direction.h>
#include <linux/kref.h>
#include <linux/types.h>

struct dma_buf;
struct ion_client;
struct ion_handle;

/**
 * struct vion_buffer - a buffer that we have mapped
 * @ref: the registration, a read() or write() that waits, and each job have one
 * @client: owns @handle, and outlives us
 * @handle: one reference to the buffer, which is also one to the mapping
 * @dmabuf: the buffer
 * @vaddr: all of it
 * @fenceable: fences may wait for CPU access to it, see vion_buffer_begin()
 *
 * Constant but for @ref.
 */
struct vion_buffer {
	struct kref ref;
	struct ion_client *client;
	struct ion_handle *handle;
	struct dma_buf *dmabuf;
	void *vaddr;
	bool fenceable;
};

struct vion_buffer *vion_buffer_import(struct ion_client *client, int fd);
struct vion_buffer *vion_buffer_get(struct vion_buffer *buffer);
void vion_buffer_put(struct vion_buffer *buffer);
bool vion_buffer_writable(struct vion_buffer *buffer);
bool vion_buffer_idle(struct vion_buffer *buffer, bool write);
int vion_buffer_wait(struct vion_buffer *buffer, bool write);
int vion_buffer_begin(struct vion_buffer *buffer, bool write);
int vion_buffer_end(struct vion_buffer *buffer, bool write);

#endif
