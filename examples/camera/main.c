// SPDX-License-Identifier: MIT
/*
 * A camera's frames on a screen, through buffers that all of them share: the
 * camera (V4L2) captures into a buffer from ION's heap, vion's driver writes a
 * line of text into it in the kernel, and the screen (KMS) shows it. This program
 * hands descriptors on: it maps no buffer and sees no pixel. Whoever is next
 * waits for the fence of the one before, inside the kernel.
 *
 * A display driver may copy the buffer to its own memory; QEMU's cirrus does, so
 * with that "no copy" is true of this program only.
 */
#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <drm_fourcc.h>
#include <linux/videodev2.h>

#include "camera.h"
#include "pipeline.h"

static const struct format formats[] = {
	{ "XR24", DRM_FORMAT_XRGB8888, V4L2_PIX_FMT_XBGR32, 4 },
	{ "RG24", DRM_FORMAT_RGB888, V4L2_PIX_FMT_BGR24, 3 },
	{ "RG16", DRM_FORMAT_RGB565, V4L2_PIX_FMT_RGB565, 2 },
	{ 0 }
};

enum { NO_SCREEN = 256, HOLD, COPY };

static const struct argp_option options[] = {
	{ "camera", 'c', "DEVICE", 0, "default: the first that there is", 0 },
	{ "screen", 's', "DEVICE", 0, "default: the first that there is", 0 },
	{ "no-screen", NO_SCREEN, NULL, 0, "show nothing", 0 },
	{ "format", 'f', "FORMAT", 0,
	  "XR24 (the default), RG24 or RG16, DRM's names", 0 },
	{ "size", 'S', "WxH", 0, "default: 640x480", 0 },
	{ "frames", 'n', "N", 0, "end after so many; default: at Ctrl-C", 0 },
	{ "hold", HOLD, NULL, 0,
	  "then keep the last one on the screen until Ctrl-C", 0 },
	{ "copy", COPY, NULL, 0,
	  "the classic way: from the camera's own buffers into the screen's", 0 },
	{ 0 }
};

static error_t parse_format(struct argp_state *state, const char *arg,
			    struct picture *picture)
{
	for (const struct format *f = formats; f->name; f++) {
		if (!strcmp(f->name, arg)) {
			picture->format = f;
			return 0;
		}
	}
	argp_error(state, "no such format: %s", arg);
	return 0;
}

static error_t parse_size(struct argp_state *state, const char *arg,
			  struct picture *picture)
{
	char end;

	if (sscanf(arg, "%4ux%4u%c", &picture->width, &picture->height,
		   &end) != 2 || !picture->width || !picture->height)
		argp_error(state, "no size: %s", arg);
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct pipeline *p = state->input;
	char *end;

	switch (key) {
	case 'c':
		p->camera_device = arg;
		return 0;
	case 's':
		p->screen_device = arg;
		return 0;
	case NO_SCREEN:
		p->no_screen = true;
		return 0;
	case 'f':
		return parse_format(state, arg, &p->picture);
	case 'S':
		return parse_size(state, arg, &p->picture);
	case 'n':
		p->limit = strtoul(arg, &end, 10);
		if (!p->limit || *end || *arg == '-')
			argp_error(state, "no number of frames: %s", arg);
		return 0;
	case HOLD:
		p->hold = true;
		return 0;
	case COPY:
		p->copy = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_usage(state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.doc = "Shows a camera's frames in buffers that all share.",
};

int main(int argc, char **argv)
{
	struct pipeline pipeline = {
		.picture = {
			.format = formats, .width = 640, .height = 480,
		},
	};
	int ret;

	/* One that comes from now on is seen when it is looked for. */
	sigemptyset(&pipeline.signals);
	sigaddset(&pipeline.signals, SIGINT);
	sigaddset(&pipeline.signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &pipeline.signals, NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);

	argp_parse(&argp, argc, argv, 0, NULL, &pipeline);
	ret = pipeline_open(&pipeline);
	if (ret)
		return 1;
	ret = pipeline_run(&pipeline);
	pipeline_close(&pipeline);
	return ret ? 1 : 0;
}
