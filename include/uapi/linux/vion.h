/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * /dev/vion_dev: a driver that a dma-buf is shared with.
 *
 * Register a dma-buf descriptor with the open file; from then on read, write,
 * pread, pwrite, lseek, readv and writev work on the buffer's memory, through
 * the driver's own kernel mapping. They are bounded by the buffer's size, short
 * at its end, and at the end read gives 0 and write ENOSPC. Without a buffer
 * they are ENXIO.
 *
 * One open at a time: a second one is EBUSY, unless vion.ko was loaded with
 * exclusive=0. Then each has a registration of its own.
 */
#ifndef _UAPI_LINUX_VION_H
#define _UAPI_LINUX_VION_H

#include <linux/ioctl.h>

#define VION_IOC_MAGIC		'v'

/*
 * Share a buffer with the driver. The argument points to a dma-buf descriptor,
 * which may be closed afterwards: the driver keeps the buffer until it is
 * unregistered, replaced by another or the file is closed.
 *
 * EBADF: no open descriptor. EINVAL: not a dma-buf, or its exporter cannot map
 * it into the kernel. EFAULT: a bad pointer. EOPNOTSUPP: the buffer is I/O
 * memory. ENOMEM. What was registered before stays if it fails.
 */
#define VION_REGISTER_ION	_IOW(VION_IOC_MAGIC, 0xd0, int)

/*
 * Take the buffer back. The argument points to a descriptor of it.
 *
 * EBADF: no open descriptor. EINVAL: not a dma-buf, or not the one that is
 * registered. ENXIO: no buffer is registered. EFAULT: a bad pointer.
 */
#define VION_UNREGISTER_ION	_IOW(VION_IOC_MAGIC, 0xd1, int)

#endif
