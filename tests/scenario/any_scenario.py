"""Any scenario that the records allow, by a seed: steps with members of any size, and names of the right kind."""

import json
from collections.abc import Iterator
from random import Random
from typing import Any, get_args

import msgspec

from vgpu_emu.scenario.catalogue import AnyStep
from vgpu_emu.scenario.steps import Step
from vgpu_emu.vmm.catalogue import PROFILES

_STEPS: tuple[type[Step], ...] = get_args(AnyStep)
_INFO: dict[type[Step], Any] = {step: msgspec.inspect.type_info(step) for step in _STEPS}
_NUMBERS = [
    *(-4096, -1, 0, 1, 2, 3, 5, 16, 63, 64, 65, 4095, 4096, 4097, 8192, 1 << 16, 1 << 20),
    *((1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, 1 << 64, 1 << 80),
]
_TEXTS = ["x", "00 01", "ff" * 10, "hello", ""]
_PLAIN: dict[str, list[Any]] = {
    "IntType": _NUMBERS,
    "FloatType": [0.0, 0.5, 10.0, 1e9, 1e300],
    "BoolType": [True, False],
    "StrType": _TEXTS,
    "NoneType": [None],
}
_FIELDS = ["resource_id", "offset", "size", "ctx_id", "r", "nr_entries", "width", "format"]


def any_scenario(seed: int) -> dict[str, Any]:
    """A file as its decoder has it before it looks at it."""
    return _Maker(Random(seed)).scenario()


def in_toml(value: Any) -> str:
    """The value in one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {in_toml(each)}" for name, each in value.items()) + " }"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(in_toml, value))}]"
    return json.dumps(value)


class _Maker:
    """kinds: name -> the kind of thing that it stands for."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.kinds = {"program": "file", "blob": "object", "view": "mapping"}

    def scenario(self) -> dict[str, Any]:
        first = [
            {"do": "create-blob", "exporter": "wc", "as": "blob"},
            {"do": "mmap", "of": "blob", "as": "view", "expect": {}},
        ]
        steps = [self.step(f"n{number}") for number in range(self.random.randrange(1, 9))]
        profile = self.random.choice(list(PROFILES))
        hardware = {"virtqueues": self.random.random() < 0.2}
        return {"id": "any@one", "why": "any", "profile": profile, "hardware": hardware, "step": first + steps}

    def step(self, name: str) -> dict[str, Any]:
        cls = self.random.choice([step for step in _STEPS if self.has_all_for(step)])
        made = {"do": cls.__struct_config__.tag, **dict(self.members(cls, name))}
        if cls.gives:
            made["as"] = name
            self.kinds[name] = cls.gives
        return made

    def has_all_for(self, cls: type[Step]) -> bool:
        """Things that it must name have been made."""
        needed = {cls.takes[field.name] for field in _INFO[cls].fields if field.required and field.name in cls.takes}
        return needed <= {*self.kinds.values(), "*"}

    def members(self, cls: type[Step], name: str) -> Iterator[tuple[str, Any]]:
        for field in _INFO[cls].fields:
            member = field.encode_name
            if member in {"as", "comment", "expect"} or (not field.required and self.random.random() < 0.5):
                continue
            if member == "steps":
                yield member, [self.step(f"{name}.{number}") for number in range(self.random.randrange(1, 3))]
            elif kind := cls.takes.get(field.name):
                named = [each for each, its in self.kinds.items() if kind in {its, "*"}]
                if named:
                    one = self.random.choice(named)
                    yield member, [one] if hasattr(_bare(field.type), "item_type") else one
            elif (value := self.value(field.type)) is not None:
                yield member, value

    def value(self, node: Any) -> Any:
        node, choose = _bare(node), self.random.choice
        if isinstance(node, msgspec.inspect.UnionType):
            return self.value(choose(node.types))
        if isinstance(node, msgspec.inspect.LiteralType):
            return choose(node.values)
        if isinstance(node, msgspec.inspect.TupleType):
            return [self.value(item) for item in node.item_types]
        if hasattr(node, "item_type"):
            return [self.value(node.item_type) for _ in range(self.random.randrange(3))]
        if isinstance(node, msgspec.inspect.DictType):
            return {choose(_FIELDS): choose(_NUMBERS) for _ in range(self.random.randrange(4))}
        return choose(_PLAIN[type(node).__name__])


def _bare(node: Any) -> Any:
    """Without metadata."""
    return _bare(node.type) if isinstance(node, msgspec.inspect.Metadata) else node
