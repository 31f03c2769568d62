/* usage: probe [BLOB-ID[:EXPORTER],...] [rates]: what the driver offers, then everything that it can be asked to do; or
 * only how fast it is, several times.
 */
#include "probe.h"

#include <drm/virtgpu_drm.h>

enum { RATES = 5 };

/* The capset of the smallest number; with none a context has rings all the same. */
static uint64_t first_capset(int gpu)
{
	uint64_t mask;

	if (gpu_param(gpu, VIRTGPU_PARAM_SUPPORTED_CAPSET_IDs, &mask) < 0 || mask == 0)
		return 0;
	return __builtin_ctzll(mask);
}

/* Whether there is 3D; a context of ours, then. */
static int start_rendering(int gpu)
{
	uint64_t has_3d, has_contexts;

	gpu_param(gpu, VIRTGPU_PARAM_3D_FEATURES, &has_3d);
	gpu_param(gpu, VIRTGPU_PARAM_CONTEXT_INIT, &has_contexts);
	if (has_3d && has_contexts && gpu_context(gpu, first_capset(gpu), 4) < 0)
		refused("context-init");
	return has_3d;
}

static void look_at_rendering(int gpu, const char *ids)
{
	if (!start_rendering(gpu))
		return;
	look_at_blobs(gpu, ids);
	look_at_fences(gpu);
	look_at_rates(gpu, ids);
}

static int look_at_rates_only(int gpu, const char *ids)
{
	if (!start_rendering(gpu))
		return 1;
	for (int i = 0; i < RATES; i++)
		look_at_rates(gpu, ids);
	return 0;
}

int main(int count, char **arguments)
{
	const char *ids = count > 1 ? arguments[1] : "";
	int gpu = gpu_open();

	if (gpu < 0)
		return refused("open") != 0;
	if (count > 2)
		return look_at_rates_only(gpu, ids);
	look_at_params(gpu);
	look_at_capsets(gpu);
	look_at_rendering(gpu, ids);
	look_at_sharing(gpu, ids);
	look_at_screen(gpu);
	report("end");
	return 0;
}
