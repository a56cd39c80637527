// SPDX-License-Identifier: MIT
/*
 * A 32-bit program, as it runs on a 64-bit kernel: all that differs from a
 * 64-bit one. Ends with the first thing that is not as it should be.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <ion/ion.h>
#include <linux/vion.h>

_Static_assert(sizeof(void *) == 4, "built with -m32");
_Static_assert(sizeof(struct ion_allocation_data) == 20, "ALLOC");
_Static_assert(sizeof(struct ion_fd_data) == 8, "MAP, SHARE, IMPORT, SYNC");
_Static_assert(sizeof(struct ion_handle_data) == 4, "FREE");
_Static_assert(sizeof(struct ion_custom_data) == 8, "CUSTOM");
_Static_assert(sizeof(struct ion_new_allocation_data) == 24, "NEW_ALLOC");
_Static_assert(sizeof(struct ion_heap_data) == 52, "a heap");
_Static_assert(sizeof(struct ion_heap_query) == 24, "HEAP_QUERY");

#define SIZE 8192

static int bad;

static void expect_at(int line, const char *what, long came, long wanted)
{
	if (came == wanted)
		return;
	printf("line %d: %s: expected %ld, came %ld\n", line, what, wanted,
	       came);
	bad = 1;
}

#define expect(call, wanted) expect_at(__LINE__, #call, (long)(call), (wanted))

static long request(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) < 0 ? -errno : 0;
}

static void alloc_decodes(int ion)
{
	struct {
		struct ion_allocation_data data;
		int after;
	} arg = {
		.data = { .len = SIZE, .align = 4096, .heap_id_mask = 2,
			  .flags = ION_FLAG_CACHED, .handle = -1 },
		.after = 77,
	};
	ion_user_handle_t handle = 77;

	expect(request(ion, ION_IOC_ALLOC, &arg), 0);
	expect(arg.data.handle > 0, 1);
	expect(arg.data.len, SIZE);
	expect(arg.data.align, 4096);
	expect(arg.data.heap_id_mask, 2);
	expect(arg.data.flags, ION_FLAG_CACHED);
	expect(arg.after, 77);
	expect(ion_free(ion, arg.data.handle), 0);
	expect(ion_free(ion, arg.data.handle), -EINVAL);

	expect(ion_alloc(ion, 0, 0, 1, 0, &handle), -EINVAL);
	expect(ion_alloc(ion, SIZE_MAX, 0, 1, 0, &handle), -EINVAL);
	expect(ion_alloc(ion, SIZE_MAX - 4095, 0, 1, 0, &handle), -ENOMEM);
	expect(ion_alloc(ion, SIZE, 3, 1, 0, &handle), -EINVAL);
	expect(ion_alloc(ion, SIZE, 0, 0, 0, &handle), -ENODEV);
	expect(handle, 77);
	expect(request(ion, ION_IOC_ALLOC, NULL), -EFAULT);
}

static void one_memory(int ion)
{
	int fd = -1, map_fd = -1, vion;
	ion_user_handle_t handle = 0, again = 0;
	unsigned char *addr = NULL;
	char data[6] = "";

	expect(ion_alloc(ion, SIZE, 0, ION_HEAP_SYSTEM_MASK, ION_FLAG_CACHED,
			 &handle), 0);
	expect(ion_share(ion, handle, &fd), 0);
	expect(ion_import(ion, fd, &again), 0);
	expect(again, handle);
	expect(ion_sync_fd(ion, fd), 0);
	expect(ion_map(ion, handle, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		       0, &addr, &map_fd), 0);
	if (bad)
		return;
	vion = open("/dev/vion_dev", O_RDWR);
	expect(request(vion, VION_REGISTER_ION, &fd), 0);
	expect(write(vion, "kernel", 6), 6);
	expect(memcmp(addr, "kernel", 6), 0);
	memcpy(addr, "user", 5);
	expect(pread(vion, data, 5, 0), 5);
	expect(strcmp(data, "user"), 0);
	expect(request(vion, VION_UNREGISTER_ION, &fd), 0);
	expect(request(vion, VION_UNREGISTER_ION, &fd), -ENXIO);
	close(vion);
	munmap(addr, SIZE);
	close(map_fd);
	close(fd);
	expect(ion_free(ion, handle), 0);
	expect(ion_free(ion, handle), 0);
	expect(ion_free(ion, handle), -EINVAL);
}

static void other_requests(int ion)
{
	struct ion_new_allocation_data data = {
		.len = SIZE, .heap_id_mask = 1, .fd = -1,
	};
	struct ion_custom_data custom = { 0 };
	struct ion_heap_data heaps[32];
	int cnt = 0;

	expect(request(ion, ION_IOC_NEW_ALLOC, &data), 0);
	expect(lseek(data.fd, 0, SEEK_END), SIZE);
	close(data.fd);
	data.len = 1ULL << 40;
	expect(request(ion, ION_IOC_NEW_ALLOC, &data), -ENOMEM);
	expect(request(ion, ION_IOC_CUSTOM, &custom), -ENOTTY);
	expect(ion_query_heap_cnt(ion, &cnt), 0);
	expect(cnt >= 2, 1);
	expect(ion_query_get_heaps(ion, cnt, heaps), 0);
	expect(strcmp(heaps[0].name, "ion_system_heap"), 0);
	expect(ion_is_legacy(ion), 1);
	expect(ion_is_using_modular_heaps(ion), 1);
}

int main(void)
{
	int ion = ion_open();

	expect(ion >= 0, 1);
	if (bad)
		return 1;
	alloc_decodes(ion);
	one_memory(ion);
	other_requests(ion);
	expect(ion_close(ion), 0);
	return bad;
}
