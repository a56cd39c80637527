/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _VION_QUEUE_H
#define _VION_QUEUE_H

#include <linux/compiler_types.h>

#include <uapi/linux/vion.h>

struct ion_client;
struct vion_buffer;
struct vion_queue;

struct vion_queue *vion_queue_create(struct ion_client *client);
void vion_queue_destroy(struct vion_queue *queue);
int vion_queue_submit(struct vion_queue *queue, struct vion_buffer *buffer,
		      const struct vion_job *args, struct vion_job __user *user);
void vion_queue_flush(struct vion_queue *queue);
int vion_queue_result(struct vion_queue *queue, struct vion_result *result);
int vion_queue_init(void);
void vion_queue_exit(void);

#endif
