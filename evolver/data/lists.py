"""Lists of items a user: `user item item ...`, in order of time or in no order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from evolver.data import files
from evolver.data.raw import Raw, clean_ids
from evolver.errors import DataError


def read_lists(path: Path, *, ordered: bool) -> Raw:
    """One user a line, then the items, separated by white space. A user may have none.

    ordered: the items of a line are in order of time. Raises `DataError`.
    """
    lines = pl.Series("line", files.lines(path), dtype=pl.String)
    lines = lines.str.replace_all("\t", " ").str.strip_chars()
    fields = lines.filter(lines != "").str.split(" ")
    sizes = fields.list.len().to_numpy().astype(np.int64)
    flat = fields.explode()
    first = np.zeros(len(flat), dtype=np.bool_)
    first[np.cumsum(sizes) - sizes] = True
    users = flat.filter(pl.Series(first)).alias("user")
    numbers = pl.Series(np.repeat(np.arange(len(sizes)), sizes)[~first])
    items = flat.filter(pl.Series(~first)).alias("item")
    spaced = items != ""  # what two spaces leave
    if not spaced.all():
        items, numbers = items.filter(spaced), numbers.filter(spaced)
    if not len(items):
        raise DataError(f"{path.name} lists users without items; each line is: user item item ...")
    return Raw(
        name=path.name.split(".")[0],
        users=clean_ids(users, path.name).gather(numbers),
        items=clean_ids(items, path.name),
        ordered=ordered,
    )
