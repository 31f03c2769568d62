/* The driver's ioctls in the order in which a user space driver calls them. */
#include "probe.h"

#include <drm/drm.h>
#include <drm/virtgpu_drm.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

int gpu_open(void)
{
	return open("/dev/dri/card0", O_RDWR | O_CLOEXEC);
}

int gpu_param(int gpu, uint64_t param, uint64_t *value)
{
	struct drm_virtgpu_getparam getparam = {.param = param};
	int got;

	*value = 0;
	getparam.value = USER_POINTER(value);
	got = ioctl(gpu, DRM_IOCTL_VIRTGPU_GETPARAM, &getparam);
	/* the kernel writes an int */
	*value = (uint32_t)*value;
	return got;
}

int gpu_context(int gpu, uint64_t capset, uint64_t rings)
{
	struct drm_virtgpu_context_set_param params[] = {
		{VIRTGPU_CONTEXT_PARAM_CAPSET_ID, capset},
		{VIRTGPU_CONTEXT_PARAM_NUM_RINGS, rings},
	};
	struct drm_virtgpu_context_init init = {.num_params = LENGTH(params), .ctx_set_params = USER_POINTER(params)};

	return ioctl(gpu, DRM_IOCTL_VIRTGPU_CONTEXT_INIT, &init);
}

/* A negative ring is the context's own timeline. */
static int submit(int gpu, const void *stream, uint32_t size, int ring, int *fence)
{
	struct drm_virtgpu_execbuffer submit = {
		.flags = VIRTGPU_EXECBUF_FENCE_FD_OUT | (ring < 0 ? 0 : VIRTGPU_EXECBUF_RING_IDX),
		.size = size,
		.command = USER_POINTER(stream),
		.ring_idx = ring < 0 ? 0 : ring,
		.fence_fd = -1,
	};

	if (ioctl(gpu, DRM_IOCTL_VIRTGPU_EXECBUFFER, &submit) < 0)
		return -1;
	*fence = submit.fence_fd;
	return 0;
}

/* Keep the ring busy for so long. The streams are vgpu-emu's own, of its context_stream.py: opcode, length in words. */
int gpu_submit(int gpu, uint32_t microseconds, int ring, int *fence)
{
	uint32_t work[] = {3 | 2 << 16, microseconds};

	return submit(gpu, work, sizeof(work), ring, fence);
}

/* Have an exporter of that kind allocate the memory of a blob to be. */
int gpu_allocate(int gpu, uint32_t exporter, uint64_t blob_id)
{
	uint32_t alloc[] = {1 | 6 << 16, exporter, blob_id, blob_id >> 32, BLOB_SIZE, 0};
	int fence;

	if (submit(gpu, alloc, sizeof(alloc), -1, &fence) < 0)
		return -1;
	return gpu_wait_fence(fence);
}

int gpu_wait_fence(int fence)
{
	struct pollfd one = {.fd = fence, .events = POLLIN};
	int ready = poll(&one, 1, 5000);

	close(fence);
	if (ready == 1)
		return 0;
	if (ready == 0)
		errno = ETIMEDOUT;
	return -1;
}

int gpu_blob_create(int gpu, uint64_t blob_id, uint32_t flags, struct blob *blob)
{
	struct drm_virtgpu_resource_create_blob create = {
		.blob_mem = VIRTGPU_BLOB_MEM_HOST3D,
		.blob_flags = flags,
		.size = BLOB_SIZE,
		.blob_id = blob_id,
	};

	if (ioctl(gpu, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE_BLOB, &create) < 0)
		return -1;
	*blob = (struct blob){.handle = create.bo_handle, .resource = create.res_handle, .memory = MAP_FAILED};
	return 0;
}

int gpu_blob_map(int gpu, struct blob *blob)
{
	struct drm_virtgpu_map map = {.handle = blob->handle};

	if (ioctl(gpu, DRM_IOCTL_VIRTGPU_MAP, &map) < 0)
		return -1;
	blob->offset = map.offset;
	blob->memory = mmap(NULL, BLOB_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, gpu, map.offset);
	return blob->memory == MAP_FAILED ? -1 : 0;
}

void gpu_blob_close(int gpu, struct blob *blob)
{
	struct drm_gem_close gone = {.handle = blob->handle};

	if (blob->memory != MAP_FAILED)
		munmap(blob->memory, BLOB_SIZE);
	ioctl(gpu, DRM_IOCTL_GEM_CLOSE, &gone);
}
