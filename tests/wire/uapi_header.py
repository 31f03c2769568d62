"""The kernel's UAPI headers: their text, and what a C compiler makes of it.

The system's headers, unless VGPU_EMU_UAPI_INCLUDE names a directory that holds others (``linux/virtio_gpu.h`` below
it), or `python -m peers get` has brought those of a newer Linux: they are searched first.
"""

import os
import re
import shutil
import subprocess
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest

from vgpu_emu.peers.parts.errors import PartsError
from vgpu_emu.peers.parts.get import present

VIRTIO_GPU, DMA_BUF, VIRTIO_RING = "linux/virtio_gpu.h", "linux/dma-buf.h", "linux/virtio_ring.h"
HEADERS = (VIRTIO_GPU, DMA_BUF, VIRTIO_RING, "linux/virtio_ids.h", "linux/version.h")
#: virtio_gpu_ctrl_hdr got its ring_idx here
OLDEST = (5, 16)
VARIABLE = "VGPU_EMU_UAPI_INCLUDE"
INSTALL = "apt-get install gcc linux-libc-dev"


def _gcc(*arguments: str, program: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("gcc") is None:
        pytest.skip(f"no gcc: {INSTALL}")
    directory = include_directory()
    search = ["-isystem", directory] if directory else []
    # freestanding: the kernel's headers are there, a C library's need not be
    command = ["gcc", *search, "-ffreestanding", "-x", "c", *arguments, "-"]
    return subprocess.run(command, input=program, text=True, capture_output=True, check=False)


@cache
def include_directory() -> str | None:
    """Where to look before the system's own place."""
    with suppress(PartsError):
        return os.environ.get(VARIABLE) or str(present().headers)
    return None


@cache
def header_path(header: str) -> Path:
    """The file that ``#include <header>`` reads."""
    found = _gcc("-E", program=f"#include <{header}>\n")
    if found.returncode != 0:
        # Debian's package before 13 leaves out the directory drm
        newer = f"set {VARIABLE} to the headers of a newer linux-libc-dev, or python -m peers get"
        pytest.skip(f"no {header}: {INSTALL}, or {newer}")
    path = Path(re.findall(rf'^# \d+ "(.*/{header})"', found.stdout, flags=re.MULTILINE)[0])
    directory = os.environ.get(VARIABLE)
    if directory and header == VIRTIO_GPU and not path.is_relative_to(directory):
        pytest.fail(f"{VARIABLE}={directory}: no {header} there")
    return path


@cache
def header_text(header: str) -> str:
    """The header without its comments."""
    return re.sub(r"/\*.*?\*/", " ", header_path(header).read_text(encoding="utf-8"), flags=re.DOTALL)


def structure_body(header: str, name: str) -> str | None:
    """The text between the braces of ``struct name {...}``; None if the header does not define it."""
    text = header_text(header)
    start = re.search(rf"\bstruct\s+{name}\s*{{", text)
    if start is None:
        return None
    depth, end = 1, start.end()
    while depth:
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        end += 1
    return text[start.end() : end - 1]


def defines(header: str, name: str) -> bool:
    """Whether the header's text has this enumerator, macro, ``struct`` or, written ``struct.member``, this member."""
    structure, _, member = name.rpartition(".")
    text = structure_body(header, structure) if structure else header_text(header)
    return text is not None and re.search(rf"\b{member}\b", text) is not None


@cache
def header_version() -> tuple[int, int]:
    """Which Linux the headers are of."""
    code = evaluate(("LINUX_VERSION_CODE",))["LINUX_VERSION_CODE"]
    return code >> 16, code >> 8 & 0xFF


@cache
def evaluate(expressions: tuple[str, ...], prologue: str = "") -> dict[str, int]:
    """What a C compiler says that these integer expressions are."""
    for header in HEADERS:
        header_path(header)
    lines = ["#include <stddef.h>", *(f"#include <{header}>" for header in HEADERS), prologue, "void values(void) {"]
    # a number in the assembler's text needs neither a C library nor a machine that runs the program
    lines += [f'__asm__("<%0>" : : "i"((long long)({expression})));' for expression in expressions]
    compiled = _gcc("-S", "-o", "-", program="\n".join([*lines, "}"]))
    assert compiled.returncode == 0, compiled.stderr
    numbers = re.findall(r"<[$#]?(-?\d+)>", compiled.stdout)
    return dict(zip(expressions, map(int, numbers), strict=True))
