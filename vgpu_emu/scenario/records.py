"""A scenario file as typed records: what the machine is made of, and the steps."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from vgpu_emu.faults.plan import AnyFault
from vgpu_emu.scenario.catalogue import AnyStep
from vgpu_emu.scenario.words import (
    ID_PATTERN,
    DialectName,
    FeatureName,
    MapInfoName,
    OfferedCapset,
    PlatformName,
)
from vgpu_wire.device import MAX_SCANOUTS

_Id = Annotated[str, Meta(pattern=ID_PATTERN, description="group@subtest, such as map-blob@wc.")]
_Count = Annotated[int, Meta(ge=0, le=1 << 62)]
_Pixels = Annotated[int, Meta(ge=1, lt=1 << 32)]


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class Hardware(_Table, frozen=True, kw_only=True):
    """What the guest sees of its computer. Sizes in bytes, of scanouts in pixels."""

    scanouts: Annotated[
        tuple[tuple[_Pixels, _Pixels], ...],
        Meta(min_length=1, max_length=MAX_SCANOUTS, description="[width, height] of each display."),
    ] = ((1024, 768),)
    capsets: Annotated[
        list[OfferedCapset] | None, Meta(description="Of those that the renderer has; without it, all of them.")
    ] = None
    host_visible: Annotated[_Count, Meta(description="The host visible region; 0: there is none.")] = 256 << 20
    guest_memory: Annotated[int, Meta(ge=0, le=1 << 32, description="The guest's RAM.")] = 64 << 20
    blob_alignment: Annotated[int, Meta(ge=0, lt=1 << 32, description="What config.blob_alignment says.")] = 0x1000
    virtqueues: Annotated[bool, Meta(description="Requests go through split virtqueues in guest memory.")] = False


class Host(_Table, frozen=True, kw_only=True):
    """The host's kernel and its renderer."""

    ioctl: Annotated[bool, Meta(description="Whether the kernel has DMA_BUF_IOCTL_INFO.")] = True
    dialect: Annotated[DialectName, Meta(description="Which posting of it, for kernel and VMM.")] = "rfc1"
    guess: Annotated[MapInfoName, Meta(description="What the renderer answers where nobody can ask the kernel.")] = (
        "cached"
    )
    max_fds: Annotated[_Count, Meta(description="Descriptors that each process may have open.")] = 1024
    memory: Annotated[_Count, Meta(description="Bytes that the renderer allocates for a guest.")] = 256 << 20
    objects: Annotated[_Count, Meta(description="Objects that the renderer allocates for a guest.")] = 4096
    bytes_: Annotated[bool, Meta(description="Whether buffers have bytes; without them, they may be huge.")] = (
        msgspec.field(default=True, name="bytes")
    )


class Limits(_Table, frozen=True, kw_only=True):
    """What the device lets a guest make it hold; more is RESP_ERR_OUT_OF_MEMORY."""

    resources: _Count | None = None
    contexts: _Count | None = None
    host_memory: _Count | None = None
    image_lines: _Count | None = None
    blob_bytes: _Count | None = None
    entries: _Count | None = None
    submit_bytes: _Count | None = None
    capset_bytes: _Count | None = None
    fences: _Count | None = None


class Platform(_Table, frozen=True, kw_only=True):
    """A platform with what matters on it. Pages in bytes."""

    name: PlatformName
    firmware: Literal["seabios", "ovmf"] | None = None
    bar: Literal["above-4g", "below-4g"] | None = None
    host_page: int = 0x1000
    guest_page: int = 0x1000


class Oracles(_Table, frozen=True, kw_only=True):
    """The run is watched by the reference of vgpu-emu fuzz: every oracle that applies to the target is expected."""

    target: Annotated[
        Literal["core", "machine", "process"] | None,
        Meta(description="What it runs on: one thread, tasks with links between them, or processes."),
    ] = None
    schedule: Annotated[
        Annotated[int, Meta(ge=0)] | None, Meta(description="Of the target machine: the seed of its tasks' order.")
    ] = None


class End(_Table, frozen=True, kw_only=True):
    """What is expected when the program has exited."""

    left: Annotated[
        list[str], Meta(description="What the VMM or the renderer does not give back, in words of the complaint.")
    ] = []


class Scenario(_Table, frozen=True, kw_only=True):
    """A scenario: the machine, what is done with it step by step, and what has to be seen."""

    id: _Id
    why: Annotated[str, Meta(min_length=1, description="What is shown, and why anybody cares; a sentence or two.")]
    source: Annotated[
        str, Meta(description="Where that is written: a specification, a bug report, a kernel's file.")
    ] = ""
    profile: Annotated[str, Meta(description="Whose VMM it is; vgpu-emu profiles lists them.")] = "strict"
    platform: Annotated[
        PlatformName | Platform | None,
        Meta(description="The hardware on which every mapping is compared with every other of its buffer."),
    ] = None
    features: Annotated[
        list[FeatureName] | None, Meta(description="What is negotiated; without it, all that the VMM offers.")
    ] = None
    hardware: Hardware = Hardware()
    host: Host = Host()
    limits: Limits = Limits()
    oracles: Oracles = Oracles()
    parameters: Annotated[
        list[dict[str, Any]],
        Meta(description="The scenario is run once for each row; {name} in it stands for the row's value."),
    ] = []
    fault: Annotated[list[AnyFault], Meta(description="What goes wrong on the way; docs/faults.md.")] = []
    step: Annotated[list[AnyStep], Meta(min_length=1)]
    end: End = End()
