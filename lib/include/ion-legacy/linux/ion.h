/* SPDX-License-Identifier: MIT */
/* <linux/ion.h> as it was before 3.11: handles are pointers. */
#ifndef ION_LEGACY_LINUX_ION_H
#define ION_LEGACY_LINUX_ION_H

#define ION_POINTER_HANDLES
#include_next <linux/ion.h>

#endif
