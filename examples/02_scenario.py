"""A scenario as a test: the guest maps a blob, guest and host share its bytes, and nothing is left at the end."""

import trio

from vgpu_emu import DrmFile, open_machine
from vgpu_wire.context_stream import ExporterKind, StreamAlloc

SIZE = 64 << 10


async def main() -> None:
    async with open_machine() as machine:
        file = DrmFile(machine.driver)
        alloc = StreamAlloc(exporter=ExporterKind.CACHED.value, blob_id=1, size=SIZE)
        handle = await machine.run(file.resource_create_blob(size=SIZE, blob_id=1, cmd=alloc.build()))
        vma = await machine.run(file.mmap(file.map(handle), SIZE))

        vma.write(0x100, b"hello, host")
        host = machine.parts.renderer
        with host.process.mmap(host.resources[vma.vram.resource_id], SIZE) as pages:
            print("the host reads:", pages[0x100:0x10B].decode())
            pages[:5] = b"hello"
        print("the guest reads:", vma.read(0, 5).decode())

        await machine.run(vma.munmap())
        await machine.run(file.close())
        await machine.settle()
        print("left behind:", machine.parts.leaks() or "nothing")


if __name__ == "__main__":
    trio.run(main)
