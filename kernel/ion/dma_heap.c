// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/dma_heap/ion_<heap>: every heap, for programs that speak the dma-heap
 * ABI. Where the kernel has no dma-heaps itself, our system heap answers to the
 * name that they look for, too. The kernel's dma_heap_add() is not used even
 * where modules can call it: what it adds can neither be removed nor owned.
 */

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/dma-buf.h>
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/kdev_t.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <uapi/linux/dma-heap.h>

#include "../compat.h"
#include "account.h"
#include "buffer.h"
#include "dma_heap.h"
#include "heap.h"
#include "ioctl.h"

/* A node's minor is its heap's id; the one that stands in comes after all. */
#define STAND_IN_MINOR ION_NUM_HEAP_IDS
#define NUM_MINORS (STAND_IN_MINOR + 1)

/**
 * struct heap_file - an open node
 * @heap: the node's heap, pinned, so that no other takes its id meanwhile
 * @account: what was allocated through it
 */
struct heap_file {
	struct ion_heap *heap;
	struct ion_account *account;
};

static dev_t first;
static struct cdev cdev;
static struct class *class;

/* What a descriptor may be used for is the caller's; the rest is not ours. */
static long dma_heap_ioctl(struct file *file, unsigned int cmd,
			   unsigned long param)
{
	struct dma_heap_allocation_data __user *arg = (void __user *)param;
	struct dma_heap_allocation_data data;
	struct heap_file *open = file->private_data;
	struct dma_buf *dmabuf;

	if (cmd != DMA_HEAP_IOCTL_ALLOC)
		return -ENOTTY;
	if (copy_from_user(&data, arg, sizeof(data)))
		return -EFAULT;
	if (data.fd || data.fd_flags & ~DMA_HEAP_VALID_FD_FLAGS ||
	    data.heap_flags & ~DMA_HEAP_VALID_HEAP_FLAGS)
		return -EINVAL;

	/* That ABI has no flag for it, and the kernel's own heap is cached. */
	dmabuf = ion_buffer_alloc(data.len, 0, 1U << open->heap->id,
				  ION_FLAG_CACHED, data.fd_flags & O_ACCMODE,
				  open->account);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	return ion_answer_fd(dmabuf, data.fd_flags & O_CLOEXEC, &arg->fd);
}

static int dma_heap_open(struct inode *inode, struct file *file)
{
	unsigned int minor = iminor(inode) - MINOR(first);
	struct heap_file *open;
	int ret = -ENOMEM;

	open = kmalloc(sizeof(*open), GFP_KERNEL);
	if (!open)
		return -ENOMEM;
	open->account = ion_account_create();
	if (!open->account)
		goto err_free;
	open->heap = ion_heap_get(minor == STAND_IN_MINOR ?
				  ION_HEAP_TYPE_SYSTEM : minor);
	if (!open->heap) {
		ret = -ENODEV;
		goto err_account;
	}
	file->private_data = open;
	return nonseekable_open(inode, file);

err_account:
	ion_account_put(open->account);
err_free:
	kfree(open);
	return ret;
}

static int dma_heap_release(struct inode *inode, struct file *file)
{
	struct heap_file *open = file->private_data;

	ion_heap_put(open->heap);
	ion_account_put(open->account);
	kfree(open);
	return 0;
}

static const struct file_operations dma_heap_fops = {
	.owner = THIS_MODULE,
	.open = dma_heap_open,
	.release = dma_heap_release,
	.unlocked_ioctl = dma_heap_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static char *dma_heap_devnode(ION_DEVNODE_CONST struct device *dev,
			      umode_t *mode)
{
	return kasprintf(GFP_KERNEL, "dma_heap/%s", dev_name(dev));
}

static dev_t node_number(unsigned int minor)
{
	return MKDEV(MAJOR(first), MINOR(first) + minor);
}

static int add_node(unsigned int minor, const char *prefix, const char *name)
{
	struct device *dev;

	dev = device_create(class, NULL, node_number(minor), NULL, "%s%s",
			    prefix, name);
	return PTR_ERR_OR_ZERO(dev);
}

static bool stands_in(struct ion_heap *heap)
{
	return !IS_ENABLED(CONFIG_DMABUF_HEAPS) &&
	       heap->id == ION_HEAP_TYPE_SYSTEM;
}

static int add_heap(struct ion_heap *heap)
{
	const char *name = heap->node ?: heap->name;
	int ret;

	ret = add_node(heap->id, "ion_", name);
	if (ret || !stands_in(heap))
		return ret;
	ret = add_node(STAND_IN_MINOR, "", name);
	if (ret)
		device_destroy(class, node_number(heap->id));
	return ret;
}

static void remove_heap(struct ion_heap *heap)
{
	device_destroy(class, node_number(heap->id));
	if (stands_in(heap))
		device_destroy(class, node_number(STAND_IN_MINOR));
}

static struct ion_front dma_heap_front = {
	.add = add_heap,
	.remove = remove_heap,
};

/**
 * ion_dma_heap_init() - make nodes for all heaps that will be added
 *
 * Return: 0, or what the driver core answers.
 */
int ion_dma_heap_init(void)
{
	int ret;

	ret = alloc_chrdev_region(&first, 0, NUM_MINORS, "ion_dma_heap");
	if (ret)
		return ret;
	cdev_init(&cdev, &dma_heap_fops);
	cdev.owner = THIS_MODULE;
	ret = cdev_add(&cdev, first, NUM_MINORS);
	if (ret)
		goto err_region;
	class = ion_class_create("ion_dma_heap");
	if (IS_ERR(class)) {
		ret = PTR_ERR(class);
		goto err_cdev;
	}
	class->devnode = dma_heap_devnode;
	ion_front_add(&dma_heap_front);
	return 0;

err_cdev:
	cdev_del(&cdev);
err_region:
	unregister_chrdev_region(first, NUM_MINORS);
	return ret;
}

/**
 * ion_dma_heap_exit() - undo ion_dma_heap_init(), when no heap is left
 */
void ion_dma_heap_exit(void)
{
	ion_front_remove(&dma_heap_front);
	class_destroy(class);
	cdev_del(&cdev);
	unregister_chrdev_region(first, NUM_MINORS);
}
