"""Each rule of the device is broken once: under ``strict`` it gets exactly its answer, and nothing has changed."""

from typing import Any, NamedTuple

import pytest
from support import PAGE, alloc
from vmm_support import CONTEXT, bare, blob, known, map_blob, prepare, send, submit, unmap, unref, with_blob

from vgpu_emu.host.renderer import RendererLimits
from vgpu_emu.lockstep import Lockstep
from vgpu_emu.vmm.rules import Rule
from vgpu_emu.vmm.state import DeviceLimits
from vgpu_wire.blob import BlobMem
from vgpu_wire.context_stream import ExporterKind
from vgpu_wire.control import CtrlFlag, CtrlHdr, CtrlType, HeaderOnly
from vgpu_wire.device import Feature
from vgpu_wire.render import CtxCreate, CtxDestroy, CtxResource
from vgpu_wire.resource import MemEntry

UNSPEC, OUT_OF_MEMORY = CtrlType.RESP_ERR_UNSPEC, CtrlType.RESP_ERR_OUT_OF_MEMORY
RESOURCE_ID, CONTEXT_ID = CtrlType.RESP_ERR_INVALID_RESOURCE_ID, CtrlType.RESP_ERR_INVALID_CONTEXT_ID
PARAMETER = CtrlType.RESP_ERR_INVALID_PARAMETER
ATTACH, DETACH = CtrlType.CTX_ATTACH_RESOURCE.value, CtrlType.CTX_DETACH_RESOURCE.value
TOP = (1 << 64) - PAGE


class Break(NamedTuple):
    """A request that breaks `rule` after `before`, which succeeds; options: of the machine."""

    rule: Rule
    response: CtrlType
    request: CtrlHdr | bytes
    before: list[CtrlHdr]
    options: dict[str, Any]


def breaks(
    rule: Rule, response: CtrlType, request: CtrlHdr | bytes, before: list[CtrlHdr] | None = None, **options: Any
) -> Any:
    return pytest.param(Break(rule, response, request, before or [], options), id=rule.name.lower())


ENTRY = MemEntry(addr=0, length=PAGE)
BLOB = [CONTEXT, *with_blob()]
MAPPED = [*BLOB, map_blob()]
NO_CONTEXT_INIT = frozenset({Feature.VIRGL, Feature.RESOURCE_BLOB})

BREAKS = [
    breaks(Rule.HEADER_WHOLE, UNSPEC, HeaderOnly().build()[:23]),
    breaks(Rule.COMMAND_KNOWN, UNSPEC, HeaderOnly(type=0x20A)),
    breaks(Rule.COMMAND_KNOWN, UNSPEC, HeaderOnly(type=CtrlType.UNDEFINED.value)),
    breaks(Rule.COMMAND_KNOWN, UNSPEC, HeaderOnly(type=CtrlType.RESP_OK_NODATA.value)),
    breaks(Rule.COMMAND_NEGOTIATED, UNSPEC, CONTEXT, features=frozenset({Feature.RESOURCE_BLOB})),
    breaks(Rule.COMMAND_NEGOTIATED, UNSPEC, blob(), [CONTEXT, submit(alloc())], features=frozenset({Feature.VIRGL})),
    breaks(Rule.REQUEST_WHOLE, PARAMETER, map_blob().build()[:39], BLOB),
    breaks(Rule.REQUEST_WHOLE, PARAMETER, submit(alloc()).build()[:-1], [CONTEXT]),
    breaks(Rule.CTX_CREATE_ID_FREE, CONTEXT_ID, CtxCreate(ctx_id=0)),
    breaks(Rule.CTX_CREATE_ID_FREE, CONTEXT_ID, CONTEXT, [CONTEXT]),
    breaks(Rule.CTX_CREATE_INIT_NEGOTIATED, UNSPEC, CtxCreate(ctx_id=1, context_init=4), features=NO_CONTEXT_INIT),
    breaks(Rule.CTX_LIMIT, OUT_OF_MEMORY, CtxCreate(ctx_id=2), [CONTEXT], device_limits=DeviceLimits(contexts=1)),
    breaks(Rule.CTX_KNOWN, CONTEXT_ID, CtxDestroy(type=CtrlType.CTX_DESTROY.value, ctx_id=2), [CONTEXT]),
    breaks(Rule.CTX_KNOWN, CONTEXT_ID, CtxResource(type=ATTACH, ctx_id=2, resource_id=5), BLOB),
    breaks(Rule.CTX_KNOWN, CONTEXT_ID, CtxResource(type=DETACH, ctx_id=2, resource_id=5), BLOB),
    breaks(Rule.CTX_RESOURCE_KNOWN, RESOURCE_ID, CtxResource(type=ATTACH, ctx_id=1, resource_id=6), BLOB),
    breaks(Rule.CTX_RESOURCE_KNOWN, RESOURCE_ID, CtxResource(type=DETACH, ctx_id=1, resource_id=0), BLOB),
    breaks(Rule.SUBMIT_CTX_KNOWN, CONTEXT_ID, submit(alloc(), ctx_id=2), [CONTEXT]),
    breaks(Rule.SUBMIT_LIMIT, OUT_OF_MEMORY, submit(alloc()), [CONTEXT], device_limits=DeviceLimits(submit_bytes=23)),
    breaks(Rule.UNREF_KNOWN, RESOURCE_ID, unref(6), BLOB),
    breaks(Rule.UNREF_KNOWN, RESOURCE_ID, unref(0)),
    breaks(Rule.RESOURCE_LIMIT, OUT_OF_MEMORY, blob(6, 2), [*BLOB, submit(alloc(blob_id=2))],
           device_limits=DeviceLimits(resources=1)),
    breaks(Rule.CREATE_BLOB_ID_NONZERO, RESOURCE_ID, blob(0), [CONTEXT, submit(alloc())]),
    breaks(Rule.CREATE_BLOB_ID_FREE, RESOURCE_ID, blob(5, 2), [*BLOB, submit(alloc(blob_id=2))]),
    breaks(Rule.CREATE_BLOB_MEM_VALID, PARAMETER, blob(blob_mem=0), [CONTEXT, submit(alloc())]),
    breaks(Rule.CREATE_BLOB_MEM_VALID, PARAMETER, blob(blob_mem=4), [CONTEXT, submit(alloc())]),
    breaks(Rule.CREATE_BLOB_MEM_VALID, PARAMETER, blob(blob_mem=BlobMem.GUEST.value), [CONTEXT, submit(alloc())]),
    breaks(Rule.CREATE_BLOB_FLAGS_VALID, PARAMETER, blob(blob_flags=8), [CONTEXT, submit(alloc())]),
    breaks(Rule.CREATE_BLOB_FLAGS_VALID, PARAMETER, blob(blob_flags=1 << 31 | 1), [CONTEXT, submit(alloc())]),
    breaks(Rule.CREATE_BLOB_SIZE_NONZERO, PARAMETER, blob(size=0), [CONTEXT, submit(alloc())]),
    breaks(Rule.CREATE_BLOB_ENTRIES_NONE, PARAMETER, blob(nr_entries=1, entries=[ENTRY]), [CONTEXT, submit(alloc())]),
    breaks(Rule.CREATE_BLOB_CTX_KNOWN, CONTEXT_ID, blob(ctx_id=0), [CONTEXT, submit(alloc())]),
    breaks(Rule.BLOB_BYTES_LIMIT, OUT_OF_MEMORY, blob(size=PAGE), [CONTEXT, submit(alloc())],
           device_limits=DeviceLimits(blob_bytes=PAGE - 1)),
    breaks(Rule.BLOB_BYTES_LIMIT, OUT_OF_MEMORY, blob(size=(1 << 64) - 1), [CONTEXT, submit(alloc())]),
    breaks(Rule.MAP_KNOWN, RESOURCE_ID, map_blob(6), BLOB),
    breaks(Rule.MAP_MAPPABLE, PARAMETER, map_blob(), [CONTEXT, submit(alloc()), blob(blob_flags=0)]),
    breaks(Rule.MAP_MAPPABLE, PARAMETER, map_blob(), [CONTEXT, submit(alloc()), blob(blob_flags=6)]),
    breaks(Rule.MAP_ONCE, UNSPEC, map_blob(), MAPPED),
    breaks(Rule.MAP_ONCE, UNSPEC, map_blob(offset=PAGE), MAPPED),
    breaks(Rule.MAP_INSIDE, PARAMETER, map_blob(offset=16 * PAGE), BLOB),
    breaks(Rule.MAP_INSIDE, PARAMETER, map_blob(offset=TOP), BLOB),
    breaks(Rule.MAP_INSIDE, PARAMETER, map_blob(), BLOB, host_visible=0),
    breaks(Rule.MAP_INSIDE, PARAMETER, map_blob(offset=15 * PAGE), [CONTEXT, *with_blob(size=2 * PAGE)]),
    breaks(Rule.MAP_ALIGNED, PARAMETER, map_blob(offset=1), BLOB),
    breaks(Rule.MAP_ALIGNED, PARAMETER, map_blob(offset=PAGE // 2), BLOB),
    breaks(Rule.MAP_DISJOINT, PARAMETER, map_blob(6), [*MAPPED, *with_blob(6, 2)]),
    breaks(Rule.MAP_DISJOINT, PARAMETER, map_blob(6), [*BLOB, map_blob(offset=PAGE), *with_blob(6, 2, size=2 * PAGE)]),
    breaks(Rule.MAP_INFO_KNOWN, UNSPEC, map_blob(), [CONTEXT, *with_blob(exporter=ExporterKind.SILENT)]),
    breaks(Rule.MAP_INFO_KNOWN, UNSPEC, map_blob(), [CONTEXT, *with_blob(exporter=ExporterKind.DRM)]),
    breaks(Rule.UNMAP_KNOWN, RESOURCE_ID, unmap(6), BLOB),
    breaks(Rule.UNMAP_MAPPED, UNSPEC, unmap(), BLOB),
    breaks(Rule.UNMAP_MAPPED, UNSPEC, unmap(), [*MAPPED, unmap()]),
    breaks(Rule.RENDERER_ACCEPTS, PARAMETER, blob(blob_id=2), [CONTEXT, submit(alloc())]),
    breaks(Rule.RENDERER_ACCEPTS, PARAMETER, blob(size=PAGE + 1), [CONTEXT, submit(alloc())]),
    breaks(Rule.RENDERER_ACCEPTS, PARAMETER, submit(alloc()), [CONTEXT, submit(alloc())]),
    breaks(Rule.RENDERER_HAS_ROOM, OUT_OF_MEMORY, submit(alloc(blob_id=2)), [CONTEXT, submit(alloc())],
           renderer_limits=RendererLimits(objects=1)),
    breaks(Rule.RENDERER_HAS_ROOM, OUT_OF_MEMORY, submit(alloc(blob_id=2)), [CONTEXT, submit(alloc())], max_fds=1),
    breaks(Rule.RENDERER_WORKS, UNSPEC, submit(alloc()[:-4]), [CONTEXT]),
]  # fmt: skip
every_break = pytest.mark.parametrize("broken", BREAKS)


def _broken_export(pair: Lockstep) -> None:
    """A blob whose dma-buf does not fit into the VMM's table of descriptors."""
    prepare(pair, [CONTEXT, submit(alloc())])
    (buf,) = pair.parts.kernel.live.values()
    pair.parts.renderer.vmm.install(buf)
    prepare(pair, [blob()])


@every_break
def test_broken_rule_gets_its_answer_and_changes_nothing(broken: Break) -> None:
    with bare(**broken.options) as pair:
        prepare(pair, broken.before)
        before = known(pair.parts)
        assert send(pair, broken.request) == HeaderOnly(type=broken.response.value)
        assert known(pair.parts) == before
        (refused,) = pair.log.notes("refused")
        assert refused.values == {"rule": broken.rule.name, "response": broken.response.name}


def test_blob_that_cannot_be_exported_cannot_be_mapped() -> None:
    with bare(max_fds=1) as pair:
        _broken_export(pair)
        before = known(pair.parts)
        assert send(pair, map_blob()).type == UNSPEC
        assert known(pair.parts) == before
        assert next(pair.log.notes("refused")).values["rule"] == Rule.MAP_EXPORTED.name
        prepare(pair, [unref()])


def test_every_rule_is_broken_here() -> None:
    broken = {each.values[0].rule for each in BREAKS}
    assert broken | {Rule.MAP_EXPORTED} == set(Rule)


@pytest.mark.parametrize("rule", Rule)
def test_rule_says_what_is_wrong_and_its_answer_is_an_error(rule: Rule) -> None:
    assert rule.broken
    assert rule.strict >= CtrlType.RESP_ERR_UNSPEC
    expected = {each.values[0].response for each in BREAKS if each.values[0].rule is rule} or {UNSPEC}
    assert expected == {rule.strict}


@pytest.mark.parametrize("broken", [each for each in BREAKS if each.values[0].rule is not Rule.HEADER_WHOLE])
def test_fence_of_a_refused_request_is_echoed(broken: Break) -> None:
    flags = CtrlFlag.FENCE | CtrlFlag.INFO_RING_IDX
    request = broken.request if isinstance(broken.request, bytes) else broken.request.build()
    fence = flags.to_bytes(4, "little") + (77).to_bytes(8, "little")
    fenced = request[:4] + fence + request[16:20] + b"\x3f" + request[21:]
    with bare(**broken.options) as pair:
        prepare(pair, broken.before)
        answer = send(pair, fenced)
        assert (answer.type, answer.flags, answer.fence_id) == (broken.response, flags, 77)
        assert (answer.ctx_id.to_bytes(4, "little"), answer.ring_idx) == (request[16:20], 63)
