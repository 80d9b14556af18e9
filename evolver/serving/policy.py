"""Policies: with what chance each action is taken in a context. Written down as readable JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import softmax

from evolver.errors import DataError, UsageError
from evolver.serving.context import Encoder, encoder_from_json
from evolver.serving.log import BanditLog

Floats = NDArray[np.float64]
FORMAT = 1
ONE_HOT = "action="
ANYWHERE = "*"
_SUM = 1e-6


class Policy(Protocol):
    """A distribution over actions for each row of a log."""

    def probabilities(self, log: BanditLog) -> Floats:
        """(n, K) over the log's actions. What a row lacks to 1 lies on actions that the log does
        not know."""

    def to_json(self) -> dict[str, Any]:
        """The policy as `policy_from_json` reads it."""


@dataclass(frozen=True, kw_only=True)
class UniformPolicy:
    """Every action that the log knows, alike."""

    def probabilities(self, log: BanditLog) -> Floats:
        return np.full((len(log), len(log.names)), 1.0 / len(log.names))

    def to_json(self) -> dict[str, Any]:
        return {"format": FORMAT, "kind": "uniform"}


@dataclass(frozen=True, kw_only=True)
class TablePolicy:
    """Fixed chances, whatever the context. `table`: position (or `*` for any) to action to chance;
    chances of a position sum to 1."""

    table: Mapping[str, Mapping[str, float]]

    def __post_init__(self) -> None:
        for position, chances in self.table.items():
            total = sum(chances.values())
            if min(chances.values(), default=-1.0) < 0 or abs(total - 1.0) > _SUM:
                raise UsageError(
                    f"chances at position '{position}' of the policy must be 0 or more and sum to "
                    f"1; they sum to {total:.6g}"
                )

    def probabilities(self, log: BanditLog) -> Floats:
        rows = np.zeros((len(log.position_names), len(log.names)))
        for n, position in enumerate(log.position_names):
            chances = self.table.get(position, self.table.get(ANYWHERE))
            if chances is None:
                raise DataError(f"the policy says nothing about position '{position}' of the log")
            rows[n] = [chances.get(name, 0.0) for name in log.names]
        return np.asarray(rows[log.positions])

    def to_json(self) -> dict[str, Any]:
        tables = {position: dict(chances) for position, chances in self.table.items()}
        return {"format": FORMAT, "kind": "table", "chances": tables}


@dataclass(frozen=True, kw_only=True, eq=False)
class SoftmaxPolicy:
    """Softmax over actions of a score that is linear in what is known of context and action.

    The score of action a in context x is sum_jk x_j weights[j, k] f_k(a): x are the encoder's
    terms (the first is always 1), f are per-row scores, features of actions and, with `one_hot`,
    one column an action. A static policy has zeros below the first row of `weights`, so
    that its weights are the same in every context. `allowed`: (K,) actions that may be taken.
    explore: share of decisions that are uniform over those, which keeps later logs usable.

    scores: names of per-row scores, each with the mean and deviation that standardise it.
    features: name to (K,), standardised already.
    """

    names: tuple[str, ...]
    encoder: Encoder
    weights: Floats
    scores: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    features: Mapping[str, Floats] = field(default_factory=dict)
    one_hot: bool = True
    allowed: NDArray[np.bool_]
    explore: float = 0.0

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of what the weights apply to, in the order of the columns of `weights`."""
        one_hot = [f"{ONE_HOT}{name}" for name in self.names] if self.one_hot else []
        return (*self.scores, *self.features, *one_hot)

    def inputs(self, scores: Mapping[str, Floats]) -> Floats:
        """(1 or n, K, m): f, with one row where no score differs from row to row."""
        parts = []
        for name, (mean, deviation) in self.scores.items():
            if name not in scores:
                raise DataError(f"the policy needs score '{name}' of each action; see --score")
            parts.append((scores[name] - mean) / deviation)
        rows = len(parts[0]) if parts else 1
        shape = (rows, len(self.names))
        parts += [np.broadcast_to(values, shape) for values in self.features.values()]
        found = np.stack(parts, axis=2) if parts else np.empty((*shape, 0))
        if not self.one_hot:
            return found
        eye = np.broadcast_to(np.eye(len(self.names)), (rows, len(self.names), len(self.names)))
        return np.concatenate([found, eye], axis=2)

    def distribution(
        self, context: pl.DataFrame, rows: int, scores: Mapping[str, Floats] | None = None
    ) -> Floats:
        """(rows, K) over `names`."""
        terms = self.encoder.encode(context, rows)
        logits = scored(terms @ self.weights, self.inputs(scores or {}))
        logits[:, ~self.allowed] = -np.inf
        uniform = self.allowed / self.allowed.sum()
        return np.asarray((1 - self.explore) * softmax(logits, axis=1) + self.explore * uniform)

    def probabilities(self, log: BanditLog) -> Floats:
        if self.names == log.names:
            return self.distribution(log.context, len(log), log.scores)
        place = {name: n for n, name in enumerate(log.names)}
        at = np.array([place.get(name, -1) for name in self.names])
        if self.scores and (at < 0).any():
            unknown = [n for n, k in zip(self.names, at, strict=True) if k < 0]
            raise DataError(f"the log has no score for the policy's action '{unknown[0]}'")
        moved = {name: values[:, at] for name, values in log.scores.items()}
        own = self.distribution(log.context, len(log), moved)
        found = np.zeros((len(log), len(log.names)))
        found[:, at[at >= 0]] = own[:, at >= 0]
        return found

    def to_json(self) -> dict[str, Any]:
        weights = {
            term: dict(zip(self.columns, map(float, row), strict=True))
            for term, row in zip(self.encoder.terms, self.weights, strict=True)
            if np.any(row)
        }
        return {
            "format": FORMAT,
            "kind": "softmax",
            "actions": list(self.names),
            "never": [n for n, may in zip(self.names, self.allowed, strict=True) if not may],
            "explore": self.explore,
            "context": self.encoder.to_json(),
            "scores": {n: {"mean": m, "deviation": d} for n, (m, d) in self.scores.items()},
            "features": {name: values.tolist() for name, values in self.features.items()},
            "one_hot": self.one_hot,
            "weights": weights,
        }


def scored(theta: Floats, inputs: Floats) -> Floats:
    """(n, K) scores from (n, m) weights per row and (1 or n, K, m) inputs."""
    if len(inputs) == 1:
        return np.asarray(theta @ inputs[0].T)
    return np.asarray(np.einsum("nm,nkm->nk", theta, inputs))


def as_logged(log: BanditLog) -> TablePolicy:
    """What the log shows on average: how often each action was taken at each position.

    The time-average of the logging policy where that looks at no context; an estimate, from counts.
    """
    counts = np.zeros((len(log.position_names), len(log.names)))
    np.add.at(counts, (log.positions, log.actions), 1.0)
    shares = counts / counts.sum(axis=1, keepdims=True)
    places = log.position_names if log.position_names != ("",) else (ANYWHERE,)
    return TablePolicy(
        table={
            place: {n: float(p) for n, p in zip(log.names, row, strict=True) if p > 0}
            for place, row in zip(places, shares, strict=True)
        }
    )


def policy_from_json(value: Any) -> Policy:
    """Raises `UsageError` that says what is wrong."""
    try:
        if value["format"] != FORMAT:
            raise UsageError(f"the policy has format {value['format']}, this reads {FORMAT}")
        kind = value["kind"]
        if kind == "uniform":
            return UniformPolicy()
        if kind == "table":
            return TablePolicy(
                table={
                    str(position): {str(name): float(p) for name, p in chances.items()}
                    for position, chances in value["chances"].items()
                }
            )
        if kind == "softmax":
            return _softmax_from_json(value)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"the policy cannot be read: {type(error).__name__}: {error}") from None
    raise UsageError(f"a policy of kind '{kind}' is unknown; there are uniform, table, softmax")


def _softmax_from_json(value: Mapping[str, Any]) -> SoftmaxPolicy:
    names = tuple(map(str, value["actions"]))
    never = set(value["never"])
    scores = {n: (float(s["mean"]), float(s["deviation"])) for n, s in value["scores"].items()}
    features = {n: np.array(v, dtype=np.float64) for n, v in value["features"].items()}
    encoder = encoder_from_json(value["context"])
    explore = float(value["explore"])
    allowed = np.array([name not in never for name in names])
    if not 0 <= explore <= 1 or not allowed.any():
        raise ValueError("explore must lie between 0 and 1, and some action be allowed")
    if any(v.shape != (len(names),) for v in features.values()):
        raise ValueError(f"each feature needs {len(names)} values, one an action")
    policy = SoftmaxPolicy(
        names=names,
        encoder=encoder,
        weights=np.empty(0),
        scores=scores,
        features=features,
        one_hot=bool(value["one_hot"]),
        allowed=allowed,
        explore=explore,
    )
    weights = np.zeros((len(encoder.terms), len(policy.columns)))
    for term, row in value["weights"].items():
        for column, weight in row.items():
            weights[encoder.terms.index(term), policy.columns.index(column)] = float(weight)
    if not np.isfinite(weights).all():
        raise ValueError("weights must be finite")
    return replace(policy, weights=weights)


def read_policy(path: Path) -> Policy:
    """A policy from its file. Raises `UsageError`."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"policy {path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"policy {path} is no JSON: {error}") from None
    try:
        return policy_from_json(value)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def write_policy(path: Path, policy: Policy, more: Mapping[str, Any] | None = None) -> None:
    """Write a policy as JSON; `more` is kept beside it, for people."""
    text = json.dumps({**policy.to_json(), **(more or {})}, indent=2, ensure_ascii=False)
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"policy {path} cannot be written: {error.strerror}") from None


def draw(chances: Floats, rng: np.random.Generator) -> NDArray[np.int64]:
    """(n,) one action for each row of (n, K) chances that sum to 1."""
    edges = np.cumsum(chances, axis=1)
    places = (rng.random((len(chances), 1)) * edges[:, -1:] >= edges).sum(axis=1)
    return np.asarray(np.minimum(places, chances.shape[1] - 1), dtype=np.int64)


def decide(
    policy: SoftmaxPolicy, context: Mapping[str, Any], rng: np.random.Generator | None = None
) -> tuple[str, float]:
    """One action for one context, with its chance, which belongs into the next log.

    Without `rng` the likeliest action, with chance 1. Policies that need per-row scores decide on
    whole logs only. Raises `DataError` where a context column is missing.
    """
    chances = policy.distribution(pl.DataFrame({k: [v] for k, v in context.items()}), 1)
    if rng is None:
        return policy.names[int(chances[0].argmax())], 1.0
    taken = int(draw(chances, rng)[0])
    return policy.names[taken], float(chances[0, taken])


def names_of(values: Sequence[str]) -> str:
    """A short list for a message."""
    return ", ".join(values[:6]) + (f", and {len(values) - 6} more" if len(values) > 6 else "")
