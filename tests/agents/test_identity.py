from __future__ import annotations

import yaml

from evolver.agents.document import Document, parse
from evolver.agents.identity import digest, essence, pieces
from evolver.agents.space import applied
from tests.agents.programs import RECALL, pool
from tests.agents.written import POOL


def test_names_pool_format_and_defaults_do_not_make_another_pipeline() -> None:
    renamed = {
        "name": "other words",
        "agents": {
            "uno": {
                "stage": "recall",
                "source": RECALL.replace("order", "o"),
                "values": {"step": 3},
            },
            "dos": {"stage": "recall", "source": RECALL, "values": {"step": 7, "share": 0.5}},
            "r": {"stage": "ranking", "source": POOL.agents["ranker"].source},
        },
        "graph": {
            "recall": {"uno": 12, "dos": 12},
            "ranking": "r",
            "depth": 20,
            "head": 99,
            "merge": {"how": "round_robin", "constant": 3},
        },
    }
    assert digest(yaml.safe_dump(renamed, sort_keys=False)) == digest(POOL.text())


def others() -> list[Document]:
    return [
        POOL,
        applied(POOL, {"graph.quota.one": 13}),
        applied(POOL, {"graph.first": "two"}),
        applied(POOL, {"graph.merge": "fusion"}),
        applied(POOL, {"graph.merge": "fusion", "graph.constant": 9.0}),
        applied(POOL, {"graph.depth": 21}),
        applied(POOL, {"graph.reranking": "mmr"}),
        applied(POOL, {"graph.reranking": "mmr", "graph.head": 11}),
        applied(POOL, {"graph.reranking": "dpp"}),
        applied(POOL, {"graph.ranking": "none"}),
        applied(POOL, {"graph.ranking": "none", "graph.reranking": "mmr"}),
        applied(POOL, {"graph.ranking": "none", "graph.reranking": "mmr", "graph.depth": 21}),
        applied(POOL, {"one.step": 9}),
        applied(POOL, {"graph.use.three": True}),
    ]


def test_whatever_changes_what_is_served_makes_another_pipeline() -> None:
    found = [digest(each.text()) for each in others()]
    assert len(set(found)) == len(found)


def test_pieces_differ_by_what_was_changed() -> None:
    own = pieces(POOL.text())
    assert own ^ pieces(applied(POOL, {"graph.depth": 21}).text()) == {
        ("graph", "depth", "20"),
        ("graph", "depth", "21"),
    }
    changed = own ^ pieces(applied(POOL, {"one.step": 9}).text())
    assert {piece[0] for piece in changed} == {"one"}
    assert pieces(applied(POOL, {"three.step": 9}).text()) == own  # it does not serve


def test_what_is_no_document_has_neither() -> None:
    assert digest("class Model: ...") is None
    assert pieces("class Model: ...") == frozenset()
    assert parse(POOL.text()) == POOL


def test_what_is_not_heeded_makes_no_other_pipeline() -> None:
    alone = essence(pool(recall={"one": 9}, ranking=None))
    unheeded: tuple[dict[str, object], ...] = (
        {"merge": {"how": "fusion"}},
        {"depth": 30},
        {"head": 12},
    )
    for change in unheeded:
        assert essence(pool(recall={"one": 9}, ranking=None, **change)) == alone
    one = pool().without("two")
    assert essence(one.with_values("two", {"step": 9})) == essence(one)
    turned = pool(recall={"two": 12, "one": 12}, merge={"how": "fusion"})
    assert essence(turned) == essence(pool(merge={"how": "fusion"}))
