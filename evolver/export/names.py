"""Which names an exported package may have, and where it may be written."""

from __future__ import annotations

import importlib.metadata
import keyword
import re
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from evolver.errors import UsageError

MARKER = "evolver-export.json"
"""Lies in every exported folder, so that only our own work is ever overwritten."""
KEYWORD = "evolver-export"
"""In the metadata of every exported package: it may be exported again under its name."""
_NEEDED = {"numpy", "scipy", "torch", "safetensors", "scikit-learn", "sklearn", "evolver"}
_RESERVED = {"tests", "test", "build", "dist", "data", "src", "setup", "conftest"}


def check_name(name: str) -> None:
    """Raise UsageError unless the name can be a Python package and a distribution of its own."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*[A-Za-z0-9]", name) or keyword.iskeyword(name):
        raise UsageError(
            f"--name {name!r} is not a usable package name: letters, digits and underscores, "
            "a letter first, no underscore last, for example my_recommender"
        )
    if name in sys.stdlib_module_names:
        raise UsageError(f"--name {name} is a module of Python's own; choose another name")
    plain = _normal(name)
    if plain in {_normal(taken) for taken in _NEEDED | _RESERVED}:
        raise UsageError(f"--name {name} would hide something the package needs; choose another")
    owner = _owner(name)
    if owner is not None:
        raise UsageError(
            f"--name {name} is already the name of an installed package ({owner}); choose another"
        )


def check_destination(destination: Path, *, overwrite: bool) -> None:
    """Raise UsageError unless the folder is absent, empty, or ours and may be overwritten."""
    if not destination.exists() and not destination.is_symlink():
        return
    if not destination.is_dir():
        raise UsageError(f"{destination} is not a folder; name a new one with -o")
    if not any(destination.iterdir()):
        return
    if not (destination / MARKER).is_file():
        raise UsageError(f"{destination} is not empty; name a new folder with -o")
    if not overwrite:
        raise UsageError(
            f"{destination} already holds an exported package; name a new folder with -o, "
            "or give --overwrite"
        )


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _owner(name: str) -> str | None:
    """The installed distribution, other than an earlier export, that has this name or module."""
    for distribution in importlib.metadata.distributions():
        found = distribution.metadata["Name"] or ""
        ours = KEYWORD in (distribution.metadata.json.get("keywords") or "")
        if _normal(found) == _normal(name) and not ours:
            return found
    owners = _modules().get(name, [])
    return next((owner for owner in owners if _normal(owner) != _normal(name)), None)


@cache
def _modules() -> Mapping[str, list[str]]:
    """Which distributions provide each top-level module; slow to find out, so once."""
    return importlib.metadata.packages_distributions()
