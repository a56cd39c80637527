// SPDX-License-Identifier: MIT
/*
 * Usage: backends [NAME...]
 *
 * The same calls, errors and limits of libion over each backend: those named,
 * which then have to be there, or all that can be used here. What differs from
 * one to another, as <ion/ion.h> has it, is in the table of kinds below.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

#include <linux/ion_test.h>

#include "test.h"

/*
 * @dma_bufs: its buffers are dma-bufs, and any dma-buf can be imported
 * @handle_fds: descriptors of the process that a held handle takes; none where
 *	the client lives in the kernel
 * @limited: how large a buffer can be is limited, on some kernels
 * @files: it is limited as files are
 * @bounces: what a device wrote arrives even if that took a bounce buffer
 */
static const struct kind {
	const char *name;
	bool dma_bufs;
	int handle_fds;
	bool limited;
	bool files;
	bool bounces;
} kinds[] = {
	{ .name = "ion", .dma_bufs = true, .bounces = true },
	{ .name = "dma-heap", .dma_bufs = true, .bounces = true,
	  .handle_fds = 1 },
	{ .name = "udmabuf", .dma_bufs = true, .handle_fds = 1,
	  .limited = true, .files = true },
	{ .name = "memfd", .handle_fds = 1, .files = true },
};

static const struct kind *kind;

static int open_client(void)
{
	return expect_ok(ion_open_backend(kind->name));
}

static long alloc(int ion, size_t len, size_t align, unsigned int heaps,
		  int *handle)
{
	return ion_alloc(ion, len, align, heaps, CACHED, handle);
}

static int alloc_ok(int ion, size_t len)
{
	int handle = 0;

	expect(alloc(ion, len, 0, SYSTEM, &handle), 0);
	assert_true(handle > 0);
	return handle;
}

static int share_ok(int ion, int handle)
{
	int fd = -1;

	expect(ion_share(ion, handle, &fd), 0);
	return fd;
}

/* ---- which one */

static void names_are_in_order(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < COUNT(kinds); i++)
		assert_string_equal(ion_backend_name(i), kinds[i].name);
	assert_null(ion_backend_name(COUNT(kinds)));
	assert_null(ion_backend_name(UINT32_MAX));
}

static void a_name_chooses(void **state)
{
	char why[200] = "";
	int ion = open_client();

	(void)state;
	expect(fcntl(ion, F_GETFD), FD_CLOEXEC);
	assert_string_equal(ion_backend(ion), kind->name);
	expect(ion_probe_backend(kind->name, why, sizeof(why)), 0);
	assert_true(strlen(why) > strlen(kind->name));
	expect(ion_probe_backend(kind->name, NULL, 0), 0);
	expect(ion_close(ion), 0);

	expect(setenv("ION_BACKEND", kind->name, 1), 0);
	ion = open_ion();
	assert_string_equal(ion_backend(ion), kind->name);
	expect(ion_close(ion), 0);
	/* The call is asked first. */
	expect(setenv("ION_BACKEND", "memfd", 1), 0);
	ion = open_client();
	assert_string_equal(ion_backend(ion), kind->name);
	expect(ion_close(ion), 0);

	expect(setenv("ION_BACKEND", "none", 1), 0);
	expect(ion_open(), -EINVAL);
	expect(ion_open_backend("none"), -EINVAL);
	expect(ion_open_backend(""), -EINVAL);
	expect(ion_probe_backend("none", why, sizeof(why)), -EINVAL);
	expect(ion_probe_backend(NULL, why, sizeof(why)), -EINVAL);
	expect(setenv("ION_BACKEND", "", 1), 0);
	expect(ion_close(open_ion()), 0);
	expect(unsetenv("ION_BACKEND"), 0);
	expect(ion_close(open_ion()), 0);
}

static void other_files_are_no_clients(void **state)
{
	int ion = open_client(), pipes[2], handle = alloc_ok(ion, PAGE);
	int memfd = expect_ok(sys(memfd_create("test", 0)));
	int null = expect_ok(sys(open("/dev/null", O_RDWR)));
	int others[] = { -1, 1000, null, memfd, share_ok(ion, handle), 0, 0 };

	(void)state;
	expect(sys(pipe(pipes)), 0);
	others[5] = pipes[0];
	others[6] = pipes[1];
	for (size_t i = 0; i < COUNT(others); i++) {
		assert_null(ion_backend(others[i]));
		expect(ion_free(others[i], handle), i < 2 ? -EBADF : -ENOTTY);
		if (i >= 2)
			close(others[i]);
	}
	expect(ion_free(ion, handle), 0);
	ion_close(ion);
}

/* As somebody who may open none of the nodes. */
static int without_permission(void *arg)
{
	char why[200];
	int ion;

	(void)arg;
	expect(sys(setgid(65534)), 0);
	expect(sys(setuid(65534)), 0);
	ion = open_ion();
	assert_string_equal(ion_backend(ion), "memfd");
	ion_close(ion);
	if (!strcmp(kind->name, "memfd"))
		return 0;
	expect(ion_open_backend(kind->name), -EACCES);
	expect(ion_probe_backend(kind->name, why, sizeof(why)), -EACCES);
	assert_non_null(strstr(why, "Permission denied"));
	return 0;
}

static void what_may_not_be_opened_is_passed_over(void **state)
{
	(void)state;
	if (getuid())
		skip();
	expect(end_of(without_permission, NULL), 0);
}

/*
 * The system heap by a name of which nothing is known, and no other: what could
 * be had by that is not what programs ask for.
 */
static int with_another_heap(void *arg)
{
	int ion, handle = 0;
	struct stat st;
	char why[200];

	(void)arg;
	expect(sys(stat("/dev/dma_heap/system", &st)), 0);
	expect(sys(unshare(CLONE_NEWNS)), 0);
	expect(sys(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)), 0);
	expect(sys(mount("none", "/dev/dma_heap", "tmpfs", 0, NULL)), 0);
	umask(0);
	expect(sys(mknod("/dev/dma_heap/another", S_IFCHR | 0666, st.st_rdev)),
	       0);
	expect(sys(setgid(65534)), 0);
	expect(sys(setuid(65534)), 0);
	ion = open_ion();
	assert_string_equal(ion_backend(ion), "memfd");
	ion_close(ion);
	expect(ion_probe_backend(kind->name, why, sizeof(why)), 0);
	assert_non_null(strstr(why, "only by name"));
	ion = open_client();
	expect(alloc(ion, PAGE, 0, SYSTEM, &handle), -ENODEV);
	expect(alloc(ion, PAGE, 0, ~0U, &handle), 0);
	return 0;
}

static void a_system_heap_is_taken_unasked(void **state)
{
	(void)state;
	if (getuid() || strcmp(kind->name, "dma-heap"))
		skip();
	expect(end_of(with_another_heap, NULL), 0);
}

static void generations_are_told(void **state)
{
	int ion = open_client();

	(void)state;
	expect(ion_is_legacy(ion), 1);
	expect(ion_is_using_modular_heaps(ion), 1);
	ion_close(ion);
}

/* ---- allocating */

static void lengths(void **state)
{
	int ion = open_client(), handle = 77, fd = 77;
	long half = sysconf(_SC_PHYS_PAGES) / 2;

	(void)state;
	expect(alloc(ion, 0, 0, SYSTEM, &handle), -EINVAL);
	expect(alloc(ion, SIZE_MAX, 0, SYSTEM, &handle), -EINVAL);
	expect(alloc(ion, SIZE_MAX - PAGE + 2, 0, SYSTEM, &handle), -EINVAL);
	expect(ion_alloc_fd(ion, 0, 0, SYSTEM, CACHED, &fd), -EINVAL);
	if (half + 4096 < (long)(SIZE_MAX / PAGE)) {
		expect(alloc(ion, SIZE_MAX - PAGE + 1, 0, SYSTEM, &handle),
		       -ENOMEM);
		expect(alloc(ion, (half + 4096) * PAGE, 0, SYSTEM, &handle),
		       -ENOMEM);
		expect(ion_alloc_fd(ion, (half + 4096) * PAGE, 0, SYSTEM,
				    CACHED, &fd), -ENOMEM);
	}
	expect(handle, 77);
	expect(fd, 77);
	ion_close(ion);
}

static unsigned int mask_of_all(int ion)
{
	struct ion_heap_data heaps[ION_NUM_HEAP_IDS];
	unsigned int mask = 0;
	int count = 0;

	expect(ion_query_heap_cnt(ion, &count), 0);
	assert_in_range(count, 1, ION_NUM_HEAP_IDS);
	memset(heaps, 0xff, sizeof(heaps));
	expect(ion_query_get_heaps(ion, ION_NUM_HEAP_IDS, heaps), 0);
	for (int i = 0; i < count; i++) {
		unsigned int bit = 1U << heaps[i].heap_id;

		assert_in_range(heaps[i].heap_id, 0, 31);
		assert_false(mask & bit);
		mask |= bit;
		assert_in_range(strnlen(heaps[i].name, MAX_HEAP_NAME), 1,
				MAX_HEAP_NAME - 1);
		expect(heaps[i].reserved0 | heaps[i].reserved1 |
		       heaps[i].reserved2, 0);
		if (heaps[i].heap_id != ION_HEAP_TYPE_SYSTEM)
			continue;
		expect(heaps[i].type, ION_HEAP_TYPE_SYSTEM);
		assert_string_equal(heaps[i].name, "ion_system_heap");
	}
	return mask;
}

static void heaps(void **state)
{
	int ion = open_client(), handle = 0, fd = -1;
	struct ion_heap_data two[2];
	unsigned int mask = mask_of_all(ion);

	(void)state;
	assert_true(mask & SYSTEM);
	expect(alloc(ion, PAGE, 0, 0, &handle), -ENODEV);
	expect(ion_alloc_fd(ion, PAGE, 0, 0, CACHED, &fd), -ENODEV);
	for (int id = 0; id < 32; id++) {
		expect(alloc(ion, PAGE, 0, 1U << id, &handle),
		       mask & 1U << id ? 0 : -ENODEV);
		if (mask & 1U << id)
			expect(ion_free(ion, handle), 0);
	}
	expect(alloc(ion, PAGE, 0, ~mask | SYSTEM, &handle), 0);
	expect(alloc(ion, PAGE, 0, ~0U, &handle), 0);

	memset(two, 0xff, sizeof(two));
	expect(ion_query_get_heaps(ion, 1, two), 0);
	expect(two[1].heap_id, UINT32_MAX);
	expect(ion_query_get_heaps(ion, 0, two), -EINVAL);
	expect(ion_query_get_heaps(ion, 1, NULL), -EINVAL);
	ion_close(ion);
}

static void alignments(void **state)
{
	static const size_t good[] = { 0, 1, 2, 64, 2048, 4096 };
	static const size_t bad[] = { 3, 4097, 8192, 12288, SIZE_MAX,
				      SIZE_MAX - 4095, SIZE_MAX / 2 + 1 };
	int ion = open_client(), handle = 0, fd = -1;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		expect(alloc(ion, PAGE, good[i], SYSTEM, &handle), 0);
		expect(ion_alloc_fd(ion, PAGE, good[i], SYSTEM, 0, &fd), 0);
		close(fd);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		expect(alloc(ion, PAGE, bad[i], SYSTEM, &handle), -EINVAL);
		expect(ion_alloc_fd(ion, PAGE, bad[i], SYSTEM, 0, &fd),
		       -EINVAL);
	}
	ion_close(ion);
}

/* Of 64 MiB, which newer kernels do not have. */
static bool is_limited(void)
{
	const char *path = "/sys/module/udmabuf/parameters/size_limit_mb";
	FILE *file = fopen(path, "re");
	int limit = 0;

	if (!file)
		return false;
	expect(fscanf(file, "%d", &limit), 1);
	fclose(file);
	return limit == 64;
}

/* The one backend that has a limit of its own. */
static void size_limit(void **state)
{
	bool limited = kind->limited && is_limited();
	int ion = open_client(), handle = 77;
	long wanted = limited ? -ENOMEM : 0;

	(void)state;
	expect(alloc(ion, 64 * MiB + PAGE, 0, SYSTEM, &handle), wanted);
	if (wanted)
		expect(handle, 77);
	else
		expect(ion_free(ion, handle), 0);
	expect(alloc(ion, 64 * MiB, 0, SYSTEM, &handle), 0);
	ion_close(ion);
}

static int small_files(void *arg)
{
	struct rlimit limit = { 64 * KiB, 64 * KiB }, none = { 0, 0 };
	int ion = open_client(), handle = 77, fd = 77;
	long wanted = kind->files ? -ENOMEM : 0;

	(void)arg;
	expect(sys(setrlimit(RLIMIT_FSIZE, &limit)), 0);
	alloc_ok(ion, 64 * KiB);
	expect(alloc(ion, 64 * KiB + 1, 0, SYSTEM, &handle), wanted);
	expect(ion_alloc_fd(ion, MiB, 0, SYSTEM, CACHED, &fd), wanted);
	expect(handle == 77 && fd == 77, kind->files);
	expect(sys(setrlimit(RLIMIT_FSIZE, &none)), 0);
	if (kind->files)
		expect(alloc(ion, 1, 0, SYSTEM, &handle), -ENOMEM);
	expect(ion_open_backend("memfd"), -ENOMEM);
	return 0;
}

/* None is killed for it. */
static void files_are_limited(void **state)
{
	(void)state;
	expect(end_of(small_files, NULL), 0);
}

static void memory_is_zero(void **state)
{
	int ion = open_client(), fd;
	char *addr;

	(void)state;
	for (int i = 0; i < 2; i++) {
		fd = alloc_fd(ion, SYSTEM, 64 * KiB);
		expect(fcntl(fd, F_GETFD), FD_CLOEXEC);
		addr = map(fd, 64 * KiB);
		expect_zero(addr, 64 * KiB);
		memset(addr, 0xa5, 64 * KiB);
		munmap(addr, 64 * KiB);
		close(fd);
	}
	ion_close(ion);
}

/* ---- handles */

static void handles_are_freed_once(void **state)
{
	static const int bad[] = { 0, -1, 1 << 20, 1000000, INT32_MAX,
				   INT32_MIN };
	int ion = open_client(), handle = alloc_ok(ion, PAGE), fd = -1;
	int other = alloc_ok(ion, PAGE);
	unsigned char *addr = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		expect(ion_free(ion, bad[i]), -EINVAL);
		expect(ion_share(ion, bad[i], &fd), -EINVAL);
		expect(ion_map(ion, bad[i], PAGE, PROT_READ, MAP_SHARED, 0,
			       &addr, &fd), -EINVAL);
	}
	expect(ion_free(ion, handle), 0);
	expect(ion_free(ion, handle), -EINVAL);
	expect(ion_share(ion, handle, &fd), -EINVAL);
	/* What comes next is not taken for it. */
	alloc_ok(ion, PAGE);
	expect(ion_free(ion, handle), -EINVAL);
	expect(ion_free(ion, other), 0);
	expect(ion_free(ion, other), -EINVAL);
	expect(fd, -1);
	assert_null(addr);
	ion_close(ion);
}

static void many_handles(void **state)
{
	enum { MANY = 700 };
	int ion = open_client(), handles[MANY], before = open_descriptors();

	(void)state;
	for (int i = 0; i < MANY; i++)
		handles[i] = alloc_ok(ion, PAGE);
	expect(open_descriptors(), before + MANY * kind->handle_fds);
	for (int i = 0; i < MANY; i += 2)
		expect(ion_free(ion, handles[i]), 0);
	for (int i = 0; i < MANY; i++)
		expect(ion_free(ion, handles[i]), i % 2 ? 0 : -EINVAL);
	expect(open_descriptors(), before);
	ion_close(ion);
}

/* Of those that were freed none means what came after them, however much did. */
static void ids_do_not_come_back(void **state)
{
	enum { STALE = 4, ROUNDS = 5000 };
	int ion = open_client(), fd = alloc_fd(ion, SYSTEM, PAGE);
	int stale[STALE], handle = 0;

	(void)state;
	for (int i = 0; i < STALE; i++)
		stale[i] = alloc_ok(ion, PAGE);
	for (int i = 0; i < STALE; i++)
		expect(ion_free(ion, stale[i]), 0);
	for (int i = 0; i < ROUNDS; i++) {
		expect(ion_import(ion, fd, &handle), 0);
		for (int s = 0; s < STALE; s++)
			expect(ion_free(ion, stale[s]), -EINVAL);
		expect(ion_free(ion, handle), 0);
	}
	close(fd);
	ion_close(ion);
}

static void shared_descriptors(void **state)
{
	int ion = open_client(), handle = alloc_ok(ion, 5000);
	int a = share_ok(ion, handle), b = share_ok(ion, handle);

	(void)state;
	expect(fcntl(a, F_GETFD), FD_CLOEXEC);
	expect(fcntl(a, F_GETFL) & O_ACCMODE, O_RDWR);
	assert_int_not_equal(a, b);
	expect(inode_of(a), inode_of(b));
	expect(lseek(a, 0, SEEK_END), 2 * PAGE);
	memset(map(a, PAGE), 7, PAGE);
	close(a);
	expect(ion_free(ion, handle), 0);
	expect(ion_close(ion), 0);
	/* It lives as long as anybody has it. */
	expect(*(char *)map(b, PAGE), 7);
	close(b);
}

static void imports_count(void **state)
{
	int ion = open_client(), handle = alloc_ok(ion, PAGE), again = 0;
	int fd = share_ok(ion, handle), before = open_descriptors();

	(void)state;
	for (int i = 0; i < 2; i++) {
		expect(ion_import(ion, fd, &again), 0);
		expect(again, handle);
	}
	expect(open_descriptors(), before);
	close(fd);
	for (int i = 0; i < 3; i++) {
		close(share_ok(ion, handle));
		expect(ion_free(ion, handle), 0);
	}
	expect(ion_free(ion, handle), -EINVAL);
	ion_close(ion);
}

static int sealed_memfd(size_t size, int seals)
{
	int fd = expect_ok(sys(memfd_create("test", MFD_ALLOW_SEALING)));

	expect(sys(ftruncate(fd, size)), 0);
	expect(sys(fcntl(fd, F_ADD_SEALS, seals)), 0);
	return fd;
}

static void imports_refused(void **state)
{
	int ion = open_client(), pipes[2], handle = 77, other = open_client();
	char path[40];
	int before, no[9], paths[2];

	(void)state;
	expect(sys(pipe(pipes)), 0);
	no[0] = expect_ok(sys(open("/dev/null", O_RDWR)));
	no[1] = sealed_memfd(PAGE, 0);
	no[2] = sealed_memfd(PAGE, F_SEAL_SHRINK);
	no[3] = sealed_memfd(PAGE, F_SEAL_SHRINK | F_SEAL_GROW);
	no[4] = sealed_memfd(PAGE, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE |
			     F_SEAL_SEAL);
	no[5] = expect_ok(sys(socket(AF_UNIX, SOCK_STREAM, 0)));
	no[6] = expect_ok(sys(open("/proc/self/exe", O_RDONLY)));
	/* What libion makes has whole pages, and one at least. */
	no[7] = sealed_memfd(0, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	no[8] = sealed_memfd(PAGE + 1, F_SEAL_SHRINK | F_SEAL_GROW |
			     F_SEAL_SEAL);
	paths[0] = alloc_fd(ion, SYSTEM, PAGE);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", paths[0]);
	paths[1] = expect_ok(sys(open(path, O_PATH)));
	before = open_descriptors();
	expect(ion_import(ion, paths[1], &handle), -EBADF);
	expect(ion_sync_fd(ion, paths[1]), -EBADF);
	expect(ion_import(ion, -1, &handle), -EBADF);
	expect(ion_import(ion, 1000, &handle), -EBADF);
	expect(ion_import(ion, INT32_MAX, &handle), -EBADF);
	expect(ion_import(ion, pipes[0], &handle), -EINVAL);
	expect(ion_import(ion, ion, &handle), -EINVAL);
	expect(ion_import(ion, other, &handle), -EINVAL);
	for (size_t i = 0; i < COUNT(no); i++) {
		expect(ion_import(ion, no[i], &handle), -EINVAL);
		expect(ion_sync_fd(ion, no[i]), -EINVAL);
	}
	expect(open_descriptors(), before);
	expect(handle, 77);
	for (size_t i = 0; i < COUNT(no); i++)
		close(no[i]);
	close(paths[0]);
	close(paths[1]);
	close(pipes[0]);
	close(pipes[1]);
	ion_close(other);
	ion_close(ion);
}

/* From one backend's client into another's. */
static void imports_from_others(void **state)
{
	int ion = open_client();

	(void)state;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		int other = ion_open_backend(kinds[i].name), handle = 77, fd;

		if (other < 0)
			continue;
		fd = alloc_fd(other, SYSTEM, PAGE);
		expect(ion_import(ion, fd, &handle),
		       kinds[i].dma_bufs == kind->dma_bufs ? 0 : -EINVAL);
		close(fd);
		ion_close(other);
	}
	ion_close(ion);
}

static void clients_are_apart(void **state)
{
	int a = open_client(), b = open_client(), fd = -1, imported = 0;
	int handle = alloc_ok(a, PAGE);

	(void)state;
	expect(ion_free(b, handle), -EINVAL);
	expect(ion_share(b, handle, &fd), -EINVAL);
	fd = share_ok(a, handle);
	expect(ion_import(b, fd, &imported), 0);
	expect(ion_close(a), 0);
	close(share_ok(b, imported));
	expect(ion_free(b, imported), 0);
	expect(ion_free(b, imported), -EINVAL);
	close(fd);
	ion_close(b);
}

/* ---- mapping */

static void mappings(void **state)
{
	int ion = open_client(), handle = alloc_ok(ion, 2 * PAGE), before;
	int out = 77, fd = share_ok(ion, handle);
	unsigned char *addr = NULL;
	static const struct {
		size_t length;
		off_t offset;
		int flags;
	} no[] = {
		{ 0, 0, MAP_SHARED },
		{ 2 * PAGE + 1, 0, MAP_SHARED },
		{ SIZE_MAX / 2, 0, MAP_SHARED },
		{ PAGE + 1, PAGE, MAP_SHARED },
		{ PAGE, 2 * PAGE, MAP_SHARED },
		{ PAGE, 1 << 30, MAP_SHARED },
		{ PAGE, 1, MAP_SHARED },
		{ PAGE, -10 * (off_t)PAGE, MAP_SHARED },
		{ 20 * PAGE, -10 * (off_t)PAGE, MAP_SHARED },
		{ PAGE, 0, MAP_PRIVATE },
		{ PAGE, 0, 0 },
		{ PAGE, 0, MAP_SHARED | MAP_FIXED },
		{ PAGE, 0, MAP_SHARED | MAP_FIXED_NOREPLACE },
		{ PAGE, 0, MAP_SHARED | MAP_ANONYMOUS },
	};

	(void)state;
	before = open_descriptors();
	for (size_t i = 0; i < COUNT(no); i++) {
		long came = ion_map(ion, handle, no[i].length, PROT_READ,
				    no[i].flags, no[i].offset, &addr, &out);

		/* No room for that is found first. */
		if (came != -ENOMEM || no[i].length != SIZE_MAX / 2)
			expect(came, -EINVAL);
		came = ion_map_fd(fd, no[i].length, PROT_READ, no[i].flags,
				  no[i].offset, &addr);
		if (came != -ENOMEM || no[i].length != SIZE_MAX / 2)
			expect(came, -EINVAL);
	}
	expect(out, 77);
	assert_null(addr);
	expect(open_descriptors(), before);

	expect(ion_map(ion, handle, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
		       PAGE, &addr, &out), 0);
	expect(open_descriptors(), before + 1);
	fill(addr, PAGE, 3);
	expect_pattern((char *)map(fd, 2 * PAGE) + PAGE, PAGE, 3);
	munmap(addr, PAGE);
	close(out);
	close(fd);
	ion_close(ion);
}

static void large_mappings(void **state)
{
	int ion = open_client(), fd = alloc_fd(ion, SYSTEM, 6 * MiB);
	unsigned char *addr[3];
	size_t len = 4 * MiB;

	(void)state;
	for (int i = 0; i < 3; i++) {
		off_t offset = i * PAGE;

		expect(ion_map_fd(fd, len, PROT_READ | PROT_WRITE, MAP_SHARED,
				  offset, &addr[i]), 0);
		expect((uintptr_t)addr[i] % (2 * MiB), offset);
		memset(addr[i] + len - PAGE, i + 1, 1);
		memset(addr[i], i + 1, 1);
	}
	/* Each is all there, and where it was asked for. */
	expect(addr[0][PAGE], 2);
	expect(addr[0][2 * PAGE], 3);
	expect(addr[1][len - PAGE], 2);
	for (int i = 0; i < 3; i++)
		expect(sys(munmap(addr[i], len)), 0);
	close(fd);
	ion_close(ion);
}

/* ---- CPU access */

static void whole_accesses(void **state)
{
	int ion = open_client(), fd = alloc_fd(ion, SYSTEM, PAGE);

	(void)state;
	/* First, before there was any access, and again. */
	for (int i = 0; i < 2; i++)
		expect(ion_sync_fd(ion, fd), 0);
	expect(ion_sync_fd(ion, -1), -EBADF);
	expect(ion_sync_fd(ion, 1000), -EBADF);
	expect(ion_sync_fd(ion, ion), -EINVAL);
	/* What a memfd is not. */
	expect(sync_buffer(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW),
	       kind->dma_bufs ? 0 : -ENOTTY);
	expect(sync_buffer(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW),
	       kind->dma_bufs ? 0 : -ENOTTY);
	close(fd);
	ion_close(ion);
}

static void partial_accesses(void **state)
{
	static const unsigned int good[] = {
		DMA_BUF_SYNC_READ, DMA_BUF_SYNC_WRITE, DMA_BUF_SYNC_RW,
	};
	static const unsigned int bad[] = {
		0, DMA_BUF_SYNC_END, 8, 8 | DMA_BUF_SYNC_RW, UINT32_MAX,
	};
	int ion = open_client(), fd = alloc_fd(ion, SYSTEM, 2 * PAGE);

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		expect(ion_sync_range(ion, fd, 1, PAGE, good[i]), 0);
		expect(ion_sync_range(ion, fd, 1, PAGE,
				      DMA_BUF_SYNC_END | good[i]), 0);
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		expect(ion_sync_range(ion, fd, 0, PAGE, bad[i]), -EINVAL);
#define range(offset, len) ion_sync_range(ion, fd, offset, len, DMA_BUF_SYNC_RW)
	expect(range(0, 2 * PAGE), 0);
	expect(range(2 * PAGE - 1, 1), 0);
	expect(range(0, 0), -EINVAL);
	expect(range(0, 2 * PAGE + 1), -EINVAL);
	expect(range(2 * PAGE, 1), -EINVAL);
	expect(range(1, UINT64_MAX), -EINVAL);
	expect(range(UINT64_MAX, 1), -EINVAL);
#undef range
	expect(ion_sync_range(ion, -1, 0, 1, DMA_BUF_SYNC_RW), -EBADF);
	expect(ion_sync_range(ion, 1000, 0, 1, DMA_BUF_SYNC_RW), -EBADF);
	expect(ion_sync_range(ion, ion, 0, 1, DMA_BUF_SYNC_RW), -EINVAL);
	close(fd);
	ion_close(ion);
}

/* ---- lives */

/* As an open file ends: with the last descriptor of it. */
static void duplicates_are_the_client(void **state)
{
	int before = open_descriptors(), ion = open_client(), copy, other;
	int handle = alloc_ok(ion, PAGE);

	(void)state;
	copy = expect_ok(sys(dup(ion)));
	other = expect_ok(sys(dup(ion)));
	close(share_ok(copy, handle));
	expect(ion_close(ion), 0);
	close(share_ok(copy, handle));
	expect(ion_free(ion, handle), -EBADF);
	close(copy);
	close(share_ok(other, handle));
	expect(ion_close(other), 0);
	expect(open_descriptors(), before);
	expect(ion_close(other), -EBADF);
}

/* The number comes back, and means another client. */
static void plain_close_ends_it(void **state)
{
	int before = open_descriptors(), ion = open_client(), again, fd = -1;
	int handle = alloc_ok(ion, PAGE);

	(void)state;
	for (int i = 0; i < 40; i++) {
		close(ion);
		expect(ion_share(ion, handle, &fd), -EBADF);
		again = open_client();
		if (!kind->handle_fds)
			expect(again, ion);
		expect(ion_share(again, handle, &fd), -EINVAL);
		ion = again;
		expect(alloc_ok(ion, PAGE), handle);
	}
	expect(ion_close(ion), 0);
	/* All of it was released, at the next ion_open() at the latest. */
	expect(open_descriptors(), before);
}

/* A number that came back as another's file. */
static void reused_numbers_are_no_clients(void **state)
{
	int ion = open_client(), handle = alloc_ok(ion, PAGE), ends[2];

	(void)state;
	close(ion);
	expect(sys(pipe(ends)), 0);
	expect(sys(dup2(ends[0], ion)), ion);
	expect(ion_free(ion, handle), -ENOTTY);
	assert_null(ion_backend(ion));
	expect(ion_close(ion), 0);
	if (ends[0] != ion)
		close(ends[0]);
	close(ends[1]);
	ion_close(open_client());
}

/* Nor are those that the library has for itself. */
static void only_the_token_is_the_client(void **state)
{
	int ion = open_client();

	(void)state;
	alloc_ok(ion, PAGE);
	for (int fd = 0; fd < 100; fd++)
		if (fd != ion)
			assert_null(ion_backend(fd));
	ion_close(ion);
}

/* closefrom(), and what was opened since is not touched. */
static int robbed(void *spared)
{
	int ion = open_client(), handle = alloc_ok(ion, PAGE), out = 77;
	int files[20];

	for (int fd = 3; fd < 200; fd++)
		if (fd != ion || !spared)
			close(fd);
	for (size_t i = 0; i < COUNT(files); i++)
		files[i] = expect_ok(sys(open("/dev/null", O_RDONLY)));
	if (spared && kind->handle_fds) {
		expect(ion_share(ion, handle, &out), -ENOTTY);
		expect(ion_free(ion, handle), -ENOTTY);
		expect(alloc(ion, PAGE, 0, SYSTEM, &out), -ENOTTY);
		assert_null(ion_backend(ion));
		expect(out, 77);
	}
	if (spared)
		expect(ion_close(ion), 0);
	ion = open_client();
	ion_close(ion);
	for (size_t i = 0; i < COUNT(files); i++)
		expect_ok(sys(fcntl(files[i], F_GETFD)));
	return 0;
}

static void descriptors_of_others_are_left_alone(void **state)
{
	bool spared = true;

	(void)state;
	expect(end_of(robbed, NULL), 0);
	expect(end_of(robbed, &spared), 0);
}

static void *free_when_cancelled(void *arg)
{
	const int *client = arg;

	expect(pthread_cancel(pthread_self()), 0);
	expect(ion_free(client[0], client[1]), 0);
	pthread_testcancel();
	return NULL;
}

/* Cancelling a thread ends no call half way. */
static void cancelled_threads_keep_nothing(void **state)
{
	int before = open_descriptors(), client[2] = { open_client() };
	pthread_t thread;
	void *end;

	(void)state;
	client[1] = alloc_ok(client[0], PAGE);
	expect(pthread_create(&thread, NULL, free_when_cancelled, client), 0);
	expect(pthread_join(thread, &end), 0);
	assert_ptr_equal(end, PTHREAD_CANCELED);
	expect(ion_free(client[0], client[1]), -EINVAL);
	expect(ion_close(client[0]), 0);
	expect(open_descriptors(), before);
}

struct family {
	int ion, copy, handle, fd, sock;
};

static int child_of_family(void *arg)
{
	struct family *family = arg;
	int kept, other, before = open_descriptors();

	/* What was before it is there, and what it does is its own. */
	close(share_ok(family->ion, family->handle));
	other = alloc_ok(family->ion, PAGE);
	expect(ion_free(family->ion, other), 0);
	memset(map(family->fd, PAGE), 9, PAGE);
	if (kind->handle_fds)
		expect(ion_free(family->ion, family->handle), 0);
	kept = alloc_ok(family->ion, PAGE);
	expect(ion_close(family->ion), 0);
	expect(ion_free(family->ion, family->handle), -EBADF);
	/* A duplicate is the client, as ever. */
	close(share_ok(family->copy, kept));
	expect(ion_free(family->copy, kept), 0);
	expect(ion_close(family->copy), 0);
	/* Its copies of the library's own are closed. */
	if (kind->handle_fds)
		assert_true(open_descriptors() < before - 2);
	other = open_client();
	alloc_ok(other, PAGE);
	return 0;
}

static void both_go_on_after_fork(void **state)
{
	struct family family = { .ion = open_client() };
	int other;

	(void)state;
	family.handle = alloc_ok(family.ion, PAGE);
	family.fd = share_ok(family.ion, family.handle);
	family.copy = expect_ok(sys(dup(family.ion)));
	expect(end_of(child_of_family, &family), 0);
	expect(*(char *)map(family.fd, PAGE), 9);
	close(share_ok(family.ion, family.handle));
	other = alloc_ok(family.ion, PAGE);
	expect(ion_free(family.ion, other), 0);
	expect(ion_free(family.ion, family.handle), 0);
	expect(ion_free(family.ion, family.handle), -EINVAL);
	close(family.fd);
	ion_close(family.ion);
	expect(ion_free(family.copy, alloc_ok(family.copy, PAGE)), 0);
	ion_close(family.copy);
}

/* While the child has its own of all of it. */
static void a_child_keeps_nothing_of_its_parents(void **state)
{
	int before = open_descriptors(), ion = open_client(), ends[2], status;
	int copy = expect_ok(sys(dup(ion)));
	pid_t pid;
	char byte;

	(void)state;
	alloc_ok(ion, PAGE);
	expect(sys(pipe2(ends, O_CLOEXEC)), 0);
	pid = expect_ok(sys(fork()));
	if (!pid) {
		close(ends[1]);
		_exit(read(ends[0], &byte, 1) || ion_close(ion));
	}
	expect(ion_close(ion), 0);
	close(ends[0]);
	alloc_ok(copy, PAGE);
	expect(ion_close(copy), 0);
	expect(open_descriptors(), before + 1);
	close(ends[1]);
	expect(sys(waitpid(pid, &status, 0)), pid);
	expect(status, 0);
}

static int writer(void *arg)
{
	struct family *family = arg;
	int fd, ion, handle = 0;
	void *addr;

	ion_close(family->ion);
	fd = receive_fd(family->sock);
	ion = open_client();
	expect(ion_import(ion, fd, &handle), 0);
	addr = map(fd, 64 * KiB);
	expect(ion_sync_range(ion, fd, 0, 64 * KiB, DMA_BUF_SYNC_START |
			      DMA_BUF_SYNC_WRITE), 0);
	fill(addr, 64 * KiB, 5);
	expect(ion_sync_range(ion, fd, 0, 64 * KiB, DMA_BUF_SYNC_END |
			      DMA_BUF_SYNC_WRITE), 0);
	return 0;
}

static void processes_share(void **state)
{
	struct family family = { .ion = open_client() };
	int socks[2], fd;

	(void)state;
	expect(sys(socketpair(AF_UNIX, SOCK_STREAM, 0, socks)), 0);
	fd = alloc_fd(family.ion, SYSTEM, 64 * KiB);
	send_fd(socks[0], fd);
	family.sock = socks[1];
	expect(end_of(writer, &family), 0);
	expect(ion_sync_range(family.ion, fd, 0, 64 * KiB, DMA_BUF_SYNC_START |
			      DMA_BUF_SYNC_READ), 0);
	expect_pattern(map(fd, 64 * KiB), 64 * KiB, 5);
	expect(ion_sync_range(family.ion, fd, 0, 64 * KiB, DMA_BUF_SYNC_END |
			      DMA_BUF_SYNC_READ), 0);
	close(socks[0]);
	close(socks[1]);
	close(fd);
	ion_close(family.ion);
}

static pthread_t first_thread;

static void *second_thread(void *arg)
{
	struct family *family = arg;

	expect(pthread_join(first_thread, NULL), 0);
	close(share_ok(family->ion, family->handle));
	ion_close(open_client());
	close(share_ok(family->ion, family->handle));
	expect(ion_free(family->ion, family->handle), 0);
	expect(ion_close(family->ion), 0);
	_exit(0);
}

static int first_thread_ends(void *arg)
{
	static struct family family;
	pthread_t second;

	(void)arg;
	family.ion = open_client();
	family.handle = alloc_ok(family.ion, PAGE);
	first_thread = pthread_self();
	expect(pthread_create(&second, NULL, second_thread, &family), 0);
	pthread_exit(NULL);
}

static void it_outlives_the_first_thread(void **state)
{
	(void)state;
	expect(end_of(first_thread_ends, NULL), 0);
}

/* ---- shortages */

static int no_more_descriptors(void *arg)
{
	int ion = open_client(), handle = alloc_ok(ion, PAGE), out = 77, n = 0;
	int fd = share_ok(ion, handle), held[1024], other = 0;
	struct rlimit limit = { 64, 64 };
	unsigned char *addr = NULL;

	(void)arg;
	expect(sys(setrlimit(RLIMIT_NOFILE, &limit)), 0);
	while ((held[n] = dup(0)) >= 0)
		n++;
	expect(-errno, -EMFILE);
	expect(ion_open(), -EMFILE);
	expect(ion_open_backend(kind->name), -EMFILE);
	expect(ion_probe_backend(kind->name, NULL, 0), -EMFILE);
	expect(ion_share(ion, handle, &out), -EMFILE);
	expect(ion_map(ion, handle, PAGE, PROT_READ, MAP_SHARED, 0, &addr,
		       &out), -EMFILE);
	expect(ion_alloc_fd(ion, PAGE, 0, SYSTEM, CACHED, &out), -EMFILE);
	if (kind->handle_fds) {
		expect(alloc(ion, PAGE, 0, SYSTEM, &out), -EMFILE);
		expect(ion_import(ion, fd, &out), -EMFILE);
	}
	expect(out, 77);
	assert_null(addr);
	/* With room for only a part of what it takes. */
	for (int room = 1; room < 4; room++) {
		int next;

		close(held[--n]);
		next = ion_open_backend(kind->name);
		if (next >= 0)
			ion_close(next);
		else
			expect(next, -EMFILE);
		if (!alloc(ion, PAGE, 0, SYSTEM, &other))
			expect(ion_free(ion, other), 0);
		/* None of it is left behind. */
		for (int i = 0; i < room; i++)
			held[n + i] = expect_ok(sys(dup(0)));
		expect(sys(dup(0)), -EMFILE);
		for (int i = 0; i < room; i++)
			close(held[n + i]);
	}
	close(share_ok(ion, handle));
	return 0;
}

static void shortage_is_not_absence(void **state)
{
	(void)state;
	expect(end_of(no_more_descriptors, NULL), 0);
}

static void nothing_is_left(void **state)
{
	int before = open_descriptors(), ion, handle, fd;

	(void)state;
	for (int i = 0; i < 10; i++) {
		ion = open_client();
		handle = alloc_ok(ion, PAGE);
		fd = share_ok(ion, handle);
		alloc_ok(ion, 2 * PAGE);
		expect(ion_close(ion), 0);
		close(fd);
	}
	expect(open_descriptors(), before);
}

/* ---- a device, where there is ours */

static long device(int dev, void *buf, int write)
{
	struct ion_test_rw_data data = {
		.ptr = (uintptr_t)buf, .size = 64 * KiB, .write = write,
	};

	return request(dev, ION_IOC_TEST_DMA_MAPPING, &data);
}

static char seen[64 * KiB], given[64 * KiB];

/* A device and the CPU see what the other wrote, and nothing older. */
static void devices_take_turns(void **state)
{
	int dev = open("/dev/ion-test", O_RDWR | O_CLOEXEC), ion, fd;
	bool arrives = kind->bounces || !bounces();
	void *addr;

	(void)state;
	if (dev < 0 || !kind->dma_bufs)
		skip();
	ion = open_client();
	fd = alloc_fd(ion, SYSTEM, sizeof(seen));
	addr = map(fd, sizeof(seen));
	expect(sys(ioctl(dev, ION_IOC_TEST_SET_FD, (long)fd)), 0);
	for (int turn = 0; turn < 4; turn++) {
		/* The old way: only an end. */
		fill(addr, sizeof(seen), 8 * turn);
		expect(ion_sync_fd(ion, fd), 0);
		expect_pattern(addr, sizeof(seen), 8 * turn);
		expect(device(dev, seen, 0), 0);
		expect_pattern(seen, sizeof(seen), 8 * turn);

		fill(given, sizeof(given), 8 * turn + 1);
		expect(device(dev, given, 1), 0);
		expect(ion_sync_range(ion, fd, 0, sizeof(seen),
				      DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW),
		       0);
		expect_pattern(addr, sizeof(seen), 8 * turn + arrives);
		fill(addr, sizeof(seen), 8 * turn + 2);
		expect(ion_sync_range(ion, fd, 0, sizeof(seen),
				      DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW), 0);
		expect(device(dev, seen, 0), 0);
		expect_pattern(seen, sizeof(seen), 8 * turn + 2);
	}
	close(dev);
	close(fd);
	ion_close(ion);
}

/* With nobody attached, too, and more than once. */
static void sync_keeps_what_was_written(void **state)
{
	int ion = open_client(), fd = alloc_fd(ion, SYSTEM, 64 * KiB);
	void *addr = map(fd, 64 * KiB);

	(void)state;
	for (int turn = 0; turn < 4; turn++) {
		fill(addr, 64 * KiB, turn);
		expect(ion_sync_fd(ion, fd), 0);
		expect_pattern(addr, 64 * KiB, turn);
	}
	close(fd);
	ion_close(ion);
}

static int run(const struct kind *one)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_in_order),
		cmocka_unit_test(a_name_chooses),
		cmocka_unit_test(other_files_are_no_clients),
		cmocka_unit_test(what_may_not_be_opened_is_passed_over),
		cmocka_unit_test(a_system_heap_is_taken_unasked),
		cmocka_unit_test(generations_are_told),
		cmocka_unit_test(lengths),
		cmocka_unit_test(heaps),
		cmocka_unit_test(alignments),
		cmocka_unit_test(size_limit),
		cmocka_unit_test(files_are_limited),
		cmocka_unit_test(memory_is_zero),
		cmocka_unit_test(handles_are_freed_once),
		cmocka_unit_test(many_handles),
		cmocka_unit_test(ids_do_not_come_back),
		cmocka_unit_test(shared_descriptors),
		cmocka_unit_test(imports_count),
		cmocka_unit_test(imports_refused),
		cmocka_unit_test(imports_from_others),
		cmocka_unit_test(clients_are_apart),
		cmocka_unit_test(mappings),
		cmocka_unit_test(large_mappings),
		cmocka_unit_test(whole_accesses),
		cmocka_unit_test(partial_accesses),
		cmocka_unit_test(duplicates_are_the_client),
		cmocka_unit_test(plain_close_ends_it),
		cmocka_unit_test(reused_numbers_are_no_clients),
		cmocka_unit_test(only_the_token_is_the_client),
		cmocka_unit_test(descriptors_of_others_are_left_alone),
		cmocka_unit_test(cancelled_threads_keep_nothing),
		cmocka_unit_test(both_go_on_after_fork),
		cmocka_unit_test(a_child_keeps_nothing_of_its_parents),
		cmocka_unit_test(processes_share),
		cmocka_unit_test(it_outlives_the_first_thread),
		cmocka_unit_test(shortage_is_not_absence),
		cmocka_unit_test(nothing_is_left),
		cmocka_unit_test(devices_take_turns),
		cmocka_unit_test(sync_keeps_what_was_written),
	};

	kind = one;
	return cmocka_run_group_tests_name(one->name, tests, NULL, NULL);
}

static bool is_named(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], name))
			return true;
	return argc == 1 && !ion_probe_backend(name, NULL, 0);
}

int main(int argc, char **argv)
{
	int failed = 0;

	unsetenv("ION_BACKEND");
	for (size_t i = 0; i < COUNT(kinds); i++)
		if (is_named(kinds[i].name, argc, argv))
			failed += run(&kinds[i]);
	return failed;
}
