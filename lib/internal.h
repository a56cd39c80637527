/* SPDX-License-Identifier: MIT */
/*
 * What stands behind the calls of <ion/ion.h> where there is no /dev/ion: a
 * client that lives in the library (client.c), over a backend that gives memory
 * and nothing else.
 */
#ifndef LIB_INTERNAL_H
#define LIB_INTERNAL_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

#include <ion/ion.h>

/**
 * struct heap - one of a client's heaps
 * @data: what ion_query_get_heaps() tells
 * @fd: the node that its memory comes from, or -1
 */
struct heap {
	struct ion_heap_data data;
	int fd;
};

struct heaps {
	unsigned int count;
	struct heap heap[ION_NUM_HEAP_IDS];
};

/**
 * struct backend - where memory comes from
 * @name: what ION_BACKEND= calls it
 * @node: the file without which it is not there
 * @what: what there is to say about it where it is there
 * @open: fill in the heaps that can be used, at least one; 0 or -errno. NULL:
 *	@node speaks ION, and its descriptor is the client.
 * @alloc: a new descriptor, close-on-exec, of @size bytes of zeroed memory, a
 *	multiple of the page size; -ENOMEM: there is no room for it
 * @check: 0 for a buffer that a client of this backend can have, whoever made
 *	it; -EBADF, or -EINVAL for any other file
 * @sync: begin or end CPU access; flags as of DMA_BUF_IOCTL_SYNC
 * @flush: make visible to devices what the CPU wrote
 *
 * @sync and @flush are for what @check accepts.
 */
struct backend {
	const char *name;
	const char *node;
	const char *what;
	int (*open)(struct heaps *heaps);
	int (*alloc)(const struct heap *heap, size_t size);
	int (*check)(int fd);
	int (*sync)(int fd, __u64 flags);
	int (*flush)(int fd);
};

extern const struct backend ion_dma_heap_backend;
extern const struct backend ion_udmabuf_backend;
extern const struct backend ion_memfd_backend;

bool ion_is_shortage(int error);
void ion_heap_fill(struct heap *heap, const char *name, __u32 type, __u32 id,
		   int fd);
void ion_heaps_close(struct heaps *heaps);
bool ion_heaps_have_system(const struct heaps *heaps);

int ion_dma_buf_check(int fd);
int ion_dma_buf_sync(int fd, __u64 flags);
int ion_dma_buf_flush(int fd);

int ion_memfd_create(size_t size);
bool ion_memfd_expected(void);
void ion_expect_memfd(void);

/*
 * The calls of <ion/ion.h> for a client that lives in the library. -ENOTTY if
 * @fd is no such client; out parameters are set on success only. @unasked: nobody
 * named the backend, which is -ENODEV without the system heap.
 */
int ion_client_open(const struct backend *backend, bool unasked);
int ion_client_close(int fd);
const char *ion_client_backend(int fd);
int ion_client_alloc(int fd, size_t len, size_t align, unsigned int heap_mask,
		     ion_user_handle_t *handle);
int ion_client_alloc_fd(int fd, size_t len, size_t align,
			unsigned int heap_mask, int *handle_fd);
int ion_client_free(int fd, ion_user_handle_t handle);
int ion_client_share(int fd, ion_user_handle_t handle, int *share_fd);
int ion_client_import(int fd, int share_fd, ion_user_handle_t *handle);
int ion_client_sync(int fd, int buffer_fd);
int ion_client_sync_range(int fd, int buffer_fd, __u64 offset, __u64 len,
			  unsigned int flags);
int ion_client_heaps(int fd, struct ion_heap_data *heaps, unsigned int room,
		     unsigned int *count);

static inline size_t ion_page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

/* Also for a descriptor that other calls may still be given meanwhile. */
static inline int ion_close_fd(int fd)
{
	return close(fd) ? -errno : 0;
}

/* SIZE_MAX - page + 1 and below; what is above gives 0. */
static inline size_t ion_page_up(size_t len)
{
	return (len + ion_page_size() - 1) & -ion_page_size();
}

#endif
