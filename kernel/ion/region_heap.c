// SPDX-License-Identifier: GPL-2.0-only
/*
 * Heaps over physical memory that was set aside at boot: carveout, which hands
 * out contiguous pieces of any size, and chunk, whose pieces have one size. The
 * kernel has no mapping of such memory, so a buffer's pieces are mapped here
 * for as long as it lives, cached or not: that also settles how processors may
 * map them elsewhere.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cc_platform.h>
#include <linux/genalloc.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/of_address.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "../compat.h"
#include "heap.h"

#define MAX_REGIONS 8

/* Where memory is, is for the administrator alone to read. */
static char *carveout[MAX_REGIONS];
static int num_carveouts;
module_param_array(carveout, charp, &num_carveouts, 0400);
MODULE_PARM_DESC(carveout,
		 "NAME:BASE:SIZE,...: up to 8 heaps of memory kept back with memmap=");

static char *chunk[MAX_REGIONS];
static int num_chunks;
module_param_array(chunk, charp, &num_chunks, 0400);
MODULE_PARM_DESC(chunk, "NAME:BASE:SIZE:CHUNK,...: the same, in chunks");

/**
 * struct ion_region - a heap over set-aside memory
 * @heap: the heap
 * @name: its name
 * @base: its first byte's physical address
 * @size: how many bytes
 * @chunk: the size of all pieces, or 0: as large as the buffer
 * @pool: what of it is free, by physical address
 * @node: in regions
 */
struct ion_region {
	struct ion_heap heap;
	char name[MAX_HEAP_NAME];
	u64 base;
	u64 size;
	u64 chunk;
	struct gen_pool *pool;
	struct list_head node;
};

static LIST_HEAD(regions);	/* changes only as the module comes and goes */

static struct ion_region *region_of(struct ion_heap *heap)
{
	return container_of(heap, struct ion_region, heap);
}

/* What it was cached as before must not come back over what is written now. */
static int clear(void *vaddr, size_t size, bool cached)
{
	size_t done, len;

	for (done = 0; done < size; done += len) {
		cond_resched();
		if (fatal_signal_pending(current))
			return -EINTR;
		len = min_t(size_t, size - done, SZ_1M);
		if (!cached)
			ion_flush_mapping(vaddr + done, len);
		memset(vaddr + done, 0, len);
	}
	return 0;
}

/* A piece, of which the first @len bytes are mapped and clear. */
static int get_piece(struct ion_region *region, struct ion_memory *mem,
		     struct scatterlist *sg, size_t len, void **vaddr)
{
	size_t size = region->chunk ?: len;
	struct genpool_data_align align = { .align = mem->align };
	unsigned long phys;
	int ret;

	phys = gen_pool_alloc_algo(region->pool, size, gen_pool_first_fit_align,
				   &align);
	if (!phys)
		return -ENOMEM;
	*vaddr = memremap(phys, len, mem->cached ? MEMREMAP_WB : MEMREMAP_WC);
	if (!*vaddr) {
		ret = -ENOMEM;
		goto err_free;
	}
	ret = clear(*vaddr, len, mem->cached);
	if (ret)
		goto err_unmap;
	sg_set_page(sg, pfn_to_page(PHYS_PFN(phys)), len, 0);
	return 0;

err_unmap:
	memunmap(*vaddr);
err_free:
	gen_pool_free(region->pool, phys, size);
	return ret;
}

static void put_pieces(struct ion_region *region, struct ion_memory *mem,
		       unsigned int count)
{
	void **vaddrs = mem->priv;
	struct scatterlist *sg;
	unsigned int i;

	for_each_sg(mem->table.sgl, sg, count, i) {
		cond_resched();
		memunmap(vaddrs[i]);
		gen_pool_free(region->pool, sg_phys(sg),
			      region->chunk ?: sg->length);
	}
	kvfree(vaddrs);
	sg_free_table(&mem->table);
}

static int region_allocate(struct ion_heap *heap, struct ion_memory *mem)
{
	struct ion_region *region = region_of(heap);
	size_t left = mem->size, piece = region->chunk ?: mem->size;
	unsigned int count, i;
	struct scatterlist *sg;
	void **vaddrs;
	int ret;

	if (mem->align > (region->chunk ?: min_t(u64, region->size, SZ_1G)))
		return -EINVAL;
	if (mem->size > region->size || piece > ION_MAX_PIECE)
		return -ENOMEM;

	count = DIV_ROUND_UP(mem->size, piece);
	ret = sg_alloc_table(&mem->table, count, ION_TABLE_GFP);
	if (ret)
		return ret;
	vaddrs = kvmalloc_array(count, sizeof(*vaddrs), ION_TABLE_GFP);
	if (!vaddrs) {
		sg_free_table(&mem->table);
		return -ENOMEM;
	}
	mem->priv = vaddrs;

	for_each_sgtable_sg(&mem->table, sg, i) {
		size_t len = min(left, piece);

		ret = get_piece(region, mem, sg, len, &vaddrs[i]);
		if (ret) {
			put_pieces(region, mem, i);
			return ret;
		}
		left -= len;
	}
	if (count == 1)
		mem->vaddr = vaddrs[0];
	mem->combined = !mem->cached;
	return 0;
}

static void region_free(struct ion_heap *heap, struct ion_memory *mem)
{
	put_pieces(region_of(heap), mem, mem->table.orig_nents);
}

static size_t region_takes(struct ion_heap *heap, size_t size, size_t align)
{
	u64 chunk = region_of(heap)->chunk ?: PAGE_SIZE;

	return min_t(u64, ALIGN((u64)size, chunk), SIZE_MAX);
}

static const struct ion_heap_ops region_ops = {
	.allocate = region_allocate,
	.free = region_free,
	.takes = region_takes,
};

/* Memory that is not there neither keeps what it is told nor says so. */
static bool remembers(u32 *word)
{
	u32 old = READ_ONCE(*word), new = ~old;
	bool good;

	WRITE_ONCE(*word, new);
	mb(); /* out to the memory before it is read back */
	good = READ_ONCE(*word) == new;
	WRITE_ONCE(*word, old);
	return good;
}

/* Why it cannot be a heap, or NULL. It is ours by now. */
static const char *check_memory(struct ion_region *region)
{
	const char *why = NULL;
	void *vaddr;
	u64 at;

	for (at = 0; at < region->size; at += PAGE_SIZE)
		if (!pfn_valid(PHYS_PFN(region->base + at)))
			return "the kernel has no page structures for all of it";

	vaddr = memremap(region->base, region->size, MEMREMAP_WC);
	if (!vaddr)
		return "it cannot be mapped";
	for (at = 0; !why && at < region->size; at += PAGE_SIZE) {
		cond_resched();
		if (!remembers(vaddr + at))
			why = "there is no memory at that place";
	}
	memunmap(vaddr);
	return why;
}

static const char *check_numbers(struct ion_region *region)
{
	u64 last = region->base + region->size - 1;
	u64 unit = region->chunk ?: PAGE_SIZE;

	if (unit & (unit - 1) || unit < PAGE_SIZE || unit > SZ_1G)
		return "a chunk is a power of two of bytes, from a page to 1 GiB";
	if (!region->base || !region->size ||
	    (region->base | region->size) & (unit - 1))
		return "base and size are multiples of a page, or of the chunk";
	if (last < region->base || last > ULONG_MAX)
		return "there is no memory at that place";
	if (cc_platform_has(CC_ATTR_MEM_ENCRYPT))
		return "encrypted memory cannot be set aside";
	if (region_intersects(region->base, region->size,
			      IORESOURCE_SYSTEM_RAM, IORES_DESC_NONE) !=
	    REGION_DISJOINT)
		return "the kernel uses that memory: it wants memmap= or no-map";
	return NULL;
}

static void free_region(struct ion_region *region)
{
	if (region->pool)
		gen_pool_destroy(region->pool);
	release_mem_region(region->base, region->size);
}

/* Why it cannot be a heap, or NULL. */
static const char *add_region(struct ion_region *region)
{
	const char *why;
	int ret;

	why = check_numbers(region);
	if (why)
		return why;
	if (!request_mem_region(region->base, region->size, region->name))
		return "that memory is taken";
	why = check_memory(region);
	if (why)
		goto err_free;

	region->pool = gen_pool_create(ilog2(region->chunk ?: PAGE_SIZE),
				       NUMA_NO_NODE);
	ret = region->pool ? gen_pool_add(region->pool, region->base,
					  region->size, NUMA_NO_NODE) :
			     -ENOMEM;
	if (!ret) {
		list_add_tail(&region->node, &regions);
		return NULL;
	}
	why = "out of memory";
err_free:
	free_region(region);
	return why;
}

static struct ion_region *new_region(enum ion_heap_type type)
{
	struct ion_region *region;

	region = kzalloc(sizeof(*region), GFP_KERNEL);
	if (!region)
		return NULL;
	region->heap.name = region->name;
	region->heap.type = type;
	region->heap.contiguous = type == ION_HEAP_TYPE_CARVEOUT;
	region->heap.set_aside = true;
	region->heap.ops = &region_ops;
	region->heap.owner = THIS_MODULE;
	return region;
}

static const char *parse_number(char **text, u64 *number)
{
	char *word = strsep(text, ":"), *end;

	if (!word || !*word)
		return "a number is missing";
	*number = memparse(word, &end);
	return *end ? "a number is none" : NULL;
}

/* NAME:BASE:SIZE, and for a chunk heap :CHUNK. */
static const char *parse(struct ion_region *region, char *text)
{
	const char *why;

	if (strscpy(region->name, strsep(&text, ":"), MAX_HEAP_NAME) < 0)
		return "the name is too long";
	why = parse_number(&text, &region->base);
	if (!why)
		why = parse_number(&text, &region->size);
	if (!why && region->heap.type == ION_HEAP_TYPE_CHUNK) {
		why = parse_number(&text, &region->chunk);
		if (!why && !region->chunk)
			why = "a chunk is a power of two of bytes, from a page to 1 GiB";
	}
	return why ?: text ? "there is more than was asked for" : NULL;
}

static int add_parameters(enum ion_heap_type type, const char *what,
			  char **values, int count)
{
	const char *why;
	int i;

	for (i = 0; i < count; i++) {
		struct ion_region *region = new_region(type);
		char *text = kstrdup(values[i], GFP_KERNEL);

		why = "out of memory";
		if (region && text)
			why = parse(region, text);
		if (region && text && !why)
			why = add_region(region);
		kfree(text);
		if (why) {
			pr_err("%s %.*s: %s\n", what,
			       (int)strcspn(values[i], ":"), values[i], why);
			kfree(region);
			return -EINVAL;
		}
	}
	return 0;
}

static const char *read_node(struct ion_region *region,
			     struct device_node *node)
{
	struct resource res;
	u32 size;

	if (of_address_to_resource(node, 0, &res))
		return "reg is missing";
	region->base = res.start;
	region->size = resource_size(&res);
	if (region->heap.type != ION_HEAP_TYPE_CHUNK)
		return NULL;
	if (of_property_read_u32(node, "chunk-size", &size) || !size)
		return "chunk-size is missing";
	region->chunk = size;
	return NULL;
}

/* Children of /reserved-memory with no-map and a place of their own. */
static int add_nodes(enum ion_heap_type type, const char *compatible)
{
	struct device_node *node;

	for_each_compatible_node(node, NULL, compatible) {
		const char *why = "out of memory";
		struct ion_region *region;

		if (!of_device_is_available(node))
			continue;
		region = new_region(type);
		if (region) {
			snprintf(region->name, MAX_HEAP_NAME, "%pOFn", node);
			why = read_node(region, node) ?: add_region(region);
		}
		if (why) {
			pr_err("%pOFn: %s\n", node, why);
			kfree(region);
			of_node_put(node);
			return -EINVAL;
		}
	}
	return 0;
}

/**
 * ion_region_heaps_init() - check what was configured
 *
 * It comes before anybody can call, since it is what fails.
 *
 * Return: 0. -EINVAL if something is wrong, which the log tells.
 */
int ion_region_heaps_init(void)
{
	int ret;

	ret = add_parameters(ION_HEAP_TYPE_CARVEOUT, "carveout", carveout,
			     num_carveouts);
	if (!ret)
		ret = add_parameters(ION_HEAP_TYPE_CHUNK, "chunk", chunk,
				     num_chunks);
	if (!ret)
		ret = add_nodes(ION_HEAP_TYPE_CARVEOUT, "ion,carveout-heap");
	if (!ret)
		ret = add_nodes(ION_HEAP_TYPE_CHUNK, "ion,chunk-heap");
	if (ret)
		ion_region_heaps_exit();
	return ret;
}

static const char *why_not_added(int ret)
{
	switch (ret) {
	case -EINVAL:
		return "a name is made of letters, digits and _-.,";
	case -EEXIST:
		return "there is a heap of that name";
	case -ENOSPC:
		return "there are too many heaps";
	default:
		return "out of memory";
	}
}

/**
 * ion_region_heaps_add() - add the heaps that were configured
 *
 * Return: 0. -EINVAL if one cannot be added, which the log tells.
 */
int ion_region_heaps_add(void)
{
	struct ion_region *region;
	int ret;

	list_for_each_entry(region, &regions, node) {
		ret = ion_heap_add(&region->heap);
		if (ret) {
			pr_err("%s %s: %s\n",
			       region->chunk ? "chunk" : "carveout",
			       region->name, why_not_added(ret));
			return -EINVAL;
		}
	}
	return 0;
}

/**
 * ion_region_heaps_remove() - take away those heaps that were added
 */
void ion_region_heaps_remove(void)
{
	struct ion_region *region;

	list_for_each_entry(region, &regions, node)
		ion_heap_remove(&region->heap);
}

/**
 * ion_region_heaps_exit() - give the memory back
 */
void ion_region_heaps_exit(void)
{
	struct ion_region *region, *next;

	list_for_each_entry_safe(region, next, &regions, node) {
		free_region(region);
		kfree(region);
	}
	INIT_LIST_HEAD(&regions);
}
