"""The coherency model: right attributes are right under every eviction order, wrong ones lose bytes, and fixes fix."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgpu_emu.attributes.coherency import COMBINING_LINES, LINE, System
from vgpu_emu.attributes.derivation import Effective
from vgpu_emu.attributes.platform import PLATFORMS, platform
from vgpu_emu.attributes.views import CachedView, view_of
from vgpu_emu.attributes.walkthrough import Damage, Walkthrough, Weather, stage
from vgpu_emu.vocabulary import HostAttribute, Pgprot
from vgpu_wire.dmabuf import DmaBufSyncFlag

WB, WC, UC, DMA, SNOOPED = Effective.WB, Effective.WC, Effective.UC, Effective.DMA, Effective.DMA_SNOOPED
Program = Callable[[Walkthrough], None]


def walk_of(guest: Effective, gpu: Effective, weather: Weather | None = None, self_snoop: bool = False) -> Walkthrough:
    system = System(self_snoop)
    parties = {name: view_of(system, name, seen) for name, seen in {"guest": guest, "gpu": gpu}.items()}
    return Walkthrough(system, parties, weather=weather)


def to_gpu(walk: Walkthrough) -> None:
    walk.write("guest", 0, b"old!")
    walk.fence("guest")
    walk.read("gpu", 0, 4)
    walk.write("guest", 2, b"new!")
    walk.fence("guest")
    walk.read("gpu", 0, 6)


def from_gpu(walk: Walkthrough) -> None:
    walk.read("guest", 0, 4)
    walk.write("gpu", 0, b"done")
    walk.read("guest", 0, 4)


def every_order(run: Callable[[Weather], Walkthrough]) -> Iterator[Walkthrough]:
    """Every course the weather can take: each question is answered both ways, by walking the tree of answers."""
    pending: list[list[bool]] = [[]]
    while pending:
        prefix = pending.pop()
        asked: list[bool] = []

        def decide(prefix: list[bool] = prefix, asked: list[bool] = asked) -> bool:
            answer = prefix[len(asked)] if len(asked) < len(prefix) else False
            asked.append(answer)
            return answer

        yield run(Weather(decide=decide))
        pending += [[*asked[:i], True] for i in range(len(prefix), len(asked))]


def orders(program: Program, guest: Effective, gpu: Effective) -> list[Walkthrough]:
    def run(weather: Weather) -> Walkthrough:
        walk = walk_of(guest, gpu, weather)
        program(walk)
        return walk

    return list(every_order(run))


@pytest.mark.parametrize("program", [to_gpu, from_gpu])
@pytest.mark.parametrize(("guest", "gpu"), [(WB, SNOOPED), (WC, DMA), (UC, DMA), (WC, SNOOPED), (UC, SNOOPED)])
def test_right_attribute_reads_right_under_every_eviction_order(
    program: Program, guest: Effective, gpu: Effective
) -> None:
    walks = orders(program, guest, gpu)
    assert len(walks) > 1 or guest is not WB
    assert [walk.damage for walk in walks] == [[]] * len(walks)


@pytest.mark.parametrize("program", [to_gpu, from_gpu])
def test_cached_guest_beside_a_gpu_that_does_not_snoop_reads_wrong_under_some_order_and_right_under_another(
    program: Program,
) -> None:
    outcomes = {bool(walk.damage) for walk in orders(program, WB, DMA)}
    assert outcomes == {True, False}


def test_stale_bytes_are_found_where_they_are_right() -> None:
    walk = walk_of(WB, DMA)
    walk.write("guest", 60, b"vertices")
    assert walk.read("gpu", 60, 8) == bytes(8)
    assert walk.damage == [Damage(2, "gpu", 60, b"vertices", bytes(8), "stale", ("guest",))]
    states = walk.log[-1].lines
    assert [state.line for state in states] == [0, 1]
    assert states[0].copies == (("memory", "memory", bytes(64)), ("guest", "dirty", bytes(60) + b"vert"))


def test_evicted_line_overwrites_what_the_gpu_wrote_and_it_is_lost() -> None:
    walk = walk_of(WB, DMA)
    walk.write("guest", 0, b"guest")
    walk.write("gpu", 32, b"gpu")
    walk.system.evict(walk.system.cpu("guest"), 0)
    assert walk.read("gpu", 0, 5) == b"guest"
    assert walk.read("gpu", 32, 3) == bytes(3)
    assert [(damage.kind, damage.where) for damage in walk.damage] == [("lost", ())]


def test_log_says_what_was_done_and_what_went_wrong() -> None:
    walk = walk_of(WB, DMA)
    to_gpu(walk)
    assert [str(entry) for entry in walk.log] == [
        "1. guest writes 4 bytes at 0x0",
        "2. guest fences",
        "3. gpu reads 4 bytes at 0x0: stale, right in guest",
        "4. guest writes 4 bytes at 0x2",
        "5. guest fences",
        "6. gpu reads 6 bytes at 0x0: stale, right in guest",
    ]


def test_write_combined_bytes_are_invisible_until_the_fence() -> None:
    walk = walk_of(WC, DMA)
    walk.write("guest", 0, b"abc")
    walk.read("gpu", 0, 3)
    assert walk.damage[0].where == ("guest",)
    assert walk.log[0].lines[0].copies[1][:2] == ("guest", "combining")
    walk.fence("guest")
    assert walk.read("gpu", 0, 3) == b"abc"


def test_combining_buffers_are_few() -> None:
    walk = walk_of(WC, DMA)
    for line in range(COMBINING_LINES):
        walk.write("guest", line * LINE, b"x")
    assert walk.read("gpu", 0, 1) == b"\0"
    walk.write("guest", COMBINING_LINES * LINE, b"x")
    assert walk.read("gpu", 0, 1) == b"x"
    assert walk.read("gpu", LINE, 1) == b"\0"


def test_cpu_reads_back_what_it_has_combined() -> None:
    walk = walk_of(WC, DMA)
    walk.write("guest", 62, b"abcd")
    assert walk.read("guest", 62, 4) == b"abcd"


def test_uncached_write_drains_what_its_cpu_has_combined() -> None:
    system = System()
    combining, register = view_of(system, "guest", WC), view_of(system, "guest", UC)
    combining.write(0, b"data")
    register.write(4096, b"go")
    assert view_of(system, "gpu", DMA).read(0, 4) == b"data"


def test_flush_makes_a_cached_guest_right_under_every_order() -> None:
    def run(weather: Weather) -> Walkthrough:
        walk = walk_of(WB, DMA, weather)
        walk.write("guest", 0, b"abc")
        walk.flush("guest", 0, 3)
        walk.read("gpu", 0, 3)
        return walk

    assert not any(walk.damage for walk in every_order(run))


def flags(*names: str) -> DmaBufSyncFlag:
    return DmaBufSyncFlag(sum(DmaBufSyncFlag[name] for name in names))


@pytest.mark.parametrize("maintains", [True, False])
def test_sync_helps_only_where_the_exporter_does_cache_maintenance(maintains: bool) -> None:
    walk = stage(platform("arm64"), HostAttribute.WC, Pgprot.CACHED, maintains=maintains)
    walk.read("guest", 0, 4)
    walk.write("gpu", 0, b"done")
    walk.sync("guest", flags("READ"), 0, 4)
    walk.read("guest", 0, 4)
    walk.sync("guest", flags("READ", "END"), 0, 4)
    walk.sync("guest", flags("WRITE"), 64, 4)
    walk.write("guest", 64, b"draw")
    walk.sync("guest", flags("WRITE", "END"), 64, 4)
    walk.read("gpu", 64, 4)
    assert len(walk.damage) == (0 if maintains else 2)


def test_invalidate_throws_dirty_bytes_away() -> None:
    walk = walk_of(WB, SNOOPED)
    walk.write("guest", 0, b"abc")
    walk.system.invalidate(0)
    walk.read("guest", 0, 3)
    assert walk.damage[0].kind == "lost"


@pytest.mark.parametrize(("self_snoop", "damaged"), [(True, False), (False, True)])
def test_alias_on_one_cpu_is_coherent_only_with_self_snoop(self_snoop: bool, damaged: bool) -> None:
    system = System(self_snoop)
    parties = {"wb": view_of(system, "wb", WB), "wc": view_of(system, "wc", WC), "uc": view_of(system, "uc", UC)}
    walk = Walkthrough(system, parties)
    walk.write("wb", 0, b"one")
    walk.read("uc", 0, 3)
    walk.write("wc", 0, b"two")
    walk.fence("wc")
    walk.read("wb", 0, 3)
    walk.write("uc", 0, b"six")
    walk.read("wb", 0, 3)
    assert bool(walk.damage) == damaged


@pytest.mark.parametrize(("effective", "looks"), [(UC, True), (Effective.DEVICE_NGNRNE, False), (Effective.IO, False)])
def test_only_the_uncached_type_of_x86_looks_into_the_caches(effective: Effective, looks: bool) -> None:
    walk = walk_of(WB, SNOOPED)
    walk.parties["registers"] = view_of(walk.system, "registers", effective)
    walk.write("guest", 0, b"abc")
    assert (walk.read("registers", 0, 3) == b"abc") == looks


def test_caches_of_two_cpus_agree() -> None:
    system = System()
    walk = Walkthrough(system, {name: view_of(system, name, WB) for name in ("host", "guest")}, weather=Weather(7))
    for number in range(20):
        walk.write("host", number, b"h")
        walk.read("guest", 0, 32)
        walk.write("guest", number + 8, b"g")
        walk.read("host", 0, 32)
    assert walk.damage == []


def test_access_of_a_thousand_lines_is_an_access() -> None:
    walk = walk_of(WB, SNOOPED)
    data = bytes(range(256)) * 300
    for who, other in (("guest", "gpu"), ("gpu", "guest")):
        walk.parties[who].write(13, data)
        assert walk.parties[other].read(13, len(data)) == data


def test_uncached_scribbling_costs_a_transfer_per_access_and_cached_one_per_line() -> None:
    cost = {}
    for guest in (WB, UC):
        walk = walk_of(guest, SNOOPED)
        for address in range(0, 8 * LINE, 8):
            walk.write("guest", address, b"12345678")
        cost[guest] = walk.system.transfers
    assert cost == {WB: 8, UC: 64}


def test_same_seed_is_the_same_weather() -> None:
    def log(seed: int) -> list[str]:
        walk = walk_of(WB, DMA, Weather(seed))
        for _ in range(4):
            to_gpu(walk)
        return [str(entry) for entry in walk.log]

    assert log(5) == log(5)
    assert len({tuple(log(seed)) for seed in range(8)}) > 1


accesses = st.lists(
    st.tuples(
        st.sampled_from(["guest", "gpu"]), st.booleans(), st.integers(0, 200), st.binary(min_size=1, max_size=90)
    ),
    max_size=40,
)


@given(accesses, st.integers(0, 1 << 32), st.sampled_from([(WB, SNOOPED), (UC, DMA), (WC, DMA), (WC, SNOOPED)]))
def test_any_program_reads_right_with_the_right_attribute_under_any_weather(
    program: list[tuple[str, bool, int, bytes]], seed: int, types: tuple[Effective, Effective]
) -> None:
    walk = walk_of(*types, Weather(seed))
    for who, writes, address, data in program:
        if writes:
            walk.write(who, address, data)
            walk.fence(who)
        else:
            walk.read(who, address, len(data))
    assert walk.damage == []


@pytest.mark.parametrize("name", PLATFORMS)
@pytest.mark.parametrize("attribute", [HostAttribute.WC, HostAttribute.CACHED])
def test_bytes_are_lost_exactly_where_an_uncached_buffer_is_cached_in_the_guest(
    name: str, attribute: HostAttribute
) -> None:
    for pgprot in Pgprot:
        walk = stage(platform(name), attribute, pgprot)
        from_gpu(walk)
        to_gpu(walk)
        cached = isinstance(walk.parties["guest"], CachedView)
        assert bool(walk.damage) == (cached and attribute is HostAttribute.WC)


def test_unknown_exporter_cannot_be_staged() -> None:
    with pytest.raises(ValueError, match="UNKNOWN"):
        stage(platform("amd"), HostAttribute.UNKNOWN, Pgprot.CACHED)
