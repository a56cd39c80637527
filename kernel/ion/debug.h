/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ION_DEBUG_H
#define _ION_DEBUG_H

struct dentry;
struct ion_client;
struct ion_heap;

void ion_debug_init(void);
void ion_debug_exit(void);
void ion_debug_add_heap(struct ion_heap *heap);
void ion_debug_remove_heap(struct ion_heap *heap);
struct dentry *ion_debug_add_client(struct ion_client *client,
				    const char *name);
void ion_debug_remove_client(struct dentry *file);

#endif
