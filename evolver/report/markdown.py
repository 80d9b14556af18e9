"""The result of a run as Markdown, short enough for a pull request."""

from __future__ import annotations

from evolver.core import Entry, Scored
from evolver.report.data import ReportData
from evolver.report.diff import diff
from evolver.report.html import duration, failures
from evolver.report.verdict import verdict
from evolver.text import code_span, fenced, one_line, plain_markdown

ROWS = 10
MOST_DIFF = 200


def markdown(data: ReportData) -> str:
    """Verdict, evidence, leaderboard, diff and cost. All foreign text is quoted as code."""
    judged = verdict(data)
    parts = [f"## {plain_markdown(judged.headline)}"]
    parts += [plain_markdown(line) for line in judged.detail]
    parts += [f"> **Warning:** {plain_markdown(line)}" for line in data.warnings]
    if data.contests:
        parts.append(_contests(data))
    if data.trials:
        parts.append(_trials(data))
    if data.ranked:
        parts.append(_leaderboard(data))
    best = data.best
    if best is not None:
        parts.append(_winner(data, best))
    if data.stopped:
        were = "candidate was" if len(data.stopped) == 1 else "candidates were"
        parts.append(f"{len(data.stopped)} {were} stopped before a whole training.")
    if data.failed:
        found = ", ".join(f"{failure.count} {failure.kind}" for failure in failures(data))
        parts.append(f"Failures: {found}.")
    parts.append(_cost(data))
    if data.repeat:
        parts.append("To repeat it:\n\n" + fenced("\n".join(data.repeat), "sh"))
    return "\n\n".join(parts) + "\n"


def _contests(data: ReportData) -> str:
    lines = [
        f"| part | users | winner, {data.metric} | best tuned baseline | difference |",
        "| --- | ---: | --- | --- | --- |",
    ]
    for contest in data.contests:
        difference = "-"
        if contest.difference is not None:
            difference = f"{contest.difference.value:+.4f} {contest.difference.interval}".rstrip()
        read = f" (read {contest.readings} times)" if contest.readings > 1 else ""
        lines.append(
            f"| {code_span(contest.part, 40, cell=True)}{read} | {contest.users} "
            f"| {contest.winner} | {contest.baseline or '-'} | {difference} |"
        )
    return "\n".join(lines)


def _trials(data: ReportData) -> str:
    lines = [
        "| program | trials | as proposed | at its best | idea | tuning |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in data.trials:
        idea = "baseline" if row.idea is None else f"{row.idea:+.4f}"
        wanted = f" of {row.wanted}" if row.short else ""
        lines.append(
            f"| {code_span(row.name, 60, cell=True)} #{row.number} | {row.trials}{wanted} "
            f"| {row.first:.4f} | {row.best:.4f} | {idea} | {row.tuning:+.4f} |"
        )
    return "\n".join(lines)


def _leaderboard(data: ReportData) -> str:
    lines = [
        f"| rank | candidate | {data.metric} | fit | one user |",
        "| ---: | --- | --- | ---: | ---: |",
    ]
    for rank, entry in enumerate(data.ranked, 1):
        if rank > ROWS and entry.number not in (data.winner, data.baseline):
            continue
        if isinstance(entry.evaluation, Scored):
            name = code_span(entry.candidate.name, 60, cell=True)
            mark = " (winner)" if entry.number == data.winner else ""
            mark = mark or (" (best tuned baseline)" if entry.number == data.baseline else "")
            lines.append(
                f"| {rank} | {name} #{entry.number}{mark} "
                f"| {data.figure(entry.number)} | {duration(entry.evaluation.fit_seconds)} "
                f"| {entry.evaluation.latency_ms_p50:.2f} ms |"
            )
    if len(data.ranked) > ROWS:
        lines.append(f"\nThe best {ROWS} of {len(data.ranked)} scored candidates.")
    return "\n".join(lines)


def _winner(data: ReportData, best: Entry) -> str:
    parts = [f"### The winner: {code_span(best.candidate.name, 60)} #{best.number}"]
    if best.candidate.idea:
        parts.append(fenced(best.candidate.idea))
    parent = data.parent(best.number)
    if parent is not None:
        lines = diff(parent.candidate, best.candidate)
        text = "\n".join(
            f"@@ {line.text} @@" if line.kind == "hunk" else f"{line.sign}{line.text}"
            for line in lines[:MOST_DIFF]
        )
        if len(lines) > MOST_DIFF:
            text += f"\n@@ {len(lines) - MOST_DIFF} more lines are not shown @@"
        parts.append(
            f"<details><summary>What it changed in #{parent.number}</summary>\n\n"
            f"{fenced(text, 'diff')}\n\n</details>"
        )
    return "\n\n".join(parts)


def _cost(data: ReportData) -> str:
    cost = data.cost
    money = "nothing was priced" if cost.usd is None else f"${cost.usd:.2f}"
    if cost.unpriced_requests:
        money += f" and {cost.unpriced_requests} requests without a known price"
    return (
        f"Cost: {duration(cost.wall_seconds)} wall-clock, {len(data.by_number)} candidates, "
        f"{money}. Run {code_span(data.run)}, evolver {one_line(data.evolver_version)}."
    )
