// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module with heaps of its own. As it is loaded it adds one of type CUSTOM;
 * /dev/ion_heap_test adds and removes others.
 */

#include <linux/bug.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/ion.h>
#include <linux/kernel.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/scatterlist.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "heap_test.h"

struct slot {
	struct ion_heap heap;
	char name[64];
	char node[64];
};

static DEFINE_MUTEX(lock);	/* protects slots */
static struct slot slots[HEAP_TEST_HEAPS];

static void free_first(struct ion_memory *mem, unsigned int count)
{
	struct scatterlist *sg;
	unsigned int i;

	for_each_sg(mem->table.sgl, sg, count, i)
		__free_page(sg_page(sg));
	sg_free_table(&mem->table);
}

/* Page by page; more than the module's tests ask for it does not give. */
static int heap_test_allocate(struct ion_heap *heap, struct ion_memory *mem)
{
	struct scatterlist *sg;
	struct page *page;
	int i, ret;

	if (mem->align > PAGE_SIZE)
		return -EINVAL;
	if (mem->size > 1024 * PAGE_SIZE)
		return -ENOMEM;
	ret = sg_alloc_table(&mem->table, mem->size >> PAGE_SHIFT, GFP_KERNEL);
	if (ret)
		return ret;
	for_each_sgtable_sg(&mem->table, sg, i) {
		page = alloc_page(GFP_KERNEL | __GFP_ZERO);
		if (!page) {
			free_first(mem, i);
			return -ENOMEM;
		}
		sg_set_page(sg, page, PAGE_SIZE, 0);
	}
	mem->priv = heap;
	return 0;
}

static void heap_test_free(struct ion_heap *heap, struct ion_memory *mem)
{
	WARN_ON(mem->priv != heap);
	free_first(mem, mem->table.orig_nents);
}

static const struct ion_heap_ops heap_test_ops = {
	.allocate = heap_test_allocate,
	.free = heap_test_free,
};

static int add(struct slot *slot, struct heap_test_data *data)
{
	struct ion_heap *heap = &slot->heap;
	int ret;

	if (!(data->what & HEAP_TEST_AS_IT_IS)) {
		strscpy(slot->name, data->name, sizeof(slot->name));
		strscpy(slot->node, data->node, sizeof(slot->node));
		memset(heap, 0, sizeof(*heap));
		if (!(data->what & HEAP_TEST_NO_NAME))
			heap->name = slot->name;
		if (slot->node[0])
			heap->node = slot->node;
		heap->type = data->type;
		if (!(data->what & HEAP_TEST_NO_OPS))
			heap->ops = &heap_test_ops;
		if (!(data->what & HEAP_TEST_NO_OWNER))
			heap->owner = THIS_MODULE;
	}
	ret = ion_heap_add(heap);
	data->id = heap->id;
	return ret;
}

static long heap_test_ioctl(struct file *file, unsigned int cmd,
			    unsigned long arg)
{
	struct heap_test_data data;
	int ret;

	if (cmd != HEAP_TEST_ADD && cmd != HEAP_TEST_REMOVE)
		return -ENOTTY;
	if (copy_from_user(&data, (void __user *)arg, sizeof(data)))
		return -EFAULT;
	if (data.slot >= HEAP_TEST_HEAPS)
		return -EINVAL;
	mutex_lock(&lock);
	ret = cmd == HEAP_TEST_ADD ? add(&slots[data.slot], &data) :
				     ion_heap_remove(&slots[data.slot].heap);
	mutex_unlock(&lock);
	if (copy_to_user((void __user *)arg, &data, sizeof(data)))
		return -EFAULT;
	return ret;
}

static const struct file_operations heap_test_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = heap_test_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice heap_test_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "ion_heap_test",
	.fops = &heap_test_fops,
};

static int __init heap_test_init(void)
{
	struct heap_test_data data = {
		.type = ION_HEAP_TYPE_CUSTOM, .name = "custom",
	};
	int ret;

	ret = misc_register(&heap_test_misc);
	if (ret)
		return ret;
	ret = add(&slots[0], &data);
	if (ret)
		misc_deregister(&heap_test_misc);
	return ret;
}

static void __exit heap_test_exit(void)
{
	int i, ret;

	misc_deregister(&heap_test_misc);
	for (i = 0; i < HEAP_TEST_HEAPS; i++) {
		ret = ion_heap_remove(&slots[i].heap);
		/* As it is promised: what is in use pins the module. */
		WARN_ON(ret && ret != -ENODEV);
	}
}

module_init(heap_test_init);
module_exit(heap_test_exit);

MODULE_DESCRIPTION("Heaps of another module");
MODULE_LICENSE("GPL");
