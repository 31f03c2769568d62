"""The bytes that cross the wire between a virtio-gpu driver and its device, and the dma-buf ioctls behind the device.

Import from the module that holds the name; each follows a part of the specification (virtio 1.4, 5.7).

============== ====================================================================================================
device         device id, queues, feature bits, shared memory ids, configuration space
control        the header of every message: CtrlType, CtrlFlag, CtrlHdr; HeaderOnly, Unknown
display        display info, EDID, scanouts, flush, cursor
resource       2D resources, backing pages (MemEntry), transfers, UUIDs; Format
render         3D: capability sets, contexts, resources, transfers, command submission
blob           blob resources and their mapping; MapCache, the cache attribute on the wire
vring          split virtqueues in guest memory: descriptors, the available and the used ring
dmabuf         the ioctls of linux/dma-buf.h, and DMA_BUF_IOCTL_INFO, proposed in 2022 and never merged
virtgpu_drm    the ioctls of Linux's drm/virtio driver (drm/virtgpu_drm.h)
vfio_user      messages of vfio-user, between a VMM and a PCI device in another process
vhost_user     messages of vhost-user, between a VMM and a device in another process
vhost_user_gpu messages of vhost-user-gpu, by which that device shows its screens in the VMM
virtio_pci     virtio on PCI: configuration header, capabilities, registers
private        numbers that real stacks use and the specification does not have
messages       message type -> structure; parse_message, type_name, OK_RESPONSE
context_stream the command stream of the emulator's own renderer: the payload of SUBMIT_3D
renderer_link  the emulator's own link between VMM and host: questions and answers
process_link   packets between the processes of one machine
errors         WireError: bytes that are no message, values that have no bytes
layout         Record, the base of every structure; to_fields: a record as plain values under the names of C
terms          le32 and the other words that layouts are written in; Records, a lazy array of structures
derive         @wire: both codecs from one annotated class
codegen        the fast one of the two
============== ====================================================================================================
"""
