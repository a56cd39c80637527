/* SPDX-License-Identifier: MIT */
/* Jobs of vion, and the fences of who has to be waited for. */
#ifndef TESTS_JOBS_H
#define TESTS_JOBS_H

#include <libdrm/drm_fourcc.h>
#include <linux/sync_file.h>

#include "exporters.h"

static inline long reg(int vion, int fd)
{
	return request(vion, VION_REGISTER_ION, &fd);
}

static inline struct vion_job fill_job(__u64 offset, __u64 len, __u32 pattern)
{
	return (struct vion_job){
		.type = VION_JOB_FILL,
		.fill = { .offset = offset, .len = len, .pattern = pattern },
	};
}

static inline struct vion_job crc_job(__u64 offset, __u64 len)
{
	return (struct vion_job){
		.type = VION_JOB_CRC32,
		.crc32 = { .offset = offset, .len = len },
	};
}

static inline struct vion_job copy_job(int fd, __u32 to_fd, __u64 offset,
				       __u64 fd_offset, __u64 len)
{
	return (struct vion_job){
		.type = VION_JOB_COPY,
		.copy = { .fd = fd, .to_fd = to_fd, .offset = offset,
			  .fd_offset = fd_offset, .len = len },
	};
}

/* One letter into a frame of three by two. */
static inline struct vion_job stamp_job(__u32 format)
{
	return (struct vion_job){
		.type = VION_JOB_STAMP,
		.stamp = { .width = 24, .height = 32, .stride = 24 * 4,
			   .format = format, .x = 8, .y = 16,
			   .foreground = 0x123456, .text = "L" },
	};
}

static inline long submit(int vion, struct vion_job *job)
{
	return request(vion, VION_SUBMIT, job);
}

static inline struct vion_result result_of(int vion, __u64 id)
{
	struct vion_result result = { .id = id, .status = 1, .crc32 = 1 };

	expect(request(vion, VION_RESULT, &result), 0);
	return result;
}

static inline long ask_result(int vion, __u64 id)
{
	struct vion_result result = { .id = id };

	return request(vion, VION_RESULT, &result);
}

/* As zlib does it. */
static inline __u32 crc_of(const void *addr, size_t len)
{
	static __u32 table[256];
	const unsigned char *p = addr;
	__u32 crc = ~0U;

	for (__u32 i = 0; !table[255] && i < 256; i++) {
		table[i] = i;
		for (int bit = 0; bit < 8; bit++)
			table[i] = table[i] >> 1 ^
				   (table[i] & 1 ? 0xedb88320 : 0);
	}
	while (len--)
		crc = crc >> 8 ^ table[(crc ^ *p++) & 255];
	return ~crc;
}

/* What of @events is there within @ms; of a dma-buf or a sync_file. */
static inline int poll_fd(int fd, short events, int ms)
{
	struct pollfd p = { .fd = fd, .events = events };

	expect_ok(sys(poll(&p, 1, ms)));
	return p.revents;
}

/* Much longer than anything takes that is to come. */
#define LONG 60000

static inline void wait_for(int fd, short events)
{
	expect(poll_fd(fd, events, LONG), events);
}

/* 0: not signalled, 1: signalled, or the error that it signalled with */
static inline int sync_status(int fence)
{
	struct sync_file_info info = { 0 };

	expect(request(fence, SYNC_IOC_FILE_INFO, &info), 0);
	return info.status;
}

/**
 * struct gate - a fence of another driver, which opens when we say so
 * @vgem: the driver's file
 * @handle: the buffer there
 * @fence: the one that is shut
 */
struct gate {
	int vgem;
	__u32 handle, fence;
};

static inline struct gate make_gate(int fd)
{
	struct gate gate = { .vgem = open_vgem() };

	expect(import_into_vgem(gate.vgem, fd, &gate.handle), 0);
	return gate;
}

static inline long shut(struct gate *gate, __u32 flags)
{
	struct vgem_attach attach = {
		.handle = gate->handle, .flags = flags,
	};
	long ret = request(gate->vgem, VGEM_ATTACH, &attach);

	gate->fence = attach.fence;
	return ret;
}

/* Had it been open by itself, that would not be what was tested. */
static inline void open_gate(struct gate *gate)
{
	struct vgem_signal signal = { .fence = gate->fence };

	expect(request(gate->vgem, VGEM_SIGNAL, &signal), 0);
}

#endif
