#!/usr/bin/env python3
"""make_seeds.py OUT: for each target the folder OUT/fuzz_NAME, its seeds in a zip, and a dictionary."""

import sys
from hashlib import sha1
from pathlib import Path
from zipfile import ZipFile, ZipInfo

from vgpu_emu.fuzz.engines.seeds import SEEDS, corpus, dictionary

ROOT = Path(__file__).resolve().parents[1]


def write(target: str, out: Path) -> int:
    """How many seeds there are. Two runs write the same bytes."""
    folder = out / f"fuzz_{target}"
    folder.mkdir(parents=True, exist_ok=True)
    seeds = list(SEEDS[target](ROOT))
    whole = corpus(seeds)
    with ZipFile(out / f"fuzz_{target}_seed_corpus.zip", "w") as archive:
        for data in whole:
            # libFuzzer's names, for which that is no secret
            name = sha1(data, usedforsecurity=False).hexdigest()
            (folder / name).write_bytes(data)
            archive.writestr(ZipInfo(name), data)
    (out / f"fuzz_{target}.dict").write_text(dictionary(seeds), encoding="ascii")
    return len(whole)


if len(sys.argv) != 2:
    sys.exit(f"usage: {sys.argv[0]} OUT")
for name in SEEDS:
    print(f"fuzz_{name}: {write(name, Path(sys.argv[1]))} seeds", file=sys.stderr)
