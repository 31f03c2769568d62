"""File descriptors of simulated processes: numbers, references, limits, and the real memory behind them."""

from errno import EBADF, EINVAL, EMFILE, ENODEV

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgpu_emu.host.dmabuf import DmaBuf, Kernel, Process
from vgpu_emu.host.exporters import EXPORTERS
from vgpu_emu.ids import Fd
from vgpu_emu.memory import Memory
from vgpu_wire.context_stream import ExporterKind

PAGE = 4096
pytestmark = pytest.mark.usefixtures("nothing_left")


def exported(kernel: Kernel, memory: Memory | None = None) -> DmaBuf:
    return kernel.dma_buf_export(memory or Memory(PAGE, None), EXPORTERS[ExporterKind.WC])


def errno_of(error: pytest.ExceptionInfo[OSError]) -> int | None:
    return error.value.errno


@given(st.lists(st.none() | st.integers(0, 40)))
def test_new_descriptor_is_the_lowest_free_number(closes: list[int | None]) -> None:
    process = Process(Kernel(None), "vmm")
    buf = exported(process.kernel)
    open_numbers: set[int] = set()
    for which in closes:
        if which is None:
            lowest = min(set(range(3, len(open_numbers) + 4)) - open_numbers)
            assert process.install(buf) == lowest
            open_numbers.add(lowest)
        elif which in open_numbers:
            process.close(Fd(which))
            open_numbers.remove(which)
        else:
            with pytest.raises(OSError, match="no descriptor") as refused:
                process.close(Fd(which))
            assert errno_of(refused) == EBADF
    assert set(process.files) == open_numbers


def test_buffer_lives_as_long_as_somebody_refers_to_it() -> None:
    kernel = Kernel(None)
    here, there = Process(kernel, "renderer"), Process(kernel, "vmm")
    memory = Memory(PAGE, None)
    buf = exported(kernel, memory)
    first = here.install(buf)
    kernel.put(buf)
    passed = here.send(first, there)
    assert passed.memory is memory
    here.close(first)
    assert kernel.live == {buf.inode: buf}
    there.close(passed.fd)
    assert (kernel.live, kernel.live_bytes) == ({}, 0)
    # the descriptor in flight held the memory too
    assert memory.holders == 1
    memory.release()


def test_two_descriptors_of_a_process_are_two_references() -> None:
    process = Process(Kernel(None), "vmm")
    buf = exported(process.kernel)
    first, second = process.install(buf), process.install(buf)
    process.kernel.put(buf)
    process.close(first)
    assert process.file(second) is buf
    process.close(second)
    assert not process.kernel.live


@pytest.mark.parametrize("installed", [2, 3, 4])
def test_process_has_so_many_descriptors_and_not_one_more(installed: int) -> None:
    process = Process(Kernel(None, max_fds=3), "vmm")
    buf = exported(process.kernel)
    for _ in range(min(installed, 3)):
        process.install(buf)
    if installed > 3:
        refs = buf.refs
        with pytest.raises(OSError, match="3 descriptors open") as refused:
            process.install(buf)
        assert errno_of(refused) == EMFILE
        assert buf.refs == refs
        process.close(Fd(4))
        assert process.install(buf) == 4


def test_full_table_of_the_receiver_refuses_a_passed_descriptor() -> None:
    kernel = Kernel(None, max_fds=1)
    here, there = Process(kernel, "renderer"), Process(kernel, "vmm")
    buf = exported(kernel)
    fd = here.install(buf)
    passed = here.send(fd, there)
    with pytest.raises(OSError, match="vmm has 1 descriptors open") as refused:
        here.send(fd, there)
    assert errno_of(refused) == EMFILE
    assert buf.memory.holders == 2
    passed.memory.release()


def test_limits_of_two_processes_are_their_own() -> None:
    kernel = Kernel(None, max_fds=1)
    buf = exported(kernel)
    assert Process(kernel, "renderer").install(buf) == Process(kernel, "vmm").install(buf) == 3


def test_passing_a_descriptor_that_is_not_there_is_ebadf() -> None:
    kernel = Kernel(None)
    here, there = Process(kernel, "renderer"), Process(kernel, "vmm")
    with pytest.raises(OSError, match="no descriptor 3") as refused:
        here.send(Fd(3), there)
    assert errno_of(refused) == EBADF
    assert there.files == {}


def test_exit_closes_everything() -> None:
    kernel = Kernel(None)
    process = Process(kernel, "renderer")
    for size in (1, 2, 3):
        buf = exported(kernel, Memory.memfd(size * PAGE, "buffer"))
        process.install(buf)
        process.install(buf)
        kernel.put(buf)
    assert kernel.live_bytes == 6 * PAGE
    process.exit()
    assert (process.files, kernel.live, kernel.live_bytes) == ({}, {}, 0)
    assert process.install(exported(kernel)) == 3


def test_mappings_in_two_processes_are_one_memory() -> None:
    kernel = Kernel(None)
    here, there = Process(kernel, "renderer"), Process(kernel, "vmm")
    buf = exported(kernel, Memory.memfd(2 * PAGE, "shared"))
    fd = here.install(buf)
    kernel.put(buf)
    passed = here.send(fd, there)
    with here.mmap(fd, 2 * PAGE) as mine, there.mmap(passed.fd, PAGE, offset=PAGE) as theirs:
        mine[PAGE : PAGE + 4] = b"host"
        assert theirs[:4] == b"host"
        theirs[PAGE - 1] = 0x5A
        assert mine[2 * PAGE - 1] == 0x5A
        assert buf.memory.read(PAGE, 4) == b"host"
    passed.memory.release()
    here.exit()
    there.exit()


def test_mapping_outlives_the_descriptor() -> None:
    process = Process(Kernel(None), "renderer")
    buf = exported(process.kernel, Memory.memfd(PAGE, "kept"))
    fd = process.install(buf)
    process.kernel.put(buf)
    with process.mmap(fd, PAGE) as pages:
        pages[:3] = b"abc"
        process.exit()
        assert pages[:4] == b"abc\0"


@pytest.mark.parametrize(
    ("length", "offset"), [(0, 0), (-1, 0), (2 * PAGE + 1, 0), (PAGE, 2 * PAGE), (1, -PAGE), (PAGE, 1), (PAGE, 2048)]
)
def test_mmap_out_of_bounds_or_between_pages_is_einval(length: int, offset: int) -> None:
    process = Process(Kernel(None), "renderer")
    buf = exported(process.kernel, Memory.memfd(2 * PAGE, "bounds"))
    fd = process.install(buf)
    process.kernel.put(buf)
    with pytest.raises(OSError, match="of a dma-buf of 0x2000 bytes") as refused:
        process.mmap(fd, length, offset)
    assert errno_of(refused) == EINVAL
    process.exit()


def test_mmap_of_a_closed_descriptor_is_ebadf_and_of_a_size_alone_enodev() -> None:
    process = Process(Kernel(None), "renderer")
    fd = process.install(exported(process.kernel))
    with pytest.raises(OSError, match="no bytes") as refused:
        process.mmap(fd, PAGE)
    assert errno_of(refused) == ENODEV
    process.close(fd)
    with pytest.raises(OSError, match="no descriptor") as refused:
        process.mmap(fd, PAGE)
    assert errno_of(refused) == EBADF
