// SPDX-License-Identifier: MIT
/* Operations on /dev/ion, /dev/dma_heap, heaps of a module, and limits. */
#include <limits.h>
#include <linux/dma-heap.h>

#include "../kernel/heap_test.h"
#include "model.h"

/* Handles as wide as pointers, as the oldest callers have them. */
struct pointer_fd_data {
	uint64_t handle;
	int fd;
	int pad;
};

#define WIDE(nr, type) _IOWR(ION_IOC_MAGIC, nr, type)

static int number_of(struct client *client)
{
	return index_of(m.clients, client);
}

/* ---- clients */

bool do_open(void)
{
	struct client *client = room(m.clients, fd);

	if (!client)
		return false;
	say("open /dev/ion, client %d", number_of(client));
	memset(client, 0, sizeof(*client));
	client->fd = sys(open("/dev/ion", one_in(2) ? O_RDONLY | O_CLOEXEC :
						      O_RDWR | O_CLOEXEC));
	agree(client->fd < 0 ? client->fd : 0, 0);
	client->account = ++m.accounts;
	return true;
}

void close_client(struct client *client)
{
	agree(sys(close(client->fd)), 0);
	client->fd = 0;
	for (size_t i = 0; i < COUNT(client->handles); i++)
		if (client->handles[i].users)
			put(client->handles[i].buffer);
}

bool do_close(void)
{
	struct client *client = any(m.clients, fd);

	if (!client)
		return false;
	say("close client %d", number_of(client));
	close_client(client);
	return true;
}

/* ---- handles */

static struct handle *handle_of(struct client *client, int id)
{
	for (size_t i = 0; i < COUNT(client->handles); i++)
		if (client->handles[i].users && client->handles[i].id == id)
			return &client->handles[i];
	return NULL;
}

static struct handle *handle_for(struct client *client, struct buffer *buffer)
{
	for (size_t i = 0; i < COUNT(client->handles); i++)
		if (client->handles[i].users &&
		    client->handles[i].buffer == buffer)
			return &client->handles[i];
	return NULL;
}

static int any_id(struct client *client)
{
	struct handle *handle = any(client->handles, users);

	if (handle && !one_in(12))
		return handle->id;
	/* Freed before, not given yet, other clients', and none at all. */
	return one_in(4) ? (int)random64() : (int)rnd(client->last + 3) - 1;
}

/* The handle holds the buffer, unless that is new, and so held already. */
static void new_handle(struct client *client, struct buffer *buffer, int id)
{
	struct handle *handle = room(client->handles, users);

	*handle = (struct handle) { .users = 1, .id = id, .buffer = buffer };
	say(" handle %d of buffer %d", id, index_of(m.buffers, buffer));
	if (id != client->last)
		wrong("expected handle %d, came %d", client->last, id);
}

static void say_want(const struct want *want)
{
	say(" len %#llx align %#llx heaps %#x flags %#x",
	    (unsigned long long)want->len, (unsigned long long)want->align,
	    want->mask, want->flags);
}

static const char * const places[] = { "", ", read-only", ", bad pointer" };

bool do_alloc(void)
{
	struct client *client = any(m.clients, fd);
	enum where where = somewhere();
	struct ion_allocation_data data;
	struct buffer made;
	struct want want;
	uint64_t handle;
	long wanted;

	if (!client || !room(m.buffers, refs) || !room(client->handles, users))
		return false;
	want = any_want(client->account);
	say("ALLOC client %d", number_of(client));
	say_want(&want);
	say("%s", places[where]);

	wanted = predict(&want, &made);
	if (!wanted && where != BAD)
		client->last++;
	if (where == BAD || (!wanted && where == READONLY))
		wanted = -EFAULT;
	memset(&data, 0xee, sizeof(data));
	data.len = want.len;
	data.align = want.align;
	data.heap_id_mask = want.mask;
	data.flags = want.flags;
	agree(request(client->fd, ION_IOC_ALLOC,
		      place(&data, sizeof(data), where)), wanted);
	if (wanted)
		return true;
	take_back(&data, sizeof(data));
	memcpy(&handle, &data.handle, sizeof(handle));
	if (handle > INT_MAX || data.len != want.len ||
	    data.align != want.align || data.heap_id_mask != want.mask ||
	    data.flags != want.flags)
		wrong("its answer has other fields than were asked");
	new_handle(client, get_buffer(&made), handle);
	return true;
}

/* A request that answers with a descriptor: is it granted? */
static bool ask_for_descriptor(int fd, unsigned long cmd, void *data,
			       size_t size, enum where where, long wanted)
{
	bool out = run_out();
	long came;

	if (!wanted && out)
		wanted = -EMFILE;
	if (!wanted && where == READONLY)
		wanted = -EFAULT;
	came = request(fd, cmd, place(data, size, where));
	run_in(out);
	agree(came, wanted);
	if (wanted)
		return false;
	take_back(data, size);
	return true;
}

bool do_new_alloc(void)
{
	struct client *client = any(m.clients, fd);
	struct ion_new_allocation_data data = { .fd = -7, .unused = 7 };
	enum where where = somewhere();
	struct buffer made;
	struct want want;
	long wanted;

	if (!client || !room(m.buffers, refs) || !room(m.descriptors, buffer))
		return false;
	want = any_want(client->account);
	want.align = 0;
	say("NEW_ALLOC client %d", number_of(client));
	say_want(&want);
	say("%s", places[where]);

	wanted = where == BAD ? -EFAULT : predict(&want, &made);
	data.len = want.len;
	data.heap_id_mask = want.mask;
	data.flags = want.flags;
	if (!ask_for_descriptor(client->fd, ION_IOC_NEW_ALLOC, &data,
				sizeof(data), where, wanted))
		return true;
	if (data.len != want.len || data.unused != 7)
		wrong("its answer has other fields than were asked");
	new_descriptor(get_buffer(&made), data.fd);
	return true;
}

/* What is in the upper half of a handle as wide as a pointer. */
static uint64_t upper(bool wide)
{
	return wide && one_in(16) ? random64() << 32 | 1ULL << 32 : 0;
}

bool do_free(void)
{
	struct client *client = any(m.clients, fd);
	enum where where = one_in(48) ? BAD : GOOD;
	struct handle *handle;
	uint64_t data, over;
	bool wide;
	long wanted;
	int id;

	if (!client)
		return false;
	wide = one_in(2);
	id = any_id(client);
	over = upper(wide);
	handle = over ? NULL : handle_of(client, id);
	data = (uint32_t)id | over;
	wanted = where == BAD ? -EFAULT : handle ? 0 : -EINVAL;
	say("FREE%s client %d handle %d%s%s", wide ? " (wide)" : "",
	    number_of(client), id, over ? " and more" : "", places[where]);
	agree(request(client->fd, wide ? WIDE(1, uint64_t) : ION_IOC_FREE,
		      place(&data, sizeof(data), where)), wanted);
	if (!wanted && !--handle->users)
		put(handle->buffer);
	return true;
}

/* A request of both widths: its answer, with what it filled in. */
static long ask(struct client *client, int nr, bool wide,
		struct pointer_fd_data *data, enum where where)
{
	struct ion_fd_data narrow = { .handle = data->handle, .fd = data->fd };
	long ret;

	if (wide) {
		ret = request(client->fd, WIDE(nr, struct pointer_fd_data),
			      place(data, sizeof(*data), where));
		if (where == GOOD)
			take_back(data, sizeof(*data));
		return ret;
	}
	ret = request(client->fd, WIDE(nr, struct ion_fd_data),
		      place(&narrow, sizeof(narrow), where));
	if (where == GOOD)
		take_back(&narrow, sizeof(narrow));
	data->handle = narrow.handle;
	data->fd = narrow.fd;
	return ret;
}

bool do_share(void)
{
	struct client *client = any(m.clients, fd);
	bool map = one_in(2), wide = one_in(2), out;
	enum where where = somewhere();
	struct pointer_fd_data data = { .fd = -7 };
	struct handle *handle;
	long wanted, came;
	uint64_t over;
	int id;

	if (!client || !room(m.descriptors, buffer))
		return false;
	id = any_id(client);
	over = upper(wide);
	handle = over ? NULL : handle_of(client, id);
	data.handle = (uint32_t)id | over;
	say("%s%s client %d handle %d%s%s", map ? "MAP" : "SHARE",
	    wide ? " (wide)" : "", number_of(client), id,
	    over ? " and more" : "", places[where]);
	out = run_out();
	wanted = where == BAD ? -EFAULT : !handle ? -EINVAL :
		 out ? -EMFILE : where == READONLY ? -EFAULT : 0;
	came = ask(client, map ? 2 : 4, wide, &data, where);
	run_in(out);
	agree(came, wanted);
	if (wanted)
		return true;
	if (data.handle != (uint64_t)id)
		wrong("its answer has another handle");
	hold(handle->buffer);
	new_descriptor(handle->buffer, data.fd);
	return true;
}

bool do_import(void)
{
	struct client *client = any(m.clients, fd);
	enum where where = somewhere();
	struct pointer_fd_data data = {};
	bool wide = one_in(2);
	struct handle *handle;
	struct buffer *buffer;
	long wanted;

	if (!client || !room(client->handles, users))
		return false;
	say("IMPORT%s client %d%s", wide ? " (wide)" : "", number_of(client),
	    places[where]);
	buffer = any_named(&data.fd, &wanted);
	handle = buffer ? handle_for(client, buffer) : NULL;
	if (!wanted && !handle && where != BAD)
		client->last++;
	if (where == BAD || (!wanted && where == READONLY))
		wanted = -EFAULT;
	agree(ask(client, 5, wide, &data, where), wanted);
	if (wanted)
		return true;
	if (!handle) {
		hold(buffer);
		new_handle(client, buffer, data.handle);
		return true;
	}
	handle->users++;
	if (data.handle != (uint64_t)handle->id)
		wrong("expected handle %d, came %d", handle->id,
		      (int)data.handle);
	return true;
}

bool do_sync(void)
{
	struct client *client = any(m.clients, fd);
	enum where where = one_in(48) ? BAD : GOOD;
	struct pointer_fd_data data = { .handle = random64() };
	bool wide = one_in(2);
	long wanted;

	if (!client)
		return false;
	say("SYNC%s", wide ? " (wide)" : "");
	any_named(&data.fd, &wanted);
	say("%s", places[where]);
	agree(ask(client, 7, wide, &data, where),
	      where == BAD ? -EFAULT : wanted);
	return true;
}

bool do_sync_range(void)
{
	struct client *client = any(m.clients, fd);
	enum where where = somewhere();
	struct ion_sync_range_data data = { .flags = rnd(8) };
	struct buffer *buffer;
	uint64_t offset, len;
	long wanted;

	if (!client)
		return false;
	if (one_in(16))
		data.flags = random64();
	say("SYNC_RANGE");
	buffer = any_named(&data.fd, &wanted);
	any_range(buffer ? buffer->size : PAGE, &offset, &len);
	data.offset = offset;
	data.len = len;
	say(" offset %#llx len %#llx flags %#x%s", (unsigned long long)offset,
	    (unsigned long long)len, data.flags, places[where]);
	if (data.flags & ~7U || !(data.flags & DMA_BUF_SYNC_RW))
		wanted = -EINVAL;
	else if (buffer && (!len || offset > buffer->size ||
			    len > buffer->size - offset))
		wanted = -EINVAL;
	agree(request(client->fd, ION_IOC_SYNC_RANGE,
		      place(&data, sizeof(data), where)),
	      where == BAD ? -EFAULT : wanted);
	return true;
}

/* ---- what there is to know */

static void check_heaps(const struct ion_heap_data *came, unsigned int cnt)
{
	struct ion_heap_data none = {};
	unsigned int n = 0;

	for (unsigned int id = 0; id < ION_NUM_HEAP_IDS && n < cnt; id++) {
		if (!m.heaps[id].lives)
			continue;
		if (came[n].heap_id != id ||
		    strcmp(came[n].name, m.heaps[id].name) ||
		    memcmp(&came[n].reserved0, &none.reserved0, 12))
			wrong("entry %u is not heap %u, %s", n, id,
			      m.heaps[id].name);
		n++;
	}
}

bool do_query(void)
{
	struct client *client = any(m.clients, fd);
	struct ion_heap_data heaps[ION_NUM_HEAP_IDS + 1];
	struct ion_heap_query query = {};
	enum where where = somewhere();
	unsigned int living = 0;
	uint32_t version = 2;
	long wanted = 0;

	if (!client)
		return false;
	if (one_in(8)) {
		say("ABI_VERSION");
		agree(request(client->fd, ION_IOC_ABI_VERSION,
			      place(&version, sizeof(version), where)),
		      where == GOOD ? 0 : -EFAULT);
		take_back(&version, sizeof(version));
		if (where == GOOD && version != 2)
			wrong("expected version 2, came %u", version);
		return true;
	}
	for (unsigned int id = 0; id < ION_NUM_HEAP_IDS; id++)
		living += m.heaps[id].lives;
	query.cnt = one_in(4) ? random64() : rnd(12);
	if (!one_in(4))
		query.heaps = one_in(24) ? 8 : (uintptr_t)heaps;
	if (one_in(24))
		query.reserved0 = 1;
	if (one_in(24))
		query.reserved2 = 1;
	say("HEAP_QUERY cnt %u heaps %s reserved %u %u%s", query.cnt,
	    query.heaps ? query.heaps == 8 ? "bad" : "good" : "0",
	    query.reserved0, query.reserved2, places[where]);
	if (query.reserved0 || query.reserved2 || (query.heaps && !query.cnt))
		wanted = -EINVAL;
	else if (query.heaps == 8 || where == READONLY)
		wanted = -EFAULT;
	if (where == BAD)
		wanted = -EFAULT;
	if (query.heaps && query.cnt < living)
		living = query.cnt;
	agree(request(client->fd, ION_IOC_HEAP_QUERY,
		      place(&query, sizeof(query), where)), wanted);
	if (wanted)
		return true;
	take_back(&query, sizeof(query));
	if (query.cnt != living)
		wrong("expected %u heaps, came %u", living, query.cnt);
	if (query.heaps)
		check_heaps(heaps, living);
	return true;
}

/* Requests that nobody knows, to whom they are not. */
bool do_strange(void)
{
	struct client *client = any(m.clients, fd);
	struct descriptor *descriptor = any(m.descriptors, buffer);
	struct node *node = any(m.nodes, fd);
	struct ion_custom_data custom = { .cmd = random64() };
	unsigned long cmd = _IOC(rnd(4), 'I', 11 + rnd(200), rnd(64));
	int fd = -1;

	switch (rnd(5)) {
	case 0:
		fd = client ? client->fd : fd;
		cmd = ION_IOC_CUSTOM;
		break;
	case 1:
		fd = client ? client->fd : fd;
		break;
	case 2:
		fd = descriptor ? descriptor->fd : fd;
		break;
	case 3:
		fd = node && node->heap != FOREIGN ? node->fd : fd;
		break;
	case 4:
		fd = m.vion.fd ?: fd;
	}
	if (fd < 0)
		return false;
	say("request %#lx to descriptor %d", cmd, fd);
	agree(request(fd, cmd, place(&custom, sizeof(custom), GOOD)), -ENOTTY);
	return true;
}

/* ---- dma-heap nodes */

void close_node(struct node *node)
{
	agree(sys(close(node->fd)), 0);
	node->fd = 0;
}

bool do_node(void)
{
	struct node *node = room(m.nodes, fd);
	unsigned int id = rnd(16);
	char path[128];
	long came;

	if (!node) {
		node = any(m.nodes, fd);
		say("close the node of heap %u", node->heap);
		close_node(node);
		return true;
	}
	if (one_in(8))
		id = FOREIGN;
	else if (one_in(2))
		id = index_of(m.heaps, any(m.heaps, lives));
	if (id == FOREIGN)
		snprintf(path, sizeof(path), "/dev/dma_heap/system");
	else
		snprintf(path, sizeof(path), "/dev/dma_heap/ion_%s",
			 m.heaps[id].lives ? m.heaps[id].node : "none");
	say("open %s", path);
	came = sys(open(path, O_RDWR | O_CLOEXEC));
	if (came > 0) {
		node->fd = came;
		node->heap = id;
		node->account = ++m.accounts;
		came = 0;
	}
	agree(came, id == FOREIGN || m.heaps[id].lives ? 0 : -ENOENT);
	return true;
}

bool do_node_alloc(void)
{
	struct dma_heap_allocation_data data = { .fd_flags = rnd(3) };
	struct node *node = any(m.nodes, fd);
	enum where where = somewhere();
	struct buffer made;
	struct want want;
	long wanted;

	if (!node || !room(m.buffers, refs) || !room(m.descriptors, buffer))
		return false;
	want = any_want(node->account);
	want.align = 0;
	want.flags = ION_FLAG_CACHED;
	want.mask = 1U << (node->heap % ION_NUM_HEAP_IDS);
	if (node->heap == FOREIGN)
		want.len = 1 + want.len % (16 * PAGE);
	data.len = want.len;
	if (!one_in(8))
		data.fd_flags = O_RDWR;
	data.fd_flags |= O_CLOEXEC;
	if (one_in(24))
		data.fd_flags |= O_APPEND;
	if (one_in(24))
		data.fd = 1;
	if (one_in(24))
		data.heap_flags = 1;
	say("DMA_HEAP_ALLOC heap %u len %#llx fd %u flags %#x %#llx%s",
	    node->heap, data.len, data.fd, data.fd_flags, data.heap_flags,
	    places[where]);
	if (where == BAD) {
		wanted = -EFAULT;
	} else if (data.fd || data.heap_flags || data.fd_flags & O_APPEND) {
		wanted = -EINVAL;
	} else if (node->heap == FOREIGN) {
		made = (struct buffer) {
			.heap = FOREIGN, .size = page_up(want.len),
		};
		wanted = 0;
	} else {
		wanted = predict(&want, &made);
	}
	/* The kernel's own loses a descriptor if it cannot answer. */
	if (node->heap == FOREIGN && where == READONLY)
		return false;
	if (!ask_for_descriptor(node->fd, DMA_HEAP_IOCTL_ALLOC, &data,
				sizeof(data), where, wanted))
		return true;
	made.mode = data.fd_flags & O_ACCMODE;
	new_descriptor(get_buffer(&made), data.fd);
	return true;
}

/* ---- heaps of a module */

static const char *node_of(const char *name, const char *node)
{
	return *node ? node : name;
}

/* The id that the heap gets, or why it gets none. */
static long predict_id(const struct slot *slot)
{
	const char *node = node_of(slot->name, slot->node);

	if (slot->answer)
		return slot->answer;
	for (unsigned int id = 0; id < ION_NUM_HEAP_IDS; id++)
		if (m.heaps[id].lives &&
		    (!strcmp(m.heaps[id].name, slot->name) ||
		     !strcmp(m.heaps[id].node, node)))
			return -EEXIST;
	if (!m.heaps[slot->type].lives)
		return slot->type;
	for (unsigned int id = ION_HEAP_TYPE_CUSTOM + 1; id < ION_NUM_HEAP_IDS;
	     id++)
		if (!m.heaps[id].lives)
			return id;
	return -ENOSPC;
}

static long control(unsigned long cmd, struct heap_test_data *data)
{
	int fd = expect_ok(sys(open("/dev/ion_heap_test",
				    O_RDONLY | O_CLOEXEC)));
	long ret = request(fd, cmd, data);

	close(fd);
	return ret;
}

/* A heap as it might be, good or bad. */
static void any_heap(struct slot *slot, struct heap_test_data *data)
{
	static const char * const names[] = { "a", "b.c", "tiles", "d_e-f",
					      "", "g/h", ".i" };
	const char *name = names[rnd(one_in(3) ? COUNT(names) : 2)];

	memset(slot, 0, sizeof(*slot));
	slot->tried = true;
	slot->type = one_in(12) ? 6 + rnd(2) : rnd(6);
	snprintf(slot->name, sizeof(slot->name), "%s", name);
	if (one_in(4))
		snprintf(slot->node, sizeof(slot->node), "%s",
			 one_in(8) ? "dma" : "j");
	if (one_in(16))
		data->what |= HEAP_TEST_NO_NAME;
	if (one_in(24))
		data->what |= HEAP_TEST_NO_OPS;
	if (one_in(24))
		data->what |= HEAP_TEST_NO_OWNER;
	if (data->what || !*name || strchr(name, '/') || *name == '.' ||
	    slot->type > ION_HEAP_TYPE_CUSTOM)
		slot->answer = -EINVAL;
}

bool do_heap_add(void)
{
	unsigned int number = rnd(SLOTS);
	struct slot *slot = &m.slots[number];
	struct heap_test_data data = { .slot = number };
	struct heap *heap;
	long wanted;

	/* One that lives must not be written over. */
	if (slot->lives || (slot->tried && one_in(4)))
		data.what = HEAP_TEST_AS_IT_IS;
	else
		any_heap(slot, &data);
	data.type = slot->type;
	snprintf(data.name, sizeof(data.name), "%s", slot->name);
	snprintf(data.node, sizeof(data.node), "%s", slot->node);
	say("add heap of slot %u type %u name '%s' node '%s' %#x", number,
	    slot->type, slot->name, slot->node, data.what);
	wanted = predict_id(slot);
	agree(control(HEAP_TEST_ADD, &data), wanted < 0 ? wanted : 0);
	if (wanted < 0)
		return true;
	if (data.id != wanted)
		wrong("expected id %ld, came %u", wanted, data.id);
	slot->lives = true;
	slot->id = wanted;
	heap = &m.heaps[wanted];
	heap->lives = true;
	heap->kind = MODULE_KIND;
	snprintf(heap->name, sizeof(heap->name), "%s", slot->name);
	snprintf(heap->node, sizeof(heap->node), "%s", node_of(slot->name, slot->node));
	return true;
}

static bool in_use(unsigned int heap)
{
	for (size_t i = 0; i < COUNT(m.buffers); i++)
		if (m.buffers[i].refs && m.buffers[i].heap == heap)
			return true;
	for (size_t i = 0; i < COUNT(m.nodes); i++)
		if (m.nodes[i].fd && m.nodes[i].heap == heap)
			return true;
	return false;
}

bool do_heap_remove(void)
{
	unsigned int number = rnd(SLOTS);
	struct slot *slot = &m.slots[number];
	struct heap_test_data data = { .slot = number };
	long wanted;

	say("remove heap of slot %u", number);
	wanted = !slot->lives ? -ENODEV : in_use(slot->id) ? -EBUSY : 0;
	agree(control(HEAP_TEST_REMOVE, &data), wanted);
	if (!wanted) {
		slot->lives = false;
		m.heaps[slot->id].lives = false;
	}
	return true;
}

/* The module cannot go while anything of it is in use; else it comes back. */
bool do_reload(void)
{
	long wanted = 0;

	for (size_t i = 0; i < SLOTS; i++)
		if (m.slots[i].lives && in_use(m.slots[i].id))
			wanted = -EWOULDBLOCK;
	say("unload heap_test");
	agree(unload("heap_test"), wanted);
	if (wanted)
		return true;
	for (size_t i = 0; i < SLOTS; i++)
		if (m.slots[i].lives)
			m.heaps[m.slots[i].id].lives = false;
	agree(load_with("tests/kernel/heap_test", ""), 0);
	module_is_new();
	return true;
}

/* ---- limits */

bool do_limit(void)
{
	bool of_file = one_in(2);
	const char *name = of_file ? "file_limit" : "limit";
	char path[64], value[32] = "0";
	size_t bytes = 0;
	int fd;
	bool bad = one_in(8);

	if (one_in(3)) {
		bytes = held_by_all() / (1 + rnd(4)) + rnd(64) * PAGE;
		snprintf(value, sizeof(value), "%zu", bytes);
	}
	if (bad)
		snprintf(value, sizeof(value), "%s", one_in(2) ? "-1" : "12x");
	snprintf(path, sizeof(path), "/sys/module/ion/parameters/%s", name);
	say("%s %s", name, value);
	fd = expect_ok(sys(open(path, O_WRONLY | O_CLOEXEC)));
	agree(sys(write(fd, value, strlen(value))),
	      bad ? -EINVAL : (long)strlen(value));
	close(fd);
	if (!bad)
		*(of_file ? &m.file_limit : &m.limit) = bytes;
	return true;
}

/* ---- pools */

/* What the thread that clears has in hand comes to it soon, and is trimmed. */
static void expect_pooled(size_t most)
{
	size_t came = pooled_soon(most);

	if (came > most)
		wrong("expected %zu bytes in the pools at most, came %zu", most,
		      came);
}

bool do_pool_size(void)
{
	size_t bytes = one_in(3) ? 0 : one_in(2) ? rnd(64) * PAGE + rnd(3) :
			rnd(32) * MiB;
	bool bad = one_in(8);
	char value[32];

	snprintf(value, sizeof(value), "%zu", bytes);
	if (bad)
		snprintf(value, sizeof(value), "%s", one_in(2) ? "-1" : "12x");
	say("pool_size %s", value);
	agree(set_pool_size(value), bad ? -EINVAL : 0);
	if (!bad)
		m.pool_size = bytes;
	expect_pooled(2 * m.pool_size);
	return true;
}

bool do_drop_caches(void)
{
	say("drop_caches");
	agree(shrink_pools(), 0);
	return true;
}
