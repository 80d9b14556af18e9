"""`evolver space`: look at search spaces, check them, sample candidates from them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from evolver.core import Parameter

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
    for parameter in loaded.parameters:
        about = loaded.about(parameter.name)
        typer.echo(f"  {parameter.name:18} {_range(parameter):44} {about}")
    for constraint in loaded.file.constraints:
        typer.echo(f"  not: {constraint}")
    typer.echo(f"Next: evolver space sample {space}", err=True)


@app.command()
def check(space: Which, samples: int = 200, seed: int = 0, as_json: Json = False) -> None:
    """Check a space: its file, and that samples of its points compile to Python and back."""
    import ast

    from evolver.errors import UsageError
    from evolver.tune.sampling import random_point, seeded
    from evolver.tune.space import load_space

    loaded = load_space(space)
    points = [loaded.default()]
    points += [
        loaded.repair(random_point(loaded.parameters, seeded(seed, n))) for n in range(samples)
    ]
    sources = set()
    for point in points:
        candidate = loaded.compile(point)
        try:
            ast.parse(candidate.source)
        except SyntaxError as error:
            line = candidate.source.splitlines()[(error.lineno or 1) - 1].strip()
            raise UsageError(
                f"{space}: the point {json.dumps(point)} compiles to no Python: "
                f"{error.msg} in {line!r}"
            ) from None
        if loaded.point_of(candidate) != point:
            raise UsageError(
                f"{space}: the file of the point {json.dumps(point)} does not lead back to it; "
                "print {{ header }} in the docstring and {{ tunables }} in the template"
            )
        sources.add(candidate.source)
    if as_json:
        _json({"name": loaded.name, "points": len(points), "files": len(sources), "ok": True})
        return
    typer.echo(f"{loaded.name}: {len(points)} points compile to {len(sources)} files and back")


@app.command()
def sample(
    space: Which,
    seed: Annotated[int, typer.Option(help="Which sample; the same seed, the same point.")] = 0,
    default: Annotated[bool, typer.Option("--default", help="The default point instead.")] = False,
    output: Annotated[Path | None, typer.Option("-o", help="Write the candidate here.")] = None,
    as_json: Json = False,
) -> None:
    """Compile one point of a space to a candidate file and print it."""
    from evolver.tune.sampling import random_point, seeded
    from evolver.tune.space import load_space

    loaded = load_space(space)
    drawn = random_point(loaded.parameters, seeded(seed))
    candidate = loaded.compile(loaded.default() if default else loaded.repair(drawn))
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
def schema() -> None:
    """Print the JSON schema of space files, for editors that check YAML as you type."""
    from evolver.tune.language import SpaceFile

    _json(SpaceFile.model_json_schema())


def _range(p: Parameter) -> str:
    text = " | ".join(map(str, p.choices)) if p.kind == "choice" else f"{p.low:g} to {p.high:g}"
    text += " (log)" if p.log else ""
    if p.when:
        text += f"  if {p.when[0]}={'/'.join(map(str, p.when[1]))}"
    return text


def _json(value: Any) -> None:
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
