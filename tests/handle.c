// SPDX-License-Identifier: MIT
/* The handle ABI of /dev/ion, request by request, error by error. */
#include "importers.h"

/* The same requests as callers with pointer handles see them. */
struct pointer_fd_data {
	void *handle;
	int fd;
};

struct pointer_handle_data {
	void *handle;
};

#define POINTER_FREE	_IOWR('I', 1, struct pointer_handle_data)
#define POINTER_MAP	_IOWR('I', 2, struct pointer_fd_data)
#define POINTER_SHARE	_IOWR('I', 4, struct pointer_fd_data)
#define POINTER_IMPORT	_IOWR('I', 5, struct pointer_fd_data)
#define POINTER_SYNC	_IOWR('I', 7, struct pointer_fd_data)

static long alloc(int ion, size_t len, size_t align, unsigned int heaps,
		  int *handle)
{
	return ion_alloc(ion, len, align, heaps, CACHED, handle);
}

static int alloc_ok(int ion, unsigned int heaps, size_t len)
{
	int handle = 0;

	expect(alloc(ion, len, 0, heaps, &handle), 0);
	assert_true(handle > 0);
	return handle;
}

static void sizes_are_the_interface(void **state)
{
	(void)state;
	expect(sizeof(struct ion_allocation_data), LP64 ? 32 : 20);
	expect(offsetof(struct ion_allocation_data, handle), LP64 ? 24 : 16);
	expect(sizeof(struct ion_fd_data), 8);
	expect(sizeof(struct ion_handle_data), 4);
	expect(sizeof(struct ion_custom_data), LP64 ? 16 : 8);
	expect(sizeof(struct pointer_fd_data), LP64 ? 16 : 8);
	expect(sizeof(struct pointer_handle_data), LP64 ? 8 : 4);
	expect(sizeof(struct ion_new_allocation_data), 24);
	expect(sizeof(struct ion_heap_data), 52);
	expect(sizeof(struct ion_heap_query), 24);
	expect(ION_IOC_ALLOC, LP64 ? 0xc0204900 : 0xc0144900);
	expect(ION_IOC_FREE, 0xc0044901);
	expect(ION_IOC_MAP, 0xc0084902);
	expect(ION_IOC_SHARE, 0xc0084904);
	expect(ION_IOC_IMPORT, 0xc0084905);
	expect(ION_IOC_CUSTOM, LP64 ? 0xc0104906 : 0xc0084906);
	expect(ION_IOC_SYNC, 0xc0084907);
	expect(ION_IOC_NEW_ALLOC, 0xc0184900);
	expect(ION_IOC_HEAP_QUERY, 0xc0184908);
	expect(ION_IOC_ABI_VERSION, 0x80044909);
}

static void alloc_refuses_bad_lengths(void **state)
{
	int ion = open_ion(), handle = 77;
	long half = sysconf(_SC_PHYS_PAGES) / 2 * PAGE;

	(void)state;
	for (unsigned int heaps = SYSTEM; heaps <= CONTIG; heaps <<= 1) {
		expect(alloc(ion, 0, 0, heaps, &handle), -EINVAL);
		expect(alloc(ion, SIZE_MAX, 0, heaps, &handle), -EINVAL);
		expect(alloc(ion, SIZE_MAX - PAGE + 2, 0, heaps, &handle),
		       -EINVAL);
		expect(alloc(ion, SIZE_MAX - PAGE + 1, 0, heaps, &handle),
		       -ENOMEM);
		expect(alloc(ion, SIZE_MAX / 2 + 1, 0, heaps, &handle), -ENOMEM);
		expect(alloc(ion, half + 16 * MiB, 0, heaps, &handle), -ENOMEM);
	}
	expect(handle, 77);
	ion_close(ion);
}

static void alloc_knows_its_heaps(void **state)
{
	int ion = open_ion(), handle = 0;

	(void)state;
	expect(alloc(ion, PAGE, 0, 0, &handle), -ENODEV);
	for (int id = 0; id < 32; id++)
		expect(alloc(ion, PAGE, 0, 1U << id, &handle),
		       id < HEAPS ? 0 : -ENODEV);
	expect(alloc(ion, PAGE, 0, ~0U, &handle), 0);
	/* The highest id that exists: contiguous, which has an end at 4 MiB. */
	expect(alloc(ion, 8 * MiB, 0, CONTIG, &handle), -ENOMEM);
	expect(alloc(ion, 8 * MiB, 0, CONTIG | SYSTEM, &handle), 0);
	ion_close(ion);
}

static void alloc_checks_alignment(void **state)
{
	static const size_t good[] = { 1, 2, 64, 2048, 4096 };
	static const size_t bad[] = { 3, 4097, 12288, SIZE_MAX, SIZE_MAX - 4095,
				      SIZE_MAX / 2 + 1 };
	int ion = open_ion(), handle = 0;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(*good); i++) {
		expect(alloc(ion, PAGE, good[i], SYSTEM, &handle), 0);
		expect(alloc(ion, PAGE, good[i], CONTIG, &handle), 0);
	}
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		expect(alloc(ion, PAGE, bad[i], SYSTEM, &handle), -EINVAL);
		expect(alloc(ion, PAGE, bad[i], CONTIG, &handle), -EINVAL);
	}
	expect(alloc(ion, PAGE, 2 * PAGE, SYSTEM, &handle), -EINVAL);
	expect(alloc(ion, 3 * PAGE, 64 * KiB, CONTIG, &handle), 0);
	expect(alloc(ion, PAGE, 64 * MiB, CONTIG, &handle), -EINVAL);
	/* One that could, had it room, is no room; not a bad alignment. */
	expect(alloc(ion, 8 * MiB, 64 * KiB, CONTIG | SYSTEM, &handle),
	       -ENOMEM);
	/* The heap that cannot is passed over for the one that can. */
	expect(alloc(ion, PAGE, 8 * KiB, CONTIG | SYSTEM, &handle), 0);
	ion_close(ion);
}

static void alloc_answers_in_both_sizes(void **state)
{
	struct {
		struct ion_allocation_data data;
		unsigned char after[32];
	} arg;
	const size_t end = offsetof(struct ion_allocation_data, handle) +
			   sizeof(arg.data.handle);
	int ion = open_ion();

	(void)state;
	memset(&arg, 0xa5, sizeof(arg));
	arg.data.len = 128;
	arg.data.align = 0;
	arg.data.heap_id_mask = CONTIG;
	arg.data.flags = CACHED;
	expect(request(ion, ION_IOC_ALLOC, &arg), 0);
	assert_true(arg.data.handle > 0);
	/* What else there is in the place of a pointer is zero. */
	expect_zero((char *)&arg.data + end, sizeof(arg.data) - end);
	expect(arg.data.len, 128);
	expect(arg.data.align, 0);
	expect(arg.data.heap_id_mask, CONTIG);
	expect(arg.data.flags, CACHED);
	for (size_t i = 0; i < sizeof(arg.after); i++)
		expect(arg.after[i], 0xa5);
	ion_close(ion);
}

static void free_gives_back_once(void **state)
{
	int ion = open_ion();
	int handle = alloc_ok(ion, SYSTEM, PAGE);
	int other = alloc_ok(ion, SYSTEM, PAGE);

	(void)state;
	expect(ion_free(ion, handle), 0);
	expect(ion_free(ion, handle), -EINVAL);
	expect(ion_free(ion, other), 0);
	expect(ion_free(ion, other), -EINVAL);
	ion_close(ion);
}

static void bad_handles_are_refused(void **state)
{
	static const int bad[] = { 0, -1, 1000000, INT32_MAX, INT32_MIN };
	int ion = open_ion(), fd = -1;
	int handle = alloc_ok(ion, SYSTEM, PAGE);
	unsigned char *addr = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		expect(ion_free(ion, bad[i]), -EINVAL);
		expect(ion_share(ion, bad[i], &fd), -EINVAL);
		expect(ion_map(ion, bad[i], PAGE, PROT_READ, MAP_SHARED, 0,
			       &addr, &fd), -EINVAL);
	}
	expect(ion_free(ion, handle), 0);
	expect(ion_share(ion, handle, &fd), -EINVAL);
	expect(fd, -1);
	ion_close(ion);
}

static void share_and_map_give_descriptors(void **state)
{
	static const unsigned long requests[] = { ION_IOC_SHARE, ION_IOC_MAP };
	int ion = open_ion();
	struct ion_fd_data data = { .handle = alloc_ok(ion, CONTIG, 5000) };

	(void)state;
	for (int i = 0; i < 2; i++) {
		data.fd = -1;
		expect(request(ion, requests[i], &data), 0);
		expect(fcntl(data.fd, F_GETFD), FD_CLOEXEC);
		expect(fcntl(data.fd, F_GETFL) & O_ACCMODE, O_RDWR);
		expect(lseek(data.fd, 0, SEEK_END), 2 * PAGE);
		close(data.fd);
	}
	ion_close(ion);
}

static void import_counts_references(void **state)
{
	int ion = open_ion(), fd = -1, again = 0;
	int handle = alloc_ok(ion, SYSTEM, PAGE);

	(void)state;
	expect(ion_share(ion, handle, &fd), 0);
	expect(ion_import(ion, fd, &again), 0);
	expect(again, handle);
	expect(ion_import(ion, fd, &again), 0);
	expect(again, handle);
	close(fd);
	for (int i = 0; i < 3; i++) {
		expect(ion_share(ion, handle, &fd), 0);
		close(fd);
		expect(ion_free(ion, handle), 0);
	}
	expect(ion_free(ion, handle), -EINVAL);
	ion_close(ion);
}

static void import_refuses_what_is_no_buffer(void **state)
{
	int ion = open_ion(), pipes[2], handle = 77;

	(void)state;
	expect(sys(pipe(pipes)), 0);
	expect(ion_import(ion, -1, &handle), -EBADF);
	expect(ion_import(ion, 1000, &handle), -EBADF);
	expect(ion_import(ion, INT32_MAX, &handle), -EBADF);
	expect(ion_import(ion, pipes[0], &handle), -EINVAL);
	expect(ion_import(ion, ion, &handle), -EINVAL);
	expect(handle, 77);
	close(pipes[0]);
	close(pipes[1]);
	ion_close(ion);
}

static void sync_takes_a_buffer(void **state)
{
	int ion = open_ion(), pipes[2];
	int fd = alloc_fd(ion, CONTIG, PAGE);

	(void)state;
	expect(sys(pipe(pipes)), 0);
	expect(ion_sync_fd(ion, fd), 0);
	expect(ion_sync_fd(ion, -1), -EBADF);
	expect(ion_sync_fd(ion, 1000), -EBADF);
	expect(ion_sync_fd(ion, pipes[0]), -EINVAL);
	close(pipes[0]);
	close(pipes[1]);
	close(fd);
	ion_close(ion);
}

static void full_descriptor_table_is_reported(void **state)
{
	int ion = open_ion(), handle = alloc_ok(ion, SYSTEM, PAGE), fd = 77;
	struct ion_new_allocation_data data = {
		.len = PAGE, .heap_id_mask = SYSTEM, .fd = 77,
	};
	struct ion_fd_data map_data = { .handle = handle, .fd = 77 };
	struct pointer_fd_data pointer = {
		.handle = (void *)(uintptr_t)handle, .fd = 77,
	};
	int held[1024], n = 0, buffers = living_buffers();

	(void)state;
	while (n < 1024 && (held[n] = dup(0)) >= 0)
		n++;
	expect(-errno, -EMFILE);
	expect(ion_share(ion, handle, &fd), -EMFILE);
	expect(ion_alloc_fd(ion, PAGE, 0, SYSTEM, 0, &fd), -EMFILE);
	expect(request(ion, ION_IOC_NEW_ALLOC, &data), -EMFILE);
	expect(request(ion, ION_IOC_MAP, &map_data), -EMFILE);
	expect(request(ion, POINTER_SHARE, &pointer), -EMFILE);
	expect(request(ion, POINTER_MAP, &pointer), -EMFILE);
	expect(fd, 77);
	expect(data.fd, 77);
	expect(map_data.fd, 77);
	expect(pointer.fd, 77);
	while (n--)
		close(held[n]);
	expect(living_buffers(), buffers);
	expect(ion_share(ion, handle, &fd), 0);
	close(fd);
	ion_close(ion);
}

static void clients_are_apart(void **state)
{
	int a = open_ion(), b = open_ion(), fd = -1, imported = 0;
	int handle = alloc_ok(a, SYSTEM, PAGE);

	(void)state;
	expect(ion_free(b, handle), -EINVAL);
	expect(ion_share(b, handle, &fd), -EINVAL);
	expect(ion_share(a, handle, &fd), 0);
	expect(ion_import(b, fd, &imported), 0);
	expect(ion_free(b, imported), 0);
	expect(ion_free(b, imported), -EINVAL);
	expect(ion_free(a, handle), 0);
	close(fd);
	ion_close(a);
	ion_close(b);
}

static void pointer_handles_work_throughout(void **state)
{
	int ion = open_ion();
	struct pointer_fd_data shared, imported;
	struct pointer_handle_data gone;
	struct {
		size_t len, align;
		unsigned int heap_mask, flags;
		void *handle;
	} data = { PAGE, 0, CONTIG, CACHED, (void *)-1 };

	(void)state;
	expect(sizeof(data), sizeof(struct ion_allocation_data));
	expect(request(ion, ION_IOC_ALLOC, &data), 0);
	assert_in_range((uintptr_t)data.handle, 1, INT32_MAX);

	memset(&shared, 0xff, sizeof(shared));
	shared.handle = data.handle;
	expect(request(ion, POINTER_SHARE, &shared), 0);
	assert_ptr_equal(shared.handle, data.handle);
	expect(lseek(shared.fd, 0, SEEK_END), PAGE);
	expect(request(ion, POINTER_SYNC, &shared), 0);

	memset(&imported, 0xff, sizeof(imported));
	imported.fd = shared.fd;
	expect(request(ion, POINTER_IMPORT, &imported), 0);
	assert_ptr_equal(imported.handle, data.handle);
	expect(imported.fd, shared.fd);
	close(shared.fd);

	shared.handle = data.handle;
	expect(request(ion, POINTER_MAP, &shared), 0);
	close(shared.fd);

	/* Only the pointer itself, not one that ends in the same bytes. */
	gone.handle = (void *)((uintptr_t)data.handle |
			       1UL << (LP64 ? 32 : 31));
	expect(request(ion, POINTER_FREE, &gone), -EINVAL);
	shared.handle = gone.handle;
	expect(request(ion, POINTER_SHARE, &shared), -EINVAL);

	gone.handle = data.handle;
	expect(request(ion, POINTER_FREE, &gone), 0);
	expect(ion_free(ion, (uintptr_t)data.handle), 0);
	expect(request(ion, POINTER_FREE, &gone), -EINVAL);
	gone.handle = NULL;
	expect(request(ion, POINTER_FREE, &gone), -EINVAL);
	ion_close(ion);
}

static void read_only_file_is_enough(void **state)
{
	int ion = expect_ok(sys(open("/dev/ion", O_RDONLY)));
	int handle = alloc_ok(ion, SYSTEM, PAGE), fd = -1, again = 0;

	(void)state;
	expect(ion_share(ion, handle, &fd), 0);
	expect(ion_import(ion, fd, &again), 0);
	expect(ion_sync_fd(ion, fd), 0);
	memset(map(fd, PAGE), 1, PAGE);
	expect(ion_free(ion, handle), 0);
	close(fd);
	ion_close(ion);
}

static void many_handles(void **state)
{
	enum { COUNT = 20000 };
	int *handles = calloc(COUNT, sizeof(*handles));
	int ion = open_ion();

	(void)state;
	for (int i = 0; i < COUNT; i++)
		handles[i] = alloc_ok(ion, SYSTEM, PAGE);
	for (int i = 0; i < COUNT; i += 2)
		expect(ion_free(ion, handles[i]), 0);
	for (int i = 0; i < COUNT; i++)
		expect(ion_free(ion, handles[i]), i % 2 ? 0 : -EINVAL);
	free(handles);
	ion_close(ion);
}

static void descriptor_abi_allocates(void **state)
{
	struct ion_new_allocation_data data = {
		.len = 5000, .heap_id_mask = SYSTEM, .flags = CACHED,
		.fd = 77, .unused = 5,
	};
	int ion = open_ion();

	(void)state;
	expect(request(ion, ION_IOC_NEW_ALLOC, &data), 0);
	expect(lseek(data.fd, 0, SEEK_END), 2 * PAGE);
	expect(fcntl(data.fd, F_GETFD), FD_CLOEXEC);
	close(data.fd);
	data.len = 0;
	expect(request(ion, ION_IOC_NEW_ALLOC, &data), -EINVAL);
	data.len = UINT64_MAX;
	expect(request(ion, ION_IOC_NEW_ALLOC, &data), -EINVAL);
	data.len = 1ULL << 40;
	expect(request(ion, ION_IOC_NEW_ALLOC, &data), -ENOMEM);
	data.len = PAGE;
	data.heap_id_mask = 0;
	expect(request(ion, ION_IOC_NEW_ALLOC, &data), -ENODEV);
	ion_close(ion);
}

static void heaps_can_be_asked_for(void **state)
{
	static const char *const names[HEAPS] = {
		"ion_system_heap", "ion_system_contig_heap", "frames", "tiles",
		"linux,cma",
	};
	struct ion_heap_data heaps[HEAPS + 1];
	struct ion_heap_query query = { 0 };
	int ion = open_ion(), cnt = 0;
	__u32 version = 0;

	(void)state;
	expect(request(ion, ION_IOC_ABI_VERSION, &version), 0);
	assert_true(version >= 2);

	expect(ion_query_heap_cnt(ion, &cnt), 0);
	expect(cnt, HEAPS);
	memset(heaps, 0xff, sizeof(heaps));
	query.heaps = (uintptr_t)heaps;
	query.cnt = HEAPS + 1;
	expect(request(ion, ION_IOC_HEAP_QUERY, &query), 0);
	expect(query.cnt, HEAPS);
	for (int i = 0; i < HEAPS; i++) {
		assert_string_equal(heaps[i].name, names[i]);
		/* The first heap of a type has the type's number. */
		expect(heaps[i].type, i);
		expect(heaps[i].heap_id, i);
		expect(heaps[i].reserved0 | heaps[i].reserved1 |
		       heaps[i].reserved2, 0);
	}
	expect(heaps[HEAPS].type, UINT32_MAX);

	memset(heaps, 0xff, sizeof(heaps));
	query.cnt = 1;
	expect(request(ion, ION_IOC_HEAP_QUERY, &query), 0);
	expect(query.cnt, 1);
	expect(heaps[1].type, UINT32_MAX);

	query.cnt = 0;
	expect(request(ion, ION_IOC_HEAP_QUERY, &query), -EINVAL);
	query.cnt = UINT32_MAX;
	expect(request(ion, ION_IOC_HEAP_QUERY, &query), 0);
	expect(query.cnt, HEAPS);
	query.heaps = -PAGE;
	expect(request(ion, ION_IOC_HEAP_QUERY, &query), -EFAULT);
	query.heaps = 0;
	query.reserved0 = 1;
	expect(request(ion, ION_IOC_HEAP_QUERY, &query), -EINVAL);
	query.reserved0 = 0;
	query.reserved1 = 1;
	expect(request(ion, ION_IOC_HEAP_QUERY, &query), -EINVAL);
	query.reserved1 = 0;
	query.reserved2 = 1;
	expect(request(ion, ION_IOC_HEAP_QUERY, &query), -EINVAL);
	ion_close(ion);
}

static void callers_can_tell_the_generation(void **state)
{
	struct ion_handle_data none = { 0 };
	int ion = open_ion();

	(void)state;
	expect(request(ion, ION_IOC_FREE, &none), -EINVAL);
	expect(ion_is_legacy(ion), 1);
	expect(ion_is_using_modular_heaps(ion), 1);
	ion_close(ion);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_the_interface),
		cmocka_unit_test(alloc_refuses_bad_lengths),
		cmocka_unit_test(alloc_knows_its_heaps),
		cmocka_unit_test(alloc_checks_alignment),
		cmocka_unit_test(alloc_answers_in_both_sizes),
		cmocka_unit_test(free_gives_back_once),
		cmocka_unit_test(bad_handles_are_refused),
		cmocka_unit_test(share_and_map_give_descriptors),
		cmocka_unit_test(import_counts_references),
		cmocka_unit_test(import_refuses_what_is_no_buffer),
		cmocka_unit_test(sync_takes_a_buffer),
		cmocka_unit_test(full_descriptor_table_is_reported),
		cmocka_unit_test(clients_are_apart),
		cmocka_unit_test(pointer_handles_work_throughout),
		cmocka_unit_test(read_only_file_is_enough),
		cmocka_unit_test(many_handles),
		cmocka_unit_test(descriptor_abi_allocates),
		cmocka_unit_test(heaps_can_be_asked_for),
		cmocka_unit_test(callers_can_tell_the_generation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
