// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does what the kernel must report, to show that a run fails on it. All but
 * "warn" is for the debug kernel alone.
 */
#include <linux/bug.h>
#include <linux/dma-mapping.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/refcount.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

static char *kind = "warn";
module_param(kind, charp, 0444);
MODULE_PARM_DESC(kind, "what to have reported");

/* The compiler must not know better. */
static int zero;

static void report_warn(void)
{
	WARN_ON(true);
}

static void report_kasan(void)
{
	char *p = kmalloc(16, GFP_KERNEL);

	if (!p)
		return;
	kfree(p + zero);
	READ_ONCE(p[zero]);
}

static void report_ubsan(void)
{
	zero = 1 << (zero + 40);
}

static void report_lockdep(void)
{
	static DEFINE_MUTEX(a);
	static DEFINE_MUTEX(b);

	mutex_lock(&a);
	mutex_lock(&b);
	mutex_unlock(&b);
	mutex_unlock(&a);

	mutex_lock(&b);
	mutex_lock(&a);
	mutex_unlock(&a);
	mutex_unlock(&b);
}

static void report_sleep(void)
{
	static DEFINE_SPINLOCK(lock);

	spin_lock(&lock);
	might_sleep();
	spin_unlock(&lock);
}

static void report_leak(void)
{
	int i;

	/* Something on a stack may look like a pointer to one or two. */
	for (i = 0; i < 10; i++)
		kmalloc(100, GFP_KERNEL);
}

static void report_refcount(void)
{
	refcount_t ref = REFCOUNT_INIT(0);

	refcount_inc(&ref);
}

static void report_list(void)
{
	LIST_HEAD(list);

	list.next = NULL;
	list_del(&list);
}

static void report_sg(void)
{
	struct scatterlist sg[2];

	sg_init_table(sg, 2);
	sg_chain(sg, 2, sg);
	sg_set_page(&sg[1], virt_to_page(kind), PAGE_SIZE, 0);
}

static void report_dma(void)
{
	struct platform_device *pdev;

	pdev = platform_device_register_simple("report_test",
					       PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(pdev))
		return;
	dma_unmap_single(&pdev->dev, 0x1000, 16, DMA_TO_DEVICE);
	platform_device_unregister(pdev);
}

static void report_hang(void)
{
	schedule_timeout_uninterruptible(MAX_SCHEDULE_TIMEOUT);
}

static const struct {
	const char *name;
	void (*report)(void);
} kinds[] = {
	{ "warn", report_warn },
	{ "kasan", report_kasan },
	{ "ubsan", report_ubsan },
	{ "lockdep", report_lockdep },
	{ "sleep", report_sleep },
	{ "leak", report_leak },
	{ "refcount", report_refcount },
	{ "list", report_list },
	{ "sg", report_sg },
	{ "dma", report_dma },
	{ "hang", report_hang },
};

static int __init report_test_init(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(kinds[i].name, kind))
			continue;
		kinds[i].report();
		return 0;
	}
	return -EINVAL;
}

static void __exit report_test_exit(void)
{
}

module_init(report_test_init);
module_exit(report_test_exit);

MODULE_DESCRIPTION("Does what the kernel must report");
MODULE_LICENSE("GPL");
