"""What the guest boots, made by our code: the archive's format, the kernel unwrapped, the order of modules."""

import lzma
import struct
from pathlib import Path

import pytest

from vgpu_emu.peers.guest.cpio import Initramfs
from vgpu_emu.peers.guest.kernel import vmlinux
from vgpu_emu.peers.guest.modules import depends, with_needs
from vgpu_emu.peers.parts.errors import PartsError

#: from `printf hi >a; echo a | cpio -o -H newc`, with owner, inode and date as ours: numbers in the format's order
_FILE_A = (
    b"070701" b"00000001" b"000081A4" b"00000000" b"00000000" b"00000001" b"00000000" b"00000002"
    b"00000000" b"00000000" b"00000000" b"00000000" b"00000002" b"00000000" b"a\0hi\0\0"
)  # fmt: skip


def test_archive_has_the_bytes_of_the_newc_format() -> None:
    made = Initramfs()
    made.add("/a", b"hi")
    assert made.build().startswith(_FILE_A)
    assert made.build().rstrip(b"\0").endswith(b"TRAILER!!!")


def test_folders_come_before_what_is_in_them() -> None:
    made = Initramfs()
    made.add("/usr/lib/x/y", b"")
    made.add_link("/usr/bin/sh", "../lib/x/y")
    assert list(made.entries) == ["/usr", "/usr/lib", "/usr/lib/x", "/usr/lib/x/y", "/usr/bin", "/usr/bin/sh"]


def bzimage(elf: bytes, sectors: int = 3) -> bytes:
    """The parts of a bzImage that name the payload (Documentation/arch/x86/boot.rst)."""
    payload = lzma.compress(elf) + struct.pack("<I", len(elf))
    head = bytearray(((sectors or 4) + 1) * 512 + 0x10)
    head[0x1F1] = sectors
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", head, 0x248, 0x10, len(payload))
    return bytes(head) + payload


@pytest.mark.parametrize("sectors", [0, 3])
def test_kernel_is_found_in_its_wrapping(sectors: int) -> None:
    elf = b"\x7fELF" + bytes(1000)
    assert vmlinux(bzimage(elf, sectors)) == elf


@pytest.mark.parametrize(
    ("image", "complaint"),
    [
        (b"", "no bzImage"),
        (b"MZ" * 500, "no bzImage"),
        (bzimage(b"\x7fELF" + bytes(1000))[:-1], "cut short"),
        (bzimage(b"#!/bin/sh" + bytes(1000)), "no ELF file"),
        (bytes(0x202) + b"HdrS" + bytes(0x800), "compressed in a way"),
    ],
)
def test_what_is_no_kernel_is_refused(image: bytes, complaint: str) -> None:
    with pytest.raises(PartsError, match=complaint):
        vmlinux(image)


def module(*needs: str) -> bytes:
    return b"\x7fELF\0license=GPL\0depends=" + ",".join(needs).encode() + b"\0name=x\0"


def test_modules_are_loaded_after_what_they_depend_on(tmp_path: Path) -> None:
    (tmp_path / "virtio-gpu.ko.xz").write_bytes(lzma.compress(module("drm_kms_helper", "drm")))
    (tmp_path / "drm_kms_helper.ko").write_bytes(module("drm"))
    (tmp_path / "drm.ko").write_bytes(module())
    assert list(with_needs(["virtio_gpu"], tmp_path)) == ["drm", "drm_kms_helper", "virtio_gpu"]


def test_module_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "drm.ko").write_bytes(module("i2c_core"))
    with pytest.raises(PartsError, match="no i2c_core"):
        with_needs(["drm"], tmp_path)


def test_module_without_a_list_depends_on_nothing() -> None:
    assert list(depends(b"\x7fELF")) == []
