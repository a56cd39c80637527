// SPDX-License-Identifier: MIT
/* The buffer that a user names, and sharing it with vion. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/vion.h>

#include "ionctl.h"
#include "output.h"

/* A number up to what is there after it. */
static bool parse_number(const char **text, int *number)
{
	unsigned long value;
	char *end;

	if (**text < '0' || **text > '9')
		return false;
	errno = 0;
	value = strtoul(*text, &end, 10);
	if (errno || value > INT_MAX)
		return false;
	*text = end;
	*number = value;
	return true;
}

/* @pid is 0 for a descriptor of our own. */
static bool parse_target(const char *target, int *pid, int *fd)
{
	const char *text = target;
	bool proc = !strncmp(text, "/proc/", 6);

	if (proc)
		text += 6;
	if (!parse_number(&text, pid))
		return false;
	if (!proc && !*text) {
		*fd = *pid;
		*pid = 0;
		return true;
	}
	if (!*pid || strncmp(text, proc ? "/fd/" : ":", proc ? 4 : 1))
		return false;
	text += proc ? 4 : 1;
	return parse_number(&text, fd) && !*text;
}

/* A dma-buf cannot be opened through /proc. */
static int take_descriptor(int pid, int fd)
{
	int process = syscall(SYS_pidfd_open, pid, 0), copy, error;

	if (process < 0) {
		error = errno;
		return -fail(error == EINVAL ? ESRCH : error, "process %d",
			     pid);
	}
	copy = syscall(SYS_pidfd_getfd, process, fd, 0);
	error = errno;
	close(process);
	if (copy >= 0)
		return copy;
	if (error == EPERM)
		return -fail(error, "process %d is not yours to look into (be root, have CAP_SYS_PTRACE, or see /proc/sys/kernel/yama/ptrace_scope)", pid);
	if (error == ESRCH)
		return -fail(error, "process %d", pid);
	return -fail(error, "descriptor %d of process %d", fd, pid);
}

/* Tells what it is instead. */
static int no_buffer(int fd, const char *target)
{
	char link[32], what[256] = "";
	char *shown = NULL;
	size_t size;
	FILE *file;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (readlink(link, what, sizeof(what) - 1) < 0)
		return fail(errno, "descriptor %d", fd);
	file = open_memstream(&shown, &size);
	if (!file)
		return fail(errno, "%s", target);
	put_text(file, what);
	fclose(file);
	fail(0, "%s is no buffer but %s", target, shown);
	free(shown);
	return EXIT_NOT_THERE;
}

int open_target(const char *target, struct ion_buffer **buffer)
{
	int pid, fd, copy, ret;

	if (!parse_target(target, &pid, &fd)) {
		fail(0, "a buffer is PID:FD, /proc/PID/fd/FD or FD, not '%s'",
		     target);
		return EXIT_USAGE;
	}
	copy = pid ? take_descriptor(pid, fd) : fd;
	if (copy < 0)
		return -copy;
	ret = ion_buffer_import(copy, buffer);
	if (ret == -EINVAL)
		ret = no_buffer(copy, target);
	else if (ret)
		ret = fail(ret, "descriptor %d", fd);
	if (pid)
		close(copy);
	return ret;
}

int register_buffer(const struct ion_buffer *buffer)
{
	int fd = ion_buffer_fd(buffer), error;
	int vion = open("/dev/vion_dev", O_RDWR | O_CLOEXEC);

	if (vion < 0 && errno == EBUSY)
		return -fail(errno, "/dev/vion_dev is open elsewhere, and vion was loaded with exclusive=1");
	if (vion < 0 && errno == ENOENT)
		return -fail(errno, "/dev/vion_dev (is vion.ko loaded? see ionctl doctor)");
	if (vion < 0)
		return -fail(errno, "/dev/vion_dev");
	if (!ioctl(vion, VION_REGISTER_ION, &fd))
		return vion;
	error = errno;
	close(vion);
	if (error == EINVAL)
		return -fail(EOPNOTSUPP, "no driver can map this buffer (it is no dma-buf, or its exporter cannot)");
	return -fail(error, "vion did not take the buffer");
}
