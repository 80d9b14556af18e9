"""Small programs of agents, and pipelines of them."""

from __future__ import annotations

from evolver.agents.document import Document, parse

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
    import yaml

    return parse(yaml.safe_dump({**TWO, "graph": {**TWO["graph"], **graph}}))  # type: ignore[dict-item]
