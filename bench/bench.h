/* SPDX-License-Identifier: MIT */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define PAGE ((size_t)4096)
#define KiB ((size_t)1024)
#define MiB (1024 * KiB)

/**
 * struct peer - a way to get memory that can be shared by a descriptor
 * @name: what the report calls it
 * @open: returns what alloc() needs, or -1 if this kernel has none such
 * @alloc: returns a descriptor of @size bytes
 * @map: returns its address in this process
 * @is_dma_buf: other drivers can import it
 */
struct peer {
	const char *name;
	int (*open)(void);
	int (*alloc)(int dev, size_t size);
	char *(*map)(int fd, size_t size);
	bool is_dma_buf;
};

extern const struct peer ion, ion_bare, ion_wc, ion_contig;
extern const struct peer *const peers[];
extern const size_t peer_count;

_Noreturn void die(const char *what);
double now(void);
double median(double *values, int count);
void touch(char *addr, size_t size);

/**
 * report() - add a result to what is printed at the end
 * @test: what was measured
 * @who: by which way
 * @size: of the buffer, in bytes
 * @...: names and doubles in turn, then NULL
 */
void report(const char *test, const char *who, size_t size, ...)
	__attribute__((sentinel));

void progress(const char *test, const char *who, size_t size);
void set_pool_size(const char *value);
double cleaner_time(void);
void let_a_frame_pass(void);

void measure_life(void);
void measure_layer(void);
void measure_write_combined(void);
void measure_copies(void);
void measure_registering(void);
void measure_many(void);
void measure_cpus(void);
void measure_camera(void);

#endif
