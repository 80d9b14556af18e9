"""Text from candidates, data and models, made safe to show: in a terminal and in Markdown.

Nothing is dropped in silence: what a terminal would act on is shown as an escape such as `\\x1b`.
"""

from __future__ import annotations

import re

# C0 without tab and newline, DEL, C1, soft hyphen, bidi marks, embeddings, overrides and isolates,
# zero-width space, line and paragraph separators, invisible operators, byte order mark,
# interlinear annotation, tags, and lone surrogates, which cannot be encoded at all. The joiners
# U+200C and U+200D stay: scripts and emoji need them.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\U000e0000-\U000e007f\ud800-\udfff]"
)


def _escape(match: re.Match[str]) -> str:
    number = ord(match[0])
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def printable(text: str) -> str:
    """The text with every control, bidi and invisible character shown as an escape.

    Keeps newlines; Windows line ends become newlines and tabs four spaces. What comes back can be
    encoded as UTF-8 and moves no cursor, sets no title, colours nothing and reorders nothing.
    """
    return _UNSAFE.sub(_escape, text.replace("\r\n", "\n")).replace("\t", "    ")


def one_line(text: str, width: int | None = None) -> str:
    """`printable`, on one line, and cut to `width` characters with an ellipsis."""
    line = " ".join(printable(text).split())
    return line if width is None or len(line) <= width else line[: max(width - 1, 0)] + "…"


def encodable(text: str) -> str:
    """The text as it is but for lone surrogates, which no file format can hold: for files that
    programs read."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def code_span(text: str, width: int | None = None, *, cell: bool = False) -> str:
    """The text on one line as Markdown code: no markup, link or mention. `cell`: in a table."""
    line = one_line(text, width)
    if not line:
        return "-"
    fence = "`" * (_longest_run(line) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    span = f"{fence}{pad}{line}{pad}{fence}"
    return span.replace("|", "\\|") if cell else span


def fenced(text: str, language: str = "text") -> str:
    """The text as a Markdown code block that nothing in it can close."""
    body = printable(text).rstrip("\n")
    fence = "`" * max(3, _longest_run(body) + 1)
    return f"{fence}{language}\n{body}\n{fence}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)


def plain_markdown(text: str) -> str:
    """The text on one line as running Markdown text in which nothing is markup."""
    escaped = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]()#+!|~@])", r"\\\1", escaped)
