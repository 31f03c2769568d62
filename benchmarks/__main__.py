"""``python -m benchmarks [NAME...] [--json]``: a table of ratios and goals. Exit 0 if every goal is met, else 1."""

import argparse
import json
import sys

from benchmarks import attributes, codec, device, fuzzing, guests, imports, peers, pipeline, processes, simulation
from benchmarks.harness import Benchmark, UnavailableError

MODULES = (codec, pipeline, device, imports, attributes, peers, guests, processes, simulation, fuzzing)
BENCHMARKS: dict[str, Benchmark] = {bench.name: bench for module in MODULES for bench in module.BENCHMARKS}
#: a name for several
GROUPS = {"peers": [bench.name for bench in (*peers.BENCHMARKS, *guests.BENCHMARKS)]}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Ratios measured side by side.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(BENCHMARKS)} (default: all)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - {*BENCHMARKS, *GROUPS}:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join([*BENCHMARKS, *GROUPS])}")
    results, skipped = [], 0
    for name in [each for wanted in arguments.names or BENCHMARKS for each in GROUPS.get(wanted, [wanted])]:
        bench = BENCHMARKS[name]
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        try:
            ratio = bench.measure()
        except UnavailableError as missing:
            print(f"SKIPPED {name}: {missing}", file=sys.stderr, flush=True)
            skipped += 1
            continue
        met = bench.met(ratio)
        results.append({"name": name, "ratio": round(ratio, 4), "goal": bench.goal, "better": bench.better, "met": met})
        if not arguments.json:
            sign = "<=" if bench.better == "lower" else ">="
            print(f"{name:20} {ratio:8.2f}  goal {sign} {bench.goal:<6} {'met' if met else 'MISSED':7} {bench.says}")
    if arguments.json:
        print(json.dumps({"schema": 1, "results": results, "skipped": skipped}))
    if skipped:
        print(f"{skipped} skipped", file=sys.stderr)
    return 0 if all(result["met"] for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
