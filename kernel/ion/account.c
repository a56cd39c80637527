// SPDX-License-Identifier: GPL-2.0-only
/*
 * How much memory is held, by each open file and by all together, and how much
 * may be. A buffer counts from its allocation until its end, for the file that
 * it was allocated through, whatever became of that file. If it is switched on,
 * it counts for the memory cgroup of who allocated it as well.
 */

#include <linux/atomic.h>
#include <linux/ctype.h>
#include <linux/kernel.h>
#include <linux/moduleparam.h>
#include <linux/refcount.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "../compat.h"
#include "account.h"

/**
 * struct ion_account - what an open file has allocated
 * @users: the file, and its buffers
 * @bytes: of buffers that live
 */
struct ion_account {
	refcount_t users;
	atomic64_t bytes;
};

static atomic64_t all_bytes;

/* 0 is no limit; what is held already stays when one is lowered. */
static u64 limit;
static u64 file_limit;

/**
 * ion_set_bytes() - set a parameter that is a number of bytes, as "16M"
 * @value: what was written
 * @param: the parameter, a u64
 *
 * Return: 0, or -EINVAL for what is no number.
 */
int ion_set_bytes(const char *value, const struct kernel_param *param)
{
	char *end;
	u64 bytes = memparse(value, &end);

	if (!isdigit(*value) || (*end && *end != '\n'))
		return -EINVAL;
	WRITE_ONCE(*(u64 *)param->arg, bytes);
	return 0;
}

static const struct kernel_param_ops limit_ops = {
	.set = ion_set_bytes,
	.get = param_get_ullong,
};

module_param_cb(limit, &limit_ops, &limit, 0644);
MODULE_PARM_DESC(limit, "the most bytes that all buffers may have; 0: no limit");
module_param_cb(file_limit, &limit_ops, &file_limit, 0644);
MODULE_PARM_DESC(file_limit,
		 "the most bytes of buffers from one open file; 0: no limit");

static bool charge_cgroups;
module_param_named(mem_accounting, charge_cgroups, bool, 0444);
MODULE_PARM_DESC(mem_accounting,
		 "charge pages to the memory cgroup of the allocating process");

/* Exact: it fails only if at that moment there is no room. */
static bool add(atomic64_t *bytes, size_t size, u64 most)
{
	s64 old = atomic64_read(bytes);

	do {
		if (most && (old > most || size > most - old))
			return false;
	} while (!atomic64_try_cmpxchg(bytes, &old, old + size));
	return true;
}

/**
 * ion_account_create() - begin to count for an open file
 *
 * Return: the account, to be put; NULL without memory.
 */
struct ion_account *ion_account_create(void)
{
	struct ion_account *account = kzalloc(sizeof(*account), GFP_KERNEL);

	if (account)
		refcount_set(&account->users, 1);
	return account;
}

/**
 * ion_account_put() - stop counting for an open file
 * @account: its account, or NULL; lives on as long as buffers count on it
 */
void ion_account_put(struct ion_account *account)
{
	if (account && refcount_dec_and_test(&account->users))
		kfree(account);
}

/**
 * ion_account_bytes() - how much is counted
 * @account: of an open file, or NULL for all together
 *
 * Return: bytes, of buffers that live.
 */
u64 ion_account_bytes(struct ion_account *account)
{
	return atomic64_read(account ? &account->bytes : &all_bytes);
}

/**
 * ion_account_charge() - count memory that is about to be allocated
 * @account: the open file's, or NULL for a buffer of the kernel's own
 * @size: bytes
 *
 * Return: 0, to be undone with ion_account_uncharge(); -ENOMEM past a limit.
 */
int ion_account_charge(struct ion_account *account, size_t size)
{
	if (account && !add(&account->bytes, size, READ_ONCE(file_limit)))
		return -ENOMEM;
	if (!add(&all_bytes, size, READ_ONCE(limit))) {
		if (account)
			atomic64_sub(size, &account->bytes);
		return -ENOMEM;
	}
	if (account)
		refcount_inc(&account->users);
	return 0;
}

/**
 * ion_account_uncharge() - memory has been freed
 * @account: as it was charged
 * @size: as it was charged
 */
void ion_account_uncharge(struct ion_account *account, size_t size)
{
	atomic64_sub(size, &all_bytes);
	if (account)
		atomic64_sub(size, &account->bytes);
	ion_account_put(account);
}

/**
 * ion_account_gfp() - how to ask the page allocator for a buffer's memory
 * @gfp: how, if cgroups did not matter
 *
 * A page that is had with the flags is charged to the memory cgroup of the
 * current process, if that is switched on, until it is freed.
 *
 * Return: the flags.
 */
gfp_t ion_account_gfp(gfp_t gfp)
{
	return charge_cgroups || ion_kernel_accounts() ? gfp | __GFP_ACCOUNT :
							 gfp;
}
