"""Logs of decisions: in what context what was done, with what chance, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evolver.data import files
from evolver.errors import DataError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PLACE = "{action}"
"""In a pattern of score columns, where the action's name goes."""
_OPEN_BANDIT = ("item_id", "position", "click", "propensity_score")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogColumns:
    """Which column of a log holds what.

    scores: name to a pattern with `{action}`, for what is known of each action in each row (the
    score that a recall list gives it). group: rows of one group (user, session) are not
    independent; each group counts once.
    """

    action: str = "action"
    reward: str = "reward"
    propensity: str = "propensity"
    position: str | None = None
    context: tuple[str, ...] = ()
    scores: Mapping[str, str] | None = None
    group: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class BanditLog:
    """n logged decisions over K actions.

    context: (n,) rows of the context columns, position included where there is one.
    actions: (n,) numbers into `names`. propensities: (n,) chance with which the logging policy
    chose the logged action, in (0, 1]. rewards: (n,) in [0, most_reward].
    positions: (n,) numbers into `position_names`, zeros where the log has none.
    scores: name to (n, K). features: name to (K,), what is known of each action everywhere.
    groups: (n,) numbers from 0, or None where rows are independent.
    """

    context: pl.DataFrame
    actions: Ints
    names: tuple[str, ...]
    propensities: Floats
    rewards: Floats
    most_reward: float = 1.0
    positions: Ints
    position_names: tuple[str, ...] = ("",)
    scores: Mapping[str, Floats]
    features: Mapping[str, Floats]
    groups: Ints | None = None

    def __len__(self) -> int:
        return len(self.actions)

    @cached_property
    def seen(self) -> NDArray[np.bool_]:
        """(positions, K): whether the action was ever logged there."""
        found = np.zeros((len(self.position_names), len(self.names)), dtype=bool)
        found[self.positions, self.actions] = True
        return found

    @cached_property
    def is_binary(self) -> bool:
        return bool(np.isin(self.rewards, (0.0, 1.0)).all())

    def take(self, rows: Ints | NDArray[np.bool_]) -> BanditLog:
        """These rows; names, features and the reward's bound stay as they are."""
        groups = None
        if self.groups is not None:
            groups = np.unique(self.groups[rows], return_inverse=True)[1].astype(np.int64)
        at = np.flatnonzero(rows) if rows.dtype == bool else rows
        return replace(
            self,
            context=self.context[at],
            actions=self.actions[at],
            propensities=self.propensities[at],
            rewards=self.rewards[at],
            positions=self.positions[at],
            scores={name: values[at] for name, values in self.scores.items()},
            groups=groups,
        )

    def per_unit(self, values: Floats) -> Floats:
        """(units,) from (n,): means within groups, or the values where rows are independent."""
        if self.groups is None:
            return values
        return np.asarray(np.bincount(self.groups, weights=values) / np.bincount(self.groups))

    @property
    def units(self) -> int:
        """How many independent observations there are."""
        return len(self) if self.groups is None else int(self.groups.max()) + 1


def read_log(
    path: Path,
    *,
    changed: Mapping[str, Any] | None = None,
    most_reward: float | None = None,
    actions: Path | None = None,
) -> BanditLog:
    """Read a log from CSV (gzip too), Parquet, or a folder that holds one such log.

    The Open Bandit layout is recognised by its column names; otherwise the names of `LogColumns`
    are expected. changed: fields of `LogColumns` that differ from that. actions: a table with one
    row an action, whose numeric columns become features. most_reward: the largest reward there can
    be; by default 1 for 0/1 rewards, else it has to be given. Raises `DataError`.
    """
    place = _file(path)
    frame = _table(place)
    columns = replace(guessed(frame.columns), **(changed or {}))
    return from_frame(
        frame,
        columns,
        where=place.name,
        most_reward=most_reward,
        actions=None if actions is None else _table(_file(actions)),
    )


def guessed(columns: Sequence[str]) -> LogColumns:
    """The layout that these column names speak for."""
    if not set(_OPEN_BANDIT) <= set(columns):
        return LogColumns()
    action, position, reward, propensity = _OPEN_BANDIT
    context = tuple(c for c in columns if c.startswith("user_feature_"))
    affinity = "user-item_affinity_"
    known = any(c.startswith(affinity) for c in columns)
    return LogColumns(
        action=action,
        reward=reward,
        propensity=propensity,
        position=position,
        context=context,
        scores={"affinity": affinity + PLACE} if known else None,
    )


def from_frame(
    frame: pl.DataFrame,
    columns: LogColumns,
    *,
    where: str = "the log",
    most_reward: float | None = None,
    actions: pl.DataFrame | None = None,
) -> BanditLog:
    """A log from a table that is already in memory. Raises `DataError`."""
    needed = [columns.action, columns.reward, columns.propensity, *columns.context]
    needed += [c for c in (columns.position, columns.group) if c]
    missing = [c for c in dict.fromkeys(needed) if c not in frame.columns]
    if missing:
        raise DataError(
            f"{where} has no column {', '.join(map(repr, missing))}; it has "
            f"{_few(frame.columns)}. Name them with --action, --reward, --propensity, --context"
        )
    if frame.is_empty():
        raise DataError(f"{where} has no rows")
    for column in dict.fromkeys(needed):
        holes = frame[column].null_count()
        if holes:
            raise DataError(f"{where}: column '{column}' is empty in {holes} rows; fill or drop")
    for column in dict.fromkeys(columns.context):
        if frame[column].dtype.is_float() and not frame[column].is_finite().all():
            raise DataError(f"{where}: column '{column}' holds what is no number; fill or drop")
    rewards = _numbers(frame, columns.reward, where)
    propensities = _numbers(frame, columns.propensity, where)
    _check_propensities(propensities, columns.propensity, where)
    most = _most(rewards, columns.reward, where, most_reward)
    names, numbers = _numbered(frame[columns.action])
    position_names: tuple[str, ...] = ("",)
    positions = np.zeros(len(frame), dtype=np.int64)
    if columns.position:
        position_names, positions = _numbered(frame[columns.position])
    features: dict[str, Floats] = {}
    if actions is not None:
        names, numbers, features = _described(actions, columns.action, names, numbers, where)
    groups = None if columns.group is None else _numbered(frame[columns.group])[1]
    return BanditLog(
        context=frame.select(list(dict.fromkeys(columns.context))),
        actions=numbers,
        names=names,
        propensities=propensities,
        rewards=rewards,
        most_reward=most,
        positions=positions,
        position_names=position_names,
        scores={
            name: _scores(frame, name, pattern, names, where)
            for name, pattern in (columns.scores or {}).items()
        },
        features=features,
        groups=groups,
    )


def _file(path: Path) -> Path:
    if not path.exists():
        raise DataError(f"{path} does not exist; give a CSV or Parquet file, or its folder")
    if not path.is_dir():
        return path
    found = [
        p
        for p in sorted(path.rglob("*"))
        if p.is_file()
        and files.plain_name(p).endswith((".csv", ".parquet"))
        and "context" not in p.name
    ]
    if len(found) != 1:
        listed = _few([str(p.relative_to(path)) for p in found]) if found else "none"
        raise DataError(f"{path} should hold one log as CSV or Parquet, and holds: {listed}")
    return found[0]


def _table(path: Path) -> pl.DataFrame:
    try:
        if files.head(path, 4) == files.PARQUET:
            return pl.read_parquet(path)
        return pl.read_csv(files.text(path).encode(), infer_schema_length=None)
    except pl.exceptions.PolarsError as error:
        line = str(error).splitlines()[0][:120]
        raise DataError(f"{path.name} is not a well-formed table: {line}; correct it") from None


def _numbers(frame: pl.DataFrame, column: str, where: str) -> Floats:
    values = frame[column].cast(pl.Float64, strict=False)
    bad = values.is_null() | values.is_nan() | values.is_infinite()
    if bad.any():
        row = int(bad.arg_true()[0])
        raise DataError(
            f"{where}: column '{column}' holds {frame[column][row]!r} in row {row + 1}, no number"
        )
    return values.to_numpy().astype(np.float64)


def _check_propensities(values: Floats, column: str, where: str) -> None:
    bad = (values <= 0) | (values > 1)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(
            f"{where}: propensity {values[row]:g} in row {row + 1} of column '{column}' "
            f"({int(bad.sum())} such rows); a chance must lie above 0 and at most at 1"
        )


def _most(rewards: Floats, column: str, where: str, given: float | None) -> float:
    if rewards.min() < 0:
        row = int(np.flatnonzero(rewards < 0)[0])
        raise DataError(
            f"{where}: reward {rewards[row]:g} in row {row + 1} of column '{column}'; rewards "
            "must not be negative, so shift them first"
        )
    if given is None:
        if not np.isin(rewards, (0.0, 1.0)).all():
            raise DataError(
                f"{where}: rewards in column '{column}' are not 0 or 1; say how large one can be "
                "with --most-reward"
            )
        return 1.0
    if not given > 0 or rewards.max() > given:
        raise DataError(
            f"{where}: a reward of {rewards.max():g} in column '{column}' and --most-reward "
            f"{given:g} contradict each other"
        )
    return given


def _numbered(column: pl.Series) -> tuple[tuple[str, ...], Ints]:
    """Names in order (numbers by size, text by letter) and the place of each row's name."""
    values = column.unique().sort()
    names = values.cast(pl.String).to_list()
    places = pl.Series(np.arange(len(names)))
    found = column.cast(pl.String).replace_strict(names, places, return_dtype=pl.Int64)
    return tuple(names), found.to_numpy().astype(np.int64)


def _described(
    table: pl.DataFrame, column: str, names: tuple[str, ...], numbers: Ints, where: str
) -> tuple[tuple[str, ...], Ints, dict[str, Floats]]:
    """Names, numbers and features when a table says which actions there are."""
    if column not in table.columns:
        raise DataError(f"the table of actions has no column '{column}', the log's action column")
    listed = table[column].cast(pl.String).to_list()
    if len(set(listed)) != len(listed):
        raise DataError(f"the table of actions names an action twice in column '{column}'")
    unknown = sorted(set(names) - set(listed))
    if unknown:
        raise DataError(f"{where} has actions that the table of actions lacks: {_few(unknown)}")
    place = {name: n for n, name in enumerate(listed)}
    moved = np.array([place[name] for name in names], dtype=np.int64)
    features = {
        c: _numbers(table, c, "the table of actions")
        for c, kind in table.schema.items()
        if c not in {column, ""} and kind.is_numeric()
    }
    return tuple(listed), moved[numbers], features


def _scores(
    frame: pl.DataFrame, name: str, pattern: str, names: Sequence[str], where: str
) -> Floats:
    if PLACE not in pattern:
        raise DataError(f"score '{name}' needs {PLACE} in its pattern, not '{pattern}'")
    columns = [pattern.replace(PLACE, action) for action in names]
    missing = [c for c in columns if c not in frame.columns]
    if missing:
        raise DataError(f"{where} has no column {_few(missing)} for score '{name}'")
    return np.stack([_numbers(frame, c, where) for c in columns], axis=1)


def _few(names: Sequence[str], most: int = 6) -> str:
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
