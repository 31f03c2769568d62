"""The reference that answers are judged by: what virtio-gpu asks of a device, written once more and from the wire up.

It imports `vgpu_wire` and nothing else of this project, so that it cannot inherit a mistake of what it judges.
"""
