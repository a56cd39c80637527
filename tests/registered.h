/* SPDX-License-Identifier: MIT */
/* A buffer of SIZE bytes that is registered with vion, for each test. */
#ifndef TESTS_REGISTERED_H
#define TESTS_REGISTERED_H

#include "jobs.h"

/* A registered buffer, and the program's mapping of it. */
struct fixture {
	int ion, vion, fd;
	unsigned char *addr;
};

static int setup(void **state)
{
	static struct fixture f;

	f.ion = open_ion();
	f.vion = open_vion();
	f.fd = alloc_fd(f.ion, SYSTEM, SIZE);
	f.addr = map(f.fd, SIZE);
	expect(reg(f.vion, f.fd), 0);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	munmap(f->addr, SIZE);
	close(f->fd);
	close(f->vion);
	ion_close(f->ion);
	return 0;
}

#endif
