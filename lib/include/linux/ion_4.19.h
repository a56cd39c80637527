/* SPDX-License-Identifier: MIT */
/*
 * For programs that include this beside <linux/ion.h>, in either order, to have
 * what the descriptor ABI got later: ION_IOC_ABI_VERSION. Here <linux/ion.h> has
 * that.
 */
#ifndef ION_LINUX_ION_4_19_H
#define ION_LINUX_ION_4_19_H

#include <linux/ion.h>

#endif
