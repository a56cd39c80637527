/* SPDX-License-Identifier: MIT */
/* The fuzzer's model: what there is, and so what each request must answer. */
#ifndef TESTS_FUZZ_MODEL_H
#define TESTS_FUZZ_MODEL_H

#include "../jobs.h"
#include "../load.h"
#include "../pool.h"

#define FOREIGN ION_NUM_HEAP_IDS	/* the kernel's own dma-heap */
#define SLOTS 5				/* heaps that the module may have */

/* Of each kind may wait, at first. */
#define POOL_SIZE (16 * MiB)

/* How a heap allocates, whatever type it says it is. */
enum kind { SYSTEM_KIND, CONTIG_KIND, CARVEOUT_KIND, CHUNK_KIND, DMA_KIND,
	    MODULE_KIND };

struct heap {
	bool lives;
	enum kind kind;
	char name[64];
	char node[64];
};

/**
 * struct buffer - a buffer that lives
 * @refs: descriptors, handles, mappings and drivers that hold it; 0: no buffer
 * @heap: the id of its heap, or FOREIGN
 * @account: of the open file that it counts for
 * @charge: what it counts
 * @at: CARVEOUT_KIND: its first page there
 * @mode: O_RDWR, O_RDONLY or O_WRONLY, of all its descriptors
 * @ino: its inode, 0 while no descriptor has told
 * @content: what is in it
 */
struct buffer {
	unsigned int refs;
	unsigned int heap;
	unsigned int flags;
	unsigned int account;
	size_t size;
	size_t charge;
	size_t at;
	int mode;
	ino_t ino;
	unsigned char *content;
};

struct handle {
	unsigned int users;
	int id;
	struct buffer *buffer;
};

/* An open /dev/ion. @last: the handle that it made last */
struct client {
	int fd;
	unsigned int account;
	int last;
	struct handle handles[12];
};

/* An open /dev/dma_heap node. */
struct node {
	int fd;
	unsigned int account;
	unsigned int heap;
};

/* A dma-buf descriptor, or one on its way through a socket. */
struct descriptor {
	struct buffer *buffer;
	int fd;
};

struct mapping {
	struct buffer *buffer;
	char *addr;
	size_t len;
	size_t offset;
	int prot;
};

/* An open /dev/vion_dev or /dev/ion-test. */
struct driver {
	int fd;
	struct buffer *buffer;
	off_t pos;
};

/* What the module's heap was when it was added last. */
struct slot {
	bool tried;
	long answer;		/* what is wrong with it as it is, or 0 */
	unsigned int type;
	unsigned int id;
	bool lives;
	char name[64];
	char node[64];
};

struct model {
	struct heap heaps[ION_NUM_HEAP_IDS + 1];
	struct buffer buffers[48];
	struct client clients[6];
	struct node nodes[4];
	struct descriptor descriptors[48];
	struct mapping mappings[32];
	struct driver vion;
	struct driver importers[3];
	struct descriptor sent[6];	/* the oldest first */
	struct slot slots[SLOTS];
	unsigned int accounts;
	size_t limit;
	size_t file_limit;
	size_t pool_size;	/* of each kind */
};

extern struct model m;

/* ---- chance: each operation has numbers of its own, by its seed */

void seed_operation(uint64_t seed, uint64_t number);
uint64_t random64(void);
unsigned int rnd(unsigned int below);

static inline bool one_in(unsigned int n)
{
	return !rnd(n);
}

/* One of those whose field is set, and the first where it is not; or NULL. */
#define any(array, field) ({						\
	typeof(&(array)[0]) any_found = NULL;				\
	unsigned int any_from = rnd(COUNT(array));			\
	for (size_t any_i = 0; any_i < COUNT(array) && !any_found; any_i++) { \
		any_found = &(array)[(any_from + any_i) % COUNT(array)];	\
		if (!any_found->field)					\
			any_found = NULL;				\
	}								\
	any_found;							\
})
#define room(array, field) ({						\
	typeof(&(array)[0]) room_found = NULL;				\
	for (size_t room_i = 0; room_i < COUNT(array); room_i++)	\
		if (!(array)[room_i].field) {				\
			room_found = &(array)[room_i];			\
			break;						\
		}							\
	room_found;							\
})
#define index_of(array, entry) ((int)((entry) - (array)))

/* ---- what an operation did, and whether it went as it should */

/**
 * struct progress - of a run, which its process shares with its parent
 * @number: of the operation under way
 * @done: operations
 * @asked: requests
 * @granted: those of them that were to succeed
 * @failed: something was not as it should
 * @said: the operation
 * @wrong: what was expected and what came
 */
struct progress {
	long number;
	unsigned long done;
	unsigned long asked;
	unsigned long granted;
	bool failed;
	char said[512];
	char wrong[512];
};

extern struct progress *progress;

void say(const char *format, ...);
_Noreturn void wrong(const char *format, ...);
/* The request answers exactly this. */
void agree(long long came, long long wanted);

/* ---- arguments of requests */

enum where { GOOD, READONLY, BAD };

extern unsigned char *scratch;
#define SCRATCH (64 * KiB)

enum where somewhere(void);
void *place(const void *data, size_t size, enum where where);
void take_back(void *data, size_t size);
/* With no descriptor left, sometimes. */
bool run_out(void);
void run_in(bool out);

/* ---- the model */

struct want {
	uint64_t len, align;
	unsigned int mask, flags, account;
};

struct want any_want(unsigned int account);
long predict(const struct want *want, struct buffer *out);
struct buffer *get_buffer(const struct buffer *as);
void hold(struct buffer *buffer);
void put(struct buffer *buffer);
size_t held(unsigned int account);
size_t held_by_all(void);

void new_descriptor(struct buffer *buffer, int fd);
void drop_descriptor(struct descriptor *descriptor);
/* For a request: its buffer, NULL if it is none; @answer is what that gets. */
struct buffer *any_named(int *fd, long *answer);

/* Ranges, mostly good ones. */
void any_range(size_t size, uint64_t *offset, uint64_t *len);
void check_content(const struct buffer *buffer, size_t offset,
		   const void *data, size_t len);
unsigned char *new_content(size_t len);

/* ---- operations: false if there is nothing to do it with */

typedef bool operation(void);

operation do_open, do_close, do_alloc, do_new_alloc, do_free, do_share,
	do_import, do_sync, do_sync_range, do_query, do_strange, do_node,
	do_node_alloc, do_heap_add, do_heap_remove, do_reload, do_limit,
	do_pool_size, do_drop_caches;
operation do_dup, do_close_fd, do_look, do_dma_buf_sync, do_name, do_fence,
	do_send, do_receive, do_map, do_unmap, do_protect, do_move, do_poke,
	do_peek, do_vion_open, do_register, do_unregister, do_vion_io,
	do_vion_job, do_vion_seek, do_importer, do_importer_io, do_fork,
	do_totals;

void module_is_new(void);
void begin_model(void);
void end_model(void);
void close_client(struct client *client);
void close_node(struct node *node);
void close_driver(struct driver *driver);
void drop_mapping(struct mapping *mapping);
void open_sockets(void);
void close_sockets(void);

#endif
