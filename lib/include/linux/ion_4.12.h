/* SPDX-License-Identifier: MIT */
/*
 * For programs that include this beside <linux/ion.h>, in either order, to have
 * the descriptor ABI of Linux 4.12: struct ion_new_allocation_data with
 * ION_IOC_NEW_ALLOC, struct ion_heap_query with ION_IOC_HEAP_QUERY. Here
 * <linux/ion.h> has all of that.
 */
#ifndef ION_LINUX_ION_4_12_H
#define ION_LINUX_ION_4_12_H

#include <linux/ion.h>

#endif
