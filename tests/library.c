// SPDX-License-Identifier: MIT
/* libion's own errors, with /dev/ion and without it. */
#include "test.h"

static void null_out_parameters_are_refused(void **state)
{
	unsigned char *addr;
	int fd;

	(void)state;
	expect(ion_alloc(-1, PAGE, 0, SYSTEM, 0, NULL), -EINVAL);
	expect(ion_alloc_fd(-1, PAGE, 0, SYSTEM, 0, NULL), -EINVAL);
	expect(ion_share(-1, 1, NULL), -EINVAL);
	expect(ion_import(-1, 1, NULL), -EINVAL);
	expect(ion_map(-1, 1, PAGE, PROT_READ, MAP_SHARED, 0, NULL, &fd),
	       -EINVAL);
	expect(ion_map(-1, 1, PAGE, PROT_READ, MAP_SHARED, 0, &addr, NULL),
	       -EINVAL);
	expect(ion_query_heap_cnt(-1, NULL), -EINVAL);
	expect(ion_query_get_heaps(-1, 1, NULL), -EINVAL);
	expect(ion_query_get_heaps(-1, 0, &fd), -EINVAL);
	expect(ion_query_get_heaps(-1, -1, &fd), -EINVAL);
}

/* Every call on a descriptor that is no client, and what it leaves alone. */
static void refused_with(int ion, long either, long or)
{
	unsigned char *addr = (void *)&errno, *same = addr;
	char heaps[4096];
	int out = 77;

#define refused(call) do {						\
	long ret = (call);						\
	if (ret != or)							\
		expect_at(__FILE__, __LINE__, #call, ret, either);	\
} while (0)
	refused(ion_alloc(ion, PAGE, 0, SYSTEM, 0, &out));
	refused(ion_alloc_fd(ion, PAGE, 0, SYSTEM, 0, &out));
	refused(ion_free(ion, 1));
	refused(ion_share(ion, 1, &out));
	refused(ion_import(ion, 0, &out));
	refused(ion_sync_fd(ion, 0));
	refused(ion_map(ion, 1, PAGE, PROT_READ, MAP_SHARED, 0, &addr, &out));
	refused(ion_query_heap_cnt(ion, &out));
	refused(ion_query_get_heaps(ion, 1, heaps));
	expect(out, 77);
	assert_ptr_equal(addr, same);
	expect(ion_is_legacy(ion), 0);
	expect(ion_is_using_modular_heaps(ion), 0);
}

static void closed_descriptors_are_bad(void **state)
{
	int fd = dup(0);

	(void)state;
	close(fd);
	refused_with(-1, -EBADF, -EBADF);
	refused_with(fd, -EBADF, -EBADF);
	expect(ion_close(-1), -EBADF);
	expect(ion_close(fd), -EBADF);
}

static void other_descriptors_are_no_clients(void **state)
{
	int pipes[2], null = open("/dev/null", O_RDWR);

	(void)state;
	expect(sys(pipe(pipes)), 0);
	refused_with(0, -ENOTTY, -EINVAL);
	refused_with(pipes[0], -ENOTTY, -EINVAL);
	refused_with(null, -ENOTTY, -EINVAL);
	close(null);
	close(pipes[0]);
	close(pipes[1]);
}

static void a_missing_device_is_reported(void **state)
{
	char why[100] = "";

	(void)state;
	if (access("/dev/ion", F_OK) == 0)
		skip();
	expect(ion_open_backend("ion"), -ENOENT);
	expect(ion_probe_backend("ion", why, sizeof(why)), -ENOENT);
	assert_string_equal(why, "there is no /dev/ion");
}

static void map_leaves_no_descriptor_behind(void **state)
{
	unsigned char *addr = NULL;
	int ion, fd = -1, handle = 0, before;

	(void)state;
	if (access("/dev/ion", F_OK))
		skip();
	ion = open_ion();
	expect(fcntl(ion, F_GETFD), FD_CLOEXEC);
	expect(ion_alloc(ion, PAGE, 0, SYSTEM, CACHED, &handle), 0);
	before = open_descriptors();
	expect(ion_map(ion, handle, 0, PROT_READ, MAP_SHARED, 0, &addr, &fd),
	       -EINVAL);
	expect(ion_map(ion, handle, 2 * PAGE, PROT_READ, MAP_SHARED, 0, &addr,
		       &fd), -EINVAL);
	expect(ion_map(ion, handle, PAGE, PROT_READ, MAP_PRIVATE, 0, &addr,
		       &fd), -EINVAL);
	expect(ion_map(ion, handle, PAGE, PROT_READ, MAP_SHARED, PAGE, &addr,
		       &fd), -EINVAL);
	assert_null(addr);
	expect(fd, -1);
	expect(open_descriptors(), before);

	expect(ion_map(ion, handle, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
		       0, &addr, &fd), 0);
	expect(open_descriptors(), before + 1);
	memset(addr, 1, PAGE);
	munmap(addr, PAGE);
	close(fd);
	ion_close(ion);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(null_out_parameters_are_refused),
		cmocka_unit_test(closed_descriptors_are_bad),
		cmocka_unit_test(other_descriptors_are_no_clients),
		cmocka_unit_test(a_missing_device_is_reported),
		cmocka_unit_test(map_leaves_no_descriptor_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
