"""A proposer that asks language models for code. A pure function of briefs and recorded replies."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from evolver.config import ProposeConfig
from evolver.core import Brief, Candidate, Failed, Ledger
from evolver.errors import ConfigError
from evolver.propose import parse
from evolver.propose.calls import Caller, Refused
from evolver.propose.client import Client, LiteLLMClient, redacted
from evolver.propose.operators import Plan, plan
from evolver.propose.prompts import Prompts
from evolver.propose.purse import Left
from evolver.propose.source import with_defaults

Check = Callable[[str], Failed | None]
"""Looks at a source without running it: None, or why it would be refused."""

TURNS = 2
"""How often one proposal is asked for: a reply without a usable candidate is sent back once."""


class LLMProposer:
    """Drafts, edits and repairs candidates with the models that the configuration names.

    `check` is asked before a candidate is handed over, so that a small slip is mended by the model
    instead of costing a training. Safe in threads.
    """

    name = "llm"

    def __init__(
        self,
        config: ProposeConfig,
        ledger: Ledger,
        *,
        check: Check | None = None,
        client: Client | None = None,
        pause: Callable[[float], bool] | None = None,
    ) -> None:
        if not config.models:
            raise ConfigError("the LLM proposer needs a model: --model provider/name")
        self._models = config.models
        self._check = check
        self._prompts = Prompts(config.prompts, reveal_names=config.reveal_names)
        self._caller = Caller(
            client or LiteLLMClient(config.api_base),
            ledger,
            timeout_seconds=config.request_timeout_seconds,
            max_output_tokens=config.max_output_tokens,
            where=f" at {redacted(config.api_base)}" if config.api_base else "",
            pause=pause,
        )

    def preflight(self, *, usd_left: float | None = None, tokens_left: int | None = None) -> None:
        """One tiny call to each model. Raises ProposerError where one cannot be used."""
        self._caller.preflight(self._models, usd_left=usd_left, tokens_left=tokens_left)

    def close(self) -> None:
        """End every wait between tries, so that an interrupted run ends at once."""
        self._caller.close()

    def propose(self, brief: Brief) -> Candidate | Failed:
        """One candidate. Raises BudgetSpent at a normal end, ProposerError where nobody answers."""
        todo = plan(brief)
        messages = self._prompts.messages(brief, todo)
        models = self._order(brief)
        left = Left(seconds=brief.seconds_left, usd=brief.usd_left, tokens=brief.tokens_left)
        why = Failed(kind="contract", reason="no reply")
        for _ in range(TURNS):
            try:
                exchange = self._caller.ask(models, messages, number=brief.number, left=left)
            except Refused as error:
                return Failed(kind="contract", reason=f"the provider refused the prompt: {error}")
            reply = exchange.reply or ""
            answer = parse.read(reply, _parent_source(todo))
            if not isinstance(answer, Failed):
                refusal = self._check(answer.source) if self._check else None
                if refusal is None:
                    return _candidate(answer, todo, exchange.model, exchange.request_hash)
                answer = refusal
            why = answer
            models = (exchange.model,)
            messages = [
                *messages,
                {"role": "assistant", "content": reply[: parse.MAX_SOURCE_CHARS] or "(empty)"},
                {"role": "user", "content": self._prompts.again(why.reason)},
            ]
        return why

    def _order(self, brief: Brief) -> Sequence[str]:
        """The model to ask and those to fall back on."""
        rng = random.Random(f"{brief.seed}/{brief.number}/model")
        return rng.sample(self._models, len(self._models))


def _parent_source(todo: Plan) -> str | None:
    """The text that edits apply to: what the prompt showed, tuned values as defaults."""
    if todo.parent is None:
        return None
    return with_defaults(todo.parent.candidate.source, todo.parent.candidate.values)


def _candidate(answer: parse.Answer, todo: Plan, model: str, prompt_hash: str) -> Candidate:
    operator = todo.operator
    if operator == "edit" and not answer.edited:
        operator = "rewrite"
    family = parse.family(answer.source)
    return Candidate(
        source=answer.source,
        parents=todo.parents,
        name=family,
        idea=answer.idea,
        expect=answer.expect,
        family=family,
        proposer="llm",
        operator=operator,
        direction=todo.direction,
        model=model,
        prompt_hash=prompt_hash,
    )
