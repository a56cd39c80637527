/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * /dev/vion_dev: a driver that a dma-buf is shared with.
 *
 * Register a dma-buf descriptor with the open file; from then on read, write,
 * pread, pwrite, lseek, readv and writev work on the buffer's memory, through
 * the driver's own kernel mapping. They are bounded by the buffer's size.
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
 * EBADF: no open descriptor. EINVAL: not a dma-buf. EFAULT: a bad pointer.
 * EOPNOTSUPP: the buffer has no kernel mapping that is memory.
 */
#define VION_REGISTER_ION	_IOW(VION_IOC_MAGIC, 0xd0, int)

/*
 * Take the buffer back. The argument points to a descriptor of it.
 *
 * ENXIO: no buffer is registered. EINVAL: it is another one, or no dma-buf.
 */
#define VION_UNREGISTER_ION	_IOW(VION_IOC_MAGIC, 0xd1, int)

#endif
