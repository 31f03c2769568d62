"""``python -m benchmarks [NAME...] [--json]``: a table of ratios and goals. Exit 0 if every goal is met, else 1."""

import argparse
import json
import sys

from benchmarks import attributes, codec, device, imports, pipeline

MODULES = (codec, pipeline, device, imports, attributes)
BENCHMARKS = {bench.name: bench for module in MODULES for bench in module.BENCHMARKS}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Ratios measured side by side.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(BENCHMARKS)} (default: all)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(BENCHMARKS):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    results = []
    for name in arguments.names or BENCHMARKS:
        bench = BENCHMARKS[name]
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        ratio = bench.measure()
        met = bench.met(ratio)
        results.append({"name": name, "ratio": round(ratio, 4), "goal": bench.goal, "better": bench.better, "met": met})
        if not arguments.json:
            sign = "<=" if bench.better == "lower" else ">="
            print(f"{name:12} {ratio:8.2f}  goal {sign} {bench.goal:<6} {'met' if met else 'MISSED':7} {bench.says}")
    if arguments.json:
        print(json.dumps({"schema": 1, "results": results}))
    return 0 if all(result["met"] for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
