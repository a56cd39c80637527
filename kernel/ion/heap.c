// SPDX-License-Identifier: GPL-2.0-only
/* The heaps that there are, by id. */

#include <linux/ctype.h>
#include <linux/export.h>
#include <linux/ion.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "heap.h"

/* Ids below are for the first heap of each type. */
#define ION_FIRST_FREE_ID (ION_HEAP_TYPE_CUSTOM + 1)

/**
 * struct ion_device - the heaps
 * @lock: held while a heap comes or goes
 * @finding: protects @heaps too, and what is asked of one before it is pinned
 * @heaps: by id
 */
struct ion_device {
	struct mutex lock;
	spinlock_t finding;
	struct ion_heap *heaps[ION_NUM_HEAP_IDS];
};

static struct ion_device ion_device = {
	.lock = __MUTEX_INITIALIZER(ion_device.lock),
	.finding = __SPIN_LOCK_UNLOCKED(ion_device.finding),
};

static LIST_HEAD(fronts);	/* changes only while there is no heap */

/**
 * ion_front_add() - have a front told of all heaps to come
 * @front: the front; there is no heap yet
 */
void ion_front_add(struct ion_front *front)
{
	list_add_tail(&front->node, &fronts);
}

/**
 * ion_front_remove() - undo ion_front_add()
 * @front: the front; there is no heap any more
 */
void ion_front_remove(struct ion_front *front)
{
	list_del(&front->node);
}

static int add_to_fronts(struct ion_heap *heap)
{
	struct ion_front *front;
	int ret;

	list_for_each_entry(front, &fronts, node) {
		ret = front->add(heap);
		if (ret)
			goto err;
	}
	return 0;

err:
	list_for_each_entry_continue_reverse(front, &fronts, node)
		front->remove(heap);
	return ret;
}

static void remove_from_fronts(struct ion_heap *heap)
{
	struct ion_front *front;

	list_for_each_entry_reverse(front, &fronts, node)
		front->remove(heap);
}

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

/* It becomes the name of a file and of a device. */
static bool name_is_good(const char *name)
{
	size_t i, len = strnlen(name, MAX_HEAP_NAME);

	for (i = 0; i < len; i++)
		if (!isalnum(name[i]) && !strchr("_-.,", name[i]))
			return false;
	return len && len < MAX_HEAP_NAME && name[0] != '.';
}

static bool same_name(const struct ion_heap *a, const struct ion_heap *b)
{
	return !strcmp(a->name, b->name) ||
	       !strcmp(a->node ?: a->name, b->node ?: b->name);
}

static int find_id(struct ion_heap *heap)
{
	unsigned int id;
	int found = -ENOSPC;

	for (id = 0; id < ION_NUM_HEAP_IDS; id++)
		if (ion_device.heaps[id] &&
		    same_name(ion_device.heaps[id], heap))
			return -EEXIST;

	if (!ion_device.heaps[heap->type])
		return heap->type;
	for (id = ION_NUM_HEAP_IDS; id-- > ION_FIRST_FREE_ID; )
		if (!ion_device.heaps[id])
			found = id;
	return found;
}

/**
 * ion_heap_add() - let callers allocate from a heap
 * @heap: the heap, its fields above "private" set; stays the caller's, and must
 *	stay until ion_heap_remove() has taken it away
 *
 * Callers see the heap when its module has been loaded, not while the module is
 * still initializing: an initialization that fails can always remove it.
 *
 * Context: may sleep.
 * Return: 0. -EINVAL: a name that is none, an unknown type, or no operations or
 * owner; -EEXIST: a heap or node of that name is there; -ENOSPC: there is no id
 * left; or what the driver core says of its /dev/dma_heap node.
 */
int ion_heap_add(struct ion_heap *heap)
{
	int id, ret;

	if (!heap->name || !name_is_good(heap->name) ||
	    (heap->node && !name_is_good(heap->node)) ||
	    heap->type > ION_HEAP_TYPE_CUSTOM || !heap->ops || !heap->owner)
		return -EINVAL;

	mutex_lock(&ion_device.lock);
	id = find_id(heap);
	if (id < 0) {
		ret = id;
		goto out;
	}
	heap->id = id;
	atomic_set(&heap->users, 0);
	mutex_init(&heap->lock);
	INIT_LIST_HEAD(&heap->buffers);
	heap->count = 0;
	heap->bytes = 0;
	heap->peak = 0;
	heap->name_len = strlen(heap->name);
	ret = add_to_fronts(heap);
	if (!ret) {
		spin_lock(&ion_device.finding);
		ion_device.heaps[id] = heap;
		spin_unlock(&ion_device.finding);
	}
out:
	mutex_unlock(&ion_device.lock);
	return ret;
}
EXPORT_SYMBOL_GPL(ion_heap_add);

/**
 * ion_heap_remove() - take a heap away
 * @heap: the heap
 *
 * In a module's exit function it always succeeds, since buffers and open nodes
 * pin the module.
 *
 * Context: may sleep.
 * Return: 0. -EBUSY: a buffer of it lives, a request is under way, or its
 * /dev/dma_heap node is open; -ENODEV: it was not added.
 */
int ion_heap_remove(struct ion_heap *heap)
{
	int ret = 0;

	mutex_lock(&ion_device.lock);
	spin_lock(&ion_device.finding);
	if (heap->id >= ION_NUM_HEAP_IDS ||
	    ion_device.heaps[heap->id] != heap)
		ret = -ENODEV;
	else if (atomic_read_acquire(&heap->users))
		ret = -EBUSY;
	else
		ion_device.heaps[heap->id] = NULL;
	spin_unlock(&ion_device.finding);
	if (!ret) {
		remove_from_fronts(heap);
		mutex_destroy(&heap->lock);
	}
	mutex_unlock(&ion_device.lock);
	return ret;
}
EXPORT_SYMBOL_GPL(ion_heap_remove);

/* Whoever calls us holds our own module. */
static bool pin(struct module *owner)
{
	return owner == THIS_MODULE || try_module_get(owner);
}

static void unpin(struct module *owner)
{
	if (owner != THIS_MODULE)
		module_put(owner);
}

/**
 * ion_heap_get() - look a heap up and pin it and its module
 * @id: below ION_NUM_HEAP_IDS
 *
 * Return: the heap, to be given back with ion_heap_put(), or NULL.
 */
struct ion_heap *ion_heap_get(unsigned int id)
{
	struct ion_heap *heap;

	spin_lock(&ion_device.finding);
	heap = ion_device.heaps[id];
	/* One that is still loading goes away, pinned or not, if that fails. */
	if (heap && (heap->owner->state != MODULE_STATE_LIVE ||
		     !pin(heap->owner)))
		heap = NULL;
	if (heap)
		atomic_inc(&heap->users);
	spin_unlock(&ion_device.finding);
	return heap;
}

/**
 * ion_heap_put() - give back what ion_heap_get() returned
 * @heap: the heap
 */
void ion_heap_put(struct ion_heap *heap)
{
	struct module *owner = heap->owner;

	/* From then on the heap may be gone. */
	(void)atomic_dec_return_release(&heap->users);
	unpin(owner);
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
