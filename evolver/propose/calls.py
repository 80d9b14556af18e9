"""Requests that are paid for once: recalled from the ledger, else sent, retried and recorded."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from evolver.core import Exchange, Ledger
from evolver.errors import BudgetSpent, ProposerError
from evolver.propose.client import CallFailed, Client, Reply, Request, wall_clock
from evolver.propose.pace import Pace
from evolver.propose.purse import Cost, Hold, Left, Purse

log = logging.getLogger(__name__)

MIN_REPLY_TOKENS = 1024
"""A shorter reply cannot hold a candidate; with less room than this the budget is spent."""

TRIES = 5
TRIES_AFTER_TIMEOUT = 2
LONGEST_PAUSE_SECONDS = 60.0
LONGEST_RETRY_AFTER_SECONDS = 900.0
"""So long a wait that a provider asks for is heeded; a longer one is taken for a mistake."""
PREFLIGHT_SECONDS = 15.0
"""So long a model may take for its one word; all are asked side by side."""
PREFLIGHT_TOKENS = 16
PREFLIGHT_NUMBER = -1
"""Under which the ledger keeps the preflight; candidates count from 0."""


class Refused(Exception):  # noqa: N818 - turned into a Failed by the proposer
    """The provider's own policy refused this prompt; other prompts may pass."""


class Caller:
    """Asks models, in order, until one answers. Safe in threads.

    billed: whether a model without a known price is worth a warning. `pause(seconds)` waits
    between tries and returns True when the run is being closed.
    """

    def __init__(
        self,
        client: Client,
        ledger: Ledger,
        *,
        timeout_seconds: float,
        max_output_tokens: int,
        requests_per_minute: float | None = None,
        where: str = "",
        billed: bool = True,
        pause: Callable[[float], bool] | None = None,
        clock: Callable[[], float] = wall_clock,
        purse: Purse | None = None,
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._timeout = timeout_seconds
        self._max_output_tokens = max_output_tokens
        self._where = where
        self._billed = billed
        self._closing = threading.Event()
        self._pause = pause or self._closing.wait
        self._clock = clock
        self.purse = purse or Purse()
        self._pace = Pace(requests_per_minute, clock)
        self._unpriced: set[str] = set()
        self._lock = threading.Lock()

    def close(self) -> None:
        """End every wait between tries."""
        self._closing.set()

    def ask(
        self,
        models: Sequence[str],
        messages: Sequence[dict[str, str]],
        *,
        number: int,
        left: Left,
    ) -> Exchange:
        """The first recorded reply of `models` to `messages`, else one that is paid for now.

        A model that cannot be had (unreachable after its retries, its key revoked, the prompt too
        long for it or against its policy) is passed over for the next one. Raises BudgetSpent,
        Refused where policies alone stand in the way of at least one model, ProposerError where no
        model is left.
        """
        requests = [self._request(model, messages, number) for model in models]
        for request in requests:
            known = self._ledger.recall(request.hash)
            if known is not None and known.reply is not None:
                return known
        deadline = self._clock() + left.seconds
        lines: list[str] = []
        refusal = ""
        for request in requests:
            try:
                return self._send(request, left, deadline)
            except CallFailed as error:
                line = f"model {request.model!r}{self._where}: {error}"
                if error.refused:
                    refusal = str(error)
                else:
                    advice = "" if error.transient else _advice(str(error))
                    lines.append(line + advice)
                log.warning("%s; asking no more of it for this proposal", line)
        if refusal:
            raise Refused(refusal)
        raise ProposerError(
            f"no model answers: {'; '.join(lines)}. Check the endpoint, then resume the run"
        )

    def preflight(
        self,
        models: Sequence[str],
        *,
        usd_left: float | None = None,
        tokens_left: int | None = None,
    ) -> None:
        """Ask all models at once for one word, so that a dead endpoint costs seconds and no
        training.

        Raises ProposerError with one line, of the first that cannot be used: which model, where,
        what to do.
        """
        left = Left(seconds=PREFLIGHT_SECONDS, usd=usd_left, tokens=tokens_left)
        with ThreadPoolExecutor(max(len(models), 1), thread_name_prefix="preflight") as pool:
            for greeting in [pool.submit(self._greet, model, left) for model in models]:
                greeting.result()

    def _greet(self, model: str, left: Left) -> None:
        """Raises ProposerError where the model cannot be used; one that is busy can be."""
        request = Request(
            model=model,
            messages=[{"role": "user", "content": "Reply with the one word: ready"}],
            max_tokens=PREFLIGHT_TOKENS,
            number=PREFLIGHT_NUMBER,
        )
        try:
            self._try_twice(request, left)
        except CallFailed as error:
            if error.refused:
                return  # it answered, in its way
            if error.busy:
                log.warning("model %r is busy (%s); starting all the same", model, error)
                return
            raise ProposerError(
                f"model {model!r}{self._where} cannot be used: {error}{_advice(str(error))}"
            ) from None

    def _try_twice(self, request: Request, left: Left) -> None:
        """One try, and a second after a hiccup that is neither silence nor a busy server."""
        seconds = min(self._timeout, PREFLIGHT_SECONDS, left.seconds)
        try:
            self._once(request, left, seconds, least=1)
        except CallFailed as error:
            if not error.transient or error.timed_out or error.busy or self._pause(1.0):
                raise
            self._once(request, left, seconds, least=1)

    def _request(self, model: str, messages: Sequence[dict[str, str]], number: int) -> Request:
        limit = self._client.output_limit(model) or self._max_output_tokens
        return Request(
            model=model,
            messages=messages,
            max_tokens=min(limit, self._max_output_tokens),
            number=number,
        )

    def _send(self, request: Request, left: Left, deadline: float) -> Exchange:
        """One reply, after retries with growing pauses while `deadline` allows."""
        jitter = random.Random(f"{request.hash}")
        timeouts = 0
        for attempt in range(1, TRIES + 1):
            self._wait(self._pace.turn(request.model), deadline)
            seconds = min(self._timeout, deadline - self._clock())
            if seconds <= 0:
                raise BudgetSpent("time budget spent while waiting for a model")
            try:
                return self._once(request, left, seconds, least=MIN_REPLY_TOKENS)
            except CallFailed as error:
                timeouts += error.timed_out
                if not error.transient or attempt == TRIES or timeouts >= TRIES_AFTER_TIMEOUT:
                    raise
                wait = min(2.0 ** (attempt - 1) * jitter.uniform(0.75, 1.25), LONGEST_PAUSE_SECONDS)
                if error.retry_after is not None:
                    wait = max(wait, min(error.retry_after, LONGEST_RETRY_AFTER_SECONDS))
                log.info("model %r: %s; asking again in %.0f s", request.model, error, wait)
                if error.retry_after is not None:
                    self._pace.hold_back(request.model, wait)  # others need not find out as well
                else:
                    self._wait(wait, deadline)
        raise AssertionError("unreachable")

    def _wait(self, seconds: float, deadline: float) -> None:
        if seconds <= 0:
            return
        if self._clock() + seconds >= deadline:
            raise BudgetSpent("time budget spent while waiting for a model")
        if self._pause(seconds):
            raise BudgetSpent("closed while waiting for a model")

    def _once(self, request: Request, left: Left, seconds: float, *, least: int) -> Exchange:
        """One try, recorded whatever comes of it. Raises CallFailed."""
        cost = Cost(
            model=request.model,
            tokens_in=request.tokens_in_bound,
            most=request.max_tokens,
            least=least,
            price=self._price(request.model),
        )
        with self.purse.hold(cost, left) as hold:
            started = self._clock()
            try:
                reply = self._client.send(request, max_tokens=hold.max_tokens, timeout=seconds)
            except CallFailed as error:
                self._record_failure(request, error, hold, self._clock() - started)
                raise
            hold.spent_tokens = reply.tokens_in + reply.tokens_out
            hold.spent_usd = reply.usd or 0.0
            exchange = _exchange(request, reply, self._clock() - started)
            self._ledger.record(exchange)
            return exchange

    def _record_failure(
        self, request: Request, error: CallFailed, hold: Hold, seconds: float
    ) -> None:
        """A request that may have been worked on is counted at its worst case: it may be billed."""
        if error.may_cost:
            hold.spent_tokens, hold.spent_usd = hold.tokens, hold.usd or 0.0
        self._ledger.record(
            Exchange(
                request_hash=request.hash,
                number=request.number,
                model=request.model,
                request=request.canonical,
                reply=None,
                error=str(error),
                tokens_in=request.tokens_in_bound if error.may_cost else 0,
                tokens_out=hold.max_tokens if error.may_cost else 0,
                usd=hold.usd if error.may_cost else 0.0,
                seconds=seconds,
            )
        )

    def _price(self, model: str) -> tuple[float, float] | None:
        price = self._client.price(model)
        if price is None and self._billed:
            with self._lock:
                new = model not in self._unpriced
                self._unpriced.add(model)
            if new:
                log.warning("model %r is unpriced: its tokens are counted, its dollars not", model)
        return price


def _exchange(request: Request, reply: Reply, seconds: float) -> Exchange:
    return Exchange(
        request_hash=request.hash,
        number=request.number,
        model=request.model,
        request=request.canonical,
        reply=reply.text,
        tokens_in=reply.tokens_in,
        tokens_out=reply.tokens_out,
        usd=reply.usd,
        seconds=seconds,
    )


def _advice(line: str) -> str:
    """What to do about a refused request, from its HTTP status."""
    low = line.lower()
    if "401" in line or "403" in line or "api key" in low or "api_key" in low:
        return ". Set or correct the provider's API key in the environment"
    if "404" in line or "provider not provided" in low or "does not exist" in low:
        return ". Check the model's name (provider/model) and --api-base"
    if "context" in low and ("length" in low or "window" in low):
        return ". Use a model with a longer context, or lower propose.max_output_tokens"
    if "quota" in low or "402" in line:
        return ". The provider's account has no credit left"
    return ". Check that the endpoint runs and can be reached"
