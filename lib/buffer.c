// SPDX-License-Identifier: MIT
/* Buffers, the short way. */
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <ion/buffer.h>

#include "internal.h"

#ifndef SCM_PIDFD
#define SCM_PIDFD 4
#endif

_Static_assert(ION_READ == DMA_BUF_SYNC_READ && ION_RW == DMA_BUF_SYNC_RW &&
	       ION_WRITE == DMA_BUF_SYNC_WRITE, "accesses are dma-buf's");

/**
 * struct ion_buffer - one process's hold on a buffer
 * @fd: the descriptor
 * @dma_buf: it is one; else a memfd
 * @prot: how it is mapped; 0: it is not
 * @size: bytes
 * @addr: where it is mapped
 */
struct ion_buffer {
	int fd;
	bool dma_buf;
	int prot;
	size_t size;
	unsigned char *addr;
};

/* The library's own client. */
static _Atomic int own_client = -1;

static int get_client(void)
{
	int none = -1, fd = atomic_load(&own_client);

	if (fd >= 0)
		return fd;
	fd = ion_open();
	if (fd >= 0 && !atomic_compare_exchange_strong(&own_client, &none, fd)) {
		ion_close(fd);
		return none;
	}
	return fd;
}

/*
 * A program that closes all that it did not open closed the client too, and the
 * number may be another file's by now. What such a file says to our requests
 * tells that they were not for it.
 */
static bool lost_client(int fd, int ret)
{
	if (ret != -EBADF && ret != -ENOTTY && ret != -EINVAL)
		return false;
	if (ion_backend(fd))
		return false;
	return atomic_compare_exchange_strong(&own_client, &fd, -1);
}

static bool is_access(enum ion_access access)
{
	return access >= ION_READ && access <= ION_RW;
}

static int request(const struct ion_buffer *buffer, unsigned long cmd,
		   void *arg)
{
	int ret;

	if (!buffer->dma_buf)
		return -EOPNOTSUPP;
	do {
		ret = ioctl(buffer->fd, cmd, arg);
	} while (ret < 0 && (errno == EINTR || errno == EAGAIN));
	return ret < 0 ? -errno : 0;
}

static off_t memfd_size(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? -errno : st.st_size;
}

/* Moves no file's position: a dma-buf has none. */
static off_t dma_buf_size(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);

	return size < 0 ? -errno : size;
}

/* Takes over @fd on success. */
static int adopt(int fd, struct ion_buffer **buffer)
{
	struct ion_buffer *new;
	bool dma_buf;
	off_t size;
	int ret;

	ret = ion_dma_buf_check(fd);
	dma_buf = !ret;
	if (!dma_buf)
		ret = ion_memfd_backend.check(fd);
	if (ret)
		return ret;
	size = dma_buf ? dma_buf_size(fd) : memfd_size(fd);
	if (size <= 0)
		return size ? size : -EINVAL;
	if ((uintmax_t)size > SIZE_MAX)
		return -EOVERFLOW;
	new = calloc(1, sizeof(*new));
	if (!new)
		return -ENOMEM;
	if (!dma_buf)
		ion_expect_memfd();
	new->fd = fd;
	new->dma_buf = dma_buf;
	new->size = size;
	*buffer = new;
	return 0;
}

static int adopt_or_close(int fd, struct ion_buffer **buffer)
{
	int ret = adopt(fd, buffer);

	if (ret)
		close(fd);
	return ret;
}

static int find_heap(int client, const char *name, unsigned int *mask)
{
	struct ion_heap_data heaps[ION_NUM_HEAP_IDS] = { 0 };
	int ret;

	*mask = ION_HEAP_SYSTEM_MASK;
	if (!name || !strcmp(name, "system"))
		return 0;
	ret = ion_query_get_heaps(client, ION_NUM_HEAP_IDS, heaps);
	if (ret)
		return ret;
	for (int i = 0; i < ION_NUM_HEAP_IDS && *heaps[i].name; i++) {
		if (strncmp(heaps[i].name, name, sizeof(heaps[i].name)))
			continue;
		*mask = 1U << heaps[i].heap_id;
		return 0;
	}
	return -ENODEV;
}

int ion_buffer_create(size_t size, const char *heap, unsigned int flags,
		      struct ion_buffer **buffer)
{
	unsigned int mask;
	int client, fd, ret;

	if (!buffer || !ion_page_up(size))
		return -EINVAL;
	do {
		client = get_client();
		if (client < 0)
			return client;
		ret = find_heap(client, heap, &mask);
		if (!ret)
			ret = ion_alloc_fd(client, size, 0, mask, flags, &fd);
	} while (ret && lost_client(client, ret));
	return ret ? ret : adopt_or_close(fd, buffer);
}

int ion_buffer_import(int fd, struct ion_buffer **buffer)
{
	int copy;

	if (!buffer)
		return -EINVAL;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return copy < 0 ? -errno : adopt_or_close(copy, buffer);
}

void ion_buffer_close(struct ion_buffer *buffer)
{
	if (!buffer)
		return;
	if (buffer->addr)
		munmap(buffer->addr, buffer->size);
	close(buffer->fd);
	free(buffer);
}

int ion_buffer_fd(const struct ion_buffer *buffer)
{
	return buffer->fd;
}

size_t ion_buffer_size(const struct ion_buffer *buffer)
{
	return buffer->size;
}

int ion_buffer_map(struct ion_buffer *buffer, int prot, void **addr)
{
	int wanted = buffer->prot | prot, ret = 0;

	if (!addr || !prot || prot & ~(PROT_READ | PROT_WRITE))
		return -EINVAL;
	if (!buffer->addr)
		ret = ion_map_fd(buffer->fd, buffer->size, wanted, MAP_SHARED,
				 0, &buffer->addr);
	else if (wanted != buffer->prot &&
		 mprotect(buffer->addr, buffer->size, wanted))
		ret = -errno;
	if (ret)
		return ret;
	buffer->prot = wanted;
	*addr = buffer->addr;
	return 0;
}

static int sync_whole(struct ion_buffer *buffer, unsigned int flags)
{
	struct dma_buf_sync sync = { .flags = flags };

	return request(buffer, DMA_BUF_IOCTL_SYNC, &sync);
}

static int sync_part(struct ion_buffer *buffer, size_t offset, size_t len,
		     unsigned int flags)
{
	int client, ret;

	do {
		client = get_client();
		/* Only ION in the kernel knows parts. */
		if (client < 0 || ion_client_backend(client))
			return sync_whole(buffer, flags);
		ret = ion_sync_range(client, buffer->fd, offset, len, flags);
	} while (ret == -EINTR || ret == -EAGAIN ||
		 (ret && lost_client(client, ret)));
	/* An ION of others has no such request, and has none for the end. */
	return ret == -ENOTTY ? sync_whole(buffer, flags) : ret;
}

static int cpu_access(struct ion_buffer *buffer, unsigned int bound,
		      enum ion_access access, size_t offset, size_t len)
{
	if (!is_access(access) || offset >= buffer->size ||
	    len > buffer->size - offset)
		return -EINVAL;
	if (!len)
		len = buffer->size - offset;
	if (!buffer->dma_buf) {
		atomic_thread_fence(memory_order_seq_cst);
		return 0;
	}
	if (len == buffer->size)
		return sync_whole(buffer, bound | access);
	return sync_part(buffer, offset, len, bound | access);
}

int ion_buffer_begin(struct ion_buffer *buffer, enum ion_access access,
		     size_t offset, size_t len)
{
	return cpu_access(buffer, DMA_BUF_SYNC_START, access, offset, len);
}

int ion_buffer_end(struct ion_buffer *buffer, enum ion_access access,
		   size_t offset, size_t len)
{
	return cpu_access(buffer, DMA_BUF_SYNC_END, access, offset, len);
}

int ion_buffer_send(const struct ion_buffer *buffer, int socket)
{
	char byte = 0;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { .space = { 0 } };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	ssize_t ret;

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &buffer->fd, sizeof(int));
	do {
		ret = sendmsg(socket, &msg, MSG_NOSIGNAL);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : 0;
}

/* All descriptors that came, the last of which is kept. */
static int take_descriptors(struct msghdr *msg, int *fd)
{
	int count = 0;

	*fd = -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		int one;

		if (c->cmsg_level != SOL_SOCKET || (c->cmsg_type != SCM_RIGHTS &&
						    c->cmsg_type != SCM_PIDFD))
			continue;
		for (size_t i = 0; i < n; i++) {
			memcpy(&one, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (c->cmsg_type == SCM_PIDFD) {
				if (one >= 0)
					close(one);
				continue;
			}
			if (*fd >= 0)
				close(*fd);
			*fd = one;
			count++;
		}
	}
	return count;
}

/* The other side is gone; or else it sent an empty message. */
static int nothing_came(int socket)
{
	struct pollfd pfd = { .fd = socket, .events = POLLRDHUP };

	return poll(&pfd, 1, 0) == 1 ? -ENODATA : -EPROTO;
}

int ion_buffer_receive(int socket, struct ion_buffer **buffer)
{
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	/*
	 * Room for one too many, and for what the kernel puts before them on a
	 * socket that was told to: who sent it, a security label, a pidfd.
	 */
	union {
		char space[CMSG_SPACE(2 * sizeof(int)) +
			   CMSG_SPACE(sizeof(struct ucred)) +
			   CMSG_SPACE(sizeof(int)) + CMSG_SPACE(256)];
		struct cmsghdr align;
	} control;
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	ssize_t len;
	int fd, count;

	if (!buffer)
		return -EINVAL;
	do {
		len = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
	} while (len < 0 && errno == EINTR);
	if (len < 0)
		return -errno;
	count = take_descriptors(&msg, &fd);
	if (count == 1 && len == 1 && !(msg.msg_flags & (MSG_CTRUNC | MSG_TRUNC)))
		return adopt_or_close(fd, buffer);
	if (fd >= 0)
		close(fd);
	if (!count && !len && !(msg.msg_flags & MSG_CTRUNC))
		return nothing_came(socket);
	return count < 2 && msg.msg_flags & MSG_CTRUNC ? -EMFILE : -EPROTO;
}

int ion_buffer_set_name(struct ion_buffer *buffer, const char *name)
{
	if (!name)
		return -EINVAL;
	return request(buffer, DMA_BUF_SET_NAME, (void *)name);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

int ion_buffer_wait(struct ion_buffer *buffer, enum ion_access access,
		    int timeout)
{
	struct pollfd pfd = {
		.fd = buffer->fd,
		.events = access == ION_READ ? POLLIN : POLLOUT,
	};
	int64_t end, left = timeout;
	int ret;

	if (!is_access(access) || timeout < -1)
		return -EINVAL;
	if (!buffer->dma_buf)
		return -EOPNOTSUPP;
	end = timeout > 0 ? now_ms() + timeout : 0;
	while ((ret = poll(&pfd, 1, left)) < 0 && errno == EINTR) {
		if (timeout <= 0)
			continue;
		left = end - now_ms();
		if (left < 0)
			left = 0;
	}
	if (ret < 0)
		return -errno;
	if (!ret)
		return -ETIMEDOUT;
	return pfd.revents & pfd.events ? 0 : -EBADF;
}

/* A kernel that does not know the request says so in another word. */
static int fence_request(struct ion_buffer *buffer, unsigned long cmd, void *arg)
{
	int ret = request(buffer, cmd, arg);

	return ret == -ENOTTY ? -EOPNOTSUPP : ret;
}

int ion_buffer_export_fence(struct ion_buffer *buffer, enum ion_access access,
			    int *fence)
{
	struct dma_buf_export_sync_file data = { .flags = access, .fd = -1 };
	int ret;

	if (!fence || !is_access(access))
		return -EINVAL;
	ret = fence_request(buffer, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &data);
	if (!ret)
		*fence = data.fd;
	return ret;
}

int ion_buffer_import_fence(struct ion_buffer *buffer, enum ion_access access,
			    int fence)
{
	struct dma_buf_import_sync_file data = { .flags = access, .fd = fence };

	if (!is_access(access))
		return -EINVAL;
	return fence_request(buffer, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &data);
}
