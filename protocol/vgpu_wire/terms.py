"""The words that layouts are written in: the spec's integer types, and arrays of structures.

Each word is an annotation that a type checker reads as a plain Python type and that carries the construct term next to
it, so that one annotation is both the type and the definition: ``resource_id: le32``.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Generic, TypeVar, overload

import construct

if TYPE_CHECKING:
    from vgpu_wire.layout import Record

u8 = Annotated[int, construct.Int8ul]
le16 = Annotated[int, construct.Int16ul]
le32 = Annotated[int, construct.Int32ul]
le64 = Annotated[int, construct.Int64ul]
#: Declared ``u32``, not ``le32``, by both the spec and the UAPI header: the device's own byte order. Every device that
#: sends one is little endian (Linux builds the code that reads it only there), so this is the same layout as le32.
u32 = Annotated[int, construct.Int32ul]
#: ``__u32``, ``__s32`` and ``__u64`` of an ioctl argument, and what else two processes of one host exchange: the host's
#: own byte order, little endian on all modelled here.
native16 = Annotated[int, construct.Int16ul]
native32 = Annotated[int, construct.Int32ul]
native_s32 = Annotated[int, construct.Int32sl]
native64 = Annotated[int, construct.Int64ul]

R = TypeVar("R", bound="Record")


class Records(Sequence[R], Generic[R]):
    """An array of structures that stays bytes until somebody looks: parsing 16,384 memory entries costs one slice.

    Equal to a list or tuple of equal records. Indexing parses one element; `raw` is the bytes of all of them.
    """

    __slots__ = ("record", "view")

    def __init__(self, record: type[R], data: bytes | memoryview) -> None:
        self.record = record
        self.view = data

    @classmethod
    def of(cls, record: type[R], items: Sequence[R]) -> "Records[R]":
        """The array that holds `items`."""
        # isinstance of what has an abstract base runs Python code
        return items if type(items) is cls else cls(record, b"".join([item.build() for item in items]))

    @property
    def raw(self) -> bytes:
        return bytes(self.view)

    def __len__(self) -> int:
        return len(self.view) // self.record.layout.size

    @overload
    def __getitem__(self, index: int) -> R: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[R]: ...
    def __getitem__(self, index: int | slice) -> R | Sequence[R]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        place = range(len(self))[index] * self.record.layout.size
        return self.record.parse(self.view[place : place + self.record.layout.size])

    def __iter__(self) -> Iterator[R]:
        size = self.record.layout.size
        for place in range(0, len(self.view), size):
            yield self.record.parse(self.view[place : place + size])

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Records):
            return self.record is other.record and self.raw == other.raw
        return isinstance(other, list | tuple) and list(self) == list(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        if len(self) <= 4:
            return repr(list(self))
        return f"<{len(self)} x {self.record.__name__}>"
