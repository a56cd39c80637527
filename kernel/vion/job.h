/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _VION_JOB_H
#define _VION_JOB_H

#include <linux/types.h>

#include <uapi/linux/vion.h>

struct ion_client;
struct vion_buffer;

/**
 * struct job_access - what a job does with a buffer
 * @buffer: the buffer, of which the job has a reference
 * @write: it changes it
 */
struct job_access {
	struct vion_buffer *buffer;
	bool write;
};

/**
 * struct job - a job that has been checked
 * @args: as it was submitted
 * @closing: becomes true when its file is closed, which ends it
 * @access: the registered buffer first, and then another dma-buf, though another
 *	driver may have made two of the same memory
 * @count: how many
 * @font: glyphs of a stamp
 * @crc32: result of a checksum
 */
struct job {
	struct vion_job args;
	const bool *closing;
	struct job_access access[2];
	unsigned int count;
	const u8 *font;
	u32 crc32;
};

int vion_job_init(struct job *job, struct vion_buffer *buffer,
		  struct ion_client *client);
void vion_job_fini(struct job *job);
bool vion_job_is_fenceable(struct job *job);
int vion_job_begin(struct job *job);
int vion_job_finish(struct job *job);

#endif
