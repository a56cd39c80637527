// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <ion/ion.h>
#include <linux/sync_file.h>
#include <linux/videodev2.h>
#include <linux/vion.h>

#include "pipeline.h"

#define TEXT "ion buffer test magic string"

static int failed_with(const char *what, int ret)
{
	errno = -ret;
	return failed(what);
}

/* ---- setting up, and away */

static int create_buffer(struct pipeline *p, struct slot *s)
{
	int ret;

	p->target = p->picture;
	ret = ion_buffer_create(p->picture.size, NULL, ION_FLAG_CACHED,
				&s->buffer);
	if (ret)
		return failed_with("ion_buffer_create", ret);
	s->dmabuf = ion_buffer_fd(s->buffer);
	if (p->copy) {
		ret = ion_buffer_map(s->buffer, PROT_READ | PROT_WRITE,
				     &s->addr);
		if (ret)
			return failed_with("ion_buffer_map", ret);
	} else if (!p->no_screen) {
		return screen_import(&p->screen, s->dmabuf, &p->picture,
				     &s->framebuffer);
	}
	return 0;
}

static int open_slot(struct pipeline *p, struct slot *s)
{
	if (p->copy && !p->no_screen)
		return screen_create(&p->screen, &p->target, &s->framebuffer,
				     &s->addr, &s->dmabuf);
	return create_buffer(p, s);
}

static void close_slot(struct pipeline *p, struct slot *s)
{
	if (s->fence >= 0)
		close(s->fence);
	if (s->framebuffer)
		screen_remove(&p->screen, s->framebuffer);
	if (s->buffer) {
		ion_buffer_close(s->buffer);
	} else if (s->addr) {
		munmap(s->addr, p->target.size);
		close(s->dmabuf);
	}
}

static int open_slots(struct pipeline *p)
{
	unsigned int count = SLOTS;

	if (capture_request_buffers(p->camera, p->copy ? V4L2_MEMORY_MMAP :
				    V4L2_MEMORY_DMABUF, &count))
		return -1;
	if (p->copy && count > MAX_CAPTURED) {
		fprintf(stderr, "camera: it wants %u buffers\n", count);
		return -1;
	}
	p->target = p->picture;
	for (int i = 0; i < SLOTS; i++)
		if (open_slot(p, &p->slots[i]))
			return -1;
	if (!p->copy)
		return 0;
	for (p->captured_count = 0; p->captured_count < count;
	     p->captured_count++) {
		void *addr = capture_map(p->camera, p->captured_count,
					 p->picture.size);

		if (!addr)
			return -1;
		p->captured[p->captured_count] = addr;
	}
	return 0;
}

int pipeline_open(struct pipeline *p)
{
	p->camera = -1;
	p->vion = -1;
	p->screen.fd = -1;
	p->sequence = -1;
	for (int i = 0; i < SLOTS; i++) {
		p->slots[i].place = FREE;
		p->slots[i].fence = -1;
	}
	p->stop = signalfd(-1, &p->signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (p->stop < 0) {
		failed("signalfd");
		goto fail;
	}
	p->vion = open("/dev/vion_dev", O_RDWR | O_CLOEXEC);
	if (p->vion < 0) {
		failed("/dev/vion_dev");
		goto fail;
	}
	p->camera = capture_open(p->camera_device, &p->picture);
	if (p->camera < 0)
		goto fail;
	if (!p->no_screen &&
	    screen_open(&p->screen, p->screen_device, &p->picture))
		goto fail;
	if (open_slots(p))
		goto fail;
	return 0;

fail:
	pipeline_close(p);
	return -1;
}

/* The camera goes first and the screen last, so that nobody has a buffer. */
void pipeline_close(struct pipeline *p)
{
	for (unsigned int i = 0; i < p->captured_count; i++)
		munmap(p->captured[i], p->picture.size);
	if (p->camera >= 0)
		close(p->camera);
	if (p->vion >= 0)
		close(p->vion);
	if (p->screen.fd >= 0)
		screen_restore(&p->screen);
	for (int i = 0; i < SLOTS; i++)
		close_slot(p, &p->slots[i]);
	if (p->screen.fd >= 0)
		screen_close(&p->screen);
	if (p->stop >= 0)
		close(p->stop);
}

/* ---- a frame's way */

static int give_to_camera(struct pipeline *p, struct slot *s)
{
	if (p->copy) {
		s->place = FREE;
		return 0;
	}
	s->place = CAMERA;
	return capture_queue(p->camera, s - p->slots, s->dmabuf);
}

static struct slot *find_place(struct pipeline *p, enum place place)
{
	for (int i = 0; i < SLOTS; i++)
		if (p->slots[i].place == place)
			return &p->slots[i];
	return NULL;
}

static void copy_pixels(struct pipeline *p, void *to, const void *from)
{
	const struct picture *in = &p->picture, *out = &p->target;

	if (in->stride == out->stride) {
		memcpy(to, from, (size_t)in->stride * in->height);
		return;
	}
	for (uint32_t y = 0; y < in->height; y++)
		memcpy(to + (size_t)y * out->stride,
		       from + (size_t)y * in->stride,
		       in->width * in->format->bytes);
}

/* Into the slot, whose buffer the camera then has back. */
static int copy_frame(struct pipeline *p, struct slot *s, unsigned int index)
{
	int ret = 0;

	if (s->buffer)
		ret = ion_buffer_begin(s->buffer, ION_WRITE, 0, 0);
	if (ret)
		return failed_with("ion_buffer_begin", ret);
	copy_pixels(p, s->addr, p->captured[index]);
	if (s->buffer)
		ret = ion_buffer_end(s->buffer, ION_WRITE, 0, 0);
	if (ret)
		return failed_with("ion_buffer_end", ret);
	return capture_queue(p->camera, index, -1);
}

/* Returns at once: the kernel writes it when nobody else writes any more. */
static int stamp(struct pipeline *p, struct slot *s)
{
	const struct picture *target = &p->target;
	struct vion_job job = {
		.type = VION_JOB_STAMP,
		.flags = VION_JOB_FENCE,
		.stamp = {
			.width = target->width, .height = target->height,
			.stride = target->stride, .format = target->format->drm,
			.x = 16, .y = 16, .foreground = 0xffffff,
		},
	};

	snprintf(job.stamp.text, sizeof(job.stamp.text), TEXT " %06u",
		 s->frame.sequence);
	if (retry_ioctl(p->vion, VION_REGISTER_ION, &s->dmabuf))
		return failed("VION_REGISTER_ION");
	if (retry_ioctl(p->vion, VION_SUBMIT, &job))
		return failed("VION_SUBMIT");
	s->fence = job.fence;
	return 0;
}

static int take_frame(struct pipeline *p)
{
	struct frame frame;
	struct slot *s;
	int32_t step;
	int ret = capture_dequeue(p->camera, p->copy ? V4L2_MEMORY_MMAP :
				  V4L2_MEMORY_DMABUF, &frame);

	if (ret)
		return ret < 0 ? ret : 0;
	s = p->copy ? find_place(p, FREE) : &p->slots[frame.index];
	if (frame.broken)
		return capture_queue(p->camera, frame.index,
				     p->copy ? -1 : s->dmabuf);
	s->frame = frame;
	s->came = now();
	if (p->copy && copy_frame(p, s, frame.index))
		return -1;
	s->submitted = now();
	if (stamp(p, s))
		return -1;
	s->place = READY;
	p->ready[p->ready_count++] = s;

	p->taken++;
	/* vivid may give two the same number. */
	step = frame.sequence - p->sequence;
	if (step > 0)
		p->skipped += step - 1;
	p->sequence = frame.sequence;
	return 0;
}

static struct slot *take_ready(struct pipeline *p)
{
	struct slot *s = p->ready[0];

	memmove(p->ready, p->ready + 1, --p->ready_count * sizeof(s));
	return s;
}

/* Its fence knows when that was, and how it went. */
static int stamped(struct slot *s)
{
	struct sync_fence_info fence;
	struct sync_file_info info = {
		.num_fences = 1, .sync_fence_info = (uintptr_t)&fence,
	};

	if (retry_ioctl(s->fence, SYNC_IOC_FILE_INFO, &info))
		return failed("SYNC_IOC_FILE_INFO");
	if (fence.status < 0)
		return failed_with("vion", fence.status);
	close(s->fence);
	s->fence = -1;
	s->stamped = fence.timestamp_ns / 1000;
	return 0;
}

static int64_t own_time(void)
{
	struct timespec time;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return time.tv_sec * 1000000LL + time.tv_nsec / 1000;
}

static void add_times(struct pipeline *p, const struct slot *s, int64_t time)
{
	struct times *t = &p->times;

	t->wake += s->came - s->frame.time;
	t->copy += s->submitted - s->came;
	t->stamp += s->stamped - s->submitted;
	t->flip += time - s->stamped;
	t->whole += time - s->frame.time;
	if (!t->frames++)
		p->first = time;
	p->last = time;
}

static void count(struct pipeline *p, const struct slot *s)
{
	p->done++;
	p->number = s->frame.sequence;
}

/* It is to be seen, and what was seen before is free. */
static int shown(struct pipeline *p, struct slot *s)
{
	struct slot *before = p->shown;

	count(p, s);
	if (p->watch)
		p->watch(p, s);
	s->place = SHOWN;
	p->shown = s;
	return before ? give_to_camera(p, before) : 0;
}

/* The screen's mode is set for it: that is not what a frame takes. */
static int show_first(struct pipeline *p, struct slot *s)
{
	if (screen_show(&p->screen, s->framebuffer))
		return -1;
	p->own = own_time();
	return shown(p, s);
}

/* Without a screen it has been where it was to go when it is stamped. */
static int pass_without_screen(struct pipeline *p)
{
	while (p->ready_count && p->ready[0]->fence < 0) {
		struct slot *s = take_ready(p);

		count(p, s);
		add_times(p, s, s->stamped);
		if (give_to_camera(p, s))
			return -1;
	}
	return 0;
}

static int show_next(struct pipeline *p)
{
	struct slot *s;

	if (p->no_screen)
		return pass_without_screen(p);
	if (p->next || !p->ready_count)
		return 0;
	s = take_ready(p);
	if (!p->shown)
		return show_first(p, s);
	if (screen_flip(&p->screen, s->framebuffer))
		return -1;
	s->place = NEXT;
	p->next = s;
	return 0;
}

static int flipped(struct pipeline *p)
{
	struct slot *s = p->next;
	int64_t time;

	if (screen_flipped(&p->screen, &time))
		return -1;
	p->next = NULL;
	add_times(p, s, time);
	return shown(p, s);
}

/* ---- waiting */

static void tell_second(struct pipeline *p)
{
	int64_t time = now();

	if (time - p->told < 1000000)
		return;
	printf("%.1f frames a second\n",
	       (p->done - p->told_done) * 1e6 / (time - p->told));
	p->told = time;
	p->told_done = p->done;
}

/* What is under way comes to its end first; who cannot wait says so again. */
static int signalled(struct pipeline *p)
{
	struct signalfd_siginfo info;

	if (read(p->stop, &info, sizeof(info)) < 0)
		return failed("signalfd");
	if (p->stopped) {
		fprintf(stderr, "camera: given up\n");
		return -1;
	}
	p->stopped = true;
	return 0;
}

static int handle(struct pipeline *p, const struct pollfd *camera,
		  const struct pollfd *screen, const struct pollfd *stop,
		  const struct pollfd *fences)
{
	for (int i = 0; i < SLOTS; i++)
		if (fences[i].revents && stamped(&p->slots[i]))
			return -1;
	if (screen->revents && flipped(p))
		return -1;
	if (camera->revents & POLLERR) {
		errno = EIO;
		return failed("the camera");
	}
	if (camera->revents && take_frame(p))
		return -1;
	if (stop->revents && signalled(p))
		return -1;
	return show_next(p);
}

static bool may_take(struct pipeline *p)
{
	if (p->stopped || (p->limit && p->taken == p->limit))
		return false;
	return find_place(p, p->copy ? FREE : CAMERA);
}

/* A descriptor of -1 is not looked at. */
static int wait_and_handle(struct pipeline *p)
{
	struct pollfd fds[3 + SLOTS] = {
		{ may_take(p) ? p->camera : -1, POLLIN, 0 },
		{ p->next ? p->screen.fd : -1, POLLIN, 0 },
		{ p->stop, POLLIN, 0 },
	};

	for (int i = 0; i < SLOTS; i++) {
		fds[3 + i].fd = p->slots[i].fence;
		fds[3 + i].events = POLLIN;
	}
	if (poll(fds, 3 + SLOTS, -1) < 0)
		return errno == EINTR ? 0 : failed("poll");
	return handle(p, &fds[0], &fds[1], &fds[2], &fds[3]);
}

static bool has_ended(const struct pipeline *p)
{
	bool last = p->limit && p->taken == p->limit;

	return (p->stopped || last) && !p->ready_count && !p->next;
}

static int hold(struct pipeline *p)
{
	struct pollfd stop = { p->stop, POLLIN, 0 };

	printf("the last one stays until Ctrl-C\n");
	while (poll(&stop, 1, -1) < 0)
		if (errno != EINTR)
			return failed("poll");
	return 0;
}

static void tell_all(const struct pipeline *p)
{
	const struct times *t = &p->times;
	int64_t own = own_time() - p->own;
	unsigned long n = t->frames;

	if (p->done)
		printf("%lu frames of %ux%u in %s, %s, up to number %u, %lu skipped by the camera\n",
		       p->done, p->picture.width, p->picture.height,
		       p->picture.format->name, p->copy ? "copied" : "shared",
		       p->number, p->skipped);
	if (!n)
		return;
	if (n > 1)
		printf("%.1f frames a second\n",
		       (n - 1) * 1e6 / (p->last - p->first));
	printf("%.3f ms from the camera to %s:\n", t->whole / 1e3 / n,
	       p->no_screen ? "the end" : "the screen");
	printf("  %.3f until this program has it\n", t->wake / 1e3 / n);
	if (p->copy)
		printf("  %.3f for the copy\n", t->copy / 1e3 / n);
	printf("  %.3f for vion\n",
	       (t->stamp + (p->copy ? 0 : t->copy)) / 1e3 / n);
	if (!p->no_screen)
		printf("  %.3f for the screen\n", t->flip / 1e3 / n);
	printf("%.3f ms a frame of this program's own time\n", own / 1e3 / n);
}

static int start(struct pipeline *p)
{
	for (int i = 0; i < SLOTS; i++)
		if (give_to_camera(p, &p->slots[i]))
			return -1;
	for (unsigned int i = 0; i < p->captured_count; i++)
		if (capture_queue(p->camera, i, -1))
			return -1;
	return capture_start(p->camera);
}

int pipeline_run(struct pipeline *p)
{
	if (start(p))
		return -1;
	p->told = now();
	p->own = own_time();
	while (!has_ended(p)) {
		if (wait_and_handle(p))
			return -1;
		tell_second(p);
	}
	tell_all(p);
	if (capture_stop(p->camera))
		return -1;
	return p->hold && !p->stopped ? hold(p) : 0;
}
