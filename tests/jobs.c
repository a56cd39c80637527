// SPDX-License-Identifier: MIT
/*
 * VION_SUBMIT and VION_RESULT: what each job does, compared with a computation
 * of our own, everything that is checked, and the fences: who waits for whom,
 * and how jobs end. vgem has fences that open when we say so.
 */
#include <limits.h>
#include <linux/ion_test.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "importers.h"
#include "jobs.h"

#define SIZE (64 * KiB)
#include "registered.h"

/* It is done, and well. */
static struct vion_result finish(int vion, int fd, struct vion_job job)
{
	struct vion_result result;

	expect(submit(vion, &job), 0);
	expect(job.fence, -1);
	wait_for(fd, POLLOUT);
	result = result_of(vion, job.id);
	expect(result.id, job.id);
	expect(result.status, 0);
	return result;
}

/* ---- what they do */

static void fill_repeats_its_pattern(void **state)
{
	static const size_t lengths[] = { 1, 2, 3, 4, 5, 7, 8, 63, PAGE,
					  2 * PAGE + 3 };
	struct fixture *f = *state;
	static unsigned char wanted[SIZE];

	fill(f->addr, SIZE, 1);
	memcpy(wanted, f->addr, SIZE);
	for (size_t i = 0; i < COUNT(lengths); i++) {
		for (size_t at = 0; at < 4; at++) {
			size_t offset = i * PAGE + at, len = lengths[i];

			finish(f->vion, f->fd,
			       fill_job(offset, len, 0xa1b2c3d4 + i));
			for (size_t k = 0; k < len; k++)
				wanted[offset + k] =
					(0xa1b2c3d4 + i) >> (8 * (k % 4));
			assert_memory_equal(f->addr, wanted, SIZE);
		}
	}
	finish(f->vion, f->fd, fill_job(SIZE - 1, 1, 0x12345678));
	expect(f->addr[SIZE - 1], 0x78);
	expect(f->addr[SIZE - 2], wanted[SIZE - 2]);
}

static void crc_is_that_of_zlib(void **state)
{
	static const size_t lengths[] = { 1, 2, 9, PAGE - 1, SIZE - 3 };
	struct fixture *f = *state;

	/* As everybody's is. */
	memcpy(f->addr, "123456789", 9);
	expect(finish(f->vion, f->fd, crc_job(0, 9)).crc32, 0xcbf43926);
	fill(f->addr, SIZE, 2);
	for (size_t i = 0; i < COUNT(lengths); i++)
		for (size_t at = 0; at < 4; at++)
			expect(finish(f->vion, f->fd,
				      crc_job(at, lengths[i])).crc32,
			       crc_of(f->addr + at, lengths[i]));
}

static void copies_to_and_from_another(void **state)
{
	struct fixture *f = *state;
	int other = alloc_fd(f->ion, CONTIG, SIZE / 2);
	unsigned char *addr = map(other, SIZE / 2);
	static unsigned char zero[SIZE];

	fill(f->addr, SIZE, 3);
	finish(f->vion, other, copy_job(other, 1, 5, 9, PAGE));
	assert_memory_equal(addr + 9, f->addr + 5, PAGE);
	assert_memory_equal(addr, zero, 9);
	assert_memory_equal(addr + 9 + PAGE, zero, SIZE / 2 - 9 - PAGE);

	fill(addr, SIZE / 2, 4);
	memset(f->addr, 0, SIZE);
	finish(f->vion, f->fd,
	       copy_job(other, 0, SIZE / 2, 0, SIZE / 2));
	assert_memory_equal(f->addr, zero, SIZE / 2);
	assert_memory_equal(f->addr + SIZE / 2, addr, SIZE / 2);
	munmap(addr, SIZE / 2);
	close(other);
}

static void copies_within_one(void **state)
{
	struct fixture *f = *state;
	int again = dup(f->fd);
	static unsigned char wanted[SIZE];

	fill(f->addr, SIZE, 5);
	memcpy(wanted, f->addr, SIZE);
	/* Side by side is not over each other. */
	finish(f->vion, f->fd, copy_job(f->fd, 1, 10, 110, 100));
	memcpy(wanted + 110, wanted + 10, 100);
	assert_memory_equal(f->addr, wanted, SIZE);
	finish(f->vion, f->fd, copy_job(again, 0, 1000, 3000, 2000));
	memcpy(wanted + 1000, wanted + 3000, 2000);
	assert_memory_equal(f->addr, wanted, SIZE);

	for (int to_fd = 0; to_fd < 2; to_fd++) {
		struct vion_job jobs[] = {
			copy_job(f->fd, to_fd, 0, 99, 100),
			copy_job(f->fd, to_fd, 99, 0, 100),
			copy_job(again, to_fd, 7, 7, 1),
			copy_job(again, to_fd, 0, 0, SIZE),
		};

		for (size_t i = 0; i < COUNT(jobs); i++)
			expect(submit(f->vion, &jobs[i]), -EINVAL);
	}
	close(again);
}

/* More than is done in one go. */
static void is_done_in_pieces(int ion, int vion, int heap, unsigned int flags)
{
	const size_t size = 2 * MiB + PAGE;
	int fd = alloc_with(ion, 1U << heap, size, flags);
	int other = alloc_fd(ion, SYSTEM, size);
	unsigned char *addr = map(fd, size), *copy = map(other, size);

	expect(reg(vion, fd), 0);
	finish(vion, fd, fill_job(3, size - 3, 0x01020304));
	for (size_t k = 0; k < size; k++)
		expect_byte(k, size, addr[k],
			    k < 3 ? 0 : 0x01020304 >> 8 * ((k - 3) % 4));
	fill(addr, size, heap);
	finish(vion, other, copy_job(other, 1, 0, 0, size));
	expect_pattern(copy, size, heap);
	expect(finish(vion, fd, crc_job(1, size - 1)).crc32,
	       crc_of(copy + 1, size - 1));
	munmap(addr, size);
	munmap(copy, size);
	close(fd);
	close(other);
}

static void large_ones_of_every_heap(void **state)
{
	int ion = open_ion(), vion = open_vion();
	struct ion_heap_data heaps[HEAPS];

	(void)state;
	query_heaps(ion, heaps);
	for (int i = 0; i < 2 * HEAPS; i++)
		is_done_in_pieces(ion, vion, heaps[i / 2].heap_id,
				  i % 2 ? CACHED : 0);
	close(vion);
	ion_close(ion);
}

/* What is on the screen of any PC. */
static const char *const letters[3][16] = {
	{ "        ", "        ", "####    ", " ##     ", " ##     ",
	  " ##     ", " ##     ", " ##     ", " ##     ", " ##   # ",
	  " ##  ## ", "####### ", "        ", "        ", "        ",
	  "        " },
	{ "        ", "        ", "        ", "        ", "        ",
	  "        ", "        ", "        ", "        ", "        ",
	  "        ", "        ", "        ", "########", "        ",
	  "        " },
	{ "        ", "        ", "        ", "        ", "        ",
	  " ### ## ", "##  ##  ", "##  ##  ", "##  ##  ", "##  ##  ",
	  "##  ##  ", " #####  ", "    ##  ", "##  ##  ", " ####   ",
	  "        " },
};

static const struct format {
	__u32 fourcc;
	unsigned int bytes;
	__u32 foreground, background;
} formats[] = {
	{ DRM_FORMAT_XRGB8888, 4, 0xfedcba, 0x123456 },
	{ DRM_FORMAT_RGB888, 3, 0xfedcba, 0x123456 },
	{ DRM_FORMAT_RGB565, 2, 0xfef7, 0x11aa },
};

static __u32 pixel(const unsigned char *p, unsigned int bytes)
{
	__u32 value = 0;

	while (bytes--)
		value = value << 8 | p[bytes];
	return value;
}

/* Where there is no letter, everything is as it was. */
static void expect_stamp(const struct vion_stamp *s, const struct format *form,
			 const unsigned char *addr, const unsigned char *before)
{
	unsigned int columns = 8 * strlen(s->text);
	size_t next = 0;

	for (unsigned int line = 0; line < 16; line++) {
		size_t at = s->offset + (size_t)(s->y + line) * s->stride +
			    (size_t)s->x * form->bytes;

		assert_memory_equal(addr + next, before + next, at - next);
		for (unsigned int i = 0; i < columns; i++) {
			char dot = letters[i / 8][line][i % 8];

			expect(pixel(addr + at + i * form->bytes, form->bytes),
			       dot == '#' ? form->foreground :
					    form->background);
		}
		next = at + columns * form->bytes;
	}
	assert_memory_equal(addr + next, before + next, SIZE - next);
}

/* Frames at odd places, with text in the middle and in the last corner. */
static void stamps_letters(void **state)
{
	static const __u64 offsets[] = { 0, 1, PAGE - 2 };
	struct fixture *f = *state;
	static unsigned char before[SIZE];

	for (size_t i = 0; i < COUNT(formats) * COUNT(offsets) * 2; i++) {
		const struct format *form = &formats[i % COUNT(formats)];
		struct vion_job job = {
			.type = VION_JOB_STAMP,
			.stamp = {
				.offset = offsets[i / 2 % COUNT(offsets)],
				.width = 100, .height = 40,
				.stride = 100 * form->bytes + i,
				.format = form->fourcc,
				.x = i % 2 ? 76 : i, .y = i % 2 ? 24 : i,
				.foreground = 0xfedcba,
				.background = 0x123456, .text = "L_g",
			},
		};

		fill(f->addr, SIZE, i);
		memcpy(before, f->addr, SIZE);
		finish(f->vion, f->fd, job);
		expect_stamp(&job.stamp, form, f->addr, before);
	}
}

/* Every character, and no two are the same. */
static void stamps_all_characters(void **state)
{
	struct fixture *f = *state;
	struct vion_job job = {
		.type = VION_JOB_STAMP,
		.stamp = { .width = 95 * 8, .height = 16, .stride = 95 * 16,
			   .format = DRM_FORMAT_RGB565,
			   .foreground = 0xffffff },
	};
	__u32 seen[95];

	for (int first = ' '; first <= '~'; first += VION_TEXT_LEN - 1) {
		memset(job.stamp.text, 0, VION_TEXT_LEN);
		for (int i = 0; i < VION_TEXT_LEN - 1 && first + i <= '~'; i++)
			job.stamp.text[i] = first + i;
		job.stamp.x = (first - ' ') * 8;
		finish(f->vion, f->fd, job);
	}
	for (int i = 0; i < 95; i++) {
		unsigned char glyph[16][16];

		for (int line = 0; line < 16; line++)
			memcpy(glyph[line], f->addr + line * 95 * 16 + i * 16,
			       16);
		seen[i] = crc_of(glyph, sizeof(glyph));
		for (int k = 0; k < i; k++)
			assert_int_not_equal(seen[i], seen[k]);
	}
	expect_zero(f->addr + 95 * 16 * 16, SIZE - 95 * 16 * 16);
}

/* The buffer ends where the last pixel does, not where the last stride would. */
static void stamps_to_the_last_byte(void **state)
{
	struct fixture *f = *state;
	struct vion_job job = stamp_job(DRM_FORMAT_XRGB8888);

	job.stamp.stride = 1000;
	job.stamp.offset = SIZE - 31 * 1000 - 24 * 4;
	finish(f->vion, f->fd, job);
	job.stamp.offset++;
	expect(submit(f->vion, &job), -EINVAL);
}

/* ---- what is checked */

#define REFUSED(make, change) do {					\
	struct vion_job job = make;					\
									\
	change;								\
	expect(submit(f->vion, &job), -EINVAL);				\
} while (0)

#define IS_REFUSED(make) REFUSED(make, job.fence = 0)

static void refuses_bad_jobs(void **state)
{
	struct fixture *f = *state;
	int fd = f->fd, other = alloc_fd(f->ion, SYSTEM, PAGE);

	fill(f->addr, SIZE, 6);
	REFUSED(fill_job(0, 4, 0), job.type = VION_JOB_CRC32 + 1);
	REFUSED(fill_job(0, 4, 0), job.type = -1U);
	REFUSED(fill_job(0, 4, 0), job.flags = 2);
	REFUSED(fill_job(0, 4, 0), job.flags = 1U << 31);
	REFUSED(fill_job(0, 4, 0), job.reserved = 1);
	REFUSED(fill_job(0, 4, 0), job.fill.pad = 1);
	REFUSED(fill_job(0, 4, 0), job.space[3] = 1);
	REFUSED(fill_job(0, 4, 0), job.space[15] = 1ULL << 63);
	REFUSED(crc_job(0, 4), job.space[2] = 1);
	REFUSED(copy_job(fd, 0, 0, 8, 4), job.space[4] = 1);
	REFUSED(copy_job(fd, 0, 0, 8, 4), job.copy.to_fd = 2);

	IS_REFUSED(fill_job(0, 0, 0));
	IS_REFUSED(fill_job(0, SIZE + 1, 0));
	IS_REFUSED(fill_job(1, SIZE, 0));
	IS_REFUSED(fill_job(SIZE, 1, 0));
	IS_REFUSED(fill_job(SIZE + 1, -1ULL, 0));
	IS_REFUSED(fill_job(-1ULL, 2, 0));
	IS_REFUSED(fill_job(1ULL << 32, 1, 0));
	IS_REFUSED(fill_job(4, -4ULL, 0));
	IS_REFUSED(crc_job(0, 0));
	IS_REFUSED(crc_job(SIZE, 1));
	IS_REFUSED(crc_job(-1ULL, 1));
	IS_REFUSED(crc_job(SIZE - 1, 2));
	for (int to_fd = 0; to_fd < 2; to_fd++) {
		IS_REFUSED(copy_job(other, to_fd, 0, 0, 0));
		IS_REFUSED(copy_job(other, to_fd, 0, 0, PAGE + 1));
		IS_REFUSED(copy_job(other, to_fd, 0, PAGE, 1));
		IS_REFUSED(copy_job(other, to_fd, 0, -1ULL, 2));
		IS_REFUSED(copy_job(other, to_fd, SIZE, 0, 1));
		IS_REFUSED(copy_job(other, to_fd, -2ULL, 0, 4));
	}
	expect_pattern(f->addr, SIZE, 6);
	close(other);
}

static void refuses_bad_frames(void **state)
{
	struct fixture *f = *state;
	const __u32 xr24 = DRM_FORMAT_XRGB8888, most = -1U;

	fill(f->addr, SIZE, 7);
#define STAMP(change) REFUSED(stamp_job(xr24), change)
	STAMP(job.stamp.format = 0);
	STAMP(job.stamp.format = DRM_FORMAT_ARGB8888);
	STAMP(job.stamp.format = xr24 | DRM_FORMAT_BIG_ENDIAN);
	STAMP(job.stamp.width = 0);
	STAMP(job.stamp.height = 0);
	STAMP(job.stamp.stride = 0);
	STAMP(job.stamp.stride--);
	STAMP(job.stamp.width++);
	STAMP(job.stamp.width = most);
	STAMP(job.stamp.width = 1U << 30 | 24);
	STAMP(job.stamp.height = most);
	STAMP(job.stamp.stride = most);
	STAMP(job.stamp.stride = most; job.stamp.height = most);
	STAMP(job.stamp.stride = most; job.stamp.height = most;
	      job.stamp.width = most / 4);
	STAMP(job.stamp.height = SIZE / (24 * 4) + 1);
	STAMP(job.stamp.offset = SIZE);
	STAMP(job.stamp.offset = -1ULL);
	STAMP(job.stamp.offset = -4096ULL);
	STAMP(job.stamp.offset = SIZE - 32 * 24 * 4 + 1);
	STAMP(job.stamp.x = 17);
	STAMP(job.stamp.x = 24);
	STAMP(job.stamp.x = most);
	STAMP(job.stamp.x = most - 7);
	STAMP(job.stamp.y = 17);
	STAMP(job.stamp.y = 32);
	STAMP(job.stamp.y = most);
	STAMP(job.stamp.y = most - 15);
	STAMP(job.stamp.foreground = 1U << 24);
	STAMP(job.stamp.background = 1U << 24);
	STAMP(job.stamp.text[0] = '\0');
	STAMP(job.stamp.text[0] = '\n');
	STAMP(job.stamp.text[0] = '\x7f');
	STAMP(job.stamp.text[0] = '\xe4');
	STAMP(memcpy(job.stamp.text, "LLL", 4));
	STAMP(job.stamp.width = 100 * 8; job.stamp.stride = 100 * 8 * 4;
	      job.stamp.height = 20; job.stamp.y = 0;
	      memset(job.stamp.text, 'x', VION_TEXT_LEN));
	STAMP(job.space[13] = 1);
	expect_pattern(f->addr, SIZE, 7);
}

static void refuses_what_is_no_buffer(void **state)
{
	struct fixture *f = *state;
	struct vion_job job = copy_job(-1, 0, 0, 0, 4);
	int pipes[2];

	expect(sys(pipe(pipes)), 0);
	expect(submit(f->vion, &job), -EBADF);
	job.copy.fd = 1000;
	expect(submit(f->vion, &job), -EBADF);
	job.copy.fd = pipes[0];
	expect(submit(f->vion, &job), -EINVAL);
	job.copy.fd = f->vion;
	expect(submit(f->vion, &job), -EINVAL);
	expect(submit(f->vion, NULL), -EFAULT);
	expect(submit(f->vion, (void *)-PAGE), -EFAULT);
	expect(request(f->vion, VION_RESULT, NULL), -EFAULT);

	expect(request(f->vion, VION_UNREGISTER_ION, &f->fd), 0);
	job = fill_job(0, 4, 0);
	expect(submit(f->vion, &job), -ENXIO);
	close(pipes[0]);
	close(pipes[1]);
}

/* The answer cannot be written: there is no job, and no descriptor. */
static void answers_before_it_begins(void **state)
{
	struct fixture *f = *state;
	struct vion_job *job = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int before;

	*job = fill_job(0, SIZE, 0x55555555);
	job->flags = VION_JOB_FENCE;
	expect(sys(mprotect(job, PAGE, PROT_READ)), 0);
	before = open_descriptors();
	expect(submit(f->vion, job), -EFAULT);
	expect(open_descriptors(), before);
	expect_zero(f->addr, SIZE);
	expect(ask_result(f->vion, 1), -ENOENT);
	munmap(job, PAGE);
}

static void read_only_buffers_are_not_written(void **state)
{
	struct fixture *f = *state;
	int vgem = open_vgem(), fd = export_from_vgem(vgem, SIZE, 0);
	struct vion_job job = fill_job(0, 4, -1);
	static unsigned char zero[SIZE];

	fill(f->addr, SIZE, 8);
	expect(reg(f->vion, fd), 0);
	expect(submit(f->vion, &job), -EACCES);
	job = stamp_job(DRM_FORMAT_RGB565);
	expect(submit(f->vion, &job), -EACCES);
	job = copy_job(f->fd, 0, 0, 0, SIZE);
	expect(submit(f->vion, &job), -EACCES);
	job = copy_job(fd, 0, 0, SIZE / 2, 4);
	expect(submit(f->vion, &job), -EACCES);
	expect(sys(pwrite(f->vion, "x", 1, 0)), -EACCES);
	expect(sys(pwrite(f->vion, "x", 0, 0)), -EACCES);
	/* It can be read. */
	expect(finish(f->vion, fd, crc_job(0, SIZE)).crc32,
	       crc_of(zero, SIZE));
	finish(f->vion, f->fd, copy_job(f->fd, 1, 0, 0, PAGE));
	expect_zero(f->addr, PAGE);
	expect(reg(f->vion, f->fd), 0);
	job = copy_job(fd, 1, 0, 0, SIZE);
	expect(submit(f->vion, &job), -EACCES);
	finish(f->vion, f->fd, copy_job(fd, 0, PAGE, 0, PAGE));
	expect_zero(f->addr, 2 * PAGE);
	close(fd);
	close(vgem);
}

/* ---- results */

static void results_are_kept_for_a_while(void **state)
{
	struct fixture *f = *state;
	struct vion_job job = crc_job(0, 1);
	__u32 crc = crc_of(f->addr, 1);

	expect(ask_result(f->vion, 0), -ENOENT);
	expect(ask_result(f->vion, 1), -ENOENT);
	expect(ask_result(f->vion, -1ULL), -ENOENT);
	for (__u64 id = 1; id <= VION_MAX_JOBS; id++) {
		/* Those before must have ended for the next turn. */
		while (submit(f->vion, &job) == -EBUSY)
			wait_for(f->fd, POLLOUT);
		expect(job.id, id);
	}
	wait_for(f->fd, POLLOUT);
	for (__u64 id = 1; id <= VION_MAX_JOBS; id++)
		expect(result_of(f->vion, id).crc32, crc);
	expect(ask_result(f->vion, VION_MAX_JOBS + 1), -ENOENT);
	job = fill_job(0, 1, 0);
	expect(submit(f->vion, &job), 0);
	wait_for(f->fd, POLLOUT);
	expect(result_of(f->vion, VION_MAX_JOBS + 1).crc32, 0);
	expect(ask_result(f->vion, 1), -ENOENT);
	expect(ask_result(f->vion, 2), 0);
	expect(ask_result(f->vion, VION_MAX_JOBS + 2), -ENOENT);
	expect(ask_result(f->vion, 2ULL * VION_MAX_JOBS), -ENOENT);
}

/* None of which can begin. */
static void a_thousand_wait_in_order(void **state)
{
	struct fixture *f = *state;
	struct gate gate = make_gate(f->fd);
	static __u32 crcs[500];
	struct vion_job job;

	expect(shut(&gate, VGEM_WRITE), 0);
	for (unsigned int i = 0; i < COUNT(crcs); i++) {
		unsigned char value[4];
		__u32 pattern = i * 0x01000193;

		job = fill_job(8, 4, pattern);
		expect(submit(f->vion, &job), 0);
		job = crc_job(8, 4);
		expect(submit(f->vion, &job), 0);
		expect(job.id, 2 * i + 2);
		for (int k = 0; k < 4; k++)
			value[k] = pattern >> 8 * k;
		crcs[i] = crc_of(value, 4);
	}
	for (unsigned int id = 1; id <= 2 * COUNT(crcs); id++)
		expect(ask_result(f->vion, id), -EAGAIN);
	expect_zero(f->addr, SIZE);
	expect(poll_fd(f->fd, POLLIN | POLLOUT, 0), 0);

	open_gate(&gate);
	wait_for(f->fd, POLLOUT);
	for (unsigned int i = 0; i < COUNT(crcs); i++) {
		expect(result_of(f->vion, 2 * i + 1).status, 0);
		expect(result_of(f->vion, 2 * i + 2).crc32, crcs[i]);
	}
	close(gate.vgem);
}

/* Before all are there the gate may open by itself: then once more. */
static void there_are_not_too_many(void **state)
{
	struct fixture *f = *state;
	struct gate gate = make_gate(f->fd);
	struct vion_job job = crc_job(0, 1);
	long opened = -ETIMEDOUT;

	for (int turn = 0; opened == -ETIMEDOUT && turn < 10; turn++) {
		unsigned int n = 0;
		long ret;

		expect(shut(&gate, VGEM_WRITE), 0);
		while (!(ret = submit(f->vion, &job)) && n <= VION_MAX_JOBS)
			n++;
		opened = signal_fence(gate.vgem, gate.fence);
		if (!opened) {
			expect(ret, -EBUSY);
			expect(n, VION_MAX_JOBS);
		}
		wait_for(f->fd, POLLOUT);
		/* And there is room again. */
		expect(reg(f->vion, f->fd), 0);
		expect(submit(f->vion, &job), 0);
		wait_for(f->fd, POLLOUT);
	}
	expect(opened, 0);
	close(gate.vgem);
}

/* ---- who waits for whom */

static int submit_with_fence(int vion, struct vion_job job, __u64 *id)
{
	job.flags = VION_JOB_FENCE;
	expect(submit(vion, &job), 0);
	expect_ok(job.fence);
	expect(fcntl(job.fence, F_GETFD), FD_CLOEXEC);
	if (id)
		*id = job.id;
	return job.fence;
}

static void writers_wait_for_all(void **state)
{
	struct fixture *f = *state;
	struct gate gate = make_gate(f->fd);
	struct vion_job job = fill_job(0, SIZE, 0x11111111);

	for (__u32 flags = 0; flags <= VGEM_WRITE; flags++) {
		expect(shut(&gate, flags), 0);
		expect(submit(f->vion, &job), 0);
		expect(ask_result(f->vion, job.id), -EAGAIN);
		/* It is a writer itself: nobody can have it. */
		expect(poll_fd(f->fd, POLLIN | POLLOUT, 0), 0);
		expect_zero(f->addr, SIZE);
		open_gate(&gate);
		wait_for(f->fd, POLLIN);
		wait_for(f->fd, POLLOUT);
		expect(result_of(f->vion, job.id).status, 0);
		expect(f->addr[SIZE - 1], 0x11);
		memset(f->addr, 0, SIZE);
	}
	close(gate.vgem);
}

static void readers_wait_for_writers_only(void **state)
{
	struct fixture *f = *state;
	struct gate gate = make_gate(f->fd);
	struct vion_job job = crc_job(0, SIZE);
	int fence;

	expect(shut(&gate, 0), 0);
	fence = submit_with_fence(f->vion, job, NULL);
	wait_for(fence, POLLIN);
	close(fence);
	expect(submit(f->vion, &job), 0);
	/* Other readers do not see it; and the gate is still there. */
	expect(poll_fd(f->fd, POLLIN | POLLOUT, 0), POLLIN);
	open_gate(&gate);
	wait_for(f->fd, POLLOUT);

	expect(shut(&gate, VGEM_WRITE), 0);
	expect(submit(f->vion, &job), 0);
	expect(ask_result(f->vion, job.id), -EAGAIN);
	open_gate(&gate);
	wait_for(f->fd, POLLOUT);
	expect(ask_result(f->vion, job.id), 0);
	close(gate.vgem);
}

/* As those of another driver do, which refuses while there is a fence. */
static void others_wait_for_jobs(void **state)
{
	struct fixture *f = *state;
	int other = alloc_fd(f->ion, SYSTEM, SIZE);
	struct gate gate = make_gate(f->fd), far = make_gate(other);
	struct vion_job job = copy_job(other, 1, 0, 0, SIZE);

	/* Reads the one, writes the other, and waits for a third. */
	fill(f->addr, SIZE, 9);
	expect(shut(&far, 0), 0);
	expect(submit(f->vion, &job), 0);
	expect(shut(&gate, VGEM_WRITE), -EBUSY);
	expect(poll_fd(f->fd, POLLIN | POLLOUT, 0), POLLIN);
	expect(poll_fd(other, POLLIN | POLLOUT, 0), 0);
	expect(shut(&gate, 0), 0);
	open_gate(&gate);
	open_gate(&far);
	wait_for(other, POLLOUT);
	expect(shut(&gate, VGEM_WRITE), 0);
	open_gate(&gate);
	expect(shut(&far, VGEM_WRITE), 0);
	open_gate(&far);
	close(gate.vgem);
	close(far.vgem);
	close(other);
}

/* A job of one buffer is behind one of another, which cannot begin. */
static void order_holds_across_buffers(void **state)
{
	struct fixture *f = *state;
	int other = alloc_fd(f->ion, SYSTEM, SIZE);
	struct gate gate = make_gate(f->fd);
	struct vion_job first = fill_job(0, 4, 1), second = fill_job(0, 4, 2);

	expect(shut(&gate, 0), 0);
	expect(submit(f->vion, &first), 0);
	expect(reg(f->vion, other), 0);
	expect(submit(f->vion, &second), 0);
	expect(poll_fd(other, POLLIN | POLLOUT, 0), 0);
	expect(ask_result(f->vion, second.id), -EAGAIN);
	open_gate(&gate);
	wait_for(other, POLLOUT);
	expect(ask_result(f->vion, first.id), 0);
	expect(ask_result(f->vion, second.id), 0);
	close(gate.vgem);
	close(other);
}

static void sync_files_tell_the_end(void **state)
{
	struct fixture *f = *state;
	struct gate gate = make_gate(f->fd);
	struct sync_merge_data merge = { .name = "both" };
	int first, second;
	__u64 id;

	expect(shut(&gate, VGEM_WRITE), 0);
	first = submit_with_fence(f->vion, fill_job(0, 4, 1), &id);
	second = submit_with_fence(f->vion, crc_job(0, 4), NULL);
	merge.fd2 = second;
	expect(request(first, SYNC_IOC_MERGE, &merge), 0);
	expect(sync_status(first), 0);
	expect(sync_status(merge.fence), 0);
	/* Nothing comes in time. */
	expect(poll_fd(first, POLLIN, 20), 0);
	expect(poll_fd(f->fd, POLLOUT, 20), 0);
	open_gate(&gate);
	wait_for(merge.fence, POLLIN);
	expect(sync_status(first), 1);
	expect(sync_status(second), 1);
	expect(sync_status(merge.fence), 1);
	expect(ask_result(f->vion, id), 0);
	close(first);
	close(second);
	close(merge.fence);
	close(gate.vgem);
}

/* Fences that expire do not hold jobs up for ever. */
static void a_fence_may_expire(void **state)
{
	struct fixture *f = *state;
	struct gate gate;
	struct vgem_signal signal;
	struct vion_job job = fill_job(0, 4, 1);

	if (!LP64)
		skip();
	gate = make_gate(f->fd);
	expect(shut(&gate, VGEM_WRITE), 0);
	expect(submit(f->vion, &job), 0);
	wait_for(f->fd, POLLOUT);
	expect(ask_result(f->vion, job.id), 0);
	signal = (struct vgem_signal){ .fence = gate.fence };
	expect(request(gate.vgem, VGEM_SIGNAL, &signal), -ETIMEDOUT);
	close(gate.vgem);
}

/**
 * struct pair - a process and its child
 * @f: what both have
 * @sock: two ends, the child has the second
 */
struct pair {
	struct fixture *f;
	int sock[2];
};

static void tell(int sock)
{
	char byte = 0;

	expect(sys(write(sock, &byte, 1)), 1);
}

static void hear(int sock)
{
	char byte;

	expect(sys(read(sock, &byte, 1)), 1);
}

static pid_t start_child(struct pair *pair, struct fixture *f,
			 int (*child)(struct pair *pair))
{
	pid_t pid;

	pair->f = f;
	expect(sys(socketpair(AF_UNIX, SOCK_STREAM, 0, pair->sock)), 0);
	pid = expect_ok(sys(fork()));
	if (!pid) {
		close(pair->sock[0]);
		_exit(child(pair));
	}
	close(pair->sock[1]);
	return pid;
}

/* The signal that ended it, or its exit status, negative. */
static int end_child(struct pair *pair, pid_t pid)
{
	int status;

	expect(sys(waitpid(pid, &status, 0)), pid);
	close(pair->sock[0]);
	return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

/**
 * struct sleeper - a thread that waits
 * @thread: the thread
 * @tid: what the kernel knows it by, once it is there
 * @call: what it does
 * @fd: with what
 * @ret: what came of it, -EINPROGRESS before
 * @data: what it read
 */
struct sleeper {
	pthread_t thread;
	int tid, fd;
	long (*call)(struct sleeper *sleeper);
	long ret;
	char data[4];
};

static void *sleep_in_call(void *arg)
{
	struct sleeper *s = arg;
	sigset_t signals;

	/* They are for the test. */
	sigfillset(&signals);
	expect(pthread_sigmask(SIG_BLOCK, &signals, NULL), 0);
	__atomic_store_n(&s->tid, syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	__atomic_store_n(&s->ret, s->call(s), __ATOMIC_SEQ_CST);
	return NULL;
}

static void start_sleeping(struct sleeper *s, int fd,
			   long (*call)(struct sleeper *sleeper))
{
	*s = (struct sleeper){ .fd = fd, .call = call, .ret = -EINPROGRESS };
	expect(pthread_create(&s->thread, NULL, sleep_in_call, s), 0);
	while (!__atomic_load_n(&s->tid, __ATOMIC_SEQ_CST))
		sched_yield();
	until_it_sleeps(s->tid);
}

static void is_asleep(struct sleeper *s)
{
	expect(__atomic_load_n(&s->ret, __ATOMIC_SEQ_CST), -EINPROGRESS);
}

static void wakes_up(struct sleeper *s, long ret)
{
	expect(pthread_join(s->thread, NULL), 0);
	expect(s->ret, ret);
}

static long begins_to_read(struct sleeper *s)
{
	return sync_buffer(s->fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
}

static long polls(struct sleeper *s)
{
	return poll_fd(s->fd, POLLIN, LONG);
}

static long reads(struct sleeper *s)
{
	return sys(pread(s->fd, s->data, sizeof(s->data), 0));
}

/* Has only the buffer, and reads it when the writer is ready. */
static int reader(struct pair *pair)
{
	struct fixture *f = pair->f;

	expect(poll_fd(f->fd, POLLIN, 0), 0);
	tell(pair->sock[1]);
	expect(sync_buffer(f->fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ), 0);
	for (size_t i = 0; i < SIZE; i++)
		expect_byte(i, SIZE, f->addr[i], 0x5a);
	expect(poll_fd(f->fd, POLLIN, 0), POLLIN);
	return 0;
}

static void a_reader_waits_in_another_process(void **state)
{
	struct fixture *f = *state;
	struct gate gate = make_gate(f->fd);
	struct vion_job job = fill_job(0, SIZE, 0x5a5a5a5a);
	struct pair pair;
	pid_t pid;

	expect(shut(&gate, 0), 0);
	expect(submit(f->vion, &job), 0);
	pid = start_child(&pair, f, reader);
	hear(pair.sock[0]);
	until_it_sleeps(pid);
	open_gate(&gate);
	expect(end_child(&pair, pid), 0);
	close(gate.vgem);
}

/* ---- how they end */

static void close_cancels_what_has_not_begun(void **state)
{
	struct fixture *f = *state;
	struct gate gate = make_gate(f->fd);
	struct sleeper beginner, poller;
	int fences[20];

	expect(shut(&gate, 0), 0);
	for (size_t i = 0; i < COUNT(fences); i++)
		fences[i] = submit_with_fence(f->vion, i % 2 ?
					      crc_job(0, SIZE) :
					      fill_job(0, SIZE, -1), NULL);
	start_sleeping(&beginner, f->fd, begins_to_read);
	start_sleeping(&poller, f->fd, polls);
	is_asleep(&beginner);
	close(f->vion);
	wakes_up(&beginner, 0);
	wakes_up(&poller, POLLIN);
	/* All is over before the file is closed. */
	expect(poll_fd(f->fd, POLLIN, 0), POLLIN);
	for (size_t i = 0; i < COUNT(fences); i++) {
		expect(sync_status(fences[i]), -ECANCELED);
		expect(poll_fd(fences[i], POLLIN, 0), POLLIN);
		close(fences[i]);
	}
	/* The gate is still there, and was not touched. */
	expect(poll_fd(f->fd, POLLOUT, 0), 0);
	expect_zero(f->addr, SIZE);
	open_gate(&gate);
	expect(poll_fd(f->fd, POLLOUT, 0), POLLOUT);
	f->vion = open_vion();
	close(gate.vgem);
}

/* Some have been done, one may have been under way, and the rest was not. */
static void close_while_they_run(void **state)
{
	const size_t size = 4 * MiB;
	int ion = open_ion(), fd = alloc_fd(ion, SYSTEM, size), vion;
	unsigned char *addr = map(fd, size), last;
	unsigned int cancelled = 0;
	int fences[8];

	(void)state;
	for (unsigned int turn = 0; turn < 8; turn++) {
		unsigned int done = 0;

		vion = open_vion();
		expect(reg(vion, fd), 0);
		for (size_t i = 0; i < COUNT(fences); i++)
			fences[i] = submit_with_fence(vion, fill_job(0, size,
						      i + 1), NULL);
		/* Later and later. */
		for (unsigned int i = 0; i < turn; i++)
			wait_for(fences[i], POLLIN);
		close(vion);
		while (done < COUNT(fences) && sync_status(fences[done]) == 1)
			done++;
		assert_in_range(done, turn, COUNT(fences));
		cancelled += COUNT(fences) - done;
		for (size_t i = 0; i < COUNT(fences); i++) {
			if (i >= done)
				expect(sync_status(fences[i]), -ECANCELED);
			close(fences[i]);
		}
		/* What was under way may have come somewhere. */
		last = done + 1;
		for (size_t i = 0; i < size; i += 4) {
			if (addr[i] != last)
				last = done;
			expect(addr[i], last);
		}
	}
	assert_in_range(cancelled, 1, 8 * COUNT(fences));
	munmap(addr, size);
	close(fd);
	ion_close(ion);
}

/* Until a job that fills the memory has begun, and has not ended long ago. */
static void until_it_is(const unsigned char *byte, unsigned char wanted)
{
	unsigned char came = !wanted;

	for (int i = 0; came != wanted && i < 100000000; i++) {
		sched_yield();
		came = __atomic_load_n(byte, __ATOMIC_SEQ_CST);
	}
	expect(came, wanted);
}

#define BIG (32 * MiB)

/* Now and then it may have come to its end before that. */
static void close_stops_a_long_job(void **state)
{
	int ion = open_ion(), fd = alloc_fd(ion, SYSTEM, BIG), status = 1;
	unsigned char *addr = map(fd, BIG);

	(void)state;
	for (unsigned int turn = 1; status == 1 && turn < 20; turn++) {
		int vion = open_vion(), fence;

		expect(reg(vion, fd), 0);
		fence = submit_with_fence(vion, fill_job(0, BIG, 0x01010101 *
							 turn), NULL);
		until_it_is(addr, turn);
		close(vion);
		status = sync_status(fence);
		expect(addr[BIG - 1], status == 1 ? turn : turn - 1);
		expect(poll_fd(fd, POLLOUT, 0), POLLOUT);
		close(fence);
	}
	expect(status, -ECANCELED);
	munmap(addr, BIG);
	close(fd);
	ion_close(ion);
}

static int submits_and_waits(struct pair *pair)
{
	struct vion_job job = fill_job(0, SIZE, 0x77777777);

	expect(submit(pair->f->vion, &job), 0);
	tell(pair->sock[1]);
	pause();
	return 1;
}

static void the_submitter_may_be_killed(void **state)
{
	struct fixture *f = *state;
	struct gate gate = make_gate(f->fd);
	struct pair pair;
	pid_t pid;

	expect(shut(&gate, 0), 0);
	pid = start_child(&pair, f, submits_and_waits);
	hear(pair.sock[0]);
	expect(sys(kill(pid, SIGKILL)), 0);
	expect(end_child(&pair, pid), SIGKILL);
	expect(ask_result(f->vion, 1), -EAGAIN);
	expect_zero(f->addr, SIZE);
	open_gate(&gate);
	wait_for(f->fd, POLLOUT);
	expect(result_of(f->vion, 1).status, 0);
	expect(f->addr[SIZE - 1], 0x77);
	close(gate.vgem);
}

static int opens_submits_and_waits(struct pair *pair)
{
	int vion = open_vion(), fence;

	expect(reg(vion, pair->f->fd), 0);
	fence = submit_with_fence(vion, fill_job(0, SIZE, -1), NULL);
	send_fd(pair->sock[1], fence);
	pause();
	return 1;
}

/* With the last who has the file open, its jobs end. */
static void the_only_one_who_has_vion_is_killed(void **state)
{
	struct fixture *f = *state;
	struct gate gate = make_gate(f->fd);
	struct sleeper beginner, poller;
	struct pair pair;
	int fence;
	pid_t pid;

	close(f->vion);
	expect(shut(&gate, 0), 0);
	pid = start_child(&pair, f, opens_submits_and_waits);
	fence = receive_fd(pair.sock[0]);
	expect(sync_status(fence), 0);
	start_sleeping(&beginner, f->fd, begins_to_read);
	start_sleeping(&poller, f->fd, polls);
	is_asleep(&beginner);
	expect(sys(kill(pid, SIGKILL)), 0);
	expect(end_child(&pair, pid), SIGKILL);
	wakes_up(&beginner, 0);
	wakes_up(&poller, POLLIN);
	wait_for(fence, POLLIN);
	expect(sync_status(fence), -ECANCELED);
	expect_zero(f->addr, SIZE);
	open_gate(&gate);
	close(fence);
	close(gate.vgem);
	f->vion = open_vion();
}

/* It has the buffers, whoever else lets go of them. */
static void jobs_keep_their_buffers(void **state)
{
	struct fixture *f = *state;
	int from = alloc_fd(f->ion, SYSTEM, SIZE), fence;
	unsigned char *addr = map(from, SIZE);
	struct vion_job job;
	struct gate gate;

	fill(addr, SIZE, 11);
	munmap(addr, SIZE);
	gate = make_gate(from);
	expect(shut(&gate, VGEM_WRITE), 0);
	fence = submit_with_fence(f->vion, copy_job(from, 0, 0, 0, SIZE), NULL);
	close(from);
	/* And the other way around, from a buffer that is replaced. */
	from = alloc_fd(f->ion, CONTIG, SIZE);
	expect(reg(f->vion, from), 0);
	job = fill_job(0, SIZE / 2, 0x99999999);
	expect(submit(f->vion, &job), 0);
	job = copy_job(f->fd, 1, 0, 0, SIZE / 2);
	expect(submit(f->vion, &job), 0);
	expect(request(f->vion, VION_UNREGISTER_ION, &from), 0);
	close(from);
	expect(sync_status(fence), 0);
	open_gate(&gate);
	wait_for(f->fd, POLLOUT);
	expect(sync_status(fence), 1);
	expect(f->addr[0], 0x99);
	expect(f->addr[SIZE / 2 - 1], 0x99);
	for (size_t i = SIZE / 2; i < SIZE; i++)
		expect_byte(i, SIZE, f->addr[i], pattern(i, 11));
	expect(reg(f->vion, f->fd), 0);
	close(fence);
	close(gate.vgem);
}

/* And give them back: when its end was seen, unregistering is enough. */
static void ended_jobs_have_nothing(void **state)
{
	struct fixture *f = *state;
	__u64 id;

	/* Who polled a dma-buf may have been told before it was let go of. */
	expect_bytes_soon(SIZE);
	for (int i = 0; i < 400; i++) {
		int fd = alloc_fd(f->ion, SYSTEM, SIZE);
		int other = alloc_fd(f->ion, SYSTEM, SIZE), fence;

		expect(reg(f->vion, fd), 0);
		fence = submit_with_fence(f->vion, copy_job(other, i % 2, 0, 0,
							    SIZE), &id);
		if (i % 4 < 2)
			wait_for(fence, POLLIN);
		else
			while (ask_result(f->vion, id) == -EAGAIN)
				sched_yield();
		/* Whoever is asked knows. */
		expect(result_of(f->vion, id).status, 0);
		expect(sync_status(fence), 1);
		/* Of which the job has all that is left. */
		close(other);
		expect(request(f->vion, VION_UNREGISTER_ION, &fd), 0);
		close(fd);
		close(fence);
		expect(counted_bytes(), SIZE);
	}
}

static int references(void)
{
	FILE *file = fopen("/sys/module/vion/refcnt", "r");
	int n = -1;

	expect(file && fscanf(file, "%d", &n) == 1, true);
	fclose(file);
	return n;
}

/* In the end: the last fences' memory comes back when nobody can look at it. */
static void module_stays_while_there_are_fences(void **state)
{
	int ion = open_ion(), vion = open_vion();
	int fd = alloc_fd(ion, SYSTEM, SIZE), fence;

	(void)state;
	expect(reg(vion, fd), 0);
	fence = submit_with_fence(vion, fill_job(0, SIZE, 1), NULL);
	wait_for(fence, POLLIN);
	close(vion);
	close(fd);
	ion_close(ion);
	assert_in_range(references(), 1, INT_MAX);
	expect(sys(syscall(SYS_delete_module, "vion", O_NONBLOCK)),
	       -EWOULDBLOCK);
	expect(sync_status(fence), 1);
	close(fence);
	for (int i = 0; references() && i < 10000; i++)
		poll(NULL, 0, 1);
	expect(references(), 0);
}

/* ---- devices */

static void on_alarm(int sig)
{
	(void)sig;
}

/* Again and again, so that one comes while it waits. */
static void alarms(bool on)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval timer = {
		.it_interval.tv_usec = 20000 * on,
		.it_value.tv_usec = 20000 * on,
	};

	expect(sys(sigaction(SIGALRM, &action, NULL)), 0);
	expect(sys(setitimer(ITIMER_REAL, &timer, NULL)), 0);
}

static long device_rw(int test, void *data, int write)
{
	struct ion_test_rw_data rw = {
		.ptr = (uintptr_t)data, .size = SIZE, .write = write,
	};

	return request(test, ION_IOC_TEST_DMA_MAPPING, &rw);
}

/* What a job wrote a device sees, and the other way around. */
static void devices_see_what_jobs_do(void **state)
{
	struct fixture *f = *state;
	int test = expect_ok(sys(open("/dev/ion-test", O_RDWR | O_CLOEXEC)));
	static unsigned char data[SIZE], wanted[SIZE];

	expect(sys(ioctl(test, ION_IOC_TEST_SET_FD, f->fd)), 0);
	for (unsigned int turn = 0; turn < 4; turn++) {
		memset(wanted, 0x40 + turn, SIZE);
		finish(f->vion, f->fd,
		       fill_job(0, SIZE, 0x01010101 * (0x40 + turn)));
		expect(device_rw(test, data, 0), 0);
		assert_memory_equal(data, wanted, SIZE);
		fill(data, SIZE, turn);
		expect(device_rw(test, data, 1), 0);
		expect(finish(f->vion, f->fd, crc_job(0, SIZE)).crc32,
		       crc_of(data, SIZE));
	}
	close(test);
}

static unsigned char device_data[SIZE];

static long device_reads(struct sleeper *s)
{
	return device_rw(s->fd, device_data, 0);
}

static long device_writes(struct sleeper *s)
{
	return device_rw(s->fd, device_data, 1);
}

/* For those that they have to wait for. */
static void devices_wait_for_jobs(void **state)
{
	struct fixture *f = *state;
	int test = expect_ok(sys(open("/dev/ion-test", O_RDWR | O_CLOEXEC)));
	struct gate gate = make_gate(f->fd);
	struct vion_job job = fill_job(0, SIZE, 0x6b6b6b6b);
	static unsigned char wanted[SIZE];
	struct sleeper s;

	memset(wanted, 0x6b, SIZE);
	expect(sys(ioctl(test, ION_IOC_TEST_SET_FD, f->fd)), 0);
	expect(shut(&gate, 0), 0);
	expect(device_rw(test, device_data, 0), 0);
	expect(submit(f->vion, &job), 0);
	start_sleeping(&s, test, device_reads);
	alarms(true);
	expect(device_rw(test, device_data, 0), -EINTR);
	alarms(false);
	is_asleep(&s);
	open_gate(&gate);
	wakes_up(&s, 0);
	assert_memory_equal(device_data, wanted, SIZE);

	memset(device_data, 0x7c, SIZE);
	expect(shut(&gate, 0), 0);
	start_sleeping(&s, test, device_writes);
	expect(f->addr[0], 0x6b);
	open_gate(&gate);
	wakes_up(&s, 0);
	assert_memory_equal(f->addr, device_data, SIZE);
	close(gate.vgem);
	close(test);
}

/* One that has the buffer mapped all the while, up to Linux 6.12. */
static void mapped_devices_see_it_too(void **state)
{
	struct fixture *f = *state;
	struct gate gate = make_gate(f->fd);
	static unsigned char data[SIZE];

	fill(data, SIZE, 12);
	expect(pwrite(f->vion, data, SIZE, 0), SIZE);
	expect(finish(f->vion, f->fd, crc_job(0, SIZE)).crc32,
	       crc_of(data, SIZE));
	finish(f->vion, f->fd, fill_job(0, SIZE / 2, 0x21212121));
	memset(data, 0x21, SIZE / 2);
	expect(finish(f->vion, f->fd, crc_job(0, SIZE)).crc32,
	       crc_of(data, SIZE));
	expect(pread(f->vion, data, SIZE, 0), SIZE);
	assert_memory_equal(f->addr, data, SIZE);
	close(gate.vgem);
}

/* ---- other drivers' buffers */

static int foreign_buffer(int which)
{
	return which ? alloc_from_dma_heap(SIZE) : make_udmabuf(SIZE);
}

/* All is done when the request returns. */
static void foreign_jobs_are_done_at_once(void **state)
{
	struct fixture *f = *state;
	int tried = 0;

	for (int which = 0; which < 2; which++) {
		int fd = foreign_buffer(which), fence;
		unsigned char *addr;
		struct vion_job job;
		__u64 id;

		if (fd < 0)
			continue;
		tried++;
		addr = map(fd, SIZE);
		expect(reg(f->vion, fd), 0);
		fence = submit_with_fence(f->vion,
					  fill_job(0, SIZE, 0x34343434), &id);
		expect(sync_status(fence), 1);
		expect(result_of(f->vion, id).status, 0);
		expect(poll_fd(fd, POLLIN | POLLOUT, 0), POLLIN | POLLOUT);
		expect(addr[0], 0x34);
		expect(addr[SIZE - 1], 0x34);
		expect(sync_buffer(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW),
		       0);
		fill(addr, SIZE, 13);
		expect(sync_buffer(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW), 0);
		job = crc_job(1, SIZE - 1);
		expect(submit(f->vion, &job), 0);
		expect(result_of(f->vion, job.id).crc32,
		       crc_of(addr + 1, SIZE - 1));
		job = copy_job(f->fd, 1, 0, 0, SIZE);
		expect(submit(f->vion, &job), 0);
		expect_pattern(f->addr, SIZE, 13);
		fill(f->addr, SIZE, 14);
		expect(reg(f->vion, f->fd), 0);
		job = copy_job(fd, 1, 0, 0, SIZE);
		expect(submit(f->vion, &job), 0);
		expect_pattern(addr, SIZE, 14);
		job = copy_job(fd, 0, 0, 0, SIZE + 1);
		expect(submit(f->vion, &job), -EINVAL);
		/* Ours goes on as it does. */
		expect(finish(f->vion, f->fd, crc_job(0, SIZE)).crc32,
		       crc_of(addr, SIZE));
		close(fence);
		munmap(addr, SIZE);
		close(fd);
	}
	if (!tried)
		skip();
}

/* Where there is no udmabuf, the test is skipped. */
static unsigned char *map_foreign(size_t size, int *fd)
{
	*fd = make_udmabuf(size);
	if (*fd < 0)
		skip();
	return map(*fd, size);
}

/* Behind a job of ours, which is behind a gate. */
static void foreign_jobs_can_be_interrupted(void **state)
{
	struct fixture *f = *state;
	int fd;
	unsigned char *addr = map_foreign(SIZE, &fd);
	struct gate gate = make_gate(f->fd);
	struct vion_job job = fill_job(0, 4, 1), foreign;

	expect(shut(&gate, VGEM_WRITE), 0);
	expect(submit(f->vion, &job), 0);
	foreign = copy_job(fd, 1, 0, 0, 4);
	foreign.flags = VION_JOB_FENCE;
	alarms(true);
	expect(submit(f->vion, &foreign), -EINTR);
	alarms(false);
	/* It never was. */
	expect(ask_result(f->vion, 2), -ENOENT);
	expect_zero(addr, SIZE);
	open_gate(&gate);
	expect(submit(f->vion, &foreign), 0);
	expect(foreign.id, 2);
	expect(ask_result(f->vion, 1), 0);
	expect(addr[0], 1);
	close(foreign.fence);

	/* And for the fence of the other buffer itself. */
	expect(shut(&gate, VGEM_WRITE), 0);
	foreign.flags = 0;
	alarms(true);
	expect(submit(f->vion, &foreign), -EINTR);
	alarms(false);
	expect(ask_result(f->vion, 3), -ENOENT);
	open_gate(&gate);
	munmap(addr, SIZE);
	close(fd);
	close(gate.vgem);
}

static int submits_foreign(struct pair *pair)
{
	int fd = receive_fd(pair->sock[1]);
	struct vion_job job = copy_job(fd, 1, 0, 0, SIZE);

	tell(pair->sock[1]);
	return -submit(pair->f->vion, &job);
}

/* Killed while it waits: then others get their turn, and nothing was done. */
static void a_waiting_foreign_job_may_be_killed(void **state)
{
	struct fixture *f = *state;
	int fd;
	unsigned char *addr = map_foreign(SIZE, &fd);
	struct gate gate = make_gate(f->fd);
	struct vion_job job = crc_job(0, 4);
	struct pair pair;
	pid_t pid;

	fill(f->addr, SIZE, 15);
	expect(shut(&gate, VGEM_WRITE), 0);
	pid = start_child(&pair, f, submits_foreign);
	send_fd(pair.sock[0], fd);
	hear(pair.sock[0]);
	expect(sys(kill(pid, SIGKILL)), 0);
	expect(end_child(&pair, pid), SIGKILL);
	expect(submit(f->vion, &job), 0);
	expect(job.id, 1);
	open_gate(&gate);
	wait_for(f->fd, POLLOUT);
	expect_zero(addr, SIZE);
	munmap(addr, SIZE);
	close(fd);
	close(gate.vgem);
}

static int fills_foreign(struct pair *pair)
{
	struct vion_job job = fill_job(0, BIG, 0x01010101);

	return -submit(pair->f->vion, &job);
}

/* As with close_stops_a_long_job(). */
static void a_kill_stops_a_long_foreign_job(void **state)
{
	struct fixture *f = *state;
	int fd, status = 0;
	unsigned char *addr;
	struct vion_job job = crc_job(0, 4);
	struct pair pair;
	pid_t pid;

	/* No more than 256 KiB in a piece are bounced, and udmabuf's is one. */
	if (bounces())
		skip();
	addr = map_foreign(BIG, &fd);
	expect(reg(f->vion, fd), 0);
	for (__u64 id = 1; !status && id < 20; id++) {
		memset(addr, 0, BIG);
		pid = start_child(&pair, f, fills_foreign);
		until_it_is(addr, 1);
		expect(sys(kill(pid, SIGKILL)), 0);
		end_child(&pair, pid);
		status = result_of(f->vion, id).status;
		expect(addr[BIG - 1], !status);
	}
	expect(status, -ECANCELED);
	/* And others have their turn. */
	expect(submit(f->vion, &job), 0);
	expect(result_of(f->vion, job.id).status, 0);
	munmap(addr, BIG);
	close(fd);
}

/* ---- read() and write() */

static void reading_waits_for_writers(void **state)
{
	struct fixture *f = *state;
	struct gate gate = make_gate(f->fd);
	struct vion_job job = fill_job(0, SIZE, 0x64636261);
	struct sleeper s;

	expect(shut(&gate, 0), 0);
	/* A reader does not mind. */
	expect(pread(f->vion, s.data, 4, 0), 4);
	expect(submit(f->vion, &job), 0);
	start_sleeping(&s, f->vion, reads);
	alarms(true);
	expect(sys(pwrite(f->vion, "x", 1, 0)), -EINTR);
	alarms(false);
	expect(sys(fcntl(f->vion, F_SETFL, O_NONBLOCK)), 0);
	expect(sys(pwrite(f->vion, "x", 1, 0)), -EAGAIN);
	expect(sys(pread(f->vion, s.data, 1, 0)), -EAGAIN);
	expect(sys(fcntl(f->vion, F_SETFL, 0)), 0);
	open_gate(&gate);
	wakes_up(&s, 4);
	assert_memory_equal(s.data, "abcd", 4);
	close(gate.vgem);
}

/* It waits for one buffer while another takes its place. */
static void a_waiting_read_is_in_nobodys_way(void **state)
{
	struct fixture *f = *state;
	struct gate gate = make_gate(f->fd);
	int other = alloc_fd(f->ion, SYSTEM, PAGE);
	struct vion_job job = fill_job(0, PAGE, 0x7a797877);
	struct sleeper s;

	expect(shut(&gate, VGEM_WRITE), 0);
	start_sleeping(&s, f->vion, reads);
	expect(lseek(f->vion, 0, SEEK_END), SIZE);
	expect(reg(f->vion, other), 0);
	expect(lseek(f->vion, 0, SEEK_END), PAGE);
	expect(submit(f->vion, &job), 0);
	wait_for(other, POLLOUT);
	is_asleep(&s);
	open_gate(&gate);
	wakes_up(&s, 4);
	assert_memory_equal(s.data, "wxyz", 4);

	/* Or none does. */
	expect(reg(f->vion, f->fd), 0);
	expect(shut(&gate, VGEM_WRITE), 0);
	start_sleeping(&s, f->vion, reads);
	expect(request(f->vion, VION_UNREGISTER_ION, &f->fd), 0);
	open_gate(&gate);
	wakes_up(&s, -ENXIO);
	close(other);
	close(gate.vgem);
}

int main(void)
{
#define with_buffer(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		with_buffer(fill_repeats_its_pattern),
		with_buffer(crc_is_that_of_zlib),
		with_buffer(copies_to_and_from_another),
		with_buffer(copies_within_one),
		cmocka_unit_test(large_ones_of_every_heap),
		with_buffer(stamps_letters),
		with_buffer(stamps_all_characters),
		with_buffer(stamps_to_the_last_byte),
		with_buffer(refuses_bad_jobs),
		with_buffer(refuses_bad_frames),
		with_buffer(refuses_what_is_no_buffer),
		with_buffer(answers_before_it_begins),
		with_buffer(read_only_buffers_are_not_written),
		with_buffer(results_are_kept_for_a_while),
		with_buffer(a_thousand_wait_in_order),
		with_buffer(there_are_not_too_many),
		with_buffer(writers_wait_for_all),
		with_buffer(readers_wait_for_writers_only),
		with_buffer(others_wait_for_jobs),
		with_buffer(order_holds_across_buffers),
		with_buffer(sync_files_tell_the_end),
		with_buffer(a_fence_may_expire),
		with_buffer(a_reader_waits_in_another_process),
		with_buffer(close_cancels_what_has_not_begun),
		cmocka_unit_test(close_while_they_run),
		cmocka_unit_test(close_stops_a_long_job),
		with_buffer(the_submitter_may_be_killed),
		with_buffer(the_only_one_who_has_vion_is_killed),
		with_buffer(jobs_keep_their_buffers),
		with_buffer(ended_jobs_have_nothing),
		with_buffer(devices_see_what_jobs_do),
		with_buffer(devices_wait_for_jobs),
		with_buffer(mapped_devices_see_it_too),
		with_buffer(foreign_jobs_are_done_at_once),
		with_buffer(foreign_jobs_can_be_interrupted),
		with_buffer(a_waiting_foreign_job_may_be_killed),
		with_buffer(a_kill_stops_a_long_foreign_job),
		with_buffer(reading_waits_for_writers),
		with_buffer(a_waiting_read_is_in_nobodys_way),
		cmocka_unit_test(module_stays_while_there_are_fences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
