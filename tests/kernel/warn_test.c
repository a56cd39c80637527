// SPDX-License-Identifier: GPL-2.0-only
/* Warns, to show that a run fails on it. */
#include <linux/bug.h>
#include <linux/module.h>

static int __init warn_test_init(void)
{
	WARN_ON(true);
	return 0;
}

static void __exit warn_test_exit(void)
{
}

module_init(warn_test_init);
module_exit(warn_test_exit);

MODULE_DESCRIPTION("Warns");
MODULE_LICENSE("GPL");
