"""DRM_VIRTGPU_WAIT of a guest program: an object is idle when all that named it is done, on any ring (dma_resv)."""

from errno import EBUSY

from vgpu_emu.fuzz.actions import one_of
from vgpu_emu.fuzz.guest import Guest
from vgpu_emu.fuzz.model.case import Finding
from vgpu_emu.guest.waiting import Op
from vgpu_wire.virtgpu_drm import WAIT_NOWAIT


def wait(guest: Guest, bo: int, nowait: int) -> Op[None]:
    """For one of those with most to wait for; one in four asks only. Raises OSError, and Finding."""
    bench, signalling = guest.bench, guest.bench.signalling
    dues = [len(signalling.due(int(owner.object(handle).resource_id))) for owner, handle in guest.objects]
    owner, handle = one_of([there for there, due in zip(guest.objects, dues, strict=True) if due == max(dues)], bo)
    number, flags = int(owner.object(handle).resource_id), WAIT_NOWAIT if nowait % 4 == 1 else 0
    due = signalling.due(number)
    bench.judge.evaluated["I21"] += 1
    try:
        yield from owner.wait(handle, flags)
    except OSError as refused:
        # what is on its way to the device has not been heard on the queue
        if refused.errno == EBUSY and flags and not due and not bench.driver.in_flight:
            raise Finding("I21", f"resource {number} is busy, and all that named it is done") from None
        raise
    for fence_id in sorted(due & signalling.due(number)):
        raise Finding("I21", f"resource {number} is idle, and fence {fence_id}, which is for it, is not signalled")
