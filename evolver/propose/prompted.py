"""Proposals by prompt: plan, render, ask, read, check; a model, an agent or a person answers.

A pure function of briefs and recorded replies.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from evolver.config import Feature, ProposeConfig
from evolver.core import Brief, Candidate, Entry, Exchange, Failed, Ledger, Unusable
from evolver.errors import ConfigError
from evolver.propose import parse
from evolver.propose.bandit import Pull, ranked
from evolver.propose.calls import Caller, Refused
from evolver.propose.effects import Effects, PerUser
from evolver.propose.language import PYTHON, Language
from evolver.propose.novelty import Novelty, Pieces
from evolver.propose.operators import ANY, DIRECTIONS, Plan, allowed, best, leaner, ours, plan
from evolver.propose.prompts import Prompts
from evolver.propose.purse import Left
from evolver.propose.reviewer import Review, Reviewer

TURNS = 2
"""How often a model is asked for one proposal: a reply without a candidate is sent back once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is known beyond the brief; each part is optional.

    check: looks at a source without running it: None, or why it would be refused; so a slip is
    mended by the model instead of costing a training. digest: equal for programs that differ in
    format and names only; so nothing is trained twice. pieces: what a program is made of, so that
    what is all but a repetition is sent back. proposed: all candidates so far by number, so that
    what is in flight is not repeated either. per_user: recorded values of each user, so that gains
    are shown with their noise. diagnose: what a scored entry is bad at, as a table, compared with
    the others named ("parent", "best"). language: what candidates are written in. planned: what to
    ask for next, where that is not up to the operators and directions of single programs.
    """

    check: Callable[[str], Failed | None] | None = None
    digest: Callable[[str], str | None] | None = None
    pieces: Callable[[str], Pieces] | None = None
    proposed: Callable[[], Mapping[int, Candidate]] | None = None
    per_user: PerUser | None = None
    diagnose: Callable[[Entry, Sequence[tuple[str, Entry]]], str] | None = None
    language: Language = PYTHON
    planned: Callable[[Brief], Plan] | None = None


class PromptedProposer:
    """Asks `models` for candidates through `caller`. Safe in threads."""

    def __init__(
        self,
        name: str,
        models: Sequence[str],
        *,
        caller: Caller,
        ledger: Ledger,
        config: ProposeConfig,
        judgement: Judgement | None = None,
        reviewer: Reviewer | None = None,
        turns: int = TURNS,
    ) -> None:
        self.name = name
        self._turns = turns
        self._budget = config.context_tokens
        self._models = tuple(models)
        self._caller = caller
        self._ledger = ledger
        self._without: frozenset[Feature] = frozenset(config.without)
        self._archive = config.archive
        self._judgement = judgement or Judgement()
        self._language = self._judgement.language
        self._prompts = Prompts(
            config.prompts,
            reveal_names=config.reveal_names,
            without=self._without,
            language=self._language,
        )
        self._lock = threading.Lock()
        self._effects: dict[str, Effects] = {}
        self._novelty = Novelty(
            self._judgement.digest,
            self._judgement.pieces,
            config.similarity,
            proposed=self._judgement.proposed if config.archive else None,
            whole=self._language.whole,
        )
        self._reviewer = reviewer

    def preflight(self, *, usd_left: float | None = None, tokens_left: int | None = None) -> None:
        """One tiny call to each model. Raises ProposerError where one cannot be used."""
        reviewing = () if self._reviewer is None else (self._reviewer.model,)
        models = tuple(dict.fromkeys((*self._models, *reviewing)))
        self._caller.preflight(models, usd_left=usd_left, tokens_left=tokens_left)

    def close(self) -> None:
        """End every wait for an answer, so that an interrupted run ends at once."""
        self._caller.close()
        if self._reviewer is not None:
            self._reviewer.close()

    def propose(self, brief: Brief) -> Candidate | Unusable:
        """One candidate. Raises BudgetSpent at a normal end, ProposerError where nobody answers."""
        if not self._archive:  # nobody tells it of parents, lessons, twins or what a model brought
            brief = replace(brief, history=(), parents=())
        effects = self._effects_by(brief.metric)
        todo = self._plan(brief, effects)
        todo, messages = self._fitting(brief, todo, effects)
        models = self._models_for(brief, effects)
        left = Left(seconds=brief.seconds_left, usd=brief.usd_left, tokens=brief.tokens_left)
        asked = self._asked(todo)
        usable: Candidate | None = None
        why = Failed(kind="contract", reason="no reply")
        for turn in range(self._turns):
            try:
                exchange = self._caller.ask(models, messages, number=brief.number, left=left)
            except Refused as error:
                why = Failed(kind="contract", reason=f"the provider refused the prompt: {error}")
                asked = _passing(asked, models)
                break
            before = models[: models.index(exchange.model)]
            asked = replace(
                _passing(asked, before), model=exchange.model, prompt_hash=exchange.request_hash
            )
            made = self._read(exchange, todo, asked, brief)
            if isinstance(made, Candidate):
                review = self._review(made, todo, brief, left)
                heard, usable = usable is not None, replace(made, review=review.remark)
                if not review.defects or heard or turn == self._turns - 1:
                    return usable  # a reviewer is heard once, and then training decides
                again = self._prompts.again(review.words, reviewed=True)
            else:
                why = made
                again = self._prompts.again(why.reason)
            models = (exchange.model, *(m for m in models if m != exchange.model))
            messages = [
                *messages,
                {"role": "assistant", "content": _quoted(exchange.reply or "")},
                {"role": "user", "content": again},
            ]
        return usable or Unusable(asked=asked, why=why)

    def _asked(self, todo: Plan) -> Candidate:
        """What is known of a candidate before anybody wrote it."""
        return Candidate(
            source="",
            parents=todo.parents,
            proposer=self.name,
            operator=todo.operator,
            direction=todo.direction,
        )

    def _review(self, made: Candidate, todo: Plan, brief: Brief, left: Left) -> Review:
        if self._reviewer is None:
            return Review()
        return self._reviewer.review(made.source, made.idea, todo.parent, brief, left)

    def _plan(self, brief: Brief, effects: Effects) -> Plan:
        if self._judgement.planned is not None:
            return self._judgement.planned(brief)
        if "directions" in self._without:
            direction = ANY
        else:
            rng = random.Random(f"{brief.seed}/{brief.number}/direction")
            pulls = [
                effects.pull(entry.candidate.direction, entry, brief.history)
                for entry in brief.history
                if ours(entry)
            ]
            direction = ranked(tuple(DIRECTIONS), pulls, rng)[0]
        return plan(brief, direction, crossover="crossover" not in self._without)

    def _fitting(
        self, brief: Brief, todo: Plan, effects: Effects
    ) -> tuple[Plan, list[dict[str, str]]]:
        """The plan and its prompt; one that shows less code where the programs are too long."""
        plan: Plan | None = todo
        while plan is not None:
            told = self._diagnosis(brief, plan)
            messages = self._prompts.messages(brief, plan, effects, told, budget=self._budget)
            if messages is not None:
                return plan, messages
            plan = leaner(plan)
        raise ConfigError(
            f"no prompt fits into {self._budget:,} tokens; raise propose.context_tokens, or "
            "shorten the templates"
        )

    def _diagnosis(self, brief: Brief, todo: Plan) -> str:
        """Where the parent is weak, beside its own parent and the best; empty where unknown."""
        diagnose, parent = self._judgement.diagnose, todo.parent
        if diagnose is None or parent is None or "diagnostics" in self._without:
            return ""
        if parent.score(brief.metric) is None:
            return ""
        scored = [e for e in brief.history if e.score(brief.metric) is not None]
        before = [e for e in scored if e.candidate.id in parent.candidate.parents[:1]]
        leader = best(allowed(scored), brief.metric)
        others = [("parent", e) for e in before[:1]]
        if leader is not None and leader.number != parent.number:
            others.append(("best", leader))
        return diagnose(parent, others)

    def _models_for(self, brief: Brief, effects: Effects) -> Sequence[str]:
        """The model to ask and those to fall back on, by gain per dollar (or per token, where one
        of them has no price). The root of the cost counts: a run is short of candidates too. A
        model that gave no reply where it was asked brought nothing."""
        if len(self._models) == 1:
            return self._models
        paid = [
            (entry, exchange)
            for entry in brief.history
            if entry.candidate.prompt_hash
            and entry.candidate.model in self._models
            and (exchange := self._ledger.recall(entry.candidate.prompt_hash)) is not None
        ]
        priced = all(exchange.usd is not None for _, exchange in paid)
        pulls = [
            Pull(
                arm=entry.candidate.model,
                reward=effects.reward(entry, brief.history),
                cost=_cost(exchange, priced),
            )
            for entry, exchange in paid
        ]
        pulls += [
            Pull(arm=model, reward=0.0, cost=0.0)
            for entry in brief.history
            for model in entry.candidate.passed_over
            if model in self._models
        ]
        rng = random.Random(f"{brief.seed}/{brief.number}/model")
        known = {pull.arm for pull in pulls}
        order = ranked(self._models, pulls, rng, cost_power=0.5)
        return sorted(order, key=lambda model: model in known)  # what is unknown is tried once

    def _read(
        self, exchange: Exchange, todo: Plan, asked: Candidate, brief: Brief
    ) -> Candidate | Failed:
        """The candidate in a reply if it is usable and new: what was asked for, now written."""
        answer = parse.read(exchange.reply or "", self._shown(todo), self._language.form)
        if isinstance(answer, Failed):
            return answer
        source = self._checked(self._language.source(answer.source, todo, brief))
        if isinstance(source, Failed):
            return replace(source, reason=f"{source.reason}\n{answer.unsaid}".rstrip())
        if answer.unsaid:
            return Failed(kind="contract", reason=answer.unsaid)
        operator = "rewrite" if todo.operator == "edit" and not answer.edited else todo.operator
        name, family = self._language.named(source)
        made = replace(
            asked,
            author=self._author(exchange),
            source=source,
            name=name,
            idea=answer.idea,
            expect=answer.expect,
            family=family,
            operator=operator,
        )
        stale = self._novelty.fault(made, todo.parent, brief)
        return made if stale is None else Failed(kind="contract", reason=stale)

    def _checked(self, source: str | Failed) -> str | Failed:
        """A source that may be trained, or why it would be refused."""
        check = self._judgement.check
        if isinstance(source, Failed) or check is None:
            return source
        return check(source) or source

    def _shown(self, todo: Plan) -> str | None:
        """The text that edits apply to: what the prompt showed."""
        if todo.parent is None:
            return None
        focus = "" if todo.unseen else todo.focus
        return self._language.shown(todo.parent.candidate, todo.parent.number, focus)

    def _author(self, exchange: Exchange) -> str:
        """Who wrote a reply, beyond the model that it came from; nobody where a model did."""
        return ""

    def _effects_by(self, metric: str) -> Effects:
        with self._lock:
            if metric not in self._effects:
                self._effects[metric] = Effects(metric, self._judgement.per_user)
            return self._effects[metric]


def _passing(asked: Candidate, models: Sequence[str]) -> Candidate:
    """`asked`, with models that gave no reply."""
    return replace(asked, passed_over=tuple(dict.fromkeys((*asked.passed_over, *models))))


def _cost(exchange: Exchange, priced: bool) -> float:
    if priced and exchange.usd is not None:
        return exchange.usd
    return float(exchange.tokens_in + exchange.tokens_out)


def _quoted(reply: str) -> str:
    """A reply as the next turn shows it; providers refuse empty messages."""
    return reply[: parse.MAX_SOURCE_CHARS] or "(empty)"
