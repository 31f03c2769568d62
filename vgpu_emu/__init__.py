"""vgpu-emu."""
