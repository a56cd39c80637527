/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * /dev/ion-test: an importer that copies to and from a dma-buf, as a device
 * would and as the kernel would. It is what ION's own test programs open.
 */
#ifndef _UAPI_LINUX_ION_TEST_H
#define _UAPI_LINUX_ION_TEST_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * struct ion_test_rw_data - what to copy
 * @ptr: address in the program
 * @offset: where in the buffer to begin, in bytes
 * @size: bytes
 * @write: 1 copies from the program into the buffer, 0 the other way
 * @__padding: ignored
 */
struct ion_test_rw_data {
	__u64 ptr;
	__u64 offset;
	__u64 size;
	int write;
	int __padding;
};

#ifndef ION_IOC_MAGIC
#define ION_IOC_MAGIC	'I'
#endif

/*
 * Set the buffer: the argument itself is a dma-buf descriptor, or -1 to let go
 * of the one that is set. EBADF: not open. EINVAL: no dma-buf.
 */
#define ION_IOC_TEST_SET_FD		_IO(ION_IOC_MAGIC, 0xf0)

/*
 * Copy through the DMA addresses of an attachment, when the buffer's fences have
 * signalled. EINVAL: no buffer is set, or not all of the range is in it. EFAULT:
 * a bad pointer, after which a part may have been copied, and some of a write be
 * zero. EOPNOTSUPP: behind an IOMMU, where a DMA address does not tell the
 * memory. EINTR: a signal came while it waited, or a kill at any time.
 */
#define ION_IOC_TEST_DMA_MAPPING \
	_IOW(ION_IOC_MAGIC, 0xf1, struct ion_test_rw_data)

/*
 * Copy through a kernel mapping, with CPU access begun and ended. EINVAL, EFAULT
 * and EINTR as above. EOPNOTSUPP: the buffer is I/O memory.
 */
#define ION_IOC_TEST_KERNEL_MAPPING \
	_IOW(ION_IOC_MAGIC, 0xf2, struct ion_test_rw_data)

#endif
