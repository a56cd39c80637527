// SPDX-License-Identifier: MIT
/*
 * A program as they were written for Linux 3.4: handles are pointers, the
 * headers are Android's, and it knows nothing of this project.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define LOG_TAG "legacy"
#include <cutils/log.h>
#include <linux/ion.h>
#include <ion/ion.h>
#include "ion_test_module.h"

static const char magic[] = "ion buffer test magic string";

/* The requests by hand, as vendor libraries made them. */
static int raw_requests(void)
{
	struct ion_allocation_data alloc_data = {
		.len = 4096,
		.align = 4096,
		.heap_mask = ION_HEAP_SYSTEM_MASK,
		.flags = ION_FLAG_CACHED,
	};
	struct ion_handle_data handle_data;
	struct ion_fd_data fd_data;
	void *ptr;
	int fd;

	fd = open("/dev/ion", O_RDONLY);
	if (fd < 0 || ioctl(fd, ION_IOC_ALLOC, &alloc_data)) {
		ALOGE("ION_IOC_ALLOC failed: %s", strerror(errno));
		return -1;
	}
	fd_data.handle = alloc_data.handle;
	if (ioctl(fd, ION_IOC_MAP, &fd_data)) {
		ALOGE("ION_IOC_MAP failed: %s", strerror(errno));
		return -1;
	}
	ptr = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd_data.fd,
		   0);
	if (ptr == MAP_FAILED) {
		ALOGE("mmap failed: %s", strerror(errno));
		return -1;
	}
	memset(ptr, 0xff, 4096);
	if (ioctl(fd, ION_IOC_SYNC, &fd_data))
		return -1;
	munmap(ptr, 4096);
	close(fd_data.fd);
	handle_data.handle = alloc_data.handle;
	if (ioctl(fd, ION_IOC_FREE, &handle_data)) {
		ALOGE("ION_IOC_FREE failed: %s", strerror(errno));
		return -1;
	}
	close(fd);
	return 0;
}

int main(void)
{
	struct ion_handle *handle, *imported;
	int ion_fd, share_fd, map_fd, test_fd, ret;
	unsigned char *ptr;
	char *vaddr;

	ion_fd = ion_open();
	if (ion_fd < 0) {
		ALOGE("ion_open failed: %d", ion_fd);
		return 1;
	}
	ret = ion_alloc(ion_fd, 128, 0, ION_HEAP_SYSTEM_CONTIG_MASK,
			ION_FLAG_CACHED | ION_FLAG_CACHED_NEEDS_SYNC, &handle);
	if (ret) {
		ALOGE("ion_alloc failed: %d", ret);
		return 1;
	}
	ret = ion_share(ion_fd, handle, &share_fd);
	if (ret) {
		ALOGE("ion_share failed: %d", ret);
		return 1;
	}
	test_fd = open("/dev/vion_dev", O_RDWR);
	if (test_fd < 0 || ioctl(test_fd, VION_REGISTER_ION, &share_fd)) {
		ALOGE("register failed: %s", strerror(errno));
		return 1;
	}
	if (write(test_fd, magic, sizeof(magic)) != sizeof(magic)) {
		ALOGE("write failed: %s", strerror(errno));
		return 1;
	}
	vaddr = mmap(NULL, 128, PROT_READ | PROT_WRITE, MAP_SHARED, share_fd,
		     0);
	if (vaddr == MAP_FAILED || strcmp(vaddr, magic)) {
		ALOGE("the driver's string is not there");
		return 1;
	}
	ALOGD("confirm_vaddr is not NULL, confirm data string \"%s\"", vaddr);

	if (ion_import(ion_fd, share_fd, &imported) || imported != handle) {
		ALOGE("import gave another handle");
		return 1;
	}
	ret = ion_map(ion_fd, handle, 4096, PROT_READ, MAP_SHARED, 0, &ptr,
		      &map_fd);
	if (ret || strcmp((char *)ptr, magic)) {
		ALOGE("ion_map failed: %d", ret);
		return 1;
	}
	if (ion_sync_fd(ion_fd, share_fd))
		return 1;
	if (ioctl(test_fd, VION_UNREGISTER_ION, &share_fd))
		return 1;
	if (ion_free(ion_fd, handle) || ion_free(ion_fd, handle) ||
	    ion_free(ion_fd, handle) != -EINVAL) {
		ALOGE("references were not counted");
		return 1;
	}
	close(test_fd);
	close(share_fd);
	close(map_fd);
	ion_close(ion_fd);
	return raw_requests() ? 1 : 0;
}
