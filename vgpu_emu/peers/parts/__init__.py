"""Real parts: QEMU, Linux and what a guest needs, from Debian's archive into a folder of the user's cache."""
