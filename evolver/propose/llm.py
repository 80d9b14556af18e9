"""A proposer that asks language models for code, over litellm."""

from __future__ import annotations

from collections.abc import Callable

from evolver.config import ProposeConfig
from evolver.core import Ledger
from evolver.errors import ConfigError
from evolver.propose.calls import Caller
from evolver.propose.client import Client, LiteLLMClient, redacted
from evolver.propose.prompted import Judgement, PromptedProposer


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
        caller = Caller(
            client or LiteLLMClient(config.api_base),
            ledger,
            timeout_seconds=config.request_timeout_seconds,
            max_output_tokens=config.max_output_tokens,
            where=f" at {redacted(config.api_base)}" if config.api_base else "",
            pause=pause,
        )
        super().__init__(
            "llm",
            config.models,
            caller=caller,
            ledger=ledger,
            config=config,
            judgement=judgement,
        )

    def preflight(self, *, usd_left: float | None = None, tokens_left: int | None = None) -> None:
        """One tiny call to each model. Raises ProposerError where one cannot be used."""
        self._caller.preflight(self._models, usd_left=usd_left, tokens_left=tokens_left)
