// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/vion_dev: a driver that a buffer is shared with. A program registers a
 * dma-buf descriptor; the driver then reads and writes the memory through its
 * own kernel mapping, and the program sees it through its own.
 */

#include <linux/dma-buf.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/ion.h>
#include <linux/lockdep.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/rwsem.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include <uapi/linux/vion.h>

#include "device.h"

static bool exclusive = true;
module_param(exclusive, bool, 0444);
MODULE_PARM_DESC(exclusive, "one open at a time (default), others get EBUSY");

/* Files that are open, counted only where one at a time is allowed. */
static atomic_t opened = ATOMIC_INIT(0);

/**
 * struct vion_buffer - a registered buffer
 * @handle: our handle to it, NULL while nothing is registered
 * @dmabuf: the buffer, for its size and for begin/end CPU access
 * @vaddr: our mapping of all of it
 */
struct vion_buffer {
	struct ion_handle *handle;
	struct dma_buf *dmabuf;
	void *vaddr;
};

/**
 * struct vion_file - an open file
 * @client: owns the handle
 * @lock: protects @buffer; held for reading while the memory is used, so that
 *	an unregistered buffer is not touched any more
 * @buffer: the one that is registered
 */
struct vion_file {
	struct ion_client *client;
	struct rw_semaphore lock;
	struct vion_buffer buffer;
};

static void put_buffer(struct ion_client *client, struct vion_buffer *buffer)
{
	if (!buffer->handle)
		return;
	dma_buf_put(buffer->dmabuf);
	ion_unmap_kernel(client, buffer->handle);
	ion_free(client, buffer->handle);
}

static int get_buffer(struct ion_client *client, int fd,
		      struct vion_buffer *buffer)
{
	struct ion_handle *handle;
	void *vaddr;

	handle = ion_import_dma_buf(client, fd);
	if (IS_ERR(handle))
		return PTR_ERR(handle);

	vaddr = ion_map_kernel(client, handle);
	if (IS_ERR(vaddr)) {
		ion_free(client, handle);
		return PTR_ERR(vaddr);
	}
	buffer->handle = handle;
	buffer->dmabuf = ion_share_dma_buf(client, handle);
	buffer->vaddr = vaddr;
	return 0;
}

static int vion_register(struct vion_file *vion, int fd)
{
	struct vion_buffer buffer;
	int ret;

	ret = get_buffer(vion->client, fd, &buffer);
	if (ret)
		return ret;

	ret = down_write_killable(&vion->lock);
	if (!ret) {
		swap(vion->buffer, buffer);
		up_write(&vion->lock);
	}
	put_buffer(vion->client, &buffer);
	return ret;
}

static int vion_unregister(struct vion_file *vion, int fd)
{
	struct vion_buffer buffer = {};
	struct dma_buf *dmabuf;
	int ret;

	dmabuf = dma_buf_get(fd);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);

	ret = down_write_killable(&vion->lock);
	if (ret)
		goto out;
	if (!vion->buffer.handle)
		ret = -ENXIO;
	else if (vion->buffer.dmabuf != dmabuf)
		ret = -EINVAL;
	else
		swap(vion->buffer, buffer);
	up_write(&vion->lock);
	put_buffer(vion->client, &buffer);
out:
	dma_buf_put(dmabuf);
	return ret;
}

static long vion_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	int fd;

	if (cmd != VION_REGISTER_ION && cmd != VION_UNREGISTER_ION)
		return -ENOTTY;
	if (get_user(fd, (int __user *)arg))
		return -EFAULT;
	if (cmd == VION_REGISTER_ION)
		return vion_register(file->private_data, fd);
	return vion_unregister(file->private_data, fd);
}

/* Copies piece by piece, so that others get to run and a kill is heard. */
static size_t copy_pieces(void *vaddr, size_t len, struct iov_iter *iter)
{
	bool write = iov_iter_rw(iter) == WRITE;
	size_t done = 0, piece, n;

	do {
		piece = min_t(size_t, len - done, SZ_1M);
		n = write ? copy_from_iter(vaddr + done, piece, iter) :
			    copy_to_iter(vaddr + done, piece, iter);
		done += n;
		cond_resched();
	} while (n == piece && done < len && !fatal_signal_pending(current));
	return done;
}

/* Copies what fits. */
static ssize_t copy(struct vion_file *vion, struct kiocb *iocb,
		    struct iov_iter *iter)
{
	struct vion_buffer *buffer = &vion->buffer;
	bool write = iov_iter_rw(iter) == WRITE;
	enum dma_data_direction dir = write ? DMA_BIDIRECTIONAL :
					      DMA_FROM_DEVICE;
	size_t len, done;
	int ret;

	lockdep_assert_held_read(&vion->lock);
	if (!buffer->handle)
		return -ENXIO;
	if (!iov_iter_count(iter))
		return 0;
	if (iocb->ki_pos >= buffer->dmabuf->size)
		return write ? -ENOSPC : 0;

	ret = dma_buf_begin_cpu_access(buffer->dmabuf, dir);
	if (ret)
		return ret;
	len = min_t(size_t, buffer->dmabuf->size - iocb->ki_pos,
		    iov_iter_count(iter));
	done = copy_pieces(buffer->vaddr + iocb->ki_pos, len, iter);
	iocb->ki_pos += done;
	ret = dma_buf_end_cpu_access(buffer->dmabuf, dir);
	if (ret)
		return ret;
	return done ?: -EFAULT;
}

static ssize_t vion_rw_iter(struct kiocb *iocb, struct iov_iter *iter)
{
	struct vion_file *vion = iocb->ki_filp->private_data;
	ssize_t ret;

	ret = down_read_killable(&vion->lock);
	if (ret)
		return ret;
	ret = copy(vion, iocb, iter);
	up_read(&vion->lock);
	return ret;
}

static loff_t vion_llseek(struct file *file, loff_t offset, int whence)
{
	struct vion_file *vion = file->private_data;
	loff_t ret;

	ret = down_read_killable(&vion->lock);
	if (ret)
		return ret;
	if (vion->buffer.handle)
		ret = fixed_size_llseek(file, offset, whence,
					vion->buffer.dmabuf->size);
	else
		ret = -ENXIO;
	up_read(&vion->lock);
	return ret;
}

static int vion_open(struct inode *inode, struct file *file)
{
	struct vion_file *vion;
	int ret = -ENOMEM;

	if (exclusive && atomic_cmpxchg(&opened, 0, 1))
		return -EBUSY;

	vion = kzalloc(sizeof(*vion), GFP_KERNEL);
	if (!vion)
		goto err_close;
	vion->client = ion_client_create(NULL, 0, "vion");
	if (IS_ERR(vion->client)) {
		ret = PTR_ERR(vion->client);
		goto err_free;
	}
	init_rwsem(&vion->lock);
	file->private_data = vion;
	return 0;

err_free:
	kfree(vion);
err_close:
	atomic_set(&opened, 0);
	return ret;
}

static int vion_release(struct inode *inode, struct file *file)
{
	struct vion_file *vion = file->private_data;

	put_buffer(vion->client, &vion->buffer);
	ion_client_destroy(vion->client);
	kfree(vion);
	atomic_set(&opened, 0);
	return 0;
}

static const struct file_operations vion_fops = {
	.owner = THIS_MODULE,
	.open = vion_open,
	.release = vion_release,
	.llseek = vion_llseek,
	.read_iter = vion_rw_iter,
	.write_iter = vion_rw_iter,
	.unlocked_ioctl = vion_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice vion_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "vion_dev",
	.fops = &vion_fops,
};

/**
 * vion_device_init() - make /dev/vion_dev
 *
 * Return: 0, or what misc_register() answers.
 */
int vion_device_init(void)
{
	return misc_register(&vion_misc);
}

/**
 * vion_device_exit() - take /dev/vion_dev away
 *
 * No file is open: an open one pins the module.
 */
void vion_device_exit(void)
{
	misc_deregister(&vion_misc);
}
