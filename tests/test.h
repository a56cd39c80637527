/* SPDX-License-Identifier: MIT */
/* What the tests share: cmocka, requests that answer -errno, and checks. */
#ifndef TESTS_TEST_H
#define TESTS_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <ion/ion.h>
#include <linux/dma-buf.h>
#include <linux/udmabuf.h>
#include <linux/vion.h>

#define PAGE 4096UL
#define KiB 1024UL
#define MiB (1024 * KiB)

/* All of this is built for 32-bit programs, too. */
#define LP64 (sizeof(long) == 8)
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

#define CACHED ION_FLAG_CACHED
#define SYSTEM ION_HEAP_SYSTEM_MASK
#define CONTIG ION_HEAP_SYSTEM_CONTIG_MASK
/* tests/run sets memory aside for two of them. */
#define HEAPS (ION_HEAP_TYPE_DMA + 1)

/* What a system call answered, as the kernel says it. */
#define sys(call) ({							\
	long long sys_ret = (call);					\
	sys_ret == -1 ? -errno : sys_ret;				\
})

static inline const char *answer(long long value, char *text, size_t size)
{
	const char *name = value < 0 ? strerrorname_np(-value) : NULL;

	if (name)
		snprintf(text, size, "-%s", name);
	else
		snprintf(text, size, "%lld", value);
	return text;
}

/* A check that fails in a forked child ends the child, not the test. */
static pid_t test_process;

__attribute__((constructor)) static void remember_process(void)
{
	test_process = getpid();
}

static inline void fail_at(const char *file, int line)
{
	if (getpid() != test_process)
		_exit(99);
	_fail(file, line);
}

static inline void expect_at(const char *file, int line, const char *what,
			     long long came, long long wanted)
{
	char a[32], b[32];

	if (came == wanted)
		return;
	print_error("%s: expected %s, came %s\n", what,
		    answer(wanted, a, sizeof(a)), answer(came, b, sizeof(b)));
	fail_at(file, line);
}

static inline long long expect_ok_at(const char *file, int line,
				     const char *what, long long came)
{
	char text[32];

	if (came >= 0)
		return came;
	print_error("%s: expected success, came %s\n", what,
		    answer(came, text, sizeof(text)));
	fail_at(file, line);
	return came;
}

/* The call answers exactly this. */
#define expect(call, wanted) \
	expect_at(__FILE__, __LINE__, #call, (call), (wanted))
/* The call does not fail; gives its answer. */
#define expect_ok(call) \
	expect_ok_at(__FILE__, __LINE__, #call, (call))

static inline long request(int fd, unsigned long cmd, void *arg)
{
	return sys(ioctl(fd, cmd, arg));
}

static inline int open_ion(void)
{
	return expect_ok(ion_open());
}

static inline int open_vion(void)
{
	return expect_ok(sys(open("/dev/vion_dev", O_RDWR | O_CLOEXEC)));
}

/* A dma-buf descriptor of a buffer that nothing else holds. */
static inline int alloc_with(int ion, unsigned int heaps, size_t len,
			     unsigned int flags)
{
	int fd = -1;

	expect(ion_alloc_fd(ion, len, 0, heaps, flags, &fd), 0);
	return fd;
}

static inline int alloc_fd(int ion, unsigned int heaps, size_t len)
{
	return alloc_with(ion, heaps, len, CACHED);
}

static inline size_t page_up(size_t len)
{
	return (len + PAGE - 1) & ~(PAGE - 1);
}

static inline void *map_at(int fd, size_t len, int prot, off_t offset)
{
	void *addr = mmap(NULL, len, prot, MAP_SHARED, fd, offset);

	expect_ok(addr == MAP_FAILED ? -errno : 0);
	return addr;
}

static inline void *map(int fd, size_t len)
{
	return map_at(fd, len, PROT_READ | PROT_WRITE, 0);
}

static inline long sync_buffer(int fd, __u64 flags)
{
	struct dma_buf_sync sync = { .flags = flags };

	return request(fd, DMA_BUF_IOCTL_SYNC, &sync);
}

/* A different byte at every place, and different with every seed. */
static inline unsigned char pattern(size_t at, unsigned int seed)
{
	return (at * 31 + (at >> 8) * 7 + (at >> 16) + seed) & 0xff;
}

static inline void fill(void *addr, size_t len, unsigned int seed)
{
	unsigned char *p = addr;

	for (size_t i = 0; i < len; i++)
		p[i] = pattern(i, seed);
}

static inline void expect_byte(size_t at, size_t len, unsigned char came,
			       unsigned char wanted)
{
	if (came == wanted)
		return;
	print_error("byte %zu of %zu: expected 0x%02x, came 0x%02x\n", at, len,
		    wanted, came);
	fail_at(__FILE__, __LINE__);
}

static inline void expect_pattern(const void *addr, size_t len,
				  unsigned int seed)
{
	const unsigned char *p = addr;

	for (size_t i = 0; i < len; i++)
		expect_byte(i, len, p[i], pattern(i, seed));
}

static inline void expect_zero(const void *addr, size_t len)
{
	const unsigned char *p = addr;

	if (!len || (!*p && !memcmp(p, p + 1, len - 1)))
		return;
	for (size_t i = 0; i < len; i++)
		expect_byte(i, len, p[i], 0);
}

static inline ino_t inode_of(int fd)
{
	struct stat st;

	expect(sys(fstat(fd, &st)), 0);
	return st.st_ino;
}

/* Do devices reach no memory but bounce buffers? tests/run has such a boot. */
static inline bool bounces(void)
{
	char line[4096] = "";
	int fd = expect_ok(sys(open("/proc/cmdline", O_RDONLY | O_CLOEXEC)));

	expect_ok(sys(read(fd, line, sizeof(line) - 1)));
	close(fd);
	return strstr(line, "swiotlb=force");
}

/* How many descriptors this process has open. */
static inline int open_descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* What all buffers that live take of their heaps. */
static inline long long counted_bytes(void)
{
	FILE *file = fopen("/sys/kernel/debug/ion/buffers", "re");
	long long bytes = -1;

	expect(file && fscanf(file, "counted: %lld", &bytes) == 1, true);
	fclose(file);
	return bytes;
}

/* What the kernel has let go of itself, and not the program, goes a bit later. */
static inline void expect_bytes_soon(long long wanted)
{
	for (int i = 0; counted_bytes() != wanted && i < 10000; i++)
		poll(NULL, 0, 1);
	expect(counted_bytes(), wanted);
}

union control {
	char space[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

/* Hands a descriptor on through a Unix socket. */
static inline void send_fd(int sock, int fd)
{
	char byte = 0;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	union control control = { .space = { 0 } };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	expect(sys(sendmsg(sock, &msg, 0)), 1);
}

static inline int receive_fd(int sock)
{
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	union control control;
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	int fd;

	expect(sys(recvmsg(sock, &msg, MSG_CMSG_CLOEXEC)), 1);
	assert_non_null(CMSG_FIRSTHDR(&msg));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

/* A buffer of another exporter, or -1 where the kernel has none such. */
static inline int make_udmabuf(size_t size)
{
	struct udmabuf_create create = { .size = size };
	int dev = open("/dev/udmabuf", O_RDWR | O_CLOEXEC), fd;

	if (dev < 0)
		return -1;
	create.memfd = expect_ok(sys(memfd_create("test", MFD_ALLOW_SEALING)));
	expect(sys(ftruncate(create.memfd, size)), 0);
	expect(sys(fcntl(create.memfd, F_ADD_SEALS, F_SEAL_SHRINK)), 0);
	fd = expect_ok(request(dev, UDMABUF_CREATE, &create));
	close(create.memfd);
	close(dev);
	return fd;
}

/* A thread or process: until it sleeps in its only system call that can. */
static inline void until_it_sleeps(pid_t tid)
{
	char path[64], state = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	for (int i = 0; state != 'S' && i < 1000000; i++) {
		FILE *file = fopen(path, "re");

		expect(file && fscanf(file, "%*d (%*[^)]) %c", &state) == 1,
		       true);
		fclose(file);
		sched_yield();
	}
	expect(state, 'S');
}

/* For some turns, and nothing else happens. */
static inline void spin(unsigned int turns)
{
	while (turns--)
		asm volatile("");
}

/* On the debug kernel a quarter: there each takes many times as long. */
static inline unsigned int fewer_if_slow(unsigned int count)
{
	struct utsname uts;

	expect(sys(uname(&uts)), 0);
	return strstr(uts.release, "-debug") ? count / 4 : count;
}

/* For the summary of tests/run, which adds up what has the same name. */
static inline void sum_up(unsigned long n, const char *what)
{
	printf("# counted %lu %s\n", n, what);
	fflush(stdout);
}

typedef int child_function(void *arg);

/* The signal that ended the child, or its exit status, negative. */
static inline int end_of(child_function *child, void *arg)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		signal(SIGSEGV, SIG_DFL);
		_exit(child(arg));
	}
	expect(sys(waitpid(pid, &status, 0)), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

#endif
