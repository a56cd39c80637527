// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <drm_fourcc.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

#include "camera.h"

static drmModeModeInfo *find_mode(drmModeConnector *connector,
				  const struct picture *picture)
{
	for (int i = 0; i < connector->count_modes; i++) {
		drmModeModeInfo *mode = &connector->modes[i];

		if (mode->hdisplay == picture->width &&
		    mode->vdisplay == picture->height)
			return mode;
	}
	return NULL;
}

/* What can drive the connector: the first CRTC that one of its encoders knows. */
static uint32_t find_crtc(int fd, const drmModeRes *resources,
			  const drmModeConnector *connector)
{
	for (int i = 0; i < connector->count_encoders; i++) {
		drmModeEncoder *encoder =
			drmModeGetEncoder(fd, connector->encoders[i]);
		unsigned int crtcs;

		if (!encoder)
			continue;
		crtcs = encoder->possible_crtcs;
		drmModeFreeEncoder(encoder);
		if (crtcs && ffs(crtcs) <= resources->count_crtcs)
			return resources->crtcs[ffs(crtcs) - 1];
	}
	return 0;
}

static int use_connector(struct screen *screen, const drmModeRes *resources,
			 drmModeConnector *connector,
			 const struct picture *picture)
{
	if (connector->connection != DRM_MODE_CONNECTED)
		return -1;
	screen->mode = find_mode(connector, picture);
	screen->crtc = find_crtc(screen->fd, resources, connector);
	if (!screen->mode || !screen->crtc)
		return -1;
	screen->connector = connector->connector_id;
	screen->info = connector;
	screen->before = drmModeGetCrtc(screen->fd, screen->crtc);
	return 0;
}

static int find_screen(struct screen *screen, const struct picture *picture)
{
	drmModeRes *resources = drmModeGetResources(screen->fd);
	int ret = -1;

	if (!resources)
		return -1;
	for (int i = 0; ret && i < resources->count_connectors; i++) {
		drmModeConnector *connector = drmModeGetConnector(
			screen->fd, resources->connectors[i]);

		if (!connector)
			continue;
		ret = use_connector(screen, resources, connector, picture);
		if (ret)
			drmModeFreeConnector(connector);
	}
	drmModeFreeResources(resources);
	return ret;
}

static int open_if_screen(struct screen *screen, const char *device,
			  const struct picture *picture)
{
	screen->fd = open(device, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (screen->fd < 0)
		return -1;
	if (!find_screen(screen, picture))
		return 0;
	close(screen->fd);
	return -1;
}

static int open_first(struct screen *screen, const struct picture *picture)
{
	glob_t found;
	int ret = -1;

	if (glob("/dev/dri/card*", 0, NULL, &found))
		return -1;
	for (size_t i = 0; ret && i < found.gl_pathc; i++)
		ret = open_if_screen(screen, found.gl_pathv[i], picture);
	globfree(&found);
	return ret;
}

int screen_open(struct screen *screen, const char *device,
		const struct picture *picture)
{
	int ret = device ? open_if_screen(screen, device, picture) :
			   open_first(screen, picture);

	if (ret)
		fprintf(stderr,
			"camera: no screen of %ux%u (--no-screen: without)\n",
			picture->width, picture->height);
	return ret;
}

void screen_restore(struct screen *screen)
{
	drmModeCrtc *before = screen->before;

	/* Whoever was there before may have gone meanwhile. */
	if (before && before->mode_valid && before->buffer_id)
		drmModeSetCrtc(screen->fd, before->crtc_id, before->buffer_id,
			       before->x, before->y, &screen->connector, 1,
			       &before->mode);
	else
		drmModeSetCrtc(screen->fd, screen->crtc, 0, 0, 0, NULL, 0,
			       NULL);
}

void screen_close(struct screen *screen)
{
	drmModeFreeCrtc(screen->before);
	drmModeFreeConnector(screen->info);
	close(screen->fd);
}

static int add_framebuffer(struct screen *screen, uint32_t handle,
			   const struct picture *picture, uint32_t *framebuffer)
{
	const uint32_t handles[4] = { handle };
	const uint32_t strides[4] = { picture->stride };
	const uint32_t offsets[4] = { 0 };

	if (drmModeAddFB2(screen->fd, picture->width, picture->height,
			  picture->format->drm, handles, strides, offsets,
			  framebuffer, 0))
		return failed("DRM_IOCTL_MODE_ADDFB2");
	return 0;
}

int screen_import(struct screen *screen, int dmabuf,
		  const struct picture *picture, uint32_t *framebuffer)
{
	uint32_t handle;
	int ret;

	if (drmPrimeFDToHandle(screen->fd, dmabuf, &handle))
		return failed("DRM_IOCTL_PRIME_FD_TO_HANDLE");
	ret = add_framebuffer(screen, handle, picture, framebuffer);
	/* The framebuffer holds on to it. */
	drmCloseBufferHandle(screen->fd, handle);
	return ret;
}

static void *map_dumb(struct screen *screen, uint32_t handle, size_t size)
{
	uint64_t offset;
	void *addr;

	if (drmModeMapDumbBuffer(screen->fd, handle, &offset)) {
		failed("DRM_IOCTL_MODE_MAP_DUMB");
		return NULL;
	}
	addr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, screen->fd,
		    offset);
	if (addr == MAP_FAILED) {
		failed("mmap");
		return NULL;
	}
	return addr;
}

/* Maps and exports it, and makes a framebuffer of it. */
static int share_dumb(struct screen *screen, uint32_t handle,
		      const struct picture *picture, uint32_t *framebuffer,
		      void **addr, int *dmabuf)
{
	void *at = map_dumb(screen, handle, picture->size);
	int fd;

	if (!at)
		return -1;
	if (drmPrimeHandleToFD(screen->fd, handle, DRM_CLOEXEC | DRM_RDWR,
			       &fd)) {
		failed("DRM_IOCTL_PRIME_HANDLE_TO_FD");
		goto unmap;
	}
	if (add_framebuffer(screen, handle, picture, framebuffer))
		goto close;
	*addr = at;
	*dmabuf = fd;
	return 0;

close:
	close(fd);
unmap:
	munmap(at, picture->size);
	return -1;
}

int screen_create(struct screen *screen, struct picture *picture,
		  uint32_t *framebuffer, void **addr, int *dmabuf)
{
	uint64_t size;
	uint32_t handle;
	int ret;

	if (drmModeCreateDumbBuffer(screen->fd, picture->width, picture->height,
				    8 * picture->format->bytes, 0, &handle,
				    &picture->stride, &size))
		return failed("DRM_IOCTL_MODE_CREATE_DUMB");
	picture->size = size;
	ret = share_dumb(screen, handle, picture, framebuffer, addr, dmabuf);
	/* The framebuffer, the mapping and the dma-buf hold on to it. */
	drmModeDestroyDumbBuffer(screen->fd, handle);
	return ret;
}

void screen_remove(struct screen *screen, uint32_t framebuffer)
{
	drmModeRmFB(screen->fd, framebuffer);
}

int screen_show(struct screen *screen, uint32_t framebuffer)
{
	if (drmModeSetCrtc(screen->fd, screen->crtc, framebuffer, 0, 0,
			   &screen->connector, 1, screen->mode))
		return failed("DRM_IOCTL_MODE_SETCRTC");
	return 0;
}

int screen_flip(struct screen *screen, uint32_t framebuffer)
{
	if (drmModePageFlip(screen->fd, screen->crtc, framebuffer,
			    DRM_MODE_PAGE_FLIP_EVENT, screen))
		return failed("DRM_IOCTL_MODE_PAGE_FLIP");
	return 0;
}

static int64_t flip_time;

static void on_flip(int fd, unsigned int sequence, unsigned int sec,
		    unsigned int usec, void *data)
{
	(void)fd;
	(void)sequence;
	(void)data;
	flip_time = sec * 1000000LL + usec;
}

int screen_flipped(struct screen *screen, int64_t *time)
{
	drmEventContext context = {
		.version = 2, .page_flip_handler = on_flip,
	};

	if (drmHandleEvent(screen->fd, &context))
		return failed("DRM events");
	*time = flip_time;
	return 0;
}
