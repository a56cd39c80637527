// SPDX-License-Identifier: MIT
/* Many buffers that live at once, and several CPUs that allocate at once. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench.h"

#define MANY 100000
#define SAMPLE 101

/* Of the kernel's own objects, in bytes. */
static double slab(void)
{
	unsigned long kib = 0;
	char line[128];
	FILE *file = fopen("/proc/meminfo", "r");

	if (!file)
		die("/proc/meminfo");
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "Slab: %lu", &kib) == 1)
			break;
	fclose(file);
	return kib * 1024.0;
}

static double sample(const struct peer *peer, int dev, int *fds)
{
	double took[SAMPLE], start;

	for (int i = 0; i < SAMPLE; i++) {
		start = now();
		fds[i] = peer->alloc(dev, PAGE);
		took[i] = now() - start;
		if (fds[i] < 0)
			die(peer->name);
	}
	return median(took, SAMPLE);
}

static void measure(const struct peer *peer, int dev)
{
	int *fds = malloc(MANY * sizeof(*fds)), count = SAMPLE;
	double before = slab(), first, last;

	progress("many", peer->name, PAGE);
	first = sample(peer, dev, fds);
	for (; count < MANY - SAMPLE; count++) {
		fds[count] = peer->alloc(dev, PAGE);
		if (fds[count] < 0)
			die(peer->name);
	}
	last = sample(peer, dev, fds + count);
	report("many", peer->name, PAGE, "first", first, "last", last,
	       "objects", (slab() - before) / MANY, NULL);
	for (count = 0; count < MANY; count++)
		close(fds[count]);
	free(fds);
}

void measure_many(void)
{
	const struct rlimit limit = { MANY + 100, MANY + 100 };

	if (setrlimit(RLIMIT_NOFILE, &limit))
		die("RLIMIT_NOFILE");
	/* What waits from before would make the first ones cheaper. */
	set_pool_size("0");
	set_pool_size(NULL);
	for (size_t i = 0; i < peer_count; i++) {
		int dev = peers[i]->is_dma_buf ? peers[i]->open() : -1;

		if (dev < 0)
			continue;
		measure(peers[i], dev);
		close(dev);
	}
}

#define EACH 400

static void *work(void *size)
{
	int dev = ion.open();

	for (int i = 0; i < EACH; i++) {
		int fd = ion.alloc(dev, *(size_t *)size);

		if (fd < 0)
			die(ion.name);
		close(fd);
	}
	close(dev);
	return NULL;
}

static double buffers_a_second(int threads, size_t size)
{
	pthread_t ids[2];
	double start = now();

	for (int i = 0; i < threads; i++)
		if (pthread_create(&ids[i], NULL, work, &size))
			die("pthread_create");
	for (int i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
	return threads * EACH / (now() - start) * 1e6;
}

static double larger(double a, double b)
{
	return a > b ? a : b;
}

/* The best of tries over seconds, for the machine may have other things to do. */
#define TRIES 20
#define BETWEEN_US 500000

/* Without pools, so that both zero pages and call the page allocator. */
void measure_cpus(void)
{
	static const size_t sizes[] = { 4 * KiB, MiB };

	set_pool_size("0");
	for (size_t s = 0; s < COUNT(sizes); s++) {
		double one = 0, two = 0;

		progress("cpus", ion.name, sizes[s]);
		for (int i = 0; i < TRIES; i++) {
			one = larger(one, buffers_a_second(1, sizes[s]));
			two = larger(two, buffers_a_second(2, sizes[s]));
			usleep(BETWEEN_US);
		}
		report("cpus", ion.name, sizes[s], "one", one, "two", two,
		       NULL);
	}
	set_pool_size(NULL);
}
