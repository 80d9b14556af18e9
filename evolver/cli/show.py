"""What `evolve`, `resume` and `status` print."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from evolver import assemble
from evolver.cli.words import duration
from evolver.config import STAGED
from evolver.report import terminal
from evolver.report.finals import priced
from evolver.report.gather import canary_lines, gather
from evolver.report.pipeline import pipeline_view
from evolver.report.safe import printable
from evolver.run import Run
from evolver.summary import Summary


def opening(console: Console, run: Run) -> None:
    """What will be done, on which data, before it begins."""
    facts, plan = run.profile, run.plan
    name = printable(str(run.facts["dataset"]["name"]))
    head = f"{name}: {facts['users']:,} users, {facts['items']:,} items, {facts['rows']:,}"
    split = run.facts["split"]["kind"]
    console.print(f"{head} {run.task.rows}; split: {split}", highlight=False)
    parts = [
        f"{part} {facts['parts'][part]['queries']:,}" for part in ("search", "promotion", "test")
    ]
    console.print(f"users to judge on: {', '.join(parts)} (sealed)", highlight=False)
    for note in [*facts["notes"], *facts["split"]["notes"]]:
        console.print(Text(f"note: {note}", "dim"))
    for warning in run.facts["warnings"]:
        console.print(Text(f"warning: {warning}", "yellow"))
    for line in canary_lines(run.canaries):
        console.print(Text(line, "yellow"))
    if not run.canaries:
        console.print(Text("leak canaries in the data: all silent", "dim"))
    for baseline, reason in assemble.skipped_baselines(run).items():
        console.print(Text(f"not tried: {baseline}: {reason}", "dim"))
    total, slots, tuning = run.config.budget.candidates, plan.baseline_slots, plan.tuning_slots
    limit = run.config.budget.seconds
    within = f" within {duration(limit)}" if limit else ""
    who = assemble.proposer_name(run)
    console.print(
        f"{total} candidates{within}: {slots} tune the baselines, {total - slots - tuning} search "
        f"({who}){f', {tuning} tune what that finds' if tuning else ''}; "
        f"{plan.workers} side by side, {plan.threads} thread{'s' * (plan.threads > 1)} each, "
        f"on {plan.device}, {duration(plan.seconds)} at most for one",
        highlight=False,
    )
    if limit and plan.finals_share and run.config.promote.finalists:
        most = duration(limit * plan.finals_share)
        console.print(
            f"of that, {most} at most are kept for judging the best {run.config.promote.finalists} "
            "on the promotion part",
            highlight=False,
        )
    rungs = _rungs(run)
    if rungs:
        console.print(rungs, highlight=False)
    console.print(f"run: {run.folder}", highlight=False)


def _rungs(run: Run) -> str:
    """Which rungs come before a whole training, if any do."""
    parts = ["a smoke run for each new program"] if run.plan.smoke else []
    if run.plan.halving:
        eta = run.config.cascade.eta
        parts.append(f"a training on {run.plan.low}; the best 1/{eta} go on to a whole one")
    return "first " + ", then ".join(parts) if parts else ""


def summary(console: Console, run: Run, found: Summary, ending: str | None = None) -> None:
    """The leaderboard, the verdict so far, what was spent, what to do next."""
    steps = []
    if found.tried < found.planned:
        step = "ask" if run.config.propose.proposer == "mailbox" else "resume"
        steps.append(f"evolver {step} {run.folder}")
    standing, data = found.standing, gather(run)
    price = priced(data)
    if price is not None:
        steps.append(f"evolver promote {run.folder} {price.flags}  (if that price is worth it)")
    if standing.waiting and standing.promotion is None:
        steps.append(f"evolver promote {run.folder}  (judges what leads, on the promotion part)")
    if found.leader is not None:
        steps.append(f"evolver report {run.folder}")
        rest = "" if standing.test_read else "  (reads the sealed test once)"
        steps.append(
            f"evolver pipeline of {run.folder} -o pipeline.yaml"
            if run.task.name == "pipeline"
            else f"evolver export {run.folder} -o my_recommender{rest}"
        )
    console.print(terminal.summary(data))
    if run.task.name in STAGED:
        console.print(pipeline_view(run))
    if ending is not None:
        console.print(Text(f"Ended: {ending}.", "dim"))
    for step in steps:  # never broken in the middle, so that it can be copied
        console.print(Text(f"Next: {step}", "bold"), soft_wrap=True)
