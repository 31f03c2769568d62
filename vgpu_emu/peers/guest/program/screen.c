/* Mode setting as an old X server does it: dumb buffers, a mode, page flips that are waited for, a cursor. */
#include "probe.h"

#include <drm/drm.h>
#include <drm/drm_mode.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FLIPS = 30, BANDS = 8, CURSOR = 64 };

struct screen {
	uint32_t connector, crtc;
	struct drm_mode_modeinfo mode;
};

struct frame {
	uint32_t handle, id, pitch;
	uint64_t size;
	uint32_t *pixels;
};

static int find_screen(int gpu, struct screen *screen)
{
	uint32_t connectors[16], crtcs[16];
	struct drm_mode_modeinfo modes[128];
	struct drm_mode_card_res found = {
		.connector_id_ptr = USER_POINTER(connectors),
		.crtc_id_ptr = USER_POINTER(crtcs),
		.count_connectors = LENGTH(connectors),
		.count_crtcs = LENGTH(crtcs),
	};
	struct drm_mode_get_connector connector = {.modes_ptr = USER_POINTER(modes), .count_modes = LENGTH(modes)};

	if (ioctl(gpu, DRM_IOCTL_MODE_GETRESOURCES, &found) < 0 || found.count_connectors == 0)
		return refused("resources");
	connector.connector_id = connectors[0];
	if (ioctl(gpu, DRM_IOCTL_MODE_GETCONNECTOR, &connector) < 0)
		return refused("connector");
	report("screen connectors=%u crtcs=%u connected=%s modes=%u", found.count_connectors, found.count_crtcs,
	       connector.connection == 1 ? "yes" : "no", connector.count_modes);
	if (connector.count_modes == 0)
		return -1;
	*screen = (struct screen){connectors[0], crtcs[0], modes[0]};
	return 0;
}

static int make_frame(int gpu, uint32_t width, uint32_t height, struct frame *frame)
{
	struct drm_mode_create_dumb dumb = {.width = width, .height = height, .bpp = 32};
	struct drm_mode_map_dumb map = {0};

	if (ioctl(gpu, DRM_IOCTL_MODE_CREATE_DUMB, &dumb) < 0)
		return refused("frame");
	*frame = (struct frame){.handle = dumb.handle, .pitch = dumb.pitch, .size = dumb.size};
	map.handle = dumb.handle;
	if (ioctl(gpu, DRM_IOCTL_MODE_MAP_DUMB, &map) < 0)
		return refused("frame-map");
	frame->pixels = mmap(NULL, dumb.size, PROT_READ | PROT_WRITE, MAP_SHARED, gpu, map.offset);
	return frame->pixels == MAP_FAILED ? refused("frame-mmap") : 0;
}

static int make_framebuffer(int gpu, const struct screen *screen, struct frame *frame)
{
	struct drm_mode_fb_cmd command = {.width = screen->mode.hdisplay, .height = screen->mode.vdisplay, .bpp = 32, .depth = 24};

	if (make_frame(gpu, command.width, command.height, frame) < 0)
		return -1;
	command.pitch = frame->pitch;
	command.handle = frame->handle;
	if (ioctl(gpu, DRM_IOCTL_MODE_ADDFB, &command) < 0)
		return refused("addfb");
	frame->id = command.fb_id;
	return 0;
}

/* Vertical bands, one for each of the eight corners of the colour cube, turned by `turn`. */
static void paint(const struct screen *screen, struct frame *frame, uint32_t turn)
{
	uint32_t width = screen->mode.hdisplay;

	for (uint32_t y = 0; y < screen->mode.vdisplay; y++)
		for (uint32_t x = 0; x < width; x++) {
			uint32_t corner = (x * BANDS / width + turn) % BANDS;

			frame->pixels[y * frame->pitch / 4 + x] =
				(corner & 4 ? 0xff0000 : 0) | (corner & 2 ? 0xff00 : 0) | (corner & 1 ? 0xff : 0);
		}
}

static int flip(int gpu, const struct screen *screen, const struct frame *frame)
{
	struct drm_mode_crtc_page_flip command = {.crtc_id = screen->crtc, .fb_id = frame->id, .flags = DRM_MODE_PAGE_FLIP_EVENT};
	struct pollfd one = {.fd = gpu, .events = POLLIN};
	char event[256];

	if (ioctl(gpu, DRM_IOCTL_MODE_PAGE_FLIP, &command) < 0)
		return refused("flip");
	if (poll(&one, 1, 5000) != 1) {
		errno = ETIMEDOUT;
		return refused("flip-event");
	}
	return read(gpu, event, sizeof(event)) > 0 ? 0 : refused("flip-event");
}

static int show(int gpu, struct screen *screen, const struct frame *frame)
{
	struct drm_mode_crtc set = {
		.set_connectors_ptr = USER_POINTER(&screen->connector),
		.count_connectors = 1,
		.crtc_id = screen->crtc,
		.fb_id = frame->id,
		.mode_valid = 1,
		.mode = screen->mode,
	};

	return ioctl(gpu, DRM_IOCTL_MODE_SETCRTC, &set) < 0 ? refused("setcrtc") : 0;
}

static void look_at_cursor(int gpu, const struct screen *screen)
{
	struct frame picture;
	struct drm_mode_cursor2 cursor = {.flags = DRM_MODE_CURSOR_BO, .crtc_id = screen->crtc, .width = CURSOR, .height = CURSOR};
	int moves = 0;

	if (make_frame(gpu, CURSOR, CURSOR, &picture) < 0)
		return;
	for (int i = 0; i < CURSOR * CURSOR; i++)
		picture.pixels[i] = 0xffffffff;
	cursor.handle = picture.handle;
	if (ioctl(gpu, DRM_IOCTL_MODE_CURSOR2, &cursor) < 0) {
		refused("cursor");
		return;
	}
	cursor.flags = DRM_MODE_CURSOR_MOVE;
	for (cursor.x = 0; cursor.x < 100; cursor.x += 10, cursor.y += 10)
		moves += ioctl(gpu, DRM_IOCTL_MODE_CURSOR2, &cursor) == 0;
	report("cursor set=yes moves=%d", moves);
}

void look_at_screen(int gpu)
{
	struct screen screen;
	struct frame frames[2];
	double start;

	if (find_screen(gpu, &screen) < 0)
		return;
	for (int i = 0; i < 2; i++)
		if (make_framebuffer(gpu, &screen, &frames[i]) < 0)
			return;
	paint(&screen, &frames[0], 0);
	if (show(gpu, &screen, &frames[0]) < 0)
		return;
	report("mode width=%u height=%u name=%s", screen.mode.hdisplay, screen.mode.vdisplay, screen.mode.name);
	start = now();
	for (int i = 1; i <= FLIPS; i++) {
		/* both frames are drawn, then they change places; the last one shown is frames[0] */
		if (i == 1)
			paint(&screen, &frames[1], 1);
		if (flip(gpu, &screen, &frames[i % 2]) < 0)
			return;
	}
	report("flips count=%d per_second=%.0f", FLIPS, FLIPS / (now() - start));
	look_at_cursor(gpu, &screen);
	report("shown width=%u height=%u bands=%d turn=0", screen.mode.hdisplay, screen.mode.vdisplay, BANDS);
	watch("screen", 0);
}
