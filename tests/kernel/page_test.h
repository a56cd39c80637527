/* SPDX-License-Identifier: GPL-2.0-only */
/* /dev/ion_page_test: how page tables say that memory is cached. */
#ifndef PAGE_TEST_H
#define PAGE_TEST_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* As x86 numbers them in its PAT register; 2 is none of them. */
#define PAGE_TEST_UC 0
#define PAGE_TEST_WC 1
#define PAGE_TEST_NONE 2	/* not mapped there */
#define PAGE_TEST_WT 4
#define PAGE_TEST_WP 5
#define PAGE_TEST_WB 6
#define PAGE_TEST_KINDS 8

/**
 * struct page_test_data - how many pages are mapped in which way
 * @fd: a dma-buf descriptor, which is noted; or -1: look only at how the linear
 *	map has what was noted last, whoever has it now
 * @strange: returns how many of the user's pages are not the buffer's there
 * @addr: where the caller has some of it mapped
 * @len: how much, in bytes; may be 0
 * @offset: of what part of the buffer
 * @first: returns the physical address of the buffer's first byte
 * @user: returns the pages there, by kind
 * @kernel: returns those of dma_buf_vmap(), all of the buffer
 * @linear: returns those of the linear map, all of the buffer
 */
struct page_test_data {
	__s32 fd;
	__u32 strange;
	__u64 addr;
	__u64 len;
	__u64 offset;
	__u64 first;
	__u32 user[PAGE_TEST_KINDS];
	__u32 kernel[PAGE_TEST_KINDS];
	__u32 linear[PAGE_TEST_KINDS];
};

#define PAGE_TEST_LOOK _IOWR('p', 1, struct page_test_data)

/**
 * struct page_test_free_data - what is left in pages that are free
 * @word: what to look for
 * @pages: in how many
 * @marked: returns how many of them begin with it
 */
struct page_test_free_data {
	__u64 word;
	__u32 pages;
	__u32 marked;
};

#define PAGE_TEST_FREE _IOWR('p', 2, struct page_test_free_data)

#endif
