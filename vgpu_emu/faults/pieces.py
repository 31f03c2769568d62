"""Writes on a stream of bytes, split and merged: what is written arrives in its order, in other pieces."""

from collections.abc import Callable

import trio

from vgpu_emu.link.channel import Parcel, Port


class Writes:
    """A port of pieces. size: of the pieces that the next write arrives in. seconds: for how long it is held back.

    start: starts a task.
    """

    def __init__(self, port: Port[Parcel, Parcel], start: Callable[..., None]) -> None:
        self._port = port
        self._start = start
        self.size: int | None = None
        self.seconds: float | None = None
        #: writes that arrive together; None: nothing is held back
        self._held: list[Parcel] | None = None
        self.receive = port.receive
        self.close = port.close

    def send(self, piece: Parcel) -> None:
        size, seconds, self.size, self.seconds = self.size, self.seconds, None, None
        if self._held is not None:
            self._held.append(piece)
        elif seconds is not None:
            self._held = [piece]
            self._start(self._release, seconds)
        else:
            for part in split(piece, size or len(piece[0])):
                self._port.send(part)

    async def _release(self, seconds: float) -> None:
        await trio.sleep(seconds)
        held, self._held = self._held or [], None
        try:
            self._port.send((b"".join(data for data, _ in held), tuple(fd for _, fds in held for fd in fds)))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._held = held

    def undelivered(self) -> list[Parcel]:
        """What has not arrived."""
        held, self._held = self._held or [], None
        return held


def split(piece: Parcel, size: int) -> list[Parcel]:
    """Pieces of at most `size` bytes; the descriptors are with the first byte."""
    data, fds = piece
    parts: list[Parcel] = [(data[place : place + size], ()) for place in range(0, len(data), size)]
    return [(parts[0][0], fds), *parts[1:]]
