"""Known data sets by name, fetched to the user's own machine and checked before use."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from evolver.config import cache_folder
from evolver.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """A zip archive: where it is, its published checksum, and the folder inside that holds data."""

    url: str
    sha256: str
    folder: str


_MOVIELENS = "https://files.grouplens.org/datasets/movielens"
CATALOGUE: Mapping[str, Remote] = {
    "ml-100k": Remote(
        url=f"{_MOVIELENS}/ml-100k.zip",
        sha256="50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
        folder="ml-100k",
    ),
    "ml-1m": Remote(
        url=f"{_MOVIELENS}/ml-1m.zip",
        sha256="a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
        folder="ml-1m",
    ),
    "ml-20m": Remote(
        url=f"{_MOVIELENS}/ml-20m.zip",
        sha256="96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3",
        folder="ml-20m",
    ),
}


def fetched(name: str, catalogue: Mapping[str, Remote] = CATALOGUE) -> Path:
    """The folder of a known data set, downloaded, checked and unpacked the first time.

    Raises `DataError` where the name is not known, nothing can be fetched, or the checksum does
    not match; nothing is kept in that case.
    """
    remote = catalogue.get(name)
    if remote is None:
        known = f"; known names: {', '.join(catalogue)}" if catalogue else ""
        raise DataError(f"{name} does not exist; give a file or a folder{known}")
    place = cache_folder() / "downloads" / name
    if not place.is_dir():
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".draft-", dir=place.parent) as draft:
            archive = Path(draft) / "archive.zip"
            _download(name, remote, archive)
            _unpack(name, archive, Path(draft) / "files")
            (Path(draft) / "files").rename(place)
    inside = place / remote.folder
    return inside if inside.is_dir() else place


def _download(name: str, remote: Remote, archive: Path) -> None:
    digest = hashlib.sha256()
    try:
        with urllib.request.urlopen(remote.url, timeout=60) as reply, archive.open("wb") as file:
            while block := reply.read(1 << 20):
                digest.update(block)
                file.write(block)
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise DataError(
            f"{name} cannot be fetched from {remote.url} ({reason}); "
            "get it yourself, unpack it and give its folder"
        ) from None
    if digest.hexdigest() != remote.sha256:
        raise DataError(
            f"{name} from {remote.url} does not have the published checksum and was not kept; "
            "get it yourself and give its folder"
        )


def _unpack(name: str, archive: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder)
    except (zipfile.BadZipFile, OSError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise DataError(f"{name} cannot be unpacked ({error}); give a path instead") from None
