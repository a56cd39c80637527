// SPDX-License-Identifier: MIT
/*
 * Frames from a camera (vivid) through vion to a screen (cirrus), all in our
 * buffers, by the parts of examples/camera. A frame moves, so that half of one
 * and half of another is seen; it bears the number that the camera gave it. What
 * is on the screen is read from the screen's own memory.
 *
 * Run with --display --append iomem=relaxed --modprobe vgem --modprobe
 * 'vivid n_devs=1 node_types=1'.
 */
#include <glob.h>
#include <linux/videodev2.h>

#include <drm_fourcc.h>
#include <ion/buffer.h>

#include "../examples/camera/camera.h"
#include "exporters.h"

#define SLOTS 4
#define WIDTH 640
#define HEIGHT 480
/* vion's letters, and where the number is. */
#define GLYPH_WIDTH 8
#define GLYPH_HEIGHT 16
#define DIGITS 6
#define X 32
#define Y 16

static const struct format xr24 = {
	"XR24", DRM_FORMAT_XRGB8888, V4L2_PIX_FMT_XBGR32, 4
};

struct slot {
	struct ion_buffer *buffer;
	unsigned char *addr;
	uint32_t framebuffer;
};

struct stage {
	struct picture picture;
	struct screen screen;
	int vion;
	const unsigned char *memory;	/* the screen's */
	unsigned char *seen;		/* a copy of it */
	struct slot slots[SLOTS];
	unsigned char digits[10][GLYPH_HEIGHT][GLYPH_WIDTH * 4];
};

static bool is_cirrus(const char *device)
{
	char path[300], text[16] = "";
	FILE *file;

	snprintf(path, sizeof(path), "%s/device", device);
	file = fopen(path, "re");
	if (!file)
		return false;
	expect(!!fgets(text, sizeof(text), file), true);
	fclose(file);
	return !strcmp(text, "0x00b8\n");
}

static const unsigned char *map_screen_memory(size_t size)
{
	char path[300] = "";
	void *addr;
	glob_t found;
	int fd;

	expect(glob("/sys/bus/pci/devices/*", 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++)
		if (is_cirrus(found.gl_pathv[i]))
			snprintf(path, sizeof(path), "%s/resource0",
				 found.gl_pathv[i]);
	globfree(&found);
	fd = open(path, O_RDWR | O_CLOEXEC);
	addr = fd < 0 ? MAP_FAILED :
			mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (addr == MAP_FAILED)
		fail_msg("no screen's memory: run with vm/run --display --append iomem=relaxed");
	close(fd);
	return addr;
}

static void open_slot(struct stage *stage, struct slot *slot)
{
	void *addr;

	expect(ion_buffer_create(stage->picture.size, NULL, CACHED,
				 &slot->buffer), 0);
	expect(ion_buffer_map(slot->buffer, PROT_READ | PROT_WRITE, &addr), 0);
	slot->addr = addr;
	expect(screen_import(&stage->screen, ion_buffer_fd(slot->buffer),
			     &stage->picture, &slot->framebuffer), 0);
}

/* Returns its id. */
static __u64 submit(struct stage *stage, struct slot *slot,
		    struct vion_job *job)
{
	int fd = ion_buffer_fd(slot->buffer);

	expect(request(stage->vion, VION_REGISTER_ION, &fd), 0);
	expect(request(stage->vion, VION_SUBMIT, job), 0);
	return job->id;
}

static __u64 submit_stamp(struct stage *stage, struct slot *slot,
			  const char *text)
{
	const struct picture *p = &stage->picture;
	struct vion_job job = {
		.type = VION_JOB_STAMP,
		.stamp = {
			.width = p->width, .height = p->height,
			.stride = p->stride, .format = p->format->drm,
			.x = X, .y = Y, .foreground = 0xffffff,
		},
	};

	snprintf(job.stamp.text, sizeof(job.stamp.text), "%s", text);
	return submit(stage, slot, &job);
}

static __u64 submit_checksum(struct stage *stage, struct slot *slot)
{
	struct vion_job job = {
		.type = VION_JOB_CRC32,
		.crc32.len = stage->picture.size,
	};

	return submit(stage, slot, &job);
}

/* Until nobody uses it any more. */
static void wait_for_all(struct slot *slot)
{
	expect(ion_buffer_wait(slot->buffer, ION_WRITE, 60000), 0);
}

static const unsigned char *glyph_line(const struct stage *stage,
				       const unsigned char *frame,
				       unsigned int n, unsigned int line)
{
	return frame + (Y + line) * stage->picture.stride +
	       (X + n * GLYPH_WIDTH) * 4;
}

/* What a digit looks like: as vion writes it. */
static void learn_digits(struct stage *stage)
{
	struct slot *slot = &stage->slots[0];

	submit_stamp(stage, slot, "0123456789");
	wait_for_all(slot);
	for (int n = 0; n < 10; n++)
		for (int line = 0; line < GLYPH_HEIGHT; line++)
			memcpy(stage->digits[n][line],
			       glyph_line(stage, slot->addr, n, line),
			       sizeof(stage->digits[n][line]));
	for (int n = 0; n < 10; n++)
		for (int m = 0; m < n; m++)
			assert_memory_not_equal(stage->digits[n],
						stage->digits[m],
						sizeof(stage->digits[n]));
}

static void open_stage(struct stage *stage)
{
	memset(stage, 0, sizeof(*stage));
	stage->picture = (struct picture) {
		.format = &xr24, .width = WIDTH, .height = HEIGHT,
		.stride = WIDTH * 4, .size = WIDTH * HEIGHT * 4,
	};
	stage->vion = open_vion();
	expect(screen_open(&stage->screen, NULL, &stage->picture), 0);
	stage->memory = map_screen_memory(stage->picture.size);
	stage->seen = malloc(stage->picture.size);
	for (int i = 0; i < SLOTS; i++)
		open_slot(stage, &stage->slots[i]);
	learn_digits(stage);
}

static void close_stage(struct stage *stage)
{
	screen_restore(&stage->screen);
	for (int i = 0; i < SLOTS; i++) {
		screen_remove(&stage->screen, stage->slots[i].framebuffer);
		ion_buffer_close(stage->slots[i].buffer);
	}
	screen_close(&stage->screen);
	munmap((void *)stage->memory, stage->picture.size);
	free(stage->seen);
	close(stage->vion);
}

static bool is_digit(struct stage *stage, const unsigned char *frame,
		     unsigned int n, unsigned int digit)
{
	for (int line = 0; line < GLYPH_HEIGHT; line++)
		if (memcmp(glyph_line(stage, frame, n, line),
			   stage->digits[digit][line],
			   sizeof(stage->digits[digit][line])))
			return false;
	return true;
}

/* The number that a frame bears. */
static unsigned int read_number(struct stage *stage,
				const unsigned char *frame)
{
	unsigned int number = 0;

	for (unsigned int n = 0; n < DIGITS; n++) {
		unsigned int digit = 0;

		while (digit < 10 && !is_digit(stage, frame, n, digit))
			digit++;
		if (digit == 10)
			fail_msg("letter %u of the number is no digit", n);
		number = number * 10 + digit;
	}
	return number;
}

/* Below the number all lines of the bars are the same. */
static void expect_not_torn(struct stage *stage, const unsigned char *frame)
{
	const size_t stride = stage->picture.stride;
	const unsigned char *first = frame + (Y + GLYPH_HEIGHT) * stride;

	for (unsigned int y = Y + GLYPH_HEIGHT + 1; y < HEIGHT; y++)
		if (memcmp(frame + y * stride, first, stride))
			fail_msg("torn before line %u", y);
}

/* As zlib's. */
static __u32 checksum(const unsigned char *data, size_t len)
{
	static __u32 table[256];
	__u32 crc = ~0U;

	for (unsigned int i = 0; !table[255] && i < 256; i++) {
		table[i] = i;
		for (int bit = 0; bit < 8; bit++)
			table[i] = table[i] >> 1 ^
				   (table[i] & 1 ? 0xedb88320 : 0);
	}
	for (size_t i = 0; i < len; i++)
		crc = crc >> 8 ^ table[(crc ^ data[i]) & 0xff];
	return ~crc;
}

/* What the program sees when the jobs are done is what the kernel saw. */
static void expect_frame(struct stage *stage, struct slot *slot,
			 unsigned int number, __u64 id)
{
	struct vion_result result = { .id = id };

	wait_for_all(slot);
	expect(request(stage->vion, VION_RESULT, &result), 0);
	expect(result.status, 0);
	expect(ion_buffer_begin(slot->buffer, ION_READ, 0, 0), 0);
	expect(checksum(slot->addr, stage->picture.size), result.crc32);
	expect(read_number(stage, slot->addr), number);
	expect_not_torn(stage, slot->addr);
	expect(ion_buffer_end(slot->buffer, ION_READ, 0, 0), 0);
}

static void wait_for_flip(struct stage *stage)
{
	struct pollfd screen = { .fd = stage->screen.fd, .events = POLLIN };
	int64_t time;

	expect(sys(poll(&screen, 1, 60000)), 1);
	expect(screen_flipped(&stage->screen, &time), 0);
}

/* The screen has that frame, all of it. */
static void expect_on_screen(struct stage *stage, struct slot *slot)
{
	const size_t size = stage->picture.size;

	memcpy(stage->seen, stage->memory, size);
	if (!memcmp(stage->seen, slot->addr, size))
		return;
	for (size_t i = 0; i < size; i++)
		expect_byte(i, size, stage->seen[i], slot->addr[i]);
}

static struct slot *dequeue(struct stage *stage, int camera,
			    struct frame *frame)
{
	struct pollfd poll_camera = { .fd = camera, .events = POLLIN };

	expect(sys(poll(&poll_camera, 1, 60000)), 1);
	expect(capture_dequeue(camera, V4L2_MEMORY_DMABUF, frame), 0);
	return &stage->slots[frame->index];
}

static void give_to_camera(struct stage *stage, int camera, struct slot *slot)
{
	expect(capture_queue(camera, slot - stage->slots,
			     ion_buffer_fd(slot->buffer)), 0);
}

/*
 * The screen is asked for the frame while vion has yet to write and to read it:
 * it is to come whole, which is when the fences say so.
 */
static void pass_on(struct stage *stage, struct slot *slot,
		    unsigned int number, bool first)
{
	char text[16];
	__u64 id;

	snprintf(text, sizeof(text), "%0*u", DIGITS, number);
	submit_stamp(stage, slot, text);
	id = submit_checksum(stage, slot);
	if (first)
		expect(screen_show(&stage->screen, slot->framebuffer), 0);
	else
		expect(screen_flip(&stage->screen, slot->framebuffer), 0);
	expect_frame(stage, slot, number, id);
	if (!first)
		wait_for_flip(stage);
	expect_on_screen(stage, slot);
}

static int open_moving_camera(struct stage *stage)
{
	unsigned int count = SLOTS;
	int camera = capture_open(NULL, &stage->picture);

	expect_ok(camera);
	capture_choose(camera, "Horizontal Movement", "Move Right Fast");
	expect(stage->picture.size, WIDTH * HEIGHT * 4);
	expect(capture_request_buffers(camera, V4L2_MEMORY_DMABUF, &count), 0);
	for (int i = 0; i < SLOTS; i++)
		give_to_camera(stage, camera, &stage->slots[i]);
	expect(capture_start(camera), 0);
	return camera;
}

/* The debug kernel takes its time. */
static unsigned int frames_to_come(void)
{
	return access("/sys/kernel/debug/kmemleak", F_OK) ? 300 : 60;
}

static void every_frame_once_and_whole(void **state)
{
	unsigned int frames = frames_to_come(), last = 0;
	unsigned int skipped = 0, again = 0, same = 0;
	struct slot *before = NULL;
	struct stage stage;
	int camera;

	(void)state;
	open_stage(&stage);
	camera = open_moving_camera(&stage);
	for (unsigned int n = 0; n < frames; n++) {
		struct frame frame;
		struct slot *slot = dequeue(&stage, camera, &frame);

		if (n && frame.sequence < last)
			fail_msg("frame %u: %u after %u", n, frame.sequence,
				 last);
		/* Another frame of the same number is vivid's, too. */
		if (n && frame.sequence == last)
			again++;
		else if (n)
			skipped += frame.sequence - last - 1;
		last = frame.sequence;

		pass_on(&stage, slot, frame.sequence, !before);
		if (before) {
			/* That was another: the bars have moved. */
			same += !memcmp(slot->addr, before->addr,
					Y * stage.picture.stride);
			give_to_camera(&stage, camera, before);
		}
		before = slot;
	}
	expect(same, 0);
	expect(capture_stop(camera), 0);
	close(camera);
	close_stage(&stage);
	sum_up(frames, "frames shown whole and in order");
	sum_up(skipped, "frames skipped by the camera");
	sum_up(again, "frames numbered by the camera as the one before");
}

static void fill_frame(struct stage *stage, struct slot *slot, int value)
{
	expect(ion_buffer_begin(slot->buffer, ION_WRITE, 0, 0), 0);
	memset(slot->addr, value, stage->picture.size);
	expect(ion_buffer_end(slot->buffer, ION_WRITE, 0, 0), 0);
}

/* A flip to what somebody still writes comes when that has been written. */
static void screen_waits_for_a_fence(void **state)
{
	struct pollfd poll_screen = { .events = POLLIN };
	struct vgem_attach attach = { .flags = VGEM_WRITE };
	struct vgem_signal signal = { 0 };
	struct stage stage;
	int vgem = open_vgem();

	(void)state;
	open_stage(&stage);
	poll_screen.fd = stage.screen.fd;
	fill_frame(&stage, &stage.slots[0], 0x11);
	fill_frame(&stage, &stage.slots[1], 0x22);
	expect(screen_show(&stage.screen, stage.slots[0].framebuffer), 0);
	expect_on_screen(&stage, &stage.slots[0]);

	expect(import_into_vgem(vgem, ion_buffer_fd(stage.slots[1].buffer),
				&attach.handle), 0);
	expect(request(vgem, VGEM_ATTACH, &attach), 0);
	expect(screen_flip(&stage.screen, stage.slots[1].framebuffer), 0);
	/* If it did not wait it would be there by now. */
	expect(sys(poll(&poll_screen, 1, 300)), 0);
	expect_on_screen(&stage, &stage.slots[0]);

	memset(stage.slots[1].addr, 0x33, stage.picture.size);
	signal.fence = attach.fence;
	expect(request(vgem, VGEM_SIGNAL, &signal), 0);
	wait_for_flip(&stage);
	expect_on_screen(&stage, &stage.slots[1]);
	expect(stage.seen[0], 0x33);
	close_stage(&stage);
	close(vgem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_frame_once_and_whole),
		cmocka_unit_test(screen_waits_for_a_fence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
