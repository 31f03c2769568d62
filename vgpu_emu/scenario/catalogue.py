"""Every step there is."""

from vgpu_emu.scenario.steps_blob import Alloc, Close, CreateBlob, Free, Mmap, Munmap, Read, Write

AnyStep = Alloc | Free | CreateBlob | Mmap | Munmap | Read | Write | Close
