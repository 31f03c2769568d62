"""Whatever a guest sends and a renderer answers: the device never raises, answers once, and its books are right."""

import os
from collections import Counter
from random import Random

import pytest
from any_request import CONTEXTS, MEMORY, RESOURCES, any_request
from device_kit import BGRA, Rig
from hypothesis import given, settings
from hypothesis import strategies as st

from vgpu_emu.assembly import Config
from vgpu_emu.drive.requests import PAGE, attach, guest_blob
from vgpu_emu.host.renderer import RendererLimits
from vgpu_emu.vmm.catalogue import PROFILES
from vgpu_emu.vmm.picture import scanout_picture
from vgpu_emu.vmm.rules import Rule
from vgpu_emu.vmm.state import Blob, DeviceLimits, Image
from vgpu_wire.blob import ResourceMapBlob
from vgpu_wire.control import FIRST_ERROR, CtrlType
from vgpu_wire.device import CONTROLQ, CURSORQ
from vgpu_wire.messages import OK_RESPONSE, is_response
from vgpu_wire.render import CtxCreate, CtxDestroy, ResourceCreate3D
from vgpu_wire.renderer_link import Op
from vgpu_wire.resource import ResourceUnref

many = settings(max_examples=50, derandomize=True, database=None, deadline=None)
STEPS = 60
LIMITS = DeviceLimits(
    resources=7,
    contexts=2,
    host_memory=1 << 16,
    blob_bytes=5 << 12,
    entries=3,
    submit_bytes=80,
    fences=9,
    capset_bytes=400,
)
CONFIG = Config(
    guest_memory=MEMORY,
    host_visible=4 << 12,
    scanouts=((64, 64), (64, 64)),
    device_limits=LIMITS,
    renderer_limits=RendererLimits(host_memory=1 << 16, objects=6),
    max_fds=5,
)
ERRNOS = [1, 2, 5, 12, 17, 22, 24, 71, 9999]


class Fuzzed(Rig):
    """Counts what is answered."""

    def __init__(self, random: Random, config: Config) -> None:
        super().__init__(config)
        self.random = random
        self.sent = 0
        self.heads: Counter[tuple[int, int]] = Counter()
        self.answers: Counter[int] = Counter()

    def begin(self) -> None:
        """Something of each kind, to be found by its id."""
        self.image(1, 16, 16)
        self.blob(2)
        self.blob(3)
        self.ok(ResourceMapBlob(resource_id=2), CtxCreate(ctx_id=2))
        self.ok(ResourceCreate3D(resource_id=4, format=BGRA, width=8, height=8, depth=1, last_level=1))
        self.ok(attach(4, (0, PAGE)), guest_blob(5, PAGE, (PAGE, PAGE)))

    def step(self) -> None:
        if self.random.randrange(8) == 0:
            for used in self.advance(self.random.choice([0, 0.001, 0.02])):
                self.heads[used.queue, used.head] += 1
            return
        self.refusals = {}
        if self.random.randrange(25) == 0:
            self.refusals = {self.random.choice(list(Op)).value: self.random.choice(ERRNOS)}
        data = any_request(self.random)
        cursor = data[1:2] == b"\x03"
        queue = (
            self.random.choice([CONTROLQ, CURSORQ])
            if self.random.randrange(30) == 0
            else (CURSORQ if cursor else CONTROLQ)
        )
        before, capacity = self.device.fences.count, self.random.choice([4096, 4096, 4096, 24, 3, 0])
        self.sent += 1
        answered = self.raw(data, queue=queue, capacity=capacity)
        if answered is None:
            assert self.device.fences.count == before + 1, "neither answered nor waiting"
            return
        assert len(answered.written) <= capacity
        self.heads[answered.queue, answered.head] += 1
        if capacity >= 24:
            answer = int.from_bytes(answered.written[:4], "little")
            request = int.from_bytes(data[:4], "little")
            assert is_response(answer)
            assert answer >= FIRST_ERROR or answer == OK_RESPONSE.get(request, CtrlType.RESP_OK_NODATA)
            self.answers[answer] += 1

    def check(self) -> None:
        """The books, counted again."""
        device, resources = self.device, self.device.resources.values()
        blobs = [blob for blob in resources if isinstance(blob, Blob)]
        assert device.image_bytes == sum(len(image.pixels) for image in resources if isinstance(image, Image))
        assert device.blob_bytes == sum(blob.size for blob in blobs)
        assert device.image_bytes <= LIMITS.host_memory
        assert device.blob_bytes <= LIMITS.blob_bytes
        assert len(resources) <= LIMITS.resources
        assert len(device.contexts) <= LIMITS.contexts
        assert device.fences.count == len(list(device.fences)) <= LIMITS.fences
        mapped = {blob.offset: blob.mapped_length for blob in blobs if blob.offset is not None}
        assert {slot.offset: slot.length for slot in device.region} == mapped
        assert all(context.attached <= device.resources.keys() for context in device.contexts.values())
        for number, scanout in enumerate(device.displays.scanouts):
            if scanout.shown is not None:
                assert scanout.shown.resource_id in device.resources
                picture = scanout_picture(device, number)
                assert picture is None or len(picture.rgba) == picture.width * picture.height * 4

    def end(self) -> None:
        """Everything is given back, as an orderly driver does."""
        self.refusals = {}
        for resource_id in list(self.device.resources):
            self.ok(ResourceUnref(resource_id=resource_id))
        for ctx_id in list(self.device.contexts):
            self.ok(CtxDestroy(ctx_id=ctx_id))
        for used in self.advance(1e6):
            self.heads[used.queue, used.head] += 1


@many
@given(seed=st.integers(0, 2**32))
def test_any_requests_are_answered_once_and_everything_can_be_given_back(seed: int) -> None:
    with Fuzzed(Random(seed), CONFIG) as rig:
        rig.begin()
        for _ in range(STEPS):
            rig.step()
            rig.check()
        rig.end()
        assert rig.heads.total() == rig.sent
        assert set(rig.heads.values()) <= {1}
        assert (rig.device.image_bytes, rig.device.blob_bytes, rig.device.fences.count, len(rig.device.region)) == (
            0,
        ) * 4


@many
@given(seed=st.integers(0, 2**32))
def test_reset_ends_everything_at_any_moment(seed: int) -> None:
    with Fuzzed(Random(seed), CONFIG) as rig:
        for _ in range(3):
            rig.begin()
            for _ in range(STEPS // 3):
                rig.step()
            rig.refusals = {}
            features = rig.device.features
            rig.carry(rig.device.reset())
            rig.check()
            device, renderer = rig.device, rig.parts.renderer
            assert not device.resources
            assert not device.contexts
            assert (device.image_bytes, device.blob_bytes, device.fences.count, len(device.region)) == (0,) * 4
            assert not renderer.resources
            assert not renderer.contexts
            assert not rig.parts.kernel.live
            assert rig.advance(1e6) == []
            assert device.negotiate(features)


@pytest.mark.parametrize("seed", range(20))
def test_a_machine_that_is_left_at_any_moment_leaks_no_memory_and_no_descriptor(seed: int) -> None:
    before = set(os.listdir("/proc/self/fd"))
    with Fuzzed(Random(seed), CONFIG) as rig:
        rig.begin()
        for _ in range(seed * 5):
            rig.step()
    assert rig.parts.leaks() == []
    assert set(os.listdir("/proc/self/fd")) == before


def test_the_programs_are_not_vacuous() -> None:
    """Every kind of answer comes, and commands succeed often enough to get somewhere."""
    answers: Counter[int] = Counter()
    rules: set[str] = set()
    mapped = parked = 0
    for seed in range(40):
        with Fuzzed(Random(seed), CONFIG) as rig:
            rig.begin()
            for _ in range(STEPS):
                rig.step()
                mapped += len(rig.device.region) > 0
                parked += rig.device.fences.count > 0
            answers += rig.answers
            rules.update(rig.refused_rules())
    assert answers.keys() >= {number for number in CtrlType if is_response(number)}
    assert answers[CtrlType.RESP_OK_NODATA] > answers.total() // 12
    assert len(rules) > len(Rule) * 2 // 3
    assert mapped > 200
    assert parked > 200
    assert max(RESOURCES) > LIMITS.resources
    assert max(CONTEXTS) > LIMITS.contexts


@many
@given(
    data=st.binary(max_size=120),
    queue=st.sampled_from([CONTROLQ, CURSORQ]),
    capacity=st.sampled_from([0, 1, 23, 24, 4096]),
)
def test_any_bytes_are_answered(data: bytes, queue: int, capacity: int) -> None:
    with Rig(CONFIG) as rig:
        assert len(rig.exchange(data, queue=queue, capacity=capacity)) <= capacity


@pytest.mark.parametrize("name", PROFILES)
def test_no_profile_makes_the_device_raise(name: str) -> None:
    profile = PROFILES[name]
    for seed in range(15):
        with Fuzzed(
            Random(seed), Config(profile=profile, guest_memory=MEMORY, host_visible=4 << 12, device_limits=LIMITS)
        ) as rig:
            for _ in range(STEPS):
                if rig.device.dead is not None:
                    break
                rig.raw(any_request(rig.random))
                rig.advance(0.001)
        assert rig.parts.leaks() == []
