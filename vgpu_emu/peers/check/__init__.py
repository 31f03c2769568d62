"""The proof: a real Linux in a real QEMU on our device, and what both say beside what was expected."""
