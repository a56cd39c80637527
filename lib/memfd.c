// SPDX-License-Identifier: MIT
/*
 * Buffers that are sealed memfds: memory that processes can share, and no
 * dma-bufs. What the CPU writes is there for every process at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "internal.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

/* A size that nobody can change: no mapping of it ends in SIGBUS. */
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define READ_ONLY (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)

/* How much is allocated at a time: a signal takes back no more than that. */
#define PIECE ((off_t)1 << 20)

/* Past the limit of files ftruncate() ends the program, by SIGXFSZ. */
static bool is_within_limit(size_t size)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_FSIZE, &limit) || size <= limit.rlim_cur;
}

/* Zeroed memory, of which nothing is there before it is touched. */
int ion_memfd_create(size_t size)
{
	const unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd, ret;

	if (!is_within_limit(size))
		return -ENOMEM;
	fd = memfd_create("ion", flags | MFD_NOEXEC_SEAL);
	/* Before Linux 6.3 that flag is unknown, and nobody misses it. */
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("ion", flags);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, size) || fcntl(fd, F_ADD_SEALS, SEALS)) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

/* Now, so that who asks for too much is told, and not killed later. */
static int populate(int fd, size_t size)
{
	off_t at = 0, end = size;

	while (at < end) {
		off_t len = end - at < PIECE ? end - at : PIECE;

		if (!fallocate(fd, 0, at, len))
			at += len;
		else if (errno == ENOSPC)
			return -ENOMEM;
		else if (errno != EINTR)
			return -errno;
	}
	return 0;
}

static int memfd_alloc(const struct heap *heap, size_t size)
{
	int fd, ret;

	(void)heap;
	fd = ion_memfd_create(size);
	if (fd < 0)
		return fd;
	ret = populate(fd, size);
	if (ret) {
		close(fd);
		return ret;
	}
	return fd;
}

static int memfd_check(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	if (seals < 0)
		return errno == EBADF ? -EBADF : -EINVAL;
	if ((seals & SEALS) != SEALS || seals & READ_ONLY)
		return -EINVAL;
	if (fstat(fd, &st))
		return -errno;
	return st.st_size && !(st.st_size % ion_page_size()) ? 0 : -EINVAL;
}

static int memfd_sync(int fd, __u64 flags)
{
	(void)fd;
	(void)flags;
	return 0;
}

static int memfd_flush(int fd)
{
	(void)fd;
	return 0;
}

static int memfd_open(struct heaps *heaps)
{
	int fd = ion_memfd_create(ion_page_size());

	if (fd < 0)
		return fd;
	close(fd);
	ion_heap_fill(&heaps->heap[heaps->count++], "ion_system_heap",
		      ION_HEAP_TYPE_SYSTEM, ION_HEAP_TYPE_SYSTEM, -1);
	return 0;
}

const struct backend ion_memfd_backend = {
	.name = "memfd",
	.node = "memfd_create()",
	.what = "memory that processes can share; no dma-buf, no driver takes it",
	.open = memfd_open,
	.alloc = memfd_alloc,
	.check = memfd_check,
	.sync = memfd_sync,
	.flush = memfd_flush,
};
