/* SPDX-License-Identifier: MIT */
/*
 * <ion/ion.h> for programs whose handles are struct ion_handle pointers: the
 * same functions with that type, over the same library.
 */
#ifndef ION_LEGACY_ION_H
#define ION_LEGACY_ION_H

#include_next <ion/ion.h>

#include <errno.h>
#include <stdint.h>

static inline ion_user_handle_t ion_legacy_id(struct ion_handle *handle)
{
	uintptr_t id = (uintptr_t)handle;

	return id <= INT32_MAX ? (ion_user_handle_t)id : 0;
}

static inline int ion_legacy_alloc(int fd, size_t len, size_t align,
				   unsigned int heap_mask, unsigned int flags,
				   struct ion_handle **handle)
{
	ion_user_handle_t id;
	int ret;

	if (!handle)
		return -EINVAL;
	ret = ion_alloc(fd, len, align, heap_mask, flags, &id);
	if (!ret)
		*handle = (struct ion_handle *)(uintptr_t)id;
	return ret;
}

static inline int ion_legacy_free(int fd, struct ion_handle *handle)
{
	return ion_free(fd, ion_legacy_id(handle));
}

static inline int ion_legacy_map(int fd, struct ion_handle *handle,
				 size_t length, int prot, int flags,
				 off_t offset, unsigned char **ptr,
				 int *map_fd)
{
	return ion_map(fd, ion_legacy_id(handle), length, prot, flags, offset,
		       ptr, map_fd);
}

static inline int ion_legacy_share(int fd, struct ion_handle *handle,
				   int *share_fd)
{
	return ion_share(fd, ion_legacy_id(handle), share_fd);
}

static inline int ion_legacy_import(int fd, int share_fd,
				    struct ion_handle **handle)
{
	ion_user_handle_t id;
	int ret;

	if (!handle)
		return -EINVAL;
	ret = ion_import(fd, share_fd, &id);
	if (!ret)
		*handle = (struct ion_handle *)(uintptr_t)id;
	return ret;
}

#define ion_alloc ion_legacy_alloc
#define ion_free ion_legacy_free
#define ion_map ion_legacy_map
#define ion_share ion_legacy_share
#define ion_import ion_legacy_import

#endif
