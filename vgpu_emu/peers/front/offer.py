"""What a device offers, and what a front-end takes of it."""

import msgspec

from vgpu_emu.guest.probe import VERSION_1
from vgpu_wire.device import FEATURE_NEEDS, Config, Feature
from vgpu_wire.vhost_user import F_PROTOCOL_FEATURES, ProtocolFeature
from vgpu_wire.vring import RingFeature

#: what the front-end can do; the rest is never accepted
KNOWN = frozenset(
    {
        ProtocolFeature.REPLY_ACK,
        ProtocolFeature.CONFIG,
        ProtocolFeature.BACKEND_REQ,
        ProtocolFeature.BACKEND_SEND_FD,
        ProtocolFeature.SHMEM_MAP,
    }
)
#: shared memory regions are mapped on the back-end's request, which brings a descriptor
_SHMEM_NEEDS = frozenset({ProtocolFeature.BACKEND_REQ, ProtocolFeature.BACKEND_SEND_FD})


class Offer(msgspec.Struct, frozen=True):
    """features, protocol_features: bits, as the device gave them. config: its configuration space.

    host_visible: bytes of the host visible region; 0: there is none.
    """

    features: int
    protocol_features: int
    config: Config = Config()
    host_visible: int = 0

    @property
    def gpu_features(self) -> frozenset[Feature]:
        return frozenset(feature for feature in Feature if self.features >> feature & 1)

    @property
    def has_protocol(self) -> bool:
        return bool(self.features >> F_PROTOCOL_FEATURES & 1)

    def accepted_protocol(self) -> int:
        """The protocol features that the front-end takes."""
        known = {feature for feature in KNOWN if self.protocol_features >> feature & 1}
        if not known >= _SHMEM_NEEDS:
            known -= {ProtocolFeature.SHMEM_MAP, *_SHMEM_NEEDS}
        return sum(1 << feature for feature in known)

    def accepted(self, wanted: frozenset[Feature]) -> int:
        """The feature bits that the driver takes: of virtio-gpu those that are wanted and offered, with their needs."""
        common = wanted & self.gpu_features
        taken = {feature for feature in common if FEATURE_NEEDS.get(feature, feature) in common}
        bits = {VERSION_1, F_PROTOCOL_FEATURES, *RingFeature}
        return sum(1 << bit for bit in {*bits, *taken} if self.features >> bit & 1)
