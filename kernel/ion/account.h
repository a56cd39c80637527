/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ION_ACCOUNT_H
#define _ION_ACCOUNT_H

#include <linux/types.h>

struct ion_account;
struct kernel_param;

int ion_set_bytes(const char *value, const struct kernel_param *param);
struct ion_account *ion_account_create(void);
void ion_account_put(struct ion_account *account);
u64 ion_account_bytes(struct ion_account *account);
int ion_account_charge(struct ion_account *account, size_t size);
void ion_account_uncharge(struct ion_account *account, size_t size);
gfp_t ion_account_gfp(gfp_t gfp);

#endif
