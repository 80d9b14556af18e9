"""A proposer that asks language models for code, over litellm."""

from __future__ import annotations

from collections.abc import Callable

from evolver.config import ProposeConfig
from evolver.core import Ledger
from evolver.errors import ConfigError
from evolver.propose.calls import Caller
from evolver.propose.client import Client, LiteLLMClient, redacted
from evolver.propose.prompted import Judgement, PromptedProposer
from evolver.propose.prompts import Prompts
from evolver.propose.purse import Purse
from evolver.propose.reviewer import Reviewer


class LLMProposer(PromptedProposer):
    """Drafts, edits, crosses and repairs candidates with the models that the configuration names.

    Safe in threads. A reply that the ledger holds is never paid for again.
    """

    def __init__(
        self,
        config: ProposeConfig,
        ledger: Ledger,
        *,
        judgement: Judgement | None = None,
        client: Client | None = None,
        pause: Callable[[float], bool] | None = None,
    ) -> None:
        if not config.models:
            raise ConfigError("the LLM proposer needs a model: --model provider/name")
        caller = model_caller(config, ledger, client=client, pause=pause)
        reviewer = None
        if config.reviewer is not None:
            prompts = Prompts(config.prompts, language=(judgement or Judgement()).language)
            reviewer = Reviewer(config.reviewer, caller, prompts)
        super().__init__(
            "llm",
            config.models,
            caller=caller,
            ledger=ledger,
            config=config,
            judgement=judgement,
            reviewer=reviewer,
        )


def model_caller(
    config: ProposeConfig,
    ledger: Ledger,
    *,
    client: Client | None = None,
    pause: Callable[[float], bool] | None = None,
    purse: Purse | None = None,
) -> Caller:
    """Asks the models of this configuration; `purse` is shared with whoever else spends."""
    return Caller(
        client or LiteLLMClient(config.api_base, stream=config.stream),
        ledger,
        timeout_seconds=config.request_timeout_seconds,
        max_output_tokens=config.max_output_tokens,
        requests_per_minute=config.requests_per_minute,
        where=f" at {redacted(config.api_base)}" if config.api_base else "",
        pause=pause,
        purse=purse,
    )
