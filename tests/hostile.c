// SPDX-License-Identifier: MIT
/* Every request of every node with the worst that a program can hand it. */
#include <limits.h>
#include <linux/dma-heap.h>
#include <linux/ion_test.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/klog.h>
#include <sys/sendfile.h>

#include "jobs.h"

#define SIZE (4 * PAGE)
#define ALLOC_SIZE (2 * PAGE)
#define EXISTING ((1U << HEAPS) - 1)

/*
 * Memory that a request may be pointed at, at an address that no mix of halves
 * of bad ones makes, so that what goes wrong does not go into the test itself.
 */
#define ROOM_SIZE (16 * PAGE)
static unsigned char *const room = (unsigned char *)0x10000000;

static int ion, node, vion, importer, buffer;
static int handle;
static __u64 last_job;
static unsigned int heap;
static unsigned long asked;

/* What a request may answer: a set of errors; of none, only success. */
typedef __u64 errors_t;
/* No two of those that come here are 64 apart. */
#define MAY(error) (1ULL << (error) % 64)

static errors_t when(bool wrong, int error)
{
	return wrong ? MAY(error) : 0;
}

struct field {
	const char *name;
	unsigned char offset, size;
};

#define MAX_ARG 160

struct request {
	const char *name;
	int *fd;
	unsigned long cmd;
	bool answers;		/* into its argument */
	bool heaps;		/* once for each heap */
	void (*valid)(void *arg);
	errors_t (*errors)(const void *arg);
	void (*undo)(const void *arg);
	const struct field *fields;
};

static bool in_room(__u64 ptr, __u64 len)
{
	__u64 start = (uintptr_t)room;

	return ptr >= start && ptr <= start + ROOM_SIZE &&
	       len <= start + ROOM_SIZE - ptr;
}

static errors_t no_length(__u64 len, __u64 most)
{
	if (!len || len > most - PAGE + 1)
		return MAY(EINVAL);
	return when(len > ALLOC_SIZE + 1, ENOMEM);
}

static errors_t no_range(__u64 offset, __u64 len)
{
	return when(offset > SIZE || len > SIZE - offset, EINVAL);
}

static errors_t no_buffer(int fd)
{
	if (fd == buffer)
		return 0;
	return fcntl(fd, F_GETFD) < 0 ? MAY(EBADF) : MAY(EINVAL);
}

static void nothing(const void *arg)
{
	(void)arg;
}

/* ---- /dev/ion with handles */

static void alloc_valid(void *arg)
{
	*(struct ion_allocation_data *)arg = (struct ion_allocation_data) {
		.len = ALLOC_SIZE, .heap_id_mask = 1U << heap, .flags = CACHED,
	};
}

static errors_t alloc_errors(const void *arg)
{
	const struct ion_allocation_data *data = arg;
	bool power = !(data->align & (data->align - 1));

	return no_length(data->len, SIZE_MAX) |
	       when(!power || data->align > 4 * MiB, EINVAL) |
	       when(!(data->heap_id_mask & EXISTING), ENODEV);
}

static void alloc_undo(const void *arg)
{
	const struct ion_allocation_data *data = arg;

	expect(ion_free(ion, data->handle), 0);
}

static void free_valid(void *arg)
{
	*(struct ion_handle_data *)arg = (struct ion_handle_data) { handle };
}

static errors_t free_errors(const void *arg)
{
	const struct ion_handle_data *data = arg;

	return when(data->handle != handle, EINVAL);
}

/* One reference more. */
static void free_undo(const void *arg)
{
	int again = 0;

	(void)arg;
	expect(ion_import(ion, buffer, &again), 0);
	expect(again, handle);
}

static void fd_valid(void *arg)
{
	*(struct ion_fd_data *)arg = (struct ion_fd_data) { handle, buffer };
}

static errors_t share_errors(const void *arg)
{
	const struct ion_fd_data *data = arg;

	return when(data->handle != handle, EINVAL);
}

static void share_undo(const void *arg)
{
	const struct ion_fd_data *data = arg;

	expect(inode_of(data->fd) == inode_of(buffer), 1);
	close(data->fd);
}

static errors_t fd_errors(const void *arg)
{
	const struct ion_fd_data *data = arg;

	return no_buffer(data->fd);
}

static void import_undo(const void *arg)
{
	const struct ion_fd_data *data = arg;

	expect(data->handle, handle);
	expect(ion_free(ion, handle), 0);
}

/* The same with handles that are pointers, which other kernels had. */
struct pointer_data {
	__u64 handle;
	__s32 fd;
	__u32 pad;
};

static void pointer_valid(void *arg)
{
	*(struct pointer_data *)arg = (struct pointer_data) { handle, buffer, 0 };
}

static void free_pointer_valid(void *arg)
{
	*(__u64 *)arg = handle;
}

static errors_t pointer_handle_errors(const void *arg)
{
	return when(*(const __u64 *)arg != (__u64)handle, EINVAL);
}

static void share_pointer_undo(const void *arg)
{
	const struct pointer_data *data = arg;

	expect(data->handle == (__u64)handle, 1);
	expect(data->pad, 0);
	expect(inode_of(data->fd) == inode_of(buffer), 1);
	close(data->fd);
}

static errors_t pointer_fd_errors(const void *arg)
{
	const struct pointer_data *data = arg;

	return no_buffer(data->fd);
}

static void import_pointer_undo(const void *arg)
{
	const struct pointer_data *data = arg;

	expect(data->handle == (__u64)handle, 1);
	expect(data->pad, 0);
	expect(ion_free(ion, handle), 0);
}

/* ---- /dev/ion with descriptors, and what is the same for both */

static void new_alloc_valid(void *arg)
{
	*(struct ion_new_allocation_data *)arg =
		(struct ion_new_allocation_data) {
			.len = ALLOC_SIZE, .heap_id_mask = 1U << heap,
			.flags = CACHED,
		};
}

static errors_t new_alloc_errors(const void *arg)
{
	const struct ion_new_allocation_data *data = arg;

	return no_length(data->len, UINT64_MAX) |
	       when(!(data->heap_id_mask & EXISTING), ENODEV);
}

static void new_alloc_undo(const void *arg)
{
	const struct ion_new_allocation_data *data = arg;

	expect(close(data->fd), 0);
}

static void query_valid(void *arg)
{
	*(struct ion_heap_query *)arg = (struct ion_heap_query) {
		.cnt = HEAPS, .heaps = (uintptr_t)room + PAGE,
	};
}

static errors_t query_errors(const void *arg)
{
	const struct ion_heap_query *data = arg;
	size_t n = data->cnt < HEAPS ? data->cnt : HEAPS;

	return when(data->reserved0 || data->reserved1 || data->reserved2 ||
		    (data->heaps && !data->cnt), EINVAL) |
	       when(data->heaps &&
		    !in_room(data->heaps, n * sizeof(struct ion_heap_data)),
		    EFAULT);
}

static void version_valid(void *arg)
{
	*(__u32 *)arg = 0;
}

static errors_t no_errors(const void *arg)
{
	(void)arg;
	return 0;
}

static void range_valid(void *arg)
{
	*(struct ion_sync_range_data *)arg = (struct ion_sync_range_data) {
		buffer, DMA_BUF_SYNC_RW, PAGE, PAGE,
	};
}

static errors_t sync_flags_errors(__u64 flags)
{
	return when(flags & ~(__u64)(DMA_BUF_SYNC_RW | DMA_BUF_SYNC_END) ||
		    !(flags & DMA_BUF_SYNC_RW), EINVAL);
}

static errors_t range_errors(const void *arg)
{
	const struct ion_sync_range_data *data = arg;

	return sync_flags_errors(data->flags) | no_buffer(data->fd) |
	       when(!data->len, EINVAL) | no_range(data->offset, data->len);
}

/* ---- the other nodes, and dma-bufs */

static void heap_valid(void *arg)
{
	*(struct dma_heap_allocation_data *)arg =
		(struct dma_heap_allocation_data) {
			.len = ALLOC_SIZE, .fd_flags = O_RDWR | O_CLOEXEC,
		};
}

static errors_t heap_errors(const void *arg)
{
	const struct dma_heap_allocation_data *data = arg;

	return no_length(data->len, UINT64_MAX) |
	       when(data->fd || data->heap_flags ||
		    data->fd_flags & ~(O_CLOEXEC | O_ACCMODE), EINVAL);
}

static void heap_undo(const void *arg)
{
	const struct dma_heap_allocation_data *data = arg;

	expect(close(data->fd), 0);
}

static void register_valid(void *arg)
{
	*(int *)arg = buffer;
}

static errors_t register_errors(const void *arg)
{
	return no_buffer(*(const int *)arg);
}

static void unregister_undo(const void *arg)
{
	int fd = buffer;

	(void)arg;
	expect(request(vion, VION_REGISTER_ION, &fd), 0);
}

/* ---- jobs */

static void fill_valid(void *arg)
{
	*(struct vion_job *)arg = fill_job(PAGE, PAGE, 0x01020304);
}

static void stamp_valid(void *arg)
{
	*(struct vion_job *)arg = stamp_job(DRM_FORMAT_XRGB8888);
}

static void copy_valid(void *arg)
{
	*(struct vion_job *)arg = copy_job(buffer, 1, 0, 2 * PAGE, PAGE);
}

static void crc_valid(void *arg)
{
	*(struct vion_job *)arg = crc_job(0, SIZE);
	((struct vion_job *)arg)->flags = VION_JOB_FENCE;
}

static bool is_bad_part(__u64 offset, __u64 len)
{
	return !len || no_range(offset, len);
}

static bool is_bad_copy(const struct vion_copy *c)
{
	__u64 a = c->offset, b = c->fd_offset;

	return c->to_fd > 1 || is_bad_part(a, c->len) ||
	       is_bad_part(b, c->len) || (a < b ? b - a : a - b) < c->len;
}

static bool is_bad_stamp(const struct vion_stamp *s)
{
	__u64 bytes = s->format == DRM_FORMAT_XRGB8888 ? 4 :
		      s->format == DRM_FORMAT_RGB888 ? 3 :
		      s->format == DRM_FORMAT_RGB565 ? 2 : 0;
	__u64 line = s->width * bytes, columns = strnlen(s->text, 64) * 8;

	if (!line || line > s->stride || !s->height || !columns ||
	    columns == 64 * 8 || s->foreground > 0xffffff ||
	    s->background > 0xffffff || s->x + columns > s->width ||
	    s->y + 16ULL > s->height)
		return true;
	for (const char *c = s->text; *c; c++)
		if (*c < ' ' || *c > '~')
			return true;
	/* So many lines of so few bytes do not overflow. */
	return s->height - 1 > SIZE ||
	       is_bad_part(s->offset, (s->height - 1ULL) * s->stride + line);
}

static bool is_used(const void *space, size_t used)
{
	for (size_t i = used; i < sizeof(((struct vion_job *)0)->space); i++)
		if (((const char *)space)[i])
			return true;
	return false;
}

static errors_t job_errors(const void *arg)
{
	const struct vion_job *job = arg;
	errors_t errors = when(job->flags & ~VION_JOB_FENCE || job->reserved,
			       EINVAL);

	switch (job->type) {
	case VION_JOB_FILL:
		return errors | when(is_bad_part(job->fill.offset,
						 job->fill.len) ||
				     job->fill.pad ||
				     is_used(job->space, sizeof(job->fill)),
				     EINVAL);
	case VION_JOB_STAMP:
		return errors | when(is_bad_stamp(&job->stamp) ||
				     is_used(job->space, sizeof(job->stamp)),
				     EINVAL);
	case VION_JOB_COPY:
		return errors | no_buffer(job->copy.fd) |
		       when(is_bad_copy(&job->copy) ||
			    is_used(job->space, sizeof(job->copy)), EINVAL);
	case VION_JOB_CRC32:
		return errors | when(is_bad_part(job->crc32.offset,
						 job->crc32.len) ||
				     is_used(job->space, sizeof(job->crc32)),
				     EINVAL);
	default:
		return MAY(EINVAL);
	}
}

static void job_undo(const void *arg)
{
	const struct vion_job *job = arg;

	expect(job->id == last_job + 1, 1);
	last_job = job->id;
	wait_for(buffer, POLLOUT);
	expect(result_of(vion, job->id).status, 0);
	expect(job->fence >= 0, job->flags == VION_JOB_FENCE);
	if (job->fence >= 0)
		close(job->fence);
}

static void result_valid(void *arg)
{
	*(struct vion_result *)arg = (struct vion_result) { .id = last_job };
}

static errors_t result_errors(const void *arg)
{
	const struct vion_result *result = arg;

	return when(!result->id || result->id > last_job ||
		    last_job - result->id >= VION_MAX_JOBS, ENOENT);
}

static void rw_valid(void *arg)
{
	*(struct ion_test_rw_data *)arg = (struct ion_test_rw_data) {
		.ptr = (uintptr_t)room + PAGE, .offset = PAGE, .size = PAGE,
	};
}

static errors_t rw_errors(const void *arg)
{
	const struct ion_test_rw_data *data = arg;

	return no_range(data->offset, data->size) |
	       when(data->size && !in_room(data->ptr, data->size), EFAULT);
}

static void sync_valid(void *arg)
{
	*(struct dma_buf_sync *)arg = (struct dma_buf_sync) { DMA_BUF_SYNC_RW };
}

static errors_t sync_errors(const void *arg)
{
	return sync_flags_errors(((const struct dma_buf_sync *)arg)->flags);
}

/* Each ends with one of no size. */
#define F(type, name) \
	{ #name, offsetof(type, name), sizeof(((type *)0)->name) }
#define FIELDS(name, ...) \
	static const struct field name[] = { __VA_ARGS__, { NULL, 0, 0 } }

FIELDS(alloc_fields, F(struct ion_allocation_data, len),
	F(struct ion_allocation_data, align),
	F(struct ion_allocation_data, heap_id_mask),
	F(struct ion_allocation_data, flags),
	F(struct ion_allocation_data, handle));
FIELDS(fd_fields, F(struct ion_fd_data, handle), F(struct ion_fd_data, fd));
FIELDS(pointer_fields, F(struct pointer_data, handle),
	F(struct pointer_data, fd), F(struct pointer_data, pad));
FIELDS(new_alloc_fields, F(struct ion_new_allocation_data, len),
	F(struct ion_new_allocation_data, heap_id_mask),
	F(struct ion_new_allocation_data, flags),
	F(struct ion_new_allocation_data, fd),
	F(struct ion_new_allocation_data, unused));
FIELDS(query_fields, F(struct ion_heap_query, cnt),
	F(struct ion_heap_query, reserved0), F(struct ion_heap_query, heaps),
	F(struct ion_heap_query, reserved1),
	F(struct ion_heap_query, reserved2));
FIELDS(range_fields, F(struct ion_sync_range_data, fd),
	F(struct ion_sync_range_data, flags),
	F(struct ion_sync_range_data, offset),
	F(struct ion_sync_range_data, len));
FIELDS(heap_fields, F(struct dma_heap_allocation_data, len),
	F(struct dma_heap_allocation_data, fd),
	F(struct dma_heap_allocation_data, fd_flags),
	F(struct dma_heap_allocation_data, heap_flags));
#define JOB_FIELDS(name, ...)						\
	FIELDS(name, F(struct vion_job, type), F(struct vion_job, flags),	\
	       F(struct vion_job, fence), F(struct vion_job, reserved),	\
	       F(struct vion_job, id), F(struct vion_job, space[15]),	\
	       __VA_ARGS__)
JOB_FIELDS(fill_fields, F(struct vion_job, fill.offset),
	F(struct vion_job, fill.len), F(struct vion_job, fill.pattern),
	F(struct vion_job, fill.pad), F(struct vion_job, space[3]));
JOB_FIELDS(stamp_fields, F(struct vion_job, stamp.offset),
	F(struct vion_job, stamp.width), F(struct vion_job, stamp.height),
	F(struct vion_job, stamp.stride), F(struct vion_job, stamp.format),
	F(struct vion_job, stamp.x), F(struct vion_job, stamp.y),
	F(struct vion_job, stamp.foreground),
	F(struct vion_job, stamp.background),
	F(struct vion_job, stamp.text[0]), F(struct vion_job, stamp.text[1]),
	F(struct vion_job, stamp.text[63]));
JOB_FIELDS(copy_fields, F(struct vion_job, copy.fd),
	F(struct vion_job, copy.to_fd), F(struct vion_job, copy.offset),
	F(struct vion_job, copy.fd_offset), F(struct vion_job, copy.len),
	F(struct vion_job, space[4]));
JOB_FIELDS(crc_fields, F(struct vion_job, crc32.offset),
	F(struct vion_job, crc32.len), F(struct vion_job, space[2]));
FIELDS(result_fields, F(struct vion_result, id),
	F(struct vion_result, status), F(struct vion_result, crc32));
FIELDS(rw_fields, F(struct ion_test_rw_data, ptr),
	F(struct ion_test_rw_data, offset), F(struct ion_test_rw_data, size),
	F(struct ion_test_rw_data, write),
	F(struct ion_test_rw_data, __padding));
FIELDS(int_field, { "argument", 0, 4 });
FIELDS(long_field, { "argument", 0, 8 });

#define ION_IOC_FREE_PTR _IOWR('I', 1, __u64)
#define ION_IOC_MAP_PTR _IOWR('I', 2, struct pointer_data)
#define ION_IOC_SHARE_PTR _IOWR('I', 4, struct pointer_data)
#define ION_IOC_IMPORT_PTR _IOWR('I', 5, struct pointer_data)
#define ION_IOC_SYNC_PTR _IOWR('I', 7, struct pointer_data)

#define R(fd, cmd, ...) { #cmd, &(fd), cmd, __VA_ARGS__ }

#define JOB(kind) { "VION_SUBMIT of " #kind, &vion, VION_SUBMIT, true,	\
	false, kind##_valid, job_errors, job_undo, kind##_fields }

static const struct request requests[] = {
	R(ion, ION_IOC_ALLOC, true, true, alloc_valid, alloc_errors, alloc_undo,
	  alloc_fields),
	R(ion, ION_IOC_FREE, false, false, free_valid, free_errors, free_undo,
	  int_field),
	R(ion, ION_IOC_MAP, true, false, fd_valid, share_errors, share_undo,
	  fd_fields),
	R(ion, ION_IOC_SHARE, true, false, fd_valid, share_errors, share_undo,
	  fd_fields),
	R(ion, ION_IOC_IMPORT, true, false, fd_valid, fd_errors, import_undo,
	  fd_fields),
	R(ion, ION_IOC_SYNC, false, false, fd_valid, fd_errors, nothing,
	  fd_fields),
	R(ion, ION_IOC_FREE_PTR, false, false, free_pointer_valid,
	  pointer_handle_errors, free_undo, long_field),
	R(ion, ION_IOC_MAP_PTR, true, false, pointer_valid,
	  pointer_handle_errors, share_pointer_undo, pointer_fields),
	R(ion, ION_IOC_SHARE_PTR, true, false, pointer_valid,
	  pointer_handle_errors, share_pointer_undo, pointer_fields),
	R(ion, ION_IOC_IMPORT_PTR, true, false, pointer_valid,
	  pointer_fd_errors, import_pointer_undo, pointer_fields),
	R(ion, ION_IOC_SYNC_PTR, false, false, pointer_valid, pointer_fd_errors,
	  nothing, pointer_fields),
	R(ion, ION_IOC_NEW_ALLOC, true, true, new_alloc_valid, new_alloc_errors,
	  new_alloc_undo, new_alloc_fields),
	R(ion, ION_IOC_HEAP_QUERY, true, false, query_valid, query_errors,
	  nothing, query_fields),
	R(ion, ION_IOC_ABI_VERSION, true, false, version_valid, no_errors,
	  nothing, int_field),
	R(ion, ION_IOC_SYNC_RANGE, false, false, range_valid, range_errors,
	  nothing, range_fields),
	R(node, DMA_HEAP_IOCTL_ALLOC, true, true, heap_valid, heap_errors,
	  heap_undo, heap_fields),
	R(vion, VION_REGISTER_ION, false, false, register_valid,
	  register_errors, nothing, int_field),
	R(vion, VION_UNREGISTER_ION, false, false, register_valid,
	  register_errors, unregister_undo, int_field),
	JOB(fill), JOB(stamp), JOB(copy), JOB(crc),
	R(vion, VION_RESULT, true, false, result_valid, result_errors, nothing,
	  result_fields),
	R(importer, ION_IOC_TEST_DMA_MAPPING, false, false, rw_valid, rw_errors,
	  nothing, rw_fields),
	R(importer, ION_IOC_TEST_KERNEL_MAPPING, false, false, rw_valid,
	  rw_errors, nothing, rw_fields),
	R(buffer, DMA_BUF_IOCTL_SYNC, false, false, sync_valid, sync_errors,
	  nothing, long_field),
};

/* ---- what must be as before */

struct state {
	int next_fd;
	unsigned long long bytes;	/* in all buffers */
};

static int report;
static struct state usual;	/* while all is open, and nothing else */

static struct state state_now(void)
{
	struct state state;
	char text[64] = "";

	state.next_fd = expect_ok(sys(dup(0)));
	close(state.next_fd);
	assert_in_range(sys(pread(report, text, sizeof(text) - 1, 0)), 10, 63);
	state.bytes = strtoull(text + strlen("counted: "), NULL, 10);
	return state;
}

static void expect_usual(void)
{
	struct state state = state_now();

	expect(state.next_fd, usual.next_fd);
	expect(state.bytes, usual.bytes);
}

static void complain(const struct request *r, const unsigned char *arg,
		     const char *what, long ret)
{
	char text[32];

	print_error("%s answered %s: %s\n", r->name,
		    answer(ret, text, sizeof(text)), what);
	for (const struct field *f = r->fields; f->size; f++) {
		__u64 value = 0;

		memcpy(&value, arg + f->offset, f->size);
		print_error("  %s = %#llx\n", f->name, (long long)value);
	}
	fail_at(__FILE__, __LINE__);
}

static bool is_among(long ret, errors_t errors)
{
	if (!errors)
		return !ret;
	return ret < 0 && ret > -128 && (errors & MAY(-ret));
}

/* Asks; the answer is one of those, and nothing is left of it. */
static long ask_for(const struct request *r, void *arg, errors_t errors)
{
	unsigned char given[MAX_ARG];
	struct state after;
	long ret;

	memcpy(given, arg, _IOC_SIZE(r->cmd));
	ret = request(*r->fd, r->cmd, arg);
	asked++;
	if (!is_among(ret, errors))
		complain(r, given, "that is not documented", ret);
	if (!ret)
		r->undo(arg);
	else if (memcmp(given, arg, _IOC_SIZE(r->cmd)))
		complain(r, given, "its argument changed", ret);
	after = state_now();
	if (after.next_fd != usual.next_fd)
		complain(r, given, "a descriptor is left", ret);
	if (after.bytes != usual.bytes)
		complain(r, given, "memory is left", ret);
	return ret;
}

static long ask(const struct request *r, void *arg)
{
	return ask_for(r, arg, r->errors(arg));
}

static int open_at(const char *path)
{
	return expect_ok(sys(open(path, O_RDWR | O_CLOEXEC)));
}

static int open_node(unsigned int id)
{
	static const char *const names[HEAPS] = {
		"system", "system_contig", "frames", "tiles", "dma",
	};
	char path[64];

	snprintf(path, sizeof(path), "/dev/dma_heap/ion_%s", names[id]);
	return expect_ok(sys(open(path, O_RDONLY | O_CLOEXEC)));
}

static int open_all(void **state)
{
	struct vion_job job;

	(void)state;
	ion = open_ion();
	vion = open_vion();
	importer = open_at("/dev/ion-test");
	node = open_node(0);
	expect(ion_alloc(ion, SIZE, 0, SYSTEM, CACHED, &handle), 0);
	expect(ion_share(ion, handle, &buffer), 0);
	free_undo(NULL);
	expect(request(vion, VION_REGISTER_ION, &buffer), 0);
	expect(sys(ioctl(importer, ION_IOC_TEST_SET_FD, buffer)), 0);
	job = crc_job(0, SIZE);
	expect(submit(vion, &job), 0);
	last_job = job.id;
	usual = state_now();
	return 0;
}

/* Through it all, the one handle had two references. */
static int close_all(void **state)
{
	(void)state;
	expect(ion_free(ion, handle), 0);
	expect(ion_free(ion, handle), 0);
	expect(ion_free(ion, handle), -EINVAL);
	close(ion);
	close(vion);
	close(importer);
	close(node);
	close(buffer);
	expect(state_now().bytes, 0);
	return 0;
}

typedef void request_test(const struct request *r);

static void with_every_request(request_test *test)
{
	unsigned long before = asked;

	for (size_t i = 0; i < COUNT(requests); i++) {
		const struct request *r = &requests[i];

		for (heap = 0; heap < (r->heaps ? HEAPS : 1); heap++) {
			close(node);
			node = open_node(heap);
			test(r);
		}
	}
	assert_true(asked > before);
}

/* ---- fields */

#define BOUNDS 10

static __u64 bound(unsigned int i, __u64 valid, size_t size)
{
	const __u64 max = UINT64_MAX >> (64 - 8 * size), sign = max / 2 + 1;
	const __u64 bounds[BOUNDS] = {
		0, 1, max, max - 1, sign, sign - 1, PAGE + 1, valid + 1,
		valid - 1, valid,
	};

	return bounds[i] & max;
}

static void set_bound(unsigned char *arg, const struct field *f, unsigned int i)
{
	__u64 value = 0;

	memcpy(&value, arg + f->offset, f->size);
	value = bound(i, value, f->size);
	memcpy(arg + f->offset, &value, f->size);
}

static void ask_bounds(const struct request *r, const struct field *a,
		       unsigned int i, const struct field *b, unsigned int j)
{
	unsigned char arg[MAX_ARG] = { 0 };

	r->valid(arg);
	set_bound(arg, a, i);
	if (b)
		set_bound(arg, b, j);
	ask(r, arg);
}

/* Two at a time add lengths to offsets; to that, heaps are all the same. */
static void bounds_of(const struct request *r)
{
	const struct field *a, *b;

	for (a = r->fields; a->size; a++) {
		for (unsigned int i = 0; i < BOUNDS; i++)
			ask_bounds(r, a, i, NULL, 0);
		for (b = a + 1; b->size && !heap; b++)
			for (unsigned int i = 0; i < BOUNDS * BOUNDS; i++)
				ask_bounds(r, a, i % BOUNDS, b, i / BOUNDS);
	}
}

static void fields_at_their_bounds(void **state)
{
	(void)state;
	with_every_request(bounds_of);
}

/* ---- numbers */

/* Those of the kernel's, which are no business of ours. */
static bool is_foreign(int fd, unsigned long cmd)
{
	return fd == buffer && _IOC_TYPE(cmd) == 'b' && _IOC_NR(cmd) < 4;
}

/* A program of 32 bits can ask as one of 64 does. */
static bool is_wide_alloc(int fd, unsigned long cmd)
{
	return !LP64 && fd == ion && cmd == _IOWR('I', 0, char[32]);
}

static errors_t errors_of(int fd, unsigned long cmd, const void *zeroes)
{
	for (size_t i = 0; i < COUNT(requests); i++)
		if (*requests[i].fd == fd && requests[i].cmd == cmd)
			return requests[i].errors(zeroes);
	if (fd == importer && cmd == ION_IOC_TEST_SET_FD)
		return MAY(EBADF);
	return is_wide_alloc(fd, cmd) ? MAY(EINVAL) : MAY(ENOTTY);
}

static void ask_number(int fd, unsigned long cmd)
{
	static unsigned char zeroes[1 << _IOC_SIZEBITS];
	long ret;

	if (is_foreign(fd, cmd))
		return;
	ret = request(fd, cmd, zeroes);
	asked++;
	if (!is_among(ret, errors_of(fd, cmd, zeroes))) {
		print_error("request %#lx with zeroes answered %ld\n", cmd,
			    ret);
		fail_at(__FILE__, __LINE__);
	}
	if (!ret)
		memset(zeroes, 0, sizeof(zeroes));
}

static void all_numbers(void **state)
{
	static const unsigned short sizes[] = {
		0, 1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 19, 20, 21, 23, 24, 25, 31,
		32, 33, 151, 152, 153, 16383,
	};
	static const char letters[] = { 'I', 'H', 'b', 'v', 'J' };
	const int fds[] = { ion, node, vion, importer, buffer };

	(void)state;
	for (unsigned int i = 0; i < COUNT(fds) * COUNT(letters); i++) {
		unsigned char letter = letters[i % COUNT(letters)];
		int fd = fds[i / COUNT(letters)];

		for (unsigned int n = 0; n < 4 * 256 * COUNT(sizes); n++)
			ask_number(fd, _IOC(n & 3, letter, n >> 2 & 255,
					    sizes[n >> 10]));
	}
	expect_usual();
}

/* ---- pointers */

static unsigned char *page;	/* then a page that is not there */
static unsigned char *forbidden;

static void make_pages(void)
{
	page = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(page != MAP_FAILED);
	forbidden = page + 2 * PAGE;
	expect(sys(munmap(page + PAGE, PAGE)), 0);
	expect(sys(mprotect(forbidden, PAGE, PROT_NONE)), 0);
}

static void drop_pages(void)
{
	munmap(page, PAGE);
	munmap(forbidden, PAGE);
}

/* Where no program has anything; only the low half of 64 in one of 32. */
static const __u64 nowhere[] = {
	0, 1, PAGE - 1, -1, -2, -PAGE, -PAGE - 1,
	0xffff888000000000, 0xffff888000001001, 0xffffffff81000000,
	0xffffc90000000000, 0xffff800000000000, 0x8000000000000000,
	0x0000800000000000, 0x00007ffffffff000, 0x00007fffffffffff,
	0xdead000000000100, 0x7fffffffffffffff, 0x00ffffffffffffff,
};

static bool is_pointer(__u64 ptr)
{
	if (LP64)
		return true;
	/* What is cut off may be left with something that is there. */
	return ptr > UINT64_MAX - 8 * PAGE || ptr < PAGE;
}

/* The I-th bad pointer to LEN bytes, or 0 after the last. */
static bool bad_pointer(unsigned int i, size_t len, __u64 *ptr)
{
	const __u64 others[] = {
		(uintptr_t)page + PAGE, (uintptr_t)page + PAGE + 1,
		(uintptr_t)forbidden, (uintptr_t)page + PAGE - len + 1,
		(uintptr_t)forbidden - 1,
	};

	if (i < COUNT(others))
		*ptr = others[i];
	else if (i < COUNT(others) + COUNT(nowhere))
		*ptr = nowhere[i - COUNT(others)];
	else
		return false;
	return true;
}

/* A request that cannot answer has done nothing. */
static void read_only(const struct request *r)
{
	r->valid(page);
	expect(sys(mprotect(page, PAGE, PROT_READ)), 0);
	ask_for(r, page, when(r->answers, EFAULT));
	expect(sys(mprotect(page, PAGE, PROT_READ | PROT_WRITE)), 0);
}

static void misaligned(const struct request *r)
{
	unsigned char arg[MAX_ARG] = { 0 };
	size_t size = _IOC_SIZE(r->cmd);
	long ret;

	for (unsigned int at = 1; at < 8; at++) {
		r->valid(arg);
		memcpy(page + PAGE - size - at, arg, size);
		ret = request(*r->fd, r->cmd, page + PAGE - size - at);
		expect(ret, 0);
		memcpy(arg, page + PAGE - size - at, size);
		r->undo(arg);
		asked++;
	}
}

static void pointers_of(const struct request *r)
{
	size_t size = _IOC_SIZE(r->cmd);
	unsigned char arg[MAX_ARG] = { 0 };
	__u64 ptr;
	long ret;

	/* What is there of it would be right. */
	r->valid(arg);
	memcpy(page + PAGE - size + 1, arg, size - 1);
	for (unsigned int i = 0; bad_pointer(i, size, &ptr); i++) {
		if (!is_pointer(ptr))
			continue;
		ret = request(*r->fd, r->cmd, (void *)(uintptr_t)ptr);
		asked++;
		if (ret != -EFAULT)
			complain(r, arg, "its pointer was bad", ret);
	}
	read_only(r);
	misaligned(r);
	expect_usual();
}

static void pointers_to_arguments(void **state)
{
	(void)state;
	make_pages();
	with_every_request(pointers_of);
	drop_pages();
}

static void point(const struct request *r, __u64 ptr, __u32 write,
		  errors_t errors)
{
	union {
		struct ion_heap_query query;
		struct ion_test_rw_data rw;
	} arg;

	memset(&arg, 0, sizeof(arg));
	r->valid(&arg);
	if (r->cmd == ION_IOC_HEAP_QUERY) {
		arg.query.heaps = ptr;
	} else {
		arg.rw.ptr = ptr;
		arg.rw.write = write;
	}
	ask_for(r, &arg, errors);
}

/* Those are 64 bits for programs of 32, too. */
static void pointers_in_arguments(void **state)
{
	__u64 ptr;

	(void)state;
	make_pages();
	for (size_t k = 0; k < COUNT(requests); k++) {
		const struct request *r = &requests[k];
		bool query = r->cmd == ION_IOC_HEAP_QUERY;

		if (!query && r->fd != &importer)
			continue;
		for (unsigned int i = 0; bad_pointer(i, PAGE / 2, &ptr); i++) {
			/* That asks for how many there are. */
			if (query && !ptr)
				continue;
			/* Of heaps there are few. */
			if (query && ptr == (uintptr_t)page + PAGE / 2 + 1)
				continue;
			point(r, ptr, 0, MAY(EFAULT));
			if (!query)
				point(r, ptr, 1, MAY(EFAULT));
			if (ptr <= UINT32_MAX)
				point(r, ptr | 1ULL << 32, 0, MAY(EFAULT));
		}
		point(r, (uintptr_t)room | 1ULL << 32, 0, MAY(EFAULT));
		point(r, (uintptr_t)room | 1ULL << 63, 0, MAY(EFAULT));
		expect(sys(mprotect(page, PAGE, PROT_READ)), 0);
		point(r, (uintptr_t)page, 0, MAY(EFAULT));
		if (!query)
			point(r, (uintptr_t)page, 1, 0);
		expect(sys(mprotect(page, PAGE, PROT_READ | PROT_WRITE)), 0);
	}
	drop_pages();
}

/* ---- vion's read and write */

static void pointers_to_data(void **state)
{
	__u64 ptr;

	(void)state;
	make_pages();
	for (unsigned int i = 0; bad_pointer(i, 64, &ptr); i++) {
		void *at = (void *)(uintptr_t)ptr;
		struct iovec iov = { at, 64 };

		/* As much as is there is done: see vion.c. */
		if (!is_pointer(ptr) || ptr == (uintptr_t)page + PAGE - 63)
			continue;
		expect(sys(pread(vion, at, 64, 0)), -EFAULT);
		expect(sys(pwrite(vion, at, 64, 0)), -EFAULT);
		expect(sys(preadv(vion, &iov, 1, 0)), -EFAULT);
		expect(sys(pwritev(vion, &iov, 1, 0)), -EFAULT);
		asked += 4;
	}
	drop_pages();
}

/* From and to everything that is one memory, was another buffer, or is none. */
static void vectors_of_shared_memory(void **state)
{
	static const unsigned int flags[] = { CACHED, 0 };
	unsigned char *self = map(buffer, SIZE);

	(void)state;
	for (unsigned int i = 0; i < 2 * HEAPS; i++) {
		int fd = alloc_with(ion, 1U << i / 2, SIZE, flags[i % 2]);
		unsigned char *other = map(fd, SIZE);
		struct iovec iov[] = {
			{ self + 1, PAGE }, { other + 7, PAGE },
			{ self + 2 * PAGE, PAGE }, { other, 0 },
			{ NULL, 0 }, { other + 3 * PAGE, 2 * PAGE },
		};

		fill(self, SIZE, i);
		/* The last ends where its buffer's mapping does, or after. */
		expect(sys(munmap(other + SIZE - PAGE, PAGE)), 0);
		expect(sys(preadv(vion, iov, COUNT(iov), 0)), 3 * PAGE);
		expect(sys(pwritev(vion, iov, COUNT(iov), 0)), 3 * PAGE);
		fill(self, SIZE, i);
		expect(sys(pwritev(vion, iov + 1, 1, PAGE)), PAGE);
		assert_memory_equal(self + PAGE, other + 7, PAGE);
		expect(sys(preadv(vion, iov + 1, 1, 3)), PAGE);
		assert_memory_equal(self + 3, other + 7, PAGE);
		expect(sys(preadv(vion, iov + 5, 1, 0)), -EFAULT);
		expect(sys(pwritev(vion, iov + 5, 1, 0)), -EFAULT);
		asked += 6;
		munmap(other, SIZE - PAGE);
		close(fd);
	}
	munmap(self, SIZE);
}

/* How the kernel takes a length past 2 GiB depends on who asks. */
static bool is_right(long long ret, __u64 at, __u64 len, bool write)
{
	__u64 left = at < SIZE ? SIZE - at : 0;

	if (at > INT64_MAX)
		return ret == -EINVAL;
	if (len > INT32_MAX - PAGE || at + len > INT64_MAX)
		if (is_among(ret, MAY(EINVAL) | MAY(EFAULT)))
			return true;
	if (write && len && !left)
		return ret == -ENOSPC;
	return ret == (long long)(len < left ? len : left);
}

static void expect_right(long long ret, __u64 at, __u64 len, bool write)
{
	char text[32];

	asked++;
	if (is_right(ret, at, len, write))
		return;
	print_error("%s of %#llx at %#llx answered %s\n",
		    write ? "pwrite" : "pread", (long long)len, (long long)at,
		    answer(ret, text, sizeof(text)));
	fail_at(__FILE__, __LINE__);
}

/* In the program there is room for what fits into the buffer. */
static void positions_and_lengths(void **state)
{
	static const __u64 sizes[] = {
		0, 1, PAGE, SIZE - 1, SIZE, SIZE + 1, 1ULL << 31,
		(1ULL << 31) - 1, UINT32_MAX, 1ULL << 32, INT64_MAX - 1,
		INT64_MAX, 1ULL << 63, UINT64_MAX,
	};

	(void)state;
	for (unsigned int i = 0; i < COUNT(sizes) * COUNT(sizes); i++) {
		__u64 at = sizes[i / COUNT(sizes)];
		__u64 len = sizes[i % COUNT(sizes)];

		if (len > SIZE_MAX)
			continue;
		expect_right(sys(pread(vion, room, len, at)), at, len, false);
		expect_right(sys(pwrite(vion, room, len, at)), at, len, true);
	}
}

/* ---- everything else that one can do to a descriptor */

static bool mapping_is_good(__u64 len, __u64 offset, int flags)
{
	return (flags & MAP_TYPE) != MAP_PRIVATE && len && !(offset % PAGE) &&
	       offset < SIZE && len <= SIZE - offset;
}

static void mappings(void **state)
{
	static const __u64 sizes[] = {
		0, 1, PAGE - 1, PAGE, PAGE + 1, SIZE - PAGE, SIZE, SIZE + 1,
		SIZE + PAGE, 0x7ffff000, 0x80000000, 0xfffff000, UINT32_MAX,
		1ULL << 32, 1ULL << 44, INT64_MAX - PAGE + 1, 1ULL << 63,
		-2 * PAGE, -PAGE, -1,
	};
	static const int flags[] = {
		MAP_SHARED, MAP_PRIVATE, MAP_SHARED_VALIDATE,
		MAP_SHARED | MAP_POPULATE, MAP_SHARED | MAP_LOCKED,
		MAP_SHARED | MAP_NORESERVE | MAP_STACK,
	};
	static const int prots[] = {
		PROT_NONE, PROT_READ, PROT_WRITE, PROT_READ | PROT_WRITE,
	};
	const errors_t errors = MAY(EINVAL) | MAY(ENOMEM) | MAY(EOVERFLOW);
	const unsigned int n = COUNT(sizes);

	(void)state;
	for (unsigned int i = 0; i < n * n * 24; i++) {
		__u64 len = sizes[i % n], offset = sizes[i / n % n];
		int flag = flags[i / n / n % 6], prot = prots[i / n / n / 6];
		bool good = mapping_is_good(len, offset, flag);
		void *addr;

		if (len > SIZE_MAX)
			continue;
		addr = mmap(NULL, len, prot, flag, buffer, offset);
		asked++;
		if (good == (addr == MAP_FAILED) ||
		    (!good && !is_among(-errno, errors))) {
			print_error("mmap of %#llx at %#llx, flags %#x: %s\n",
				    (long long)len, (long long)offset, flag,
				    good ? strerror(errno) : "done");
			fail_at(__FILE__, __LINE__);
		}
		if (good)
			munmap(addr, len);
	}
}

static long try_read(int fd)
{
	return read(fd, room, 1);
}

static long try_write(int fd)
{
	return write(fd, room, 1);
}

static long try_pread(int fd)
{
	return pread(fd, room, 1, 0);
}

static long try_pwrite(int fd)
{
	return pwrite(fd, room, 1, 0);
}

static long try_seek(int fd)
{
	return lseek(fd, 1, SEEK_CUR) == -1 ? -1 : 0;
}

static long try_mmap(int fd)
{
	return mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ?
		-1 : 0;
}

static long try_truncate(int fd)
{
	return ftruncate(fd, 0);
}

static long try_allocate(int fd)
{
	return fallocate(fd, 0, 0, PAGE);
}

static long try_punch(int fd)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			 PAGE);
}

static long try_sendfile(int fd)
{
	return sendfile(fd, fd, NULL, PAGE);
}

static long try_splice_in(int fd)
{
	int pipes[2];
	long ret;

	if (pipe(pipes))
		return -1;
	ret = splice(fd, NULL, pipes[1], NULL, PAGE, SPLICE_F_NONBLOCK);
	close(pipes[0]);
	close(pipes[1]);
	return ret;
}

static long try_copy(int fd)
{
	return copy_file_range(fd, NULL, fd, NULL, PAGE, 0);
}

static long try_directory(int fd)
{
	return openat(fd, "x", O_RDONLY);
}

static long try_sync(int fd)
{
	return fsync(fd);
}

static long try_epoll(int fd)
{
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = epoll_create1(0);
	long ret = epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);

	close(epoll);
	return ret;
}

#define ION 1
#define NODE 2
#define VION 4
#define IMPORTER 8
#define BUFFER 16
#define ALL 31
#define NO_ROOM (MAY(EBADF) | MAY(ENODEV) | MAY(EOPNOTSUPP))

static const struct {
	const char *name;
	long (*call)(int fd);
	unsigned int on;	/* what must refuse it */
	errors_t errors;
} calls[] = {
	{ "read", try_read, ALL & ~VION, MAY(EINVAL) | MAY(EBADF) },
	{ "write", try_write, ALL & ~VION, MAY(EINVAL) | MAY(EBADF) },
	{ "pread", try_pread, ALL & ~VION, MAY(EINVAL) | MAY(ESPIPE) },
	{ "pwrite", try_pwrite, ALL & ~VION,
	  MAY(EINVAL) | MAY(ESPIPE) | MAY(EBADF) },
	{ "lseek", try_seek, ALL & ~VION, MAY(ESPIPE) | MAY(EINVAL) },
	{ "mmap", try_mmap, ALL & ~BUFFER, MAY(ENODEV) },
	{ "ftruncate", try_truncate, ALL, MAY(EINVAL) },
	{ "fallocate", try_allocate, ALL, NO_ROOM },
	{ "fallocate of a hole", try_punch, ALL, NO_ROOM },
	{ "sendfile", try_sendfile, ALL & ~VION,
	  MAY(EINVAL) | MAY(EBADF) | MAY(ESPIPE) },
	{ "splice", try_splice_in, ALL & ~VION, MAY(EINVAL) },
	{ "copy_file_range", try_copy, ALL, MAY(EINVAL) | MAY(EBADF) },
	{ "openat", try_directory, ALL, MAY(ENOTDIR) },
	{ "fsync", try_sync, ALL, MAY(EINVAL) },
	{ "epoll_ctl", try_epoll, ALL & ~BUFFER, MAY(EPERM) },
};

static void calls_that_are_not_there(void **state)
{
	const int fds[] = { ion, node, vion, importer, buffer };

	(void)state;
	for (unsigned int i = 0; i < COUNT(calls) * COUNT(fds); i++) {
		unsigned int fd = i % COUNT(fds), c = i / COUNT(fds);
		char text[32];
		long ret;

		if (!(calls[c].on & 1U << fd))
			continue;
		ret = sys(calls[c].call(fds[fd]));
		asked++;
		if (is_among(ret, calls[c].errors))
			continue;
		print_error("%s on descriptor %u answered %s\n", calls[c].name,
			    fd, answer(ret, text, sizeof(text)));
		fail_at(__FILE__, __LINE__);
	}
	expect_usual();
}

/* ---- arguments that change while they are read */

/* In memory that it shares with who asks. */
struct changer {
	atomic_uint words[MAX_ARG / 4];
	atomic_ulong rounds;
};

static void change(struct changer *c)
{
	const __u32 values[] = {
		0, 1, 2, 3, PAGE + 1, UINT32_MAX, UINT32_MAX - 1, 1U << 31,
		buffer, handle, EXISTING, O_CLOEXEC,
	};
	unsigned int random = 1;

	for (;; c->rounds++) {
		for (unsigned int i = 0; i < COUNT(c->words); i++) {
			random = random * 1103515245 + 12345;
			c->words[i] = values[(random >> 16) % COUNT(values)];
		}
	}
}

static pid_t start(struct changer *c)
{
	pid_t pid = expect_ok(sys(fork()));

	if (!pid)
		change(c);
	return pid;
}

/* All that such a request can answer, however its fields are mixed. */
static errors_t mixed_errors(void)
{
	return MAY(EINVAL) | MAY(ENODEV) | MAY(ENOMEM) | MAY(EBADF) |
	       MAY(EFAULT) | MAY(ENXIO) | MAY(ENOENT) | MAY(EAGAIN) |
	       MAY(EBUSY);
}

static void race(struct changer *c, const struct request *r)
{
	void *arg = (void *)c->words;
	char text[32];
	long ret;

	r->valid(arg);
	ret = request(*r->fd, r->cmd, arg);
	asked++;
	if (!ret || is_among(ret, mixed_errors()))
		return;
	print_error("%s in changing memory answered %s\n", r->name,
		    answer(ret, text, sizeof(text)));
	fail_at(__FILE__, __LINE__);
}

/* In the very buffer that is shared: nobody can keep a program off it. */
static void arguments_that_change(void **state)
{
	enum { ROUNDS = 20, TIMES = 20 };
	struct changer *changer = map(buffer, SIZE);
	pid_t pid = start(changer);

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		unsigned long rounds = changer->rounds;
		int client = ion, first = open_ion();

		/* What comes of it goes with a client and with descriptors. */
		ion = first;
		expect(ion_import(ion, buffer, &handle), 0);
		for (size_t r = 0; r < COUNT(requests) * TIMES; r++)
			race(changer, &requests[r / TIMES]);
		while (changer->rounds == rounds)
			sched_yield();
		expect(sys(close_range(first + 1, ~0U, 0)), 0);
		close(first);
		ion = client;
	}
	expect(sys(kill(pid, SIGKILL)), 0);
	expect(sys(waitpid(pid, NULL, 0)), pid);
	expect(ion_import(ion, buffer, &handle), 0);
	expect(ion_free(ion, handle), 0);
	/* Whichever was registered last goes, and what jobs still had. */
	expect(request(vion, VION_REGISTER_ION, &buffer), 0);
	expect_bytes_soon(SIZE);
	munmap(changer, SIZE);
}

/* ---- the log */

#define MARK "hostile: begins"

/* What the kernel says of itself, whatever is run on it. */
static bool is_the_kernels_own(const char *line)
{
	static const char *const known[] = {
		"clocksource", "perf: ", "hrtimer: ", "workqueue: ", "random: ",
		"kmemleak: ", "sched: ", "tsc: ", "__vm_enough_memory: ",
	};

	for (size_t i = 0; i < COUNT(known); i++)
		if (strstr(line, known[i]))
			return true;
	return false;
}

static void nothing_was_logged(void **state)
{
	size_t size = klogctl(10, NULL, 0);	/* SIZE_BUFFER */
	char *log = calloc(1, size + 1), *line, *next = NULL;
	bool clean = true;

	(void)state;
	expect_ok(sys(klogctl(3, log, size)));	/* READ_ALL */
	for (char *p = log; (p = strstr(p, MARK)); p++)
		next = p;
	assert_non_null(next);
	strtok_r(next, "\n", &next);
	while ((line = strtok_r(NULL, "\n", &next))) {
		if (is_the_kernels_own(line))
			continue;
		print_error("the log has: %s\n", line);
		clean = false;
	}
	assert_true(clean);
	free(log);
}

static int begin(void **state)
{
	int log = expect_ok(sys(open("/dev/kmsg", O_WRONLY)));

	(void)state;
	expect(write(log, MARK "\n", sizeof(MARK)), sizeof(MARK));
	close(log);
	report = expect_ok(sys(open("/sys/kernel/debug/ion/buffers",
				    O_RDONLY | O_CLOEXEC)));
	assert_ptr_equal(mmap(room, ROOM_SIZE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
			      -1, 0), room);
	return 0;
}

static int end(void **state)
{
	(void)state;
	close(report);
	sum_up(asked, "hostile requests");
	return !asked;
}

int main(void)
{
#define with_all(test) cmocka_unit_test_setup_teardown(test, open_all, close_all)
	const struct CMUnitTest tests[] = {
		with_all(fields_at_their_bounds),
		with_all(all_numbers),
		with_all(pointers_to_arguments),
		with_all(pointers_in_arguments),
		with_all(pointers_to_data),
		with_all(vectors_of_shared_memory),
		with_all(positions_and_lengths),
		with_all(mappings),
		with_all(calls_that_are_not_there),
		with_all(arguments_that_change),
		cmocka_unit_test(nothing_was_logged),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
