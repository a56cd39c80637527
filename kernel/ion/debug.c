// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who holds what, in debugfs: ion/heaps/<heap>, ion/clients/<client> and
 * ion/buffers. Nothing else depends on its being there.
 */

#include <linux/atomic.h>
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "buffer.h"
#include "client.h"
#include "debug.h"
#include "heap.h"

static struct dentry *root;
static struct dentry *heaps;
static struct dentry *clients;
static DEFINE_MUTEX(naming);	/* a client's name is free until it is taken */

static void show_buffers(struct seq_file *s, struct ion_heap *heap)
{
	struct ion_buffer *buffer;

	seq_printf(s, "%10s %12s %8s %5s %6s %16s %10s  %s\n", "buffer",
		   "bytes", "flags", "maps", "kernel", "process", "pid",
		   "name and importers");
	list_for_each_entry(buffer, &heap->buffers, node)
		ion_buffer_show(s, buffer);
}

static int heap_show(struct seq_file *s, void *data)
{
	struct ion_heap *heap = s->private;

	mutex_lock(&heap->lock);
	seq_printf(s, "id:      %u\n", heap->id);
	seq_printf(s, "type:    %u\n", heap->type);
	seq_printf(s, "bytes:   %zu\n", heap->bytes);
	seq_printf(s, "buffers: %lu\n", heap->count);
	seq_printf(s, "peak:    %zu\n", heap->peak);
	seq_printf(s, "pool:    %zu\n\n",
		   heap->ops->pooled ? heap->ops->pooled(heap) : 0);
	show_buffers(s, heap);
	mutex_unlock(&heap->lock);

	seq_puts(s, "\n");
	ion_clients_show(s, heap);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(heap);

static int client_show(struct seq_file *s, void *data)
{
	ion_client_show(s, s->private);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(client);

static int buffers_show(struct seq_file *s, void *data)
{
	unsigned int id;

	for (id = 0; id < ION_NUM_HEAP_IDS; id++) {
		struct ion_heap *heap = ion_heap_get(id);

		if (!heap)
			continue;
		mutex_lock(&heap->lock);
		seq_printf(s, "%s\n", heap->name);
		show_buffers(s, heap);
		mutex_unlock(&heap->lock);
		seq_puts(s, "\n");
		ion_heap_put(heap);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(buffers);

/**
 * ion_debug_add_heap() - make a heap's file
 * @heap: the heap, not yet to be found by callers
 */
void ion_debug_add_heap(struct ion_heap *heap)
{
	heap->debug = debugfs_create_file(heap->name, 0400, heaps, heap,
					  &heap_fops);
}

/**
 * ion_debug_remove_heap() - take a heap's file away
 * @heap: the heap; nobody reads the file any more afterwards
 */
void ion_debug_remove_heap(struct ion_heap *heap)
{
	debugfs_remove(heap->debug);
}

/* A '/' would be a directory. */
static char *file_name(const char *name, s64 serial)
{
	char *copy;

	copy = serial ? kasprintf(GFP_KERNEL, "%s-%lld", name, serial) :
			kstrdup(name, GFP_KERNEL);
	/* What it returns depends on the kernel. */
	if (copy)
		strreplace(copy, '/', '_');
	return copy;
}

/**
 * ion_debug_add_client() - make a client's file
 * @client: the client
 * @name: what to call it; a number follows if another has that name
 *
 * Return: the file, for ion_debug_remove_client().
 */
struct dentry *ion_debug_add_client(struct ion_client *client,
				    const char *name)
{
	static atomic64_t serial;
	struct dentry *file = NULL, *other;
	char *unique;

	mutex_lock(&naming);
	unique = file_name(name, 0);
	other = unique ? debugfs_lookup(unique, clients) : NULL;
	/* An error is what a kernel without debugfs answers. */
	if (!IS_ERR_OR_NULL(other)) {
		dput(other);
		kfree(unique);
		unique = file_name(name, atomic64_inc_return(&serial));
	}
	if (unique)
		file = debugfs_create_file(unique, 0400, clients, client,
					   &client_fops);
	mutex_unlock(&naming);
	kfree(unique);
	return file;
}

/**
 * ion_debug_remove_client() - take a client's file away
 * @file: from ion_debug_add_client(); nobody reads it any more afterwards
 */
void ion_debug_remove_client(struct dentry *file)
{
	debugfs_remove(file);
}

/**
 * ion_debug_init() - make ion/ in debugfs
 */
void ion_debug_init(void)
{
	root = debugfs_create_dir("ion", NULL);
	heaps = debugfs_create_dir("heaps", root);
	clients = debugfs_create_dir("clients", root);
	debugfs_create_file("buffers", 0400, root, NULL, &buffers_fops);
}

/**
 * ion_debug_exit() - take ion/ away
 */
void ion_debug_exit(void)
{
	debugfs_remove(root);
}
