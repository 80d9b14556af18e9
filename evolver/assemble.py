"""Puts the parts of a search together as the run's configuration says."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from evolver.ablations import contributions
from evolver.agents.alternation import Alternation, FromStart
from evolver.agents.document import Document, parse
from evolver.agents.start import default_pipeline
from evolver.archive.reviews import Opinion, Steered, heeded
from evolver.archive.select import selector
from evolver.bench import Bench, alarms_of
from evolver.core import Candidate, Failed, Parameter, Proposer, Sandbox, Unusable
from evolver.earlier import experience
from evolver.errors import ConfigError, UsageError
from evolver.evaluate.check import inspect_source
from evolver.evaluate.fingerprint import program_digest
from evolver.evolve import Event, Search
from evolver.execute.choose import open_sandbox
from evolver.finals import Reserve
from evolver.floor import Floor, best_baseline, measure_floor
from evolver.judgement import judgement, judgement_of_pipelines
from evolver.propose.baselines import PROPOSER, SEED, BaselineProposer, Known
from evolver.propose.hybrid import HybridProposer
from evolver.propose.llm import LLMProposer
from evolver.propose.mailbox import MailboxProposer
from evolver.propose.numbers import NumbersProposer
from evolver.propose.prompted import Judgement, PromptedProposer
from evolver.propose.replay import ReplayProposer, read_record, recorded
from evolver.propose.survivors import SurvivorsProposer
from evolver.propose.typed import TypedProposer
from evolver.run import Run, asks_somebody, reopen
from evolver.suspicion import Suspicion
from evolver.tune.experience import regime
from evolver.tune.registry import EXPERIENCED, experienced, tuner
from evolver.tune.space import bundled, load_space

log = logging.getLogger(__name__)

KEYLESS = "rl"
"""The typed search that runs when nothing else is asked for: the best of docs/search.md."""


@runtime_checkable
class Closing(Protocol):
    """A proposer that can be told to end whatever it waits for."""

    def close(self) -> None: ...


def search(
    run: Run,
    notify: Callable[[Event], None] = lambda event: None,
    *,
    wait: bool = True,
    searching: Proposer | None = None,
    sandbox: Sandbox | None = None,
    floored: Callable[[Floor | None], None] = lambda floor: None,
    finals: bool = True,
) -> Search:
    """A search over this run, ready to go. Preflight checks are done: an endpoint that is dead or
    a sandbox that cannot start raises before anything is trained. With `wait` False it ends where
    only answers from the mailbox are missing. A proposer or a sandbox that is given is used in
    place of a new one. `floored` hears of the noise floor when it is measured, from a thread.
    With `finals` False it is the search alone: no floor is measured, no survivors are tuned, and no
    time is kept for judging the best."""
    searching = searching or proposer(run, wait=wait)
    judges = finals and run.config.promote.finalists > 0
    return Search(
        run,
        sandbox=sandbox or sandbox_of(run),
        tuning=searching if _repeats_baselines(run) else baseline_proposer(run),
        searching=searching,
        survivors=SurvivorsProposer(tuner("tpe"), _parameters, program_digest) if finals else None,
        selector=Steered(selector(run.config.select, run.metric, run.seed)),
        heed=lambda history: heeded(history, opinions(run)),
        notify=notify,
        halt=searching.close if isinstance(searching, Closing) else lambda: None,
        tuned=(lambda bench: floored(_baseline_measured(bench))) if judges else None,
        reserve=Reserve(run) if judges else lambda: 0.0,
    )


def _repeats_baselines(run: Run) -> bool:
    """Whether a record is repeated on the data that it was made on, trials of baselines included:
    how they were tuned may have depended on the clock."""
    known = run.facts["dataset"]["fingerprint"]
    return proposer_name(run) == "replay" and run.config.propose.replay_baselines_on == known


def _baseline_measured(bench: Bench) -> Floor | None:
    """The noise floor; and what the canaries say of the best baseline, aloud if it is an alarm."""
    floor = measure_floor(bench)
    run, baseline = bench.run, best_baseline(bench.run)
    if baseline is not None:
        suspicion = Suspicion(run)
        if not suspicion.looked_at(baseline):
            suspicion.of(baseline, None)
        name = baseline.candidate.name
        for alarm in alarms_of(run, baseline.number):
            said = f"{alarm.canary}: {alarm.detail}"
            log.warning("canary in the results of %s (#%d), %s", name, baseline.number, said)
    return floor


def sandbox_of(run: Run) -> Sandbox:
    """The sandbox that the run is to use, its workers getting ready for the search part."""
    return run.staged(
        open_sandbox(
            run.config.execute.model_copy(update={"device": run.plan.device}),
            warm_view=run.view("search"),
            workers=run.plan.workers,
            threads=run.plan.threads,
            run=run.folder.name,
        )
    )


def opinions(run: Run) -> Mapping[int, Opinion]:
    """What reviewers said of candidates, and what ablations showed of their parts: both reach the
    next prompts."""
    found = dict(run.archive.reviews.opinions())
    for number in run.archive.findings.ablated():
        entry = run.archive.entry(number)
        if entry is not None:
            before = found.get(number, Opinion())
            found[number] = replace(before, parts=tuple(map(str, contributions(run, entry))))
    return found


def proposer_name(run: Run) -> str:
    """Which proposer the configuration means."""
    config = run.config.propose
    if config.replay is not None:
        return "replay"
    if config.proposer != "auto":
        return config.proposer
    return "hybrid" if config.models else KEYLESS


def proposer(run: Run, *, wait: bool = True) -> Proposer:
    """The configured proposer of the search itself."""
    found = _configured(run, wait)
    asks = isinstance(found, PromptedProposer | HybridProposer)
    return FromStart(_start(run), found) if asks and run.task.name == "pipeline" else found


def _configured(run: Run, wait: bool) -> Proposer:
    config = run.config.propose
    kind = proposer_name(run)
    if config.experience and (KEYLESS if kind == "hybrid" else kind) not in EXPERIENCED:
        raise UsageError(
            f"--experience goes with --proposer {' or '.join(EXPERIENCED)}; "
            f"{kind!r} cannot learn from earlier runs"
        )
    if run.task.name == "pipeline" and asks_somebody(run.config) and not config.archive:
        raise UsageError(
            "pipelines are built on each other step by step; propose.archive: false goes with "
            "single programs"
        )
    if config.trade and kind != "nsga2":
        raise UsageError(f"--trade goes with --proposer nsga2; {kind!r} has one objective")
    if kind == "mailbox":
        folder = run.folder / "mailbox"
        mailbox = MailboxProposer(config, run.archive, folder, judgement=_judgement(run), wait=wait)
        _greet(run, mailbox)
        return mailbox
    if kind == PROPOSER:
        return baseline_proposer(run)
    if kind == "replay":
        return ReplayProposer(record_of(config.replay))
    if kind == "llm":
        return _llm(run)
    if kind == "hybrid":
        arms = [_llm(run), *_typed_arms(run)]
        return HybridProposer({arm.name: arm for arm in arms}, per_user=judgement(run).per_user)
    return _alternation(run, kind) if run.task.name == "pipeline" else _typed(run, kind)


def _typed_arms(run: Run) -> list[Proposer]:
    """Who searches beside a language model. Of pipelines the alternation tunes numbers too, in
    whatever document a step goes on from."""
    if run.task.name == "pipeline":
        return [_alternation(run, KEYLESS, programs=True)]
    return [NumbersProposer(tuner(KEYLESS), _parameters), _typed(run, KEYLESS)]


def _alternation(run: Run, kind: str, *, programs: bool = False) -> Alternation:
    reward = run.config.evaluate.reward
    kind = "nsga2" if reward.mode == "pareto" else kind
    return Alternation(_start(run), reward, tuner(kind), programs=programs)


def _start(run: Run) -> Document:
    """The pipeline that a search begins with."""
    given = run.config.propose.pipeline
    if given is None:
        return default_pipeline(skipped_baselines(run))
    try:
        return parse(given)
    except ConfigError as error:
        raise ConfigError(f"propose.pipeline: {error}") from None


def _llm(run: Run) -> LLMProposer:
    llm = LLMProposer(run.config.propose, run.archive, judgement=_judgement(run))
    _greet(run, llm)
    return llm


def _greet(run: Run, asking: PromptedProposer) -> None:
    budget, (usd, tokens, _) = run.config.budget, run.archive.spent()
    asking.preflight(
        usd_left=None if budget.usd is None else budget.usd - usd,
        tokens_left=None if budget.tokens is None else budget.tokens - tokens,
    )


def _typed(run: Run, kind: str) -> TypedProposer:
    spaces = [load_space(name) for name in run.config.propose.spaces or bundled(run.task.name)]
    for space in spaces:
        if space.task != run.task.name:
            raise UsageError(
                f"the space {space.name!r} holds models for {space.task}, not {run.task.name}; see "
                "`evolver space list`"
            )
    if kind in EXPERIENCED:
        chosen = experienced(kind, experience(run), regime(run.profile))
    else:
        chosen = tuner(kind)
    return TypedProposer(spaces, chosen, run.metric, trade=run.config.propose.trade)


def _parameters(source: str) -> Sequence[Parameter] | None:
    facts = inspect_source(source)
    return None if isinstance(facts, Failed) else facts.tunables


def record_of(place: str | None) -> Mapping[int, Candidate | Unusable]:
    """What another run proposed: from its folder, or from a file that was made of it."""
    if place is None:
        raise ConfigError("replay needs a record: --replay RUN or --replay FILE.jsonl")
    if Path(place).suffix == ".jsonl":
        return read_record(Path(place))
    other = reopen(Path(place))
    try:
        return recorded(other.archive.history())
    finally:
        other.archive.close()


def _judgement(run: Run) -> Judgement:
    if run.task.name == "pipeline":
        return judgement_of_pipelines(run, _start(run), skipped_baselines(run))
    return judgement(run)


def baseline_proposer(run: Run) -> BaselineProposer:
    """The zoo, without what cannot be trained on this data within the limits."""
    known = []
    skipped = skipped_baselines(run)
    for baseline in run.task.baselines:
        if baseline.name in skipped:
            continue
        source = run.task.known(baseline)
        facts = run.task.inspect(source)
        if isinstance(facts, Failed):
            raise ConfigError(f"zoo baseline {baseline.name} breaks the contract: {facts.reason}")
        candidate = Candidate(
            source=source,
            name=baseline.name,
            family=facts.family,
            idea=facts.doc,
            proposer=PROPOSER,
            operator=SEED,
        )
        known.append(Known(name=baseline.name, candidate=candidate, parameters=facts.tunables))
    return BaselineProposer(known, tuner("tpe"), run.metric)


def skipped_baselines(run: Run) -> dict[str, str]:
    """Baselines that are not tried on this data, each with the reason. How long they take is known
    for processors only."""
    users, items = run.task.sizes(run.profile)
    seconds = run.limits.seconds if run.plan.device == "cpu" else None
    found = {}
    for baseline in run.task.baselines:
        reason = baseline.unfit(
            users,
            items,
            run.profile["rows"],
            run.limits.memory_bytes,
            seconds,
        )
        if reason is not None:
            found[baseline.name] = reason
    return found
