// SPDX-License-Identifier: MIT
/*
 * Buffers of other drivers through our doors, and ours through theirs: vgem on
 * every kernel, udmabuf and the kernel's own dma-heap where there are some.
 */
#include <sys/utsname.h>

#include "exporters.h"
#include "importers.h"

#define SIZE (64 * KiB)

/* Import, share again, map, register with vion, and it is all one memory. */
static void goes_all_the_way(int fd)
{
	static unsigned char data[SIZE];
	int ion = open_ion(), vion = open_vion();
	int handle = 0, again = 0, shared = -1;
	unsigned char *theirs = map(fd, SIZE), *ours;

	expect(ion_import(ion, fd, &handle), 0);
	expect(ion_import(ion, fd, &again), 0);
	expect(again, handle);
	expect(ion_share(ion, handle, &shared), 0);
	expect(inode_of(shared), inode_of(fd));
	ours = map(shared, SIZE);
	fill(theirs, SIZE, 1);
	expect_pattern(ours, SIZE, 1);
	expect(ion_sync_fd(ion, shared), 0);

	expect(request(vion, VION_REGISTER_ION, &shared), 0);
	expect(lseek(vion, 0, SEEK_END), SIZE);
	expect(pread(vion, data, SIZE, 0), SIZE);
	expect_pattern(data, SIZE, 1);
	fill(data, SIZE, 2);
	expect(pwrite(vion, data, SIZE, 0), SIZE);
	expect_pattern(theirs, SIZE, 2);
	expect(sys(pwrite(vion, data, 1, SIZE)), -ENOSPC);

	munmap(theirs, SIZE);
	munmap(ours, SIZE);
	close(fd);
	close(shared);
	expect(ion_free(ion, handle), 0);
	expect(ion_free(ion, handle), 0);
	expect(ion_free(ion, handle), -EINVAL);
	/* The driver holds it still. */
	expect(pread(vion, data, SIZE, 0), SIZE);
	expect_pattern(data, SIZE, 2);
	close(vion);
	ion_close(ion);
}

static void vgem_buffer_is_imported(void **state)
{
	int vgem = open_vgem();
	int fd = export_from_vgem(vgem, SIZE, DRM_RDWR);

	(void)state;
	close(vgem);
	goes_all_the_way(fd);
}

static void udmabuf_is_imported(void **state)
{
	int fd = make_udmabuf(SIZE);

	(void)state;
	if (fd < 0)
		skip();
	/* It maps for the first direction, and then syncs for any other. */
	expect(sync_buffer(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW), 0);
	expect(sync_buffer(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW), 0);
	goes_all_the_way(fd);
}

static void dma_heap_buffer_is_imported(void **state)
{
	int fd = alloc_from_dma_heap(SIZE);

	(void)state;
	if (fd < 0)
		skip();
	goes_all_the_way(fd);
}

/* Devices there do not see the CPU's caches. */
#ifdef __aarch64__
#define ARM64 true
#else
#define ARM64 false
#endif

/* The kernel, which has no mapping of it, could not clean the caches of it. */
static bool needs_cleaning(int heap, unsigned int flags)
{
	return ARM64 && flags & CACHED && (heap == ION_HEAP_TYPE_CARVEOUT ||
					   heap == ION_HEAP_TYPE_CHUNK);
}

/*
 * Stock kernels from 6.12 on have udmabuf and dma-heap, but the latter not on
 * arm64; 6.1 has neither.
 */
static void peers_are_there(void **state)
{
	int udmabuf = make_udmabuf(SIZE);

	(void)state;
	expect(udmabuf >= 0,
	       ARM64 || access("/sys/class/dma_heap", F_OK) == 0);
	close(udmabuf);
}

/* vgem attaches and, up to 6.12, maps what it imports, and keeps it. */
static void vgem_imports_ours(void **state)
{
	static const unsigned int heaps[] = { SYSTEM, CONTIG };
	static const size_t sizes[] = { 128, SIZE, 4 * MiB };
	int vgem = open_vgem(), other = open_vgem(), ion = open_ion();

	(void)state;
	for (int i = 0; i < 6; i++) {
		int fd = alloc_fd(ion, heaps[i % 2], sizes[i / 2]);
		size_t size = lseek(fd, 0, SEEK_END);
		struct drm_prime_handle prime = {
			.flags = DRM_CLOEXEC | DRM_RDWR,
		};
		ino_t inode = inode_of(fd);
		unsigned char *addr = map(fd, size);
		struct drm_gem_close gem = { 0 };
		__u32 handle, second;

		expect(import_into_vgem(vgem, fd, &handle), 0);
		expect(import_into_vgem(other, fd, &second), 0);
		expect(sync_buffer(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW),
		       0);
		fill(addr, size, i);
		expect(sync_buffer(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW), 0);
		expect(ion_sync_fd(ion, fd), 0);
		munmap(addr, size);
		close(fd);

		prime.handle = handle;
		expect(request(vgem, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime), 0);
		expect(inode_of(prime.fd), inode);
		gem.handle = handle;
		expect(request(vgem, DRM_IOCTL_GEM_CLOSE, &gem), 0);
		gem.handle = second;
		expect(request(other, DRM_IOCTL_GEM_CLOSE, &gem), 0);
		addr = map(prime.fd, size);
		expect_pattern(addr, size, i);
		munmap(addr, size);
		close(prime.fd);
	}
	close(vgem);
	close(other);
	ion_close(ion);
}

/*
 * Where vgem would have a mapping of the object that it makes next. It tells
 * only of its own objects, so it is asked of one of that size, which goes.
 */
static __u64 next_offset(int vgem, size_t size)
{
	struct drm_mode_create_dumb dumb = {
		.width = PAGE / 4, .height = size / PAGE, .bpp = 32,
	};
	struct drm_mode_map_dumb map_dumb = { 0 };
	struct drm_gem_close gem = { 0 };

	expect(request(vgem, DRM_IOCTL_MODE_CREATE_DUMB, &dumb), 0);
	expect(dumb.size, size);
	map_dumb.handle = gem.handle = dumb.handle;
	expect(request(vgem, DRM_IOCTL_MODE_MAP_DUMB, &map_dumb), 0);
	expect(request(vgem, DRM_IOCTL_GEM_CLOSE, &gem), 0);
	return map_dumb.offset;
}

static unsigned char *map_through_vgem(int vgem, __u64 offset, size_t size)
{
	void *addr = mmap64(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
			    vgem, offset);

	expect_ok(addr == MAP_FAILED ? -errno : 0);
	return addr;
}

/* It has no use for device addresses, and newer kernels make none. */
static bool vgem_maps(void)
{
	struct utsname uts;
	int major, minor;

	expect(sys(uname(&uts)), 0);
	if (sscanf(uts.release, "%d.%d", &major, &minor) != 2)
		fail_msg("Linux %s?", uts.release);
	return major < 6 || (major == 6 && minor <= 12);
}

/* Both mappings show one memory, and vgem's outlives all that is ours. */
static void goes_through_vgem(int vgem, int heap, size_t len,
			      unsigned int flags)
{
	struct drm_gem_close gem = { 0 };
	unsigned char *ours, *theirs;
	int ion = open_ion(), fd = -1;
	__u64 offset;
	size_t size;
	ino_t inode;

	expect(ion_alloc_fd(ion, len, 0, 1U << heap, flags, &fd), 0);
	inode = inode_of(fd);
	size = lseek(fd, 0, SEEK_END);
	ours = map(fd, size);
	offset = next_offset(vgem, size);
	if (needs_cleaning(heap, flags)) {
		expect(import_into_vgem(vgem, fd, &gem.handle), -EOPNOTSUPP);
		munmap(ours, size);
		close(fd);
		ion_close(ion);
		return;
	}
	expect(import_into_vgem(vgem, fd, &gem.handle), 0);
	expect_importers(inode, 1, vgem_maps());
	theirs = map_through_vgem(vgem, offset, size);
	expect_zero(theirs, size);

	expect(sync_buffer(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW), 0);
	fill(ours, size, heap);
	expect(sync_buffer(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW), 0);
	expect_pattern(theirs, size, heap);
	fill(theirs, size, heap + 100);
	expect(sync_buffer(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW), 0);
	expect_pattern(ours, size, heap + 100);
	expect(sync_buffer(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW), 0);

	munmap(ours, size);
	close(fd);
	ion_close(ion);
	expect(request(vgem, DRM_IOCTL_GEM_CLOSE, &gem), 0);
	expect_importers(inode, 0, 0);
	expect_pattern(theirs, size, heap + 100);
	munmap(theirs, size);
	expect_gone(inode);
}

static void every_heap_goes_through_vgem(void **state)
{
	static const size_t sizes[] = { 1, SIZE + PAGE + 1, 3 * MiB + 1 };
	struct ion_heap_data heaps[HEAPS];
	int vgem = open_vgem(), ion = open_ion();

	(void)state;
	query_heaps(ion, heaps);
	for (int i = 0; i < HEAPS; i++)
		for (int k = 0; k < 6; k++)
			goes_through_vgem(vgem, heaps[i].heap_id, sizes[k / 2],
					  k % 2 ? CACHED : 0);
	ion_close(ion);
	close(vgem);
}

/* It gives back what it still has when its file is closed. */
static void vgem_lets_go(void **state)
{
	struct ion_heap_data heaps[HEAPS];
	int vgem = open_vgem(), ion = open_ion();
	ino_t inodes[HEAPS];

	(void)state;
	query_heaps(ion, heaps);
	for (int i = 0; i < HEAPS; i++) {
		int id = heaps[i].heap_id, fd = -1;
		__u32 handle;

		expect(ion_alloc_fd(ion, SIZE, 0, 1U << id,
				    needs_cleaning(id, CACHED) ? 0 : CACHED,
				    &fd), 0);
		inodes[i] = inode_of(fd);
		expect(import_into_vgem(vgem, fd, &handle), 0);
		close(fd);
		expect_importers(inodes[i], 1, vgem_maps());
	}
	close(vgem);
	for (int i = 0; i < HEAPS; i++)
		expect_gone(inodes[i]);
	ion_close(ion);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(peers_are_there),
		cmocka_unit_test(vgem_buffer_is_imported),
		cmocka_unit_test(udmabuf_is_imported),
		cmocka_unit_test(dma_heap_buffer_is_imported),
		cmocka_unit_test(vgem_imports_ours),
		cmocka_unit_test(every_heap_goes_through_vgem),
		cmocka_unit_test(vgem_lets_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
