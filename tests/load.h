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

/* When the last fences of jobs are gone, which takes as long as RCU does. */
static inline void unload_soon(const char *name)
{
	long ret = unload(name);

	for (int i = 0; ret == -EWOULDBLOCK && i < 10000; i++) {
		poll(NULL, 0, 1);
		ret = unload(name);
	}
	expect(ret, 0);
}

static inline void module_param(const char *name, char *params, size_t size)
{
	size_t len = strlen(params);
	char path[64], value[128] = "";
	int fd;

	snprintf(path, sizeof(path), "/sys/module/ion/parameters/%s", name);
	fd = expect_ok(sys(open(path, O_RDONLY | O_CLOEXEC)));
	expect_ok(sys(read(fd, value, sizeof(value) - 1)));
	close(fd);
	value[strcspn(value, "\n")] = '\0';
	if (*value)
		snprintf(params + len, size - len, "%s=%s ", name, value);
}

/* The regions that ion was loaded with, to load it so again. */
static char ion_params[512];

static inline void remember_ion_params(void)
{
	ion_params[0] = '\0';
	module_param("carveout", ion_params, sizeof(ion_params));
	module_param("chunk", ion_params, sizeof(ion_params));
}

#endif
