// SPDX-License-Identifier: MIT
/*
 * Every request with every one of its allocations and user copies failing, one
 * after another: on a kernel with fault injection. Run from the top of the
 * source tree.
 */
#include <dirent.h>
#include <limits.h>
#include <linux/dma-heap.h>
#include <linux/ion_test.h>

#include "jobs.h"
#include "kernel/heap_test.h"
#include "load.h"
#include "pool.h"

#define DEBUGFS "/sys/kernel/debug/"
#define SIZE (3 * PAGE)
#define TILE (64 * KiB)
#define CUSTOM (1U << ION_HEAP_TYPE_CUSTOM)
/* More than a page's worth of entries of an sg_table, one a page. */
#define CHAINED (130 * PAGE)

static unsigned long injected;

/* ---- what fails, and where */

enum attr { SLAB, PAGES, COPIES, ATTRS };

static const char *const attrs[] = {
	[SLAB] = "failslab", [PAGES] = "fail_page_alloc",
	[COPIES] = "fail_usercopy",
};

/**
 * enum failing - how a walk fails
 * @ONE_ALLOC: the nth allocation
 * @ONE_COPY: the nth user copy
 * @NO_SLAB: all objects from some byte on
 * @NO_PAGES: all pages from the nth on
 */
enum failing { ONE_ALLOC, ONE_COPY, NO_SLAB, NO_PAGES };

static const struct {
	const char *what;
	bool fails[ATTRS];
	int stride;
} modes[] = {
	[ONE_ALLOC] = { "allocation", { true, true }, 1 },
	[ONE_COPY] = { "user copy", { [COPIES] = true }, 1 },
	[NO_SLAB] = { "all objects from byte", { [SLAB] = true }, 192 },
	[NO_PAGES] = { "all pages from", { [PAGES] = true }, 1 },
};

struct range {
	unsigned long start, end;
};

static const struct range nowhere = { 1, 1 };
static struct range our_text;
/*
 * What the kernel cannot bear: it warns of an exporter that fails to map, and it
 * gives up its DMA debugging.
 */
static struct range dma_buf_vmap, add_dma_entry;
static int fail_nth, make_it_fail, spaces[ATTRS], times[ATTRS];

static int open_file(const char *dir, const char *name, int flags)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return expect_ok(sys(open(path, flags | O_CLOEXEC)));
}

static void put_number(int fd, unsigned long number)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%lu", number);

	expect(sys(write(fd, text, len)), len);
}

static unsigned long get_number(const char *dir, const char *name)
{
	int fd = open_file(dir, name, O_RDONLY);
	char text[32] = "";

	expect_ok(sys(read(fd, text, sizeof(text) - 1)));
	close(fd);
	return strtoul(text, NULL, 0);
}

static void set_attr(enum attr attr, const char *name, const char *value)
{
	char dir[64];
	int fd;

	snprintf(dir, sizeof(dir), DEBUGFS "%s", attrs[attr]);
	fd = open_file(dir, name, O_WRONLY);
	expect(sys(write(fd, value, strlen(value))), strlen(value));
	close(fd);
}

static void set_attr_range(enum attr attr, const char *which,
			   struct range range)
{
	const unsigned long values[] = { range.start, range.end };
	static const char *const ends[] = { "start", "end" };
	char name[32], value[32];

	for (int i = 0; i < 2; i++) {
		snprintf(name, sizeof(name), "%s-%s", which, ends[i]);
		snprintf(value, sizeof(value), "%#lx", values[i]);
		set_attr(attr, name, value);
	}
}

/* Only what is called, however far down, from there. */
static void aim(enum failing mode, struct range range, struct range spared)
{
	for (int i = 0; i < ATTRS; i++) {
		set_attr_range(i, "require",
			       modes[mode].fails[i] ? range : nowhere);
		set_attr_range(i, "reject", spared);
	}
}

/*
 * All objects but one kind: the kernel keeps one such in reserve, and warns when
 * it has neither that nor another.
 */
static void mark_objects(void)
{
	static const char slab[] = "/sys/kernel/slab";
	DIR *dir = opendir(slab);
	struct dirent *entry;
	char path[512];
	int fd;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.' ||
		    !strcmp(entry->d_name, "vmap_area"))
			continue;
		snprintf(path, sizeof(path), "%s/%s", slab, entry->d_name);
		fd = open_file(path, "failslab", O_WRONLY);
		expect(sys(write(fd, "1", 1)), 1);
		close(fd);
	}
	closedir(dir);
	set_attr(SLAB, "cache-filter", "Y");
}

/* By default nothing that may wait is made to fail, nor a single page. */
static void prepare_attrs(void)
{
	for (int i = 0; i < ATTRS; i++) {
		char dir[64];

		snprintf(dir, sizeof(dir), DEBUGFS "%s", attrs[i]);
		set_attr(i, "verbose", "0");
		set_attr(i, "task-filter", "Y");
		set_attr(i, "probability", "100");
		set_attr(i, "stacktrace-depth", "32");
		if (i != COPIES)
			set_attr(i, "ignore-gfp-wait", "N");
		spaces[i] = open_file(dir, "space", O_WRONLY);
		times[i] = open_file(dir, "times", O_WRONLY);
	}
	set_attr(PAGES, "ignore-gfp-highmem", "N");
	set_attr(PAGES, "min-order", "0");
	mark_objects();
}

#define MOST 1000000

static void arm(enum failing mode, int n)
{
	enum attr attr = mode == NO_SLAB ? SLAB : PAGES;

	if (mode == ONE_ALLOC || mode == ONE_COPY) {
		put_number(fail_nth, n);
		return;
	}
	put_number(times[attr], MOST);
	put_number(spaces[attr], n);
	put_number(make_it_fail, 1);
}

/* Whether anything was made to fail. */
static bool disarm(enum failing mode)
{
	bool hit;

	if (mode == ONE_ALLOC || mode == ONE_COPY) {
		hit = !get_number("/proc/thread-self", "fail-nth");
		put_number(fail_nth, 0);
	} else {
		put_number(make_it_fail, 0);
		hit = get_number(mode == NO_SLAB ? DEBUGFS "failslab" :
				 DEBUGFS "fail_page_alloc", "times") != MOST;
	}
	injected += hit;
	return hit;
}

/* Where our modules' functions are, and what lies between. */
static struct range find_our_text(void)
{
	struct range range = { ULONG_MAX, 0 };
	FILE *file = fopen("/proc/kallsyms", "r");
	char line[512], type, module[64];
	unsigned long addr;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx %c %*s %63s", &addr, &type,
			   module) != 3 || (type != 't' && type != 'T') ||
		    (strcmp(module, "[ion]") && strcmp(module, "[vion]")))
			continue;
		if (addr < range.start)
			range.start = addr;
		if (addr >= range.end)
			range.end = page_up(addr + 1);
	}
	fclose(file);
	assert_true(range.start < range.end);
	return range;
}

static struct range find_function(const char *wanted)
{
	FILE *file = fopen("/proc/kallsyms", "r");
	struct range range = { 0, 0 };
	char line[512], name[256], type;
	unsigned long addr;

	assert_non_null(file);
	while (!range.end && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx %c %255s", &addr, &type, name) != 3)
			continue;
		if (range.start && addr > range.start)
			range.end = addr;
		else if (!strcmp(name, wanted))
			range.start = addr;
	}
	fclose(file);
	if (!range.end)
		print_error("there is no %s in /proc/kallsyms\n", wanted);
	assert_true(range.start && range.end);
	return range;
}

/* ---- what debugfs and the process know: all that may not change */

struct text {
	char data[32768];
	size_t len;
};

static void add_file(struct text *text, const char *path)
{
	int fd = expect_ok(sys(open(path, O_RDONLY | O_CLOEXEC)));
	ssize_t n;

	do {
		assert_true(text->len < sizeof(text->data) - 1);
		n = expect_ok(sys(read(fd, text->data + text->len,
				       sizeof(text->data) - 1 - text->len)));
		text->len += n;
	} while (n);
	text->data[text->len] = '\0';
	close(fd);
}

static void take_stock(struct text *text)
{
	DIR *dir = opendir(DEBUGFS "ion/clients");
	struct dirent *entry;
	char path[512];

	assert_non_null(dir);
	text->len = 0;
	add_file(text, DEBUGFS "ion/buffers");
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), DEBUGFS "ion/clients/%s",
			 entry->d_name);
		add_file(text, path);
	}
	closedir(dir);
	text->len += sprintf(text->data + text->len, "descriptors:");
	for (int fd = 0; fd < 64; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			text->len += sprintf(text->data + text->len, " %d", fd);
}

/* ---- what is called */

enum needs {
	ION = 1,		/* a client */
	BUFFER = 2,		/* a descriptor, which no client holds */
	HANDLE = 4,
	FOREIGN = 8,		/* a descriptor of another exporter's buffer */
	VION = 16,
	REGISTERED = 32,
	IMPORTER = 64,		/* /dev/ion-test, with the buffer */
	NODE = 128,		/* of a dma-heap */
	POOLS = 256,		/* in which something waits */
	CONTROL = 512,		/* of heap_test */
	FENCE = 1024,		/* of another driver's, on the buffer */
};

enum gives { NOTHING, A_DESCRIPTOR, A_HANDLE, A_MAPPING, A_HEAP };

struct state;

/**
 * struct call - a request
 * @name: what to call it when it fails
 * @call: makes it; its answer, or -errno
 * @needs: what is there before
 * @gives: what is to be given back
 * @heap: of the buffer
 * @flags: the buffer's
 * @size: the buffer's
 * @number: the ioctl's, or what else @call wants to know
 * @path: what @call opens
 * @no_memory: it allocates nothing
 * @goes_on: it succeeds whatever fails
 * @vmaps: it maps a buffer into the kernel, which is spared
 * @copies: how often it touches user memory
 * @dry: the modes of running dry in which it fails, where it otherwise finds a
 *	way round one failure; a bit each
 */
struct call {
	const char *name;
	long (*call)(struct state *s);
	unsigned int needs;
	enum gives gives;
	int heap;
	unsigned int flags;
	size_t size;
	unsigned long number;
	const char *path;
	bool no_memory;
	bool goes_on;
	bool vmaps;
	unsigned int copies;
	unsigned int dry;
};

struct state {
	const struct call *call;
	int ion, fd, handle, vion, importer, node, control;
	struct gate gate;
	int got_fd, got_handle;
	void *got_addr;
};

static const char *const node_names[] = {
	"system", "system_contig", "frames", "tiles", "dma", "custom",
};

static long new_alloc(int ion, int heap, unsigned int flags, size_t size,
		      int *fd)
{
	struct ion_new_allocation_data data = {
		.len = size, .heap_id_mask = 1U << heap, .flags = flags,
	};
	long ret = request(ion, ION_IOC_NEW_ALLOC, &data);

	if (!ret)
		*fd = data.fd;
	return ret;
}

/* Of each size that calls take, of both kinds. */
static void fill_pools(int ion)
{
	static const size_t sizes[] = { SIZE, SIZE, 4 * MiB + SIZE };
	int fds[2 * COUNT(sizes)];

	expect(set_pool_size("32M"), 0);
	for (size_t i = 0; i < COUNT(fds); i++)
		expect(new_alloc(ion, ION_HEAP_TYPE_SYSTEM, i % 2 ? CACHED : 0,
				 sizes[i / 2], &fds[i]), 0);
	for (size_t i = 0; i < COUNT(fds); i++)
		close(fds[i]);
	/* But for what is being cleared. */
	assert_true(pooled() > 4 * MiB);
}

static void prepare(struct state *s)
{
	const struct call *call = s->call;
	char path[64];

	s->fd = s->vion = s->importer = s->node = s->control = -1;
	s->handle = 0;
	s->ion = open_ion();
	if (call->needs & POOLS)
		fill_pools(s->ion);
	if (call->needs & FOREIGN)
		s->fd = make_udmabuf(call->size);
	if (call->needs & (BUFFER | HANDLE))
		expect(new_alloc(s->ion, call->heap, call->flags, call->size,
				 &s->fd), 0);
	if (call->needs & HANDLE)
		expect(ion_import(s->ion, s->fd, &s->handle), 0);
	if (call->needs & VION)
		s->vion = open_vion();
	if (call->needs & REGISTERED)
		expect(request(s->vion, VION_REGISTER_ION, &s->fd), 0);
	if (call->needs & IMPORTER) {
		s->importer = open_file("/dev", "ion-test", O_RDWR);
		expect(sys(ioctl(s->importer, ION_IOC_TEST_SET_FD, s->fd)), 0);
	}
	if (call->needs & NODE) {
		snprintf(path, sizeof(path), "dma_heap/ion_%s",
			 node_names[call->heap]);
		s->node = open_file("/dev", path, O_RDONLY);
	}
	if (call->needs & FENCE) {
		s->gate = make_gate(s->fd);
		expect(shut(&s->gate, VGEM_WRITE), 0);
	}
	if (call->needs & CONTROL)
		s->control = open_file("/dev", "ion_heap_test", O_RDONLY);
}

static void close_all(struct state *s)
{
	const int fds[] = { s->ion, s->fd, s->vion, s->importer, s->node,
			    s->control };

	for (size_t i = 0; i < COUNT(fds); i++)
		if (fds[i] >= 0)
			expect(sys(close(fds[i])), 0);
	if (s->call->needs & FENCE)
		close(s->gate.vgem);
	if (s->call->needs & POOLS)
		expect(set_pool_size("0"), 0);
}

static long open_node(struct state *s)
{
	s->got_fd = open(s->call->path, O_RDONLY | O_CLOEXEC);
	return s->got_fd < 0 ? -errno : 0;
}

static long alloc_handle(struct state *s)
{
	const struct call *call = s->call;

	return ion_alloc(s->ion, call->size, 0, 1U << call->heap, call->flags,
			 &s->got_handle);
}

static long alloc_descriptor(struct state *s)
{
	const struct call *call = s->call;

	return new_alloc(s->ion, call->heap, call->flags, call->size,
			 &s->got_fd);
}

static long alloc_from_node(struct state *s)
{
	struct dma_heap_allocation_data data = {
		.len = s->call->size, .fd_flags = O_RDWR | O_CLOEXEC,
	};
	long ret = request(s->node, DMA_HEAP_IOCTL_ALLOC, &data);

	s->got_fd = data.fd;
	return ret;
}

/* As a 32-bit program does it: no library of ours does that in this one. */
static long alloc_32(struct state *s)
{
	static struct {
		uint32_t len, align, heap_id_mask, flags;
		int32_t handle;
	} *data;
	long ret;

	if (!data)
		data = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	assert_ptr_not_equal(data, MAP_FAILED);
	memset(data, 0, sizeof(*data));
	data->len = s->call->size;
	data->heap_id_mask = 1U << s->call->heap;
	asm volatile("int $0x80"
		     : "=a" (ret)
		     : "a" (54), "b" (s->ion), "c" (_IOWR('I', 0, *data)),
		       "d" (data)
		     : "memory", "r8", "r9", "r10", "r11");
	s->got_handle = data->handle;
	return (int)ret;
}

/* With an int handle, and with one in the place of a pointer. */
static long by_handle(struct state *s)
{
	struct ion_fd_data data = { .handle = s->handle, .fd = s->fd };
	struct {
		uint64_t handle;
		int fd;
	} pointer = { .handle = s->handle, .fd = s->fd };
	long ret;

	if (_IOC_SIZE(s->call->number) == sizeof(data)) {
		ret = request(s->ion, s->call->number, &data);
		s->got_handle = data.handle;
		s->got_fd = data.fd;
	} else {
		ret = request(s->ion, s->call->number, &pointer);
		s->got_handle = pointer.handle;
		s->got_fd = pointer.fd;
	}
	return ret;
}

static long free_handle(struct state *s)
{
	uint64_t handle = s->handle;

	return request(s->ion, s->call->number, &handle);
}

static long sync_range(struct state *s)
{
	struct ion_sync_range_data data = {
		.fd = s->fd, .flags = s->call->number | DMA_BUF_SYNC_RW,
		.offset = PAGE, .len = PAGE,
	};

	return request(s->ion, ION_IOC_SYNC_RANGE, &data);
}

static long query_heaps(struct state *s)
{
	struct ion_heap_data heaps[ION_NUM_HEAP_IDS];
	struct ion_heap_query query = { .cnt = s->call->number };

	if (query.cnt)
		query.heaps = (uintptr_t)heaps;
	return request(s->ion, ION_IOC_HEAP_QUERY, &query);
}

static long get_version(struct state *s)
{
	uint32_t version;

	return request(s->ion, ION_IOC_ABI_VERSION, &version);
}

static long map_buffer(struct state *s)
{
	/* Far from others, so that it needs page tables of its own. */
	s->got_addr = mmap((void *)(1UL << 44), page_up(s->call->size),
			   PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_FIXED_NOREPLACE, s->fd, 0);
	return s->got_addr == MAP_FAILED ? -errno : 0;
}

/* With a neighbour, so that there is a table already for large entries. */
static long map_large_buffer(struct state *s)
{
	static char *beside;

	if (!beside) {
		beside = mmap((void *)((1UL << 45) + 512 * MiB), PAGE,
			      PROT_READ | PROT_WRITE, MAP_PRIVATE |
			      MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
		assert_true(beside != MAP_FAILED);
		*beside = 1;
	}
	s->got_addr = mmap((void *)(1UL << 45), page_up(s->call->size),
			   PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_FIXED_NOREPLACE, s->fd, 0);
	return s->got_addr == MAP_FAILED ? -errno : 0;
}

static long sync_whole(struct state *s)
{
	return sync_buffer(s->fd, s->call->number | DMA_BUF_SYNC_RW);
}

static long vion_ioctl(struct state *s)
{
	return request(s->vion, s->call->number, &s->fd);
}

/* Its end is waited for where vion is closed. */
static long submit_one(struct state *s, struct vion_job job)
{
	long ret;

	job.flags = VION_JOB_FENCE;
	ret = submit(s->vion, &job);
	if (!ret)
		close(job.fence);
	return ret;
}

static long submit_fill(struct state *s)
{
	return submit_one(s, fill_job(0, s->call->size, 1));
}

static long submit_stamp(struct state *s)
{
	return submit_one(s, stamp_job(DRM_FORMAT_RGB888));
}

static long submit_copy(struct state *s)
{
	return submit_one(s, copy_job(s->fd, 0, 0, PAGE, PAGE));
}

/* Behind a fence of another driver, which expires by itself. */
static long submit_behind(struct state *s)
{
	struct vion_job job = crc_job(0, s->call->size);

	return submit(s->vion, &job);
}

static long vion_read(struct state *s)
{
	char data[2 * PAGE];

	return sys(pread(s->vion, data, sizeof(data), 0));
}

static long vion_write(struct state *s)
{
	char data[2 * PAGE] = "";

	return sys(pwrite(s->vion, data, sizeof(data), 0));
}

static long set_importer(struct state *s)
{
	return sys(ioctl(s->importer, ION_IOC_TEST_SET_FD, s->fd));
}

static long import(struct state *s, int write)
{
	char data[2 * PAGE] = "";
	struct ion_test_rw_data rw = {
		.ptr = (uintptr_t)data, .size = sizeof(data), .write = write,
	};

	return request(s->importer, s->call->number, &rw);
}

static long import_read(struct state *s)
{
	return import(s, 0);
}

static long import_write(struct state *s)
{
	return import(s, 1);
}

/* Beside a buffer, so that its block is broken up. */
static long drain_pools(struct state *s)
{
	(void)s;
	return set_pool_size("0");
}

static long add_heap(struct state *s)
{
	struct heap_test_data data = { .slot = 1, .name = "another" };

	return request(s->control, HEAP_TEST_ADD, &data);
}

#define OPEN(file) { .name = "open " file, .call = open_node, \
	.path = file, .gives = A_DESCRIPTOR }
#define ALLOC(n, id, f, len, more) { .name = "ALLOC " n, \
	.call = alloc_handle, .heap = id, .flags = f, .size = len, \
	.needs = more, .gives = A_HANDLE, .copies = 2, \
	/* CMA does not run out of pages like that, and set-aside memory */ \
	/* takes none but for areas: the kernel warns, see mark_objects(). */ \
	.dry = (id) >= ION_HEAP_TYPE_CARVEOUT && \
	       (id) <= ION_HEAP_TYPE_DMA ? 0 : 1 << NO_PAGES }
#define FROM_NODE(n, id) { .name = "DMA_HEAP_IOCTL_ALLOC " n, \
	.call = alloc_from_node, .heap = id, .size = SIZE, .needs = NODE, \
	.gives = A_DESCRIPTOR, .copies = 1 }
#define FROM_POOL(n, f, len) { .name = "ALLOC from the pool, " n, \
	.call = alloc_handle, .flags = f, .size = len, .needs = POOLS, \
	.gives = A_HANDLE, .copies = 2 }
#define BY_HANDLE(cmd, need, give, count) { .name = #cmd, \
	.call = by_handle, .number = cmd, .needs = need, .gives = give, \
	.size = SIZE, .copies = count, .no_memory = true }
#define MAP(n, id, f, len) { .name = "mmap " n, .call = map_buffer, \
	.heap = id, .flags = f, .size = len, .needs = BUFFER, \
	.gives = A_MAPPING }
#define IMPORT(n, fn, cmd, need, count) { .name = n, .call = fn, \
	.number = cmd, .size = SIZE, .needs = IMPORTER | (need), \
	.copies = count }

#define SUBMIT(n, fn, need) { .name = "SUBMIT, " n, .call = fn, \
	.size = SIZE, .needs = VION | REGISTERED | (need), .copies = 1 }

/* The same requests as callers with pointer handles see them. */
#define PTR_FREE _IOWR('I', 1, uint64_t)
#define PTR_MAP _IOWR('I', 2, uint64_t[2])
#define PTR_SHARE _IOWR('I', 4, uint64_t[2])
#define PTR_IMPORT _IOWR('I', 5, uint64_t[2])
#define PTR_SYNC _IOWR('I', 7, uint64_t[2])

static const struct call calls[] = {
	OPEN("/dev/ion"),
	OPEN("/dev/ion-test"),
	OPEN("/dev/vion_dev"),
	OPEN("/dev/dma_heap/ion_system"),
	OPEN("/dev/dma_heap/ion_tiles"),
	OPEN(DEBUGFS "ion/buffers"),
	OPEN(DEBUGFS "ion/heaps/linux,cma"),

	ALLOC("system", ION_HEAP_TYPE_SYSTEM, CACHED, SIZE, 0),
	ALLOC("system, combined", ION_HEAP_TYPE_SYSTEM, 0, SIZE, 0),
	ALLOC("contiguous", ION_HEAP_TYPE_SYSTEM_CONTIG, CACHED, SIZE, 0),
	ALLOC("contiguous, combined", ION_HEAP_TYPE_SYSTEM_CONTIG, 0, SIZE, 0),
	ALLOC("carveout", ION_HEAP_TYPE_CARVEOUT, CACHED, SIZE, 0),
	ALLOC("carveout, combined", ION_HEAP_TYPE_CARVEOUT, 0, SIZE, 0),
	ALLOC("chunk", ION_HEAP_TYPE_CHUNK, CACHED, 2 * TILE + SIZE, 0),
	ALLOC("chunk, combined", ION_HEAP_TYPE_CHUNK, 0, 2 * TILE + SIZE, 0),
	ALLOC("cma", ION_HEAP_TYPE_DMA, CACHED, SIZE, 0),
	ALLOC("cma, combined", ION_HEAP_TYPE_DMA, 0, SIZE, 0),
	ALLOC("cma, combined, large", ION_HEAP_TYPE_DMA, 0, 2 * MiB + PAGE, 0),
	ALLOC("custom", ION_HEAP_TYPE_CUSTOM, CACHED, SIZE, 0),
	ALLOC("custom, combined", ION_HEAP_TYPE_CUSTOM, 0, SIZE, 0),
	{ .name = "ALLOC of 32 bits", .call = alloc_32, .size = SIZE,
	  .gives = A_HANDLE, .copies = 2, .dry = 1 << NO_SLAB },
	{ .name = "NEW_ALLOC", .call = alloc_descriptor, .size = SIZE,
	  .flags = CACHED, .gives = A_DESCRIPTOR, .copies = 1 },
	FROM_NODE("system", ION_HEAP_TYPE_SYSTEM),
	FROM_NODE("contiguous", ION_HEAP_TYPE_SYSTEM_CONTIG),
	FROM_NODE("carveout", ION_HEAP_TYPE_CARVEOUT),
	FROM_NODE("chunk", ION_HEAP_TYPE_CHUNK),
	FROM_NODE("cma", ION_HEAP_TYPE_DMA),

	FROM_POOL("small", CACHED, SIZE),
	FROM_POOL("large", CACHED, 4 * MiB + SIZE),
	FROM_POOL("small, combined", 0, SIZE),
	FROM_POOL("large, combined", 0, 4 * MiB + SIZE),
	{ .name = "drain the pools", .call = drain_pools, .size = SIZE,
	  .needs = POOLS | BUFFER, .goes_on = true },

	{ .name = "FREE", .call = free_handle, .number = ION_IOC_FREE,
	  .needs = HANDLE, .size = SIZE, .copies = 1, .no_memory = true },
	{ .name = "FREE, pointer", .call = free_handle, .number = PTR_FREE,
	  .needs = HANDLE, .size = SIZE, .copies = 1, .no_memory = true },
	BY_HANDLE(ION_IOC_SHARE, HANDLE, A_DESCRIPTOR, 2),
	BY_HANDLE(ION_IOC_MAP, HANDLE, A_DESCRIPTOR, 2),
	BY_HANDLE(PTR_SHARE, HANDLE, A_DESCRIPTOR, 2),
	BY_HANDLE(PTR_MAP, HANDLE, A_DESCRIPTOR, 2),
	BY_HANDLE(ION_IOC_SYNC, BUFFER, NOTHING, 1),
	BY_HANDLE(PTR_SYNC, BUFFER, NOTHING, 1),
	/* One more reference to a handle that is there. */
	BY_HANDLE(ION_IOC_IMPORT, HANDLE, A_HANDLE, 2),
	BY_HANDLE(PTR_IMPORT, HANDLE, A_HANDLE, 2),
	{ .name = "IMPORT", .call = by_handle, .number = ION_IOC_IMPORT,
	  .needs = BUFFER, .gives = A_HANDLE, .size = SIZE, .copies = 2,
	  .dry = 1 << NO_SLAB },
	{ .name = "IMPORT, pointer", .call = by_handle, .number = PTR_IMPORT,
	  .needs = BUFFER, .gives = A_HANDLE, .size = SIZE, .copies = 2 },
	{ .name = "IMPORT, foreign", .call = by_handle,
	  .number = ION_IOC_IMPORT, .needs = FOREIGN, .gives = A_HANDLE,
	  .size = SIZE, .copies = 2 },
	{ .name = "SYNC, foreign", .call = by_handle, .number = ION_IOC_SYNC,
	  .needs = FOREIGN, .size = SIZE, .copies = 1 },
	{ .name = "SYNC_RANGE, begin", .call = sync_range,
	  .number = DMA_BUF_SYNC_START, .needs = BUFFER, .size = SIZE,
	  .copies = 1, .no_memory = true },
	{ .name = "SYNC_RANGE, end", .call = sync_range,
	  .number = DMA_BUF_SYNC_END, .needs = BUFFER, .size = SIZE,
	  .copies = 1, .no_memory = true },
	{ .name = "SYNC_RANGE, foreign", .call = sync_range,
	  .number = DMA_BUF_SYNC_START, .needs = FOREIGN, .size = SIZE,
	  .copies = 1 },
	{ .name = "HEAP_QUERY, count", .call = query_heaps, .copies = 2,
	  .no_memory = true },
	{ .name = "HEAP_QUERY", .call = query_heaps, .copies = 3,
	  .number = ION_NUM_HEAP_IDS },
	{ .name = "ABI_VERSION", .call = get_version, .no_memory = true },

	MAP("system", ION_HEAP_TYPE_SYSTEM, CACHED, SIZE),
	MAP("system, combined", ION_HEAP_TYPE_SYSTEM, 0, SIZE),
	MAP("contiguous", ION_HEAP_TYPE_SYSTEM_CONTIG, 0, SIZE),
	{ .name = "mmap large", .call = map_large_buffer, .flags = CACHED,
	  .size = 4 * MiB + SIZE, .needs = BUFFER, .gives = A_MAPPING },
	MAP("carveout", ION_HEAP_TYPE_CARVEOUT, CACHED, SIZE),
	MAP("carveout, combined", ION_HEAP_TYPE_CARVEOUT, 0, SIZE),
	MAP("chunk", ION_HEAP_TYPE_CHUNK, 0, 2 * TILE + SIZE),
	MAP("cma", ION_HEAP_TYPE_DMA, 0, SIZE),
	MAP("custom", ION_HEAP_TYPE_CUSTOM, CACHED, SIZE),
	{ .name = "DMA_BUF_SYNC_START", .call = sync_whole, .needs = BUFFER,
	  .number = DMA_BUF_SYNC_START, .size = SIZE, .no_memory = true },
	{ .name = "DMA_BUF_SYNC_END", .call = sync_whole, .needs = BUFFER,
	  .number = DMA_BUF_SYNC_END, .size = SIZE, .no_memory = true },

	{ .name = "REGISTER", .call = vion_ioctl, .number = VION_REGISTER_ION,
	  .needs = VION | BUFFER, .size = SIZE, .vmaps = true },
	{ .name = "REGISTER, again", .call = vion_ioctl,
	  .number = VION_REGISTER_ION, .needs = VION | BUFFER | REGISTERED,
	  .size = SIZE },
	{ .name = "REGISTER, foreign", .call = vion_ioctl,
	  .number = VION_REGISTER_ION, .needs = VION | FOREIGN, .size = SIZE,
	  .vmaps = true },
	{ .name = "UNREGISTER", .call = vion_ioctl,
	  .number = VION_UNREGISTER_ION, .needs = VION | BUFFER | REGISTERED,
	  .size = SIZE, .no_memory = true },
	SUBMIT("fill", submit_fill, BUFFER),
	SUBMIT("stamp", submit_stamp, BUFFER),
	SUBMIT("copy", submit_copy, BUFFER),
	SUBMIT("foreign", submit_fill, FOREIGN),
	SUBMIT("behind a fence", submit_behind, BUFFER | FENCE),
	{ .name = "read", .call = vion_read, .size = SIZE,
	  .needs = VION | BUFFER | REGISTERED, .copies = 1,
	  .no_memory = true },
	{ .name = "write", .call = vion_write, .size = SIZE,
	  .needs = VION | BUFFER | REGISTERED, .copies = 1,
	  .no_memory = true },
	{ .name = "write, foreign", .call = vion_write, .size = SIZE,
	  .needs = VION | FOREIGN | REGISTERED, .copies = 1 },

	{ .name = "SET_FD", .call = set_importer, .size = SIZE,
	  .needs = IMPORTER | BUFFER, .no_memory = true },
	IMPORT("DMA_MAPPING, read", import_read, ION_IOC_TEST_DMA_MAPPING,
	       BUFFER, 3),
	IMPORT("DMA_MAPPING, write", import_write, ION_IOC_TEST_DMA_MAPPING,
	       BUFFER, 3),
	IMPORT("DMA_MAPPING, foreign", import_read, ION_IOC_TEST_DMA_MAPPING,
	       FOREIGN, 3),
	{ .name = "DMA_MAPPING, chained", .call = import_write,
	  .number = ION_IOC_TEST_DMA_MAPPING, .needs = IMPORTER | BUFFER,
	  .heap = ION_HEAP_TYPE_CUSTOM, .flags = CACHED, .size = CHAINED,
	  .copies = 3 },
	{ .name = "DMA_MAPPING, carveout", .call = import_read,
	  .number = ION_IOC_TEST_DMA_MAPPING, .needs = IMPORTER | BUFFER,
	  .heap = ION_HEAP_TYPE_CARVEOUT, .size = SIZE, .copies = 3 },
	{ .name = "KERNEL_MAPPING, read", .call = import_read,
	  .number = ION_IOC_TEST_KERNEL_MAPPING, .needs = IMPORTER | BUFFER,
	  .size = SIZE, .copies = 3, .no_memory = true, .vmaps = true },
	{ .name = "KERNEL_MAPPING, write", .call = import_write,
	  .number = ION_IOC_TEST_KERNEL_MAPPING, .needs = IMPORTER | BUFFER,
	  .size = SIZE, .copies = 3, .no_memory = true, .vmaps = true },
	/* It is mapped already, but not yet for CPU access. */
	IMPORT("KERNEL_MAPPING, foreign", import_write,
	       ION_IOC_TEST_KERNEL_MAPPING, FOREIGN | VION | REGISTERED, 3),

	{ .name = "ion_heap_add", .call = add_heap, .needs = CONTROL,
	  .gives = A_HEAP },
};

/* ---- one call, and what came of it */

static void wrong(const struct call *call, enum failing mode, int n,
		  const char *what)
{
	print_error("%s, %s %d fails: %s\n", call->name, modes[mode].what, n,
		    what);
	fail();
}

/* What was allocated although something failed is as good as any. */
static void expect_good(int fd, size_t size)
{
	unsigned char *addr = map(fd, size);

	expect_zero(addr, size);
	memset(addr, 0xff, size);
	munmap(addr, size);
}

static void undo(struct state *s, bool look)
{
	struct heap_test_data heap = { .slot = 1 };
	const struct call *call = s->call;

	switch (call->gives) {
	case NOTHING:
		break;
	case A_HANDLE:
		expect(ion_free(s->ion, s->got_handle), 0);
		break;
	case A_DESCRIPTOR:
		if (look && call->size && !call->no_memory)
			expect_good(s->got_fd, page_up(call->size));
		expect(sys(close(s->got_fd)), 0);
		break;
	case A_MAPPING:
		memset(s->got_addr, 1, call->size);
		expect(sys(munmap(s->got_addr, page_up(call->size))), 0);
		break;
	case A_HEAP:
		expect(request(s->control, HEAP_TEST_REMOVE, &heap), 0);
		break;
	}
}

struct walk {
	int hits;
	int refused;
	char trace[1024];
};

/* Whether anything was made to fail. */
static bool step(struct state *s, enum failing mode, int n,
		 struct walk *walk)
{
	static struct text before, after;
	char text[64], number[32];
	bool hit;
	long ret;

	prepare(s);
	take_stock(&before);
	arm(mode, n);
	ret = s->call->call(s);
	hit = disarm(mode);
	walk->hits += hit;
	if (ret < 0) {
		walk->refused++;
		snprintf(text, sizeof(text), "improper answer %s",
			 answer(ret, number, sizeof(number)));
		if (!hit || ret != (mode == ONE_COPY ? -EFAULT : -ENOMEM))
			wrong(s->call, mode, n, text);
		take_stock(&after);
		if (strcmp(before.data, after.data)) {
			print_error("before:\n%s\nafter:\n%s\n", before.data,
				    after.data);
			wrong(s->call, mode, n, "something stays behind");
		}
		if (s->call->call(s) < 0)
			wrong(s->call, mode, n, "so does the next call");
	}
	if (walk->hits < 1000 && hit)
		strcat(walk->trace, ret < 0 ? "R" : "a");
	undo(s, hit);
	close_all(s);
	return hit;
}

static void take_walk(const struct call *call, enum failing mode,
		      struct walk *walk)
{
	static struct text before, after;
	struct state s = { .call = call };
	int n = 1;

	*walk = (struct walk){ 0 };
	take_stock(&before);
	while (step(&s, mode, n, walk)) {
		/* Blocks are many pages. */
		n += (n < 8 * modes[mode].stride || mode == ONE_ALLOC ? 1 : 8) *
		     modes[mode].stride;
		if (n > 20000)
			wrong(call, mode, n, "there is no end of it");
	}
	take_stock(&after);
	if (strcmp(before.data, after.data)) {
		print_error("before:\n%s\nafter:\n%s\n", before.data,
			    after.data);
		wrong(call, mode, n, "something stays behind at the end");
	}
}

static void walk_and_tell(const struct call *call, enum failing mode,
			  struct walk *walk)
{
	aim(mode, our_text, call->vmaps ? dma_buf_vmap : add_dma_entry);
	take_walk(call, mode, walk);
	if (getenv("VERBOSE"))
		printf("# %s, %s: %d hits, %d refused %s\n", call->name,
		       modes[mode].what, walk->hits, walk->refused,
		       walk->trace);
}

/* Nothing of the regions is lost: all of them can still be had. */
static void expect_whole_regions(void)
{
	int ion = open_ion();

	close(alloc_fd(ion, 1 << ION_HEAP_TYPE_CARVEOUT, 16 * MiB));
	close(alloc_fd(ion, 1 << ION_HEAP_TYPE_CHUNK, 16 * MiB));
	close(ion);
}

static void any_allocation_may_fail(void **state)
{
	struct walk walk;

	(void)state;
	for (size_t i = 0; i < COUNT(calls); i++) {
		/*
		 * Debugging fills its own stock now and then; what the call
		 * allocates it allocates each time.
		 */
		for (int again = 0; again < 5; again++) {
			walk_and_tell(&calls[i], ONE_ALLOC, &walk);
			if (!calls[i].no_memory == !!walk.hits)
				break;
		}
		if (calls[i].no_memory)
			expect(walk.hits, 0);
		else if (calls[i].goes_on == !!walk.refused)
			wrong(&calls[i], ONE_ALLOC, 0, walk.refused ?
			      "it was refused" : "nothing was refused");
	}
	expect_whole_regions();
}

static void any_user_copy_may_fail(void **state)
{
	struct walk walk;

	(void)state;
	for (size_t i = 0; i < COUNT(calls); i++) {
		/* What is copied there is heap_test's, which may lie between. */
		if (calls[i].gives == A_HEAP)
			continue;
		walk_and_tell(&calls[i], ONE_COPY, &walk);
		expect(walk.hits, calls[i].copies);
		expect(walk.refused, calls[i].copies);
	}
}

static void memory_may_run_out(void **state)
{
	struct walk walk;

	(void)state;
	for (size_t i = 0; i < COUNT(calls); i++)
		for (int dry = NO_SLAB; dry <= NO_PAGES; dry++) {
			if (!(calls[i].dry & 1 << dry))
				continue;
			walk_and_tell(&calls[i], dry, &walk);
			if (!walk.refused)
				wrong(&calls[i], dry, 0,
				      "nothing was refused");
		}
	expect_whole_regions();
}

/* What nobody has and nobody answers for is lost. */
static size_t accounted_for(void)
{
	static const char *const keys[] = {
		"MemFree:", "Buffers:", "Cached:", "AnonPages:", "Slab:",
		"KernelStack:", "PageTables:",
	};
	size_t bytes = pooled();
	char line[256];
	FILE *file;
	long count;

	/* What a processor keeps for itself is free, too. */
	file = fopen("/proc/zoneinfo", "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, " count: %ld", &count) == 1)
			bytes += count * PAGE;
	fclose(file);
	file = fopen("/proc/meminfo", "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		for (size_t i = 0; i < COUNT(keys); i++)
			if (!strncmp(line, keys[i], strlen(keys[i])))
				bytes += strtoul(line + strlen(keys[i]), NULL,
						 10) * KiB;
	fclose(file);
	return bytes;
}

/*
 * Whatever else the kernel does meanwhile, a buffer that is lost is seen in
 * every round.
 */
static void no_page_is_lost(void **state)
{
	struct walk walk;

	(void)state;
	for (size_t i = 0; i < COUNT(calls); i++) {
		struct call call = calls[i];
		size_t before;
		long lost = 0;

		/* Regions are no RAM: see expect_whole_regions(). */
		if ((call.call != alloc_handle &&
		     call.call != drain_pools) ||
		    call.heap == ION_HEAP_TYPE_CARVEOUT ||
		    call.heap == ION_HEAP_TYPE_CHUNK ||
		    call.heap == ION_HEAP_TYPE_CUSTOM)
			continue;
		if (call.size < MiB && call.call == alloc_handle)
			call.size = MiB;
		for (int round = 0; round < 5; round++) {
			before = accounted_for();
			walk_and_tell(&call, ONE_ALLOC, &walk);
			lost = before - accounted_for();
			if (lost < (long)(MiB / 2))
				break;
			print_message("# %s: %ld bytes fewer\n", call.name,
				      lost);
		}
		if (lost >= (long)(MiB / 2))
			wrong(&call, ONE_ALLOC, 0, "memory is lost");
	}
}

/* ---- loading */

struct module {
	const char *path;
	const char *name;
	const char *params;
	const char *node;
	int stride;		/* after the first steps */
};

static void load_step(const struct module *module, int n, struct walk *walk)
{
	char text[32];
	bool hit;
	long ret;

	arm(ONE_ALLOC, n);
	ret = load_with(module->path, module->params);
	hit = disarm(ONE_ALLOC);
	walk->hits += hit;
	if (ret) {
		walk->refused++;
		/*
		 * The driver core says EINVAL of a device that has no name for
		 * want of memory, and ion of a region, of which the log tells.
		 */
		if (!hit || (ret != -ENOMEM && ret != -EINVAL)) {
			print_error("%s, allocation %d fails: improper %s\n",
				    module->name, n,
				    answer(ret, text, sizeof(text)));
			fail();
		}
		expect(sys(access(module->node, F_OK)), -ENOENT);
		expect(load_with(module->path, module->params), 0);
	}
	expect(sys(access(module->node, F_OK)), 0);
	expect(unload(module->name), 0);
}

static void load_walk(const struct module *module)
{
	struct walk walk = { 0 };
	int n = 1, last;

	aim(ONE_ALLOC, find_function("do_one_initcall"), add_dma_entry);
	do {
		last = walk.hits;
		load_step(module, n, &walk);
		n += n < 10 ? 1 : module->stride;
	} while (walk.hits != last);
	if (getenv("VERBOSE"))
		printf("# load %s: up to %d, %d hits, %d refused\n",
		       module->name, n, walk.hits, walk.refused);
	assert_true(walk.refused > 0);
}

static void write_file(const char *path, const char *value)
{
	int fd = expect_ok(sys(open(path, O_WRONLY | O_CLOEXEC)));

	expect(sys(write(fd, value, strlen(value))), strlen(value));
	close(fd);
}

/*
 * What does not panic, in the log since then. An allocation that fails may tell of
 * itself, with a trace.
 */
static void expect_no_report(int log)
{
	static const char *const reports[] = {
		"BUG:", "WARNING:", "INFO:", "cannot create duplicate",
		"suspicious",
	};
	char line[8192] = "", before[8192] = "";
	ssize_t len;

	for (; (len = sys(read(log, line, sizeof(line) - 1))) > 0;
	     memcpy(before, line, sizeof(before))) {
		line[len] = '\0';
		for (size_t i = 0; i < COUNT(reports); i++) {
			if (!strstr(line, reports[i]))
				continue;
			print_error("expected no report, came %s%s", before,
				    line);
			fail();
		}
	}
	expect(len, -EAGAIN);
}

static void loading_may_fail(void **state)
{
	const struct module ion = {
		"kernel/ion/ion", "ion", ion_params, "/dev/ion", 17,
	};
	static const struct module vion = {
		"kernel/vion/vion", "vion", "", "/dev/vion_dev", 7,
	};
	int log = expect_ok(sys(open("/dev/kmsg", O_RDONLY | O_NONBLOCK)));

	(void)state;
	expect(sys(lseek(log, 0, SEEK_END)), 0);
	remember_ion_params();
	expect(unload("heap_test"), 0);
	expect(unload("vion"), 0);
	load_walk(&vion);
	expect(unload("ion"), 0);
	/* What ion says of its regions then is no complaint. */
	write_file("/proc/sys/kernel/printk", "3");
	write_file("/sys/module/printk/parameters/ignore_loglevel", "N");
	load_walk(&ion);
	expect(load_with(ion.path, ion.params), 0);
	expect(load_with(vion.path, vion.params), 0);
	expect(load_with("tests/kernel/heap_test", ""), 0);
	expect_no_report(log);
	close(log);
}

static int unmute(void **state)
{
	(void)state;
	write_file("/sys/module/printk/parameters/ignore_loglevel", "Y");
	return 0;
}

static int setup(void **state)
{
	(void)state;
	remember_pool_size();
	/* What waits in a pool needs no allocation, which then cannot fail. */
	expect(set_pool_size("0"), 0);
	expect(load_with("tests/kernel/heap_test", ""), 0);
	our_text = find_our_text();
	dma_buf_vmap = find_function("dma_buf_vmap");
	add_dma_entry = find_function("add_dma_entry");
	fail_nth = open_file("/proc/thread-self", "fail-nth", O_RDWR);
	make_it_fail = open_file("/proc/thread-self", "make-it-fail", O_RDWR);
	prepare_attrs();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (int i = 0; i < ATTRS; i++)
		set_attr(i, "probability", "0");
	expect(unload("heap_test"), 0);
	restore_pool_size();
	sum_up(injected, "faults injected");
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_allocation_may_fail),
		cmocka_unit_test(any_user_copy_may_fail),
		cmocka_unit_test(memory_may_run_out),
		cmocka_unit_test(no_page_is_lost),
		cmocka_unit_test_teardown(loading_may_fail, unmute),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
