/* SPDX-License-Identifier: GPL-2.0-only */
/* /dev/ion_heap_test: heaps of another module come and go. */
#ifndef HEAP_TEST_H
#define HEAP_TEST_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define HEAP_TEST_HEAPS 40

#define HEAP_TEST_NO_NAME 1	/* NULL, not an empty one */
#define HEAP_TEST_NO_OPS 2
#define HEAP_TEST_NO_OWNER 4
#define HEAP_TEST_AS_IT_IS 8	/* add it as it was added before */

/**
 * struct heap_test_data - a heap
 * @slot: which of the module's; 0 is there from the start, named "custom"
 * @type: its type
 * @what: HEAP_TEST_*
 * @id: returns its id
 * @name: its name
 * @node: its node's, if it is not empty
 */
struct heap_test_data {
	__u32 slot;
	__u32 type;
	__u32 what;
	__u32 id;
	char name[64];
	char node[64];
};

/* Both return what ion_heap_add() and ion_heap_remove() do. */
#define HEAP_TEST_ADD _IOWR('h', 1, struct heap_test_data)
#define HEAP_TEST_REMOVE _IOWR('h', 2, struct heap_test_data)

#endif
