"""``--device``: a device that is not ours, the command that makes it, and the patience that one has with it."""

from vgpu_emu.cli.style import printable
from vgpu_emu.cli.usage import UsageError
from vgpu_emu.peers.front.errors import DeviceError
from vgpu_emu.peers.front.link import PATIENCE
from vgpu_emu.peers.front.source import CommandError, DeviceSource

_SCHEME = "vhost-user:"


def device_source(device: str, command: str | None) -> DeviceSource:
    """Raises UsageError."""
    path = device.removeprefix(_SCHEME)
    if path == device or not path:
        raise UsageError(f"--device {printable(device)!r}: it is vhost-user:PATH, PATH being the device's socket")
    try:
        return DeviceSource(path, command)
    except CommandError as wrong:
        raise UsageError(f"--command {printable(str(wrong))}") from None


def patience_of(given: float | None) -> float:
    """Of ``--patience``: seconds; what a front-end has if it was not said. Raises UsageError."""
    seconds = PATIENCE if given is None else given
    if not 0 < seconds < float("inf"):
        raise UsageError(f"--patience {seconds}: a number of seconds, above 0")
    return seconds


def no_device(error: DeviceError | CommandError, source: DeviceSource) -> UsageError:
    """What to tell somebody whose device cannot be used at all."""
    hint = ""
    if source.command is None:
        hint = f" (start one first, as: /usr/lib/qemu/vhost-user-gpu --socket-path={source.path}; or see --command)"
    return UsageError(f"{printable(str(error))}{hint}")
