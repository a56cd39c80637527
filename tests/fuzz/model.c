// SPDX-License-Identifier: MIT
/* What there is, and what a heap has room for. */
#include <sys/resource.h>

#include "model.h"

#define LARGEST_BLOCK (4 * MiB)
#define MOST_LIVE (64 * MiB)

/* As tests/run sets them aside. */
#define REGION (16 * MiB)
#define CHUNK (64 * KiB)

struct model m;
struct progress *progress;
unsigned char *scratch;

static uint64_t state;
static unsigned char *argument, *readonly;
static bool taken[REGION / PAGE];

uint64_t random64(void)
{
	uint64_t x = state += 0x9e3779b97f4a7c15;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

void seed_operation(uint64_t seed, uint64_t number)
{
	state = seed;
	state = random64() + number;
	state = random64();
}

unsigned int rnd(unsigned int below)
{
	return (random64() >> 32) % below;
}

void say(const char *format, ...)
{
	size_t len = strlen(progress->said);
	va_list args;

	va_start(args, format);
	vsnprintf(progress->said + len, sizeof(progress->said) - len, format,
		  args);
	va_end(args);
}

void wrong(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(progress->wrong, sizeof(progress->wrong), format, args);
	va_end(args);
	progress->failed = true;
	_exit(1);
}

void agree(long long came, long long wanted)
{
	char a[32], b[32];

	progress->asked++;
	progress->granted += wanted >= 0;
	say(" -> %s", answer(came, a, sizeof(a)));
	if (came != wanted)
		wrong("expected %s, came %s", answer(wanted, b, sizeof(b)), a);
}

/* ---- arguments */

enum where somewhere(void)
{
	return one_in(32) ? READONLY : one_in(48) ? BAD : GOOD;
}

void *place(const void *data, size_t size, enum where where)
{
	if (where == BAD)
		return (void *)8;
	memcpy(argument, data, size);
	return where == READONLY ? readonly : argument;
}

void take_back(void *data, size_t size)
{
	memcpy(data, argument, size);
}

static void let_open(rlim_t most)
{
	struct rlimit limit = { .rlim_cur = most, .rlim_max = 1024 };

	expect(sys(setrlimit(RLIMIT_NOFILE, &limit)), 0);
}

bool run_out(void)
{
	bool out = one_in(40);

	if (out)
		let_open(0);
	return out;
}

void run_in(bool out)
{
	if (out)
		let_open(1024);
}

/* ---- buffers */

size_t held(unsigned int account)
{
	size_t bytes = 0;

	for (size_t i = 0; i < COUNT(m.buffers); i++)
		if (m.buffers[i].refs && m.buffers[i].account == account)
			bytes += m.buffers[i].charge;
	return bytes;
}

size_t held_by_all(void)
{
	size_t bytes = 0;

	for (size_t i = 0; i < COUNT(m.buffers); i++)
		if (m.buffers[i].refs)
			bytes += m.buffers[i].charge;
	return bytes;
}

static size_t held_of(enum kind kind)
{
	size_t bytes = 0;

	for (size_t i = 0; i < COUNT(m.buffers); i++)
		if (m.buffers[i].refs &&
		    m.heaps[m.buffers[i].heap].kind == kind)
			bytes += m.buffers[i].charge;
	return bytes;
}

static bool within(size_t most, size_t bytes, size_t more)
{
	return !most || (bytes <= most && more <= most - bytes);
}

/* Where in the region the first room is, or -ENOMEM. */
static long first_fit(size_t pages, size_t align)
{
	size_t i, n;

	for (i = 0; i + pages <= COUNT(taken); i += align) {
		for (n = 0; n < pages && !taken[i + n]; n++)
			;
		if (n == pages)
			return i;
	}
	return -ENOMEM;
}

static size_t charge_of(enum kind kind, size_t size, size_t align)
{
	switch (kind) {
	case CONTIG_KIND:
	case DMA_KIND:
		return align > LARGEST_BLOCK || size > align ? size : align;
	case CHUNK_KIND:
		return (size + CHUNK - 1) & ~(CHUNK - 1);
	default:
		return size;
	}
}

static long predict_one(enum kind kind, size_t align, struct buffer *out)
{
	bool set_aside = kind == CARVEOUT_KIND || kind == CHUNK_KIND;
	size_t size = out->size;
	long at;

	/* Either less than this or far above half of RAM. */
	if (size > 64 * MiB && !set_aside)
		return -ENOMEM;
	out->charge = charge_of(kind, size, align);
	if (!within(m.file_limit, held(out->account), out->charge) ||
	    !within(m.limit, held_by_all(), out->charge))
		return -ENOMEM;

	switch (kind) {
	case SYSTEM_KIND:
		return align > PAGE ? -EINVAL : 0;
	case CONTIG_KIND:
		if (align > LARGEST_BLOCK)
			return -EINVAL;
		return size > LARGEST_BLOCK ? -ENOMEM : 0;
	case CARVEOUT_KIND:
		if (align > REGION)
			return -EINVAL;
		at = size > REGION ? -ENOMEM :
				     first_fit(size / PAGE, align / PAGE);
		out->at = at;
		return at < 0 ? at : 0;
	case CHUNK_KIND:
		if (align > CHUNK)
			return -EINVAL;
		return size > REGION || held_of(kind) + out->charge > REGION ?
			       -ENOMEM : 0;
	case DMA_KIND:
		return align > LARGEST_BLOCK ? -EINVAL : 0;
	case MODULE_KIND:
		if (align > PAGE)
			return -EINVAL;
		return size > 1024 * PAGE ? -ENOMEM : 0;
	}
	return 0;
}

/* What the allocation answers and, if that is 0, the buffer that it makes. */
long predict(const struct want *want, struct buffer *out)
{
	size_t align = want->align > PAGE ? want->align : PAGE;
	long ret = -ENODEV, one;

	memset(out, 0, sizeof(*out));
	out->size = page_up(want->len);
	out->flags = want->flags;
	out->account = want->account;
	out->mode = O_RDWR;
	if (!want->len || out->size < want->len ||
	    want->align & (want->align - 1))
		return -EINVAL;

	for (int id = ION_NUM_HEAP_IDS - 1; id >= 0; id--) {
		if (!(want->mask & 1U << id) || !m.heaps[id].lives)
			continue;
		out->heap = id;
		one = predict_one(m.heaps[id].kind, align, out);
		if (!one)
			return 0;
		if (ret != -ENOMEM)
			ret = one;
	}
	return ret;
}

static uint64_t any_len(void)
{
	static const uint64_t strange[] = {
		0, UINT64_MAX, UINT64_MAX - PAGE, UINT64_MAX - 2 * PAGE,
		1ULL << 63, 1ULL << 40,
	};

	if (one_in(24))
		return strange[rnd(COUNT(strange))];
	if (one_in(200) && held_by_all() < MOST_LIVE)
		return 1 + rnd(6 * MiB);
	return 1 + (one_in(8) ? rnd(64 * PAGE) : rnd(4 * PAGE));
}

static unsigned int any_mask(void)
{
	switch (rnd(16)) {
	case 0:
		return random64();
	case 1:
		return 1U << rnd(32);
	case 2:
		return 0;
	case 3:
		return ~0U;
	}
	return 1U << index_of(m.heaps, any(m.heaps, lives));
}

struct want any_want(unsigned int account)
{
	static const uint64_t strange[] = {
		3, 1, PAGE + 1, 8 * MiB, 32 * MiB, 1ULL << 63, UINT64_MAX,
	};
	struct want want = {
		.len = any_len(), .mask = any_mask(), .account = account,
		.flags = one_in(16) ? random64() : rnd(4),
	};

	/* What no heap of a mask can align is a short story. */
	if (one_in(24))
		want.align = strange[rnd(COUNT(strange))];
	else if (one_in(3))
		want.align = PAGE << (one_in(3) ? rnd(7) : 0);
	return want;
}

/* One that has come to be, with one reference. */
struct buffer *get_buffer(const struct buffer *as)
{
	struct buffer *buffer = room(m.buffers, refs);

	*buffer = *as;
	buffer->refs = 1;
	buffer->content = calloc(1, buffer->size);
	if (buffer->heap != FOREIGN &&
	    m.heaps[buffer->heap].kind == CARVEOUT_KIND)
		memset(taken + buffer->at, true, buffer->size / PAGE);
	return buffer;
}

void hold(struct buffer *buffer)
{
	buffer->refs++;
}

void put(struct buffer *buffer)
{
	if (!buffer || --buffer->refs)
		return;
	if (buffer->heap != FOREIGN &&
	    m.heaps[buffer->heap].kind == CARVEOUT_KIND)
		memset(taken + buffer->at, false, buffer->size / PAGE);
	free(buffer->content);
}

/* ---- descriptors */

/* A new one holds the buffer, unless that is new, too, and so held already. */
void new_descriptor(struct buffer *buffer, int fd)
{
	struct descriptor *descriptor = room(m.descriptors, buffer);
	ino_t ino = inode_of(fd);

	for (size_t i = 0; i < COUNT(m.descriptors); i++)
		if (m.descriptors[i].buffer && m.descriptors[i].fd == fd)
			wrong("descriptor %d is another's", fd);
	if (!buffer->ino)
		buffer->ino = ino;
	if (buffer->ino != ino)
		wrong("descriptor %d: another buffer than expected", fd);
	descriptor->buffer = buffer;
	descriptor->fd = fd;
	say(" descriptor %d of buffer %d", index_of(m.descriptors, descriptor),
	    index_of(m.buffers, buffer));
}

void drop_descriptor(struct descriptor *descriptor)
{
	struct buffer *buffer = descriptor->buffer;

	descriptor->buffer = NULL;
	agree(sys(close(descriptor->fd)), 0);
	put(buffer);
}

struct buffer *any_named(int *fd, long *answer)
{
	struct descriptor *descriptor = any(m.descriptors, buffer);

	*answer = 0;
	if (descriptor && !one_in(20)) {
		*fd = descriptor->fd;
		say(" fd %d", index_of(m.descriptors, descriptor));
		return descriptor->buffer;
	}
	switch (rnd(4)) {
	case 0:
		*fd = -1 - rnd(2);
		*answer = -EBADF;
		break;
	case 1:
		*fd = 1023;
		*answer = -EBADF;
		break;
	default:
		*fd = 2;
		*answer = -EINVAL;
	}
	say(" fd that is none");
	return NULL;
}

/* ---- content */

void any_range(size_t size, uint64_t *offset, uint64_t *len)
{
	static const uint64_t strange[] = {
		0, 1, PAGE, UINT64_MAX, UINT64_MAX - PAGE + 1, 1ULL << 63,
		(1ULL << 63) - 1, 1ULL << 32,
	};

	*offset = rnd(size);
	*len = 1 + rnd(size - *offset < 2 * PAGE ? size - *offset : 2 * PAGE);
	if (one_in(16))
		*offset = one_in(2) ? size + rnd(2) :
				      strange[rnd(COUNT(strange))];
	if (one_in(16))
		*len = one_in(2) ? size - *offset + rnd(2) :
				   strange[rnd(COUNT(strange))];
}

void check_content(const struct buffer *buffer, size_t offset,
		   const void *data, size_t len)
{
	const unsigned char *wanted = buffer->content + offset, *came = data;

	if (!memcmp(wanted, came, len))
		return;
	while (*wanted == *came)
		wanted++, came++, offset++;
	wrong("buffer %d, byte %#zx: expected %#x, came %#x",
	      index_of(m.buffers, buffer), offset, *wanted, *came);
}

/* In scratch memory: never zero, since that is what fresh memory is. */
unsigned char *new_content(size_t len)
{
	unsigned int seed = random64();

	for (size_t i = 0; i < len; i++)
		scratch[i] = pattern(i, seed) | 1;
	return scratch;
}

/* ---- a run */

static void a_heap(unsigned int id, enum kind kind, const char *name,
		   const char *node)
{
	struct heap *heap = &m.heaps[id];

	heap->lives = true;
	heap->kind = kind;
	snprintf(heap->name, sizeof(heap->name), "%s", name);
	snprintf(heap->node, sizeof(heap->node), "%s", node);
}

/* One heap is there from the start. */
void module_is_new(void)
{
	memset(m.slots, 0, sizeof(m.slots));
	m.slots[0] = (struct slot) {
		.tried = true, .lives = true, .type = ION_HEAP_TYPE_CUSTOM,
		.id = ION_HEAP_TYPE_CUSTOM, .name = "custom",
	};
	a_heap(ION_HEAP_TYPE_CUSTOM, MODULE_KIND, "custom", "custom");
}

void begin_model(void)
{
	int fd = expect_ok(sys(memfd_create("arguments", MFD_CLOEXEC)));

	expect(sys(ftruncate(fd, PAGE)), 0);
	argument = map(fd, PAGE);
	readonly = map_at(fd, PAGE, PROT_READ, 0);
	close(fd);
	scratch = malloc(SCRATCH);

	a_heap(ION_HEAP_TYPE_SYSTEM, SYSTEM_KIND, "ion_system_heap", "system");
	a_heap(ION_HEAP_TYPE_SYSTEM_CONTIG, CONTIG_KIND,
	       "ion_system_contig_heap", "system_contig");
	a_heap(ION_HEAP_TYPE_CARVEOUT, CARVEOUT_KIND, "frames", "frames");
	a_heap(ION_HEAP_TYPE_CHUNK, CHUNK_KIND, "tiles", "tiles");
	a_heap(ION_HEAP_TYPE_DMA, DMA_KIND, "linux,cma", "dma");
	module_is_new();
	m.pool_size = POOL_SIZE;
	let_open(1024);
	open_sockets();
}

/* All that is held is given back, in order of what it is. */
void end_model(void)
{
	for (size_t i = 0; i < COUNT(m.clients); i++)
		if (m.clients[i].fd)
			close_client(&m.clients[i]);
	for (size_t i = 0; i < COUNT(m.nodes); i++)
		if (m.nodes[i].fd)
			close_node(&m.nodes[i]);
	for (size_t i = 0; i < COUNT(m.mappings); i++)
		if (m.mappings[i].buffer)
			drop_mapping(&m.mappings[i]);
	for (size_t i = 0; i < COUNT(m.importers); i++)
		if (m.importers[i].fd)
			close_driver(&m.importers[i]);
	if (m.vion.fd)
		close_driver(&m.vion);
	close_sockets();
	for (size_t i = 0; i < COUNT(m.descriptors); i++)
		if (m.descriptors[i].buffer)
			drop_descriptor(&m.descriptors[i]);
	if (any(m.buffers, refs))
		wrong("the model itself leaks buffers");
	progress->said[0] = '\0';
	say("all is given back");
	do_totals();
}
