// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads from the page tables how a dma-buf's memory is cached, in each of its
 * mappings. An emulated processor does not heed it, so nothing else can tell.
 */

#include <linux/dma-buf.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/io.h>
#include <linux/iosys-map.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pgtable.h>
#include <linux/sched.h>
#include <linux/uaccess.h>

#include <asm/msr.h>
#include <asm/pgtable_types.h>

#include "../../kernel/compat.h"
#include "page_test.h"

static DEFINE_MUTEX(lock);	/* protects what follows */
static unsigned long *pfns;	/* of the buffer that was looked at last */
static unsigned long num_pfns;
static u64 pat;			/* what the processor takes the bits for */

/* The entry that maps the address in the tables below, or NULL. */
static pte_t *find_entry(pgd_t *pgd, unsigned long addr, unsigned int *level)
{
	p4d_t *p4d;
	pud_t *pud;
	pmd_t *pmd;
	pte_t *pte;

	if (pgd_none(*pgd))
		return NULL;
	p4d = p4d_offset(pgd, addr);
	if (p4d_none(*p4d))
		return NULL;
	pud = pud_offset(p4d, addr);
	if (pud_none(*pud))
		return NULL;
	*level = PG_LEVEL_1G;
	if (pud_val(*pud) & _PAGE_PSE)
		return (pte_t *)pud;
	pmd = pmd_offset(pud, addr);
	if (pmd_none(*pmd))
		return NULL;
	*level = PG_LEVEL_2M;
	if (pmd_val(*pmd) & _PAGE_PSE)
		return (pte_t *)pmd;
	*level = PG_LEVEL_4K;
	pte = pte_offset_kernel(pmd, addr);
	return pte_none(*pte) ? NULL : pte;
}

/* Counts how the entry maps its page, and tells which that is. */
static unsigned long count_entry(pte_t *pte, unsigned int level,
				 unsigned long addr, u32 *kinds)
{
	unsigned long value;
	unsigned int index = 0;

	value = pte ? pte_val(READ_ONCE(*pte)) : 0;
	if (!(value & (_PAGE_PRESENT | _PAGE_PROTNONE))) {
		kinds[PAGE_TEST_NONE]++;
		return 0;
	}
	if (value & _PAGE_PWT)
		index += 1;
	if (value & _PAGE_PCD)
		index += 2;
	if (value & (level == PG_LEVEL_4K ? _PAGE_PAT : _PAGE_PAT_LARGE))
		index += 4;
	kinds[pat >> 8 * index & 7]++;

	/* The frame of a page without access is turned inside out. */
	if (level == PG_LEVEL_4K)
		return pte_pfn(*pte);
	if (level == PG_LEVEL_2M)
		return pmd_pfn(*(pmd_t *)pte) +
		       ((addr & ~PMD_MASK) >> PAGE_SHIFT);
	return ((value & PTE_PFN_MASK & ~_PAGE_PAT_LARGE) >> PAGE_SHIFT) +
	       ((addr & ~PUD_MASK) >> PAGE_SHIFT);
}

static void look_at_user(struct page_test_data *data)
{
	unsigned long first = data->offset >> PAGE_SHIFT, i;
	struct mm_struct *mm = current->mm;

	mmap_read_lock(mm);
	for (i = 0; i < data->len >> PAGE_SHIFT; i++) {
		unsigned long addr = data->addr + (i << PAGE_SHIFT), pfn;
		unsigned int level = PG_LEVEL_4K;
		pte_t *pte = find_entry(pgd_offset(mm, addr), addr, &level);

		pfn = count_entry(pte, level, addr, data->user);
		if (first + i >= num_pfns || pfn != pfns[first + i])
			data->strange++;
	}
	mmap_read_unlock(mm);
}

static void look_at_linear(struct page_test_data *data)
{
	unsigned long i;

	for (i = 0; i < num_pfns; i++) {
		unsigned long addr = (unsigned long)__va(PFN_PHYS(pfns[i]));
		unsigned int level = PG_LEVEL_4K;
		pte_t *pte = lookup_address(addr, &level);

		count_entry(pte, level, addr, data->linear);
	}
}

static int look_at_kernel(struct dma_buf *dmabuf, struct page_test_data *data)
{
	unsigned long count = dmabuf->size >> PAGE_SHIFT, i;
	struct iosys_map map;
	int ret;

	ret = dma_buf_vmap_unlocked(dmabuf, &map);
	if (ret)
		return ret;
	kvfree(pfns);
	num_pfns = 0;
	pfns = kvmalloc_array(count, sizeof(*pfns), GFP_KERNEL);
	if (!pfns) {
		ret = -ENOMEM;
		goto out;
	}
	num_pfns = count;
	for (i = 0; i < count; i++) {
		unsigned long addr = (unsigned long)map.vaddr +
				     (i << PAGE_SHIFT);
		unsigned int level = PG_LEVEL_4K;
		pte_t *pte = lookup_address(addr, &level);

		pfns[i] = count_entry(pte, level, addr, data->kernel);
	}
	data->first = PFN_PHYS(pfns[0]);
	look_at_user(data);
	look_at_linear(data);
out:
	dma_buf_vunmap_unlocked(dmabuf, &map);
	return ret;
}

static int look(struct page_test_data *data)
{
	struct dma_buf *dmabuf;
	int ret;

	data->strange = 0;
	memset(data->user, 0, sizeof(data->user));
	memset(data->kernel, 0, sizeof(data->kernel));
	memset(data->linear, 0, sizeof(data->linear));
	if (data->fd == -1) {
		look_at_linear(data);
		return 0;
	}
	dmabuf = dma_buf_get(data->fd);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	ret = look_at_kernel(dmabuf, data);
	dma_buf_put(dmabuf);
	return ret;
}

static bool begins_with(struct page *page, u64 word)
{
	u64 *vaddr = kmap_local_page(page);
	bool found = *vaddr == word;

	kunmap_local(vaddr);
	return found;
}

/* As they come to whoever allocates them without having them cleared. */
static int look_at_free(struct page_test_free_data *data)
{
	struct page *page, *next;
	LIST_HEAD(pages);
	int ret = 0;
	u32 i;

	data->marked = 0;
	for (i = 0; i < data->pages; i++) {
		page = alloc_page(GFP_HIGHUSER);
		if (!page) {
			ret = -ENOMEM;
			break;
		}
		list_add(&page->lru, &pages);
		data->marked += begins_with(page, data->word);
	}
	list_for_each_entry_safe(page, next, &pages, lru)
		__free_page(page);
	return ret;
}

static long page_test_free(struct page_test_free_data __user *arg)
{
	struct page_test_free_data data;
	int ret;

	if (copy_from_user(&data, arg, sizeof(data)))
		return -EFAULT;
	ret = look_at_free(&data);
	if (!ret && copy_to_user(arg, &data, sizeof(data)))
		ret = -EFAULT;
	return ret;
}

static long page_test_ioctl(struct file *file, unsigned int cmd,
			    unsigned long arg)
{
	struct page_test_data data;
	int ret;

	if (cmd == PAGE_TEST_FREE)
		return page_test_free((void __user *)arg);
	if (cmd != PAGE_TEST_LOOK)
		return -ENOTTY;
	if (copy_from_user(&data, (void __user *)arg, sizeof(data)))
		return -EFAULT;
	mutex_lock(&lock);
	ret = look(&data);
	mutex_unlock(&lock);
	if (!ret && copy_to_user((void __user *)arg, &data, sizeof(data)))
		ret = -EFAULT;
	return ret;
}

static const struct file_operations page_test_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = page_test_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice page_test_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "ion_page_test",
	.fops = &page_test_fops,
};

static int __init page_test_init(void)
{
	u32 low, high;

	rdmsr(MSR_IA32_CR_PAT, low, high);
	pat = low | (u64)high << 32;
	return misc_register(&page_test_misc);
}

static void __exit page_test_exit(void)
{
	misc_deregister(&page_test_misc);
	kvfree(pfns);
}

module_init(page_test_init);
module_exit(page_test_exit);

MODULE_DESCRIPTION("How page tables say that a dma-buf is cached");
MODULE_LICENSE("GPL");
ION_IMPORT_DMA_BUF_NS();
