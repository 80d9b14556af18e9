"""What a comparison was asked to do, kept in its folder so that it can go on after any stop."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evolver.comparing.arms import Arm, parse_arms
from evolver.config import ProposeConfig, RunConfig
from evolver.errors import ConfigError, UsageError

FILE = "compare.json"
EVERY = "all"
"""As a reference: compare every arm with every other one."""
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """The same data, budget, limits and seeds for all arms.

    config: of every run but for its seed and who proposes. reference: an arm's label, or "all".
    asked: when arms and seeds were named, oldest first; more than one says that the comparison
    grew, perhaps after a look at its result.
    """

    config: RunConfig
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    reference: str
    asked: tuple[Mapping[str, Any], ...] = ()

    def arm(self, label: str) -> Arm:
        return next(arm for arm in self.arms if arm.label == label)

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Which arms are compared, (arm, other): fixed before anything is measured.

        Every arm with the reference, and every arm with a language model with every one without,
        because only that can say whether the model helps.
        """
        found = []
        for place, arm in enumerate(self.arms):
            for other in self.arms[:place]:
                first, second = (other, arm) if arm.label == self.reference else (arm, other)
                if other.model and not arm.model and self.reference != other.label:
                    first, second = other, arm
                both = {arm.label, other.label}
                if self.reference in both or self.reference == EVERY or arm.model != other.model:
                    found.append((first.label, second.label))
        return tuple(found)


def make_spec(config: RunConfig, arms: Sequence[str], seeds: int, reference: str | None) -> Spec:
    """A checked comparison. Raises UsageError in one line for each fault."""
    parsed = parse_arms(arms)
    if len(parsed) < 2:
        raise UsageError("a comparison needs at least two arms, such as --arms random,tpe")
    if config.propose != plain(config.propose):
        raise ConfigError(
            "the settings say who proposes (proposer, without, archive or replay); in a comparison "
            "that is what --arms is for"
        )
    asking = [arm.label for arm in parsed if arm.kind in ("llm", "hybrid")]
    if asking and not config.propose.models:
        raise ConfigError(f"arm {asking[0]} needs a model: --model provider/name")
    labels = [arm.label for arm in parsed]
    chosen = reference or ("random" if "random" in labels else labels[0])
    if chosen not in (*labels, EVERY):
        raise UsageError(
            f"the reference {chosen!r} is none of the arms {', '.join(labels)}; name one, or 'all'"
        )
    if seeds < 1:
        raise UsageError(f"a comparison needs at least one seed, not {seeds}")
    numbers = tuple(range(config.seed, config.seed + seeds))
    return _noted(Spec(config=config, arms=parsed, seeds=numbers, reference=chosen))


def read_spec(folder: Path) -> Spec | None:
    """The comparison that a folder holds; None where it holds none."""
    place = folder / FILE
    if not place.exists():
        return None
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
        if found["version"] != _VERSION:
            raise ConfigError(
                f"{place} is of version {found['version']}, this evolver reads {_VERSION}; open it "
                "with the evolver that wrote it"
            )
        return Spec(
            config=RunConfig.model_validate(found["config"]),
            arms=tuple(_arm(row) for row in found["arms"]),
            seeds=tuple(found["seeds"]),
            reference=found["reference"],
            asked=tuple(found["asked"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{place} is not a comparison that can be read: {error}") from None


def write_spec(folder: Path, spec: Spec) -> None:
    """Keep the comparison in its folder; whole or not at all."""
    rows = [{f: getattr(arm, f) for f in Arm.__slots__} for arm in spec.arms]
    write_json(
        folder / FILE,
        {
            "version": _VERSION,
            "config": spec.config.model_dump(mode="json"),
            "arms": rows,
            "seeds": list(spec.seeds),
            "reference": spec.reference,
            "asked": list(spec.asked),
        },
    )


def write_json(place: Path, value: Any) -> None:
    """Write a file that is never seen half-written."""
    draft = place.with_name(f".{place.name}.draft")
    with draft.open("w", encoding="utf-8") as file:
        file.write(json.dumps(value, indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(place)


def grown(old: Spec, new: Spec, folder: Path) -> Spec:
    """`old` with the arms and seeds that `new` adds. Anything else that differs is refused."""
    there, asked = old.config.model_dump(mode="json"), new.config.model_dump(mode="json")
    differing = sorted(_differing(there, asked, ""))
    if old.reference != new.reference:
        differing.append("reference")
    lost = [arm.label for arm in old.arms if arm.label not in {a.label for a in new.arms}]
    if lost or set(old.seeds) - set(new.seeds):
        differing.append("arms" if lost else "seeds")
    if differing:
        raise ConfigError(
            f"{folder} holds a comparison that differs in {', '.join(differing)}; leave these as "
            "they were (arms and seeds may be added), or choose another folder"
        )
    known = {arm.label for arm in old.arms}
    arms = (*old.arms, *(arm for arm in new.arms if arm.label not in known))
    if arms == old.arms and set(old.seeds) == set(new.seeds):
        return old
    return _noted(replace(old, arms=arms, seeds=tuple(sorted({*old.seeds, *new.seeds}))))


def plain(config: ProposeConfig) -> ProposeConfig:
    """Settings for an arm to build on: without what only one arm may decide."""
    return config.model_copy(
        update={"proposer": "auto", "without": (), "archive": True, "replay": None}
    )


def _noted(spec: Spec) -> Spec:
    note = {
        "when": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "arms": [arm.label for arm in spec.arms],
        "seeds": list(spec.seeds),
    }
    return replace(spec, asked=(*spec.asked, note))


def _arm(row: Mapping[str, Any]) -> Arm:
    return Arm(**{**row, "without": tuple(row["without"])})


def _differing(old: Any, new: Any, name: str) -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted({*old, *new})
        inside = (_differing(old.get(k), new.get(k), f"{name}.{k}" if name else k) for k in keys)
        return [found for each in inside for found in each]
    return [] if old == new else [name]
