"""A party replaced by hand: a renderer that exports less memory than it said, and a device that does not map it.

The device is a generator that asks questions; whoever drives it is the renderer.
"""

from collections.abc import Generator
from errno import ENOSYS

from vgpu_emu import PROFILES, Config
from vgpu_emu.assembly import assemble
from vgpu_emu.ids import Fd
from vgpu_emu.link.chain import Chain, Used
from vgpu_emu.memory import Memory, PassedFd
from vgpu_emu.trace.log import Log
from vgpu_emu.vmm.asking import Reply
from vgpu_wire.blob import BlobFlag, BlobMem, ResourceCreateBlob, ResourceMapBlob
from vgpu_wire.layout import Record
from vgpu_wire.messages import parse_message, type_name
from vgpu_wire.render import CtxCreate
from vgpu_wire.renderer_link import Answer, Op, Question

SAID, HAD = 8192, 4096


def renderer(question: Question) -> Reply:
    if question.op == Op.EXPORT_BLOB:
        return Reply(Answer(value=SAID), (PassedFd(Fd(3), Memory.memfd(HAD, "too short")),))
    return Reply(Answer(errno=ENOSYS if question.op == Op.IOCTL else 0))


def main() -> None:
    device = assemble(Config(profile=PROFILES["strict"]), Log()).device

    def send(request: Record) -> None:
        steps = device.handle(Chain(0, 0, request.build(), 64))
        assert isinstance(steps, Generator), "each of these has questions"
        try:
            question = next(steps)
            while True:
                question = steps.send(renderer(question))
        except StopIteration as done:
            used: Used = done.value
            print(f"{type(request).__name__}: {type_name(parse_message(used.written).type)}")

    send(CtxCreate(ctx_id=1))
    mappable = BlobFlag.USE_MAPPABLE.value
    send(ResourceCreateBlob(ctx_id=1, resource_id=5, blob_mem=BlobMem.HOST3D.value, blob_flags=mappable, size=SAID))
    send(ResourceMapBlob(resource_id=5))
    for note in device.log.notes("refused"):
        print("because:", note.values["rule"])


if __name__ == "__main__":
    main()
