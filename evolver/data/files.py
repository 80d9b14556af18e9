"""Getting at the bytes of a file, packed or not. Every fault is one line with a way out."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeVar, cast

from evolver.errors import DataError

T = TypeVar("T")

GZIP = b"\x1f\x8b"
PARQUET = b"PAR1"
_PACKED = {
    b"PK\x03\x04": "a zip archive",
    b"\xfd7zXZ": "an xz archive",
    b"BZh": "a bzip2 archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}
HEAD_BYTES = 1 << 16


def plain_name(path: Path) -> str:
    """The file's name in lower case, without .gz."""
    return path.name.lower().removesuffix(".gz")


def head(path: Path, size: int = HEAD_BYTES) -> bytes:
    """The first bytes, unpacked if they are gzip. Raises `DataError`."""
    with _opened(path) as file:
        return _guarded(path, lambda: file.read(size))


def content(path: Path) -> bytes:
    """All bytes, unpacked if they are gzip. Raises `DataError`."""
    with _opened(path) as file:
        return _guarded(path, file.read)


def is_packed(path: Path) -> bool:
    """Whether the file is gzip, whatever it is called."""
    return _guarded(path, lambda: _first_bytes(path, 2)) == GZIP


def text(path: Path, encoding: str = "utf-8") -> str:
    """The whole file as text. Raises `DataError` that names the first byte that is not."""
    data = content(path)
    refuse_binary(path, data[:HEAD_BYTES])
    try:
        return data.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        raise not_utf8(path, error.start) from None


def lines(path: Path, encoding: str = "utf-8") -> list[str]:
    """The lines of the file. Only line feeds end a line: Latin-1 has other bytes that look so."""
    return [line.rstrip("\r") for line in text(path, encoding).split("\n")]


def not_utf8(path: Path, at: int | None = None) -> DataError:
    """What to say of a file in another encoding."""
    where = "" if at is None else f" (byte {at:,})"
    return DataError(
        f"{path.name} is not UTF-8 text{where}; convert it, for example: "
        f"iconv -f LATIN1 -t UTF-8 {path.name} > utf8-{path.name}"
    )


def refuse_binary(path: Path, start: bytes) -> None:
    """Raise `DataError` for what cannot be a text table: empty, another archive, not text."""
    if not start.strip():
        raise DataError(f"{path.name} is empty; give a file with a user and an item in each row")
    for magic, kind in _PACKED.items():
        if start.startswith(magic):
            advice = "convert it to UTF-8" if "text" in kind else "unpack it"
            raise DataError(f"{path.name} is {kind}; {advice} and give the result")
    if start.lstrip()[:1] in (b"{", b"[", b"<"):
        kind = "HTML or XML" if start.lstrip().startswith(b"<") else "JSON"
        raise DataError(f"{path.name} looks like {kind}; convert it to CSV or Parquet")
    if b"\0" in start:
        raise DataError(
            f"{path.name} is binary and not Parquet; give CSV, TSV, Parquet, RecBole or list files"
        )


def _opened(path: Path) -> IO[bytes]:
    def open_it() -> IO[bytes]:
        if _first_bytes(path, 2) == GZIP:
            return cast("IO[bytes]", gzip.open(path, "rb"))
        return path.open("rb")

    return _guarded(path, open_it)


def _first_bytes(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        return file.read(size)


def _guarded(path: Path, action: Callable[[], T]) -> T:
    """The result of `action`; faults of the file as `DataError`."""
    try:
        return action()
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; check the path") from None
    except EOFError:
        raise DataError(
            f"{path.name} ends too early: the gzip file is truncated; get it again"
        ) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path.name} is a damaged gzip file ({error}); get it again") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
