"""Small programs of agents, and pipelines of them."""

from __future__ import annotations

import numpy as np
import yaml
from scipy.sparse import csr_matrix

from evolver.agents.document import Document, parse
from evolver.data.dataset import Dataset

RECALL = '''"""Lists items by a number of its own."""

import numpy as np

from evolver.contract import Float, Int

FAMILY = "toy"
SERVES_UNSEEN = True
TUNABLES = {"step": Int(1, 50, default=7), "share": Float(0.0, 1.0, default=0.5)}


class Model:
    def __init__(self, params):
        self.step = params.step

    def fit(self, train, budget):
        self.popularity = train.popularity().astype(np.float32)

    def score(self, users):
        order = (np.arange(users.n_items) * self.step) % users.n_items
        return np.tile(self.popularity + order / users.n_items, (len(users), 1))

    def state(self):
        return {"popularity": self.popularity}

    def load(self, state):
        self.popularity = np.asarray(state["popularity"])
'''

TWO = {
    "name": "toy",
    "agents": {
        "one": {"stage": "recall", "source": RECALL, "values": {"step": 3}},
        "two": {"stage": "recall", "source": RECALL},
        "three": {"stage": "recall", "source": RECALL},
    },
    "graph": {"recall": {"one": 20, "two": 30}},
}


def document(**graph: object) -> Document:
    """Three recall agents, the first two of which serve."""
    return parse(yaml.safe_dump({**TWO, "graph": {**TWO["graph"], **graph}}))  # type: ignore[dict-item]


RANKING = '''"""Likes the column of numbers that goes with the labels most."""

import numpy as np

from evolver.contract import Float

FAMILY = "toy ranking"
TUNABLES = {"weight": Float(0.1, 4.0, default=1.0)}


class Model:
    def __init__(self, params):
        self.weight = params.weight

    def fit(self, train, budget):
        labels = train.labels - train.labels.mean()
        self.slopes = labels @ train.numbers / len(train)

    def predict(self, table):
        return 1 / (1 + np.exp(-self.weight * (table.numbers @ self.slopes)))

    def state(self):
        return {"slopes": self.slopes}

    def load(self, state):
        self.slopes = np.asarray(state["slopes"])
'''


def dataset(n_users: int = 80, n_items: int = 40, rows: int = 14) -> Dataset:
    """Users of two tastes, who take what they like, with times, groups and genres."""
    rng = np.random.default_rng(4)
    taste = np.arange(n_users) % 2
    likes = np.where(np.arange(n_items) % 2 == taste[:, None], 4.0, 1.0)
    likes = likes / (1 + np.arange(n_items) // 2)
    items = np.concatenate(
        [rng.choice(n_items, rows, replace=False, p=row / row.sum()) for row in likes]
    )
    times = np.sort(rng.integers(0, 1000, (n_users, rows)), axis=1).ravel()
    return Dataset(
        name="toy",
        users=np.repeat(np.arange(n_users), rows).astype(np.int32),
        items=items.astype(np.int32),
        user_ids=np.arange(n_users).astype(str),
        item_ids=np.arange(n_items).astype(str),
        times=times.astype(np.int64),
        user_features={"group": csr_matrix(np.eye(2)[taste])},
        item_features={"genre": csr_matrix(np.eye(2)[np.arange(n_items) % 2])},
    )


def pool(**graph: object) -> Document:
    """Toy recall and ranking, and the zoo's re-rankers."""
    agents = {
        **TWO["agents"],  # type: ignore[dict-item]
        "ranker": {"stage": "ranking", "source": RANKING},
        "mmr": {"stage": "reranking", "program": "zoo/mmr"},
        "dpp": {"stage": "reranking", "program": "zoo/dpp"},
        "calibration": {"stage": "reranking", "program": "zoo/calibration"},
        "identity": {"stage": "reranking", "program": "zoo/identity"},
    }
    given = {"recall": {"one": 12, "two": 12}, "ranking": "ranker", "depth": 20, **graph}
    return parse(yaml.safe_dump({"agents": agents, "graph": given}))
