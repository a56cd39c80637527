// SPDX-License-Identifier: MIT
/*
 * Usage: holder fd|map|handle|driver|device|thread|lines
 *
 * Holds a buffer in that way, prints its inode number and pauses: by its
 * descriptor, by a mapping alone, by a handle alone, by vion alone, by the
 * device of device_test.h, where the first thread has ended, or by a handle as a
 * process whose name has lines like those that tell of it.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ion/ion.h>
#include <linux/vion.h>

#include "../kernel/device_test.h"

#define SIZE 8192

static void *wait_for_signal(void *arg)
{
	pause();
	return arg;
}

static int hold(int client, const char *how)
{
	ion_user_handle_t handle;
	struct stat st;
	pthread_t thread;
	void *memory;
	int fd;

	if (ion_alloc(client, SIZE, 0, ION_HEAP_SYSTEM_MASK, ION_FLAG_CACHED,
		      &handle) || ion_share(client, handle, &fd) ||
	    fstat(fd, &st))
		return 1;
	if (strcmp(how, "handle") && strcmp(how, "lines"))
		ion_free(client, handle);
	if (!strcmp(how, "map")) {
		memory = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
		if (memory == MAP_FAILED)
			return 1;
	}
	if (!strcmp(how, "driver") &&
	    ioctl(open("/dev/vion_dev", O_RDWR), VION_REGISTER_ION, &fd))
		return 1;
	if (!strcmp(how, "device") &&
	    ioctl(open("/dev/ion_device", O_RDWR), DEVICE_HOLD, fd))
		return 1;
	if (strcmp(how, "fd") && strcmp(how, "thread"))
		close(fd);
	printf("%llu\n", (unsigned long long)st.st_ino);
	fflush(stdout);
	if (!strcmp(how, "thread")) {
		if (pthread_create(&thread, NULL, wait_for_signal, NULL))
			return 1;
		pthread_exit(NULL);
	}
	wait_for_signal(NULL);
	return 0;
}

int main(int argc, char **argv)
{
	int client, ret;

	if (argc != 2)
		return 2;
	if (!strcmp(argv[1], "lines"))
		prctl(PR_SET_NAME, "x\nprocess: 1");
	client = ion_open();
	if (client < 0)
		return 2;
	ret = hold(client, argv[1]);
	ion_close(client);
	return ret;
}
