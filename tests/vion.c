// SPDX-License-Identifier: MIT
/* Every call of /dev/vion_dev and every error. */
#include "jobs.h"

#define SIZE (16 * KiB)
#include "registered.h"

static long unreg(int vion, int fd)
{
	return request(vion, VION_UNREGISTER_ION, &fd);
}

static void one_open_at_a_time(void **state)
{
	int vion = open_vion();

	(void)state;
	expect(sys(open("/dev/vion_dev", O_RDWR)), -EBUSY);
	expect(sys(open("/dev/vion_dev", O_RDONLY)), -EBUSY);
	close(vion);
	vion = open_vion();
	close(vion);
}

static void nothing_works_without_a_buffer(void **state)
{
	int ion = open_ion(), vion = open_vion();
	int fd = alloc_fd(ion, SYSTEM, PAGE);
	char byte = 0;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };

	(void)state;
	expect(sys(read(vion, &byte, 1)), -ENXIO);
	expect(sys(write(vion, &byte, 1)), -ENXIO);
	expect(sys(pread(vion, &byte, 1, 0)), -ENXIO);
	expect(sys(pwrite(vion, &byte, 1, 0)), -ENXIO);
	expect(sys(readv(vion, &iov, 1)), -ENXIO);
	expect(sys(writev(vion, &iov, 1)), -ENXIO);
	expect(sys(lseek(vion, 0, SEEK_SET)), -ENXIO);
	expect(sys(lseek(vion, 0, SEEK_END)), -ENXIO);
	expect(unreg(vion, fd), -ENXIO);
	close(fd);
	close(vion);
	ion_close(ion);
}

static void register_refuses_what_is_no_buffer(void **state)
{
	struct fixture *f = *state;
	int pipes[2];

	expect(sys(pipe(pipes)), 0);
	expect(reg(f->vion, -1), -EBADF);
	expect(reg(f->vion, 1000), -EBADF);
	expect(reg(f->vion, pipes[0]), -EINVAL);
	expect(reg(f->vion, f->vion), -EINVAL);
	expect(reg(f->vion, f->ion), -EINVAL);
	expect(request(f->vion, VION_REGISTER_ION, NULL), -EFAULT);
	expect(request(f->vion, VION_REGISTER_ION, (void *)-PAGE), -EFAULT);
	expect(request(f->vion, VION_UNREGISTER_ION, NULL), -EFAULT);
	expect(unreg(f->vion, -1), -EBADF);
	expect(unreg(f->vion, 1000), -EBADF);
	expect(unreg(f->vion, pipes[0]), -EINVAL);
	/* And the one that was registered still is. */
	expect(pwrite(f->vion, "x", 1, 0), 1);
	expect(f->addr[0], 'x');
	close(pipes[0]);
	close(pipes[1]);
}

static void unregister_wants_the_registered_one(void **state)
{
	struct fixture *f = *state;
	int other = alloc_fd(f->ion, SYSTEM, SIZE), again = dup(f->fd);

	expect(unreg(f->vion, other), -EINVAL);
	expect(pwrite(f->vion, "x", 1, 0), 1);
	/* Any descriptor of the buffer will do. */
	expect(unreg(f->vion, again), 0);
	expect(unreg(f->vion, f->fd), -ENXIO);
	expect(sys(pwrite(f->vion, "x", 1, 0)), -ENXIO);
	close(again);
	close(other);
}

static void register_again_replaces(void **state)
{
	struct fixture *f = *state;
	int other = alloc_fd(f->ion, CONTIG, PAGE);
	unsigned char *addr = map(other, PAGE);

	expect(pwrite(f->vion, "first", 5, 0), 5);
	expect(reg(f->vion, other), 0);
	expect(pwrite(f->vion, "other", 5, 0), 5);
	assert_memory_equal(f->addr, "first", 5);
	assert_memory_equal(addr, "other", 5);
	expect(unreg(f->vion, f->fd), -EINVAL);
	expect(lseek(f->vion, 0, SEEK_END), PAGE);

	expect(reg(f->vion, other), 0);
	expect(unreg(f->vion, other), 0);
	expect(unreg(f->vion, other), -ENXIO);
	munmap(addr, PAGE);
	close(other);
}

static void both_sides_see_one_memory(void **state)
{
	struct fixture *f = *state;
	unsigned char data[SIZE];

	fill(data, SIZE, 3);
	expect(write(f->vion, data, SIZE), SIZE);
	expect_pattern(f->addr, SIZE, 3);
	fill(f->addr, SIZE, 4);
	expect(pread(f->vion, data, SIZE, 0), SIZE);
	expect_pattern(data, SIZE, 4);
}

static void position_moves_and_seeks(void **state)
{
	struct fixture *f = *state;
	char data[8];

	expect(write(f->vion, "0123456789", 10), 10);
	expect(lseek(f->vion, 0, SEEK_CUR), 10);
	expect(lseek(f->vion, 2, SEEK_SET), 2);
	expect(read(f->vion, data, 3), 3);
	assert_memory_equal(data, "234", 3);
	expect(read(f->vion, data, 3), 3);
	assert_memory_equal(data, "567", 3);
	expect(lseek(f->vion, -1, SEEK_CUR), 7);
	expect(pread(f->vion, data, 2, 8), 2);
	assert_memory_equal(data, "89", 2);
	expect(lseek(f->vion, 0, SEEK_CUR), 7);
	expect(lseek(f->vion, 0, SEEK_END), SIZE);
	expect(lseek(f->vion, -4, SEEK_END), SIZE - 4);
	expect(sys(lseek(f->vion, 1, SEEK_END)), -EINVAL);
	expect(sys(lseek(f->vion, SIZE + 1, SEEK_SET)), -EINVAL);
	expect(sys(lseek(f->vion, -1, SEEK_SET)), -EINVAL);
	expect(sys(lseek(f->vion, INT64_MAX, SEEK_SET)), -EINVAL);
	expect(sys(lseek(f->vion, 0, 77)), -EINVAL);
	expect(lseek(f->vion, 0, SEEK_CUR), SIZE - 4);
}

static void the_end_is_the_end(void **state)
{
	struct fixture *f = *state;
	char data[16] = "0123456789abcdef";

	expect(pwrite(f->vion, data, 16, SIZE - 4), 4);
	assert_memory_equal(f->addr + SIZE - 4, "0123", 4);
	expect(pread(f->vion, data, 16, SIZE - 2), 2);
	assert_memory_equal(data, "23", 2);
	expect(sys(pread(f->vion, data, 16, SIZE)), 0);
	expect(sys(pwrite(f->vion, data, 16, SIZE)), -ENOSPC);
	expect(sys(pread(f->vion, data, 16, SIZE + 1)), 0);
	expect(sys(pwrite(f->vion, data, 16, SIZE + 1)), -ENOSPC);
	expect(sys(pread(f->vion, data, 16, INT64_MAX - 16)), 0);
	expect(sys(pwrite(f->vion, data, 16, INT64_MAX - 16)), -ENOSPC);
	expect(sys(pread(f->vion, data, 16, -1)), -EINVAL);
	expect(sys(pwrite(f->vion, data, 16, -1)), -EINVAL);
	expect(lseek(f->vion, 0, SEEK_END), SIZE);
	expect(sys(read(f->vion, data, 1)), 0);
	expect(sys(write(f->vion, data, 1)), -ENOSPC);
	expect(sys(read(f->vion, data, 0)), 0);
	expect(sys(write(f->vion, data, 0)), 0);
}

static void vectors_are_one_transfer(void **state)
{
	struct fixture *f = *state;
	char a[3], b[5], c[4];
	struct iovec out[] = { { "abc", 3 }, { "", 0 }, { "defgh", 5 } };
	struct iovec in[] = { { a, 3 }, { b, 5 }, { c, 4 } };

	expect(writev(f->vion, out, 3), 8);
	assert_memory_equal(f->addr, "abcdefgh", 8);
	memcpy(f->addr + SIZE - 8, "ABCDEFGH", 8);
	expect(preadv(f->vion, in, 3, SIZE - 8), 8);
	assert_memory_equal(a, "ABC", 3);
	assert_memory_equal(b, "DEFGH", 5);
	expect(pwritev(f->vion, out, 3, SIZE - 4), 4);
	assert_memory_equal(f->addr + SIZE - 4, "abcd", 4);
}

static void bad_pointers_fault(void **state)
{
	struct fixture *f = *state;
	char *page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long n;

	expect(sys(munmap(page + PAGE, PAGE)), 0);
	memset(page, 'p', PAGE);
	expect(sys(read(f->vion, page + PAGE, 8)), -EFAULT);
	expect(sys(write(f->vion, page + PAGE, 8)), -EFAULT);
	expect(sys(pwrite(f->vion, page + PAGE, 8, 0)), -EFAULT);
	expect(lseek(f->vion, 0, SEEK_CUR), 0);
	/* What could be read is written, as in any file: not all on arm64. */
	n = expect_ok(sys(write(f->vion, page + PAGE - 4, 8)));
	assert_in_range(n, 1, 4);
	expect(lseek(f->vion, 0, SEEK_CUR), n);
	assert_memory_equal(f->addr, "pppp\0\0\0\0" + 4 - n, n + 4);
	expect(sys(mprotect(page, PAGE, PROT_READ)), 0);
	expect(sys(read(f->vion, page, 8)), -EFAULT);
	munmap(page, PAGE);
}

/* The user pointer is a mapping of the registered buffer itself. */
static void copies_onto_itself(void **state)
{
	struct fixture *f = *state;

	fill(f->addr, SIZE, 9);
	expect(pwrite(f->vion, f->addr, SIZE, 0), SIZE);
	expect_pattern(f->addr, SIZE, 9);
	expect(pread(f->vion, f->addr, SIZE, 0), SIZE);
	expect_pattern(f->addr, SIZE, 9);
	expect(pwrite(f->vion, f->addr, SIZE / 2, SIZE / 2), SIZE / 2);
	expect_pattern(f->addr + SIZE / 2, SIZE / 2, 9);
}

static void keeps_the_buffer_when_all_others_let_go(void **state)
{
	int ion = open_ion(), vion = open_vion();
	int fd = alloc_fd(ion, SYSTEM, MiB);
	static unsigned char data[MiB];
	unsigned char *addr = map(fd, MiB);

	(void)state;
	fill(addr, MiB, 8);
	expect(reg(vion, fd), 0);
	munmap(addr, MiB);
	close(fd);
	ion_close(ion);
	expect(read(vion, data, MiB), MiB);
	expect_pattern(data, MiB, 8);
	expect(pwrite(vion, "end", 3, MiB - 3), 3);
	close(vion);
	vion = open_vion();
	expect(sys(read(vion, data, 1)), -ENXIO);
	close(vion);
}

static void access_mode_is_honoured(void **state)
{
	int ion = open_ion(), fd = alloc_fd(ion, SYSTEM, PAGE);
	int vion = expect_ok(sys(open("/dev/vion_dev", O_RDONLY)));
	char byte;

	(void)state;
	expect(reg(vion, fd), 0);
	expect(read(vion, &byte, 1), 1);
	expect(sys(write(vion, &byte, 1)), -EBADF);
	close(vion);
	vion = expect_ok(sys(open("/dev/vion_dev", O_WRONLY)));
	expect(reg(vion, fd), 0);
	expect(write(vion, &byte, 1), 1);
	expect(sys(read(vion, &byte, 1)), -EBADF);
	close(vion);
	close(fd);
	ion_close(ion);
}

static void every_size_and_heap(void **state)
{
	static const size_t sizes[] = { 1, 128, PAGE, PAGE + 1, 64 * KiB,
					MiB + PAGE, 4 * MiB };
	static const unsigned int heaps[] = { SYSTEM, CONTIG };
	static unsigned char data[4 * MiB];
	int ion = open_ion(), vion = open_vion();

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(sizes) / sizeof(*sizes); i++) {
		int fd = alloc_fd(ion, heaps[i % 2], sizes[i / 2]);
		size_t size = lseek(fd, 0, SEEK_END);
		unsigned char *addr = map(fd, size);

		expect(reg(vion, fd), 0);
		fill(data, size, i);
		expect(pwrite(vion, data, size, 0), size);
		expect_pattern(addr, size, i);
		expect(sys(pwrite(vion, data, 1, size)), -ENOSPC);
		munmap(addr, size);
		close(fd);
	}
	close(vion);
	ion_close(ion);
}

int main(void)
{
#define with_buffer(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_open_at_a_time),
		cmocka_unit_test(nothing_works_without_a_buffer),
		with_buffer(register_refuses_what_is_no_buffer),
		with_buffer(unregister_wants_the_registered_one),
		with_buffer(register_again_replaces),
		with_buffer(both_sides_see_one_memory),
		with_buffer(position_moves_and_seeks),
		with_buffer(the_end_is_the_end),
		with_buffer(vectors_are_one_transfer),
		with_buffer(bad_pointers_fault),
		with_buffer(copies_onto_itself),
		cmocka_unit_test(keeps_the_buffer_when_all_others_let_go),
		cmocka_unit_test(access_mode_is_honoured),
		cmocka_unit_test(every_size_and_heap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
