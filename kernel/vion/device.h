/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _VION_DEVICE_H
#define _VION_DEVICE_H

int vion_device_init(void);
void vion_device_exit(void);

#endif
