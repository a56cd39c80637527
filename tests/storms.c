// SPDX-License-Identifier: MIT
/*
 * What a system goes through on a bad day: programs killed at any moment, no
 * memory, no descriptors, very many clients, everybody frozen. Afterwards every
 * byte is back, and all works as before. Run from the top of the source tree.
 */
#include <dirent.h>
#include <linux/dma-heap.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "load.h"

#define KILLS 1000
#define CLIENTS 10000
#define GREEDY 8
#define SIZE (16 * KiB)
#define DEBUGFS "/sys/kernel/debug/ion/"
#define CGROUPS "/sys/fs/cgroup/"
#define CGROUP CGROUPS "storm/"

/* Of a program that does all there is. */
enum phase {
	OPENING, ALLOCATING, SHARING, MAPPING, TOUCHING, REGISTERING, WRITING,
	READING, PASSING, IMPORTING, HEAP_NODE, DYING_TOGETHER, FREEING,
	UNMAPPING, CLOSING, PHASES
};

static const char *const phases[PHASES] = {
	"opening", "allocating", "sharing", "mapping", "touching",
	"registering", "writing", "reading", "passing", "importing",
	"heap_node", "dying_together", "freeing", "unmapping", "closing",
};

/* What the others can see of it. */
static struct {
	atomic_uint phase;
	atomic_ulong steps;
	atomic_ullong bytes;
} *shown;

static void enter(enum phase phase)
{
	shown->phase = phase;
	shown->steps++;
}

static long put(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	long ret = fd < 0 ? -errno : sys(write(fd, value, strlen(value)));

	close(fd);
	return ret < 0 ? ret : 0;
}

static void must_put(const char *path, const char *value)
{
	long ret = put(path, value);

	if (ret)
		print_error("writing %s to %s\n", value, path);
	expect(ret, 0);
}

/* The number after the word in the file. */
static long number(const char *path, const char *word)
{
	FILE *file = fopen(path, "re");
	char name[64];
	long value;

	assert_non_null(file);
	while (fscanf(file, "%63s %ld", name, &value) == 2)
		if (!strcmp(name, word))
			break;
	expect(strcmp(name, word), 0);
	fclose(file);
	return value;
}

/* ---- a fresh scenario */

struct scenario {
	int ion, other, vion, sockets[2];
	int handles[HEAPS], fds[HEAPS];
	unsigned char *addr[HEAPS];
};

static int alloc_from_node(const char *path)
{
	struct dma_heap_allocation_data data = {
		.len = SIZE, .fd_flags = O_RDWR | O_CLOEXEC,
	};
	int node = expect_ok(sys(open(path, O_RDONLY | O_CLOEXEC)));
	long ret = request(node, DMA_HEAP_IOCTL_ALLOC, &data);

	close(node);
	return ret < 0 ? ret : (int)data.fd;
}

static void use_vion(int vion, int fd, const unsigned char *addr)
{
	unsigned char data[SIZE];

	enter(REGISTERING);
	expect(request(vion, VION_REGISTER_ION, &fd), 0);
	enter(WRITING);
	fill(data, SIZE, 2);
	expect(sys(pwrite(vion, data, SIZE, 0)), SIZE);
	expect_pattern(addr, SIZE, 2);
	enter(READING);
	memset(data, 0, SIZE);
	expect(sys(pread(vion, data, SIZE, 0)), SIZE);
	expect_pattern(data, SIZE, 2);
	expect(request(vion, VION_UNREGISTER_ION, &fd), 0);
}

static void *alloc_and_free(void *ion)
{
	for (int i = 0; i < 4; i++) {
		int fd = alloc_with(*(int *)ion, i % 2 ? SYSTEM : CONTIG, SIZE,
				    i / 2);

		close(fd);
	}
	return NULL;
}

/* Opens vion, of which there is one, only if it is told to. */
static void scenario(bool with_vion)
{
	struct scenario s = { .vion = -1 };
	pthread_t thread;
	int again, fd;

	enter(OPENING);
	s.ion = open_ion();
	s.other = open_ion();
	if (with_vion)
		s.vion = open_vion();
	expect(sys(socketpair(AF_UNIX, SOCK_STREAM, 0, s.sockets)), 0);
	for (int id = 0; id < HEAPS; id++) {
		enter(ALLOCATING);
		expect(ion_alloc(s.ion, SIZE, 0, 1 << id, id % 2 ? CACHED : 0,
				 &s.handles[id]), 0);
		enter(SHARING);
		expect(ion_share(s.ion, s.handles[id], &s.fds[id]), 0);
		enter(MAPPING);
		s.addr[id] = map(s.fds[id], SIZE);
		enter(TOUCHING);
		expect_zero(s.addr[id], SIZE);
		fill(s.addr[id], SIZE, 1);
		if (with_vion)
			use_vion(s.vion, s.fds[id], s.addr[id]);
		enter(PASSING);
		send_fd(s.sockets[0], s.fds[id]);
		enter(IMPORTING);
		fd = receive_fd(s.sockets[1]);
		expect(ion_import(s.other, fd, &again), 0);
		close(fd);
	}
	enter(HEAP_NODE);
	close(expect_ok(alloc_from_node("/dev/dma_heap/ion_system")));
	enter(DYING_TOGETHER);
	expect(pthread_create(&thread, NULL, alloc_and_free, &s.ion), 0);
	alloc_and_free(&s.ion);
	pthread_join(thread, NULL);
	for (int id = 0; id < HEAPS; id++) {
		enter(FREEING);
		expect(ion_free(s.ion, s.handles[id]), 0);
		expect(ion_free(s.ion, s.handles[id]), -EINVAL);
		close(s.fds[id]);
		enter(UNMAPPING);
		expect_pattern(s.addr[id], SIZE, with_vion ? 2 : 1);
		munmap(s.addr[id], SIZE);
	}
	enter(CLOSING);
	close(s.sockets[0]);
	close(s.sockets[1]);
	close(s.vion);
	ion_close(s.other);
	ion_close(s.ion);
}

/* What there was before a storm. */
static struct {
	long long bytes;
	int descriptors;
} before;

static int look(void **state)
{
	(void)state;
	before.bytes = counted_bytes();
	before.descriptors = open_descriptors();
	return 0;
}

static void all_is_as_before(void)
{
	expect(open_descriptors(), before.descriptors);
	expect(counted_bytes(), before.bytes);
	scenario(true);
	expect(counted_bytes(), before.bytes);
}

/* ---- kill -9 */

static pid_t start(child_function *child, void *arg)
{
	pid_t pid = fork();

	if (!pid)
		_exit(child(arg));
	return expect_ok(sys(pid));
}

/* The signal, or the exit status, negative. */
static int end(pid_t pid)
{
	int status;

	expect(sys(waitpid(pid, &status, 0)), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

static int repeat(void *with_vion)
{
	for (;;)
		scenario(with_vion);
	return 0;
}

static void wait_for_steps(unsigned long more)
{
	unsigned long wanted = shown->steps + more;

	while (shown->steps < wanted)
		sched_yield();
}

static void killed_at_any_moment(void **state)
{
	unsigned int seen[PHASES] = { 0 }, seed = 1;

	(void)state;
	for (int i = 0; i < KILLS; i++) {
		pid_t pid;

		shown->phase = OPENING;
		pid = start(repeat, shown);
		/* Any step of a scenario, and any place in it. */
		wait_for_steps(rand_r(&seed) % 100);
		spin(rand_r(&seed) % 20000);
		kill(pid, SIGKILL);
		expect(end(pid), SIGKILL);
		seen[shown->phase]++;
		/* All that it had is gone when it is. */
		expect(counted_bytes(), before.bytes);
	}
	for (int i = 0; i < PHASES; i++) {
		if (!seen[i])
			print_error("nothing was killed while %s\n", phases[i]);
		assert_true(seen[i] > 0);
	}
	sum_up(KILLS, "kills survived");
	all_is_as_before();
}

/* ---- no memory */

static void make_cgroup(void)
{
	must_put(CGROUPS "cgroup.subtree_control", "+memory");
	expect(sys(mkdir(CGROUP, 0700)), 0);
}

static void remove_cgroup(void)
{
	expect(sys(rmdir(CGROUP)), 0);
}

/* A part in buffers, and then memory until there is none. */
static int be_greedy(void *unused)
{
	unsigned char *addr;
	int ion, fd;

	(void)unused;
	expect(put(CGROUP "cgroup.procs", "0"), 0);
	ion = open_ion();
	for (size_t held = 0; held < 32 * MiB / GREEDY; held += MiB) {
		if (ion_alloc_fd(ion, MiB, 0, SYSTEM, CACHED, &fd))
			break;
		memset(map(fd, MiB), 1, MiB);
		shown->bytes += MiB;
	}
	for (;;) {
		addr = mmap(NULL, MiB, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (addr == MAP_FAILED)
			return 1;
		memset(addr, 1, MiB);
	}
}

static void starve(void)
{
	pid_t pids[GREEDY];

	make_cgroup();
	must_put(CGROUP "memory.max", "64M");
	/* Not there on a kernel without swap. */
	put(CGROUP "memory.swap.max", "0");
	shown->bytes = 0;
	for (int i = 0; i < GREEDY; i++)
		pids[i] = start(be_greedy, NULL);
	for (int i = 0; i < GREEDY; i++)
		expect(end(pids[i]), SIGKILL);
	assert_true(number(CGROUP "memory.events", "oom_kill") > 0);
	assert_true(shown->bytes > 0);
	remove_cgroup();
	all_is_as_before();
}

static void no_memory(void **state)
{
	(void)state;
	starve();
}

/* The buffers themselves are what is too much. */
static int be_greedy_with_buffers(void *unused)
{
	int ion, fd, ret;

	(void)unused;
	expect(put(CGROUP "cgroup.procs", "0"), 0);
	ion = open_ion();
	do {
		ret = ion_alloc_fd(ion, MiB, 0, SYSTEM, CACHED, &fd);
		if (!ret)
			shown->bytes += MiB;
	} while (!ret);
	/* Until the last has come so far. */
	shown->steps++;
	while (shown->steps < GREEDY)
		sched_yield();
	return -ret;
}

static void reload(const char *params)
{
	char all[sizeof(ion_params) + 32];

	snprintf(all, sizeof(all), "%s%s", ion_params, params);
	expect(unload("vion"), 0);
	expect(unload("ion"), 0);
	expect(load_with("kernel/ion/ion", all), 0);
	expect(load_with("kernel/vion/vion", ""), 0);
}

static void no_memory_with_accounting(void **state)
{
	pid_t pids[GREEDY];

	(void)state;
	if (access("/sys/module/ion/parameters/mem_accounting", F_OK))
		skip();
	remember_ion_params();
	reload("mem_accounting=1");
	look(NULL);
	make_cgroup();
	must_put(CGROUP "memory.max", "64M");
	put(CGROUP "memory.swap.max", "0");
	shown->bytes = 0;
	shown->steps = 0;
	for (int i = 0; i < GREEDY; i++)
		pids[i] = start(be_greedy_with_buffers, NULL);
	for (int i = 0; i < GREEDY; i++)
		expect(end(pids[i]), -ENOMEM);
	assert_in_range(shown->bytes, 32 * MiB, 64 * MiB);
	remove_cgroup();
	starve();
	reload("");
}

/* ---- no descriptors */

/* Everything that wants one, and what does not. */
static void expect_no_descriptor(int ion, int node, int handle, int fd,
				 int why)
{
	struct ion_new_allocation_data new_data = {
		.len = PAGE, .heap_id_mask = SYSTEM,
	};
	struct dma_heap_allocation_data heap_data = { .len = PAGE };
	struct ion_fd_data data = { .handle = handle };
	int again = 0;

	expect(ion_open(), why);
	expect(sys(open("/dev/dma_heap/ion_system", O_RDONLY)), why);
	expect(request(ion, ION_IOC_NEW_ALLOC, &new_data), why);
	expect(request(node, DMA_HEAP_IOCTL_ALLOC, &heap_data), why);
	/* Where no file is to be had, there are still numbers for those. */
	if (why == -EMFILE) {
		expect(request(ion, ION_IOC_SHARE, &data), why);
		expect(request(ion, ION_IOC_MAP, &data), why);
		expect(ion_alloc(ion, PAGE, 0, SYSTEM, 0, &again), 0);
		expect(ion_free(ion, again), 0);
	} else {
		expect(ion_alloc(ion, PAGE, 0, SYSTEM, 0, &again), why);
		expect(request(ion, ION_IOC_SHARE, &data), 0);
		close(data.fd);
	}
	expect(ion_import(ion, fd, &again), 0);
	expect(again, handle);
	expect(ion_free(ion, again), 0);
	expect(ion_sync_fd(ion, fd), 0);
}

struct limits {
	int why;
	struct rlimit most;
	uid_t uid;
};

static const struct limits limits[] = {
	{ -EMFILE, { 200, 200 }, 0 },
	/* Who has CAP_SYS_ADMIN has no such limit. */
	{ -ENFILE, { 4000, 4000 }, 65534 },
};

static int run_out(void *arg)
{
	const struct limits *limit = arg;
	int ion = open_ion(), handle, fd, ret;
	int node = expect_ok(sys(open("/dev/dma_heap/ion_system", O_RDONLY)));

	expect(ion_alloc(ion, SIZE, 0, SYSTEM, CACHED, &handle), 0);
	expect(ion_share(ion, handle, &fd), 0);
	expect(sys(setrlimit(RLIMIT_NOFILE, &limit->most)), 0);
	expect(sys(setresuid(limit->uid, limit->uid, limit->uid)), 0);
	for (int times = 0; times < 3; times++) {
		do {
			ret = sys(open("/dev/null", O_RDONLY));
		} while (ret >= 0);
		expect(ret, limit->why);
		expect_no_descriptor(ion, node, handle, fd, limit->why);
	}
	return 0;
}

static void no_descriptors(void **state)
{
	(void)state;
	expect(end(start(run_out, (void *)&limits[0])), 0);
	all_is_as_before();
}

static void no_files(void **state)
{
	const char *path = "/proc/sys/fs/file-max";
	char old[32] = "", most[32];
	int fd = expect_ok(sys(open(path, O_RDONLY | O_CLOEXEC))), ret;

	(void)state;
	expect_ok(sys(read(fd, old, sizeof(old) - 1)));
	close(fd);
	fd = expect_ok(sys(open("/proc/sys/fs/file-nr", O_RDONLY | O_CLOEXEC)));
	expect_ok(sys(read(fd, most, sizeof(most) - 1)));
	close(fd);
	snprintf(most, sizeof(most), "%ld", strtol(most, NULL, 10) + 500);
	expect(sys(chmod("/dev/ion", 0666)), 0);
	expect(sys(chmod("/dev/dma_heap/ion_system", 0666)), 0);
	must_put(path, most);
	ret = end(start(run_out, (void *)&limits[1]));
	must_put(path, old);
	expect(sys(chmod("/dev/ion", 0600)), 0);
	expect(sys(chmod("/dev/dma_heap/ion_system", 0600)), 0);
	expect(ret, 0);
	all_is_as_before();
}

/* ---- very many clients */

static int count_clients(void)
{
	DIR *dir = opendir(DEBUGFS "clients");
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* How many lines of the heap's report have that number second. */
static int count_lines(long wanted)
{
	FILE *file = fopen(DEBUGFS "heaps/ion_system_heap", "re");
	char line[256];
	long pid;
	int n = 0;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		n += sscanf(line, "%*s %ld", &pid) == 1 && pid == wanted;
	fclose(file);
	return n;
}

/* Half are gone before it is, the rest go with it. */
static int be_many_clients(void *sock)
{
	const struct rlimit most = { CLIENTS + 100, CLIENTS + 100 };
	static int ions[CLIENTS];
	char byte;
	int handle;

	expect(sys(setrlimit(RLIMIT_NOFILE, &most)), 0);
	for (int i = 0; i < CLIENTS; i++) {
		ions[i] = open_ion();
		expect(ion_alloc(ions[i], PAGE, 0, SYSTEM, CACHED, &handle), 0);
	}
	for (int i = 0; i < CLIENTS; i += 2) {
		if (!i) {
			expect(sys(write(*(int *)sock, "", 1)), 1);
			expect(sys(read(*(int *)sock, &byte, 1)), 1);
		}
		expect(ion_close(ions[i]), 0);
	}
	expect(sys(write(*(int *)sock, "", 1)), 1);
	pause();
	return 0;
}

static void expect_clients(pid_t pid, int clients, int others)
{
	expect(count_clients() - others, clients);
	expect(counted_bytes() - before.bytes, clients * PAGE);
	expect(count_lines(pid), clients);
}

static void many_clients(void **state)
{
	int others = count_clients(), sockets[2];
	char byte;
	pid_t pid;

	(void)state;
	expect(sys(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets)), 0);
	pid = start(be_many_clients, &sockets[1]);
	close(sockets[1]);
	expect(sys(read(sockets[0], &byte, 1)), 1);
	expect_clients(pid, CLIENTS, others);
	expect(sys(write(sockets[0], "", 1)), 1);
	expect(sys(read(sockets[0], &byte, 1)), 1);
	expect_clients(pid, CLIENTS / 2, others);
	kill(pid, SIGKILL);
	expect(end(pid), SIGKILL);
	close(sockets[0]);
	expect(count_clients(), others);
	all_is_as_before();
}

/* ---- everybody frozen */

static int repeat_in_cgroup(void *with_vion)
{
	expect(put(CGROUP "cgroup.procs", "0"), 0);
	return repeat(with_vion);
}

static void start_workers(pid_t *pids, child_function *child)
{
	for (int i = 0; i < 3; i++)
		pids[i] = start(child, i ? NULL : shown);
	wait_for_steps(50);
}

static void end_workers(pid_t *pids)
{
	for (int i = 0; i < 3; i++) {
		kill(pids[i], SIGKILL);
		expect(end(pids[i]), SIGKILL);
	}
}

static void set_frozen(bool frozen)
{
	int fd = expect_ok(sys(open(CGROUP "cgroup.events", O_RDONLY)));
	struct pollfd pollfd = { .fd = fd, .events = POLLPRI };

	must_put(CGROUP "cgroup.freeze", frozen ? "1" : "0");
	while (number(CGROUP "cgroup.events", "frozen") != frozen) {
		char text[256];

		expect(sys(poll(&pollfd, 1, 60000)), 1);
		expect_ok(sys(pread(fd, text, sizeof(text), 0)));
	}
	close(fd);
}

static void frozen_programs(void **state)
{
	unsigned long own = shown->steps;
	pid_t pids[3];

	(void)state;
	scenario(false);
	own = shown->steps - own;
	make_cgroup();
	start_workers(pids, repeat_in_cgroup);
	for (int i = 0; i < 20; i++) {
		unsigned long steps;

		set_frozen(true);
		steps = shown->steps;
		/* Others go on meanwhile, whatever the frozen ones hold. */
		scenario(false);
		expect(shown->steps - steps, own);
		set_frozen(false);
		wait_for_steps(50);
	}
	/* And one that is frozen can be killed. */
	set_frozen(true);
	end_workers(pids);
	remove_cgroup();
	all_is_as_before();
}

/* The first part of a suspend, which freezes all programs. */
static void frozen_system(void **state)
{
	pid_t pids[3];

	(void)state;
	must_put("/sys/module/suspend/parameters/pm_test_delay", "0");
	must_put("/sys/power/pm_test", "freezer");
	start_workers(pids, repeat);
	for (int i = 0; i < 5; i++) {
		must_put("/sys/power/state", "freeze");
		wait_for_steps(50);
	}
	end_workers(pids);
	must_put("/sys/power/pm_test", "none");
	all_is_as_before();
}

int main(void)
{
#define storm(test) cmocka_unit_test_setup(test, look)
	const struct CMUnitTest tests[] = {
		storm(killed_at_any_moment),
		storm(no_memory),
		storm(no_memory_with_accounting),
		storm(no_descriptors),
		storm(no_files),
		storm(many_clients),
		storm(frozen_programs),
		storm(frozen_system),
	};

	shown = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
