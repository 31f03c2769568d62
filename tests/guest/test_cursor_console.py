"""The cursor on its own queue, and the console that is there when no program has the screen (virtgpu_plane.c)."""

from guest_kit import MODES, PAGE, PLAIN, Guest, of_type
from support import Call

from vgpu_emu.guest import kms
from vgpu_emu.guest.console import Console
from vgpu_emu.guest.framebuffer import Framebuffer, add_fb
from vgpu_emu.guest.outputs import Output
from vgpu_emu.guest.probe import probe
from vgpu_wire.control import CtrlType
from vgpu_wire.device import CURSORQ
from vgpu_wire.display import CursorPos, Rect, SetScanout, UpdateCursor
from vgpu_wire.messages import parse_message
from vgpu_wire.resource import TransferToHost2D


def _guest() -> tuple[Guest, Output]:
    guest = Guest(PLAIN)
    guest.run(probe(guest.driver))
    return guest, guest.driver.outputs[0]


def _dumb(guest: Guest, width: int = 64, height: int = 48) -> Framebuffer:
    buffer = guest.run(guest.file.create_dumb(width, height))
    return add_fb(guest.file, buffer.handle, width, height, pitch=buffer.pitch)


# -- cursor


def _cursor(guest: Guest) -> list[UpdateCursor]:
    guest.sent()
    requests = [parse_message(chain.readable) for chain in guest.waiting if chain.queue == CURSORQ]
    return of_type(requests, UpdateCursor)


def test_new_cursor_is_transferred_and_waited_for_then_shown() -> None:
    guest, output = _guest()
    call = Call(kms.set_cursor(guest.driver, output, _dumb(guest, 64, 64), x=7, y=8, hot_x=1, hot_y=2))
    (transfer,) = guest.sent()
    assert transfer == TransferToHost2D(r=Rect(width=64, height=64), resource_id=2, flags=1, fence_id=1)
    assert call.wait is not None
    assert call.wait.timeout is None
    guest.answer()
    call.step()
    pos = CursorPos(x=7, y=8)
    assert _cursor(guest) == [UpdateCursor(pos=pos, resource_id=2, hot_x=1, hot_y=2)]
    assert guest.waiting[0].capacity == 0


def test_cursor_is_moved_with_all_that_was_said_before() -> None:
    guest, output = _guest()
    guest.run(kms.set_cursor(guest.driver, output, _dumb(guest, 64, 64), hot_x=1, hot_y=2))
    Call(kms.move_cursor(guest.driver, output, -3, 5))
    pos = CursorPos(x=0xFFFFFFFD, y=5)
    move = UpdateCursor(type=CtrlType.MOVE_CURSOR.value, pos=pos, resource_id=2, hot_x=1, hot_y=2)
    assert _cursor(guest) == [move]


def test_cursor_is_hidden_by_resource_0_once() -> None:
    guest, output = _guest()
    guest.run(kms.set_cursor(guest.driver, output, _dumb(guest, 64, 64), x=7, hot_x=1))
    Call(kms.set_cursor(guest.driver, output, None))
    Call(kms.set_cursor(guest.driver, output, None))
    assert _cursor(guest) == [UpdateCursor()]


def test_second_output_has_its_own_scanout_id() -> None:
    guest = Guest(PLAIN, scanouts=2)
    guest.run(probe(guest.driver))
    output = guest.driver.outputs[1]
    Call(kms.set_crtc(guest.driver, output, _dumb(guest)))
    assert {scanout.scanout_id for scanout in of_type(guest.sent(), SetScanout)} == {1}
    call = Call(kms.set_cursor(guest.driver, output, _dumb(guest, 64, 64)))
    guest.answer_all()
    call.step()
    assert _cursor(guest)[0].pos.scanout_id == 1


# -- console


def test_console_is_as_large_as_the_largest_output_and_on_each() -> None:
    guest = Guest(PLAIN, scanouts=2, memory=16 << 20)
    guest.run(probe(guest.driver))
    console = Console(guest.driver)
    guest.run(console.start())
    assert [output.mode for output in guest.driver.outputs] == [(mode.r.width, mode.r.height) for mode in MODES]
    assert console.framebuffer is not None
    assert console.framebuffer.gem.size == -(-800 * 600 * 4 // PAGE) * PAGE


def test_console_is_back_after_the_last_file_and_silent_while_a_program_has_the_screen() -> None:
    guest, output = _guest()
    console = Console(guest.driver)
    guest.run(console.start())
    framebuffer = _dumb(guest)
    guest.run(kms.set_crtc(guest.driver, output, framebuffer))
    Call(console.damage())
    assert guest.sent() == []
    guest.run(guest.file.close())
    assert output.primary.framebuffer is console.framebuffer
    assert output.mode == (640, 480)
    assert guest.driver.outputs[0].cursor.framebuffer is None


def test_console_without_a_display_does_not_start() -> None:
    guest = Guest(PLAIN, scanouts=0)
    guest.run(probe(guest.driver))
    Call(Console(guest.driver).start())
    assert guest.sent() == []
    assert guest.driver.console is None
