"""Durations as people write them."""

from __future__ import annotations

import re

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SHAPE = re.compile(r"(?:\d+(?:\.\d+)?[smhd])+|\d+(?:\.\d+)?", re.ASCII)


def is_duration(text: str) -> bool:
    """Whether the text is a duration such as 90s, 10m, 1h30m or 600 (seconds)."""
    return _SHAPE.fullmatch(text) is not None


def seconds(text: str) -> float:
    """The duration in seconds. Raises ValueError when it is none."""
    if not is_duration(text):
        raise ValueError(f"{text!r} is not a duration; write 90s, 10m, 1h30m or 600")
    if text[-1] not in _UNITS:
        return float(text)
    return sum(float(n) * _UNITS[unit] for n, unit in re.findall(r"([\d.]+)([smhd])", text))


def duration(value: float) -> str:
    """Seconds as 42 s, 3 min 05 s or 2 h 10 min."""
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
