// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device that keeps a buffer mapped while programs use it, and that does no
 * more than it was told to: what begin and end of CPU access are for shows.
 */

#include <linux/dma-buf.h>
#include <linux/dma-direct.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/scatterlist.h>
#include <linux/uaccess.h>

#include "../../kernel/compat.h"
#include "device_test.h"

static struct platform_device *device;
static DEFINE_MUTEX(lock); /* protects what follows: there is one device */
static struct dma_buf *dmabuf;
static struct dma_buf_attachment *attachment;
static struct sg_table *table;

static void let_go(void)
{
	if (!dmabuf)
		return;
	dma_buf_unmap_attachment_unlocked(attachment, table, DMA_BIDIRECTIONAL);
	dma_buf_detach(dmabuf, attachment);
	dma_buf_put(dmabuf);
	dmabuf = NULL;
}

static int hold(int fd)
{
	struct dma_buf *new;
	int ret;

	let_go();
	if (fd < 0)
		return 0;
	new = dma_buf_get(fd);
	if (IS_ERR(new))
		return PTR_ERR(new);
	attachment = dma_buf_attach(new, &device->dev);
	if (IS_ERR(attachment)) {
		ret = PTR_ERR(attachment);
		goto err_put;
	}
	table = dma_buf_map_attachment_unlocked(attachment, DMA_BIDIRECTIONAL);
	if (IS_ERR(table)) {
		ret = PTR_ERR(table);
		goto err_detach;
	}
	dmabuf = new;
	return 0;

err_detach:
	dma_buf_detach(new, attachment);
err_put:
	dma_buf_put(new);
	return ret;
}

/* The byte that the device sees at an offset, mapped until memunmap(). */
static u8 *byte_at(u64 offset)
{
	struct scatterlist *sg;
	int i;

	for_each_sgtable_dma_sg(table, sg, i) {
		if (offset < sg_dma_len(sg))
			return memremap(dma_to_phys(&device->dev,
						    sg_dma_address(sg) + offset),
					1, MEMREMAP_WB);
		offset -= sg_dma_len(sg);
	}
	return NULL;
}

static int access_buffer(struct device_access *access, bool write)
{
	u64 at;

	if (!dmabuf || access->offset > dmabuf->size ||
	    access->len > dmabuf->size - access->offset)
		return -EINVAL;
	access->equal = 0;
	for (at = access->offset; at < access->offset + access->len; at++) {
		u8 *byte = byte_at(at);

		if (!byte)
			return -EIO;
		if (write)
			*byte = access->value;
		else
			access->equal += *byte == access->value;
		memunmap(byte);
	}
	return 0;
}

static long device_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *user = (void __user *)arg;
	struct device_access access;
	int ret;

	mutex_lock(&lock);
	if (cmd == DEVICE_HOLD) {
		ret = hold((int)arg);
	} else if (copy_from_user(&access, user, sizeof(access))) {
		ret = -EFAULT;
	} else {
		ret = access_buffer(&access, cmd == DEVICE_FILL);
		if (!ret && copy_to_user(user, &access, sizeof(access)))
			ret = -EFAULT;
	}
	mutex_unlock(&lock);
	return ret;
}

static int device_release(struct inode *inode, struct file *file)
{
	mutex_lock(&lock);
	let_go();
	mutex_unlock(&lock);
	return 0;
}

static const struct file_operations device_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = device_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.release = device_release,
};

static struct miscdevice device_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "ion_device",
	.fops = &device_fops,
};

static int __init device_test_init(void)
{
	int ret;

	device = platform_device_register_simple("ion_device",
						 PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(device))
		return PTR_ERR(device);
	ion_set_dma_coherent(&device->dev);
	ret = dma_coerce_mask_and_coherent(&device->dev, DMA_BIT_MASK(64));
	if (!ret)
		ret = misc_register(&device_misc);
	if (ret)
		platform_device_unregister(device);
	return ret;
}

static void __exit device_test_exit(void)
{
	misc_deregister(&device_misc);
	platform_device_unregister(device);
}

module_init(device_test_init);
module_exit(device_test_exit);

MODULE_DESCRIPTION("Test of ION's attachments");
MODULE_LICENSE("GPL");
ION_IMPORT_DMA_BUF_NS();
