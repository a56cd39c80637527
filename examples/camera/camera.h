/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the camera example share. What returns int returns 0, or -1
 * after it has said what failed.
 */
#ifndef CAMERA_H
#define CAMERA_H

#include <stddef.h>
#include <stdint.h>

/* A pixel format has a name for each subsystem. */
struct format {
	const char *name;
	uint32_t drm;
	uint32_t v4l2;
	unsigned int bytes;	/* of a pixel */
};

struct picture {
	const struct format *format;
	uint32_t width, height;
	uint32_t stride;	/* bytes from one line to the next */
	size_t size;		/* bytes in all */
};

/* In microseconds, of the clock that frames and page flips are stamped by. */
int64_t now(void);
/* Says what failed, with errno's reason, and returns -1. */
int failed(const char *what);
/* As ioctl(), until no signal interrupts it. */
int retry_ioctl(int fd, unsigned long cmd, void *arg);

/* ---- capture.c: a V4L2 camera */

struct frame {
	unsigned int index;	/* of the buffer that it lies in */
	uint32_t sequence;	/* the camera's count */
	int64_t time;		/* when it was taken */
	int broken;		/* not a whole frame */
};

/*
 * Opens @device, or the first camera there is if that is NULL, and has it make
 * pictures of @picture's format and size; sets its stride. 30 a second, if it can.
 * Returns a descriptor.
 */
int capture_open(const char *device, struct picture *picture);
/* @memory: V4L2_MEMORY_DMABUF or _MMAP. The camera may want more than @count. */
int capture_request_buffers(int camera, unsigned int memory,
			    unsigned int *count);
/* Gives it a buffer to fill: a dma-buf, or if @fd is -1 one of its own. */
int capture_queue(int camera, unsigned int index, int fd);
/* Maps one of its own buffers. */
void *capture_map(int camera, unsigned int index, size_t size);
/* Takes back a buffer that it has filled; returns 1 if there is none yet. */
int capture_dequeue(int camera, unsigned int memory, struct frame *frame);
/* From a menu, by the names that a person would see, if the camera has it. */
void capture_choose(int camera, const char *name, const char *item);
int capture_start(int camera);
int capture_stop(int camera);

/* ---- screen.c: a KMS device */

struct screen {
	int fd;
	uint32_t connector, crtc;
	struct _drmModeModeInfo *mode;
	struct _drmModeConnector *info;
	struct _drmModeCrtc *before;
};

/*
 * Opens @device, or if that is NULL the first one that has a screen, which must
 * have a mode of @picture's size.
 */
int screen_open(struct screen *screen, const char *device,
		const struct picture *picture);
/* Shows again what was there before. */
void screen_restore(struct screen *screen);
void screen_close(struct screen *screen);
/* Makes a framebuffer of somebody's dma-buf, without a copy. */
int screen_import(struct screen *screen, int dmabuf,
		  const struct picture *picture, uint32_t *framebuffer);
/* Makes one of the screen's own memory, mapped and exported, of its own stride */
int screen_create(struct screen *screen, struct picture *picture,
		  uint32_t *framebuffer, void **addr, int *dmabuf);
void screen_remove(struct screen *screen, uint32_t framebuffer);
/* The first one to be shown; once shown, a screen can flip to others. */
int screen_show(struct screen *screen, uint32_t framebuffer);
/*
 * Has it shown next, when the fences of its buffer have been signalled; one at a
 * time. When it is there, screen_flipped() sets the time.
 */
int screen_flip(struct screen *screen, uint32_t framebuffer);
int screen_flipped(struct screen *screen, int64_t *time);

#endif
