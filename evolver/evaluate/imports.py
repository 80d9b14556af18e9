"""Which imports a candidate may use.

Advice, not a wall: it saves a sandbox the work and tells the proposer at once. What a candidate
must not reach is kept from it by the sandbox, whatever its imports say.
"""

from __future__ import annotations

import ast
import sys

from evolver import contract
from evolver.evaluate.refusal import Refused, quote

_LIBRARIES = frozenset({"numpy", "scipy", "sklearn", "torch"})
_NETWORK = "a candidate has no network"
_PROCESS = "a candidate is one process; use budget.threads"
_PICKLE = "state() hands over arrays, nothing is pickled"
_HIDDEN = "it hides code from review"
_SCREEN = "nobody sits before a candidate"
_REFUSED = {
    **dict.fromkeys(("asyncio", "ftplib", "http", "imaplib", "nntplib", "poplib", "select",
                     "selectors", "smtplib", "socket", "socketserver", "ssl", "telnetlib", "urllib",
                     "wsgiref", "xmlrpc", "asyncore", "asynchat", "webbrowser"), _NETWORK),
    **dict.fromkeys(("multiprocessing", "pty", "subprocess", "signal", "resource"), _PROCESS),
    **dict.fromkeys(("dbm", "marshal", "pickle", "shelve", "sqlite3"), _PICKLE),
    **dict.fromkeys(("code", "codeop", "ctypes", "imp", "importlib", "pkgutil", "runpy",
                     "zipimport"), _HIDDEN),
    **dict.fromkeys(("cmd", "curses", "getpass", "idlelib", "pdb", "readline", "tkinter", "tty",
                     "turtle", "turtledemo"), _SCREEN),
    **dict.fromkeys(("distutils", "ensurepip", "lib2to3", "venv"), "nothing can be installed"),
    "torch.distributed": _PROCESS,
    "torch.multiprocessing": _PROCESS,
    "torch.hub": _NETWORK,
    "torch.utils.cpp_extension": "there is no compiler",
    "sklearn.datasets": "only the given training data may be used",
    "scipy.datasets": "only the given training data may be used",
}  # fmt: skip


def check_imports(tree: ast.Module) -> dict[str, str]:
    """What the file calls the names it takes from `evolver.contract`. Raises Refused."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                _check(alias.name, node)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                raise Refused("a candidate is one file; it has nothing to import with a dot", node)
            if module == "evolver.contract":
                names.update(_from_contract(node))
                continue
            _check(module, node)
            for alias in node.names:
                _check_refused(f"{module}.{alias.name}", node)
    return names


def _from_contract(node: ast.ImportFrom) -> dict[str, str]:
    names = {}
    for alias in node.names:
        if alias.name == "*":
            return {name: name for name in contract.__all__}
        if alias.name not in contract.__all__:
            known = ", ".join(contract.__all__)
            raise Refused(f"evolver.contract has no {quote(alias.name)}; it has {known}", node)
        names[alias.asname or alias.name] = alias.name
    return names


def _check(module: str, node: ast.AST) -> None:
    root = module.partition(".")[0]
    if root == "evolver":
        raise Refused("of evolver only `from evolver.contract import ...` may be used", node)
    _check_refused(module, node)
    if root not in _LIBRARIES and root not in sys.stdlib_module_names:
        raise Refused(
            f"import {quote(root)} is not available: use torch, numpy, scipy, sklearn, "
            "the standard library and evolver.contract",
            node,
        )


def _check_refused(module: str, node: ast.AST) -> None:
    parts = module.split(".")
    for length in range(1, len(parts) + 1):
        name = ".".join(parts[:length])
        if name in _REFUSED:
            raise Refused(f"import {name} is refused: {_REFUSED[name]}", node)
