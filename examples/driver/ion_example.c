// SPDX-License-Identifier: MIT
/*
 * The smallest driver that works on a buffer which a program hands to it.
 * /dev/ion_example has one request, which inverts every byte of the buffer; a
 * program that has a dma-buf descriptor says
 *
 *	ioctl(open("/dev/ion_example", O_RDWR), _IO('e', 1), descriptor);
 *
 * and sees the result through its own mapping. Copy this folder and put your
 * work in the place of invert().
 */
#include <linux/dma-buf.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/ion.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/sizes.h>

#define EXAMPLE_INVERT _IO('e', 1)

static struct ion_client *client;

static void invert(u8 *data, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++) {
		data[i] ^= 0xff;
		/* A buffer may be large: let others run now and then. */
		if (i % SZ_1M == 0)
			cond_resched();
	}
}

static int invert_buffer(struct ion_handle *handle)
{
	struct dma_buf *dmabuf;
	void *vaddr;
	int ret;

	dmabuf = ion_share_dma_buf(client, handle);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	vaddr = ion_map_kernel(client, handle);
	if (IS_ERR(vaddr)) {
		ret = PTR_ERR(vaddr);
		goto out;
	}
	ret = dma_buf_begin_cpu_access(dmabuf, DMA_BIDIRECTIONAL);
	if (!ret) {
		invert(vaddr, dmabuf->size);
		ret = dma_buf_end_cpu_access(dmabuf, DMA_BIDIRECTIONAL);
	}
	ion_unmap_kernel(client, handle);
out:
	dma_buf_put(dmabuf);
	return ret;
}

static long example_ioctl(struct file *file, unsigned int cmd,
			  unsigned long arg)
{
	struct ion_handle *handle;
	int ret;

	if (cmd != EXAMPLE_INVERT)
		return -ENOTTY;

	handle = ion_import_dma_buf(client, (int)arg);
	if (IS_ERR(handle))
		return PTR_ERR(handle);
	ret = invert_buffer(handle);
	ion_free(client, handle);
	return ret;
}

static const struct file_operations example_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = example_ioctl,
};

static struct miscdevice example = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "ion_example",
	.fops = &example_fops,
};

static int __init example_init(void)
{
	int ret;

	client = ion_client_create(NULL, 0, "ion_example");
	if (IS_ERR(client))
		return PTR_ERR(client);
	ret = misc_register(&example);
	if (ret)
		ion_client_destroy(client);
	return ret;
}

static void __exit example_exit(void)
{
	misc_deregister(&example);
	ion_client_destroy(client);
}

module_init(example_init);
module_exit(example_exit);

MODULE_DESCRIPTION("Inverts the bytes of a shared buffer");
MODULE_LICENSE("Dual MIT/GPL");
/* MODULE_IMPORT_NS(DMA_BUF), which from Linux 6.13 on wants a string. */
MODULE_INFO(import_ns, "DMA_BUF");
