// SPDX-License-Identifier: MIT
/* Lives of buffers: allocate, map, touch every page, unmap and close. */
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

static const size_t sizes[] = { 4 * KiB, 64 * KiB, MiB, 4 * MiB, 16 * MiB };

/* Where a life's time goes; the last is all of it. */
enum part { ALLOC, MMAP, TOUCH, CLOSE, WHOLE, PARTS };

static double live(const struct peer *peer, int dev, size_t size)
{
	double start = now();
	int fd = peer->alloc(dev, size);
	char *addr;

	if (fd < 0)
		die(peer->name);
	addr = peer->map(fd, size);
	touch(addr, size);
	munmap(addr, size);
	close(fd);
	return now() - start;
}

/* A life of which every part is timed, which takes time itself. */
static void live_slowly(const struct peer *peer, int dev, size_t size,
			double *took)
{
	double at[WHOLE + 1];
	char *addr;
	int fd;

	at[ALLOC] = now();
	fd = peer->alloc(dev, size);
	if (fd < 0)
		die(peer->name);
	at[MMAP] = now();
	addr = peer->map(fd, size);
	at[TOUCH] = now();
	touch(addr, size);
	at[CLOSE] = now();
	munmap(addr, size);
	close(fd);
	at[WHOLE] = now();
	for (int part = ALLOC; part < WHOLE; part++)
		took[part] = at[part + 1] - at[part];
}

#define LIVES 15

/* What is small is not cleared at once: a reserve of it comes to be. */
static int warm(size_t size)
{
	return size < MiB ? 70 : 3;
}

/* With time between two lives for what is done in the background. */
static void measure(const char *test, const struct peer *peer, int dev,
		    size_t size)
{
	double took[PARTS], all[PARTS][LIVES];

	for (int i = -warm(size); i < LIVES; i++) {
		live_slowly(peer, dev, size, took);
		let_a_frame_pass();
		took[WHOLE] = live(peer, dev, size);
		let_a_frame_pass();
		for (int part = 0; i >= 0 && part < PARTS; part++)
			all[part][i] = took[part];
	}
	report(test, peer->name, size, "alloc", median(all[ALLOC], LIVES),
	       "mmap", median(all[MMAP], LIVES),
	       "touch", median(all[TOUCH], LIVES),
	       "close", median(all[CLOSE], LIVES),
	       "whole", median(all[WHOLE], LIVES), NULL);
}

#define MANY 1000

/*
 * With no time between them, and with what is left to be done at the end: with
 * one CPU that is all there is to pay.
 */
static void measure_sustained(const struct peer *peer, int dev, size_t size)
{
	double all, left, start = now();

	for (int i = 0; i < MANY; i++)
		live(peer, dev, size);
	all = now() - start;
	left = cleaner_time();
	let_a_frame_pass();
	left = cleaner_time() - left;
	report("sustained", peer->name, size, "whole", (all + left) / MANY,
	       NULL);
}

/* Nothing waits for the next buffer: it is the page allocator's, always. */
static void measure_with_empty_pools(const struct peer *peer, int dev,
				     size_t size)
{
	set_pool_size("0");
	measure("empty", peer, dev, size);
	set_pool_size(NULL);
}

void measure_life(void)
{
	for (size_t i = 0; i < peer_count; i++) {
		int dev = peers[i]->open();

		for (size_t s = 0; dev >= 0 && s < COUNT(sizes); s++) {
			progress("life", peers[i]->name, sizes[s]);
			measure("life", peers[i], dev, sizes[s]);
			if (peers[i] == &ion)
				measure_with_empty_pools(&ion, dev, sizes[s]);
			if (peers[i]->is_dma_buf)
				measure_sustained(peers[i], dev, sizes[s]);
		}
		if (dev > 0)
			close(dev);
	}
}

/* What libion adds to the requests that it makes. */
void measure_layer(void)
{
	static const struct peer *const ways[] = { &ion, &ion_bare };
	static const size_t sizes[] = { 4 * KiB, MiB };
	int dev = ion.open();

	for (size_t i = 0; i < COUNT(sizes) * COUNT(ways); i++) {
		const struct peer *way = ways[i % COUNT(ways)];
		size_t size = sizes[i / COUNT(ways)];

		progress("layer", way->name, size);
		measure("layer", way, dev, size);
	}
	close(dev);
}

void measure_write_combined(void)
{
	int dev = ion_wc.open();

	for (size_t s = 0; s < COUNT(sizes); s++) {
		progress("life", ion_wc.name, sizes[s]);
		measure("life", &ion_wc, dev, sizes[s]);
	}
	close(dev);
}
