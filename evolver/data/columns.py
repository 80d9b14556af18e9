"""Which column is what: names that people use, and what an unnamed column must be."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from evolver.config import DataConfig
from evolver.errors import DataError

# In order of preference: where two match, the earlier name wins.
_NAMES = {
    "user": "user userid uid visitor visitorid customer customerid client clientid member memberid "
    "account accountid reviewer reviewerid profile profileid buyer buyerid person personid "
    "subscriber subscriberid device deviceid cookie cookieid session sessionid",
    "item": "item itemid iid movie movieid product productid sku asin parentasin article articleid "
    "book bookid isbn song songid track trackid artist artistid album albumid video videoid news "
    "newsid content contentid venue venueid poi poiid location locationid business businessid "
    "game gameid app appid job jobid recipe recipeid listing listingid offer offerid",
    "time": "timestamp ts time unixtime unixtimestamp unixreviewtime eventtime eventtimestamp "
    "datetime createdat created clicktime purchasetime purchasedat playedat viewedat "
    "reviewtime date day",
    "value": "rating ratings score stars overall value weight count counts plays playcount "
    "playtime quantity qty",
}
_LABELS = {"label", "labels", "click", "clicked", "isclick", "clk"}
NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """The names of the columns to read. time and value may be absent."""

    user: str
    item: str
    time: str | None
    value: str | None

    def names(self) -> list[str]:
        """The columns to read, each once."""
        named = [self.user, self.item, self.time, self.value]
        return list(dict.fromkeys(name for name in named if name is not None))


def plain(name: str) -> str:
    """A column's name without case, signs, and a RecBole type: "User_ID:token" -> "userid"."""
    return re.sub(r"[^0-9a-z]", "", name.split(":", maxsplit=1)[0].lower())


def is_known(name: str) -> bool:
    """Whether a text looks like the name of a column that we use."""
    short = plain(name)
    return short in _LABELS or any(short in names.split() for names in _NAMES.values())


def roles_of(columns: Sequence[str], config: DataConfig, where: str) -> Roles:
    """Find the user, item, time and value columns by the flags, else by name.

    A flag names a column, or counts it from 1, or says "none" for an optional one. Raises
    `DataError` when a needed column is missing, or the table is one of labelled examples.
    """
    found: dict[str, str | None] = {}
    for role, flag in (
        ("user", config.user),
        ("item", config.item),
        ("time", config.time),
        ("value", config.value),
    ):
        taken = [name for name in found.values() if name is not None]
        free = [name for name in columns if name not in taken]
        found[role] = _named(columns, flag, role, where) if flag else _guessed(free, role)
        if flag == NONE and role in ("time", "value"):
            found[role] = None
    _refuse_labels(columns, found, where)
    user, item = found["user"], found["item"]
    if user is None or item is None:
        lacking = " and ".join(f"{role}" for role in ("user", "item") if found[role] is None)
        flags = " ".join(f"--{role} NAME" for role in ("user", "item") if found[role] is None)
        raise DataError(
            f"{where} has no {lacking} column that I recognise; it has {_listed(columns)}. "
            f"Name it with {flags}"
        )
    if user == item:
        raise DataError(f"{where}: user and item cannot be the same column ('{user}')")
    return Roles(user=user, item=item, time=found["time"], value=found["value"])


def label_of(columns: Sequence[str], config: DataConfig, where: str) -> str:
    """The column of labels, by the flag, else by its name. Raises `DataError` without one."""
    found = _named(columns, config.label, "label", where) if config.label else None
    found = found or next((name for name in columns if plain(name) in _LABELS), None)
    if found is None:
        raise DataError(
            f"{where} has no label column that I recognise; it has {_listed(columns)}. Name the "
            "column of 0 and 1 with --label NAME"
        )
    return found


def optional_role(columns: Sequence[str], flag: str | None, role: str, where: str) -> str | None:
    """The column of a role that may be missing: by the flag, else by its name; "none" is none."""
    if flag == NONE:
        return None
    return _named(columns, flag, role, where) if flag else _guessed(columns, role)


def _named(columns: Sequence[str], flag: str, role: str, where: str) -> str | None:
    if flag in columns:
        return flag
    same = [name for name in columns if plain(name) == plain(flag)]
    if len(same) == 1 and plain(flag):
        return same[0]
    if flag.isdigit() and 1 <= int(flag) <= len(columns):
        return columns[int(flag) - 1]
    if flag == NONE and role in ("time", "value"):
        return None
    raise DataError(f"{where} has no column '{flag}' (--{role}); it has {_listed(columns)}")


def _guessed(columns: Sequence[str], role: str) -> str | None:
    by_name = {plain(name): name for name in reversed(columns)}
    return next((by_name[name] for name in _NAMES[role].split() if name in by_name), None)


def _refuse_labels(columns: Sequence[str], found: dict[str, str | None], where: str) -> None:
    label = next((name for name in columns if plain(name) in _LABELS), None)
    if label is not None and label not in found.values():
        raise DataError(
            f"{where} has a column '{label}': a table of labelled examples for click-through "
            "prediction, not of interactions: give --task ranking. To use its positives: "
            f"--value {label} --min-value 1"
        )


def _listed(columns: Sequence[str]) -> str:
    shown = ", ".join(name if len(name) <= 30 else name[:27] + "..." for name in columns[:12])
    more = len(columns) - 12
    return f"{shown} and {more} more" if more > 0 else shown
