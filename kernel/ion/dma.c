// SPDX-License-Identifier: GPL-2.0-only
/* ION as a device, since the DMA API serves nobody else. */

#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/platform_device.h>

#include "../compat.h"
#include "dma.h"

static struct platform_device *device;

/**
 * ion_dma_device() - the device
 *
 * Return: a device that reaches all memory.
 */
struct device *ion_dma_device(void)
{
	return &device->dev;
}

/**
 * ion_dma_clean() - write what caches hold of new memory back
 * @page: the first page, of the linear map
 * @size: bytes
 *
 * Where the linear map stays cached beside write-combined mappings, lines that
 * are still dirty would overwrite what is written through those.
 *
 * Return: 0, -ENOMEM.
 */
int ion_dma_clean(struct page *page, size_t size)
{
	dma_addr_t addr;

	/* There the linear map follows, and all devices see the caches. */
	if (ION_LINEAR_MAP_FOLLOWS)
		return 0;
	addr = dma_map_page(&device->dev, page, 0, size, DMA_BIDIRECTIONAL);
	if (dma_mapping_error(&device->dev, addr))
		return -ENOMEM;
	dma_unmap_page(&device->dev, addr, size, DMA_BIDIRECTIONAL);
	return 0;
}

/**
 * ion_dma_init() - make the device
 *
 * Return: 0, or what the driver core answers.
 */
int ion_dma_init(void)
{
	int ret;

	device = platform_device_register_simple("ion", PLATFORM_DEVID_NONE,
						 NULL, 0);
	if (IS_ERR(device))
		return PTR_ERR(device);
	ret = dma_coerce_mask_and_coherent(&device->dev, DMA_BIT_MASK(64));
	if (ret)
		platform_device_unregister(device);
	return ret;
}

/**
 * ion_dma_exit() - take the device away
 */
void ion_dma_exit(void)
{
	platform_device_unregister(device);
}
