// SPDX-License-Identifier: MIT
/* dump, fill and cmp: a buffer's bytes, as programs and as the kernel see them. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ionctl.h"
#include "output.h"

#define PIECE (64 << 10)
#define LINE 16

static struct {
	const char *target;
	const char *pattern;
	const char *file;
	uint64_t offset;
	uint64_t length;
	bool to_end;
	bool kernel;
} args = { .to_end = true };

/* One way to a buffer's bytes: its mapping, or vion. */
struct view {
	struct ion_buffer *buffer;
	char *mapping;		/* NULL: the kernel's view */
	int vion;
};

static void lost_memory(int signal)
{
	static const char text[] = "ionctl: the buffer's memory is gone\n";

	(void)signal;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(EXIT_FAILED);
	_exit(EXIT_NOT_THERE);
}

static int map_view(struct view *view, struct ion_buffer *buffer, int prot)
{
	struct sigaction action = { .sa_handler = lost_memory };
	void *mapping;
	int ret = ion_buffer_map(buffer, prot, &mapping);

	if (ret)
		return fail(ret, "the buffer cannot be mapped");
	sigaction(SIGBUS, &action, NULL);
	*view = (struct view){ buffer, mapping, -1 };
	return EXIT_FINE;
}

static int kernel_view(struct view *view, struct ion_buffer *buffer)
{
	int vion = register_buffer(buffer);

	if (vion < 0)
		return -vion;
	*view = (struct view){ buffer, NULL, vion };
	return EXIT_FINE;
}

static int open_view(struct view *view, struct ion_buffer *buffer, int prot)
{
	return args.kernel ? kernel_view(view, buffer) :
			     map_view(view, buffer, prot);
}

static void close_view(struct view *view)
{
	if (view->vion >= 0)
		close(view->vion);
}

static int begin_access(struct view *view, enum ion_access access, uint64_t offset,
		 size_t len)
{
	int ret = ion_buffer_begin(view->buffer, access, offset, len);

	return ret ? fail(ret, "CPU access could not begin") : EXIT_FINE;
}

static int end_access(struct view *view, enum ion_access access, uint64_t offset,
	       size_t len)
{
	int ret = ion_buffer_end(view->buffer, access, offset, len);

	return ret ? fail(ret, "CPU access could not end") : EXIT_FINE;
}

static int read_view(struct view *view, uint64_t offset, void *data, size_t len)
{
	size_t done = 0;
	ssize_t n;
	int ret;

	if (view->mapping) {
		ret = begin_access(view, ION_READ, offset, len);
		if (ret)
			return ret;
		memcpy(data, view->mapping + offset, len);
		return end_access(view, ION_READ, offset, len);
	}
	while (done < len) {
		n = pread(view->vion, data + done, len - done, offset + done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail(n ? errno : EIO, "vion could not read");
		done += n;
	}
	return EXIT_FINE;
}

static int write_view(struct view *view, uint64_t offset, const void *data,
		      size_t len)
{
	size_t done = 0;
	ssize_t n;
	int ret;

	/* What is not written must not go back to devices older than it was. */
	if (view->mapping) {
		ret = begin_access(view, ION_RW, offset, len);
		if (ret)
			return ret;
		memcpy(view->mapping + offset, data, len);
		return end_access(view, ION_RW, offset, len);
	}
	while (done < len) {
		n = pwrite(view->vion, data + done, len - done, offset + done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail(n ? errno : EIO, "vion could not write");
		done += n;
	}
	return EXIT_FINE;
}

/* Sets args.length, once it is known how large the buffer is. */
static int open_range(struct ion_buffer **buffer)
{
	uint64_t size;
	int ret = open_target(args.target, buffer);

	if (ret)
		return ret;
	size = ion_buffer_size(*buffer);
	if (args.to_end && args.offset <= size)
		args.length = size - args.offset;
	if (args.offset <= size && args.length <= size - args.offset)
		return EXIT_FINE;
	ion_buffer_close(*buffer);
	fail(0, "the buffer has %llu bytes, that part is not in it",
	     (unsigned long long)size);
	return EXIT_USAGE;
}

static size_t piece(uint64_t done)
{
	return args.length - done < PIECE ? args.length - done : PIECE;
}

static void put_line(uint64_t offset, const unsigned char *data, size_t len)
{
	printf("%08llx ", (unsigned long long)offset);
	for (size_t i = 0; i < LINE; i++) {
		if (i % 8 == 0)
			putchar(' ');
		if (i < len)
			printf("%02x ", data[i]);
		else
			fputs("   ", stdout);
	}
	fputs(" |", stdout);
	for (size_t i = 0; i < len; i++)
		putchar(data[i] >= ' ' && data[i] < 0x7f ? data[i] : '.');
	puts("|");
}

/* Lines like the one before are a single "*", even across pieces. */
static void put_piece(uint64_t offset, const unsigned char *data, size_t len)
{
	static unsigned char last[LINE];
	static enum { FIRST, PUT, STARRED } before;

	for (size_t at = 0; at < len; at += LINE) {
		size_t n = len - at < LINE ? len - at : LINE;

		if (before != FIRST && n == LINE &&
		    !memcmp(last, data + at, LINE)) {
			if (before != STARRED)
				puts("*");
			before = STARRED;
			continue;
		}
		put_line(offset + at, data + at, n);
		memcpy(last, data + at, n);
		before = PUT;
	}
}

static int run_dump(void)
{
	static unsigned char data[PIECE];
	struct ion_buffer *buffer;
	struct view view;
	uint64_t done;
	int ret = open_range(&buffer);

	if (ret)
		return ret;
	ret = open_view(&view, buffer, PROT_READ);
	if (ret)
		goto out;
	for (done = 0; !ret && done < args.length; done += piece(done)) {
		ret = read_view(&view, args.offset + done, data, piece(done));
		if (!ret)
			put_piece(args.offset + done, data, piece(done));
		if (ferror(stdout))
			break;
	}
	if (!ret)
		printf("%08llx\n", (unsigned long long)args.offset + done);
	close_view(&view);
out:
	ion_buffer_close(buffer);
	return ret;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place of the digits. Return: how many bytes, 0 if they are none. */
static size_t parse_pattern(const char *text, unsigned char *bytes)
{
	size_t n;

	if (!strncasecmp(text, "0x", 2))
		text += 2;
	for (n = 0; *text; n++, text += 2) {
		int high = hex_digit(text[0]);
		int low = high < 0 ? -1 : hex_digit(text[1]);

		if (low < 0)
			return 0;
		bytes[n] = high << 4 | low;
	}
	return n;
}

static int fill_from_pattern(struct view *view)
{
	size_t n = strlen(args.pattern) / 2;
	unsigned char *data, *bytes = malloc(n);
	uint64_t done;
	int ret = EXIT_FINE;

	if (!bytes)
		return fail(errno, "%s", args.pattern);
	n = parse_pattern(args.pattern, bytes);
	data = malloc(PIECE);
	for (done = 0; data && !ret && done < args.length;
	     done += piece(done)) {
		for (size_t i = 0; i < piece(done); i++)
			data[i] = bytes[(done + i) % n];
		ret = write_view(view, args.offset + done, data, piece(done));
	}
	if (!data)
		ret = fail(ENOMEM, "%s", args.pattern);
	free(data);
	free(bytes);
	return ret;
}

/*
 * Return: as many bytes as there is room for, of which @got came, and one; NULL
 * without memory for them.
 */
static char *read_data(FILE *file, size_t room, size_t *got)
{
	char *data = NULL, *larger;
	size_t size = 0;

	*got = 0;
	while (*got == size && size <= room) {
		size = size ? 2 * size : PIECE;
		if (size > room)
			size = room + 1;
		larger = realloc(data, size);
		if (!larger) {
			free(data);
			return NULL;
		}
		data = larger;
		*got += fread(data + *got, 1, size - *got, file);
	}
	return data;
}

static int fill_from_file(struct view *view)
{
	bool standard = !strcmp(args.file, "-");
	FILE *file = standard ? stdin : fopen(args.file, "re");
	char *data;
	size_t got;
	int ret;

	if (!file)
		return fail(errno, "%s", args.file);
	data = read_data(file, args.length, &got);
	if (!data || ferror(file)) {
		ret = fail(errno, "%s", args.file);
	} else if (got > args.length) {
		fail(0, "%s has more than %llu bytes: nothing was filled",
		     args.file, (unsigned long long)args.length);
		ret = EXIT_USAGE;
	} else {
		ret = got ? write_view(view, args.offset, data, got) :
			    EXIT_FINE;
	}
	free(data);
	if (!standard)
		fclose(file);
	return ret;
}

static int run_fill(void)
{
	struct ion_buffer *buffer;
	struct view view;
	int ret = open_range(&buffer);

	if (ret)
		return ret;
	ret = open_view(&view, buffer, PROT_READ | PROT_WRITE);
	if (!ret) {
		ret = args.file ? fill_from_file(&view) :
				  fill_from_pattern(&view);
		close_view(&view);
	}
	ion_buffer_close(buffer);
	return ret;
}

static int tell_difference(uint64_t offset, const unsigned char *user,
			   const unsigned char *kernel, size_t len)
{
	size_t i = 0;

	while (user[i] == kernel[i])
		i++;
	printf("first difference at byte %llu (0x%llx): the program sees %02x, the kernel %02x\n", (unsigned long long)offset + i,
	       (unsigned long long)offset + i, user[i], kernel[i]);
	i -= i % LINE;
	len = len - i < LINE ? len - i : LINE;
	put_line(offset + i, user + i, len);
	put_line(offset + i, kernel + i, len);
	return EXIT_NO;
}

static int run_cmp(void)
{
	static unsigned char ours[PIECE], theirs[PIECE];
	struct ion_buffer *buffer;
	struct view user, kernel;
	uint64_t done;
	int ret = open_range(&buffer);

	if (ret)
		return ret;
	ret = map_view(&user, buffer, PROT_READ);
	if (!ret)
		ret = kernel_view(&kernel, buffer);
	if (ret)
		goto out;
	for (done = 0; !ret && done < args.length; done += piece(done)) {
		uint64_t offset = args.offset + done;

		ret = read_view(&user, offset, ours, piece(done)) ?:
		      read_view(&kernel, offset, theirs, piece(done));
		if (!ret && memcmp(ours, theirs, piece(done)))
			ret = tell_difference(offset, ours, theirs,
					      piece(done));
	}
	if (!ret)
		printf("%llu bytes, the same for the program and the kernel\n",
		       (unsigned long long)args.length);
	close_view(&kernel);
out:
	ion_buffer_close(buffer);
	return ret;
}

enum { KERNEL = 'k', OFFSET = 'o', LENGTH = 'l', FROM_FILE = 'f' };

static const struct argp_option cmp_options[] = {
	{ "offset", OFFSET, "BYTES", 0, "where to begin; 0", 0 },
	{ "length", LENGTH, "BYTES", 0, "how much; up to the end", 0 },
	{ 0 }
};

static const struct argp_option dump_options[] = {
	{ "kernel", KERNEL, NULL, 0,
	  "through vion, which maps it into the kernel", 0 },
	{ 0 }
};

static const struct argp_option fill_options[] = {
	{ "file", FROM_FILE, "FILE", 0,
	  "with what is in FILE, once; - is standard input", 0 },
	{ 0 }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case OFFSET:
		args.offset = size_argument(state, "--offset", arg);
		return 0;
	case LENGTH:
		args.length = size_argument(state, "--length", arg);
		args.to_end = false;
		return 0;
	case KERNEL:
		args.kernel = true;
		return 0;
	case FROM_FILE:
		args.file = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse_one(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case ARGP_KEY_ARG:
		if (state->arg_num > 0)
			argp_error(state, "one buffer, not '%s' too", arg);
		args.target = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which buffer?");
		return 0;
	default:
		return parse(key, arg, state);
	}
}

static error_t parse_fill(int key, char *arg, struct argp_state *state)
{
	unsigned char *bytes;

	switch (key) {
	case ARGP_KEY_ARG:
		if (state->arg_num == 0) {
			args.target = arg;
			return 0;
		}
		if (state->arg_num > 1)
			argp_error(state, "one pattern, not '%s' too", arg);
		bytes = malloc(strlen(arg) + 1);
		if (!bytes || !parse_pattern(arg, bytes))
			argp_error(state, "a pattern is bytes of two hexadecimal digits, such as 00 or c0ffee, not '%s'",
				   arg);
		free(bytes);
		args.pattern = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which buffer?");
		return 0;
	case ARGP_KEY_END:
		if (!args.pattern == !args.file)
			argp_error(state, "with a PATTERN, or with a --file?");
		return 0;
	default:
		return parse(key, arg, state);
	}
}

#define TARGET "BUFFER is PID:FD, /proc/PID/fd/FD, or FD, which ionctl inherits."

static const struct argp range = { cmp_options, parse, NULL, NULL, NULL, NULL,
				   NULL };
static const struct argp where = {
	dump_options, parse, NULL, NULL,
	(const struct argp_child[]){ { &range, 0, NULL, 0 }, { 0 } },
	NULL, NULL
};

static const struct argp dump_argp = {
	NULL, parse_one, "BUFFER", "Print a buffer's bytes.\v" TARGET,
	(const struct argp_child[]){ { &where, 0, NULL, 0 }, { 0 } },
	NULL, NULL
};

static const struct argp fill_argp = {
	fill_options, parse_fill, "BUFFER PATTERN\nBUFFER --file=FILE",
	"Write into a buffer.\vPATTERN is bytes in hexadecimal, such as 00 or c0ffee, and repeated. " TARGET,
	(const struct argp_child[]){ { &where, 0, NULL, 0 }, { 0 } },
	NULL, NULL
};

static const struct argp cmp_argp = {
	NULL, parse_one, "BUFFER",
	"Compare what programs see in a buffer with what the kernel sees.\v"
	TARGET " Exit status 1: they differ.",
	(const struct argp_child[]){ { &range, 0, NULL, 0 }, { 0 } },
	NULL, NULL
};

const struct command dump_command = {
	"dump", "print a buffer's bytes", &dump_argp, run_dump
};

const struct command fill_command = {
	"fill", "write a pattern or a file into a buffer", &fill_argp, run_fill
};

const struct command cmp_command = {
	"cmp", "compare the program's view of a buffer with the kernel's",
	&cmp_argp, run_cmp
};
