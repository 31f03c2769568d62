"""QEMU's monitor (docs/interop/qmp-spec): one JSON object a line, either way."""

import json
from pathlib import Path

import trio


async def screendump(qmp: Path, target: Path) -> None:
    """Have QEMU write its screen to a PPM file (QMP screendump). Raises OSError if it will not."""
    stream = await trio.open_unix_socket(str(qmp))
    async with stream:
        await _answered(stream)
        for command, arguments in (("qmp_capabilities", {}), ("screendump", {"filename": str(target)})):
            await stream.send_all(json.dumps({"execute": command, "arguments": arguments}).encode())
            answer = await _answered(stream)
            if "error" in answer:
                raise OSError(f"QEMU: {answer['error']['desc']}")


async def _answered(stream: trio.SocketStream) -> dict[str, dict[str, str]]:
    """The next message that is no event."""
    text = b""
    while True:
        text += await stream.receive_some(65536) or b'{"error": {"desc": "gone"}}\n'
        for line in text.splitlines():
            try:
                message: dict[str, dict[str, str]] = json.loads(line)
            except ValueError:
                continue
            if "event" not in message:
                return message
