// SPDX-License-Identifier: GPL-2.0-only
/* Who holds what: ion/heaps/<heap> and ion/buffers in debugfs. */

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>

#include "account.h"
#include "buffer.h"
#include "client.h"
#include "debug.h"
#include "heap.h"
#include "report.h"

static void show_buffers(struct seq_file *s, struct ion_heap *heap)
{
	struct ion_buffer *buffer;

	seq_printf(s, "%10s %12s %8s %5s %6s %16s %10s  %s\n", "buffer",
		   "bytes", "flags", "maps", "kernel", "process", "pid",
		   "name and importers");
	list_for_each_entry(buffer, &heap->buffers, node)
		ion_buffer_show(s, buffer);
}

static int heap_show(struct seq_file *s, void *data)
{
	struct ion_heap *heap = s->private;
	size_t pooled = heap->ops->pooled ? heap->ops->pooled(heap) : 0;

	mutex_lock(&heap->lock);
	seq_printf(s, "id:      %u\n", heap->id);
	seq_printf(s, "type:    %u\n", heap->type);
	seq_printf(s, "bytes:   %zu\n", heap->bytes);
	seq_printf(s, "buffers: %lu\n", heap->count);
	seq_printf(s, "peak:    %zu\n", heap->peak);
	seq_printf(s, "pool:    %zu\n\n", pooled);
	show_buffers(s, heap);
	mutex_unlock(&heap->lock);

	seq_puts(s, "\n");
	ion_clients_show(s, heap);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(heap);

static int buffers_show(struct seq_file *s, void *data)
{
	unsigned int id;

	seq_printf(s, "counted: %llu\n\n", ion_account_bytes(NULL));
	for (id = 0; id < ION_NUM_HEAP_IDS; id++) {
		struct ion_heap *heap = ion_heap_get(id);

		if (!heap)
			continue;
		mutex_lock(&heap->lock);
		seq_printf(s, "%s\n", heap->name);
		show_buffers(s, heap);
		mutex_unlock(&heap->lock);
		seq_puts(s, "\n");
		ion_heap_put(heap);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(buffers);

static int add_heap(struct ion_heap *heap)
{
	heap->debug = ion_debug_add_heap(heap->name, heap, &heap_fops);
	return 0;
}

static void remove_heap(struct ion_heap *heap)
{
	ion_debug_remove(heap->debug);
}

static struct ion_front report_front = {
	.add = add_heap,
	.remove = remove_heap,
};

/**
 * ion_report_init() - report on all heaps that will be added
 */
void ion_report_init(void)
{
	ion_debug_add_file("buffers", &buffers_fops);
	ion_front_add(&report_front);
}

/**
 * ion_report_exit() - undo ion_report_init(), when no heap is left
 */
void ion_report_exit(void)
{
	ion_front_remove(&report_front);
}
