"""What goes wrong between bytes and values."""

from typing import Literal

Kind = Literal["truncated", "trailing", "count", "value"]


class WireError(ValueError):
    """Bytes that are no message, or a value that has no bytes.

    kind: of parsing, ``truncated`` (the bytes end inside `path`) or ``trailing`` (bytes are left over behind `path`);
    of building, ``value`` (`path` cannot hold this value) or ``count`` (a counter and the array behind it disagree).
    path: the member, in C terms: ``virtio_gpu_resource_map_blob.hdr.fence_id``.
    offset: bytes from the start of the structure to that member; of ``trailing``, to the surplus.
    """

    def __init__(self, kind: Kind, path: str, offset: int, detail: str) -> None:
        super().__init__(f"{kind} at offset {offset}, {path}: {detail}")
        self.kind: Kind = kind
        self.path = path
        self.offset = offset
        self.detail = detail
