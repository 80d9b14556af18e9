"""`evolver policy`: what would another policy have earned, and is a learned one better?"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from evolver.cli.options import Json

if TYPE_CHECKING:
    from evolver.serving.intervals import Interval
    from evolver.serving.log import BanditLog
    from evolver.serving.offpolicy import OffPolicy
    from evolver.serving.policy import Policy

app = typer.Typer(
    name="policy",
    help="Serving decisions from logs: estimate policies off-policy, learn better ones.",
    no_args_is_help=True,
)

_COLUMNS = "The log's columns"
LogPath = Annotated[
    Path,
    typer.Argument(
        metavar="LOG",
        help="CSV (gzip too) or Parquet, or its folder; one row a decision. "
        "The Open Bandit layout is recognised.",
    ),
]
Action = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN", help="What was done. Default: action.", rich_help_panel=_COLUMNS
    ),
]
Reward = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="What came of it, 0 or more. Default: reward.",
        rich_help_panel=_COLUMNS,
    ),
]
Propensity = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="With what chance it was done. Default: propensity.",
        rich_help_panel=_COLUMNS,
    ),
]
Position = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Place in the list; places are bandits of their own.",
        rich_help_panel=_COLUMNS,
    ),
]
Context = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMN",
        help="What was known before; again for more. Text is taken as levels.",
        rich_help_panel=_COLUMNS,
    ),
]
Score = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=PATTERN",
        help="What a row says of each action, such as knn=knn_{action}; again for more.",
        rich_help_panel=_COLUMNS,
    ),
]
Group = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="User or session: its rows are not independent, and count as one.",
        rich_help_panel=_COLUMNS,
    ),
]
MostReward = Annotated[
    float | None,
    typer.Option(
        metavar="NUMBER",
        help="The largest reward there can be; needed unless rewards are 0 or 1.",
        rich_help_panel=_COLUMNS,
    ),
]
Actions = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="A table with one row an action; its numeric columns are its features.",
        rich_help_panel=_COLUMNS,
    ),
]
Level = Annotated[float, typer.Option(metavar="SHARE", help="Confidence of the intervals.")]
Seed = Annotated[int, typer.Option(help="Same log, same seed: same numbers.")]


@app.command()
def evaluate(
    log: LogPath,
    *,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help='A policy\'s JSON file, or "uniform"; again for more. Default: uniform.',
        ),
    ] = None,
    action: Action = None,
    reward: Reward = None,
    propensity: Propensity = None,
    position: Position = None,
    context: Context = None,
    score: Score = None,
    group: Group = None,
    most_reward: MostReward = None,
    actions: Actions = None,
    level: Level = 0.95,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Estimate what policies would have earned, with intervals and what to beware of."""
    from evolver.errors import ConfigError
    from evolver.serving.offpolicy import evaluate as judged
    from evolver.serving.rewards import predicted_rewards

    if not 0 < level < 1:
        raise ConfigError(f"--level {level:g} must lie between 0 and 1, such as 0.95")
    loaded = _read(
        log, action, reward, propensity, position, context, score, group, most_reward, actions
    )
    named = {name: _policy(name) for name in policy or ["uniform"]}
    predicted = predicted_rewards(loaded, seed=seed)
    found = {
        name: judged(
            loaded, each.probabilities(loaded), predicted=predicted, level=level, seed=seed
        )
        for name, each in named.items()
    }
    if as_json:
        _json({name: each.to_json() for name, each in found.items()})
        return
    for name, each in found.items():
        _show(name, each)


@app.command()
def learn(
    log: LogPath,
    *,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="Where an adopted policy goes.")
    ] = Path("policy.json"),
    learner: Annotated[
        Literal["auto", "cem", "cmaes", "gradient"],
        typer.Option(
            help="cem, cmaes: the same weights in every context. gradient: weights by context. "
            "auto: whichever cross-validation on the learning rows prefers."
        ),
    ] = "auto",
    goal: Annotated[
        Literal["ips", "snips", "dr"], typer.Option(help="The estimate that is maximised.")
    ] = "snips",
    incumbent: Annotated[
        str,
        typer.Option(
            metavar="FILE", help='What has to be beaten: a policy, or "logging", or "uniform".'
        ),
    ] = "logging",
    held_out: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of the rows that only judge.")
    ] = 0.5,
    split: Annotated[
        Literal["random", "order"],
        typer.Option(help="Which rows judge: any, or the last ones of the log."),
    ] = "random",
    risk: Annotated[
        float,
        typer.Option(
            metavar="SHARE", help="The chance of adopting what is no better, at the most."
        ),
    ] = 0.05,
    tests: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, help="Policies judged on these rows in all; they share the risk."
        ),
    ] = 1,
    least_gain: Annotated[
        float, typer.Option(metavar="NUMBER", help="The gain in reward that is worth a change.")
    ] = 0.0,
    bound: Annotated[
        Literal["betting", "student"],
        typer.Option(
            help="betting: holds for any log. student: sharper, holds for large ones only."
        ),
    ] = "betting",
    explore: Annotated[
        float,
        typer.Option(
            metavar="SHARE", help="Decisions left to chance, so that the next log can be used."
        ),
    ] = 0.05,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Write the policy even if it is not adopted.")
    ] = False,
    action: Action = None,
    reward: Reward = None,
    propensity: Propensity = None,
    position: Position = None,
    context: Context = None,
    score: Score = None,
    group: Group = None,
    most_reward: MostReward = None,
    actions: Actions = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Learn a policy on one part of a log, and adopt it if the other part shows it to be better."""
    from dataclasses import asdict, replace

    from evolver.errors import ConfigError
    from evolver.serving.adopt import judge, paragraph
    from evolver.serving.learn import CHOICES, halves, learn_best
    from evolver.serving.policy import write_policy

    for flag, value in (("--held-out", held_out), ("--risk", risk)):
        if not 0 < value < 1:
            raise ConfigError(f"{flag} {value:g} must lie between 0 and 1")
    if not 0 <= explore < 1:
        raise ConfigError(f"--explore {explore:g} must be 0 or more and below 1")
    loaded = _read(
        log, action, reward, propensity, position, context, score, group, most_reward, actions
    )
    rival = None if incumbent == "logging" else _policy(incumbent)
    tried = [replace(c, goal=goal) for c in CHOICES if learner in ("auto", c.learner)]
    if not loaded.context.columns and learner == "auto":
        tried = [c for c in tried if not c.contextual]
    learning, judging = halves(loaded, held_out, seed, ordered=split == "order")
    found, settings = learn_best(learning, tried, explore=explore, seed=seed)
    verdict = judge(
        judging,
        found.probabilities(judging),
        None if rival is None else rival.probabilities(judging),
        level=risk,
        tests=tests,
        least_gain=least_gain,
        bound=bound,
        incumbent_name="the logging policy" if rival is None else incumbent,
        seed=seed,
    )
    written = verdict.decision == "adopt" or anyway
    told = {"settings": asdict(settings), "rows": len(learning), "verdict": verdict.to_json()}
    if written:
        write_policy(output, found, {"learned": told})
    if as_json:
        _json({**told, "output": str(output) if written else None})
        return
    typer.echo(f"Learned by {settings.learner} ({settings.goal}) on {len(learning)} rows.")
    typer.echo(paragraph(verdict))
    for warning in verdict.evidence.support.warnings:
        typer.echo(f"Beware: {warning}.")
    if written:
        typer.echo(f"Next: {output} holds the policy; evolver policy show {output}", err=True)
    else:
        typer.echo("Nothing was written. Next: a longer log, or --anyway", err=True)


@app.command()
def clone(
    log: LogPath,
    *,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="Where the policy goes.")
    ] = Path("policy.json"),
    action: Action = None,
    reward: Reward = None,
    propensity: Propensity = None,
    position: Position = None,
) -> None:
    """Write what a log shows on average as a policy: how often each action was taken."""
    from evolver.serving.policy import as_logged, write_policy

    loaded = _read(log, action, reward, propensity, position, None, None, None, None, None)
    write_policy(output, as_logged(loaded))
    typer.echo(f"{output}: shares of {len(loaded.names)} actions in {len(loaded)} rows")


@app.command()
def show(
    policy: Annotated[str, typer.Argument(metavar="FILE", help="A policy's JSON file.")],
    most: Annotated[int, typer.Option(min=1, help="How many weights to show.")] = 20,
    as_json: Json = False,
) -> None:
    """Show a policy: its largest weights, or its chances."""
    from evolver.serving.policy import SoftmaxPolicy, TablePolicy

    loaded = _policy(policy)
    if as_json:
        _json(loaded.to_json())
        return
    rows: list[tuple[str, str, float]] = []
    if isinstance(loaded, SoftmaxPolicy):
        typer.echo(f"softmax over {len(loaded.names)} actions, {loaded.explore:.0%} by chance")
        rows = [
            (term, column, float(weight))
            for term, weights in zip(loaded.encoder.terms, loaded.weights, strict=True)
            for column, weight in zip(loaded.columns, weights, strict=True)
        ]
    elif isinstance(loaded, TablePolicy):
        typer.echo("fixed chances")
        rows = [
            (f"at {at}", a, p) for at, chances in loaded.table.items() for a, p in chances.items()
        ]
    else:
        typer.echo("uniform over the log's actions")
    for term, column, number in sorted(rows, key=lambda r: -abs(r[2]))[:most]:
        typer.echo(f"  {term:24} {column:40} {number:+.4f}")
    if len(rows) > most:
        typer.echo(f"  and {len(rows) - most} smaller ones")


def _read(
    path: Path,
    action: str | None,
    reward: str | None,
    propensity: str | None,
    position: str | None,
    context: list[str] | None,
    score: list[str] | None,
    group: str | None,
    most_reward: float | None,
    actions: Path | None,
) -> BanditLog:
    from evolver.errors import ConfigError
    from evolver.serving.log import read_log

    scores = {}
    for text in score or ():
        name, equals, pattern = text.partition("=")
        if not equals or not name:
            raise ConfigError(f"--score {text} must read NAME=PATTERN, such as knn=knn_{{action}}")
        scores[name] = pattern
    flags = {
        "action": action,
        "reward": reward,
        "propensity": propensity,
        "position": position,
        "context": tuple(context) if context else None,
        "scores": scores or None,
        "group": group,
    }
    changed = {name: value for name, value in flags.items() if value is not None}
    return read_log(path, changed=changed, most_reward=most_reward, actions=actions)


def _policy(name: str) -> Policy:
    from evolver.serving.policy import UniformPolicy, read_policy

    return UniformPolicy() if name == "uniform" else read_policy(Path(name))


def _show(name: str, found: OffPolicy) -> None:
    from evolver.serving.estimators import BIASED

    s = found.support
    groups = f" in {s.units} groups" if s.units != s.rows else ""
    typer.echo(
        f"{name}\n{s.rows} rows{groups}, {s.rewarded} rewards above 0, worth {s.effective:.0f} "
        f"observations of it; weights average {s.mean_weight:.3f} ± {s.weight_error:.3f}, "
        f"largest {s.largest_weight:.3g}"
    )
    typer.echo(f"{'':12} {'value':>9}  {f'{found.level:.0%} student':22} {'bootstrap':22} gain")
    logged = found.logged_interval
    typer.echo(f"{'logged':12} {found.logged:9.5f}  {_interval(logged)}")
    for key, e in found.estimates.items():
        resampled = "" if e.bootstrap is None else _interval(e.bootstrap)
        gain = found.gains[key]
        typer.echo(
            f"{key:12} {e.value:9.5f}  {_interval(e.student):22} {resampled:22} "
            f"{gain.value:+.5f} ({_interval(gain.student)})"
        )
    typer.echo(f"  biased, which their intervals leave out: {', '.join(BIASED)}")
    for key, interval in found.honest.items():
        typer.echo(f"{key:12} {'':9}  {_interval(interval):22} holds for any sample size")
    for at in found.positions:
        typer.echo(
            f"at position {at.position}: {at.rows} rows, logged {at.logged:.5f}, "
            f"snips {at.snips:.5f} ({_interval(at.student)})"
        )
    for warning in s.warnings:
        typer.echo(f"Beware: {warning}.")


def _interval(interval: Interval) -> str:
    return f"{interval.low:.5f} to {interval.high:.5f}"


def _json(value: Any) -> None:
    json.dump(_finite(value), sys.stdout, indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.write("\n")


def _finite(value: Any) -> Any:
    """The value with null for every number that JSON cannot hold."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
