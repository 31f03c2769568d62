"""The guest: Linux's drm/virtio driver (drivers/gpu/drm/virtio), as of Linux 7.2.

======================= =============================================================================================
driver, waiting         command queues and callbacks; calls as generators, waits, workers
probe, outputs          what the device has: features, capsets, displays; hot-plug, unbind
open_file, file         an open file: handles, context, events; its ioctls by name
ioctls*, submit         the ioctls of virtgpu_drm.h
gem, shmem, vram        objects: in guest memory, in the host visible region
imported, prime         another driver's dma-bufs, dma-bufs of one's own, UUIDs
fences, syncobj         fences of the device, and what programs wait with
framebuffer, kms        mode setting: framebuffers, commits, cursor
console                 the kernel's own screen
pages, drm_mm, ida, vma pages of guest memory, places in the region, numbers, mappings
transport               what a virtio transport gives beside the queues
======================= =============================================================================================
"""
