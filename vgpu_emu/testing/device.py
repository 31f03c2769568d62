"""A VMM's device alone: requests go in and answers come out, without an event loop. The test is the guest."""

from collections.abc import Callable

from vgpu_emu.assembly import Config
from vgpu_emu.drive.asking import ROOM, queue_of
from vgpu_emu.host.interface import Host
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.lockstep import Lockstep
from vgpu_emu.trace.log import Note
from vgpu_emu.vmm.device import Device
from vgpu_wire.control import CtrlHdr
from vgpu_wire.messages import parse_message

#: notes of a device about a request that it did not carry out
_BROKEN = {"refused", "ignored"}


class DeviceAlone(Lockstep):
    """A context manager. host: answers the device's questions in the place of our renderer.

    Of Lockstep there are also `submit` (a whole chain), `advance` (time passes, and fences are signalled), `log`.
    """

    def __init__(self, config: Config | None = None, *, host: Callable[[], Host] | None = None) -> None:
        super().__init__(config, host=host)
        self._head = 0

    @property
    def device(self) -> Device:
        return self.parts.device

    def exchange(self, request: bytes, queue: int | None = None, capacity: int = ROOM) -> bytes | None:
        """The bytes of the answer; None: it has to wait for a fence, or the device is dead.

        queue: None: the one where a request of this type belongs. capacity: device-writable bytes.
        """
        used = self.used(request, queue, capacity)
        return None if used is None else used.written

    def send(self, request: CtrlHdr, *, capacity: int = ROOM) -> CtrlHdr | None:
        """The answer as a message; None: there is none yet, or it has no bytes. Raises WireError for one that is no
        message."""
        written = self.exchange(request.build(), capacity=capacity)
        return parse_message(written) if written else None

    def used(self, request: bytes, queue: int | None = None, capacity: int = ROOM) -> Used | None:
        """The used chain; None: not yet."""
        self._head += 1
        return self.submit(Chain(self._head, queue_of(request) if queue is None else queue, request, capacity))

    def broken_rules(self) -> list[str]:
        """The rules that requests have broken so far, in order: names of `vgpu_emu.vmm.rules.Rule`."""
        notes = (event for event in self.log.events if isinstance(event, Note) and event.name in _BROKEN)
        return [note.values["rule"] for note in notes]
