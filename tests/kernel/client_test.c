// SPDX-License-Identifier: GPL-2.0-only
/*
 * ION's in-kernel client API and its dma-buf exporter, as drivers use them.
 * Loading the module runs the tests; the kernel log has a line for each. It
 * loads even if one fails, since buffers that it exported may live on a while.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/fdtable.h>
#include <linux/ion.h>
#include <linux/iosys-map.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/scatterlist.h>
#include <linux/string.h>

#include "../../kernel/compat.h"

#define SYSTEM ION_HEAP_SYSTEM_MASK
#define CONTIG ION_HEAP_SYSTEM_CONTIG_MASK
#define LAST_HEAP ION_HEAP_TYPE_DMA_MASK
#define CONTIGUOUS (CONTIG | ION_HEAP_CARVEOUT_MASK | ION_HEAP_TYPE_DMA_MASK)
#define SIZE (1024 * 1024 + PAGE_SIZE)
#define LARGEST (4UL * 1024 * 1024)	/* of the page allocator */

static bool bounce;
module_param(bounce, bool, 0444);
MODULE_PARM_DESC(bounce, "the kernel was booted with swiotlb=force");

static bool failed;

/* Notes a failure and goes on. */
#define expect(value, wanted) do {					\
	long long came_ = (long long)(value), want_ = (long long)(wanted); \
									\
	if (came_ != want_) {						\
		pr_info("# line %d: %s: expected %lld, came %lld\n",	\
			__LINE__, #value, want_, came_);		\
		failed = true;						\
	}								\
} while (0)

#define expect_err(pointer, wanted) \
	expect(PTR_ERR_OR_ZERO(pointer), wanted)

/* Give NULL, and note a failure, where there is nothing to go on with. */
static struct ion_client *create(unsigned int heap_mask)
{
	struct ion_client *client;

	client = ion_client_create(NULL, heap_mask, "client_test");
	expect_err(client, 0);
	return IS_ERR(client) ? NULL : client;
}

static struct ion_handle *alloc(struct ion_client *client, size_t len,
				unsigned int heap_mask)
{
	struct ion_handle *handle;

	handle = ion_alloc(client, len, 0, heap_mask, ION_FLAG_CACHED);
	expect_err(handle, 0);
	return IS_ERR(handle) ? NULL : handle;
}

static void *map(struct ion_client *client, struct ion_handle *handle)
{
	void *vaddr = ion_map_kernel(client, handle);

	expect_err(vaddr, 0);
	return IS_ERR(vaddr) ? NULL : vaddr;
}

static void clients_are_created(struct ion_client *client,
				struct ion_client *other)
{
	struct ion_client *third;

	third = ion_client_create(ion_device_get(), ~0U, "client_test");
	expect_err(third, 0);
	if (!IS_ERR(third))
		ion_client_destroy(third);
	expect_err(ion_client_create((struct ion_device *)&third, ~0U, "x"),
		   -EINVAL);
	expect_err(ion_client_create(NULL, ~0U, NULL), -EINVAL);
}

static void allocation_errors(struct ion_client *client,
			      struct ion_client *other)
{
	struct ion_client *limited = create(CONTIG);

	expect_err(ion_alloc(client, 0, 0, CONTIG, 0), -EINVAL);
	expect_err(ion_alloc(client, SIZE_MAX, 0, CONTIG, 0), -EINVAL);
	expect_err(ion_alloc(client, PAGE_SIZE, 3, CONTIG, 0), -EINVAL);
	expect_err(ion_alloc(client, PAGE_SIZE, 0, 0, 0), -ENODEV);
	expect_err(ion_alloc(client, SIZE_MAX / 2 + 1, 0, CONTIG, 0), -ENOMEM);
	expect_err(ion_import_dma_buf(client, -1), -EBADF);
	if (!limited)
		return;
	/* A heap that the client may not use does not exist for it. */
	expect_err(ion_alloc(limited, PAGE_SIZE, 0, SYSTEM, 0), -ENODEV);
	alloc(limited, PAGE_SIZE, SYSTEM | CONTIG);
	ion_client_destroy(limited);
}

static void physical_addresses(struct ion_client *client,
			       struct ion_client *other)
{
	struct ion_handle *contig = alloc(client, 3 * PAGE_SIZE + 1, CONTIG);
	struct ion_handle *system = alloc(client, SIZE, SYSTEM);
	phys_addr_t addr = 1;
	size_t len = 1;

	if (!contig || !system)
		return;
	expect(ion_phys(client, system, &addr, &len), -ENODEV);
	expect(ion_phys(other, contig, &addr, &len), -EINVAL);
	expect(addr, 1);
	expect(len, 1);
	expect(ion_phys(client, contig, &addr, &len), 0);
	expect(len, 4 * PAGE_SIZE);
	expect(addr, virt_to_phys(map(client, contig)));
}

/* In one piece where that is promised, and each piece where it may be. */
static void expect_place(struct ion_client *client, struct ion_handle *handle,
			 unsigned int heap, size_t size, size_t align)
{
	struct sg_table *table = ion_sg_table(client, handle);
	struct scatterlist *sg;
	phys_addr_t addr;
	size_t len;
	int i;

	expect_err(table, 0);
	if (IS_ERR(table))
		return;
	for_each_sgtable_sg(table, sg, i)
		expect(IS_ALIGNED(sg_phys(sg), align), true);
	if (!(CONTIGUOUS & heap)) {
		expect(ion_phys(client, handle, &addr, &len), -ENODEV);
		return;
	}
	expect(table->orig_nents, 1);
	expect(ion_phys(client, handle, &addr, &len), 0);
	expect(addr, sg_phys(table->sgl));
	expect(len, size);
}

/* Whether a heap can is what tests/heaps.c asks; here, whether it does. */
static void places_of(struct ion_client *client, unsigned int heap,
		      size_t size, size_t align)
{
	struct ion_handle *handle;
	int cached;

	for (cached = 0; cached < 2; cached++) {
		handle = ion_alloc(client, size, align, heap,
				   cached ? ION_FLAG_CACHED : 0);
		if (IS_ERR(handle)) {
			expect(PTR_ERR(handle),
			       size > LARGEST ? -ENOMEM : -EINVAL);
			expect(size > LARGEST || align > PAGE_SIZE, true);
			continue;
		}
		expect_place(client, handle, heap, size, align);
		ion_free(client, handle);
	}
}

static void places(struct ion_client *client, struct ion_client *other)
{
	unsigned int heap;
	size_t align;

	/* What is freed here goes only as loading ends: so not too much. */
	for (heap = 1; heap <= LAST_HEAP; heap <<= 1) {
		places_of(client, heap, LARGEST, PAGE_SIZE);
		places_of(client, heap, 4 * LARGEST, PAGE_SIZE);
		for (align = PAGE_SIZE; align <= LARGEST / 8; align <<= 1) {
			places_of(client, heap, PAGE_SIZE, align);
			places_of(client, heap, 37 * PAGE_SIZE, align);
		}
	}
}

static void tables_of(struct ion_client *client, struct ion_client *other,
		      unsigned int heap)
{
	struct ion_handle *handle = alloc(client, SIZE, heap);
	struct sg_table *table;
	struct scatterlist *sg;
	size_t sum = 0;
	int i;

	if (!handle)
		return;
	expect_err(ion_sg_table(other, handle), -EINVAL);
	table = ion_sg_table(client, handle);
	expect_err(table, 0);
	if (IS_ERR(table))
		return;
	for_each_sgtable_sg(table, sg, i)
		sum += sg->length;
	expect(sum, SIZE);
}

static void tables(struct ion_client *client, struct ion_client *other)
{
	unsigned int heap;

	for (heap = 1; heap <= LAST_HEAP; heap <<= 1)
		tables_of(client, other, heap);
}

static void mappings_of(struct ion_client *client, struct ion_client *other,
			unsigned int heap)
{
	struct ion_handle *handle = alloc(client, SIZE, heap);
	struct dma_buf *dmabuf;
	u8 *a, *b;

	if (!handle)
		return;
	expect_err(ion_map_kernel(other, handle), -EINVAL);
	dmabuf = ion_share_dma_buf(client, handle);
	a = map(client, handle);
	b = map(client, handle);
	if (!a || !b)
		goto out;
	expect(a == b, true);
	expect(memchr_inv(a, 0, SIZE) == NULL, true);
	memset(a, 0x5a, SIZE);
	ion_unmap_kernel(client, handle);
	expect(b[SIZE - 1], 0x5a);
	ion_unmap_kernel(client, handle);
	expect(dmabuf->vmapping_counter, 0);

	a = map(client, handle);
	if (!a)
		goto out;
	expect(memchr_inv(a, 0x5a, SIZE) == NULL, true);
	/* Freeing a mapped handle unmaps it. */
	ion_free(client, handle);
	expect(dmabuf->vmapping_counter, 0);
out:
	dma_buf_put(dmabuf);
}

static void mappings(struct ion_client *client, struct ion_client *other)
{
	unsigned int heap;

	for (heap = 1; heap <= LAST_HEAP; heap <<= 1)
		mappings_of(client, other, heap);
}

static void sharing(struct ion_client *client, struct ion_client *other)
{
	struct ion_handle *handle = alloc(client, SIZE, SYSTEM), *imported;
	u8 *vaddr;
	int fd;

	if (!handle)
		return;
	expect_err(ion_share_dma_buf(other, handle), -EINVAL);
	expect(ion_share_dma_buf_fd(other, handle), -EINVAL);

	fd = ion_share_dma_buf_fd(client, handle);
	expect(fd >= 0, true);
	expect(ion_import_dma_buf(client, fd) == handle, true);
	imported = ion_import_dma_buf(other, fd);
	expect_err(imported, 0);
	close_fd(fd);
	vaddr = map(client, handle);
	if (IS_ERR(imported) || !vaddr)
		return;
	expect(imported != handle, true);

	/* What one client lets go of, the other still has. */
	memset(vaddr, 0x77, SIZE);
	ion_free(client, handle);
	ion_free(client, handle);
	vaddr = map(other, imported);
	if (vaddr)
		expect(memchr_inv(vaddr, 0x77, SIZE) == NULL, true);
}

static void buffers_outlive_clients(struct ion_client *client,
				    struct ion_client *other)
{
	struct ion_client *gone = create(~0U);
	struct ion_handle *handle;
	struct dma_buf *dmabuf;
	struct iosys_map iosys;
	void *vaddr;

	if (!gone)
		return;
	handle = alloc(gone, SIZE, SYSTEM);
	vaddr = handle ? map(gone, handle) : NULL;
	if (!vaddr) {
		ion_client_destroy(gone);
		return;
	}
	memset(vaddr, 0x77, SIZE);
	dmabuf = ion_share_dma_buf(gone, handle);
	ion_client_destroy(gone);

	expect(dmabuf->size, SIZE);
	expect(dma_buf_vmap_unlocked(dmabuf, &iosys), 0);
	expect(memchr_inv(iosys.vaddr, 0x77, SIZE) == NULL, true);
	dma_buf_vunmap_unlocked(dmabuf, &iosys);
	dma_buf_put(dmabuf);
}

/* An exporter whose memory is not memory. */
static struct sg_table *io_map(struct dma_buf_attachment *attachment,
			       enum dma_data_direction dir)
{
	return ERR_PTR(-ENODEV);
}

static void io_unmap(struct dma_buf_attachment *attachment,
		     struct sg_table *table, enum dma_data_direction dir)
{
}

static void io_release(struct dma_buf *dmabuf)
{
}

static int io_vmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	iosys_map_set_vaddr_iomem(map, (void __iomem *)dmabuf);
	return 0;
}

static const struct dma_buf_ops io_ops = {
	.map_dma_buf = io_map,
	.unmap_dma_buf = io_unmap,
	.release = io_release,
	.vmap = io_vmap,
};

static void foreign_buffers(struct ion_client *client,
			    struct ion_client *other)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct ion_handle *handle;
	struct dma_buf *dmabuf;
	phys_addr_t addr;
	size_t len;
	int fd;

	info.ops = &io_ops;
	info.size = PAGE_SIZE;
	info.priv = &info;
	dmabuf = dma_buf_export(&info);
	expect_err(dmabuf, 0);
	if (IS_ERR(dmabuf))
		return;
	fd = dma_buf_fd(dmabuf, O_CLOEXEC);
	expect(fd >= 0, true);
	handle = ion_import_dma_buf(client, fd);
	expect_err(handle, 0);
	close_fd(fd);
	if (IS_ERR(handle))
		return;

	expect_err(ion_map_kernel(client, handle), -EOPNOTSUPP);
	expect(ion_phys(client, handle, &addr, &len), -EINVAL);
	expect_err(ion_sg_table(client, handle), -EINVAL);
}

struct importer {
	struct platform_device *pdev;
	struct dma_buf_attachment *attachment;
	struct sg_table *table;
	enum dma_data_direction dir;
};

static bool import(struct importer *importer, struct dma_buf *dmabuf,
		   enum dma_data_direction dir)
{
	importer->dir = dir;
	importer->pdev = platform_device_register_simple("client_test",
							 PLATFORM_DEVID_AUTO,
							 NULL, 0);
	expect_err(importer->pdev, 0);
	if (IS_ERR(importer->pdev))
		return false;
	expect(dma_coerce_mask_and_coherent(&importer->pdev->dev,
					    DMA_BIT_MASK(64)), 0);
	importer->attachment = dma_buf_attach(dmabuf, &importer->pdev->dev);
	expect_err(importer->attachment, 0);
	if (IS_ERR(importer->attachment))
		goto err_device;
	importer->table = dma_buf_map_attachment_unlocked(importer->attachment,
							  dir);
	expect_err(importer->table, 0);
	if (IS_ERR(importer->table))
		goto err_detach;
	return true;

err_detach:
	dma_buf_detach(dmabuf, importer->attachment);
err_device:
	platform_device_unregister(importer->pdev);
	return false;
}

static void let_go(struct importer *importer, struct dma_buf *dmabuf)
{
	dma_buf_unmap_attachment_unlocked(importer->attachment,
					  importer->table, importer->dir);
	dma_buf_detach(dmabuf, importer->attachment);
	platform_device_unregister(importer->pdev);
}

/*
 * What the device would read or write. Without an IOMMU a DMA address is a
 * physical one: of the buffer, or of the bounce buffer that stands in for it.
 */
static u8 *at_device(struct importer *importer, size_t at)
{
	struct scatterlist *sg;
	int i;

	for_each_sgtable_dma_sg(importer->table, sg, i) {
		if (at < sg_dma_len(sg))
			return phys_to_virt(sg_dma_address(sg)) + at;
		at -= sg_dma_len(sg);
	}
	expect(at, -1);
	return NULL;
}

static void expect_segments(struct importer *importer)
{
	unsigned int most = dma_get_max_seg_size(&importer->pdev->dev);
	struct scatterlist *sg;
	size_t sum = 0;
	int i;

	for_each_sgtable_dma_sg(importer->table, sg, i) {
		expect(sg_dma_len(sg) <= most, true);
		sum += sg_dma_len(sg);
	}
	expect(sum, SIZE);
}

static void share_with_devices(struct dma_buf *dmabuf, u8 *cpu)
{
	struct importer writer, reader;
	size_t at;

	/* What is there before the mapping reaches the device, */
	memset(cpu, 1, SIZE);
	if (!import(&writer, dmabuf, DMA_BIDIRECTIONAL))
		return;
	if (!import(&reader, dmabuf, DMA_TO_DEVICE)) {
		let_go(&writer, dmabuf);
		return;
	}
	expect_segments(&writer);
	expect_segments(&reader);
	expect(at_device(&writer, 0) == at_device(&reader, 0), !bounce);
	for (at = 0; at < SIZE; at += PAGE_SIZE - 1)
		expect(*at_device(&reader, at), 1);

	/* what a device writes reaches the CPU when its access begins, */
	for (at = 0; at < SIZE; at += PAGE_SIZE - 1)
		*at_device(&writer, at) = 2;
	expect(cpu[0], bounce ? 1 : 2);
	expect(dma_buf_begin_cpu_access(dmabuf, DMA_BIDIRECTIONAL), 0);
	for (at = 0; at < SIZE; at += PAGE_SIZE - 1)
		expect(cpu[at], 2);

	/* what the CPU writes reaches every device when it ends, */
	memset(cpu, 3, SIZE);
	expect(*at_device(&reader, 0), bounce ? 1 : 3);
	expect(dma_buf_end_cpu_access(dmabuf, DMA_BIDIRECTIONAL), 0);
	for (at = 0; at < SIZE; at += PAGE_SIZE - 1) {
		expect(*at_device(&reader, at), 3);
		expect(*at_device(&writer, at), 3);
	}

	/* and what a device wrote last is there once it has unmapped. */
	let_go(&reader, dmabuf);
	*at_device(&writer, SIZE - 1) = 4;
	let_go(&writer, dmabuf);
	expect(cpu[SIZE - 1], 4);
}

static void attachments_of(struct ion_client *client, unsigned int heap)
{
	struct ion_handle *handle = alloc(client, SIZE, heap);
	struct dma_buf *dmabuf;
	u8 *cpu;

	if (!handle)
		return;
	cpu = map(client, handle);
	if (!cpu)
		return;
	dmabuf = ion_share_dma_buf(client, handle);
	share_with_devices(dmabuf, cpu);
	dma_buf_put(dmabuf);
}

static void attachments(struct ion_client *client, struct ion_client *other)
{
	attachments_of(client, SYSTEM);
	attachments_of(client, CONTIG);
	attachments_of(client, LAST_HEAP);
}

static void one_mapping_an_attachment(struct ion_client *client,
				      struct ion_client *other)
{
	struct ion_handle *handle = alloc(client, SIZE, SYSTEM);
	struct importer importer;
	struct dma_buf *dmabuf;

	if (!handle)
		return;
	dmabuf = ion_share_dma_buf(client, handle);
	if (import(&importer, dmabuf, DMA_BIDIRECTIONAL)) {
		struct dma_buf_attachment *attachment = importer.attachment;

		expect_err(dma_buf_map_attachment_unlocked(attachment,
							   DMA_TO_DEVICE),
			   -EBUSY);
		let_go(&importer, dmabuf);
	}
	if (import(&importer, dmabuf, DMA_FROM_DEVICE))
		let_go(&importer, dmabuf);
	dma_buf_put(dmabuf);
}

static const struct {
	const char *name;
	void (*run)(struct ion_client *client, struct ion_client *other);
} tests[] = {
	{ "clients_are_created", clients_are_created },
	{ "allocation_errors", allocation_errors },
	{ "physical_addresses", physical_addresses },
	{ "places", places },
	{ "tables", tables },
	{ "mappings", mappings },
	{ "sharing", sharing },
	{ "buffers_outlive_clients", buffers_outlive_clients },
	{ "foreign_buffers", foreign_buffers },
	{ "attachments", attachments },
	{ "one_mapping_an_attachment", one_mapping_an_attachment },
};

static int __init client_test_init(void)
{
	size_t i;

	pr_info("1..%zu\n", ARRAY_SIZE(tests));
	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		struct ion_client *client, *other;

		failed = false;
		client = create(~0U);
		other = create(~0U);
		if (client && other)
			tests[i].run(client, other);
		if (client)
			ion_client_destroy(client);
		if (other)
			ion_client_destroy(other);
		pr_info("%sok %zu - %s\n", failed ? "not " : "", i + 1,
			tests[i].name);
	}
	return 0;
}

static void __exit client_test_exit(void)
{
}

module_init(client_test_init);
module_exit(client_test_exit);

MODULE_DESCRIPTION("Tests of ION's in-kernel client API");
MODULE_LICENSE("GPL");
ION_IMPORT_DMA_BUF_NS();
