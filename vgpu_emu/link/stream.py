"""Messages over a stream of bytes: each is a frame, and frames arrive in whatever pieces the stream makes of them.

The stream itself is a port, too, whose items are pieces: bytes, and the descriptors that were sent with the first of
them, as on a Unix SOCK_STREAM socket. Whoever reads never gets two writes joined that both carry descriptors.
"""

from collections import deque

import trio

from vgpu_emu.link.channel import Parcel, Port
from vgpu_emu.memory import PassedFd
from vgpu_wire.renderer_link import Frame

#: bytes of the largest frame: more than any question, whose largest has a command stream of a MiB
MAX_FRAME = 1 << 21
#: descriptors beside one frame
MAX_FDS = 8


class StreamPort:
    """A port of messages on a port of pieces."""

    def __init__(self, pieces: Port[Parcel, Parcel]) -> None:
        self._pieces = pieces
        self._bytes = bytearray()
        self._fds: deque[PassedFd] = deque()
        self.close = pieces.close

    def send(self, parcel: Parcel) -> None:
        data, fds = parcel
        self._pieces.send((Frame(size=len(data), descriptors=len(fds)).build() + data, fds))

    async def receive(self) -> Parcel:
        """Raises trio.BrokenResourceError for a frame that is too large: the other end does not keep to the format."""
        while (parcel := self._whole()) is None:
            data, fds = await self._pieces.receive()
            self._bytes += data
            self._fds += fds
        return parcel

    def _whole(self) -> Parcel | None:
        """The first frame, if all of it is here."""
        header = Frame.layout.size
        if len(self._bytes) < header:
            return None
        frame = Frame.parse(bytes(self._bytes[:header]))
        if frame.size > MAX_FRAME or frame.descriptors > MAX_FDS:
            raise trio.BrokenResourceError(f"a frame of {frame.size} bytes and {frame.descriptors} descriptors")
        if len(self._bytes) < header + frame.size or len(self._fds) < frame.descriptors:
            return None
        data = bytes(self._bytes[header : header + frame.size])
        del self._bytes[: header + frame.size]
        return data, tuple(self._fds.popleft() for _ in range(frame.descriptors))

    def undelivered(self) -> list[Parcel]:
        """Descriptors whose frame is not whole."""
        left, self._fds = tuple(self._fds), deque()
        return [(b"", left)]
