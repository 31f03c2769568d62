"""How the driver finds out what the device has: probe, hot-plug, unbind (virtgpu_kms.c, virtgpu_drv.c)."""

from errno import ENODEV
from functools import cache, partial

from vgpu_emu.guest.driver import Capset, Driver
from vgpu_emu.guest.ioctls_context import KMALLOC_MAX, MAX_CAPSET_ID
from vgpu_emu.guest.waiting import Op, wait_for
from vgpu_emu.trace.log import GUEST
from vgpu_wire.control import CtrlType, HeaderOnly
from vgpu_wire.device import ConfigEvent, Feature
from vgpu_wire.display import GetEdid, RespDisplayInfo, RespEdid
from vgpu_wire.render import GetCapsetInfo, RespCapsetInfo

#: VIRTIO_F_VERSION_1, a bit number
VERSION_1 = 32
#: how long the probe waits for each capset, and for the display info, in seconds
PROBE_SECONDS = 5.0
#: capsets that kcalloc has memory for: of struct virtio_gpu_drv_capset, 12 bytes each
MAX_CAPSETS = KMALLOC_MAX // 12
_DISPLAY = ConfigEvent.DISPLAY.value


@cache
def accept_features(offered: int) -> frozenset[Feature]:
    """What the driver takes of the offered feature bits: all that it knows, whatever they need of each other.

    Raises OSError: ENODEV for a device before virtio 1.0.
    """
    if not offered >> VERSION_1 & 1:
        raise OSError(ENODEV, "VIRTIO_F_VERSION_1 is not offered")
    return frozenset(feature for feature in Feature if offered >> feature & 1)


def probe(driver: Driver) -> Op[None]:
    """virtio_gpu_init: capsets, one by one; then EDIDs and display info. Nothing that is missing, late or refused fails
    the probe: it goes on without."""
    config = driver.config.read()
    driver.outputs.make(config.num_scanouts)
    if config.num_capsets:
        yield from _get_capsets(driver, config.num_capsets)
    if not driver.outputs:
        return
    yield from _ask_displays(driver)
    yield from wait_for(lambda: not driver.outputs.is_pending, "the display info", PROBE_SECONDS)


def _get_capsets(driver: Driver, number: int) -> Op[None]:
    """virtio_gpu_get_capsets: an answer that does not come, or has no valid id, leaves the driver without any capset.

    An error has the id 0, so it is waited for like an answer that is still to come. The mask keeps the ids that were
    seen until then. For more than MAX_CAPSETS there is no memory.
    """
    if number > MAX_CAPSETS:
        driver.log.note(GUEST, "drm_error", text="failed to allocate cap sets")
        return
    capsets = [Capset() for _ in range(number)]
    for index, capset in enumerate(capsets):
        request = GetCapsetInfo(capset_index=index)
        yield from driver.queue(request, partial(_capset_info, capset), RespCapsetInfo.layout.size)
        if not (yield from wait_for(partial(getattr, capset, "id"), f"capset {index}", PROBE_SECONDS)):
            driver.log.note(GUEST, "drm_error", text=f"timed out waiting for cap set {index}")
            return
        if capset.id > MAX_CAPSET_ID:
            driver.log.note(GUEST, "drm_error", text=f"invalid capset id {capset.id}")
            return
        driver.capsets.mask |= _int_bit(capset.id)
    driver.capsets.known = capsets


def _capset_info(capset: Capset, buffer: bytes) -> None:
    """virtio_gpu_cmd_get_capset_info_cb: the answer's type is not looked at."""
    answer = RespCapsetInfo.parse(buffer)
    capset.id = answer.capset_id
    capset.max_version = answer.capset_max_version
    capset.max_size = answer.capset_max_size


def _int_bit(number: int) -> int:
    """1 << number as a C int on x86, which counts modulo 32, and as that becomes 64 bits."""
    bit = 1 << number % 32
    return bit | (0xFFFFFFFF << 32 if bit >> 31 else 0)


def _ask_displays(driver: Driver) -> Op[None]:
    """virtio_gpu_cmd_get_edids and virtio_gpu_cmd_get_display_info: nobody waits here."""
    if driver.has(Feature.EDID):
        for output in driver.outputs:
            answered = partial(driver.outputs.set_edid, output.index)
            yield from driver.queue(GetEdid(scanout=output.index), answered, RespEdid.layout.size)
    driver.outputs.is_pending = True
    yield from driver.queue(
        HeaderOnly(type=CtrlType.GET_DISPLAY_INFO.value), driver.outputs.set_display_info, RespDisplayInfo.layout.size
    )


def config_changed(driver: Driver) -> Op[None]:
    """virtio_gpu_config_changed_work_func: the worker of the configuration interrupt. The event is cleared at once; the
    answers change the outputs when they come."""
    cleared = 0
    if driver.config.read().events_read & _DISPLAY:
        if driver.outputs:
            yield from _ask_displays(driver)
        cleared = _DISPLAY
    driver.config.clear_events(cleared)


def config_interrupt(driver: Driver) -> None:
    """virtio_gpu_config_changed: the device's configuration interrupt, which a worker looks into."""
    driver.workers.schedule(config_changed(driver))
    driver.workers.run()


def remove(driver: Driver) -> None:
    """virtio_gpu_remove: from now on nothing is sent, and every ioctl of a file that is still open is ENODEV.

    What the device has not answered it never answers: it is reset next. The next probe is of `Driver.successor`.
    """
    driver.unplugged = True
    driver.available.clear()
