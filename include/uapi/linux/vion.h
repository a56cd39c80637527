/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * /dev/vion_dev: a driver that a dma-buf is shared with.
 *
 * Register a dma-buf descriptor with the open file; from then on read, write,
 * pread, pwrite, lseek, readv and writev work on the buffer's memory, through
 * the driver's own kernel mapping. They are bounded by the buffer's size, short
 * at its end, and at the end read gives 0 and write ENOSPC. Without a buffer
 * they are ENXIO, and writing to one that was exported for reading only is
 * EACCES. They wait for the buffer's fences, those of the driver's own jobs
 * among them: a read for who writes, a write for all; a signal ends that, and
 * with O_NONBLOCK it is EAGAIN instead.
 *
 * One open at a time: a second one is EBUSY, unless vion.ko was loaded with
 * exclusive=0. Then each has a registration and jobs of its own.
 */
#ifndef _UAPI_LINUX_VION_H
#define _UAPI_LINUX_VION_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define VION_IOC_MAGIC		'v'

/*
 * Share a buffer with the driver. The argument points to a dma-buf descriptor,
 * which may be closed afterwards: the driver keeps the buffer until it is
 * unregistered, replaced by another or the file is closed. What jobs that have
 * ended still had of buffers is given back when the request returns; a poll()
 * that saw the end may have the buffer a moment longer.
 *
 * EBADF: no open descriptor. EINVAL: not a dma-buf, or its exporter cannot map
 * it into the kernel. EFAULT: a bad pointer. EOPNOTSUPP: the buffer is I/O
 * memory. EINTR: the process is being killed. ENOMEM. What was registered before
 * stays if it fails.
 */
#define VION_REGISTER_ION	_IOW(VION_IOC_MAGIC, 0xd0, int)

/*
 * Take the buffer back. The argument points to a descriptor of it. Jobs that have
 * not ended keep it until then; what those that have ended still had is given
 * back when the request returns, as with VION_REGISTER_ION.
 *
 * EBADF: no open descriptor. EINVAL: not a dma-buf, or not the one that is
 * registered. ENXIO: no buffer is registered. EFAULT: a bad pointer. EINTR: the
 * process is being killed.
 */
#define VION_UNREGISTER_ION	_IOW(VION_IOC_MAGIC, 0xd1, int)

/*
 * Jobs: work of the kernel's on the registered buffer.
 *
 * VION_SUBMIT checks the job, gives the buffer a fence for it and returns; the
 * kernel does it when the fences that the buffer had by then have signalled,
 * however they ended. Jobs of one open file are done one after another, in the
 * order in which they were submitted; those of other files, and other drivers,
 * are kept in order by the fences. A job that changes the buffer is a writer:
 * it waits for all, and all wait for it. One that does not is a reader: it
 * waits for writers, and only writers wait for it. When the fence signals, the
 * memory is finished for whoever looks at it: the CPU, and devices.
 *
 * The end is seen by poll() on a descriptor of the buffer (POLLIN: no writer is
 * left, POLLOUT: nobody is), by DMA_BUF_IOCTL_SYNC, which waits, by the
 * sync_file that a job may return, by VION_RESULT, and by other drivers that
 * have the buffer without a word from user space.
 *
 * A job keeps its buffers: unregistering or replacing the one, or closing all
 * descriptors, does not disturb it. When the file is closed, its jobs that have
 * not ended are cancelled: their fences signal with ECANCELED, as a sync_file
 * tells. Of the one that had begun it is not known then what it did. It does not
 * matter who submitted a job, nor whether that process lives. vion.ko stays
 * loaded while anybody keeps a fence: a sync_file, or a buffer until it goes or
 * gets others.
 *
 * A fence must not wait for exporters that have something of their own to do
 * before or after the CPU's access, which is any whose dma-bufs have a
 * begin_cpu_access or an end_cpu_access operation (udmabuf, dma-heap, some GPU
 * drivers; not ION): they may wait there for somebody who waits for the fence.
 * So a job with a buffer of theirs puts no fence into any buffer. It is done
 * within VION_SUBMIT, which first waits for the jobs before it and for the
 * fences; other requests to submit wait behind it. While it waits a signal ends
 * it, and nothing was done; once it has begun only a kill does, and then it ends
 * with ECANCELED. Its sync_file has signalled. Nobody who begins to use one of
 * its buffers meanwhile is held off.
 *
 * A job takes as long as its length, but what cancels it waits for no more than
 * a mebibyte of it, and for the end of its CPU access: that may be as long as
 * the buffer, where a device that has it mapped sees no caches or uses bounce
 * buffers, or whatever another exporter does there.
 */
enum vion_job_type {
	VION_JOB_FILL,		/* writes: the same 4 bytes all over */
	VION_JOB_STAMP,		/* writes: a line of text into a frame */
	VION_JOB_COPY,		/* from or to a second buffer, or within one */
	VION_JOB_CRC32,		/* reads: a checksum for VION_RESULT */
};

/* Return a sync_file descriptor in @fence. EOPNOTSUPP on a kernel without. */
#define VION_JOB_FENCE		1

/* Of a stamp, in bytes, the terminating 0 included. */
#define VION_TEXT_LEN		64

/* Jobs of an open file that have not ended, and results that are kept. */
#define VION_MAX_JOBS		4096

/* Offsets and lengths are in bytes. A length is not 0. */

/**
 * struct vion_fill - fill a part of the buffer
 * @offset: where it starts
 * @len: how long it is; need not be a multiple of 4
 * @pattern: repeated from @offset on, its lowest byte first
 * @pad: 0
 */
struct vion_fill {
	__u64 offset;
	__u64 len;
	__u32 pattern;
	__u32 pad;
};

/**
 * struct vion_stamp - write a line of text into a frame
 * @offset: where the frame starts
 * @width: of the frame, in pixels
 * @height: of the frame, in lines
 * @stride: from a line to the next, in bytes; of the last one only what has
 *	pixels must be in the buffer
 * @format: DRM_FORMAT_XRGB8888, its highest byte becomes 0, DRM_FORMAT_RGB888
 *	or DRM_FORMAT_RGB565
 * @x: of the text's upper left corner, in pixels
 * @y: the same, in lines
 * @foreground: colour of the letters, 0xRRGGBB
 * @background: colour around them, 0xRRGGBB
 * @text: 1 to VION_TEXT_LEN - 1 printable ASCII characters, and a 0; what is
 *	behind that does not matter
 *
 * Each character is 8 pixels wide and 16 lines high, of the kernel's console
 * font VGA8x16. All of them must be in the frame.
 */
struct vion_stamp {
	__u64 offset;
	__u32 width;
	__u32 height;
	__u32 stride;
	__u32 format;
	__u32 x;
	__u32 y;
	__u32 foreground;
	__u32 background;
	char text[VION_TEXT_LEN];
};

/**
 * struct vion_copy - copy between two buffers, or within one
 * @fd: a dma-buf descriptor of the other, which may be closed afterwards; it
 *	may be the same buffer, or another one of the same memory, if the two
 *	parts do not overlap; that is seen by where they are mapped, and if two
 *	exporters map one memory at two places, it is not known what is copied
 * @to_fd: 1: from the registered buffer to @fd; 0: from @fd to the registered
 * @offset: in the registered buffer
 * @fd_offset: in @fd's buffer
 * @len: how much
 */
struct vion_copy {
	__s32 fd;
	__u32 to_fd;
	__u64 offset;
	__u64 fd_offset;
	__u64 len;
};

/**
 * struct vion_crc32 - checksum of a part of the buffer
 * @offset: where it starts
 * @len: how long it is
 *
 * The result is what zlib's crc32() gives.
 */
struct vion_crc32 {
	__u64 offset;
	__u64 len;
};

/**
 * struct vion_job - a job
 * @type: VION_JOB_FILL, STAMP, COPY or CRC32
 * @flags: 0 or VION_JOB_FENCE
 * @fence: returns a sync_file descriptor, close-on-exec, or -1; neither what it
 *	was nor what @id was matters
 * @reserved: 0
 * @id: returns what VION_RESULT knows it by: 1, 2, 3, ... of the open file
 * @fill: of a VION_JOB_FILL
 * @stamp: of a VION_JOB_STAMP
 * @copy: of a VION_JOB_COPY
 * @crc32: of a VION_JOB_CRC32
 * @space: what the type does not use of it is 0
 */
struct vion_job {
	__u32 type;
	__u32 flags;
	__s32 fence;
	__u32 reserved;
	__u64 id;
	union {
		struct vion_fill fill;
		struct vion_stamp stamp;
		struct vion_copy copy;
		struct vion_crc32 crc32;
		__u64 space[16];
	};
};

/**
 * struct vion_result - how a job ended
 * @id: which
 * @status: returns 0, or the negative errno with which it ended; then it is not
 *	known what it did
 * @crc32: returns the checksum of a VION_JOB_CRC32, otherwise 0
 */
struct vion_result {
	__u64 id;
	__s32 status;
	__u32 crc32;
};

/*
 * Submit a job. If it fails there is no job, and @id and @fence mean nothing.
 *
 * ENXIO: no buffer is registered. EINVAL: an unknown type, flag or format, a
 * part or a frame that is not in its buffer, a text that is empty, not
 * terminated, not printable or not in the frame, a colour over 0xffffff, parts
 * that overlap, @fd is no dma-buf or its exporter cannot map it into the
 * kernel, something that has to be 0 is not. EBADF: @fd is no open descriptor.
 * EACCES: the buffer to be written was exported for reading only. EOPNOTSUPP:
 * @fd's buffer is I/O memory; or the kernel has no sync_files, or no such font.
 * EBUSY: VION_MAX_JOBS have not ended, or of twice as many what they had is not
 * yet given back. EMFILE: no descriptor is left for the
 * sync_file. EINTR: a signal came, and nothing was done. EFAULT: a bad pointer.
 * ENOMEM.
 */
#define VION_SUBMIT		_IOWR(VION_IOC_MAGIC, 0xd2, struct vion_job)

/*
 * Ask how a job ended. Does not wait; may be asked again.
 *
 * EAGAIN: it has not ended. ENOENT: the open file has no such job, or had it
 * VION_MAX_JOBS jobs ago. EFAULT: a bad pointer.
 */
#define VION_RESULT		_IOWR(VION_IOC_MAGIC, 0xd3, struct vion_result)

#endif
