// SPDX-License-Identifier: MIT
/* alloc: have a buffer, for as long as somebody wants it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ionctl.h"
#include "output.h"

/* Where a command finds its buffer. */
#define HANDED_DOWN 3

static struct {
	uint64_t size;
	const char *heap;
	const char *name;
	unsigned int flags;
	char **command;
} args = { .flags = ION_FLAG_CACHED };

/* A file or /dev/null is at its end at once, which means nothing. */
static bool can_end(int fd)
{
	struct stat st;

	return isatty(fd) || (!fstat(fd, &st) &&
			      (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)));
}

/* From the background a terminal cannot be read, which is no end either. */
static bool has_ended(struct pollfd *input)
{
	char ignored[512];
	ssize_t n = read(input->fd, ignored, sizeof(ignored));

	if (n < 0 && errno != EINTR && errno != EAGAIN)
		input->fd = -1;
	return n == 0;
}

/* Before anybody is told of the buffer. Whoever ignores a signal goes on so. */
static int catch_signals(void)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action;
	sigset_t signals;

	sigemptyset(&signals);
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
		if (!sigaction(ends[i], NULL, &action) &&
		    action.sa_handler != SIG_IGN)
			sigaddset(&signals, ends[i]);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGTTIN, SIG_IGN);
	return signalfd(-1, &signals, SFD_CLOEXEC);
}

static int wait_for_end(int signals)
{
	struct pollfd fds[2] = {
		{ .fd = signals, .events = POLLIN },
		{ .fd = can_end(STDIN_FILENO) ? STDIN_FILENO : -1,
		  .events = POLLIN },
	};

	for (;;) {
		if (poll(fds, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return fail(errno, "poll");
		}
		if (fds[0].revents || (fds[1].revents && has_ended(&fds[1])))
			return EXIT_FINE;
	}
}

static int hold(const struct ion_buffer *buffer, const char *backend)
{
	int fd = ion_buffer_fd(buffer), signals = catch_signals(), ret;
	char size[16];

	if (signals < 0)
		return fail(errno, "signalfd");
	size_text(ion_buffer_size(buffer), size);
	printf("descriptor %d: %s of %s by %s\n/proc/%d/fd/%d\n", fd, size,
	       args.heap ?: "the system heap", backend, getpid(), fd);
	ret = finish_output(EXIT_FINE) ?: wait_for_end(signals);
	close(signals);
	return ret;
}

/* Only where it is at its place does it survive the exec. */
static int hand_down(const struct ion_buffer *buffer)
{
	int fd = ion_buffer_fd(buffer), ret;

	ret = fd == HANDED_DOWN ? fcntl(fd, F_SETFD, 0) :
				  dup2(fd, HANDED_DOWN);
	if (ret < 0)
		return fail(errno, "descriptor %d", HANDED_DOWN);
	execvp(args.command[0], args.command);
	ret = errno;
	fail(ret, "%s", args.command[0]);
	/* As a shell has it. */
	return ret == ENOENT ? 127 : 126;
}

static int no_buffer(int error)
{
	char size[16];

	size_text(args.size, size);
	if (error == -ENODEV && args.heap) {
		fail(0, "there is no heap %s (ionctl heaps lists them)",
		     args.heap);
		return EXIT_NOT_THERE;
	}
	return fail(error, "a buffer of %s of %s", size,
		    args.heap ?: "the system heap");
}

static int run_alloc(void)
{
	struct ion_buffer *buffer;
	const char *backend;
	char why[WHY];
	int ret = used_backend(&backend, why);

	if (ret) {
		fail(0, "%s", why);
		return ret;
	}
	ret = ion_buffer_create(args.size, args.heap, args.flags, &buffer);
	if (ret)
		return no_buffer(ret);
	ret = args.name ? ion_buffer_set_name(buffer, args.name) : 0;
	if (ret)
		ret = fail(ret, "the buffer cannot be named");
	else
		ret = args.command ? hand_down(buffer) :
				     hold(buffer, backend);
	ion_buffer_close(buffer);
	return ret;
}

enum { HEAP = 'H', NAME = 'n', UNCACHED = 'u' };

static const struct argp_option options[] = {
	{ "heap", HEAP, "NAME", 0, "from that heap; the system heap", 0 },
	{ "uncached", UNCACHED, NULL, 0, "write-combined in every mapping", 0 },
	{ "name", NAME, "NAME", 0, "what ionctl ls calls it", 0 },
	{ 0 }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case HEAP:
		args.heap = arg;
		return 0;
	case UNCACHED:
		args.flags = 0;
		return 0;
	case NAME:
		if (strlen(arg) > 31)
			argp_error(state, "a name has up to 31 bytes");
		args.name = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num == 0) {
			args.size = buffer_size_argument(state, arg);
			return 0;
		}
		args.command = state->argv + state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "how large?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	options, parse, "SIZE\nSIZE -- COMMAND [ARGUMENT...]",
	"Allocate a buffer and hold it until Ctrl-C, SIGTERM, SIGHUP, or the end of standard input if that is a terminal, a pipe or a socket.\vSIZE is bytes, or with K, M, G or T. A COMMAND instead gets the buffer as its descriptor 3, and its exit status is ionctl's.",
	NULL, NULL, NULL
};

const struct command alloc_command = {
	"alloc", "allocate a buffer and hold it, or hand it to a command",
	&argp, run_alloc
};
