// SPDX-License-Identifier: MIT
/*
 * Buffers and the memory cgroup of who allocated them: with ion.ko's
 * mem_accounting, or the same switch of the kernel's own heaps where it has it.
 */
#include <linux/dma-heap.h>

#include "load.h"

#define ROOT "/sys/fs/cgroup/"
#define GROUP ROOT "vion-accounting"
#define BUFFER (4 * MiB)
/* A processor keeps 64 pages of a charge at hand. */
#define SLACK MiB

static void put(const char *path, const char *text)
{
	int fd = expect_ok(sys(open(path, O_WRONLY | O_CLOEXEC)));

	expect(sys(write(fd, text, strlen(text))), strlen(text));
	close(fd);
}

/* The number after the key, or the first one; OTHERWISE if there is none. */
static long long number_or(const char *path, const char *key,
			   long long otherwise)
{
	long long value = otherwise;
	FILE *file = fopen(path, "r");
	char line[128];

	if (!file)
		return otherwise;
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, key, strlen(key)))
			value = strtoull(line + strlen(key), NULL, 10);
	fclose(file);
	return value;
}

static long long number(const char *path, const char *key)
{
	long long value = number_or(path, key, -1);

	if (value < 0)
		print_error("there is no value \"%s\" in %s\n", key, path);
	assert_true(value >= 0);
	return value;
}

static void load(const char *params)
{
	char all[600];

	snprintf(all, sizeof(all), "%s%s", ion_params, params);
	expect(unload("vion"), 0);
	expect(unload("ion"), 0);
	expect(load_with("kernel/ion/ion", all), 0);
	expect(load_with("kernel/vion/vion", ""), 0);
}

static bool kernel_accounts(void)
{
	char path[] = "/sys/module/dma_heap/parameters/mem_accounting";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char yes = 'N';

	if (fd < 0)
		return false;
	expect(sys(read(fd, &yes, 1)), 1);
	close(fd);
	return yes == 'Y';
}

static long long charged(void)
{
	return number(GROUP "/memory.current", "");
}

/* In the group, of 64 MiB at the most. */
static int enter(void **state)
{
	(void)state;
	put(ROOT "cgroup.subtree_control", "+memory");
	expect(sys(mkdir(GROUP, 0755)), 0);
	put(GROUP "/memory.max", "64M");
	put(GROUP "/cgroup.procs", "0");
	return 0;
}

/* What a dead buffer was charged with goes at once, or a moment later. */
static int leave(void **state)
{
	(void)state;
	put(ROOT "cgroup.procs", "0");
	expect(sys(rmdir(GROUP)), 0);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	remember_ion_params();
	if (!kernel_accounts())
		load("mem_accounting=1");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	load("");
	return 0;
}

static void expect_charge(const char *what, long long came, size_t wanted)
{
	if (came >= (long long)wanted && came <= (long long)(wanted + SLACK))
		return;
	print_error("%s: expected %zu bytes more, came %lld\n", what, wanted,
		    came);
	fail();
}

/* Of a buffer of that heap: a charge while it lives. */
static void check_size(const char *what, int heap, unsigned int flags,
		       size_t size, size_t wanted)
{
	int ion = open_ion(), fd, warm;
	long long before;

	/* The first takes what the heap and the file cost themselves. */
	warm = alloc_with(ion, 1U << heap, size, flags);
	close(warm);
	before = charged() - SLACK / 2;
	fd = alloc_with(ion, 1U << heap, size, flags);
	expect_charge(what, charged() - before, wanted);
	close(fd);
	expect_charge("after it", charged() - before, 0);
	ion_close(ion);
}

static void check(const char *what, int heap, unsigned int flags, size_t wanted)
{
	check_size(what, heap, flags, BUFFER, wanted);
}

static void pages_are_charged(void **state)
{
	const size_t odd = 2 * MiB + PAGE;

	(void)state;
	check("system, cached", ION_HEAP_TYPE_SYSTEM, CACHED, BUFFER);
	check("system, write-combined", ION_HEAP_TYPE_SYSTEM, 0, BUFFER);
	check("contiguous, cached", ION_HEAP_TYPE_SYSTEM_CONTIG, CACHED, BUFFER);
	check("contiguous, write-combined", ION_HEAP_TYPE_SYSTEM_CONTIG, 0,
	      BUFFER);
	check_size("contiguous, cached, trimmed", ION_HEAP_TYPE_SYSTEM_CONTIG,
		   CACHED, odd, odd);
	/* Its linear mapping is changed in whole blocks: they are its own. */
	check_size("contiguous, write-combined, in a block",
		   ION_HEAP_TYPE_SYSTEM_CONTIG, 0, odd, BUFFER);
	/* With an area that is too full for it, either may come. */
	if (!number_or("/proc/meminfo", "CmaTotal:", 0))
		check("dma", ION_HEAP_TYPE_DMA, CACHED, BUFFER);
	else if (number("/proc/meminfo", "CmaFree:") * KiB > 2 * BUFFER)
		check("dma", ION_HEAP_TYPE_DMA, CACHED, 0);
}

static void set_aside_memory_is_not(void **state)
{
	(void)state;
	check("carveout", ION_HEAP_TYPE_CARVEOUT, CACHED, 0);
	check("chunk", ION_HEAP_TYPE_CHUNK, 0, 0);
}

static void a_node_charges_too(void **state)
{
	struct dma_heap_allocation_data data = {
		.len = BUFFER, .fd_flags = O_RDWR | O_CLOEXEC,
	};
	int heap = expect_ok(sys(open("/dev/dma_heap/ion_system", O_RDONLY)));
	long long before = charged() - SLACK / 2;

	(void)state;
	expect(request(heap, DMA_HEAP_IOCTL_ALLOC, &data), 0);
	expect_charge("a node's buffer", charged() - before, BUFFER);
	close(data.fd);
	close(heap);
}

static long long pooled(void)
{
	return number("/sys/kernel/debug/ion/heaps/ion_system_heap", "pool: ");
}

static void the_pool_is_left_alone(void **state)
{
	int ion = open_ion(), fds[8];

	(void)state;
	for (size_t i = 0; i < COUNT(fds); i++) {
		fds[i] = alloc_with(ion, i % 2 ? SYSTEM : CONTIG,
				    3 * PAGE << i, 0);
		expect(pooled(), 0);
	}
	for (size_t i = 0; i < COUNT(fds); i++) {
		close(fds[i]);
		expect(pooled(), 0);
	}
	ion_close(ion);
}

/* ENOMEM, and nobody is killed for it. */
static void past_the_cgroup_is_past_the_end(void **state)
{
	int ion = open_ion(), fds[17], n, ret;

	(void)state;
	for (n = 0; n < (int)COUNT(fds); n++) {
		ret = ion_alloc_fd(ion, BUFFER, 0, SYSTEM, n % 2 ? CACHED : 0,
				   &fds[n]);
		if (ret)
			break;
	}
	expect(ret, -ENOMEM);
	if (n < 12)
		print_error("expected 12 of 16 buffers, came %d\n", n);
	assert_true(n >= 12);
	while (n--)
		close(fds[n]);
	expect(ion_alloc_fd(ion, 65 * MiB, 0, SYSTEM, CACHED, &fds[0]),
	       -ENOMEM);
	expect(number(GROUP "/memory.events", "oom_kill "), 0);
	close(alloc_fd(ion, SYSTEM, 32 * MiB));
	ion_close(ion);
}

static int pass_from_group(void *arg)
{
	enter(NULL);
	send_fd(*(int *)arg, alloc_fd(open_ion(), SYSTEM, BUFFER));
	return 0;
}

/* It is whose process allocated it, whoever has it by now. */
static void the_charge_outlives_the_process(void **state)
{
	int sockets[2], fd;

	(void)state;
	expect(sys(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets)), 0);
	expect(end_of(pass_from_group, &sockets[1]), 0);
	fd = receive_fd(sockets[0]);
	expect_charge("without the process", charged(), BUFFER);
	close(fd);
	expect_charge("without the buffer", charged(), 0);
	expect(sys(rmdir(GROUP)), 0);
	close(sockets[0]);
	close(sockets[1]);
}

static void limits_hold_as_well(void **state)
{
	static const char path[] = "/sys/module/ion/parameters/file_limit";
	int ion = open_ion(), fd;
	long long before = charged();

	(void)state;
	put(path, "1M");
	expect(ion_alloc_fd(ion, BUFFER, 0, SYSTEM, CACHED, &fd), -ENOMEM);
	expect(ion_alloc_fd(ion, BUFFER, 0, SYSTEM, 0, &fd), -ENOMEM);
	put(path, "0");
	assert_true(charged() < before + (long long)SLACK);
	close(alloc_fd(ion, SYSTEM, BUFFER));
	ion_close(ion);
}

/* Unless it is asked for, and there is no asking later. */
static void nothing_is_charged_without_it(void **state)
{
	static const char path[] = "/sys/module/ion/parameters/mem_accounting";
	int ion;

	(void)state;
	put(ROOT "cgroup.procs", "0");
	expect(sys(open(path, O_WRONLY)), -EACCES);
	load("");
	put(GROUP "/cgroup.procs", "0");
	if (kernel_accounts())
		return;
	check("cached", ION_HEAP_TYPE_SYSTEM, CACHED, 0);
	check("write-combined", ION_HEAP_TYPE_SYSTEM, 0, 0);
	ion = open_ion();
	close(alloc_with(ion, SYSTEM, PAGE, 0));
	assert_true(pooled() > 0);
	ion_close(ion);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(pages_are_charged, enter, leave),
		cmocka_unit_test_setup_teardown(set_aside_memory_is_not,
						enter, leave),
		cmocka_unit_test_setup_teardown(a_node_charges_too,
						enter, leave),
		cmocka_unit_test_setup_teardown(the_pool_is_left_alone,
						enter, leave),
		cmocka_unit_test_setup_teardown(past_the_cgroup_is_past_the_end,
						enter, leave),
		cmocka_unit_test(the_charge_outlives_the_process),
		cmocka_unit_test_setup_teardown(limits_hold_as_well,
						enter, leave),
		cmocka_unit_test_setup_teardown(nothing_is_charged_without_it,
						enter, leave),
	};

	return cmocka_run_group_tests_name("accounting", tests, setup,
					   teardown);
}
