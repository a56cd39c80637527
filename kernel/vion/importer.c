// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/ion-test: an importer of dma-bufs. It copies through the DMA addresses
 * of a real attachment, as a device would, or through a kernel mapping.
 */

#include <linux/dma-buf.h>
#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/iosys-map.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/scatterlist.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <uapi/linux/ion_test.h>

#include "../compat.h"
#include "importer.h"

/* Only a device with a DMA mask can attach; a misc device has none. */
static struct platform_device *importer_dev;

/**
 * struct importer - an open file
 * @lock: protects @dmabuf, not its memory
 * @dmabuf: the buffer that is set, or NULL
 */
struct importer {
	struct mutex lock;
	struct dma_buf *dmabuf;
};

/* A page at the most, and others get to run between two. */
static int copy(void *vaddr, u64 ptr, size_t len, bool write)
{
	void __user *user = u64_to_user_ptr(ptr);
	unsigned long left;

	if (fatal_signal_pending(current))
		return -EINTR;
	cond_resched();
	left = write ? copy_from_user(vaddr, user, len) :
		       copy_to_user(user, vaddr, len);
	return left ? -EFAULT : 0;
}

/* Within a page, at a physical address that may have no struct page. */
static int copy_phys(phys_addr_t phys, u64 ptr, size_t len, bool write)
{
	size_t offset = offset_in_page(phys);
	void *vaddr;
	int ret;

	/* Set-aside memory may lie beside RAM, and is not mapped like it. */
	if (region_intersects(phys - offset, PAGE_SIZE, IORESOURCE_SYSTEM_RAM,
			      IORES_DESC_NONE) == REGION_INTERSECTS) {
		vaddr = kmap_local_page(pfn_to_page(PHYS_PFN(phys)));
		ret = copy(vaddr + offset, ptr, len, write);
		kunmap_local(vaddr);
		return ret;
	}
	vaddr = memremap(phys - offset, PAGE_SIZE, MEMREMAP_WB);
	if (!vaddr)
		return -ENOMEM;
	ret = copy(vaddr + offset, ptr, len, write);
	memunmap(vaddr);
	return ret;
}

/* The CPU plays the device: it goes where the device was told to go. */
static int copy_table(struct sg_table *table, struct ion_test_rw_data *data)
{
	struct device *dev = &importer_dev->dev;
	struct scatterlist *sg;
	int i, ret;

	for_each_sgtable_dma_sg(table, sg, i) {
		dma_addr_t addr = sg_dma_address(sg);
		u64 left = sg_dma_len(sg), skip = min(data->offset, left);
		u64 len;

		data->offset -= skip;
		addr += skip;
		left = min(left - skip, data->size);
		for (; left; left -= len) {
			len = min_t(u64, left,
				    PAGE_SIZE - offset_in_page(addr));
			ret = copy_phys(dma_to_phys(dev, addr), data->ptr, len,
					data->write);
			if (ret)
				return ret;
			addr += len;
			data->ptr += len;
			data->size -= len;
		}
		if (!data->size)
			break;
	}
	/* Another driver's table may be shorter than its buffer. */
	return data->size ? -EIO : 0;
}

/* As a driver does before its device touches the memory. */
static int wait_for_fences(struct dma_buf *dmabuf, bool write)
{
	long ret = dma_resv_wait_timeout(dmabuf->resv, dma_resv_usage_rw(write),
					 true, MAX_SCHEDULE_TIMEOUT);

	return ret < 0 ? ret : 0;
}

static int copy_by_dma(struct dma_buf *dmabuf, struct ion_test_rw_data *data)
{
	/* What a bounce buffer brings back is all of it, not the part written. */
	enum dma_data_direction dir = data->write ? DMA_BIDIRECTIONAL :
						    DMA_TO_DEVICE;
	struct dma_buf_attachment *attachment;
	struct sg_table *table;
	int ret;

	/* Then a DMA address is not, or may not be, a physical one. */
	if (device_iommu_mapped(&importer_dev->dev) ||
	    get_dma_ops(&importer_dev->dev))
		return -EOPNOTSUPP;
	ret = wait_for_fences(dmabuf, data->write);
	if (ret)
		return ret;
	attachment = dma_buf_attach(dmabuf, &importer_dev->dev);
	if (IS_ERR(attachment))
		return PTR_ERR(attachment);
	table = dma_buf_map_attachment_unlocked(attachment, dir);
	if (IS_ERR(table)) {
		ret = PTR_ERR(table);
	} else {
		ret = copy_table(table, data);
		dma_buf_unmap_attachment_unlocked(attachment, table, dir);
	}
	dma_buf_detach(dmabuf, attachment);
	return ret;
}

static int copy_mapped(void *vaddr, struct ion_test_rw_data *data)
{
	u64 done, len;
	int ret = 0;

	for (done = 0; !ret && done < data->size; done += len) {
		len = min_t(u64, data->size - done, PAGE_SIZE);
		ret = copy(vaddr + data->offset + done, data->ptr + done, len,
			   data->write);
	}
	return ret;
}

static int copy_by_kernel(struct dma_buf *dmabuf,
			  struct ion_test_rw_data *data)
{
	enum dma_data_direction dir = data->write ? DMA_BIDIRECTIONAL :
						    DMA_FROM_DEVICE;
	struct iosys_map map;
	int ret, end;

	ret = dma_buf_vmap_unlocked(dmabuf, &map);
	if (ret)
		return ret;
	if (map.is_iomem) {
		ret = -EOPNOTSUPP;
		goto out;
	}
	ret = dma_buf_begin_cpu_access(dmabuf, dir);
	if (ret)
		goto out;
	ret = copy_mapped(map.vaddr, data);
	end = dma_buf_end_cpu_access(dmabuf, dir);
	ret = ret ?: end;
out:
	dma_buf_vunmap_unlocked(dmabuf, &map);
	return ret;
}

static int set_fd(struct importer *importer, int fd)
{
	struct dma_buf *dmabuf = NULL;

	if (fd != -1) {
		dmabuf = dma_buf_get(fd);
		if (IS_ERR(dmabuf))
			return PTR_ERR(dmabuf);
	}
	mutex_lock(&importer->lock);
	swap(importer->dmabuf, dmabuf);
	mutex_unlock(&importer->lock);
	if (dmabuf)
		dma_buf_put(dmabuf);
	return 0;
}

static int rw(struct importer *importer, unsigned int cmd,
	      const void __user *arg)
{
	struct ion_test_rw_data data;
	struct dma_buf *dmabuf;
	int ret = -EINVAL;

	if (copy_from_user(&data, arg, sizeof(data)))
		return -EFAULT;

	mutex_lock(&importer->lock);
	dmabuf = importer->dmabuf;
	if (dmabuf)
		get_dma_buf(dmabuf);
	mutex_unlock(&importer->lock);
	if (!dmabuf)
		return -EINVAL;

	if (data.offset <= dmabuf->size &&
	    data.size <= dmabuf->size - data.offset)
		ret = cmd == ION_IOC_TEST_DMA_MAPPING ?
			      copy_by_dma(dmabuf, &data) :
			      copy_by_kernel(dmabuf, &data);
	dma_buf_put(dmabuf);
	return ret;
}

static long importer_ioctl(struct file *file, unsigned int cmd,
			   unsigned long arg)
{
	switch (cmd) {
	case ION_IOC_TEST_SET_FD:
		return set_fd(file->private_data, (int)arg);
	case ION_IOC_TEST_DMA_MAPPING:
	case ION_IOC_TEST_KERNEL_MAPPING:
		return rw(file->private_data, cmd, (const void __user *)arg);
	default:
		return -ENOTTY;
	}
}

static int importer_open(struct inode *inode, struct file *file)
{
	struct importer *importer;

	/* Loading may still fail, and does not wait for open files. */
	if (THIS_MODULE->state != MODULE_STATE_LIVE)
		return -ENODEV;

	importer = kzalloc(sizeof(*importer), GFP_KERNEL);
	if (!importer)
		return -ENOMEM;
	mutex_init(&importer->lock);
	file->private_data = importer;
	return nonseekable_open(inode, file);
}

static int importer_release(struct inode *inode, struct file *file)
{
	struct importer *importer = file->private_data;

	if (importer->dmabuf)
		dma_buf_put(importer->dmabuf);
	mutex_destroy(&importer->lock);
	kfree(importer);
	return 0;
}

static const struct file_operations importer_fops = {
	.owner = THIS_MODULE,
	.open = importer_open,
	.release = importer_release,
	.unlocked_ioctl = importer_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice importer_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "ion-test",
	.fops = &importer_fops,
};

/**
 * vion_importer_init() - make /dev/ion-test and the device that it imports for
 *
 * Return: 0, or what the driver core answers.
 */
int vion_importer_init(void)
{
	int ret;

	importer_dev = platform_device_register_simple("vion",
						       PLATFORM_DEVID_NONE,
						       NULL, 0);
	if (IS_ERR(importer_dev))
		return PTR_ERR(importer_dev);
	dma_set_max_seg_size(&importer_dev->dev, UINT_MAX);
	/* The CPU plays the device. */
	ion_set_dma_coherent(&importer_dev->dev);
	ret = dma_coerce_mask_and_coherent(&importer_dev->dev,
					   DMA_BIT_MASK(64));
	if (!ret)
		ret = misc_register(&importer_misc);
	if (ret)
		platform_device_unregister(importer_dev);
	return ret;
}

/**
 * vion_importer_exit() - take /dev/ion-test away
 *
 * No file is open: an open one pins the module.
 */
void vion_importer_exit(void)
{
	misc_deregister(&importer_misc);
	platform_device_unregister(importer_dev);
}
