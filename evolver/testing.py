"""Fakes and conformance suites. Every implementation of a protocol must pass its suite."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import inf

from evolver.core import (
    Candidate,
    Entry,
    Exchange,
    Failed,
    Ledger,
    Observation,
    Parameter,
    Scored,
    Selector,
    Tuner,
    Value,
)


class MemoryLedger:
    """A ledger that forgets when the process ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.exchanges: list[Exchange] = []

    def recall(self, request_hash: str) -> Exchange | None:
        with self._lock:
            return next(
                (
                    exchange
                    for exchange in self.exchanges
                    if exchange.request_hash == request_hash and exchange.reply is not None
                ),
                None,
            )

    def record(self, exchange: Exchange) -> None:
        with self._lock:
            self.exchanges.append(exchange)


def ledger_conformance(make: Callable[[], Ledger]) -> None:
    """What any ledger must do; raises AssertionError where it does not."""
    ledger = make()

    def exchange(name: str, reply: str | None, usd: float | None = None) -> Exchange:
        return Exchange(
            request_hash=name,
            number=3,
            model="m/n",
            request='{"a": "ü"}',
            reply=reply,
            error=None if reply is not None else "HTTP 500",
            tokens_in=5,
            tokens_out=7,
            usd=usd,
            seconds=0.5,
        )

    _expect(ledger.recall("h1") is None, "nothing is known of a request that was never made")
    ledger.record(exchange("h1", None))
    _expect(ledger.recall("h1") is None, "a failed call is not an answer")
    answered = exchange("h1", "ok ü \u2028", usd=0.25)
    ledger.record(answered)
    _expect(ledger.recall("h1") == answered, "what is recalled equals what was recorded")
    ledger.record(exchange("h1", "later"))
    _expect(ledger.recall("h1") == answered, "the first answer stays the answer")
    empty = exchange("h2", "")
    ledger.record(empty)
    _expect(ledger.recall("h2") == empty, "an empty reply was paid for, so it is an answer")
    _expect(ledger.recall("h3") is None, "requests are told apart")
    threads = [
        threading.Thread(target=ledger.record, args=(exchange(f"t{n}", str(n)),)) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n in range(8):
        found = ledger.recall(f"t{n}")
        _expect(found is not None and found.reply == str(n), "nothing is lost between threads")


TUNER_SPACE: tuple[Parameter, ...] = (
    Parameter(name="model", kind="choice", choices=("a", "b", "c"), default="a"),
    Parameter(name="flag", kind="choice", choices=(True, False), default=False),
    Parameter(name="depth", kind="int", low=1, high=4, default=2, when=("model", ("a", "b"))),
    Parameter(name="rate", kind="float", low=1e-4, high=1.0, log=True, default=0.01),
    Parameter(name="mode", kind="choice", choices=("x", "y"), when=("model", ("b",))),
    Parameter(name="share", kind="float", low=0.0, high=1.0, default=0.5, when=("mode", ("y",))),
    Parameter(name="width", kind="int", low=8, high=512, log=True, default=64),
)
"""A space with every kind of parameter, and with conditions on conditions."""


def tuner_conformance(tuner: Tuner, trials: int = 24) -> None:
    """What any tuner must do; raises AssertionError where it does not. Slow ones get by with
    fewer `trials`, but more than they start with at random."""
    _expect(bool(tuner.name), "a tuner has a name")
    observed: list[Observation] = []
    for number in range(trials):
        before = list(observed)
        point = tuner.suggest(TUNER_SPACE, observed, number)
        fault = _point_fault(TUNER_SPACE, point)
        _expect(fault is None, f"suggestion {number} is a point of the space: {fault}")
        _expect(observed == before, "what was observed is left as it was")
        again = tuner.suggest(TUNER_SPACE, tuple(observed), number)
        _expect(dict(point) == dict(again), "equal arguments give an equal point")
        _expect(point not in [o.point for o in observed], "no point is suggested twice")
        observed.append(_judged(point, number))
    seeds = [tuner.suggest(TUNER_SPACE, observed, seed) for seed in range(5)]
    differ = any(dict(p) != dict(seeds[0]) for p in seeds)
    _expect(differ, "other seeds give other points: trials run side by side")
    for word, partial in (("failed", None), ("was stopped", 0.1), ("was stopped at once", -inf)):
        none = [Observation(point=o.point, score=None, partial=partial) for o in observed]
        fault = _point_fault(TUNER_SPACE, tuner.suggest(TUNER_SPACE, none, 0))
        _expect(fault is None, f"where everything {word} there is still a next point: {fault}")
    single = (Parameter(name="only", kind="choice", choices=("one", "two")),)
    seen = [Observation(point={"only": "one"}, score=1.0)]
    _expect(tuner.suggest(single, seen, 0) == {"only": "two"}, "the one new point is found")
    seen.append(Observation(point={"only": "two"}, score=0.0))
    last = tuner.suggest(single, seen, 0)
    _expect(last["only"] in {"one", "two"}, "an exhausted space gives a point again, and ends")


def _judged(point: Mapping[str, Value], number: int) -> Observation:
    """Scored, failed, stopped at low fidelity, or stopped while it trained."""
    if number % 5 == 3:
        return Observation(point=dict(point), score=None)
    if number % 5 == 4:
        partial = -inf if number % 2 else number / 100
        return Observation(point=dict(point), score=None, partial=partial)
    return Observation(point=dict(point), score=float(number % 7) / 7)


SELECTOR_METRIC = "ndcg@10"


def selector_history(length: int = 40) -> list[Entry]:
    """Entries of several families, costs and popularity shares, with failures and ties."""
    entries: list[Entry] = []
    for number in range(length):
        parent = entries[number // 2].candidate.id if number % 3 else None
        scored = Scored(
            metrics={
                SELECTOR_METRIC: (number * 7 % 19) / 20,
                "popularity_share@10": (number * 5 % 11) / 10,
            },
            per_user={},
            fit_seconds=10.0 ** (number % 4 - 1),
            score_seconds=0.1,
            latency_ms_p50=1.0 + number * 3 % 7,
            latency_ms_p99=20.0,
            parameters=100 * (number * 11 % 13),
            peak_bytes=1,
        )
        failed = Failed(kind="crash", reason="boom")
        candidate = Candidate(
            source=f"# {number}", family="abcd"[number % 4], parents=(parent,) if parent else ()
        )
        evaluation = failed if number % 6 == 4 else scored
        entries.append(Entry(number=number, candidate=candidate, evaluation=evaluation))
    return entries


def selector_conformance(make: Callable[[], Selector]) -> None:
    """What any selector must do on a metric named SELECTOR_METRIC; raises AssertionError where it
    does not."""
    history = selector_history()
    selector = make()
    _expect(list(selector.select([], 3)) == [], "nothing is selected from nothing")
    failed = [e for e in history if isinstance(e.evaluation, Failed)]
    _expect(list(selector.select(failed, 3)) == [], "a failed candidate is no parent")
    parents = set()
    for length in (1, 2, 7, len(history)):
        known = history[:length]
        for seed in range(60):
            before = list(known)
            chosen = list(selector.select(known, seed))
            numbers = [e.number for e in chosen]
            _expect(known == before, "the history is left as it was")
            _expect(bool(chosen), "where something is scored there is a parent")
            _expect(all(e in known for e in chosen), "parents are entries of the history")
            _expect(all(e not in failed for e in chosen), "a failed candidate is no parent")
            _expect(len(set(numbers)) == len(numbers), "no entry is named twice")
            again = [e.number for e in make().select(tuple(known), seed)]
            _expect(numbers == again, "equal arguments give equal parents, also after a restart")
            if length == len(history):
                parents.add(numbers[0])
    _expect(len(parents) > 1, "other seeds give other parents: candidates are bred side by side")
    pool = [e for e in history if e.number not in parents]
    remarked = [replace(e, remarks=("!",)) for e in pool]
    _expect(bool(selector.select(pool, 0)), "entries may be missing: reviewers ban them")
    marked = selector.select(remarked, 0)
    _expect(all(e.remarks == ("!",) for e in marked), "what is selected is what was handed in")


def _point_fault(space: Sequence[Parameter], point: Mapping[str, Value]) -> str | None:
    """What keeps this from being a point of the space, or None."""
    names = {p.name for p in space}
    if not point.keys() <= names:
        return f"unknown {sorted(point.keys() - names)}"
    for p in space:
        exists = p.when is None or point.get(p.when[0]) in p.when[1]
        if exists != (p.name in point):
            return f"{p.name} is {'missing' if exists else 'there although its condition fails'}"
        if not exists:
            continue
        value = point[p.name]
        if p.kind == "choice":
            if not any(type(value) is type(c) and value == c for c in p.choices):
                return f"{p.name} is {value!r}"
        elif isinstance(value, str | bool) or not p.low <= value <= p.high:
            return f"{p.name} is {value!r}"
        elif type(value) is not (int if p.kind == "int" else float):
            return f"{p.name} is of {type(value)}"
    return None


def _expect(holds: bool, promise: str) -> None:
    if not holds:
        raise AssertionError(f"broken promise: {promise}")
