// SPDX-License-Identifier: MIT
/*
 * Frames from a camera (vivid) through vion to a screen (cirrus), all in our
 * buffers, by examples/camera, which this watches. A frame moves, so that half of
 * one and half of another is seen; it bears the number that the camera gave it.
 * What is on the screen is read from the screen's own memory.
 *
 * Run with --display --append iomem=relaxed --modprobe vgem --modprobe
 * 'vivid n_devs=1 node_types=1'.
 */
#include <glob.h>
#include <linux/videodev2.h>

#include <drm_fourcc.h>
#include <ion/buffer.h>

#include "../examples/camera/pipeline.h"
#include "exporters.h"

#define WIDTH 640
#define HEIGHT 480
#define SIZE (WIDTH * HEIGHT * 4UL)
#define STRIDE (WIDTH * 4UL)
#define FRAMES 300
/* vion's letters, and where the example has the number. */
#define GLYPH_WIDTH 8
#define GLYPH_HEIGHT 16
#define DIGITS 6
#define X (16 + 29 * GLYPH_WIDTH)
#define Y 16
/* No byte of a frame. */
#define OLD 0xa5

static const struct format xr24 = {
	"XR24", DRM_FORMAT_XRGB8888, V4L2_PIX_FMT_XBGR32, 4
};

struct stage {
	struct pipeline pipeline;	/* first: its watchers know the stage by it */
	const unsigned char *memory;	/* the screen's */
	unsigned char *seen;		/* a copy of it */
	unsigned char digits[10][GLYPH_HEIGHT][GLYPH_WIDTH * 4];
	unsigned int again;		/* numbers, as the one before */
	bool was_again;
	int vgem;
	__u32 gates[SLOTS];
	pid_t impatient;
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

/* Returns its id. */
static __u64 submit(struct stage *stage, struct slot *slot,
		    struct vion_job *job)
{
	const int vion = stage->pipeline.vion;

	expect(request(vion, VION_REGISTER_ION, &slot->dmabuf), 0);
	expect(request(vion, VION_SUBMIT, job), 0);
	return job->id;
}

static __u64 submit_stamp(struct stage *stage, struct slot *slot,
			  const char *text)
{
	struct vion_job job = {
		.type = VION_JOB_STAMP,
		.stamp = {
			.width = WIDTH, .height = HEIGHT, .stride = STRIDE,
			.format = xr24.drm, .x = X, .y = Y,
			.foreground = 0xffffff,
		},
	};

	snprintf(job.stamp.text, sizeof(job.stamp.text), "%s", text);
	return submit(stage, slot, &job);
}

static __u64 submit_checksum(struct stage *stage, struct slot *slot)
{
	struct vion_job job = {
		.type = VION_JOB_CRC32, .crc32.len = SIZE,
	};

	return submit(stage, slot, &job);
}

/* Until nobody uses it any more. */
static void wait_for_all(struct slot *slot)
{
	expect(ion_buffer_wait(slot->buffer, ION_WRITE, 60000), 0);
}

static const unsigned char *glyph_line(const unsigned char *frame,
				       unsigned int n, unsigned int line)
{
	return frame + (Y + line) * STRIDE + (X + n * GLYPH_WIDTH) * 4;
}

/* What a digit looks like: as vion writes it. */
static void learn_digits(struct stage *stage)
{
	struct slot *slot = &stage->pipeline.slots[0];

	submit_stamp(stage, slot, "0123456789");
	wait_for_all(slot);
	for (int n = 0; n < 10; n++)
		for (int line = 0; line < GLYPH_HEIGHT; line++)
			memcpy(stage->digits[n][line],
			       glyph_line(slot->addr, n, line),
			       sizeof(stage->digits[n][line]));
	for (int n = 0; n < 10; n++)
		for (int m = 0; m < n; m++)
			assert_memory_not_equal(stage->digits[n],
						stage->digits[m],
						sizeof(stage->digits[n]));
}

static void open_stage(struct stage *stage)
{
	struct pipeline *p = &stage->pipeline;

	memset(stage, 0, sizeof(*stage));
	p->picture = (struct picture) {
		.format = &xr24, .width = WIDTH, .height = HEIGHT,
	};
	sigaddset(&p->signals, SIGINT);
	expect(pipeline_open(p), 0);
	expect(p->picture.stride, STRIDE);
	expect(p->picture.size, SIZE);
	for (int i = 0; i < SLOTS; i++)
		expect(ion_buffer_map(p->slots[i].buffer,
				      PROT_READ | PROT_WRITE,
				      &p->slots[i].addr), 0);
	stage->memory = map_screen_memory(SIZE);
	stage->seen = malloc(SIZE);
	stage->vgem = open_vgem();
	learn_digits(stage);
}

static void close_stage(struct stage *stage)
{
	pipeline_close(&stage->pipeline);
	munmap((void *)stage->memory, SIZE);
	free(stage->seen);
	close(stage->vgem);
}

static bool is_digit(struct stage *stage, const unsigned char *frame,
		     unsigned int n, unsigned int digit)
{
	for (int line = 0; line < GLYPH_HEIGHT; line++)
		if (memcmp(glyph_line(frame, n, line),
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

/* But for the line of text all lines of the bars are the same. */
static void expect_not_torn(const unsigned char *frame)
{
	const unsigned char *first = frame + (Y + GLYPH_HEIGHT) * STRIDE;

	for (unsigned int y = 0; y < HEIGHT; y++)
		if ((y < Y || y >= Y + GLYPH_HEIGHT) &&
		    memcmp(frame + y * STRIDE, first, STRIDE))
			fail_msg("torn: line %u is another than below the text",
				 y);
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
static void expect_frame(struct stage *stage, struct slot *slot)
{
	const int vion = stage->pipeline.vion;
	struct vion_result result = { .id = submit_checksum(stage, slot) };

	wait_for_all(slot);
	expect(request(vion, VION_RESULT, &result), 0);
	expect(result.status, 0);
	expect(ion_buffer_begin(slot->buffer, ION_READ, 0, 0), 0);
	expect(checksum(slot->addr, SIZE), result.crc32);
	expect(read_number(stage, slot->addr), slot->frame.sequence);
	expect_not_torn(slot->addr);
	expect(!memchr(slot->addr, OLD, SIZE), true);
	expect(ion_buffer_end(slot->buffer, ION_READ, 0, 0), 0);
}

/* The screen has that frame, all of it. */
static void expect_on_screen(struct stage *stage, struct slot *slot)
{
	const unsigned char *wanted = slot->addr;

	memcpy(stage->seen, stage->memory, SIZE);
	if (!memcmp(stage->seen, wanted, SIZE))
		return;
	for (size_t i = 0; i < SIZE; i++)
		expect_byte(i, SIZE, stage->seen[i], wanted[i]);
}

static void fill_frame(struct slot *slot, int value)
{
	expect(ion_buffer_begin(slot->buffer, ION_WRITE, 0, 0), 0);
	memset(slot->addr, value, SIZE);
	expect(ion_buffer_end(slot->buffer, ION_WRITE, 0, 0), 0);
}

/*
 * When vivid takes longer than half of a frame's time it is early for the next one,
 * and rounds to the same number; the one after that then has another.
 */
static void expect_after(struct stage *stage, unsigned int last,
			 unsigned int number)
{
	bool again = number == last;

	if (number < last || (again && stage->was_again))
		fail_msg("%u after %u%s", number, last,
			 stage->was_again ? " for the second time" : "");
	stage->was_again = again;
	stage->again += again;
}

/* Every frame that is on the screen, when it is there. */
static void watch_frame(struct pipeline *p, struct slot *slot)
{
	struct stage *stage = (struct stage *)p;
	struct slot *before = p->shown;

	expect_on_screen(stage, slot);
	expect_frame(stage, slot);
	if (!before)
		return;
	expect_after(stage, before->frame.sequence, slot->frame.sequence);
	/* That was another: the bars have moved. */
	expect(!memcmp(slot->addr, before->addr, Y * STRIDE), false);
	/* The camera has it next, and is to fill all of it. */
	fill_frame(before, OLD);
}

static void every_frame_once_and_whole(void **state)
{
	struct stage stage;
	struct pipeline *p = &stage.pipeline;

	(void)state;
	open_stage(&stage);
	capture_choose(p->camera, "Horizontal Movement", "Move Right Fast");
	for (int i = 0; i < SLOTS; i++)
		fill_frame(&p->slots[i], OLD);
	p->watch = watch_frame;
	p->limit = FRAMES;
	expect(pipeline_run(p), 0);
	expect(p->done, FRAMES);
	/* It counts from 0 on. */
	expect(p->done + p->skipped - stage.again, p->number + 1);
	close_stage(&stage);
	sum_up(p->done, "frames shown whole and in order");
	sum_up(p->skipped, "frames skipped by the camera");
	sum_up(stage.again, "frames numbered by the camera as the one before");
}

/* Somebody is at work on the buffer until the gate is opened. */
static __u32 shut_gate(struct stage *stage, struct slot *slot, __u32 flags)
{
	__u32 handle;

	expect(import_into_vgem(stage->vgem, slot->dmabuf, &handle), 0);
	return attach_fence(stage->vgem, handle, flags);
}

static void wait_for_flip(struct stage *stage)
{
	struct screen *screen = &stage->pipeline.screen;
	struct pollfd flip = { .fd = screen->fd, .events = POLLIN };
	int64_t time;

	expect(sys(poll(&flip, 1, 60000)), 1);
	expect(screen_flipped(screen, &time), 0);
}

static void flip_to(struct stage *stage, struct slot *slot)
{
	expect(screen_flip(&stage->pipeline.screen, slot->framebuffer), 0);
}

/* A flip does not come, and the screen still has what it had. */
static void expect_no_flip(struct stage *stage, struct slot *slot)
{
	struct pollfd flip = {
		.fd = stage->pipeline.screen.fd, .events = POLLIN,
	};

	/* If it did not wait it would be there by now. */
	expect(sys(poll(&flip, 1, 300)), 0);
	expect_on_screen(stage, slot);
}

static void open_stage_with_two(struct stage *stage)
{
	struct slot *slots = stage->pipeline.slots;

	open_stage(stage);
	fill_frame(&slots[0], 0x11);
	fill_frame(&slots[1], 0x22);
	expect(screen_show(&stage->pipeline.screen, slots[0].framebuffer), 0);
	expect_on_screen(stage, &slots[0]);
}

static void expect_flip_behind(struct stage *stage, __u32 gate,
			       struct slot *slot)
{
	expect(signal_fence(stage->vgem, gate), 0);
	wait_for_flip(stage);
	expect_on_screen(stage, slot);
}

/* A flip to what somebody still writes comes when that has been written. */
static void screen_waits_for_a_fence(void **state)
{
	struct stage stage;
	struct slot *slots = stage.pipeline.slots;
	__u32 gate;

	(void)state;
	open_stage_with_two(&stage);
	gate = shut_gate(&stage, &slots[1], VGEM_WRITE);
	flip_to(&stage, &slots[1]);
	expect_no_flip(&stage, &slots[0]);

	memset(slots[1].addr, 0x33, SIZE);
	expect_flip_behind(&stage, gate, &slots[1]);
	expect(stage.seen[0], 0x33);
	close_stage(&stage);
}

/* Here a reader holds up vion, but not the screen: that waits for vion. */
static void screen_waits_for_vion(void **state)
{
	struct stage stage;
	struct slot *slots = stage.pipeline.slots;
	__u32 gate;

	(void)state;
	open_stage_with_two(&stage);
	gate = shut_gate(&stage, &slots[1], 0);
	flip_to(&stage, &slots[1]);
	wait_for_flip(&stage);
	flip_to(&stage, &slots[0]);
	wait_for_flip(&stage);

	submit_stamp(&stage, &slots[1], "012345");
	flip_to(&stage, &slots[1]);
	expect_no_flip(&stage, &slots[0]);

	expect_flip_behind(&stage, gate, &slots[1]);
	expect(read_number(&stage, stage.seen), 12345);
	close_stage(&stage);
}

/*
 * All that the screen could have next is held up. Then somebody asks for the end,
 * and again and again.
 */
static void hold_up(struct pipeline *p, struct slot *slot)
{
	struct stage *stage = (struct stage *)p;
	struct pollfd camera = { .fd = p->camera, .events = POLLIN };

	(void)slot;
	for (int i = 0; i < SLOTS; i++) {
		wait_for_all(&p->slots[i]);
		stage->gates[i] = shut_gate(stage, &p->slots[i], VGEM_WRITE);
	}
	if (!p->ready_count)
		expect(sys(poll(&camera, 1, 60000)), 1);
	stage->impatient = fork();
	if (!stage->impatient) {
		while (!kill(test_process, SIGINT))
			poll(NULL, 0, 1);
		_exit(0);
	}
	p->watch = NULL;
}

/* The first waits for what is under way, which would take ten seconds. */
static void a_second_signal_gives_up(void **state)
{
	struct stage stage;
	struct pipeline *p = &stage.pipeline;

	(void)state;
	open_stage(&stage);
	sigprocmask(SIG_BLOCK, &p->signals, NULL);
	p->watch = hold_up;
	expect(pipeline_run(p), -1);
	expect(p->done, 1);
	for (int i = 0; i < SLOTS; i++)
		expect(signal_fence(stage.vgem, stage.gates[i]), 0);
	expect(sys(kill(stage.impatient, SIGKILL)), 0);
	expect(sys(waitpid(stage.impatient, NULL, 0)), stage.impatient);
	close_stage(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_frame_once_and_whole),
		cmocka_unit_test(screen_waits_for_a_fence),
		cmocka_unit_test(screen_waits_for_vion),
		cmocka_unit_test(a_second_signal_gives_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
