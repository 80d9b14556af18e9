"""One run's folder: what was asked, on which data, split how, and where everything is kept.

runs/2026-11-23-a1b2c3/
  config.json      the resolved settings
  archive.sqlite   everything tried
  slices.npz       which users of the search part belong to which group
  views/<part>/    training data, and what is asked for; never a label of what is asked for
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
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from evolver import __version__
from evolver.archive.fork import fork as fork_archive
from evolver.archive.store import Archive
from evolver.config import BudgetConfig, RunConfig, runs_folder
from evolver.core import Candidate, Fidelity, Job, Limits, PartName, Sandbox
from evolver.data.split import Split
from evolver.errors import ArchiveError, ConfigError, LeakAlarm, UsageError
from evolver.evaluate.canaries import (
    DATA_CANARIES,
    RESULT_CANARIES,
    Alarm,
    canary_named,
    flag_of,
    unaccepted,
)
from evolver.evaluate.reduce import Reduction
from evolver.evaluate.slices import Slice, read_slices, write_slices
from evolver.execute.machine import chosen_device, cores, default_workers
from evolver.kinds import task_named
from evolver.propose import baselines, survivors
from evolver.tasks.task import AnyTask, Data

SLICES = "slices.npz"
DRAFT = ".draft"
"""The folder of an archive that is not yet a run's."""
STAGES = "stages"
"""What the agents of pipelines brought back, kept so that nothing is trained twice."""
PARTS_JUDGED: tuple[PartName, ...] = ("search", "promotion", "test")
_PACKAGES = ("numpy", "scipy", "torch", "polars", "optuna", "scikit-learn", "safetensors")
SMOKE_SECONDS = 20.0
SMOKE_ROWS = 100_000
"""From so many interactions on, trainings take longer than trying whether a program runs."""
PIPELINE_TRAININGS = 4
"""So many times what a single program gets is given to a pipeline, and to what it is compared
with."""
HALVING_ROWS = 500_000
"""From so many interactions on, a cheaper judging saves more than it costs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What was decided from the machine when the run was made; kept, so that resuming elsewhere
    proposes the same candidates.

    seconds: for fitting and scoring one candidate. lag: how many candidates may be in flight.
    candidates: how many were planned. baseline_slots: the first so many tune baselines.
    tuning_slots: the last so many tune the survivors of the search. smoke, halving: which rungs
    come before the whole training; low: what the lower fidelity keeps. finals_share: of the time
    limit, what may be kept for the finals. The defaults are those of runs that were made before
    there was such a thing.
    """

    workers: int
    threads: int
    lag: int
    baseline_slots: int
    device: str
    seconds: float
    finals_share: float = 0.0
    candidates: int = 0
    tuning_slots: int = 0
    smoke: bool = False
    halving: bool = False
    low: Reduction = field(default_factory=Reduction)

    @property
    def rungs(self) -> tuple[Fidelity, ...]:
        """What a candidate is judged on, one after the other."""
        cheap: list[Fidelity] = ["smoke"] if self.smoke else []
        return (*cheap, "low", "full") if self.halving else (*cheap, "full")

    def seconds_at(self, fidelity: Fidelity) -> float:
        """For fitting and scoring one candidate on that much data."""
        if fidelity == "smoke":
            return min(SMOKE_SECONDS, self.seconds)
        if fidelity == "low":
            return min(self.seconds, max(SMOKE_SECONDS, self.seconds * self.low.share))
        return self.seconds

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Plan:
        """The plan as it was kept."""
        return cls(**{**facts, "low": Reduction(**facts.get("low", {}))})


class Run:
    """An open run. Folds are made on demand, so that `status` need not touch the data."""

    def __init__(self, folder: Path, config: RunConfig, archive: Archive) -> None:
        self.folder = folder
        self.config = config
        self.archive = archive
        self.facts: Mapping[str, Any] = archive.facts
        self.plan = Plan.of(self.facts["plan"])
        self._lock = threading.Lock()
        self.task: AnyTask = task_named(config.task)
        self._data: tuple[Data, Split] | None = None
        self._folds: dict[tuple[PartName, Fidelity], Any] = {}

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
    def canaries(self) -> tuple[Alarm, ...]:
        """What the canaries in the data said when the run was made."""
        return tuple(Alarm(**found) for found in self.facts.get("canaries", ()))

    @property
    def limits(self) -> Limits:
        execute = self.config.execute
        return Limits(
            seconds=self.plan.seconds,
            memory_bytes=int(execute.memory_gib * (1 << 30)),
            threads=self.plan.threads,
        )

    @property
    def settled(self) -> RunConfig:
        """The settings with what was decided from the machine filled in: with the run's record as
        `replay` they repeat it, also where the machine would have decided otherwise. The data is
        named, not located."""
        plan, config = self.plan, self.config
        execute = {
            "workers": plan.workers,
            "threads": plan.threads,
            "in_flight": plan.lag,
            "seconds": plan.seconds,
        }
        cascade = {"smoke": plan.smoke, "fidelity": "halving" if plan.halving else "full"}
        propose = {"replay_baselines_on": self.facts["dataset"]["fingerprint"]}
        path = config.data.path
        name = path and Path(path).name
        return config.model_copy(
            update={
                "data": config.data.model_copy(update={"path": name}),
                "execute": config.execute.model_copy(update=execute),
                "cascade": config.cascade.model_copy(update=cascade),
                "propose": config.propose.model_copy(update=propose),
            }
        )

    @property
    def dataset(self) -> Any:
        """The data; what it is is the task's affair."""
        return self._load()[0]

    @property
    def split(self) -> Split:
        return self._load()[1]

    def _load(self) -> tuple[Data, Split]:
        if self._data is None:
            dataset = self.task.load(self.config.data)
            if dataset.fingerprint != self.facts["dataset"]["fingerprint"]:
                raise ConfigError(
                    f"the data at {self.config.data.path} changed since the run began "
                    f"({self.facts['dataset']['fingerprint']} then, {dataset.fingerprint} now); "
                    "start a new run"
                )
            self._data = dataset, self.task.split(dataset, self.config.split, self.seed)
        return self._data

    def fold(self, part: PartName, fidelity: Fidelity = "full") -> Any:
        """The judging on one part, on all of it or on less; a fold of the task. Made once."""
        with self._lock:
            return self._fold(part, fidelity)

    def _fold(self, part: PartName, fidelity: Fidelity) -> Any:
        key = part, fidelity
        if key not in self._folds:
            if fidelity == "full":
                dataset, split = self._load()
                made = self.task.fold(dataset, split, part, self.config.split)
            elif fidelity == "low":
                made = self.task.reduced(self._fold(part, "full"), self.plan.low, self.seed)
            else:
                made = self.task.sliver(self._fold(part, "full"), self.seed)
            self._folds[key] = made
        return self._folds[key]

    def fold_of(self, view: Path) -> Any:
        """The fold that a view of this run was written from."""
        part, _, fidelity = view.name.partition("-")
        return self.fold(part, fidelity or "full")  # type: ignore[arg-type]

    def staged(self, sandbox: Sandbox) -> Sandbox:
        """A sandbox for this run's candidates, over one for single programs."""
        return self.task.staged(sandbox, self.fold_of, self.folder / STAGES)

    def borrow(self, other: Run) -> None:
        """Use the data that another run on the same data and split holds in memory already."""
        if any(self.facts[what] != other.facts[what] for what in ("dataset", "split")):
            raise ConfigError(
                f"{self.folder} and {other.folder} are not on the same data and split"
            )
        self._data, self._folds = other._load(), other._folds

    @property
    def slices(self) -> tuple[Slice, ...]:
        """Groups of the users of the search part. Kept beside the archive, so that showing them
        needs no data; none where a run was made before they were kept."""
        place = self.folder / SLICES
        return read_slices(place) if place.exists() else ()

    def discard(self) -> None:
        """Remove a run that never began: our own files, and the folder if nothing else is in it."""
        self.archive.close()
        for name in ("views", STAGES, DRAFT):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        for name in (
            "config.json",
            "run.lock",
            SLICES,
            *(p.name for p in self.folder.glob("archive.*")),
        ):
            (self.folder / name).unlink(missing_ok=True)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()

    def view(self, part: PartName, fidelity: Fidelity = "full") -> Path:
        """The folder that candidates read when they are judged on `part`. Written once."""
        name = part if fidelity == "full" else f"{part}-{fidelity}"
        place = (self.folder / "views" / name).resolve()
        fold = self.fold(part, fidelity)
        with self._lock:
            if not place.exists():
                place.parent.mkdir(exist_ok=True)
                self.task.write_view(fold, place)
        return place

    def job(
        self,
        candidate: Candidate,
        part: PartName,
        *,
        served: NDArray[np.int64] | None,
        seed: int | None = None,
        want_weights: bool = False,
        want_onnx: bool = False,
        probe: NDArray[np.int64] | None = None,
        ablate: str = "",
        fidelity: Fidelity = "full",
    ) -> Job:
        """One candidate to be judged on one part, or on less of it within less time."""
        asked = self.task.question(self.fold(part, fidelity), self.config.evaluate)
        return Job(
            candidate=candidate,
            view=self.view(part, fidelity),
            queries=asked.queries,
            items=asked.items,
            k=asked.k,
            seed=self.seed if seed is None else seed,
            limits=replace(self.limits, seconds=self.plan.seconds_at(fidelity)),
            served=served,
            device=self.plan.device,
            want_weights=want_weights,
            want_onnx=want_onnx,
            probe=probe,
            ablate=ablate,
        )


def create(config: RunConfig, place: Path | None = None) -> Run:
    """A new run in a new folder. The data is read and split first, so bad input leaves nothing.

    The archive is what makes a folder a run. It is written beside and moved in last, so that who is
    killed in the middle leaves no run, and may make it there again.
    """
    task = task_named(config.task)
    task.check_metrics(config.evaluate)
    dataset = task.load(config.data)
    task.check_metrics(config.evaluate, dataset)
    split = task.split(dataset, config.split, config.seed)
    folds = {part: task.fold(dataset, split, part, config.split) for part in PARTS_JUDGED}
    known = task.describe(dataset, split, folds)
    alarms = _canaries(config, dataset.name, task.canaries(dataset, split, folds.values()))
    folder = place or runs_folder() / f"{time.strftime('%Y-%m-%d')}-{secrets.token_hex(3)}"
    if (folder / "archive.sqlite").exists():
        raise ConfigError(
            f"{folder} already holds a run; `evolver resume {folder}` or choose another folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    facts = {
        "config": config.model_dump(mode="json"),
        "plan": asdict(plan_for(config, len(dataset))),
        "dataset": {"name": dataset.name, "fingerprint": dataset.fingerprint},
        "split": {"kind": split.kind, "fingerprint": _fingerprint(split)},
        "profile": known,
        "warnings": task.warnings(dataset, split, folds, known),
        "canaries": [asdict(alarm) for alarm in alarms],
        "versions": _versions(),
    }
    (folder / "config.json").write_text(json.dumps(facts["config"], indent=2) + "\n")
    write_slices(folder / SLICES, task.slices(folds["search"]))
    draft = folder / DRAFT
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    Archive.create(_url(draft), facts, config.evaluate.metric).close()
    (draft / "archive.sqlite").rename(folder / "archive.sqlite")
    draft.rmdir()
    run = Run(folder, config, Archive.open(_url(folder)))
    run._data = dataset, split
    run._folds = {(part, "full"): fold for part, fold in folds.items()}
    return run


def fork(run: Run, config: RunConfig, folder: Path) -> None:
    """A new run that begins with all that `run` has tried, on the same plan, data and views.

    It differs in who proposes and in its budget only; its own clock and purse start at nothing.
    The views are shared, so the two folders must keep their places towards each other. The folder
    appears whole or not at all. Raises ConfigError where the settings differ in more.
    """
    free = {"propose": config.propose, "budget": config.budget}
    if run.config.model_copy(update=free) != config:
        raise ConfigError(f"a fork of {run.folder} may differ in who proposes and in budget only")
    if folder.exists():
        raise ConfigError(f"{folder} exists already; choose another folder")
    run.view("search")
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    facts = {**run.facts, "config": config.model_dump(mode="json"), "versions": _versions()}
    (draft / "config.json").write_text(json.dumps(facts["config"], indent=2) + "\n")
    shared = os.path.relpath(run.folder / "views", folder)
    (draft / "views").symlink_to(shared, target_is_directory=True)
    fork_archive(run.folder / "archive.sqlite", draft / "archive.sqlite", facts)
    draft.rename(folder)


def _canaries(config: RunConfig, data: str, alarms: tuple[Alarm, ...]) -> tuple[Alarm, ...]:
    """What the canaries in the data said. Raises `LeakAlarm` where that makes results worthless and
    nobody has accepted it."""
    accepted = config.evaluate.accept_alarms
    for name in accepted:
        if canary_named(name) is None:
            known = ", ".join(flag_of(each) for each in (*DATA_CANARIES, *RESULT_CANARIES))
            raise ConfigError(f"there is no canary {name!r} to accept; there are {known}")
    stops = unaccepted(alarms, accepted)
    if stops:
        flags = " ".join(
            f"--accept-alarm {flag_of(n)}" for n in dict.fromkeys(a.canary for a in stops)
        )
        said = "; ".join(f"{alarm.canary}: {alarm.detail}" for alarm in stops)
        raise LeakAlarm(
            f"results on {data} would mean nothing: {said}. Mend the data, or go on with "
            f"{flags}, which every report will show"
        )
    return alarms


def reopen(folder: Path) -> Run:
    """An existing run, by its folder or by its name under the runs folder."""
    place = folder if (folder / "archive.sqlite").exists() else runs_folder() / folder
    if not (place / "archive.sqlite").exists():
        known = sorted(p.parent.name for p in runs_folder().glob("*/archive.sqlite"))
        hint = f"known runs: {', '.join(known[-5:])}" if known else "no runs here yet"
        raise UsageError(f"there is no run at {folder}; {hint}")
    archive = Archive.open(_url(place))
    try:
        config = RunConfig.model_validate(archive.facts["config"])
    except ValidationError as error:
        archive.close()
        names = ", ".join(".".join(map(str, each["loc"])) for each in error.errors())
        raise ArchiveError(
            f"{place} has settings that this evolver does not know ({names}); another version made "
            "it, which can read it"
        ) from error
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


def plan_for(config: RunConfig, rows: int) -> Plan:
    """What a run of this configuration on so many interactions does on this machine."""
    device = chosen_device(config.execute.device)
    workers = config.execute.workers or default_workers(device)
    threads = config.execute.threads or max(1, cores() // workers)
    candidates = config.budget.candidates
    slots = max(1, min(candidates - 1, round(candidates * config.baseline_share)))
    asks = asks_somebody(config)
    cascade = config.cascade
    smoke = cascade.smoke
    if smoke is None:  # the agents of a pipeline run in turn, so one that fails costs little more
        smoke = (asks or rows >= SMOKE_ROWS) and config.task != "pipeline"
    large = rows >= HALVING_ROWS and config.task != "pipeline"  # whose stages are kept instead
    halving = large if cascade.fidelity == "auto" else cascade.fidelity == "halving"
    usual = (config.propose.ahead if asks else 2) * workers if asks or workers > 1 else 1
    return Plan(
        workers=workers,
        threads=threads,
        lag=config.execute.in_flight or usual,
        baseline_slots=slots,
        device=device,
        seconds=config.execute.seconds or _seconds(config, rows),
        finals_share=config.promote.time_share if config.promote.finalists else 0.0,
        candidates=candidates,
        tuning_slots=_tuning_slots(config, slots),
        smoke=smoke,
        halving=halving,
        low=Reduction(users=cascade.users, history=cascade.history),
    )


def asks_somebody(config: RunConfig) -> bool:
    """Does a model, an agent or a person write the candidates? Such a run cannot be made again
    from its settings, only from its record."""
    return bool(config.propose.models) or config.propose.proposer in {"llm", "hybrid", "mailbox"}


def _tuning_slots(config: RunConfig, baseline_slots: int) -> int:
    """Enough to give each survivor as many trials as the most tuned baseline; of what is left for
    the search half at most. A record that is replayed holds such trials already."""
    replays = config.propose.proposer == "replay" or config.propose.replay is not None
    if replays or config.task == "pipeline":  # whose search tunes all that it finds
        return 0
    zoo = task_named(config.task).baselines
    more = -(-max(0, baseline_slots - len(zoo)) // baselines.KEEP)
    left = max(0, config.budget.candidates - baseline_slots)
    return min(more * survivors.KEEP, left // 2)


def _seconds(config: RunConfig, rows: int) -> float:
    """For one candidate. A pipeline trains several programs, most of them twice."""
    usual = candidate_seconds(rows, config.budget.seconds)
    return PIPELINE_TRAININGS * usual if config.task == "pipeline" else usual


def candidate_seconds(rows: int, limit: float | None) -> float:
    """How long one candidate may take on this many interactions, where nobody said.

    Two minutes, and a second more for every 5,000 interactions beyond 100,000, an hour at most; of
    a run with a time limit no more than a sixth of it, but half a minute at least.
    """
    wanted = min(3600.0, 120.0 + max(0, rows - 100_000) // 5_000)
    return wanted if limit is None else min(wanted, max(30.0, limit / 6))


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
