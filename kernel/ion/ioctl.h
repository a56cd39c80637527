/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ION_IOCTL_H
#define _ION_IOCTL_H

#include <linux/compiler.h>
#include <linux/types.h>

struct dma_buf;

int ion_answer_fd(struct dma_buf *dmabuf, int flags, u32 __user *answer);
int ion_ioctl_init(void);
void ion_ioctl_exit(void);

#endif
