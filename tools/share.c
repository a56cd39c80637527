// SPDX-License-Identifier: MIT
/* share: one buffer, a program and a driver, each reads what the other wrote. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ionctl.h"
#include "output.h"

#define ROOM 64

static const char from_driver[] = "ion buffer test magic string";
static const char from_program[] = "and the kernel reads this line";

static const char *target;

/* @data comes from the buffer, or for ION_RW goes into it. */
static int access_mapping(struct ion_buffer *buffer, char *mapping,
			  enum ion_access access, void *data, size_t len)
{
	int ret = ion_buffer_begin(buffer, access, 0, len);

	if (ret)
		return fail(ret, "CPU access could not begin");
	if (access == ION_RW)
		memcpy(mapping, data, len);
	else
		memcpy(data, mapping, len);
	ret = ion_buffer_end(buffer, access, 0, len);
	return ret ? fail(ret, "CPU access could not end") : EXIT_FINE;
}

static int compare(const char *seen, const char *wanted)
{
	if (!strcmp(seen, wanted))
		return EXIT_FINE;
	fail(0, "expected \"%s\"", wanted);
	return EXIT_NO;
}

static void tell(const char *who, const char *seen)
{
	printf("%s \"", who);
	put_text(stdout, seen);
	puts("\"");
}

static int driver_writes(int vion, struct ion_buffer *buffer, char *mapping)
{
	char seen[ROOM] = "";
	ssize_t n = pwrite(vion, from_driver, sizeof(from_driver), 0);
	int ret;

	if (n != (ssize_t)sizeof(from_driver))
		return fail(n < 0 ? errno : EIO, "vion could not write");
	ret = access_mapping(buffer, mapping, ION_READ, seen,
			     sizeof(from_driver));
	if (ret)
		return ret;
	tell("the driver wrote, and the program reads", seen);
	return compare(seen, from_driver);
}

static int program_writes(int vion, struct ion_buffer *buffer, char *mapping)
{
	char line[ROOM], seen[ROOM] = "";
	ssize_t n;
	int ret;

	memcpy(line, from_program, sizeof(from_program));
	ret = access_mapping(buffer, mapping, ION_RW, line,
			     sizeof(from_program));
	if (ret)
		return ret;
	n = pread(vion, seen, sizeof(from_program), 0);
	if (n != (ssize_t)sizeof(from_program))
		return fail(n < 0 ? errno : EIO, "vion could not read");
	seen[ROOM - 1] = '\0';
	tell("the program wrote, and the driver reads", seen);
	return compare(seen, from_program);
}

/* What was there comes back. */
static int both_ways(int vion, struct ion_buffer *buffer, char *mapping)
{
	char before[ROOM];
	int ret, restored;

	ret = access_mapping(buffer, mapping, ION_READ, before, ROOM);
	if (ret)
		return ret;
	ret = driver_writes(vion, buffer, mapping) ?:
	      program_writes(vion, buffer, mapping);
	restored = access_mapping(buffer, mapping, ION_RW, before, ROOM);
	return ret ?: restored;
}

static int share(struct ion_buffer *buffer)
{
	void *mapping;
	int vion, ret;

	ret = ion_buffer_map(buffer, PROT_READ | PROT_WRITE, &mapping);
	if (ret)
		return fail(ret, "the buffer cannot be mapped");
	vion = register_buffer(buffer);
	if (vion < 0)
		return -vion;
	ret = both_ways(vion, buffer, mapping);
	close(vion);
	if (!ret)
		puts("shared: one memory, both directions, no copy");
	return ret;
}

static int new_buffer(struct ion_buffer **buffer)
{
	const char *backend;
	char why[WHY];
	int ret = used_backend(&backend, why);

	if (ret) {
		fail(0, "%s", why);
		return ret;
	}
	ret = ion_buffer_create(4096, NULL, ION_FLAG_CACHED, buffer);
	return ret ? fail(ret, "no buffer") : EXIT_FINE;
}

static int run_share(void)
{
	struct ion_buffer *buffer;
	int ret = target ? open_target(target, &buffer) : new_buffer(&buffer);

	if (ret)
		return ret;
	ret = share(buffer);
	ion_buffer_close(buffer);
	return ret;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	if (key != ARGP_KEY_ARG)
		return ARGP_ERR_UNKNOWN;
	if (target)
		argp_error(state, "one buffer, not '%s' too", arg);
	target = arg;
	return 0;
}

static const struct argp argp = {
	NULL, parse, "[BUFFER]",
	"Share a buffer with vion: each side reads what the other wrote.\vBUFFER is PID:FD, /proc/PID/fd/FD, or FD, which ionctl inherits; its first 64 bytes are used, and are afterwards what they were. Without one a new buffer is shared. Exit status 1: one side saw something else.",
	NULL, NULL, NULL
};

const struct command share_command = {
	"share", "share a buffer with vion, and see both sides read it", &argp,
	run_share
};
