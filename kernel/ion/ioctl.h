/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ION_IOCTL_H
#define _ION_IOCTL_H

int ion_ioctl_init(void);
void ion_ioctl_exit(void);

#endif
