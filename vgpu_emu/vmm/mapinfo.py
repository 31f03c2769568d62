"""The question that this emulator is about: how may a guest map this dma-buf?"""

from errno import ENOTTY

from vgpu_emu.ids import Fd, ResourceId
from vgpu_emu.trace.log import VMM, Log
from vgpu_emu.vmm.asking import Steps, ask
from vgpu_emu.vocabulary import Dialect, map_cache_from_ioctl
from vgpu_wire.blob import MapCache
from vgpu_wire.dmabuf import DMA_BUF_INFO_VM_PROT, DMA_BUF_IOCTL_INFO, DmaBufInfo
from vgpu_wire.errors import WireError
from vgpu_wire.renderer_link import Ioctl, Op, ResourceQuestion

_QUERY = DmaBufInfo(param=DMA_BUF_INFO_VM_PROT).build()


def query_map_info(fd: Fd, resource_id: ResourceId, dialect: Dialect, log: Log) -> Steps[MapCache | None]:
    """Ask the exporter by DMA_BUF_IOCTL_INFO and translate its answer. None: it must not be mapped, or nobody knows.

    A kernel without the ioctl says ENOTTY; then the renderer's guess is taken, as every VMM does today.
    """
    answer = yield from ask(Ioctl(fd=fd, request=DMA_BUF_IOCTL_INFO, size=len(_QUERY), argument=_QUERY))
    if answer.errno == ENOTTY:
        return (yield from _guess(resource_id, log))
    if answer.errno:
        log.note(VMM, "map_info_failed", resource_id=resource_id, errno=answer.errno)
        return None
    try:
        value = DmaBufInfo.parse(answer.data).value
    except WireError as unreadable:
        log.note(VMM, "map_info_failed", resource_id=resource_id, detail=str(unreadable))
        return None
    info = map_cache_from_ioctl(dialect, value)
    if info is None:
        log.note(VMM, "map_info_failed", resource_id=resource_id, detail=f"{value:#x} must not be mapped")
    return info


def _guess(resource_id: ResourceId, log: Log) -> Steps[MapCache | None]:
    answer = yield from ask(ResourceQuestion(op=Op.GET_MAP_INFO.value, resource_id=resource_id))
    try:
        info = None if answer.errno else MapCache(answer.value)
    except ValueError:
        info = None
    log.note(VMM, "guessed", resource_id=resource_id, map_info=info.name if info else None)
    return info
