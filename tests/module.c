// SPDX-License-Identifier: MIT
/*
 * The modules themselves: nodes that come and go, unloading refused while
 * anything is in use, nothing left behind, parameters. Run from the top of the
 * source tree.
 */
#include <pthread.h>

#include "jobs.h"
#include "load.h"

static long load_ion(void)
{
	return load_with("kernel/ion/ion", ion_params);
}

static long load_vion(const char *params)
{
	return load_with("kernel/vion/vion", params);
}

/* Both modules are loaded before each test and after it. */
static void vion_needs_ion(void **state)
{
	(void)state;
	expect(unload("ion"), -EWOULDBLOCK);
	expect(unload("vion"), 0);
	expect(unload("ion"), 0);
	expect(load_ion(), 0);
	expect(load_ion(), -EEXIST);
	expect(load_vion(""), 0);
}

static void nodes_come_and_go(void **state)
{
	(void)state;
	expect(sys(access("/dev/ion", F_OK)), 0);
	expect(sys(access("/dev/vion_dev", F_OK)), 0);
	expect(sys(access("/dev/ion-test", F_OK)), 0);
	expect(unload("vion"), 0);
	expect(sys(access("/dev/vion_dev", F_OK)), -ENOENT);
	expect(sys(access("/dev/ion-test", F_OK)), -ENOENT);
	expect(sys(access("/dev/dma_heap/ion_system", F_OK)), 0);
	expect(unload("ion"), 0);
	expect(sys(access("/dev/ion", F_OK)), -ENOENT);
	expect(sys(access("/dev/dma_heap/ion_system", F_OK)), -ENOENT);
	expect(ion_open_backend("ion"), -ENOENT);
	expect(load_ion(), 0);
	expect(load_vion(""), 0);
	expect(sys(access("/dev/ion", F_OK)), 0);
	expect(sys(access("/dev/vion_dev", F_OK)), 0);
}

static void nodes_are_for_root(void **state)
{
	struct stat st;

	(void)state;
	expect(sys(stat("/dev/ion", &st)), 0);
	expect(st.st_mode & 0777, 0600);
	expect(sys(stat("/dev/vion_dev", &st)), 0);
	expect(st.st_mode & 0777, 0600);
}

static void stays_while_a_client_is_open(void **state)
{
	int ion = open_ion();

	(void)state;
	expect(unload("vion"), 0);
	expect(unload("ion"), -EWOULDBLOCK);
	ion_close(ion);
	expect(unload("ion"), 0);
	expect(load_ion(), 0);
	expect(load_vion(""), 0);
}

static void stays_while_a_heap_is_open(void **state)
{
	int heap = expect_ok(sys(open("/dev/dma_heap/ion_system", O_RDONLY)));

	(void)state;
	expect(unload("vion"), 0);
	expect(unload("ion"), -EWOULDBLOCK);
	close(heap);
	expect(unload("ion"), 0);
	expect(load_ion(), 0);
	expect(load_vion(""), 0);
}

static void stays_while_a_buffer_lives(void **state)
{
	int ion = open_ion(), fd = alloc_fd(ion, SYSTEM, PAGE);
	char *addr = map(fd, PAGE);

	(void)state;
	expect(unload("vion"), 0);
	ion_close(ion);
	expect(unload("ion"), -EWOULDBLOCK);
	close(fd);
	/* A mapping is a reference, too. */
	expect(unload("ion"), -EWOULDBLOCK);
	*addr = 1;
	munmap(addr, PAGE);
	expect(unload("ion"), 0);
	expect(load_ion(), 0);
	expect(load_vion(""), 0);
}

static void stays_while_vion_is_open(void **state)
{
	int vion = open_vion();

	(void)state;
	expect(unload("vion"), -EWOULDBLOCK);
	close(vion);
	expect(unload("vion"), 0);
	expect(load_vion(""), 0);
}

#define COPIES 200

struct copier {
	int vion, fd;
	long ret;
};

static void *copy_often(void *arg)
{
	struct copier *c = arg;
	struct vion_job job = copy_job(c->fd, 0, 0, 0, PAGE);

	for (int i = 0; !c->ret && i < COPIES; i++)
		c->ret = submit(c->vion, &job);
	return NULL;
}

/* Two buffers at a time, which each has the other way around. */
static void two_may_lock_in_any_order(void **state)
{
	struct copier copiers[2] = { 0 };
	int ion = open_ion(), fds[2];
	pthread_t threads[2];

	(void)state;
	unload_soon("vion");
	expect(load_vion("exclusive=0"), 0);
	for (int i = 0; i < 2; i++)
		fds[i] = alloc_fd(ion, SYSTEM, PAGE);
	for (int i = 0; i < 2; i++) {
		copiers[i].vion = open_vion();
		copiers[i].fd = fds[!i];
		expect(reg(copiers[i].vion, fds[i]), 0);
		expect(pthread_create(&threads[i], NULL, copy_often,
				      &copiers[i]), 0);
	}
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		expect(copiers[i].ret, 0);
		wait_for(fds[i], POLLOUT);
		expect(result_of(copiers[i].vion, COPIES).status, 0);
		close(copiers[i].vion);
	}
	close(fds[0]);
	close(fds[1]);
	ion_close(ion);
	unload_soon("vion");
	expect(load_vion(""), 0);
}

static void any_number_may_open_vion(void **state)
{
	int ion = open_ion(), a, b, fds[2];
	char *addr[2];

	(void)state;
	expect(unload("vion"), 0);
	expect(load_vion("exclusive=0"), 0);
	a = open_vion();
	b = open_vion();
	for (int i = 0; i < 2; i++) {
		fds[i] = alloc_fd(ion, SYSTEM, PAGE);
		addr[i] = map(fds[i], PAGE);
	}
	/* Each has a registration of its own. */
	expect(request(a, VION_REGISTER_ION, &fds[0]), 0);
	expect(sys(write(b, "b", 1)), -ENXIO);
	expect(request(b, VION_REGISTER_ION, &fds[1]), 0);
	expect(request(b, VION_UNREGISTER_ION, &fds[0]), -EINVAL);
	expect(write(a, "a", 1), 1);
	expect(write(b, "b", 1), 1);
	expect(*addr[0], 'a');
	expect(*addr[1], 'b');
	close(a);
	expect(write(b, "B", 1), 1);
	expect(addr[1][1], 'B');
	/* And both may have the same buffer. */
	a = open_vion();
	expect(request(a, VION_REGISTER_ION, &fds[1]), 0);
	expect(write(a, "A", 1), 1);
	expect(*addr[1], 'A');
	close(a);
	close(b);
	for (int i = 0; i < 2; i++) {
		munmap(addr[i], PAGE);
		close(fds[i]);
	}
	ion_close(ion);
	expect(unload("vion"), 0);
	expect(load_vion(""), 0);
}

/* FREE in a loop cannot reach the references that the kernel holds. */
static void the_kernel_keeps_its_references(void **state)
{
	int ion = open_ion(), vion = open_vion(), fd = -1, handle = 0;
	char data[5];

	(void)state;
	expect(ion_alloc(ion, PAGE, 0, SYSTEM, CACHED, &handle), 0);
	expect(ion_share(ion, handle, &fd), 0);
	expect(request(vion, VION_REGISTER_ION, &fd), 0);
	close(fd);
	expect(write(vion, "still", 5), 5);
	expect(ion_free(ion, handle), 0);
	for (int i = 0; i < 1000; i++)
		expect(ion_free(ion, handle), -EINVAL);
	expect(pread(vion, data, 5, 0), 5);
	assert_memory_equal(data, "still", 5);
	close(vion);
	ion_close(ion);
}

/* The example driver, built and loaded as anybody's would be. */
static void the_example_driver_works(void **state)
{
	int ion = open_ion(), fd = alloc_fd(ion, SYSTEM, 3 * PAGE), driver;
	unsigned char *addr = map(fd, 3 * PAGE);

	(void)state;
	expect(load_with("examples/driver/ion_example", ""), 0);
	driver = expect_ok(sys(open("/dev/ion_example", O_RDWR)));
	expect(sys(ioctl(driver, _IO('e', 2), fd)), -ENOTTY);
	expect(sys(ioctl(driver, _IO('e', 1), -1)), -EBADF);
	expect(sys(ioctl(driver, _IO('e', 1), driver)), -EINVAL);
	fill(addr, 3 * PAGE, 1);
	expect(sys(ioctl(driver, _IO('e', 1), fd)), 0);
	for (size_t i = 0; i < 3 * PAGE; i++)
		addr[i] ^= 0xff;
	expect_pattern(addr, 3 * PAGE, 1);
	close(driver);
	expect(unload("ion_example"), 0);
	munmap(addr, 3 * PAGE);
	close(fd);
	ion_close(ion);
}

static long free_pages(void)
{
	char text[16384], *at;
	ssize_t len;
	int fd;

	fd = expect_ok(sys(open("/proc/sys/vm/drop_caches", O_WRONLY)));
	expect(sys(write(fd, "3", 1)), 1);
	close(fd);
	fd = expect_ok(sys(open("/proc/vmstat", O_RDONLY)));
	len = expect_ok(sys(read(fd, text, sizeof(text) - 1)));
	close(fd);
	text[len] = '\0';
	at = strstr(text, "nr_free_pages ");
	assert_non_null(at);
	return strtol(at + strlen("nr_free_pages "), NULL, 10);
}

static void work_and_reload(void)
{
	int ion = open_ion(), vion = open_vion();

	for (int i = 0; i < 8; i++) {
		int fd = alloc_fd(ion, i % 2 ? SYSTEM : CONTIG, 300 * KiB);
		void *addr = map(fd, 300 * KiB);
		int handle;

		memset(addr, 1, 300 * KiB);
		expect(ion_import(ion, fd, &handle), 0);
		expect(request(vion, VION_REGISTER_ION, &fd), 0);
		expect(write(vion, "x", 1), 1);
		munmap(addr, 300 * KiB);
		close(fd);
	}
	close(vion);
	ion_close(ion);
	expect(unload("vion"), 0);
	expect(unload("ion"), 0);
	expect(load_ion(), 0);
	expect(load_vion(""), 0);
}

/*
 * A leak of a page a time shows in every round; what else the kernel does
 * meanwhile does not. A debug kernel keeps something of every module: there
 * kmemleak and tests/faults.c look for leaks.
 */
static void leaves_no_memory_behind(void **state)
{
	enum { TIMES = 20, ROUNDS = 10 };
	long lost[ROUNDS], before;

	(void)state;
	if (!access("/sys/kernel/debug/kmemleak", F_OK))
		skip();
	work_and_reload();
	for (int round = 0; round < ROUNDS; round++) {
		before = free_pages();
		for (int i = 0; i < TIMES; i++)
			work_and_reload();
		lost[round] = before - free_pages();
		if (lost[round] < TIMES)
			return;
		print_message("# round %d: %ld pages fewer\n", round,
			      lost[round]);
	}
	fail_msg("%d times loaded, %ld pages lost, expected fewer than %d",
		 TIMES, lost[ROUNDS - 1], TIMES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vion_needs_ion),
		cmocka_unit_test(nodes_come_and_go),
		cmocka_unit_test(nodes_are_for_root),
		cmocka_unit_test(stays_while_a_client_is_open),
		cmocka_unit_test(stays_while_a_heap_is_open),
		cmocka_unit_test(stays_while_a_buffer_lives),
		cmocka_unit_test(stays_while_vion_is_open),
		cmocka_unit_test(any_number_may_open_vion),
		cmocka_unit_test(two_may_lock_in_any_order),
		cmocka_unit_test(the_kernel_keeps_its_references),
		cmocka_unit_test(the_example_driver_works),
		cmocka_unit_test(leaves_no_memory_behind),
	};

	remember_ion_params();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
