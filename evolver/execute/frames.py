"""Frames from a worker, read with suspicion: sizes, a JSON header, raw bytes; never pickle.

A frame is 4 bytes (size of the header) and 8 bytes (size of the payload), both big-endian, then
the header, a JSON object, then the payload. What a frame may weigh is decided by whoever waits
for it, before its bytes are taken in.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SIZES = struct.Struct(">IQ")
MOST_HEADER = 64 << 10


class BadFrame(Exception):  # noqa: N818 - a candidate's doing, turned into a Failed
    """What came over the pipe is not a frame that was asked for."""


@dataclass(frozen=True, slots=True)
class Frame:
    header: Mapping[str, Any]
    payload: bytes

    @property
    def kind(self) -> str:
        return str(self.header.get("type", ""))


def encode(header: Mapping[str, Any], payload: bytes = b"") -> bytes:
    """One frame as bytes."""
    text = json.dumps(header, allow_nan=False).encode()
    return SIZES.pack(len(text), len(payload)) + text + payload


class Decoder:
    """Bytes in, frames out; holds no more than was sent and never more than was allowed."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> None:
        self._bytes += data

    def next(self, most_payload: int) -> Frame | None:
        """The next whole frame, or None while bytes are missing. Raises BadFrame."""
        if len(self._bytes) < SIZES.size:
            return None
        header_size, payload_size = SIZES.unpack_from(self._bytes)
        if header_size > MOST_HEADER:
            raise BadFrame(f"a reply with a header of {header_size} bytes")
        if payload_size > most_payload:
            raise BadFrame(f"a reply of {payload_size} bytes where {most_payload} are allowed")
        start = SIZES.size + header_size
        end = start + payload_size
        if len(self._bytes) < end:
            return None
        header = parse_header(bytes(self._bytes[SIZES.size : start]))
        payload = bytes(self._bytes[start:end])
        del self._bytes[:end]
        return Frame(header, payload)


def parse_header(text: bytes) -> dict[str, Any]:
    """A JSON object of finite numbers. Raises BadFrame."""
    try:
        header = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BadFrame(f"a reply that is not JSON: {error}") from None
    if not isinstance(header, dict):
        raise BadFrame("a reply that is not a JSON object")
    return header


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is not a number")
