"""One guest of a vfio-user server, from its VERSION to the end of the connection."""

from contextlib import suppress
from errno import EINVAL, ENOTSUP

import msgspec
import trio
from msgspec.structs import replace

from vgpu_emu.assembly import Config
from vgpu_emu.peers.backend import QUEUES, Backend
from vgpu_emu.peers.guest_maps import MAX_MAPS
from vgpu_emu.peers.outlets import Outlets, open_backend
from vgpu_emu.peers.serving import ProtocolError, patience
from vgpu_emu.peers.stream import MAX_FDS, FdStream, PeerGoneError, StreamError
from vgpu_emu.peers.vfio_user.bar import Bar, BlobMemory
from vgpu_emu.peers.vfio_user.device import COMMANDS, Device
from vgpu_emu.peers.vfio_user.interrupts import Interrupts
from vgpu_emu.peers.vfio_user.link import Link, Message
from vgpu_emu.peers.vfio_user.registers import Registers
from vgpu_wire.errors import WireError
from vgpu_wire.vfio_user import MAJOR, MAX_DATA_XFER_SIZE, MINOR, PAYLOADS, Command, Version

_CAPABILITIES = {"max_msg_fds": MAX_FDS, "max_data_xfer_size": MAX_DATA_XFER_SIZE, "max_dma_maps": MAX_MAPS}


class _VersionData(msgspec.Struct):
    """The JSON of VERSION."""

    capabilities: dict[str, msgspec.Raw] = msgspec.field(default_factory=dict)


async def serve_guest(stream: FdStream, config: Config, outlets: Outlets) -> None:
    """Until the client closes the connection: PeerGoneError. Raises StreamError, ProtocolError."""
    link = Link(stream)
    with patience("it has not said its version"):
        await _negotiate(link)
    bar = Bar(config.host_visible) if config.host_visible else None
    interrupts = Interrupts()
    try:
        await _serve(link, replace(config, backing=BlobMemory.memfd), outlets, bar, interrupts)
    finally:
        interrupts.close()
        if bar is not None:
            bar.close()


async def _serve(link: Link, config: Config, outlets: Outlets, bar: Bar | None, interrupts: Interrupts) -> None:
    kicks = {number: trio.open_memory_channel[None](1) for number in QUEUES}

    def kick(number: int) -> None:
        # one is enough: whoever gets it looks until nothing comes
        with suppress(trio.WouldBlock):
            kicks[number][0].send_nowait(None)

    registers = Registers(interrupts, kick)
    end: Exception | None = None
    async with open_backend(config, outlets, registers, bar) as backend, trio.open_nursery() as nursery:
        registers.backend = backend
        for number in QUEUES:
            nursery.start_soon(_serve_queue, backend, number, kicks[number][1])
        try:
            await _serve_commands(link, Device(backend, registers, interrupts, bar))
        except (PeerGoneError, StreamError, ProtocolError) as error:
            end = error
        nursery.cancel_scope.cancel()
    # not inside, where it would become a group
    if end is not None:
        raise end


async def _serve_queue(backend: Backend, number: int, kicks: trio.MemoryReceiveChannel[None]) -> None:
    """A task for each queue: the client, who waits for the answer to its write, need not wait for the device."""
    async for _ in kicks:
        await backend.service(number)


async def _serve_commands(link: Link, device: Device) -> None:
    while True:
        message = await link.receive()
        with message.fds:
            try:
                command, request = _parse(message)
                answer, fds = device.handle(command, request, message.fds)
            except OSError as refused:
                await link.refuse(message.header, refused.errno or EINVAL)
            else:
                await link.reply(message.header, answer.build(), fds)


def _parse(message: Message) -> tuple[Command, object]:
    """Raises OSError: ENOTSUP for a command that is not known here, EINVAL for a payload that is not its."""
    try:
        command = Command(message.header.command)
    except ValueError:
        raise OSError(ENOTSUP, f"command {message.header.command}") from None
    if command not in COMMANDS:
        raise OSError(ENOTSUP, command.name)
    try:
        return command, PAYLOADS[command].parse(message.payload)
    except WireError as unreadable:
        raise OSError(EINVAL, str(unreadable)) from None


async def _negotiate(link: Link) -> None:
    """The client's first message; a client that is refused is told so. Raises ProtocolError."""
    message = await link.receive()
    with message.fds:
        try:
            version = _version(message)
        except OSError as refused:
            await link.refuse(message.header, refused.errno or EINVAL)
            raise ProtocolError(str(refused.strerror)) from None
        await link.reply(message.header, version.build())


def _version(message: Message) -> Version:
    """What answers this VERSION: of our capabilities those that the client has. Raises OSError."""
    if message.header.command != Command.VERSION:
        raise OSError(EINVAL, f"the first message is command {message.header.command}, not VERSION")
    try:
        proposed = Version.parse(message.payload)
        data = proposed.data.removesuffix(b"\0") or b"{}"
        capabilities = msgspec.json.decode(data, type=_VersionData).capabilities
    except (WireError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as unreadable:
        raise OSError(EINVAL, f"an unreadable VERSION: {unreadable}") from None
    if proposed.major != MAJOR:
        raise OSError(ENOTSUP, f"version {proposed.major}.{proposed.minor}; here is {MAJOR}.{MINOR}")
    ours = {name: value for name, value in _CAPABILITIES.items() if name in capabilities}
    return Version(major=MAJOR, minor=MINOR, data=msgspec.json.encode({"capabilities": ours}) + b"\0")
