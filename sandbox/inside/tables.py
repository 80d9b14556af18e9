"""Ranking: labelled rows in, a probability for each row without a label out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import prediction

from evolver.contract import Lists, Table

METHODS = ("predict",)
REPLY = "probabilities"


def load(folder: Path, facts: dict[str, Any]) -> Table:
    """The training rows with their labels, memory-mapped from the files of the view."""

    def read(name: str) -> Any:
        return np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)

    lists = [(read(f"list_{n}.indptr"), read(f"list_{n}.codes")) for n in range(count(facts))]
    times = read("times") if facts["times"] else None
    return table(
        facts,
        codes=read("codes"),
        numbers=read("numbers"),
        lists=lists,
        times=times,
        labels=read("train_labels"),
    )


def unpack(request: dict[str, Any], payload: bytes, facts: dict[str, Any]) -> Table:
    """The rows that a request asks for."""
    rows, width, place = request["rows"], len(facts["sizes"]), 0

    def take(dtype: Any, *shape: int) -> Any:
        nonlocal place
        size = int(np.prod(shape))
        array = np.frombuffer(payload, dtype=dtype, count=size, offset=place)
        place += array.nbytes
        return array.reshape(shape).copy()  # a candidate may write into what it is given

    times = take(np.int64, rows) if request["times"] else None
    indptrs = [take(np.int64, rows + 1) for _ in range(count(facts))]
    numbers = take(np.float32, rows, facts["numbers"])
    codes = take(np.int32, rows, width)
    lists = [
        (indptr, take(np.int32, size))
        for indptr, size in zip(indptrs, request["listed"], strict=True)
    ]
    return table(facts, codes=codes, numbers=numbers, lists=lists, times=times, labels=None)


def answer(
    model: Any, rows: Table, request: dict[str, Any], facts: dict[str, Any], seed: int
) -> Any:
    """(rows,) float64. Raises ValueError where the model returns no probabilities."""
    return prediction.predict(model, rows)


def count(facts: dict[str, Any]) -> int:
    return len(facts["lists"])


def table(
    facts: dict[str, Any], *, codes: Any, numbers: Any, lists: list[Any], times: Any, labels: Any
) -> Table:
    return Table(
        codes=codes,
        sizes=tuple(facts["sizes"]),
        numbers=numbers,
        lists=tuple(
            Lists(
                indptr=indptr,
                codes=listed,
                size=told["size"],
                ordered=told["ordered"],
                column=told["column"],
            )
            for (indptr, listed), told in zip(lists, facts["lists"], strict=True)
        ),
        labels=labels,
        times=times,
        user=facts["user"],
        item=facts["item"],
    )
