// SPDX-License-Identifier: MIT
/*
 * Usage: stress [NAME...]
 *
 * Random calls of libion, from eight threads and eight processes at a time,
 * against a model of what they should answer; over the backends that are named,
 * or all that can be used here. CALLS in the environment says how many each of
 * them does; seeds are fixed.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "test.h"

enum { WORKERS = 8, SLOTS = 12, CLIENTS = 3 };

static unsigned long calls;
static const char *backend;

/**
 * struct slot - a buffer as a worker knows it
 * @handle: of the client that all share
 * @users: references to it that this worker holds
 * @fd: a descriptor of it, or -1
 * @size: in bytes
 * @stamp: what stands at both its ends
 */
struct slot {
	int handle;
	unsigned int users;
	int fd;
	size_t size;
	unsigned int stamp;
};

struct worker {
	unsigned int number;
	unsigned int seed;
	int ion;
	bool alone;
	unsigned int serial;
	struct slot slots[SLOTS];
};

static unsigned int rnd(struct worker *w, unsigned int below)
{
	w->seed = w->seed * 1103515245 + 12345;
	return (w->seed >> 16) % below;
}

static int open_client(void)
{
	return expect_ok(ion_open_backend(backend));
}

/* Both ends of it are mapped, and are what they should be, or become it. */
static void touch(int fd, const struct slot *slot, bool is_new)
{
	unsigned char *addr = NULL;
	unsigned int *first, *last;

	expect(ion_map_fd(fd, slot->size, PROT_READ | PROT_WRITE, MAP_SHARED, 0,
			  &addr), 0);
	first = (unsigned int *)addr;
	last = (unsigned int *)(addr + slot->size) - 1;
	expect(*first, is_new ? 0 : slot->stamp);
	expect(*last, is_new ? 0 : slot->stamp);
	*first = slot->stamp;
	*last = slot->stamp;
	expect(sys(munmap(addr, slot->size)), 0);
}

static struct slot *pick(struct worker *w, bool used)
{
	struct slot *slot = &w->slots[rnd(w, SLOTS)];

	return !slot->users == !used ? slot : NULL;
}

static void do_alloc(struct worker *w)
{
	struct slot *slot = pick(w, false);
	int fd = -1;

	if (!slot)
		return;
	slot->size = (1 + rnd(w, 20)) * PAGE;
	slot->stamp = ++w->serial << 4 | w->number;
	slot->fd = -1;
	expect(ion_alloc(w->ion, slot->size - rnd(w, PAGE), 0, SYSTEM, CACHED,
			 &slot->handle), 0);
	slot->users = 1;
	expect(ion_share(w->ion, slot->handle, &fd), 0);
	touch(fd, slot, true);
	close(fd);
}

static void do_free(struct worker *w)
{
	struct slot *slot = pick(w, true);

	if (!slot)
		return;
	expect(ion_free(w->ion, slot->handle), 0);
	if (--slot->users)
		return;
	if (slot->fd >= 0)
		close(slot->fd);
	/* Others get handles meanwhile, and this may be one. */
	if (w->alone)
		expect(ion_free(w->ion, slot->handle), -EINVAL);
}

static void do_share(struct worker *w)
{
	struct slot *slot = pick(w, true);

	if (!slot)
		return;
	if (slot->fd >= 0)
		close(slot->fd);
	expect(ion_share(w->ion, slot->handle, &slot->fd), 0);
	expect(lseek(slot->fd, 0, SEEK_END), slot->size);
}

static void do_import(struct worker *w)
{
	struct slot *slot = pick(w, true);
	int handle = 0;

	if (!slot || slot->fd < 0)
		return;
	expect(ion_import(w->ion, slot->fd, &handle), 0);
	expect(handle, slot->handle);
	slot->users++;
}

static void do_map(struct worker *w)
{
	struct slot *slot = pick(w, true);
	unsigned char *addr = NULL;
	int fd = -1;

	if (!slot)
		return;
	expect(ion_map(w->ion, slot->handle, slot->size, PROT_READ, MAP_SHARED,
		       0, &addr, &fd), 0);
	expect(*(unsigned int *)addr, slot->stamp);
	expect(sys(munmap(addr, slot->size)), 0);
	touch(fd, slot, false);
	close(fd);
}

static void do_sync(struct worker *w)
{
	struct slot *slot = pick(w, true);

	if (!slot || slot->fd < 0)
		return;
	expect(ion_sync_fd(w->ion, slot->fd), 0);
	expect(ion_sync_range(w->ion, slot->fd, 0, slot->size,
			      DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW), 0);
	touch(slot->fd, slot, false);
	expect(ion_sync_range(w->ion, slot->fd, 0, slot->size,
			      DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW), 0);
	expect(ion_sync_range(w->ion, slot->fd, slot->size, 1,
			      DMA_BUF_SYNC_RW), -EINVAL);
}

/* A client of the worker's own comes and goes, one way or the other. */
static void do_client(struct worker *w)
{
	struct slot *slot = pick(w, true);
	int ion = open_client(), handle = 0, fd = -1, copy;

	if (slot && slot->fd >= 0) {
		expect(ion_import(ion, slot->fd, &handle), 0);
		expect(ion_share(ion, handle, &fd), 0);
		touch(fd, slot, false);
		close(fd);
	}
	if (rnd(w, 2)) {
		copy = expect_ok(sys(fcntl(ion, F_DUPFD_CLOEXEC, 0)));
		expect(ion_close(ion), 0);
		ion = copy;
	}
	expect(ion_alloc(ion, PAGE, 0, SYSTEM, CACHED, &handle), 0);
	if (rnd(w, 2))
		close(ion);
	else
		expect(ion_close(ion), 0);
}

static void do_alloc_fd(struct worker *w)
{
	struct slot slot = {
		.size = (1 + rnd(w, 8)) * PAGE, .stamp = w->number + 1,
	};
	int fd = -1;

	expect(ion_alloc_fd(w->ion, slot.size, 0, SYSTEM, CACHED, &fd), 0);
	touch(fd, &slot, true);
	close(fd);
}

static void do_refused(struct worker *w)
{
	int out = 77;

	expect(ion_alloc(w->ion, 0, 0, SYSTEM, 0, &out), -EINVAL);
	expect(ion_alloc(w->ion, PAGE, 0, 0, 0, &out), -ENODEV);
	expect(ion_share(w->ion, -1 - (int)rnd(w, 9), &out), -EINVAL);
	expect(ion_import(w->ion, w->ion, &out), -EINVAL);
	expect(ion_free(w->ion, 0), -EINVAL);
	expect(ion_query_heap_cnt(w->ion, &out), 0);
	assert_true(out >= 1);
	assert_string_equal(ion_backend(w->ion), backend);
}

static int child(void *arg)
{
	struct worker *w = arg;

	for (int i = 0; i < SLOTS; i++) {
		struct slot *slot = &w->slots[i];
		int fd = -1;

		if (!slot->users)
			continue;
		expect(ion_share(w->ion, slot->handle, &fd), 0);
		touch(fd, slot, false);
		/* In the kernel it is the parent's, too. */
		if (strcmp(backend, "ion"))
			while (slot->users--)
				expect(ion_free(w->ion, slot->handle), 0);
	}
	expect(ion_close(w->ion), 0);
	return 0;
}

static void do_fork(struct worker *w)
{
	if (!rnd(w, 8))
		expect(end_of(child, w), 0);
}

static void work(struct worker *w)
{
	static void (*const kinds[])(struct worker *w) = {
		do_alloc, do_alloc, do_alloc, do_free, do_free, do_share,
		do_import, do_map, do_sync, do_client, do_alloc_fd, do_refused,
		do_fork,
	};

	for (unsigned long i = 0; i < calls; i++)
		kinds[rnd(w, COUNT(kinds))](w);
	for (int i = 0; i < SLOTS; i++) {
		struct slot *slot = &w->slots[i];

		if (slot->users && slot->fd >= 0)
			close(slot->fd);
		while (slot->users) {
			expect(ion_free(w->ion, slot->handle), 0);
			slot->users--;
		}
	}
}

static void *worker_thread(void *arg)
{
	work(arg);
	return NULL;
}

static void run_threads(void *(*function)(void *arg), int ion, int seed)
{
	struct worker workers[WORKERS];
	pthread_t threads[WORKERS];

	/* cmocka cannot jump from one thread to another: what fails exits. */
	test_process = 0;
	for (int i = 0; i < WORKERS; i++) {
		workers[i] = (struct worker) {
			.number = i, .seed = seed + i, .ion = ion,
		};
		expect(pthread_create(&threads[i], NULL, function,
				      &workers[i]), 0);
	}
	for (int i = 0; i < WORKERS; i++)
		expect(pthread_join(threads[i], NULL), 0);
	test_process = getpid();
}

static void threads_share_a_client(void **state)
{
	int before = open_descriptors(), ion = open_client();

	(void)state;
	run_threads(worker_thread, ion, 1000);
	expect(ion_close(ion), 0);
	expect(open_descriptors(), before);
}

static void processes_share_a_token(void **state)
{
	int before = open_descriptors(), ion = open_client(), status;
	pid_t pids[WORKERS];

	(void)state;
	for (int i = 0; i < WORKERS; i++) {
		struct worker worker = {
			.number = i, .seed = 2000 + i, .ion = ion,
			.alone = strcmp(backend, "ion"),
		};

		pids[i] = expect_ok(sys(fork()));
		if (!pids[i]) {
			work(&worker);
			_exit(0);
		}
	}
	for (int i = 0; i < WORKERS; i++) {
		expect(sys(waitpid(pids[i], &status, 0)), pids[i]);
		expect(status, 0);
	}
	expect(ion_close(ion), 0);
	expect(open_descriptors(), before);
}

/* ---- without order: what is called on clients that others close meanwhile */

static atomic_int tokens[CLIENTS];

static void expect_one_of(const char *what, long came, bool ok)
{
	char text[32];

	if (ok)
		return;
	print_error("%s: came %s\n", what, answer(came, text, sizeof(text)));
	fail_at(__FILE__, __LINE__);
}

/* A number may be another client's by now, or nobody's, or a buffer's. */
#define unruly(call) do {						\
	long ret = (call);						\
	expect_one_of(#call, ret, ret == 0 || ret == -EINVAL ||		\
		      ret == -EBADF || ret == -ENOTTY);			\
} while (0)

static void disturb(struct worker *w)
{
	atomic_int *token = &tokens[rnd(w, CLIENTS)];
	int ion = atomic_load(token), out = -1;

	switch (rnd(w, 8)) {
	case 0:
		/* Nobody else closes it: its number was taken from the table. */
		ion = atomic_exchange(token, -1);
		if (ion >= 0)
			expect(ion_close(ion), 0);
		break;
	case 1:
		ion = open_client();
		ion = atomic_exchange(token, ion);
		if (ion >= 0)
			expect(ion_close(ion), 0);
		break;
	case 2:
		unruly(ion_free(ion, 1 + rnd(w, 20)));
		break;
	case 3:
		unruly(ion_share(ion, 1 + rnd(w, 20), &out));
		break;
	case 4:
		unruly(ion_alloc_fd(ion, PAGE, 0, SYSTEM, CACHED, &out));
		break;
	case 5:
		unruly(ion_query_heap_cnt(ion, &out));
		out = -1;
		break;
	default:
		unruly(ion_alloc(ion, PAGE, 0, SYSTEM, CACHED, &out));
		out = -1;
	}
	if (out >= 0)
		close(out);
}

static void *disturber(void *arg)
{
	for (unsigned long i = 0; i < calls; i++)
		disturb(arg);
	return NULL;
}

static void calls_race_with_close(void **state)
{
	int before = open_descriptors();

	(void)state;
	for (int i = 0; i < CLIENTS; i++)
		atomic_store(&tokens[i], -1);
	run_threads(disturber, -1, 3000);
	for (int i = 0; i < CLIENTS; i++)
		if (tokens[i] >= 0)
			expect(ion_close(tokens[i]), 0);
	expect(open_descriptors(), before);
}

static int run(const char *name)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_share_a_client),
		cmocka_unit_test(processes_share_a_token),
		cmocka_unit_test(calls_race_with_close),
	};

	backend = name;
	return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(int argc, char **argv)
{
	const char *wanted = getenv("CALLS"), *name;
	int failed = 0;

	calls = wanted ? strtoul(wanted, NULL, 10) : 500;
	unsetenv("ION_BACKEND");
	for (unsigned int i = 0; (name = ion_backend_name(i)); i++) {
		bool named = argc == 1 && !ion_probe_backend(name, NULL, 0);

		for (int k = 1; k < argc; k++)
			named |= !strcmp(argv[k], name);
		if (named)
			failed += run(name);
	}
	return failed;
}
