"""Keeps requests within the run's dollars and tokens, those still in flight included."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from evolver.errors import BudgetSpent, ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What the run may still spend. None: no cap of that kind."""

    seconds: float
    usd: float | None = None
    tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The size of one request: tokens in (never underestimated), the longest reply that is wanted
    and the shortest that is of use, and dollars for a token in and a token out, where known."""

    model: str
    tokens_in: int
    most: int
    least: int
    price: tuple[float, float] | None


@dataclass
class Hold:
    """Money put aside for one request. `max_tokens` is what its reply may have at most."""

    max_tokens: int
    tokens: int
    usd: float | None
    spent_tokens: int = 0
    spent_usd: float = 0.0


class Purse:
    """What this process has spent and put aside. Safe in threads.

    A caller knows what was left when its brief was written; since then other threads may have
    spent. So the smallest "left plus spent so far" ever seen is the cap.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._usd = self._held_usd = 0.0
        self._tokens = self._held_tokens = 0
        self._usd_cap = self._tokens_cap = float("inf")

    @contextmanager
    def hold(self, cost: Cost, left: Left) -> Iterator[Hold]:
        """Put the worst case of one request aside; what the caller writes into `spent_*` is kept.

        The reply is given fewer tokens than wanted where the budget has no room for more. Raises
        BudgetSpent where it has no room for the least of use, ConfigError where dollars are
        capped and the model has no known price.
        """
        if left.usd is not None and cost.price is None:
            raise ConfigError(
                f"no price is known for model {cost.model!r}, so a cap in dollars cannot be kept; "
                "cap tokens instead (--tokens)"
            )
        with self._lock:
            hold = self._reserve(cost, left)
        try:
            yield hold
        finally:
            with self._lock:
                self._held_tokens -= hold.tokens
                self._held_usd -= hold.usd or 0.0
                self._tokens += hold.spent_tokens
                self._usd += hold.spent_usd

    def _reserve(self, cost: Cost, left: Left) -> Hold:
        room, least = cost.most, min(cost.least, cost.most)
        if left.tokens is not None:
            self._tokens_cap = min(self._tokens_cap, left.tokens + self._tokens)
            tokens = int(self._tokens_cap) - self._tokens - self._held_tokens
            room = min(room, tokens - cost.tokens_in)
            if room < least:
                raise BudgetSpent(
                    f"token budget spent: {max(tokens, 0):,} left, and the next request may take "
                    f"{cost.tokens_in + least:,}"
                )
        if cost.price is not None:
            price_in, price_out = cost.price[0] * cost.tokens_in, cost.price[1]
            if left.usd is not None:
                self._usd_cap = min(self._usd_cap, left.usd + self._usd)
                dollars = self._usd_cap - self._usd - self._held_usd
                if price_in + least * price_out > dollars:
                    raise BudgetSpent(
                        f"dollar budget spent: ${max(dollars, 0.0):.4f} left, and the next "
                        f"request may cost ${price_in + least * price_out:.4f}"
                    )
                if price_out > 0:
                    room = min(room, int((dollars - price_in) / price_out))
            usd: float | None = price_in + room * price_out
        else:
            usd = None
        hold = Hold(max_tokens=room, tokens=cost.tokens_in + room, usd=usd)
        self._held_tokens += hold.tokens
        self._held_usd += hold.usd or 0.0
        return hold
