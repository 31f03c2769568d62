"""``python -m peers``: get real parts, and have them judge this emulator."""

from cyclopts import App

app = App(
    name="python -m peers",
    help="A real Linux in a real QEMU, as the judge of this emulator. Start with: python -m peers get",
    suppress_keyboard_interrupt=False,
)
app.command("vgpu_emu.cli.peers_get:get", name="get")
app.command("vgpu_emu.cli.peers_check:check", name="check")
app.command("vgpu_emu.cli.peers_igt:igt", name="igt")
