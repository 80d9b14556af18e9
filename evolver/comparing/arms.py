"""The arms of a comparison: who proposes, and with what left out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from evolver import assemble
from evolver.config import Feature, ProposeConfig
from evolver.core import Candidate, Unusable
from evolver.errors import UsageError
from evolver.propose.baselines import PROPOSER as BASELINE
from evolver.propose.survivors import PROPOSER as SURVIVORS
from evolver.tune.registry import TUNERS

ASKS = ("llm", "hybrid")
"""Arms that ask a language model."""
NO_ARCHIVE = "no-archive"
_FEATURES: tuple[Feature, ...] = get_args(Feature)
_OFF = re.compile(r"-([a-z]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way to search. `label` is how it was asked for, in one spelling; `model` says whether a
    language model has a part in it."""

    label: str
    kind: str
    archive: bool = True
    without: tuple[Feature, ...] = ()
    record: str | None = None
    model: bool = False

    @property
    def folder(self) -> str:
        """Its name in the file system."""
        label = self.label if self.record is None else f"replay.{Path(self.record).stem}"
        return re.sub(r"[^A-Za-z0-9._-]+", ".", label)

    def config(self, base: ProposeConfig, record: Path | None = None) -> ProposeConfig:
        """The settings of this arm's runs; all else is as in `base`, the same for every arm."""
        asks = self.kind in ASKS
        return base.model_copy(
            update={
                "proposer": self.kind,
                "models": base.models if asks else (),
                "reviewer": base.reviewer if asks else None,
                "archive": self.archive,
                "without": self.without,
                "replay": None if record is None else str(record),
            }
        )


def parse_arms(texts: Sequence[str]) -> tuple[Arm, ...]:
    """Arms from words such as "tpe", "llm:no-archive", "llm:-lessons-crossover", "replay=RECORD".

    Raises UsageError that names the word, what is wrong with it and what there is.
    """
    arms = tuple(parse_arm(text.strip()) for text in texts if text.strip())
    if not arms:
        raise UsageError(f"no arm to compare; there are {_known()}")
    for what in ("label", "folder"):
        names = [getattr(arm, what) for arm in arms]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UsageError(f"arms must differ; {', '.join(twice)} was named more than once")
    return arms


def parse_arm(text: str) -> Arm:
    """One arm; see `parse_arms`."""
    if text.startswith("replay="):
        place = text.removeprefix("replay=")
        return Arm(label=text, kind="replay", record=place, model=_by_model(record_of(place)))
    kind, *options = text.split(":")
    if kind == "mailbox":
        raise UsageError(
            "arm 'mailbox' would need somebody to answer for every seed; record a run that was "
            "answered and compare with that: replay=RUN or replay=RECORD.jsonl"
        )
    if kind == "replay":
        raise UsageError("arm 'replay' needs a record: replay=RUN or replay=RECORD.jsonl")
    if kind not in (*TUNERS, *ASKS, BASELINE):
        raise UsageError(f"no arm is called {kind!r}; there are {_known()}")
    if options and kind not in ASKS:
        raise UsageError(f"arm {text!r}: only {' and '.join(ASKS)} have parts to leave out")
    archive, without = True, set[Feature]()
    for option in options:
        if option == NO_ARCHIVE and kind == "llm":
            archive = False
        else:
            without |= set(_features(text, option))
    if not archive and without:
        raise UsageError(f"arm {text!r}: without an archive there is nothing else to leave out")
    off = tuple(name for name in _FEATURES if name in without)
    label = kind + (f":{NO_ARCHIVE}" if not archive else "")
    label += ":" + "".join(f"-{name}" for name in off) if off else ""
    return Arm(label=label, kind=kind, archive=archive, without=off, model=kind in ASKS)


def record_of(place: str) -> Mapping[int, Candidate | Unusable]:
    """What a record says was proposed by its search, in order and numbered from 0.

    Trials of baselines are left out, since all arms share the same ones here, and those of
    survivors, since searches alone are compared.
    """
    found = assemble.record_of(place)
    searched = [
        found[number]
        for number in sorted(found)
        if _asked(found[number]).proposer not in (BASELINE, SURVIVORS)
    ]
    return dict(enumerate(searched))


def _asked(found: Candidate | Unusable) -> Candidate:
    return found.asked if isinstance(found, Unusable) else found


def _by_model(record: Mapping[int, Candidate | Unusable]) -> bool:
    """Whether a language model, or whoever answers in its place, wrote any of it."""
    return any(_asked(found).direction for found in record.values())


def _features(text: str, option: str) -> Iterator[Feature]:
    named = _OFF.findall(option)
    known = [name for name in _FEATURES if name in named]
    if "".join(f"-{name}" for name in named) != option or len(known) != len(named) or not named:
        extra = f"{NO_ARCHIVE}, " if text.startswith("llm") else ""
        raise UsageError(
            f"arm {text!r}: {option!r} is no option; there are {extra}"
            + ", ".join(f"-{name}" for name in _FEATURES)
        )
    yield from known


def _known() -> str:
    return (
        f"{', '.join(TUNERS)}, {BASELINE} (the baselines tuned on), {', '.join(ASKS)}, "
        f"llm:{NO_ARCHIVE}, llm:-lessons-diagnostics-directions-crossover, replay=RECORD"
    )
