/* SPDX-License-Identifier: MIT */
/* /dev/ion_device: a device that keeps a buffer mapped, for tests/device.c. */
#ifndef TESTS_DEVICE_TEST_H
#define TESTS_DEVICE_TEST_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * struct device_access - what the device does to the buffer
 * @offset: where it starts, in bytes
 * @len: how many bytes
 * @value: the byte that it writes or looks for
 * @equal: DEVICE_COUNT: returns how many bytes of the range have it
 */
struct device_access {
	__u64 offset;
	__u64 len;
	__u32 value;
	__u32 equal;
};

/* Attach to a dma-buf descriptor and map it, or -1 to let go. */
#define DEVICE_HOLD	_IO('D', 0)
#define DEVICE_FILL	_IOW('D', 1, struct device_access)
#define DEVICE_COUNT	_IOWR('D', 2, struct device_access)

#endif
