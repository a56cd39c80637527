// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages that wait for the next buffer: zero already, and mapped as it wants
 * them. They come dirty from a buffer that ended, and a thread that has nothing
 * better to do clears them. What waits is bounded, and the system gets it back
 * when it is short of memory. What is charged to a memory cgroup never waits.
 */

#include <linux/err.h>
#include <linux/highmem.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/timer.h>
#include <uapi/linux/sched/types.h>

#include "../compat.h"
#include "account.h"
#include "page_pool.h"

/* Less than this is cleared faster than the thread is woken. */
#define WORTH_WAKING (SZ_256K >> PAGE_SHIFT)

static struct ion_page_pool *const pools[] = {
	&ion_cached_pool,
	&ion_wc_pool,
};

static u64 pool_size = U64_MAX;
static struct task_struct *cleaner;
static struct shrinker *shrinker;

static size_t most_idle(void)
{
	return READ_ONCE(pool_size) >> PAGE_SHIFT;
}

static void trim(struct ion_page_pool *pool)
{
	size_t idle = READ_ONCE(pool->idle), most = most_idle();

	while (idle > most && pool->release(idle - most)) {
		cond_resched();
		idle = READ_ONCE(pool->idle);
		most = most_idle();
	}
}

static int set_pool_size(const char *value, const struct kernel_param *param)
{
	int i, ret = ion_set_bytes(value, param);

	for (i = 0; !ret && i < ARRAY_SIZE(pools); i++)
		trim(pools[i]);
	return ret;
}

static const struct kernel_param_ops pool_size_ops = {
	.set = set_pool_size,
	.get = param_get_ullong,
};

module_param_cb(pool_size, &pool_size_ops, &pool_size, 0644);
MODULE_PARM_DESC(pool_size,
		 "the most bytes of either kind, cached and write-combined, that wait for buffers (default: a 64th of RAM)");

static size_t dirty_pages(void)
{
	size_t i, pages = 0;

	for (i = 0; i < ARRAY_SIZE(pools); i++)
		pages += READ_ONCE(pools[i]->dirty);
	return pages;
}

/**
 * ion_page_pool_is_behind() - is there too much that is not clear?
 *
 * Then callers clear what they take. Until then it is left to the thread, which
 * is not woken for little.
 */
bool ion_page_pool_is_behind(void)
{
	return dirty_pages() >= WORTH_WAKING;
}

static int clean_all(void *unused)
{
	const struct sched_attr attr = {
		.size = sizeof(attr),
		.sched_policy = SCHED_IDLE,
	};
	int i;

	sched_setattr_nocheck(current, &attr);
	while (!kthread_should_stop()) {
		for (i = 0; i < ARRAY_SIZE(pools); i++)
			while (!kthread_should_stop() && pools[i]->clean()) {
				/* What it had in hand did not count. */
				trim(pools[i]);
				cond_resched();
			}
		set_current_state(TASK_IDLE);
		if (!kthread_should_stop() && !ion_page_pool_is_behind())
			schedule();
		__set_current_state(TASK_RUNNING);
	}
	return 0;
}

static void wake_cleaner(struct timer_list *timer)
{
	wake_up_process(cleaner);
}

/* Soon, so that whoever frees many buffers wakes nobody for each. */
static DEFINE_TIMER(cleaner_timer, wake_cleaner);

static unsigned long count_idle(struct shrinker *s, struct shrink_control *sc)
{
	return (ion_page_pool_idle() >> PAGE_SHIFT) ?: SHRINK_EMPTY;
}

static unsigned long release_idle(struct shrinker *s,
				  struct shrink_control *sc)
{
	unsigned long freed = 0;
	int i;

	for (i = 0; i < ARRAY_SIZE(pools) && freed < sc->nr_to_scan; i++)
		freed += pools[i]->release(sc->nr_to_scan - freed);
	return freed ?: SHRINK_STOP;
}

/**
 * ion_page_pool_clear() - make pages zero
 * @pool: of which kind they are
 * @page: the first, in the linear map
 * @size: bytes, a multiple of PAGE_SIZE
 *
 * Nothing of write-combined pages stays in the caches, whoever looks at them next.
 */
void ion_page_pool_clear(struct ion_page_pool *pool, struct page *page,
			 size_t size)
{
	size_t i;

	for (i = 0; i < size >> PAGE_SHIFT; i++)
		clear_highpage(page + i);
	if (pool == &ion_wc_pool)
		ion_clean_pages(page, size);
}

/**
 * ion_page_pool_alloc() - take a contiguous run of pages
 * @pool: of which kind
 * @size: bytes, a multiple of PAGE_SIZE
 * @align: its alignment in bytes, a power of two
 * @gfp: how hard to try for what does not wait; with __GFP_ACCOUNT nothing does
 *
 * Context: may sleep.
 * Return: the first page, zeroed, or NULL.
 */
struct page *ion_page_pool_alloc(struct ion_page_pool *pool, size_t size,
				 size_t align, gfp_t gfp)
{
	struct page *page = NULL;
	bool dirty;

	if (get_order(max(size, align)) > ION_MAX_ORDER)
		return NULL;
	if (!(gfp & __GFP_ACCOUNT))
		page = pool->take(size, align, &dirty);
	if (!page) {
		page = pool->make(size, align, gfp | __GFP_ZERO);
		/* What is left of it waits. */
		trim(pool);
	} else if (dirty) {
		ion_page_pool_clear(pool, page, size);
	}
	return page;
}

/**
 * ion_page_pool_free() - give a run back
 * @pool: where it came from
 * @page: what ion_page_pool_alloc() returned
 * @size: its size in bytes
 *
 * Context: may sleep.
 */
void ion_page_pool_free(struct ion_page_pool *pool, struct page *page,
			size_t size)
{
	pool->give(page, size, size >> PAGE_SHIFT <= most_idle() &&
			       !(ion_account_gfp(0) & __GFP_ACCOUNT));
	trim(pool);
	if (ion_page_pool_is_behind() && !timer_pending(&cleaner_timer))
		mod_timer(&cleaner_timer, jiffies + 1);
}

/**
 * ion_page_pool_has_room() - may so much more wait?
 * @pool: of which kind
 * @pages: how much
 */
bool ion_page_pool_has_room(struct ion_page_pool *pool, size_t pages)
{
	return READ_ONCE(pool->idle) + pages <= most_idle();
}

/**
 * ion_page_pool_idle() - what waits for the next buffers
 *
 * Return: bytes.
 */
size_t ion_page_pool_idle(void)
{
	size_t i, pages = 0;

	for (i = 0; i < ARRAY_SIZE(pools); i++)
		pages += READ_ONCE(pools[i]->idle);
	return pages << PAGE_SHIFT;
}

/**
 * ion_page_pool_init() - begin to keep pages
 *
 * Return: 0, -ENOMEM, or -EINTR if the process is being killed.
 */
int ion_page_pool_init(void)
{
	if (pool_size == U64_MAX)
		pool_size = (u64)totalram_pages() / 64 << PAGE_SHIFT;
	shrinker = ion_shrinker_add("ion-pool", count_idle, release_idle);
	if (IS_ERR(shrinker))
		return PTR_ERR(shrinker);
	cleaner = kthread_run(clean_all, NULL, "ion_pool");
	if (IS_ERR(cleaner)) {
		ion_shrinker_remove(shrinker);
		return PTR_ERR(cleaner);
	}
	return 0;
}

/**
 * ion_page_pool_exit() - give all pages to the system
 *
 * None is taken any more, and nobody else calls.
 */
void ion_page_pool_exit(void)
{
	int i, tries;

	ion_timer_stop(&cleaner_timer);
	kthread_stop(cleaner);
	ion_shrinker_remove(shrinker);
	/* What cannot be had now is put last, and tried again for a while. */
	for (i = 0; i < ARRAY_SIZE(pools); i++) {
		for (tries = 1000; pools[i]->idle && tries; )
			if (!pools[i]->release(pools[i]->idle))
				tries--;
		if (pools[i]->idle)
			pr_err("ion: %zu pages are lost: they stay write-combined\n",
			       pools[i]->idle);
	}
}
