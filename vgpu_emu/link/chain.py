"""Descriptor chains: all that a virtio-gpu device ever sees of a request, however it was carried."""

import msgspec


class Chain(msgspec.Struct, frozen=True, gc=False):
    """A request that the driver made available.

    head: tells it from the others in flight on its queue. queue: CONTROLQ or CURSORQ.
    readable: all device-readable bytes. capacity: the number of device-writable bytes.
    """

    head: int
    queue: int
    readable: bytes
    capacity: int


class Used(msgspec.Struct, frozen=True, gc=False):
    """A chain that the device is done with, and the bytes that it wrote; their number is the used length."""

    head: int
    queue: int
    written: bytes
