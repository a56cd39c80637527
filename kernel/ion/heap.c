// SPDX-License-Identifier: GPL-2.0-only
/* The heaps that there are, by id. */

#include <linux/export.h>
#include <linux/ion.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/string.h>

#include "heap.h"

struct ion_device {
	struct mutex lock; /* protects heaps */
	struct ion_heap *heaps[ION_NUM_HEAP_IDS];
};

static struct ion_device ion_device = {
	.lock = __MUTEX_INITIALIZER(ion_device.lock),
};

/**
 * ion_device_get() - the device behind /dev/ion
 *
 * There is one, and it lives as long as the module: nothing is to be given
 * back.
 *
 * Return: the device, for ion_client_create().
 */
struct ion_device *ion_device_get(void)
{
	return &ion_device;
}
EXPORT_SYMBOL_GPL(ion_device_get);

/**
 * ion_heap_add() - let callers allocate from a heap
 * @heap: the heap, static in its module; no other has its id
 */
void ion_heap_add(struct ion_heap *heap)
{
	mutex_lock(&ion_device.lock);
	ion_device.heaps[heap->id] = heap;
	mutex_unlock(&ion_device.lock);
}

/**
 * ion_heap_get() - look a heap up and pin its module
 * @id: below ION_NUM_HEAP_IDS
 *
 * Return: the heap, to be given back with ion_heap_put(), or NULL.
 */
struct ion_heap *ion_heap_get(unsigned int id)
{
	struct ion_heap *heap;

	mutex_lock(&ion_device.lock);
	heap = ion_device.heaps[id];
	if (heap && !try_module_get(heap->owner))
		heap = NULL;
	mutex_unlock(&ion_device.lock);
	return heap;
}

/**
 * ion_heap_put() - give back what ion_heap_get() returned
 * @heap: the heap
 */
void ion_heap_put(struct ion_heap *heap)
{
	module_put(heap->owner);
}

/**
 * ion_heap_query() - describe the heaps, the lowest id first
 * @data: room for @cnt entries, zeroed
 * @cnt: how many at the most; 0 only counts
 *
 * Return: how many were written, or with @cnt 0 how many heaps there are.
 */
unsigned int ion_heap_query(struct ion_heap_data *data, unsigned int cnt)
{
	unsigned int id, n = 0;

	mutex_lock(&ion_device.lock);
	for (id = 0; id < ION_NUM_HEAP_IDS; id++) {
		struct ion_heap *heap = ion_device.heaps[id];

		if (!heap)
			continue;
		if (cnt) {
			if (n == cnt)
				break;
			strscpy(data[n].name, heap->name, MAX_HEAP_NAME);
			data[n].type = heap->type;
			data[n].heap_id = heap->id;
		}
		n++;
	}
	mutex_unlock(&ion_device.lock);
	return n;
}
