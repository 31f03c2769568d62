"""vhost-user (QEMU 11.1, docs/interop/vhost-user): a device in a process of its own, behind a VMM's virtqueues."""
