"""RecBole atomic files: tab-separated tables whose header gives each column a type."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import polars as pl

from evolver.config import DataConfig
from evolver.data import files
from evolver.data.raw import PUBLISHED_NAMES, FeatureColumn, FeatureTable, Raw, join_parts
from evolver.data.tables import read_table
from evolver.errors import DataError

_KINDS: dict[str, Literal["token", "tokens", "float"]] = {
    "token": "token",
    "token_seq": "tokens",
    "float": "float",
}


def read_recbole(inter: list[Path], config: DataConfig) -> Raw:
    """Interactions with the features of the `.user` and `.item` files beside them.

    inter: one `.inter` file, or those of a published split (`x.train.inter`, `x.test.inter`, and
    perhaps `x.valid.inter`). Raises `DataError`.
    """
    stem = _stem(inter[0])
    if len(inter) == 1:
        raw = read_table(inter[0], config)
    else:
        raw = join_parts(stem, [(_part(path), read_table(path, config)) for path in inter])
    features = []
    for side in ("user", "item"):
        for ending in (f".{side}", f".{side}.gz"):
            path = _beside(inter[0], stem, ending)
            if path is not None:
                features.append(read_features(path, "user" if side == "user" else "item"))
    return replace(raw, features=tuple(features))


def read_features(path: Path, side: Literal["user", "item"]) -> FeatureTable:
    """All typed columns of a `.user` or `.item` file; the first column is the id."""
    data = files.text(path)
    try:
        frame = pl.read_csv(data.encode(), separator="\t", quote_char=None, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        line = str(error).splitlines()[0][:120]
        raise DataError(f"{path.name} is not a well-formed table: {line}; correct it") from None
    ids, *rest = frame.columns
    columns = {}
    for header in rest:
        name, _, kind = header.partition(":")
        if kind not in _KINDS:
            continue  # float_seq and what later versions may add
        values = frame[header]
        if _KINDS[kind] == "tokens":
            values = values.str.split(" ")
        columns[name] = FeatureColumn(kind=_KINDS[kind], values=values)
    return FeatureTable(side=side, ids=frame[ids], columns=columns)


def _stem(path: Path) -> str:
    """`x` of `x.inter` and of `x.train.inter`, in lower case."""
    stem = files.plain_name(path).removesuffix(".inter")
    start, _, part = stem.rpartition(".")
    return start if start and part in PUBLISHED_NAMES else stem


def _part(path: Path) -> int:
    names = files.plain_name(path).split(".")
    number = PUBLISHED_NAMES.get(names[-2]) if len(names) > 2 else None
    if number is None:
        raise DataError(
            f"several .inter files and {path.name} is not named .train., .valid. or .test.; "
            "give one of the files"
        )
    return number


def _beside(inter: Path, stem: str, ending: str) -> Path | None:
    for path in sorted(inter.parent.iterdir()):
        if path.name.lower() == stem + ending and path.is_file():
            return path
    return None
