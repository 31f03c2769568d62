"""What a fuzzer holds against a device: the names under which findings and evaluations are told."""

from typing import NamedTuple

CORE, MACHINE, PROCESS = "core", "machine", "process"
_ALL = (CORE, MACHINE, PROCESS)
_SCHEDULED = (MACHINE, PROCESS)


class Oracle(NamedTuple):
    """sentence: what must hold. targets: where it is looked at. why_not: why it is not, where it is not."""

    name: str
    title: str
    sentence: str
    targets: tuple[str, ...] = _ALL
    why_not: str = ""


_NO_TASKS = "the core has one thread: nobody can be slow, dead or in another order there"
_LOOKS_INSIDE = "it looks into the device, which is another process there"
_TABLE = (
    Oracle(
        "I1",
        "propagation",
        "map_info in RESP_OK_MAP_INFO is what the exporter says of the buffer, without bits outside of the mask.",
    ),
    Oracle(
        "I2",
        "guest mapping",
        "A guest's page protection follows from map_info, and there is none of a blob that the device has not mapped.",
    ),
    Oracle(
        "I3",
        "no guessing",
        "A blob of which nobody can say how it may be mapped is not mapped.",
    ),
    Oracle(
        "I4",
        "access",
        "A guest's mapping lies inside of the blob's place in the host visible region; "
        "each object has mmap offsets of its own.",
    ),
    Oracle(
        "I5",
        "layouts",
        "A request that was parsed and built again is the same bytes; a type that the queue does not have is refused.",
    ),
    Oracle(
        "I6",
        "fields arrive",
        "What the device has is what was sent: sizes, formats, flags, and what it answers of them.",
    ),
    Oracle(
        "I7",
        "response types",
        "A request is answered with its own success or an error; one that is right with its success.",
    ),
    Oracle(
        "I8",
        "ids",
        "No resource or context is made under an id that is alive, and the old one stays as it was.",
    ),
    Oracle(
        "I9",
        "backings",
        "A resource has the guest memory that was attached last, once, and none after it was detached.",
    ),
    Oracle(
        "I10",
        "accounts",
        "Resources, contexts, bytes and outstanding answers of device and renderer are those that requests made.",
        (CORE, MACHINE),
        _LOOKS_INSIDE,
    ),
    Oracle(
        "I11",
        "descriptors",
        "Every dma-buf has its holders and no other; when all is over nothing is left of any.",
    ),
    Oracle(
        "I12",
        "released once",
        "Nothing is unmapped, closed or released twice: tearing everything down raises nothing.",
    ),
    Oracle(
        "I13",
        "no dead objects",
        "Scanouts and cursors show what they were given, and nothing that is gone.",
        (CORE, MACHINE),
        _LOOKS_INSIDE,
    ),
    Oracle(
        "I14",
        "region",
        "Mappings in the host visible region are disjoint, each is a live blob's, and there are no others.",
    ),
    Oracle(
        "I15",
        "arithmetic",
        "Sizes, offsets and sums of them are taken as they are, without wrapping, up to the limits and aligned.",
    ),
    Oracle(
        "I16",
        "bounds",
        "Transfers and scanouts stay inside of resource and backing, and move the bytes that they name.",
    ),
    Oracle(
        "I17",
        "lengths",
        "A request that is shorter than it says is refused; an answer fits what the driver can take, and is whole.",
    ),
    Oracle(
        "I18",
        "nothing stale",
        "Every byte of an answer is one that the answer is about: padding is 0, structures are whole, data is known.",
    ),
    Oracle(
        "I19",
        "one answer",
        "Each request is answered once, on its own chain, when what it waits for is done.",
    ),
    Oracle(
        "I20",
        "fences echoed",
        "The answer to a fenced request, an error too, has the flag and the fence_id; no other answer has them.",
    ),
    Oracle(
        "I21",
        "fence order",
        "A fence is complete when its work is, on a ring after those before it; an object is idle when all of its are.",
    ),
    Oracle(
        "I22",
        "refusals",
        "What is out of range, unknown or in a wrong state is refused, and a refusal changes nothing.",
    ),
    Oracle(
        "I23",
        "ids used again",
        "What is made under an id that was used before has nothing of the one before.",
    ),
    Oracle(
        "I24",
        "fresh memory",
        "A fresh blob reads as zeros, and a blob as what was stored in it last.",
    ),
    Oracle(
        "I25",
        "re-entrancy",
        "A request that arrives while the device asks the renderer waits until the one before it is over.",
        _SCHEDULED,
        _NO_TASKS,
    ),
    Oracle(
        "I26",
        "failures surface",
        "What the renderer or the kernel refuses is an error to the guest, never taken for a value.",
    ),
    Oracle(
        "I27",
        "lost parties",
        "When a party is dead or silent everybody else comes to an end in bounded time, and no task is left.",
        (MACHINE,),
        "one thread has nobody who could be lost; a process that ends is a PartyLostError, and the end of the program",
    ),
    Oracle(
        "I28",
        "no surprises",
        "Nothing that a guest or a host sends raises an exception that no interface documents.",
    ),
    Oracle(
        "I29",
        "bounded work",
        "A request costs a bounded number of questions and of time, and outstanding answers have a limit.",
    ),
    Oracle(
        "I30",
        "snapshot and reset",
        "A VMM that goes on from a snapshot is as the one before it; a reset leaves nothing.",
    ),
    Oracle(
        "I31",
        "guest memory",
        "Guest memory that no request had written to is as the guest left it.",
    ),
    Oracle(
        "I32",
        "differential",
        "The same program has the same answers in one thread, with trio's tasks and in processes.",
        _SCHEDULED,
        "it compares with the core",
    ),
    Oracle(
        "I33",
        "schedules",
        "The same program ends in the same state under every schedule.",
        (MACHINE,),
        "the core has one thread, and a process takes half a second to start",
    ),
    Oracle(
        "I34",
        "replay",
        "The same program has the same answers when it is carried out again.",
    ),
    Oracle(
        "I35",
        "features",
        "A command whose feature was not negotiated is refused.",
    ),
    Oracle(
        "I36",
        "liveness",
        "Every other oracle that applies was asked during the campaign; each was seen to fire on a planted defect.",
    ),
)
ORACLES: dict[str, Oracle] = {oracle.name: oracle for oracle in _TABLE}


#: what a front-end sees of a device that is not ours: answers, guest memory, mappings, and whether it is there
DEVICE = "device"
_SEEN = frozenset(f"I{number}" for number in (*range(1, 10), *range(14, 25), 26, 28, 31, 35, 36))


def that_apply(target: str) -> list[Oracle]:
    """The oracles of a target, in order."""
    if target == DEVICE:
        return [oracle for oracle in _TABLE if oracle.name in _SEEN]
    return [oracle for oracle in _TABLE if target in oracle.targets]
