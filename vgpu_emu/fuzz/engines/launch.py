"""A target as a libFuzzer program: what the files in fuzz/ do with it.

Nothing of ours that is to be covered is imported here, so that it can be instrumented while it is imported.
"""

import shlex
import signal
import sys
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from vgpu_emu.fuzz.engines.target import Target

#: what is instrumented
PACKAGES = ("vgpu_emu", "vgpu_wire")
_NEEDS = "this needs atheris, which is there for Linux and macOS: pip install 'vgpu-emu[fuzz]'"


def engine() -> Any:
    """The module atheris; one line says where to get it if it is not there, and the process ends with 2."""
    try:
        import atheris
    except ImportError:
        print(f"{sys.argv[0]}: {_NEEDS}", file=sys.stderr)
        raise SystemExit(2) from None
    return atheris


def fuzz(target: "Target") -> NoReturn:
    """Do what the command line says, as every libFuzzer program does; exit 77 with a finding."""
    atheris = engine()
    instrument_codecs(atheris)
    sys.argv[0] = _again()
    # to Python's own handler Ctrl-C is an exception, which trio puts into a group and the engine takes for a finding
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    mutators = {"custom_mutator": target.mutate, "custom_crossover": target.cross}
    atheris.Setup(sys.argv, target.run, **{name: value for name, value in mutators.items() if value is not None})
    atheris.Fuzz()
    raise SystemExit(0)


def _again() -> str:
    """How a shell starts this program again, as -merge, -fork, -jobs and -minimize_crash do with argv[0]."""
    if getattr(sys, "frozen", False):
        return sys.argv[0]
    return f"{shlex.quote(sys.executable)} {shlex.quote(sys.argv[0])}"


def instrument_codecs(atheris: Any) -> None:
    """The functions that are written at run time: no import, so nothing has instrumented them."""
    from vgpu_wire.layout import Record

    waiting = [Record]
    while waiting:
        cls = waiting.pop()
        waiting += cls.__subclasses__()
        if "layout" in cls.__dict__:
            for function in (cls.parse, cls.build):
                atheris.instrument_func(function)
