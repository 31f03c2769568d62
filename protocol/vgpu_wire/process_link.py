"""Packets between the processes of one machine: a message in pieces, over a SEQPACKET socket.

The emulator's own protocol. A packet is at most PACKET_SIZE bytes, as the kernel takes none that is larger than a
socket's buffer; what a message says is for those who exchange it.
"""

from vgpu_wire.derive import wire
from vgpu_wire.layout import Record
from vgpu_wire.terms import le32

#: bytes of a packet, its header included: a few of them fit into the socket buffer that Linux gives by default
PACKET_SIZE = 1 << 16


@wire("vgpu_emu_packet", 16)
class Packet(Record, frozen=True):
    """The header of a packet; the rest of it is a piece of a message.

    size: bytes of the whole message. offset: where the piece belongs. descriptors: file descriptors that travel beside
    the message, all with its first packet (SCM_RIGHTS).
    """

    size: le32 = 0
    offset: le32 = 0
    descriptors: le32 = 0
    padding: le32 = 0
