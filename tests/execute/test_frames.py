"""Frames from a worker are read with suspicion."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolver.execute.frames import MOST_HEADER, SIZES, BadFrame, Decoder, encode


@given(
    st.lists(st.tuples(st.dictionaries(st.text(), st.integers()), st.binary()), max_size=4),
    st.integers(1, 50),
)
def test_frames_survive_any_cutting(frames: list[tuple[dict[str, int], bytes]], step: int) -> None:
    stream = b"".join(encode(header, payload) for header, payload in frames)
    decoder, found = Decoder(), []
    for start in range(0, len(stream), step):
        decoder.feed(stream[start : start + step])
        while frame := decoder.next(1 << 20):
            found.append((dict(frame.header), frame.payload))
    assert found == frames


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (SIZES.pack(2, 101), "101 bytes where 100"),
        (SIZES.pack(2, 2**64 - 1), "where 100"),
        (SIZES.pack(MOST_HEADER + 1, 0), "header of 65537"),
        (SIZES.pack(4, 0) + b"[1] ", "not a JSON object"),
        (SIZES.pack(3, 0) + b"\xff\xfe\x00", "not JSON"),
        (SIZES.pack(9, 0) + b'{"a":NaN}', "NaN"),
        (SIZES.pack(60_000, 0) + b"[" * 60_000, "not JSON"),
    ],
)
def test_what_is_not_a_frame_is_refused(data: bytes, words: str) -> None:
    decoder = Decoder()
    decoder.feed(data)
    with pytest.raises(BadFrame, match=words):
        decoder.next(100)


def test_a_frame_is_refused_before_its_bytes_come() -> None:
    decoder = Decoder()
    decoder.feed(SIZES.pack(10, 1 << 40))
    with pytest.raises(BadFrame):
        decoder.next(1 << 20)


def test_headers_are_plain_json() -> None:
    frame = encode({"type": "stop"})
    assert json.loads(frame[SIZES.size :]) == {"type": "stop"}
