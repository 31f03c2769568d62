/* What the driver says about itself and its device. */
#include "probe.h"

#include <drm/virtgpu_drm.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

static const struct {
	uint64_t param;
	const char *name;
} PARAMS[] = {
	{VIRTGPU_PARAM_3D_FEATURES, "3D_FEATURES"},
	{VIRTGPU_PARAM_CAPSET_QUERY_FIX, "CAPSET_QUERY_FIX"},
	{VIRTGPU_PARAM_RESOURCE_BLOB, "RESOURCE_BLOB"},
	{VIRTGPU_PARAM_HOST_VISIBLE, "HOST_VISIBLE"},
	{VIRTGPU_PARAM_CROSS_DEVICE, "CROSS_DEVICE"},
	{VIRTGPU_PARAM_CONTEXT_INIT, "CONTEXT_INIT"},
	{VIRTGPU_PARAM_SUPPORTED_CAPSET_IDs, "SUPPORTED_CAPSET_IDs"},
	{VIRTGPU_PARAM_EXPLICIT_DEBUG_NAME, "EXPLICIT_DEBUG_NAME"},
	{VIRTGPU_PARAM_BLOB_ALIGNMENT, "BLOB_ALIGNMENT"},
};

void look_at_params(int gpu)
{
	uint64_t value;

	for (size_t i = 0; i < LENGTH(PARAMS); i++)
		if (gpu_param(gpu, PARAMS[i].param, &value) < 0)
			refused(PARAMS[i].name);
		else
			report("param name=%s value=%llu", PARAMS[i].name, (unsigned long long)value);
}

void look_at_capsets(int gpu)
{
	static uint8_t buffer[4096];
	uint64_t mask;

	if (gpu_param(gpu, VIRTGPU_PARAM_SUPPORTED_CAPSET_IDs, &mask) < 0)
		return;
	for (uint32_t id = 1; id < 32; id++) {
		struct drm_virtgpu_get_caps caps = {.cap_set_id = id, .addr = USER_POINTER(buffer), .size = sizeof(buffer)};

		if ((mask >> id & 1) == 0)
			continue;
		if (ioctl(gpu, DRM_IOCTL_VIRTGPU_GET_CAPS, &caps) < 0)
			refused("capset");
		else
			report("capset id=%u first=%02x%02x%02x%02x", id, buffer[0], buffer[1], buffer[2], buffer[3]);
	}
}
