"""Frames over two pipes: sizes, a JSON header, raw bytes. The parent's half is in evolver."""

from __future__ import annotations

import json
import os
import select
import struct
from typing import Any

SIZES = struct.Struct(">IQ")  # bytes of header, bytes of payload


class Wire:
    """The parent at the other end of two descriptors."""

    def __init__(self, inward: int, outward: int) -> None:
        self._in = inward
        self._out = outward

    def send(self, header: dict[str, Any], payload: bytes = b"") -> None:
        text = json.dumps(header, allow_nan=False).encode()
        self._write(SIZES.pack(len(text), len(payload)) + text)
        if payload:
            self._write(payload)

    def receive(self) -> tuple[dict[str, Any], bytes]:
        """The next frame. Raises EOFError when the parent is gone."""
        header, payload = SIZES.unpack(self._read(SIZES.size))
        return json.loads(self._read(header)), self._read(payload)

    def waiting(self) -> bool:
        """Whether the parent has something to say now."""
        return bool(select.select([self._in], [], [], 0)[0])

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._out, view) :]

    def _read(self, size: int) -> bytes:
        parts = []
        while size:
            part = os.read(self._in, min(size, 1 << 20))
            if not part:
                raise EOFError
            parts.append(part)
            size -= len(part)
        return b"".join(parts)
