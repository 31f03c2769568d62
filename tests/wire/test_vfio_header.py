"""vfio-user's and virtio-pci's structures and numbers are what a C compiler makes of the kernel's headers.

What vfio-user adds to vfio (its header, the DMA windows, VERSION) is in QEMU's documentation only.
"""

from enum import IntEnum, IntFlag

import pytest
from uapi_header import evaluate, header_path

from vgpu_wire.layout import Record, leaves
from vgpu_wire.vfio_user import (
    NUM_IRQS,
    NUM_REGIONS,
    DeviceFlag,
    DeviceInfo,
    IrqFlag,
    IrqIndex,
    IrqInfo,
    IrqSet,
    IrqSetFlag,
    RegionFlag,
    RegionIndex,
    RegionInfo,
)
from vgpu_wire.virtio_pci import (
    NO_VECTOR,
    STATUS_CAP_LIST,
    BarType,
    CapId,
    CfgType,
    DeviceStatus,
    Isr,
    MsixCap,
    MsixFlag,
    PciCommand,
    PciHeader,
    VirtioPciCap,
    VirtioPciCap64,
    VirtioPciCfgCap,
    VirtioPciCommonCfg,
    VirtioPciNotifyCap,
)

HEADERS = ("linux/vfio.h", "linux/virtio_pci.h", "linux/virtio_config.h", "linux/pci_regs.h")
PROLOGUE = "\n".join(f"#include <{header}>" for header in HEADERS)
#: C name -> ours; of vfio_device_info vfio-user has the start only
WHOLE: dict[str, type[Record]] = {
    "vfio_region_info": RegionInfo,
    "vfio_irq_info": IrqInfo,
    "vfio_irq_set": IrqSet,
    "virtio_pci_cap": VirtioPciCap,
    "virtio_pci_common_cfg": VirtioPciCommonCfg,
}
#: structures that start with another one, which C gives a name
CAPS: dict[str, type[Record]] = {
    "virtio_pci_cap64": VirtioPciCap64,
    "virtio_pci_notify_cap": VirtioPciNotifyCap,
    "virtio_pci_cfg_cap": VirtioPciCfgCap,
}
ENUMS: dict[str, type[IntEnum] | type[IntFlag]] = {
    "VFIO_DEVICE_FLAGS_{}": DeviceFlag,
    "VFIO_REGION_INFO_FLAG_{}": RegionFlag,
    "VFIO_IRQ_INFO_{}": IrqFlag,
    "VFIO_IRQ_SET_{}": IrqSetFlag,
    "VFIO_PCI_{}_REGION_INDEX": RegionIndex,
    "VFIO_PCI_{}_IRQ_INDEX": IrqIndex,
    "VIRTIO_PCI_CAP_{}": CfgType,
    "PCI_CAP_ID_{}": CapId,
    "PCI_MSIX_FLAGS_{}": MsixFlag,
    "PCI_COMMAND_{}": PciCommand,
    "PCI_BASE_ADDRESS_MEM_{}": BarType,
    "VIRTIO_CONFIG_S_{}": DeviceStatus,
}
#: members of a PCI header -> their registers, which the kernel has no structure for
REGISTERS = {
    "vendor_id": "PCI_VENDOR_ID",
    "device_id": "PCI_DEVICE_ID",
    "command": "PCI_COMMAND",
    "status": "PCI_STATUS",
    "revision": "PCI_REVISION_ID",
    "prog_if": "PCI_CLASS_PROG",
    "subclass": "PCI_CLASS_DEVICE",
    "base_class": "PCI_CLASS_DEVICE + 1",
    "header_type": "PCI_HEADER_TYPE",
    "bars": "PCI_BASE_ADDRESS_0",
    "subsystem_vendor_id": "PCI_SUBSYSTEM_VENDOR_ID",
    "subsystem_id": "PCI_SUBSYSTEM_ID",
    "rom": "PCI_ROM_ADDRESS",
    "capabilities": "PCI_CAPABILITY_LIST",
    "interrupt_line": "PCI_INTERRUPT_LINE",
    "interrupt_pin": "PCI_INTERRUPT_PIN",
}


@pytest.fixture(autouse=True)
def _headers_are_there() -> None:
    for header in HEADERS:
        header_path(header)


def check(ours: dict[str, int]) -> None:
    assert ours == evaluate(tuple(ours), PROLOGUE)


@pytest.mark.parametrize("name", WHOLE)
def test_structure_has_the_layout_that_the_compiler_gives_it(name: str) -> None:
    record = WHOLE[name]
    ours = {f"sizeof(struct {name})": record.layout.size}
    ours |= {f"offsetof(struct {name}, {leaf.path})": leaf.offset for leaf in leaves(record)}
    ours |= {f"sizeof(((struct {name} *)0)->{leaf.path})": leaf.member.size for leaf in leaves(record)}
    check(ours)


@pytest.mark.parametrize("name", CAPS)
def test_capability_goes_on_where_the_common_part_ends(name: str) -> None:
    record = CAPS[name]
    own = [leaf for leaf in leaves(record) if leaf.offset >= VirtioPciCap.layout.size]
    assert own
    ours = {f"sizeof(struct {name})": record.layout.size, f"offsetof(struct {name}, cap)": 0}
    check(ours | {f"offsetof(struct {name}, {leaf.path})": leaf.offset for leaf in own})


def test_device_info_starts_as_the_kernels_does() -> None:
    check({f"offsetof(struct vfio_device_info, {leaf.path})": leaf.offset for leaf in leaves(DeviceInfo)})


def test_pci_header_has_its_members_where_the_registers_are() -> None:
    offsets = {leaf.path: leaf.offset for leaf in leaves(PciHeader)}
    check({register: offsets[member] for member, register in REGISTERS.items()})
    offsets = {leaf.path: leaf.offset for leaf in leaves(MsixCap)}
    check({"PCI_MSIX_FLAGS": offsets["control"], "PCI_MSIX_TABLE": offsets["table"], "PCI_MSIX_PBA": offsets["pba"]})


@pytest.mark.parametrize("pattern", ENUMS)
def test_number_is_the_kernels(pattern: str) -> None:
    check({pattern.format(member.name): member.value for member in ENUMS[pattern]})


def test_other_numbers_are_the_kernels() -> None:
    check(
        {
            "VFIO_PCI_NUM_REGIONS": NUM_REGIONS,
            "VFIO_PCI_NUM_IRQS": NUM_IRQS,
            "VIRTIO_MSI_NO_VECTOR": NO_VECTOR,
            "PCI_STATUS_CAP_LIST": STATUS_CAP_LIST,
            "VIRTIO_PCI_ISR_CONFIG": Isr.CONFIG,
        }
    )
