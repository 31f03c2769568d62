/* How fast: commands with a fence, one after the other, and whole lives of a mapped blob. */
#include "probe.h"

#include <drm/virtgpu_drm.h>
#include <stdlib.h>

enum { SUBMITS = 500, CYCLES = 200 };

static void rate_of_submits(int gpu)
{
	double start = now();
	int fence;

	for (int i = 0; i < SUBMITS; i++)
		if (gpu_submit(gpu, 0, -1, &fence) < 0 || gpu_wait_fence(fence) < 0) {
			refused("rate-submits");
			return;
		}
	report("rate of=execbuffer count=%d per_second=%.0f", SUBMITS, SUBMITS / (now() - start));
}

static void rate_of_blobs(int gpu, uint64_t blob_id)
{
	double start = now();
	struct blob blob;

	for (int i = 0; i < CYCLES; i++) {
		if (gpu_blob_create(gpu, blob_id, VIRTGPU_BLOB_FLAG_USE_MAPPABLE, &blob) < 0) {
			refused("rate-blobs");
			return;
		}
		if (gpu_blob_map(gpu, &blob) < 0) {
			refused("rate-blobs");
			gpu_blob_close(gpu, &blob);
			return;
		}
		*(volatile uint32_t *)blob.memory = i;
		gpu_blob_close(gpu, &blob);
	}
	report("rate of=blob count=%d per_second=%.0f", CYCLES, CYCLES / (now() - start));
}

void look_at_rates(int gpu, const char *ids)
{
	rate_of_submits(gpu);
	if (*ids != '\0')
		rate_of_blobs(gpu, strtoull(ids, NULL, 10));
}
