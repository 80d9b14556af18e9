"""The space language: a YAML file of typed choices and a template that turns a point into code.

    name: linear
    title: linear item-item models
    family: "linear: {{ model }}"
    label: "{{ model }}"
    idea: One sentence about what the point embodies.
    description: For people and for language models.
    template: linear.py.j2
    parameters:
      model: {kind: choice, choices: [ease, knn], default: ease, about: how items are compared}
      l2:    {kind: float, low: 1, high: 5000, log: true, default: 200, when: {model: ease}}
    constraints:
      - {forbid: {model: knn, age: fading}, why: neighbours are counted, not weighed}

A choice becomes code: the template branches on it. A number becomes one of the file's TUNABLES,
with the point's value as its default, so that a tuner or a person can take over from there.
Orders, repeated parts and parts wired to each other are made of these (`evolver.tune.dimensions`).
`family`, `label`, `idea` and the template are Jinja2; an undefined name is an error. The rendering
is sandboxed: it stops accidents in a template, it is no wall against one that means harm.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import jinja2
from jinja2.sandbox import SandboxedEnvironment

from evolver import resources
from evolver.core import Candidate, Parameter, TaskName, Value
from evolver.errors import ConfigError
from evolver.tune.faults import read_space_file
from evolver.tune.language import Constraint, Range, SpaceFile
from evolver.tune.points import canonical, is_active, problem
from evolver.tune.tunables import docstring, read_tunables

Point = dict[str, Value]
_GIVEN: Mapping[TaskName, set[str]] = {
    "retrieval": {"Interactions", "Users"},
    "ranking": {"Table"},
    "reranking": {"Ranked"},
}
"""What a candidate for a task imports of the contract beside what all do."""


@dataclass(frozen=True, eq=False)
class Space:
    """A typed space whose every valid point compiles to one readable candidate file."""

    file: SpaceFile
    template: str
    path: Path
    """The YAML file. What the template includes or imports lies beside it."""

    @property
    def name(self) -> str:
        return self.file.name

    @property
    def task(self) -> TaskName:
        return self.file.task

    @property
    def title(self) -> str:
        return self.file.title

    @property
    def description(self) -> str:
        return self.file.description

    @property
    def cost(self) -> float:
        return self.file.cost

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Every dimension, each after the one its `when` names."""
        return self.file.flat()

    @property
    def rules(self) -> Sequence[Constraint]:
        """What does not go together."""
        return self.file.constraints

    def about(self, parameter: str) -> str:
        """What the parameter changes, in words."""
        return self.file.abouts().get(parameter, "")

    def default(self) -> Point:
        """The point where every parameter has its default. Valid, or `load_space` refuses."""
        return self.complete({})

    def complete(self, partial: Mapping[str, Value]) -> Point:
        """A point with the given values where they apply, and defaults where none is given."""
        point: Point = {}
        for parameter in self.parameters:
            if is_active(parameter, point):
                default = parameter.default if parameter.default is not None else parameter.low
                point[parameter.name] = canonical(parameter, partial.get(parameter.name, default))
        return point

    def validate(self, point: Mapping[str, Value]) -> Point:
        """The point in declared order, floats at four digits. Raises ConfigError naming the fault:
        a missing, unknown, inactive or out-of-range value, or a constraint it breaks."""
        fault = problem(self.parameters, point)
        if fault:
            raise ConfigError(f"not a point of the space {self.name!r}: {fault}")
        complete = self.complete(point)
        for constraint in self.file.constraints:
            if constraint.broken_by(complete):
                raise ConfigError(f"not a point of the space {self.name!r}: {constraint}")
        return complete

    def repair(self, point: Mapping[str, Value]) -> Point:
        """The nearest valid point: unknown values dropped, missing ones at their default, numbers
        clipped. A broken constraint is mended by the last parameter it names that can; the default
        point stands in where none can."""
        known = {p.name: p for p in self.parameters}
        kept = {k: v for k, v in point.items() if k in known and not _foreign(known[k], v)}
        complete = self.complete(kept)
        for _ in range(len(self.file.constraints) * 3):
            broken = [c for c in self.file.constraints if c.broken_by(complete)]
            if not broken:
                break
            changed = (
                self.complete({**complete, name: value})
                for name in reversed(broken[0].names())
                if name in complete
                for value in _others(known[name], broken[0], complete)
            )
            complete = next((c for c in changed if not broken[0].broken_by(c)), self.default())
        if any(constraint.broken_by(complete) for constraint in self.file.constraints):
            complete = self.default()
        return self.validate(complete)

    def compile(self, point: Mapping[str, Value]) -> Candidate:
        """The candidate file that this point stands for. Raises ConfigError for no such point."""
        valid = self.validate(point)
        tunables = [p for p in self.parameters if p.kind != "choice" and p.name in valid]
        values = {**valid, **self.file.assemble(valid)}
        idea, name, family = (
            " ".join(self._render(text, values).split())
            for text in (self.file.idea, self.file.label, self.file.family)
        )
        source = self._render(
            self.template,
            {
                **values,
                "has": valid.__contains__,
                "header": f"{name}.\n\n{textwrap.fill(idea, 97)}\n\n{self._settings(valid)}\n",
                "tunables": _declaration(tunables, valid),
                "contract": _imports(tunables, self.task),
                "family": json.dumps(family.lower(), ensure_ascii=False),
            },
        )
        return Candidate(
            source=_spaced(source),
            name=name,
            idea=idea,
            family=family.lower(),
            point=valid,
            space=self.name,
            operator="sample",
        )

    def point_of(self, candidate: Candidate) -> Point | None:
        """The point that this file was compiled from, with the candidate's tuned `values` in it;
        None where the file is not, or no longer, what a point of this space compiles to."""
        try:
            declared = {p.name: p.default for p in read_tunables(candidate.source)}
            text = docstring(candidate.source)
        except ConfigError:
            return None
        written = dict(line.strip().split(" = ", 1) for line in text.splitlines() if " = " in line)
        point: dict[str, Value] = {}
        for parameter in self.parameters:
            if parameter.kind == "choice" and parameter.name in written:
                by_text = {str(choice): choice for choice in parameter.choices}
                if written[parameter.name] not in by_text:
                    return None
                point[parameter.name] = by_text[written[parameter.name]]
            elif parameter.kind != "choice":
                default = declared.get(parameter.name)
                point |= {} if default is None else {parameter.name: default}
        try:
            if self.compile(point).source != candidate.source:
                return None
            return self.validate({**point, **candidate.values})
        except ConfigError:
            return None

    def _settings(self, point: Point) -> str:
        """Every choice of the point, in lines that `point_of` reads, and every order in words."""
        choices = {p.name for p in self.parameters if p.kind == "choice"}
        lines = [f"    {name} = {value}" for name, value in point.items() if name in choices]
        lines += [
            f"    {name}: {', '.join(self.file.assemble(point)[name])}"
            for name, dimension in self.file.parameters.items()
            if dimension.kind == "permutation" and name in self.file.assemble(point)
        ]
        return f"A point of the search space `{self.name}`:\n\n" + "\n".join(lines)

    def _render(self, text: str, values: Mapping[str, Any]) -> str:
        try:
            return _template(self.path.parent, text).render(values)
        except jinja2.TemplateError as error:
            raise ConfigError(f"{self.path}: its template{_where(error)}: {error}") from None


def _where(error: jinja2.TemplateError) -> str:
    """In which line of which template, as far as that is known."""
    if isinstance(error, jinja2.TemplateSyntaxError):
        return f", line {error.lineno}"
    name, line, frame = "", 0, error.__traceback__
    while frame is not None:
        file = frame.tb_frame.f_code.co_filename
        if file == "<template>" or file.endswith(".j2"):
            name, line = file, frame.tb_lineno
        frame = frame.tb_next
    beside = f" {Path(name).name}" if name.endswith(".j2") else ""
    return f"{beside}, line {line}" if line else ""


@lru_cache(maxsize=256)
def _template(folder: Path, text: str) -> jinja2.Template:
    return _environment(folder).from_string(text)


@lru_cache(maxsize=16)
def _environment(folder: Path) -> SandboxedEnvironment:
    return SandboxedEnvironment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


def _foreign(parameter: Parameter, value: Value) -> bool:
    if parameter.kind == "choice":
        return value not in parameter.choices
    return isinstance(value, bool | str)


def _others(parameter: Parameter, broken: Constraint, point: Point) -> Sequence[Value]:
    """Other values of a parameter by which a broken constraint may hold."""
    if parameter.kind == "choice":
        return parameter.choices
    numbers = [point[name] for name in broken.ascending or () if name in point]
    wanted = (broken.forbid or {}).get(parameter.name)
    bounds = (wanted.above, wanted.below) if isinstance(wanted, Range) else ()
    return [*numbers, *(bound for bound in bounds if bound is not None)]


def _spaced(source: str) -> str:
    """At most two blank lines in a row, and one before an indented line."""
    fewer = re.sub(r"\n{4,}", "\n\n\n", source).strip() + "\n"
    return re.sub(r"\n{3,}(?= )", "\n\n", fewer)


def _declaration(tunables: Sequence[Parameter], point: Point) -> str:
    lines = []
    for p in tunables:
        low, high = (int(p.low), int(p.high)) if p.kind == "int" else (float(p.low), float(p.high))
        kind = "Int" if p.kind == "int" else "Float"
        log = ", log=True" if p.log else ""
        lines.append(f'    "{p.name}": {kind}({low!r}, {high!r}, default={point[p.name]!r}{log}),')
    return "TUNABLES = {\n" + "\n".join(lines) + "\n}" if lines else "TUNABLES = {}"


def _imports(tunables: Sequence[Parameter], task: TaskName) -> str:
    kinds = {"Int" if p.kind == "int" else "Float" for p in tunables}
    names = sorted({"Budget", "Params"} | _GIVEN[task] | kinds)
    return f"from evolver.contract import {', '.join(names)}"


def load_space(name_or_path: str | Path) -> Space:
    """A bundled space by its name, or any by the path of its YAML file. Its template lies beside.

    Raises ConfigError with the file, the line, the key and what is wrong with it.
    """
    path = Path(name_or_path)
    if path.suffix not in {".yaml", ".yml"}:
        path = resources.folder("search_spaces") / f"{name_or_path}.yaml"
        if not path.is_file():
            known = ", ".join(bundled())
            raise ConfigError(
                f"no search space named {str(name_or_path)!r}; bundled: {known}; "
                "or give the path of a .yaml file"
            )
    file = read_space_file(path)
    try:
        template = (path.parent / file.template).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the template of {path}: {error}") from None
    space = Space(file=file, template=template, path=path)
    space.validate(space.default())
    return space


def bundled(task: TaskName | None = None) -> tuple[str, ...]:
    """The names of the spaces that come with evolver: all, or those for one task."""
    paths = sorted(resources.folder("search_spaces").glob("*.yaml"))
    return tuple(path.stem for path in paths if task in (None, read_space_file(path).task))
