// SPDX-License-Identifier: GPL-2.0-only
/* What a job is: everything that is checked of it, and what it does. */

#include <linux/crc32.h>
#include <linux/dma-buf.h>
#include <linux/err.h>
#include <linux/font.h>
#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include <uapi/drm/drm_fourcc.h>

#include "../compat.h"
#include "buffer.h"
#include "job.h"

#define GLYPH_WIDTH	8
#define GLYPH_HEIGHT	16

/* How much is done before others get to run, or end it. A multiple of 4. */
#define PIECE		SZ_1M

static unsigned int bytes_of_pixel(u32 format)
{
	switch (format) {
	case DRM_FORMAT_XRGB8888:
		return 4;
	case DRM_FORMAT_RGB888:
		return 3;
	case DRM_FORMAT_RGB565:
		return 2;
	default:
		return 0;
	}
}

/* The registered buffer is the first. */
static bool is_writer(const struct vion_job *args)
{
	switch (args->type) {
	case VION_JOB_FILL:
	case VION_JOB_STAMP:
		return true;
	case VION_JOB_COPY:
		return !args->copy.to_fd;
	default:
		return false;
	}
}

static int check_part(struct vion_buffer *buffer, u64 offset, u64 len)
{
	size_t size = buffer->dmabuf->size;

	if (!len || offset > size || len > size - offset)
		return -EINVAL;
	return 0;
}

static int check_text(const struct vion_stamp *stamp)
{
	size_t len = strnlen(stamp->text, VION_TEXT_LEN), i;

	if (!len || len == VION_TEXT_LEN)
		return -EINVAL;
	for (i = 0; i < len; i++)
		if (stamp->text[i] < ' ' || stamp->text[i] > '~')
			return -EINVAL;

	if (stamp->x > stamp->width || stamp->y > stamp->height ||
	    len * GLYPH_WIDTH > stamp->width - stamp->x ||
	    stamp->height - stamp->y < GLYPH_HEIGHT)
		return -EINVAL;
	return 0;
}

static int check_stamp(struct vion_buffer *buffer,
		       const struct vion_stamp *stamp)
{
	u64 line = (u64)stamp->width * bytes_of_pixel(stamp->format);
	int ret;

	/* A line that fits its stride leaves room for the sum below. */
	if (!line || line > stamp->stride || stamp->foreground > 0xffffff ||
	    stamp->background > 0xffffff)
		return -EINVAL;
	ret = check_text(stamp);
	if (ret)
		return ret;
	return check_part(buffer, stamp->offset,
			  (u64)stamp->stride * (stamp->height - 1) + line);
}

static void *address(const struct job *job, unsigned int i, u64 offset)
{
	return job->access[i].buffer->vaddr + offset;
}

/* Another exporter may have made two buffers of one memory, at one address. */
static bool overlap(const struct job *job)
{
	const struct vion_copy *copy = &job->args.copy;
	void *a = address(job, 0, copy->offset);
	void *b = address(job, job->count - 1, copy->fd_offset);

	return a < b ? b - a < copy->len : a - b < copy->len;
}

static int check_copy(struct job *job)
{
	const struct vion_copy *copy = &job->args.copy;
	int ret;

	ret = check_part(job->access[0].buffer, copy->offset, copy->len) ?:
	      check_part(job->access[job->count - 1].buffer, copy->fd_offset,
			 copy->len);
	if (!ret && overlap(job))
		ret = -EINVAL;
	return ret;
}

static int check_parts(struct job *job)
{
	const struct vion_job *args = &job->args;
	struct vion_buffer *buffer = job->access[0].buffer;

	switch (args->type) {
	case VION_JOB_FILL:
		return check_part(buffer, args->fill.offset, args->fill.len);
	case VION_JOB_STAMP:
		return check_stamp(buffer, &args->stamp);
	case VION_JOB_COPY:
		return check_copy(job);
	default:
		return check_part(buffer, args->crc32.offset, args->crc32.len);
	}
}

/* What can be said without the buffers. */
static int check_args(const struct vion_job *args)
{
	size_t used;

	switch (args->type) {
	case VION_JOB_FILL:
		used = sizeof(args->fill);
		if (args->fill.pad)
			return -EINVAL;
		break;
	case VION_JOB_STAMP:
		used = sizeof(args->stamp);
		break;
	case VION_JOB_COPY:
		used = sizeof(args->copy);
		if (args->copy.to_fd > 1)
			return -EINVAL;
		break;
	case VION_JOB_CRC32:
		used = sizeof(args->crc32);
		break;
	default:
		return -EINVAL;
	}
	if (args->flags & ~VION_JOB_FENCE || args->reserved ||
	    memchr_inv((u8 *)args->space + used, 0,
		       sizeof(args->space) - used))
		return -EINVAL;
	if (args->flags & VION_JOB_FENCE && !IS_ENABLED(CONFIG_SYNC_FILE))
		return -EOPNOTSUPP;
	return 0;
}

static int get_font(struct job *job)
{
	const struct font_desc *font = NULL;

	if (IS_REACHABLE(CONFIG_FONT_SUPPORT))
		font = find_font("VGA8x16");
	if (!font)
		return -EOPNOTSUPP;
	job->font = font->data;
	return 0;
}

/* The same buffer again is no second one. */
static int get_other(struct job *job, struct ion_client *client)
{
	struct vion_buffer *buffer = job->access[0].buffer, *other;

	other = vion_buffer_import(client, job->args.copy.fd);
	if (IS_ERR(other))
		return PTR_ERR(other);
	if (other->dmabuf == buffer->dmabuf) {
		vion_buffer_put(other);
		job->access[0].write = true;
		return 0;
	}
	job->access[1].buffer = other;
	job->access[1].write = !job->access[0].write;
	job->count = 2;
	return 0;
}

static int check_access(struct job *job)
{
	unsigned int i;

	for (i = 0; i < job->count; i++)
		if (job->access[i].write &&
		    !vion_buffer_writable(job->access[i].buffer))
			return -EACCES;
	return 0;
}

/**
 * vion_job_init() - check a job, and get all that it needs
 * @job: the job, of which only @args and @closing are there
 * @buffer: the registered buffer, with a reference that is the job's now,
 *	whatever comes of it
 * @client: the open file's
 *
 * Context: process context, may sleep. Takes reservation locks.
 * Return: 0, then vion_job_fini() is to be called in the end; or an error of
 * VION_SUBMIT.
 */
int vion_job_init(struct job *job, struct vion_buffer *buffer,
		  struct ion_client *client)
{
	int ret;

	job->access[0].buffer = buffer;
	job->access[0].write = is_writer(&job->args);
	job->count = 1;

	ret = check_args(&job->args);
	if (ret)
		goto err_fini;
	if (job->args.type == VION_JOB_COPY)
		ret = get_other(job, client);
	else if (job->args.type == VION_JOB_STAMP)
		ret = get_font(job);
	if (ret)
		goto err_fini;
	ret = check_parts(job) ?: check_access(job);
	if (ret)
		goto err_fini;
	return 0;

err_fini:
	vion_job_fini(job);
	return ret;
}

/**
 * vion_job_fini() - give back what a job had
 * @job: a job that is not done any more
 *
 * Context: may sleep. Takes reservation locks.
 */
void vion_job_fini(struct job *job)
{
	while (job->count)
		vion_buffer_put(job->access[--job->count].buffer);
}

/**
 * vion_job_is_fenceable() - may a fence wait for this job?
 * @job: the job
 *
 * Return: whether what does it takes only locks that may be waited for before a
 * fence is signalled.
 */
bool vion_job_is_fenceable(struct job *job)
{
	unsigned int i;

	for (i = 0; i < job->count; i++)
		if (!vion_buffer_is_fenceable(job->access[i].buffer))
			return false;
	return true;
}

/* Words are stored at addresses of words: there, another byte is the first. */
static void store(u8 *p, u32 pattern, size_t len)
{
	for (; len && !IS_ALIGNED((unsigned long)p, sizeof(u32)); len--) {
		*p++ = pattern;
		pattern = ror32(pattern, 8);
	}
	memset32((u32 *)p, (__force u32)cpu_to_le32(pattern),
		 len / sizeof(u32));
	p += round_down(len, sizeof(u32));
	for (len %= sizeof(u32); len; len--) {
		*p++ = pattern;
		pattern = ror32(pattern, 8);
	}
}

static void fill_piece(struct job *job, size_t at, size_t len)
{
	const struct vion_fill *fill = &job->args.fill;

	store(address(job, 0, fill->offset) + at, fill->pattern, len);
}

static void copy_piece(struct job *job, size_t at, size_t len)
{
	const struct vion_copy *copy = &job->args.copy;
	void *ours = address(job, 0, copy->offset) + at;
	void *other = address(job, job->count - 1, copy->fd_offset) + at;

	if (copy->to_fd)
		memcpy(other, ours, len);
	else
		memcpy(ours, other, len);
}

static void sum_piece(struct job *job, size_t at, size_t len)
{
	const void *vaddr = address(job, 0, job->args.crc32.offset) + at;

	job->crc32 = ~crc32_le(~job->crc32, vaddr, len);
}

/*
 * Does nobody want the rest? A worker gets no signals, and who does a job while
 * submitting it has the file open.
 */
static bool is_stopped(const struct job *job)
{
	return READ_ONCE(*job->closing) || fatal_signal_pending(current);
}

static int do_pieces(struct job *job, size_t len,
		     void (*do_piece)(struct job *job, size_t at, size_t len))
{
	size_t done, n;

	for (done = 0; done < len; done += n) {
		cond_resched();
		if (is_stopped(job))
			return -ECANCELED;
		n = min_t(size_t, len - done, PIECE);
		do_piece(job, done, n);
	}
	return 0;
}

static u32 encode(u32 format, u32 rgb)
{
	if (format != DRM_FORMAT_RGB565)
		return rgb;
	return (rgb >> 8 & 0xf800) | (rgb >> 5 & 0x07e0) | (rgb >> 3 & 0x001f);
}

static void put_pixel(u8 *p, u32 value, unsigned int bytes)
{
	if (bytes == 4)
		put_unaligned_le32(value, p);
	else if (bytes == 3)
		put_unaligned_le24(value, p);
	else
		put_unaligned_le16(value, p);
}

/* A byte of the font is a line of a glyph, its highest bit the leftmost pixel. */
static void stamp_line(const struct job *job, u8 *p, unsigned int line)
{
	const struct vion_stamp *stamp = &job->args.stamp;
	unsigned int bytes = bytes_of_pixel(stamp->format), bit;
	u32 foreground = encode(stamp->format, stamp->foreground);
	u32 background = encode(stamp->format, stamp->background);
	const char *c;

	for (c = stamp->text; *c; c++) {
		u8 row = job->font[*c * GLYPH_HEIGHT + line];

		for (bit = BIT(GLYPH_WIDTH - 1); bit; bit >>= 1) {
			put_pixel(p, row & bit ? foreground : background,
				  bytes);
			p += bytes;
		}
	}
}

static void stamp(const struct job *job)
{
	const struct vion_stamp *stamp = &job->args.stamp;
	u8 *p = address(job, 0, stamp->offset);
	unsigned int line;

	p += (size_t)stamp->y * stamp->stride +
	     (size_t)stamp->x * bytes_of_pixel(stamp->format);
	for (line = 0; line < GLYPH_HEIGHT; line++)
		stamp_line(job, p + (size_t)line * stamp->stride, line);
}

static int change_memory(struct job *job)
{
	const struct vion_job *args = &job->args;

	switch (args->type) {
	case VION_JOB_FILL:
		return do_pieces(job, args->fill.len, fill_piece);
	case VION_JOB_COPY:
		return do_pieces(job, args->copy.len, copy_piece);
	case VION_JOB_CRC32:
		return do_pieces(job, args->crc32.len, sum_piece);
	default:
		stamp(job);
		return 0;
	}
}

/* The first error stays. */
static int end_access(struct job *job, unsigned int begun)
{
	int ret = 0, end;

	while (begun--) {
		end = vion_buffer_end(job->access[begun].buffer,
				      job->access[begun].write);
		ret = ret ?: end;
	}
	return ret;
}

/**
 * vion_job_begin() - begin to do a job
 * @job: the job; all fences that stand against it have signalled
 *
 * Context: may sleep. See vion_buffer_begin() for locks.
 * Return: 0, then vion_job_finish() is to be called; or what an exporter
 * answered, and nothing was done; 0 if the job is fenceable.
 */
int vion_job_begin(struct job *job)
{
	unsigned int i;
	int ret;

	for (i = 0; i < job->count; i++) {
		ret = vion_buffer_begin(job->access[i].buffer,
					job->access[i].write);
		if (ret) {
			end_access(job, i);
			return ret;
		}
	}
	return 0;
}

/**
 * vion_job_finish() - do a job that was begun
 * @job: the job
 *
 * Takes no memory. Between two pieces it looks whether it is to end.
 *
 * Context: may sleep. See vion_buffer_end() for locks.
 * Return: 0. -ECANCELED: the file is being closed, or the current process
 * killed, and not all of it was done; or what an exporter answered. 0 or
 * -ECANCELED if the job is fenceable.
 */
int vion_job_finish(struct job *job)
{
	int ret = change_memory(job), end = end_access(job, job->count);

	return ret ?: end;
}
