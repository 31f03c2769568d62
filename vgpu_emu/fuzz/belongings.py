"""What of the device's is the guest driver's own, whoever else sends requests: it must end with its object."""

from collections.abc import Iterable

from vgpu_emu.fuzz.model.case import Case
from vgpu_emu.fuzz.model.expectation import Verdict
from vgpu_emu.fuzz.model.world import Context, Resource, World
from vgpu_emu.guest.gem import GemObject
from vgpu_emu.guest.open_file import OpenFile
from vgpu_emu.ids import GemHandle
from vgpu_wire.control import CtrlType

_T = CtrlType
_MAKES_RESOURCE = {_T.RESOURCE_CREATE_2D.value, _T.RESOURCE_CREATE_3D.value, _T.RESOURCE_CREATE_BLOB.value}
_MAKES = {*_MAKES_RESOURCE, _T.CTX_CREATE.value}
#: where the id of what is made is
_RESOURCE_AT, _CONTEXT_AT = 24, 16


class Belongings:
    """Of one driver, since the last reset."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self._resources: dict[int, Resource] = {}
        self._contexts: dict[int, Context] = {}
        #: file with a context -> its handles at the last look, and those that were opened since the context is there
        self._handles: dict[OpenFile, set[GemHandle]] = {}
        self._attached: dict[OpenFile, set[GemHandle]] = {}

    def made(self, case: Case, data: bytes, world: World) -> None:
        """A request of the driver was carried out."""
        if case.number not in _MAKES or case.expected.verdict is Verdict.REFUSE:
            # nothing, or somebody else's, who had the id before
            return
        if case.number in _MAKES_RESOURCE:
            number = int.from_bytes(data[_RESOURCE_AT : _RESOURCE_AT + 4], "little")
            if number in world.resources:
                self._resources[number] = world.resources[number]
        else:
            number = int.from_bytes(data[_CONTEXT_AT : _CONTEXT_AT + 4], "little")
            if number in world.contexts:
                self._contexts[number] = world.contexts[number]

    def has(self, number: int) -> bool:
        """Whether it is a resource that the driver made, be it there or not."""
        return number in self._resources

    def left(self, world: World) -> dict[str, set[int]]:
        """What the driver made and is still there."""
        return {
            "resource": {number for number, made in self._resources.items() if world.resources.get(number) is made},
            "context": {number for number, made in self._contexts.items() if world.contexts.get(number) is made},
        }

    def attached(self, files: Iterable[OpenFile]) -> dict[OpenFile, list[GemObject]]:
        """What contexts must have attached: objects whose handles were opened when the context was there. Asked after
        each call."""
        return {file: self._opened(file) for file in files if file.context_created}

    def _opened(self, file: OpenFile) -> list[GemObject]:
        before = self._handles.get(file)
        if before != file.handles.keys():
            now = set(file.handles)
            self._attached[file] = set() if before is None else (self._attached[file] & now) | (now - before)
            self._handles[file] = now
        return [file.handles[handle] for handle in self._attached[file]]
