// SPDX-License-Identifier: MIT
/*
 * A program of the handle ABI, with handles that are pointers, which knows only
 * libion: it allocates a buffer, hands it to another process through a socket,
 * and reads what that wrote. It tells what the library made it of.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/ion.h>
#include <ion/ion.h>
#include <linux/dma-buf.h>

#define SIZE 8192

static const char line[] = "written by another process";

union control {
	char space[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

static int fail(const char *what, int ret)
{
	fprintf(stderr, "%s: %s\n", what, strerror(-ret));
	return 1;
}

static int hand_over(int sock, int fd)
{
	union control control = { .space = { 0 } };
	struct iovec iov = { .iov_base = "", .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return sendmsg(sock, &msg, 0) == 1 ? 0 : -errno;
}

static int take(int sock)
{
	union control control;
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	int fd;

	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) != 1 || !CMSG_FIRSTHDR(&msg))
		return -EPROTO;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

/* The other process: it has nothing but what comes through the socket. */
static int other_process(int sock)
{
	struct ion_handle *handle;
	int fd = take(sock), ion = ion_open(), map_fd, ret;
	unsigned char *addr;

	if (fd < 0 || ion < 0)
		return fail("the other's buffer", fd < 0 ? fd : ion);
	ret = ion_import(ion, fd, &handle);
	if (ret)
		return fail("ion_import", ret);
	ret = ion_map(ion, handle, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, 0,
		      &addr, &map_fd);
	if (ret)
		return fail("ion_map", ret);
	ret = ion_sync_range(ion, fd, 0, SIZE,
			     DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW);
	if (ret)
		return fail("begin", ret);
	memcpy(addr + 4096, line, sizeof(line));
	ret = ion_sync_range(ion, fd, 0, SIZE,
			     DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW);
	return ret ? fail("end", ret) : 0;
}

static int in_another_process(int fd)
{
	int socks[2], status, ret;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, socks))
		return fail("socketpair", -errno);
	ret = hand_over(socks[0], fd);
	if (ret)
		return fail("sendmsg", ret);
	pid = fork();
	if (pid < 0)
		return fail("fork", -errno);
	if (!pid)
		_exit(other_process(socks[1]));
	return waitpid(pid, &status, 0) != pid || status;
}

int main(void)
{
	struct dma_buf_sync sync = { DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW };
	struct ion_handle *handle;
	int ion = ion_open(), fd, map_fd, ret;
	unsigned char *addr;

	if (ion < 0)
		return fail("ion_open", ion);
	ret = ion_alloc(ion, SIZE, 0, ION_HEAP_SYSTEM_MASK, ION_FLAG_CACHED,
			&handle);
	if (ret)
		return fail("ion_alloc", ret);
	ret = ion_share(ion, handle, &fd);
	if (ret)
		return fail("ion_share", ret);
	ret = ion_map(ion, handle, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, 0,
		      &addr, &map_fd);
	if (ret)
		return fail("ion_map", ret);
	if (in_another_process(fd))
		return 1;
	ret = ion_sync_fd(ion, fd);
	if (ret)
		return fail("ion_sync_fd", ret);
	if (strcmp((char *)addr + 4096, line))
		return fail("what the other process wrote", -EBADMSG);
	ret = ion_free(ion, handle);
	if (ret)
		return fail("ion_free", ret);
	printf("%s, %s dma-buf\n", ion_backend(ion),
	       ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync) ? "no" : "a");
	return ion_close(ion) ? 1 : 0;
}
