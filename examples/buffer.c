// SPDX-License-Identifier: MIT
#include <err.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <ion/buffer.h>

/* What a call returned is 0 or says what went wrong. */
static void check(int ret, const char *what)
{
	if (ret)
		errx(1, "%s: %s", what, strerror(-ret));
}

static char *map(struct ion_buffer *buffer)
{
	void *addr;

	check(ion_buffer_map(buffer, PROT_READ | PROT_WRITE, &addr), "map");
	return addr;
}

static void set_text(struct ion_buffer *buffer, const char *text)
{
	check(ion_buffer_begin(buffer, ION_RW, 0, 64), "begin");
	snprintf(map(buffer), 64, "%s", text);
	check(ion_buffer_end(buffer, ION_RW, 0, 64), "end");
}

static void print_text(struct ion_buffer *buffer, const char *who)
{
	check(ion_buffer_begin(buffer, ION_READ, 0, 64), "begin");
	printf("%s reads \"%.64s\"\n", who, map(buffer));
	fflush(stdout);
	check(ion_buffer_end(buffer, ION_READ, 0, 64), "end");
}

static int answer(int socket)
{
	struct ion_buffer *buffer;

	check(ion_buffer_receive(socket, &buffer), "receive");
	print_text(buffer, "the child");
	set_text(buffer, "hello, parent");
	ion_buffer_close(buffer);
	return 0;
}

int main(void)
{
	struct ion_buffer *buffer;
	int sockets[2], status;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets))
		err(1, "socketpair");
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		close(sockets[0]);
		return answer(sockets[1]);
	}
	close(sockets[1]);

	check(ion_buffer_create(1 << 20, NULL, ION_FLAG_CACHED, &buffer),
	      "create");
	set_text(buffer, "hello, child");
	check(ion_buffer_send(buffer, sockets[0]), "send");
	if (waitpid(pid, &status, 0) < 0)
		err(1, "waitpid");
	if (status)
		errx(1, "the child failed");
	print_text(buffer, "the parent");
	ion_buffer_close(buffer);
	return 0;
}
