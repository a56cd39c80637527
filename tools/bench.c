// SPDX-License-Identifier: MIT
/* bench: what a buffer's life costs here, by each backend. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "ionctl.h"
#include "output.h"

#define ROUNDS 15
#define SIZES 16

enum { ALLOC, MAP, TOUCH, FREE, TOTAL, PARTS };

static const char *const parts[] = { "alloc", "map", "touch", "free", "total" };

static const struct column columns[] = {
	{ "backend", "BACKEND", TEXT }, { "size", "SIZE", SIZE },
	{ "alloc", "ALLOC", TIME }, { "map", "MAP", TIME },
	{ "touch", "TOUCH", TIME }, { "free", "FREE", TIME },
	{ "total", "TOTAL us", TIME }, { 0 }
};

static uint64_t sizes[SIZES] = { 4 << 10, 64 << 10, 1 << 20, 4 << 20,
				 16 << 20 };
static int given;

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

static void touch(unsigned char *memory, size_t size, size_t page)
{
	for (size_t i = 0; i < size; i += page)
		memory[i] = 1;
}

/* One life; @times are when its parts ended. */
static int live(int client, size_t size, double times[PARTS])
{
	size_t page = sysconf(_SC_PAGESIZE);
	double start = now(), last = start;
	unsigned char *memory;
	int fd, ret;

	ret = ion_alloc_fd(client, size, 0, ION_HEAP_SYSTEM_MASK,
			   ION_FLAG_CACHED, &fd);
	if (ret)
		return ret;
	times[ALLOC] = now() - last;
	last += times[ALLOC];
	ret = ion_map_fd(fd, size, PROT_READ | PROT_WRITE, MAP_SHARED, 0,
			 &memory);
	if (ret) {
		close(fd);
		return ret;
	}
	times[MAP] = now() - last;
	last += times[MAP];
	touch(memory, size, page);
	times[TOUCH] = now() - last;
	last += times[TOUCH];
	munmap(memory, size);
	close(fd);
	times[FREE] = now() - last;
	times[TOTAL] = now() - start;
	return 0;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* The medians, of each part for itself. */
static int measure(int client, size_t size, json_object *row)
{
	double times[PARTS][ROUNDS], life[PARTS];
	int ret;

	for (int round = 0; round < ROUNDS; round++) {
		ret = live(client, size, life);
		if (ret)
			return ret;
		for (int part = 0; part < PARTS; part++)
			times[part][round] = life[part];
	}
	for (int part = 0; part < PARTS; part++) {
		json_object *value;

		qsort(times[part], ROUNDS, sizeof(double), compare);
		value = json_object_new_double(times[part][ROUNDS / 2]);
		json_object_set_serializer(value,
					   json_object_double_to_json_string,
					   "%.3f", NULL);
		json_object_object_add(row, parts[part], value);
	}
	return 0;
}

/* A size that a backend cannot give is told, and the others are measured. */
static int bench_backend(const char *backend, json_object *rows)
{
	int client = ion_open_backend(backend), ret, worst = EXIT_FINE;
	char text[16];

	if (client < 0)
		return fail(client, "%s", backend);
	for (int i = 0; i < SIZES && sizes[i]; i++) {
		json_object *row = json_object_new_object();

		json_object_object_add(row, "backend",
				       json_object_new_string(backend));
		json_object_object_add(row, "size",
				       json_object_new_uint64(sizes[i]));
		json_object_array_add(rows, row);
		ret = measure(client, sizes[i], row);
		if (!ret)
			continue;
		size_text(sizes[i], text);
		worst = fail(ret, "%s, %s", backend, text);
	}
	ion_close(client);
	return worst;
}

static int run_bench(void)
{
	json_object *rows = json_object_new_array();
	const char *backend;
	int ret, worst = EXIT_FINE;

	for (int i = 0; (backend = ion_backend_name(i)); i++) {
		if (ion_probe_backend(backend, NULL, 0))
			continue;
		ret = bench_backend(backend, rows);
		worst = ret ?: worst;
	}
	put_list(rows, columns);
	return worst;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case ARGP_KEY_ARG:
		if (given == SIZES)
			argp_error(state, "up to %d sizes", SIZES);
		for (int i = given; i < SIZES; i++)
			sizes[i] = 0;
		sizes[given++] = buffer_size_argument(state, arg);
		return 0;
	default:
		return json_only(key, arg, state);
	}
}

static const struct argp_option options[] = { JSON_OPTION, { 0 } };

static const struct argp argp = {
	options, parse, "[SIZE...]",
	"Measure a buffer's life, in microseconds: allocate, map, touch every page, unmap and close; by each backend that works here, the medians of 15.\v\"make bench\" measures by counted instructions, and much more.",
	NULL, NULL, NULL
};

const struct command bench_command = {
	"bench", "measure a buffer's life, by each backend", &argp, run_bench
};
