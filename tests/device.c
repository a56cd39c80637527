// SPDX-License-Identifier: MIT
/*
 * A device that has a buffer mapped, and a program that uses it meanwhile: what
 * begin and end of CPU access do, for the whole buffer and for a part. Where
 * bounce buffers stand in for the memory (swiotlb=force), what is not asked for
 * does not come.
 */
#include <pthread.h>
#include <sys/syscall.h>

#include "jobs.h"
#include "kernel/device_test.h"

#define SIZE (4 * PAGE)

/* A thread that begins CPU access. */
struct beginner {
	int fd, tid;
	long ret;
};

struct scene {
	int ion;
	int device;
	int fd;
	unsigned char *addr;
};

static void begin_scene(struct scene *scene, unsigned int heaps)
{
	scene->ion = open_ion();
	scene->device = expect_ok(sys(open("/dev/ion_device", O_RDWR)));
	scene->fd = alloc_fd(scene->ion, heaps, SIZE);
	scene->addr = map(scene->fd, SIZE);
	expect(sys(ioctl(scene->device, DEVICE_HOLD, scene->fd)), 0);
}

static void end_scene(struct scene *scene)
{
	munmap(scene->addr, SIZE);
	close(scene->fd);
	close(scene->device);
	ion_close(scene->ion);
}

static void device_fills(struct scene *scene, unsigned char value)
{
	struct device_access access = { .len = SIZE, .value = value };

	expect(request(scene->device, DEVICE_FILL, &access), 0);
}

/* How many bytes of the range the device sees with that value. */
static long device_sees(struct scene *scene, size_t offset, size_t len,
			unsigned char value)
{
	struct device_access access = {
		.offset = offset, .len = len, .value = value,
	};

	expect(request(scene->device, DEVICE_COUNT, &access), 0);
	return access.equal;
}

static long program_sees(struct scene *scene, size_t offset, size_t len,
			 unsigned char value)
{
	long n = 0;

	for (size_t i = offset; i < offset + len; i++)
		n += scene->addr[i] == value;
	return n;
}

static void whole_buffer_is_synced(void **state)
{
	struct scene scene;

	(void)state;
	for (unsigned int heaps = SYSTEM; heaps <= CONTIG; heaps <<= 1) {
		begin_scene(&scene, heaps);
		device_fills(&scene, 0x11);
		expect(program_sees(&scene, 0, SIZE, 0x11),
		       bounces() ? 0 : SIZE);
		expect(sync_buffer(scene.fd, DMA_BUF_SYNC_START |
				   DMA_BUF_SYNC_RW), 0);
		expect(program_sees(&scene, 0, SIZE, 0x11), SIZE);
		memset(scene.addr, 0x22, SIZE);
		expect(device_sees(&scene, 0, SIZE, 0x22),
		       bounces() ? 0 : SIZE);
		expect(sync_buffer(scene.fd, DMA_BUF_SYNC_END |
				   DMA_BUF_SYNC_RW), 0);
		expect(device_sees(&scene, 0, SIZE, 0x22), SIZE);

		memset(scene.addr, 0x33, SIZE);
		expect(ion_sync_fd(scene.ion, scene.fd), 0);
		expect(device_sees(&scene, 0, SIZE, 0x33), SIZE);
		end_scene(&scene);
	}
}

/* Before it, in it and after it, for a part that crosses pages and entries. */
static void part_is_synced_alone(void **state)
{
	static const struct {
		size_t offset, len;
	} parts[] = {
		{ 0, 1 }, { 0, PAGE }, { 100, 50 }, { PAGE - 1, 2 },
		{ PAGE + 7, 2 * PAGE }, { SIZE - 1, 1 }, { 0, SIZE },
	};
	const unsigned int start = DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW;
	const unsigned int end = DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW;

	(void)state;
	for (unsigned int heaps = SYSTEM; heaps <= CONTIG; heaps <<= 1) {
		for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
			size_t offset = parts[i].offset, len = parts[i].len;
			long others = bounces() ? 0 : SIZE - len;
			struct scene scene;

			begin_scene(&scene, heaps);
			device_fills(&scene, 0x11);
			expect(ion_sync_range(scene.ion, scene.fd, offset, len,
					      start), 0);
			expect(program_sees(&scene, offset, len, 0x11), len);
			expect(program_sees(&scene, 0, SIZE, 0x11),
			       len + others);
			memset(scene.addr, 0x22, SIZE);
			expect(ion_sync_range(scene.ion, scene.fd, offset, len,
					      end), 0);
			expect(device_sees(&scene, offset, len, 0x22), len);
			expect(device_sees(&scene, 0, SIZE, 0x22),
			       len + others);
			end_scene(&scene);
		}
	}
}

static void bad_parts_are_refused(void **state)
{
	const unsigned int start = DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ;
	struct ion_sync_range_data data;
	int ion = open_ion(), fd = alloc_fd(ion, SYSTEM, SIZE);

	(void)state;
	expect(ion_sync_range(ion, fd, 0, 0, start), -EINVAL);
	expect(ion_sync_range(ion, fd, SIZE, 1, start), -EINVAL);
	expect(ion_sync_range(ion, fd, 1, SIZE, start), -EINVAL);
	expect(ion_sync_range(ion, fd, -1, 2, start), -EINVAL);
	expect(ion_sync_range(ion, fd, PAGE, SIZE_MAX, start), -EINVAL);
	expect(ion_sync_range(ion, fd, 0, 1, 0), -EINVAL);
	expect(ion_sync_range(ion, fd, 0, 1, DMA_BUF_SYNC_END), -EINVAL);
	expect(ion_sync_range(ion, fd, 0, 1, start | 8), -EINVAL);
	expect(ion_sync_range(ion, -1, 0, 1, start), -EBADF);
	expect(ion_sync_range(ion, ion, 0, 1, start), -EINVAL);
	expect(ion_sync_range(fd, fd, 0, 1, start), -ENOTTY);
	expect(request(ion, ION_IOC_SYNC_RANGE, NULL), -EFAULT);
	memset(&data, 0xff, sizeof(data));
	expect(request(ion, ION_IOC_SYNC_RANGE, &data), -EINVAL);
	expect(sizeof(data), 24);
	close(fd);
	ion_close(ion);
}

static void *begin_access(void *arg)
{
	struct beginner *beginner = arg;

	__atomic_store_n(&beginner->tid, syscall(SYS_gettid),
			 __ATOMIC_SEQ_CST);
	beginner->ret = sync_buffer(beginner->fd, DMA_BUF_SYNC_START |
				    DMA_BUF_SYNC_RW);
	return NULL;
}

/* The fence of the gate's buffer becomes one of another buffer, too. */
static void share_fence(int from, int to)
{
	struct dma_buf_export_sync_file export = { .flags = DMA_BUF_SYNC_RW };
	struct dma_buf_import_sync_file import = { .flags = DMA_BUF_SYNC_RW };

	expect(request(from, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &export), 0);
	import.fd = export.fd;
	expect(request(to, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &import), 0);
	close(export.fd);
}

/* What a device writes before its fence signals is seen by who waited for it. */
static void access_begins_after_the_fences(void **state)
{
	struct beginner beginner = { 0 };
	struct scene scene;
	struct gate gate;
	pthread_t thread;
	int fd;

	(void)state;
	begin_scene(&scene, SYSTEM);
	fd = alloc_fd(scene.ion, SYSTEM, SIZE);
	gate = make_gate(fd);
	expect(shut(&gate, VGEM_WRITE), 0);
	share_fence(fd, scene.fd);

	beginner.fd = scene.fd;
	expect(pthread_create(&thread, NULL, begin_access, &beginner), 0);
	while (!__atomic_load_n(&beginner.tid, __ATOMIC_SEQ_CST))
		sched_yield();
	until_it_sleeps(beginner.tid);
	device_fills(&scene, 0x55);
	open_gate(&gate);
	expect(pthread_join(thread, NULL), 0);
	expect(beginner.ret, 0);
	expect(program_sees(&scene, 0, SIZE, 0x55), SIZE);

	close(gate.vgem);
	close(fd);
	end_scene(&scene);
}

/* It is never copied, and mapped alike by all. */
static void set_aside_memory_needs_no_sync(void **state)
{
	int ion = open_ion();
	int device = expect_ok(sys(open("/dev/ion_device", O_RDWR)));

	(void)state;
	for (int id = 2; id <= 3; id++) {
		struct device_access access = { .len = SIZE, .value = 0x44 };
		int fd = alloc_fd(ion, 1 << id, SIZE);
		unsigned char *addr = map(fd, SIZE);

		/* The kernel cannot bounce what it has no mapping of. */
		expect(sys(ioctl(device, DEVICE_HOLD, fd)),
		       bounces() ? -EOPNOTSUPP : 0);
		if (!bounces()) {
			expect(request(device, DEVICE_FILL, &access), 0);
			expect(addr[0], 0x44);
			expect(addr[SIZE - 1], 0x44);
		}
		expect(sync_buffer(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW),
		       0);
		expect(ion_sync_range(ion, fd, 5, 6, DMA_BUF_SYNC_END |
				      DMA_BUF_SYNC_RW), 0);
		munmap(addr, SIZE);
		close(fd);
	}
	close(device);
	ion_close(ion);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_buffer_is_synced),
		cmocka_unit_test(part_is_synced_alone),
		cmocka_unit_test(access_begins_after_the_fences),
		cmocka_unit_test(bad_parts_are_refused),
		cmocka_unit_test(set_aside_memory_needs_no_sync),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
