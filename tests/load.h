/* SPDX-License-Identifier: MIT */
/* Loading and unloading modules, from the top of the source tree. */
#ifndef TESTS_LOAD_H
#define TESTS_LOAD_H

#include <sys/syscall.h>
#include <sys/utsname.h>

#include "test.h"

/* NAME is its path below where all are built, without the end. */
static inline long load_with(const char *name, const char *params)
{
	char path[512];
	struct utsname uts;
	long ret;
	int fd;

	uname(&uts);
	snprintf(path, sizeof(path), "build/modules/%s/%s.ko", uts.release,
		 name);
	fd = expect_ok(sys(open(path, O_RDONLY | O_CLOEXEC)));
	ret = sys(syscall(SYS_finit_module, fd, params, 0));
	close(fd);
	return ret;
}

static inline long unload(const char *name)
{
	return sys(syscall(SYS_delete_module, name, O_NONBLOCK));
}

#endif
