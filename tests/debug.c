// SPDX-License-Identifier: MIT
/*
 * What people can see: debugfs ion/heaps, ion/clients and ion/buffers, the
 * tracepoints, and the names of buffers.
 */
#include "kernel/device_test.h"
#include "test.h"

#define DEBUGFS "/sys/kernel/debug/ion/"
#define TRACEFS "/sys/kernel/debug/tracing/"

#define comm program_invocation_short_name

static char text[1 << 20];

static const char *contents(const char *path)
{
	size_t len = 0;
	ssize_t n;
	int fd = expect_ok(sys(open(path, O_RDONLY | O_CLOEXEC)));

	while ((n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += n;
	expect(n, 0);
	close(fd);
	text[len] = 0;
	return text;
}

static void put(const char *path, const char *value)
{
	int fd = expect_ok(sys(open(path, O_WRONLY | O_TRUNC)));

	expect(sys(write(fd, value, strlen(value))), strlen(value));
	close(fd);
}

/* The number after a word at the start of a line. */
static long number(const char *path, const char *word)
{
	const char *at = strstr(contents(path), word);

	if (!at)
		print_error("no %s in %s:\n%s", word, path, text);
	assert_non_null(at);
	return strtol(at + strlen(word), NULL, 10);
}

/* The line of @path in which that number comes first, without the number. */
static char *line_of(const char *path, ino_t ino)
{
	char *line = strtok((char *)contents(path), "\n");

	for (; line; line = strtok(NULL, "\n")) {
		char *end;

		if (strtoul(line, &end, 10) == ino && end != line)
			return end;
	}
	return NULL;
}

static void heaps_are_counted(void **state)
{
	static const char *const paths[HEAPS] = {
		DEBUGFS "heaps/ion_system_heap",
		DEBUGFS "heaps/ion_system_contig_heap",
		DEBUGFS "heaps/frames", DEBUGFS "heaps/tiles",
		DEBUGFS "heaps/linux,cma",
	};
	int ion = open_ion();

	(void)state;
	for (int id = 0; id < HEAPS; id++) {
		long bytes = number(paths[id], "bytes:");
		long buffers = number(paths[id], "buffers:");
		long peak;
		int a, b;

		expect(number(paths[id], "id:"), id);
		expect(number(paths[id], "type:"), id);
		a = alloc_fd(ion, 1 << id, 3 * PAGE);
		b = alloc_fd(ion, 1 << id, MiB);
		expect(number(paths[id], "bytes:"), bytes + 3 * PAGE + MiB);
		expect(number(paths[id], "buffers:"), buffers + 2);
		peak = number(paths[id], "peak:");
		assert_true(peak >= bytes + (long)(3 * PAGE + MiB));
		close(a);
		close(b);
		expect(number(paths[id], "bytes:"), bytes);
		expect(number(paths[id], "buffers:"), buffers);
		expect(number(paths[id], "peak:"), peak);
	}
	ion_close(ion);
}

/* Write-combined memory waits for the next buffer, and is told of. */
static void pool_is_counted(void **state)
{
	const char *path = DEBUGFS "heaps/ion_system_heap";
	int ion = open_ion(), fd = -1;
	long pool;

	(void)state;
	expect(ion_alloc_fd(ion, PAGE, 0, SYSTEM, 0, &fd), 0);
	pool = number(path, "pool:");
	assert_true(pool > 0);
	close(fd);
	assert_true(number(path, "pool:") > pool);
	ion_close(ion);
}

/* Each page that stays would keep the rest of its block of 2 MiB waiting. */
static void pool_is_bounded(void **state)
{
	const char *path = DEBUGFS "heaps/ion_system_heap";
	const char *size = "/sys/module/ion/parameters/pool_size";
	int ion = open_ion(), handle, first;
	/* Cached and write-combined. */
	long most = 2 * number(size, "");

	(void)state;
	for (int i = 0; i < 64; i++) {
		expect(ion_alloc(ion, 511 * PAGE, 0, CONTIG, 0, &first), 0);
		expect(ion_alloc(ion, PAGE, 0, SYSTEM, 0, &handle), 0);
		expect(ion_free(ion, first), 0);
	}
	assert_true(number(path, "pool:") <= most);
	ion_close(ion);
	assert_true(number(path, "pool:") <= most);
}

static void clients_are_listed(void **state)
{
	char first[64], second[96], line[128];
	int ion = open_ion(), other, handle, fd;
	long all;

	(void)state;
	snprintf(first, sizeof(first), DEBUGFS "clients/%d", getpid());
	expect(number(first, "process:"), getpid());
	contents(first);
	snprintf(line, sizeof(line), "name:    %s\n", comm);
	assert_non_null(strstr(text, line));

	all = number(DEBUGFS "buffers", "counted:");
	expect(number(first, "counted:"), 0);
	expect(ion_alloc(ion, 2 * PAGE, 0, SYSTEM, CACHED, &handle), 0);
	expect(number(first, "counted:"), 2 * PAGE);
	expect(number(DEBUGFS "buffers", "counted:"), all + 2 * PAGE);
	fd = -1;
	expect(ion_share(ion, handle, &fd), 0);
	expect(ion_import(ion, fd, &handle), 0);
	snprintf(line, sizeof(line), "%10d %10lu %12lu %6d  %s\n", handle,
		 (unsigned long)inode_of(fd), 2 * PAGE, 2, "ion_system_heap");
	contents(first);
	if (!strstr(text, line))
		print_error("expected %sin\n%s", line, text);
	assert_non_null(strstr(text, line));

	/* In the heap's file it is one of those that hold something. */
	snprintf(line, sizeof(line), "%16s %10d %12lu\n", comm, getpid(),
		 2 * PAGE);
	assert_non_null(strstr(contents(DEBUGFS "heaps/ion_system_heap"),
			       line));

	/* A second one of the same process has a name of its own. */
	other = open_ion();
	snprintf(second, sizeof(second),
		 "test $(ls -d " DEBUGFS "clients/%d* | wc -l) = 2", getpid());
	expect(system(second), 0);
	ion_close(ion);
	expect(sys(access(first, F_OK)), -ENOENT);
	ion_close(other);
	close(fd);
}

static void buffers_are_listed(void **state)
{
	int ion = open_ion(), fd = alloc_fd(ion, CONTIG, 2 * PAGE);
	int device = expect_ok(sys(open("/dev/ion_device", O_RDWR)));
	ino_t ino = inode_of(fd);
	unsigned int flags;
	char kernel[8], process[32];
	size_t size;
	int maps, pid, fields;
	void *a, *b;
	char *line;

	(void)state;
	a = map(fd, 2 * PAGE);
	b = map(fd, PAGE);
	expect(sys(ioctl(device, DEVICE_HOLD, fd)), 0);
	line = line_of(DEBUGFS "buffers", ino);
	assert_non_null(line);
	fields = sscanf(line, "%zu %x %d %7s %31s %d", &size, &flags, &maps,
			kernel, process, &pid);
	expect(fields, 6);
	expect(size, 2 * PAGE);
	expect(flags, CACHED);
	expect(maps, 2);
	assert_string_equal(kernel, "no");
	assert_string_equal(process, comm);
	expect(pid, getpid());
	assert_non_null(strstr(line, "ion_system_contig_heap:8192"));
	assert_non_null(strstr(strtok(NULL, "\n"), "ion_device, mapped"));

	munmap(a, PAGE);
	munmap(b, PAGE);
	expect(sys(ioctl(device, DEVICE_HOLD, -1)), 0);
	line = line_of(DEBUGFS "buffers", ino);
	fields = sscanf(line, "%zu %x %d", &size, &flags, &maps);
	expect(fields, 3);
	expect(maps, 1);
	munmap((char *)a + PAGE, PAGE);
	close(device);
	close(fd);
	assert_null(line_of(DEBUGFS "buffers", ino));
	ion_close(ion);
}

static void buffers_have_names(void **state)
{
	int ion = open_ion(), fd = alloc_fd(ion, SYSTEM, MiB);
	void *addr = map(fd, PAGE);
	char path[64], line[64];

	(void)state;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	assert_non_null(strstr(contents(path),
			       "name:\tion_system_heap:1048576\n"));
	assert_non_null(strstr(contents(path), "exp_name:\tion\n"));
	assert_non_null(strstr(contents("/proc/self/maps"),
			       "/dmabuf:ion_system_heap:1048576\n"));

	snprintf(line, sizeof(line), "my camera");
	expect(request(fd, DMA_BUF_SET_NAME_B, line), 0);
	assert_non_null(strstr(contents(path), "name:\tmy camera\n"));
	assert_non_null(strstr(contents("/proc/self/maps"),
			       "/dmabuf:my camera\n"));
	munmap(addr, PAGE);
	close(fd);
	ion_close(ion);
}

static void expect_event(const char *event)
{
	if (!strstr(text, event))
		print_error("expected \"%s\" in\n%s", event, text);
	assert_non_null(strstr(text, event));
}

static void events_are_traced(void **state)
{
	int ion = open_ion(), handle, fd = -1, map_fd;
	unsigned char *addr;
	char event[128], size[64];
	unsigned long ino;

	(void)state;
	put(TRACEFS "trace", "");
	put(TRACEFS "events/ion/enable", "1");
	expect(ion_alloc(ion, 3 * PAGE, 0, SYSTEM, CACHED, &handle), 0);
	expect(ion_share(ion, handle, &fd), 0);
	ino = inode_of(fd);
	expect(ion_map(ion, handle, 2 * PAGE, PROT_READ, MAP_SHARED, 0, &addr,
		       &map_fd), 0);
	expect(ion_import(ion, fd, &handle), 0);
	munmap(addr, 2 * PAGE);
	close(map_fd);
	close(fd);
	ion_close(ion);
	put(TRACEFS "events/ion/enable", "0");

	contents(TRACEFS "trace");
	snprintf(size, sizeof(size), "ino=%lu size=%lu", ino, 3 * PAGE);
	snprintf(event, sizeof(event),
		 "ion_alloc: %s flags=0x1 heap=ion_system_heap\n", size);
	expect_event(event);
	snprintf(event, sizeof(event),
		 "ion_share: %s handle=%d client=%s\n", size, handle, comm);
	expect_event(event);
	snprintf(event, sizeof(event),
		 "ion_import: %s handle=%d client=%s\n", size, handle, comm);
	expect_event(event);
	snprintf(event, sizeof(event), "ion_map: ino=%lu len=%lu\n", ino,
		 2 * PAGE);
	expect_event(event);
	snprintf(event, sizeof(event),
		 "ion_free: %s flags=0x1 heap=ion_system_heap\n", size);
	expect_event(event);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heaps_are_counted),
		cmocka_unit_test(pool_is_counted),
		cmocka_unit_test(pool_is_bounded),
		cmocka_unit_test(clients_are_listed),
		cmocka_unit_test(buffers_are_listed),
		cmocka_unit_test(buffers_have_names),
		cmocka_unit_test(events_are_traced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
