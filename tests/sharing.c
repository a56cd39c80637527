// SPDX-License-Identifier: MIT
/*
 * <ion/buffer.h>: every call and every error, and nothing left behind by those
 * that fail. On whatever ion_open() finds; fences where there is vgem.
 */
#include <limits.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/time.h>

#include <ion/buffer.h>

#include "exporters.h"

#define SIZE (64 * KiB)
#define RW (PROT_READ | PROT_WRITE)

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif

/* libion takes its memory with calloc(), and so do sanitizers. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif
static bool no_memory;

#if !SANITIZED
void *__libc_calloc(size_t n, size_t size);

void *calloc(size_t n, size_t size)
{
	if (!no_memory)
		return __libc_calloc(n, size);
	errno = ENOMEM;
	return NULL;
}
#endif

static struct ion_buffer *create(size_t size)
{
	struct ion_buffer *buffer = NULL;

	expect(ion_buffer_create(size, NULL, CACHED, &buffer), 0);
	assert_non_null(buffer);
	return buffer;
}

static struct ion_buffer *import(int fd)
{
	struct ion_buffer *buffer = NULL;

	expect(ion_buffer_import(fd, &buffer), 0);
	assert_non_null(buffer);
	return buffer;
}

static unsigned char *map_buffer(struct ion_buffer *buffer)
{
	void *addr = NULL;

	expect(ion_buffer_map(buffer, RW, &addr), 0);
	assert_non_null(addr);
	return addr;
}

static void write_all(struct ion_buffer *buffer, unsigned int seed)
{
	expect(ion_buffer_begin(buffer, ION_WRITE, 0, 0), 0);
	fill(map_buffer(buffer), ion_buffer_size(buffer), seed);
	expect(ion_buffer_end(buffer, ION_WRITE, 0, 0), 0);
}

static void expect_all(struct ion_buffer *buffer, unsigned int seed)
{
	expect(ion_buffer_begin(buffer, ION_READ, 0, 0), 0);
	expect_pattern(map_buffer(buffer), ion_buffer_size(buffer), seed);
	expect(ion_buffer_end(buffer, ION_READ, 0, 0), 0);
}

static bool is_memfd(const struct ion_buffer *buffer)
{
	return fcntl(ion_buffer_fd(buffer), F_GET_SEALS) >= 0;
}

/* For what a memfd cannot do. */
static long unless_memfd(const struct ion_buffer *buffer, long wanted)
{
	return is_memfd(buffer) ? -EOPNOTSUPP : wanted;
}

/* A line of /proc/self/fdinfo, or "". */
static const char *info(int fd, const char *field)
{
	static char line[256];
	size_t len = strlen(field);
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, field, len) && line[len] == ':')
			break;
	if (feof(file))
		*line = '\0';
	fclose(file);
	return *line ? line + len + 1 + strspn(line + len + 1, " \t") : line;
}

/* From here on only that many descriptors can be opened. */
static void leave_descriptors(int n)
{
	struct rlimit limit;
	int fd = 0;

	expect(sys(getrlimit(RLIMIT_NOFILE, &limit)), 0);
	for (; n || fcntl(fd, F_GETFD) >= 0; fd++)
		n -= fcntl(fd, F_GETFD) < 0;
	limit.rlim_cur = fd;
	expect(sys(setrlimit(RLIMIT_NOFILE, &limit)), 0);
}

static void leave_all(int what)
{
	struct rlimit limit;

	expect(sys(getrlimit(what, &limit)), 0);
	limit.rlim_cur = limit.rlim_max;
	expect(sys(setrlimit(what, &limit)), 0);
}

static void null_out_parameters_are_refused(void **state)
{
	struct ion_buffer *buffer = create(PAGE);
	int before = open_descriptors();

	(void)state;
	expect(ion_buffer_create(PAGE, NULL, CACHED, NULL), -EINVAL);
	expect(ion_buffer_import(ion_buffer_fd(buffer), NULL), -EINVAL);
	expect(ion_buffer_receive(-1, NULL), -EINVAL);
	expect(ion_buffer_map(buffer, RW, NULL), -EINVAL);
	expect(ion_buffer_set_name(buffer, NULL), -EINVAL);
	expect(ion_buffer_export_fence(buffer, ION_READ, NULL), -EINVAL);
	expect(open_descriptors(), before);
	ion_buffer_close(NULL);
	ion_buffer_close(buffer);
}

static void buffers_are_zero_pages(void **state)
{
	static const size_t sizes[] = { 1, PAGE, PAGE + 1, SIZE, 3 * MiB + 1 };
	int before = open_descriptors();

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct ion_buffer *buffer = create(sizes[i]);

		expect(open_descriptors(), before + 1);
		expect(fcntl(ion_buffer_fd(buffer), F_GETFD), FD_CLOEXEC);
		expect(ion_buffer_size(buffer), page_up(sizes[i]));
		expect(ion_buffer_begin(buffer, ION_READ, 0, 0), 0);
		expect_zero(map_buffer(buffer), page_up(sizes[i]));
		expect(ion_buffer_end(buffer, ION_READ, 0, 0), 0);
		ion_buffer_close(buffer);
		expect(open_descriptors(), before);
	}
}

static void impossible_buffers_are_refused(void **state)
{
	struct ion_buffer *buffer = (void *)&errno, *same = buffer;
	int before = open_descriptors();

	(void)state;
	expect(ion_buffer_create(0, NULL, CACHED, &buffer), -EINVAL);
	expect(ion_buffer_create(SIZE_MAX, NULL, CACHED, &buffer), -EINVAL);
	if (LP64)
		expect(ion_buffer_create(SIZE_MAX / 2, NULL, CACHED, &buffer),
		       -ENOMEM);
	expect(ion_buffer_create(PAGE, "", CACHED, &buffer), -ENODEV);
	expect(ion_buffer_create(PAGE, "nothing", CACHED, &buffer), -ENODEV);
	expect(ion_buffer_create(PAGE, "syste", CACHED, &buffer), -ENODEV);
	expect(ion_buffer_create(PAGE, "systems", CACHED, &buffer), -ENODEV);
	expect(ion_buffer_create(0, "system", CACHED, &buffer), -EINVAL);
	assert_ptr_equal(buffer, same);
	expect(open_descriptors(), before);
}

/* As long as a heap's name may be, and longer. */
static void long_names_are_no_heaps(void **state)
{
	struct ion_buffer *buffer;
	char name[2 * MAX_HEAP_NAME];

	(void)state;
	memset(name, 'x', sizeof(name));
	for (size_t len = MAX_HEAP_NAME - 1; len < sizeof(name); len++) {
		name[len] = '\0';
		expect(ion_buffer_create(PAGE, name, 0, &buffer), -ENODEV);
		name[len] = 'x';
	}
}

static void every_heap_is_known_by_its_name(void **state)
{
	struct ion_heap_data heaps[ION_NUM_HEAP_IDS];
	struct ion_buffer *buffer;
	int ion = open_ion(), count = 0;

	(void)state;
	expect(ion_buffer_create(PAGE, "system", CACHED, &buffer), 0);
	ion_buffer_close(buffer);
	expect(ion_query_heap_cnt(ion, &count), 0);
	expect(count > 0 && count <= ION_NUM_HEAP_IDS, true);
	expect(ion_query_get_heaps(ion, count, heaps), 0);
	for (int i = 0; i < count; i++) {
		const char *name = heaps[i].name, *shown;

		expect(ion_buffer_create(PAGE, name, CACHED, &buffer), 0);
		/* ION's buffers say where they are from, not by which node. */
		if (!strcmp(ion_backend(ion), "ion")) {
			shown = info(ion_buffer_fd(buffer), "name");
			if (strncmp(shown, name, strlen(name)))
				fail_msg("heap %s: came %s", name, shown);
		}
		ion_buffer_close(buffer);
	}
	ion_close(ion);
}

static void imports_are_the_same_buffer(void **state)
{
	struct ion_buffer *first = create(SIZE), *second;
	int before = open_descriptors(), copy;

	(void)state;
	copy = expect_ok(sys(dup(ion_buffer_fd(first))));
	second = import(copy);
	close(copy);
	expect(open_descriptors(), before + 1);
	expect(fcntl(ion_buffer_fd(second), F_GETFD), FD_CLOEXEC);
	expect(inode_of(ion_buffer_fd(second)), inode_of(ion_buffer_fd(first)));
	expect(ion_buffer_size(second), SIZE);
	write_all(first, 1);
	ion_buffer_close(first);
	expect_all(second, 1);
	ion_buffer_close(second);
	expect(open_descriptors(), before - 1);
}

static void buffers_of_others_are_imported(void **state)
{
	int vgem = find_vgem();
	int fds[] = {
		make_udmabuf(SIZE), vgem < 0 ? -1 : export_from_vgem(vgem, SIZE, DRM_RDWR),
	};
	bool any = false;

	(void)state;
	for (size_t i = 0; i < COUNT(fds); i++) {
		struct ion_buffer *buffer;

		if (fds[i] < 0)
			continue;
		any = true;
		buffer = import(fds[i]);
		close(fds[i]);
		expect(ion_buffer_size(buffer), SIZE);
		/* udmabuf maps for the first access, and then syncs for any. */
		expect(ion_buffer_begin(buffer, ION_RW, 0, 0), 0);
		expect(ion_buffer_end(buffer, ION_RW, 0, 0), 0);
		write_all(buffer, 1);
		expect_all(buffer, 1);
		expect(ion_buffer_begin(buffer, ION_RW, PAGE, 1), 0);
		expect(ion_buffer_end(buffer, ION_RW, PAGE, 1), 0);
		ion_buffer_close(buffer);
	}
	close(vgem);
	if (!any)
		skip();
}

static int make_memfd(off_t size, int seals)
{
	int fd = expect_ok(sys(memfd_create("test", MFD_ALLOW_SEALING)));

	expect(sys(ftruncate(fd, size)), 0);
	if (seals)
		expect(sys(fcntl(fd, F_ADD_SEALS, seals)), 0);
	return fd;
}

/* Descriptors of all kinds that are no buffers. */
static int open_other(int i)
{
	struct ion_buffer *buffer;
	int fd, pair[2];

	switch (i) {
	case 0:
		return open("/dev/null", O_RDWR);
	case 1:
		expect(sys(pipe(pair)), 0);
		close(pair[1]);
		return pair[0];
	case 2:
		return socket(AF_UNIX, SOCK_STREAM, 0);
	case 3:
		return open("/proc/self/exe", O_RDONLY);
	case 4:
		return open("/", O_RDONLY | O_DIRECTORY);
	case 5:
		return make_memfd(SIZE, 0);
	case 6:
		return make_memfd(SIZE, F_SEAL_SHRINK);
	case 7:
		return make_memfd(SIZE, F_SEAL_GROW);
	case 8:
		return make_memfd(0, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
	case 9:
		return open_ion();
	case 10:
		return make_memfd(PAGE + 1,
				  F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
	case 11:
		buffer = create(PAGE);
		fd = dup(ion_buffer_fd(buffer));
		ion_buffer_close(buffer);
		close(fd);
		return fd;
	default:
		return -1;
	}
}

#define OTHERS 13
/* From there on they are not even open. */
#define CLOSED 11

static void other_descriptors_are_no_buffers(void **state)
{
	struct ion_buffer *buffer = (void *)&errno, *same = buffer;

	(void)state;
	for (int i = 0; i < OTHERS; i++) {
		int fd = open_other(i), before = open_descriptors();

		if (ion_buffer_import(fd, &buffer) !=
		    (i < CLOSED ? -EINVAL : -EBADF))
			fail_msg("other descriptor %d is taken, or worse", i);
		expect(open_descriptors(), before);
		if (i == 9)
			ion_close(fd);
		else if (i < CLOSED)
			close(fd);
	}
	assert_ptr_equal(buffer, same);
}

/* Also where buffers are dma-bufs, and have one anyway. */
static void memfds_have_an_end(void **state)
{
	int fd = make_memfd(SIZE, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
	struct ion_buffer *buffer = NULL;
	unsigned char *addr = NULL;

	(void)state;
	expect(ion_buffer_import(fd, &buffer), 0);
	expect(ion_map_fd(fd, SIZE + PAGE, PROT_READ, MAP_SHARED, 0, &addr),
	       -EINVAL);
	expect(ion_map_fd(fd, SIZE, PROT_READ, MAP_SHARED, PAGE, &addr),
	       -EINVAL);
	assert_null(addr);
	ion_buffer_close(buffer);
	close(fd);
}

static void paths_are_no_buffers(void **state)
{
	struct ion_buffer *buffer = create(PAGE), *other = NULL;
	char path[64];
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", ion_buffer_fd(buffer));
	fd = expect_ok(sys(open(path, O_PATH)));
	expect(ion_buffer_import(fd, &other), -EBADF);
	assert_null(other);
	close(fd);
	ion_buffer_close(buffer);
}

static void there_is_one_mapping(void **state)
{
	struct ion_buffer *buffer = create(SIZE);
	void *first = NULL, *again = NULL;

	(void)state;
	expect(ion_buffer_map(buffer, 0, &first), -EINVAL);
	expect(ion_buffer_map(buffer, PROT_EXEC, &first), -EINVAL);
	expect(ion_buffer_map(buffer, RW | PROT_EXEC, &first), -EINVAL);
	expect(ion_buffer_map(buffer, PROT_READ | 1 << 20, &first), -EINVAL);
	assert_null(first);
	expect(ion_buffer_map(buffer, PROT_READ, &first), 0);
	expect_zero(first, SIZE);
	expect(ion_buffer_map(buffer, PROT_READ, &again), 0);
	assert_ptr_equal(again, first);
	/* It may be written, too, from now on. */
	expect(ion_buffer_map(buffer, PROT_WRITE, &again), 0);
	assert_ptr_equal(again, first);
	write_all(buffer, 1);
	expect(ion_buffer_map(buffer, PROT_READ, &again), 0);
	assert_ptr_equal(again, first);
	write_all(buffer, 2);
	expect_all(buffer, 2);
	ion_buffer_close(buffer);
}

static int write_first_byte(void *addr)
{
	*(char *)addr = 1;
	return 0;
}

/* The first mapping is what was asked for, and close ends it. */
static void mappings_are_as_asked_for(void **state)
{
	struct ion_buffer *buffer = create(4 * MiB);
	void *addr;

	(void)state;
	expect(ion_buffer_map(buffer, PROT_READ, &addr), 0);
	/* Large enough for entries of 2 MiB, and so is the address. */
	expect((uintptr_t)addr % (2 * MiB), 0);
	expect(end_of(write_first_byte, addr), SIGSEGV);
	expect(ion_buffer_map(buffer, RW, &addr), 0);
	expect(end_of(write_first_byte, addr), 0);
	expect(*(char *)addr, 1);
	ion_buffer_close(buffer);
	expect(sys(msync(addr, PAGE, MS_ASYNC)), -ENOMEM);
}

static int read_only_descriptor(int vgem)
{
	struct ion_buffer *buffer;
	char path[64];
	int fd;

	if (vgem >= 0)
		return export_from_vgem(vgem, SIZE, 0);
	buffer = create(SIZE);
	if (!is_memfd(buffer)) {
		ion_buffer_close(buffer);
		return -1;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", ion_buffer_fd(buffer));
	fd = expect_ok(sys(open(path, O_RDONLY | O_CLOEXEC)));
	ion_buffer_close(buffer);
	return fd;
}

static void read_only_descriptors_are_read(void **state)
{
	int vgem = find_vgem(), fd = read_only_descriptor(vgem);
	void *addr = NULL, *again = NULL;
	struct ion_buffer *buffer;

	(void)state;
	close(vgem);
	if (fd < 0)
		skip();
	buffer = import(fd);
	close(fd);
	expect(ion_buffer_map(buffer, RW, &addr), -EACCES);
	assert_null(addr);
	expect(ion_buffer_map(buffer, PROT_READ, &addr), 0);
	expect(ion_buffer_map(buffer, PROT_WRITE, &again), -EACCES);
	assert_null(again);
	expect_zero(addr, SIZE);
	expect(ion_buffer_map(buffer, PROT_READ, &again), 0);
	assert_ptr_equal(again, addr);
	ion_buffer_close(buffer);
}

static void parts_are_in_the_buffer(void **state)
{
	static const struct {
		size_t offset, len;
		int wanted;
	} parts[] = {
		{ 0, 0, 0 },
		{ 0, SIZE, 0 },
		{ 1, 0, 0 },
		{ 0, 1, 0 },
		{ SIZE - 1, 1, 0 },
		{ SIZE - 1, 0, 0 },
		{ PAGE, SIZE - PAGE, 0 },
		{ 0, SIZE + 1, -EINVAL },
		{ 1, SIZE, -EINVAL },
		{ SIZE, 0, -EINVAL },
		{ SIZE, 1, -EINVAL },
		{ SIZE + 1, 0, -EINVAL },
		{ SIZE_MAX, 0, -EINVAL },
		{ SIZE_MAX, 1, -EINVAL },
		{ SIZE_MAX, 2, -EINVAL },
		{ 1, SIZE_MAX, -EINVAL },
		{ 0, SIZE_MAX, -EINVAL },
		{ SIZE_MAX, SIZE_MAX, -EINVAL },
	};
	struct ion_buffer *buffer = create(SIZE);

	(void)state;
	for (size_t i = 0; i < COUNT(parts); i++)
		for (enum ion_access access = 0; access <= 4; access++) {
			int wanted = access >= ION_READ && access <= ION_RW ?
				     parts[i].wanted : -EINVAL;
			size_t offset = parts[i].offset, len = parts[i].len;

			expect(ion_buffer_begin(buffer, access, offset, len),
			       wanted);
			expect(ion_buffer_end(buffer, access, offset, len),
			       wanted);
		}
	expect(ion_buffer_begin(buffer, -1, 0, 0), -EINVAL);
	ion_buffer_close(buffer);
}

/* How many descriptors the library keeps, as the first test finds. */
static int kept;

static int cost_of_first(void *arg)
{
	int before = open_descriptors();

	(void)arg;
	ion_buffer_close(create(PAGE));
	return open_descriptors() - before;
}

/* As a daemon does, and the numbers may be another file's then. */
static void close_all_but(int spared, bool reused)
{
	int null = expect_ok(sys(open("/dev/null", O_RDWR | O_CLOEXEC)));

	for (int fd = 3; fd < 1024; fd++) {
		if (fd == spared || fd == null || fcntl(fd, F_GETFD) < 0)
			continue;
		if (reused)
			expect(sys(dup2(null, fd)), fd);
		else
			close(fd);
	}
}

static int closes_all(void *arg)
{
	struct ion_buffer *buffer = create(SIZE);
	unsigned char *addr = map_buffer(buffer);
	char *backend = getenv("ION_BACKEND");
	int before;

	if (backend)
		backend = strdup(backend);
	close_all_but(ion_buffer_fd(buffer), *(bool *)arg);
	before = open_descriptors();
	/* Where no client can be had, the whole is begun. */
	expect(setenv("ION_BACKEND", "none", 1), 0);
	expect(ion_buffer_begin(buffer, ION_RW, PAGE, PAGE), 0);
	expect(ion_buffer_end(buffer, ION_RW, PAGE, PAGE), 0);
	expect(open_descriptors(), before);
	expect(backend ? setenv("ION_BACKEND", backend, 1) :
			 unsetenv("ION_BACKEND"), 0);
	free(backend);
	expect(ion_buffer_begin(buffer, ION_WRITE, PAGE, PAGE), 0);
	fill(addr + PAGE, PAGE, 1);
	expect(ion_buffer_end(buffer, ION_WRITE, PAGE, PAGE), 0);
	expect_pattern(addr + PAGE, PAGE, 1);
	ion_buffer_close(buffer);
	ion_buffer_close(create(PAGE));
	expect(open_descriptors(), before - 1 + kept);
	return 0;
}

static int closes_all_before_create(void *arg)
{
	struct ion_buffer *buffer;
	int before;

	close_all_but(-1, *(bool *)arg);
	before = open_descriptors();
	expect(ion_buffer_create(PAGE, "nothing", 0, &buffer), -ENODEV);
	ion_buffer_close(create(PAGE));
	expect(open_descriptors(), before + kept);
	return 0;
}

static void a_closed_client_is_opened_again(void **state)
{
	bool values[] = { false, true };

	(void)state;
	for (int i = 0; i < 2; i++) {
		expect(end_of(closes_all, &values[i]), 0);
		expect(end_of(closes_all_before_create, &values[i]), 0);
	}
}

#define THREADS 8

static void *create_at_once(void *barrier)
{
	pthread_barrier_wait(barrier);
	return create(PAGE);
}

/* The first use of the library, by all of them. */
static int threads_begin(void *arg)
{
	struct ion_buffer *buffers[THREADS];
	pthread_t threads[THREADS];
	pthread_barrier_t barrier;
	int before = open_descriptors();

	(void)arg;
	expect(pthread_barrier_init(&barrier, NULL, THREADS), 0);
	for (int i = 0; i < THREADS; i++)
		expect(pthread_create(&threads[i], NULL, create_at_once,
				      &barrier), 0);
	for (int i = 0; i < THREADS; i++)
		expect(pthread_join(threads[i], (void **)&buffers[i]), 0);
	expect(open_descriptors(), before + kept + THREADS);
	for (int i = 0; i < THREADS; i++)
		ion_buffer_close(buffers[i]);
	return 0;
}

/* Of them all the library keeps what it keeps of one. */
static void threads_share_one_client(void **state)
{
	(void)state;
	kept = -end_of(cost_of_first, NULL);
	expect(kept > 0, true);
	for (int i = 0; i < 8; i++)
		expect(end_of(threads_begin, NULL), 0);
}

#define ROUNDS 200

static void *use_at_once(void *arg)
{
	struct ion_buffer *shared = arg, *other;
	int sockets[2];
	void *addr;

	expect(sys(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
			      sockets)), 0);
	for (int i = 0; i < ROUNDS; i++) {
		expect(ion_buffer_begin(shared, ION_READ, PAGE, PAGE), 0);
		expect(ion_buffer_end(shared, ION_READ, PAGE, PAGE), 0);
		expect(ion_buffer_begin(shared, ION_RW, 0, 0), 0);
		expect(ion_buffer_end(shared, ION_RW, 0, 0), 0);
		expect(ion_buffer_wait(shared, ION_RW, -1),
		       unless_memfd(shared, 0));
		expect(ion_buffer_send(shared, sockets[0]), 0);
		expect(ion_buffer_receive(sockets[1], &other), 0);
		expect(ion_buffer_map(other, PROT_READ, &addr), 0);
		expect_pattern(addr, PAGE, 1);
		ion_buffer_close(other);
	}
	close(sockets[0]);
	close(sockets[1]);
	return NULL;
}

static void threads_share_a_buffer(void **state)
{
	struct ion_buffer *buffer = create(SIZE);
	int before = open_descriptors();
	pthread_t threads[THREADS];

	(void)state;
	write_all(buffer, 1);
	for (int i = 0; i < THREADS; i++)
		expect(pthread_create(&threads[i], NULL, use_at_once, buffer),
		       0);
	for (int i = 0; i < THREADS; i++)
		expect(pthread_join(threads[i], NULL), 0);
	expect(open_descriptors(), before);
	expect_all(buffer, 1);
	ion_buffer_close(buffer);
}

static int use_inherited(void *arg)
{
	struct ion_buffer *buffer = arg;

	expect_all(buffer, 1);
	write_all(buffer, 2);
	ion_buffer_close(buffer);
	ion_buffer_close(create(PAGE));
	return 0;
}

static void children_have_their_parents_buffers(void **state)
{
	struct ion_buffer *buffer = create(SIZE);

	(void)state;
	write_all(buffer, 1);
	expect(end_of(use_inherited, buffer), 0);
	expect_all(buffer, 2);
	ion_buffer_close(buffer);
}

/* ---- sockets */

static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM };
static int pair[2];

static void open_pair(int type)
{
	expect(sys(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair)), 0);
}

static void close_pair(void)
{
	close(pair[0]);
	close(pair[1]);
}

static int answer_on_socket(void *arg)
{
	struct ion_buffer *buffer = NULL;
	int before = open_descriptors();

	(void)arg;
	expect(ion_buffer_receive(pair[1], &buffer), 0);
	expect(fcntl(ion_buffer_fd(buffer), F_GETFD), FD_CLOEXEC);
	expect(ion_buffer_size(buffer), SIZE);
	expect_all(buffer, 1);
	write_all(buffer, 2);
	expect(ion_buffer_send(buffer, pair[1]), 0);
	ion_buffer_close(buffer);
	expect(open_descriptors(), before);
	return 0;
}

static void buffers_are_sent_and_received(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(types); i++) {
		struct ion_buffer *buffer = create(SIZE), *answer = NULL;
		ino_t inode = inode_of(ion_buffer_fd(buffer));

		open_pair(types[i]);
		write_all(buffer, 1);
		/* On its way it needs nobody who holds it. */
		expect(ion_buffer_send(buffer, pair[0]), 0);
		ion_buffer_close(buffer);
		expect(end_of(answer_on_socket, NULL), 0);
		expect(ion_buffer_receive(pair[0], &answer), 0);
		expect(inode_of(ion_buffer_fd(answer)), inode);
		expect_all(answer, 2);
		ion_buffer_close(answer);
		close_pair();
	}
}

static void many_are_under_way(void **state)
{
	struct ion_buffer *sent[8], *came = NULL;
	int before = open_descriptors();

	(void)state;
	for (size_t i = 0; i < COUNT(types); i++) {
		open_pair(types[i]);
		for (size_t k = 0; k < COUNT(sent); k++) {
			sent[k] = create((k + 1) * PAGE);
			expect(ion_buffer_send(sent[k], pair[0]), 0);
		}
		for (size_t k = 0; k < COUNT(sent); k++) {
			expect(ion_buffer_receive(pair[1], &came), 0);
			expect(ion_buffer_size(came), (k + 1) * PAGE);
			ion_buffer_close(came);
			ion_buffer_close(sent[k]);
		}
		close_pair();
	}
	expect(open_descriptors(), before);
}

/* Other programs' own senders and receivers know the message. */
static void it_is_an_ordinary_message(void **state)
{
	struct ion_buffer *buffer = create(PAGE), *came = NULL;
	ino_t inode = inode_of(ion_buffer_fd(buffer));
	int fd;

	(void)state;
	open_pair(SOCK_STREAM);
	send_fd(pair[0], ion_buffer_fd(buffer));
	expect(ion_buffer_receive(pair[1], &came), 0);
	expect(inode_of(ion_buffer_fd(came)), inode);
	expect(ion_buffer_send(came, pair[1]), 0);
	fd = receive_fd(pair[0]);
	expect(inode_of(fd), inode);
	close(fd);
	ion_buffer_close(came);
	ion_buffer_close(buffer);
	close_pair();
}

static long send_message(size_t bytes, int fd, int count)
{
	static union {
		char space[CMSG_SPACE(253 * sizeof(int))];
		struct cmsghdr align;
	} control;
	char data[16] = "";
	struct iovec iov = { .iov_base = data, .iov_len = bytes };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = CMSG_SPACE(count * sizeof(int)),
	};
	struct cmsghdr *cmsg = (void *)&control;

	if (!count)
		msg.msg_controllen = 0;
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(count * sizeof(int));
	for (int i = 0; i < count; i++)
		memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &fd, sizeof(int));
	return sys(sendmsg(pair[0], &msg, 0));
}

static void expect_refused(int wanted)
{
	struct ion_buffer *came = (void *)&errno, *same = came;
	int before = open_descriptors();

	expect(ion_buffer_receive(pair[1], &came), wanted);
	assert_ptr_equal(came, same);
	expect(open_descriptors(), before);
}

/* After a message that is refused the next one is as good as ever. */
static void expect_next(struct ion_buffer *buffer)
{
	struct ion_buffer *came = NULL;

	expect(ion_buffer_send(buffer, pair[0]), 0);
	expect(ion_buffer_receive(pair[1], &came), 0);
	ion_buffer_close(came);
}

static void missing_and_surplus_descriptors(void **state)
{
	static const int counts[] = { 0, 2, 3, 4, 16, 100, 253 };
	struct ion_buffer *buffer = create(PAGE);

	(void)state;
	for (size_t i = 0; i < COUNT(types); i++) {
		open_pair(types[i]);
		for (size_t k = 0; k < COUNT(counts); k++) {
			expect(send_message(1, ion_buffer_fd(buffer),
					    counts[k]), 1);
			expect_refused(-EPROTO);
			expect_next(buffer);
		}
		close_pair();
	}
	ion_buffer_close(buffer);
}

static void messages_of_another_length(void **state)
{
	struct ion_buffer *buffer = create(PAGE);

	(void)state;
	for (size_t i = 1; i < COUNT(types); i++) {
		open_pair(types[i]);
		for (int count = 0; count < 3; count++) {
			expect(send_message(0, ion_buffer_fd(buffer), count),
			       0);
			expect_refused(-EPROTO);
			expect(send_message(2, ion_buffer_fd(buffer), count),
			       2);
			expect_refused(-EPROTO);
			expect_next(buffer);
		}
		close_pair();
	}
	ion_buffer_close(buffer);
}

static void descriptors_of_something_else(void **state)
{
	struct ion_buffer *buffer = create(PAGE);

	(void)state;
	open_pair(SOCK_STREAM);
	for (int i = 0; i < CLOSED; i++) {
		int fd = open_other(i);

		expect(send_message(1, fd, 1), 1);
		if (i == 9)
			ion_close(fd);
		else
			close(fd);
		expect_refused(-EINVAL);
		expect_next(buffer);
	}
	close_pair();
	ion_buffer_close(buffer);
}

/* The kernel cuts off what there are no numbers for. */
static void truncated_control_data(void **state)
{
	static const struct {
		int sent, left, wanted;
	} cases[] = {
		{ 1, 0, -EMFILE },
		{ 2, 0, -EMFILE },
		{ 2, 1, -EMFILE },
		{ 253, 1, -EMFILE },
		{ 3, 2, -EPROTO },
		{ 253, 20, -EPROTO },
	};
	struct ion_buffer *buffer = create(PAGE);

	(void)state;
	for (size_t i = 0; i < COUNT(types); i++) {
		open_pair(types[i]);
		for (size_t k = 0; k < COUNT(cases); k++) {
			expect(send_message(1, ion_buffer_fd(buffer),
					    cases[k].sent), 1);
			leave_descriptors(cases[k].left);
			expect_refused(cases[k].wanted);
			leave_all(RLIMIT_NOFILE);
		}
		leave_descriptors(1);
		expect_next(buffer);
		leave_all(RLIMIT_NOFILE);
		close_pair();
	}
	ion_buffer_close(buffer);
}

/* What a receiver asked the kernel for comes before the descriptor. */
static void other_control_data(void **state)
{
	static const int options[] = { SO_PASSCRED, SO_PASSSEC, SO_PASSPIDFD };
	struct ion_buffer *buffer = create(PAGE);
	int on = 1;

	(void)state;
	for (size_t i = 0; i < COUNT(types); i++) {
		open_pair(types[i]);
		for (size_t k = 0; k < COUNT(options); k++) {
			int before = open_descriptors();

			/* The third is younger than 6.1. */
			if (setsockopt(pair[1], SOL_SOCKET, options[k], &on,
				       sizeof(on)))
				expect(-errno, -ENOPROTOOPT);
			expect_next(buffer);
			expect(send_message(1, ion_buffer_fd(buffer), 2), 1);
			expect_refused(-EPROTO);
			expect(send_message(1, ion_buffer_fd(buffer), 0), 1);
			expect_refused(-EPROTO);
			expect(open_descriptors(), before);
		}
		close_pair();
	}
	ion_buffer_close(buffer);
}

static void the_other_side_is_gone(void **state)
{
	struct ion_buffer *buffer = create(PAGE), *came = NULL;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		open_pair(types[i]);
		expect(ion_buffer_send(buffer, pair[0]), 0);
		close(pair[0]);
		/* What was sent before is there, and then there is no more. */
		expect(ion_buffer_receive(pair[1], &came), 0);
		ion_buffer_close(came);
		expect_refused(-ENODATA);
		expect_refused(-ENODATA);
		/* SIGPIPE would end us. */
		expect(ion_buffer_send(buffer, pair[1]), -EPIPE);
		close(pair[1]);

		open_pair(types[i]);
		expect(sys(shutdown(pair[0], SHUT_WR)), 0);
		expect_refused(-ENODATA);
		expect(ion_buffer_send(buffer, pair[0]), -EPIPE);
		close_pair();
	}
	open_pair(SOCK_DGRAM);
	close(pair[0]);
	expect(ion_buffer_send(buffer, pair[1]), -ECONNREFUSED);
	close(pair[1]);
	ion_buffer_close(buffer);
}

static void sockets_that_do_not_block(void **state)
{
	struct ion_buffer *buffer = create(PAGE), *came = NULL;
	int before = open_descriptors();

	(void)state;
	for (size_t i = 0; i < COUNT(types); i++) {
		int sent = 0, ret;

		open_pair(types[i] | SOCK_NONBLOCK);
		expect_refused(-EAGAIN);
		while ((ret = ion_buffer_send(buffer, pair[0])) == 0)
			sent++;
		expect(ret, -EAGAIN);
		expect(sent > 0, true);
		while ((ret = ion_buffer_receive(pair[1], &came)) == 0) {
			sent--;
			ion_buffer_close(came);
		}
		expect(ret, -EAGAIN);
		expect(sent, 0);
		close_pair();
	}
	expect(open_descriptors(), before);
	ion_buffer_close(buffer);
}

static void what_is_no_such_socket(void **state)
{
	struct ion_buffer *buffer = create(PAGE), *came = NULL;
	int null = open("/dev/null", O_RDWR);
	int udp = expect_ok(sys(socket(AF_UNIX, SOCK_DGRAM, 0)));
	int stream = expect_ok(sys(socket(AF_UNIX, SOCK_STREAM, 0)));

	(void)state;
	expect(ion_buffer_send(buffer, -1), -EBADF);
	expect(ion_buffer_send(buffer, null), -ENOTSOCK);
	expect(ion_buffer_send(buffer, udp), -ENOTCONN);
	expect(ion_buffer_send(buffer, stream), -ENOTCONN);
	expect(ion_buffer_receive(-1, &came), -EBADF);
	expect(ion_buffer_receive(null, &came), -ENOTSOCK);
	expect(ion_buffer_receive(stream, &came), -EINVAL);
	assert_null(came);
	close(null);
	close(udp);
	close(stream);
	ion_buffer_close(buffer);
}

/* ---- signals */

static _Atomic int ticks;
static void (*third_tick)(void);

static void tick(int signum)
{
	int error = errno;

	(void)signum;
	if (++ticks == 3 && third_tick)
		third_tick();
	errno = error;
}

/* Interrupts every few milliseconds; the third time it does something. */
static void start_ticking(void (*third)(void))
{
	const struct itimerval every = { { 0, 5000 }, { 0, 5000 } };
	struct sigaction action = { .sa_handler = tick };

	ticks = 0;
	third_tick = third;
	expect(sys(sigaction(SIGALRM, &action, NULL)), 0);
	expect(sys(setitimer(ITIMER_REAL, &every, NULL)), 0);
}

static void stop_ticking(void)
{
	const struct itimerval never = { 0 };

	expect(sys(setitimer(ITIMER_REAL, &never, NULL)), 0);
	signal(SIGALRM, SIG_DFL);
}

static struct ion_buffer *to_send;

static void send_it(void)
{
	ion_buffer_send(to_send, pair[0]);
}

static void receiving_outlasts_signals(void **state)
{
	struct ion_buffer *came = NULL;

	(void)state;
	to_send = create(PAGE);
	for (size_t i = 0; i < COUNT(types); i++) {
		open_pair(types[i]);
		start_ticking(send_it);
		expect(ion_buffer_receive(pair[1], &came), 0);
		stop_ticking();
		expect(ticks >= 3, true);
		ion_buffer_close(came);
		close_pair();
	}
	ion_buffer_close(to_send);
}

static void drain(void)
{
	char byte;

	while (recv(pair[1], &byte, 1, MSG_DONTWAIT) > 0)
		;
}

static void sending_outlasts_signals(void **state)
{
	struct ion_buffer *buffer = create(PAGE);

	(void)state;
	for (size_t i = 0; i < COUNT(types); i++) {
		open_pair(types[i]);
		expect(sys(fcntl(pair[0], F_SETFL, O_NONBLOCK)), 0);
		while (!ion_buffer_send(buffer, pair[0]))
			;
		expect(sys(fcntl(pair[0], F_SETFL, 0)), 0);
		start_ticking(drain);
		expect(ion_buffer_send(buffer, pair[0]), 0);
		stop_ticking();
		expect(ticks >= 3, true);
		close_pair();
	}
	ion_buffer_close(buffer);
}

/* ---- names, fences */

static void buffers_have_names(void **state)
{
	static const char longest[] = "a name as long as they may be..";
	struct ion_buffer *buffer = create(PAGE);
	int wanted = unless_memfd(buffer, 0);

	(void)state;
	expect(sizeof(longest), 32);
	expect(ion_buffer_set_name(buffer, "frame"), wanted);
	if (!wanted)
		assert_string_equal(info(ion_buffer_fd(buffer), "name"),
				    "frame\n");
	expect(ion_buffer_set_name(buffer, longest), wanted);
	expect(ion_buffer_set_name(buffer, "a name that is longer than that."),
	       unless_memfd(buffer, -EINVAL));
	if (!wanted)
		expect(strncmp(info(ion_buffer_fd(buffer), "name"), longest,
			       31), 0);
	ion_buffer_close(buffer);
}

static void idle_buffers_are_not_waited_for(void **state)
{
	static const int timeouts[] = { 0, 1, INT_MAX, -1 };
	struct ion_buffer *buffer = create(PAGE);

	(void)state;
	for (size_t i = 0; i < COUNT(timeouts); i++)
		for (enum ion_access a = ION_READ; a <= ION_RW; a++)
			expect(ion_buffer_wait(buffer, a, timeouts[i]),
			       unless_memfd(buffer, 0));
	expect(ion_buffer_wait(buffer, ION_READ, -2), -EINVAL);
	expect(ion_buffer_wait(buffer, ION_READ, INT_MIN), -EINVAL);
	expect(ion_buffer_wait(buffer, 0, 0), -EINVAL);
	expect(ion_buffer_wait(buffer, 4, 0), -EINVAL);
	ion_buffer_close(buffer);
}

static void fences_are_sync_files(void **state)
{
	struct ion_buffer *buffer = create(PAGE);
	int null = open("/dev/null", O_RDWR), before = open_descriptors();
	int others[] = { -1, null, ion_buffer_fd(buffer) }, fence = 77;

	(void)state;
	expect(ion_buffer_export_fence(buffer, 0, &fence), -EINVAL);
	expect(ion_buffer_export_fence(buffer, 4, &fence), -EINVAL);
	expect(ion_buffer_import_fence(buffer, 0, null), -EINVAL);
	expect(ion_buffer_import_fence(buffer, 4, null), -EINVAL);
	for (size_t i = 0; i < COUNT(others); i++)
		expect(ion_buffer_import_fence(buffer, ION_WRITE, others[i]),
		       unless_memfd(buffer, -EINVAL));
	leave_descriptors(0);
	expect(ion_buffer_export_fence(buffer, ION_READ, &fence),
	       unless_memfd(buffer, -EMFILE));
	leave_all(RLIMIT_NOFILE);
	expect(fence, 77);
	expect(open_descriptors(), before);

	/* Nothing goes on, and that is done. */
	expect(ion_buffer_export_fence(buffer, ION_RW, &fence),
	       unless_memfd(buffer, 0));
	if (!is_memfd(buffer)) {
		struct pollfd pfd = { .fd = fence, .events = POLLIN };

		expect(open_descriptors(), before + 1);
		expect(fcntl(fence, F_GETFD), FD_CLOEXEC);
		expect(poll(&pfd, 1, 0), 1);
		expect(ion_buffer_import_fence(buffer, ION_WRITE, fence), 0);
		expect(ion_buffer_wait(buffer, ION_READ, 0), 0);
		close(fence);
	}
	close(null);
	ion_buffer_close(buffer);
}

static int vgem = -1;
static __u32 vgem_fence;

/* A buffer that vgem has, and works on until the fence is signalled. */
static struct ion_buffer *in_use(__u32 flags)
{
	struct ion_buffer *buffer = create(SIZE);
	__u32 handle;

	if (vgem < 0)
		vgem = find_vgem();
	if (vgem < 0 || is_memfd(buffer)) {
		ion_buffer_close(buffer);
		skip();
	}
	expect(import_into_vgem(vgem, ion_buffer_fd(buffer), &handle), 0);
	vgem_fence = attach_fence(vgem, handle, flags);
	return buffer;
}

static void signal_it(void)
{
	signal_fence(vgem, vgem_fence);
}

static void expect_wait(struct ion_buffer *buffer, int to_read, int to_write)
{
	expect(ion_buffer_wait(buffer, ION_READ, 0), to_read);
	expect(ion_buffer_wait(buffer, ION_WRITE, 0), to_write);
	expect(ion_buffer_wait(buffer, ION_RW, 0), to_write);
	expect(ion_buffer_wait(buffer, ION_READ, 1), to_read);
	expect(ion_buffer_wait(buffer, ION_WRITE, 1), to_write);
}

static void readers_and_writers_are_waited_for(void **state)
{
	struct ion_buffer *buffer;

	(void)state;
	buffer = in_use(0);
	expect_wait(buffer, 0, -ETIMEDOUT);
	signal_it();
	expect_wait(buffer, 0, 0);
	ion_buffer_close(buffer);

	buffer = in_use(VGEM_WRITE);
	expect_wait(buffer, -ETIMEDOUT, -ETIMEDOUT);
	signal_it();
	expect_wait(buffer, 0, 0);
	ion_buffer_close(buffer);
}

/* Were a wait begun anew by each signal, it would not end here. */
static void waiting_outlasts_signals(void **state)
{
	struct ion_buffer *buffer = in_use(VGEM_WRITE);

	(void)state;
	start_ticking(NULL);
	expect(ion_buffer_wait(buffer, ION_READ, 30), -ETIMEDOUT);
	expect(ion_buffer_wait(buffer, ION_WRITE, 30), -ETIMEDOUT);
	start_ticking(signal_it);
	expect(ion_buffer_wait(buffer, ION_READ, -1), 0);
	expect(ticks >= 3, true);
	stop_ticking();
	ion_buffer_close(buffer);

	buffer = in_use(0);
	start_ticking(signal_it);
	expect(ion_buffer_wait(buffer, ION_RW, 1000000), 0);
	expect(ticks >= 3, true);
	stop_ticking();
	ion_buffer_close(buffer);
}

/* Of the whole and of a part, which are two requests. */
static void beginning_waits_for_fences(void **state)
{
	struct ion_buffer *buffer;

	(void)state;
	for (size_t len = 0; len <= PAGE; len += PAGE) {
		buffer = in_use(VGEM_WRITE);
		start_ticking(signal_it);
		expect(ion_buffer_begin(buffer, ION_READ, 0, len), 0);
		expect(ticks >= 3, true);
		stop_ticking();
		expect(ion_buffer_end(buffer, ION_READ, 0, len), 0);
		ion_buffer_close(buffer);

		buffer = in_use(0);
		expect(ion_buffer_begin(buffer, ION_READ, 0, len), 0);
		expect(ion_buffer_end(buffer, ION_READ, 0, len), 0);
		start_ticking(signal_it);
		expect(ion_buffer_begin(buffer, ION_WRITE, 0, len), 0);
		expect(ticks >= 3, true);
		stop_ticking();
		expect(ion_buffer_end(buffer, ION_WRITE, 0, len), 0);
		ion_buffer_close(buffer);
	}
}

static int done(int fence)
{
	struct pollfd pfd = { .fd = fence, .events = POLLIN };

	return poll(&pfd, 1, 0);
}

static void fences_go_from_buffer_to_buffer(void **state)
{
	static const struct {
		enum ion_access as;
		int to_read;
	} cases[] = {
		{ ION_READ, 0 },
		{ ION_WRITE, -ETIMEDOUT },
		{ ION_RW, -ETIMEDOUT },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct ion_buffer *worked_on = in_use(VGEM_WRITE);
		struct ion_buffer *other = create(PAGE);
		int fence = -1;

		expect(ion_buffer_export_fence(worked_on, ION_READ, &fence), 0);
		expect(fcntl(fence, F_GETFD), FD_CLOEXEC);
		expect(done(fence), 0);
		expect(ion_buffer_import_fence(other, cases[i].as, fence), 0);
		close(fence);
		expect_wait(other, cases[i].to_read, -ETIMEDOUT);
		signal_it();
		expect_wait(other, 0, 0);
		ion_buffer_close(other);
		ion_buffer_close(worked_on);
	}
}

/* A reader has no writers to wait for. */
static void fences_are_of_readers_or_writers(void **state)
{
	struct ion_buffer *buffer = in_use(0);
	int to_read = -1, to_write = -1;

	(void)state;
	expect(ion_buffer_export_fence(buffer, ION_READ, &to_read), 0);
	expect(ion_buffer_export_fence(buffer, ION_WRITE, &to_write), 0);
	expect(done(to_read), 1);
	expect(done(to_write), 0);
	ion_buffer_close(buffer);
	signal_it();
	expect(done(to_write), 1);
	close(to_read);
	close(to_write);
}

static int wait_and_read(void *arg)
{
	struct ion_buffer *buffer = NULL;
	bool begin = *(bool *)arg;

	expect(ion_buffer_receive(pair[1], &buffer), 0);
	if (!begin)
		expect(ion_buffer_wait(buffer, ION_READ, -1), 0);
	expect_all(buffer, 1);
	ion_buffer_close(buffer);
	return 0;
}

static void another_process_waits(void **state)
{
	(void)state;
	for (int begin = 0; begin < 2; begin++) {
		struct ion_buffer *buffer = in_use(VGEM_WRITE);
		bool arg = begin;
		int status;
		pid_t pid;

		open_pair(SOCK_STREAM);
		expect(ion_buffer_send(buffer, pair[0]), 0);
		pid = fork();
		if (!pid)
			_exit(wait_and_read(&arg));
		until_it_sleeps(pid);
		fill(map_buffer(buffer), SIZE, 1);
		expect(ion_buffer_wait(buffer, ION_READ, 0), -ETIMEDOUT);
		signal_it();
		expect(sys(waitpid(pid, &status, 0)), pid);
		expect(status, 0);
		close_pair();
		ion_buffer_close(buffer);
	}
}

/* ---- failing at each step */

static int fails_at_each_descriptor(void *arg)
{
	struct ion_buffer *buffer = NULL, *copy = NULL;
	int first = -1, before = open_descriptors(), ret, left;

	(void)arg;
	/* The first buffer of this process. */
	for (left = 0; first < 0; left++) {
		leave_descriptors(left);
		ret = ion_buffer_create(PAGE, NULL, CACHED, &buffer);
		leave_all(RLIMIT_NOFILE);
		if (ret) {
			assert_null(buffer);
			expect(ret, -EMFILE);
			if (open_descriptors() != before)
				expect(open_descriptors(), before + kept);
		} else {
			first = left;
		}
	}
	expect(first > 0, true);
	before = open_descriptors();
	leave_descriptors(0);
	expect(ion_buffer_create(PAGE, NULL, CACHED, &copy), -EMFILE);
	expect(ion_buffer_import(ion_buffer_fd(buffer), &copy), -EMFILE);
	assert_null(copy);
	/* What needs none works. */
	write_all(buffer, 1);
	expect(ion_buffer_begin(buffer, ION_READ, PAGE - 1, 1), 0);
	expect(ion_buffer_end(buffer, ION_READ, PAGE - 1, 1), 0);
	expect_all(buffer, 1);
	leave_all(RLIMIT_NOFILE);
	expect(open_descriptors(), before);
	return 0;
}

static void descriptors_run_out(void **state)
{
	(void)state;
	expect(end_of(fails_at_each_descriptor, NULL), 0);
}

static void memory_runs_out(void **state)
{
	struct ion_buffer *buffer, *other = NULL;
	int before;

	(void)state;
	if (SANITIZED)
		skip();
	buffer = create(PAGE);
	before = open_descriptors();
	open_pair(SOCK_STREAM);
	expect(ion_buffer_send(buffer, pair[0]), 0);
	no_memory = true;
	expect(ion_buffer_create(PAGE, NULL, CACHED, &other), -ENOMEM);
	expect(ion_buffer_import(ion_buffer_fd(buffer), &other), -ENOMEM);
	expect(ion_buffer_receive(pair[1], &other), -ENOMEM);
	no_memory = false;
	assert_null(other);
	close_pair();
	expect(open_descriptors(), before);
	ion_buffer_close(buffer);
}

static int maps_without_room(void *arg)
{
	struct ion_buffer *buffer = create(16 * MiB);
	struct rlimit limit = { .rlim_cur = 8 * MiB };
	void *addr = NULL;

	(void)arg;
	limit.rlim_max = RLIM_INFINITY;
	expect(sys(setrlimit(RLIMIT_AS, &limit)), 0);
	expect(ion_buffer_map(buffer, RW, &addr), -ENOMEM);
	assert_null(addr);
	leave_all(RLIMIT_AS);
	expect(ion_buffer_map(buffer, RW, &addr), 0);
	expect_zero(addr, 16 * MiB);
	ion_buffer_close(buffer);
	return 0;
}

static void addresses_run_out(void **state)
{
	(void)state;
	expect(end_of(maps_without_room, NULL), 0);
}

static int test(void)
{
	const struct CMUnitTest tests[] = {
		/* Those that begin with a library that nobody has used. */
		cmocka_unit_test(threads_share_one_client),
		cmocka_unit_test(descriptors_run_out),

		cmocka_unit_test(null_out_parameters_are_refused),
		cmocka_unit_test(buffers_are_zero_pages),
		cmocka_unit_test(impossible_buffers_are_refused),
		cmocka_unit_test(long_names_are_no_heaps),
		cmocka_unit_test(every_heap_is_known_by_its_name),
		cmocka_unit_test(imports_are_the_same_buffer),
		cmocka_unit_test(buffers_of_others_are_imported),
		cmocka_unit_test(other_descriptors_are_no_buffers),
		cmocka_unit_test(memfds_have_an_end),
		cmocka_unit_test(paths_are_no_buffers),
		cmocka_unit_test(there_is_one_mapping),
		cmocka_unit_test(mappings_are_as_asked_for),
		cmocka_unit_test(read_only_descriptors_are_read),
		cmocka_unit_test(parts_are_in_the_buffer),
		cmocka_unit_test(a_closed_client_is_opened_again),
		cmocka_unit_test(threads_share_a_buffer),
		cmocka_unit_test(children_have_their_parents_buffers),
		cmocka_unit_test(buffers_are_sent_and_received),
		cmocka_unit_test(many_are_under_way),
		cmocka_unit_test(it_is_an_ordinary_message),
		cmocka_unit_test(missing_and_surplus_descriptors),
		cmocka_unit_test(messages_of_another_length),
		cmocka_unit_test(descriptors_of_something_else),
		cmocka_unit_test(truncated_control_data),
		cmocka_unit_test(other_control_data),
		cmocka_unit_test(the_other_side_is_gone),
		cmocka_unit_test(sockets_that_do_not_block),
		cmocka_unit_test(what_is_no_such_socket),
		cmocka_unit_test(receiving_outlasts_signals),
		cmocka_unit_test(sending_outlasts_signals),
		cmocka_unit_test(buffers_have_names),
		cmocka_unit_test(idle_buffers_are_not_waited_for),
		cmocka_unit_test(fences_are_sync_files),
		cmocka_unit_test(readers_and_writers_are_waited_for),
		cmocka_unit_test(waiting_outlasts_signals),
		cmocka_unit_test(beginning_waits_for_fences),
		cmocka_unit_test(fences_go_from_buffer_to_buffer),
		cmocka_unit_test(fences_are_of_readers_or_writers),
		cmocka_unit_test(another_process_waits),
		cmocka_unit_test(memory_runs_out),
		cmocka_unit_test(addresses_run_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* In a process of its own, since the library keeps its client. */
static int test_backend(void *name)
{
	test_process = getpid();
	printf("# over %s\n", (char *)name);
	setenv("ION_BACKEND", name, 1);
	return test();
}

int main(int argc, char **argv)
{
	int failed = 0;

	setbuf(stdout, NULL);
	if (argc == 1)
		return test();
	for (int i = 1; i < argc; i++)
		failed |= end_of(test_backend, argv[i]);
	return !!failed;
}
