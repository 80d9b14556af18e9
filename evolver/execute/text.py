"""Text that a candidate wrote: bounded, and harmless to terminals, pages and prompts."""

from __future__ import annotations

import unicodedata

# Control, format (bidirectional overrides, zero width, tags), surrogate and private characters,
# and the two exotic line ends: all can hide or reorder what a person or a model reads.
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_KEPT = {"\n", "\t"}


def harmless(text: str) -> str:
    """`text` with every unseen character spelled out, as \\x1b; line ends become newlines.

    Does not quote for HTML or Markdown: who renders it does that.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(_spelled(char) for char in text)


def _spelled(char: str) -> str:
    if char in _KEPT or unicodedata.category(char) not in _UNSEEN:
        return char
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shortened(text: str, most: int) -> str:
    """The head and the tail of `text`, with a note of how many characters were cut."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters cut ...]\n{text[-half:]}"


class Capture:
    """Keeps the first and the last bytes of a stream and counts what lies between."""

    def __init__(self, keep: int = 32 << 10) -> None:
        self._keep = keep
        self._head = bytearray()
        self._tail = bytearray()
        self.total = 0

    def feed(self, data: bytes) -> None:
        self.total += len(data)
        room = self._keep - len(self._head)
        self._head += data[:room]
        self._tail += data[max(room, 0) :]
        if len(self._tail) > 4 * self._keep:
            del self._tail[: -self._keep]

    def text(self) -> str:
        tail = self._tail[-self._keep :]
        cut = self.total - len(self._head) - len(tail)
        if not cut:  # a character may lie across the two
            return harmless(_decoded(self._head + tail))
        note = f"\n[... {cut} bytes cut ...]\n"
        return harmless(_decoded(self._head) + note + _decoded(tail))


def _decoded(data: bytes | bytearray) -> str:
    return data.decode("utf-8", errors="backslashreplace")
