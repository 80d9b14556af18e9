"""What a comparison allows to be said, in plain words, and what it does not."""

from __future__ import annotations

from collections.abc import Sequence

from evolver.comparing.outcome import LEVEL, Estimate, Pair, Result
from evolver.evolve import Ending
from evolver.metrics.replicates import replicates_needed


def claims(result: Result) -> list[str]:
    """One sentence for each pair of arms, and whether a language model helped."""
    if not result.seeds:
        return ["Nothing can be said yet: no seed is done with every arm."]
    if len(result.seeds) == 1:
        return [
            "One seed is one draw: nothing can be claimed of any arm. "
            f"{_needed(result)} seeds are the fewest that could show a difference."
        ]
    lines = [sentence(pair, len(result.pairs), result.metric) for pair in result.pairs]
    if result.smallest_p > LEVEL:
        lines.append(
            f"With {len(result.seeds)} seeds and {_comparisons(len(result.pairs))} no result could "
            f"have shown a difference (the smallest p is {result.smallest_p:.2g}); "
            f"{_needed(result)} seeds could."
        )
    return [*lines, *_models(result, result.pairs, "candidates")]


def sentence(pair: Pair, comparisons: int, metric: str) -> str:
    """One pair: what was seen, and how sure it is."""
    d, seeds = pair.difference, len(pair.by_seed)
    if pair.ties == seeds:
        return (
            f"{pair.arm} and {pair.other} ended with the same {metric} in each of {seeds} seeds: "
            "neither is shown to be better."
        )
    ahead = max(pair.wins, pair.losses)
    leader = pair.arm if pair.wins >= pair.losses else pair.other
    seen = f"ahead in {ahead} of {seeds} seeds"
    if pair.ties:
        seen += f", even in {pair.ties}"
    p = f"{'corrected ' if comparisons > 1 else ''}p = {pair.p_corrected:.2g}"
    if pair.shown:
        winner, loser = (pair.arm, pair.other) if pair.better else (pair.other, pair.arm)
        return f"{winner} beats {loser}: {metric} {amount(d, not pair.better)}, {seen}, {p}."
    return f"{pair.arm} is not told from {pair.other}: {metric} {amount(d)}, {leader} {seen}, {p}."


def amount(estimate: Estimate, turned: bool = False) -> str:
    """+0.0031 [+0.0012, +0.0050], or the same of the opposite difference."""
    sign = -1.0 if turned else 1.0
    text = f"{sign * estimate.mean + 0.0:+.4f}"
    if estimate.low is None or estimate.high is None:
        return text
    low, high = sorted((sign * estimate.low, sign * estimate.high))
    return f"{text} [{low:+.4f}, {high:+.4f}]"


def cautions(result: Result) -> list[str]:
    """What a reader must know before believing any of it."""
    spec = result.spec
    lines = []
    open_runs = len(spec.arms) * len(spec.seeds) - sum(bool(run.ended) for run in result.runs)
    if open_runs:
        lines.append(
            f"{open_runs} of {len(spec.arms) * len(spec.seeds)} runs are not done; only the "
            f"{_seeds(len(result.seeds))} that every arm is done with count."
        )
    if len(spec.asked) > 1:
        steps = ", then ".join(
            f"{len(a['arms'])} arms with {len(a['seeds'])} seeds" for a in spec.asked
        )
        lines.append(
            f"The comparison grew after it was begun ({steps}). If a look at its result decided "
            "that, the p-values are too small."
        )
    lines += [
        f"{run.label} with seed {run.seed} ended after {len(run.best)} of {result.searched} "
        f"candidates: {run.ended}. It keeps the best that it had."
        for run in result.runs
        if run.ended and run.ended != Ending.CANDIDATES.value and run.seed in result.seeds
    ]
    lines += [
        f"{pair.arm} and {pair.other} proposed the same candidates with every seed: at this budget "
        "they are one search."
        for pair in result.pairs
        if [r.proposed for r in result.of(pair.arm)] == [r.proposed for r in result.of(pair.other)]
    ]
    lines += [
        f"Seed {run.seed} is not compared: with {run.label} nothing at all scored."
        for run in result.runs
        if run.ended and run.final is None
    ]
    lines += [
        f"The winner of {run.label} with seed {run.seed} failed on the promotion part: "
        f"{run.promotion_failed}."
        for run in result.runs
        if run.promotion_failed
    ]
    lines += [
        f"{arm.label} repeats one record whatever is measured: its seeds differ by luck in "
        "training only."
        for arm in spec.arms
        if arm.record is not None
    ]
    unpriced = sum(run.unpriced for run in result.runs)
    if unpriced:
        lines.append(f"{unpriced} requests had no known price; their tokens are counted.")
    return lines


def scope(result: Result) -> str:
    """How far the result reaches."""
    promotion = (
        "On the promotion part, which no arm read, the winners are beside each other once."
        if result.promotion
        else "The search part also chose the winners, so the figures flatter every arm."
    )
    return (
        f"This is one data set ({result.data}) and one budget: {result.searched} candidates after "
        f"{result.slots} shared trials of the baselines. {promotion}"
    )


def all_claims(result: Result) -> list[str]:
    """Everything that may be said, each sentence with what it holds for."""
    return [
        *claims(result),
        *(f"At equal training time: {line}" for line in compute_claims(result)),
        *(f"On the promotion part: {line}" for line in promotion_claims(result)),
    ]


def compute_claims(result: Result) -> list[str]:
    """The same sentences at equal training time, and whether a language model helped so."""
    pairs = result.compute_pairs
    if not pairs or len(pairs[0].by_seed) < 2:
        return []  # one seed is one draw, which `claims` says
    lines = [sentence(pair, len(pairs), result.metric) for pair in pairs]
    return [*lines, *_models(result, pairs, "training time")]


def promotion_claims(result: Result) -> list[str]:
    """The same sentences for the winners on the promotion part."""
    if not result.promotion:
        return []
    if len(result.promotion[0].by_seed) < 2:
        return ["One seed is one draw: nothing can be claimed on the promotion part either."]
    return [sentence(pair, len(result.promotion), result.metric) for pair in result.promotion]


def before(arms: int, pairs: int, seeds: int, smallest: float) -> str | None:
    """A warning before anything is trained: that nothing could be shown; None where it could."""
    if smallest <= LEVEL:
        return None
    needed = replicates_needed(pairs, LEVEL)
    return (
        f"with {_seeds(seeds)} and {_comparisons(pairs)} among {arms} arms the "
        f"smallest p-value that could come out is {smallest:.2g}; to show a difference at all "
        f"takes --seeds {needed}"
    )


def _models(result: Result, pairs: Sequence[Pair], equal: str) -> Sequence[str]:
    """Whether the language model helped at `equal` candidates or the like, which needs an arm
    without one."""
    with_model = [arm.label for arm in result.spec.arms if arm.model]
    without = [arm.label for arm in result.spec.arms if not arm.model]
    if not with_model:
        return ()
    if not without:
        return (
            "Whether a language model helps cannot be said: no arm went without one. Add random "
            "and tpe.",
        )
    lines = []
    for label in with_model:
        held = {}
        for pair in pairs:
            if pair.arm == label and pair.other in without:
                held[pair.other] = pair.shown and pair.better
            elif pair.other == label and pair.arm in without:
                held[pair.arm] = pair.shown and not pair.better
        open_arms = [other for other in without if not held.get(other, False)]
        if open_arms:
            lines.append(
                f"It is not shown that the language model of {label} helps at equal {equal}: it "
                f"does not beat {' nor '.join(open_arms)}."
            )
        else:
            lines.append(
                f"The language model of {label} helps here: {label} beats every arm without one "
                f"({', '.join(without)}) at equal {equal}."
            )
    return lines


def _needed(result: Result) -> int:
    return replicates_needed(len(result.pairs), LEVEL)


def _seeds(count: int) -> str:
    return f"{count} seed{'s' * (count != 1)}"


def _comparisons(count: int) -> str:
    return f"{count} comparison{'s' * (count != 1)}"
