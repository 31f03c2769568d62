"""No request makes the device itself fail, whatever its profile looks at, answers or leaves unchecked."""

from random import Random

import pytest
from device_kit import Rig
from profile_probe import Probe
from provocations import PROVOCATIONS, features, options

from vgpu_emu.assembly import Config, size_only
from vgpu_emu.drive.requests import (
    FENCE,
    MAPPABLE,
    PAGE,
    RING,
    SHAREABLE,
    attach,
    create_2d,
    guest_blob,
    host_blob,
    submit,
    work,
)
from vgpu_emu.link.chain import Chain
from vgpu_emu.vmm.catalogue import PROFILES
from vgpu_emu.vmm.profiles import DEAD, Profile, Verdict
from vgpu_emu.vmm.rules import OK, UNCHECKED, UNSPEC, Rule
from vgpu_emu.vmm.state import DeviceLimits
from vgpu_wire.blob import ResourceMapBlob
from vgpu_wire.context_stream import StreamAlloc
from vgpu_wire.control import FIRST_ERROR, FIRST_RESPONSE
from vgpu_wire.device import CONTROLQ, CURSORQ, Feature
from vgpu_wire.layout import leaves
from vgpu_wire.messages import MESSAGES
from vgpu_wire.render import CtxCreate
from vgpu_wire.resource import MemEntry

RANDOM_LIMITS = DeviceLimits(resources=8, contexts=3, host_memory=1 << 20, blob_bytes=1 << 20, entries=8, fences=4)
NUMBERS = [0, 1, 2, 3, 4, 16, 32, 64, 77, 4095, 4096, 8192, 1 << 20, (1 << 31) - 1, (1 << 32) - 1]
WIDE = [*NUMBERS, PAGE, 2 * PAGE, 1 << 32, (1 << 64) - PAGE, (1 << 64) - 1]
#: members that should mostly make sense, for the rest to matter
SENSIBLE = {
    "resource_id": [1, 1, 5, 6, 7, 8, 0, 77],
    "blob_mem": [1, 2, 2, 3, 0],
    "blob_flags": [1, 1, 3, 2, 0, 8],
    "blob_id": [5, 8, 9],
    "size": [PAGE, 2 * PAGE, 0, 100],
    "offset": [0, 0, PAGE, 2 * PAGE, 15 * PAGE, 512, (1 << 64) - PAGE],
    "nr_entries": [0, 1, 2, 9],
    "format": [1, 2, 67, 999],
    "hdr.flags": [0, 0, FENCE, FENCE | RING, 1 << 5],
    "hdr.ctx_id": [1, 1, 2, 77],
    "hdr.ring_idx": [0, 1, 63, 64],
}
REQUESTS = [number for number in MESSAGES if number < FIRST_RESPONSE]
PRELUDE = (
    CtxCreate(ctx_id=1),
    create_2d(1),
    attach(1, (0, 64 * 64 * 4)),
    submit(1, *[StreamAlloc(exporter=kind, blob_id=4 + kind, size=2 * PAGE) for kind in range(1, 6)]),
    host_blob(5, 2 * PAGE, flags=MAPPABLE),
    host_blob(6, PAGE, flags=MAPPABLE | SHAREABLE),
    guest_blob(7, 4 * PAGE, (0, 4 * PAGE), flags=SHAREABLE),
    ResourceMapBlob(resource_id=5, offset=PAGE),
    work(1, 1000),
)


def uniform(verdict: Verdict) -> Profile:
    return Profile(name=f"all {verdict}", models="nobody", differs=dict.fromkeys(Rule, verdict))


def some_request(random: Random) -> bytes:
    """A well-formed request with members from a few interesting numbers, seldom broken afterwards."""
    number = random.choice(REQUESTS)
    structure = MESSAGES[number]
    data = bytearray(structure.layout.size)
    for leaf in leaves(structure):
        size = leaf.member.size
        if size <= 8:
            numbers = SENSIBLE.get(leaf.path, WIDE if size == 8 else NUMBERS)
            value = random.choice(numbers) & ((1 << 8 * size) - 1)
            data[leaf.offset : leaf.offset + size] = value.to_bytes(size, "little")
    data[0:4] = number.to_bytes(4, "little")
    tail = some_tail(random) if structure.layout.tail is not None else b""
    return broken(random, bytes(data) + tail)


def some_tail(random: Random) -> bytes:
    stream = StreamAlloc(exporter=random.randint(1, 5), blob_id=random.choice([1, 5]), size=random.choice([1, PAGE]))
    entry = MemEntry(addr=random.choice([0, PAGE, *WIDE]), length=random.choice([PAGE, 2 * PAGE, *NUMBERS]))
    return random.choice([stream, entry, entry]).build() * random.randint(0, 3)


def broken(random: Random, data: bytes) -> bytes:
    fate = random.random()
    if fate < 0.05:
        return data[: random.randint(0, len(data))]
    if fate < 0.1:
        place = random.randrange(len(data))
        return data[:place] + random.randbytes(2) + data[place + 2 :]
    return data + random.randbytes(8) if fate < 0.12 else data


def some_device(profile: Profile, random: Random) -> Rig:
    features = frozenset(feature for feature in Feature if random.random() < 0.9)
    if Feature.VIRGL not in features:
        features -= {Feature.CONTEXT_INIT}
    if Feature.RESOURCE_BLOB not in features:
        features -= {Feature.BLOB_ALIGNMENT}
    config = Config(
        profile=profile,
        features=features,
        guest_memory=1 << 16,
        host_visible=random.choice([0, 4 * PAGE, 16 * PAGE, 16 * PAGE]),
        backing=size_only,
        device_limits=RANDOM_LIMITS,
        opaque_renderer=random.random() < 0.3,
    )
    return Rig(config)


ALL_THE_SAME = [uniform(verdict) for verdict in (UNCHECKED, OK, UNSPEC, DEAD)]


@pytest.mark.parametrize("profile", [*PROFILES.values(), *ALL_THE_SAME], ids=lambda profile: profile.name)
def test_no_request_makes_the_device_fail(profile: Profile) -> None:
    random = Random(profile.name)
    for _ in range(60):
        with some_device(profile, random) as rig:
            for request in PRELUDE:
                if request.type not in profile.dead_commands:
                    rig.raw(request.build())
            for head in range(40):
                data = some_request(random)
                if int.from_bytes(data[:4], "little") in profile.dead_commands and random.random() < 0.95:
                    continue
                queue = CURSORQ if data[1:2] == b"\x03" and random.random() < 0.9 else CONTROLQ
                capacity = random.choice([0, 24, 4096])
                used = rig.submit(Chain(head, queue, data, capacity))
                assert used is None or len(used.written) <= capacity
                rig.advance(0.1)
            if random.random() < 0.5 and rig.device.dead is None:
                rig.carry(rig.device.reset())
                assert len(rig.device.region) == 0
        assert rig.parts.leaks() == []


@pytest.mark.parametrize("condition", PROVOCATIONS)
def test_whatever_refuses_can_be_left_unchecked(condition: str) -> None:
    """Rule after rule is no longer looked at, until nothing refuses."""
    unchecked: dict[Rule, Verdict] = {}
    while True:
        profile = Profile(name="careless", models="nobody", differs=unchecked)
        with Probe(profile, features(condition), **options(condition)) as probe:
            used = PROVOCATIONS[condition](probe)
            refused = {Rule[name] for name in probe.refused_rules()}
            probe.carry(probe.device.reset())
        assert probe.parts.leaks() == []
        assert used is not None
        if not refused:
            assert int.from_bytes(used.written[:4], "little") < FIRST_ERROR
            return
        assert not refused & unchecked.keys(), "an unchecked rule has refused"
        unchecked |= dict.fromkeys(refused, UNCHECKED)
