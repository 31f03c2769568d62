"""Guests of a vhost-user socket, one after another; the back-end listens, the front-end connects."""

from collections.abc import Callable

import trio

from vgpu_emu.assembly import Config
from vgpu_emu.peers.listener import listening
from vgpu_emu.peers.outlets import Outlets, open_backend
from vgpu_emu.peers.stream import FdStream, StreamError
from vgpu_emu.peers.vhost_user.link import VhostUserError
from vgpu_emu.peers.vhost_user.session import Session
from vgpu_emu.peers.vhost_user.shared_region import SharedRegion


async def serve(path: str, config: Config, outlets: Outlets, *, ready: Callable[[], None]) -> None:
    """Serve whoever connects, until cancelled. ready: told that the socket is there. Raises OSError as `listening`."""
    with listening(path) as listener:
        ready()
        while True:
            connection, _ = await listener.accept()
            await _serve_guest(connection, config, outlets)


async def _serve_guest(connection: trio.socket.SocketType, config: Config, outlets: Outlets) -> None:
    stream = FdStream(connection)
    region = SharedRegion(config.host_visible)
    session = Session(stream, region, outlets.say)
    outlets.say("a guest has connected")
    try:
        async with open_backend(config, outlets, session, region) as backend:
            await session.run(backend)
    except (VhostUserError, StreamError) as fault:
        outlets.say(f"the guest is given up: {fault}")
    else:
        outlets.say("the guest is gone")
    finally:
        stream.close()
