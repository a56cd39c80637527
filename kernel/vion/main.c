// SPDX-License-Identifier: GPL-2.0-only
/* Starts and stops the two nodes, and what does jobs. */

#include <linux/module.h>

#include "../compat.h"
#include "device.h"
#include "importer.h"
#include "queue.h"

static int __init vion_init(void)
{
	int ret;

	ret = vion_queue_init();
	if (ret)
		return ret;
	ret = vion_importer_init();
	if (ret)
		goto err_queue;
	ret = vion_device_init();
	if (ret)
		goto err_importer;
	return 0;

err_importer:
	vion_importer_exit();
err_queue:
	vion_queue_exit();
	return ret;
}

static void __exit vion_exit(void)
{
	vion_device_exit();
	vion_importer_exit();
	vion_queue_exit();
}

module_init(vion_init);
module_exit(vion_exit);

MODULE_DESCRIPTION("A driver that a dma-buf is shared with");
MODULE_LICENSE("GPL");
ION_IMPORT_DMA_BUF_NS();
