/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ION_DEBUG_H
#define _ION_DEBUG_H

#include <linux/fs.h>

struct dentry;

void ion_debug_init(void);
void ion_debug_exit(void);
void ion_debug_add_file(const char *name, const struct file_operations *fops);
struct dentry *ion_debug_add_heap(const char *name, void *heap,
				  const struct file_operations *fops);
struct dentry *ion_debug_add_client(const char *name, void *client,
				    const struct file_operations *fops);
void ion_debug_remove(struct dentry *file);

#endif
