"""Which call a guest program makes next: one of its subject, that works on something that there is."""

from random import Random

from vgpu_emu.fuzz.actions import Call
from vgpu_emu.fuzz.calls import CALLS, NEEDS, NUMBERS
from vgpu_emu.fuzz.guest import Guest

#: subjects: what is done with each other, with weights
_THEMES: tuple[tuple[str, ...], ...] = (
    ("blob", "blob", "mmap", "mmap", "map_again", "share", "store", "load", "munmap", "close_handle"),
    ("blob", "blob", "mmap", "mmap", "map_again", "share", "store", "load", "munmap", "close_handle"),
    ("guest_blob", "dumb", "press", "mmap", "map_again", "store", "load", "export", "attach", "close_handle"),
    ("image", "image", "transfer", "transfer", "transfer", "press", "mmap", "store", "load", "close_handle"),
    ("screen", "screen", "screen", "crtc", "crtc", "flip", "flip", "dirty", "dirty", "remove_framebuffer"),
    ("screen", "crtc", "cursor", "cursor", "move", "move", "remove_framebuffer", "close_handle", "hotplug"),
    ("blob", "guest_blob", "foreign", "framebuffer", "framebuffer", "crtc", "flip", "dirty", "cursor", "close_handle"),
    ("export", "take", "share", "close_dma_buf", "uuid", "uuid", "attach", "image", "blob", "close_handle"),
    ("foreign", "foreign", "move_foreign", "framebuffer", "crtc", "cursor", "export", "close_handle"),
    ("probe", "hotplug", "hotplug", "capset", "capset", "context_init", "open", "close_file"),
    (*("blob",) * 6, *("close_handle",) * 4, "mmap"),
    ("context_init", "context_init", "blob", *("execbuffer",) * 6, "wait", "wait", "event"),
    ("context_init", "context_init", "execbuffer", "execbuffer", "wait", "blob", "image", "transfer", "close_file"),
    *(("open", "context_init", "context_init", "execbuffer", "syncobj", *("submit_after",) * 5, "wait_syncobj"),) * 2,
)
#: what there is none of -> calls that make some
_MAKES: dict[str, tuple[str, ...]] = {
    "files": ("open",),
    "fresh": ("open",),
    "objects": ("blob", "guest_blob", "screen", "image", "dumb"),
    "vmas": ("mmap",),
    "framebuffers": ("screen",),
    "dma_bufs": ("export",),
    "foreign": ("foreign",),
    "shown": ("crtc",),
    "pointed": ("cursor",),
    "syncs": ("syncobj",),
    "polled": ("execbuffer",),
}
#: calls that a driver with VIRGL refuses, and one without
_REFUSED = {
    True: {"foreign", "move_foreign"},
    False: {"blob", "context_init", "execbuffer", "submit_after", "capset"},
}


class Calling:
    """The calls of one program. purpose: how often what is missing is made first. virgl: that was negotiated."""

    def __init__(self, rng: Random, purpose: float, *, virgl: bool) -> None:
        self._rng = rng
        self._purpose = purpose
        #: what the numbers of calls are below: of small ones, few things are chosen again and again
        self._most = rng.choice((64, 64, 64, 8))
        names = self._chosen()
        #: blobs that can be mapped, before anything else is done
        self._blobs = rng.choice((0,) * 8 + (2, 3, 4)) if virgl else 0
        self._names = [name for name in names if name not in _REFUSED[virgl] or rng.random() < 0.1]

    def _chosen(self) -> list[str]:
        """All, or some, as often as it comes; or those of one or two subjects, and few others."""
        rng = self._rng
        if rng.random() < 0.3:
            names = [name for name in CALLS if rng.random() < 0.7]
            return ["open", "blob", "mmap", *(name for name in names for _ in range(rng.choice((1, 1, 3))))]
        self._purpose = 0.9
        themes = rng.sample(_THEMES, rng.choice((1, 1, 2)))
        return [
            "open",
            "blob",
            "mmap",
            *(name for theme in themes for name in theme),
            *rng.sample(tuple(CALLS), rng.choice((0, 2, 3))),
        ]

    def __call__(self, guest: Guest) -> Call:
        rng = self._rng
        if self._blobs and guest.files:
            self._blobs -= 1
            return Call("blob", (0, *(int(rng.random() * most) for most in (4, 2, 3))))
        name = self._names[int(rng.random() * len(self._names))]
        if rng.random() < self._purpose:
            name = self._towards(name, guest)
        return Call(name, tuple(int(rng.random() * self._most) for _ in range(len(NUMBERS[name]))))

    def _towards(self, name: str, guest: Guest) -> str:
        """The call or, where that has nothing to work on, one that is of use on the way to it."""
        need = NEEDS.get(name)
        if need is None or getattr(guest, need):
            # without it, what is used first makes a context that has no rings
            is_early = name in {"blob", "execbuffer"} and "context_init" in self._names and guest.fresh
            return "context_init" if is_early else name
        there = [maker for maker in _MAKES[need] if maker in self._names]
        return self._towards(self._rng.choice(there or _MAKES[need][-1:]), guest)
