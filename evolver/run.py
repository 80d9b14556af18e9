"""One run's folder: what was asked, on which data, split how, and where everything is kept.

runs/2026-11-23-a1b2c3/
  config.json      the resolved settings
  archive.sqlite   everything tried
  views/<part>/    what candidates may read: training rows and histories, never a label
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import secrets
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evolver import __version__
from evolver.archive.store import Archive
from evolver.config import BudgetConfig, RunConfig, runs_folder
from evolver.core import Candidate, Job, Limits, PartName
from evolver.data.dataset import Dataset
from evolver.data.formats import load
from evolver.data.profile import describe, folds_of
from evolver.data.split import Fold, Split, make_fold, make_split
from evolver.data.warnings import warn
from evolver.errors import ConfigError, UsageError
from evolver.metrics.ranking import parse_metric
from evolver.tasks import retrieval

_PACKAGES = ("numpy", "scipy", "torch", "polars", "optuna", "scikit-learn", "safetensors")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What was decided from the machine when the run was made; kept, so that resuming elsewhere
    proposes the same candidates.

    seconds: for fitting and scoring one candidate. lag: how many candidates may be in flight.
    baseline_slots: the first so many tune baselines.
    """

    workers: int
    threads: int
    lag: int
    baseline_slots: int
    device: str
    seconds: float


class Run:
    """An open run. Folds are made on demand, so that `status` need not touch the data."""

    def __init__(self, folder: Path, config: RunConfig, archive: Archive) -> None:
        self.folder = folder
        self.config = config
        self.archive = archive
        self.facts: Mapping[str, Any] = archive.facts
        self.plan = Plan(**self.facts["plan"])
        self._lock = threading.Lock()
        self._data: tuple[Dataset, Split] | None = None
        self._folds: dict[PartName, Fold] = {}

    @property
    def seed(self) -> int:
        return self.config.seed

    @property
    def metric(self) -> str:
        return self.config.evaluate.metric

    @property
    def profile(self) -> Mapping[str, Any]:
        """What a proposer may know of the data."""
        return dict(self.facts["profile"])

    @property
    def limits(self) -> Limits:
        execute = self.config.execute
        return Limits(
            seconds=self.plan.seconds,
            memory_bytes=int(execute.memory_gib * (1 << 30)),
            threads=self.plan.threads,
        )

    @property
    def dataset(self) -> Dataset:
        return self._load()[0]

    @property
    def split(self) -> Split:
        return self._load()[1]

    def _load(self) -> tuple[Dataset, Split]:
        if self._data is None:
            dataset = load(self.config.data)
            if dataset.fingerprint != self.facts["dataset"]["fingerprint"]:
                raise ConfigError(
                    f"the data at {self.config.data.path} changed since the run began "
                    f"({self.facts['dataset']['fingerprint']} then, {dataset.fingerprint} now); "
                    "start a new run"
                )
            self._data = dataset, make_split(dataset, self.config.split, self.seed)
        return self._data

    def fold(self, part: PartName) -> Fold:
        """The judging on one part. Made once."""
        with self._lock:
            if part not in self._folds:
                dataset, split = self._load()
                self._folds[part] = make_fold(dataset, split, part, self.config.split.repeats)
            return self._folds[part]

    def discard(self) -> None:
        """Remove a run that never began: our own files, and the folder if nothing else is in it."""
        self.archive.close()
        shutil.rmtree(self.folder / "views", ignore_errors=True)
        for name in ("config.json", "run.lock", *(p.name for p in self.folder.glob("archive.*"))):
            (self.folder / name).unlink(missing_ok=True)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()

    def view(self, part: PartName) -> Path:
        """The folder that candidates read when they are judged on `part`. Written once."""
        place = (self.folder / "views" / part).resolve()
        fold = self.fold(part)
        with self._lock:
            if not place.exists():
                place.parent.mkdir(exist_ok=True)
                retrieval.write_view(fold, place)
        return place

    def job(
        self,
        candidate: Candidate,
        part: PartName,
        *,
        served: NDArray[np.int64] | None,
        seed: int | None = None,
        want_weights: bool = False,
    ) -> Job:
        """One candidate to be judged on one part."""
        fold = self.fold(part)
        return Job(
            candidate=candidate,
            view=self.view(part),
            queries=len(fold.queries),
            items=fold.train.n_items,
            k=retrieval.list_length(self.config.evaluate),
            seed=self.seed if seed is None else seed,
            limits=self.limits,
            served=served,
            device=self.plan.device,
            want_weights=want_weights,
        )


def create(config: RunConfig, place: Path | None = None) -> Run:
    """A new run in a new folder. The data is read and split first, so bad input leaves nothing."""
    for name in (config.evaluate.metric, *config.evaluate.also):
        parse_metric(name)
    dataset = load(config.data)
    split = make_split(dataset, config.split, config.seed)
    folds = folds_of(dataset, split, config.split.repeats)
    known = describe(dataset, split, folds)
    folder = place or runs_folder() / f"{time.strftime('%Y-%m-%d')}-{secrets.token_hex(3)}"
    if (folder / "archive.sqlite").exists():
        raise ConfigError(
            f"{folder} already holds a run; `evolver resume {folder}` or choose another folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    facts = {
        "config": config.model_dump(mode="json"),
        "plan": asdict(_plan(config, len(dataset))),
        "dataset": {"name": dataset.name, "fingerprint": dataset.fingerprint},
        "split": {"kind": split.kind, "fingerprint": _fingerprint(split)},
        "profile": known,
        "warnings": warn(dataset, split, folds, known, now=time.time()),
        "versions": _versions(),
    }
    (folder / "config.json").write_text(json.dumps(facts["config"], indent=2) + "\n")
    archive = Archive.create(_url(folder), facts, config.evaluate.metric)
    run = Run(folder, config, archive)
    run._data = dataset, split
    run._folds = dict(folds)
    return run


def reopen(folder: Path) -> Run:
    """An existing run, by its folder or by its name under the runs folder."""
    place = folder if (folder / "archive.sqlite").exists() else runs_folder() / folder
    if not (place / "archive.sqlite").exists():
        known = sorted(p.parent.name for p in runs_folder().glob("*/archive.sqlite"))
        hint = f"known runs: {', '.join(known[-5:])}" if known else "no runs here yet"
        raise UsageError(f"there is no run at {folder}; {hint}")
    archive = Archive.open(_url(place))
    config = RunConfig.model_validate(archive.facts["config"])
    budget = archive.budget()
    if budget is not None:  # the limits of the latest sitting
        config = config.model_copy(update={"budget": BudgetConfig.model_validate(budget)})
    return Run(place, config, archive)


def latest() -> Path:
    """The run that was worked on last."""
    found = sorted(runs_folder().glob("*/archive.sqlite"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise UsageError(f"no runs under {runs_folder()}; start one with `evolver evolve`")
    return found[-1].parent


def _fingerprint(split: Split) -> str:
    return hashlib.sha256(split.kind.encode() + split.assignment.tobytes()).hexdigest()[:16]


def _url(folder: Path) -> str:
    return f"sqlite:///{(folder / 'archive.sqlite').resolve()}"


def _plan(config: RunConfig, rows: int) -> Plan:
    cores = len(os.sched_getaffinity(0))
    workers = config.execute.workers or max(1, min(cores, 8))
    threads = config.execute.threads or max(1, cores // workers)
    candidates = config.budget.candidates
    slots = max(1, min(candidates - 1, round(candidates * config.baseline_share)))
    asks = bool(config.propose.models) or config.propose.proposer in {"llm", "hybrid", "mailbox"}
    return Plan(
        workers=workers,
        threads=threads,
        lag=(config.propose.ahead if asks else 2) * workers if asks or workers > 1 else 1,
        baseline_slots=slots,
        device=_device(config.execute.device),
        seconds=config.execute.seconds or candidate_seconds(rows, config.budget.seconds),
    )


def candidate_seconds(rows: int, limit: float | None) -> float:
    """How long one candidate may take on this many interactions, where nobody said.

    Two minutes, and a second more for every 5,000 interactions beyond 100,000, an hour at most; of
    a run with a time limit no more than a sixth of it, but half a minute at least.
    """
    wanted = min(3600.0, 120.0 + max(0, rows - 100_000) // 5_000)
    return wanted if limit is None else min(wanted, max(30.0, limit / 6))


def _device(wanted: str) -> str:
    if wanted != "auto":
        return wanted
    return "cuda:0" if Path("/proc/driver/nvidia/version").exists() else "cpu"


def _versions() -> dict[str, str]:
    found = {"evolver": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        found[name] = metadata.version(name)
    found["platform"] = platform.platform()
    found["git"] = _revision()
    return found


def _revision() -> str:
    """The revision of the checkout that evolver runs from, "+dirty" if changed; "" for a wheel."""
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return ""

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+dirty" if git("status", "--porcelain") else "")
    except FileNotFoundError:  # a checkout on a machine without git
        return ""
