/* SPDX-License-Identifier: MIT */
/* Frames on their way from the camera through vion to the screen. */
#ifndef CAMERA_PIPELINE_H
#define CAMERA_PIPELINE_H

#include <signal.h>
#include <stdbool.h>

#include <ion/buffer.h>

#include "camera.h"

/* One is shown, one is about to be, and the camera has two. */
#define SLOTS 4
#define MAX_CAPTURED 32

/*
 * Where a buffer is. With --copy, frames come in buffers of the camera's own, and
 * these are FREE where they would be with the CAMERA.
 */
enum place { CAMERA, FREE, READY, NEXT, SHOWN };

struct slot {
	enum place place;
	struct ion_buffer *buffer;	/* NULL: the screen's own */
	int dmabuf;
	void *addr;			/* NULL: not mapped */
	uint32_t framebuffer;
	int fence;			/* vion's; -1: it is done */
	struct frame frame;
	int64_t came, submitted, stamped;
};

/* Sums, in microseconds. */
struct times {
	int64_t wake;	/* the frame is taken -> this program has it */
	int64_t copy;	/* -> copied, and given to vion */
	int64_t stamp;	/* -> stamped */
	int64_t flip;	/* -> on the screen */
	int64_t whole;
	unsigned long frames;
};

struct pipeline {
	/* Given what is on the screen now; @shown was, before. NULL: nobody. */
	void (*watch)(struct pipeline *p, struct slot *s);
	const char *camera_device, *screen_device;
	bool no_screen, hold, copy;
	unsigned long limit;		/* of frames; 0: none */
	sigset_t signals;		/* that end it */

	struct picture picture;		/* as the camera has it */
	struct picture target;		/* as the slots have it */
	int camera, vion, stop;
	struct screen screen;
	struct slot slots[SLOTS];
	struct slot *ready[SLOTS];	/* in order */
	unsigned int ready_count;
	void *captured[MAX_CAPTURED];	/* the camera's own, with --copy */
	unsigned int captured_count;

	struct slot *next, *shown;
	bool stopped;
	uint32_t sequence;		/* of the last one that came */
	unsigned long taken, done, skipped;
	uint32_t number;		/* of the last one that is done */
	struct times times;		/* not of the first one on a screen */
	int64_t own;			/* this program's, when they began */
	int64_t first, last;		/* when those were done */
	int64_t told;			/* when a line was last printed, */
	unsigned long told_done;	/* and how many were done then */
};

int pipeline_open(struct pipeline *p);
/* Until the last frame, or a signal. */
int pipeline_run(struct pipeline *p);
void pipeline_close(struct pipeline *p);

#endif
