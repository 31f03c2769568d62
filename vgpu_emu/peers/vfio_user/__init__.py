"""vfio-user: a PCI device in a process of its own, for an unmodified QEMU (QEMU 11.1, docs/interop/vfio-user)."""
