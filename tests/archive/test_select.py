"""Parents: every selector meets its suite, every island is used, no elite is ever lost."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolver.archive.elites import Cell, MapElites, Pareto
from evolver.archive.islands import Islands
from evolver.archive.ranking import power_law, ranked, tournament
from evolver.archive.reviews import Opinion, Steered, heeded
from evolver.archive.select import Best, Tournament, islands, places, selector
from evolver.config import SelectConfig
from evolver.core import Candidate, Entry, Evaluation, Failed, Scored, Selector
from evolver.testing import SELECTOR_METRIC as METRIC
from evolver.testing import selector_conformance, selector_history

Kind = Literal["islands", "map-elites", "pareto", "tournament", "power-law"]
KINDS: tuple[Kind, ...] = get_args(SelectConfig.model_fields["selector"].annotation)


def make(kind: Kind, seed: int = 0, count: int = 3) -> Selector:
    return selector(SelectConfig(selector=kind, islands=count), METRIC, seed)


def entry(
    number: int,
    score: float | None,
    *,
    parents: tuple[str, ...] = (),
    family: str = "a",
    seconds: float = 1.0,
    share: float = 0.5,
    latency: float = 1.0,
    parameters: int = 1,
) -> Entry:
    found: Evaluation = Failed(kind="crash", reason="boom")
    if score is not None:
        found = Scored(
            metrics={METRIC: score, "popularity_share@10": share},
            per_user={},
            fit_seconds=seconds,
            score_seconds=0.0,
            latency_ms_p50=latency,
            latency_ms_p99=latency,
            parameters=parameters,
            peak_bytes=1,
        )
    made = Candidate(source=f"# {number}", parents=parents, family=family)
    return Entry(number=number, candidate=made, evaluation=found)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 5])
def test_conformance(kind: Kind, seed: int) -> None:
    selector_conformance(lambda: make(kind, seed))


@pytest.mark.parametrize("kind", KINDS)
def test_reviewers_steer_every_selector(kind: Kind) -> None:
    history = selector_history()
    leader = ranked(history, METRIC)[0].number
    said = {leader: Opinion(banned=True), 3: Opinion(pinned=True), 5: Opinion(verdict="reject")}
    steered = Steered(make(kind))
    told = heeded(history, said)
    chosen = [[e.number for e in steered.select(told, seed)] for seed in range(60)]
    assert not any({leader, 5} & set(numbers) for numbers in chosen)
    assert all(numbers[0] == 3 for numbers in chosen[::2])
    assert len({numbers[0] for numbers in chosen[1::2]}) > 1


# --- tournament and power law ---


def test_better_entries_are_parents_more_often() -> None:
    history = [entry(n, n / 10) for n in range(10)]
    for pick in (tournament(3), power_law(1.0)):
        chosen = [Best(METRIC, pick).select(history, seed)[0].number for seed in range(2000)]
        counts = Counter(chosen)
        assert counts[9] > counts[7] > counts[4] > counts[0] >= 0
    wins = Counter(Tournament(METRIC, 3).select(history, s)[0].number for s in range(4000))
    assert wins[9] / 4000 == pytest.approx(1 - 0.9**3, abs=0.03)
    drawn = Counter(Best(METRIC, power_law(1.0)).select(history, s)[0].number for s in range(4000))
    assert drawn[9] / 4000 == pytest.approx(1 / sum(1 / r for r in range(1, 11)), abs=0.03)
    assert set(drawn) == set(range(10))  # the worst keeps a chance


# --- islands ---


def bred(
    candidates: int, count: int = 3, every: int = 8, seed: int = 0, lag: int = 2
) -> list[Entry]:
    """A run: each candidate is a child of what was selected for it, a little off its parent."""
    found = Islands(METRIC, count=count, every=every, origin=seed, pick=tournament(2))
    rng = np.random.default_rng(seed)
    history: list[Entry] = []
    for number in range(candidates):
        known = history[: max(0, number - lag + 1)]
        parents = found.select(known, seed + number) if number >= count else []
        start = parents[0].score(METRIC) or 0.0 if parents else rng.random() / 2
        made = entry(
            number,
            None if rng.random() < 0.15 else min(1.0, max(0.0, start + rng.normal(0, 0.05))),
            parents=tuple(e.candidate.id for e in parents[:1]),
        )
        history.append(made)
    return history


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", [0, 7])
def test_every_island_breeds_its_share(count: int, seed: int) -> None:
    history = bred(60, count, seed=seed)
    found = Islands(METRIC, count=count, every=8, origin=seed, pick=tournament(2))
    homes = Counter(found.homes(history).values())
    assert set(homes) == set(range(count))
    assert min(homes.values()) >= 60 // count * 0.7
    parents: dict[int, set[int]] = {island: set() for island in range(count)}
    for number in range(60, 120):
        parents[number % count].add(found.select(history, seed + number)[0].number)
    populations = found.populations(history)
    for island, chosen in parents.items():
        assert chosen <= set(populations.members[island])


def test_islands_are_apart_until_the_best_migrate() -> None:
    history = [entry(0, 0.9), entry(1, 0.1), entry(2, 0.2), entry(3, 0.3)]
    found = Islands(METRIC, count=2, every=4, origin=0, pick=tournament(2))
    before = found.populations(history)
    assert [set(m) for m in before.members] == [{0, 2}, {1, 3}]
    assert {found.select(history, seed)[0].number for seed in range(1, 40, 2)} == {1, 3}
    after = found.populations([*history, entry(4, 0.15)])
    assert [set(m) for m in after.members] == [{0, 2, 3, 4}, {0, 1, 3}]
    assert 0 in {
        found.select([*history, entry(4, 0.1)], seed)[0].number for seed in range(1, 40, 2)
    }


def test_a_migrants_child_settles_where_it_was_bred_and_others_stay_at_home() -> None:
    start = [entry(0, 0.9), entry(1, 0.1), entry(2, 0.2), entry(3, 0.3), entry(4, 0.15)]
    migrant, native = start[0].candidate.id, start[1].candidate.id
    found = Islands(METRIC, count=2, every=4, origin=0, pick=tournament(2))
    history = [
        *start,
        entry(5, 0.5, parents=(migrant,)),  # the turn of island 1, where 0 came to
        entry(6, 0.5, parents=(native,)),  # the turn of island 0, where 1 never was
        entry(7, 0.5, parents=("unknown",)),
        entry(8, None, parents=(migrant,)),
    ]
    homes = found.homes(history)
    assert (homes[5], homes[6], homes[7], homes[8]) == (1, 1, 1, 0)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.none() | st.floats(0, 1), st.integers(0, 40)), min_size=1, max_size=40),
    st.integers(1, 5),
    st.integers(1, 9),
)
def test_no_islander_is_ever_lost(
    told: list[tuple[float | None, int]], count: int, every: int
) -> None:
    history: list[Entry] = []
    for number, (score, parent) in enumerate(told):
        parents = (history[parent].candidate.id,) if parent < number else ()
        history.append(entry(number, score, parents=parents))
    found = Islands(METRIC, count=count, every=every, origin=0, pick=tournament(2))
    seen: list[set[int]] = [set() for _ in range(count)]
    for length in range(1, len(history) + 1):
        populations = found.populations(history[:length])
        for island, members in enumerate(populations.members):
            assert seen[island] <= set(members)
            seen[island] = set(members)
        assert set().union(*seen) == {e.number for e in history[:length]}
        assert all(number in seen[home] for number, home in populations.homes.items())
    whole = found.homes(history)
    for length in range(1, len(history)):  # what comes later moves nobody
        earlier = found.homes(history[:length])
        assert all(whole[number] == home for number, home in earlier.items())
    scored = ranked(history, METRIC)
    if scored:
        leaders = {found.select(history, seed)[-1].number for seed in range(count)}
        assert leaders <= {e.number for e in scored}


def test_an_empty_island_takes_parents_from_all() -> None:
    history = [entry(0, 0.5), entry(1, None), entry(2, None)]
    found = Islands(METRIC, count=3, every=100, origin=0, pick=tournament(2))
    assert [e.number for e in found.select(history, 1)] == [0]
    child = entry(4, 0.6, parents=(history[0].candidate.id,))
    assert found.homes([*history, child])[4] == 0  # its parent never lived on island 1


def test_one_best_spreads_to_all_islands() -> None:
    history = bred(80, count=4, every=5)
    found = Islands(METRIC, count=4, every=5, origin=0, pick=tournament(2))
    old = ranked(history[:30], METRIC)[0]
    if old.number == ranked(history, METRIC)[0].number:
        lived = [old.number in m for m in found.populations(history).members]
        assert all(lived)
    spread = Counter(number for members in found.populations(history).members for number in members)
    assert max(spread.values()) == 4


# --- map-elites ---


def test_cells_are_family_cost_and_popularity() -> None:
    cells = MapElites.cell
    assert cells(entry(0, 0.1, family=" Item  KNN ", seconds=5.0, share=0.3)) == Cell(
        "item knn", 0, 1
    )
    assert cells(entry(0, 0.1, seconds=0.0, share=0.0)) == Cell("a", -1, 0)
    assert cells(entry(0, 0.1, seconds=250.0, share=1.0)) == Cell("a", 2, 3)
    assert cells(entry(0, None)) is None
    assert str(Cell("knn", 0, 1)) == "knn, under 10 s, 25% to 50% popular"
    assert str(Cell("knn", -1, 3)) == "knn, under 1 s, 75% to 100% popular"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.none() | st.floats(0, 1), st.sampled_from("ab"), st.sampled_from([0.5, 5.0, 50.0])
        ),
        min_size=1,
        max_size=40,
    )
)
def test_no_elite_is_ever_lost(told: list[tuple[float | None, str, float]]) -> None:
    history = [entry(n, s, family=f, seconds=c) for n, (s, f, c) in enumerate(told)]
    found = MapElites(METRIC)
    last: dict[Cell, Entry] = {}
    for length in range(1, len(history) + 1):
        elites = found.elites(history[:length])
        for cell, elite in last.items():  # a cell once reached stays, and only gets better
            assert (elites[cell].score(METRIC) or 0.0) >= (elite.score(METRIC) or 0.0)
        for e in history[:length]:
            cell_of = MapElites.cell(e)
            if cell_of is not None:
                assert (elites[cell_of].score(METRIC) or 0.0) >= (e.score(METRIC) or 0.0)
        last = elites
    if last:
        drawn = {found.select(history, seed)[0].number for seed in range(400)}
        assert drawn == {e.number for e in last.values()}  # every elite is some time a parent


# --- pareto ---


def test_the_front_is_what_nothing_beats() -> None:
    history = [
        entry(0, 0.5, latency=5, parameters=50),
        entry(1, 0.4, latency=1, parameters=50),
        entry(2, 0.3, latency=9, parameters=1),
        entry(3, 0.4, latency=2, parameters=60),  # beaten by 1
        entry(4, 0.5, latency=5, parameters=50),  # the same as 0, later
        entry(5, 0.5, latency=4, parameters=50),  # beats 0 and 4
        entry(6, None),
    ]
    found = Pareto(METRIC)
    assert [e.number for e in found.front(history)] == [5, 1, 2]
    assert {found.select(history, seed)[0].number for seed in range(60)} == {5, 1, 2}


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=25
    )
)
@settings(max_examples=60, deadline=None)
def test_the_front_equals_its_definition(told: list[tuple[int, int, int]]) -> None:
    history = [entry(n, q / 4, latency=1 + t, parameters=p) for n, (q, t, p) in enumerate(told)]
    points = [(q, -t, -p) for q, t, p in told]

    def beats(a: tuple[int, int, int], b: tuple[int, int, int]) -> bool:
        return a != b and all(x >= y for x, y in zip(a, b, strict=True))

    front = {p for p in points if not any(beats(o, p) for o in points)}
    assert {points[e.number] for e in Pareto(METRIC).front(history)} == front
    assert len(Pareto(METRIC).front(history)) == len(front)


# --- where an entry stands ---


def test_every_entry_has_its_place() -> None:
    history = [entry(0, 0.5), entry(1, 0.4, family="b"), entry(2, 0.3), entry(3, None)]
    found = places(history, SelectConfig(selector="islands", islands=2), METRIC, 0)
    assert [found[n].island for n in range(4)] == [0, 1, 0, 1]
    assert [found[n].elite for n in range(4)] == [True, True, False, False]
    assert [found[n].front for n in range(4)] == [True, False, False, False]
    assert found[3].cell is None
    other = places(history, SelectConfig(selector="pareto"), METRIC, 0)
    assert {p.island for p in other.values()} == {None}


def test_the_run_seed_does_not_shift_turns() -> None:
    history = [entry(n, 0.1 * n) for n in range(6)]
    for seed in (0, 1, 11):
        found = islands(SelectConfig(islands=3), METRIC, seed)
        assert {e.number % 3 for e in found.select(history, seed + 7)} == {1}


def test_remarks_reach_the_parents() -> None:
    history = [replace(entry(0, 0.4), remarks=("why",))]
    assert make("islands").select(history, 0)[0].remarks == ("why",)
