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
from vgpu_emu.peers.listener import ListenError
from vgpu_emu.peers.outlets import Outlets
from vgpu_emu.peers.serving import serve
from vgpu_emu.peers.stream import FdStream
from vgpu_emu.peers.vfio_user.session import serve_guest

ServeGuest = Callable[[FdStream, Config, Outlets], Awaitable[None]]
#: of the guest, in the command line that is printed
_MEMORY = "1G"


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
    """
    path = os.path.abspath(socket)
    device = json.dumps({"driver": "vfio-user-pci", "socket": {"type": "unix", "path": path}})
    machine = f"-machine pc,memory-backend=ram -m {_MEMORY}"
    memory = f"-object memory-backend-memfd,id=ram,size={_MEMORY},share=on"
    command = f"qemu-system-x86_64 {machine} {memory} -vga none -device {shlex.quote(device)}"
    return run_server(path, options, command, serve_guest)


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
