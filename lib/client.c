// SPDX-License-Identifier: MIT
/*
 * A client that lives in the library: a table of handles, as ION has it in the
 * kernel. A handle is a descriptor of the library's own.
 *
 * What the program gets for a client is a token, the end for reading of a pipe
 * that nobody writes to. The pipe tells which client a descriptor means, also if
 * it was duplicated; and its other end, which is kept here, tells when the last
 * descriptor is gone, however that came.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>

#include <linux/dma-buf.h>

#include "internal.h"

/* More than a process can have descriptors. */
#define PLACES (1U << 31)

/**
 * struct identity - which file it is
 * @dev: its file system
 * @ino: its inode
 * @made: when a pipe was made, so that it is another if the number comes back
 */
struct identity {
	dev_t dev;
	ino_t ino;
	struct timespec made;
};

/**
 * struct handle - a client's references to a buffer
 * @dev: the buffer's file system
 * @ino: its inode
 * @fd: a descriptor of it
 * @id: what the client calls it
 * @users: references that the client holds; 0: the place is free
 */
struct handle {
	dev_t dev;
	ino_t ino;
	int fd;
	ion_user_handle_t id;
	unsigned int users;
};

/**
 * struct client - who owns handles
 * @next: in clients
 * @backend: where its memory comes from
 * @heaps: of that
 * @token: the pipe that stands for it
 * @watch: the pipe's other end
 * @refs: one until it has ended, and one for each call under way
 * @ended: no call finds it any more
 * @forked: another process has it too, since a fork()
 * @handles: the table, in which a handle's place is its id modulo @count
 * @count: places that it has, a power of two; or 0
 * @used: how many of them are, at most half
 * @last_id: of the newest handle, or 0
 */
struct client {
	struct client *next;
	const struct backend *backend;
	struct heaps heaps;
	struct identity token;
	int watch;
	unsigned int refs;
	bool ended;
	bool forked;
	struct handle *handles;
	unsigned int count;
	unsigned int used;
	ion_user_handle_t last_id;
};

/* Protects clients and all that is in them but backend, heaps, token, watch. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct client *clients;
/* How many there are: where there are none nobody need look. */
static atomic_uint living;

static bool identify(int fd, struct identity *id)
{
	struct stat st;

	if (fstat(fd, &st))
		return false;
	id->dev = st.st_dev;
	id->ino = st.st_ino;
	id->made = st.st_mtim;
	return true;
}

static bool is_same(const struct identity *a, const struct identity *b)
{
	return a->ino == b->ino && a->dev == b->dev &&
	       a->made.tv_sec == b->made.tv_sec &&
	       a->made.tv_nsec == b->made.tv_nsec;
}

/* Has the program closed what was not its own, with closefrom() or so? */
static bool is_robbed(const struct client *client)
{
	struct identity id;

	return !identify(client->watch, &id) || !is_same(&id, &client->token);
}

/* Is no descriptor left that could mean this client? */
static bool is_deserted(const struct client *client)
{
	struct pollfd pollfd = { .fd = client->watch };

	return is_robbed(client) ||
	       (poll(&pollfd, 1, 0) == 1 && pollfd.revents & POLLERR);
}

/* Has this process a descriptor of it? Where there is no telling, it may. */
static bool is_held(const struct client *client)
{
	DIR *dir = opendir("/proc/thread-self/fd");
	bool held = !dir;
	struct dirent *entry;
	struct identity id;
	int fd;

	while (!held) {
		errno = 0;
		entry = readdir(dir);
		if (!entry) {
			held = errno;
			break;
		}
		fd = atoi(entry->d_name);
		held = fd != client->watch && identify(fd, &id) &&
		       is_same(&id, &client->token);
	}
	if (dir)
		closedir(dir);
	return held;
}

static void destroy(struct client *client)
{
	/* Then what is open by those numbers is another's. */
	if (!is_robbed(client)) {
		for (unsigned int i = 0; i < client->count; i++)
			if (client->handles[i].users)
				close(client->handles[i].fd);
		ion_heaps_close(&client->heaps);
		close(client->watch);
	}
	free(client->handles);
	free(client);
}

/* The lock is held. What was unlinked goes to @dead. */
static void unlink_client(struct client *client, struct client **dead)
{
	struct client **at = &clients;

	while (*at != client)
		at = &(*at)->next;
	*at = client->next;
	atomic_fetch_sub(&living, 1);
	client->next = *dead;
	*dead = client;
}

/* The lock is held. */
static void drop(struct client *client, struct client **dead)
{
	if (!--client->refs)
		unlink_client(client, dead);
}

static void destroy_all(struct client *dead)
{
	while (dead) {
		struct client *next = dead->next;

		destroy(dead);
		dead = next;
	}
}

/* The caller's, while a call of it is under way. */
static _Thread_local int cancel_state;

/* Until put() the thread is not cancelled: who held a client would keep it. */
static struct client *get(int fd)
{
	struct identity id;
	struct client *client;

	if (!atomic_load(&living) || !identify(fd, &id))
		return NULL;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	pthread_mutex_lock(&lock);
	client = clients;
	while (client && (client->ended || !is_same(&client->token, &id)))
		client = client->next;
	/*
	 * Not by the other end, whose number may have been a client's before;
	 * nor if what is open by the library's numbers may be another's.
	 */
	if (client && (fd == client->watch || is_robbed(client)))
		client = NULL;
	if (client)
		client->refs++;
	pthread_mutex_unlock(&lock);
	if (!client)
		pthread_setcancelstate(cancel_state, NULL);
	return client;
}

static void put(struct client *client)
{
	struct client *dead = NULL;

	pthread_mutex_lock(&lock);
	drop(client, &dead);
	pthread_mutex_unlock(&lock);
	destroy_all(dead);
	pthread_setcancelstate(cancel_state, NULL);
}

/*
 * Ends those that nobody can name any more, and @left, which may be NULL, if that
 * is so in this process only.
 */
static void end_clients(const struct client *left)
{
	struct client *client, *next, *dead = NULL;

	pthread_mutex_lock(&lock);
	for (client = clients; client; client = next) {
		next = client->next;
		if (client->ended)
			continue;
		if (!is_deserted(client) &&
		    (client != left || !client->forked || is_held(client)))
			continue;
		client->ended = true;
		drop(client, &dead);
	}
	pthread_mutex_unlock(&lock);
	destroy_all(dead);
}

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void in_parent(void)
{
	for (struct client *client = clients; client; client = client->next)
		client->forked = true;
	pthread_mutex_unlock(&lock);
}

/* Calls of other threads are not under way here. */
static void in_child(void)
{
	struct client *client, *next, *dead = NULL;

	for (client = clients; client; client = next) {
		next = client->next;
		client->forked = true;
		client->refs = !client->ended;
		if (client->ended)
			unlink_client(client, &dead);
	}
	pthread_mutex_unlock(&lock);
	destroy_all(dead);
}

static int fork_error;

static void prepare_for_fork(void)
{
	fork_error = -pthread_atfork(before_fork, in_parent, in_child);
}

static int open_client(const struct backend *backend, bool unasked)
{
	struct client *client;
	int ends[2], ret;

	if (atomic_load(&living))
		end_clients(NULL);
	client = calloc(1, sizeof(*client));
	if (!client)
		return -ENOMEM;
	client->backend = backend;
	client->refs = 1;
	ret = backend->open(&client->heaps);
	if (ret)
		goto err_free;
	if (unasked && !ion_heaps_have_system(&client->heaps)) {
		ret = -ENODEV;
		goto err_heaps;
	}
	/* Who reads from it by mistake should not wait for ever. */
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK)) {
		ret = -errno;
		goto err_heaps;
	}
	client->watch = ends[1];
	identify(ends[0], &client->token);

	pthread_mutex_lock(&lock);
	client->next = clients;
	clients = client;
	atomic_fetch_add(&living, 1);
	pthread_mutex_unlock(&lock);
	return ends[0];

err_heaps:
	ion_heaps_close(&client->heaps);
err_free:
	free(client);
	return ret;
}

int ion_client_open(const struct backend *backend, bool unasked)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	int ret, state;

	pthread_once(&once, prepare_for_fork);
	if (fork_error)
		return fork_error;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	ret = open_client(backend, unasked);
	pthread_setcancelstate(state, NULL);
	return ret;
}

int ion_client_close(int fd)
{
	struct client *client = get(fd);
	int ret;

	if (!client)
		return -ENOTTY;
	ret = ion_close_fd(fd);
	end_clients(client);
	put(client);
	return ret;
}

const char *ion_client_backend(int fd)
{
	struct client *client = get(fd);
	const char *name;

	if (!client)
		return NULL;
	name = client->backend->name;
	put(client);
	return name;
}

/* ---- memory */

static const struct heap *find_heap(const struct client *client, __u32 id)
{
	for (unsigned int i = 0; i < client->heaps.count; i++)
		if (client->heaps.heap[i].data.heap_id == id)
			return &client->heaps.heap[i];
	return NULL;
}

static __u64 half_of_ram(void)
{
	struct sysinfo info;

	return sysinfo(&info) ? UINT64_MAX :
				(__u64)info.totalram * info.mem_unit / 2;
}

/* As ION does it, with the same answers: see ion_alloc(). */
static int alloc(const struct client *client, size_t len, size_t align,
		 unsigned int heap_mask)
{
	size_t size = ion_page_up(len);
	int ret = -ENODEV;

	if (size < len || !size || align & (align - 1))
		return -EINVAL;
	for (int id = ION_NUM_HEAP_IDS - 1; id >= 0; id--) {
		const struct heap *heap = NULL;
		int fd = -ENOMEM;

		if (heap_mask & 1U << id)
			heap = find_heap(client, id);
		if (!heap)
			continue;
		if (size <= half_of_ram())
			fd = align > ion_page_size() ? -EINVAL :
				client->backend->alloc(heap, size);
		/* Another heap may have room. */
		if (fd != -ENOMEM && fd != -EINVAL)
			return fd;
		if (ret != -ENOMEM)
			ret = fd;
	}
	return ret;
}

int ion_client_alloc_fd(int fd, size_t len, size_t align,
			unsigned int heap_mask, int *handle_fd)
{
	struct client *client = get(fd);
	int ret;

	if (!client)
		return -ENOTTY;
	ret = alloc(client, len, align, heap_mask);
	if (ret >= 0) {
		*handle_fd = ret;
		ret = 0;
	}
	put(client);
	return ret;
}

int ion_client_heaps(int fd, struct ion_heap_data *heaps, unsigned int room,
		     unsigned int *count)
{
	struct client *client = get(fd);

	if (!client)
		return -ENOTTY;
	*count = client->heaps.count;
	for (unsigned int i = 0; i < room && i < *count; i++)
		heaps[i] = client->heaps.heap[i].data;
	put(client);
	return 0;
}

/* ---- handles. The lock is held. */

static struct handle *place_of(struct client *client, ion_user_handle_t id)
{
	return &client->handles[id & (client->count - 1)];
}

static struct handle *find_id(struct client *client, ion_user_handle_t id)
{
	struct handle *handle;

	if (id <= 0 || !client->count)
		return NULL;
	handle = place_of(client, id);
	return handle->users && handle->id == id ? handle : NULL;
}

static struct handle *find_buffer(struct client *client, dev_t dev, ino_t ino)
{
	for (unsigned int i = 0; i < client->count; i++) {
		struct handle *handle = &client->handles[i];

		if (handle->users && handle->ino == ino && handle->dev == dev)
			return handle;
	}
	return NULL;
}

/* Handles that had places of their own still have. */
static int grow(struct client *client)
{
	unsigned int old_count = client->count;
	struct handle *old = client->handles, *new;

	if (old_count == PLACES)
		return -ENOMEM;
	client->count = old_count ? 2 * old_count : 16;
	new = calloc(client->count, sizeof(*new));
	if (!new) {
		client->count = old_count;
		return -ENOMEM;
	}
	client->handles = new;
	for (unsigned int i = 0; i < old_count; i++)
		if (old[i].users)
			*place_of(client, old[i].id) = old[i];
	free(old);
	return 0;
}

/* As ION's are: an id comes back when all others have been used. */
static struct handle *new_handle(struct client *client, dev_t dev, ino_t ino,
				 int fd)
{
	ion_user_handle_t id = client->last_id;
	struct handle *handle;

	if (client->used == client->count / 2 && grow(client))
		return NULL;
	do {
		id = id == INT_MAX ? 1 : id + 1;
		handle = place_of(client, id);
	} while (handle->users);
	*handle = (struct handle) {
		.dev = dev, .ino = ino, .fd = fd, .id = id, .users = 1,
	};
	client->last_id = id;
	client->used++;
	return handle;
}

/* One more reference, which takes @fd over, to the buffer behind it. */
static int hold(struct client *client, int fd, bool is_new,
		ion_user_handle_t *id)
{
	struct handle *handle = NULL;
	struct stat st;
	int ret = 0;

	if (fstat(fd, &st)) {
		ret = -errno;
		close(fd);
		return ret;
	}
	pthread_mutex_lock(&lock);
	if (!is_new)
		handle = find_buffer(client, st.st_dev, st.st_ino);
	if (handle) {
		/* Past that many the count stays: nothing is freed then. */
		if (handle->users != UINT_MAX)
			handle->users++;
	} else {
		handle = new_handle(client, st.st_dev, st.st_ino, fd);
		if (handle)
			fd = -1;
		else
			ret = -ENOMEM;
	}
	if (handle)
		*id = handle->id;
	pthread_mutex_unlock(&lock);
	if (fd >= 0)
		close(fd);
	return ret;
}

int ion_client_alloc(int fd, size_t len, size_t align, unsigned int heap_mask,
		     ion_user_handle_t *handle)
{
	struct client *client = get(fd);
	int ret;

	if (!client)
		return -ENOTTY;
	ret = alloc(client, len, align, heap_mask);
	if (ret >= 0)
		ret = hold(client, ret, true, handle);
	put(client);
	return ret;
}

int ion_client_import(int fd, int share_fd, ion_user_handle_t *handle)
{
	struct client *client = get(fd);
	int ret;

	if (!client)
		return -ENOTTY;
	/* First a descriptor that nobody else can close meanwhile. */
	share_fd = fcntl(share_fd, F_DUPFD_CLOEXEC, 0);
	if (share_fd < 0) {
		ret = -errno;
		goto out;
	}
	ret = client->backend->check(share_fd);
	if (ret)
		close(share_fd);
	else
		ret = hold(client, share_fd, false, handle);
out:
	put(client);
	return ret;
}

int ion_client_free(int fd, ion_user_handle_t id)
{
	struct client *client = get(fd);
	int buffer_fd = -1, ret = -EINVAL;
	struct handle *handle;

	if (!client)
		return -ENOTTY;
	pthread_mutex_lock(&lock);
	handle = find_id(client, id);
	if (handle) {
		ret = 0;
		if (handle->users != UINT_MAX && !--handle->users) {
			buffer_fd = handle->fd;
			client->used--;
		}
	}
	pthread_mutex_unlock(&lock);
	if (buffer_fd >= 0)
		close(buffer_fd);
	put(client);
	return ret;
}

int ion_client_share(int fd, ion_user_handle_t id, int *share_fd)
{
	struct client *client = get(fd);
	struct handle *handle;
	int ret = -EINVAL;

	if (!client)
		return -ENOTTY;
	pthread_mutex_lock(&lock);
	handle = find_id(client, id);
	if (handle) {
		ret = fcntl(handle->fd, F_DUPFD_CLOEXEC, 0);
		if (ret < 0)
			ret = -errno;
	}
	pthread_mutex_unlock(&lock);
	put(client);
	if (ret < 0)
		return ret;
	*share_fd = ret;
	return 0;
}

/* ---- CPU access */

int ion_client_sync(int fd, int buffer_fd)
{
	struct client *client = get(fd);
	int ret;

	if (!client)
		return -ENOTTY;
	ret = client->backend->check(buffer_fd);
	if (!ret)
		ret = client->backend->flush(buffer_fd);
	put(client);
	return ret;
}

static int sync_range(const struct client *client, int buffer_fd, __u64 offset,
		      __u64 len, unsigned int flags)
{
	struct stat st;
	__u64 size;
	int ret;

	if (flags & ~DMA_BUF_SYNC_VALID_FLAGS_MASK || !(flags & DMA_BUF_SYNC_RW))
		return -EINVAL;
	ret = client->backend->check(buffer_fd);
	if (ret)
		return ret;
	if (fstat(buffer_fd, &st))
		return -errno;
	size = st.st_size;
	if (!len || offset > size || len > size - offset)
		return -EINVAL;
	/* The kernel knows the whole buffer only. */
	return client->backend->sync(buffer_fd, flags);
}

int ion_client_sync_range(int fd, int buffer_fd, __u64 offset, __u64 len,
			  unsigned int flags)
{
	struct client *client = get(fd);
	int ret;

	if (!client)
		return -ENOTTY;
	ret = sync_range(client, buffer_fd, offset, len, flags);
	put(client);
	return ret;
}
