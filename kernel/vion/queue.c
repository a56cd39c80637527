// SPDX-License-Identifier: GPL-2.0-only
/*
 * The jobs of an open file: they are done one after another, and each has a
 * fence in the reservation objects of its buffers.
 *
 * From when others can see the fence until it has signalled, nothing may wait
 * for anything that may wait for it: reservation locks, memory that has to be
 * reclaimed, a process's memory, and locks under which others do these. So all
 * that a job needs is there before, and is given back after, by somebody else.
 * lockdep sees to it: the work between dma_fence_begin_signalling() and end.
 */

#include <linux/cpumask.h>
#include <linux/dma-buf.h>
#include <linux/dma-fence.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/sync_file.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "buffer.h"
#include "job.h"
#include "queue.h"

/* Does jobs. Reclaim may wait for a fence, hence for this. */
static struct workqueue_struct *runners;
/* Gives back what they had, for which there may have to be reclaim. */
static struct workqueue_struct *cleaners;

/**
 * struct vion_fence - the fence of a job
 * @base: what others see; may outlive the open file, so it pins the module
 * @lock: protects @base
 */
struct vion_fence {
	struct dma_fence base;
	spinlock_t lock;
};

/**
 * struct queued_job - a job on its way
 * @node: in the queue's jobs, or alone if it is done now, then in its done
 * @queue: whose
 * @job: what there is to do
 * @fence: signals its end
 * @deps: fences that it waits for, before it is done
 * @count: how many
 * @next: the first that is not known to have signalled
 * @cb: of that one, while @waiting
 * @waiting: @cb is there to be called
 *
 * Once it is queued, @next, @cb and @waiting are only touched by the queue's
 * work item, and by who ends the queue when that runs no more.
 */
struct queued_job {
	struct list_head node;
	struct vion_queue *queue;
	struct job job;
	struct dma_fence *fence;
	struct dma_fence **deps;
	unsigned int count;
	unsigned int next;
	struct dma_fence_cb cb;
	bool waiting;
};

/**
 * struct outcome - how a job ended
 * @status: 0 or a negative errno, -EINPROGRESS while it has not
 * @crc32: its checksum
 */
struct outcome {
	int status;
	u32 crc32;
};

/**
 * struct vion_queue - the jobs of an open file
 * @client: the open file's
 * @submit: one after another: so fences come into reservation objects in the
 *	order of the queue. Taken before reservation locks, and what ION and
 *	other exporters take; held while a job is done that no fence may wait
 *	for, since fences would wait for it then.
 * @context: of its fences, whose numbers are the jobs' ids
 * @last_id: of the last one that was submitted; protected by @submit and @lock
 * @last: the fence of the last one that was queued, or NULL; protected by
 *	@submit
 * @run: does @jobs, one at a time, as far as fences allow
 * @clean: frees @done; queued with @lock held, so that who has seen that there
 *	is something to free can flush it
 * @closing: no more is done; written once, and looked at without a lock
 * @lock: protects the lists, their count and the outcomes, and that they and the
 *	fences say the same of a job's end. Taken before fences' locks.
 * @jobs: those that have not ended, in order
 * @done: those that have
 * @count: of jobs that have not ended, or that are not all given back
 * @outcomes: of the last jobs, at id % VION_MAX_JOBS
 */
struct vion_queue {
	struct ion_client *client;
	struct mutex submit;
	u64 context;
	u64 last_id;
	struct dma_fence *last;
	struct work_struct run;
	struct work_struct clean;
	bool closing;
	spinlock_t lock;
	struct list_head jobs;
	struct list_head done;
	unsigned int count;
	struct outcome outcomes[VION_MAX_JOBS];
};

static const char *fence_driver_name(struct dma_fence *fence)
{
	return "vion";
}

static const char *fence_timeline_name(struct dma_fence *fence)
{
	return "jobs";
}

static void fence_free(struct rcu_head *rcu)
{
	kfree(container_of(rcu, struct vion_fence, base.rcu));
	module_put(THIS_MODULE);
}

static void fence_release(struct dma_fence *fence)
{
	call_rcu(&fence->rcu, fence_free);
}

static const struct dma_fence_ops fence_ops = {
	.get_driver_name = fence_driver_name,
	.get_timeline_name = fence_timeline_name,
	.release = fence_release,
};

static struct dma_fence *fence_create(u64 context, u64 id)
{
	struct vion_fence *fence;

	fence = kzalloc(sizeof(*fence), GFP_KERNEL_ACCOUNT);
	if (!fence)
		return NULL;
	spin_lock_init(&fence->lock);
	dma_fence_init(&fence->base, &fence_ops, &fence->lock, context, id);
	__module_get(THIS_MODULE);
	return &fence->base;
}

static struct dma_resv *resv_of(struct job *job, unsigned int i)
{
	return job->access[i].buffer->dmabuf->resv;
}

static void set_outcome(struct vion_queue *queue, u64 id, int status, u32 crc32)
{
	struct outcome *outcome = &queue->outcomes[id % VION_MAX_JOBS];

	lockdep_assert_held(&queue->lock);
	outcome->status = status;
	outcome->crc32 = crc32;
}

static void free_job(struct queued_job *q)
{
	while (q->count)
		dma_fence_put(q->deps[--q->count]);
	kvfree(q->deps);
	dma_fence_put(q->fence);
	vion_job_fini(&q->job);
	kfree(q);
}

static void clean(struct work_struct *work)
{
	struct vion_queue *queue = container_of(work, struct vion_queue, clean);
	struct queued_job *q, *next;
	LIST_HEAD(done);

	spin_lock(&queue->lock);
	list_splice_init(&queue->done, &done);
	spin_unlock(&queue->lock);
	list_for_each_entry_safe(q, next, &done, node) {
		free_job(q);
		spin_lock(&queue->lock);
		queue->count--;
		spin_unlock(&queue->lock);
		cond_resched();
	}
}

static void wake(struct dma_fence *fence, struct dma_fence_cb *cb)
{
	struct queued_job *q = container_of(cb, struct queued_job, cb);

	queue_work(runners, &q->queue->run);
}

/* That a fence has signalled does not say that its callbacks are over. */
static void stop_waiting(struct queued_job *q)
{
	if (q->waiting)
		dma_fence_remove_callback(q->deps[q->next], &q->cb);
	q->waiting = false;
}

/* Have its fences signalled? If not, the first that has not will wake us. */
static bool is_ready(struct queued_job *q)
{
	for (; q->next < q->count; q->next++) {
		struct dma_fence *fence = q->deps[q->next];

		if (!q->waiting)
			q->waiting = !dma_fence_add_callback(fence, &q->cb,
							     wake);
		if (q->waiting && !dma_fence_is_signaled(fence))
			return false;
		stop_waiting(q);
	}
	return true;
}

/*
 * Whichever way its end is seen, it is seen in all others then, and what it had
 * is on its way back, so that one can wait for it.
 */
static void end_job(struct queued_job *q, int status)
{
	struct dma_fence *fence = dma_fence_get(q->fence);
	struct vion_queue *queue = q->queue;

	/* That an exporter heard a signal is all that there is to say. */
	if (status == -ERESTARTSYS)
		status = -EINTR;
	spin_lock(&queue->lock);
	set_outcome(queue, fence->seqno, status, q->job.crc32);
	list_move_tail(&q->node, &queue->done);
	queue_work(cleaners, &queue->clean);
	if (status)
		dma_fence_set_error(fence, status);
	dma_fence_signal(fence);
	/* From here on the job may be gone. */
	spin_unlock(&queue->lock);
	dma_fence_put(fence);
}

static struct queued_job *first_job(struct vion_queue *queue)
{
	struct queued_job *q;

	spin_lock(&queue->lock);
	q = list_first_entry_or_null(&queue->jobs, struct queued_job, node);
	spin_unlock(&queue->lock);
	return q;
}

/* One job, and then those of other open files have their turn. */
static void run(struct work_struct *work)
{
	struct vion_queue *queue = container_of(work, struct vion_queue, run);
	bool cookie = dma_fence_begin_signalling();
	struct queued_job *q = first_job(queue);

	if (!READ_ONCE(queue->closing) && q && is_ready(q)) {
		end_job(q, vion_job_begin(&q->job) ?: vion_job_finish(&q->job));
		queue_work(runners, &queue->run);
	}
	dma_fence_end_signalling(cookie);
}

static void cancel_jobs(struct vion_queue *queue)
{
	bool cookie = dma_fence_begin_signalling();
	struct queued_job *q;

	while ((q = first_job(queue))) {
		stop_waiting(q);
		end_job(q, -ECANCELED);
		cond_resched();
	}
	dma_fence_end_signalling(cookie);
}

/* Two may belong to one object, which is locked once then. */
static void unlock(struct job *job)
{
	dma_resv_unlock(resv_of(job, 0));
	if (job->count > 1 && resv_of(job, 1) != resv_of(job, 0))
		dma_resv_unlock(resv_of(job, 1));
}

static int lock(struct job *job, struct ww_acquire_ctx *ctx)
{
	struct dma_resv *held = resv_of(job, 0);
	struct dma_resv *other = resv_of(job, job->count - 1);
	int ret;

	ret = dma_resv_lock_interruptible(held, ctx);
	if (ret || other == held)
		return ret;
	while ((ret = dma_resv_lock_interruptible(other, ctx)) == -EDEADLK) {
		dma_resv_unlock(held);
		ret = dma_resv_lock_slow_interruptible(other, ctx);
		if (ret)
			return ret;
		swap(held, other);
	}
	if (ret)
		dma_resv_unlock(held);
	return ret;
}

/* What is ours is before us in the queue, or has ended. */
static bool is_dep(struct vion_queue *queue, struct dma_fence *fence)
{
	return fence->context != queue->context &&
	       !dma_fence_is_signaled(fence);
}

static int collect_deps(struct queued_job *q)
{
	struct job *job = &q->job;
	struct dma_resv_iter cursor;
	unsigned int max = 0, i;
	struct dma_fence *fence;

	for (i = 0; i < job->count; i++)
		dma_resv_for_each_fence(&cursor, resv_of(job, i),
				dma_resv_usage_rw(job->access[i].write), fence)
			max += is_dep(q->queue, fence);
	if (!max)
		return 0;
	q->deps = kvmalloc_array(max, sizeof(*q->deps), GFP_KERNEL_ACCOUNT);
	if (!q->deps)
		return -ENOMEM;

	/* They may signal meanwhile, but no other can come. */
	for (i = 0; i < job->count; i++)
		dma_resv_for_each_fence(&cursor, resv_of(job, i),
				dma_resv_usage_rw(job->access[i].write), fence)
			if (is_dep(q->queue, fence))
				q->deps[q->count++] = dma_fence_get(fence);
	return 0;
}

static int reserve(struct job *job)
{
	unsigned int i;
	int ret = 0;

	/* As many as if both belonged to one object. */
	for (i = 0; !ret && i < job->count; i++)
		ret = dma_resv_reserve_fences(resv_of(job, i), job->count);
	return ret;
}

static void add_fence(struct job *job, struct dma_fence *fence)
{
	unsigned int i;

	for (i = 0; i < job->count; i++)
		dma_resv_add_fence(resv_of(job, i), fence,
				   job->access[i].write ? DMA_RESV_USAGE_WRITE :
							  DMA_RESV_USAGE_READ);
}

static void add_job(struct queued_job *q)
{
	struct vion_queue *queue = q->queue;

	lockdep_assert_held(&queue->lock);
	queue->last_id = q->fence->seqno;
	set_outcome(queue, queue->last_id, -EINPROGRESS, 0);
	queue->count++;
}

/* It may be done, and be gone, as soon as it is in the list. */
static void queue_job(struct queued_job *q)
{
	struct vion_queue *queue = q->queue;

	dma_fence_put(queue->last);
	queue->last = dma_fence_get(q->fence);
	spin_lock(&queue->lock);
	add_job(q);
	list_add_tail(&q->node, &queue->jobs);
	spin_unlock(&queue->lock);
	queue_work(runners, &queue->run);
}

static int enqueue(struct queued_job *q)
{
	struct ww_acquire_ctx ctx;
	bool cookie;
	int ret;

	ww_acquire_init(&ctx, &reservation_ww_class);
	ret = lock(&q->job, &ctx);
	if (ret)
		goto out;
	ret = collect_deps(q) ?: reserve(&q->job);
	if (ret)
		goto out_unlock;

	cookie = dma_fence_begin_signalling();
	add_fence(&q->job, q->fence);
	unlock(&q->job);
	queue_job(q);
	dma_fence_end_signalling(cookie);
	goto out;

out_unlock:
	unlock(&q->job);
out:
	ww_acquire_fini(&ctx);
	return ret;
}

static bool all_idle(struct job *job)
{
	unsigned int i;

	for (i = 0; i < job->count; i++)
		if (!vion_buffer_idle(job->access[i].buffer,
				      job->access[i].write))
			return false;
	return true;
}

/* The one may get another fence while the other is waited for. */
static int wait_for_all(struct job *job)
{
	unsigned int i;
	int ret;

	while (!all_idle(job)) {
		for (i = 0; i < job->count; i++) {
			ret = vion_buffer_wait(job->access[i].buffer,
					       job->access[i].write);
			if (ret)
				return ret;
		}
	}
	return 0;
}

/*
 * What its exporter does may wait for a fence that is behind us: so there is
 * none, and nothing is queued behind us, which is the business of @submit.
 */
static int do_now(struct queued_job *q)
{
	struct vion_queue *queue = q->queue;
	long ret = 0;

	if (queue->last)
		ret = dma_fence_wait(queue->last, true);
	if (!ret)
		ret = wait_for_all(&q->job);
	if (!ret)
		ret = vion_job_begin(&q->job);
	if (ret)
		return ret;

	spin_lock(&queue->lock);
	add_job(q);
	spin_unlock(&queue->lock);
	end_job(q, vion_job_finish(&q->job));
	return 0;
}

/* What has ended and was not yet given back is somewhere, too. */
static bool is_full(struct vion_queue *queue)
{
	u64 id = queue->last_id + 1;
	bool full;

	spin_lock(&queue->lock);
	full = queue->outcomes[id % VION_MAX_JOBS].status == -EINPROGRESS ||
	       queue->count >= 2 * VION_MAX_JOBS;
	spin_unlock(&queue->lock);
	return full;
}

/* In an order in which what can fail comes before what cannot be undone. */
static int submit(struct queued_job *q, int fd, struct vion_job __user *user)
{
	struct vion_queue *queue = q->queue;
	struct sync_file *sync = NULL;
	int ret;

	lockdep_assert_held(&queue->submit);
	if (is_full(queue))
		return -EBUSY;
	q->fence = fence_create(queue->context, queue->last_id + 1);
	if (!q->fence)
		return -ENOMEM;
	if (IS_ENABLED(CONFIG_SYNC_FILE) && fd >= 0) {
		sync = sync_file_create(q->fence);
		if (!sync)
			return -ENOMEM;
	}
	ret = -EFAULT;
	if (put_user(fd, &user->fence) ||
	    put_user(q->fence->seqno, &user->id))
		goto err_sync;
	ret = vion_job_is_fenceable(&q->job) ? enqueue(q) : do_now(q);
	if (ret)
		goto err_sync;
	if (sync)
		fd_install(fd, sync->file);
	return 0;

err_sync:
	if (sync)
		fput(sync->file);
	return ret;
}

/**
 * vion_queue_submit() - submit a job
 * @queue: the open file's
 * @buffer: the registered buffer, with a reference that is the job's now,
 *	whatever comes of it
 * @args: the job
 * @user: where the answer goes
 *
 * Context: process context, may sleep. Takes reservation locks.
 * Return: 0, or an error of VION_SUBMIT.
 */
int vion_queue_submit(struct vion_queue *queue, struct vion_buffer *buffer,
		      const struct vion_job *args, struct vion_job __user *user)
{
	struct queued_job *q;
	int ret, fd = -1;

	q = kzalloc(sizeof(*q), GFP_KERNEL_ACCOUNT);
	if (!q) {
		vion_buffer_put(buffer);
		return -ENOMEM;
	}
	INIT_LIST_HEAD(&q->node);
	q->queue = queue;
	q->job.args = *args;
	q->job.closing = &queue->closing;
	ret = vion_job_init(&q->job, buffer, queue->client);
	if (ret)
		goto err_free;
	if (args->flags & VION_JOB_FENCE) {
		fd = get_unused_fd_flags(O_CLOEXEC);
		ret = fd;
		if (fd < 0)
			goto err_free;
	}

	ret = mutex_lock_interruptible(&queue->submit);
	if (ret)
		goto err_fd;
	ret = submit(q, fd, user);
	mutex_unlock(&queue->submit);
	if (!ret)
		return 0;
err_fd:
	if (fd >= 0)
		put_unused_fd(fd);
err_free:
	free_job(q);
	/* Nothing was done: it can be begun again. */
	return ret == -EINTR ? -ERESTARTSYS : ret;
}

/**
 * vion_queue_result() - how did a job end?
 * @queue: the open file's
 * @result: which one; returns the answer
 *
 * Return: 0, -EAGAIN: it did not yet; -ENOENT: there is or was no such job.
 */
int vion_queue_result(struct vion_queue *queue, struct vion_result *result)
{
	struct outcome outcome;
	bool known;

	spin_lock(&queue->lock);
	known = result->id && result->id <= queue->last_id &&
		queue->last_id - result->id < VION_MAX_JOBS;
	outcome = queue->outcomes[result->id % VION_MAX_JOBS];
	spin_unlock(&queue->lock);

	if (!known)
		return -ENOENT;
	if (outcome.status == -EINPROGRESS)
		return -EAGAIN;
	result->status = outcome.status;
	result->crc32 = outcome.crc32;
	return 0;
}

/**
 * vion_queue_flush() - wait until jobs that have ended have given back all
 * @queue: the open file's
 *
 * Context: may sleep. Waits, whatever signals come, for a worker that takes
 * reservation locks and calls exporters: none of their locks may be held.
 */
void vion_queue_flush(struct vion_queue *queue)
{
	/* It may miss what is being queued right now, but not what was. */
	flush_work(&queue->clean);
}

/**
 * vion_queue_create() - make the queue of an open file
 * @client: the open file's; outlives the queue
 *
 * Return: the queue, or NULL if there is no memory for it.
 */
struct vion_queue *vion_queue_create(struct ion_client *client)
{
	struct vion_queue *queue;

	queue = kvzalloc(sizeof(*queue), GFP_KERNEL_ACCOUNT);
	if (!queue)
		return NULL;
	queue->client = client;
	mutex_init(&queue->submit);
	queue->context = dma_fence_context_alloc(1);
	INIT_WORK(&queue->run, run);
	INIT_WORK(&queue->clean, clean);
	spin_lock_init(&queue->lock);
	INIT_LIST_HEAD(&queue->jobs);
	INIT_LIST_HEAD(&queue->done);
	return queue;
}

/**
 * vion_queue_destroy() - cancel what has not begun, and stop what has
 * @queue: the queue, whose file nobody has open any more
 *
 * Context: may sleep: for a piece of the job that is under way, and the end of
 * its CPU access; then see vion_queue_flush().
 */
void vion_queue_destroy(struct vion_queue *queue)
{
	WRITE_ONCE(queue->closing, true);
	/* Nobody waits here until the workers are done with others' jobs. */
	cancel_work_sync(&queue->run);
	cancel_jobs(queue);
	/* A fence that signalled meanwhile may have woken it again, for nothing. */
	cancel_work_sync(&queue->run);
	vion_queue_flush(queue);
	dma_fence_put(queue->last);
	mutex_destroy(&queue->submit);
	kvfree(queue);
}

/**
 * vion_queue_init() - get ready for queues
 *
 * Return: 0 or -ENOMEM.
 */
int vion_queue_init(void)
{
	/* None of them ever waits for another, nor for a fence. */
	runners = alloc_workqueue("vion", WQ_UNBOUND | WQ_MEM_RECLAIM,
				  num_online_cpus());
	if (!runners)
		return -ENOMEM;
	cleaners = alloc_workqueue("vion_clean", WQ_UNBOUND, 0);
	if (!cleaners) {
		destroy_workqueue(runners);
		return -ENOMEM;
	}
	return 0;
}

/**
 * vion_queue_exit() - undo vion_queue_init()
 *
 * There is no queue and no fence any more, but the last fences' freeing may be
 * about to return.
 */
void vion_queue_exit(void)
{
	rcu_barrier();
	/* Nor is anybody still on the way out of fence_release(). */
	synchronize_rcu_tasks();
	destroy_workqueue(cleaners);
	destroy_workqueue(runners);
}
