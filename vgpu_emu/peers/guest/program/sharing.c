/* Export and import as a dma-buf (prime), and the UUID that the driver asks for on the way, seen by its tracepoints. */
#include "probe.h"

#include <drm/drm.h>
#include <drm/drm_mode.h>
#include <drm/virtgpu_drm.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static const char TRACING[] = "/sys/kernel/tracing/events/virtio_gpu/enable";
static const char TRACE[] = "/sys/kernel/tracing/trace";

/* Of the trace only what concerns UUIDs: command 0x10b, response 0x1105. */
static void report_uuid_trace(void)
{
	char line[512];
	FILE *trace = fopen(TRACE, "r");

	while (trace != NULL && fgets(line, sizeof(line), trace) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (strstr(line, "0x10b") != NULL || strstr(line, "0x1105") != NULL)
			report("trace text=%s", line);
	}
	if (trace != NULL)
		fclose(trace);
}

/* Whether what was written through one mapping is read through the dma-buf's. */
static int same_bytes(void *memory, int dmabuf)
{
	uint8_t *other = mmap(NULL, BLOB_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, dmabuf, 0);
	int same;

	if (other == MAP_FAILED)
		return refused("prime-mmap");
	strcpy((char *)memory + GREETING_AT, "seen by prime");
	__sync_synchronize();
	same = strcmp((char *)other + GREETING_AT, "seen by prime") == 0;
	munmap(other, BLOB_SIZE);
	return same;
}

static int share(int gpu, const char *what, uint32_t handle, void *memory)
{
	struct drm_prime_handle out = {.handle = handle, .flags = DRM_CLOEXEC | DRM_RDWR};
	struct drm_prime_handle in = {0};
	struct drm_gem_close gone = {0};
	int other, same;

	if (ioctl(gpu, DRM_IOCTL_PRIME_HANDLE_TO_FD, &out) < 0)
		return refused("prime-export");
	other = gpu_open();
	in.fd = out.fd;
	if (ioctl(other, DRM_IOCTL_PRIME_FD_TO_HANDLE, &in) < 0)
		return refused("prime-import");
	same = same_bytes(memory, out.fd);
	report("prime of=%s exported=yes imported=yes same_bytes=%s", what, same < 0 ? "unknown" : same ? "yes" : "no");
	gone.handle = in.handle;
	ioctl(other, DRM_IOCTL_GEM_CLOSE, &gone);
	close(other);
	close(out.fd);
	return 0;
}

static void share_blob(int gpu, const char *ids)
{
	struct blob blob;
	uint32_t flags = VIRTGPU_BLOB_FLAG_USE_MAPPABLE | VIRTGPU_BLOB_FLAG_USE_SHAREABLE;

	if (gpu_blob_create(gpu, strtoull(ids, NULL, 10), flags, &blob) < 0) {
		refused("blob-create");
		return;
	}
	if (gpu_blob_map(gpu, &blob) < 0)
		refused("blob-map");
	else
		share(gpu, "blob", blob.handle, blob.memory);
	gpu_blob_close(gpu, &blob);
}

static void share_dumb(int gpu)
{
	struct drm_mode_create_dumb dumb = {.width = 64, .height = BLOB_SIZE / 256, .bpp = 32};
	struct drm_mode_map_dumb map = {0};
	struct drm_mode_destroy_dumb gone = {0};
	void *memory;

	if (ioctl(gpu, DRM_IOCTL_MODE_CREATE_DUMB, &dumb) < 0) {
		refused("dumb-create");
		return;
	}
	map.handle = gone.handle = dumb.handle;
	if (ioctl(gpu, DRM_IOCTL_MODE_MAP_DUMB, &map) < 0) {
		refused("dumb-map");
		return;
	}
	memory = mmap(NULL, BLOB_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, gpu, map.offset);
	if (memory == MAP_FAILED)
		refused("dumb-mmap");
	else
		share(gpu, "dumb", dumb.handle, memory);
	munmap(memory, BLOB_SIZE);
	ioctl(gpu, DRM_IOCTL_MODE_DESTROY_DUMB, &gone);
}

void look_at_sharing(int gpu, const char *ids)
{
	if (write_file(TRACING, "1") < 0)
		refused("tracing");
	share_dumb(gpu);
	if (*ids != '\0')
		share_blob(gpu, ids);
	report_uuid_trace();
	write_file(TRACING, "0");
}
