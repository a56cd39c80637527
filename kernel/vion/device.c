// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/vion_dev: a driver that a buffer is shared with. A program registers a
 * dma-buf descriptor; the driver then reads and writes the memory through its
 * own kernel mapping, and the program sees it through its own. Or it is told what
 * to do with the memory, and does that by itself: the jobs of queue.c.
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

#include "buffer.h"
#include "device.h"
#include "queue.h"

static bool exclusive = true;
module_param(exclusive, bool, 0444);
MODULE_PARM_DESC(exclusive, "one open at a time (default), others get EBUSY");

/* Files that are open, counted only where one at a time is allowed. */
static atomic_t opened = ATOMIC_INIT(0);

/**
 * struct vion_file - an open file
 * @client: owns the handles
 * @queue: its jobs
 * @lock: protects @buffer; held for reading while read() and write() use the
 *	memory, so that they do not touch an unregistered buffer any more, but
 *	not while they wait for fences; only another driver's begin may wait for
 *	one that came since. No other of our locks is taken under it.
 * @buffer: the one that is registered, or NULL
 */
struct vion_file {
	struct ion_client *client;
	struct vion_queue *queue;
	struct rw_semaphore lock;
	struct vion_buffer *buffer;
};

static int vion_register(struct vion_file *vion, int fd)
{
	struct vion_buffer *buffer;
	int ret;

	buffer = vion_buffer_import(vion->client, fd);
	if (IS_ERR(buffer))
		return PTR_ERR(buffer);

	ret = down_write_killable(&vion->lock);
	if (!ret) {
		swap(vion->buffer, buffer);
		up_write(&vion->lock);
	}
	vion_queue_flush(vion->queue);
	vion_buffer_put(buffer);
	return ret;
}

static int vion_unregister(struct vion_file *vion, int fd)
{
	struct vion_buffer *buffer = NULL;
	struct dma_buf *dmabuf;
	int ret;

	dmabuf = dma_buf_get(fd);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);

	ret = down_write_killable(&vion->lock);
	if (ret)
		goto out;
	if (!vion->buffer)
		ret = -ENXIO;
	else if (vion->buffer->dmabuf != dmabuf)
		ret = -EINVAL;
	else
		swap(vion->buffer, buffer);
	up_write(&vion->lock);
	vion_queue_flush(vion->queue);
	vion_buffer_put(buffer);
out:
	dma_buf_put(dmabuf);
	return ret;
}

static int vion_submit(struct vion_file *vion, struct vion_job __user *user)
{
	struct vion_buffer *buffer = NULL;
	struct vion_job job;
	int ret;

	if (copy_from_user(&job, user, sizeof(job)))
		return -EFAULT;
	ret = down_read_killable(&vion->lock);
	if (ret)
		return ret;
	if (vion->buffer)
		buffer = vion_buffer_get(vion->buffer);
	up_read(&vion->lock);
	if (!buffer)
		return -ENXIO;
	return vion_queue_submit(vion->queue, buffer, &job, user);
}

static int vion_result(struct vion_file *vion, struct vion_result __user *user)
{
	struct vion_result result;
	int ret;

	if (copy_from_user(&result, user, sizeof(result)))
		return -EFAULT;
	ret = vion_queue_result(vion->queue, &result);
	if (ret)
		return ret;
	return copy_to_user(user, &result, sizeof(result)) ? -EFAULT : 0;
}

static long vion_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *user = (void __user *)arg;
	int fd;

	switch (cmd) {
	case VION_SUBMIT:
		return vion_submit(file->private_data, user);
	case VION_RESULT:
		return vion_result(file->private_data, user);
	case VION_REGISTER_ION:
	case VION_UNREGISTER_ION:
		break;
	default:
		return -ENOTTY;
	}
	if (get_user(fd, (int __user *)user))
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
static ssize_t copy(struct vion_buffer *buffer, struct kiocb *iocb,
		    struct iov_iter *iter)
{
	bool write = iov_iter_rw(iter) == WRITE;
	size_t len, done;
	int ret;

	ret = vion_buffer_begin(buffer, write);
	if (ret)
		return ret;
	len = min_t(size_t, buffer->dmabuf->size - iocb->ki_pos,
		    iov_iter_count(iter));
	done = copy_pieces(buffer->vaddr + iocb->ki_pos, len, iter);
	iocb->ki_pos += done;
	ret = vion_buffer_end(buffer, write);
	if (ret)
		return ret;
	return done ?: -EFAULT;
}

/*
 * Copies, or says -EAGAIN if there is a fence to wait for: then *@waited becomes
 * the buffer. When that is over it is copied, whatever has come meanwhile.
 */
static ssize_t try_copy(struct vion_file *vion, struct kiocb *iocb,
			struct iov_iter *iter, struct vion_buffer **waited)
{
	struct vion_buffer *buffer = vion->buffer;
	bool write = iov_iter_rw(iter) == WRITE;

	lockdep_assert_held_read(&vion->lock);
	if (!buffer)
		return -ENXIO;
	if (write && !vion_buffer_writable(buffer))
		return -EACCES;
	if (!iov_iter_count(iter))
		return 0;
	if (iocb->ki_pos >= buffer->dmabuf->size)
		return write ? -ENOSPC : 0;

	if (buffer == *waited || vion_buffer_idle(buffer, write))
		return copy(buffer, iocb, iter);
	*waited = vion_buffer_get(buffer);
	return -EAGAIN;
}

static ssize_t vion_rw_iter(struct kiocb *iocb, struct iov_iter *iter)
{
	struct vion_file *vion = iocb->ki_filp->private_data;
	struct vion_buffer *waited = NULL, *before;
	ssize_t ret;

	do {
		before = waited;
		ret = down_read_killable(&vion->lock);
		if (ret)
			break;
		ret = try_copy(vion, iocb, iter, &waited);
		up_read(&vion->lock);
		if (waited == before)
			break;
		vion_buffer_put(before);
		if (iocb->ki_filp->f_flags & O_NONBLOCK)
			break;
		ret = vion_buffer_wait(waited, iov_iter_rw(iter) == WRITE);
	} while (!ret);
	vion_buffer_put(waited);
	return ret;
}

static loff_t vion_llseek(struct file *file, loff_t offset, int whence)
{
	struct vion_file *vion = file->private_data;
	loff_t ret;

	ret = down_read_killable(&vion->lock);
	if (ret)
		return ret;
	if (vion->buffer)
		ret = fixed_size_llseek(file, offset, whence,
					vion->buffer->dmabuf->size);
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
	vion->queue = vion_queue_create(vion->client);
	if (!vion->queue)
		goto err_client;
	init_rwsem(&vion->lock);
	file->private_data = vion;
	return 0;

err_client:
	ion_client_destroy(vion->client);
err_free:
	kfree(vion);
err_close:
	atomic_set(&opened, 0);
	return ret;
}

static int vion_release(struct inode *inode, struct file *file)
{
	struct vion_file *vion = file->private_data;

	vion_queue_destroy(vion->queue);
	vion_buffer_put(vion->buffer);
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
