"""`load`: from a path, a known name or nothing to a `Dataset`, whatever the format."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from evolver.config import DataConfig
from evolver.data import files, movielens, saved
from evolver.data.assemble import assemble
from evolver.data.dataset import Dataset
from evolver.data.download import fetched
from evolver.data.lists import read_lists
from evolver.data.raw import PUBLISHED_NAMES, TEST, TRAIN, Raw, join_parts
from evolver.data.recbole import read_recbole
from evolver.data.sample import sample
from evolver.data.sniff import Layout, sniff
from evolver.data.tables import read_table
from evolver.errors import ConfigError, DataError

FORMATS = ("auto", "csv", "parquet", "recbole", "movielens", "adjacency", "sequence")
_TABLES = (".csv", ".tsv", ".txt", ".dat", ".data", ".parquet", ".pq", ".inter", ".tab")
_PARTS = (*_TABLES, ".rating")
_PREFERRED = ("interactions", "ratings", "events", "transactions", "clicks", "purchases", "data")
_SAYS_NOTHING = {*_PREFERRED, *PUBLISHED_NAMES, "u"}


def load(config: DataConfig) -> Dataset:
    """Read interactions. Empty `path`: the bundled sample. A known name: downloaded once.

    Large files are kept prepared in the cache folder and memory-mapped the next time. Raises
    `DataError` (one line: what, which, what next) for whatever cannot be read.
    """
    if config.format not in FORMATS:
        raise ConfigError(f"unknown format '{config.format}'; one of {', '.join(FORMATS)}")
    if not config.path:
        return sample()
    path = Path(config.path).expanduser()
    try:
        if not path.exists() and not path.is_symlink():
            path = fetched(config.path)
        if saved.is_saved(path):
            return _prepared(path, config)
        inputs = _inputs(path)
        sizes = [(place, place.stat()) for place in inputs]
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
    return saved.cached(sizes, config, lambda: assemble(_read(path, config), config))


def _prepared(folder: Path, config: DataConfig) -> Dataset:
    if config != DataConfig(path=config.path):
        raise ConfigError(
            f"{folder} is a prepared dataset: columns, format and least value are settled; "
            "give the source to read it differently"
        )
    return saved.open_saved(folder)


def _inputs(path: Path) -> list[Path]:
    """Every file that reading `path` may touch."""
    folder = path if path.is_dir() else path.parent
    beside = [place for place in sorted(folder.iterdir()) if place.is_file()]
    if path.is_dir():
        return beside
    stem = path.name.split(".")[0]
    return [path] + [
        place
        for place in beside
        if place != path
        and (place.name.split(".")[0] == stem or files.plain_name(place) in movielens.SIDE_TABLES)
    ]


def _read(path: Path, config: DataConfig) -> Raw:
    raw = _read_folder(path, config) if path.is_dir() else _read_file(path, config)
    return replace(raw, name=_title(path.resolve()))


def _title(path: Path) -> str:
    """What to call the data: the file's name, or its folder's where the file's says nothing."""
    stem = path.name if path.is_dir() else path.name.split(".")[0]
    return path.parent.name if stem.lower() in _SAYS_NOTHING else stem


def _read_file(path: Path, config: DataConfig, *, guess: bool = True) -> Raw:
    """One file of interactions. guess: pairs grouped by user may be taken to be in order."""
    name = files.plain_name(path)
    wanted = config.format
    if wanted == "recbole" or (wanted == "auto" and name.endswith(".inter")):
        return read_recbole([path], config)
    if name in movielens.RATINGS and wanted in ("auto", "movielens"):
        return replace(read_table(path, config), features=movielens.side_tables(path.parent))
    if wanted in ("csv", "parquet"):
        return read_table(path, config)
    is_sequence = wanted == "sequence" or (wanted == "auto" and ".seq" in name)
    if files.head(path, 4) == files.PARQUET:
        return _in_order(read_table(path, config), is_sequence)
    layout = sniff(path, config)
    if wanted == "adjacency" or layout.ragged or (is_sequence and _starts_with_users(layout)):
        raw = read_lists(path, ordered=is_sequence)
        if is_sequence:
            # Properties of MovieLens users and items may lie beside the sequences.
            raw = replace(raw, features=movielens.side_tables(path.parent))
        return raw
    raw = read_table(path, config, layout)
    if guess and wanted == "auto" and _is_plain_pairs(layout) and _grouped(raw):
        is_sequence = True
    return _in_order(raw, is_sequence)


def _in_order(raw: Raw, is_sequence: bool) -> Raw:
    if not is_sequence or raw.times is not None:
        return raw
    note = "no times: the order of the file is taken as the order in time"
    return replace(raw, ordered=True, notes=(*raw.notes, note))


def _starts_with_users(layout: Layout) -> bool:
    """Whether each of the first lines begins with another user, so that they are lists."""
    users = [row[0] for row in layout.rows]
    return layout.header is None and len(users) > 1 and len(set(users)) == len(users)


def _is_plain_pairs(layout: Layout) -> bool:
    return layout.header is None and layout.separator == " " and len(layout.rows[0]) == 2


def _grouped(raw: Raw) -> bool:
    """Rows of each user together, items not just ascending: pairs in order, as SASRec has them."""
    users, items = raw.users, raw.items
    same = (users == users.shift(1)).fill_null(False)
    changes = len(users) - int(same.sum())
    falls = ((items < items.shift(1)).fill_null(False) & same).any()
    return changes == users.n_unique() and bool(falls)


def _read_folder(folder: Path, config: DataConfig) -> Raw:
    try:
        found = [path for path in sorted(folder.iterdir()) if path.is_file()]
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror or error}") from None
    for reader in (_recbole_folder, _movielens_folder, _published_folder, _parquet_folder):
        raw = reader(found, config)
        if raw is not None:
            return raw
    return _read_file(single_table(folder, found), config)


def _recbole_folder(found: list[Path], config: DataConfig) -> Raw | None:
    inter = [path for path in found if files.plain_name(path).endswith(".inter")]
    return read_recbole(inter, config) if inter else None


def _movielens_folder(found: list[Path], config: DataConfig) -> Raw | None:
    by_name = {files.plain_name(path): path for path in found}
    for name in movielens.RATINGS:
        if name in by_name:
            return _read_file(by_name[name], config)
    return None


def _published_folder(found: list[Path], config: DataConfig) -> Raw | None:
    """`train.*` and `test.*`, perhaps `valid.*`; also `x.train.rating` and the like."""
    parts = published_parts(found)
    if not {TRAIN, TEST} <= parts.keys():
        return None
    packed = files.head(parts[TRAIN], 4) == files.PARQUET
    # One layout for all: a test list of one item a line may look like a table.
    if not packed and sniff(parts[TRAIN], config).ragged:
        ordered = config.format == "sequence"
        raws = [(part, read_lists(path, ordered=ordered)) for part, path in parts.items()]
    else:
        raws = [(part, _read_file(path, config, guess=False)) for part, path in parts.items()]
    return join_parts(parts[TRAIN].parent.name, raws)


def published_parts(found: list[Path]) -> dict[int, Path]:
    """The file of each part, by a name that is the part's or has it in it."""
    parts: dict[int, Path] = {}
    tables = [path for path in found if Path(files.plain_name(path)).suffix in _PARTS]
    for exact in (True, False):
        for path in tables:
            words = re.split(r"[._-]", files.plain_name(path))[:-1]
            named = [PUBLISHED_NAMES[word] for word in words if word in PUBLISHED_NAMES]
            if len(named) == 1 and (len(words) == 1 or not exact):
                parts.setdefault(named[0], path)
    return parts


def _parquet_folder(found: list[Path], config: DataConfig) -> Raw | None:
    """Several Parquet files and nothing else that is a table: one table in pieces."""
    tables = [path for path in found if Path(files.plain_name(path)).suffix in _TABLES]
    if len(tables) < 2 or any(files.head(path, 4) != files.PARQUET for path in tables):
        return None
    joined = join_parts(tables[0].stem, [(0, read_table(path, config)) for path in tables])
    return replace(joined, part=None)


def single_table(folder: Path, found: list[Path]) -> Path:
    tables = [path for path in found if Path(files.plain_name(path)).suffix in _TABLES]
    sequences = [path for path in tables if ".seq" in files.plain_name(path)]
    preferred = [path for path in tables if path.name.lower().split(".")[0] in _PREFERRED]
    for choice in (sequences, preferred, tables):
        if len(choice) == 1:
            return choice[0]
    if tables:
        listed = ", ".join(path.name for path in tables[:6]) + (", ..." if len(tables) > 6 else "")
        raise DataError(f"{folder} holds several tables ({listed}); give one of the files")
    raise DataError(
        f"{folder} holds nothing that I can read; it needs CSV, TSV, Parquet, RecBole .inter, "
        "MovieLens ratings, or train.txt and test.txt"
    )
