"""Seed candidates: known models, each one file that meets `evolver.contract`.

They are read as text and run in the sandbox like every other candidate; nothing here imports them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

__all__ = ["BASELINES", "RANKING", "RERANKING", "Baseline", "Unfit", "names", "source"]

GIB = float(1 << 30)


class Unfit(Protocol):
    """Says in one line why a baseline is not tried on data of this size, or None."""

    def __call__(
        self,
        n_users: int,
        n_items: int,
        n_rows: int,
        memory_bytes: int,
        seconds: float | None = None,
    ) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Needs:
    """What a model takes, roughly: bytes, and seconds on one core for a first useful result.

    Both are estimates that err towards trying: a model that stops by itself loses nothing.
    """

    label: str
    bytes_user: float = 0.0
    bytes_item: float = 0.0
    bytes_pair: float = 0.0
    most_pairs: float = float("inf")
    bytes_row: float = 40.0
    seconds_row: float = 0.0
    seconds_cubed_item: float = 0.0

    def __call__(
        self,
        n_users: int,
        n_items: int,
        n_rows: int,
        memory_bytes: int,
        seconds: float | None = None,
    ) -> str | None:
        pairs = min(float(n_items) ** 2, self.most_pairs)
        needed = (
            n_users * self.bytes_user
            + n_items * self.bytes_item
            + n_rows * self.bytes_row
            + pairs * self.bytes_pair
        )
        if needed > memory_bytes:
            return (
                f"{self.label} needs {needed / GIB:.1f} GB for {n_items:,} items and {n_rows:,} "
                f"interactions; {memory_bytes / GIB:.1f} GB are allowed"
            )
        took = n_rows * self.seconds_row + float(n_items) ** 3 * self.seconds_cubed_item
        if seconds is not None and took > seconds:
            return (
                f"{self.label} needs about {took:.0f} s for {n_items:,} items and {n_rows:,} "
                f"interactions; {seconds:.0f} s are allowed"
            )
        return None


@dataclass(frozen=True, slots=True)
class Baseline:
    """A model to compare with. `file` lies in this folder."""

    name: str
    file: str
    unfit: Unfit


def names() -> tuple[str, ...]:
    """The names of all models, for whatever task."""
    return tuple(baseline.name for baseline in (*BASELINES, *RANKING, *RERANKING))


def source(name: str) -> str:
    """The text of the candidate file of that name. Raises KeyError with the known names."""
    for baseline in (*BASELINES, *RANKING, *RERANKING):
        if baseline.name == name:
            return (Path(__file__).parent / baseline.file).read_text(encoding="utf-8")
    raise KeyError(f"no zoo model is called {name!r}; there are {', '.join(names())}")


# from cheap to dear; sizes follow from the defaults in the files
BASELINES: tuple[Baseline, ...] = (
    Baseline("popularity", "popularity.py", Needs("popularity", bytes_item=16)),
    Baseline(
        "item_knn",
        "item_knn.py",
        Needs("item kNN", bytes_item=24_000, bytes_row=80, seconds_row=5e-6),
    ),
    Baseline(
        "graph_filter",
        "graph_filter.py",
        Needs("graph filter", bytes_item=2_000, bytes_pair=24, most_pairs=1e8, seconds_row=1e-5),
    ),
    Baseline(
        "ease",
        "ease.py",
        Needs("EASE", bytes_pair=8, seconds_cubed_item=4e-11),
    ),
    Baseline(
        "ials",
        "ials.py",
        Needs("iALS", bytes_user=1_100, bytes_item=2_200, bytes_row=80, seconds_row=4e-6),
    ),
    Baseline(
        "bpr_mf",
        "bpr_mf.py",
        Needs("BPR-MF", bytes_user=1_600, bytes_item=1_600, bytes_row=80, seconds_row=1e-4),
    ),
    Baseline(
        "lightgcn",
        "lightgcn.py",
        Needs("LightGCN", bytes_user=4_000, bytes_item=4_000, bytes_row=120, seconds_row=4e-4),
    ),
    Baseline(
        "sasrec",
        "sasrec.py",
        Needs("SASRec", bytes_item=2_500, bytes_row=80, seconds_row=2e-4),
    ),
)

# for labelled tables: what is kept and moved by an optimiser is a vector for each code
RANKING: tuple[Baseline, ...] = (
    Baseline(
        "logistic_regression",
        "ranking/logistic_regression.py",
        Needs("logistic regression", bytes_item=16, bytes_row=400, seconds_row=1e-6),
    ),
    Baseline(
        "fm",
        "ranking/fm.py",
        Needs("a factorisation machine", bytes_item=180, bytes_row=400, seconds_row=5e-6),
    ),
    Baseline(
        "two_tower",
        "ranking/two_tower.py",
        Needs("two towers", bytes_item=180, bytes_row=400, seconds_row=2e-5),
    ),
    Baseline(
        "deepfm",
        "ranking/deepfm.py",
        Needs("DeepFM", bytes_item=180, bytes_row=400, seconds_row=5e-5),
    ),
    Baseline(
        "dcn_v2",
        "ranking/dcn_v2.py",
        Needs("DCN V2", bytes_item=180, bytes_row=400, seconds_row=5e-5),
    ),
)

RERANKING: tuple[Baseline, ...] = (
    Baseline("identity", "reranking/identity.py", Needs("identity")),
    Baseline("mmr", "reranking/mmr.py", Needs("MMR")),
    Baseline("calibration", "reranking/calibration.py", Needs("xQuAD")),
    Baseline("dpp", "reranking/dpp.py", Needs("a DPP")),
    Baseline("listwise_attention", "reranking/listwise_attention.py", Needs("listwise attention")),
)
