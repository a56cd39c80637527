// SPDX-License-Identifier: GPL-2.0-only
/* Starts and stops the two nodes. */

#include <linux/module.h>

#include "../compat.h"
#include "device.h"
#include "importer.h"

static int __init vion_init(void)
{
	int ret;

	ret = vion_importer_init();
	if (ret)
		return ret;
	ret = vion_device_init();
	if (ret)
		vion_importer_exit();
	return ret;
}

static void __exit vion_exit(void)
{
	vion_device_exit();
	vion_importer_exit();
}

module_init(vion_init);
module_exit(vion_exit);

MODULE_DESCRIPTION("A driver that a dma-buf is shared with");
MODULE_LICENSE("GPL");
ION_IMPORT_DMA_BUF_NS();
