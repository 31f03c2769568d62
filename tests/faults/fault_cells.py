"""The cells of the matrix: where in the life of a blob something goes wrong, and what."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from vgpu_emu.faults.plan import (
    CallFails,
    ChangeAttribute,
    ClockJumps,
    CorruptBit,
    Delay,
    DeviceResets,
    Drop,
    Duplicate,
    Errno,
    ExtraFd,
    Fault,
    HostDies,
    HostHangs,
    LieAttribute,
    LieSize,
    LinkName,
    MergeWrites,
    MissingFd,
    ReadOnlyFd,
    Refuse,
    Reorder,
    ShortenCapacity,
    ShortFd,
    SplitWrites,
    Truncate,
    VmmRestarts,
    ZeroPages,
)


class Point(NamedTuple):
    """A message of the life, and the state that the protocol is in when it crosses."""

    state: str
    link: LinkName
    message: str
    skip: int = 0


QUEUE = [
    Point("no context", "controlq", "CTX_CREATE"),
    Point("before create", "controlq", "SUBMIT_3D"),
    Point("create in flight", "controlq", "RESOURCE_CREATE_BLOB"),
    Point("map in flight", "controlq", "RESOURCE_MAP_BLOB"),
    Point("mapped, not attached", "controlq", "CTX_ATTACH_RESOURCE"),
    Point("mapped, fence to come", "controlq", "SUBMIT_3D", 1),
    Point("fence pending", "controlq", "SUBMIT_3D", 2),
    Point("detach in flight", "controlq", "CTX_DETACH_RESOURCE"),
    Point("unmap in flight", "controlq", "RESOURCE_UNMAP_BLOB"),
    Point("unref in flight", "controlq", "RESOURCE_UNREF"),
    Point("after unref", "controlq", "CTX_DESTROY"),
]
HOST = [
    Point("no context", "renderer", "CTX_CREATE"),
    Point("before create", "renderer", "SUBMIT"),
    Point("create in flight", "renderer", "CREATE_BLOB"),
    Point("export in flight", "renderer", "EXPORT_BLOB"),
    Point("attribute asked for", "renderer", "IOCTL"),
    Point("mapped, not attached", "renderer", "CTX_ATTACH"),
    Point("mapped, work to come", "renderer", "SUBMIT", 1),
    Point("fence asked for", "renderer", "FENCE"),
    Point("fence pending", "renderer", "SUBMIT", 2),
    Point("detach in flight", "renderer", "CTX_DETACH"),
    Point("close in flight", "renderer", "CLOSE"),
    Point("unref in flight", "renderer", "UNREF"),
    Point("after unref", "renderer", "CTX_DESTROY"),
]
SIGNAL = Point("fence pending", "fences", "SIGNAL")


REFUSALS: list[Errno] = ["EMFILE", "ENOMEM", "EINTR", "EFAULT"]
MMAP_ERRNOS: list[Errno] = ["ENOMEM", "EINTR", "EACCES"]


class Cell(NamedTuple):
    point: Point
    fault: Fault

    def __str__(self) -> str:
        return f"{self.point.state}: {self.fault}"


def _anywhere(point: Point, answer: bool) -> Iterator[Fault]:
    """What can happen to any message."""
    at: dict[str, Any] = {"link": point.link, "message": point.message, "skip": point.skip, "answer": answer}
    kinds: list[type[Fault]] = [Drop, Duplicate, Reorder, VmmRestarts, DeviceResets]
    yield from (kind(**at) for kind in kinds)
    yield Delay(seconds=1.0, **at)
    yield Delay(seconds=30.0, **at)
    yield ClockJumps(seconds=100.0, **at)
    for bit in (0, 33, 64, 8 * 12, 8 * 23 + 7):
        yield CorruptBit(bit=bit, **at)
    for size in (0, 7, 20):
        yield Truncate(size=size, **at)


def _host(point: Point, answer: bool) -> Iterator[Fault]:
    """What the host can do at any question, before it answers or instead."""
    at: dict[str, Any] = {"message": point.message, "skip": point.skip, "answer": answer}
    yield HostDies(**at)
    yield HostHangs(**at)
    yield HostHangs(seconds=2.0, **at)
    yield HostHangs(seconds=20.0, **at)
    for errno in REFUSALS:
        yield Refuse(errno=errno, **at)


def _streams(point: Point, answer: bool) -> Iterator[Fault]:
    """What a stream of bytes does with what is written."""
    at: dict[str, Any] = {"message": point.message, "skip": point.skip, "answer": answer}
    yield from (SplitWrites(size=size, **at) for size in (1, 7, 20))
    yield MergeWrites(seconds=2.0, **at)


def _says(point: Point) -> Iterator[Fault]:
    """What can be wrong with an answer."""
    at: dict[str, Any] = {"message": point.message, "skip": point.skip}
    yield ExtraFd(**at)
    yield LieSize(size=1 << 62, **at)
    yield ChangeAttribute(exporter="cached", answer=True, **at)


def cells() -> Iterator[Cell]:
    for point in (*QUEUE, *HOST):
        for answer in (False, True):
            yield from (Cell(point, fault) for fault in _anywhere(point, answer))
    for point in QUEUE:
        at: dict[str, Any] = {"message": point.message, "skip": point.skip}
        yield from (Cell(point, ShortenCapacity(capacity=size, **at)) for size in (0, 8, 23))
    for point in HOST:
        for answer in (False, True):
            yield from (Cell(point, fault) for fault in (*_host(point, answer), *_streams(point, answer)))
        yield from (Cell(point, fault) for fault in _says(point))
    yield from (Cell(SIGNAL, fault) for fault in _anywhere(SIGNAL, False))
    export = HOST[3]
    odd: list[Fault] = [ReadOnlyFd(), ShortFd(size=0), ShortFd(size=4095), ZeroPages(), MissingFd()]
    yield from (Cell(export, fault) for fault in odd)
    yield from (Cell(HOST[4], LieAttribute(value=value)) for value in (0, 1, 2, 7, -38))
    yield Cell(HOST[1], CallFails(message="SUBMIT", call="memfd_create", errno="ENOMEM"))
    yield Cell(HOST[1], CallFails(message="SUBMIT", call="memfd_create", errno="EMFILE"))
    yield Cell(export, CallFails(message="EXPORT_BLOB", call="recvmsg", errno="EMFILE"))
    for errno in MMAP_ERRNOS:
        yield Cell(HOST[4], CallFails(message="IOCTL", call="mmap", errno=errno))
        yield Cell(HOST[4], CallFails(message="IOCTL", call="ioctl", errno=errno))
    yield Cell(HOST[4], CallFails(message="IOCTL", call="ioctl", errno="EFAULT"))
    yield Cell(HOST[10], CallFails(message="CLOSE", call="close", errno="EINTR"))
