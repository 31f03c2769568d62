"""``python -m peers get``: QEMU, Linux and what a guest needs, from Debian's archive."""

from typing import Annotated

from cyclopts import Parameter

from vgpu_emu.cli.progress import teller
from vgpu_emu.cli.style import printable
from vgpu_emu.cli.usage import FOUND, complain
from vgpu_emu.peers.parts.errors import PartsError
from vgpu_emu.peers.parts.get import get as get_parts
from vgpu_emu.peers.parts.get import home
from vgpu_emu.peers.parts.programs import write_programs


def get(
    *,
    igt: Annotated[bool, Parameter(negative=())] = False,
    refresh: Annotated[bool, Parameter(negative=())] = False,
    archive: str | None = None,
) -> int:
    """Get the real parts: QEMU and its vhost-user-gpu, Linux and its modules, busybox, the kernel's headers.

    They come from the Debian archive that this system's apt uses, through apt, but from a newer suite: the signature of
    the index is checked with the system's keyring, each package with the index. Nothing is installed and no root is
    needed. They are kept in the user's cache (0.7 GB; VGPU_EMU_PEERS names another folder), and got once.

    Examples:

        python -m peers get

        python -m peers get --igt

        VGPU_EMU_PEERS=/var/tmp/peers python -m peers get --refresh

    Parameters
    ----------
    igt
        The tests of igt-gpu-tools too.
    refresh
        Look whether the archive has other versions now.
    archive
        The address of a Debian archive, where this system's apt uses none.
    """
    try:
        parts = get_parts(teller("parts"), igt=igt, refresh=refresh, archive=archive)
        programs = write_programs(parts, home() / "bin")
    except (PartsError, OSError) as error:
        complain(printable(str(error)))
        return FOUND
    print(f"parts     {parts.prefix}")
    print(f"programs  {' '.join(map(str, programs))}")
    print(f"linux     {parts.release}")
    print(f"IGT       {parts.igt or 'not asked for'}")
    return 0
