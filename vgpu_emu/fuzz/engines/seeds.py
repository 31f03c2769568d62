"""Seed corpora and dictionaries, out of what a checkout has: golden vectors, scenarios, captures, recorded sessions.

A seed is made of pieces, and the pieces are the dictionary. The same checkout gives the same bytes.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from random import Random

from vgpu_emu.fuzz.actions import Call, Program, Send, Step
from vgpu_emu.fuzz.encoding import encode
from vgpu_emu.fuzz.engines import seeds_links
from vgpu_emu.fuzz.engines.wire import RECORDS
from vgpu_emu.fuzz.generate import Swarm
from vgpu_emu.fuzz.model.commands import COMMANDS
from vgpu_emu.fuzz.model.setup import Setup
from vgpu_emu.fuzz.reading import program_of
from vgpu_emu.fuzz.trial import Conditions, explore
from vgpu_emu.scenario.loading import load
from vgpu_emu.scenario.records import Scenario
from vgpu_emu.scenario.session import run
from vgpu_emu.trace.log import QUEUE_NUMBERS, Message
from vgpu_wire.blob import RespMapInfo
from vgpu_wire.device import CONTROLQ, CURSORQ

Seed = Sequence[bytes]
#: steps of a program
_STEPS = 40
#: bytes of a message of which many are seeds; and how many of a kind
_SHORT, _OF_A_KIND = 512, 4
#: bytes of a word in a dictionary, and how many there are
_WORD, _WORDS = 64, 400


def _vectors(root: Path) -> Iterator[tuple[str, bytes]]:
    """Structure and bytes of every golden vector, the wrong ones too."""
    for file in sorted((root / "protocol" / "vectors").glob("*.json")):
        for vector in json.loads(file.read_text(encoding="utf-8")):
            yield vector["structure"], bytes.fromhex(vector["hex"])


def _captures(root: Path) -> Iterator[list[dict[str, str]]]:
    for file in sorted((root / "tests" / "data" / "captures").glob("*.jsonl")):
        yield [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def _few(messages: Iterable[bytes]) -> Iterator[bytes]:
    """The first few of each type."""
    seen: dict[bytes, set[bytes]] = {}
    for data in messages:
        of_a_kind = seen.setdefault(data[:4], set())
        if len(data) <= _SHORT and len(of_a_kind) < _OF_A_KIND and data not in of_a_kind:
            of_a_kind.add(data)
            yield data


# -- fuzz_wire


def _wire(root: Path) -> Iterator[Seed]:
    index = {cls.layout.name: place + 1 for place, cls in enumerate(RECORDS)}
    for structure, data in _vectors(root):
        yield bytes([index[structure]]), data
        yield b"\0", data
    for capture in _captures(root):
        for member in ("request", "response"):
            for data in _few(bytes.fromhex(entry[member]) for entry in capture):
                yield b"\0", data


# -- fuzz_program


def _program(steps: Sequence[Step], setup: Setup = Setup()) -> Seed:  # noqa: B008
    """One piece for the setup, one for each step."""
    head = encode(Program(setup, ()))
    return [head, *(encode(Program(setup, (step,)))[len(head) :] for step in steps)]


def _programs(root: Path) -> Iterator[Seed]:
    yield from recorded(root)
    yield from of_scenarios(sorted((root / "scenarios").rglob("*.vgpu.toml")))
    yield from made_up(2 * _STEPS)


def recorded(root: Path) -> Iterator[Seed]:
    """Each request of the golden vectors, and the first ones of each capture."""
    for _, data in _vectors(root):
        if int.from_bytes(data[:4], "little") in COMMANDS:
            yield _program([Send(data, COMMANDS[int.from_bytes(data[:4], "little")].queue)])
    for capture in _captures(root):
        sends = (Send(bytes.fromhex(e["request"]), CONTROLQ if e["queue"] == "controlq" else CURSORQ) for e in capture)
        for steps in islice(_batched(sends), _OF_A_KIND):
            yield _program(steps)


def of_scenarios(files: Iterable[Path]) -> Iterator[Seed]:
    """What the first scenario of each file does. Raises ReadError."""
    for file in files:
        program = scenario_program(load(file)[0])
        if program.steps:
            yield _program(program.steps, program.setup)


def made_up(number: int) -> Iterator[Seed]:
    """Programs of so many swarms."""
    for seed in range(number):
        swarm = Swarm(Random(seed))
        made = explore(swarm, swarm.setup, _STEPS, Conditions()).program
        yield _program(made.steps, made.setup)


def _batched(sends: Iterator[Send]) -> Iterator[list[Send]]:
    while batch := list(islice(sends, _STEPS)):
        yield batch


def scenario_program(scenario: Scenario) -> Program:
    """Its program, if the reference watches it; else what its guest sends. Raises ReadError."""
    if scenario.oracles.target is not None:
        return program_of(scenario)
    sent = (e for e in run(scenario).events if isinstance(e, Message) and e.sender == "guest")
    sends = (Send(e.data, QUEUE_NUMBERS[e.link], e.capacity) for e in sent if e.link in QUEUE_NUMBERS)
    return Program(Setup(), tuple(islice(sends, _STEPS)))


# -- fuzz_driver


def _driver(root: Path) -> Iterator[Seed]:
    """Calls of a program, and in front of some of them the lies that golden answers are."""
    answers = list(_few(data for _, data in _vectors(root) if data[1:2] in {b"\x11", b"\x12"}))
    for seed in range(_STEPS):
        rng = Random(seed)
        swarm = Swarm(rng)
        swarm.calls = True
        steps = explore(swarm, swarm.setup, _STEPS // 2, Conditions()).program.steps
        head = encode(Program(Setup(), ()))
        pieces = [b"\0" + encode(Program(Setup(), (s,)))[len(head) + 1 :] for s in steps if isinstance(s, Call)]
        lies = [b"\1" + seeds_links.replaced(rng.choice(answers)) for _ in range(3)]
        for lie in lies:
            pieces.insert(rng.randrange(len(pieces) + 1), lie)
        yield pieces
    for map_info in range(4):
        yield _mapping(RespMapInfo(map_info=map_info))


def _mapping(told: RespMapInfo) -> Seed:
    """A blob that is mapped as the host says: it says so to whatever it is asked."""
    head = encode(Program(Setup(), ()))
    calls = [
        b"\0" + encode(Program(Setup(), (Call(name),)))[len(head) + 1 :] for name in ("context_init", "blob", "mmap")
    ]
    return [calls[0], *[b"\1" + seeds_links.replaced(told.build())] * 4, *calls[1:]]


#: target -> its seeds
SEEDS: dict[str, Callable[[Path], Iterable[Seed]]] = {
    "wire": _wire,
    "program": _programs,
    "driver": _driver,
    "vring": seeds_links.vrings,
    "sockets": seeds_links.sessions,
}


def corpus(seeds: Iterable[Seed]) -> list[bytes]:
    """Each seed once, in order."""
    return list(dict.fromkeys(b"".join(seed) for seed in seeds))


def dictionary(seeds: Iterable[Seed]) -> str:
    """libFuzzer's format: a word a line."""
    words = dict.fromkeys(piece for seed in seeds for piece in seed if 1 < len(piece) <= _WORD)
    return "".join(f'"{_escaped(word)}"\n' for word in islice(words, _WORDS))


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)
