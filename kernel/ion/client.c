// SPDX-License-Identifier: GPL-2.0-only
/*
 * A client: a table of handles. A handle is a reference to a dma-buf, ours or
 * another exporter's, and means something only to its client.
 */

#include <linux/dma-buf.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/fcntl.h>
#include <linux/iosys-map.h>
#include <linux/limits.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "../compat.h"
#include "account.h"
#include "buffer.h"
#include "client.h"
#include "debug.h"
#include "heap.h"
#include "trace.h"

static LIST_HEAD(clients);
static DEFINE_MUTEX(clients_lock);	/* protects clients; before any lock */

/**
 * struct ion_client - who owns handles
 * @lock: protects the handles, their table and tree. Taken before a dma-buf's
 *	reservation lock; never held while user memory is touched.
 * @handles: by id, which is what user space knows
 * @next_id: where the search for a free id begins, so that ids come back late
 * @buffers: by dma-buf, so that an import finds what is held already
 * @heap_mask: the heaps that this client may allocate from
 * @name: what it called itself
 * @pid: the process behind an open file, or 0
 * @account: what an open file has allocated, or NULL
 * @debug: its file in debugfs
 * @node: in clients
 */
struct ion_client {
	struct mutex lock;
	struct xarray handles;
	u32 next_id;
	struct rb_root buffers;
	unsigned int heap_mask;
	char *name;
	pid_t pid;
	struct ion_account *account;
	struct dentry *debug;
	struct list_head node;
};

/**
 * struct ion_handle - a client's reference to a dma-buf
 * @client: whose
 * @dmabuf: the buffer, of which this is one reference
 * @node: in the client's buffers
 * @id: in the client's handles, 1 to INT_MAX
 * @users: references that the client holds and may drop
 * @pins: references of requests under way, which no client can drop
 * @kmaps: calls to ion_map_kernel() not yet undone
 * @map: the kernel mapping while @kmaps is not 0
 *
 * It lives while @users or @pins is not 0. User space reaches it only while
 * @users is not 0.
 */
struct ion_handle {
	struct ion_client *client;
	struct dma_buf *dmabuf;
	struct rb_node node;
	int id;
	unsigned int users;
	unsigned int pins;
	unsigned int kmaps;
	struct iosys_map map;
};

/* The handle for a dma-buf, or where in the tree it would be. */
static struct ion_handle *find_buffer(struct ion_client *client,
				      struct dma_buf *dmabuf,
				      struct rb_node **parent,
				      struct rb_node ***link)
{
	lockdep_assert_held(&client->lock);
	*link = &client->buffers.rb_node;
	*parent = NULL;

	while (**link) {
		struct ion_handle *handle;

		*parent = **link;
		handle = rb_entry(*parent, struct ion_handle, node);
		if (dmabuf == handle->dmabuf)
			return handle;
		*link = dmabuf < handle->dmabuf ? &(*parent)->rb_left :
						  &(*parent)->rb_right;
	}
	return NULL;
}

static struct ion_handle *find_id(struct ion_client *client, int id)
{
	struct ion_handle *handle;

	lockdep_assert_held(&client->lock);
	if (id <= 0)
		return NULL;
	handle = xa_load(&client->handles, id);
	return handle && handle->users ? handle : NULL;
}

static void free_handle(struct ion_handle *handle)
{
	if (handle->kmaps)
		dma_buf_vunmap_unlocked(handle->dmabuf, &handle->map);
	dma_buf_put(handle->dmabuf);
	kfree(handle);
}

static void remove_if_unused(struct ion_handle *handle)
{
	struct ion_client *client = handle->client;

	lockdep_assert_held(&client->lock);
	if (handle->users || handle->pins)
		return;
	rb_erase(&handle->node, &client->buffers);
	xa_erase(&client->handles, handle->id);
	free_handle(handle);
}

/**
 * ion_handle_pin() - find or make the client's handle for a dma-buf
 * @client: the client
 * @dmabuf: the buffer; the handle takes a reference of its own
 *
 * The handle cannot go away until ion_handle_commit() turns the pin into a
 * reference that the client holds, or ion_handle_abort() drops it. In between
 * the client's own references are what they were: a request that fails has
 * nothing to take back from user space.
 *
 * Return: the handle. ERR_PTR: -ENOMEM.
 */
struct ion_handle *ion_handle_pin(struct ion_client *client,
				  struct dma_buf *dmabuf)
{
	struct rb_node *parent, **link;
	struct ion_handle *handle;
	u32 id;
	int ret;

	mutex_lock(&client->lock);
	handle = find_buffer(client, dmabuf, &parent, &link);
	if (handle) {
		handle->pins++;
		goto out;
	}

	handle = kzalloc(sizeof(*handle), GFP_KERNEL);
	if (!handle) {
		handle = ERR_PTR(-ENOMEM);
		goto out;
	}
	ret = xa_alloc_cyclic(&client->handles, &id, handle,
			      XA_LIMIT(1, INT_MAX), &client->next_id,
			      GFP_KERNEL);
	if (ret < 0) {
		kfree(handle);
		handle = ERR_PTR(-ENOMEM);
		goto out;
	}
	get_dma_buf(dmabuf);
	handle->client = client;
	handle->dmabuf = dmabuf;
	handle->id = id;
	handle->pins = 1;
	rb_link_node(&handle->node, parent, link);
	rb_insert_color(&handle->node, &client->buffers);
out:
	mutex_unlock(&client->lock);
	return handle;
}

/**
 * ion_handle_import() - find or make the client's handle for a shared dma-buf
 * @client: see ion_handle_pin()
 * @dmabuf: see ion_handle_pin()
 *
 * Return: see ion_handle_pin().
 */
struct ion_handle *ion_handle_import(struct ion_client *client,
				     struct dma_buf *dmabuf)
{
	struct ion_handle *handle = ion_handle_pin(client, dmabuf);

	if (!IS_ERR(handle))
		trace_ion_import(client->name, handle->id, dmabuf);
	return handle;
}

/**
 * ion_handle_id() - the number that user space knows a handle by
 * @handle: a handle that cannot go away
 *
 * Return: 1 to INT_MAX.
 */
int ion_handle_id(struct ion_handle *handle)
{
	return handle->id;
}

/**
 * ion_handle_commit() - give a pinned reference to the client
 * @handle: what ion_handle_pin() returned; may be gone afterwards
 */
void ion_handle_commit(struct ion_handle *handle)
{
	struct ion_client *client = handle->client;

	mutex_lock(&client->lock);
	/* Past that many, the count stays and the client's end frees it. */
	if (handle->users != UINT_MAX)
		handle->users++;
	handle->pins--;
	mutex_unlock(&client->lock);
}

/**
 * ion_handle_abort() - drop a pinned reference
 * @handle: what ion_handle_pin() returned; may be gone afterwards
 */
void ion_handle_abort(struct ion_handle *handle)
{
	struct ion_client *client = handle->client;

	mutex_lock(&client->lock);
	handle->pins--;
	remove_if_unused(handle);
	mutex_unlock(&client->lock);
}

static void drop(struct ion_handle *handle)
{
	/* A count that has stuck frees nothing any more: see commit. */
	if (handle->users != UINT_MAX)
		handle->users--;
	remove_if_unused(handle);
}

/**
 * ion_handle_drop() - drop one of the references that the client holds
 * @client: the client
 * @id: any number
 *
 * Return: 0, or -EINVAL if the client holds no such handle.
 */
int ion_handle_drop(struct ion_client *client, int id)
{
	struct ion_handle *handle;

	mutex_lock(&client->lock);
	handle = find_id(client, id);
	if (handle)
		drop(handle);
	mutex_unlock(&client->lock);
	return handle ? 0 : -EINVAL;
}

/**
 * ion_handle_share() - the buffer behind a handle, to be shared
 * @client: the client
 * @id: any number
 *
 * Return: the dma-buf, with a reference that the caller puts. ERR_PTR: -EINVAL
 * if the client holds no such handle.
 */
struct dma_buf *ion_handle_share(struct ion_client *client, int id)
{
	struct dma_buf *dmabuf = ERR_PTR(-EINVAL);
	struct ion_handle *handle;

	mutex_lock(&client->lock);
	handle = find_id(client, id);
	if (handle) {
		dmabuf = handle->dmabuf;
		get_dma_buf(dmabuf);
		trace_ion_share(client->name, id, dmabuf);
	}
	mutex_unlock(&client->lock);
	return dmabuf;
}

/**
 * ion_client_alloc() - allocate a buffer on a client's behalf
 * @client: the client
 * @len: see ion_buffer_alloc()
 * @align: see ion_buffer_alloc()
 * @heap_mask: see ion_buffer_alloc(); heaps closed to the client do not exist
 * @flags: see ion_buffer_alloc()
 *
 * Return: a dma-buf that the caller owns, or as ion_buffer_alloc() does.
 */
struct dma_buf *ion_client_alloc(struct ion_client *client, u64 len, u64 align,
				 unsigned int heap_mask, unsigned int flags)
{
	return ion_buffer_alloc(len, align, heap_mask & client->heap_mask,
				flags, O_RDWR, client->account);
}

static int client_show(struct seq_file *s, void *data)
{
	struct ion_client *client = s->private;
	struct ion_handle *handle;
	unsigned long id;

	seq_printf(s, "name:    %s\n", client->name);
	if (client->pid)
		seq_printf(s, "process: %d\n", client->pid);
	if (client->account)
		seq_printf(s, "counted: %llu\n",
			   ion_account_bytes(client->account));
	seq_printf(s, "\n%10s %10s %12s %6s  %s\n", "handle", "buffer",
		   "bytes", "refs", "heap");

	mutex_lock(&client->lock);
	xa_for_each(&client->handles, id, handle) {
		struct ion_buffer *buffer = ion_buffer_of(handle->dmabuf);

		seq_printf(s, "%10d %10llu %12zu %6u  %s\n", handle->id,
			   (u64)file_inode(handle->dmabuf->file)->i_ino,
			   handle->dmabuf->size, handle->users,
			   buffer ? buffer->heap->name :
				    handle->dmabuf->exp_name);
	}
	mutex_unlock(&client->lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(client);

static struct ion_client *create(unsigned int heap_mask, const char *name,
				 const char *file, pid_t pid,
				 struct ion_account *account)
{
	struct ion_client *client;

	client = kzalloc(sizeof(*client), GFP_KERNEL);
	if (!client)
		return ERR_PTR(-ENOMEM);
	client->name = kstrdup(name, GFP_KERNEL);
	if (!client->name) {
		kfree(client);
		return ERR_PTR(-ENOMEM);
	}
	mutex_init(&client->lock);
	xa_init_flags(&client->handles, XA_FLAGS_ALLOC1);
	client->buffers = RB_ROOT;
	client->heap_mask = heap_mask;
	client->pid = pid;
	client->account = account;

	mutex_lock(&clients_lock);
	list_add_tail(&client->node, &clients);
	mutex_unlock(&clients_lock);
	client->debug = ion_debug_add_client(file, client, &client_fops);
	return client;
}

/**
 * ion_client_open() - become a client on behalf of the current process
 *
 * What it allocates counts against the limit of an open file.
 *
 * Return: the client, to be ended with ion_client_destroy(). ERR_PTR: -ENOMEM.
 */
struct ion_client *ion_client_open(void)
{
	pid_t pid = task_tgid_nr(current);
	char name[TASK_COMM_LEN], file[16];
	struct ion_account *account;
	struct ion_client *client;

	account = ion_account_create();
	if (!account)
		return ERR_PTR(-ENOMEM);
	snprintf(file, sizeof(file), "%d", pid);
	client = create(~0U, get_task_comm(name, current), file, pid, account);
	if (IS_ERR(client))
		ion_account_put(account);
	return client;
}

/**
 * ion_client_create() - become a client
 * @dev: the device, or NULL for the one behind /dev/ion
 * @heap_mask: the heaps that the client may allocate from, 1 << id each
 * @name: what to call it in reports; copied
 *
 * Context: may sleep.
 * Return: the client, to be ended with ion_client_destroy(). ERR_PTR: -EINVAL
 * for a device that is not ours or a missing name, -ENOMEM.
 */
struct ion_client *ion_client_create(struct ion_device *dev,
				     unsigned int heap_mask, const char *name)
{
	if ((dev && dev != ion_device_get()) || !name)
		return ERR_PTR(-EINVAL);
	return create(heap_mask, name, name, 0, NULL);
}
EXPORT_SYMBOL_GPL(ion_client_create);

/**
 * ion_client_destroy() - end a client and all that it holds
 * @client: the client; its handles and kernel mappings are gone afterwards,
 *	buffers that somebody else holds stay
 *
 * Context: may sleep. No other call on the client may be under way.
 */
void ion_client_destroy(struct ion_client *client)
{
	struct ion_handle *handle;
	unsigned long id;

	ion_debug_remove(client->debug);
	mutex_lock(&clients_lock);
	list_del(&client->node);
	mutex_unlock(&clients_lock);

	xa_for_each(&client->handles, id, handle)
		free_handle(handle);
	xa_destroy(&client->handles);
	ion_account_put(client->account);
	mutex_destroy(&client->lock);
	kfree(client->name);
	kfree(client);
}
EXPORT_SYMBOL_GPL(ion_client_destroy);

/* A pinned handle, and the caller's reference to its dma-buf, become one. */
static struct ion_handle *hold(struct ion_handle *handle,
			       struct dma_buf *dmabuf)
{
	if (!IS_ERR(handle))
		ion_handle_commit(handle);
	dma_buf_put(dmabuf);
	return handle;
}

/**
 * ion_alloc() - allocate a buffer
 * @client: the client
 * @len: bytes wanted, rounded up to PAGE_SIZE; the memory is zero
 * @align: alignment wanted in bytes, a power of two; 0 means a page
 * @heap_mask: heaps to try, 1 << id each, the highest id first
 * @flags: ION_FLAG_*, kept with the buffer
 *
 * Context: may sleep.
 * Return: a handle with one reference, to be given back with ion_free().
 * ERR_PTR: -EINVAL for a length that is 0 or overflows when rounded up, or an
 * alignment that no heap of the mask can give; -ENODEV if no heap of the mask
 * exists; -ENOMEM if none has room, the length is over half of RAM (unless the
 * heap's memory was set aside), or ion.ko's parameter limit is reached; -EINTR
 * if the calling process is being killed, -ENFILE if the system has no more
 * files.
 */
struct ion_handle *ion_alloc(struct ion_client *client, size_t len,
			     size_t align, unsigned int heap_mask,
			     unsigned int flags)
{
	struct dma_buf *dmabuf = ion_client_alloc(client, len, align, heap_mask,
						  flags);

	if (IS_ERR(dmabuf))
		return ERR_CAST(dmabuf);
	return hold(ion_handle_pin(client, dmabuf), dmabuf);
}
EXPORT_SYMBOL_GPL(ion_alloc);

/**
 * ion_import_dma_buf() - get a handle for a dma-buf that somebody shared
 * @client: the client
 * @fd: a dma-buf descriptor of the current process, ours or another driver's
 *
 * Context: process context, may sleep.
 * Return: a handle, to be given back with ion_free(); the same one, with one
 * more reference, if the client holds the buffer already. The descriptor may be
 * closed afterwards. ERR_PTR: -EBADF if it is not open, -EINVAL if it is no
 * dma-buf, -ENOMEM.
 */
struct ion_handle *ion_import_dma_buf(struct ion_client *client, int fd)
{
	struct dma_buf *dmabuf = dma_buf_get(fd);

	if (IS_ERR(dmabuf))
		return ERR_CAST(dmabuf);
	return hold(ion_handle_import(client, dmabuf), dmabuf);
}
EXPORT_SYMBOL_GPL(ion_import_dma_buf);

/**
 * ion_free() - give back one reference to a handle
 * @client: the client
 * @handle: its handle; with the last reference it is gone, and unmapped from
 *	the kernel if it was mapped
 *
 * Context: may sleep.
 */
void ion_free(struct ion_client *client, struct ion_handle *handle)
{
	if (WARN_ON(handle->client != client))
		return;

	mutex_lock(&client->lock);
	if (!WARN_ON(!handle->users))
		drop(handle);
	mutex_unlock(&client->lock);
}
EXPORT_SYMBOL_GPL(ion_free);

/**
 * ion_phys() - where a contiguous buffer is in physical memory
 * @client: the client
 * @handle: its handle
 * @addr: returns the physical address
 * @len: returns the buffer's size in bytes
 *
 * For hardware without an address translation of its own. Prefer a dma-buf
 * attachment, which also works behind an IOMMU.
 *
 * Return: 0. -EINVAL: another driver's buffer, or the handle is not the
 * client's; -ENODEV: the buffer's heap does not give contiguous memory.
 */
int ion_phys(struct ion_client *client, struct ion_handle *handle,
	     phys_addr_t *addr, size_t *len)
{
	struct ion_buffer *buffer = ion_buffer_of(handle->dmabuf);

	if (handle->client != client || !buffer)
		return -EINVAL;
	if (!buffer->heap->contiguous)
		return -ENODEV;
	*addr = sg_phys(buffer->mem.table.sgl);
	*len = buffer->mem.size;
	return 0;
}
EXPORT_SYMBOL_GPL(ion_phys);

/**
 * ion_map_kernel() - map a buffer into the kernel's address space
 * @client: the client
 * @handle: its handle
 *
 * Calls are counted; each is undone by one ion_unmap_kernel(). Bracket what is
 * done through the mapping with dma_buf_begin_cpu_access() and
 * dma_buf_end_cpu_access() on what ion_share_dma_buf() returns.
 *
 * Context: may sleep. Takes the buffer's own locks.
 * Return: the address of the whole buffer, the same for every call while it is
 * mapped. ERR_PTR: -EINVAL if the handle is not the client's or the exporter
 * cannot map it, -EOPNOTSUPP if its memory is I/O memory, -ENOMEM, or what the
 * exporter answers.
 */
void *ion_map_kernel(struct ion_client *client, struct ion_handle *handle)
{
	void *vaddr;
	int ret = 0;

	if (handle->client != client)
		return ERR_PTR(-EINVAL);

	mutex_lock(&client->lock);
	if (!handle->kmaps) {
		ret = dma_buf_vmap_unlocked(handle->dmabuf, &handle->map);
		if (!ret && handle->map.is_iomem) {
			dma_buf_vunmap_unlocked(handle->dmabuf, &handle->map);
			ret = -EOPNOTSUPP;
		}
	}
	if (!ret)
		handle->kmaps++;
	vaddr = ret ? ERR_PTR(ret) : handle->map.vaddr;
	mutex_unlock(&client->lock);
	return vaddr;
}
EXPORT_SYMBOL_GPL(ion_map_kernel);

/**
 * ion_unmap_kernel() - undo one ion_map_kernel()
 * @client: the client
 * @handle: its handle; the last call makes the address invalid
 *
 * Context: may sleep. Takes the buffer's own locks.
 */
void ion_unmap_kernel(struct ion_client *client, struct ion_handle *handle)
{
	if (WARN_ON(handle->client != client))
		return;

	mutex_lock(&client->lock);
	if (!WARN_ON(!handle->kmaps) && !--handle->kmaps)
		dma_buf_vunmap_unlocked(handle->dmabuf, &handle->map);
	mutex_unlock(&client->lock);
}
EXPORT_SYMBOL_GPL(ion_unmap_kernel);

/**
 * ion_sg_table() - the pages of a buffer
 * @client: the client
 * @handle: its handle
 *
 * Return: the buffer's own table, which lives as long as the handle and must
 * not be changed nor mapped for DMA (attach to the dma-buf for that). ERR_PTR:
 * -EINVAL for another driver's buffer or a handle that is not the client's.
 */
struct sg_table *ion_sg_table(struct ion_client *client,
			      struct ion_handle *handle)
{
	struct ion_buffer *buffer = ion_buffer_of(handle->dmabuf);

	if (handle->client != client || !buffer)
		return ERR_PTR(-EINVAL);
	return &buffer->mem.table;
}
EXPORT_SYMBOL_GPL(ion_sg_table);

/**
 * ion_share_dma_buf() - the dma-buf behind a handle
 * @client: the client
 * @handle: its handle
 *
 * Return: the dma-buf, with a reference that the caller puts with
 * dma_buf_put(). ERR_PTR: -EINVAL if the handle is not the client's.
 */
struct dma_buf *ion_share_dma_buf(struct ion_client *client,
				  struct ion_handle *handle)
{
	if (handle->client != client)
		return ERR_PTR(-EINVAL);
	get_dma_buf(handle->dmabuf);
	return handle->dmabuf;
}
EXPORT_SYMBOL_GPL(ion_share_dma_buf);

/**
 * ion_share_dma_buf_fd() - share a buffer with the current process
 * @client: the client
 * @handle: its handle
 *
 * Context: process context.
 * Return: a new descriptor, close-on-exec, which belongs to the process.
 * -EINVAL if the handle is not the client's, -EMFILE if there is no room for a
 * descriptor, -ENOMEM.
 */
int ion_share_dma_buf_fd(struct ion_client *client, struct ion_handle *handle)
{
	struct dma_buf *dmabuf = ion_share_dma_buf(client, handle);
	int fd;

	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	/* The descriptor may be closed as soon as it is there. */
	trace_ion_share(client->name, handle->id, dmabuf);
	fd = dma_buf_fd(dmabuf, O_CLOEXEC);
	if (fd < 0)
		dma_buf_put(dmabuf);
	return fd;
}
EXPORT_SYMBOL_GPL(ion_share_dma_buf_fd);

/**
 * ion_begin_access() - begin CPU access, for who has waited for the fences
 * @client: the client
 * @handle: its handle
 *
 * What dma_buf_begin_cpu_access() does but for the wait: so for work whose own
 * fence is in the buffer's reservation object already.
 *
 * Context: may sleep, but waits for no fence and for no memory: the signal of a
 * fence may be behind it.
 * Return: 0. -EINVAL: another driver's buffer, or the handle is not the
 * client's.
 */
int ion_begin_access(struct ion_client *client, struct ion_handle *handle)
{
	struct ion_buffer *buffer = ion_buffer_of(handle->dmabuf);

	if (handle->client != client || !buffer)
		return -EINVAL;
	ion_buffer_begin(buffer);
	return 0;
}
EXPORT_SYMBOL_GPL(ion_begin_access);

/**
 * ion_end_access() - end what ion_begin_access() began
 * @client: the client
 * @handle: its handle
 *
 * Context: see ion_begin_access().
 * Return: see ion_begin_access().
 */
int ion_end_access(struct ion_client *client, struct ion_handle *handle)
{
	struct ion_buffer *buffer = ion_buffer_of(handle->dmabuf);

	if (handle->client != client || !buffer)
		return -EINVAL;
	ion_buffer_end(buffer);
	return 0;
}
EXPORT_SYMBOL_GPL(ion_end_access);

static size_t bytes_of_heap(struct ion_client *client, struct ion_heap *heap)
{
	struct ion_handle *handle;
	unsigned long id;
	size_t bytes = 0;

	mutex_lock(&client->lock);
	xa_for_each(&client->handles, id, handle) {
		struct ion_buffer *buffer = ion_buffer_of(handle->dmabuf);

		if (buffer && buffer->heap == heap)
			bytes += buffer->mem.size;
	}
	mutex_unlock(&client->lock);
	return bytes;
}

/**
 * ion_clients_show() - tell which clients have handles to a heap's buffers
 * @s: where to
 * @heap: the heap
 */
void ion_clients_show(struct seq_file *s, struct ion_heap *heap)
{
	struct ion_client *client;

	seq_printf(s, "%16s %10s %12s\n", "client", "pid", "bytes");
	mutex_lock(&clients_lock);
	list_for_each_entry(client, &clients, node) {
		size_t bytes = bytes_of_heap(client, heap);

		if (bytes)
			seq_printf(s, "%16s %10d %12zu\n", client->name,
				   client->pid, bytes);
	}
	mutex_unlock(&clients_lock);
}
