"""A small world: data, a fitted candidate of the test's own, and what evolver would know of it."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load as loads
from safetensors.numpy import save

from evolver import resources
from evolver.contract import Budget, Interactions, Params, Users
from evolver.core import Candidate
from evolver.data.dataset import Dataset
from evolver.data.split import Counts, Fold, Labels
from evolver.export.card import CardFacts, Comparison, Measured
from evolver.export.package import Parity

N_USERS, N_ITEMS, SEED = 140, 60, 5

NEIGHBOURS = '''"""Items that share users, weighted by how rare they are."""
from __future__ import annotations

import numpy as np

from evolver.contract import Budget, Float, Interactions, Params, Users

FAMILY = "neighbourhood"
SERVES_UNSEEN = True
TUNABLES = {"damping": Float(0.0, 50.0, default=5.0)}
NOTE = "this string names evolver.contract and must stay as it is"


class Model:
    def __init__(self, params: Params) -> None:
        self.damping = params.damping

    def fit(self, train: Interactions, budget: Budget) -> None:
        matrix = train.matrix()
        shared = np.asarray((matrix.T @ matrix).todense(), dtype=np.float32)
        norms = np.sqrt(np.diag(shared)) + self.damping
        self.weights = shared / norms[:, None] / norms[None, :]
        np.fill_diagonal(self.weights, 0)

    def score(self, users: Users) -> np.ndarray:
        return users.matrix() @ self.weights

    def state(self) -> dict[str, np.ndarray]:
        return {"weights": self.weights}

    def load(self, state) -> None:
        self.weights = state["weights"]
'''

FACTORS = """import torch
from evolver.contract import Int

FAMILY = "matrix factorisation"
TUNABLES = {"width": Int(2, 16, default=4)}


class Model:
    def __init__(self, params):
        self.width = params["width"]

    def fit(self, train, budget):
        torch.manual_seed(budget.seed)
        self.users = torch.randn(train.n_users, self.width)
        self.items = torch.randn(train.n_items, self.width)

    def score(self, users):
        return self.users[torch.from_numpy(users.ids)] @ self.items.T

    def state(self):
        return {"users": self.users, "items": self.items}

    def load(self, state):
        self.users = torch.from_numpy(state["users"])
        self.items = torch.from_numpy(state["items"])
"""

HOSTILE = [
    "line\nbreak",
    'quo"te',
    "it's",
    "back\\slash",
    "ünï☃",
    "\x1b[31mred",
    "\u202egnp",
    " ",
    "",
]


def module_from(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def names(kind: str, count: int) -> np.ndarray[Any, Any]:
    return np.array(HOSTILE + [f"{kind}{i}" for i in range(count - len(HOSTILE))])


@dataclass
class World:
    """A dataset with its last fold: 100 users known, 30 with a history only, 10 with nothing."""

    dataset: Dataset
    fold: Fold


@pytest.fixture(scope="session")
def world() -> World:
    rng = np.random.default_rng(0)
    sizes = np.concatenate([rng.integers(2, 12, 100), np.zeros(40, dtype=int)])
    users = np.repeat(np.arange(N_USERS), sizes).astype(np.int32)
    items = np.concatenate(
        [rng.choice(N_ITEMS, size, replace=False) for size in sizes if size]
    ).astype(np.int32)
    times = np.arange(len(users), dtype=np.int64)
    train = Interactions(users=users, items=items, n_users=N_USERS, n_items=N_ITEMS, times=times)
    asked = np.concatenate([np.arange(0, 100), np.arange(100, 130)])
    histories = [items[users == u] for u in range(100)] + [
        rng.choice(N_ITEMS, 3, replace=False) for _ in range(30)
    ]
    indptr = np.concatenate([[0], np.cumsum([len(h) for h in histories])]).astype(np.int64)
    queries = Users(
        ids=asked.astype(np.int64),
        known=asked < 100,
        indptr=indptr,
        items=np.concatenate(histories).astype(np.int32),
        n_items=N_ITEMS,
        times=np.arange(indptr[-1], dtype=np.int64),
    )
    dataset = Dataset(
        name="small | <world>",
        users=users,
        items=items,
        times=times,
        user_ids=names("u", N_USERS),
        item_ids=names("i", N_ITEMS),
    )
    counts = Counts(
        rows=0,
        label_rows=0,
        history_rows=0,
        repeat_rows=0,
        cold_user_rows=0,
        known_users=100,
        unseen_users=30,
        cold_users=10,
        cold_items=0,
    )
    labels = Labels(indptr=np.zeros(131, dtype=np.int64), items=np.array([], dtype=np.int32))
    fold = Fold(
        part="test", train=train, queries=queries, labels=labels, counts=counts, repeats=False
    )
    return World(dataset, fold)


@pytest.fixture(scope="session")
def card() -> CardFacts:
    return CardFacts(
        data_name="small | <world>",
        data_fingerprint="0123456789abcdef",
        split_kind="time",
        split_fingerprint="fedcba9876543210",
        created="2026-01-02",
        evolver_version="0.1.0",
        rival_name="EASE",
        comparisons=(
            Comparison(
                part="test",
                users=130,
                module=(Measured(metric="ndcg@10", value=0.31, low=0.30, high=0.32),),
                rival=(Measured(metric="ndcg@10", value=0.29, low=0.28, high=0.30),),
                difference=(Measured(metric="ndcg@10", value=0.02, low=0.01, high=0.03),),
                note="read once",
            ),
        ),
        seeds=(5,),
        peak_bytes=3 << 20,
    )


@pytest.fixture(scope="session")
def ranking() -> ModuleType:
    return module_from(resources.folder("sandbox") / "ranking.py", "ranking_for_tests")


Exported = dict[str, Any]


@pytest.fixture(scope="session")
def arguments(
    world: World, card: CardFacts, ranking: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Exported]:
    """What write_package takes: fits the source here, as the sandbox would elsewhere."""

    def make(source: str = NEIGHBOURS, serves_unseen: bool = True, **values: Any) -> Exported:
        path = tmp_path_factory.mktemp("fit") / "candidate.py"
        path.write_text(source, "utf-8")
        module = module_from(path, f"candidate_{abs(hash(source))}")
        complete = {name: tunable.default for name, tunable in module.TUNABLES.items()} | values
        fitted = module.Model(Params(complete))
        fitted.fit(world.fold.train, Budget(seconds=10, seed=SEED))
        state = {name: np.asarray(array) for name, array in fitted.state().items()}
        asked = 130 if serves_unseen else 100
        judged = module.Model(Params(complete))
        judged.load(loads(save(state)))
        lists = ranking.rank(judged, world.fold.queries[:asked], 10, tie_seed=SEED)
        return {
            "candidate": Candidate(
                source=source,
                values=values,
                name="A | <b>name</b>",
                idea="First line\n```\n<script>alert(1)</script>",
                family="neighbourhood",
                proposer="typed search",
                parents=("0123456789ab",),
            ),
            "values": complete,
            "weights": save(state),
            "dataset": world.dataset,
            "fold": world.fold,
            "card": card,
            "parity": Parity(rows=np.arange(asked), lists=lists),
            "tie_seed": SEED,
            "serves_unseen": serves_unseen,
        }

    return make


@pytest.fixture
def imported(tmp_path: Path) -> Iterator[Callable[[Path, str], Any]]:
    """Imports an exported package from its folder, and forgets it after the test."""
    before = set(sys.modules)
    paths = list(sys.path)

    def load(folder: Path, name: str) -> Any:
        sys.path.insert(0, str(folder))
        return importlib.import_module(name)

    yield load
    sys.path[:] = paths
    for name in set(sys.modules) - before:
        if name.startswith("module_"):
            del sys.modules[name]
