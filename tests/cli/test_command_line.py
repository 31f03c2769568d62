"""The command line as a whole: help, mistakes, exit codes, and outputs that nobody reads."""

import importlib.metadata
import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vgpu_emu.cli import app, main
from vgpu_emu.cli.style import painter, printable

CAPTURE = str(Path(__file__).parents[1] / "data" / "captures" / "2d.jsonl")
COMMANDS = [
    ["convert"],
    ["decode"],
    ["explain"],
    ["explain", "cache"],
    ["matrix"],
    ["demo", "cache"],
    ["demo", "report"],
]


def program(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "vgpu_emu", *arguments]


def test_program_without_arguments_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "vgpu-emu demo cache" in out


@pytest.mark.parametrize(
    ("arguments", "commands"),
    [
        ([], {"decode", "demo", "explain", "matrix"}),
        (["--help"], {"decode", "demo", "explain", "matrix"}),
        (["demo"], {"cache", "report"}),
        (["demo", "--help"], {"cache", "report"}),
        (["explain", "--help"], {"cache"}),
    ],
)
def test_list_of_commands_says_what_each_does(
    capsys: pytest.CaptureFixture[str], arguments: list[str], commands: set[str]
) -> None:
    assert main(arguments) == 0
    listed = dict(re.findall(r"^│ (\w+) +(.*?) +│$", capsys.readouterr().out, re.MULTILINE))
    assert commands <= set(listed)
    assert all(len(does.split()) > 3 for does in listed.values())


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_teaches_with_examples(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    assert main([*command, "--help"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.count(f"vgpu-emu {' '.join(command)} ") >= 3


def test_every_option_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        main([*command, "--help"])
        for line in capsys.readouterr().out.splitlines():
            if option := re.match(r"\W*(--[a-z]+)\s*(.*)", line):
                assert re.search(r"[A-Za-z]{3,}", option[2]), line


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == importlib.metadata.version("vgpu-emu") + "\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["decoed"], 'Did you mean "decode"?'),
        (["--colour"], "Available commands: "),
        (["\x1b[31m"], "Unknown command"),
        (["demo", "cash"], "Available commands: cache"),
        (["decode"], "requires an argument"),
        (["decode", CAPTURE, CAPTURE], "unexpected argument: "),
        (["decode", "--offset", CAPTURE], "unknown option --offset"),
        (["decode", CAPTURE, "--offset"], "--offsets"),
        (["decode", "--no-json", CAPTURE], "unknown option --no-json"),
        (["decode", "--json=maybe", CAPTURE], "into bool"),
        (["explain", "--jsno", "0x1200"], "--jsno"),
        (["demo", "cache", "--exporter", "tape"], "incoherent"),
        (["demo", "cache", "--exporter"], "requires an argument"),
    ],
)
def test_mistake_is_one_line_that_says_what_to_do(
    capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("vgpu-emu: ")
    assert says in err
    assert "--help" in err
    assert "\x1b" not in err


@pytest.mark.parametrize("arguments", [["decode", CAPTURE], ["decode", "--help"]], ids=["output", "help"])
def test_reader_that_has_seen_enough_is_no_error(arguments: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as pipe:
        done = subprocess.run(program(*arguments), stdout=pipe, stderr=subprocess.PIPE, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")


def test_full_disk_is_one_line() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(program("decode", CAPTURE), stdout=full, stderr=subprocess.PIPE, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (1, b"vgpu-emu: cannot write all of the output: no space left\n")


@pytest.mark.parametrize(
    ("arguments", "code"), [(["decode", "-"], 1), (["decode", "/nonexistent"], 2), (["nosuch"], 2)]
)
def test_complaint_that_nobody_reads_does_not_change_the_exit_code(arguments: list[str], code: int) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run(
            program(*arguments), input=b"zz\n", stdout=subprocess.PIPE, stderr=pipe, check=False, timeout=60
        )
    assert done.returncode == code


def test_stream_that_cannot_say_everything_says_it_in_escapes() -> None:
    narrow = os.environ | {"PYTHONIOENCODING": "ascii", "COLUMNS": "40"}
    done = subprocess.run(program("demo", "cache"), env=narrow, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_trouble(closed: str) -> None:
    shell = f'exec "$@" {closed}'
    command = ["/bin/sh", "-c", shell, "sh", *program("decode", CAPTURE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_closed_standard_input_is_a_mistake() -> None:
    command = ["/bin/sh", "-c", 'exec "$@" <&-', "sh", *program("decode", "-")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "standard input is closed" in done.stderr


def test_complaints_never_get_among_the_data(tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_text("zz\n")
    command = ["/bin/sh", "-c", 'exec "$@" 2>&-', "sh", *program("decode", "--json", str(bad))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout.count("\n")) == (1, 1)


def test_interrupt_ends_with_130_and_no_traceback(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    pipe = subprocess.PIPE
    # opening the fifo waits until the command has opened its end
    with subprocess.Popen(program("decode", str(fifo)), stdout=pipe, stderr=pipe) as process, fifo.open("wb"):
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, b"", b"")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("variables", "colour"),
    [({}, True), ({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_colour_is_for_terminals_that_want_it(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], colour: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert (painter(Terminal())("red", "text") != "text") == colour
    assert painter(io.StringIO())("red", "text") == "text"
    assert painter(None)("red", "text") == "text"


@pytest.mark.parametrize(
    ("text", "shown"),
    [("plain text~", "plain text~"), ("\x1b[2J", "\\x1b[2J"), ("a\nb", "a\\nb"), ("\u20ac\udcff", "\\u20ac\\udcff")],
)
def test_foreign_text_is_printed_in_visible_ascii(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_our_own_bug_is_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise OSError(5, "our own bug")

    app.command(broken, name="broken")
    try:
        with pytest.raises(OSError, match="our own bug"):
            main(["broken"])
    finally:
        del app["broken"]
