"""``python -m peers COMMAND``, from a checkout: real programs beside ours. The code is in vgpu_emu/peers."""

import sys

from vgpu_emu.cli import run_commands
from vgpu_emu.cli.peers import app

sys.exit(run_commands(app))
