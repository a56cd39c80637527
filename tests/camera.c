// SPDX-License-Identifier: MIT
/*
 * A camera driver, vivid, captures into buffers of every heap: frames are
 * compared whole with the same picture captured into memory of its own. One of
 * the cameras maps buffers for the CPU, the other attaches and wants memory
 * that is contiguous for a device.
 *
 * Run with --modprobe 'vivid n_devs=2 node_types=1,1 allocators=0,1'.
 */
#include <linux/videodev2.h>

#include "importers.h"

#define CAPTURE V4L2_BUF_TYPE_VIDEO_CAPTURE
#define BARS "100% Colorbar"
#define SQUARES "100% Color Squares"

/* What vivid's parameter allocators says of a camera. */
enum { PLAIN, CONTIGUOUS };

struct picture {
	__u32 fourcc, width, height, stride;
	const char *pattern;
};

/* Of an odd stride, every page is another, and the last one is not full. */
static const struct picture pictures[] = {
	{ V4L2_PIX_FMT_YUYV, 640, 480, 1280, SQUARES },
	{ V4L2_PIX_FMT_RGB24, 640, 480, 1923, BARS },
	{ V4L2_PIX_FMT_RGB24, 320, 180, 961, BARS },
};
static const struct picture *const small = &pictures[2];
static const struct picture other = {
	V4L2_PIX_FMT_RGB24, 320, 180, 961, SQUARES
};

static size_t frame_size(const struct picture *p)
{
	return (size_t)p->stride * p->height;
}

/* The nth number of vivid's parameter. */
static int allocator_of(unsigned int instance)
{
	char text[512] = "", *word, *rest = text;
	FILE *file = fopen("/sys/module/vivid/parameters/allocators", "r");

	if (!file || !fgets(text, sizeof(text), file))
		fail_msg("no vivid: run with vm/run --modprobe vivid");
	fclose(file);
	do
		word = strsep(&rest, ",");
	while (word && instance--);
	return word ? atoi(word) : -1;
}

static int find_camera(int allocator)
{
	char path[32];

	for (int i = 0; i < 8; i++) {
		struct v4l2_capability cap = { 0 };
		unsigned int instance;
		int fd;

		snprintf(path, sizeof(path), "/dev/video%d", i);
		fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0)
			continue;
		if (!request(fd, VIDIOC_QUERYCAP, &cap) &&
		    sscanf((char *)cap.bus_info, "platform:vivid-%u",
			   &instance) == 1 &&
		    allocator_of(instance) == allocator)
			return fd;
		close(fd);
	}
	fail_msg("no vivid with allocators=%d", allocator);
	return -1;
}

static __s32 find_item(int camera, const struct v4l2_queryctrl *control,
		       const char *item)
{
	for (__s32 i = control->minimum; i <= control->maximum; i++) {
		struct v4l2_querymenu menu = { .id = control->id, .index = i };

		if (!request(camera, VIDIOC_QUERYMENU, &menu) &&
		    !strcmp((char *)menu.name, item))
			return i;
	}
	fail_msg("%s: no %s", control->name, item);
	return 0;
}

/* Chooses from a menu by the names that a person would see. */
static void choose(int camera, const char *name, const char *item)
{
	struct v4l2_queryctrl control = { .id = V4L2_CTRL_FLAG_NEXT_CTRL };

	while (!request(camera, VIDIOC_QUERYCTRL, &control)) {
		if (!strcmp((char *)control.name, name)) {
			struct v4l2_control value = {
				.id = control.id,
				.value = find_item(camera, &control, item),
			};

			expect(request(camera, VIDIOC_S_CTRL, &value), 0);
			return;
		}
		control.id |= V4L2_CTRL_FLAG_NEXT_CTRL;
	}
	fail_msg("no control %s", name);
}

/* A camera that sees a picture which does not change. */
static int open_camera(int allocator, const struct picture *p)
{
	int camera = find_camera(allocator);
	struct v4l2_format format = {
		.type = CAPTURE,
		.fmt.pix = {
			.width = p->width, .height = p->height,
			.pixelformat = p->fourcc, .bytesperline = p->stride,
		},
	};
	struct v4l2_streamparm parm = {
		.type = CAPTURE,
		.parm.capture.timeperframe = { 1, 30 },
	};

	expect(request(camera, VIDIOC_S_FMT, &format), 0);
	expect(format.fmt.pix.pixelformat, p->fourcc);
	expect(format.fmt.pix.bytesperline, p->stride);
	expect(format.fmt.pix.sizeimage, frame_size(p));
	/* 6.1 gives 25 of some pictures: no test asks how many. */
	expect(request(camera, VIDIOC_S_PARM, &parm), 0);
	choose(camera, "OSD Text Mode", "None");
	choose(camera, "Horizontal Movement", "No Movement");
	choose(camera, "Vertical Movement", "No Movement");
	choose(camera, "Test Pattern", p->pattern);
	return camera;
}

static void request_buffers(int camera, __u32 memory, __u32 count)
{
	struct v4l2_requestbuffers buffers = {
		.count = count, .type = CAPTURE, .memory = memory,
	};

	expect(request(camera, VIDIOC_REQBUFS, &buffers), 0);
	/* It may want more. */
	if (!count)
		expect(buffers.count, 0);
	assert_true(buffers.count >= count);
}

static long queue(int camera, __u32 index, int fd)
{
	struct v4l2_buffer buffer = {
		.index = index, .type = CAPTURE, .memory = V4L2_MEMORY_DMABUF,
		.m.fd = fd,
	};

	return request(camera, VIDIOC_QBUF, &buffer);
}

static void start(int camera)
{
	int type = CAPTURE;

	expect(request(camera, VIDIOC_STREAMON, &type), 0);
}

static void stop(int camera)
{
	int type = CAPTURE;

	expect(request(camera, VIDIOC_STREAMOFF, &type), 0);
}

/* Waits for a whole frame. */
static __u32 dequeue(int camera, __u32 memory, const struct picture *p)
{
	struct v4l2_buffer buffer = { .type = CAPTURE, .memory = memory };
	struct pollfd poll_camera = { .fd = camera, .events = POLLIN };

	expect(sys(poll(&poll_camera, 1, 60000)), 1);
	expect(request(camera, VIDIOC_DQBUF, &buffer), 0);
	expect(buffer.flags & V4L2_BUF_FLAG_ERROR, 0);
	expect(buffer.bytesused, frame_size(p));
	return buffer.index;
}

/* Dequeues what slots 0 to @count - 1 hold, each once. */
static void dequeue_all(int camera, int count, const struct picture *p)
{
	unsigned int came = 0;

	for (int i = 0; i < count; i++)
		came |= 1U << dequeue(camera, V4L2_MEMORY_DMABUF, p);
	expect(came, (1U << count) - 1);
}

static void capture(int camera, int count, const struct picture *p)
{
	start(camera);
	dequeue_all(camera, count, p);
	stop(camera);
}

static void expect_same(const unsigned char *came, const unsigned char *wanted,
			size_t len)
{
	if (!memcmp(came, wanted, len))
		return;
	for (size_t i = 0; i < len; i++)
		expect_byte(i, len, came[i], wanted[i]);
}

/* The frame, and nothing after it. */
static void expect_frame_at(const unsigned char *addr, size_t len,
			    const unsigned char *frame, const struct picture *p)
{
	expect_same(addr, frame, frame_size(p));
	expect_zero(addr + frame_size(p), len - frame_size(p));
}

static void expect_frame(int fd, const unsigned char *frame,
			 const struct picture *p)
{
	size_t len = lseek(fd, 0, SEEK_END);
	unsigned char *addr = map_at(fd, len, PROT_READ, 0);

	expect(sync_buffer(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ), 0);
	expect_frame_at(addr, len, frame, p);
	expect(sync_buffer(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ), 0);
	munmap(addr, len);
}

/* And what another driver sees in its kernel mapping, through ION. */
static void expect_frame_in_vion(int vion, const unsigned char *frame,
				 const struct picture *p)
{
	unsigned char *data = malloc(frame_size(p));

	expect(pread(vion, data, frame_size(p), 0), frame_size(p));
	expect_same(data, frame, frame_size(p));
	free(data);
}

/* A frame in memory of the camera's own, and the dma-buf that it makes of it */
static unsigned char *capture_mmap(int camera, const struct picture *p,
				   int *fd)
{
	struct v4l2_exportbuffer export = {
		.type = CAPTURE, .flags = O_RDWR | O_CLOEXEC,
	};
	struct v4l2_buffer buffer = {
		.type = CAPTURE, .memory = V4L2_MEMORY_MMAP,
	};
	unsigned char *frame = malloc(frame_size(p)), *addr;

	request_buffers(camera, V4L2_MEMORY_MMAP, 1);
	expect(request(camera, VIDIOC_QUERYBUF, &buffer), 0);
	addr = map_at(camera, frame_size(p), PROT_READ | PROT_WRITE,
		      buffer.m.offset);
	memset(addr, 0, frame_size(p));
	expect(request(camera, VIDIOC_QBUF, &buffer), 0);
	start(camera);
	dequeue(camera, V4L2_MEMORY_MMAP, p);
	stop(camera);
	memcpy(frame, addr, frame_size(p));
	munmap(addr, frame_size(p));
	if (fd) {
		expect(request(camera, VIDIOC_EXPBUF, &export), 0);
		*fd = export.fd;
	} else {
		request_buffers(camera, V4L2_MEMORY_MMAP, 0);
	}
	return frame;
}

/* What every frame of the picture has to be: free() it. */
static unsigned char *reference(const struct picture *p)
{
	int camera = open_camera(PLAIN, p);
	unsigned char *frame = capture_mmap(camera, p, NULL);

	close(camera);
	return frame;
}

/* Into this program's own memory. */
static void capture_userptr(int camera, const struct picture *p,
			    unsigned char *frame)
{
	struct v4l2_buffer buffer = {
		.type = CAPTURE, .memory = V4L2_MEMORY_USERPTR,
		.m.userptr = (uintptr_t)frame, .length = frame_size(p),
	};

	request_buffers(camera, V4L2_MEMORY_USERPTR, 1);
	expect(request(camera, VIDIOC_QBUF, &buffer), 0);
	start(camera);
	dequeue(camera, V4L2_MEMORY_USERPTR, p);
	stop(camera);
	request_buffers(camera, V4L2_MEMORY_USERPTR, 0);
}

static int alloc_buffer(int ion, __u32 heap, size_t len, unsigned int flags)
{
	int fd = -1;

	expect(ion_alloc_fd(ion, len, 0, 1U << heap, flags, &fd), 0);
	return fd;
}

/* A comparison finds out: pages differ, and two frames do not. */
static void picture_is_fit(void **state)
{
	(void)state;
	for (size_t k = 0; k < 3; k++) {
		const struct picture *p = &pictures[k];
		size_t pages = frame_size(p) / PAGE;
		unsigned char *frame = reference(p);
		unsigned char *again = calloc(1, frame_size(p));
		int camera = open_camera(PLAIN, p);

		capture_userptr(camera, p, again);
		expect_same(again, frame, frame_size(p));
		for (size_t i = 0; k && i < pages; i++)
			for (size_t j = 0; j < i; j++)
				assert_memory_not_equal(frame + i * PAGE,
							frame + j * PAGE, PAGE);
		close(camera);
		free(again);
		free(frame);
	}
}

/* One queue holds a buffer of every heap. */
static void fills_every_heap(const struct picture *p, unsigned int flags,
			     size_t more, const unsigned char *frame)
{
	struct ion_heap_data heaps[HEAPS];
	int camera = open_camera(PLAIN, p), ion = open_ion();
	int fds[HEAPS];

	query_heaps(ion, heaps);
	request_buffers(camera, V4L2_MEMORY_DMABUF, HEAPS);
	for (int i = 0; i < HEAPS; i++) {
		fds[i] = alloc_buffer(ion, heaps[i].heap_id,
				      frame_size(p) + more, flags);
		expect(queue(camera, i, fds[i]), 0);
		expect(importers_of(inode_of(fds[i])).kernel, true);
	}
	capture(camera, HEAPS, p);
	for (int i = 0; i < HEAPS; i++) {
		int vion = open_vion();

		expect_frame(fds[i], frame, p);
		expect(request(vion, VION_REGISTER_ION, &fds[i]), 0);
		expect_frame_in_vion(vion, frame, p);
		close(vion);
	}
	request_buffers(camera, V4L2_MEMORY_DMABUF, 0);
	for (int i = 0; i < HEAPS; i++) {
		expect(importers_of(inode_of(fds[i])).kernel, false);
		expect_frame(fds[i], frame, p);
		close(fds[i]);
	}
	close(camera);
	ion_close(ion);
}

static void frames_in_every_heap(void **state)
{
	(void)state;
	for (int k = 0; k < 3; k++) {
		const struct picture *p = &pictures[k];
		unsigned char *frame = reference(p);

		fills_every_heap(p, CACHED, 0, frame);
		fills_every_heap(p, 0, k * 5 * PAGE, frame);
		free(frame);
	}
}

/* The heaps whose buffers are contiguous, whatever happens. */
static bool heap_is_contiguous(const struct ion_heap_data *heap)
{
	return heap->type == ION_HEAP_TYPE_SYSTEM_CONTIG ||
	       heap->type == ION_HEAP_TYPE_CARVEOUT ||
	       heap->type == ION_HEAP_TYPE_DMA;
}

/* What is not contiguous is refused, and is nobody's then. */
static bool queue_contiguous(int camera, int slot, int fd)
{
	long ret = queue(camera, slot, fd);

	if (!ret) {
		expect_importers(inode_of(fd), 1, 1);
		return true;
	}
	expect(ret, -EFAULT);
	expect_importers(inode_of(fd), 0, 0);
	expect(importers_of(inode_of(fd)).kernel, false);
	return false;
}

static void fills_contiguous(const struct picture *p, unsigned int flags,
			     size_t more, const unsigned char *frame)
{
	struct ion_heap_data heaps[HEAPS];
	int camera = open_camera(CONTIGUOUS, p), ion = open_ion();
	int fds[HEAPS], n = 0;

	query_heaps(ion, heaps);
	request_buffers(camera, V4L2_MEMORY_DMABUF, HEAPS);
	for (int i = 0; i < HEAPS; i++) {
		int fd = alloc_buffer(ion, heaps[i].heap_id,
				      frame_size(p) + more, flags);

		if (queue_contiguous(camera, n, fd)) {
			fds[n++] = fd;
			continue;
		}
		/* With all of it free, chunks lie side by side. */
		expect(heaps[i].type, ION_HEAP_TYPE_SYSTEM);
		close(fd);
	}
	assert_true(n >= HEAPS - 1);
	capture(camera, n, p);
	for (int i = 0; i < n; i++)
		expect_frame(fds[i], frame, p);
	request_buffers(camera, V4L2_MEMORY_DMABUF, 0);
	for (int i = 0; i < n; i++) {
		expect_importers(inode_of(fds[i]), 0, 0);
		expect_frame(fds[i], frame, p);
		close(fds[i]);
	}
	close(camera);
	ion_close(ion);
}

static void frames_in_contiguous_heaps(void **state)
{
	(void)state;
	for (int k = 0; k < 3; k++) {
		const struct picture *p = &pictures[k];
		unsigned char *frame = reference(p);

		fills_contiguous(p, CACHED, 0, frame);
		fills_contiguous(p, 0, k * 5 * PAGE, frame);
		free(frame);
	}
}

/* Pages of the system heap lie side by side at times, but not every time. */
static void scattered_pages(void **state)
{
	const struct picture *p = &pictures[1];
	int camera = open_camera(CONTIGUOUS, p), ion = open_ion();
	int fds[64], n = 0;
	bool taken;

	(void)state;
	do {
		assert_true(n < 64);
		fds[n] = alloc_buffer(ion, ION_HEAP_TYPE_SYSTEM, frame_size(p),
				      CACHED);
		request_buffers(camera, V4L2_MEMORY_DMABUF, 1);
		taken = queue_contiguous(camera, 0, fds[n]);
		request_buffers(camera, V4L2_MEMORY_DMABUF, 0);
		n++;
	} while (taken);
	while (n)
		close(fds[--n]);
	close(camera);
	ion_close(ion);
}

/* Every other chunk is taken: no two of a buffer's lie side by side. */
static void scattered_chunks(void **state)
{
	int plain = open_camera(PLAIN, small), ion = open_ion();
	int contiguous = open_camera(CONTIGUOUS, small);
	unsigned char *frame = reference(small);
	int chunks[512], n = 0, fd = -1;

	(void)state;
	while (!ion_alloc_fd(ion, 1, 0, 1 << ION_HEAP_TYPE_CHUNK, CACHED,
			     &chunks[n])) {
		n++;
		assert_true(n < 512);
	}
	for (int i = 0; i < n; i += 2)
		close(chunks[i]);

	for (int flags = 0; flags <= CACHED; flags++) {
		fd = alloc_buffer(ion, ION_HEAP_TYPE_CHUNK, frame_size(small),
				  flags);
		request_buffers(contiguous, V4L2_MEMORY_DMABUF, 1);
		expect(queue_contiguous(contiguous, 0, fd), false);
		request_buffers(plain, V4L2_MEMORY_DMABUF, 1);
		expect(queue(plain, 0, fd), 0);
		capture(plain, 1, small);
		expect_frame(fd, frame, small);
		request_buffers(plain, V4L2_MEMORY_DMABUF, 0);
		close(fd);
	}

	for (int i = 1; i < n; i += 2)
		close(chunks[i]);
	close(plain);
	close(contiguous);
	ion_close(ion);
	free(frame);
}

typedef void (*run_t)(int allocator, int heap, const unsigned char *frame);

/* Runs it for both cameras and all the heaps that each of them takes. */
static void with_every_heap(run_t run)
{
	unsigned char *frame = reference(small);
	struct ion_heap_data heaps[HEAPS];
	int ion = open_ion();

	query_heaps(ion, heaps);
	ion_close(ion);
	for (int i = 0; i < HEAPS; i++) {
		run(PLAIN, heaps[i].heap_id, frame);
		if (heap_is_contiguous(&heaps[i]))
			run(CONTIGUOUS, heaps[i].heap_id, frame);
	}
	free(frame);
}

/* The mapping shows the frame; then the camera alone holds the buffer. */
static void close_queued(int allocator, int heap, const unsigned char *frame)
{
	int camera = open_camera(allocator, small), ion = open_ion();
	int fd = alloc_buffer(ion, heap, frame_size(small), CACHED);
	size_t len = lseek(fd, 0, SEEK_END);
	ino_t inode = inode_of(fd);
	void *addr = map(fd, len);

	request_buffers(camera, V4L2_MEMORY_DMABUF, 3);
	expect(queue(camera, 2, fd), 0);
	close(fd);
	ion_close(ion);
	start(camera);
	expect(dequeue(camera, V4L2_MEMORY_DMABUF, small), 2);
	expect_frame_at(addr, len, frame, small);
	munmap(addr, len);
	expect_importers(inode, allocator == CONTIGUOUS,
			 allocator == CONTIGUOUS);
	stop(camera);
	expect(importers_of(inode).exists, true);
	request_buffers(camera, V4L2_MEMORY_DMABUF, 0);
	expect_gone(inode);
	close(camera);
}

static void descriptor_is_closed_while_queued(void **state)
{
	(void)state;
	with_every_heap(close_queued);
}

/* No descriptor, mapping or handle is left, but another driver looks on. */
static void free_queued(int allocator, int heap, const unsigned char *frame)
{
	int camera = open_camera(allocator, small), ion = open_ion();
	int vion = open_vion(), handle = 0, fd = -1;
	ino_t inode;

	expect(ion_alloc(ion, frame_size(small), 0, 1U << heap, 0, &handle), 0);
	expect(ion_share(ion, handle, &fd), 0);
	inode = inode_of(fd);
	request_buffers(camera, V4L2_MEMORY_DMABUF, 3);
	expect(queue(camera, 1, fd), 0);
	expect(request(vion, VION_REGISTER_ION, &fd), 0);
	close(fd);
	expect(ion_free(ion, handle), 0);
	ion_close(ion);
	start(camera);
	expect(dequeue(camera, V4L2_MEMORY_DMABUF, small), 1);
	expect_frame_in_vion(vion, frame, small);
	close(vion);
	expect(importers_of(inode).exists, true);
	/* Without a word the camera lets go as well. */
	close(camera);
	expect_gone(inode);
}

static void buffer_is_freed_while_queued(void **state)
{
	(void)state;
	with_every_heap(free_queued);
}

/* The camera is closed as it writes to them. */
static void camera_closes_while_streaming(void **state)
{
	struct ion_heap_data heaps[HEAPS];
	int ion = open_ion();

	(void)state;
	query_heaps(ion, heaps);
	for (int allocator = PLAIN; allocator <= CONTIGUOUS; allocator++) {
		int camera = open_camera(allocator, small);
		int fds[HEAPS], n = 0;

		request_buffers(camera, V4L2_MEMORY_DMABUF, HEAPS);
		for (int i = 0; i < HEAPS; i++) {
			if (allocator == CONTIGUOUS &&
			    !heap_is_contiguous(&heaps[i]))
				continue;
			fds[n] = alloc_buffer(ion, heaps[i].heap_id,
					      frame_size(small), 0);
			expect(queue(camera, n, fds[n]), 0);
			n++;
		}
		start(camera);
		dequeue(camera, V4L2_MEMORY_DMABUF, small);
		close(camera);
		for (int i = 0; i < n; i++) {
			ino_t inode = inode_of(fds[i]);

			expect_importers(inode, 0, 0);
			expect(importers_of(inode).kernel, false);
			close(fds[i]);
			expect_gone(inode);
		}
	}
	ion_close(ion);
}

/*
 * Off with frames to come, another picture, on again: with the same buffers,
 * with two that have changed places, and with one that has come instead.
 */
static void stream_goes_off_and_on(void **state)
{
	static const int heaps[] = {
		ION_HEAP_TYPE_CARVEOUT, ION_HEAP_TYPE_DMA,
		ION_HEAP_TYPE_SYSTEM_CONTIG, ION_HEAP_TYPE_CARVEOUT,
	};
	unsigned char *first = reference(small), *second = reference(&other);
	int ion = open_ion();

	(void)state;
	for (int allocator = PLAIN; allocator <= CONTIGUOUS; allocator++) {
		int camera = open_camera(allocator, small), fds[5];
		struct v4l2_buffer none = {
			.type = CAPTURE, .memory = V4L2_MEMORY_DMABUF,
		};
		ino_t gone;

		request_buffers(camera, V4L2_MEMORY_DMABUF, 4);
		for (int i = 0; i < 4; i++) {
			fds[i] = alloc_buffer(ion, heaps[i], frame_size(small),
					      i & 1 ? CACHED : 0);
			expect(queue(camera, i, fds[i]), 0);
		}
		start(camera);
		expect_frame(fds[dequeue(camera, V4L2_MEMORY_DMABUF, small)],
			     first, small);
		stop(camera);
		expect(request(camera, VIDIOC_DQBUF, &none), -EINVAL);

		choose(camera, "Test Pattern", other.pattern);
		fds[4] = alloc_buffer(ion, heaps[1], frame_size(small) + PAGE,
				      CACHED);
		expect(queue(camera, 0, fds[0]), 0);
		expect(queue(camera, 1, fds[2]), 0);
		expect(queue(camera, 2, fds[1]), 0);
		gone = inode_of(fds[3]);
		close(fds[3]);
		expect(importers_of(gone).exists, true);
		expect(queue(camera, 3, fds[4]), 0);
		expect_gone(gone);
		fds[3] = fds[4];
		capture(camera, 4, &other);
		for (int i = 0; i < 4; i++) {
			expect_frame(fds[i], second, &other);
			close(fds[i]);
		}
		close(camera);
	}
	ion_close(ion);
	free(first);
	free(second);
}

/* Each sees what the other wrote over its own. */
static void two_cameras_share_a_buffer(void **state)
{
	unsigned char *first = reference(small), *second = reference(&other);
	struct ion_heap_data heaps[HEAPS];
	int ion = open_ion();

	(void)state;
	query_heaps(ion, heaps);
	for (int i = 0; i < 2 * HEAPS; i++) {
		int plain, contiguous, fd;

		if (!heap_is_contiguous(&heaps[i / 2]))
			continue;
		plain = open_camera(PLAIN, small);
		contiguous = open_camera(CONTIGUOUS, &other);
		fd = alloc_buffer(ion, heaps[i / 2].heap_id, frame_size(small),
				  i & 1 ? CACHED : 0);
		request_buffers(plain, V4L2_MEMORY_DMABUF, 1);
		request_buffers(contiguous, V4L2_MEMORY_DMABUF, 1);
		for (int round = 0; round < 2; round++) {
			expect(queue(plain, 0, fd), 0);
			capture(plain, 1, small);
			expect_frame(fd, first, small);
			expect(queue(contiguous, 0, fd), 0);
			capture(contiguous, 1, &other);
			expect_frame(fd, second, &other);
		}
		close(plain);
		expect_importers(inode_of(fd), 1, 1);
		close(contiguous);
		expect_importers(inode_of(fd), 0, 0);
		expect_frame(fd, second, &other);
		close(fd);
	}
	ion_close(ion);
	free(first);
	free(second);
}

/*
 * The camera sees that they are too small. To attach one all the same, as it
 * would with a length that is not its own, loses a reference on Linux 6.12.
 */
static void wrong_buffers_are_refused(void **state)
{
	struct ion_heap_data heaps[HEAPS];
	int ion = open_ion();

	(void)state;
	query_heaps(ion, heaps);
	for (int i = 0; i < 2 * HEAPS; i++) {
		int camera = open_camera(i % 2, small);
		int fd = alloc_buffer(ion, heaps[i / 2].heap_id,
				      frame_size(small) - PAGE, 0);

		request_buffers(camera, V4L2_MEMORY_DMABUF, 1);
		expect(queue(camera, 0, fd), -EINVAL);
		expect_importers(inode_of(fd), 0, 0);
		expect(importers_of(inode_of(fd)).kernel, false);
		close(fd);
		expect(queue(camera, 0, fd), -EINVAL);
		expect(queue(camera, 0, ion), -EINVAL);
		close(camera);
	}
	ion_close(ion);
}

/* The other way round: a frame in the camera's memory goes through ION. */
static void camera_memory_is_imported(void **state)
{
	(void)state;
	for (int allocator = PLAIN; allocator <= CONTIGUOUS; allocator++) {
		int ion = open_ion(), vion = open_vion(), handle = 0;
		int camera = open_camera(allocator, small);
		int theirs = -1, ours = -1;
		unsigned char *frame = capture_mmap(camera, small, &theirs);
		unsigned char *addr;

		expect(ion_import(ion, theirs, &handle), 0);
		expect(ion_share(ion, handle, &ours), 0);
		expect(inode_of(ours), inode_of(theirs));
		close(theirs);
		expect(ion_sync_fd(ion, ours), 0);
		addr = map_at(ours, frame_size(small), PROT_READ, 0);
		expect_same(addr, frame, frame_size(small));
		munmap(addr, frame_size(small));
		expect(request(vion, VION_REGISTER_ION, &ours), 0);
		close(ours);
		expect(ion_free(ion, handle), 0);
		ion_close(ion);
		close(camera);
		expect_frame_in_vion(vion, frame, small);
		close(vion);
		free(frame);
	}
}

static struct vion_job copy_job(int fd, __u64 offset, __u64 fd_offset)
{
	return (struct vion_job){
		.type = VION_JOB_COPY,
		.copy = { .fd = fd, .offset = offset, .fd_offset = fd_offset,
			  .len = 2 * PAGE },
	};
}

/* Of one memory the camera makes two dma-bufs: both are the same for a job. */
static void copies_over_themselves_are_refused(void **state)
{
	(void)state;
	for (int allocator = PLAIN; allocator <= CONTIGUOUS; allocator++) {
		int camera = open_camera(allocator, small), fd = -1;
		struct v4l2_exportbuffer again = {
			.type = CAPTURE, .flags = O_RDWR | O_CLOEXEC,
		};
		struct vion_job apart, over;
		int vion = open_vion();

		free(capture_mmap(camera, small, &fd));
		expect(request(camera, VIDIOC_EXPBUF, &again), 0);
		assert_int_not_equal(inode_of(again.fd), inode_of(fd));
		expect(request(vion, VION_REGISTER_ION, &fd), 0);
		for (int k = -1; k <= 1; k++) {
			over = copy_job(again.fd, 2 * PAGE,
					(2 + k) * PAGE - k);
			expect(request(vion, VION_SUBMIT, &over), -EINVAL);
		}
		apart = copy_job(again.fd, 2 * PAGE, 0);
		expect(request(vion, VION_SUBMIT, &apart), 0);
		apart = copy_job(again.fd, 0, 2 * PAGE);
		expect(request(vion, VION_SUBMIT, &apart), 0);
		close(vion);
		close(camera);
		close(again.fd);
		close(fd);
	}
}

/*
 * A camera that a failed test left open would be busy for the others. Without
 * it and all descriptors there are no more buffers than there were.
 */
static int close_all(void **state)
{
	static int before;
	int more;

	(void)state;
	for (int fd = 3; fd < 1024; fd++)
		close(fd);
	more = living_buffers() - before;
	before += more;
	if (more)
		print_error("%d buffers are left\n", more);
	return more ? -1 : 0;
}

#define fresh(test) cmocka_unit_test_teardown(test, close_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		fresh(picture_is_fit),
		fresh(frames_in_every_heap),
		fresh(frames_in_contiguous_heaps),
		fresh(scattered_pages),
		fresh(scattered_chunks),
		fresh(descriptor_is_closed_while_queued),
		fresh(buffer_is_freed_while_queued),
		fresh(camera_closes_while_streaming),
		fresh(stream_goes_off_and_on),
		fresh(two_cameras_share_a_buffer),
		fresh(wrong_buffers_are_refused),
		fresh(camera_memory_is_imported),
		fresh(copies_over_themselves_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
