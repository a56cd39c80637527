/* SPDX-License-Identifier: MIT */
/*
 * Buffers that processes and drivers share, the short way: a dozen calls, and no
 * heap masks, handles or ioctls. <ion/ion.h> has what lies below.
 *
 * Every function that returns int returns 0 on success and a negative errno on
 * failure, and sets no out parameter on failure. A null out parameter is
 * -EINVAL, and so is an access that is not one of enum ion_access. Nothing is
 * left behind by a call that failed: no descriptor, no mapping, no memory.
 *
 * Threads may use one struct ion_buffer at the same time, but for
 * ion_buffer_map(), beside which no other thread may map it, and
 * ion_buffer_close(), beside which no other thread may use it. A child has what
 * its parent had before fork(2), mapping and all; both close theirs.
 *
 * Most buffers are dma-bufs. Where ion_open() finds nothing better than a memfd
 * they are those, which no driver takes: what is said of memfds below is about
 * them.
 */
#ifndef ION_BUFFER_H
#define ION_BUFFER_H

#include <stddef.h>

#include <linux/ion.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ion_buffer;

/**
 * enum ion_access - what is done with a buffer's memory
 * @ION_READ: it is read
 * @ION_WRITE: all of the part is written; where some of it may stay as it was,
 *	that is ION_RW
 * @ION_RW: both
 */
enum ion_access {
	ION_READ = 1,
	ION_WRITE = 2,
	ION_RW = 3,
};

/**
 * ion_buffer_create() - allocate a buffer
 * @size: bytes, rounded up to a page; the memory is zero
 * @heap: name of a heap as ion_query_get_heaps() tells it; NULL or "system":
 *	the system heap, which is there unless ION_BACKEND names a backend
 *	without one
 * @flags: ION_FLAG_*
 * @buffer: returns the buffer; ion_buffer_close() it
 *
 * The first call opens a client, as ion_open() does, for the process and its
 * children; it stays, close-on-exec, and is opened again if somebody closes it.
 *
 * Return: 0. -EINVAL: @size is 0 or overflows; -ENODEV: there is no such heap;
 * -ENOMEM: no room, or a limit, see ion_alloc(); -EMFILE, -ENFILE; or what
 * ion_open() says.
 */
int ion_buffer_create(size_t size, const char *heap, unsigned int flags,
		      struct ion_buffer **buffer);

/**
 * ion_buffer_import() - use a buffer of which there is a descriptor
 * @fd: a dma-buf of any driver, or the memfd of a buffer of libion's; it is
 *	duplicated, and stays the caller's
 * @buffer: returns the buffer; ion_buffer_close() it
 *
 * Return: 0. -EBADF: @fd is not open, or only as a path; -EINVAL: it is no
 * buffer; -EOVERFLOW: too large for this process; -EMFILE; -ENOMEM.
 */
int ion_buffer_import(int fd, struct ion_buffer **buffer);

/**
 * ion_buffer_close() - unmap a buffer and let go of it
 * @buffer: not valid afterwards; may be NULL
 *
 * The memory goes when nobody holds the buffer any more, in whichever process
 * or driver.
 */
void ion_buffer_close(struct ion_buffer *buffer);

/**
 * ion_buffer_fd() - the descriptor of a buffer
 * @buffer: a buffer
 *
 * For drivers, and for poll(2) among other descriptors: see ion_buffer_wait().
 *
 * Return: the descriptor, which is valid until ion_buffer_close() closes it.
 */
int ion_buffer_fd(const struct ion_buffer *buffer);

/**
 * ion_buffer_size() - the size of a buffer
 * @buffer: a buffer
 *
 * Return: bytes; pages whole.
 */
size_t ion_buffer_size(const struct ion_buffer *buffer);

/**
 * ion_buffer_map() - map a buffer, all of it
 * @buffer: a buffer
 * @prot: PROT_READ, PROT_WRITE or both
 * @addr: returns the address, valid until ion_buffer_close(), and one at which
 *	the kernel can map 2 MiB at a time, see ion_map_fd()
 *
 * There is one mapping. A second call gives the same address, and adds what it
 * asks for and the first did not.
 *
 * Return: 0. -EINVAL: @prot is something else; -EACCES: its descriptor is not
 * open for that; -ENOMEM: no room; or what mmap(2) says.
 */
int ion_buffer_map(struct ion_buffer *buffer, int prot, void **addr);

/**
 * ion_buffer_begin() - begin CPU access to a buffer
 * @buffer: a buffer
 * @access: what the CPU will do
 * @offset: where, in bytes
 * @len: how long that part is, in bytes; 0: to the end
 *
 * Waits for those who work on the buffer (ION_READ: who write it, else all) and
 * shows the CPU what they did. A part costs what the part costs where there is
 * /dev/ion; elsewhere it is as the whole. Signals do not end the wait. For a
 * memfd it is a memory barrier.
 *
 * Return: 0. -EINVAL: the part is empty or not in the buffer; what the exporter
 * says.
 */
int ion_buffer_begin(struct ion_buffer *buffer, enum ion_access access,
		     size_t offset, size_t len);

/**
 * ion_buffer_end() - end what ion_buffer_begin() began
 * @buffer: a buffer
 * @access: as it was begun
 * @offset: as it was begun
 * @len: as it was begun
 *
 * Shows devices what the CPU wrote.
 *
 * Return: as ion_buffer_begin().
 */
int ion_buffer_end(struct ion_buffer *buffer, enum ion_access access,
		   size_t offset, size_t len);

/**
 * ion_buffer_send() - send a buffer to another process
 * @buffer: a buffer
 * @socket: a Unix socket, connected, of any type
 *
 * It is a message of one byte with the descriptor; any program can take it with
 * recvmsg(2).
 *
 * Return: 0. -EAGAIN: the socket does not block, and is full; -EPIPE: nobody is
 * there to receive it (there is no SIGPIPE); -ENOTSOCK, -ENOTCONN,
 * -ECONNREFUSED, -ETOOMANYREFS and others: see sendmsg(2).
 */
int ion_buffer_send(const struct ion_buffer *buffer, int socket);

/**
 * ion_buffer_receive() - receive a buffer that another process sent
 * @socket: a Unix socket of any type
 * @buffer: returns the buffer; ion_buffer_close() it
 *
 * Takes one byte of a stream, or one message, with one descriptor, of whichever
 * program. A message that is refused is gone.
 *
 * Return: 0. -ENODATA: the other side has closed or shut down its socket;
 * -EAGAIN: the socket does not block, and there is nothing; -EPROTO: other than
 * one byte and one descriptor came; -EINVAL: a descriptor that is no buffer;
 * -EMFILE: no descriptor is free; -EOVERFLOW; -ENOMEM; -ENOTSOCK and others: see
 * recvmsg(2).
 */
int ion_buffer_receive(int socket, struct ion_buffer **buffer);

/**
 * ion_buffer_set_name() - name a buffer
 * @buffer: a buffer
 * @name: at most 31 bytes, shown in /proc/PID/maps, fdinfo and debugfs
 *
 * Return: 0. -EINVAL: @name is longer, or NULL; -EOPNOTSUPP: a memfd.
 */
int ion_buffer_set_name(struct ion_buffer *buffer, const char *name);

/**
 * ion_buffer_wait() - wait until others are done with a buffer
 * @buffer: a buffer
 * @access: ION_READ: until nobody writes it any more; else: nor reads
 * @timeout: milliseconds; 0: just ask; -1: forever
 *
 * Signals do not end the wait, nor make it longer. poll(2) on ion_buffer_fd()
 * is the same for programs that wait for several things: POLLIN when the buffer
 * may be read, POLLOUT when it may be written. A memfd is always ready for both.
 *
 * Return: 0. -ETIMEDOUT: it is in use still; -EINVAL: @timeout is below -1;
 * -EOPNOTSUPP: a memfd.
 */
int ion_buffer_wait(struct ion_buffer *buffer, enum ion_access access,
		    int timeout);

/**
 * ion_buffer_export_fence() - get a descriptor to wait for what goes on now
 * @buffer: a buffer
 * @access: as for ion_buffer_wait()
 * @fence: returns a sync_file, close-on-exec, which poll(2) says is readable
 *	when all that works on the buffer now is done; close(2) it
 *
 * Return: 0. -EMFILE; -ENOMEM; -EOPNOTSUPP: a memfd, or the kernel has no
 * sync_files or is older than 6.0.
 */
int ion_buffer_export_fence(struct ion_buffer *buffer, enum ion_access access,
			    int *fence);

/**
 * ion_buffer_import_fence() - let others wait for work of which there is a fence
 * @buffer: a buffer
 * @access: what that work does with the buffer
 * @fence: a sync_file; stays the caller's
 *
 * Return: 0. -EINVAL: @fence is no sync_file, or not open; -ENOMEM;
 * -EOPNOTSUPP: as for ion_buffer_export_fence().
 */
int ion_buffer_import_fence(struct ion_buffer *buffer, enum ion_access access,
			    int fence);

#ifdef __cplusplus
}
#endif

#endif
