"""The result of a run as Markdown, short enough for a pull request."""

from __future__ import annotations

from evolver.core import Entry, Scored
from evolver.report.data import ReportData
from evolver.report.diff import diff
from evolver.report.expected import authors, came_of
from evolver.report.finals import final_rows, name_of, rail_rows
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
    if data.agents:
        parts.append("### Agents")
        parts.append("\n".join(f"- {plain_markdown(line)}" for line in data.agents))
    if data.trials:
        parts.append(_trials(data))
    if final_rows(data):
        parts.append(_finals(data))
    if data.canaries:
        parts.append(_canaries(data))
    if data.readings:
        parts.append(_readings(data))
    if data.ranked:
        parts.append(_leaderboard(data))
    best = data.best
    if best is not None:
        parts.append(_winner(data, best))
    if data.slices or data.contributions:
        parts.append(_whom(data))
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


def _finals(data: ReportData) -> str:
    parts = ["### Finals on the promotion part"]
    lines = [
        "| challenger | incumbent | difference | least | p | allowed | reading | seeds | verdict |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for row in final_rows(data):
        lines.append(
            f"| {code_span(row.name, 60, cell=True)} | {code_span(row.against, 60, cell=True)} "
            f"| {row.difference} | {row.minimum} | {row.p_value} | {row.allowed} | {row.reading} "
            f"| {row.seeds} | {row.decision} |"
        )
    parts.append("\n".join(lines))
    for judged in () if data.gate is None else data.gate.judged:
        rows = rail_rows(judged)
        if not rows:
            continue
        head = [
            "| guardrail or slice | challenger | incumbent | limit | |",
            "| --- | ---: | ---: | ---: | --- |",
        ]
        body = [
            f"| {code_span(row.name, 60, cell=True)} | {row.challenger} | {row.incumbent} "
            f"| {row.limit} | {'held' if row.held else '**broken**'} |"
            for row in rows
        ]
        name = plain_markdown(name_of(data, judged.number))
        table = "\n".join([*head, *body])
        parts.append(
            f"<details><summary>Guardrails and slices of {name}</summary>\n\n{table}\n\n</details>"
        )
    return "\n\n".join(parts)


def _canaries(data: ReportData) -> str:
    lines = ["### Leak canaries", ""]
    loud = [canary for canary in data.canaries if canary.says != "silent"]
    for canary in loud:
        says = plain_markdown(canary.says)
        lines.append(f"- **{canary.name}** ({plain_markdown(canary.where)}): {says}")
    silent = len(data.canaries) - len(loud)
    if silent:
        lines.append(f"- {silent} of {len(data.canaries)} checks were silent.")
    return "\n".join(lines)


def _readings(data: ReportData) -> str:
    lines = ["### Readings of held-out parts", ""]
    for each in data.readings:
        again = " **(again, by force)**" if each.forced else ""
        numbers = ", ".join(f"#{number}" for number in each.numbers)
        why, who = code_span(each.why, 60), code_span(each.who, 40)
        lines.append(f"- {each.when}, {each.part} for {numbers} by {who}: {why}{again}")
    return "\n".join(lines)


def _whom(data: ReportData) -> str:
    parts = ["### For whom the winner is good"]
    for duel in data.duels:
        parts.append(
            f"Against {duel.against}: {duel.difference:+.4f} [{duel.low:.4f}, {duel.high:.4f}]; "
            f"better for {duel.better:,} users, worse for {duel.worse:,}, the same for "
            f"{duel.same:,}."
        )
    if data.slices:
        lines = ["| users | how many | winner | baseline | difference |"]
        lines.append("| --- | ---: | ---: | ---: | --- |")
        for each in data.slices:
            baseline, difference = "-", "-"
            if each.baseline is not None:
                baseline = f"{each.baseline:.4f}"
                difference = f"{each.winner - each.baseline:+.4f}"
            if each.low is not None and each.high is not None:
                difference += f" [{each.low:.4f}, {each.high:.4f}]"
            lines.append(
                f"| {code_span(each.name, 60, cell=True)} | {each.users or '-'} "
                f"| {each.winner:.4f} | {baseline} | {difference} |"
            )
        table = "\n".join(lines)
        parts.append(f"<details><summary>By group of users</summary>\n\n{table}\n\n</details>")
    parts += [f"- Part {plain_markdown(str(each))}." for each in data.contributions]
    return "\n\n".join(parts)


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
    if best.candidate.expect:
        parts.append(f"Expected of it: {code_span(best.candidate.expect, 400)}")
        parts.append(f"What came of it: {came_of(data, best)}.")
    written = authors(data)
    if written:
        parts.append(f"Candidates were written by {', '.join(code_span(w, 80) for w in written)}.")
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
