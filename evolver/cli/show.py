"""What `evolve`, `resume` and `status` print."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evolver import assemble
from evolver.cli.words import duration
from evolver.core import Entry, Scored
from evolver.report.safe import printable
from evolver.run import Run
from evolver.summary import Summary, is_baseline

TOP = 10


def opening(console: Console, run: Run) -> None:
    """What will be done, on which data, before it begins."""
    facts, plan = run.profile, run.plan
    name = printable(str(run.facts["dataset"]["name"]))
    head = f"{name}: {facts['users']:,} users, {facts['items']:,} items, {facts['rows']:,}"
    console.print(f"{head} interactions; split: {run.facts['split']['kind']}", highlight=False)
    parts = [
        f"{part} {facts['parts'][part]['queries']:,}" for part in ("search", "promotion", "test")
    ]
    console.print(f"users to judge on: {', '.join(parts)} (sealed)", highlight=False)
    for note in [*facts["notes"], *facts["split"]["notes"]]:
        console.print(Text(f"note: {note}", "dim"))
    for warning in run.facts["warnings"]:
        console.print(Text(f"warning: {warning}", "yellow"))
    for baseline, reason in assemble.skipped_baselines(run).items():
        console.print(Text(f"not tried: {baseline}: {reason}", "dim"))
    total, slots = run.config.budget.candidates, plan.baseline_slots
    limit = run.config.budget.seconds
    within = f" within {duration(limit)}" if limit else ""
    who = assemble.proposer_name(run)
    console.print(
        f"{total} candidates{within}: {slots} tune the baselines, {total - slots} search ({who}); "
        f"{plan.workers} side by side, {plan.threads} thread{'s' * (plan.threads > 1)} each, "
        f"on {plan.device}, {duration(plan.seconds)} at most for one",
        highlight=False,
    )
    console.print(f"run: {run.folder}", highlight=False)


def summary(console: Console, run: Run, found: Summary, ending: str | None = None) -> None:
    """The leaderboard, the verdict so far, what was spent, what to do next."""
    if found.leader is None:
        failed = _failures(found) or "nothing was judged yet"
        console.print(f"No candidate has a score ({failed}).", highlight=False)
        console.print(f"Next: evolver resume {run.folder}", highlight=False)
        return
    console.print(_leaderboard(run, found))
    console.print(_verdict(found))
    spent = f"{duration(found.seconds)}"
    if found.tokens:
        spent += f", ${found.usd:.2f}, {found.tokens:,} tokens"
        if found.unpriced_calls:
            spent += f" ({found.unpriced_calls} calls without a known price)"
    failed = _failures(found)
    counts = f"{found.scored} scored" + (f", {failed}" if failed else "")
    ended = f"; {ending}" if ending else ""
    console.print(f"{counts}; {spent}{ended}", highlight=False)
    done = found.scored + sum(found.failed.values())
    if done < found.planned:
        step = "ask" if run.config.propose.proposer == "mailbox" else "resume"
        console.print(f"Go on: evolver {step} {run.folder}", highlight=False)
    console.print(
        f"Next: evolver export {run.folder} -o my_recommender   "
        "(refits the winner, reads the sealed test once)",
        highlight=False,
        soft_wrap=True,
    )


def _leaderboard(run: Run, found: Summary) -> Table:
    others = [m for m in run.config.evaluate.also if m != found.metric][:1]
    table = Table(
        title=f"Search part, {found.users:,} users",
        title_justify="left",
        box=None,
        pad_edge=False,
        header_style="bold",
    )
    table.add_column("#", justify="right")
    table.add_column("candidate", overflow="ellipsis", no_wrap=True, max_width=30)
    table.add_column("by", no_wrap=True)
    for metric in (found.metric, *others):
        table.add_column(metric, justify="right")
    table.add_column("fit s", justify="right")
    table.add_column("ms", justify="right")
    rows = list(found.ranking[:TOP])
    if found.baseline is not None and found.baseline.number not in {e.number for e in rows}:
        rows.append(found.baseline)
    for entry in rows:
        _row(table, entry, (found.metric, *others), best=entry is found.leader)
    return table


def _row(table: Table, entry: Entry, metrics: tuple[str, ...], *, best: bool) -> None:
    if not isinstance(entry.evaluation, Scored):
        return
    name = printable(entry.candidate.name or entry.candidate.family)
    table.add_row(
        str(entry.number),
        name,
        printable(entry.candidate.proposer)[:16],
        *(f"{entry.evaluation.metrics[m]:.4f}" for m in metrics),
        f"{entry.evaluation.fit_seconds:.1f}",
        f"{entry.evaluation.latency_ms_p50:.1f}",
        style="bold" if best else ("dim" if is_baseline(entry) else ""),
    )


def _verdict(found: Summary) -> Text:
    metric = found.metric
    if found.gain is None or found.challenger is None or found.baseline is None:
        missing = "baseline" if found.baseline is None else "candidate of the search"
        return Text(f"No {missing} has a score yet, so there is nothing to compare.")
    ours, theirs = found.challenger.score(metric), found.baseline.score(metric)
    name = printable(found.baseline.candidate.name)
    gain = found.gain
    said = Text()
    said.append(f"{metric} {ours:.4f}", "bold")
    said.append(f" (#{found.challenger.number}) against {theirs:.4f} of the best tuned baseline ")
    said.append(f"({name}, #{found.baseline.number}): ")
    colour = "green" if gain.low > 0 else ("red" if gain.difference < 0 else "yellow")
    said.append(f"{gain.difference:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]", colour)
    said.append(f", {gain.level:.0%} interval over {gain.pairs:,} users")
    if gain.difference <= 0:
        said.append("\nNothing that the search found beats the tuned baseline; keep the baseline.")
    elif gain.low <= 0:
        said.append("\nThe gain may be noise: the interval holds 0.", "yellow")
    else:
        said.append("\nChosen on these same users, so expect less on the sealed test.", "dim")
    return said


def _failures(found: Summary) -> str:
    return ", ".join(f"{n} {kind}" for kind, n in sorted(found.failed.items()))
