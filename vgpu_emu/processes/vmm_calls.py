"""The calls that the VMM's process answers. Each names what it returns.

Those that may have to ask the renderer return `Asks` or, with what they return in the end, `Done`.
"""

import msgspec

from vgpu_emu.processes.messages import Handed, Result
from vgpu_emu.vmm.setup import VmmSetup


class Assemble(msgspec.Struct, frozen=True, tag="assemble"):
    """Be this VMM. With it comes the descriptor of guest memory, if there is any: all of it is at address 0.

    host_visible: bytes of the region. host_page: bytes of a page of the host. sparse_memory: bytes that other guest
    memory may take. needs_reset: why the device needs one from the start.
    """

    profile: str
    setup: VmmSetup
    host_visible: int
    host_page: int
    guest_memory: int
    sparse_memory: int
    needs_reset: str | None = None


class Negotiate(msgspec.Struct, frozen=True, tag="negotiate"):
    """Device.negotiate -> bool"""

    features: list[int]


class Handle(msgspec.Struct, frozen=True, tag="handle"):
    """Device.handle of a chain -> Used or None, may ask"""

    head: int
    queue: int
    readable: bytes
    capacity: int


class Resume(msgspec.Struct, frozen=True, tag="resume"):
    """The renderer's reply to what `steps` asked, with its descriptors -> as the call that asked"""

    steps: int
    answer: bytes
    handed: list[Handed] = msgspec.field(default_factory=list)


class Abandon(msgspec.Struct, frozen=True, tag="abandon"):
    """Nobody goes on with `steps`."""

    steps: int


class Signal(msgspec.Struct, frozen=True, tag="signal"):
    """Device.signal -> list of Used"""

    timeline: tuple[int, int]
    fence_id: int


class Fail(msgspec.Struct, frozen=True, tag="fail"):
    """Device.fail"""

    reason: str


class Reset(msgspec.Struct, frozen=True, tag="reset"):
    """Device.reset, may ask"""


class Snapshot(msgspec.Struct, frozen=True, tag="snapshot"):
    """snapshot.take -> bytes"""


class Restore(msgspec.Struct, frozen=True, tag="restore"):
    """snapshot.restore -> list of Used, may ask. SnapshotError."""

    data: bytes


class ReadConfig(msgspec.Struct, frozen=True, tag="read_config"):
    """Device.config -> its bytes"""


class ClearEvents(msgspec.Struct, frozen=True, tag="clear_events"):
    """Displays.clear_events"""

    events: int


class Plug(msgspec.Struct, frozen=True, tag="plug"):
    """Displays.plug; without a size unplug. IndexError, ValueError."""

    scanout_id: int
    size: tuple[int, int] | None


class Screen(msgspec.Struct, frozen=True, tag="screen"):
    """scanout_picture -> Picture or None. IndexError."""

    scanout_id: int


class FailFences(msgspec.Struct, frozen=True, tag="fail_fences"):
    """Fences.fail -> list of Used"""


class Left(msgspec.Struct, frozen=True, tag="left"):
    """What is mapped -> sentences"""


class Insides(msgspec.Struct, frozen=True, tag="insides"):
    """Of the process, not of the party -> the names of all modules that are loaded, the paths of all open files"""


class Exit(msgspec.Struct, frozen=True, tag="exit"):
    """The end of the VMM -> sentences about what is left after it"""


Call = (
    Assemble
    | Negotiate
    | Handle
    | Resume
    | Abandon
    | Signal
    | Fail
    | Reset
    | Snapshot
    | Restore
    | ReadConfig
    | ClearEvents
    | Plug
    | Screen
    | FailFences
    | Left
    | Insides
    | Exit
)


class VmmResult(Result, frozen=True, kw_only=True):
    """dead, needs_reset: of the device, as they are after the call."""

    dead: str | None = None
    needs_reset: str | None = None
