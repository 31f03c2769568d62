"""What all tests share: properties that try the same examples on every run, and a count of what is left open."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("same every time", derandomize=True, database=None, deadline=None)
settings.load_profile("same every time")


def _open_descriptors() -> dict[str, str]:
    """Number -> what it refers to, of this process's descriptors, the one that looks aside."""
    links = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            links[name] = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue
    return links


def _mapped_memfds() -> int:
    return sum("/memfd:" in line for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines())


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """The test leaves no file descriptor of the real kernel open, and no page of a memfd mapped."""
    before = _open_descriptors(), _mapped_memfds()
    yield
    if (_open_descriptors(), _mapped_memfds()) != before:
        # an exception that was caught may still hold a frame in a cycle
        gc.collect()
    left = {number: file for number, file in _open_descriptors().items() if before[0].get(number) != file}
    assert (left, _mapped_memfds()) == ({}, before[1])


@pytest.fixture
def no_process_left() -> Iterator[None]:
    """The test leaves no child of this process, and nothing in shared memory."""
    before = os.listdir("/dev/shm")
    yield
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert os.listdir("/dev/shm") == before


@pytest.fixture
def event(nothing_left: None) -> Iterator[int]:
    """An eventfd."""
    fileno = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    yield fileno
    os.close(fileno)


@pytest.fixture
def ram(nothing_left: None) -> Iterator[int]:
    """A guest's memory, as a descriptor: a memfd of a megabyte."""
    fileno = os.memfd_create("ram", os.MFD_CLOEXEC)
    os.truncate(fileno, 1 << 20)
    yield fileno
    os.close(fileno)
