"""The contract check of a candidate's source, by its syntax tree. Nothing of it is run.

Saves time and tells the proposer what to mend. It does not stop code that means harm: the sandbox
does that.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from evolver.core import Failed, Parameter, TaskName, Value
from evolver.evaluate.fingerprint import normalised_digest
from evolver.evaluate.imports import check_imports
from evolver.evaluate.refusal import Refused, quote
from evolver.evaluate.tunables import parse_tunables, value_fault
from evolver.syntax import parse

__all__ = ["Facts", "check_values", "complete_values", "inspect_source", "normalised_digest"]

MOST_BYTES = 200_000
_LONGEST_REASON = 280
_MOST_ABLATIONS = 6
_HIDES = frozenset({"__import__", "compile", "eval", "exec"})
_ARGUMENTS = {
    "__init__": ("params",),
    "fit": ("train", "budget"),
    "score": ("users",),
    "recommend": ("users", "k"),
    "predict": ("table",),
    "rerank": ("lists", "k"),
    "state": (),
    "load": ("state",),
    "observe": (),
}

_ANSWERS: Mapping[TaskName, tuple[str, ...]] = {
    "retrieval": ("score", "recommend"),
    "ranking": ("predict",),
    "reranking": ("rerank",),
}
"""Of which methods a candidate for a task needs one."""

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Method = _Function | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a candidate's source says about itself. `doc` is the first line of its docstring."""

    family: str
    serves_unseen: bool
    tunables: tuple[Parameter, ...]
    has_score: bool
    has_recommend: bool
    doc: str
    ablations: tuple[str, ...] = ()
    """Parts that the model can leave out, by the names that it gives them."""
    task: TaskName = "retrieval"
    has_scorer: bool = False


def inspect_source(source: str, task: TaskName | None = None) -> Facts | Failed:
    """Facts about a source that meets the contract of the task (of any, where none is given), else
    why it does not, in one line."""
    try:
        return _facts(_parse(source), task)
    except Refused as refusal:
        return Failed(kind="contract", reason=" ".join(str(refusal).split())[:_LONGEST_REASON])
    except (RecursionError, MemoryError):
        return Failed(kind="contract", reason="the source is nested too deeply")


def check_values(facts: Facts, values: Mapping[str, Value]) -> Failed | None:
    """Why these values cannot override the declared defaults, or None."""
    declared = {parameter.name: parameter for parameter in facts.tunables}
    for name, value in values.items():
        if name not in declared:
            known = ", ".join(declared) or "none"
            return Failed(
                kind="contract", reason=f"no tunable {quote(name)} is declared; declared: {known}"
            )
        fault = value_fault(declared[name], value)
        if fault is not None:
            return Failed(kind="contract", reason=f"tunable {name!r}: {fault}")
    return None


def complete_values(facts: Facts, values: Mapping[str, Value]) -> dict[str, Value]:
    """A value for every declared tunable: the given one, else its default."""
    defaults = {p.name: p.default for p in facts.tunables if p.default is not None}
    return {**defaults, **values}


def _parse(source: str) -> ast.Module:
    size = len(source.encode("utf-8", errors="surrogatepass"))
    if size > MOST_BYTES:
        raise Refused(f"the source has {size} bytes; {MOST_BYTES} is the most")
    if "\0" in source:
        line = source[: source.index("\0")].count("\n") + 1
        raise Refused(f"line {line}: the source holds a null byte")
    try:
        return parse(source)
    except SyntaxError as error:
        where = f"line {error.lineno}: " if error.lineno else ""
        raise Refused(f"{where}not valid Python: {error.msg}") from None
    except ValueError as error:  # for example text that is not Unicode
        raise Refused(f"not valid Python: {error}") from None


def _facts(tree: ast.Module, task: TaskName | None) -> Facts:
    contract_names = check_imports(tree)
    _check_calls(tree)
    methods = _methods_of_model(tree, task)
    tunables = _setting(tree, "TUNABLES")
    doc = (ast.get_docstring(tree) or "").strip().partition("\n")[0].strip()
    return Facts(
        family=_family(_setting(tree, "FAMILY")),
        serves_unseen=_serves_unseen(_setting(tree, "SERVES_UNSEEN")),
        tunables=() if tunables is None else parse_tunables(tunables, contract_names),
        has_score="score" in methods,
        has_recommend="recommend" in methods,
        doc=doc[:200],
        ablations=_ablations(_setting(tree, "ABLATIONS"), tree),
        task=task or _task_of(methods) or "retrieval",
        has_scorer="scorer" in methods,
    )


def _check_calls(tree: ast.Module) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in _HIDES:
            raise Refused(f"{node.id} hides code from review; write it out", node)


def _setting(tree: ast.Module, name: str) -> ast.expr | None:
    """The value that the file gives to a top-level name; None where it does not."""
    value: ast.expr | None = None
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            targets = statement.targets
        elif isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        else:
            continue
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            value = statement.value
    writes = [node for node in ast.walk(tree) if _writes(node, name)]
    if len(writes) > (value is not None):
        raise Refused(
            f"{name} must be set once, at the top level, by a plain assignment", writes[-1]
        )
    return value


def _writes(node: ast.AST, name: str) -> bool:
    """Whether the node binds a name or stores into what it holds."""
    if isinstance(node, ast.Name):
        return node.id == name and not isinstance(node.ctx, ast.Load)
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        return node.value.id == name and not isinstance(node.ctx, ast.Load)
    return False


def _family(node: ast.expr | None) -> str:
    if node is None:
        return "other"
    if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        raise Refused('FAMILY must be words in quotes, such as "matrix factorisation"', node)
    words = " ".join(node.value.split()).lower()
    if not 0 < len(words) <= 60:
        raise Refused("FAMILY must be 1 to 60 characters that name the kind of model", node)
    return words


def _serves_unseen(node: ast.expr | None) -> bool:
    if node is None:
        return False
    if not (isinstance(node, ast.Constant) and isinstance(node.value, bool)):
        raise Refused("SERVES_UNSEEN must be True or False", node)
    return node.value


def _ablations(node: ast.expr | None, tree: ast.Module) -> tuple[str, ...]:
    if node is None:
        return ()
    shape = 'ABLATIONS must be a tuple of names in quotes, such as ("decay",)'
    if not isinstance(node, ast.Tuple | ast.List):
        raise Refused(shape, node)
    names: list[str] = []
    for each in node.elts:
        if not (isinstance(each, ast.Constant) and isinstance(each.value, str)):
            raise Refused(shape, each)
        name = each.value
        if not name.isidentifier() or len(name) > 40:
            raise Refused(
                f"ablation {quote(name)} must be a plain name of 40 letters at most", each
            )
        if name in names:
            raise Refused(f"ablation {name!r} is declared twice", each)
        names.append(name)
    if len(names) > _MOST_ABLATIONS:
        raise Refused(f"ABLATIONS has {len(names)} names; {_MOST_ABLATIONS} is the most", node)
    if names and not any(
        isinstance(n, ast.Attribute) and n.attr == "ablate" for n in ast.walk(tree)
    ):
        raise Refused("ABLATIONS are declared, but params.ablate is never read", node)
    return tuple(names)


def _task_of(methods: Mapping[str, _Method]) -> TaskName | None:
    """The first task whose question the methods can answer."""
    return next((t for t, names in _ANSWERS.items() if any(n in methods for n in names)), None)


def _methods_of_model(tree: ast.Module, task: TaskName | None) -> dict[str, _Method]:
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    model = classes.get("Model")
    if model is None:
        raise Refused("there is no top-level `class Model`")
    methods: dict[str, _Method] = {}
    for each in reversed(list(_ancestry(model, classes))):
        methods.update(_bound_in(each))
    missing = [f"{name}(self, {', '.join(arguments)})" if arguments else f"{name}(self)"
               for name, arguments in _ARGUMENTS.items()
               if name in ("fit", "state", "load") and name not in methods]  # fmt: skip
    task = task or _task_of(methods) or "retrieval"
    if not any(name in methods for name in _ANSWERS[task]):
        shapes = [f"{name}({', '.join(('self', *_ARGUMENTS[name]))})" for name in _ANSWERS[task]]
        missing.append(" or ".join(shapes))
    if missing:
        raise Refused(f"class Model lacks {', '.join(missing)}", model)
    for name, arguments in _ARGUMENTS.items():
        method = methods.get(name)
        if method is not None:
            _check_signature(method, arguments)
    return methods


def _ancestry(model: ast.ClassDef, classes: Mapping[str, ast.ClassDef]) -> Iterator[ast.ClassDef]:
    """The class and those of its bases that are in the file, nearest first."""
    waiting, seen = [model], set()
    while waiting:
        each = waiting.pop(0)
        if each.name in seen:
            continue
        seen.add(each.name)
        yield each
        waiting += [
            classes[b.id] for b in each.bases if isinstance(b, ast.Name) and b.id in classes
        ]


def _bound_in(each: ast.ClassDef) -> dict[str, _Method]:
    """Names bound in a class body; the value is the function where it is a plain one."""
    bound: dict[str, _Method] = {}
    for node in each.body:
        if isinstance(node, _Function):
            bound[node.name] = None if node.decorator_list else node
        elif isinstance(node, ast.Assign):
            bound.update({t.id: None for t in node.targets if isinstance(t, ast.Name)})
    return bound


def _check_signature(
    method: ast.FunctionDef | ast.AsyncFunctionDef, names: tuple[str, ...]
) -> None:
    shape = f"{method.name}({', '.join(('self', *names))})"
    if isinstance(method, ast.AsyncFunctionDef):
        raise Refused(f"{method.name} must not be async; write def {shape}", method)
    given = method.args
    positional = [*given.posonlyargs, *given.args]
    needed = len(positional) - len(given.defaults)
    keyword_only = any(default is None for default in given.kw_defaults)
    wanted = len(names) + 1
    too_few = len(positional) < wanted and given.vararg is None
    if needed > wanted or too_few or keyword_only:
        raise Refused(f"{method.name} cannot be called as {shape}", method)
