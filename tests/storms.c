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

#include "jobs.h"
#include "load.h"
#include "pool.h"

#define KILLS 1000
#define CLIENTS 10000
#define GREEDY 8
#define SIZE (16 * KiB)
#define LARGE (4 * MiB)
#define DEBUGFS "/sys/kernel/debug/ion/"
#define CGROUPS "/sys/fs/cgroup/"
#define CGROUP CGROUPS "storm/"

/* Of a program that does all there is. */
enum phase {
	OPENING, ALLOCATING, SHARING, MAPPING, TOUCHING, REGISTERING, SUBMITTING,
	WRITING, READING, PASSING, IMPORTING, HEAP_NODE, MAPPING_LARGE, TOUCHING_LARGE,
	DYING_TOGETHER, FREEING, UNMAPPING, CLOSING, PHASES
};

static const char *const phases[PHASES] = {
	"opening", "allocating", "sharing", "mapping", "touching",
	"registering", "submitting", "writing", "reading", "passing", "importing",
	"heap_node", "mapping_large", "touching_large", "dying_together",
	"freeing", "unmapping", "closing",
};

/* What the others can see of it. */
static struct {
	atomic_uint phase;
	atomic_ulong steps, from;
	atomic_uint wanted;
	atomic_bool reached;
	atomic_ullong bytes;
	atomic_bool refused[GREEDY];
} *shown;

static void enter(enum phase phase)
{
	shown->phase = phase;
	if (++shown->steps < shown->from || phase != shown->wanted)
		return;
	/* Goes on when who wants it there is ready. */
	shown->reached = true;
	while (shown->reached)
		sched_yield();
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
	struct vion_job job = copy_job(fd, 1, 0, SIZE / 2, SIZE / 2);
	unsigned char data[SIZE];

	enter(REGISTERING);
	expect(request(vion, VION_REGISTER_ION, &fd), 0);
	enter(SUBMITTING);
	expect(submit(vion, &job), 0);
	job = fill_job(0, SIZE, 0x02020202);
	job.flags = VION_JOB_FENCE;
	expect(submit(vion, &job), 0);
	close(job.fence);
	/* Which waits for them. */
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

/* With two entries of the page tables, each by a fault. */
static void use_large(int ion)
{
	unsigned char *addr;
	int fd;

	enter(MAPPING_LARGE);
	fd = alloc_with(ion, SYSTEM, LARGE, CACHED);
	expect(ion_map_fd(fd, LARGE, PROT_READ | PROT_WRITE, MAP_SHARED, 0,
			  &addr), 0);
	close(fd);
	enter(TOUCHING_LARGE);
	for (size_t at = 0; at < LARGE; at += LARGE / 4) {
		expect_zero(addr + at, PAGE);
		fill(addr + at, PAGE, 3);
	}
	munmap(addr, LARGE);
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
	use_large(s.ion);
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
	shown->wanted = PHASES;
	before.bytes = counted_bytes();
	before.descriptors = open_descriptors();
	return 0;
}

static void all_is_as_before(void)
{
	expect(open_descriptors(), before.descriptors);
	expect_bytes_soon(before.bytes);
	scenario(true);
	expect_bytes_soon(before.bytes);
}

/* ---- workers */

static pid_t workers[GREEDY];
static int running;

static void start(child_function *child, void *arg)
{
	pid_t pid = fork();

	if (!pid) {
		/* A last resort: none lives as long. */
		alarm(400);
		_exit(child(arg));
	}
	workers[running++] = expect_ok(sys(pid));
}

/* Of the last: the signal, or the exit status, negative. */
static int end(void)
{
	pid_t pid = workers[--running];
	int status;

	expect(sys(waitpid(pid, &status, 0)), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

static void kill_workers(void)
{
	while (running) {
		kill(workers[running - 1], SIGKILL);
		expect(end(), SIGKILL);
	}
}

static bool has_ended(pid_t pid, siginfo_t *info)
{
	info->si_pid = 0;
	expect(sys(waitid(P_PID, pid, info, WEXITED | WNOHANG | WNOWAIT)), 0);
	return info->si_pid;
}

/* To be called while waiting for what workers do: none may end before. */
static void let_them_work(void)
{
	siginfo_t info;

	for (int i = 0; i < running; i++)
		if (has_ended(workers[i], &info))
			fail_msg("a worker ended by itself: %s %d",
				 info.si_code == CLD_EXITED ? "status" :
				 "signal", info.si_status);
	sched_yield();
}

static void wait_for_steps(unsigned long more)
{
	unsigned long wanted = shown->steps + more;

	while (shown->steps < wanted)
		let_them_work();
}

/* What a test that failed has left. */
static int calm(void **state)
{
	(void)state;
	while (running) {
		kill(workers[running - 1], SIGKILL);
		end();
	}
	rmdir(CGROUP);
	if (*pool_size_before)
		restore_pool_size();
	return 0;
}

/* ---- kill -9 */

static int repeat(void *with_vion)
{
	for (;;)
		scenario(with_vion);
	return 0;
}

static int rarest(const unsigned int *seen)
{
	int least = 0;

	for (int i = 1; i < PHASES; i++)
		if (seen[i] < seen[least])
			least = i;
	return least;
}

static void killed_at_any_moment(void **state)
{
	const int kills = fewer_if_slow(KILLS);
	unsigned int seen[PHASES] = { 0 }, seed = 1;

	(void)state;
	remember_pool_size();
	for (int i = 0; i < kills; i++) {
		/* With pools and without, and with what they had taken away. */
		if (i % 8 == 0)
			expect(set_pool_size(i % 16 ? "16M" : "0"), 0);
		/* Any step of a scenario, and any place in it. */
		shown->wanted = rarest(seen);
		shown->from = shown->steps + rand_r(&seed) % 60;
		start(repeat, shown);
		while (!shown->reached)
			let_them_work();
		shown->wanted = PHASES;
		shown->reached = false;
		spin(rand_r(&seed) % (1 << rand_r(&seed) % 15));
		kill_workers();
		seen[shown->phase]++;
		/* All that it had is gone when it is. */
		expect_bytes_soon(before.bytes);
	}
	for (int i = 0; i < PHASES; i++) {
		if (!seen[i])
			print_error("nothing was killed while %s\n", phases[i]);
		assert_true(seen[i] > 0);
	}
	restore_pool_size();
	sum_up(kills, "kills survived");
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

static void make_small_cgroup(void)
{
	make_cgroup();
	must_put(CGROUP "memory.max", "64M");
	/* Not there on a kernel without swap. */
	put(CGROUP "memory.swap.max", "0");
	shown->bytes = 0;
}

static void starve(void)
{
	make_small_cgroup();
	for (int i = 0; i < GREEDY; i++)
		start(be_greedy, NULL);
	while (running)
		expect(end(), SIGKILL);
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
static int be_greedy_with_buffers(void *refused)
{
	int ion, fd, ret;

	expect(put(CGROUP "cgroup.procs", "0"), 0);
	ion = open_ion();
	do {
		ret = ion_alloc_fd(ion, MiB, 0, SYSTEM, CACHED, &fd);
		if (!ret)
			shown->bytes += MiB;
	} while (!ret);
	expect(ret, -ENOMEM);
	*(atomic_bool *)refused = true;
	/* What it has it keeps, until the last has come so far. */
	pause();
	return 0;
}

static void reload(const char *params)
{
	char all[sizeof(ion_params) + 32];

	snprintf(all, sizeof(all), "%s%s", ion_params, params);
	unload_soon("vion");
	expect(unload("ion"), 0);
	expect(load_with("kernel/ion/ion", all), 0);
	expect(load_with("kernel/vion/vion", ""), 0);
}

static int turn_accounting_on(void **state)
{
	expect(sys(access("/sys/module/ion/parameters/mem_accounting", F_OK)),
	       0);
	remember_ion_params();
	reload("mem_accounting=1");
	return look(state);
}

static int turn_accounting_off(void **state)
{
	calm(state);
	reload("");
	return 0;
}

/*
 * For a buffer's few pages that are no contents, such as those of its file, the
 * kernel may kill one of them instead of refusing it.
 */
static void no_memory_with_accounting(void **state)
{
	siginfo_t info;
	int refused = 0;

	(void)state;
	make_small_cgroup();
	for (int i = 0; i < GREEDY; i++) {
		shown->refused[i] = false;
		start(be_greedy_with_buffers, &shown->refused[i]);
	}
	for (int i = 0; i < GREEDY; i++) {
		while (!shown->refused[i] && !has_ended(workers[i], &info))
			sched_yield();
		refused += shown->refused[i];
	}
	assert_true(refused > 0);
	assert_true(shown->bytes >= 32 * MiB);
	assert_true(counted_bytes() - before.bytes <= (long long)(64 * MiB));
	kill_workers();
	remove_cgroup();
	starve();
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
	start(run_out, (void *)&limits[0]);
	expect(end(), 0);
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
	start(run_out, (void *)&limits[1]);
	ret = end();
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
	const int clients = fewer_if_slow(CLIENTS);
	const struct rlimit most = { clients + 100, clients + 100 };
	static int ions[CLIENTS];
	char byte;
	int handle;

	expect(sys(setrlimit(RLIMIT_NOFILE, &most)), 0);
	for (int i = 0; i < clients; i++) {
		ions[i] = open_ion();
		expect(ion_alloc(ions[i], PAGE, 0, SYSTEM, CACHED, &handle), 0);
	}
	for (int i = 0; i < clients; i += 2) {
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

static void expect_clients(int clients, int others)
{
	expect(count_clients() - others, clients);
	expect(counted_bytes() - before.bytes, clients * PAGE);
	expect(count_lines(workers[0]), clients);
}

static void many_clients(void **state)
{
	const int clients = fewer_if_slow(CLIENTS);
	int others = count_clients(), sockets[2];
	char byte;

	(void)state;
	expect(sys(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets)), 0);
	start(be_many_clients, &sockets[1]);
	close(sockets[1]);
	expect(sys(read(sockets[0], &byte, 1)), 1);
	expect_clients(clients, others);
	expect(sys(write(sockets[0], "", 1)), 1);
	expect(sys(read(sockets[0], &byte, 1)), 1);
	expect_clients(clients / 2, others);
	kill_workers();
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

static void start_workers(child_function *child)
{
	for (int i = 0; i < 3; i++)
		start(child, i ? NULL : shown);
	wait_for_steps(50);
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

	(void)state;
	scenario(false);
	own = shown->steps - own;
	make_cgroup();
	start_workers(repeat_in_cgroup);
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
	kill_workers();
	remove_cgroup();
	all_is_as_before();
}

/*
 * The first part of a suspend, which freezes all programs. The kernel patches its
 * code for that, and a second CPU of QEMU's may run what stood there in between:
 * so the CPU that has it patched is the one that all run on.
 */
static void frozen_system(void **state)
{
	cpu_set_t all, one;

	(void)state;
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	expect(sys(sched_getaffinity(0, sizeof(all), &all)), 0);
	expect(sys(sched_setaffinity(0, sizeof(one), &one)), 0);
	must_put("/sys/module/suspend/parameters/pm_test_delay", "0");
	must_put("/sys/power/pm_test", "freezer");
	start_workers(repeat);
	for (int i = 0; i < 5; i++) {
		must_put("/sys/power/state", "freeze");
		wait_for_steps(50);
	}
	kill_workers();
	must_put("/sys/power/pm_test", "none");
	expect(sys(sched_setaffinity(0, sizeof(all), &all)), 0);
	all_is_as_before();
}

int main(void)
{
#define storm(test) cmocka_unit_test_setup_teardown(test, look, calm)
	const struct CMUnitTest tests[] = {
		storm(killed_at_any_moment),
		storm(no_memory),
		cmocka_unit_test_setup_teardown(no_memory_with_accounting,
						turn_accounting_on,
						turn_accounting_off),
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
