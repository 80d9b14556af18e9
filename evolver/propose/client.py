"""One request to a language model over litellm, with a deadline that fires and an honest price.

No retries and no budget here: `evolver.propose.calls` adds both. litellm is imported at the first
use; nothing is fetched at import and nothing is reported to anybody.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import math
import queue
import re
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, Protocol
from urllib.parse import urlsplit

from evolver.config import has_secret, secrets, tell_library
from evolver.errors import ConfigError

log = logging.getLogger(__name__)

MOST_CHARS = 2_000_000
"""A stream is read no further."""

NO_STREAM = "the server sent no stream of a chat completion"
_STREAM = re.compile(r"(?:parameter|argument|field|support)[^.]{0,40}\bstream(?:ing)?\b")
"""A refusal of the parameter, not a stream that broke off."""
_POLICY = re.compile(r"content[_ ](?:policy|filter|management)|safety system", re.IGNORECASE)

Message = Mapping[str, str]
_SECRET_SHAPE = re.compile(r"\b(?:sk|gsk|xai|pk|key|hf|AIza)[-_A-Za-z0-9*]{8,200}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked of a model. Its hash names the whole of it: model, messages, parameters.

    `number` says which candidate it is for; it is no part of what is asked.
    """

    model: str
    messages: Sequence[Message]
    max_tokens: int
    number: int = 0

    @property
    def canonical(self) -> str:
        """JSON with sorted keys: what is hashed, and what the ledger keeps."""
        return json.dumps(
            {
                "model": self.model,
                "messages": [dict(message) for message in self.messages],
                "max_tokens": self.max_tokens,
            },
            ensure_ascii=False,
            sort_keys=True,
        )

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.canonical.encode()).hexdigest()

    @property
    def tokens_in_bound(self) -> int:
        """More tokens than the messages can have, and than providers wrap them in."""
        text = "".join(message["content"] for message in self.messages)
        return bound_tokens(text) + WRAPPING_TOKENS * (len(self.messages) + 1)


WRAPPING_TOKENS = 16
"""Chat templates put fewer than so many around each message, and before the reply."""

BYTES_A_TOKEN = 3.2
"""Code and English take 3.3 to 4 bytes a token with usual tokenisers."""


def bound_tokens(text: str) -> int:
    """As many tokens as `text` may have: each stands for one byte at least (byte-pair encoding, or
    pieces that fall back to bytes)."""
    return len(text.encode("utf-8", "replace"))


def estimated_tokens(text: str) -> int:
    """Rather too many than too few, without asking any tokeniser; no bound."""
    return math.ceil(len(text.encode("utf-8", "replace")) / BYTES_A_TOKEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back. `usd` is None where no price is known."""

    text: str
    tokens_in: int
    tokens_out: int
    usd: float | None


class CallFailed(Exception):  # noqa: N818 - caught and turned into a record, never shown as it is
    """A request got no reply.

    transient: asking again may help. timed_out: the deadline fired. busy: too many requests.
    may_cost: the provider may have worked, and may bill it. refused: by its content policy.
    retry_after: seconds that the provider asked us to wait.
    """

    def __init__(
        self,
        line: str,
        *,
        transient: bool = False,
        timed_out: bool = False,
        busy: bool = False,
        may_cost: bool = False,
        refused: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(line)
        self.transient = transient
        self.timed_out = timed_out
        self.busy = busy
        self.may_cost = may_cost
        self.refused = refused
        self.retry_after = retry_after


class Client(Protocol):
    """Sends one request. Safe in threads."""

    def send(self, request: Request, *, max_tokens: int, timeout: float) -> Reply:
        """The reply, within `timeout` seconds of wall clock. Raises `CallFailed`."""
        ...

    def price(self, model: str) -> tuple[float, float] | None:
        """Dollars for a token in and a token out, or None where unknown. Never asks the network."""
        ...

    def output_limit(self, model: str) -> int | None:
        """The longest reply that the model can give, where known."""
        ...


@cache
def _litellm() -> Any:
    # Without these litellm fetches its tables over the network when it is imported or used.
    for name in (
        "LITELLM_LOCAL_MODEL_COST_MAP",
        "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS",
        "LITELLM_LOCAL_BLOG_POSTS",
    ):
        tell_library(name, "True")
    try:
        import litellm
    except ModuleNotFoundError as error:
        if error.name != "litellm":
            raise
        raise ConfigError(
            "a model was named, but litellm is not installed. Run: pip install 'evolver[llm]'"
        ) from None
    # about the types of its own replies; nothing that a user could act on
    warnings.filterwarnings("ignore", message=".*`ReadOnly` qualifier")
    warnings.filterwarnings("ignore", message="Pydantic serializer warnings")
    warnings.filterwarnings("ignore", message="Accessing the 'model_")
    litellm.suppress_debug_info = True  # it would print advertisements to stdout on errors
    litellm.drop_params = True
    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy", "httpx", "openai"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return litellm


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Which parameters a model is sent. What it refuses by name is left out from then on."""

    stream: bool
    usage: bool
    limit: str = "max_tokens"

    def arguments(self, max_tokens: int) -> dict[str, Any]:
        found: dict[str, Any] = {self.limit: max_tokens}
        if self.stream:
            found["stream"] = True
        if self.stream and self.usage:
            found["stream_options"] = {"include_usage": True}
        return found

    def without(self, refusal: str) -> Shape | None:
        """The next simpler shape, where `refusal` names something that can be left out.

        The limit of a reply is never left out, only named otherwise: money depends on it.
        """
        if self.usage and ("stream_options" in refusal or "include_usage" in refusal):
            return replace(self, usage=False)
        if "max_completion_tokens" in refusal and self.limit == "max_tokens":
            return replace(self, limit="max_completion_tokens")
        if self.stream and (NO_STREAM in refusal or _STREAM.search(refusal)):
            return replace(self, stream=False, usage=False)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Whole:
    """A reply put together. `usage` is the provider's count, if it sent one."""

    text: str
    reasoning: str
    usage: Any


def _whole(response: Any) -> _Whole:
    """A reply that came at once."""
    try:
        message = response.choices[0].message
        text = message.content or getattr(message, "refusal", None) or ""
    except (AttributeError, IndexError, TypeError):
        raise ValueError("the reply is not a chat completion") from None
    return _Whole(
        text=text if isinstance(text, str) else json.dumps(text),
        reasoning=str(getattr(message, "reasoning_content", None) or ""),
        usage=getattr(response, "usage", None),
    )


def _joined(stream: Any, abandoned: threading.Event) -> _Whole:
    """A reply that comes in pieces. One that ends without saying why it ends was cut."""
    text: list[str] = []
    refusal: list[str] = []
    reasoning: list[str] = []
    usage, finished, size = None, False, 0
    for chunk in stream:
        if abandoned.is_set():
            break  # nobody waits any more: let the connection go
        usage = getattr(chunk, "usage", None) or usage
        for choice in chunk.choices[:1]:
            delta = choice.delta
            for found, name in ((text, "content"), (refusal, "refusal")):
                piece = getattr(delta, name, None)
                if isinstance(piece, str):
                    found.append(piece)
                    size += len(piece)
            piece = getattr(delta, "reasoning_content", None)
            if isinstance(piece, str):
                reasoning.append(piece)
            finished = finished or choice.finish_reason is not None
        if size > MOST_CHARS:
            break  # far more than was asked for: whoever reads it refuses its length
    if not size and not reasoning and getattr(stream, "received_finish_reason", "") is None:
        raise ValueError(NO_STREAM)  # litellm makes an ending up where nothing came
    if not finished and size <= MOST_CHARS:
        raise ConnectionError("the stream broke off before its end")
    return _Whole(text="".join(text) or "".join(refusal), reasoning="".join(reasoning), usage=usage)


class LiteLLMClient:
    """Any provider that litellm knows; `api_base` sends requests to a server of the user's."""

    def __init__(self, api_base: str | None = None, *, stream: bool = True) -> None:
        if api_base is not None:
            parts = urlsplit(api_base)
            if parts.scheme not in ("http", "https") or not parts.netloc:
                raise ConfigError(
                    f"api base {api_base!r} is not a URL; expected for example "
                    "http://localhost:8000/v1"
                )
        self._api_base = api_base
        self._first = Shape(stream=stream, usage=stream)
        self._shapes: dict[str, Shape] = {}
        self._lock = threading.Lock()

    def send(self, request: Request, *, max_tokens: int, timeout: float) -> Reply:
        end = time.monotonic() + timeout
        while True:
            shape = self._shape(request.model)
            try:
                left = max(end - time.monotonic(), 0.001)
                return self._send(request, shape, max_tokens=max_tokens, timeout=left)
            except CallFailed as error:
                simpler = shape.without(str(error))
                if simpler is None:
                    raise
                log.info("model %r refuses a parameter (%s); it is left out", request.model, error)
                with self._lock:
                    self._shapes[request.model] = simpler
                if error.may_cost or time.monotonic() >= end:
                    raise  # whoever counts the money asks again

    def _shape(self, model: str) -> Shape:
        with self._lock:
            return self._shapes.get(model, self._first)

    def _send(self, request: Request, shape: Shape, *, max_tokens: int, timeout: float) -> Reply:
        litellm = _litellm()
        arguments: dict[str, Any] = {
            "model": request.model,
            "messages": [dict(message) for message in request.messages],
            "timeout": timeout,
            "num_retries": 0,
            "max_retries": 0,
            "drop_params": True,
            **shape.arguments(max_tokens),
        }
        if self._api_base is not None:
            arguments["api_base"] = self._api_base
            if request.model.startswith("openai/") and not has_secret("OPENAI_API_KEY"):
                arguments["api_key"] = "none"  # local servers want none, the client insists on one
        abandoned = threading.Event()

        def call() -> _Whole:
            response = litellm.completion(**arguments)
            return _joined(response, abandoned) if shape.stream else _whole(response)

        try:
            found = _within(timeout, call)
        except (
            *litellm.exceptions.LITELLM_EXCEPTION_TYPES,
            litellm.exceptions.APIConnectionError,
            litellm.exceptions.APIError,
            litellm.exceptions.APIResponseValidationError,
            litellm.openai.OpenAIError,
            OSError,
            # litellm's own readers of replies let these out when a server answers nonsense
            ValueError,
            TypeError,
            AttributeError,
            KeyError,
            IndexError,
        ) as error:
            raise _classified(error, request.model) from error
        finally:
            abandoned.set()
        return self._reply(request, found)

    def _reply(self, request: Request, found: _Whole) -> Reply:
        usage = found.usage
        tokens_in = int(getattr(usage, "prompt_tokens", 0) or 0)
        tokens_out = int(getattr(usage, "completion_tokens", 0) or 0)
        if tokens_in <= 0:  # a server that does not count: never take that for nothing
            tokens_in = request.tokens_in_bound
        if tokens_out <= 0 and (found.text or found.reasoning):
            tokens_out = bound_tokens(found.text + found.reasoning)
        price = self.price(request.model)
        return Reply(
            text=_storable(found.text),
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            usd=None if price is None else price[0] * tokens_in + price[1] * tokens_out,
        )

    def price(self, model: str) -> tuple[float, float] | None:
        row = _row(model)
        into, out = row.get("input_cost_per_token"), row.get("output_cost_per_token")
        return None if into is None or out is None else (float(into), float(out))

    def output_limit(self, model: str) -> int | None:
        limit = _row(model).get("max_output_tokens")
        return int(limit) if isinstance(limit, int | float) and limit > 0 else None


def _storable(text: str) -> str:
    """`text` without what databases and files refuse: NUL and halves of surrogate pairs."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "")


def _row(model: str) -> Mapping[str, Any]:
    """The line of litellm's bundled price table for `model`, or an empty one.

    litellm's own look-up asks local servers over the network, so the table is read directly.
    """
    table: Mapping[str, Mapping[str, Any]] = _litellm().model_cost
    if model in table:
        return table[model]
    provider, _, name = model.partition("/")
    row = table.get(name, {})
    return row if row.get("litellm_provider") == provider else {}


def _within(seconds: float, call: Any) -> Any:
    """The result of `call`, or TimeoutError after `seconds` of wall clock, whatever it does.

    An HTTP client's timeout is for each read: a server that drips bytes never meets it. The
    abandoned thread is a daemon and ends with its connection.
    """
    box: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

    def run() -> None:
        try:
            box.put((True, call()))
        except BaseException as error:  # noqa: BLE001 - handed to the waiting thread
            box.put((False, error))

    threading.Thread(target=run, daemon=True, name="evolver-llm").start()
    try:
        done, value = box.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no reply within {seconds:.0f} s") from None
    if done:
        return value
    raise value


def _classified(error: BaseException, model: str) -> CallFailed:
    """What an exception of litellm means for us: worth another try, and who may bill for it."""
    known = _litellm().exceptions
    line = _line(error, model)
    if isinstance(error, TimeoutError | known.Timeout):
        return CallFailed(line, transient=True, timed_out=True, may_cost=True)
    if isinstance(error, known.ContentPolicyViolationError) or (
        isinstance(error, known.BadRequestError) and _POLICY.search(str(error))
    ):
        return CallFailed(line, refused=True, may_cost=True)
    if isinstance(error, known.RateLimitError):
        spent = "insufficient_quota" in str(error) or "exceeded your current quota" in str(error)
        return CallFailed(
            line, transient=not spent, busy=not spent, retry_after=_retry_after(error)
        )
    status = getattr(error, "status_code", None)
    if status == 408:
        return CallFailed(line, transient=True, timed_out=True, may_cost=True)
    if isinstance(
        error,
        known.AuthenticationError
        | known.PermissionDeniedError
        | known.NotFoundError
        | known.BadRequestError
        | known.UnprocessableEntityError,
    ) or (isinstance(status, int) and 400 <= status < 500 and status not in (409, 425, 429)):
        return CallFailed(line)
    refused = "Connection refused" in str(error) or "Name or service not known" in str(error)
    return CallFailed(line, transient=True, may_cost=not refused, retry_after=_retry_after(error))


def _retry_after(error: BaseException) -> float | None:
    """Seconds, from a header that holds seconds or a date (RFC 9110, section 10.2.3)."""
    response = getattr(error, "response", None)
    places = (error, response)
    for place, name in itertools.product(places, ("headers", "litellm_response_headers")):
        headers = getattr(place, name, None)
        given = headers.get("retry-after") if headers else None
        if not given:
            continue
        try:
            seconds = float(given)
        except ValueError:
            try:
                seconds = parsedate_to_datetime(given).timestamp() - time.time()
            except ValueError:
                continue
        if math.isfinite(seconds):
            return max(seconds, 0.0)
    return None


def _line(error: BaseException, model: str) -> str:
    """What went wrong in one line, without secrets."""
    status = getattr(error, "status_code", None)
    text = str(getattr(error, "message", None) or error).partition("Traceback (most")[0]
    text = re.sub(r"^(?:litellm\.)?(?:\w+(?:Error|Exception): ?(?:- )?)+", "", text[:2000])
    text = re.sub(r"^\w+Exception - ", "", text.strip())
    text = redacted(" ".join(text.split()))[:200]
    kind = type(error).__name__ if not isinstance(status, int) else f"HTTP {status}"
    return f"{kind}: {text.rstrip('.')}" if text else kind


def redacted(text: str) -> str:
    """`text` without what looks like a key, nor any secret of the environment."""
    for secret in secrets():
        text = text.replace(secret, "[secret]")
    return _SECRET_SHAPE.sub("[secret]", text)


def wall_clock() -> float:
    """Seconds that never run backwards."""
    return time.monotonic()
