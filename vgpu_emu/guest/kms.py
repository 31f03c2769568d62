"""Mode setting: what is shown on an output, and how the device is told (virtgpu_plane.c, virtgpu_display.c).

A change is an atomic commit: old mode off, new mode announced, plane updated, in the order of
drm_atomic_helper_commit_tail. Linux tells the device where a mode starts twice: once with the mode, without a resource;
and once more with the first update of the plane after the commit (`needs_modeset`).
"""

from collections.abc import Sequence
from errno import EBUSY, EINVAL, ENOSPC
from typing import TYPE_CHECKING

from msgspec.structs import replace

from vgpu_emu.guest.fences import Fence, wait_for_fences
from vgpu_emu.guest.framebuffer import BYTES_PER_PIXEL, Framebuffer
from vgpu_emu.guest.gem import GemObject
from vgpu_emu.guest.imported import ImportedObject
from vgpu_emu.guest.ioctls_resource import transfer_2d
from vgpu_emu.guest.outputs import Output, Plane
from vgpu_emu.guest.waiting import Op
from vgpu_wire.control import CtrlType
from vgpu_wire.display import CursorPos, Rect, ResourceFlush, SetScanout

if TYPE_CHECKING:
    from vgpu_emu.guest.driver import Driver

#: DRM_EVENT_FLIP_COMPLETE
EVENT_FLIP_COMPLETE = 0x02
#: how long a flush with a fence is waited for, in seconds
FLUSH_SECONDS = 0.05
Clip = tuple[int, int, int, int]


def set_crtc(
    driver: "Driver",
    output: Output,
    framebuffer: Framebuffer | None,
    *,
    x: int = 0,
    y: int = 0,
    mode: tuple[int, int] | None = None,
) -> Op[None]:
    """DRM_IOCTL_MODE_SETCRTC: show the framebuffer from (x, y) on, in a mode of this size, by default the
    framebuffer's. None switches the output off.

    Raises OSError: ENOSPC if the framebuffer is smaller than the mode.
    """
    if framebuffer is None:
        yield from _commit(driver, output, None, output.primary.src, None)
        return
    width, height = mode or (framebuffer.width, framebuffer.height)
    if x + width > framebuffer.width or y + height > framebuffer.height:
        raise OSError(ENOSPC, f"{width}x{height}+{x}+{y} of a framebuffer of {framebuffer.width}x{framebuffer.height}")
    yield from _commit(driver, output, framebuffer, Rect(x=x, y=y, width=width, height=height), (width, height))


def page_flip(driver: "Driver", output: Output, framebuffer: Framebuffer, *, event: bool = False) -> Op[None]:
    """DRM_IOCTL_MODE_PAGE_FLIP: show another framebuffer; `event`: its file gets FLIP_COMPLETE.

    Raises OSError: EBUSY if nothing is shown, ENOSPC if the framebuffer does not have the part that is shown, EINVAL if
    it has another format.
    """
    src, shown = output.primary.src, output.primary.framebuffer
    if shown is None or output.mode is None:
        raise OSError(EBUSY, "nothing is shown on the output")
    if src.x + src.width > framebuffer.width or src.y + src.height > framebuffer.height:
        raise OSError(ENOSPC, "the framebuffer is too small")
    if shown.format != framebuffer.format:
        raise OSError(EINVAL, "the framebuffer has another format")
    yield from _commit(driver, output, framebuffer, src, output.mode)
    if event:
        framebuffer.file.reserved_events += 1
        framebuffer.file.events.append(EVENT_FLIP_COMPLETE)


def dirty(driver: "Driver", framebuffer: Framebuffer, clips: Sequence[Clip] = ()) -> Op[None]:
    """DRM_IOCTL_MODE_DIRTYFB: the program has drawn. clips: (x1, y1, x2, y2), the end outside; none: everywhere."""
    for output in driver.outputs:
        plane = output.primary
        if plane.framebuffer is framebuffer:
            yield from _commit(driver, output, framebuffer, plane.src, output.mode, clips)


def hide(driver: "Driver", output: Output, framebuffer: Framebuffer) -> Op[None]:
    """atomic_remove_fb: planes of the output that show the framebuffer show nothing; the mode stays."""
    if output.primary.framebuffer is framebuffer:
        yield from _commit(driver, output, None, output.primary.src, output.mode)
    if output.cursor.framebuffer is framebuffer:
        yield from set_cursor(driver, output, None)


# -- the commit


def _commit(
    driver: "Driver",
    output: Output,
    framebuffer: Framebuffer | None,
    src: Rect,
    mode: tuple[int, int] | None,
    clips: Sequence[Clip] = (),
) -> Op[None]:
    """drm_atomic_helper_commit_tail for one output. The fence of an update is made before anything is sent."""
    old, old_mode = output.primary, output.mode
    plane = Plane(framebuffer, src)
    fence = yield from _prepare(framebuffer, is_cursor=False)
    modeset = mode != old_mode
    if modeset and old_mode is not None:
        yield from driver.queue(SetScanout(scanout_id=output.index))
    if modeset and mode is not None:
        yield from driver.queue(SetScanout(r=Rect(width=mode[0], height=mode[1]), scanout_id=output.index))
    output.mode, output.primary = mode, plane
    if old.framebuffer is not None or framebuffer is not None:
        yield from _update_primary(driver, output, old, clips, fence)
    output.needs_modeset |= modeset
    yield from _cleanup(old.framebuffer)


def _prepare(framebuffer: Framebuffer | None, *, is_cursor: bool) -> Op[Fence | None]:
    """virtio_gpu_plane_prepare_fb, and the wait for what is still drawn into the object: a fence for the update if the
    object is in guest memory that the device reads by itself."""
    if framebuffer is None:
        return None
    framebuffer.get()
    gem = framebuffer.gem
    fence = None
    if is_cursor or gem.guest_blob:
        if isinstance(gem, ImportedObject):
            yield from gem.pin()
        fence = Fence() if gem.dumb or isinstance(gem, ImportedObject) else None
    yield from wait_for_fences(gem.fences, f"what is drawn into resource {gem.resource_id}")
    return fence


def _cleanup(framebuffer: Framebuffer | None) -> Op[None]:
    """virtio_gpu_plane_cleanup_fb"""
    if framebuffer is not None:
        if isinstance(framebuffer.gem, ImportedObject):
            framebuffer.gem.unpin()
        yield from framebuffer.put()


def _update_primary(
    driver: "Driver", output: Output, old: Plane, clips: Sequence[Clip], fence: Fence | None
) -> Op[None]:
    """virtio_gpu_primary_plane_update"""
    framebuffer, src = output.primary.framebuffer, output.primary.src
    if framebuffer is None or output.mode is None:
        off = SetScanout(r=Rect(width=src.width, height=src.height), scanout_id=output.index)
        yield from driver.queue(off)
        return
    is_changed = framebuffer is not old.framebuffer or src != old.src
    rect = src if is_changed else _merged(clips, src)
    if rect is None:
        return
    if framebuffer.gem.dumb:
        offset = rect.x * BYTES_PER_PIXEL + rect.y * framebuffer.pitch
        yield from transfer_2d(driver, framebuffer.gem, rect, offset)
    if is_changed or output.needs_modeset:
        output.needs_modeset = False
        yield from _set_scanout(driver, output, framebuffer, src)
    yield from _flush(driver, framebuffer.gem, rect, fence)


def _merged(clips: Sequence[Clip], src: Rect) -> Rect | None:
    """drm_atomic_helper_damage_merged: one rectangle around all clips, as far as it is shown. None: nothing is."""
    if not clips:
        return src
    x1, y1 = max(src.x, min(c[0] for c in clips)), max(src.y, min(c[1] for c in clips))
    x2 = min(src.x + src.width, max(c[2] for c in clips))
    y2 = min(src.y + src.height, max(c[3] for c in clips))
    return Rect(x=x1, y=y1, width=x2 - x1, height=y2 - y1) if x1 < x2 and y1 < y2 else None


def _set_scanout(driver: "Driver", output: Output, framebuffer: Framebuffer, src: Rect) -> Op[None]:
    gem = framebuffer.gem
    if gem.guest_blob or gem.host3d_blob:
        yield from driver.queue(replace(framebuffer.scanout_blob(), r=src, scanout_id=output.index))
    else:
        yield from driver.queue(SetScanout(r=src, scanout_id=output.index, resource_id=gem.resource_id))


def _flush(driver: "Driver", gem: GemObject, rect: Rect, fence: Fence | None) -> Op[None]:
    """virtio_gpu_resource_flush: with a fence it is waited for, for 50 ms."""
    request = ResourceFlush(r=rect, resource_id=gem.resource_id)
    if fence is None:
        yield from driver.queue(request)
        return
    yield from driver.queue(request, fence=fence, objects=(gem,))
    yield from wait_for_fences([fence], f"RESOURCE_FLUSH of resource {gem.resource_id}", FLUSH_SECONDS)


# -- cursor


def set_cursor(
    driver: "Driver",
    output: Output,
    framebuffer: Framebuffer | None,
    *,
    x: int = 0,
    y: int = 0,
    hot_x: int = 0,
    hot_y: int = 0,
) -> Op[None]:
    """An update of the cursor plane (virtio_gpu_cursor_plane_update): the image, where it is and where it points.

    A new image that a program draws is transferred first, and that is waited for, however long it takes. The same image
    is only moved. None: no cursor.
    """
    old = output.cursor.framebuffer
    if framebuffer is None and old is None:
        return
    fence = yield from _prepare(framebuffer, is_cursor=True)
    output.cursor = Plane(framebuffer)
    if framebuffer is not None and framebuffer is not old and framebuffer.gem.dumb:
        whole = Rect(width=framebuffer.width, height=framebuffer.height)
        yield from transfer_2d(driver, framebuffer.gem, whole, 0, fence)
        yield from wait_for_fences([fence] if fence else [], "the cursor's image")
    yield from _ping(driver, output, is_new=framebuffer is not old, hot=(hot_x, hot_y), x=x, y=y)
    yield from _cleanup(old)


def move_cursor(driver: "Driver", output: Output, x: int, y: int) -> Op[None]:
    """DRM_IOCTL_MODE_CURSOR with DRM_MODE_CURSOR_MOVE."""
    command = output.cursor_command
    yield from set_cursor(driver, output, output.cursor.framebuffer, x=x, y=y, hot_x=command.hot_x, hot_y=command.hot_y)


def _ping(driver: "Driver", output: Output, *, is_new: bool, hot: tuple[int, int], x: int, y: int) -> Op[None]:
    """virtio_gpu_cursor_ping: MOVE_CURSOR repeats what the last UPDATE_CURSOR said. Places left of and above the screen
    wrap around."""
    last, framebuffer = output.cursor_command, output.cursor.framebuffer
    if is_new:
        resource_id = framebuffer.gem.resource_id if framebuffer else 0
        hot_x, hot_y = hot if framebuffer else (0, 0)
        last = replace(last, resource_id=resource_id, hot_x=hot_x, hot_y=hot_y)
    number = CtrlType.UPDATE_CURSOR if is_new else CtrlType.MOVE_CURSOR
    pos = CursorPos(scanout_id=output.index, x=x & 0xFFFFFFFF, y=y & 0xFFFFFFFF)
    output.cursor_command = replace(last, type=number.value, pos=pos)
    yield from driver.queue_cursor(output.cursor_command)
