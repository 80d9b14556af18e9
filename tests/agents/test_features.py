from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from evolver.agents.document import MergeSpec
from evolver.agents.features import PRIOR, known_of, make_rows, scale_of
from evolver.agents.merge import merge
from evolver.contract import Interactions, Users

TRAIN = Interactions(
    users=np.array([0, 0, 1, 1, 1], np.int32),
    items=np.array([0, 1, 0, 2, 3], np.int32),
    n_users=3,
    n_items=5,
    times=np.array([0, 10, 0, 20, 100], np.int64),
    user_features={"group": csr_matrix(np.array([[1, 0], [0, 1], [1, 0]]))},
    item_features={"genre": csr_matrix(np.array([[1, 0], [1, 0], [0, 1], [0, 1], [1, 1]]))},
)
QUERIES = Users(
    ids=np.array([0, 2]),
    known=np.array([True, False]),
    indptr=np.array([0, 2, 2]),
    items=np.array([0, 1], np.int32),
    n_items=5,
)
LISTS = [
    np.array([[2, 4, -1], [0, -1, -1]], np.int32),
    np.array([[3, 2, -1], [-1, -1, -1]], np.int32),
]


def columns() -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    rows = make_rows(known_of(TRAIN), QUERIES, merge(LISTS, MergeSpec(), 5), ["one", "two"])
    assert rows.numbers.shape == (4, len(rows.names))
    return dict(zip(rows.names, rows.numbers.T, strict=True)), rows.items, rows.found


def test_who_listed_an_item_and_where() -> None:
    found, items, pattern = columns()
    assert items.tolist() == [2, 3, 4, 0]  # by turns: 2, 3, 4; then the other user's 0
    assert found["agents"].tolist() == [2, 1, 1, 1]
    assert found["one lists it"].tolist() == [1, 0, 1, 1]
    assert found["two place"].tolist() == pytest.approx([0.5, 1.0, 0.0, 0.0])
    assert pattern.tolist() == [3, 2, 1, 1]


def test_what_is_popular_and_popular_lately() -> None:
    found, _, _ = columns()
    assert found["popularity"][3] == pytest.approx(np.log(3 / 10))  # item 0, twice in five rows
    assert found["popularity"][2] == pytest.approx(np.log(1 / 10))  # item 4, never
    assert found["popularity lately"][1] == pytest.approx(np.log(2 / 6))  # item 3, the last row


def test_what_is_known_of_the_user() -> None:
    found, _, _ = columns()
    assert found["history"].tolist() == pytest.approx([np.log(3)] * 3 + [0.0])
    assert found["known"].tolist() == [1, 1, 1, 0]


def test_how_an_item_matches_a_history_and_a_group() -> None:
    found, _, _ = columns()
    # the history is all of the first genre; item 4 is half of it
    assert found["history match"].tolist() == pytest.approx([0.0, 0.0, np.sqrt(0.5), 0.0])
    # user 2 was never seen, and is of the first user's group, which took items 0 and 1
    lift = np.log((1 + PRIOR) / (2 * 2 / 5 + PRIOR))
    assert found["group lift"][3] == pytest.approx(lift, rel=1e-5)


def test_features_of_one_query_do_not_depend_on_others() -> None:
    whole = make_rows(known_of(TRAIN), QUERIES, merge(LISTS, MergeSpec(), 5), ["one", "two"])
    first = [each[:1] for each in LISTS]
    alone = make_rows(known_of(TRAIN), QUERIES[0:1], merge(first, MergeSpec(), 5), ["one", "two"])
    assert np.allclose(whole.numbers[whole.query == 0], alone.numbers)


def test_numbers_are_of_one_scale_and_a_constant_is_harmless() -> None:
    train = np.array([[1.0, 5.0], [3.0, 5.0]], dtype=np.float32)
    scale = scale_of(train)
    assert scale.of(train).tolist() == [[-1.0, 0.0], [1.0, 0.0]]
    assert scale.of(np.array([[5.0, 6.0]], dtype=np.float32)).tolist() == [[3.0, 1.0]]
