"""A run driven step by step through its mailbox: ask what is open, tell an answer, see what came.

Each step is a sitting of its own that trains what can be trained and stops where only answers are
missing, so nothing has to run in the background. Where a search is running already, a step only
reads and writes its mailbox.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from evolver import assemble
from evolver.archive.lock import exclusive
from evolver.core import Entry
from evolver.errors import ArchiveError, UsageError
from evolver.evolve import Ending, Event
from evolver.propose.mailbox import Mailbox, OpenRequest
from evolver.run import Run, reopen

Notify = Callable[[Event], None]
POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Where a run stands. `ending` says why the sitting stopped; None while another process works
    on the run."""

    requests: tuple[OpenRequest, ...]
    ending: Ending | None

    @property
    def over(self) -> bool:
        """Whether nothing is open and nothing more will be."""
        return self.ending is not None and not self.requests


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What came of an answer: the judged candidate, or the request that asks for it again, or
    neither as yet."""

    number: int
    entry: Entry | None
    again: OpenRequest | None
    step: Step


def mailbox(run: Run) -> Mailbox:
    """The run's mailbox. Raises UsageError where nobody would read it."""
    if run.config.propose.proposer != "mailbox":
        raise UsageError(
            f"{run.folder} is not driven through a mailbox; start one with "
            "`evolver evolve DATA --proposer mailbox --no-wait`"
        )
    return Mailbox(run.folder / "mailbox")


def ask(place: Path, notify: Notify = lambda event: None) -> Step:
    """Which requests wait for an answer; before that, train what can be trained without one."""
    box = mailbox(reopen(place))
    requests = tuple(box.open_requests())
    if requests and not box.holds_answers():
        return Step(requests=requests, ending=None)
    return _advance(place, notify)


def tell(
    place: Path,
    text: str,
    request: str | None = None,
    notify: Notify = lambda event: None,
    *,
    author: str = "",
) -> Told:
    """Hand in an answer to the given request, or to the only open one, and go on from there."""
    [told] = tell_all(place, {request or only(place): text}, notify, author=author)
    return told


def tell_all(
    place: Path,
    answers: Mapping[str, str],
    notify: Notify = lambda event: None,
    *,
    author: str = "",
    wait: float = 0.0,
) -> list[Told]:
    """Hand in answers by request, and go on from there: they are trained side by side. `author`
    wrote them, where it is not whom the run's settings name.

    Where another process works on the run, up to `wait` seconds are given it to judge them; where
    it ends before it took them, this one goes on. Raises UsageError, with none handed in, where
    one of them cannot be.
    """
    box = mailbox(reopen(place))
    for request, text in answers.items():
        box.check(request, text)
    for request, text in answers.items():
        box.answer(request, text, author)
    numbers = [int(request.partition("-")[0]) for request in answers]
    end = time.monotonic() + wait
    while True:
        step = _advance(place, notify)
        results = [_told(place, number, step) for number in numbers]
        waiting = any(told.entry is None and told.again is None for told in results)
        if step.ending is not None or not waiting or time.monotonic() >= end:
            return results
        time.sleep(POLL_SECONDS)


def look(place: Path, number: int, seconds: float) -> Told:
    """What came of candidate `number`: waits up to `seconds` for the process that judges it."""
    end = time.monotonic() + seconds
    while True:
        box = mailbox(reopen(place))
        told = _told(place, number, Step(requests=tuple(box.open_requests()), ending=None))
        if told.entry is not None or told.again is not None or time.monotonic() >= end:
            return told
        time.sleep(POLL_SECONDS)


def _told(place: Path, number: int, step: Step) -> Told:
    run = reopen(place)
    try:
        entry = run.archive.entry(number)
    finally:
        run.archive.close()
    again = next((r for r in step.requests if r.number == number), None)
    return Told(number=number, entry=entry, again=again, step=step)


def only(place: Path) -> str:
    """The one open request. Raises UsageError where there is none, or more."""
    requests = mailbox(reopen(place)).open_requests()
    if len(requests) == 1:
        return requests[0].id
    if not requests:
        raise UsageError(f"no request is open; `evolver ask {place}` makes one")
    names = ", ".join(request.id for request in requests)
    raise UsageError(f"{len(requests)} requests are open ({names}); say which with --request")


def _advance(place: Path, notify: Notify) -> Step:
    """One sitting that does not wait for answers. A run that a process holds is left to it."""
    with ExitStack() as stack:
        try:
            stack.enter_context(exclusive(reopen(place).folder))
        except ArchiveError:
            return Step(requests=tuple(mailbox(reopen(place)).open_requests()), ending=None)
        run = reopen(place)  # after the lock, so that nothing of it is out of date
        ending = assemble.search(run, notify, wait=False).go()
        return Step(requests=tuple(mailbox(run).open_requests()), ending=ending)
