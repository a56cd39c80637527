// SPDX-License-Identifier: MIT
/* Which backends there are, and which of them a client gets. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "internal.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* What ION's node is one of. */
#define MISC_MAJOR 10

static const struct backend ion_backend_itself = {
	.name = "ion",
	.node = "/dev/ion",
	.what = "ION in the kernel",
};

/* In the order tried. */
static const struct backend *const backends[] = {
	&ion_backend_itself,
	&ion_dma_heap_backend,
	&ion_udmabuf_backend,
	&ion_memfd_backend,
};

/* Whether this process has had clients of the first, and memfds of the last. */
static atomic_bool had_ion, had_memfd;

/* Where all buffers are dma-bufs, nobody need look whether one is a memfd. */
bool ion_memfd_expected(void)
{
	return !atomic_load_explicit(&had_ion, memory_order_relaxed) ||
	       atomic_load_explicit(&had_memfd, memory_order_relaxed);
}

void ion_expect_memfd(void)
{
	atomic_store(&had_memfd, true);
}

bool ion_is_shortage(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOMEM;
}

void ion_heap_fill(struct heap *heap, const char *name, __u32 type, __u32 id,
		   int fd)
{
	*heap = (struct heap) {
		.data = { .type = type, .heap_id = id },
		.fd = fd,
	};
	strncat(heap->data.name, name, sizeof(heap->data.name) - 1);
}

void ion_heaps_close(struct heaps *heaps)
{
	for (unsigned int i = 0; i < heaps->count; i++)
		if (heaps->heap[i].fd >= 0)
			close(heaps->heap[i].fd);
	heaps->count = 0;
}

/* What may be taken unasked has the heap that programs take unasked. */
bool ion_heaps_have_system(const struct heaps *heaps)
{
	for (unsigned int i = 0; i < heaps->count; i++)
		if (heaps->heap[i].data.heap_id == ION_HEAP_TYPE_SYSTEM)
			return true;
	return false;
}

static const struct backend *find(const char *name)
{
	for (size_t i = 0; i < COUNT(backends); i++)
		if (!strcmp(name, backends[i]->name))
			return backends[i];
	return NULL;
}

static int open_client(const struct backend *backend, bool unasked)
{
	int fd;

	if (backend->open) {
		fd = ion_client_open(backend, unasked);
		if (fd >= 0 && backend == &ion_memfd_backend)
			ion_expect_memfd();
		return fd;
	}
	fd = open(backend->node, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	atomic_store_explicit(&had_ion, true, memory_order_relaxed);
	return fd;
}

static int open_first(void)
{
	int ret = -ENOENT;

	for (size_t i = 0; i < COUNT(backends); i++) {
		ret = open_client(backends[i], true);
		/* Short of something is not the same as not there. */
		if (ret >= 0 || ion_is_shortage(ret))
			break;
	}
	return ret;
}

int ion_open_backend(const char *name)
{
	const struct backend *backend;

	if (!name) {
		name = secure_getenv("ION_BACKEND");
		if (name && !*name)
			name = NULL;
	}
	if (!name)
		return open_first();
	backend = find(name);
	return backend ? open_client(backend, false) : -EINVAL;
}

int ion_open(void)
{
	return ion_open_backend(NULL);
}

const char *ion_backend_name(unsigned int i)
{
	return i < COUNT(backends) ? backends[i]->name : NULL;
}

static bool is_ion(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISCHR(st.st_mode) &&
	       major(st.st_rdev) == MISC_MAJOR &&
	       (ion_is_using_modular_heaps(fd) || ion_is_legacy(fd));
}

const char *ion_backend(int fd)
{
	const char *name = ion_client_backend(fd);

	if (name)
		return name;
	return is_ion(fd) ? ion_backend_itself.name : NULL;
}

static int try(const struct backend *backend, bool *by_name)
{
	struct heaps heaps = { 0 };
	int ret;

	*by_name = false;
	if (backend->open) {
		ret = backend->open(&heaps);
		*by_name = !ion_heaps_have_system(&heaps);
		ion_heaps_close(&heaps);
		return ret;
	}
	ret = open(backend->node, O_RDONLY | O_CLOEXEC);
	if (ret < 0)
		return -errno;
	close(ret);
	return 0;
}

int ion_probe_backend(const char *name, char *why, size_t size)
{
	const struct backend *backend = name ? find(name) : NULL;
	bool by_name;
	int ret;

	if (!backend) {
		if (why)
			snprintf(why, size, "there is no such backend");
		return -EINVAL;
	}
	ret = try(backend, &by_name);
	if (!why)
		return ret;
	errno = -ret;
	switch (ret) {
	case 0:
		snprintf(why, size, "%s: %s%s", backend->node, backend->what,
			 by_name ? ", but not \"system\": only by name" : "");
		break;
	case -ENOENT:
		snprintf(why, size, "there is no %s", backend->node);
		break;
	default:
		snprintf(why, size, "%s cannot be used: %m", backend->node);
	}
	return ret;
}
