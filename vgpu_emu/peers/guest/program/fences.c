/* Fences: on the context's timeline and on each of its rings. */
#include "probe.h"

enum { RINGS = 4, WORK = 2000 };

static int look_at_fence(int gpu, int ring)
{
	double start = now();
	int fence;

	if (gpu_submit(gpu, WORK, ring, &fence) < 0 || gpu_wait_fence(fence) < 0)
		return refused(ring < 0 ? "fence" : "ring");
	report("fence ring=%d work_us=%d waited_us=%.0f", ring, WORK, (now() - start) * 1e6);
	return 0;
}

/* A long command on one ring must not hold up a short one on another. */
static int look_at_order(int gpu)
{
	int slow, quick;
	double start = now();
	double passed;

	if (gpu_submit(gpu, 300000, 0, &slow) < 0 || gpu_submit(gpu, 0, 1, &quick) < 0 || gpu_wait_fence(quick) < 0)
		return refused("rings");
	passed = now() - start;
	if (gpu_wait_fence(slow) < 0)
		return refused("rings");
	report("rings independent=%s quick_us=%.0f slow_us=%.0f", passed < 0.25 ? "yes" : "no", passed * 1e6,
	       (now() - start) * 1e6);
	return 0;
}

void look_at_fences(int gpu)
{
	if (look_at_fence(gpu, -1) < 0)
		return;
	for (int ring = 0; ring < RINGS; ring++)
		if (look_at_fence(gpu, ring) < 0)
			return;
	look_at_order(gpu);
}
