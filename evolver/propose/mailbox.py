"""Requests as files, answers as files: a coding agent or a person drives a run without any key.

RUN/mailbox/
  0007-1a2b3c4d.request.md   an open request; the name holds the candidate's number
  0007-1a2b3c4d.answer.md    its answer, put there by rename
  done/                      both, once the answer was read

Both sides write to a temporary name and rename, so neither reads half a file; an answer that was
written in place is taken when it stopped growing. A killed run finds its requests and answers
again: their names come from the request's hash.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from evolver.config import ProposeConfig
from evolver.core import Exchange, Ledger
from evolver.errors import AwaitingAnswer, BudgetSpent, UsageError
from evolver.propose import parse
from evolver.propose.calls import Caller
from evolver.propose.client import Reply, Request, estimated_tokens
from evolver.propose.llm import model_caller
from evolver.propose.prompted import Judgement, PromptedProposer
from evolver.propose.prompts import Prompts
from evolver.propose.reviewer import Reviewer
from evolver.text import one_line

MODEL = "mailbox"
TURNS = 4
"""An answer that cannot be used is asked for again so often: a slip of the pen costs no money."""
POLL_SECONDS = 0.5
QUIET_SECONDS = 1.0
"""An answer file that changed less than this ago may still be growing."""

_PART = re.compile(r"^<!-- evolver part: (system|user|assistant) -->$")
_ANSWER = re.compile(r"^<!-- evolver answer ([0-9a-f-]{1,40}) -->$")
_AUTHOR = re.compile(r"^<!-- evolver author: (.{1,80}) -->\n")
_NAME = re.compile(r"^(\d{4,9})-([0-9a-f]{8})\.request\.md$")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRequest:
    """A request that waits for an answer."""

    id: str
    number: int
    path: Path

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def shared(self) -> str:
        """What it has in common with the other requests of its run: task, contract, data."""
        return "".join(text for role, text in self._parts() if role == "system")

    @property
    def own(self) -> str:
        """What is asked for this candidate only, an earlier answer and what was wrong with it
        included."""
        parts = self._parts()
        if len(parts) == 1:  # a template of the user's that does not mark them
            return parts[0][1]
        return "".join(text for role, text in parts if role not in ("", "system"))

    @property
    def fault(self) -> str:
        """What was wrong with the answer that it asks for again, as quoted in it; empty where it
        asks first."""
        asked = [text for role, text in self._parts() if role == "user"]
        if len(asked) < 2:
            return ""
        lines = asked[-1].strip().splitlines()
        start = next((n for n, line in enumerate(lines) if line.startswith("```")), None)
        if start is None:
            return "\n".join(lines)
        fence = lines[start][: len(lines[start]) - len(lines[start].lstrip("`"))]
        quoted = lines[start + 1 :]
        return "\n".join(quoted[: quoted.index(fence)] if fence in quoted else quoted)

    def _parts(self) -> list[tuple[str, str]]:
        """The head, with no role, and then each message with its role."""
        found: list[tuple[str, list[str]]] = [("", [])]
        for line in self.text.splitlines(keepends=True):
            part = _PART.match(line)
            if part:
                found.append((part[1], []))
            else:
                found[-1][1].append(line)
        return [(role, "".join(lines)) for role, lines in found]


def split_answers(text: str) -> dict[str, str]:
    """Several answers in one text, by request: each begins after a line
    `<!-- evolver answer REQUEST -->`. Empty where there is no such line.

    Raises UsageError where text comes before the first, or one request is answered twice.
    """
    found: dict[str, list[str]] = {}
    before: list[str] = []
    lines = before
    for line in text.splitlines(keepends=True):
        mark = _ANSWER.match(line.rstrip())
        if mark is None:
            lines.append(line)
        elif mark[1] in found:
            raise UsageError(f"request {mark[1]} is answered twice in one file")
        else:
            lines = found[mark[1]] = []
    if found and "".join(before).strip():
        raise UsageError(
            "there is text before the first `<!-- evolver answer REQUEST -->` line; whose is it?"
        )
    return {request: "".join(kept) for request, kept in found.items()}


class Mailbox:
    """The folder. Safe between processes: every change is one rename."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._done = folder / "done"

    def open_requests(self) -> list[OpenRequest]:
        """Requests without an answer, the lowest number first."""
        found = []
        for path in self.folder.glob("*.request.md"):
            name = _NAME.match(path.name)
            if name is None:
                continue
            request = OpenRequest(id=f"{name[1]}-{name[2]}", number=int(name[1]), path=path)
            if not any(place.exists() for place in self._answers(request.id)):
                found.append(request)
        return sorted(found, key=lambda request: (request.number, request.id))

    def holds_answers(self) -> bool:
        """Whether an answer waits to be taken."""
        return any(self.folder.glob("*.answer.md"))

    def answer(self, request_id: str, text: str, author: str = "") -> None:
        """Put an answer in place, signed where `author` is given. Raises UsageError where no such
        request is open, or where it is empty or too long."""
        self.check(request_id, text)
        place = self._answers(request_id)[0]
        signed = _signature(author) + text
        _write(place, signed, age_seconds=QUIET_SECONDS)  # it is whole: nobody need wait

    def check(self, request_id: str, text: str) -> None:
        """Raises UsageError where `answer` would."""
        known = [request.id for request in self.open_requests()]
        if request_id not in known:
            hint = f"open: {', '.join(known)}" if known else "none is open"
            raise UsageError(f"no open request {request_id!r} in {self.folder}; {hint}")
        if not text.strip():
            raise UsageError(f"the answer to {request_id} is empty")
        if len(text) > parse.MAX_REPLY_CHARS:
            raise UsageError(
                f"the answer to {request_id} has {len(text):,} characters, more than "
                f"{parse.MAX_REPLY_CHARS:,}"
            )

    def post(self, request_id: str, text: str) -> None:
        """Write a request, unless it is there or was answered. Whatever else was asked for the same
        candidate is out of date, and is put away."""
        self._done.mkdir(parents=True, exist_ok=True)
        place = self.folder / f"{request_id}.request.md"
        if place.exists() or self._answers(request_id)[1].exists():
            return
        number = request_id.partition("-")[0]
        for path in self.folder.glob(f"{number}-*.request.md"):
            self._retire(path.name.removesuffix(".request.md"))
        _write(place, text)

    def collect(self, request_id: str) -> str | None:
        """The answer to a request, if it is there and complete; both files are then in done/.

        Where a prompt changed since it was answered (a new limit, a new template), the answer to
        the request that it replaced is taken: it is for the same candidate.
        """
        kept = self._answers(request_id)[1]
        if not kept.exists():
            given = self._given(request_id)
            if given is None or not _settled(given):
                return None
            given.replace(kept)
            self._retire(given.name.removesuffix(".answer.md"))
        self._retire(request_id)
        return _read(kept)

    def _given(self, request_id: str) -> Path | None:
        own = self._answers(request_id)[0]
        if own.exists():
            return own
        number = request_id.partition("-")[0]
        return next(iter(sorted(self.folder.glob(f"{number}-*.answer.md"))), None)

    def _retire(self, request_id: str) -> None:
        request = self.folder / f"{request_id}.request.md"
        if request.exists():
            request.replace(self._done / request.name)

    def _answers(self, request_id: str) -> tuple[Path, Path]:
        """Where an answer is given, and where it is kept."""
        name = f"{request_id}.answer.md"
        return self.folder / name, self._done / name


class MailboxClient:
    """Sends a request by putting it in the mailbox, and waits for the answer file.

    With `wait` False a request without an answer raises AwaitingAnswer instead: the run then ends
    normally with its requests open, to go on when they are answered. `pause(seconds)` waits
    between looks and returns True when the run is being closed.
    """

    def __init__(
        self,
        mailbox: Mailbox,
        prompts: Prompts,
        *,
        wait: bool = True,
        pause: Callable[[float], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._mailbox = mailbox
        self._prompts = prompts
        self._wait = wait
        self._pause = pause
        self._clock = clock

    def send(self, request: Request, *, max_tokens: int, timeout: float) -> Reply:
        name = f"{request.number:04d}-{request.hash[:8]}"
        self._mailbox.post(name, self._prompts.mailbox(name, request.messages))
        end = self._clock() + timeout
        while True:
            text = self._mailbox.collect(name)
            if text is not None:
                return Reply(
                    text=text,
                    tokens_in=estimated_tokens("".join(m["content"] for m in request.messages)),
                    tokens_out=estimated_tokens(text),
                    usd=None,
                )
            if not self._wait:
                raise AwaitingAnswer(f"request {name} waits for an answer")
            if self._clock() >= end:
                raise BudgetSpent(f"time budget spent while request {name} waited for an answer")
            if self._pause(POLL_SECONDS):
                raise BudgetSpent("closed while waiting for an answer")

    def price(self, model: str) -> tuple[float, float] | None:
        return None

    def output_limit(self, model: str) -> int | None:
        return None


class MailboxProposer(PromptedProposer):
    """The LLM proposer's prompts, answered through `folder`. Never sends anything anywhere."""

    def __init__(
        self,
        config: ProposeConfig,
        ledger: Ledger,
        folder: Path,
        *,
        judgement: Judgement | None = None,
        wait: bool = True,
        pause: Callable[[float], bool] | None = None,
    ) -> None:
        self.mailbox = Mailbox(folder)
        self._closing = threading.Event()
        pause = pause or self._closing.wait
        client = MailboxClient(self.mailbox, Prompts(config.prompts), wait=wait, pause=pause)
        caller = Caller(
            client,
            ledger,
            timeout_seconds=float("inf"),
            max_output_tokens=config.max_output_tokens,
            billed=False,
            pause=pause,
        )
        reviewer = None
        if config.reviewer is not None:
            asking = model_caller(config, ledger, purse=caller.purse)
            prompts = Prompts(config.prompts, language=(judgement or Judgement()).language)
            reviewer = Reviewer(config.reviewer, asking, prompts)
        super().__init__(
            MODEL,
            (MODEL,),
            caller=caller,
            ledger=ledger,
            config=config,
            judgement=judgement,
            reviewer=reviewer,
            turns=TURNS,
        )
        self._usual_author = config.author

    def preflight(self, *, usd_left: float | None = None, tokens_left: int | None = None) -> None:
        """Who answers cannot be greeted; a reviewer can. Raises ProposerError where it is not
        there."""
        if self._reviewer is not None:
            self._reviewer.preflight(usd_left=usd_left, tokens_left=tokens_left)

    def _author(self, exchange: Exchange) -> str:
        signed = _AUTHOR.match(exchange.reply or "")
        return one_line(signed[1], 80) if signed else self._usual_author

    def close(self) -> None:
        """End every wait for an answer."""
        super().close()
        self._closing.set()


def _signature(author: str) -> str:
    """A first line that says who wrote an answer. Raises UsageError where it has no room."""
    name = author.strip()
    if not name:
        return ""
    line = f"<!-- evolver author: {name} -->\n"
    if not _AUTHOR.fullmatch(line) or "--" in name:
        raise UsageError(f"an author is a name of at most 80 characters, not {author!r}")
    return line


def _write(place: Path, text: str, age_seconds: float = 0.0) -> None:
    temporary = place.with_name(f"{place.name}.{os.getpid()}.tmp")
    place.parent.mkdir(parents=True, exist_ok=True)
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    if age_seconds:
        then = time.time() - age_seconds
        os.utime(temporary, (then, then))
    temporary.replace(place)


def _settled(answer: Path) -> bool:
    """Whether nobody is writing it any more: not empty, and untouched for a moment."""
    status = answer.stat()
    return status.st_size > 0 and time.time() - status.st_mtime >= QUIET_SECONDS


def _read(place: Path) -> str:
    """At most as much as a reply may hold, whatever its encoding."""
    with place.open("rb") as file:
        return file.read(4 * parse.MAX_REPLY_CHARS + 1).decode("utf-8", "replace")
