"""``vgpu-emu list``: which scenarios there are."""

from typing import Annotated

import msgspec
from cyclopts import Parameter

from vgpu_emu.cli.scenario_files import Found, find_scenarios


def list_(
    path: Annotated[list[str], Parameter(negative=())],
    /,
    *,
    subtest: str | None = None,
    json_: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """List the ids of scenarios, one a line, without running them. Files that are no scenarios are complained about.

    Examples:

        vgpu-emu list scenarios

        vgpu-emu list --json scenarios | jq '.scenarios[] | select(.profile == "crosvm") | .id'

        vgpu-emu list --subtest 'map-blob@*' 'scenarios/**/*.vgpu.toml'

    Parameters
    ----------
    path
        Files, directories with *.vgpu.toml files below, or patterns.
    subtest
        Only scenarios with this id, or whose id matches this pattern.
    json_
        One JSON object, with why and source of each.
    """
    found = find_scenarios(path, subtest)
    if json_:
        print(msgspec.json.encode({"schema": 1, "scenarios": [_as_json(each) for each in found]}).decode())
    else:
        for each in found:
            print(each.scenario.id)
    return 0


def _as_json(found: Found) -> dict[str, object]:
    scenario = found.scenario
    return {
        "id": scenario.id,
        "file": str(found.path),
        "why": " ".join(scenario.why.split()),
        "source": scenario.source,
        "profile": scenario.profile,
        "steps": len(scenario.step),
    }
