// SPDX-License-Identifier: MIT
/* top: ion.ko's heaps, pools and clients, live. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "ionctl.h"
#include "output.h"

/* Milliseconds between two looks. */
#define PERIOD 1000

/* The other screen, without a cursor and without lines that go on below. */
#define ENTER "\033[?1049h\033[?25l\033[?7l"
#define LEAVE "\033[?7h\033[?25h\033[?1049l"

static const struct column heap_columns[] = {
	{ "name", "HEAP", TEXT }, { "id", "ID", NUMBER },
	{ "bytes", "IN USE", SIZE }, { "buffers", "BUFFERS", NUMBER },
	{ "peak", "PEAK", SIZE }, { "pool", "POOL", SIZE }, { 0 }
};

static const struct column client_columns[] = {
	{ "pid", "PID", NUMBER }, { "handles", "HANDLES", NUMBER },
	{ "bytes", "COUNTED", SIZE }, { "name", "CLIENT", TEXT }, { 0 }
};

static int count;	/* 0: live on a terminal, else once */
static struct termios before;

static uint64_t number_of(json_object *object, const char *key)
{
	return json_object_get_uint64(json_object_object_get(object, key));
}

static uint64_t sum(json_object *rows, const char *key)
{
	uint64_t total = 0;

	for (size_t i = 0; i < json_object_array_length(rows); i++)
		total += number_of(json_object_array_get_idx(rows, i), key);
	return total;
}

/* Who has most comes first. */
static int compare_clients(const void *a, const void *b)
{
	uint64_t x = number_of(*(json_object *const *)a, "bytes");
	uint64_t y = number_of(*(json_object *const *)b, "bytes");

	return x > y ? -1 : x < y;
}

/* Return: 0 or a negative errno. */
static int look(json_object **heaps, json_object **clients)
{
	int error;

	*heaps = ion_heaps();
	*clients = *heaps ? ion_clients() : NULL;
	if (*clients) {
		json_object_array_sort(*clients, compare_clients);
		return 0;
	}
	error = errno;
	json_object_put(*heaps);
	return -error;
}

/* Where it is seen: after the other screen. */
static int tell(int error)
{
	if (!error)
		return EXIT_FINE;
	if (error != -ENOENT)
		return fail(error, "%s/ion", DEBUGFS);
	return fail(error, "%s/ion (is ion.ko loaded and debugfs mounted?)",
		    DEBUGFS);
}

static void put_tables(FILE *file, json_object *heaps, json_object *clients)
{
	char used[16], pool[16];

	size_text(sum(heaps, "bytes"), used);
	size_text(sum(heaps, "pool"), pool);
	fprintf(file, "ion: %s in use, buffers %llu, pools %s, clients %zu\n\n",
		used, (unsigned long long)sum(heaps, "buffers"), pool,
		json_object_array_length(clients));
	put_table(file, heaps, heap_columns);
	fputc('\n', file);
	put_table(file, clients, client_columns);
}

static int put_all(FILE *file)
{
	json_object *heaps, *clients;
	int ret = look(&heaps, &clients);

	if (ret)
		return ret;
	put_tables(file, heaps, clients);
	json_object_put(heaps);
	json_object_put(clients);
	return 0;
}

/* As much of a line as the screen has columns. */
static void put_cut(FILE *screen, const char *line, const char *end, int columns)
{
	for (; line < end; line++) {
		/* A character's other bytes take no room. */
		if ((*line & 0xc0) != 0x80 && columns-- == 0)
			return;
		fputc(*line, screen);
	}
}

static void put_screen(FILE *screen, const char *text, int rows, int columns)
{
	fputs("\033[H\033[1m", screen);
	for (int row = 0; *text && row < rows; row++) {
		const char *end = strchrnul(text, '\n');

		if (row)
			fputs("\r\n", screen);
		if (row == rows - 1 && *end && end[1])
			put_cut(screen, "...", "..." + 3, columns);
		else
			put_cut(screen, text, end, columns);
		fputs("\033[m\033[K", screen);
		text = *end ? end + 1 : end;
	}
	fputs("\033[J", screen);
}

/* In one piece, so that it does not flicker. Return: as look(). */
static int draw(void)
{
	struct winsize size = { 0 };
	char *text = NULL, *frame = NULL;
	size_t length;
	FILE *file;
	int ret;

	file = open_memstream(&text, &length);
	if (!file)
		return -errno;
	ret = put_all(file);
	fclose(file);
	if (ret)
		goto out;

	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	file = open_memstream(&frame, &length);
	if (!file) {
		ret = -errno;
		goto out;
	}
	put_screen(file, text, size.ws_row ?: 24, size.ws_col ?: 80);
	fclose(file);
	fwrite(frame, length, 1, stdout);
	if (fflush(stdout))
		ret = -errno;
	free(frame);
out:
	free(text);
	return ret;
}

static void enter(void)
{
	struct termios raw = before;

	raw.c_lflag &= ~(ICANON | ECHO);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	fputs(ENTER, stdout);
}

static void leave(void)
{
	fputs(LEAVE, stdout);
	fflush(stdout);
	tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
}

/* Ctrl-Z leaves the terminal as it was found. */
static void stop(void)
{
	leave();
	raise(SIGSTOP);
	tcgetattr(STDIN_FILENO, &before);
	enter();
}

/* Return: whether to go on. */
static bool take_signal(int fd)
{
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return true;
	if (info.ssi_signo == SIGTSTP)
		stop();
	return info.ssi_signo == SIGTSTP || info.ssi_signo == SIGWINCH;
}

static bool take_key(void)
{
	char key;
	ssize_t n = read(STDIN_FILENO, &key, 1);

	if (n < 0 && errno == EINTR)
		return true;
	return n == 1 && key != 'q';
}

static int block_signals(void)
{
	static const int caught[] = {
		SIGWINCH, SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGTSTP
	};
	sigset_t signals;

	sigemptyset(&signals);
	for (size_t i = 0; i < sizeof(caught) / sizeof(*caught); i++)
		sigaddset(&signals, caught[i]);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	return signalfd(-1, &signals, SFD_CLOEXEC);
}

static int run_live(void)
{
	struct pollfd fds[] = {
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = block_signals(), .events = POLLIN },
	};
	int ret;
	bool on = true;

	if (fds[1].fd < 0 || tcgetattr(STDIN_FILENO, &before))
		return fail(errno, "the terminal");
	enter();
	do {
		ret = draw();
		if (ret || poll(fds, 2, PERIOD) < 0)
			continue;
		if (fds[1].revents)
			on = take_signal(fds[1].fd);
		if (on && fds[0].revents)
			on = take_key();
	} while (!ret && on);
	leave();
	close(fds[1].fd);
	return tell(ret);
}

static int run_json(void)
{
	json_object *answer, *heaps, *clients;
	int ret = look(&heaps, &clients);

	if (ret)
		return tell(ret);
	answer = json_object_new_object();
	json_object_object_add(answer, "heaps", heaps);
	json_object_object_add(answer, "clients", clients);
	put_json(answer);
	return EXIT_FINE;
}

static int run_top(void)
{
	int ret;

	if (json)
		return run_json();
	if (!count && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
		return run_live();
	for (;;) {
		ret = tell(put_all(stdout)) ?: finish_output(EXIT_FINE);
		if (ret || --count <= 0)
			return ret;
		poll(NULL, 0, PERIOD);
		putchar('\n');
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	char *end;

	if (key != 'n')
		return json_only(key, arg, state);
	errno = 0;
	count = strtol(arg, &end, 10);
	if (errno || *end || end == arg || count < 1)
		argp_error(state, "--count wants a number from 1 on, not '%s'",
			   arg);
	return 0;
}

static const struct argp_option options[] = {
	{ "count", 'n', "N", 0, "print N times, a second apart", 0 },
	JSON_OPTION,
	{ 0 }
};

static const struct argp argp = {
	options, parse, NULL,
	"Show the heaps, pools and clients of ion.ko, every second, until q or Ctrl-C; once where there is no terminal. It reads debugfs, which is root's.",
	NULL, NULL, NULL
};

const struct command top_command = {
	"top", "the heaps, pools and clients of ion.ko, live", &argp, run_top
};
