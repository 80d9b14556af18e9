"""Puts the parts of a search together as the run's configuration says."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from evolver import zoo
from evolver.archive.select import Tournament
from evolver.core import Candidate, Entry, Failed, Proposer
from evolver.errors import ConfigError
from evolver.evaluate.check import inspect_source
from evolver.evaluate.fingerprint import normalised_digest
from evolver.evolve import Event, Search
from evolver.execute.choose import open_sandbox
from evolver.propose.baselines import PROPOSER, BaselineProposer, Known
from evolver.propose.llm import LLMProposer
from evolver.propose.mailbox import MailboxProposer
from evolver.propose.prompted import Judgement, PromptedProposer
from evolver.propose.typed import TypedProposer
from evolver.run import Run
from evolver.tune.registry import tuner
from evolver.tune.space import bundled, load_space

KEYLESS = "tpe"
"""The typed search that runs when nothing else is asked for."""


def search(run: Run, notify: Callable[[Event], None] = lambda event: None) -> Search:
    """A search over this run, ready to go. Preflight checks are done: an endpoint that is dead or
    a sandbox that cannot start raises before anything is trained."""
    searching = proposer(run)
    sandbox = open_sandbox(
        run.config.execute.model_copy(update={"device": run.plan.device}),
        warm_view=run.view("search"),
        workers=run.plan.workers,
        threads=run.plan.threads,
    )
    return Search(
        run,
        sandbox=sandbox,
        tuning=baseline_proposer(run),
        searching=searching,
        selector=Tournament(run.metric),
        notify=notify,
        halt=searching.close if isinstance(searching, PromptedProposer) else lambda: None,
    )


def proposer_name(run: Run) -> str:
    """Which proposer the configuration means."""
    config = run.config.propose
    if config.proposer != "auto":
        return config.proposer
    return "llm" if config.models else KEYLESS


def proposer(run: Run) -> Proposer:
    """The configured proposer of the search itself."""
    config = run.config.propose
    kind = proposer_name(run)
    if kind == "mailbox":
        return MailboxProposer(
            config, run.archive, run.folder / "mailbox", judgement=_judgement(run)
        )
    if kind == "llm":
        llm = LLMProposer(config, run.archive, judgement=_judgement(run))
        budget, (usd, tokens, _) = run.config.budget, run.archive.spent()
        llm.preflight(
            usd_left=None if budget.usd is None else budget.usd - usd,
            tokens_left=None if budget.tokens is None else budget.tokens - tokens,
        )
        return llm
    spaces = [load_space(name) for name in config.spaces or bundled()]
    return TypedProposer(spaces, tuner(kind), run.metric)


def _judgement(run: Run) -> Judgement:
    def check(source: str) -> Failed | None:
        found = inspect_source(source)
        return found if isinstance(found, Failed) else None

    def per_user(entry: Entry) -> Mapping[str, NDArray[np.float32]]:
        return run.archive.per_user(entry.number, "search", run.seed)

    return Judgement(check=check, digest=normalised_digest, per_user=per_user)


def baseline_proposer(run: Run) -> BaselineProposer:
    """The zoo, without what cannot be trained on this data within the limits."""
    known = []
    skipped = skipped_baselines(run)
    for baseline in zoo.BASELINES:
        if baseline.name in skipped:
            continue
        source = zoo.source(baseline.name)
        facts = inspect_source(source)
        if isinstance(facts, Failed):
            raise ConfigError(f"zoo baseline {baseline.name} breaks the contract: {facts.reason}")
        candidate = Candidate(
            source=source,
            name=baseline.name,
            family=facts.family,
            idea=facts.doc,
            proposer=PROPOSER,
            operator="seed",
        )
        known.append(Known(name=baseline.name, candidate=candidate, parameters=facts.tunables))
    return BaselineProposer(known, tuner("tpe"), run.metric)


def skipped_baselines(run: Run) -> dict[str, str]:
    """Baselines that are not tried on this data, each with the reason."""
    sizes = run.facts["profile"]
    found = {}
    for baseline in zoo.BASELINES:
        reason = baseline.unfit(
            sizes["users"],
            sizes["items"],
            sizes["rows"],
            run.limits.memory_bytes,
            run.limits.seconds,
        )
        if reason is not None:
            found[baseline.name] = reason
    return found
