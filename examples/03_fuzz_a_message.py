"""Fuzz one message: thousands of broken RESOURCE_MAP_BLOBs, each answered once, none of them doing harm."""

import random
from collections import Counter

from vgpu_emu import Lockstep
from vgpu_emu.link.chain import Chain
from vgpu_wire.blob import ResourceMapBlob, RespMapInfo
from vgpu_wire.messages import parse_message, type_name


def main(seed: int = 1, count: int = 2000) -> None:
    rng = random.Random(seed)
    answers: Counter[str] = Counter()
    with Lockstep() as machine:
        for head in range(count):
            request = bytearray(
                ResourceMapBlob(resource_id=rng.randrange(4), offset=rng.choice([0, 1, 1 << 63])).build()
            )
            for _ in range(rng.randrange(4)):
                request[rng.randrange(len(request))] = rng.randrange(256)
            readable = bytes(request[: rng.randrange(len(request) + 1)])
            used = machine.submit(Chain(head, 0, readable, RespMapInfo.layout.size))
            assert used is not None, "nothing here waits for a fence"
            answers[type_name(parse_message(used.written).type)] += 1
    for name, number in sorted(answers.items()):
        print(f"{name}: {number}")


if __name__ == "__main__":
    main()
