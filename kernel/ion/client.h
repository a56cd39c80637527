/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ION_CLIENT_H
#define _ION_CLIENT_H

#include <linux/ion.h>

struct seq_file;

struct ion_client *ion_client_open(void);
struct dma_buf *ion_client_alloc(struct ion_client *client, u64 len, u64 align,
				 unsigned int heap_mask, unsigned int flags);

struct ion_handle *ion_handle_pin(struct ion_client *client,
				  struct dma_buf *dmabuf);
struct ion_handle *ion_handle_import(struct ion_client *client,
				     struct dma_buf *dmabuf);
int ion_handle_id(struct ion_handle *handle);
void ion_handle_commit(struct ion_handle *handle);
void ion_handle_abort(struct ion_handle *handle);
int ion_handle_drop(struct ion_client *client, int id);
struct dma_buf *ion_handle_share(struct ion_client *client, int id);

void ion_clients_show(struct seq_file *s, struct ion_heap *heap);

#endif
