"""Fakes and conformance suites. Every implementation of a protocol must pass its suite."""

from __future__ import annotations

import threading
from collections.abc import Callable

from evolver.core import Exchange, Ledger


class MemoryLedger:
    """A ledger that forgets when the process ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.exchanges: list[Exchange] = []

    def recall(self, request_hash: str) -> Exchange | None:
        with self._lock:
            return next(
                (
                    exchange
                    for exchange in self.exchanges
                    if exchange.request_hash == request_hash and exchange.reply is not None
                ),
                None,
            )

    def record(self, exchange: Exchange) -> None:
        with self._lock:
            self.exchanges.append(exchange)


def ledger_conformance(make: Callable[[], Ledger]) -> None:
    """What any ledger must do; raises AssertionError where it does not."""
    ledger = make()

    def exchange(name: str, reply: str | None, usd: float | None = None) -> Exchange:
        return Exchange(
            request_hash=name,
            number=3,
            model="m/n",
            request='{"a": "ü"}',
            reply=reply,
            error=None if reply is not None else "HTTP 500",
            tokens_in=5,
            tokens_out=7,
            usd=usd,
            seconds=0.5,
        )

    _expect(ledger.recall("h1") is None, "nothing is known of a request that was never made")
    ledger.record(exchange("h1", None))
    _expect(ledger.recall("h1") is None, "a failed call is not an answer")
    answered = exchange("h1", "ok ü \u2028", usd=0.25)
    ledger.record(answered)
    _expect(ledger.recall("h1") == answered, "what is recalled equals what was recorded")
    ledger.record(exchange("h1", "later"))
    _expect(ledger.recall("h1") == answered, "the first answer stays the answer")
    empty = exchange("h2", "")
    ledger.record(empty)
    _expect(ledger.recall("h2") == empty, "an empty reply was paid for, so it is an answer")
    _expect(ledger.recall("h3") is None, "requests are told apart")
    threads = [
        threading.Thread(target=ledger.record, args=(exchange(f"t{n}", str(n)),)) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n in range(8):
        found = ledger.recall(f"t{n}")
        _expect(found is not None and found.reply == str(n), "nothing is lost between threads")


def _expect(holds: bool, promise: str) -> None:
    if not holds:
        raise AssertionError(f"broken promise of a ledger: {promise}")
