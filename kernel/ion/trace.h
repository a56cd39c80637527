/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM ion

#if !defined(_ION_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _ION_TRACE_H

#include <linux/dma-buf.h>
#include <linux/fs.h>
#include <linux/tracepoint.h>

#include "../compat.h"
#include "buffer.h"

/* A buffer is told by its inode number, which fstat(2) and fdinfo show. */
DECLARE_EVENT_CLASS(ion_buffer,
	TP_PROTO(const struct ion_buffer *buffer),
	TP_ARGS(buffer),
	TP_STRUCT__entry(
		__field(u64, ino)
		__field(size_t, size)
		__field(unsigned int, flags)
		__string(heap, buffer->heap->name)
	),
	TP_fast_assign(
		__entry->ino = buffer->ino;
		__entry->size = buffer->mem.size;
		__entry->flags = buffer->flags;
		ion_assign_str(heap, buffer->heap->name);
	),
	TP_printk("ino=%llu size=%zu flags=%#x heap=%s", __entry->ino,
		  __entry->size, __entry->flags, __get_str(heap))
);

DEFINE_EVENT(ion_buffer, ion_alloc,
	TP_PROTO(const struct ion_buffer *buffer),
	TP_ARGS(buffer)
);

DEFINE_EVENT(ion_buffer, ion_free,
	TP_PROTO(const struct ion_buffer *buffer),
	TP_ARGS(buffer)
);

/* A mapping into a process: @len bytes of it. */
TRACE_EVENT(ion_map,
	TP_PROTO(const struct ion_buffer *buffer, unsigned long len),
	TP_ARGS(buffer, len),
	TP_STRUCT__entry(
		__field(u64, ino)
		__field(unsigned long, len)
	),
	TP_fast_assign(
		__entry->ino = buffer->ino;
		__entry->len = len;
	),
	TP_printk("ino=%llu len=%lu", __entry->ino, __entry->len)
);

DECLARE_EVENT_CLASS(ion_client,
	TP_PROTO(const char *client, int handle, const struct dma_buf *dmabuf),
	TP_ARGS(client, handle, dmabuf),
	TP_STRUCT__entry(
		__field(u64, ino)
		__field(size_t, size)
		__field(int, handle)
		__string(client, client)
	),
	TP_fast_assign(
		__entry->ino = file_inode(dmabuf->file)->i_ino;
		__entry->size = dmabuf->size;
		__entry->handle = handle;
		ion_assign_str(client, client);
	),
	TP_printk("ino=%llu size=%zu handle=%d client=%s", __entry->ino,
		  __entry->size, __entry->handle, __get_str(client))
);

DEFINE_EVENT(ion_client, ion_import,
	TP_PROTO(const char *client, int handle, const struct dma_buf *dmabuf),
	TP_ARGS(client, handle, dmabuf)
);

DEFINE_EVENT(ion_client, ion_share,
	TP_PROTO(const char *client, int handle, const struct dma_buf *dmabuf),
	TP_ARGS(client, handle, dmabuf)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
