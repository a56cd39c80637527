// SPDX-License-Identifier: MIT
/* The kernel's dma-heaps, /dev/dma_heap/NAME, each as one of ION's heaps. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include <linux/dma-heap.h>

#include "internal.h"

#define DIRECTORY "/dev/dma_heap"
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* Ids from here on are for the second heap of a type, and those after it. */
#define FIRST_FREE_ID 6

/* What nodes are, by their names; of one type the first that is there counts. */
static const struct known {
	const char *node;
	const char *name;	/* that ION's callers look for */
	__u32 type;		/* and id */
} known[] = {
	{ "system", "ion_system_heap", ION_HEAP_TYPE_SYSTEM },
	{ "ion_system", "ion_system_heap", ION_HEAP_TYPE_SYSTEM },
	{ "ion_system_contig", "ion_system_contig_heap",
	  ION_HEAP_TYPE_SYSTEM_CONTIG },
	{ "linux,cma", "linux,cma", ION_HEAP_TYPE_DMA },
	{ "reserved", "linux,cma", ION_HEAP_TYPE_DMA },
	{ "default_cma_region", "linux,cma", ION_HEAP_TYPE_DMA },
	{ "ion_dma", "linux,cma", ION_HEAP_TYPE_DMA },
};

static bool has_id(const struct heaps *heaps, __u32 id)
{
	for (unsigned int i = 0; i < heaps->count; i++)
		if (heaps->heap[i].data.heap_id == id)
			return true;
	return false;
}

static __u32 free_id(const struct heaps *heaps)
{
	__u32 id = FIRST_FREE_ID;

	while (has_id(heaps, id))
		id++;
	return id;
}

/* @as: what it is if it is known, or NULL. */
static int add(struct heaps *heaps, const char *node, const struct known *as)
{
	char path[sizeof(DIRECTORY "/") + NAME_MAX];
	struct heap *heap = &heaps->heap[heaps->count];
	__u32 id = as && !has_id(heaps, as->type) ? as->type :
						    free_id(heaps);
	int fd;

	if (id >= ION_NUM_HEAP_IDS)
		return 0;
	stpcpy(stpcpy(path, DIRECTORY "/"), node);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ion_heap_fill(heap, id < FIRST_FREE_ID ? as->name : node,
		      as ? as->type : ION_HEAP_TYPE_CUSTOM, id, fd);
	heaps->count++;
	return 0;
}

/* Fails only for a shortage. @why: the first reason for which one failed. */
static int add_known(struct heaps *heaps, int *why)
{
	for (size_t i = 0; i < COUNT(known); i++) {
		int ret = add(heaps, known[i].node, &known[i]);

		if (ion_is_shortage(ret))
			return ret;
		if (*why == -ENOENT && ret)
			*why = ret;
	}
	return 0;
}

static bool is_known(const char *node)
{
	for (size_t i = 0; i < COUNT(known); i++)
		if (!strcmp(node, known[i].node))
			return true;
	return false;
}

static int add_others(struct heaps *heaps, struct dirent **nodes, int count,
		      int *why)
{
	for (int i = 0; i < count; i++) {
		const char *node = nodes[i]->d_name;
		int ret = is_known(node) ? 0 : add(heaps, node, NULL);

		if (ion_is_shortage(ret))
			return ret;
		if (*why == -ENOENT && ret)
			*why = ret;
	}
	return 0;
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* Whatever the user's language: ids should be the same for all. */
static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int dma_heap_open(struct heaps *heaps)
{
	int count, ret, why = -ENOENT;
	struct dirent **nodes;

	count = scandir(DIRECTORY, &nodes, is_visible, by_bytes);
	if (count < 0)
		return -errno;
	ret = add_known(heaps, &why);
	if (!ret)
		ret = add_others(heaps, nodes, count, &why);
	for (int i = 0; i < count; i++)
		free(nodes[i]);
	free(nodes);
	if (ret)
		ion_heaps_close(heaps);
	else if (!heaps->count)
		ret = why;
	return ret;
}

static int dma_heap_alloc(const struct heap *heap, size_t size)
{
	struct dma_heap_allocation_data data = {
		.len = size,
		.fd_flags = O_RDWR | O_CLOEXEC,
	};

	return ioctl(heap->fd, DMA_HEAP_IOCTL_ALLOC, &data) ? -errno :
							      (int)data.fd;
}

const struct backend ion_dma_heap_backend = {
	.name = "dma-heap",
	.node = DIRECTORY,
	.what = "dma-bufs of the kernel's own heaps",
	.open = dma_heap_open,
	.alloc = dma_heap_alloc,
	.check = ion_dma_buf_check,
	.sync = ion_dma_buf_sync,
	.flush = ion_dma_buf_flush,
};
