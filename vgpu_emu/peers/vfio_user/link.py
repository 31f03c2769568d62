"""Messages of vfio-user over a stream: a header, its payload, the descriptors that came along; replies and refusals."""

from collections.abc import Sequence
from typing import NamedTuple

from vgpu_emu.peers.serving import ProtocolError, patience
from vgpu_emu.peers.stream import Fds, FdStream
from vgpu_wire.vfio_user import MAX_DATA_XFER_SIZE, TYPE_MASK, Header, HeaderFlag, RegionAccess

#: bytes of a message: the longest is a REGION_WRITE of all that one may transfer
MAX_MESSAGE = Header.layout.size + RegionAccess.layout.size + MAX_DATA_XFER_SIZE
_HEADER = Header.layout.size


class Message(NamedTuple):
    """A command; whether it is one that we know is for others to find out. The receiver closes `fds`."""

    header: Header
    payload: bytes
    fds: Fds


class Link:
    """One end of a connection. Every wait but that for a command is bounded: PATIENCE."""

    def __init__(self, stream: FdStream) -> None:
        self._stream = stream

    async def receive(self) -> Message:
        """The next command. Raises PeerGoneError; StreamError; ProtocolError for a length that no message has, a
        message that is no command, and one that does not go on."""
        data, fds = await self._stream.receive_start(1)
        try:
            with patience("it has not gone on with a message"):
                header = Header.parse(data + await self._stream.receive_rest(_HEADER - 1))
                if not _HEADER <= header.size <= MAX_MESSAGE:
                    raise ProtocolError(f"a message of {header.size} bytes; there are {_HEADER} to {MAX_MESSAGE}")
                if header.flags & TYPE_MASK:
                    raise ProtocolError(f"flags {header.flags:#x}: a reply to nothing")
                return Message(header, await self._stream.receive_rest(header.size - _HEADER), fds)
        except BaseException:
            fds.close()
            raise

    async def reply(self, to: Header, payload: bytes = b"", fds: Sequence[int] = ()) -> None:
        """Unless none is wanted. Raises StreamError; ProtocolError if the peer does not read."""
        await self._send(to, HeaderFlag.REPLY.value, 0, payload, fds)

    async def refuse(self, to: Header, errno: int) -> None:
        """Raises like `reply`."""
        await self._send(to, HeaderFlag.REPLY | HeaderFlag.ERROR, errno)

    async def _send(self, to: Header, flags: int, errno: int, payload: bytes = b"", fds: Sequence[int] = ()) -> None:
        if to.flags & HeaderFlag.NO_REPLY:
            return
        header = Header(id=to.id, command=to.command, size=_HEADER + len(payload), flags=int(flags), error_no=errno)
        with patience("it has not read its replies"):
            await self._stream.send(header.build() + payload, fds)
