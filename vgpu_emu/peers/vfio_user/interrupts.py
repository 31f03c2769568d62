"""How the device interrupts: MSI-X vectors or, where the guest has none, its pin."""

from errno import EINVAL

from vgpu_emu.peers.stream import Fds
from vgpu_emu.peers.vfio_user.intx import Intx
from vgpu_emu.peers.vfio_user.msix import VECTORS, Msix
from vgpu_wire.vfio_user import NUM_IRQS, IrqFlag, IrqIndex, IrqInfo, IrqSet, IrqSetFlag
from vgpu_wire.virtio_pci import NO_VECTOR

_COUNTS = {IrqIndex.INTX.value: 1, IrqIndex.MSIX.value: VECTORS}
_MSIX_FLAGS = int(IrqFlag.EVENTFD | IrqFlag.NORESIZE)
_INTX_FLAGS = int(IrqFlag.EVENTFD | IrqFlag.MASKABLE | IrqFlag.AUTOMASKED)


class Interrupts:
    """Those of one device."""

    def __init__(self) -> None:
        self._msix = Msix()
        self._intx = Intx()

    def close(self) -> None:
        self._msix.close()
        self._intx.close()

    def forget(self) -> None:
        """A reset: no interrupt is due any more. The client's eventfds stay."""
        self._msix.forget()
        self._intx.lower_level()

    def trigger(self, vector: int) -> None:
        """Interrupt the guest by this vector; NO_VECTOR: by the pin, of which it hears if it has no MSI-X."""
        if vector == NO_VECTOR:
            self._intx.raise_level()
        else:
            self._msix.trigger(vector)

    def seen(self) -> None:
        """The guest has read why there was an interrupt (ISR)."""
        self._intx.lower_level()

    def info(self, request: IrqInfo) -> IrqInfo:
        """Raises OSError: EINVAL for an index that a conventional PCI device does not have.

        As Linux's vfio refuses ERR; of one that has it, and no interrupts, QEMU would complain.
        """
        if request.index >= NUM_IRQS or request.index == IrqIndex.ERR:
            raise OSError(EINVAL, f"interrupt index {request.index}")
        flags = _INTX_FLAGS if request.index == IrqIndex.INTX else _MSIX_FLAGS
        count = _COUNTS.get(request.index, 0)
        return IrqInfo(argsz=IrqInfo.layout.size, flags=flags, index=request.index, count=count)

    def set(self, request: IrqSet, fds: Fds) -> None:
        """Raises OSError: EINVAL for what an index does not have, or descriptors that do not fit."""
        last = _COUNTS.get(request.index, 0)
        if request.index >= NUM_IRQS or request.start + request.count > last:
            raise OSError(EINVAL, f"interrupts {request.start} to {request.start + request.count} of {request.index}")
        if request.index == IrqIndex.INTX:
            self._intx.set(request, fds)
        elif request.index == IrqIndex.MSIX:
            self._msix.set(request, fds)
        elif request.flags != IrqSetFlag.DATA_NONE | IrqSetFlag.ACTION_TRIGGER:
            # all of none can be taken away, and nothing else
            raise OSError(EINVAL, f"index {request.index} has no interrupts")
