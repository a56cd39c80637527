/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ION for other kernel modules: allocate and import buffers, map them into the
 * kernel and share them with user space. Each function is described where it
 * is, in kernel/ion/client.c. What fails answers ERR_PTR or a negative errno.
 */
#ifndef _LINUX_ION_H
#define _LINUX_ION_H

#include <linux/types.h>
#include <uapi/linux/ion.h>

struct dma_buf;
struct ion_client;
struct ion_device;
struct ion_handle;
struct sg_table;

struct ion_device *ion_device_get(void);

struct ion_client *ion_client_create(struct ion_device *dev,
				     unsigned int heap_mask, const char *name);
void ion_client_destroy(struct ion_client *client);

struct ion_handle *ion_alloc(struct ion_client *client, size_t len,
			     size_t align, unsigned int heap_mask,
			     unsigned int flags);
void ion_free(struct ion_client *client, struct ion_handle *handle);

int ion_phys(struct ion_client *client, struct ion_handle *handle,
	     phys_addr_t *addr, size_t *len);
void *ion_map_kernel(struct ion_client *client, struct ion_handle *handle);
void ion_unmap_kernel(struct ion_client *client, struct ion_handle *handle);
struct sg_table *ion_sg_table(struct ion_client *client,
			      struct ion_handle *handle);

struct dma_buf *ion_share_dma_buf(struct ion_client *client,
				  struct ion_handle *handle);
int ion_share_dma_buf_fd(struct ion_client *client, struct ion_handle *handle);
struct ion_handle *ion_import_dma_buf(struct ion_client *client, int fd);

#endif
