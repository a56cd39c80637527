// SPDX-License-Identifier: MIT
/*
 * Usage: measure TEST...
 *
 * Measures, where the modules are loaded, and prints the results as JSON.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

static struct json_object *results;

void die(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* In microseconds. */
double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double median(double *values, int count)
{
	qsort(values, count, sizeof(*values), compare);
	return values[count / 2];
}

void touch(char *addr, size_t size)
{
	for (char *end = addr + size; addr < end; addr += PAGE)
		__atomic_store_n(addr, 1, __ATOMIC_RELAXED);
}

void progress(const char *test, const char *who, size_t size)
{
	fprintf(stderr, "%s: %s, %zu KiB\n", test, who, size / KiB);
}

void report(const char *test, const char *who, size_t size, ...)
{
	struct json_object *result = json_object_new_object();
	const char *name;
	va_list list;

	json_object_object_add(result, "test", json_object_new_string(test));
	json_object_object_add(result, "who", json_object_new_string(who));
	json_object_object_add(result, "size", json_object_new_int64(size));
	va_start(list, size);
	while ((name = va_arg(list, const char *)))
		json_object_object_add(result, name, json_object_new_double(
					       va_arg(list, double)));
	va_end(list);
	json_object_array_add(results, result);
}

#define POOL_SIZE "/sys/module/ion/parameters/pool_size"

/* NULL: as it was. */
void set_pool_size(const char *value)
{
	static char before[32];
	int fd = open(POOL_SIZE, O_RDWR | O_CLOEXEC);

	if (fd < 0 || (!*before && read(fd, before, sizeof(before) - 1) < 0))
		die(POOL_SIZE);
	if (!value)
		value = before;
	if (write(fd, value, strlen(value)) < 0)
		die(POOL_SIZE);
	close(fd);
}

static int find_thread(const char *wanted)
{
	char path[300], name[32] = "";
	struct dirent *entry;
	DIR *dir = opendir("/proc");
	int found = -1, fd;
	ssize_t n;

	if (!dir)
		die("/proc");
	while (found < 0 && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		n = read(fd, name, sizeof(name) - 1);
		close(fd);
		if (n > 0 && !strncmp(name, wanted, n - 1))
			found = atoi(entry->d_name);
	}
	closedir(dir);
	return found;
}

/* What the thread that clears pages has had of the CPU, in microseconds. */
double cleaner_time(void)
{
	static int pid;
	char path[64];
	unsigned long long time;
	FILE *file;

	if (!pid)
		pid = find_thread("ion_pool");
	snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%llu", &time) != 1)
		die(path);
	fclose(file);
	return time / 1e3;
}

/*
 * What is measured is buffers of which one comes a frame: this is the time between
 * them, in which whoever has something to do in the background does it.
 */
void let_a_frame_pass(void)
{
	const struct timespec frame = { .tv_nsec = 16666667 };

	nanosleep(&frame, NULL);
}

static const struct {
	const char *name;
	void (*measure)(void);
} tests[] = {
	{ "life", measure_life },
	{ "layer", measure_layer },
	{ "wc", measure_write_combined },
	{ "copy", measure_copies },
	{ "register", measure_registering },
	{ "many", measure_many },
	{ "cpus", measure_cpus },
	{ "camera", measure_camera },
};

int main(int argc, char **argv)
{
	struct utsname uts;
	struct json_object *all;

	results = json_object_new_array();
	for (int i = 1; i < argc; i++)
		for (size_t t = 0; t < COUNT(tests); t++)
			if (!strcmp(argv[i], tests[t].name))
				tests[t].measure();

	uname(&uts);
	all = json_object_new_object();
	json_object_object_add(all, "kernel",
			       json_object_new_string(uts.release));
	json_object_object_add(all, "results", results);
	puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_PLAIN));
	json_object_put(all);
	return 0;
}
