// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/videodev2.h>

#include "camera.h"

#define CAPTURE V4L2_BUF_TYPE_VIDEO_CAPTURE

static int is_camera(int fd)
{
	const __u32 wanted = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
	struct v4l2_capability cap;

	return !retry_ioctl(fd, VIDIOC_QUERYCAP, &cap) &&
	       (cap.device_caps & wanted) == wanted;
}

static int open_if_camera(const char *device)
{
	int fd = open(device, O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -1;
	if (is_camera(fd))
		return fd;
	close(fd);
	errno = ENODEV;
	return -1;
}

static int open_first(void)
{
	int fd = -1;
	glob_t found;

	if (glob("/dev/video*", 0, NULL, &found)) {
		errno = ENODEV;
		return -1;
	}
	for (size_t i = 0; fd < 0 && i < found.gl_pathc; i++)
		fd = open_if_camera(found.gl_pathv[i]);
	globfree(&found);
	return fd;
}

static int set_format(int camera, struct picture *picture)
{
	struct v4l2_format format = {
		.type = CAPTURE,
		.fmt.pix = {
			.width = picture->width, .height = picture->height,
			.pixelformat = picture->format->v4l2,
			.field = V4L2_FIELD_NONE,
			.bytesperline = picture->stride,
		},
	};
	const struct v4l2_pix_format *pix = &format.fmt.pix;

	if (retry_ioctl(camera, VIDIOC_S_FMT, &format))
		return failed("VIDIOC_S_FMT");
	if (pix->width != picture->width || pix->height != picture->height ||
	    pix->pixelformat != picture->format->v4l2) {
		fprintf(stderr, "camera: this one makes no %ux%u in %s\n",
			picture->width, picture->height, picture->format->name);
		return -1;
	}
	picture->stride = pix->bytesperline;
	picture->size = pix->sizeimage;
	return 0;
}

static int find_item(int camera, const struct v4l2_queryctrl *control,
		     const char *item)
{
	for (int i = control->minimum; i <= control->maximum; i++) {
		struct v4l2_querymenu menu = { .id = control->id, .index = i };

		if (!retry_ioctl(camera, VIDIOC_QUERYMENU, &menu) &&
		    !strcmp((char *)menu.name, item))
			return i;
	}
	return control->default_value;
}

void capture_choose(int camera, const char *name, const char *item)
{
	struct v4l2_queryctrl control = { .id = V4L2_CTRL_FLAG_NEXT_CTRL };

	while (!retry_ioctl(camera, VIDIOC_QUERYCTRL, &control)) {
		if (!strcmp((char *)control.name, name)) {
			struct v4l2_control value = {
				.id = control.id,
				.value = find_item(camera, &control, item),
			};

			retry_ioctl(camera, VIDIOC_S_CTRL, &value);
			return;
		}
		control.id |= V4L2_CTRL_FLAG_NEXT_CTRL;
	}
}

/* vivid makes a frame when its exposure starts, and says it took a while. */
static void set_up_vivid(int camera)
{
	capture_choose(camera, "OSD Text Mode", "None");
	capture_choose(camera, "Timestamp Source", "Start of Exposure");
}

int capture_open(const char *device, struct picture *picture)
{
	struct v4l2_streamparm parm = {
		.type = CAPTURE, .parm.capture.timeperframe = { 1, 30 },
	};
	int camera = device ? open_if_camera(device) : open_first();

	if (camera < 0)
		return failed(device ? device : "no camera");
	if (set_format(camera, picture)) {
		close(camera);
		return -1;
	}
	/* It is as good as it can be. */
	retry_ioctl(camera, VIDIOC_S_PARM, &parm);
	set_up_vivid(camera);
	return camera;
}

int capture_request_buffers(int camera, unsigned int memory,
			    unsigned int *count)
{
	struct v4l2_requestbuffers buffers = {
		.count = *count, .type = CAPTURE, .memory = memory,
	};

	if (retry_ioctl(camera, VIDIOC_REQBUFS, &buffers))
		return failed("VIDIOC_REQBUFS");
	*count = buffers.count;
	return 0;
}

int capture_queue(int camera, unsigned int index, int fd)
{
	struct v4l2_buffer buffer = {
		.index = index, .type = CAPTURE, .memory = V4L2_MEMORY_MMAP,
	};

	if (fd >= 0) {
		buffer.memory = V4L2_MEMORY_DMABUF;
		buffer.m.fd = fd;
	}
	if (retry_ioctl(camera, VIDIOC_QBUF, &buffer))
		return failed("VIDIOC_QBUF");
	return 0;
}

void *capture_map(int camera, unsigned int index, size_t size)
{
	struct v4l2_buffer buffer = {
		.index = index, .type = CAPTURE, .memory = V4L2_MEMORY_MMAP,
	};
	void *addr;

	if (retry_ioctl(camera, VIDIOC_QUERYBUF, &buffer)) {
		failed("VIDIOC_QUERYBUF");
		return NULL;
	}
	addr = mmap(NULL, size, PROT_READ, MAP_SHARED, camera, buffer.m.offset);
	if (addr == MAP_FAILED) {
		failed("mmap");
		return NULL;
	}
	return addr;
}

int capture_dequeue(int camera, unsigned int memory, struct frame *frame)
{
	struct v4l2_buffer buffer = { .type = CAPTURE, .memory = memory };

	if (retry_ioctl(camera, VIDIOC_DQBUF, &buffer)) {
		if (errno == EAGAIN)
			return 1;
		return failed("VIDIOC_DQBUF");
	}
	frame->index = buffer.index;
	frame->sequence = buffer.sequence;
	frame->broken = !!(buffer.flags & V4L2_BUF_FLAG_ERROR);
	frame->time = buffer.timestamp.tv_sec * 1000000LL +
		      buffer.timestamp.tv_usec;
	return 0;
}

int capture_start(int camera)
{
	int type = CAPTURE;

	return retry_ioctl(camera, VIDIOC_STREAMON, &type) ?
		       failed("VIDIOC_STREAMON") : 0;
}

int capture_stop(int camera)
{
	int type = CAPTURE;

	return retry_ioctl(camera, VIDIOC_STREAMOFF, &type) ?
		       failed("VIDIOC_STREAMOFF") : 0;
}
