"""The guest: Linux's drm/virtio driver (drivers/gpu/drm/virtio), as far as wire and mappings go."""
