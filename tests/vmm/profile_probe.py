"""A device of any profile, what must have happened before something can go wrong, and short requests."""

from typing import Any

from device_kit import ROOM, Rig

from vgpu_emu.assembly import Config
from vgpu_emu.drive.requests import MAPPABLE, PAGE, SHAREABLE, attach, create_2d, guest_blob, host_blob, submit
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.vmm.catalogue import PROFILES
from vgpu_emu.vmm.profiles import Profile
from vgpu_wire.context_stream import ExporterKind, StreamAlloc
from vgpu_wire.control import FIRST_ERROR, CtrlHdr
from vgpu_wire.device import CONTROLQ, CURSORQ, Feature
from vgpu_wire.render import CtxCreate

MEMORY = 1 << 20
REGION = 16 * PAGE


class Probe(Rig):
    """A device of one profile with two scanouts, and what must have happened before something can go wrong."""

    def __init__(
        self, profile: str | Profile, features: frozenset[Feature] = frozenset(Feature), **options: Any
    ) -> None:
        config: dict[str, Any] = {
            "guest_memory": MEMORY,
            "host_visible": REGION,
            "scanouts": ((1024, 768), (640, 480)),
        } | options
        found = profile if isinstance(profile, Profile) else PROFILES[profile]
        super().__init__(Config(profile=found, features=features, **config))
        #: the VMM does not have a command that the condition needs: what follows is as it comes
        self.without = False

    def last(self, request: CtrlHdr | bytes, *, queue: int | None = None) -> Used | None:
        data = request if isinstance(request, bytes) else request.build()
        if queue is None:
            queue = CURSORQ if data[:2] in (b"\0\3", b"\1\3") else CONTROLQ
        return self.submit(Chain(99, queue, data, ROOM))

    def before(self, *requests: CtrlHdr) -> None:
        """Requests that succeed, wherever the VMM has them."""
        profile = self.device.profile
        for request in requests:
            self.without |= request.type in profile.lacks | profile.dead_commands
            used = self.last(request)
            if not self.without:
                assert used is not None, f"no answer to {request}"
                assert int.from_bytes(used.written[:4], "little") < FIRST_ERROR, (request, self.refused_rules())

    def image_1(self, *, backed: bool = True) -> None:
        self.before(create_2d(1))
        if backed:
            self.before(attach(1, (0, 64 * 64 * 4)))

    def context_1(self) -> None:
        self.before(CtxCreate(ctx_id=1))

    def object(self, blob_id: int = 5, size: int = PAGE, exporter: ExporterKind = ExporterKind.WC) -> None:
        if not self.device.contexts:
            self.context_1()
        self.before(submit(1, StreamAlloc(exporter=exporter.value, blob_id=blob_id, size=size)))

    def mappable_blob(self, resource_id: int = 5, *, flags: int = MAPPABLE, size: int = PAGE) -> None:
        self.object(resource_id, size)
        self.before(host_blob(resource_id, size, flags=flags))

    def guest_blob_7(self) -> None:
        self.before(guest_blob(7, PAGE, (0, PAGE), flags=SHAREABLE))
