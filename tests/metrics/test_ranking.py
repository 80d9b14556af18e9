from __future__ import annotations

from math import log2

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from evolver.errors import UsageError
from evolver.metrics.membership import membership
from evolver.metrics.ranking import KINDS, parse_metric, per_user
from sandbox.ranking import tie_order, top_k


def csr(sets: list[list[int]]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    indptr = np.cumsum([0, *map(len, sets)]).astype(np.int64)
    return indptr, np.array([i for s in sets for i in sorted(s)], dtype=np.int32)


def measure(lists: list[list[int]], labels: list[list[int]], *names: str, n_items: int = 100):
    table = np.array(lists, dtype=np.int32)
    return per_user(table, *csr(labels), n_items, [parse_metric(name) for name in names])


def test_hand_computed() -> None:
    got = measure(
        [[9, 1, 4, 7], [5, 6, 8, 2], [3, 0, -1, -1]],
        [[1, 7, 50], [5], [60]],
        *("recall@4", "precision@4", "ndcg@4", "hit@4", "mrr@4", "map@4", "ndcg@1", "ndcg@2"),
    )
    ideal = 1 + 1 / log2(3) + 1 / 2
    assert got["recall@4"] == pytest.approx([2 / 3, 1, 0])
    assert got["precision@4"] == pytest.approx([2 / 4, 1 / 4, 0])
    assert got["ndcg@4"] == pytest.approx([(1 / log2(3) + 1 / log2(5)) / ideal, 1, 0])
    assert got["hit@4"] == pytest.approx([1, 1, 0])
    assert got["mrr@4"] == pytest.approx([1 / 2, 1, 0])
    assert got["map@4"] == pytest.approx([(1 / 2 + 2 / 4) / 3, 1, 0])
    assert got["ndcg@1"] == pytest.approx([0, 1, 0])
    assert got["ndcg@2"] == pytest.approx([(1 / log2(3)) / (1 + 1 / log2(3)), 1, 0])


def test_recall_keeps_all_labels_below_the_line_and_map_only_what_fits() -> None:
    got = measure([[1, 2]], [[1, 2, 3, 4]], "recall@2", "map@2", "ndcg@2")
    assert got["recall@2"] == pytest.approx([0.5])
    assert got["map@2"] == pytest.approx([1.0])
    assert got["ndcg@2"] == pytest.approx([1.0])


def random_case(seed: int, queries: int, n_items: int, k: int):
    """Lists that mix held-out items with others, some padded; more and fewer labels than k."""
    rng = np.random.default_rng(seed)
    lists, labels = np.full((queries, k), -1, dtype=np.int32), []
    for row in lists:
        items = rng.permutation(n_items)
        held = items[: rng.integers(1, 2 * k)]
        shown = rng.permutation(items[: rng.integers(1, 3 * k)])[: rng.integers(1, k + 1)]
        row[: len(shown)] = shown
        labels.append(held.tolist())
    return lists, labels


REFERENCE = {
    "ndcg@10": "nDCG@10", "recall@10": "R@10", "precision@10": "P@10",
    "mrr@10": "RR@10", "map@10": "AP@10", "hit@10": "Success@10", "ndcg@20": "nDCG@20",
}  # fmt: skip


def assert_equals_reference(
    lists: NDArray[np.int32],
    labels: list[list[int]],
    n_items: int,
    qrels: list[ir_measures.Qrel],
    run: list[ir_measures.ScoredDoc],
    *,
    reference: dict[str, str] = REFERENCE,
) -> None:
    """Our values of the lists are theirs of the run, user by user, to 1e-9."""
    ours = per_user(lists, *csr(labels), n_items, [parse_metric(name) for name in reference])
    sizes = np.array([len(held) for held in labels])
    for name, theirs in reference.items():
        measure = ir_measures.parse_measure(theirs)
        answer = {int(m.query_id): m.value for m in ir_measures.iter_calc([measure], qrels, run)}
        expected = np.array([answer[q] for q in range(len(labels))])
        if name == "map@10":  # they divide by all relevant items, we by those that fit
            expected = expected * sizes / np.minimum(sizes, 10)
        np.testing.assert_allclose(ours[name], expected, rtol=0, atol=1e-9)
        assert expected.max() > 0


@pytest.mark.parametrize("n_items", [60, 9_000])
def test_equals_ir_measures(n_items: int) -> None:
    k = 20
    lists, labels = random_case(7, 150, n_items, k)
    qrels = [ir_measures.Qrel(str(q), str(i), 1) for q, held in enumerate(labels) for i in held]
    run = [
        ir_measures.ScoredDoc(str(q), str(i), float(k - place))
        for q, row in enumerate(lists)
        for place, i in enumerate(row)
        if i >= 0
    ]
    assert_equals_reference(lists, labels, n_items, qrels, run)


def test_scores_that_tie_equal_ir_measures_through_the_ranking() -> None:
    """Whole catalogues scored on five levels. trec_eval breaks a tie by name, the last one first;
    items are named for it so that it is the order of our hash. Its MRR has no cut."""
    n_items, seed = 60, 3
    rng = np.random.default_rng(8)
    labels = [rng.permutation(n_items)[: rng.integers(1, 12)].tolist() for _ in range(100)]
    scores = rng.integers(0, 5, (100, n_items)).astype(np.float32)
    nobody = np.zeros(101, dtype=np.int64), np.empty(0, dtype=np.int32)
    lists = top_k(scores, *nobody, n_items, tie_seed=seed)
    place = np.argsort(np.argsort(tie_order(n_items, seed)))
    names = [f"{n_items - each:03d}" for each in place]
    qrels = [ir_measures.Qrel(str(q), names[i], 1) for q, held in enumerate(labels) for i in held]
    run = [
        ir_measures.ScoredDoc(str(q), names[i], float(value))
        for q, row in enumerate(scores)
        for i, value in enumerate(row)
    ]
    without_cut = {k: v for k, v in REFERENCE.items() if k != "mrr@10"} | {f"mrr@{n_items}": "RR"}
    assert_equals_reference(lists, labels, n_items, qrels, run, reference=without_cut)


@st.composite
def cases(draw: st.DrawFn):
    n_items = draw(st.integers(1, 40))
    k = draw(st.integers(1, n_items))
    queries = draw(st.integers(1, 5))
    items = st.integers(0, n_items - 1)
    lists, labels = [], []
    for _ in range(queries):
        row = draw(st.lists(items, unique=True, max_size=k))
        lists.append(row + [-1] * (k - len(row)))
        labels.append(sorted(draw(st.sets(items, min_size=1))))
    return n_items, k, np.array(lists, dtype=np.int32), labels


@given(cases())
@settings(max_examples=200, deadline=None)
def test_in_range_and_hits_equal_set_lookup(case) -> None:
    n_items, k, lists, labels = case
    hits = membership(lists, *csr(labels), n_items)
    assert hits.tolist() == [
        [i in held for i in row] for row, held in zip(lists.tolist(), labels, strict=True)
    ]
    for values in per_user(
        lists, *csr(labels), n_items, [parse_metric(f"{kind}@{k}") for kind in KINDS]
    ).values():
        assert ((values >= 0) & (values <= 1 + 1e-12)).all()


@given(cases(), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_renaming_items_and_reordering_users_change_nothing(case, random) -> None:
    n_items, k, lists, labels = case
    metrics = [parse_metric(f"{kind}@{k}") for kind in KINDS]
    before = per_user(lists, *csr(labels), n_items, metrics)
    names = np.array([*random.sample(range(n_items), n_items), -1], dtype=np.int32)
    order = random.sample(range(len(lists)), len(lists))
    renamed = [[int(names[i]) for i in labels[row]] for row in order]
    after = per_user(names[lists[order]], *csr(renamed), n_items, metrics)
    for name, values in before.items():
        np.testing.assert_allclose(after[name], values[order], atol=1e-12)


@given(cases())
@settings(max_examples=100, deadline=None)
def test_a_hit_moved_forward_never_lowers_a_metric(case) -> None:
    n_items, k, lists, labels = case
    metrics = [parse_metric(f"{kind}@{k}") for kind in KINDS]
    before = per_user(lists, *csr(labels), n_items, metrics)
    hits = membership(lists, *csr(labels), n_items)
    better = lists.copy()
    for row, hit in zip(better, hits, strict=True):
        if hit.any() and (place := int(hit.argmax())) > 0:
            row[place - 1], row[place] = row[place], row[place - 1]
    after = per_user(better, *csr(labels), n_items, metrics)
    for name, values in before.items():
        assert (after[name] >= values - 1e-12).all()


@pytest.mark.parametrize("n_items", [1, 4095, 4096, 5000, 1_000_000])
def test_membership_at_the_table_edges(n_items: int) -> None:
    rng = np.random.default_rng(n_items)
    sets = [rng.integers(0, n_items, size=size).tolist() for size in (0, 3, 700, 1)]
    lists = rng.integers(-1, n_items, size=(4, 9)).astype(np.int32)
    for row, held in zip(lists, sets, strict=True):
        row[:2] = held[:2] if len(held) > 1 else -1
        row[2] = n_items - 1
    indptr = np.cumsum([0, *map(len, sets)])
    items = np.array([i for held in sets for i in held], dtype=np.int32)  # not sorted, repeats
    expected = [[i in held for i in row] for row, held in zip(lists.tolist(), sets, strict=True)]
    assert membership(lists, indptr, items, n_items).tolist() == expected


def test_items_that_share_a_cell_of_the_table_are_told_apart() -> None:
    far = [5 + 4096 * n for n in range(40)]
    held = [*far[:20], *far[:20], 6]  # nearly all on one cell, and everything twice
    lists = np.array([far, far], dtype=np.int32)
    got = membership(lists, np.array([0, len(held), len(held)]), np.array(held, np.int32), 200_000)
    assert got.tolist() == [[n < 20 for n in range(40)], [False] * 40]


def test_many_blocks_agree_with_one_by_one() -> None:
    rng = np.random.default_rng(3)
    n_items, queries = 3000, 2500
    lists = rng.integers(0, n_items, size=(queries, 4)).astype(np.int32)
    sets = [sorted(set(rng.integers(0, n_items, size=6).tolist()) | {int(row[2])}) for row in lists]
    got = membership(lists, *csr(sets), n_items)
    assert got[:, 2].all()
    assert got.tolist() == [[int(i) in s for i in row] for row, s in zip(lists, sets, strict=True)]


@pytest.mark.parametrize("text", ["ndcg", "ndgc@10", "ndcg@0", "ndcg@-1", "@10", "", "ndcg@1e3"])
def test_unknown_metric_names_the_known_ones(text: str) -> None:
    with pytest.raises(UsageError, match=r"known: recall@k, precision@k, ndcg@k"):
        parse_metric(text)


def test_metric_names_are_normalised() -> None:
    assert parse_metric(" NDCG@010 ").name == "ndcg@10"


def test_lists_too_short_and_users_without_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="too short"):
        measure([[1, 2]], [[1]], "ndcg@3")
    with pytest.raises(ValueError, match="query 1 has no held-out item"):
        measure([[1, 2], [1, 2]], [[1], []], "ndcg@2")
    with pytest.raises(ValueError, match="2 lists for 1 users"):
        measure([[1, 2], [1, 2]], [[1]], "ndcg@2")


def test_no_users_give_empty_values() -> None:
    empty = np.empty((0, 10), dtype=np.int32)
    got = per_user(empty, *csr([]), 5, [parse_metric("ndcg@10")])
    assert got["ndcg@10"].shape == (0,)
