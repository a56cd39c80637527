/* SPDX-License-Identifier: MIT */
/* ionctl: its commands, and what they have in common. */
#ifndef IONCTL_H
#define IONCTL_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

#include <ion/buffer.h>
#include <ion/ion.h>

/* What a script can tell from the exit status; ionctl(1) has the same list. */
enum exit_code {
	EXIT_FINE,
	EXIT_NO,		/* the answer is no: views differ, things lack */
	EXIT_USAGE,		/* of ionctl */
	EXIT_NOT_THERE,		/* no such thing, or the kernel has none */
	EXIT_PERMISSION,
	EXIT_FAILED,		/* no memory, no descriptors, busy, I/O */
};

/**
 * struct command - one of ionctl's commands
 * @name: what it is called by
 * @what: what it does, for the list of commands
 * @argp: its options
 * @run: does it, after main.c parsed the options into what the command's argp
 *	keeps them in; returns an enum exit_code
 */
struct command {
	const char *name;
	const char *what;
	const struct argp *argp;
	int (*run)(void);
};

extern const struct command alloc_command, bench_command, cmp_command;
extern const struct command doctor_command, dump_command, fill_command;
extern const struct command heaps_command, ls_command, share_command;
extern const struct command top_command;

/* As the kernel calls it. */
#define __printf(string, first) \
	__attribute__((__format__ \
		       (__printf__, string, first)))

#define DEBUGFS "/sys/kernel/debug"

/* What many commands take. */
#define JSON_OPTION { "json", 'j', NULL, 0, "print JSON", 0 }

/* --json, of those that have it. */
extern bool json;

/**
 * json_only() - the argp parser of commands that know --json and no argument,
 *	and refuse those
 */
error_t json_only(int key, char *arg, struct argp_state *state);

/**
 * exit_code() - the exit code for an error
 * @error: a positive or negative errno
 */
int exit_code(int error);

/**
 * fail() - tell what went wrong
 * @error: a positive or negative errno, or 0 if there is none to tell
 * @format: as printf(3)
 *
 * Return: the exit code for such an error.
 */
int fail(int error, const char *format, ...) __printf(2, 3);

/**
 * parse_size() - read a number of bytes
 * @text: decimal or 0x hexadecimal, with K, M, G or T (of 1024) after it or not
 * @size: returns it
 *
 * Return: 0, -EINVAL, -ERANGE if it has more than 64 bits.
 */
int parse_size(const char *text, uint64_t *size);

/**
 * size_argument() - parse_size() for an option or argument, or end wrong use
 */
uint64_t size_argument(struct argp_state *state, const char *what,
		       const char *text);

/**
 * buffer_size_argument() - size_argument() for the SIZE of a buffer
 */
uint64_t buffer_size_argument(struct argp_state *state, const char *text);

/* Room for why there is no backend. */
#define WHY 256

/**
 * wanted_backend() - what ION_BACKEND in the environment names
 *
 * Return: that, which need be no backend; NULL if it names none.
 */
const char *wanted_backend(void);

/**
 * used_backend() - the backend that buffers come from here
 * @name: returns it, NULL if there is none
 * @why: returns why there is none
 *
 * Return: an enum exit_code; nothing has been told.
 */
int used_backend(const char **name, char why[WHY]);

/**
 * open_target() - take part in a buffer that somebody holds
 * @target: PID:FD, /proc/PID/fd/FD, or the number of an inherited descriptor
 * @buffer: returns it; ion_buffer_close() it
 *
 * Return: an enum exit_code; what is not EXIT_FINE has been told.
 */
int open_target(const char *target, struct ion_buffer **buffer);

/**
 * register_buffer() - share a buffer with vion
 * @buffer: which
 *
 * Return: a descriptor of /dev/vion_dev, or an enum exit_code with its sign
 * turned, which has been told.
 */
int register_buffer(const struct ion_buffer *buffer);

/**
 * read_file() - read a file of text
 * @path: which
 *
 * Return: its text, to be free()d; empty with errno if it cannot be read, and
 * else with errno 0.
 */
char *read_file(const char *path);

/**
 * ion_heaps() - what ion.ko tells of its heaps in debugfs
 *
 * Return: an array of objects, NULL with errno if it cannot be read.
 */
struct json_object *ion_heaps(void);

/**
 * ion_clients() - what ion.ko tells of its clients in debugfs
 *
 * Return: an array of objects, NULL with errno if it cannot be read.
 */
struct json_object *ion_clients(void);

#endif
