// SPDX-License-Identifier: GPL-2.0-only
/* ion/ in debugfs. Nothing else depends on its being there. */

#include <linux/atomic.h>
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "debug.h"

static struct dentry *root;
static struct dentry *heaps;
static struct dentry *clients;
static DEFINE_MUTEX(naming);	/* a client's name is free until it is taken */

/**
 * ion_debug_add_file() - make a file ion/NAME, which stays
 * @name: what to call it
 * @fops: what it does
 */
void ion_debug_add_file(const char *name, const struct file_operations *fops)
{
	debugfs_create_file(name, 0400, root, NULL, fops);
}

/**
 * ion_debug_add_heap() - make a file ion/heaps/NAME
 * @name: what to call it, which no other is called
 * @heap: its data
 * @fops: what it does
 *
 * Return: the file, for ion_debug_remove().
 */
struct dentry *ion_debug_add_heap(const char *name, void *heap,
				  const struct file_operations *fops)
{
	return debugfs_create_file(name, 0400, heaps, heap, fops);
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
 * ion_debug_add_client() - make a file ion/clients/NAME
 * @name: what to call it; a number follows if another has that name
 * @client: its data
 * @fops: what it does
 *
 * Return: the file, for ion_debug_remove().
 */
struct dentry *ion_debug_add_client(const char *name, void *client,
				    const struct file_operations *fops)
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
		file = debugfs_create_file(unique, 0400, clients, client, fops);
	mutex_unlock(&naming);
	kfree(unique);
	return file;
}

/**
 * ion_debug_remove() - take a file away
 * @file: the file, or what came instead; nobody reads it any more afterwards
 */
void ion_debug_remove(struct dentry *file)
{
	debugfs_remove(file);
}

/**
 * ion_debug_init() - make ion/
 */
void ion_debug_init(void)
{
	root = debugfs_create_dir("ion", NULL);
	heaps = debugfs_create_dir("heaps", root);
	clients = debugfs_create_dir("clients", root);
}

/**
 * ion_debug_exit() - take ion/ away
 */
void ion_debug_exit(void)
{
	debugfs_remove(root);
}
