"""The runs in a folder, and what was last read of each; read again when its archive has changed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from evolver.archive.elites import Cell, MapElites
from evolver.archive.glance import Glance, glance
from evolver.archive.lock import holder
from evolver.core import Entry
from evolver.errors import ArchiveError, UsageError
from evolver.report import gather
from evolver.report.data import ReportData
from evolver.run import Run, reopen

ARCHIVE = "archive.sqlite"
KEPT = 4
"""So many runs stay in memory; the one that was not asked for longest is let go."""

_Stamp = tuple[tuple[int, int], ...]


class Snapshot:
    """One reading of a run. What a page does not ask for is not computed."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.name = run.folder.name

    @cached_property
    def data(self) -> ReportData:
        """Entries, leaders, reviews; no intervals and no evidence."""
        return gather.outline(self.run)

    @cached_property
    def evidence(self) -> ReportData:
        """What a verdict stands on, and what it cost, too."""
        return gather.evidence(self.run, self.data)

    @cached_property
    def ranks(self) -> dict[int, int]:
        """By number: the rank of every scored entry, from 1."""
        return {entry.number: rank for rank, entry in enumerate(self.data.ranked, 1)}

    @cached_property
    def elites(self) -> dict[Cell, Entry]:
        """The best of every kind (MAP-Elites)."""
        return MapElites(self.data.metric).elites(self.data.entries)

    @property
    def live(self) -> bool:
        """Whether a process of this machine works on it now."""
        return holder(self.run.folder) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A run in the list. `glance` is None where its archive cannot be read; `fault` says why."""

    name: str
    changed: float
    live: bool = False
    glance: Glance | None = None
    fault: str = ""


class Shelf:
    """The runs in a folder, or the one run whose folder it is. Safe to use from threads."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise UsageError(f"there is no folder {folder}; start a run with `evolver evolve`")
        self.folder = folder
        self._lock = threading.Lock()
        self._open: OrderedDict[str, tuple[_Stamp, Snapshot]] = OrderedDict()
        self._glances: dict[str, tuple[_Stamp, Listed]] = {}

    def names(self) -> list[str]:
        """Names of the runs, what changed last first."""
        found = {name: max(_stamp(place))[0] for name, place in self._places().items()}
        return sorted(found, key=lambda name: (-found[name], name))

    def listed(self, name: str) -> Listed:
        """A run's line in the list. Raises UsageError for an unknown one."""
        place = self._place(name)
        stamp = _stamp(place)
        known = self._glances.get(name)
        if known is None or known[0] != stamp:
            known = stamp, _list(name, place, max(stamp)[0] / 1e9)
            self._glances[name] = known
        return replace(known[1], live=holder(place) is not None)  # a killed one writes nothing more

    def snapshot(self, name: str) -> Snapshot:
        """A run as it is now. Raises UsageError for an unknown one."""
        place = self._place(name)
        with self._lock:
            stamp = _stamp(place)
            known = self._open.get(name)
            if known is None:
                known = stamp, Snapshot(reopen(place))
            elif known[0] != stamp:
                run = known[1].run
                run.archive.refresh()
                known = stamp, Snapshot(run)
            self._open[name] = known
            self._open.move_to_end(name)
            if len(self._open) > KEPT:
                self._open.popitem(last=False)
            return known[1]

    def _places(self) -> dict[str, Path]:
        if (self.folder / ARCHIVE).is_file():
            return {self.folder.resolve().name: self.folder}
        return {path.parent.name: path.parent for path in self.folder.glob(f"*/{ARCHIVE}")}

    def _place(self, name: str) -> Path:
        place = self._places().get(name)
        if place is None:
            raise UsageError(f"there is no run {name!r} in {self.folder}")
        return place


def _list(name: str, place: Path, changed: float) -> Listed:
    try:
        return Listed(name=name, changed=changed, glance=glance(place / ARCHIVE))
    except ArchiveError as error:
        return Listed(name=name, changed=changed, fault=str(error))


def _stamp(place: Path) -> _Stamp:
    """When the archive and its journal were last written, and their sizes. An empty journal only
    says that somebody looked."""
    found = []
    for path in (place / ARCHIVE, place / f"{ARCHIVE}-wal"):
        try:
            state = path.stat()
        except FileNotFoundError:
            continue
        if state.st_size:
            found.append((state.st_mtime_ns, state.st_size))
    return tuple(found) or ((0, 0),)
