"""``vgpu-emu replay``: what our device answers to a recorded driver, beside what a recorded device answered."""

from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
import trio
from cyclopts import Parameter

from vgpu_emu.cli.choices import named_features, named_map_info
from vgpu_emu.cli.devices import device_source, no_device
from vgpu_emu.cli.inputs import InputFile, input_name, read_input
from vgpu_emu.cli.output import write_html, write_log
from vgpu_emu.cli.profiles import named_profile
from vgpu_emu.cli.stories import replay_story
from vgpu_emu.cli.style import printable
from vgpu_emu.cli.usage import FOUND, UsageError, complain
from vgpu_emu.ids import BlobId
from vgpu_emu.peers.front.errors import DeviceError
from vgpu_emu.peers.front.source import CommandError, DeviceSource
from vgpu_emu.replaying import Outcome, replay_capture
from vgpu_emu.replaying_device import DeviceFailed, replay_on_device
from vgpu_emu.trace.capture import Exchange, Unreadable
from vgpu_emu.trace.exchanges import read_exchanges
from vgpu_emu.vmm.profiles import Profile
from vgpu_wire.blob import MapCache
from vgpu_wire.device import Feature

#: how many differences are listed for people
SHOWN = 30


def replay(
    capture: InputFile,
    /,
    *,
    profile: str | None = None,
    device: str | None = None,
    command: str | None = None,
    features: str | None = None,
    blob_id: Annotated[tuple[str, ...], Parameter(name="--blob-id", negative=())] = (),
    html: Path | None = None,
    log: Path | None = None,
    json_: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Send a capture's requests to the device and compare its answers with the recorded ones.

    Compared are the type of each answer and the fence in it; map_info only of the blob ids that are given. A capture
    records neither features nor memory: addresses are backed by zeros, and what was offered is inferred from what was
    answered OK, unless --features says it. Exit code 1: there are differences.

    Examples:

        vgpu-emu replay capture.jsonl

        vgpu-emu replay --profile vhost-user-gpu capture.jsonl

        vgpu-emu replay --features virgl,edid --blob-id 0x103=wc capture.jsonl

        vgpu-emu replay --html replay.html capture.jsonl

        vgpu-emu replay --device vhost-user:/tmp/gpu.sock capture.jsonl

    Parameters
    ----------
    capture
        JSON lines with the keys request and response, in hex, or the event log of one run; - is standard input.
    profile
        Whose VMM answers, strict if nothing is said; see: vgpu-emu profiles.
    device
        vhost-user:PATH: a real device answers, instead of ours. Memory entries that the recorded device took are put
        where there is memory.
    command
        Starts that device; {socket} stands for the path.
    features
        What is negotiated, with commas between: virgl, edid, resource_uuid, resource_blob, context_init,
        blob_alignment; none of them is said by "none".
    blob_id
        ID=none|cached|uncached|wc: the map_info of blobs of this id (repeatable); blobs of other ids are cached.
    html
        Also write a page to this file, for any browser: the differences, every message with its bytes, and the host
        visible region.
    log
        Also write the event log of our device's run to this file; see: vgpu-emu convert.
    json_
        One JSON object instead of text.
    """
    exchanges = _exchanges(capture)
    infos = dict(named_map_info(text) for text in blob_id)
    if device is not None:
        if profile is not None:
            raise UsageError("--profile or --device: one of them answers")
        answerer = device
        outcome = _on_device(exchanges, device_source(device, command), named_features(features), infos)
    elif command is not None:
        raise UsageError("--command starts a real device: say which socket it has, with --device vhost-user:PATH")
    else:
        answerer = profile or "strict"
        outcome = _on_ours(exchanges, named_profile(answerer), named_features(features), infos)
    if json_:
        print(msgspec.json.encode({"schema": 1, **_as_json(outcome)}).decode())
    else:
        _show(outcome)
    if html is not None:
        write_html(html, replay_story(input_name(capture), answerer, outcome, features))
    if log is not None:
        write_log(log, {answerer: outcome.events})
    return FOUND if outcome.differences or outcome.commands < len(exchanges) else 0


def _on_ours(
    exchanges: list[Exchange],
    profile: Profile,
    features: frozenset[Feature] | None,
    map_infos: dict[BlobId, MapCache],
) -> Outcome:
    try:
        return replay_capture(exchanges, profile, features=features, map_infos=map_infos)
    except ValueError as refused:
        raise UsageError(str(refused)) from None


def _on_device(
    exchanges: list[Exchange],
    source: DeviceSource,
    features: frozenset[Feature] | None,
    map_infos: dict[BlobId, MapCache],
) -> Outcome:
    """A device that fails is a difference."""
    replay = partial(replay_on_device, features=features, map_infos=map_infos)
    try:
        return trio.run(replay, exchanges, source)
    except (DeviceError, CommandError) as error:
        raise no_device(error, source) from None
    except DeviceFailed as failed:
        complain(f"the device failed at {printable(str(failed))}")
        return failed.outcome


def _exchanges(capture: str) -> list[Exchange]:
    """Every exchange with a request. Raises UsageError for what is no capture: half a replay would prove nothing."""
    found = []
    for item in read_input(capture, partial(read_exchanges, runs=1)):
        if isinstance(item, Unreadable):
            raise UsageError(f"{item.path}: {item.detail} (vgpu-emu decode lists every such line)")
        if item.request:
            found.append(item)
    if not found:
        raise UsageError(f"there is no request in {input_name(capture)}: a capture has JSON lines with the key request")
    return found


def _as_json(outcome: Outcome) -> dict[str, object]:
    return {"commands": outcome.commands, "same": outcome.same, "differences": outcome.differences}


def _show(outcome: Outcome) -> None:
    for difference in outcome.differences[:SHOWN]:
        because = f" ({', '.join(difference.because)})" if difference.because else ""
        expected, actual = difference.expected, difference.actual
        print(f"#{difference.order} {difference.command}: {difference.what} {actual}{because}, recorded {expected}")
    if len(outcome.differences) > SHOWN:
        print(f"... and {len(outcome.differences) - SHOWN} more; --json has them all")
    noun = "command" if outcome.commands == 1 else "commands"
    count = len(outcome.differences)
    differences = "difference" if count == 1 else "differences"
    print(f"{outcome.commands} {noun}, {outcome.same} answered as recorded, {count} {differences}")
