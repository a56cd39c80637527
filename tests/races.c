// SPDX-License-Identifier: MIT
/*
 * Two or more threads that do what must not disturb each other, let go at the
 * same moment, many times over. Each answer is one of those that some order of
 * them explains, and in the end nothing is lost. Run from the top of the source
 * tree.
 */
#include <dirent.h>
#include <limits.h>
#include <linux/dma-heap.h>
#include <linux/futex.h>
#include <linux/ion_test.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "jobs.h"
#include "kernel/device_test.h"
#include "kernel/heap_test.h"
#include "load.h"
#include "pool.h"

#define MOST_RACERS 4
#define SIZE (2 * PAGE)
/* More than one run of pages, which the kernel maps as it needs them. */
#define LARGE (64 * KiB + PAGE)
/* What one entry of the page tables maps. */
#define HUGE (2 * MiB)
#define DEBUGFS "/sys/kernel/debug/ion/"

/* Answers of ours: as it should be, but the other came first; and not so. */
#define LATE (-ECANCELED)
#define WRONG (-EBADMSG)

/**
 * struct racer - what one thread does
 * @step: once in every round; answers 0 or more, or -errno
 * @late: errors that the others may cause. The first must come some time, and so
 *	must success; the others may come.
 */
struct racer {
	long (*step)(void);
	int late[4];
};

/**
 * struct race - a test
 * @name: of the test
 * @rounds: how many, at least
 * @begin: before every round, alone
 * @racers: the first of them is the main thread
 * @end: after every round, alone
 */
struct race {
	const char *name;
	unsigned int rounds;
	void (*begin)(void);
	struct racer racers[MOST_RACERS];
	void (*end)(void);
};

/* What a race is about: some of it set up for the race, some for a round. */
static struct {
	const struct race *race;
	unsigned int round, racers;
	long came[MOST_RACERS];		/* each one's answer in this round */
	unsigned long won[MOST_RACERS], lost[MOST_RACERS];
	unsigned int lag[MOST_RACERS];
	int descriptors;
	long long bytes;

	int ion, other, vion, device, node, null, memfd, heap_test;
	int handle, guess, imported, fd, fds[2];
	int got[MOST_RACERS];		/* descriptors that steps were given */
	unsigned char *addr, *away;
	unsigned char *huge, *huge_away, *huge_room;
	void *arg;
	atomic_bool done;
} s;

static __thread unsigned int me;
static __thread unsigned int seed;

/* ---- the machinery */

static atomic_uint arrived, generation;
static atomic_bool over;
static pthread_t threads[MOST_RACERS];

static unsigned int dice(unsigned int sides)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed % sides;
}

/* Spins at first, for there is nothing as punctual. */
static void meet(void)
{
	unsigned int now = generation;

	if (++arrived == s.racers) {
		arrived = 0;
		generation++;
		syscall(SYS_futex, &generation, FUTEX_WAKE, INT_MAX);
		return;
	}
	for (unsigned int i = 0; generation == now && !over; i++)
		if (i > 500)
			syscall(SYS_futex, &generation, FUTEX_WAIT, now, NULL);
}

/* As often some nanoseconds as some hundred microseconds. */
static void dawdle(void)
{
	spin(dice(1U << dice(15)));
	if (s.lag[me] && dice(2))
		spin(dice(1U << (14 + s.lag[me])));
	if (!dice(64))
		sched_yield();
}

static void run_step(void)
{
	meet();
	if (over)
		return;
	dawdle();
	s.came[me] = s.race->racers[me].step();
	meet();
}

static void *racer(void *index)
{
	me = (uintptr_t)index;
	seed = me * 7919 + 1;
	while (!over)
		run_step();
	return NULL;
}

static void judge(void)
{
	for (unsigned int i = 0; i < s.racers; i++) {
		const int *late = s.race->racers[i].late;
		char text[32];
		int n = 0;

		if (s.came[i] >= 0) {
			s.won[i]++;
			continue;
		}
		while (n < 4 && late[n] != s.came[i])
			n++;
		if (n == 4) {
			print_error("thread %u: nothing explains %s in round %u\n",
				    i, answer(s.came[i], text, sizeof(text)),
				    s.round);
			fail();
		}
		s.lost[i] += !n;
	}
}

static bool all_was_seen(void)
{
	for (unsigned int i = 0; i < s.racers; i++)
		if (!s.won[i] || (s.race->racers[i].late[0] && !s.lost[i]))
			return false;
	return true;
}

/*
 * On a busy machine one side may always be first: until the other outcome is
 * seen, that side is late by twice as much each time the rounds are over.
 */
static void set_lags(void)
{
	unsigned int lag = s.round / s.race->rounds;

	if (lag > 8)
		lag = 8;
	memset(s.lag, 0, sizeof(s.lag));
	for (unsigned int i = 0; i < s.racers; i++) {
		if (s.race->racers[i].late[0] && !s.lost[i])
			s.lag[i] = lag;
		for (unsigned int j = 0; j < s.racers && !s.won[i]; j++)
			if (j != i)
				s.lag[j] = lag;
	}
}

static __thread sigjmp_buf faulted;
static __thread sig_atomic_t may_fault;

static void on_fault(int number)
{
	if (!__atomic_load_n(&may_fault, __ATOMIC_RELAXED))
		signal(number, SIG_DFL);
	else
		siglongjmp(faulted, 1);
}

static int begin_race(void **state)
{
	memset(&s, 0, sizeof(s));
	s.race = *state;
	for (s.racers = 0; s.racers < MOST_RACERS; s.racers++)
		if (!s.race->racers[s.racers].step)
			break;
	s.descriptors = open_descriptors();
	s.bytes = counted_bytes();
	s.ion = open_ion();
	s.other = open_ion();
	s.vion = open_vion();
	s.device = expect_ok(sys(open("/dev/ion_device", O_RDWR | O_CLOEXEC)));
	s.heap_test = expect_ok(sys(open("/dev/ion_heap_test", O_RDWR)));
	s.null = expect_ok(sys(open("/dev/null", O_RDWR | O_CLOEXEC)));
	s.memfd = expect_ok(sys(memfd_create("race", MFD_CLOEXEC)));
	expect(sys(ftruncate(s.memfd, LARGE)), 0);
	s.arg = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, s.memfd,
		     0);
	s.addr = mmap(NULL, 2 * LARGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	s.away = s.addr + LARGE;
	s.huge_room = mmap(NULL, 3 * HUGE, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	s.huge = s.huge_room + -(uintptr_t)s.huge_room % HUGE;
	s.huge_away = s.huge + HUGE;

	me = 0;
	seed = 1;
	over = false;
	arrived = 0;
	for (uintptr_t i = 1; i < s.racers; i++)
		expect(pthread_create(&threads[i], NULL, racer, (void *)i), 0);
	return 0;
}

static int end_race(void **state)
{
	(void)state;
	if (over)
		return 0;
	over = true;
	generation++;
	syscall(SYS_futex, &generation, FUTEX_WAKE, INT_MAX);
	for (unsigned int i = 1; i < s.racers; i++)
		pthread_join(threads[i], NULL);
	munmap(s.huge_room, 3 * HUGE);
	munmap(s.addr, 2 * LARGE);
	munmap(s.arg, PAGE);
	close(s.memfd);
	close(s.null);
	close(s.heap_test);
	close(s.device);
	close(s.vion);
	ion_close(s.other);
	ion_close(s.ion);
	return 0;
}

static void run_race(void **state)
{
	const struct race *race = *state;

	/* cmocka has one of its own, until now. */
	signal(SIGSEGV, on_fault);
	for (s.round = 0; s.round < race->rounds || !all_was_seen(); s.round++) {
		if (s.round > 100 * race->rounds) {
			for (unsigned int i = 0; i < s.racers; i++)
				print_error("thread %u: %lu times first, %lu late\n",
					    i, s.won[i], s.lost[i]);
			fail_msg("%u rounds, and no race", s.round);
		}
		race->begin();
		set_lags();
		run_step();
		judge();
		race->end();
	}
	end_race(state);
	expect(open_descriptors(), s.descriptors);
	expect_bytes_soon(s.bytes);
}

/* ---- contents */

/* All of a buffer is one byte. */
static void stamp(int fd, size_t len, int byte)
{
	void *addr = map(fd, len);

	memset(addr, byte, len);
	munmap(addr, len);
}

static bool is_all(const unsigned char *data, size_t len, int byte)
{
	return *data == byte && !memcmp(data, data + 1, len - 1);
}

static bool has_stamp(int fd, size_t len, int byte)
{
	unsigned char *addr = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
	bool good = addr != MAP_FAILED && is_all(addr, len, byte);

	if (addr != MAP_FAILED)
		munmap(addr, len);
	return good;
}

static int stamp_of_round(void)
{
	return s.round % 255 + 1;
}

static long close_good(int fd, size_t len, int byte)
{
	long ret = has_stamp(fd, len, byte) ? 0 : WRONG;

	close(fd);
	return ret;
}

/* ---- references to one handle */

static void begin_handle(void)
{
	expect(ion_alloc(s.ion, SIZE, 0, SYSTEM, CACHED, &s.handle), 0);
	expect(ion_share(s.ion, s.handle, &s.fd), 0);
	stamp(s.fd, SIZE, stamp_of_round());
	s.imported = s.handle;
}

/* The handle's reference is the only one. */
static void begin_last_handle(void)
{
	begin_handle();
	close(s.fd);
	s.fd = -1;
}

static void begin_two_references(void)
{
	begin_last_handle();
	expect(ion_share(s.ion, s.handle, &s.fd), 0);
	expect(ion_import(s.ion, s.fd, &s.imported), 0);
	close(s.fd);
}

static long free_handle(void)
{
	return ion_free(s.ion, s.handle);
}

static long share_with(unsigned long cmd)
{
	struct ion_fd_data data = { .handle = s.handle };
	long ret = request(s.ion, cmd, &data);

	s.got[me] = ret ? -1 : data.fd;
	return ret;
}

static long share_handle(void)
{
	return share_with(ION_IOC_SHARE);
}

static long map_handle(void)
{
	return share_with(ION_IOC_MAP);
}

/* Late if the handle was gone already: then it is another. */
static long import_handle(void)
{
	long ret = ion_import(s.ion, s.fd, &s.imported);

	return ret ? ret : s.imported == s.handle ? 0 : LATE;
}

/* Who got a descriptor has all of the buffer. */
static void check_got(void)
{
	for (unsigned int i = 0; i < s.racers; i++) {
		if (s.got[i] > 0)
			expect(close_good(s.got[i], SIZE, stamp_of_round()), 0);
		s.got[i] = 0;
	}
}

static void end_freed(void)
{
	check_got();
	expect(ion_free(s.ion, s.handle), -EINVAL);
}

static void end_imported(void)
{
	expect(has_stamp(s.fd, SIZE, stamp_of_round()), true);
	close(s.fd);
	expect(ion_free(s.ion, s.imported), 0);
	expect(ion_free(s.ion, s.imported), -EINVAL);
	expect(ion_free(s.ion, s.handle), -EINVAL);
}

static unsigned int frees(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < s.racers; i++)
		n += s.race->racers[i].step == free_handle && !s.came[i];
	return n;
}

static void end_freed_once(void)
{
	expect(frees(), 1);
	end_freed();
}

static void end_freed_twice(void)
{
	expect(frees(), 2);
	end_freed();
}

/* ---- a handle that nobody has been told of yet */

/*
 * The answer goes to a page that has to be copied first: that takes a while, in
 * which the handle is there, but not the client's.
 */
static void begin_unanswered(const void *data, size_t size)
{
	int next = 0;

	expect(ion_alloc(s.ion, PAGE, 0, SYSTEM, CACHED, &next), 0);
	expect(ion_free(s.ion, next), 0);
	s.guess = next + 1;
	expect(sys(pwrite(s.memfd, data, size, 0)), size);
	expect(sys(mprotect(s.arg, PAGE, PROT_READ | PROT_WRITE)), 0);
	expect(sys(madvise(s.arg, PAGE, MADV_DONTNEED)), 0);
	s.done = false;
}

static void begin_alloc(void)
{
	struct ion_allocation_data data = {
		.len = SIZE, .heap_id_mask = SYSTEM, .flags = CACHED,
	};

	begin_unanswered(&data, sizeof(data));
}

static void begin_import(void)
{
	struct ion_fd_data data = {
		.fd = alloc_fd(s.ion, SYSTEM, SIZE),
	};

	s.fd = data.fd;
	begin_unanswered(&data, sizeof(data));
}

static void begin_failing_alloc(void)
{
	begin_alloc();
	expect(sys(mprotect(s.arg, PAGE, PROT_READ)), 0);
}

static void begin_failing_import(void)
{
	begin_import();
	expect(sys(mprotect(s.arg, PAGE, PROT_READ)), 0);
}

static long request_unanswered(unsigned long cmd)
{
	long ret = request(s.ion, cmd, s.arg);

	s.done = true;
	return ret;
}

static long alloc_unanswered(void)
{
	return request_unanswered(ION_IOC_ALLOC);
}

static long import_unanswered(void)
{
	return request_unanswered(ION_IOC_IMPORT);
}

static long fails(long ret)
{
	return ret == -EFAULT ? 0 : WRONG;
}

static long fail_to_alloc(void)
{
	return fails(alloc_unanswered());
}

static long fail_to_import(void)
{
	return fails(import_unanswered());
}

/* Some times, since it is too early at first. */
static long free_guess(void)
{
	long ret = -EINVAL;

	for (unsigned int i = dice(30); i && ret == -EINVAL; i--)
		ret = ion_free(s.ion, s.guess);
	return ret;
}

static long never_free_guess(void)
{
	do {
		if (ion_free(s.ion, s.guess) != -EINVAL)
			return WRONG;
	} while (!s.done);
	return 0;
}

static long never_share_guess(void)
{
	int fd;

	do {
		if (ion_share(s.ion, s.guess, &fd) != -EINVAL)
			return WRONG;
	} while (!s.done);
	return 0;
}

static void end_guessed_alloc(void)
{
	const struct ion_allocation_data *data = s.arg;

	expect(data->handle, s.guess);
	expect(ion_free(s.ion, s.guess), s.came[1] ? 0 : -EINVAL);
	expect(ion_free(s.ion, s.guess), -EINVAL);
}

static void end_guessed_import(void)
{
	const struct ion_fd_data *data = s.arg;

	expect(data->handle, s.guess);
	expect(ion_free(s.ion, s.guess), s.came[1] ? 0 : -EINVAL);
	expect(ion_free(s.ion, s.guess), -EINVAL);
	close(s.fd);
}

static void end_failed(void)
{
	expect(ion_free(s.ion, s.guess), -EINVAL);
}

static void end_failed_import(void)
{
	end_failed();
	close(s.fd);
}

/* ---- the kernel holds the buffer, too */

static void begin_held(void)
{
	begin_handle();
	expect(request(s.vion, VION_REGISTER_ION, &s.fd), 0);
	close(s.fd);
}

static long free_in_a_loop(void)
{
	int n = 0;

	for (int i = 0; i < 20; i++)
		n += !ion_free(s.ion, s.handle);
	return n;
}

static long read_held(void)
{
	unsigned char data[SIZE];

	if (pread(s.vion, data, SIZE, 0) != SIZE ||
	    !is_all(data, SIZE, stamp_of_round()))
		return WRONG;
	return 0;
}

static void end_held(void)
{
	expect(s.came[0] + s.came[1], 1);
	check_got();
	expect(read_held(), 0);
	expect(ion_free(s.ion, s.handle), -EINVAL);
}

/* ---- an open file goes during a request */

static void begin_client(void)
{
	int again;

	ion_close(s.ion);
	s.ion = open_ion();
	begin_handle();
	/* One for those requests that go to the other client. */
	expect(ion_import(s.other, s.fd, &again), 0);
}

/* Closed, or another file in its place: the last makes room for nothing. */
static long close_client(void)
{
	switch (s.round % 3) {
	case 0:
		return sys(close(s.ion));
	case 1:
		return sys(dup2(s.null, s.ion));
	default:
		return sys(dup2(s.other, s.ion));
	}
}

static void end_client(void)
{
	if (s.round % 3)
		close(s.ion);
	expect(has_stamp(s.fd, SIZE, stamp_of_round()), true);
	close(s.fd);
	ion_close(s.other);
	s.other = open_ion();
	s.ion = open_ion();
}

static long req_alloc(void)
{
	int handle;

	return ion_alloc(s.ion, SIZE, 0, SYSTEM, 0, &handle);
}

static long req_new_alloc(void)
{
	struct ion_new_allocation_data data = {
		.len = SIZE, .heap_id_mask = SYSTEM, .flags = CACHED,
	};
	long ret = request(s.ion, ION_IOC_NEW_ALLOC, &data);

	return ret ? ret : close_good(data.fd, SIZE, 0);
}

static long req_share(void)
{
	int fd;
	long ret = ion_share(s.ion, s.handle, &fd);

	return ret ? ret : close_good(fd, SIZE, stamp_of_round());
}

static long req_map(void)
{
	struct ion_fd_data data = { .handle = s.handle };
	long ret = request(s.ion, ION_IOC_MAP, &data);

	return ret ? ret : close_good(data.fd, SIZE, stamp_of_round());
}

static long req_free(void)
{
	return ion_free(s.ion, s.handle);
}

static long req_import(void)
{
	int handle;

	return ion_import(s.ion, s.fd, &handle);
}

static long req_sync(void)
{
	return ion_sync_fd(s.ion, s.fd);
}

static long req_sync_range(void)
{
	return ion_sync_range(s.ion, s.fd, 1, PAGE, DMA_BUF_SYNC_RW);
}

static long req_query(void)
{
	struct ion_heap_data data[HEAPS];
	struct ion_heap_query query = {
		.cnt = HEAPS, .heaps = (uintptr_t)data,
	};

	return request(s.ion, ION_IOC_HEAP_QUERY, &query);
}

static long req_version(void)
{
	__u32 version;

	return request(s.ion, ION_IOC_ABI_VERSION, &version);
}

/* The same for the other nodes. */
static void begin_vion(void)
{
	s.fd = alloc_fd(s.ion, SYSTEM, LARGE);
	stamp(s.fd, LARGE, stamp_of_round());
	expect(request(s.vion, VION_REGISTER_ION, &s.fd), 0);
}

static long close_vion(void)
{
	return s.round % 2 ? sys(close(s.vion)) : sys(dup2(s.null, s.vion));
}

static void end_vion(void)
{
	if (!(s.round % 2))
		close(s.vion);
	expect(close_good(s.fd, LARGE, stamp_of_round()), 0);
	/* There is room for one: so the other is gone. */
	s.vion = open_vion();
}

static long vion_register(void)
{
	return request(s.vion, VION_REGISTER_ION, &s.fd);
}

static long vion_unregister(void)
{
	return request(s.vion, VION_UNREGISTER_ION, &s.fd);
}

/* Of /dev/null there is nothing to read. */
static long vion_read(void)
{
	unsigned char data[LARGE];
	long n = sys(pread(s.vion, data, LARGE, 0));

	if (n > 0 && (n != LARGE || !is_all(data, LARGE, stamp_of_round())))
		return WRONG;
	return n ? n : LATE;
}

static long vion_write(void)
{
	unsigned char data[LARGE];
	long n;

	memset(data, stamp_of_round(), LARGE);
	n = sys(pwrite(s.vion, data, LARGE, 0));
	return n == LARGE || n < 0 ? n : WRONG;
}

/* What is there already, so that it does not matter whether it was done. */
static long vion_submit(void)
{
	struct vion_job job = fill_job(0, LARGE,
				       stamp_of_round() * 0x01010101U);

	return submit(s.vion, &job);
}

static void begin_vion_job(void)
{
	begin_vion();
	expect(vion_submit(), 0);
}

static long vion_result(void)
{
	long ret = ask_result(s.vion, 1);

	return ret == -EAGAIN ? 0 : ret;
}

static void begin_node(void)
{
	s.node = expect_ok(sys(open("/dev/dma_heap/ion_system", O_RDWR)));
}

static long close_node(void)
{
	return s.round % 2 ? sys(close(s.node)) : sys(dup2(s.null, s.node));
}

static void end_node(void)
{
	if (!(s.round % 2))
		close(s.node);
}

static long alloc_from_node(int node)
{
	struct dma_heap_allocation_data data = {
		.len = SIZE, .fd_flags = O_RDWR,
	};
	long ret = request(node, DMA_HEAP_IOCTL_ALLOC, &data);

	return ret ? ret : close_good(data.fd, SIZE, 0);
}

static long node_alloc(void)
{
	return alloc_from_node(s.node);
}

static void begin_importer(void)
{
	begin_vion();
	s.node = expect_ok(sys(open("/dev/ion-test", O_RDWR)));
	expect(sys(ioctl(s.node, ION_IOC_TEST_SET_FD, s.fd)), 0);
}

static void end_importer(void)
{
	end_node();
	expect(close_good(s.fd, LARGE, stamp_of_round()), 0);
}

static long importer_reads(unsigned long cmd)
{
	unsigned char data[LARGE];
	struct ion_test_rw_data rw = {
		.ptr = (uintptr_t)data, .size = LARGE,
	};
	long ret = request(s.node, cmd, &rw);

	return ret ? ret : is_all(data, LARGE, stamp_of_round()) ? 0 : WRONG;
}

static long importer_reads_by_dma(void)
{
	return importer_reads(ION_IOC_TEST_DMA_MAPPING);
}

static long importer_reads_by_kernel(void)
{
	return importer_reads(ION_IOC_TEST_KERNEL_MAPPING);
}

static long importer_lets_go(void)
{
	return sys(ioctl(s.node, ION_IOC_TEST_SET_FD, -1));
}

static void end_importer_open(void)
{
	close(s.node);
	expect(close_good(s.fd, LARGE, stamp_of_round()), 0);
}

/* ---- register against read and write on vion */

/* Each buffer is all one byte, and is written with no other than that. */
static void begin_registered(void)
{
	for (int i = 0; i < 2; i++) {
		s.fds[i] = alloc_fd(s.ion, SYSTEM, LARGE);
		stamp(s.fds[i], LARGE, 'a' + i);
	}
	expect(request(s.vion, VION_REGISTER_ION, &s.fds[0]), 0);
}

/* Nobody but vion has the first any more. */
static void begin_registered_alone(void)
{
	begin_registered();
	close(s.fds[0]);
}

static long register_other(void)
{
	return request(s.vion, VION_REGISTER_ION, &s.fds[1]);
}

static long unregister_first(void)
{
	return request(s.vion, VION_UNREGISTER_ION, &s.fds[0]);
}

static long unregister_other(void)
{
	return request(s.vion, VION_UNREGISTER_ION, &s.fds[1]);
}

/* All of one buffer, never some of each. */
static long read_one(void)
{
	unsigned char data[LARGE];
	long n = sys(pread(s.vion, data, LARGE, 0));

	if (n < 0)
		return n;
	if (n != LARGE)
		return WRONG;
	if (is_all(data, LARGE, 'a') || is_all(data, LARGE, 'w'))
		return 0;
	return is_all(data, LARGE, 'b') ? LATE : WRONG;
}

static long write_one(void)
{
	unsigned char data[LARGE];
	long n;

	memset(data, 'w', LARGE);
	n = sys(pwrite(s.vion, data, LARGE, 0));
	return n == LARGE || n < 0 ? n : WRONG;
}

static __u32 crc_of_all(int byte)
{
	unsigned char data[LARGE];

	memset(data, byte, LARGE);
	return crc_of(data, LARGE);
}

/* A job has its buffer from the first to the last. */
static long sum_one(void)
{
	struct vion_job job = crc_job(0, LARGE);
	struct vion_result result;
	long ret;

	job.flags = VION_JOB_FENCE;
	ret = submit(s.vion, &job);
	if (ret)
		return ret;
	wait_for(job.fence, POLLIN);
	close(job.fence);
	result = result_of(s.vion, job.id);
	if (result.status)
		return WRONG;
	if (result.crc32 == crc_of_all('a'))
		return 0;
	return result.crc32 == crc_of_all('b') ? LATE : WRONG;
}

static long copy_one_to_the_other(void)
{
	struct vion_job job = copy_job(s.fds[me % 2], me / 2, 0, LARGE / 2,
				       LARGE / 2);

	return submit(s.vion, &job);
}

static void end_copied(void)
{
	for (int i = 0; i < 2; i++) {
		wait_for(s.fds[i], POLLOUT);
		close(s.fds[i]);
	}
}

static long seek_one(void)
{
	long at = sys(lseek(s.vion, 0, SEEK_END));

	return at == LARGE || at < 0 ? at : WRONG;
}

static long poll_one(void)
{
	struct pollfd pollfd = { .fd = s.vion, .events = POLLIN | POLLOUT };

	return sys(poll(&pollfd, 1, 0)) == 1 ? 0 : WRONG;
}

static bool is_whole(int fd, int byte)
{
	return has_stamp(fd, LARGE, byte) || has_stamp(fd, LARGE, 'w');
}

static void end_registered(void)
{
	for (int i = 0; i < 2; i++) {
		expect(is_whole(s.fds[i], 'a' + i), true);
		close(s.fds[i]);
	}
}

static void end_registered_alone(void)
{
	expect(is_whole(s.fds[1], 'b'), true);
	close(s.fds[1]);
}

/* ---- munmap against everything */

static void begin_mapped(void)
{
	begin_handle();
	expect(mmap(s.addr, SIZE, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED, s.fd, 0) == s.addr, true);
	if (s.round % 2)
		expect(ion_free(s.ion, s.handle), 0);
}

static void unmap(unsigned char *addr, size_t len)
{
	mmap(addr, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
	     0);
}

/* Another mapping in its place is an end, too. */
static long unmap_it(void)
{
	switch (s.round % 3) {
	case 0:
		return sys(munmap(s.addr, SIZE));
	case 1:
		return sys(munmap(s.addr, PAGE)) ?:
		       sys(munmap(s.addr + PAGE, SIZE - PAGE));
	default:
		unmap(s.addr, SIZE);
		return 0;
	}
}

/* So that the mapping is what holds the buffer. */
static long close_it(void)
{
	return sys(close(s.fd));
}

static void end_mapped(void)
{
	unmap(s.addr, SIZE);
	unmap(s.away, SIZE);
	expect(ion_free(s.ion, s.handle), s.round % 2 ? -EINVAL : 0);
}

/* The load or the store itself. */
static long access_at(unsigned char *addr, bool store)
{
	long ret;

	__atomic_store_n(&may_fault, true, __ATOMIC_SEQ_CST);
	if (sigsetjmp(faulted, 1))
		ret = -EFAULT;
	else if (store)
		ret = memset(addr, stamp_of_round(), SIZE) ? 0 : WRONG;
	else
		ret = is_all(addr, SIZE, stamp_of_round()) ? 0 : WRONG;
	__atomic_store_n(&may_fault, false, __ATOMIC_SEQ_CST);
	return ret;
}

static long touch_it(void)
{
	return access_at(s.addr, false);
}

static long store_it(void)
{
	return access_at(s.addr, true);
}

/* What one system call reads of it is the buffer, if it is as long. */
static long write_from_it(void)
{
	unsigned char data[SIZE];
	long n = sys(pwrite(s.memfd, s.addr, SIZE, 0));

	if (n <= 0)
		return n;
	if (pread(s.memfd, data, n, 0) != n ||
	    !is_all(data, n, stamp_of_round()))
		return WRONG;
	return 0;
}

static void begin_mapped_vion(void)
{
	begin_mapped();
	s.fds[0] = alloc_fd(s.ion, CONTIG, SIZE);
	stamp(s.fds[0], SIZE, stamp_of_round());
	expect(request(s.vion, VION_REGISTER_ION, &s.fds[0]), 0);
}

static void end_mapped_vion(void)
{
	end_mapped();
	expect(close_good(s.fds[0], SIZE, stamp_of_round()), 0);
}

static long vion_reads_into_it(void)
{
	return sys(pread(s.vion, s.addr, SIZE, 0));
}

static long vion_writes_from_it(void)
{
	return sys(pwrite(s.vion, s.addr, SIZE, 0));
}

/* What has no page structures for it no other process reads. */
static long read_it_as_another(void)
{
	unsigned char data[SIZE];
	struct iovec to = { data, SIZE }, from = { s.addr, SIZE };

	return sys(process_vm_readv(getpid(), &to, 1, &from, 1, 0)) == -EFAULT ?
	       0 : WRONG;
}

static long move_it(void)
{
	void *at = mremap(s.addr, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
			  s.away);

	if (at == MAP_FAILED)
		return -errno;
	/* What was there may be the one that came in its place. */
	return 0;
}

static long protect_it(void)
{
	return sys(mprotect(s.addr, SIZE, PROT_READ));
}

/* Pages of no file and no memory are not for madvise() to drop. */
static long advise_it(void)
{
	long ret = sys(madvise(s.addr, SIZE, MADV_DONTNEED));

	return ret == -EINVAL ? 0 : ret ? ret : LATE;
}

static long sync_it(void)
{
	return sync_buffer(s.fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW) ?:
	       sync_buffer(s.fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW);
}

/* The child has what was there at that moment, and not what comes later. */
static long fork_it(void)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(-write_from_it());
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return WRONG;
	return -WEXITSTATUS(status);
}

static long map_it_elsewhere(void)
{
	void *addr = mmap(s.away, SIZE, PROT_READ, MAP_SHARED | MAP_FIXED,
			  s.fd, 0);

	if (addr == MAP_FAILED)
		return -errno;
	return is_all(s.away, SIZE, stamp_of_round()) ? 0 : WRONG;
}

static long free_it(void)
{
	return ion_free(s.ion, s.handle) == (s.round % 2 ? -EINVAL : 0) ?
	       0 : WRONG;
}

static void end_mapped_freed(void)
{
	unmap(s.addr, SIZE);
	expect(ion_free(s.ion, s.handle), -EINVAL);
}

/* ---- faults of 2 MiB, and the memory that they find */

/* Of the buffer, looked at in its first and its last pages. */
static void begin_huge(void)
{
	unsigned char *addr;

	s.fd = alloc_fd(s.ion, SYSTEM, HUGE);
	addr = map(s.fd, HUGE);
	memset(addr, stamp_of_round(), SIZE);
	memset(addr + HUGE - SIZE, stamp_of_round(), SIZE);
	munmap(addr, HUGE);
	expect(mmap(s.huge, HUGE, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED, s.fd, 0) == s.huge, true);
}

static long touch_huge(void)
{
	return access_at(dice(2) ? s.huge : s.huge + HUGE - SIZE, dice(2));
}

static long unmap_huge(void)
{
	if (s.round % 2)
		return sys(munmap(s.huge, HUGE));
	return sys(munmap(s.huge + HUGE / 2, HUGE / 2)) ?:
	       sys(munmap(s.huge, HUGE / 2));
}

/*
 * One entry becomes many, and each is found by a fault of its own. Not where
 * touch_huge() writes.
 */
static long split_huge(void)
{
	size_t at = SIZE + dice((HUGE - 2 * SIZE) / PAGE) * PAGE;

	return sys(mprotect(s.huge + at, PAGE, PROT_READ)) ?:
	       sys(mprotect(s.huge + at, PAGE, PROT_READ | PROT_WRITE));
}

static void end_huge(void)
{
	unmap(s.huge, HUGE);
}

/*
 * As large a buffer, which must not be the one that somebody still has; nor its
 * mapping be where the other one's was.
 */
static long use_huge(void)
{
	unsigned char *addr = s.huge_away;
	long ret = 0;
	int fd = alloc_with(s.ion, SYSTEM, HUGE, CACHED);

	if (mmap(addr, HUGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		 fd, 0) == MAP_FAILED)
		ret = -errno;
	close(fd);
	if (ret)
		return ret;
	for (size_t at = 0; at < HUGE; at += 16 * PAGE) {
		if (!is_all(addr + at, PAGE, 0))
			ret = WRONG;
		memset(addr + at, 'h', PAGE);
	}
	unmap(addr, HUGE);
	return ret;
}

static long drain_pools(void)
{
	return set_pool_size("0") ?: set_pool_size("16M");
}

/* ---- heaps come and go */

static struct heap_test_data racing_heap = {
	.slot = 1, .type = ION_HEAP_TYPE_CUSTOM, .name = "racing",
};

static void begin_heap(void)
{
	expect(request(s.heap_test, HEAP_TEST_ADD, &racing_heap), 0);
}

static long remove_heap(void)
{
	struct heap_test_data data = racing_heap;

	return request(s.heap_test, HEAP_TEST_REMOVE, &data);
}

static long alloc_from_heap(void)
{
	int fd;
	long ret = ion_alloc_fd(s.ion, SIZE, 0, 1U << racing_heap.id, CACHED,
				&fd);

	return ret ? ret : close_good(fd, SIZE, 0);
}

static long alloc_from_heap_node(void)
{
	int node = open("/dev/dma_heap/ion_racing", O_RDWR);
	long ret;

	if (node < 0)
		return -errno;
	ret = alloc_from_node(node);
	close(node);
	return ret;
}

static long read_file(const char *path)
{
	char data[4096];
	ssize_t n;
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		return -errno;
	do {
		n = sys(read(fd, data, sizeof(data)));
	} while (n > 0);
	close(fd);
	return n;
}

/* A file that has gone since it was opened answers EIO. */
static long report_on_heap(void)
{
	long ret = read_file(DEBUGFS "heaps/racing");

	return ret == -EIO ? -ENOENT : ret;
}

static long report_on_buffers(void)
{
	return read_file(DEBUGFS "buffers");
}

static void end_heap(void)
{
	expect(remove_heap(), s.came[0] ? 0 : -ENODEV);
}

/* ---- devices come and go, and so do reports */

static void begin_shared(void)
{
	s.fd = alloc_fd(s.ion, SYSTEM, SIZE);
	stamp(s.fd, SIZE, stamp_of_round());
}

static long attach_and_detach(void)
{
	return sys(ioctl(s.device, DEVICE_HOLD, s.fd)) ?:
	       sys(ioctl(s.device, DEVICE_HOLD, -1));
}

static long sync_range(void)
{
	const unsigned int end = DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW;

	return ion_sync_range(s.ion, s.fd, 1, PAGE, DMA_BUF_SYNC_RW) ?:
	       ion_sync_range(s.ion, s.fd, 1, PAGE, end);
}

static void end_shared(void)
{
	expect(close_good(s.fd, SIZE, stamp_of_round()), 0);
}

static long report_on_all(void)
{
	static const char *const directories[] = {
		DEBUGFS "clients", DEBUGFS "heaps",
	};
	long ret = report_on_buffers();

	for (int i = 0; i < 2 && !ret; i++) {
		DIR *dir = opendir(directories[i]);
		struct dirent *entry;
		char path[512];

		if (!dir)
			return -errno;
		while ((entry = readdir(dir)) && !ret) {
			if (entry->d_name[0] == '.')
				continue;
			snprintf(path, sizeof(path), "%s/%s", directories[i],
				 entry->d_name);
			ret = read_file(path);
			if (ret == -ENOENT || ret == -EIO)
				ret = 0;
		}
		closedir(dir);
	}
	return ret;
}

static long be_a_client(void)
{
	int ion = ion_open(), handle, fd;
	long ret;

	if (ion < 0)
		return ion;
	ret = ion_alloc(ion, SIZE, 0, SYSTEM, CACHED, &handle) ?:
	      ion_share(ion, handle, &fd) ?:
	      sys(ioctl(fd, DMA_BUF_SET_NAME, "racing")) ?: sys(close(fd));
	ion_close(ion);
	return ret;
}

/* A buffer whose memory comes from a pool of all. */
static long use_the_pool(void)
{
	size_t len = (1 + dice(dice(4) ? 8 : 700)) * PAGE;
	unsigned char *addr;
	long ret;
	int fd;

	ret = ion_alloc_fd(s.ion, len, 0, dice(4) ? SYSTEM : CONTIG,
			   dice(2), &fd);
	if (ret)
		return ret;
	addr = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (addr == MAP_FAILED)
		return -errno;
	if (!is_all(addr, len, 0))
		ret = WRONG;
	memset(addr, me + 1, len);
	if (!is_all(addr, len, me + 1))
		ret = WRONG;
	munmap(addr, len);
	return ret;
}

/* ---- the end of a process whose threads are in requests */

static void all_requests(void)
{
	static long (*const steps[])(void) = {
		req_alloc, req_new_alloc, req_share, req_map, req_import,
		req_sync, req_sync_range, req_query, vion_register, vion_read,
		vion_unregister, vion_submit, vion_result, node_alloc,
		use_the_pool, importer_reads_by_dma,
	};

	for (size_t i = 0; i < COUNT(steps); i++)
		steps[dice(COUNT(steps))]();
}

static void *keep_requesting(void *seed_of_it)
{
	seed = (uintptr_t)seed_of_it;
	s.done = true;
	for (;;)
		all_requests();
	return NULL;
}

static int die_while_requesting(void *unused)
{
	pthread_t thread;

	(void)unused;
	/* A last resort: it does not take as long. */
	alarm(100);
	s.done = false;
	s.ion = open_ion();
	s.vion = open_vion();
	begin_handle();
	begin_node();
	for (uintptr_t i = 1; i < MOST_RACERS; i++)
		expect(pthread_create(&thread, NULL, keep_requesting,
				      (void *)i), 0);
	while (!s.done)
		sched_yield();
	seed = s.round + 1;
	for (unsigned int i = dice(100); i; i--)
		dawdle();
	if (s.round % 2)
		raise(SIGKILL);
	return 0;
}

static void exit_during_requests(void **state)
{
	long long bytes = counted_bytes();

	(void)state;
	memset(&s, 0, sizeof(s));
	for (s.round = 0; s.round < 50; s.round++) {
		expect(end_of(die_while_requesting, NULL),
		       s.round % 2 ? SIGKILL : 0);
		expect_bytes_soon(bytes);
	}
}

/* What always works, and what may come too late. */
#define ALWAYS(step) { step, { 0 } }
#define LATE_BY(step, ...) { step, { __VA_ARGS__ } }

#define CLOSE_RACE(what) {						\
	"close_against_" #what, 40, begin_client, {			\
		ALWAYS(close_client), LATE_BY(req_ ## what, -EBADF, -ENOTTY),\
	}, end_client }
#define VION_RACE(what, ...) {						\
	"close_against_vion_" #what, 30, begin_vion, {			\
		ALWAYS(close_vion), LATE_BY(vion_ ## what, -EBADF, __VA_ARGS__),\
	}, end_vion }
#define IMPORTER_RACE(what, ...) {					\
	"close_against_importer_" #what, 30, begin_importer, {		\
		ALWAYS(close_node), LATE_BY(importer_ ## what, -EBADF, -ENOTTY),\
	}, end_importer }
#define UNMAP_RACE(what, ...) {						\
	"munmap_against_" #what, 30, begin_mapped, {			\
		ALWAYS(unmap_it), LATE_BY(what, __VA_ARGS__), ALWAYS(close_it),	\
	}, end_mapped }

static const struct race races[] = {
	{ "free_against_share", 100, begin_last_handle, {
		ALWAYS(free_handle), LATE_BY(share_handle, -EINVAL),
	}, end_freed },
	{ "free_against_map_and_share", 100, begin_last_handle, {
		ALWAYS(free_handle), LATE_BY(map_handle, -EINVAL),
		LATE_BY(share_handle, -EINVAL),
	}, end_freed },
	{ "free_against_import", 100, begin_handle, {
		ALWAYS(free_handle), LATE_BY(import_handle, LATE),
	}, end_imported },
	{ "free_against_free", 400, begin_last_handle, {
		LATE_BY(free_handle, -EINVAL), LATE_BY(free_handle, -EINVAL),
	}, end_freed_once },
	{ "free_against_free_of_two_references", 400, begin_two_references, {
		LATE_BY(free_handle, -EINVAL), LATE_BY(free_handle, -EINVAL),
		LATE_BY(free_handle, -EINVAL), LATE_BY(share_handle, -EINVAL),
	}, end_freed_twice },
	{ "free_against_unanswered_alloc", 100, begin_alloc, {
		ALWAYS(alloc_unanswered), LATE_BY(free_guess, -EINVAL),
	}, end_guessed_alloc },
	{ "free_against_unanswered_import", 100, begin_import, {
		ALWAYS(import_unanswered), LATE_BY(free_guess, -EINVAL),
	}, end_guessed_import },
	{ "free_against_failing_alloc", 80, begin_failing_alloc, {
		ALWAYS(fail_to_alloc), ALWAYS(never_free_guess), ALWAYS(never_share_guess),
	}, end_failed },
	{ "free_against_failing_import", 80, begin_failing_import, {
		ALWAYS(fail_to_import), ALWAYS(never_free_guess), ALWAYS(never_share_guess),
	}, end_failed_import },
	{ "free_in_a_loop_while_the_kernel_holds", 80, begin_held, {
		ALWAYS(free_in_a_loop), ALWAYS(free_in_a_loop), ALWAYS(read_held),
		LATE_BY(share_handle, -EINVAL),
	}, end_held },

	CLOSE_RACE(alloc), CLOSE_RACE(new_alloc), CLOSE_RACE(free),
	CLOSE_RACE(share), CLOSE_RACE(map), CLOSE_RACE(import),
	CLOSE_RACE(sync), CLOSE_RACE(sync_range), CLOSE_RACE(query),
	CLOSE_RACE(version),
	VION_RACE(register, -ENOTTY), VION_RACE(unregister, -ENOTTY),
	VION_RACE(submit, -ENOTTY),
	{ "close_against_vion_result", 30, begin_vion_job, {
		ALWAYS(close_vion), LATE_BY(vion_result, -EBADF, -ENOTTY),
	}, end_vion },
	VION_RACE(read, LATE), VION_RACE(write, 0),
	{ "close_against_dma_heap_alloc", 100, begin_node, {
		ALWAYS(close_node), LATE_BY(node_alloc, -EBADF, -ENOTTY),
	}, end_node },
	IMPORTER_RACE(reads_by_dma), IMPORTER_RACE(reads_by_kernel),

	{ "register_against_read", 40, begin_registered, {
		ALWAYS(register_other), LATE_BY(read_one, LATE),
	}, end_registered },
	{ "register_against_read_of_what_goes", 40, begin_registered_alone, {
		ALWAYS(register_other), LATE_BY(read_one, LATE),
	}, end_registered_alone },
	{ "register_against_write", 40, begin_registered, {
		ALWAYS(register_other), ALWAYS(write_one), ALWAYS(write_one),
	}, end_registered },
	{ "unregister_against_read", 40, begin_registered, {
		ALWAYS(unregister_first), LATE_BY(read_one, -ENXIO),
	}, end_registered },
	{ "register_against_submit", 40, begin_registered, {
		ALWAYS(register_other), LATE_BY(sum_one, LATE),
	}, end_registered },
	{ "register_against_submit_of_what_goes", 40, begin_registered_alone, {
		ALWAYS(register_other), LATE_BY(sum_one, LATE),
	}, end_registered_alone },
	{ "unregister_against_submit", 40, begin_registered, {
		ALWAYS(unregister_first), LATE_BY(sum_one, -ENXIO),
	}, end_registered },
	{ "submit_against_submit", 40, begin_registered, {
		ALWAYS(copy_one_to_the_other), ALWAYS(copy_one_to_the_other),
		ALWAYS(copy_one_to_the_other), ALWAYS(copy_one_to_the_other),
	}, end_copied },
	{ "unregister_against_write", 40, begin_registered, {
		ALWAYS(unregister_first), LATE_BY(write_one, -ENXIO),
	}, end_registered },
	{ "register_against_unregister_and_read", 40, begin_registered, {
		ALWAYS(register_other), LATE_BY(unregister_first, -EINVAL, -ENXIO),
		LATE_BY(unregister_other, -EINVAL, -ENXIO),
		LATE_BY(read_one, -ENXIO, LATE),
	}, end_registered },
	{ "unregister_against_seek_and_poll", 40, begin_registered, {
		ALWAYS(unregister_first), LATE_BY(seek_one, -ENXIO), ALWAYS(poll_one),
	}, end_registered },
	{ "set_fd_against_dma", 30, begin_importer, {
		ALWAYS(importer_lets_go), LATE_BY(importer_reads_by_dma, -EINVAL),
		LATE_BY(importer_reads_by_kernel, -EINVAL),
	}, end_importer_open },

	UNMAP_RACE(touch_it, -EFAULT), UNMAP_RACE(store_it, -EFAULT),
	UNMAP_RACE(write_from_it, -EFAULT), UNMAP_RACE(read_it_as_another, 0),
	UNMAP_RACE(move_it, -EFAULT), UNMAP_RACE(protect_it, -ENOMEM),
	UNMAP_RACE(advise_it, -ENOMEM, LATE), UNMAP_RACE(sync_it, -EBADF),
	UNMAP_RACE(fork_it, -EFAULT), UNMAP_RACE(map_it_elsewhere, -EBADF),
	UNMAP_RACE(unmap_it, 0), UNMAP_RACE(use_the_pool, 0),
	UNMAP_RACE(report_on_all, 0),
	{ "munmap_against_free", 40, begin_mapped, {
		ALWAYS(unmap_it), ALWAYS(free_it), ALWAYS(close_it),
	}, end_mapped_freed },
	{ "munmap_against_vion_read", 40, begin_mapped_vion, {
		ALWAYS(unmap_it), LATE_BY(vion_reads_into_it, -EFAULT), ALWAYS(close_it),
	}, end_mapped_vion },
	{ "munmap_against_vion_write", 40, begin_mapped_vion, {
		ALWAYS(unmap_it), LATE_BY(vion_writes_from_it, -EFAULT),
		ALWAYS(close_it),
	}, end_mapped_vion },

	{ "heap_removal_against_alloc", 40, begin_heap, {
		LATE_BY(remove_heap, -EBUSY), LATE_BY(alloc_from_heap, -ENODEV),
	}, end_heap },
	{ "heap_removal_against_its_node", 40, begin_heap, {
		LATE_BY(remove_heap, -EBUSY),
		LATE_BY(alloc_from_heap_node, -ENOENT, -ENODEV),
	}, end_heap },
	{ "heap_removal_against_reports", 40, begin_heap, {
		LATE_BY(remove_heap, -EBUSY), LATE_BY(report_on_heap, -ENOENT),
		ALWAYS(report_on_buffers), LATE_BY(alloc_from_heap, -ENODEV),
	}, end_heap },

	{ "attachment_against_sync_and_reports", 40, begin_shared, {
		ALWAYS(attach_and_detach), ALWAYS(sync_it), ALWAYS(sync_range),
		ALWAYS(report_on_buffers),
	}, end_shared },
	{ "clients_against_reports", 40, begin_shared, {
		ALWAYS(be_a_client), ALWAYS(be_a_client), ALWAYS(report_on_all),
	}, end_shared },
	{ "large_fault_against_close_and_munmap", 60, begin_huge, {
		LATE_BY(touch_huge, -EFAULT), ALWAYS(close_it), ALWAYS(unmap_huge),
		ALWAYS(use_huge),
	}, end_huge },
	{ "large_faults_against_each_other", 60, begin_huge, {
		ALWAYS(touch_huge), ALWAYS(touch_huge), ALWAYS(split_huge),
		ALWAYS(close_it),
	}, end_huge },
	{ "pools_drained_against_alloc_and_free", 100, begin_shared, {
		ALWAYS(drain_pools), ALWAYS(use_the_pool), ALWAYS(use_huge),
		ALWAYS(use_the_pool),
	}, end_shared },
	{ "pools_shrunk_against_alloc_and_free", 60, begin_shared, {
		ALWAYS(shrink_pools), ALWAYS(use_the_pool), ALWAYS(use_huge),
		ALWAYS(drain_pools),
	}, end_shared },
	{ "pool_users", 40, begin_shared, {
		ALWAYS(use_the_pool), ALWAYS(use_the_pool), ALWAYS(use_the_pool),
	}, end_shared },
};

static int load_drivers(void **state)
{
	(void)state;
	remember_pool_size();
	expect(load_with("tests/kernel/heap_test", ""), 0);
	expect(load_with("tests/kernel/device_test", ""), 0);
	return 0;
}

static int unload_drivers(void **state)
{
	(void)state;
	expect(unload("device_test"), 0);
	expect(unload("heap_test"), 0);
	restore_pool_size();
	return 0;
}

int main(void)
{
	struct CMUnitTest tests[COUNT(races) + 1] = {
		[COUNT(races)] = cmocka_unit_test(exit_during_requests),
	};

	for (size_t i = 0; i < COUNT(races); i++)
		tests[i] = (struct CMUnitTest){
			races[i].name, run_race, begin_race, end_race,
			(void *)&races[i],
		};
	return cmocka_run_group_tests(tests, load_drivers, unload_drivers);
}
