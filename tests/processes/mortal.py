"""A party's process that comes to grief at a given moment: ``python mortal.py PARTY CALL MOMENT SIGNAL SOCKET``.

It is the party that it stands for, and sends itself the signal when it has got a call of this name. MOMENT:
``received`` (nothing is done yet), ``done`` (nothing is sent yet), ``half`` (one packet of a message is sent, with its
descriptors, and more were announced), ``sent``.
"""

import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from vgpu_emu.link.seqpacket import Incoming, Seqpacket
from vgpu_emu.processes.serving import Reply, Server, run
from vgpu_wire.process_link import Packet

PARTY, CALL, MOMENT, SIGNAL = sys.argv[1:5]


class Mortal(Seqpacket):
    """A link on which a process comes to grief. doomed: the call that it waits for has come."""

    doomed = False

    def send(self, data: bytes, fds: Sequence[int] = ()) -> None:
        if not Mortal.doomed:
            return super().send(data, fds)
        if MOMENT == "done":
            grief()
        if MOMENT == "half":
            rights = Seqpacket.rights(fds)
            self._socket.sendmsg([Packet(size=len(data) + 1, descriptors=len(fds)).build(), data], rights)
            grief()
        super().send(data, fds)
        if MOMENT == "sent":
            grief()
        return None


def grief() -> None:
    os.kill(os.getpid(), signal.Signals[SIGNAL])


def doom(server: Server) -> Server:
    """The same server; it knows when its time has come."""
    carry_out = server._carry_out

    def until(call: Any, incoming: Incoming) -> Reply:
        if _name(call) == CALL:
            Mortal.doomed = True
            if MOMENT == "received":
                grief()
        return carry_out(call, incoming)

    server._carry_out = until
    return server


def _name(call: Any) -> str:
    """The call; of a question to the renderer, that."""
    from vgpu_wire.renderer_link import Op

    if PARTY == "host" and hasattr(call, "data"):
        return Op(int.from_bytes(call.data[:4], "little")).name
    return type(call).__name__


if __name__ == "__main__":
    if PARTY == "host":
        from vgpu_emu.processes.host import Host as Made
    else:
        from vgpu_emu.processes.vmm import Vmm as Made  # type: ignore[assignment]
    run(doom(Made().server), Mortal)
