// SPDX-License-Identifier: MIT
/* ionctl COMMAND: finds the command, reads its options and runs it. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ionctl.h"
#include "output.h"

static const struct command *const commands[] = {
	&doctor_command, &heaps_command, &ls_command, &alloc_command,
	&dump_command, &fill_command, &cmp_command, &share_command,
	&top_command, &bench_command,
};

#define COMMANDS (sizeof(commands) / sizeof(*commands))

const char *argp_program_version = "ionctl " VERSION;

bool json;

int exit_code(int error)
{
	switch (abs(error)) {
	case EACCES:
	case EPERM:
		return EXIT_PERMISSION;
	case ENOENT:
	case ENODEV:
	case ENXIO:
	case ESRCH:
	case EBADF:
	case EINVAL:
	case ENOTTY:
	case EOPNOTSUPP:
		return EXIT_NOT_THERE;
	default:
		return EXIT_FAILED;
	}
}

int fail(int error, const char *format, ...)
{
	va_list args;

	error = abs(error);
	fflush(stdout);
	fputs("ionctl: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	if (error)
		fprintf(stderr, ": %s", strerror(error));
	fputc('\n', stderr);
	return exit_code(error);
}

int parse_size(const char *text, uint64_t *size)
{
	static const char units[] = "KMGT";
	unsigned long long value;
	const char *unit;
	char *end;
	int shift = 0;

	/* Where strtoull() would skip blanks and take signs. */
	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, !strncasecmp(text, "0x", 2) ? 16 : 10);
	if (errno)
		return -errno;
	if (*end) {
		unit = strchr(units, toupper((unsigned char)*end));
		if (!unit || end[1])
			return -EINVAL;
		shift = 10 * (unit - units + 1);
	}
	if (value > UINT64_MAX >> shift)
		return -ERANGE;
	*size = value << shift;
	return 0;
}

uint64_t size_argument(struct argp_state *state, const char *what,
		       const char *text)
{
	uint64_t size = 0;
	int ret = parse_size(text, &size);

	if (ret == -ERANGE)
		argp_error(state, "%s %s is too large", what, text);
	else if (ret)
		argp_error(state, "%s wants a number of bytes such as 4096, 64K or 1M, not '%s'", what, text);
	return size;
}

/* A buffer has whole pages, and not as many as there is no number for. */
uint64_t buffer_size_argument(struct argp_state *state, const char *text)
{
	uint64_t size = size_argument(state, "SIZE", text);

	if (!size || size > SIZE_MAX - sysconf(_SC_PAGESIZE) + 1)
		argp_error(state, "there are no buffers of %s", text);
	return size;
}

error_t json_only(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'j':
		json = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "what is '%s'?", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void usage(FILE *file)
{
	fputs("Usage: ionctl COMMAND [OPTION...] [ARGUMENT...]\n", file);
}

static void overview(FILE *file)
{
	usage(file);
	fputc('\n', file);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(file, "  %-8s %s\n", commands[i]->name,
			commands[i]->what);
	fputs("\n\"ionctl COMMAND --help\" tells a command's options, ionctl(1) all.\n"
	      "Exit status: 0 fine, 1 the answer is no, 2 wrong use, 3 no such thing,\n4 no permission, 5 failed otherwise.\n", file);
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	return NULL;
}

/* Those that every command knows. Return: whether it is one. */
static bool option(const char *arg)
{
	if (!strcmp(arg, "--help") || !strcmp(arg, "-?"))
		overview(stdout);
	else if (!strcmp(arg, "--usage"))
		usage(stdout);
	else if (!strcmp(arg, "--version") || !strcmp(arg, "-V"))
		puts(argp_program_version);
	else
		return false;
	return true;
}

int main(int argc, char **argv)
{
	const struct command *command;
	char name[32];

	argp_err_exit_status = EXIT_USAGE;
	if (argc < 2) {
		overview(stderr);
		return EXIT_USAGE;
	}
	if (option(argv[1]))
		return finish_output(EXIT_FINE);
	command = find(argv[1]);
	if (!command) {
		fail(0, "no such command: %s (--help lists them)", argv[1]);
		return EXIT_USAGE;
	}

	snprintf(name, sizeof(name), "ionctl %s", command->name);
	argv[1] = name;
	argp_parse(command->argp, argc - 1, argv + 1, ARGP_IN_ORDER, NULL,
		   NULL);
	return finish_output(command->run());
}
