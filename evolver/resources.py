"""Finds prompts/, sandbox/ and search_spaces/ in an installed wheel or in a checkout."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal


@cache
def folder(name: Literal["prompts", "sandbox", "search_spaces"]) -> Path:
    """The folder of that name. Raises FileNotFoundError when the installation is incomplete."""
    package = Path(__file__).resolve().parent
    for place in (package / "_resources" / name, package.parent / name):
        if place.is_dir():
            return place
    raise FileNotFoundError(f"evolver was installed without its {name}/ folder; install it again")


def zoo() -> Path:
    """The folder of the seed candidates."""
    return Path(__file__).resolve().parent / "zoo"
