"""Who of a recorded pipeline's agents earned its reward: it is run without them and compared.

On the search part, with the run's own seed. Each coalition is a finding, so nothing is run twice.
"""

from __future__ import annotations

from collections.abc import Mapping

from evolver.agents.credit import MOST_EXACT, Credits, attribute, coalitions
from evolver.agents.document import Document
from evolver.agents.rounds import START, searched
from evolver.agents.space import pipeline_of
from evolver.agents.upstream import upstream_of, with_reranker
from evolver.archive.findings import Finding, ablation
from evolver.bench import Bench
from evolver.core import Entry, Scored
from evolver.errors import EvolverError
from evolver.run import Run


class CreditUnknown(EvolverError):  # noqa: N818 - what is missing, not an error of ours
    """A coalition of agents could not be judged, so nobody's share can be told."""


def document_of(entry: Entry) -> Document:
    """The pipeline that an entry is, with its values."""
    return pipeline_of(entry.candidate)


def judged_pipeline(run: Run, entry: Entry) -> Document:
    """The pipeline that an entry is judged as: in a run of re-rankers the upstream with it."""
    if run.task.name == "reranking":
        return with_reranker(upstream_of(run.config.evaluate), entry.candidate)
    return document_of(entry)


def left_out(agents: tuple[str, ...], coalition: frozenset[str]) -> str:
    """How a variant of a pipeline without the others is called."""
    return "+".join(sorted(set(agents) - coalition))


def measure_credits(bench: Bench, entry: Entry) -> Credits:
    """Run the pipeline without each set of its agents that matters, side by side, and share out
    its reward. Raises `OutOfTime`, and CreditUnknown where a variant failed."""
    agents = document_of(entry).serving
    seed = bench.run.seed
    if len(agents) <= MOST_EXACT:
        missing = [name for each in coalitions(agents) if (name := left_out(agents, each))]
        bench.ablate_all([(entry, name, seed) for name in missing])

    def worth(coalition: frozenset[str]) -> float:
        name = left_out(agents, coalition)
        if name:
            bench.ablate(entry, name, seed)
        return _worth(bench.run, entry, name, _variants(bench.run, entry))

    return attribute(agents, worth, seed=seed)


def credits_of(run: Run, entry: Entry) -> Credits | None:
    """What is recorded; None where a coalition is missing or failed."""
    agents = judged_pipeline(run, entry).serving
    variants = _variants(run, entry)

    def worth(coalition: frozenset[str]) -> float:
        return _worth(run, entry, left_out(agents, coalition), variants)

    try:
        return attribute(agents, worth, seed=run.seed)
    except CreditUnknown:
        return None


def lost_without(run: Run, entry: Entry) -> dict[str, float]:
    """By agent: the reward that is lost without it (leave one out), as far as it is recorded. There
    may be some where there are no credits yet."""
    if not isinstance(entry.evaluation, Scored):
        return {}
    whole, variants = entry.evaluation.metrics[run.metric], _variants(run, entry)
    found = {agent: variants.get(ablation(agent)) for agent in judged_pipeline(run, entry).serving}
    return {
        agent: whole - float(variant.data["metrics"][run.metric])
        for agent, variant in found.items()
        if variant is not None and "failed" not in variant.data
    }


def _variants(run: Run, entry: Entry) -> dict[str, Finding]:
    """By what they are about: what was found of an entry with the run's own seed."""
    return {f.about: f for f in run.archive.findings.of(entry.number) if f.seed == run.seed}


def _worth(run: Run, entry: Entry, name: str, variants: Mapping[str, Finding]) -> float:
    if not name:
        found = entry.evaluation
        if not isinstance(found, Scored):
            raise CreditUnknown(f"#{entry.number} has no score")
        return found.metrics[run.metric]
    variant = variants.get(ablation(name))
    if variant is None:
        raise CreditUnknown(f"#{entry.number} was not run without {name}")
    if "failed" in variant.data:
        raise CreditUnknown(f"without {name}: {variant.data['failed']}")
    return float(variant.data["metrics"][run.metric])


def start_of(run: Run) -> Entry | None:
    """Where the search for pipelines started, if it was judged."""
    found = (e for e in run.archive.history() if e.candidate.operator == START)
    return next((e for e in found if isinstance(e.evaluation, Scored)), None)


def best_pipeline(run: Run) -> Entry | None:
    """The best of what the search for pipelines proposed."""
    return run.archive.best(searched(run.archive.history()))


def lines_of(credits_: Credits) -> list[str]:
    """For people: each agent's credit, and what they add up to."""
    lines = [
        f"{each.agent}: {each.shapley:+.4f}"
        + (f" ± {each.error:.4f}" if each.error else "")
        + f" (Shapley), {each.leave_one_out:+.4f} (what is lost without it)"
        for each in credits_.agents
    ]
    total = credits_.whole - credits_.nothing
    how = f"from {credits_.orders} drawn orders" if credits_.orders else "exact"
    return [
        *lines,
        f"together {total:+.4f}: the whole {credits_.whole:.4f}, without any agent "
        f"{credits_.nothing:.4f} ({how})",
    ]
