"""``vgpu-emu serve``: our device for a real guest, in an unmodified QEMU."""

import json
import os
import shlex
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio
from cyclopts import App

from vgpu_emu.assembly import Config
from vgpu_emu.cli.serve_options import DEFAULTS, ServeOptions
from vgpu_emu.cli.style import printable
from vgpu_emu.cli.usage import UsageError, complain
from vgpu_emu.peers.backend import QUEUES
from vgpu_emu.peers.listener import ListenError
from vgpu_emu.peers.outlets import Outlets
from vgpu_emu.peers.serving import serve
from vgpu_emu.peers.stream import FdStream
from vgpu_emu.peers.vfio_user.session import serve_guest
from vgpu_emu.peers.vhost_user.session import serve_guest as serve_frontend
from vgpu_wire.device import DEVICE_ID
from vgpu_wire.device import Config as DeviceConfiguration

ServeGuest = Callable[[FdStream, Config, Outlets], Awaitable[None]]
#: of the guest, in the command line that is printed
_MEMORY = "1G"
_MACHINE = f"-machine pc,memory-backend=ram -m {_MEMORY} -object memory-backend-memfd,id=ram,size={_MEMORY},share=on"
_CONFIG_SIZE = DeviceConfiguration.layout.size


def vfio_user(*, socket: Path, options: ServeOptions = DEFAULTS) -> int:
    """Be a PCI device for QEMU 10.1 or later: a virtio GPU, served over vfio-user.

    Prints the QEMU command line to paste. The blob's memory is what the guest maps, and starts with 16 bytes that say
    which blob it is: VGPUBLOB and its id, 64 bits, little endian. Serves guests one after another until Ctrl-C.

    Examples:

        vgpu-emu serve vfio-user --socket /tmp/gpu.sock

        vgpu-emu serve vfio-user --socket /tmp/gpu.sock --blob-id 1=wc --blob-id 2=uncached

        vgpu-emu serve vfio-user --socket /tmp/gpu.sock --capture run.jsonl --screenshot-dir screens

    Parameters
    ----------
    socket
        Where QEMU connects: a socket that only this user can use. One that nobody listens on any more is replaced.
    options
        What both routes have.
    """
    path = os.path.abspath(socket)
    device = json.dumps({"driver": "vfio-user-pci", "socket": {"type": "unix", "path": path}})
    command = f"qemu-system-x86_64 {_MACHINE} -vga none -device {shlex.quote(device)}"
    return run_server(path, options, command, serve_guest)


def vhost_user(*, socket: Path, options: ServeOptions = DEFAULTS) -> int:
    """Be the back-end of QEMU's vhost-user devices: a virtio GPU, with memory that the guest really maps.

    Prints two QEMU command lines to paste. The first is for QEMU 11.1 or later: on RESOURCE_MAP_BLOB QEMU maps the
    memory behind the dma-buf itself into the guest; it starts with 16 bytes that say which blob it is: VGPUBLOB and its
    id, 64 bits, little endian. The second shows the screens in QEMU, without blobs. Serves guests one after another
    until Ctrl-C.

    Examples:

        vgpu-emu serve vhost-user --socket /tmp/gpu.sock

        vgpu-emu serve vhost-user --socket /tmp/gpu.sock --blob-id 1=wc --blob-id 2=uncached

        vgpu-emu serve vhost-user --socket /tmp/gpu.sock --profile vhost-user-gpu --trace

    Parameters
    ----------
    socket
        Where QEMU connects: a socket that only this user can use. One that nobody listens on any more is replaced.
    options
        What both routes have.
    """
    path = os.path.abspath(socket)
    chardev = f"-chardev {shlex.quote(f'socket,id=gpu,path={path}')}"
    shape = f"virtio-id={DEVICE_ID},num_vqs={len(QUEUES)},config_size={_CONFIG_SIZE},vq_size=256"
    lines = [
        f"qemu-system-x86_64 {_MACHINE} -vga none {chardev} -device vhost-user-test-device-pci,chardev=gpu,{shape}",
        f"qemu-system-x86_64 {_MACHINE} -vga none {chardev} -device vhost-user-gpu-pci,chardev=gpu",
    ]
    return run_server(path, options, "\n".join(lines), serve_frontend)


def run_server(path: str, options: ServeOptions, command: str, serve_guest: ServeGuest) -> int:
    """Serve until a signal comes: 128 and its number. command: for the user to paste. Raises UsageError."""
    config = options.config()

    async def main() -> int:
        with options.outlets() as outlets:

            async def session(stream: FdStream) -> None:
                await serve_guest(stream, config, outlets)

            return await serve(path, session, complain, lambda: print(command, flush=True))

    try:
        return 128 + trio.run(main)
    except ListenError as refused:
        raise UsageError(f"cannot listen on {printable(path)}: {refused}") from None


group = App(name="serve", help="Our device for a real guest in an unmodified QEMU.")
group.command(vfio_user, name="vfio-user")
group.command(vhost_user, name="vhost-user")
