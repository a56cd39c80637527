// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/ion: what each request number means. It decodes requests, checks their
 * bounds and encodes the answers; the work is done by client.c and buffer.c.
 *
 * Callers with int handles, callers with pointer handles and 32-bit callers
 * differ in the size of the argument, hence in the request number.
 */

#include <linux/compat.h>
#include <linux/dma-buf.h>
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <uapi/linux/dma-buf.h>

#include "buffer.h"
#include "client.h"
#include "heap.h"
#include "ioctl.h"

#define ION_ABI_VERSION 2

/* A handle in the place of a pointer: the id, then zeroes up to its size. */
struct ion_handle_ptr {
	ion_user_handle_t id;
	u8 zero[sizeof(u64) - sizeof(ion_user_handle_t)];
};

struct ion_fd_data_ptr {
	struct ion_handle_ptr handle;
	s32 fd;
	u32 pad;
};

#define ION_IOC_FREE_PTR	_IOWR(ION_IOC_MAGIC, 1, struct ion_handle_ptr)
#define ION_IOC_MAP_PTR		_IOWR(ION_IOC_MAGIC, 2, struct ion_fd_data_ptr)
#define ION_IOC_SHARE_PTR	_IOWR(ION_IOC_MAGIC, 4, struct ion_fd_data_ptr)
#define ION_IOC_IMPORT_PTR	_IOWR(ION_IOC_MAGIC, 5, struct ion_fd_data_ptr)
#define ION_IOC_SYNC_PTR	_IOWR(ION_IOC_MAGIC, 7, struct ion_fd_data_ptr)

/* A pointer that no handle of ours can be is a handle that nobody holds. */
static ion_user_handle_t handle_of_ptr(const struct ion_handle_ptr *handle)
{
	return memchr_inv(handle->zero, 0, sizeof(handle->zero)) ? 0 :
								   handle->id;
}

static int get_fd_data(struct ion_fd_data *data, unsigned int cmd,
		       const void __user *arg)
{
	struct ion_fd_data_ptr ptr;

	if (_IOC_SIZE(cmd) == sizeof(*data))
		return copy_from_user(data, arg, sizeof(*data)) ? -EFAULT : 0;

	if (copy_from_user(&ptr, arg, sizeof(ptr)))
		return -EFAULT;
	data->handle = handle_of_ptr(&ptr.handle);
	data->fd = ptr.fd;
	return 0;
}

static int put_fd_data(void __user *arg, unsigned int cmd,
		       const struct ion_fd_data *data)
{
	struct ion_fd_data_ptr ptr = {};

	if (_IOC_SIZE(cmd) == sizeof(*data))
		return copy_to_user(arg, data, sizeof(*data)) ? -EFAULT : 0;

	ptr.handle.id = data->handle;
	ptr.fd = data->fd;
	return copy_to_user(arg, &ptr, sizeof(ptr)) ? -EFAULT : 0;
}

/* A pinned handle for a new buffer: to be committed once it was answered. */
static struct ion_handle *alloc_handle(struct ion_client *client, u64 len,
				       u64 align, unsigned int heap_mask,
				       unsigned int flags)
{
	struct ion_handle *handle;
	struct dma_buf *dmabuf;

	dmabuf = ion_client_alloc(client, len, align, heap_mask, flags);
	if (IS_ERR(dmabuf))
		return ERR_CAST(dmabuf);
	handle = ion_handle_pin(client, dmabuf);
	dma_buf_put(dmabuf);
	return handle;
}

static int answer(struct ion_handle *handle, void __user *arg,
		  const void *data, size_t size)
{
	if (copy_to_user(arg, data, size)) {
		ion_handle_abort(handle);
		return -EFAULT;
	}
	ion_handle_commit(handle);
	return 0;
}

static int do_alloc(struct ion_client *client, void __user *arg)
{
	struct ion_allocation_data data, out;
	struct ion_handle *handle;

	if (copy_from_user(&data, arg, sizeof(data)))
		return -EFAULT;
	handle = alloc_handle(client, data.len, data.align, data.heap_id_mask,
			      data.flags);
	if (IS_ERR(handle))
		return PTR_ERR(handle);

	/* The bytes after an int handle are half of a pointer handle. */
	memset(&out, 0, sizeof(out));
	out.len = data.len;
	out.align = data.align;
	out.heap_id_mask = data.heap_id_mask;
	out.flags = data.flags;
	out.handle = ion_handle_id(handle);
	return answer(handle, arg, &out, sizeof(out));
}

/**
 * ion_answer_fd() - answer a request with a new descriptor
 * @dmabuf: the buffer; the descriptor takes over the caller's reference, which
 *	is put if there is none
 * @flags: O_CLOEXEC or 0
 * @answer: where its number goes
 *
 * The descriptor is there only when nothing can fail any more.
 *
 * Return: 0, -EMFILE, -ENOMEM, or -EFAULT for a bad @answer.
 */
int ion_answer_fd(struct dma_buf *dmabuf, int flags, u32 __user *answer)
{
	int fd, ret;

	fd = get_unused_fd_flags(flags);
	if (fd < 0) {
		ret = fd;
		goto err_put;
	}
	if (put_user(fd, answer)) {
		ret = -EFAULT;
		goto err_fd;
	}
	fd_install(fd, dmabuf->file);
	return 0;

err_fd:
	put_unused_fd(fd);
err_put:
	dma_buf_put(dmabuf);
	return ret;
}

static int do_new_alloc(struct ion_client *client,
			struct ion_new_allocation_data __user *arg)
{
	struct ion_new_allocation_data data;
	struct dma_buf *dmabuf;

	if (copy_from_user(&data, arg, sizeof(data)))
		return -EFAULT;
	dmabuf = ion_client_alloc(client, data.len, 0, data.heap_id_mask,
				  data.flags);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	return ion_answer_fd(dmabuf, O_CLOEXEC, &arg->fd);
}

static int do_free(struct ion_client *client, const void __user *arg)
{
	struct ion_handle_data data;

	if (copy_from_user(&data, arg, sizeof(data)))
		return -EFAULT;
	return ion_handle_drop(client, data.handle);
}

static int do_free_ptr(struct ion_client *client, const void __user *arg)
{
	struct ion_handle_ptr data;

	if (copy_from_user(&data, arg, sizeof(data)))
		return -EFAULT;
	return ion_handle_drop(client, handle_of_ptr(&data));
}

static int do_share(struct ion_client *client, unsigned int cmd,
		    void __user *arg)
{
	struct ion_fd_data data;
	struct dma_buf *dmabuf;
	int ret;

	ret = get_fd_data(&data, cmd, arg);
	if (ret)
		return ret;
	dmabuf = ion_handle_share(client, data.handle);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);

	ret = get_unused_fd_flags(O_CLOEXEC);
	if (ret < 0)
		goto err_put;
	data.fd = ret;
	ret = put_fd_data(arg, cmd, &data);
	if (ret)
		goto err_fd;
	fd_install(data.fd, dmabuf->file);
	return 0;

err_fd:
	put_unused_fd(data.fd);
err_put:
	dma_buf_put(dmabuf);
	return ret;
}

/* The dma-buf that a request names by its descriptor. */
static struct dma_buf *get_named(struct ion_fd_data *data, unsigned int cmd,
				 const void __user *arg)
{
	int ret;

	ret = get_fd_data(data, cmd, arg);
	return ret ? ERR_PTR(ret) : dma_buf_get(data->fd);
}

static int do_import(struct ion_client *client, unsigned int cmd,
		     void __user *arg)
{
	struct ion_handle *handle;
	struct ion_fd_data data;
	struct dma_buf *dmabuf;
	int ret;

	dmabuf = get_named(&data, cmd, arg);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	handle = ion_handle_import(client, dmabuf);
	dma_buf_put(dmabuf);
	if (IS_ERR(handle))
		return PTR_ERR(handle);

	data.handle = ion_handle_id(handle);
	ret = put_fd_data(arg, cmd, &data);
	if (ret)
		ion_handle_abort(handle);
	else
		ion_handle_commit(handle);
	return ret;
}

static int do_sync(unsigned int cmd, const void __user *arg)
{
	struct ion_fd_data data;
	struct dma_buf *dmabuf;
	int ret;

	dmabuf = get_named(&data, cmd, arg);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	ret = ion_buffer_sync(dmabuf);
	dma_buf_put(dmabuf);
	return ret;
}

static int do_sync_range(const void __user *arg)
{
	struct ion_sync_range_data data;
	enum dma_data_direction dir;
	struct dma_buf *dmabuf;
	int ret;

	if (copy_from_user(&data, arg, sizeof(data)))
		return -EFAULT;
	if (data.flags & ~DMA_BUF_SYNC_VALID_FLAGS_MASK)
		return -EINVAL;
	switch (data.flags & DMA_BUF_SYNC_RW) {
	case DMA_BUF_SYNC_READ:
		dir = DMA_FROM_DEVICE;
		break;
	case DMA_BUF_SYNC_WRITE:
		dir = DMA_TO_DEVICE;
		break;
	case DMA_BUF_SYNC_RW:
		dir = DMA_BIDIRECTIONAL;
		break;
	default:
		return -EINVAL;
	}

	dmabuf = dma_buf_get(data.fd);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	if (data.flags & DMA_BUF_SYNC_END)
		ret = ion_buffer_end_range(dmabuf, data.offset, data.len, dir);
	else
		ret = ion_buffer_begin_range(dmabuf, data.offset, data.len,
					     dir);
	dma_buf_put(dmabuf);
	return ret;
}

static int do_heap_query(void __user *arg)
{
	struct ion_heap_data *heaps = NULL;
	struct ion_heap_query query;
	int ret = 0;

	if (copy_from_user(&query, arg, sizeof(query)))
		return -EFAULT;
	if (query.reserved0 || query.reserved1 || query.reserved2)
		return -EINVAL;

	if (query.heaps) {
		if (!query.cnt)
			return -EINVAL;
		query.cnt = min_t(u32, query.cnt, ION_NUM_HEAP_IDS);
		heaps = kcalloc(query.cnt, sizeof(*heaps), GFP_KERNEL);
		if (!heaps)
			return -ENOMEM;
		query.cnt = ion_heap_query(heaps, query.cnt);
		if (copy_to_user(u64_to_user_ptr(query.heaps), heaps,
				 query.cnt * sizeof(*heaps)))
			ret = -EFAULT;
		kfree(heaps);
	} else {
		query.cnt = ion_heap_query(NULL, 0);
	}

	if (!ret && copy_to_user(arg, &query, sizeof(query)))
		ret = -EFAULT;
	return ret;
}

static long ion_ioctl(struct file *file, unsigned int cmd, unsigned long param)
{
	struct ion_client *client = file->private_data;
	void __user *arg = (void __user *)param;

	/* What is asked for most. */
	if (cmd == ION_IOC_NEW_ALLOC)
		return do_new_alloc(client, arg);

	switch (cmd) {
	case ION_IOC_ALLOC:
		return do_alloc(client, arg);
	case ION_IOC_FREE:
		return do_free(client, arg);
	case ION_IOC_FREE_PTR:
		return do_free_ptr(client, arg);
	case ION_IOC_MAP:
	case ION_IOC_MAP_PTR:
	case ION_IOC_SHARE:
	case ION_IOC_SHARE_PTR:
		return do_share(client, cmd, arg);
	case ION_IOC_IMPORT:
	case ION_IOC_IMPORT_PTR:
		return do_import(client, cmd, arg);
	case ION_IOC_SYNC:
	case ION_IOC_SYNC_PTR:
		return do_sync(cmd, arg);
	case ION_IOC_SYNC_RANGE:
		return do_sync_range(arg);
	case ION_IOC_HEAP_QUERY:
		return do_heap_query(arg);
	case ION_IOC_ABI_VERSION:
		return put_user(ION_ABI_VERSION, (u32 __user *)arg);
	default:
		/* ION_IOC_CUSTOM too: no platform has registered one. */
		return -ENOTTY;
	}
}

#ifdef CONFIG_COMPAT
/* What a 32-bit program's sizes are; all other requests have no such fields. */
struct ion_allocation_data32 {
	u32 len;
	u32 align;
	u32 heap_id_mask;
	u32 flags;
	s32 handle;
};

#define ION_IOC_ALLOC32 _IOWR(ION_IOC_MAGIC, 0, struct ion_allocation_data32)

static int do_alloc32(struct ion_client *client, void __user *arg)
{
	struct ion_allocation_data32 data;
	struct ion_handle *handle;

	if (copy_from_user(&data, arg, sizeof(data)))
		return -EFAULT;
	/* Rounded up, this is where 32 bits overflow. */
	if (PAGE_ALIGN(data.len) < data.len)
		return -EINVAL;
	handle = alloc_handle(client, data.len, data.align, data.heap_id_mask,
			      data.flags);
	if (IS_ERR(handle))
		return PTR_ERR(handle);
	data.handle = ion_handle_id(handle);
	return answer(handle, arg, &data, sizeof(data));
}

static long ion_compat_ioctl(struct file *file, unsigned int cmd,
			     unsigned long param)
{
	void __user *arg = compat_ptr(param);

	if (cmd == ION_IOC_ALLOC32)
		return do_alloc32(file->private_data, arg);
	return ion_ioctl(file, cmd, (unsigned long)arg);
}
#else
#define ion_compat_ioctl NULL
#endif

static int ion_open(struct inode *inode, struct file *file)
{
	struct ion_client *client = ion_client_open();

	if (IS_ERR(client))
		return PTR_ERR(client);
	file->private_data = client;
	return nonseekable_open(inode, file);
}

static int ion_release(struct inode *inode, struct file *file)
{
	ion_client_destroy(file->private_data);
	return 0;
}

static const struct file_operations ion_fops = {
	.owner = THIS_MODULE,
	.open = ion_open,
	.release = ion_release,
	.unlocked_ioctl = ion_ioctl,
	.compat_ioctl = ion_compat_ioctl,
};

static struct miscdevice ion_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "ion",
	.fops = &ion_fops,
};

/**
 * ion_ioctl_init() - make /dev/ion
 *
 * From then on anybody may call: everything else is ready before.
 *
 * Return: 0, or what misc_register() answers.
 */
int ion_ioctl_init(void)
{
	return misc_register(&ion_misc);
}

/**
 * ion_ioctl_exit() - take /dev/ion away
 *
 * No file is open: an open one pins the module.
 */
void ion_ioctl_exit(void)
{
	misc_deregister(&ion_misc);
}
