// SPDX-License-Identifier: MIT
/* A buffer of any heap: its mappings, and how long it lives. */
#include "test.h"

static const size_t sizes[] = { 1, PAGE + 1, 3 * PAGE, 64 * KiB,
				1 * MiB + PAGE, 4 * MiB };

typedef void buffer_test(int fd, size_t size);

/* Of every heap, cached or not. */
static void with_every_buffer_of(size_t len, buffer_test *test)
{
	int ion = open_ion();

	for (int i = 0; i < 2 * HEAPS; i++) {
		int fd = alloc_with(ion, 1U << i / 2, len, i % 2 ? CACHED : 0);

		test(fd, page_up(len));
		close(fd);
	}
	ion_close(ion);
}

static void with_every_buffer(buffer_test *test)
{
	for (size_t i = 0; i < COUNT(sizes); i++)
		with_every_buffer_of(sizes[i], test);
}

static void one_memory(int fd, size_t size)
{
	void *a = map(fd, size), *b = map(fd, size);

	fill(a, size, size);
	expect_pattern(b, size, size);
	munmap(a, size);
	munmap(b, size);
}

static void all_mappings_are_one_memory(void **state)
{
	(void)state;
	with_every_buffer(one_memory);
}

static void parts(int fd, size_t size)
{
	unsigned char *whole = map(fd, size);

	for (size_t at = 0; at < size; at += PAGE)
		*(size_t *)(whole + at) = at;
	for (size_t at = 0; at < size; at += 17 * PAGE) {
		size_t len = size - at < 5 * PAGE ? PAGE : 5 * PAGE;
		unsigned char *part = map_at(fd, len, PROT_READ, at);

		for (size_t i = 0; i < len; i += PAGE)
			expect(*(size_t *)(part + i), at + i);
		munmap(part, len);
	}
	munmap(whole, size);
}

static void partial_mappings_see_their_part(void **state)
{
	(void)state;
	with_every_buffer_of(4 * MiB, parts);
}

static long try_map(int fd, size_t len, int prot, int flags, off_t offset)
{
	void *addr = mmap(NULL, len, prot, flags, fd, offset);

	if (addr == MAP_FAILED)
		return -errno;
	munmap(addr, len);
	return 0;
}

static void private_is_refused(int fd, size_t size)
{
	static const int prots[] = { PROT_NONE, PROT_READ, PROT_WRITE,
				     PROT_READ | PROT_WRITE };

	for (size_t p = 0; p < COUNT(prots); p++) {
		expect(try_map(fd, size, prots[p], MAP_PRIVATE, 0), -EINVAL);
		expect(try_map(fd, PAGE, prots[p], MAP_PRIVATE, size - PAGE),
		       -EINVAL);
		expect(try_map(fd, size, prots[p], MAP_SHARED, 0), 0);
	}
}

static void private_mappings_are_refused(void **state)
{
	(void)state;
	with_every_buffer(private_is_refused);
}

/* Nor is what a heap gives beyond the buffer, like the rest of a chunk. */
static void past_the_end(int fd, size_t size)
{
	expect(try_map(fd, size + 1, PROT_READ, MAP_SHARED, 0), -EINVAL);
	expect(try_map(fd, size, PROT_READ, MAP_SHARED, PAGE), -EINVAL);
	expect(try_map(fd, PAGE, PROT_READ, MAP_SHARED, size), -EINVAL);
	expect(try_map(fd, PAGE, PROT_READ, MAP_SHARED,
		       INT64_MAX - PAGE + 1), -EINVAL);
	/* As far as a 32-bit program can ask. */
	expect(try_map(fd, PAGE, PROT_READ, MAP_SHARED, PAGE * (1LL << 32) - PAGE), -EINVAL);
	expect(try_map(fd, PAGE, PROT_READ, MAP_SHARED, 100), -EINVAL);
}

static void mappings_past_the_end_are_refused(void **state)
{
	(void)state;
	with_every_buffer(past_the_end);
}

static void no_growth(int fd, size_t size)
{
	void *addr = map(fd, PAGE);
	void *moved = mremap(addr, PAGE, size + PAGE, MREMAP_MAYMOVE);

	expect(moved == MAP_FAILED ? -errno : 0, -EFAULT);
	munmap(addr, PAGE);
}

static void mappings_do_not_grow(void **state)
{
	(void)state;
	with_every_buffer_of(1, no_growth);
	with_every_buffer_of(2 * PAGE, no_growth);
}

static int write_to(void *addr)
{
	__atomic_store_n((char *)addr, 1, __ATOMIC_RELAXED);
	return 1;
}

static void read_only(int fd, size_t size)
{
	char *addr = map_at(fd, size, PROT_READ, 0);

	expect(end_of(write_to, addr), SIGSEGV);
	expect(*addr, 0);
	munmap(addr, size);
}

static void read_only_mappings_stay_so(void **state)
{
	(void)state;
	with_every_buffer_of(PAGE, read_only);
}

static void begin_and_end(int fd, size_t size)
{
	(void)size;
	expect(sync_buffer(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW), 0);
	expect(sync_buffer(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW), 0);
	expect(sync_buffer(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ), 0);
	expect(sync_buffer(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ), 0);
	expect(sync_buffer(fd, DMA_BUF_SYNC_START), -EINVAL);
	expect(sync_buffer(fd, 1 << 10), -EINVAL);
}

static void cpu_access_is_begun_and_ended(void **state)
{
	(void)state;
	with_every_buffer_of(PAGE, begin_and_end);
}

static void lives_while_anybody_holds_it(void **state)
{
	int ion = open_ion(), again, handle = 0, fd = -1;
	unsigned char *addr;

	(void)state;
	/* Past its handle and its client, */
	expect(ion_alloc(ion, MiB, 0, SYSTEM, CACHED, &handle), 0);
	expect(ion_share(ion, handle, &fd), 0);
	expect(ion_free(ion, handle), 0);
	ion_close(ion);
	addr = map(fd, MiB);
	fill(addr, MiB, 5);
	/* past its descriptor, in a mapping, */
	close(fd);
	expect_pattern(addr, MiB, 5);
	munmap(addr, MiB);

	/* and in a handle past the descriptor that it was imported from. */
	ion = open_ion();
	fd = alloc_fd(ion, CONTIG, MiB);
	addr = map(fd, MiB);
	fill(addr, MiB, 6);
	munmap(addr, MiB);
	expect(ion_import(ion, fd, &handle), 0);
	close(fd);
	expect(ion_share(ion, handle, &again), 0);
	addr = map(again, MiB);
	expect_pattern(addr, MiB, 6);
	munmap(addr, MiB);
	close(again);
	ion_close(ion);
}

struct shared {
	int ion;
	int handle;
	int fd;
	unsigned char *addr;
};

/* All that the parent had works in the child, which then drops it. */
static int use_inherited(void *arg)
{
	struct shared *shared = arg;
	int fd;

	expect_pattern(shared->addr, MiB, 1);
	expect(ion_share(shared->ion, shared->handle, &fd), 0);
	expect(inode_of(fd), inode_of(shared->fd));
	fill(shared->addr, MiB, 2);
	expect(ion_close(shared->ion), 0);
	return 42;
}

static void survives_fork(void **state)
{
	struct shared shared = { .ion = open_ion() };

	(void)state;
	expect(ion_alloc(shared.ion, MiB, 0, SYSTEM, CACHED, &shared.handle),
	       0);
	expect(ion_share(shared.ion, shared.handle, &shared.fd), 0);
	shared.addr = map(shared.fd, MiB);
	fill(shared.addr, MiB, 1);
	expect(end_of(use_inherited, &shared), -42);
	expect_pattern(shared.addr, MiB, 2);
	expect(ion_free(shared.ion, shared.handle), 0);
	munmap(shared.addr, MiB);
	close(shared.fd);
	ion_close(shared.ion);
}

static int use_received(void *arg)
{
	int fd = receive_fd(*(int *)arg), ion = open_ion(), handle = 0, again;
	unsigned char *addr = map(fd, MiB);

	expect_pattern(addr, MiB, 1);
	expect(ion_import(ion, fd, &handle), 0);
	expect(ion_share(ion, handle, &again), 0);
	fill(map(again, MiB), MiB, 2);
	send_fd(*(int *)arg, again);
	return 42;
}

static void passes_through_a_socket(void **state)
{
	int ion = open_ion(), socks[2], back;
	int fd = alloc_fd(ion, SYSTEM, MiB);
	unsigned char *addr = map(fd, MiB);

	(void)state;
	fill(addr, MiB, 1);
	expect(sys(socketpair(AF_UNIX, SOCK_STREAM, 0, socks)), 0);
	send_fd(socks[0], fd);
	expect(end_of(use_received, &socks[1]), -42);
	back = receive_fd(socks[0]);
	expect_pattern(addr, MiB, 2);
	expect(inode_of(back), inode_of(fd));
	munmap(addr, MiB);
	close(back);
	close(fd);
	close(socks[0]);
	close(socks[1]);
	ion_close(ion);
}

/* A buffer that is in flight in a socket when its owner dies. */
static int die_in_mid_use(void *arg)
{
	int ion = open_ion(), vion = open_vion(), fd, handle;

	for (int i = 0; i < 2 * HEAPS; i++) {
		fd = alloc_with(ion, 1U << i / 2, MiB, i % 2 ? CACHED : 0);
		memset(map(fd, MiB), 1, MiB);
		expect(ion_import(ion, fd, &handle), 0);
		expect(request(vion, VION_REGISTER_ION, &fd), 0);
	}
	send_fd(*(int *)arg, fd);
	kill(getpid(), SIGKILL);
	return 0;
}

static void outlives_a_killed_process(void **state)
{
	int socks[2], fd, vion;
	unsigned char *addr;

	(void)state;
	for (int i = 0; i < 20; i++) {
		expect(sys(socketpair(AF_UNIX, SOCK_STREAM, 0, socks)), 0);
		expect(end_of(die_in_mid_use, &socks[1]), SIGKILL);
		close(socks[1]);
		fd = receive_fd(socks[0]);
		addr = map(fd, MiB);
		expect(addr[MiB - 1], 1);
		munmap(addr, MiB);
		vion = open_vion();
		expect(request(vion, VION_REGISTER_ION, &fd), 0);
		close(vion);
		close(fd);
		close(socks[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_mappings_are_one_memory),
		cmocka_unit_test(partial_mappings_see_their_part),
		cmocka_unit_test(private_mappings_are_refused),
		cmocka_unit_test(mappings_past_the_end_are_refused),
		cmocka_unit_test(mappings_do_not_grow),
		cmocka_unit_test(read_only_mappings_stay_so),
		cmocka_unit_test(cpu_access_is_begun_and_ended),
		cmocka_unit_test(lives_while_anybody_holds_it),
		cmocka_unit_test(survives_fork),
		cmocka_unit_test(passes_through_a_socket),
		cmocka_unit_test(outlives_a_killed_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
