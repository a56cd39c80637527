/* SPDX-License-Identifier: MIT */
#ifndef ION_TEST_MODULE_H
#define ION_TEST_MODULE_H

#include <linux/vion.h>

#endif
