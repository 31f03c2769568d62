"""The ioctls of drm/virtgpu_drm.h: what a C compiler makes of the header is what vgpu_wire says.

The header is that of the system, or of VGPU_EMU_UAPI_INCLUDE; members that came later than Linux 5.16 are listed.
"""

import re
from enum import Enum

import pytest
from uapi_header import defines, evaluate, header_path, header_text, header_version

from vgpu_wire import virtgpu_drm
from vgpu_wire.layout import Record, leaves
from vgpu_wire.virtgpu_drm import ARGUMENTS, REQUESTS, ContextParam, ExecbufFlag, Ioctl, Param

HEADER = "drm/virtgpu_drm.h"
PROLOGUE = f"#include <{HEADER}>"
STRUCTURES: dict[str, type[Record]] = {
    cls.layout.name: cls
    for cls in vars(virtgpu_drm).values()
    if isinstance(cls, type) and issubclass(cls, Record) and cls is not Record
}
#: what a header may lack -> the Linux that has it
NEWER = {
    "drm_virtgpu_execbuffer.syncobj_stride": (6, 6),
    "drm_virtgpu_execbuffer.num_in_syncobjs": (6, 6),
    "drm_virtgpu_execbuffer.num_out_syncobjs": (6, 6),
    "drm_virtgpu_execbuffer.in_syncobjs": (6, 6),
    "drm_virtgpu_execbuffer.out_syncobjs": (6, 6),
    "drm_virtgpu_execbuffer_syncobj": (6, 6),
    "drm_virtgpu_resource_create_blob.blob_hints": (7, 2),
    "drm_virtgpu_resource_create_blob.pad2": (7, 2),
    "DRM_IOCTL_VIRTGPU_EXECBUFFER": (6, 6),
    "DRM_IOCTL_VIRTGPU_RESOURCE_CREATE_BLOB": (7, 2),
    "VIRTGPU_EXECBUF_SYNCOBJ_RESET": (6, 6),
    "VIRTGPU_EXECBUF_SYNCOBJ_FLAGS": (6, 6),
    "VIRTGPU_PARAM_EXPLICIT_DEBUG_NAME": (6, 12),
    "VIRTGPU_PARAM_BLOB_ALIGNMENT": (7, 2),
    "VIRTGPU_CONTEXT_PARAM_DEBUG_NAME": (6, 12),
    "DRM_VIRTGPU_BLOB_FLAG_HINT_DEFER_MAPPING": (7, 2),
}
ODD_NAMES = {"FEATURES_3D": "3D_FEATURES", "SUPPORTED_CAPSET_IDS": "SUPPORTED_CAPSET_IDs"}


def _named(prefix: str, members: type[Enum]) -> dict[str, int]:
    return {prefix + ODD_NAMES.get(member.name, member.name): member.value for member in members}


CONSTANTS = {
    **_named("DRM_VIRTGPU_", Ioctl),
    **{f"DRM_IOCTL_VIRTGPU_{ioctl.name}": number for ioctl, number in REQUESTS.items()},
    **_named("VIRTGPU_EXECBUF_", ExecbufFlag),
    **_named("VIRTGPU_PARAM_", Param),
    **_named("VIRTGPU_CONTEXT_PARAM_", ContextParam),
    "VIRTGPU_EXECBUF_FLAGS": virtgpu_drm.EXECBUF_FLAGS,
    "VIRTGPU_EXECBUF_SYNCOBJ_RESET": virtgpu_drm.EXECBUF_SYNCOBJ_RESET,
    "VIRTGPU_EXECBUF_SYNCOBJ_FLAGS": virtgpu_drm.EXECBUF_SYNCOBJ_FLAGS,
    "VIRTGPU_WAIT_NOWAIT": virtgpu_drm.WAIT_NOWAIT,
    "DRM_VIRTGPU_BLOB_FLAG_HINT_DEFER_MAPPING": virtgpu_drm.BLOB_FLAG_HINT_DEFER_MAPPING,
    "VIRTGPU_EVENT_FENCE_SIGNALED": virtgpu_drm.EVENT_FENCE_SIGNALED,
}


@pytest.fixture(autouse=True)
def _header_is_there() -> None:
    header_path(HEADER)


def _is_newer(name: str) -> bool:
    return header_version() < NEWER.get(name, (0, 0))


@pytest.mark.parametrize("name", STRUCTURES)
def test_structure_has_the_layout_that_the_compiler_gives_it(name: str) -> None:
    if _is_newer(name):
        assert not defines(HEADER, name)
        return
    ours = {}
    for leaf in leaves(STRUCTURES[name]):
        if not _is_newer(f"{name}.{leaf.path}"):
            ours[f"offsetof(struct {name}, {leaf.path})"] = leaf.offset
            ours[f"sizeof(((struct {name} *)0)->{leaf.path})"] = leaf.member.size
    if not any(_is_newer(other) for other in NEWER if other.startswith(f"{name}.")):
        ours[f"sizeof(struct {name})"] = STRUCTURES[name].layout.size
    assert ours == evaluate(tuple(ours), PROLOGUE)


def test_constants_have_the_numbers_of_the_header() -> None:
    ours = {name: number for name, number in CONSTANTS.items() if not _is_newer(name)}
    assert ours == evaluate(tuple(ours), PROLOGUE)


def test_every_structure_and_parameter_of_the_header_is_known_here() -> None:
    structures = set(re.findall(r"\bstruct\s+(drm_virtgpu_\w+)\s*{", header_text(HEADER)))
    assert structures <= set(STRUCTURES)
    parameters = set(re.findall(r"\b((?:VIRTGPU_(?:CONTEXT_)?PARAM|DRM_IOCTL_VIRTGPU)_\w+)\b", header_text(HEADER)))
    assert parameters
    assert parameters <= set(CONSTANTS)


def test_every_ioctl_has_its_structure() -> None:
    assert set(ARGUMENTS) == set(Ioctl)
