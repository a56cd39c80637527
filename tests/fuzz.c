// SPDX-License-Identifier: MIT
/*
 * The fuzzer: random operations on all that there is, against a model that
 * knows what each must answer. `make fuzz` runs it on the debug kernel; --help
 * tells its options.
 */
#include <argp.h>
#include <sys/random.h>

#include "fuzz/model.h"

#define IN_A_ROUND 2000
/* What may be spent on making a failing run small. */
#define SHRINK_MOST 200000

struct kind_of_operation {
	const char *name;
	unsigned int weight;
	operation *run;
};

static const struct kind_of_operation kinds[] = {
	{ "open", 4, do_open },
	{ "close", 1, do_close },
	{ "alloc", 24, do_alloc },
	{ "new_alloc", 12, do_new_alloc },
	{ "free", 24, do_free },
	{ "share", 24, do_share },
	{ "import", 16, do_import },
	{ "sync", 4, do_sync },
	{ "sync_range", 12, do_sync_range },
	{ "query", 4, do_query },
	{ "strange", 4, do_strange },
	{ "node", 6, do_node },
	{ "node_alloc", 12, do_node_alloc },
	{ "heap_add", 4, do_heap_add },
	{ "heap_remove", 4, do_heap_remove },
	{ "limit", 2, do_limit },
	{ "pool_size", 2, do_pool_size },
	{ "dup", 6, do_dup },
	{ "close_fd", 36, do_close_fd },
	{ "look", 6, do_look },
	{ "dma_buf_sync", 8, do_dma_buf_sync },
	{ "name", 4, do_name },
	{ "fence", 4, do_fence },
	{ "send", 8, do_send },
	{ "receive", 8, do_receive },
	{ "map", 24, do_map },
	{ "unmap", 16, do_unmap },
	{ "protect", 10, do_protect },
	{ "move", 6, do_move },
	{ "poke", 40, do_poke },
	{ "peek", 40, do_peek },
	{ "vion_open", 4, do_vion_open },
	{ "register", 12, do_register },
	{ "unregister", 6, do_unregister },
	{ "vion_io", 24, do_vion_io },
	{ "vion_job", 16, do_vion_job },
	{ "vion_seek", 4, do_vion_seek },
	{ "importer", 8, do_importer },
	{ "importer_io", 12, do_importer_io },
	{ "totals", 2, do_totals },
};

/* What takes long: each once in so many operations. */
#define RARE 1000

static uint64_t seed = 1;
static unsigned long wanted = 200000;
static bool seeded, endless, narrated;
static long *only;
static size_t only_count;

/* Which operation has that number. */
static operation *chosen(uint64_t of, long number)
{
	unsigned int all = 0, n;
	size_t i;

	seed_operation(of, number);
	for (i = 0; i < COUNT(kinds); i++)
		all += kinds[i].weight;
	n = rnd(all);
	for (i = 0; n >= kinds[i].weight; i++)
		n -= kinds[i].weight;
	switch (rnd(RARE)) {
	case 0:
		return do_reload;
	case 1:
		return do_fork;
	case 2:
		return do_drop_caches;
	}
	return kinds[i].run;
}

static void operate(uint64_t of, long number, bool narrate)
{
	bool done;

	progress->number = number;
	progress->said[0] = '\0';
	done = chosen(of, number)();
	progress->done += done;
	if (done && narrate) {
		printf("# %6ld %s\n", number, progress->said);
		fflush(stdout);
	}
}

/* In a process of its own, so that nothing stays behind. */
static void run_here(uint64_t of, const long *list, size_t count, bool narrate)
{
	begin_model();
	for (size_t i = 0; i < count; i++) {
		/* One that hangs ends with a signal. */
		if (i % 256 == 0)
			alarm(300);
		operate(of, list ? list[i] : (long)i, narrate);
	}
	progress->number = IN_A_ROUND;
	progress->said[0] = '\0';
	say("give all back:");
	end_model();
	_exit(0);
}

static void set_up(void)
{
	static const char * const limits[] = { "limit", "file_limit" };
	char path[64];
	int fd;

	for (size_t i = 0; i < COUNT(limits); i++) {
		snprintf(path, sizeof(path), "/sys/module/ion/parameters/%s",
			 limits[i]);
		fd = expect_ok(sys(open(path, O_WRONLY | O_CLOEXEC)));
		expect(sys(write(fd, "0", 1)), 1);
		close(fd);
	}
	snprintf(path, sizeof(path), "%zu", (size_t)POOL_SIZE);
	expect(set_pool_size(path), 0);
	unload("heap_test");
}

static bool fails(uint64_t of, const long *list, size_t count, bool narrate)
{
	int status;
	pid_t pid;

	memset(progress, 0, sizeof(*progress));
	set_up();
	expect(load_with("tests/kernel/heap_test", ""), 0);
	fflush(stdout);
	pid = expect_ok(sys(fork()));
	if (!pid)
		run_here(of, list, count, narrate);
	expect(sys(waitpid(pid, &status, 0)), pid);
	set_up();
	if (!status)
		return false;
	if (!progress->failed)
		snprintf(progress->wrong, sizeof(progress->wrong),
			 "the process ended with status %#x", status);
	return true;
}

/**
 * struct failing - a run that fails
 * @of: its seed
 * @list: its operations
 * @count: how many there are
 * @spent: how many have been tried, to make it small
 */
struct failing {
	uint64_t of;
	long *list;
	size_t count;
	size_t spent;
};

/* Whether it fails with those alone; then they are what it is from now on. */
static bool fails_with(struct failing *run, const long *list, size_t count)
{
	if (run->spent >= SHRINK_MOST || count == run->count)
		return false;
	run->spent += count;
	if (!fails(run->of, list, count, false))
		return false;
	while (count && list[count - 1] > progress->number)
		count--;
	memcpy(run->list, list, count * sizeof(*list));
	run->count = count;
	return true;
}

static bool leave_out(struct failing *run, size_t from, size_t len)
{
	long less[IN_A_ROUND];

	memcpy(less, run->list, from * sizeof(*less));
	memcpy(less + from, run->list + from + len,
	       (run->count - from - len) * sizeof(*less));
	return fails_with(run, less, run->count - len);
}

static void leave_out_kind(struct failing *run, operation *kind)
{
	long less[IN_A_ROUND];
	size_t count = 0;

	for (size_t i = 0; i < run->count; i++)
		if (chosen(run->of, run->list[i]) != kind)
			less[count++] = run->list[i];
	fails_with(run, less, count);
}

/*
 * Leaves out operations of a kind, then half of them at a time, and in the end
 * each by itself, as long as what is left still fails.
 */
static void shrink(struct failing *run)
{
	size_t from, piece = run->count;
	bool shrunk;

	for (size_t i = 0; i < COUNT(kinds); i++)
		leave_out_kind(run, kinds[i].run);
	leave_out_kind(run, do_reload);
	leave_out_kind(run, do_fork);
	leave_out_kind(run, do_drop_caches);
	do {
		piece = piece > 1 ? piece / 2 : 1;
		shrunk = false;
		for (from = 0; from < run->count;) {
			size_t left = run->count - from;

			if (leave_out(run, from, piece < left ? piece : left))
				shrunk = true;
			else
				from += piece;
		}
	} while (piece > 1 || shrunk);
}

static void report(uint64_t of, const long *list, size_t count)
{
	printf("# %6ld %s: %s\n", progress->number, progress->said,
	       progress->wrong);
	printf("# again: make fuzz FUZZ='--seed %llu --only ",
	       (unsigned long long)of);
	for (size_t i = 0; i < count; i++)
		printf("%s%ld", i ? "," : "", list[i]);
	puts("'");
	fflush(stdout);
}

/* A run that leaves something behind is in the way of the next. */
static bool all_is_back(void)
{
	FILE *file = fopen("/sys/kernel/debug/ion/buffers", "re");
	unsigned long long bytes = 0;
	long unloaded = unload("heap_test");

	if (!file || fscanf(file, "counted: %llu", &bytes) != 1)
		bytes = 1;
	if (file)
		fclose(file);
	return !bytes && (!unloaded || unloaded == -ENOENT);
}

static void explain(uint64_t of)
{
	long list[IN_A_ROUND];
	struct failing run = { .of = of, .list = list, .count = IN_A_ROUND };

	printf("# seed %llu, operation %ld: %s: %s\n",
	       (unsigned long long)of, progress->number, progress->said,
	       progress->wrong);
	if (!all_is_back()) {
		printf("# buffers stay, so it is not made smaller here; again: make fuzz FUZZ='--ops 1 --seed %llu'\n",
		       (unsigned long long)of);
		return;
	}
	fflush(stdout);
	if (progress->number < IN_A_ROUND)
		run.count = progress->number + 1;
	for (size_t i = 0; i < run.count; i++)
		list[i] = i;
	shrink(&run);
	printf("# %zu operations are enough:\n", run.count);
	if (fails(of, list, run.count, true))
		report(of, list, run.count);
	else
		printf("# not always; again: make fuzz FUZZ='--ops 1 --seed %llu'\n",
		       (unsigned long long)of);
}

static bool fuzz(void)
{
	unsigned long done = 0, asked = 0, granted = 0;

	if (only) {
		bool failed = fails(seed, only, only_count, true);

		if (failed)
			report(seed, only, only_count);
		return !failed;
	}
	while (endless || done < wanted) {
		if (endless && !seeded)
			expect(getrandom(&seed, sizeof(seed), 0), sizeof(seed));
		if (narrated || endless) {
			/* Told before, for it may be the kernel's last. */
			printf("# seed %llu\n", (unsigned long long)seed);
			fflush(stdout);
		}
		if (fails(seed, NULL, IN_A_ROUND, narrated)) {
			explain(seed);
			return false;
		}
		if (!progress->done)
			return false;
		done += progress->done;
		asked += progress->asked;
		granted += progress->granted;
		if (endless)
			printf("# %lu operations, %lu of %lu requests granted\n",
			       done, granted, asked);
		seed++;
	}
	sum_up(done, "operations fuzzed");
	printf("# %lu of %lu requests were granted\n", granted, asked);
	return true;
}

static void parse_only(char *arg)
{
	for (char *word = strtok(arg, ","); word; word = strtok(NULL, ",")) {
		only = realloc(only, (only_count + 1) * sizeof(*only));
		only[only_count++] = strtol(word, NULL, 10);
	}
}

static int parse(int key, char *arg, struct argp_state *parser)
{
	(void)parser;
	switch (key) {
	case 'n':
		wanted = strtoul(arg, NULL, 10);
		break;
	case 's':
		seed = strtoull(arg, NULL, 10);
		seeded = true;
		break;
	case 'o':
		parse_only(arg);
		break;
	case 'e':
		endless = true;
		break;
	case 'v':
		narrated = true;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp_option options[] = {
	{ "ops", 'n', "N", 0, "Stop after N operations, 200000", 0 },
	{ "seed", 's', "S", 0, "The first round's; the next has S + 1", 0 },
	{ "only", 'o', "I,J,...", 0, "Only these operations of one round", 0 },
	{ "endless", 'e', NULL, 0, "Go on until stopped", 0 },
	{ "verbose", 'v', NULL, 0, "Tell each operation", 0 },
	{ 0 }
};

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options, .parser = parse,
		.doc = "Operate ION and vion at random, and check each answer.",
	};
	bool good;

	remember_pool_size();
	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	good = fuzz();
	restore_pool_size();
	printf("1..1\n%s 1 - the_model_agrees\n", good ? "ok" : "not ok");
	return !good;
}
