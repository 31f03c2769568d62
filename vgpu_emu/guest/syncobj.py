"""Sync objects of a file: a fence, or a timeline of them (drivers/gpu/drm/drm_syncobj.c)."""

from collections.abc import Iterable
from errno import EINVAL, ENOENT, ETIME
from typing import TYPE_CHECKING

from vgpu_emu.guest.fences import Fence, wait_for_fences
from vgpu_emu.guest.waiting import Op

if TYPE_CHECKING:
    from vgpu_emu.guest.open_file import OpenFile


class SyncObj:
    """struct drm_syncobj. points: of a timeline, in order: (point, fence); a plain fence is point 0."""

    def __init__(self) -> None:
        self.points: list[tuple[int, Fence]] = []

    def replace(self, fence: Fence | None) -> None:
        """drm_syncobj_replace_fence"""
        self.points = [] if fence is None else [(0, fence)]

    def add_point(self, fence: Fence, point: int) -> None:
        """drm_syncobj_add_point: one that is not later than the last takes the last's number."""
        self.points.append((max([point, *(p for p, _ in self.points)]), fence))

    def fences(self, point: int) -> list[Fence]:
        """What must be signalled for `point`; 0: for all there is. Raises OSError: EINVAL if there is no such point."""
        if not self.points or (point and self.points[-1][0] < point):
            raise OSError(EINVAL, f"point {point} has no fence")
        behind = [index for index, (p, _) in enumerate(self.points) if point and p >= point]
        end = behind[0] + 1 if behind else len(self.points)
        return [fence for _, fence in self.points[:end]]


def create(file: "OpenFile", *, signaled: bool = False) -> int:
    """DRM_IOCTL_SYNCOBJ_CREATE"""
    handle = file.syncobj_numbers.take()
    syncobj = file.syncobjs[handle] = SyncObj()
    if signaled:
        stub = Fence()
        stub.signal()
        syncobj.replace(stub)
    return handle


def destroy(file: "OpenFile", handle: int) -> None:
    """DRM_IOCTL_SYNCOBJ_DESTROY. Raises OSError: EINVAL."""
    if file.syncobjs.pop(handle, None) is None:
        raise OSError(EINVAL, f"no syncobj {handle}")
    file.syncobj_numbers.give_back(handle)


def find(file: "OpenFile", handle: int) -> SyncObj:
    """drm_syncobj_find. Raises OSError: ENOENT."""
    try:
        return file.syncobjs[handle]
    except KeyError:
        raise OSError(ENOENT, f"no syncobj {handle}") from None


def wait(file: "OpenFile", handles: Iterable[int], timeout: float) -> Op[None]:
    """DRM_IOCTL_SYNCOBJ_WAIT for all of them, `timeout` seconds.

    Raises OSError: ENOENT, EINVAL for one without a fence, ETIME.
    """
    fences = [fence for handle in handles for fence in find(file, handle).fences(0)]
    if not (yield from wait_for_fences(fences, "sync objects", timeout)):
        raise OSError(ETIME, "the sync objects are not signalled")
