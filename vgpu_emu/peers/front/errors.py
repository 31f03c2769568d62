"""What can be wrong with a device that is not ours."""

from enum import Enum


class DeviceFault(Enum):
    UNREACHABLE = "nothing answers at the socket"
    GONE = "the device closed the connection"
    SILENT = "the device does not answer"
    PROTOCOL = "the device does not speak vhost-user"
    RING = "the device broke a virtqueue"
    LACKS = "the device lacks what is needed"


class DeviceError(Exception):
    """The device is of no use any more. last: what it was given and had not answered, the oldest first."""

    def __init__(self, fault: DeviceFault, detail: str, last: tuple[str, ...] = ()) -> None:
        super().__init__(fault, detail)
        self.fault = fault
        self.detail = detail
        self.last = last

    def __str__(self) -> str:
        given = f", after {', '.join(self.last)}" if self.last else ""
        return f"{self.fault.value}: {self.detail}{given}"
