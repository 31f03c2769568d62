"""A party that dies or is stopped, at any moment: a typed error in time, and nothing is left of the others."""

import time
from pathlib import Path

import pytest
from support import create_and_mmap

from vgpu_emu.assembly import Config
from vgpu_emu.guest.file import DrmFile
from vgpu_emu.machine import open_machine
from vgpu_emu.processes.joining import Processes
from vgpu_emu.processes.party import PartyLostError, interpreter
from vgpu_wire.context_stream import ExporterKind

pytestmark = pytest.mark.usefixtures("nothing_left", "no_process_left")
MORTAL = str(Path(__file__).with_name("mortal.py"))
#: short, as the answers here are; and for a machine that is busy with other tests, long
DEADLINE, PATIENCE = 0.25, 5.0
#: party -> (what it was to answer, when it comes to grief)
POINTS = {
    "host": [
        ("SUBMIT", "received"),
        ("CREATE_BLOB", "done"),
        ("EXPORT_BLOB", "received"),
        ("EXPORT_BLOB", "done"),
        ("EXPORT_BLOB", "half"),
        ("EXPORT_BLOB", "sent"),
        ("IOCTL", "received"),
        ("IOCTL", "half"),
        ("IOCTL", "sent"),
    ],
    "vmm": [
        ("Negotiate", "received"),
        ("Handle", "received"),
        ("Handle", "done"),
        ("Handle", "half"),
        ("Handle", "sent"),
        ("Resume", "received"),
        ("Resume", "done"),
        ("Resume", "half"),
        ("Resume", "sent"),
    ],
}
CASES = [(party, call, moment) for party, points in POINTS.items() for call, moment in points]


def doomed(party: str, call: str, moment: str, name: str) -> Processes:
    command = (*interpreter("host")[:-2], MORTAL, party, call, moment, name)
    return Processes(deadline=DEADLINE, **{party: command})  # type: ignore[arg-type]


async def live(processes: Processes) -> None:
    """Blobs, until somebody is lost."""
    async with open_machine(Config(), isolation=processes) as machine:
        file = DrmFile(machine.driver)
        for blob_id in range(20):
            _, vma = await machine.run(create_and_mmap(file, ExporterKind.WC, blob_id=blob_id))
            vma.write(0, b"alive")


@pytest.mark.parametrize(("party", "call", "moment"), CASES)
async def test_party_that_is_killed_is_told_at_once(party: str, call: str, moment: str) -> None:
    with pytest.raises(PartyLostError, match=f"the {party}'s process .* was killed by SIGKILL") as lost:
        await live(doomed(party, call, moment, "SIGKILL"))
    assert lost.value.party == party


@pytest.mark.parametrize(("party", "call", "moment"), CASES[::2])
async def test_party_that_is_stopped_is_told_in_time_and_killed(party: str, call: str, moment: str) -> None:
    start = time.monotonic()
    with pytest.raises(PartyLostError, match=f"did not answer within {DEADLINE} s .it is stopped") as lost:
        await live(doomed(party, call, moment, "SIGSTOP"))
    assert lost.value.party == party
    assert time.monotonic() - start < PATIENCE
