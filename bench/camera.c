// SPDX-License-Identifier: MIT
/*
 * What a frame costs from the camera to the screen, in shared buffers and copied:
 * examples/camera, by all that runs meanwhile and by what it takes itself. Two
 * runs of different length cancel what it takes to begin and to end.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define EXAMPLE "build/examples/camera"
#define BEFORE_BUSY "version %*d timestamp %*d cpu0 %*d %*d %*d %*d %*d %*d "

/* Both in microseconds. */
struct cost {
	double whole, own;
};

/* What all tasks have run for on the CPU, which is one. */
static double busy_time(void)
{
	unsigned long long ns;
	FILE *file = fopen("/proc/schedstat", "re");
	int found;

	if (!file)
		die("/proc/schedstat");
	found = fscanf(file, BEFORE_BUSY "%llu", &ns);
	fclose(file);
	errno = ENODATA;
	if (found != 1)
		die("/proc/schedstat");
	return ns / 1e3;
}

static double cpu_time(const struct rusage *usage)
{
	return (usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1e6 +
	       usage->ru_utime.tv_usec + usage->ru_stime.tv_usec;
}

/* @way and @screen are options, or NULL for none. */
static void become_example(const char *size, const char *frames,
			   const char *way, const char *screen)
{
	int null = open("/dev/null", O_WRONLY);

	if (null < 0 || dup2(null, STDOUT_FILENO) < 0)
		_exit(126);
	if (!way) {
		way = screen;
		screen = NULL;
	}
	execl(EXAMPLE, EXAMPLE, "--size", size, "--frames", frames, way,
	      screen, NULL);
	_exit(127);
}

static struct cost run(const char *size, int frames, const char *way,
		       const char *screen)
{
	double start = busy_time();
	struct rusage usage;
	char number[16];
	int status;
	pid_t pid;

	snprintf(number, sizeof(number), "%d", frames);
	pid = fork();
	if (!pid)
		become_example(size, number, way, screen);
	if (pid < 0 || wait4(pid, &status, 0, &usage) != pid)
		die("fork");
	if (status) {
		errno = ECHILD;
		die(EXAMPLE);
	}
	return (struct cost) {
		.whole = busy_time() - start,
		.own = cpu_time(&usage),
	};
}

static void measure_way(const char *test, const char *who, size_t bytes,
			const char *size, const char *way, const char *screen)
{
	const int few = 10, many = 210;
	struct cost first, second;

	progress(test, who, bytes);
	first = run(size, few, way, screen);
	second = run(size, many, way, screen);
	report(test, who, bytes,
	       "whole", (second.whole - first.whole) / (many - few),
	       "own", (second.own - first.own) / (many - few), NULL);
}

static void measure_size(const char *test, size_t bytes, const char *size,
			 const char *screen)
{
	measure_way(test, "shared", bytes, size, NULL, screen);
	measure_way(test, "copied", bytes, size, "--copy", screen);
}

void measure_camera(void)
{
	measure_size("screen", 640 * 480 * 4, "640x480", NULL);
	measure_size("no screen", 640 * 480 * 4, "640x480", "--no-screen");
	measure_size("no screen", 1920 * 1080 * 4, "1920x1080", "--no-screen");
}
