"""Messages of vhost-user over a stream, for either end: a header, its payload, the descriptors that came along."""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from vgpu_emu.peers.serving import ProtocolError, patience
from vgpu_emu.peers.stream import Fds, FdStream
from vgpu_wire.errors import WireError
from vgpu_wire.layout import Record
from vgpu_wire.vhost_user import VERSION, VERSION_MASK, Header, HeaderFlag

R = TypeVar("R", bound=Record)
#: bytes of a payload; the longest that anybody sends has 2056 (ShmemConfig)
MAX_PAYLOAD = 4096
_REPLY, _NEED_REPLY = HeaderFlag.REPLY.value, HeaderFlag.NEED_REPLY.value


class Message(NamedTuple):
    """request: a FrontendRequest or BackendRequest, known or not. The receiver closes `fds`."""

    request: int
    flags: int
    payload: bytes
    fds: Fds

    @property
    def is_reply(self) -> bool:
        return bool(self.flags & _REPLY)

    @property
    def needs_reply(self) -> bool:
        return bool(self.flags & _NEED_REPLY)

    def parse(self, record: type[R]) -> R:
        """The payload. Raises ProtocolError."""
        try:
            return record.parse(self.payload)
        except WireError as error:
            raise ProtocolError(f"request {self.request}: {error}") from None


async def receive_message(stream: FdStream) -> Message:
    """The next message. Raises ProtocolError for another version of the protocol, a payload that is too long, and a
    message that does not go on; PeerGoneError and StreamError as the stream does."""
    start, fds = await stream.receive_start(1)
    try:
        with patience("it has not gone on with a message"):
            header = Header.parse(start + await stream.receive_rest(Header.layout.size - 1))
            _check(header)
            return Message(header.request, header.flags, await stream.receive_rest(header.size), fds)
    except BaseException:
        fds.close()
        raise


def _check(header: Header) -> None:
    if header.flags & VERSION_MASK != VERSION:
        raise ProtocolError(f"request {header.request}: version {header.flags & VERSION_MASK}, not {VERSION}")
    if header.size > MAX_PAYLOAD:
        raise ProtocolError(f"request {header.request}: a payload of {header.size} bytes, limit {MAX_PAYLOAD}")


async def send_message(
    stream: FdStream, request: int, payload: Record | bytes = b"", *, fds: Sequence[int] = (), flags: int = 0
) -> None:
    """flags: HeaderFlag bits. Raises StreamError; ProtocolError if the peer does not read."""
    data = payload if isinstance(payload, bytes) else payload.build()
    with patience("it has not read its messages"):
        await stream.send(Header(request=request, flags=VERSION | flags, size=len(data)).build() + data, fds)


async def send_reply(stream: FdStream, message: Message, payload: Record | bytes) -> None:
    """The answer to a message. Raises like `send_message`."""
    await send_message(stream, message.request, payload, flags=_REPLY)
