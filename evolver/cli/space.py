"""`evolver space`: look at search spaces, check them, sample candidates from them."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evolver.core import Parameter, Value
from evolver.errors import UsageError

if TYPE_CHECKING:
    from evolver.tune.space import Point, Space

app = typer.Typer(
    name="space",
    help="Look at typed search spaces, check them, and sample candidates from them.",
    no_args_is_help=True,
)

Which = Annotated[str, typer.Argument(help="A bundled space by name, or the path of a .yaml file.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def show(
    space: Annotated[
        str, typer.Argument(help="A name or a .yaml file; all bundled if left out.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Show the spaces there are, or the parameters of one."""
    from evolver.tune.space import bundled, load_space

    if not space:
        found = [load_space(name) for name in bundled()]
        if as_json:
            _json(
                [{"name": s.name, "title": s.title, "parameters": len(s.parameters)} for s in found]
            )
            return
        for s in found:
            typer.echo(f"{s.name:14} {len(s.parameters):3} parameters  {s.title}")
        typer.echo("Next: evolver space show NAME", err=True)
        return
    loaded = load_space(space)
    if as_json:
        _json({**loaded.file.model_dump(mode="json"), "default": loaded.default()})
        return
    typer.echo(f"{loaded.name}: {loaded.title}\n{loaded.description}\n")
    abouts = loaded.file.abouts()
    for name, dimension in loaded.file.parameters.items():
        for parameter in dimension.flat(name, dimension.condition()):
            typer.echo(f"  {parameter.name:20} {_range(parameter):44} {abouts[parameter.name]}")
    for constraint in loaded.file.constraints:
        typer.echo(f"  not: {constraint}")
    typer.echo("The default has a * (numbers: after it).", err=True)
    typer.echo(f"Next: evolver space sample {space}", err=True)


@app.command()
def check(
    spaces: Annotated[
        list[str] | None, typer.Argument(help="Names or .yaml files; all bundled if left out.")
    ] = None,
    samples: Annotated[int, typer.Option(help="How many random points of each to compile.")] = 200,
    seed: Annotated[int, typer.Option(help="Which random points.")] = 0,
    as_json: Json = False,
) -> None:
    """Check spaces: the file, and that samples of its points compile to candidates and back."""
    from evolver.tune.space import bundled, load_space

    found = []
    for name in spaces or bundled():
        loaded = load_space(name)
        points = _points(loaded, samples, seed)
        files = len({_checked(name, loaded, point) for point in points})
        found.append({"name": loaded.name, "points": len(points), "files": files, "ok": True})
        if not as_json:
            typer.echo(
                f"{loaded.name}: {len(points)} points compile to {files} candidates and back"
            )
    if as_json:
        _json(found)


@app.command()
def sample(
    space: Which,
    seed: Annotated[int, typer.Option(help="Which sample; the same seed, the same point.")] = 0,
    default: Annotated[
        bool, typer.Option("--default", help="The default point, not a random one.")
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE: fix a parameter; give it as often as needed."),
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", help="Write the candidate here.")] = None,
    as_json: Json = False,
) -> None:
    """Compile one point of a space to a candidate file and print it."""
    from evolver.tune.sampling import build, draw, seeded
    from evolver.tune.space import load_space

    loaded, rng = load_space(space), seeded(seed)
    fixed = _settings(loaded.parameters, settings or ())
    drawn = build(loaded.parameters, lambda p: fixed[p.name] if p.name in fixed else draw(p, rng))
    point = loaded.repair(fixed if default else {**drawn, **fixed})
    for name, value in fixed.items():
        if point.get(name) != value:
            there = f"becomes {point[name]!r}" if name in point else "does not exist"
            raise UsageError(
                f"--set {name}={value}: {name} {there} in this point; its condition or a "
                f"constraint says so; see: evolver space show {space}"
            )
    candidate = loaded.compile(point)
    if output:
        output.write_text(candidate.source, encoding="utf-8")
    if as_json:
        _json(
            {
                "name": candidate.name,
                "idea": candidate.idea,
                "family": candidate.family,
                "point": dict(candidate.point or {}),
                "source": candidate.source,
            }
        )
    elif not output:
        typer.echo(candidate.source, nl=False)
    else:
        typer.echo(f"{output}: {candidate.name}")


@app.command()
def point(
    file: Annotated[Path, typer.Argument(help="A candidate that was compiled from a space.")],
    space: Annotated[
        str, typer.Option(help="The space's name or .yaml file; all bundled if left out.")
    ] = "",
) -> None:
    """Print, as JSON, the point of a search space that a candidate file stands for."""
    from evolver.core import Candidate
    from evolver.tune.space import bundled, load_space

    try:
        source = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the candidate {file}: {error}") from None
    names = [space] if space else list(bundled())
    for name in names:
        loaded = load_space(name)
        found = loaded.point_of(Candidate(source=source))
        if found is not None:
            _json({"space": loaded.name, "point": found})
            return
    raise UsageError(f"{file} is not, or no longer, what a point of {', '.join(names)} compiles to")


@app.command()
def schema(
    output: Annotated[Path | None, typer.Option("-o", help="Write the schema here.")] = None,
) -> None:
    """Print the JSON schema of space files, for editors that check YAML as you type.

    Its first line in a space file is: # yaml-language-server: $schema=space.schema.json
    """
    from evolver.tune.language import schema_text

    if output is None:
        typer.echo(schema_text(), nl=False)
        return
    output.write_text(schema_text(), encoding="utf-8")
    typer.echo(str(output))


def _points(space: Space, samples: int, seed: int) -> list[Point]:
    """The default point, and random ones."""
    from evolver.tune.sampling import random_point, seeded

    drawn = (random_point(space.parameters, seeded(seed, n)) for n in range(samples))
    return [space.default(), *(space.repair(each) for each in drawn)]


def _checked(name: str, space: Space, at: Point) -> str:
    """The source that the point compiles to. Raises UsageError where it is no sound candidate."""
    from evolver.core import Failed
    from evolver.evaluate.check import inspect_source

    source = (candidate := space.compile(at)).source
    try:
        compile(source, "candidate", "exec")
    except SyntaxError as error:
        line = source.splitlines()[(error.lineno or 1) - 1].strip()
        raise UsageError(
            f"{name}: the point {json.dumps(at)} compiles to no Python: {error.msg} in {line!r}"
        ) from None
    if space.point_of(candidate) != at:
        raise UsageError(
            f"{name}: the file of the point {json.dumps(at)} does not lead back to it; "
            "print {{ header }} in the docstring and {{ tunables }} in the template"
        )
    facts = inspect_source(source, space.task)
    if isinstance(facts, Failed):
        raise UsageError(f"{name}: the point {json.dumps(at)} is no candidate: {facts.reason}")
    return source


def _settings(parameters: Sequence[Parameter], settings: Sequence[str]) -> Mapping[str, Value]:
    """The values of `NAME=VALUE` texts. Raises UsageError saying what is allowed."""
    from evolver.tune.points import out_of_range

    known = {p.name: p for p in parameters}
    found: dict[str, Value] = {}
    for text in settings:
        name, equals, written = text.partition("=")
        if not equals or name not in known:
            raise UsageError(f"--set {text}: give NAME=VALUE with one of {', '.join(known)}")
        by_text: dict[str, Value] = {str(choice): choice for choice in known[name].choices}
        value = by_text.get(written, written)
        if known[name].kind != "choice":
            try:
                value = int(written) if known[name].kind == "int" else float(written)
            except ValueError:
                value = written
        fault = out_of_range(known[name], value)
        if fault:
            raise UsageError(f"--set {text}: it must be {fault}")
        found[name] = value
    return found


def _range(p: Parameter) -> str:
    if p.kind == "choice":
        text = " | ".join(f"{c}*" if c == p.default else str(c) for c in p.choices)
    else:
        text = f"{p.low:g} to {p.high:g}{' (log)' if p.log else ''}, {p.default:g}*"
    if p.when:
        text += f"  if {p.when[0]}={'/'.join(map(str, p.when[1]))}"
    return text


def _json(value: Any) -> None:
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
