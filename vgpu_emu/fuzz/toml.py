"""Values as TOML: what a scenario file needs of it."""

import json
from collections.abc import Mapping
from typing import Any


def toml_value(value: Any) -> str:
    """Numbers from a page on in hex; tables inline. Raises TypeError for what TOML, or a scenario, does not have."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:#x}" if value >= 0x1000 else str(value)
    if isinstance(value, float):
        return repr(value) if "e" not in repr(value) else f"{value:.9f}".rstrip("0")
    if isinstance(value, str):
        # of what JSON escapes, TOML has all but surrogates and DEL
        return json.dumps(value, ensure_ascii=True).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_key(name)} = {toml_value(each)}" for name, each in value.items())
        return f"{{ {inside} }}"
    raise TypeError(f"{type(value).__name__} is nothing that TOML has")


def _key(name: str) -> str:
    return f'"{name}"' if "." in name else name


def toml_table(header: str, values: Mapping[str, Any]) -> str:
    lines = [f"{_key(name)} = {toml_value(value)}" for name, value in values.items()]
    return "\n".join([header, *lines] if header else lines) + "\n"
