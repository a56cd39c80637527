// SPDX-License-Identifier: MIT
/* heaps: what one can allocate from, by every backend that works here. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ionctl.h"
#include "output.h"

#define DMA_HEAPS "/dev/dma_heap/"

static const struct column columns[] = {
	{ "name", "HEAP", TEXT }, { "id", "ID", NUMBER },
	{ "type", "TYPE", TEXT }, { "backend", "BACKEND", TEXT },
	{ "node", "NODE", TEXT }, { "bytes", "IN USE", SIZE },
	{ "buffers", "BUFFERS", NUMBER }, { "pool", "POOL", SIZE }, { 0 }
};

static const char *type_name(unsigned int type)
{
	static const char *const names[] = {
		[ION_HEAP_TYPE_SYSTEM] = "system",
		[ION_HEAP_TYPE_SYSTEM_CONTIG] = "contiguous",
		[ION_HEAP_TYPE_CARVEOUT] = "carveout",
		[ION_HEAP_TYPE_CHUNK] = "chunk",
		[ION_HEAP_TYPE_DMA] = "dma",
		[ION_HEAP_TYPE_CUSTOM] = "custom",
	};

	return type < sizeof(names) / sizeof(*names) ? names[type] : "unknown";
}

/* dma-heaps of other names than libion gives them, which has them as ION did. */
static const char *dma_heap_node(const char *heap)
{
	static const struct {
		const char *heap;
		const char *node;
	} others[] = {
		{ "ion_system_heap", "system" },
		{ "ion_system_heap", "ion_system" },
		{ "ion_system_contig_heap", "ion_system_contig" },
		{ "linux,cma", "reserved" },
		{ "linux,cma", "default_cma_region" },
		{ "linux,cma", "ion_dma" },
	};
	char path[64];

	snprintf(path, sizeof(path), DMA_HEAPS "%.31s", heap);
	if (!access(path, F_OK))
		return heap;
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		snprintf(path, sizeof(path), DMA_HEAPS "%s", others[i].node);
		if (!strcmp(heap, others[i].heap) && !access(path, F_OK))
			return others[i].node;
	}
	return heap;
}

/* NULL for the backend that needs none. */
static json_object *node_of(const char *backend, const char *heap)
{
	char path[64];

	if (!strcmp(backend, "memfd"))
		return NULL;
	if (strcmp(backend, "dma-heap"))
		snprintf(path, sizeof(path), "/dev/%s", backend);
	else
		snprintf(path, sizeof(path), DMA_HEAPS "%.31s",
			 dma_heap_node(heap));
	return json_object_new_string(path);
}

/* ion.ko's own figures, where they can be read. */
static void add_figures(json_object *row, json_object *figures)
{
	static const char *const keys[] = { "bytes", "buffers", "peak", "pool" };
	json_object *name = json_object_object_get(row, "name"), *heap, *value;

	for (size_t i = 0; i < json_object_array_length(figures); i++) {
		heap = json_object_array_get_idx(figures, i);
		if (!json_object_equal(json_object_object_get(heap, "name"),
				       name))
			continue;
		for (size_t k = 0; k < sizeof(keys) / sizeof(*keys); k++) {
			value = json_object_object_get(heap, keys[k]);
			json_object_object_add(row, keys[k],
					       json_object_get(value));
		}
	}
}

static json_object *new_row(const struct ion_heap_data *heap,
			    const char *backend)
{
	json_object *row = json_object_new_object();

	json_object_object_add(row, "name", json_text(heap->name));
	json_object_object_add(row, "id", json_object_new_int(heap->heap_id));
	json_object_object_add(row, "type",
			       json_object_new_string(type_name(heap->type)));
	json_object_object_add(row, "backend",
			       json_object_new_string(backend));
	json_object_object_add(row, "node", node_of(backend, heap->name));
	return row;
}

static int add_heaps(json_object *rows, const char *backend,
		     json_object *figures)
{
	struct ion_heap_data heaps[ION_NUM_HEAP_IDS];
	int client = ion_open_backend(backend), n, ret;

	if (client < 0)
		return client;
	ret = ion_query_heap_cnt(client, &n);
	if (!ret && n > ION_NUM_HEAP_IDS)
		n = ION_NUM_HEAP_IDS;
	if (!ret && n)
		ret = ion_query_get_heaps(client, n, heaps);
	for (int i = 0; !ret && i < n; i++) {
		json_object *row = new_row(&heaps[i], backend);

		if (figures && !strcmp(backend, "ion"))
			add_figures(row, figures);
		json_object_array_add(rows, row);
	}
	ion_close(client);
	return ret;
}

static int run_heaps(void)
{
	json_object *rows = json_object_new_array(), *figures = ion_heaps();
	const char *backend;
	int ret = 0;

	for (int i = 0; (backend = ion_backend_name(i)) && !ret; i++) {
		ret = ion_probe_backend(backend, NULL, 0);
		if (!ret)
			ret = add_heaps(rows, backend, figures);
		else if (ret != -EMFILE && ret != -ENFILE && ret != -ENOMEM)
			ret = 0;
	}
	json_object_put(figures);
	if (ret) {
		json_object_put(rows);
		return fail(ret, "the heaps cannot be asked for");
	}
	put_list(rows, columns);
	return EXIT_FINE;
}

static const struct argp_option options[] = { JSON_OPTION, { 0 } };

static const struct argp argp = {
	options, json_only, NULL,
	"List the heaps that buffers can be allocated from, by every backend of libion that works here. What is in use is told by debugfs, to root.",
	NULL, NULL, NULL
};

const struct command heaps_command = {
	"heaps", "list the heaps, and what is in use", &argp, run_heaps
};
