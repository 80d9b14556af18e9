"""A package on disk, read without importing anything of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from evolver.core import Candidate
from evolver.errors import UsageError
from evolver.export.contents import CANDIDATE
from evolver.export.names import MARKER


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What a package says about itself. facts: what its own code knows at run time."""

    folder: Path
    name: str
    candidate: Candidate
    facts: dict[str, Any]

    @property
    def task(self) -> Literal["retrieval", "ranking", "pipeline"]:
        """What its candidate does: only recommenders say whether items may be repeated."""
        if "pipeline" in self.facts:
            return "pipeline"
        return "retrieval" if "repeats" in self.facts else "ranking"


def read_package(folder: Path) -> Exported:
    """What an exported folder says about itself. Raises UsageError where it is none of ours."""
    try:
        marker = json.loads((folder / MARKER).read_text("utf-8"))
        name = str(marker["name"])
        data = folder / name / "data"
        stored = json.loads((data / CANDIDATE).read_text("utf-8"))
        facts = json.loads((data / "facts.json").read_text("utf-8"))
        candidate = Candidate.of(stored)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{folder} is not a package that `evolver export` wrote ({error}); give its folder"
        ) from None
    return Exported(folder=folder, name=name, candidate=candidate, facts=facts)
