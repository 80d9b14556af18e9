"""Profiles by hand-computed answers, and each warning on data that deserves it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from evolver.config import SplitConfig
from evolver.data.dataset import Dataset
from evolver.data.profile import (
    describe,
    folds_of,
    jensen_shannon,
    long_tail,
    profile,
    repeat_rate,
)
from evolver.data.sample import sample
from evolver.data.split import interactions, make_split
from evolver.data.warnings import half_width, warn, warnings

NOW = 1_800_000_000.0
THIRDS = SplitConfig(search=0.2, promotion=0.2, test=0.2)


@pytest.fixture(scope="module")
def shop() -> Dataset:
    return sample(users=400, items=300, rows=9_000)


def random_rows(n: int = 4_000, users: int = 200, items: int = 100, seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    who = np.sort(rng.integers(0, users, n)).astype(np.int32)
    times = rng.integers(1_600_000_000, 1_700_000_000, n)
    times = times[np.lexsort((times, who))]
    return Dataset(
        name="noise",
        users=who,
        items=rng.integers(0, items, n).astype(np.int32),
        user_ids=np.array([f"u{number}" for number in range(users)]),
        item_ids=np.array([f"i{number}" for number in range(items)]),
        times=times,
    )


def cautions(data: Dataset, config: SplitConfig = THIRDS, now: float = NOW) -> str:
    split = make_split(data, config, 0)
    folds = folds_of(data, split)
    return "\n".join(warn(data, split, folds, describe(data, split, folds), now=now))


def test_long_tail_by_hand():
    tail = long_tail(np.array([0, 2, 2, 2, 2]))
    assert tail["gini"] == pytest.approx(0.0)
    assert tail["items_for_half_of_rows"] == 2
    tail = long_tail(np.array([1, 3]))
    assert tail["gini"] == pytest.approx((2 - 1) * (3 - 1) / (2 * 4))
    assert tail["share_of_top_1_percent"] == 0.75
    assert tail["items_with_one_row"] == 1


def test_jensen_shannon_by_hand():
    assert jensen_shannon(np.array([5, 5]), np.array([1, 1])) == pytest.approx(0.0)
    assert jensen_shannon(np.array([5, 0]), np.array([0, 3])) == pytest.approx(1.0)


def test_repeat_rate_by_hand():
    data = random_rows(4)
    data = replace(
        data,
        users=np.array([0, 0, 0, 1], dtype=np.int32),
        items=np.array([1, 2, 1, 1], dtype=np.int32),
    )
    assert repeat_rate(interactions(data, np.ones(4, dtype=bool))) == 0.25


def test_profile_says_what_the_parts_hold(shop: Dataset):
    split = make_split(shop, SplitConfig(), 0)
    found = profile(shop, split)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["rows"], found["users"], found["items"]) == (
        len(shop),
        shop.n_users,
        shop.n_items,
    )
    assert sum(part["rows"] for part in found["parts"].values()) == len(shop)
    assert found["split"]["kind"] == "time"
    assert found["item_features"] == {"category": 16, "price": 1}
    search = found["parts"]["search"]
    assert search["queries"] == search["known_users"] + search["unseen_users"]
    assert found["drift"]["jensen_shannon"] > 2 * found["drift"]["by_chance"]


def test_behaviour_is_measured_on_training_rows_only(shop: Dataset):
    split = make_split(shop, SplitConfig(), 0)
    hidden = np.flatnonzero(split.assignment == 3)
    items = np.array(shop.items)
    items[hidden] = np.random.default_rng(0).permutation(items[hidden])
    other = replace(shop, items=items)
    one, two = profile(shop, split), profile(other, split)
    for key in ("rows_per_item", "long_tail", "repeat_rate", "rows_per_user", "drift"):
        assert one[key] == two[key]


def test_profile_without_a_split_describes_all_rows(shop: Dataset):
    found = profile(shop, None)
    assert found["measured_on"] == "all rows"
    assert "parts" not in found


def test_clean_data_raises_no_alarm():
    many = random_rows(40_000, users=2_000)
    assert warnings(many, make_split(many, THIRDS, 0)) == []


def test_few_users_are_said_with_the_width_of_the_interval():
    assert half_width(400) == pytest.approx(0.0294)
    assert "few users to ask for" in cautions(random_rows())


def test_times_that_are_not_times():
    data = random_rows(40_000, users=2_000)
    assert data.times is not None
    counter = replace(data, times=data.times - data.times.min())
    assert "times lie near 1970" in cautions(counter)
    assert "rows lie in the future" in cautions(data, now=1_650_000_000.0)
    days = replace(data, times=data.times // 10_000_000 * 10_000_000)
    assert "only 10 different times" in cautions(days)
    busy = random_rows(40_000, users=500)
    assert busy.times is not None
    hours = replace(busy, times=busy.times // 1_500_000 * 1_500_000)
    assert "have the time of another row of their user" in cautions(hours)


def test_ids_that_follow_time():
    data = random_rows(40_000, users=2_000)
    assert data.times is not None
    _, rank = np.unique(data.times, return_inverse=True)
    telling = replace(
        data,
        items=(rank // 40).astype(np.int32),
        item_ids=np.array([f"{number:04d}" for number in range(1_000)]),
    )
    assert "item ids follow the time of first use" in cautions(telling)


def test_published_splits_that_leak():
    data = random_rows(40_000, users=2_000)
    leaky = replace(data, published=np.where(np.arange(40_000) % 3 == 0, 2, 0).astype(np.int8))
    line = cautions(leaky, SplitConfig())
    assert "test rows are in training too (same user and item): the published split leaks" in line


def test_cold_starts_are_told():
    data = random_rows(40_000, users=2_000)
    assert data.times is not None
    late = np.quantile(data.times, 0.7)
    fresh = np.where(data.times > late, data.items + 100, data.items).astype(np.int32)
    ids = np.array([f"i{number}" for number in range(200)])
    assert "items that training never saw" in cautions(replace(data, items=fresh, item_ids=ids))
    shop = sample(users=400, items=300, rows=9_000)
    strangers = replace(
        shop,
        users=np.arange(len(shop), dtype=np.int32) // 3,
        user_ids=np.array([f"u{number}" for number in range(len(shop) // 3 + 1)]),
    )
    assert "are not in training" in cautions(strangers)


def test_thin_data_robots_values_and_duplicates():
    thin = random_rows(4_000, users=2_500, items=3_000)
    assert "half of the users have" in cautions(thin)
    assert "half of the items occur once" in cautions(thin)
    data = random_rows(40_000, users=2_000)
    robot = np.sort(np.where(np.arange(40_000) % 5 == 0, 7, data.users)).astype(np.int32)
    assert "a robot or a shared account" in cautions(replace(data, users=robot))
    stars = (np.arange(40_000) % 5 + 1).astype(np.float32)
    assert "--min-value 4 keeps what was liked" in cautions(replace(data, values=stars))
    assert "1,000 of 41,000 rows were duplicates" in cautions(replace(data, merged_rows=1_000))
