"""``python -m vgpu_emu`` is ``vgpu-emu``."""

import sys

from vgpu_emu.cli import main

sys.exit(main())
