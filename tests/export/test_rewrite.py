"""Imports of the contract move; nothing else does."""

from __future__ import annotations

import pytest

from evolver.errors import UsageError
from evolver.export.rewrite import imported_roots, needs_shim, vendored


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from evolver.contract import Int\n", "from ._contract import Int\n"),
        (
            "from evolver.contract import (\n    Int,  # kept\n    Float as F,\n)\nx = 1\n",
            "from ._contract import (\n    Int,  # kept\n    Float as F,\n)\nx = 1\n",
        ),
        ("from evolver . contract \\\n import Int\n", "from ._contract import Int\n"),
        ("from evolver import contract\n", "from . import _contract as contract\n"),
        ("from evolver import contract as c\n", "from . import _contract as c\n"),
        ("import evolver.contract as c\n", "from . import _contract as c\n"),
        ("import evolver.contract\n", "from . import _evolver as evolver\n"),
        (
            "import numpy as np, evolver.contract as c\n",
            "import numpy as np; from . import _contract as c\n",
        ),
        (
            "if 1: import evolver.contract as c; x = 'é'\n",
            "if 1: from . import _contract as c; x = 'é'\n",
        ),
        ("é = 'ü'; from evolver.contract import Int\n", "é = 'ü'; from ._contract import Int\n"),
        (
            "def f():\r\n    from evolver.contract import Int\r\n    return Int\r\n",
            "def f():\r\n    from ._contract import Int\r\n    return Int\r\n",
        ),
        ("x = 'from evolver.contract import Int'\n", "x = 'from evolver.contract import Int'\n"),
        ("# import evolver.contract\nimport os\n", "# import evolver.contract\nimport os\n"),
        (
            "x = '\u2028'\x0c\nfrom evolver.contract import Int\n",
            "x = '\u2028'\x0c\nfrom ._contract import Int\n",
        ),
    ],
)
def test_only_the_imports_change(source: str, expected: str) -> None:
    assert vendored(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        "import evolver",
        "import evolver.zoo",
        "from evolver import contract, data",
        "from evolver.data.split import Fold",
    ],
)
def test_more_of_evolver_is_refused(source: str) -> None:
    with pytest.raises(UsageError, match="imports more of evolver"):
        vendored(source)


@pytest.mark.parametrize("source", ["def", "x = '\ud800'", "# coding: latin-1\nx = 'é'", "\0"])
def test_what_is_no_python_is_refused(source: str) -> None:
    with pytest.raises(UsageError, match="cannot be exported"):
        vendored(source)


def test_shim_is_written_only_for_the_dotted_name() -> None:
    assert needs_shim(vendored("import evolver.contract\n"))
    assert not needs_shim(vendored("import evolver.contract as c\n"))


def test_imports_inside_functions_count() -> None:
    source = "import os\ndef f():\n    from scipy.sparse import csr_matrix\n    import torch.nn\n"
    assert imported_roots(source) == {"scipy", "torch"}
