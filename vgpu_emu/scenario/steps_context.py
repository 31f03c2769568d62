"""Contexts: CONTEXT_INIT, capability sets, command streams, and what tells when they are done."""

from typing import Annotated, ClassVar

from msgspec import Meta

from vgpu_emu.guest.fences import wait_for_fences
from vgpu_emu.guest.submit import ExecSyncObj, SyncFile
from vgpu_emu.guest.waiting import Op
from vgpu_emu.scenario import words
from vgpu_emu.scenario.seen import Given
from vgpu_emu.scenario.steps import FileStep, GuestStep, Name, Seconds, Size
from vgpu_emu.scenario.things import Object, Sync
from vgpu_emu.scenario.words import CapsetName, ParamName
from vgpu_emu.scenario.world import World
from vgpu_emu.trace.hextext import bytes_from_hex
from vgpu_wire.context_stream import StreamWork
from vgpu_wire.control import CtrlType
from vgpu_wire.virtgpu_drm import EXECBUF_SYNCOBJ_RESET, WAIT_NOWAIT, ContextParam, ExecbufFlag, Param

_Capset = Annotated[CapsetName | int, Meta(description="A capability set, by its word or number.")]


class ContextInit(FileStep, frozen=True, kw_only=True, tag="context-init"):
    """DRM_IOCTL_VIRTGPU_CONTEXT_INIT: what kind of context the file has, and how many rings."""

    commands: ClassVar[tuple[int, ...]] = (CtrlType.CTX_CREATE.value,)

    capset: _Capset | None = None
    rings: int | None = None
    poll: Annotated[int | None, Meta(description="A bit for each ring whose fences become events of the file.")] = None
    name: Annotated[str | None, Meta(description="The context's name, for debugging.")] = None
    params: Annotated[
        tuple[tuple[int, int], ...], Meta(description="Further [parameter, value], such as no driver would give.")
    ] = ()

    def call(self, world: World) -> Op[Given]:
        yield from world.probed()
        capset_id = None if self.capset is None else words.capset(self.capset)
        name = None if self.name is None else self.name.encode()
        said: list[tuple[ContextParam, int | bytes | None]] = [
            (ContextParam.CAPSET_ID, capset_id),
            (ContextParam.NUM_RINGS, self.rings),
            (ContextParam.POLL_RINGS_MASK, self.poll),
            (ContextParam.DEBUG_NAME, name),
        ]
        params = [(param.value, value) for param, value in said if value is not None]
        yield from self.opened(world).context_init([*params, *self.params])
        return Given()


class GetCaps(FileStep, frozen=True, kw_only=True, tag="get-caps"):
    """DRM_IOCTL_VIRTGPU_GET_CAPS: the bytes of a capability set. value: size."""

    commands: ClassVar[tuple[int, ...]] = (CtrlType.GET_CAPSET.value,)

    capset: _Capset
    version: int = 0
    length: Annotated[Size, Meta(description="At most so many bytes.")] = 0x1000

    def call(self, world: World) -> Op[Given]:
        yield from world.probed()
        data = yield from self.opened(world).get_caps(words.capset(self.capset), self.version, self.length)
        return Given(value={"size": len(data)}, data=data)


class GetParam(FileStep, frozen=True, kw_only=True, tag="getparam"):
    """DRM_IOCTL_VIRTGPU_GETPARAM: a number, the value."""

    param: Annotated[ParamName | int, Meta(description="VIRTGPU_PARAM_*")]

    def call(self, world: World) -> Op[Given]:
        yield from world.probed()
        number = self.param if isinstance(self.param, int) else Param[self.param.upper()].value
        return Given(value=self.opened(world).getparam(number))


class ExecBuffer(FileStep, frozen=True, kw_only=True, tag="execbuffer"):
    """DRM_IOCTL_VIRTGPU_EXECBUFFER: a command stream. `as` names the fence that is asked for by it (FENCE_FD_OUT)."""

    gives: ClassVar[str] = "fence"
    takes: ClassVar[dict[str, str]] = {
        "file": "file",
        "objects": "object",
        "after": "fence",
        "in_syncobjs": "syncobj",
        "out_syncobjs": "syncobj",
    }
    commands: ClassVar[tuple[int, ...]] = (CtrlType.SUBMIT_3D.value,)

    work: Annotated[float, Meta(ge=0, lt=4000, description="Seconds that the GPU is busy with it.")] = 0.0
    stream: Annotated[str | None, Meta(description="The stream itself, in hex, instead of work.")] = None
    ring: Annotated[int | None, Meta(description="ring_idx: the context's timeline on which its fence is.")] = None
    objects: Annotated[tuple[Name, ...], Meta(description="Objects that it uses; they wait for its end.")] = ()
    after: Annotated[Name | None, Meta(description="A fence to wait for first (FENCE_FD_IN).")] = None
    in_syncobjs: Annotated[tuple[Name, ...], Meta(description="Sync objects to wait for first.")] = ()
    out_syncobjs: Annotated[tuple[Name, ...], Meta(description="Sync objects that get its fence.")] = ()
    point: Annotated[int, Meta(description="Of the sync objects, if they are timelines.")] = 0
    reset: Annotated[bool, Meta(description="The sync objects that were waited for lose their fence.")] = False
    flags: Annotated[int, Meta(description="Further flags, such as no driver would give.")] = 0

    def __post_init__(self) -> None:
        bytes_from_hex(self.stream or "")

    def call(self, world: World) -> Op[Given]:
        file = self.opened(world)
        if self.ring is not None:
            yield from world.probed()
        flags = self.flags | (ExecbufFlag.RING_IDX if self.ring is not None else 0)
        flags |= (ExecbufFlag.FENCE_FD_OUT if self.as_ else 0) | (ExecbufFlag.FENCE_FD_IN if self.after else 0)
        reset = EXECBUF_SYNCOBJ_RESET if self.reset else 0
        fence = yield from file.execbuffer(
            self._stream(),
            flags=flags,
            ring_idx=self.ring or 0,
            bo_handles=[world.find(name, Object).handle for name in self.objects],
            in_fence=world.find(self.after, SyncFile) if self.after else None,
            in_syncobjs=[ExecSyncObj(world.find(n, Sync).handle, self.point, reset) for n in self.in_syncobjs],
            out_syncobjs=[ExecSyncObj(world.find(n, Sync).handle, self.point) for n in self.out_syncobjs],
        )
        return Given(named=fence)

    def _stream(self) -> bytes:
        if self.stream is not None:
            return bytes_from_hex(self.stream)
        return StreamWork(microseconds=round(self.work * 1e6)).build()


class Wait(GuestStep, frozen=True, kw_only=True, tag="wait"):
    """DRM_IOCTL_VIRTGPU_WAIT: until nothing is done with the object any more; EBUSY after 15 seconds."""

    takes: ClassVar[dict[str, str]] = {"of": "object"}

    of: Name
    nowait: bool = False

    def call(self, world: World) -> Op[Given]:
        thing = world.find(self.of, Object)
        yield from thing.file.wait(thing.handle, WAIT_NOWAIT if self.nowait else 0)
        return Given()


class WaitFence(GuestStep, frozen=True, kw_only=True, tag="wait-fence"):
    """poll(2) of a fence fd: until it is signalled."""

    takes: ClassVar[dict[str, str]] = {"of": "fence"}

    of: Name

    def call(self, world: World) -> Op[Given]:
        yield from wait_for_fences([world.find(self.of, SyncFile).fence], f"the fence {self.of}")
        return Given()


class SyncObjCreate(FileStep, frozen=True, kw_only=True, tag="syncobj-create"):
    """DRM_IOCTL_SYNCOBJ_CREATE"""

    gives: ClassVar[str] = "syncobj"

    signaled: bool = False

    def call(self, world: World) -> Op[Given]:
        file = self.opened(world)
        return Given(named=Sync(file, file.syncobj_create(signaled=self.signaled)))
        yield  # nothing is sent


class SyncObjDestroy(GuestStep, frozen=True, kw_only=True, tag="syncobj-destroy"):
    """DRM_IOCTL_SYNCOBJ_DESTROY"""

    takes: ClassVar[dict[str, str]] = {"of": "syncobj"}

    of: Name

    def call(self, world: World) -> Op[Given]:
        sync = world.find(self.of, Sync)
        sync.file.syncobj_destroy(sync.handle)
        return Given()
        yield  # nothing is sent


class SyncObjWait(GuestStep, frozen=True, kw_only=True, tag="syncobj-wait"):
    """DRM_IOCTL_SYNCOBJ_WAIT: until it is signalled; ETIME after so many seconds."""

    takes: ClassVar[dict[str, str]] = {"of": "syncobj"}

    of: Name
    seconds: Seconds = 10.0

    def call(self, world: World) -> Op[Given]:
        sync = world.find(self.of, Sync)
        yield from sync.file.syncobj_wait([sync.handle], self.seconds)
        return Given()
