"""The kernel without its own decompressor: QEMU starts the ELF file by the PVH entry, which saves seconds under TCG."""

import gzip
import lzma
import struct
import subprocess

from vgpu_emu.peers.parts.errors import PartsError

#: where a bzImage says how long its set-up code is, and where the payload is (Documentation/arch/x86/boot.rst)
_SETUP_SECTORS, _MAGIC, _PAYLOAD = 0x1F1, 0x202, 0x248
_SECTOR = 512


def vmlinux(image: bytes) -> bytes:
    """The ELF file in a bzImage. Raises PartsError if there is none."""
    if len(image) < _PAYLOAD + 8 or image[_MAGIC : _MAGIC + 4] != b"HdrS":
        raise PartsError("the kernel is no bzImage")
    offset, length = struct.unpack_from("<II", image, _PAYLOAD)
    # protocol 2.0: zero sectors stand for four; one more is the boot sector itself
    start = ((image[_SETUP_SECTORS] or 4) + 1) * _SECTOR + offset
    # its last four bytes are the size of what comes out
    payload, size = image[start : start + length - 4], image[start + length - 4 : start + length]
    if len(size) != 4:
        raise PartsError("the kernel is cut short")
    unpacked = _decompressed(payload)
    if unpacked[:4] != b"\x7fELF" or len(unpacked) != int.from_bytes(size, "little"):
        raise PartsError("the kernel's payload is no ELF file")
    return unpacked


def _decompressed(payload: bytes) -> bytes:
    if payload[:4] == b"\x28\xb5\x2f\xfd":
        done = subprocess.run(["zstd", "-dcq"], input=payload, capture_output=True, check=False)
        return done.stdout
    if payload[:6] == b"\xfd7zXZ\0":
        return lzma.decompress(payload)
    if payload[:2] == b"\x1f\x8b":
        return gzip.decompress(payload)
    raise PartsError(f"the kernel is compressed in a way that starts with {payload[:4].hex()}")
