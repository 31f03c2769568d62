"""Follow one cache attribute: a write-combined buffer becomes a write-combined mapping in the guest."""

import trio

from vgpu_emu import Config, Dialect, DrmFile, open_machine
from vgpu_wire.context_stream import ExporterKind, StreamAlloc


async def main() -> None:
    for ioctl in (False, True):
        async with open_machine(Config(dialect=Dialect.RFC1, ioctl=ioctl)) as machine:
            file = DrmFile(machine.driver)
            alloc = StreamAlloc(exporter=ExporterKind.WC.value, blob_id=7, size=4096)
            handle = await machine.run(file.resource_create_blob(size=4096, blob_id=7, cmd=alloc.build()))
            vma = await machine.run(file.mmap(file.map(handle), 4096))
            conflicts = ", ".join(str(conflict) for conflict in machine.conflicts()) or "none"
            print(f"kernel with the ioctl: {ioctl}; guest pgprot: {vma.pgprot.value}; conflicts: {conflicts}")


if __name__ == "__main__":
    trio.run(main)
