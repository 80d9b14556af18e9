"""How often is something promoted that is no better, and how often is a true gain found?

    python -m benchmarks.promotion_simulation [--searches 1000] [--write]

Simulates whole searches with known truth and puts their finalists through `run_gate`, as a run
does: slices and guardrails, more seeds where it asks for them, one reading after the other. What
differs from a run: the users' values are drawn and not measured, and 2,000 bootstrap resamples are
drawn instead of 10,000. --write puts the table into docs/evaluation.md.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evolver.config import PromoteConfig
from evolver.core import Scored
from evolver.evaluate.effect import effect
from evolver.evaluate.gate import Side, run_gate

METRIC = "ndcg@10"
RESAMPLES = 2_000
SLICES = {"history": 4, "recency": 4, "popularity": 3, "feature": 6}
"""Groups of slices, and into how many each cuts the users."""
MARKS = ("<!-- promotion simulation: begin -->", "<!-- promotion simulation: end -->")


@dataclass(frozen=True, kw_only=True)
class World:
    """What a search looks like. Shares are of the incumbent's mean, about 0.21.

    A user has a chance of a hit; a hit is worth 0.2 to 1. Candidates shift each user's chance up
    or down at random by `taste`, so two equal candidates still differ in whom they serve well.
    In a share `agreement` of cases a user is hit or missed by the same luck whoever is asked, for
    the held-out items are the same. `seed_noise`: standard deviation of a candidate's mean between
    training seeds. `costs`: how far candidates differ in latency, memory, coverage and popularity
    share, as a standard deviation of their logarithms.
    """

    users: int = 943
    candidates: int = 30
    finalists: int = 3
    true_gain: float = 0.0
    good: int = 0
    taste: float = 0.08
    agreement: float = 0.8
    seed_noise: float = 0.01
    costs: float = 0.1


@dataclass(kw_only=True)
class Search:
    """One simulated search: true gains of its candidates, and runs of them on demand. One on the
    promotion part is kept, as in an archive."""

    world: World
    rng: np.random.Generator

    def __post_init__(self) -> None:
        world, rng = self.world, self.rng
        self.chance = rng.uniform(0.15, 0.55, world.users)
        self.gains = np.zeros(world.candidates)
        self.gains[: world.good] = world.true_gain
        self.tastes: dict[int, NDArray[np.float64]] = {}
        self.luck = {part: rng.random((2, world.users)) for part in ("search", "promotion")}
        self.costs = np.exp(world.costs * rng.normal(size=(world.candidates + 1, 4)))
        self.slices = self._slices()
        self._known: dict[tuple[int, int], Scored] = {}

    def _slices(self) -> Mapping[str, NDArray[np.bool_]]:
        """By history they follow a user's chance of a hit, by all else they are drawn."""
        found = {}
        for group, count in SLICES.items():
            key = self.chance if group == "history" else self.rng.random(self.world.users)
            where = np.argsort(np.argsort(key)) * count // len(key)
            found |= {f"{group}: {n}": where == n for n in range(count)}
        return found

    def measure(self, candidate: int, number: int) -> Scored:
        """The number-th training of a candidate, judged on the promotion part."""
        if (candidate, number) not in self._known:
            costs = self.costs[candidate]
            self._known[candidate, number] = scored(self.run(candidate, 1)[0], costs)
        return self._known[candidate, number]

    def run(
        self, candidate: int, seeds: int, part: Literal["search", "promotion"] = "promotion"
    ) -> NDArray[np.float64]:
        """(seeds, users) values; candidate -1 is the incumbent. New random seeds each time."""
        world, rng = self.world, self.rng
        chance = self.chance
        if candidate >= 0:
            if candidate not in self.tastes:
                signs = rng.integers(0, 2, world.users) * 2 - 1
                self.tastes[candidate] = world.taste * signs
            chance = chance * (1 + self.gains[candidate]) + self.tastes[candidate]
        shift = rng.normal(0, world.seed_noise * 0.35, (seeds, 1))
        shared = rng.random((2, seeds, world.users)) < world.agreement
        luck = rng.random((2, seeds, world.users))
        draw, worth = np.where(shared, self.luck[part][:, None], luck)
        return np.where(draw < chance + shift, 0.2 + 0.8 * worth, 0.0)

    def finalists(self) -> list[int]:
        """The best on the search part, one run each: other interactions, same tastes."""
        self.found = np.array(
            [self.run(each, 1, "search").mean() for each in range(self.world.candidates)]
        )
        return np.argsort(self.found)[::-1][: self.world.finalists].tolist()


def scored(values: NDArray[np.float64], costs: NDArray[np.float64]) -> Scored:
    """One run as the gate gets it."""
    latency, memory, coverage, popularity = costs
    return Scored(
        metrics={
            METRIC: float(values.mean()),
            "coverage@10": 0.4 * coverage,
            "popularity_share@10": 0.3 * popularity,
        },
        per_user={METRIC: values.astype(np.float32)},
        fit_seconds=1, score_seconds=1, latency_ms_p50=20, latency_ms_p99=30 * latency,
        parameters=1, peak_bytes=round(memory * (1 << 30)),
    )  # fmt: skip


def by_gate(search: Search, finalists: list[int], config: PromoteConfig) -> Iterator[int]:
    """Whom the gate promotes, each finalist extended as often as the gate asks."""
    readings = 0

    def count() -> int:
        nonlocal readings
        readings += 1
        return readings

    for finalist in finalists:

        def measure(side: Side, number: int, finalist: int = finalist) -> Scored:
            return search.measure(finalist if side == "challenger" else -1, number)

        verdict = run_gate(
            measure,
            count,
            metric=METRIC,
            config=config,
            slices=search.slices,
            resamples=RESAMPLES,
        )[-1]
        if verdict.decision == "promote":
            yield finalist
            return  # it is the incumbent now; the rest would be judged against it


def by_highest(search: Search, finalists: list[int]) -> Iterator[int]:
    """Whoever has the highest mean in one run on the search part, if above the incumbent's."""
    best = finalists[0]
    if search.found[best] > search.run(-1, 1, "search").mean():
        yield best


def by_uncorrected(search: Search, finalists: list[int]) -> Iterator[int]:
    """The first finalist with p <= 0.05 over users, from one run each."""
    incumbent = np.repeat(search.run(-1, 1), 2, axis=0)  # no word on luck in training
    for finalist in finalists:
        challenger = np.repeat(search.run(finalist, 1), 2, axis=0)
        if effect(challenger, incumbent).p_value <= 0.05:
            yield finalist
            return


RULES = {
    "highest mean": lambda search, finalists, config: by_highest(search, finalists),
    "p ≤ 0.05, one seed, no correction": lambda s, f, config: by_uncorrected(s, f),
    "this gate": by_gate,
}


def rates(
    world: World, rules: Sequence[str], searches: int, config: PromoteConfig, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """For each rule the share of searches that promote something no better, and that promote
    something better. All rules see the same searches and the same finalists, and each has luck of
    its own in what is trained after that."""
    wrong, right = Counter[str](), Counter[str]()
    for number in range(searches):
        search = Search(world=world, rng=np.random.default_rng([seed, number]))
        finalists = search.finalists()
        for rule in rules:
            search.rng = np.random.default_rng([seed, number, list(RULES).index(rule)])
            for promoted in RULES[rule](search, finalists, config):
                (right if search.gains[promoted] > 0 else wrong)[rule] += 1
    return {rule: (wrong[rule] / searches, right[rule] / searches) for rule in rules}


WORLDS = (
    (943, 0.01, (0.0, 0.03, 0.06, 0.1)),
    (943, 0.03, (0.0, 0.06)),
    (943, 0.0, (0.0, 0.06)),
    (3000, 0.01, (0.0, 0.03, 0.06)),
)
"""Users, seed noise, true gains. Without seed noise all trainings of a candidate are alike."""


def table(searches: int) -> str:
    config = PromoteConfig()
    lines = [
        f"{searches:,} simulated searches a row, 30 candidates each, the best 3 of the search part "
        f"judged on the promotion part with {sum(SLICES.values())} slices; level {config.level}.",
        "",
        "| users | seed noise | truth | rule | promoted, no better | promoted, better |",
        "| ---: | ---: | --- | --- | ---: | ---: |",
    ]
    for users, noise, gains in WORLDS:
        for gain in gains:
            good = 3 if gain else 0
            world = World(
                users=users,
                seed_noise=noise,
                agreement=0.8 if noise else 1.0,
                true_gain=gain,
                good=good,
            )
            truth = f"3 of 30 gain {gain:.0%}" if good else "none is better"
            for rule, (wrong, right) in rates(world, list(RULES), searches, config).items():
                found = f"{right:.1%}" if good else "-"
                lines.append(
                    f"| {users} | {noise:.0%} | {truth} | {rule} | {wrong:.1%} | {found} |"
                )
                print(lines[-1], flush=True)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--searches", type=int, default=1000)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    start = time.perf_counter()
    text = table(options.searches)
    print(f"{time.perf_counter() - start:.0f} s")
    if options.write:
        page = Path(__file__).parents[1] / "docs" / "evaluation.md"
        before, rest = page.read_text(encoding="utf-8").split(MARKS[0])
        after = rest.split(MARKS[1])[1]
        page.write_text(f"{before}{MARKS[0]}\n{text}\n{MARKS[1]}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
